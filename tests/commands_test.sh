#!/bin/sh
# Commands on devices, at the hub: rules with target host, nefia exec, and what becomes of them when device or hub are away, restart or
# change their mind. The device is a script (tests/fake/device.py).
# shellcheck disable=SC2016,SC2034 # what is in single quotes is for the device's shell; $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=$PWD/out/host/nefia
hub_pid=
device_pid=
other_pid=
processes="device_pid other_pid hub_pid"
port=$(free_port)
printf '0123456789abcdef0123456789abcdef\n' >"$dir/key"
chmod 600 "$dir/key"
mkdir "$dir/r1" "$dir/old"

# configure LIFE POLICY…: LIFE of the rule `act`; the lines of the policy.
configure()
{
    cat >"$dir/hub.yaml" <<YAML
host_id: hub
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  hmac_key_file: $dir/key
  state_dir: $dir/state
  control_socket: $dir/hub.sock
  hosts:
    - {host_id: r1, role: edge}
    - {host_id: gone}
    - {host_id: old}
  rules:
    - {name: act, event_pattern: '^act\$', action: {type: exec, command: 'echo "\$NEFIA_TYPE \$NEFIA_DATA_N" >>$dir/acted', life: $1}}
    - {name: fail, event_pattern: '^fail\$', action: {type: exec, command: 'exit 3'}}
    - {name: denied, event_pattern: '^denied\$', action: {type: exec, command: 'reboot'}}
    - {name: twice, event_pattern: '^twice\$', idempotent: true, action: {type: exec, command: 'echo twice >>$dir/twice'}}
policy:
  deny_commands: ['^reboot', '^secret']
YAML
}

# hub_starts
hub_starts()
{
    background hub.log "$nefia" reactor run -c "$dir/hub.yaml"
    hub_pid=$!
    if ! within "$nefia" reactor status -c "$dir/hub.yaml"; then
        result "the hub starts" 1
        finish
    fi
}

# hub_ends SIGNAL
hub_ends()
{
    kill "-$1" "$hub_pid"
    wait "$hub_pid" 2>/dev/null
    hub_pid=
}

# run_exec ARGUMENT…: nefia exec.
run_exec()
{
    "$nefia" exec -c "$dir/hub.yaml" "$@"
}

# counted PYTHON: of the counters `c` of commands.
counted()
{
    "$nefia" reactor status --json -c "$dir/hub.yaml" | python3 -c "
import json, sys
c = json.load(sys.stdin)['counters']['commands']
sys.exit(not ($1))"
}

# has_row RULE ERROR: the newest row of that rule says so ("-": it was done).
has_row()
{
    "$nefia" reactor events -c "$dir/hub.yaml" | grep " $1 " | tail -n 1 | grep -q -e "exec  *$2"
}

# set_mode WORD, emit TYPE [JSON]: of the device r1.
set_mode()
{
    echo "$1" >"$dir/r1/mode"
}
emit()
{
    echo "$*" >"$dir/r1/emit.new"
    mv "$dir/r1/emit.new" "$dir/r1/emit"
}

# ran N: the device has carried out so many commands.
ran()
{
    [ "$(grep -c '^ran' "$dir/r1/log")" = "$1" ]
}

configure 5m
hub_starts
python3 tests/fake/device.py "$port" "$dir/key" r1 "$dir/r1" &
device_pid=$!
within grep -q welcome "$dir/r1/log"
says "the welcome names the feature" 'welcome \["exec"\]' r1/log
within sh -c "'$nefia' reactor hosts -c '$dir/hub.yaml' | grep -q 'r1 .* yes from .* yes'"
result "reactor hosts shows that the device takes commands" $?

