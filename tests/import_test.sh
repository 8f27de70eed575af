#!/bin/sh
# Events leave a device that is cut off as text, come to the hub by hand, and act once: whatever a terminal and a person do to the text, however
# often it is imported, and although the device delivers them itself later.
# shellcheck disable=SC2034 # tests/pair_lib.sh reads some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

make BOARD=host CONFIG=guarded out/host-guarded/nefia-beacon >"$dir/make.log" 2>&1
result "the guarded beacon builds" $?
beacon=$PWD/out/host-guarded/nefia-beacon
nefia=$PWD/out/host/nefia
. tests/pair_lib.sh
hub_config=$dir/hub.yaml

umask 077 # the configuration holds a key
port=$(free_port)
nowhere=$(free_port)
reach=$nowhere
key=0123456789abcdef0123456789abcdef

# config [KEY [STATE_DIR]], cut_off the same: of a hub with these. Each event of drill.* is written down when it acts; a rule that is not idempotent does it.
config()
{
    cat >"$dir/nefia.yaml" <<YAML
host_id: shed
beacons:
  reactor: "127.0.0.1:$reach"
  hmac_key: $key
  control_socket: $dir/beacon.sock
  state_dir: $dir/state
  spool_file: $dir/state/spool
  spool_file_events: all
  max_events_per_min: 120
YAML
    cat >"$dir/hub.yaml" <<YAML
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  hmac_key: ${1:-$key}
  control_socket: $dir/hub.sock
  state_dir: ${2:-$dir/hub}
  rules:
    - {name: note, event_pattern: '^drill\.', action: {type: exec, target: hub, command: "printf '%s\\n' \"\$NEFIA_DATA_N\" >>$dir/acted"}}
YAML
}

# plug, cut: the beacon reaches the hub, or not; it has to be started, or reloaded.
plug()
{
    reach=$port
    config
    [ -z "$beacon_pid" ] || kill -HUP "$beacon_pid"
}
cut_off()
{
    reach=$nowhere
    config "$@"
}

# emit N…
emit()
{
    for n in "$@"; do
        "$beacon" emit -c "$dir/nefia.yaml" drill.fire critical N="$n" >"$dir/out" 2>&1 || return 1
    done
}

# export_to FILE
export_to()
{
    "$beacon" spool export -c "$dir/nefia.yaml" >"$dir/$1" 2>"$dir/err"
}

# import FILE: $dir/out has the sum, $dir/err what was wrong.
import()
{
    "$nefia" import -c "$dir/hub.yaml" "$dir/$1" >"$dir/out" 2>"$dir/err"
}

delivered()
{
    "$beacon" status --json -c "$dir/nefia.yaml" | grep -q '"spool":{"events":0,'
}

# acted N…: exactly these, in any order, each once, and nothing else is still to come.
has_acted()
{
    printf '%s\n' "$@" | sort -n >"$dir/want"
    sort -n "$dir/acted" 2>/dev/null | cmp -s "$dir/want" -
}
idle()
{
    "$nefia" reactor status --json -c "$dir/hub.yaml" | python3 -c "
import json, sys
sys.exit(any(r['state'] == 'pending' for r in json.load(sys.stdin)['recent']))"
}
acted()
{
    within has_acted "$@" && within idle && has_acted "$@"
}

# edit FILE NEW EXPRESSION: the lines of a text, changed by Python: x is their list.
edit()
{
    python3 - "$dir/$1" "$dir/$2" "$3" <<'PY'
import re, sys
x = open(sys.argv[1], newline='').read().split('\n')
exec(sys.argv[3])
open(sys.argv[2], 'w', newline='').write('\n'.join(x))
PY
}

fresh()
{
    rm -rf "$dir/state" "$dir/hub" "$dir/hub2" "$dir/acted"
}

