#!/bin/sh
# The audit log of a real hub: what it records of a beacon's events, an operator and strangers; that it is whole after kill -9, rotation
# and a power cut; that another program computes the same chain; and that whoever changes it is found.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=$PWD/out/host/nefia
beacon=$PWD/out/host/nefia-beacon
hub_pid=
beacon_pid=
hook_pid=
processes='beacon_pid hub_pid hook_pid'
key=0123456789abcdef0123456789abcdef
port=$(free_port)
state=$dir/state

umask 077 # the configuration holds a key
mkdir "$dir/hook"
python3 tests/fake/webhook.py "$dir/hook" secret &
hook_pid=$!
within test -s "$dir/hook/port"

# config MORE: the configuration, with MORE in reactor.audit.
config()
{
    cat <<YAML
host_id: web
beacons:
  reactor: "127.0.0.1:$port"
  hmac_key: $key
  control_socket: $dir/beacon.sock
  max_events_per_min: 120
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  hmac_key: $key
  control_socket: $dir/hub.sock
  state_dir: $state
  audit: {$1}
  webhooks:
    - {name: keeper, url: "http://127.0.0.1:$(cat "$dir/hook/port")/ok", secret: secret}
  rules:
    - {name: note, event_pattern: '^door\.', action: {type: exec, target: hub, command: "echo \$NEFIA_DATA_N >>$dir/doors"}}
    - {name: fail, event_pattern: '^door\.', action: {type: exec, target: hub, command: "exit 3"}}
    - {name: heads, event_pattern: '^hub\.audit_head$', action: {type: alert, webhook_name: keeper}}
YAML
}
start_hub()
{
    background hub.log "$nefia" reactor run -c "$dir/nefia.yaml"
    hub_pid=$!
    within "$nefia" reactor status -c "$dir/nefia.yaml"
}
stop_hub()
{
    kill "$1" "$hub_pid"
    wait "$hub_pid" 2>/dev/null
}
verify()
{
    "$nefia" audit verify -c "$dir/nefia.yaml" "$@"
}
show()
{
    "$nefia" audit show -c "$dir/nefia.yaml" "$@"
}
# audited KIND COUNT: so many records, or more.
audited()
{
    [ "$(show --json --kind "$1" | wc -l)" -ge "$2" ]
}
# foreign: the chain as Python has it.
foreign()
{
    logs=
    for i in 9 8 7 6 5 4 3 2 1; do
        [ ! -e "$state/audit.log.$i" ] || logs="$logs $state/audit.log.$i"
    done
    # shellcheck disable=SC2086 # they are words
    python3 tests/fake/audit.py "$state/audit.key" $logs "$state/audit.log"
}

config 'head_interval: 1s' >"$dir/nefia.yaml"
expect "the configuration is right" 0 "$nefia" reactor check -c "$dir/nefia.yaml"
start_hub
background beacon.log "$beacon" run -c "$dir/nefia.yaml"
beacon_pid=$!
within grep -q 'connected to' "$dir/beacon.log"

# ---- what is recorded ----
for n in 1 2 3; do
    "$beacon" emit door.open warning "n=$n" -c "$dir/nefia.yaml" >/dev/null
done
within audited action_ended 6
result "three events of two rules: six actions have ended" $?
expect "their records can be shown" 0 show --rule fail
says "an action that fails is recorded with its error" 'action_ended *web *fail *failed *exit 3' out
show --json --kind action_ended --rule note --host web >"$dir/out"
grep -q '"rule":"note","host":"web","type":"door.open","action":"exec","job":[0-9]*,"outcome":"done","attempts":1,"exit":0,"duration_ms":' "$dir/out"
result "one that is done, with how long it took" $?
[ "$(show --json --kind action_begun --rule note | wc -l)" = 3 ]
result "and that each began" $?
expect "decisions are recorded" 0 show --kind decision --json
says "of each rule and event" '"kind":"decision","rule":"note","host":"web".*"verdict":"allowed".*"type":"door.open","severity":"warning"' out

[ "$(show --json --verdict denied | wc -l)" = 0 ] && [ "$(show --json --verdict allowed --rule note | wc -l)" = 3 ]
result "and can be chosen by their verdict" $?

echo 'no signature' | socat -u - "TCP:127.0.0.1:$port"
within audited rejected 1
result "a stranger's connection is recorded" $?
for n in 1 2 3 4 5; do
    echo 'no signature' | socat -u - "TCP:127.0.0.1:$port"