# ---- rules ----
emit act '{"n":7}'
within has_row act -
result "a rule's command ran on the device of the event" $?
[ "$(cat "$dir/acted")" = "act 7" ]
result "with the event in its environment" $?
grep -q '"NEFIA_EVENT".*\["act"\]$' "$dir/r1/log"
result "the event itself fits, and the rule is its cause" $?
emit fail
within has_row fail 'exit 3'
result "a status that is not 0 is the action's error" $?
emit denied
within has_row denied denied
! grep -q reboot "$dir/r1/log"
result "what the hub's policy denies is not sent" $?
set_mode deny
emit act
within has_row act 'denied by the device: says the test'
result "what the device denies says so, with the reason" $?
set_mode unsupported
emit act
within has_row act 'not supported by the device: says the test'
result "what the device cannot do says so" $?
set_mode unknown
emit act
within has_row act 'end unknown'
result "an unknown end" $?
set_mode run

# ---- nefia exec ----
expect "output and status of a command" 0 run_exec --target r1 -- 'echo "a  b"; echo c'
[ "$(cat "$dir/out")" = "a  b
c" ]
result "as it is" $?
expect "several words are no line for a shell" 0 run_exec --target r1 -- /bin/echo 'a  b' '$HOME;ls'
[ "$(cat "$dir/out")" = "a  b \$HOME;ls" ]
result "as they are" $?
expect "a program without a path is found" 0 run_exec --target r1 -- echo "x'y" '*'
[ "$(cat "$dir/out")" = "x'y *" ]
result "and its words are as they are" $?
expect "the exit status is passed on" 7 run_exec --target r1 -- 'exit 7'
[ ! -s "$dir/err" ]
result "without a word" $?
expect "a signal" 137 run_exec --target r1 -- 'kill -9 $$'
expect "a command that is not there" 127 run_exec --target r1 -- no-such-program
expect "a time limit" 124 run_exec --target r1 --timeout 1s -- 'exec sleep 20'
says "says so" 'r1: timed out after 1s' err
expect "denied by the hub" 126 run_exec --target r1 -- 'secret 1'
says "with the pattern" 'denied.*\^secret' err
set_mode deny
expect "denied by the device" 126 run_exec --target r1 -- true
says "with its reason" 'denied by the device: says the test' err
set_mode run
expect "a device that nobody knows" 125 run_exec --target nobody -- true
expect "one that is away for too long" 125 run_exec --target gone --wait 1s -- true
says "says so" 'gone: the device was not there in time' err
expect "JSON" 0 run_exec --json --target r1 -- 'printf "a\n\"b"'
python3 -c "
import json
said = json.load(open('$dir/out'))
r = said['result']
assert said['output'] == 'a\n\"b' and r['outcome'] == 'done' and r['exit'] == 0 and r['host'] == 'r1' and r['bytes'] == 4, said"
result "has what there is" $?
expect "long output is cut" 0 run_exec --target r1 -- 'i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); echo "line $i"; done'
[ "$(wc -c <"$dir/out")" = 4096 ] && grep -q 'the output is cut after 4096 of' "$dir/err"
result "and says so" $?
"$nefia" exec -c "$dir/hub.yaml" --target gone --wait 1h -- true &
client=$!
within counted "c['waiting'] == 1"
kill "$client"
wait "$client" 2>/dev/null
within counted "c['waiting'] == 0"
result "who goes withdraws what was not sent" $?
set_mode busy
run_exec --target r1 --wait 60s -- 'echo free' >"$dir/free" &
client=$!
within counted "c['busy'] > 0"
set_mode run
wait "$client"
[ "$(cat "$dir/free")" = free ]
result "a busy device is asked again" $?

# ---- a device without the feature ----
python3 tests/fake/device.py "$port" "$dir/key" old "$dir/old" plain &
other_pid=$!
within grep -q welcome "$dir/old/log"
expect "a device that takes no commands" 125 run_exec --target old -- true
says "says so" 'old: not supported by the device' err

# ---- away, and back ----
touch "$dir/r1/away"
within sh -c "'$nefia' reactor hosts -c '$dir/hub.yaml' | grep -q 'r1 .* no '"
run_exec --target r1 --wait 60s -- 'echo back' >"$dir/back" &
client=$!
within counted "c['waiting'] == 1"
rm "$dir/r1/away"
wait "$client" && [ "$(cat "$dir/back")" = back ]
result "a device that is away gets it when it is back" $?
set_mode drop
runs=$(grep -c '^ran' "$dir/r1/log")
run_exec --target r1 --wait 60s -- 'echo once' >"$dir/once" &
client=$!
within sh -c "[ \$(grep -c '^command.*once' '$dir/r1/log') -ge 2 ]"
set_mode run
wait "$client" && [ "$(cat "$dir/once")" = once ] && ran $((runs + 1))
result "a lost session: it is sent again, and runs once" $?
set_mode cut
expect "cut in the middle: the end is unknown" 125 run_exec --target r1 -- true
says "says so" 'r1: end unknown' err
emit twice
within sh -c "[ \$(wc -l <'$dir/twice') -ge 1 ]"
set_mode run
# One more time at least: the second attempt may have been cut, too, before the mode was changed.
within has_row twice - && [ "$(wc -l <"$dir/twice")" -ge 2 ]
result "begun again only where the rule is idempotent" $?

# ---- restarts of the hub ----
set_mode hold
rm -f "$dir/r1/go" "$dir/acted"
emit act '{"n":1}'
within grep -q 'act 1' "$dir/acted"
touch "$dir/r1/away"
hub_ends KILL
touch "$dir/r1/go"
set_mode run
hub_starts
counted "c['sent'] == 1"
result "after a restart the command that was sent is known" $?
rm "$dir/r1/away"
within has_row act -
[ "$(grep -c 'act 1' "$dir/acted")" = 1 ]
result "its result is asked for, and it ran once" $?
set_mode deaf
emit act '{"n":2}'
within sh -c "tail -n 1 '$dir/r1/log' | grep -q '^command'"
emit act '{"n":3}'
within counted "c['waiting'] == 1"
touch "$dir/r1/away"
hub_ends TERM
configure 5m
hub_starts
counted "c['waiting'] == 1 and c['sent'] == 1"
result "what waits is kept, too" $?
sed 's/name: act,/name: other,/' "$dir/hub.yaml" >"$dir/next" && mv "$dir/next" "$dir/hub.yaml"
kill -HUP "$hub_pid"
within counted "c['waiting'] == 0 and c['sent'] == 1"
result "a reload without its rule withdraws it, but not what was sent" $?
within has_row act 'rule removed'
set_mode run
rm "$dir/r1/away"
within counted "c['sent'] == 0"
! grep -q 'act 3' "$dir/acted"
result "what was withdrawn does not run" $?

# ---- the audit ----
hub_ends TERM
"$nefia" audit verify -c "$dir/hub.yaml" >/dev/null
result "the audit log is whole" $?
"$nefia" audit show --json -c "$dir/hub.yaml" >"$dir/audit"
python3 - "$dir/audit" <<'PY'
import collections, json, sys
records = [json.loads(line) for line in open(sys.argv[1])]
by_id = collections.defaultdict(list)
for r in records:
    if r["kind"].startswith("command_"):
        by_id[r["command_id"]].append(r)
whole = [[r["kind"] for r in rs] for rs in by_id.values()]
assert ["command_ordered", "command_sent", "command_ended"] in whole, whole
assert any(r.get("who", "").startswith("uid ") and r["host"] == "r1" for rs in by_id.values() for r in rs)
assert any(r["outcome"] == "done" and r["who"] == "act" and "job" in r for rs in by_id.values() for r in rs if r["kind"] == "command_ended")
assert all(rs[-1]["kind"] == "command_ended" for rs in by_id.values()), whole
assert any(r["kind"] == "decision" and r.get("who", "").startswith("uid ") and r["verdict"] == "denied" for r in records)
PY
result "it has each command: ordered, sent, ended" $?

finish
