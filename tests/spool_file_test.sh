#!/bin/sh
# Severe events survive the beacon: kept on flash, they reach a real hub once, with the numbers they had, whatever was cut.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

beacon=$PWD/out/host/nefia-beacon
nefia=$PWD/out/host/nefia
. tests/pair_lib.sh
relay_pid=
processes='beacon_pid hub_pid relay_pid'

umask 077 # the configuration holds a key
port=$(free_port)
hub_port=$port
# config EXTRA: more lines of `beacons:`. Every event acts.
config()
{
    cat >"$dir/nefia.yaml" <<YAML
host_id: flash
beacons:
  reactor: "127.0.0.1:$port"
  hmac_key: 0123456789abcdef0123456789abcdef
  control_socket: $dir/beacon.sock
  state_dir: $dir/state
  spool_file: $dir/state/spool
  max_events_per_min: 120
$1
reactor:
  listen_address: 127.0.0.1
  listen_port: $hub_port
  hmac_key: 0123456789abcdef0123456789abcdef
  control_socket: $dir/hub.sock
  state_dir: $dir/hub
  rules:
    - {name: note, event_pattern: '^drill\.', action: {type: exec, target: hub, command: "printf '%s\\n' \"\$NEFIA_EVENT\" >>$dir/acted"}}
YAML
}

# emit SEVERITY N: what was accepted is in $dir/accepted, "7 12" a line.
emit()
{
    "$beacon" emit -c "$dir/nefia.yaml" drill.fire "$1" n="$2" >"$dir/out" 2>&1 || return 1
    sed 's/accepted: boot \([0-9]*\), seq \([0-9]*\)/\1 \2/' "$dir/out" >>"$dir/accepted-$1"
}

# beacon_says EXPRESSION, hub_says EXPRESSION: of its status s.
beacon_says()
{
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c "
import json, sys
s = json.load(sys.stdin)
sys.exit(not ($1))"
}
hub_says()
{
    "$nefia" reactor status --json -c "$dir/nefia.yaml" | python3 -c "
import json, sys
s = json.load(sys.stdin)
sys.exit(not ($1))"
}

# numbers FILE: "boot seq" of its events, in its order.
numbers()
{
    python3 -c "
import json, sys
for line in open(sys.argv[1]):
    e = json.loads(line)
    e = e.get('event', e)
    if e['type'].startswith('drill.'):
        print(e['boot'], e['seq'])" "$1"
}

all_acted()
{
    [ "$(wc -l <"$dir/acted")" -ge "$1" ]
}

# ---- cut at once after each was accepted, again and again ----
config ''
n=0
for _ in 1 2 3 4 5; do
    start_beacon
    for _ in 1 2 3; do
        n=$((n + 1))
        emit info "$n"
        emit critical "$n"
    done
    kill_beacon
done
start_beacon
emit critical last
beacon_says "s['spool_file']['events'] == 16 and s['spool_file']['today'] > 4000 and s['spool_file']['skipped'] == 0"
result "status shows events on flash" $?
"$beacon" status -c "$dir/nefia.yaml" | grep -q '^  On flash  *16 events, [0-9]* of 1048576 bytes today, 0 skipped$'
result "also in the table" $?
start_hub
kill -HUP "$beacon_pid" # tries at once
within beacon_says "s['spool']['events'] == 0 and s['spool_file']['events'] == 0"
result "all are delivered" $?
within all_acted 16
numbers "$dir/acted" | sort -n -k 1,1 -k 2,2 >"$dir/out"
sort -n -k 1,1 -k 2,2 "$dir/accepted-critical" | cmp - "$dir/out" >"$dir/err"
result "those that were accepted acted once each, with their old numbers" $?
"$nefia" reactor events --json -c "$dir/nefia.yaml" >"$dir/rows"
python3 - "$dir/rows" <<'PY' >"$dir/err" 2>&1
import json, sys
boots = []
for line in open(sys.argv[1]):
    e = json.loads(line)
    e = e.get("event", e)
    if isinstance(e, str):
        e = json.loads(e)
    boots.append(e["boot"])
earlier = [b for b in boots if b != max(boots)]
assert len(set(boots)) == 6 and earlier == sorted(earlier), boots
PY
result "beside its own, it sent one start at a time, the oldest first" $?
[ ! -s "$dir/state/spool" ]
result "the file is cut when nothing in it is alive" $?

# ---- the hub took them, and its acknowledgement is lost ----
kill_beacon
port=$(free_port)
cat >"$dir/relay.py" <<'PY'
"""Forwards everything from the beacon; from the hub only the greeting, and the welcome with its signature."""
import socket, sys, threading

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))


def pump(source, sink, lines):
    for line in source.makefile("rb"):
        if lines is None or lines > 0:
            sink.sendall(line)
            lines = lines and lines - 1


while True:
    near = listener.accept()[0]
    far = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    threading.Thread(target=pump, args=(near, far, None), daemon=True).start()
    threading.Thread(target=pump, args=(far, near, 3), daemon=True).start()
