#!/bin/sh
# What `nefia why` says of the events of a real hub: of each decision, after a reload, and of what it does not know.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=$PWD/out/host/nefia
hub_pid=
processes=hub_pid
port=$(free_port)

# config MORE: the configuration, with MORE among the rules.
config()
{
    cat <<YAML
host_id: hub
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  control_socket: $dir/hub.sock
  rules:
    - {name: free-disk, event_pattern: '^disk\.', action: {type: exec, target: hub, command: "true"}}
    - {name: page, event_pattern: '^disk\.', severity: critical, action: {type: exec, target: hub, command: "true"}}
    - {name: clean-up, event_pattern: '^disk\.usage$', host_pattern: '^gw-', severity: warning, action: {type: exec, target: hub, command: "cd /tmp; rm -rf old"}}
    - {name: north, host_pattern: '^gw-north$', action: {type: exec, target: hub, command: "until test -e $dir/go; do sleep 0.1; done; exit 3"}}
    - {name: note, action: {type: exec, target: hub, command: "true"}}
$1
policy: {mode: enforce, deny_commands: ['rm -rf']}
YAML
}
hub()
{
    "$nefia" "$@" -c "$dir/nefia.yaml"
}
# sent HOST SEQ: an event, and it is there.
sent()
{
    printf '{"type":"disk.usage","source":"s","host_id":"%s","timestamp":"2026-03-10T15:30:00Z","severity":"warning","data":{},"boot":7,"seq":%s}\n' "$@" |
        socat -u - "TCP:127.0.0.1:$port"
    within hub why "$1:7:$2"
}
decided()
{
    hub why "$1" | grep -q "^  $2 .* $3 "
}
config '' >"$dir/nefia.yaml"
background hub.log "$nefia" reactor run -c "$dir/nefia.yaml"
hub_pid=$!
within hub reactor status

hub silence add --rule free-disk --for 2h --why 'new disk, ticket 4711' >"$dir/out"
sent gw-south 41
within decided 1 note 'done'
result "an action ends" $?
python3 tests/docs.py block why >"$dir/documented.sh"
python3 tests/docs.py block why-answer >"$dir/wanted"
cat >"$dir/nefia" <<SH
#!/bin/sh
exec $nefia "\$@" -c $dir/nefia.yaml
SH
chmod +x "$dir/nefia"
PATH="$dir:$PATH" sh "$dir/documented.sh" >"$dir/got" 2>"$dir/err"
# The order of the rules in this test is not that of the documentation's.
for file in wanted got; do
    sed -e 's/until [^,]*,/until TIME,/' -e 's/at byte [0-9]*/at byte N/' -e 's/user [0-9]*/user N/' "$dir/$file" | sort >"$dir/$file.sorted"
done
diff "$dir/wanted.sorted" "$dir/got.sorted" >"$dir/out" 2>&1
result "every decision is as documented" $?

expect "it is found by host, boot and seq" 0 hub why gw-south:7:41
diff "$dir/got" "$dir/out" >"$dir/err"
result "and is the same" $?
expect "as JSON, too" 0 hub why 1 --json
python3 -c '
import json, sys
answer = json.load(open(sys.argv[1]))
rules = {r["name"]: r for r in answer["rules"]}
assert answer["event"]["event"]["seq"] == 41 and "reloaded" not in answer["event"]
assert rules["clean-up"]["policy_by"] == "rm -rf" and rules["clean-up"]["policy_at"] == 9
assert rules["free-disk"]["silence"] == 1 and rules["free-disk"]["silence_why"] == "new disk, ticket 4711"
assert [r["matches"] for r in answer["rules"]] == [True] * 3 + [False] * 2' "$dir/out"
result "with the same facts" $?

sent gw-north 1
within decided gw-north:7:1 north pending
hub why gw-north:7:1 | grep -q 'north .*; job [0-9]* running, 1 begun'
result "an action that runs is a job" $?
touch "$dir/go"
within decided gw-north:7:1 north failed
hub why gw-north:7:1 | grep -q 'north .*; exit 3'
result "which fails" $?

config "    - {name: late, action: {type: exec, target: hub, command: 'true'}}" >"$dir/nefia.yaml"
kill -HUP "$hub_pid"
late()
{
    hub why 1 | grep -q '^  late .* not asked '
}
within late
result "a rule that came later was not asked" $?
hub why 1 | grep -q '^rules or policy were reloaded since'
result "and that it did is said" $?

expect "an event that there is not" 1 hub why gw-south:7:42
says "is said" 'no longer among the recent events' err
expect "one that is yet to come" 1 hub why 100000
says "too" 'there is no such event yet' err
expect "what is no event" 1 hub why gw-south
says "is told what one is" 'an event is wanted: ID' err
finish
