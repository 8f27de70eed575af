#!/bin/sh
# Both programs on loopback: what a beacon believes of its events, and what its hub did with them.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

beacon=$PWD/out/host/nefia-beacon
nefia=$PWD/out/host/nefia
beacon_pid=
hub_pid=
processes='beacon_pid hub_pid'

umask 077 # the configurations hold a key
port=$(free_port)
right=0123456789abcdef0123456789abcdef
config()
{
    cat <<YAML
host_id: pair
beacons:
  reactor: "127.0.0.1:$port"
  hmac_key: $1
  control_socket: $dir/beacon.sock
  max_events_per_min: 120
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  hmac_key: $right
  control_socket: $dir/hub.sock
  rules:
    - {name: note, event_pattern: '^door\.', action: {type: exec, target: hub, command: "echo \$NEFIA_DATA_DOOR >>$dir/doors"}}
YAML
}
start_hub()
{
    "$nefia" reactor run -c "$dir/right.yaml" 2>>"$dir/hub.log" &
    hub_pid=$!
    within "$nefia" reactor status -c "$dir/right.yaml"
}
counter()
{
    "$nefia" reactor status --json -c "$dir/right.yaml" | python3 -c "
import json, sys
c = json.load(sys.stdin)['counters']
print(c['$1'])"
}
at_least()
{
    [ "$(counter "$1")" -ge "$2" ]
}
beacon_says()
{
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c "
import json, sys
s = json.load(sys.stdin)
sys.exit(not ($1))"
}

config "$right" >"$dir/right.yaml"
config fedcba9876543210fedcba9876543210 >"$dir/nefia.yaml"
start_hub
background beacon.log "$beacon" run -c "$dir/nefia.yaml"
beacon_pid=$!
within "$beacon" status -c "$dir/nefia.yaml"
# keys PID: how often a key of the configurations is in what the process can read.
keys()
{
    python3 - "$1" "$right" fedcba9876543210fedcba9876543210 <<'PY'
import sys

pid, words, count = sys.argv[1], [w.encode() for w in sys.argv[2:]], 0
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
    for line in maps:
        span, rights = line.split()[:2]
        if rights[0] != "r" or "[v" in line:
            continue
        first, end = (int(x, 16) for x in span.split("-"))
        memory.seek(first)
        block = memory.read(end - first)
        count += sum(block.count(w) for w in words)
print(count)
PY
}
kill -HUP "$hub_pid" "$beacon_pid"
within grep -q 'reloaded' "$dir/hub.log" && within grep -q 'reloaded' "$dir/beacon.log"
[ "$(keys "$hub_pid") $(keys "$beacon_pid")" = "0 0" ]
result "no key is left where the configuration was read" $?
expect "an event of ours is accepted" 0 "$beacon" emit -c "$dir/nefia.yaml" door.open warning door=north

within grep -q 'unsigned error from the hub: wrong signature' "$dir/beacon.log" && grep -q 'closed: wrong signature' "$dir/hub.log"
result "a hub does not welcome a beacon with another key" $?
at_least events 1
[ $? -eq 1 ]
result "it takes none of its events" $?
within beacon_says "s['uplink']['state'] == 'waiting'"
beacon_says "s['uplink']['delivered'] == 0 and s['spool']['events'] == 2"
result "the beacon knows: nothing was delivered, all waits" $?

cp "$dir/right.yaml" "$dir/nefia.yaml"
kill -HUP "$beacon_pid"
within beacon_says "s['uplink']['delivered'] == 2 and s['spool']['events'] == 0"
result "with the right key, reloaded, everything arrives" $?
within grep -qx north "$dir/doors"
result "the hub acts on it" $?

kill "$hub_pid"
wait "$hub_pid"
hub_pid=
for door in east south west; do
    "$beacon" emit -c "$dir/nefia.yaml" "door.$door" critical "door=$door" >>"$dir/out"
done
start_hub
within beacon_says "s['uplink']['delivered'] == 5"
result "what happened while the hub was away arrives when it is back" $?
all_doors()
{
    [ "$(sort "$dir/doors" | tr '\n' ' ')" = 'east north south west ' ]
}
within all_doors
result "each acted once" $?

finish