# ---- a live daemon without a hub ----
config
start_beacon
emit 1 2 3
export_to text
result "a beacon that has no hub exports its spool" $?
says "it says how many events those are" ' events exported' err
[ "$(grep -c '^{"type":' "$dir/text")" -ge 4 ] # and beacon.started
result "the text has each event as the line that goes over the link" $?
events=$(grep -c '^{"type":' "$dir/text")
export_to again
[ "$(grep -c '^#nefia-export 0000000000000000' "$dir/again")" -eq "$((events + 1))" ]
result "a second export has them as new, too: exporting is not sending" $?

start_hub
import text
result "nefia import takes the text" $?
says "and counts" "^$events accepted, 0 seen before, 0 refused\$" out
acted 1 2 3
result "each event acts" $?
import text
says "a second import finds all of them seen" "^0 accepted, $events seen before, 0 refused\$" out
import again
says "so does the import of a second export" "^0 accepted, $events seen before, 0 refused\$" out
"$nefia" import --json -c "$dir/hub.yaml" <"$dir/text" >"$dir/out" 2>"$dir/err"
says "from standard input, for programs" '^{"accepted":0,"unsure":0,"seen":[0-9]*,"refused":0,"complete":true}$' out
plug
within delivered
result "the beacon connects, and delivers what it still has" $?
emit 4
acted 1 2 3 4
result "what was imported does not act again" $?
import text
says "and is still known" "^0 accepted, $events seen before, 0 refused\$" out
stop_beacon
stop_hub

# ---- terminals and people ----
fresh
cut_off
start_beacon
emit 11 12 13
export_to text
kill_beacon
start_hub
edit text mangled "x = ['login: root', '# nefia-beacon spool export'] + [l + '  \r' for l in x] + ['#', '{\"no\":1}', '# exit']"
import mangled
result "CR LF, blanks at the end and prompts around do not matter" $?
acted 11 12 13
result "its events act" $?
edit text noise "x = [y for l in x for y in (l, '[  12.3] usb 1-1: new device')]"
import noise
says "nor do a kernel's messages between the lines" '^0 accepted, [0-9]* seen before, 0 refused$' out
edit text mangled "x = [l.replace('\"N\":\"12\"', '\"N\":\"99\"') for l in x]"
import mangled
[ $? -eq 1 ] && grep -q 'refused: wrong signature' "$dir/err" && grep -q ', 1 refused$' "$dir/out"
result "a changed byte is refused, and the exit status says so" $?
edit text mangled "i = [n for n, l in enumerate(x) if l.startswith('#nefia-export 0')]; x[i[0]], x[i[1]] = x[i[1]], x[i[0]]"
import mangled
[ $? -eq 1 ] && grep -q ', 2 refused$' "$dir/out"
result "swapped signatures are refused" $?
edit text mangled "x = [l.replace('\"host_id\":\"shed\"', '\"host_id\":\"barn\"') for l in x]"
import mangled
[ $? -eq 1 ] && grep -q '^0 accepted, 0 seen before, ' "$dir/out"
result "another host's name is refused" $?
edit text mangled "x = [l.replace('#nefia-export 0000000000000000', '#nefia-export ffffffffffffffff') for l in x]"
import mangled
[ $? -eq 1 ] && grep -q '^0 accepted, 0 seen before, ' "$dir/out"
result "the mark is signed, too" $?
edit text mangled "x = x[:-4]"
import mangled
[ $? -eq 1 ] && grep -q 'before its last line' "$dir/err" && grep -q ', 0 refused$' "$dir/out"
result "a cut end is noticed, and what is there is taken" $?
edit text mangled "i = next(n for n, l in enumerate(x) if '\"N\":\"12\"' in l); x = x[:i] + x[i + 2:]"
import mangled
[ $? -eq 1 ] && grep -q 'lines are missing: 1$' "$dir/err"
result "a missing event is noticed" $?
edit text mangled "x = x[1:]"
import mangled
[ $? -eq 1 ] && grep -q 'beginning is missing' "$dir/err"
result "a missing beginning is noticed" $?
edit text mangled "x = x[:3] + x"
import mangled
[ $? -eq 1 ] && grep -q 'before its last line' "$dir/err" && ! grep -q 'are missing' "$dir/err"
result "a text that was begun twice is complete the second time" $?
edit text mangled "x = x[:3] + x[1:]"
import mangled
[ $? -eq 1 ] && grep -q 'several are mixed' "$dir/err"
result "more lines than the text should have are noticed" $?
printf 'nothing\nof the kind\n' >"$dir/none"
import none
[ $? -eq 1 ] && grep -q 'no export in the text' "$dir/err"
result "a text without an export says so" $?
head -c 100000 /dev/urandom >"$dir/none"
import none
[ $? -eq 1 ] && within idle
result "nor do random bytes harm" $?
acted 11 12 13
result "of all this nothing acted again" $?

