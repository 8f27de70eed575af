#!/bin/sh
# A hub under a policy, with real commands: what is denied does not run, is in `status`, in the log and an event of its own; what is
# warned of runs; a reload puts another policy in force, also for what waits; a policy with a mistake replaces nothing.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=$PWD/out/host/nefia
hub_pid=
processes=hub_pid
port=$(free_port)

# configure MODE DENIED: both rules run commands on the hub; violations are counted by a third.
configure()
{
    cat >"$dir/hub.yaml.new" <<YAML
host_id: hub-1
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  control_socket: $dir/hub.sock
  hosts:
    - {host_id: hub-1, role: hub}
  rules:
    - {name: touch, event_pattern: ^t\$, action: {type: exec, target: hub, command: "touch $dir/touched-\$NEFIA_HOST"}}
    - {name: remove, event_pattern: ^t\$, action: {type: exec, target: hub, command: "cd $dir && r''m -f victim"}}
    - {name: slow, event_pattern: ^slow\$, action: {type: exec, target: hub, command: "until test -e $dir/go; do sleep 0.1; done"}}
    - {name: say, event_pattern: ^policy\\.violation\$, action: {type: exec, target: hub, command: "printf '%s %s %s\n' \"\$NEFIA_DATA_VERDICT\" \"\$NEFIA_DATA_RULE\" \"\$NEFIA_DATA_EVENT_HOST\" >>$dir/violations"}}
policy:
  mode: $1
  roles:
    - name: hub
      deny_commands: ['$2']
YAML
    mv "$dir/hub.yaml.new" "$dir/hub.yaml"
}

event()
{
    printf '{"type":"%s","source":"s","host_id":"%s","timestamp":"2026-03-10T15:30:00Z","severity":"info","data":{}}\n' "$1" "$2" |
        socat -u - "TCP:127.0.0.1:$port"
}

# reload WHAT: until the log says it once more.
reload()
{
    before=$(grep -c "$1" "$dir/hub.log")
    kill -HUP "$hub_pid"
    within more_than "$before" "$1"
}
more_than()
{
    [ "$(grep -c "$2" "$dir/hub.log")" -gt "$1" ]
}

# recent RULE ERROR-PATTERN: how many rows of `reactor events` are of that rule and have that error.
recent()
{
    "$nefia" reactor events --json -c "$dir/hub.yaml" | grep -c "\"rule\":\"$1\".*\"error\":\"$2"
}
has_recent()
{
    [ "$(recent "$2" "$3")" -ge "$1" ]
}

configure enforce '^rm\b'
touch "$dir/violations" "$dir/victim"
background hub.log "$nefia" reactor run -c "$dir/hub.yaml"
hub_pid=$!
within "$nefia" reactor status -c "$dir/hub.yaml"

event t web-01
within test -e "$dir/touched-web-01"
result "what the policy allows runs" $?
within has_recent 1 remove 'denied: matches deny_commands pattern: \\"^rm'
result "what it denies is in the recent events, with the pattern" $?
[ -e "$dir/victim" ]
result "and did not run" $?
within grep -q '^denied remove web-01$' "$dir/violations"
result "a violation is an event of its own, which a rule acts on" $?
grep -q 'rule remove: exec: denied: matches deny_commands pattern: "^rm.*" of role "hub" at byte' "$dir/hub.log"
result "the log names the rule, the pattern and the role" $?
"$nefia" reactor status --json -c "$dir/hub.yaml" | grep -q '"policy":{"notify":0,"pending_approval":0,"denied":1}'
result "status counts it" $?

# Every place for commands that run is taken; the next one waits, and meanwhile the policy changes.
running=$(sed -n 's/^CONFIG_EXEC_RUNNING=//p' out/host/.config)
i=0
while [ "$i" -lt "$running" ]; do
    i=$((i + 1))
    event slow "h$i"
done
rm "$dir/touched-web-01"
configure enforce '^(rm|touch|sleep)\b'
reload reloaded
touch "$dir/go"
event t web-02
within has_recent 1 touch 'denied: matches deny_commands pattern: \\"^(rm|touch'
result "a reload puts another policy in force" $?
[ ! -e "$dir/touched-web-02" ]
result "and what it denies does not run" $?
within has_recent 1 slow denied:
result "what waited is judged again when it begins" $?

configure enforce '('
reload 'has errors'
grep -q 'policy.roles\[0\].deny_commands\[0\]: "(": ' "$dir/hub.log"
result "a policy with a mistake is named" $?
event t web-03
within has_recent 2 touch 'denied: matches deny_commands pattern: \\"^(rm|touch'
result "and the one in force stays so" $?

configure warn '^(rm|touch)\b'
reload reloaded
event t web-04
within test ! -e "$dir/victim" && within test -e "$dir/touched-web-04"
result "what is only warned of runs" $?
within grep -q '^notify remove web-04$' "$dir/violations"
result "and is an event, too" $?

configure off '^(rm|touch)\b'
reload reloaded
before=$(wc -l <"$dir/violations")
event t web-05
within test -e "$dir/touched-web-05"
[ "$(wc -l <"$dir/violations")" -eq "$before" ]
result "a policy that is off denies nothing and reports nothing" $?

finish