done
"$nefia" reactor forget web -c "$dir/nefia.yaml" >/dev/null
within audited forgotten 1
show --json --kind forgotten | grep -q "\"host\":\"web\",\"uid\":$(id -u),"
result "so is a host that an operator has forgotten" $?
[ "$(show --json --kind rejected | wc -l)" -le 2 ]
result "five more strangers make no more records" $?

sum=$(sha256sum "$dir/nefia.yaml" | cut -d ' ' -f 1)
kill -HUP "$hub_pid"
within audited reloaded 1
show --json --kind reloaded | grep -q "\"sha256\":\"$sum\""
result "a reload is recorded with the hash of its file" $?
cp "$dir/nefia.yaml" "$dir/right.yaml"
echo 'nonsense: 1' >>"$dir/nefia.yaml"
kill -HUP "$hub_pid"
within sh -c "'$nefia' audit show --json --kind refused '$state' | grep -q '\"sha256\":\"$(sha256sum "$dir/nefia.yaml" | cut -d ' ' -f 1)\"'"
result "and one that is refused" $?
mv "$dir/right.yaml" "$dir/nefia.yaml"

# ---- the head, kept elsewhere ----
within grep -q '"type":"hub.audit_head"' "$dir/hook/log"
result "the chain's head reaches the webhook" $?
head=$(sed -n 's/.*"head":"\([^"]*\)".*/\1/p' "$dir/hook/log" | tail -n 1)
grep -q "^/ok good .*\"type\":\"hub.audit_head\",\"source\":\"hub\".*\"severity\":\"info\",\"data\":{\"records\":${head%%:*},\"head\":\"$head\"}" "$dir/hook/log"
result "with its number and hash, signed" $?
expect "the log of the running hub is whole, and has that head" 0 verify --head "$head"
says "it is said" '^[0-9]* records in 1 file, 0 findings' out

# ---- another program, a kill, a power cut ----
stop_hub -TERM
expect "another program finds the same chain" 0 foreign
printed=$(head -n 1 "$dir/out")
verify >"$dir/out"
grep -q "^head $printed\$" "$dir/out"
result "and the same head" $?
verify --json | python3 -c "
import json, sys
v = json.load(sys.stdin)
sys.exit(not (v['findings'] == [] and v['findings_count'] == 0 and v['files'] == 1 and v['head'] == '$printed'))"
result "verify says so in JSON, too" $?

config 'head_interval: 0, max_kb: 16, files: 3' >"$dir/nefia.yaml"
start_hub
"$beacon" emit door.open warning n=4 -c "$dir/nefia.yaml" >/dev/null
within audited action_ended 8
stop_hub -KILL
expect "after kill -9 the log is whole" 0 verify --head "$head"
printf '{"n":9,"time":"2026' >>"$state/audit.log"
expect "half a line at its end" 1 verify
says "is called what it is" '^audit.log line [0-9]*: torn (19 bytes of an incomplete line' out
start_hub
expect "the next start repairs it" 0 verify
show --json --kind repaired | grep -q '"bytes":19,'
result "and records that" $?

# ---- rotation ----
n=4
while [ "$n" -lt 64 ]; do
    n=$((n + 1))
    "$beacon" emit door.open warning "n=$n" -c "$dir/nefia.yaml" >/dev/null
    # The beacon's own limit is 120 in a minute.
done
rotated()
{
    [ -e "$state/audit.log.2" ] && [ "$(wc -l <"$dir/doors")" -ge 64 ] && verify
}
within rotated
result "the log is rotated by its size, and whole" $?
[ ! -e "$state/audit.log.3" ] && verify --json | grep -q '"files":3'
result "three files are kept" $?
"$nefia" reactor status --json -c "$dir/nefia.yaml" | python3 -c "
import json, sys
a = json.load(sys.stdin)['counters']['audit']
sys.exit(not (a['kept'] and a['written'] and a['records'] > 100 and a['lost'] == 0 and a['rotations'] >= 2))"
result "status counts its records" $?
stop_hub -TERM
expect "another program finds the same chain over the files" 0 foreign
expect "a head that was rotated away proves nothing" 1 verify --head "1:${head##*:}"
says "and that is said" 'rotated_away: record 1 ' out
printed=$(foreign | head -n 1)

