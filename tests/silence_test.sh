#!/bin/sh
# Silences of a real hub: added, seen to silence, kept over a kill and a restart, ended; and that all of this is said where it should be.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=$PWD/out/host/nefia
hub_pid=
processes=hub_pid
port=$(free_port)

cat >"$dir/nefia.yaml" <<YAML
host_id: hub
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  control_socket: $dir/hub.sock
  state_dir: $dir/state
  hosts:
    - {host_id: gw-north, labels: {site: north, tier: edge}}
    - {host_id: gw-south, labels: {site: south}}
  rules:
    - {name: disk, event_pattern: '^disk\.', action: {type: exec, target: hub, command: "echo \$NEFIA_HOST >>$dir/disk"}}
    - {name: all, event_pattern: '^(disk|door)\.', action: {type: exec, target: hub, command: "echo \$NEFIA_HOST >>$dir/all"}}
    - {name: over, event_pattern: '^hub\.silence_expired$', action: {type: exec, target: hub, command: "echo \$NEFIA_DATA_WHY >>$dir/over"}}
YAML
touch "$dir/disk" "$dir/all" "$dir/over"
# nefia_verb WORDS…
hub()
{
    "$nefia" "$@" -c "$dir/nefia.yaml"
}
start_hub()
{
    background hub.log "$nefia" reactor run -c "$dir/nefia.yaml"
    hub_pid=$!
    within hub reactor status
}
stop_hub()
{
    kill "$1" "$hub_pid"
    wait "$hub_pid" 2>/dev/null
}
# sent TYPE HOST: an event, which has rows with their outcome now.
sent()
{
    rows=$(hub reactor events | grep -c "$1 .* $2 ")
    printf '{"type":"%s","source":"s","host_id":"%s","timestamp":"2026-03-10T15:30:00Z","severity":"info","data":{}}\n' "$1" "$2" |
        socat -u - "TCP:127.0.0.1:$port"
    within settled "$1" "$2"
}
settled()
{
    hub reactor events >"$dir/rows"
    [ "$(grep -c "$1 .* $2 " "$dir/rows")" -gt "$rows" ] && ! grep -q '(pending)' "$dir/rows"
}
# acted FILE LINES: that rule has acted so often.
acted()
{
    [ "$(wc -l <"$dir/$1")" -eq "$2" ]
}
start_hub

# ---- as the documentation has it ----
python3 tests/docs.py block silence >"$dir/documented.sh"
python3 tests/docs.py block silence-answer >"$dir/wanted"
cat >"$dir/nefia" <<SH
#!/bin/sh
exec $nefia "\$@" -c $dir/nefia.yaml
SH
chmod +x "$dir/nefia"
# Without the times, whatever room they take, and what depends on the hub's events.
timeless()
{
    sed -e '/^warning: /d' -e 's/20[0-9-]* [0-9]*:[0-9]*/TIME/' -e 's/1h59m[0-9]*s/2h/' -e 's/2d23h59m[0-9]*s/3d/' -e 's/  */ /g' "$@"
}
PATH="$dir:$PATH" sh "$dir/documented.sh" >"$dir/out" 2>"$dir/err"
result "the documented commands work" $?
timeless "$dir/wanted" >"$dir/wanted.timeless"
timeless "$dir/out" >"$dir/got.timeless"
diff "$dir/wanted.timeless" "$dir/got.timeless" >"$dir/err"
result "and answer as documented" $?

# ---- what it silences ----
sent disk.usage gw-south
acted disk 0 && acted all 0
result "what all of it fits does not act" $?
says "its row says why" 'gw-south .* exec .* silenced by #1 until 20' rows
sent door.open gw-south
acted all 1
result "another type does" $?
sent disk.usage gw-north
acted disk 1 && acted all 2
result "another host does" $?
expect "one by label and rule" 0 hub silence add --label site=north --rule disk --for 1h --why 'a "quoted" reason'
says "says what it is" '^silence #3 until .* (1h): label site=north rule disk$' out
sent disk.usage gw-north
acted disk 1 && acted all 3
result "only that rule does not act" $?
hub reactor status --json | grep -q '"silenced":3'
result "the hub counts them" $?

# ---- warnings and mistakes ----
expect "what fits nothing is warned of" 0 hub silence add --host nobody --type '^nothing$' --rule typo --for 1h --why x
[ "$(grep -c '^warning: ' "$dir/out")" -eq 3 ]
result "each part of it" $?
expect "and can be removed" 0 hub silence remove '#4'
expect "once" 1 hub silence remove 4
says "and no more" 'there is no silence #4' err
expect "a wrong pattern" 2 hub silence add --host 'a(b' --for 1h --why x
says "is shown with its place" 'host: "a(b": offset 1' err
expect "a reason is required" 2 hub silence add --host a --for 1h
expect "and a time" 2 hub silence add --host a --why x
expect "which is a duration" 2 hub silence add --host a --for soon --why x
expect "of at most 30 days" 2 hub silence add --host a --for 31d --why x
says "says it" 'at most 30d' err
expect "everything has to be meant" 2 hub silence add --for 1h --why x
expect "no silence came of these" 0 hub silence list --json
python3 -c 'import json, sys; sys.exit([s["id"] for s in json.load(open(sys.argv[1]))["silences"]] != [1, 3])' "$dir/out"
result "and the list is JSON" $?

# ---- restarts and ends ----
stop_hub -KILL
start_hub
sent disk.usage gw-south
acted disk 1
result "it outlives a kill" $?
expect "a short one" 0 hub silence add --host gw-north --for 1s --why 'short'
within grep -q short "$dir/over"
result "its end is an event" $?
says "and in the log" 'silence #5 has expired (host gw-north)' hub.log
sent door.open gw-north
acted all 4
result "after which the host acts again" $?
stop_hub -TERM
start_hub
expect "no number is used again" 0 hub silence add --host x --for 1h --why x
says "after a restart" '^silence #6 ' out
hub audit show --json >"$dir/audit"
[ "$(grep -c '"kind":"silence_added".*"by_uid":' "$dir/audit")" -eq 6 ] &&
    grep -q '"kind":"silence_ended","silence":5,.*"why":"short","for_ms":1000,"outcome":"expired",' "$dir/audit" &&
    grep -q '"kind":"silence_ended","silence":2,.*"outcome":"removed","by_uid":'"$(id -u)" "$dir/audit"
result "the audit has who, what and why" $?
finish
