#!/bin/sh
# A real hub whose rules hold themselves back: what is said, what outlives a kill, a restart and a reload, and that no rule acts on what it
# has led to.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=$PWD/out/host/nefia
hub_pid=
processes=hub_pid
port=$(free_port)

# config COOLDOWN PAUSE
config()
{
    cat <<YAML
host_id: hub
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  control_socket: $dir/hub.sock
  state_dir: $dir/state
  rules:
    - {name: cool, event_pattern: '^cool$', cooldown: $1, action: {type: exec, target: hub, command: "echo x >>$dir/cool"}}
    - {name: once, event_pattern: '^once$', once_within: 1d, once_per: [host, data.path], action: {type: exec, target: hub, command: "echo \$NEFIA_HOST \$NEFIA_DATA_PATH >>$dir/once"}}
    - {name: third, event_pattern: '^third$', after: {count: 3, within: 1h}, action: {type: exec, target: hub, command: "echo x >>$dir/third"}}
    - {name: hourly, event_pattern: '^hourly$', max_per_hour: 2, action: {type: exec, target: hub, command: "echo x >>$dir/hourly"}}
    - {name: fails, event_pattern: '^fails$', breaker: {failures: 2, pause: $2}, action: {type: exec, target: hub, command: "test -e $dir/works"}}
    - {name: told, event_pattern: '^rule\.', action: {type: exec, target: hub, command: "echo \$NEFIA_TYPE \$NEFIA_DATA_RULE \$NEFIA_DATA_FAILURES \$NEFIA_CAUSE >>$dir/told"}}
    - {name: ping, event_pattern: '^(ping|pong)$', action: {type: exec, target: hub, command: "sh $dir/send pong \"\$NEFIA_CAUSE\""}}
    - {name: echo, event_pattern: '^pong$', action: {type: exec, target: hub, command: "sh $dir/send pong \"\$NEFIA_CAUSE\""}}
YAML
}
for file in cool once third hourly told; do
    : >"$dir/$file"
done
cat >"$dir/send" <<SH
printf '{"type":"%s","source":"s","host_id":"web","timestamp":"2026-03-10T15:30:00Z","severity":"info","cause":%s,"data":{}}\n' "\$1" "\$2" |
    socat -u - TCP:127.0.0.1:$port
SH
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
# sent TYPE [HOST [PATH]]: an event, whose row has its outcome now.
sent()
{
    rows=$(rows_of "$1")
    printf '{"type":"%s","source":"s","host_id":"%s","timestamp":"2026-03-10T15:30:00Z","severity":"info","data":{"path":"%s"}}\n' \
        "$1" "${2:-web}" "${3:-/}" | socat -u - "TCP:127.0.0.1:$port"
    within settled "$1"
}
rows_of()
{
    hub reactor events >"$dir/rows"
    grep -c " $1 " "$dir/rows"
}
settled()
{
    [ "$(rows_of "$1")" -gt "$rows" ] && ! grep -q '(pending)' "$dir/rows"
}
# acted FILE LINES: that rule has acted so often.
acted()
{
    [ "$(wc -l <"$dir/$1")" -eq "$2" ]
}
# member RULE NAME: of `status --json`.
member()
{
    hub reactor status --json | python3 -c '
import json, sys
print(next(r[sys.argv[2]] for r in json.load(sys.stdin)["rules"] if r["name"] == sys.argv[1]))' "$@"
}
config 1h 1h >"$dir/nefia.yaml"
start_hub

# ---- each key ----
sent cool && sent cool db
acted cool 1
result "cooldown: one for all hosts" $?
says "its row says why" ' cool  *db .* cool  *exec  *cooldown 1h, [1-9][0-9hms]* left' rows
for where in 'web /' 'web /home' 'db /' 'web /'; do
    # shellcheck disable=SC2086 # two words
    sent once $where
done
printf '%s\n' 'web /' 'web /home' 'db /' | diff - "$dir/once" >"$dir/out"
result "once_within: one for each host and path" $?
sent third && sent third db && sent third
acted third 0
result "after: not before the third of a host" $?
says "which is said" ' third  *web .* after: 2 of 3 within 1h' rows
sent third && acted third 1 && sent third && acted third 1
result "then it begins anew" $?
sent hourly && sent hourly && sent hourly && acted hourly 2
result "max_per_hour" $?
says "with its figures" 'max_per_hour: 2 of 2, [1-9][0-9hms]* left' rows
hub reactor status >"$dir/out"
says "status counts for each rule" '^  cool  .* 2, 1 restrained$' out
[ "$(member cool restrained) $(member once restrained) $(member third restrained) $(member told restrained)" = '1 1 4 0' ]
result "in JSON, too" $?

# ---- the breaker ----
sent fails && sent fails
within acted told 1
result "the breaker opens" $?
says "which is an event, with its cause" '^rule.breaker_open fails 2 \["fails","told"\]$' told
says "and in the log" 'rule fails: breaker open after 2 failures in a row, the last one: exit 1$' hub.log
sent fails
says "nothing begins" 'breaker open, 2 failures, [1-9][0-9hms]* left' rows
hub reactor status >"$dir/out"
says "status says so" '^  fails .* 3, 1 restrained, breaker open$' out
touch "$dir/works"
config 1h 1ms >"$dir/nefia.yaml"
kill -HUP "$hub_pid"
within grep -q reloaded "$dir/hub.log"
sent fails
within acted told 2
result "after the pause one is tried, and it closes" $?
says "which is an event" '^rule.breaker_closed fails 2 \["fails","told"\]$' told
[ "$(member fails breaker)" = closed ]
result "status says that, too" $?

# ---- own effects ----
sh "$dir/send" ping '[]'
# ping sends a pong, on which it does not act, but echo does; on that one's pong none acts.
within sh -c "[ \$($nefia reactor events -c $dir/nefia.yaml | grep -c 'own effect: this rule led') -eq 3 ]"
result "two rules that set off each other end" $?
sleep 0.3
[ "$(rows_of pong)" -eq 4 ]
result "and stay so" $?
sh "$dir/send" cool '["1","2","3","4","5","6","7","8"]'
within sh -c "$nefia reactor events -c $dir/nefia.yaml | grep -q 'own effect: 8 rules led to it, none acts'"
result "on too long a chain none acts" $?

# ---- reload, restart, kill ----
config 2h 1ms >"$dir/nefia.yaml"
kill -HUP "$hub_pid"
within sh -c "[ \$(grep -c reloaded $dir/hub.log) -eq 2 ]"
sent cool && acted cool 1
result "a reload keeps what was done" $?
says "under the new figures" 'cooldown 2h, [1-9][0-9hms]* left' rows
stop_hub -KILL
start_hub
sent cool && sent once && sent hourly && acted cool 1 && acted hourly 2 && acted once 3
result "it outlives a kill" $?
sent third && acted third 1 && sent third && acted third 2
result "with what was counted" $?
stop_hub -TERM
start_hub
sent cool && sent once && sent hourly && acted cool 1 && acted hourly 2 && acted once 3
result "and a restart" $?
finish