# ---- another hub with the same key, and one with another ----
stop_hub
rm -f "$dir/acted"
cut_off "$key" "$dir/hub2"
start_hub
import text
acted 11 12 13
result "another hub with the same key takes the text: it knows nothing of the first" $?
stop_hub
cut_off fedcba9876543210fedcba9876543210 "$dir/hub3"
start_hub
import text
[ $? -eq 1 ] && grep -q '^0 accepted, 0 seen before, ' "$dir/out"
result "a hub with another key takes nothing" $?
stop_hub

# ---- a dead daemon: from its file ----
fresh
cut_off
start_beacon
emit 21 22 23
kill_beacon
cp "$dir/state/spool" "$dir/spool-before"
export_to text
result "a dead beacon's file is exported" $?
says "the sentence on standard error says so" 'these events are from .*/state/spool' err
cmp -s "$dir/spool-before" "$dir/state/spool"
result "the file is not changed" $?
start_hub
import text
result "and imported" $?
acted 21 22 23
result "its events act" $?
plug
import text
says "once" '^0 accepted, [0-9]* seen before, 0 refused$' out
start_beacon
[ ! -e "$dir/state/spool.exported" ]
result "the next start takes note of the export" $?
within delivered && emit 24
acted 21 22 23 24
result "and what it delivers does not act again" $?
stop_beacon
stop_hub

# What was exported and not imported may have acted anywhere: it comes as unsure.
fresh
cut_off
start_beacon
emit 31
kill_beacon
export_to text
start_hub
plug
start_beacon
within delivered && emit 32
acted 32
result "what was exported and never imported is not acted on by a rule that is not idempotent" $?
"$nefia" reactor events --json -c "$dir/hub.yaml" | grep -q '"type":"hub.unknown"'
result "and is reported as unknown" $?
stop_beacon
stop_hub

# ---- a daemon that hangs ----
fresh
cut_off
start_beacon
emit 41
kill -STOP "$beacon_pid"
export_to text
status=$?
kill -CONT "$beacon_pid"
[ "$status" -eq 0 ] && grep -q 'still runs' "$dir/err" && [ "$(grep -c '^#nefia-export ffffffffffffffff' "$dir/text")" -ge 2 ]
result "of a daemon that hangs the file is exported, as unsure" $?
stop_beacon

# ---- a hub that is killed in the middle ----
fresh
start_beacon
emit 51 52 53 54 55 56 57 58 59
export_to text
kill_beacon
start_hub
edit text first "x = x[:9]"
import first
kill -9 "$hub_pid"
wait "$hub_pid" 2>/dev/null
hub_pid=
import text
# A child of the hub's that does not run its program yet has its socket for that moment.
[ $? -eq 1 ] && grep -q -e 'cannot reach the daemon' -e 'closed the connection' "$dir/err"
result "without a hub nothing is imported, and nothing said to be" $?
start_hub
import text
result "after the hub was killed in the middle, the text is imported again" $?
says "what it had acknowledged is known" ' accepted, [1-9][0-9]* seen before, 0 refused$' out
within idle
sort -n "$dir/acted" | uniq -d >"$dir/twice"
[ ! -s "$dir/twice" ] && [ "$(sort -nu "$dir/acted" | wc -l)" -ge 6 ]
result "nothing acts twice" $?
stop_hub

finish