PY
background relay.log python3 "$dir/relay.py" "$port" "$hub_port"
relay_pid=$!
config ''
within sh -c "ss -ltn | grep -q '127.0.0.1:$port '"
start_beacon
emit critical unheard
emit critical of
within all_acted 18
result "the hub acts on what the relay brings" $?
beacon_says "s['spool_file']['events'] == 2 and s['uplink']['delivered'] == 0"
result "the beacon does not know" $?
kill_beacon
port=$hub_port
config ''
start_beacon
within beacon_says "s['spool']['events'] == 0"
result "after the cut they are sent again" $?
hub_says "s['counters']['duplicates'] >= 2"
result "the hub recognises them as duplicates" $?
emit critical after
within all_acted 19
numbers "$dir/acted" | sort -n -k 1,1 -k 2,2 >"$dir/out"
sort -n -k 1,1 -k 2,2 "$dir/accepted-critical" | cmp - "$dir/out" >"$dir/err"
result "they did not act twice" $?

# ---- the budget of a day, all events ----
stop_hub
kill_beacon
rm "$dir/state/spool"
config '  spool_file_events: all
  spool_file_daily_kb: 2'
start_beacon
for i in 1 2 3 4 5 6 7 8 9 10; do
    emit info "budget $i"
done
size=$(wc -c <"$dir/state/spool")
[ "$size" -gt 500 ] && [ "$size" -le 2048 ] && beacon_says "s['spool_file']['skipped'] > 3 and s['spool_file']['today'] <= 2048"
result "no more is written than the budget allows" $?
start_hub
kill -HUP "$beacon_pid"
budget_event()
{
    "$nefia" reactor events --json -c "$dir/nefia.yaml" >"$dir/rows" && [ "$(grep -c 'beacon.flash_budget' "$dir/rows")" -eq 1 ]
}
within budget_event
result "the hub gets the report, once" $?
within beacon_says "s['spool']['events'] == 0 and sum(s['lost'].values()) == 0"
result "in memory they were all the same" $?

# ---- more than the spool holds, and a power cut before that could be reported ----
stop_hub
kill_beacon
rm "$dir/state/spool" "$dir"/accepted-*
config '  spool_file_events: all'
long=$(head -c 1000 /dev/zero | tr '\0' x)
for life in 1 2 3; do
    start_beacon
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        emit info "$life.$i.$long"
    done
    kill_beacon
done
start_beacon
start_hub
kill -HUP "$beacon_pid"
# Of the boots that emitted: emitted = received + reported as lost.
account()
{
    "$nefia" reactor events --json -c "$dir/nefia.yaml" >"$dir/rows"
    python3 - "$dir/rows" "$dir/accepted-info" <<'PY' >"$dir/err" 2>&1
import json, sys
last = {}
for line in open(sys.argv[2]):
    boot, seq = map(int, line.split())
    last[boot] = max(seq, last.get(boot, 0))
received, lost = set(), 0
for line in open(sys.argv[1]):
    e = json.loads(line)
    e = e.get("event", e)
    if e["boot"] in last:
        received.add((e["boot"], e["seq"]))
    if e["boot"] >= min(last) and e["type"] == "beacon.events_lost":
        lost += e["data"]["lost"]
        assert e["data"]["first_boot"] == min(last) and e["data"]["first_seq"] == 1, e
print(sum(last.values()), len(received), lost)
sys.exit(not (lost > 10 and sum(last.values()) == len(received) + lost))
PY
}
within account
result "losses are reported by the next start, to the event" $?

# ---- two beacons ----
sed "s|$dir/beacon.sock|$dir/second.sock|" "$dir/nefia.yaml" >"$dir/second.yaml"
expect "a second beacon in the same state_dir" 1 "$beacon" run -c "$dir/second.yaml"
says "which directory, and what to do" "$dir/state: in use by another beacon; stop that one, or set another beacons.state_dir" err
sed -i '/state_dir: .*state$/d' "$dir/second.yaml"
expect "a second beacon on the same spool_file" 1 "$beacon" run -c "$dir/second.yaml"
says "which file, and what to do" "$dir/state/spool: in use by another beacon; stop that one, or set another beacons.spool_file" err

# ---- files that are no good ----
kill_beacon
head -c 3000 /dev/urandom >"$dir/state/spool"
: >"$dir/beacon.log"
start_beacon
says "damage is reported" "state/spool: 0 events restored, 3000 damaged bytes skipped" beacon.log
kill_beacon
rm -f "$dir/state/spool"
mkdir "$dir/state/spool"
start_beacon
says "a file that cannot be opened is reported" 'cannot open .*/state/spool: .*(beacons.spool_file)' beacon.log
emit critical here
within beacon_says "s['spool']['events'] == 0 and s['spool_file']['failed'] >= 1"
result "and the beacon works without it" $?

config '  spool_file_events: some'
expect "another word" 2 "$beacon" check -c "$dir/nefia.yaml"
says "the words there are" 'beacons.spool_file_events: "some" is not one of all, critical' err
config '  spool_file_kb: 8'
expect "a file too small for an event" 2 "$beacon" check -c "$dir/nefia.yaml"

finish
