#!/bin/sh
# A beacon with three hubs that are dead, killed, back again, or silent: who gets its events, and that each is acted on once over
# all of them. The return to the first hub after 5 minutes with another one has a unit test (tests/unit/test_uplink.c).
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=out/host/nefia
beacon=out/host/nefia-beacon
hub1_pid=
hub2_pid=
hub3_pid=
beacon_pid=
silent_pid=
processes='beacon_pid hub1_pid hub2_pid hub3_pid silent_pid'

umask 077
openssl rand -hex 24 >"$dir/key"
: >"$dir/emitted"
# Asked for together, so that they differ.
# shellcheck disable=SC2046 # four words
set -- $(python3 tests/fake/ports.py 4)
port1=$1
port2=$2
port3=$3
silent=$4

# start_hub N PORT: its process is in $!.
start_hub()
{
    : >>"$dir/acted$1"
    cat >"$dir/hub$1.yaml" <<YAML
reactor:
  listen_address: 127.0.0.1
  listen_port: $2
  hmac_key_file: $dir/key
  control_socket: $dir/hub$1.sock
  state_dir: $dir/hub$1.state
  rules:
    - {name: note, event_pattern: '^fail\.', action: {type: exec, target: hub, command: "echo \$NEFIA_TYPE >>$dir/acted$1"}}
YAML
    "$nefia" reactor run -c "$dir/hub$1.yaml" 2>>"$dir/hub$1.log" &
}

hub_runs()
{
    within "$nefia" reactor status -c "$dir/hub$1.yaml"
}

# beacon_config PORT…: its hubs, in this order.
beacon_config()
{
    printf 'host_id: fail\nbeacons:\n  reactor: ['
    printf '"127.0.0.1:%s", ' "$@"
    cat <<YAML
]
  require_ack: true
  hmac_key_file: $dir/key
  control_socket: $dir/beacon.sock
  state_dir: $dir/beacon.state
  max_events_per_min: 120
  dedup_window: 0
YAML
}

# beacon_says PYTHON: true of its status: s, and u of its uplink.
beacon_says()
{
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c "
import json, sys
s = json.load(sys.stdin)
u = s['uplink']
sys.exit(not ($1))"
}

# with_hub PORT: that one is connected, and has all there is.
with_hub()
{
    beacon_says "u['state'] == 'up' and u['address'] == '127.0.0.1:$1' and s['spool']['events'] == 0 and u['delivered'] == s['seq']"
}

# emit FROM TO
emit()
{
    n=$1
    while [ "$n" -le "$2" ]; do
        "$beacon" emit -c "$dir/nefia.yaml" "fail.$n" critical >>"$dir/out" 2>>"$dir/err" && echo "fail.$n" >>"$dir/emitted"
        n=$((n + 1))
    done
    [ "$(wc -l <"$dir/emitted")" -eq "$2" ]
}

# acted N FROM TO: hub N acted on these, once each, and on no others since.
acted()
{
    seq -f 'fail.%.0f' "$2" "$3" | sort >"$dir/want"
    grep -xFf "$dir/want" "$dir/acted$1" | sort | cmp -s "$dir/want" -
}

# ---- the first is dead -----------------------------------------------------------------------------------------------
start_hub 2 "$port2"
hub2_pid=$!
start_hub 3 "$port3"
hub3_pid=$!
hub_runs 2 && hub_runs 3
result "the second and the third hub run" $?
beacon_config "$port1" "$port2" "$port3" >"$dir/nefia.yaml"
background beacon.log "$beacon" run -c "$dir/nefia.yaml"
beacon_pid=$!
within with_hub "$port2"
result "the first is dead: the second has the events" $?
# The shortest wait would be a second.
beacon_says "u['connects'] == 1 and u['failures'] == 1 and s['uptime_ms'] - u['since_ms'] < 10 * $(slowness)"
result "at once: without a wait between them" $?
emit 1 10
result "events" $?
within acted 2 1 10
result "the second acts on each" $?
within with_hub "$port2"
result "all of them are acknowledged" $?

# ---- the second is killed --------------------------------------------------------------------------------------------
kill -KILL "$hub2_pid"
wait "$hub2_pid" 2>/dev/null
hub2_pid=
emit 11 20
within with_hub "$port3"
result "the second is killed: the third has the events" $?
within acted 3 11 20
result "the third acts on each" $?

# ---- the first comes back --------------------------------------------------------------------------------------------
start_hub 1 "$port1"
hub1_pid=$!
hub_runs 1
result "the first comes back" $?
connects=$("$beacon" status --json -c "$dir/nefia.yaml" | sed 's/.*"connects":\([0-9]*\).*/\1/')
kill -HUP "$beacon_pid"
within beacon_says "s['reloads'] == 1"
emit 21 25
within acted 3 21 25
beacon_says "u['connects'] == $connects and u['address'] == '127.0.0.1:$port3'"
result "a reload leaves a good connection where it is" $?
within with_hub "$port3"
kill "$hub3_pid"
wait "$hub3_pid"
hub3_pid=
emit 26 35
within with_hub "$port1"
result "the third ends in order: the first has the events, not the dead ones" $?
within acted 1 26 35
result "the first acts on each" $?

# ---- one that takes connections and never answers ----------------------------------------------------------------------
: >"$dir/heard"
socat -u "TCP-LISTEN:$silent,bind=127.0.0.1,reuseaddr,fork" "OPEN:$dir/heard,append" &
silent_pid=$!
within sh -c "grep -q ':$(printf %04X "$silent") 00000000:0000 0A' /proc/net/tcp"
beacon_config "$silent" "$port2" "$port1" >"$dir/nefia.yaml"
# The connection to a hub that is still in the list stays: that one has to go, and to come back when the list is a new one.
kill "$hub1_pid"
wait "$hub1_pid"
hub1_pid=
kill -HUP "$beacon_pid"
within beacon_says "s['reloads'] == 2"
start_hub 1 "$port1"
hub1_pid=$!
hub_runs 1
emit 36 45
within grep -q "127.0.0.1:$silent ended: hub sent no greeting; beacons.require_ack requires one" "$dir/beacon.log"
result "a silent hub is left" $?
within with_hub "$port1"
result "a silent hub: the next one that lives has the events" $?
within acted 1 36 45
result "a silent hub: each is acted on" $?
[ ! -s "$dir/heard" ]
result "a silent hub is sent nothing" $?

# ---- the account -----------------------------------------------------------------------------------------------------
start_hub 2 "$port2"
hub2_pid=$!
start_hub 3 "$port3"
hub3_pid=$!
hub_runs 2 && hub_runs 3
result "the dead ones are back, with their state" $?
kill "$beacon_pid" "$hub1_pid" "$hub2_pid" "$hub3_pid"
ended=0
for pid in $beacon_pid $hub1_pid $hub2_pid $hub3_pid; do
    wait "$pid" || ended=1
done
beacon_pid=
hub1_pid=
hub2_pid=
hub3_pid=
result "all stop in order" $ended
sort "$dir/emitted" >"$dir/want"
sort "$dir"/acted[123] | cmp -s "$dir/want" - && [ "$(wc -l <"$dir/want")" = 45 ]
result "the account: each event was acted on once, over all hubs" $?

finish