# ---- whoever changes it ----
mkdir "$dir/copy"
# tampered NAME FINDING COMMAND…: a copy of the log, in whose directory the command is run.
tampered()
{
    name=$1
    finding=$2
    shift 2
    rm -rf "$dir/copy"
    cp -Rp "$state" "$dir/copy"
    (cd "$dir/copy" && "$@")
    expect "$name is found" 1 "$nefia" audit verify --head "$printed" "$dir/copy"
    says "and named" "$finding" out
}
second=$(sed -n '2s/{"n":\([0-9]*\),.*/\1/p' "$state/audit.log.1")
tampered "a record that is changed" "^audit.log.1 line 2: changed: record $second " sed -i '2s/door/dour/' audit.log.1
tampered "one that is removed" "^audit.log.1 line 2: removed: record $second " sed -i 2d audit.log.1
tampered "one that is inserted" "^audit.log.1 line 5: inserted (" sed -i '4a{"n":5}' audit.log.1
tampered "a copy of one" "^audit.log.1 line 3: inserted: record $second " sed -i '2p' audit.log.1
tampered "two that are swapped" "moved: record $((second + 1)) " sed -i '2{h;d};3G' audit.log.1
tampered "an older file that is gone" "^audit.log.1 line 1: removed: records [0-9]* to $((second - 2)) " rm audit.log.2
tampered "an end that is cut off" "^audit.log line [0-9]*: cut: record ${printed%%:*} " sed -i "\$d" audit.log
tampered "a log of another key" 'changed: ' sh -c 'echo 0123456789abcdef >audit.key'

# ---- use ----
expect "a head that is none" 2 verify --head 7
says "is refused with an explanation" 'must be N:HASH' err
expect "a time that is none" 2 show --since yesterday
says "is refused with an example" 'such as' err
[ "$(show --json --until 1d | wc -l)" = 0 ] && [ "$(show --json --since 1d | wc -l)" -gt 100 ]
result "since and until choose by time" $?
expect "a single file can be verified" 0 "$nefia" audit verify "$state/audit.log.1"
expect "where there is no log" 1 "$nefia" audit verify "$dir/hook"
says "that is said" 'there is no audit.log in' err

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$dir"
    expect "a user who may not read it" 1 setpriv --reuid=65534 --regid=65534 --clear-groups "$nefia" audit verify "$state"
    says "is told who may" 'Permission denied.*only root and the hub' err
    chmod 700 "$dir"
fi
sed 's/head_interval: 0/key_file: missing/' "$dir/nefia.yaml" >"$dir/wrong.yaml"
expect "a key file that is not there" 2 "$nefia" reactor check -c "$dir/wrong.yaml"
says "is an error of the configuration" 'reactor.audit.key_file: missing: cannot read the key file' err
sed -e '/state_dir/d' -e 's/head_interval: 0/enabled: true, head_interval: 5ms/' "$dir/nefia.yaml" | sed '/^beacons/,/^reactor/{/^reactor/!d}' >"$dir/wrong.yaml"
expect "an audit log without a state_dir, and a head too often" 2 "$nefia" reactor check -c "$dir/wrong.yaml"
says "are errors" 'reactor.audit: there is no state_dir' err
says "both" 'reactor.audit.head_interval: less than 1s; 0 is never' err

# ---- docs/audit.md: its log is one, with the answers that it shows ----
block()
{
    python3 tests/docs.py block "$1"
}
mkdir "$dir/example"
block audit-log >"$dir/example/audit.log"
echo 0123456789abcdef0123456789abcdef >"$dir/example/audit.key"
for verb in verify show; do
    block "audit-$verb" >"$dir/documented"
    "$nefia" audit "$verb" "$dir/example" >"$dir/out" && cmp "$dir/documented" "$dir/out" >"$dir/err" 2>&1
    result "audit $verb prints what the documentation shows" $?
done
block audit >"$dir/openssl.sh"
(cd "$dir/example" && sh ../openssl.sh) >"$dir/out" 2>"$dir/err" && [ ! -s "$dir/out" ]
result "OpenSSL finds nothing in it" $?
sed -i 3s/web/wet/ "$dir/example/audit.log"
[ "$(cd "$dir/example" && sh ../openssl.sh)" = "$(printf 'line 3\nline 4')" ]
result "and what is changed" $?

finish
