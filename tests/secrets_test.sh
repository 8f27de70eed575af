#!/bin/sh
# Secrets of the configuration in the real programs, and what a configuration is warned of.
#   tests/secrets_test.sh [DIRECTORY]      default: out/host
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=${1:-out/host}/nefia
beacon=${1:-out/host}/nefia-beacon
hook_pid=
hub_pid=
processes='hub_pid hook_pid'
port=$(free_port)
key=0123456789abcdef0123456789abcdef

mkdir "$dir/hook"
python3 tests/fake/webhook.py "$dir/hook" "$key" &
hook_pid=$!
within test -s "$dir/hook/port"

# hub_config NAME MODE: from stdin, below `reactor:`.
hub_config()
{
    {
        printf 'reactor:\n  listen_address: 127.0.0.1\n  listen_port: %s\n  control_socket: %s\n' "$port" "$dir/hub.sock"
        cat
    } >"$dir/$1"
    chmod "$2" "$dir/$1"
}

# ---- a webhook's secret that reads as the key does ----
hub_config same.yaml 600 <<YAML
  hmac_key: $key
  rules:
    - {name: tell, action: {type: alert, webhook_name: $key}}
  webhooks:
    - {name: $key, url: "http://127.0.0.1:$(cat "$dir/hook/port")/ok", secret: $key}
YAML
background hub.log "$nefia" reactor run -c "$dir/same.yaml"
hub_pid=$!
within grep -q 'listening on' "$dir/hub.log"
result "a hub with one text as key, name and secret" $?
send()
{
    line=$(printf '{"type":"%s","source":"shell","host_id":"h","timestamp":"2026-03-10T15:30:00Z","severity":"info","data":{}}' "$1")
    printf '%s\n%s\n' "$line" "$(printf %s "$line" | openssl dgst -sha256 -hmac "$key" -r | cut -d ' ' -f 1)" |
        socat -u - "TCP:127.0.0.1:$port"
}
send one.event
within grep -q '^/ok good .*one.event' "$dir/hook/log"
result "what it posts is signed with the secret" $?
kill -HUP "$hub_pid"
within grep -q 'reloaded: ' "$dir/hub.log"
result "it reloads" $?
send two.event
within grep -q '^/ok good .*two.event' "$dir/hook/log"
result "after the reload, too" $?
! grep -q "secret.*$key\|$key.*secret" "$dir/hub.log"
result "no report repeats it" $?
kill "$hub_pid" && wait "$hub_pid"
result "the hub stops in order" $?
hub_pid=

# ---- who can read and write the configuration ----
hub_config open.yaml 644 <<YAML
  peers: [127.0.0.1]
  webhooks: [{name: a, url: "http://127.0.0.1/", secret: $key}]
YAML
expect "a webhook's secret in a file for all" 2 "$nefia" reactor check -c "$dir/open.yaml"
says "a webhook's secret in a file for all: the remedy" "open.yaml:6: reactor.webhooks\[0\].secret: .*chmod 600 $dir/open.yaml" err
! grep -q "$key" "$dir/err"
result "a webhook's secret in a file for all: not repeated" $?
hub_config idle.yaml 666 <<YAML
  peers: [127.0.0.1]
  rules: []
YAML
expect "check: what is only odd is fine" 0 "$nefia" reactor check -c "$dir/idle.yaml"
says "check: others can write it" 'idle.yaml: warning: other users can write.*chmod go-w' err
says "check: its rules do nothing" 'idle.yaml:6: warning: reactor.rules: there is no rule' err
background hub.log "$nefia" reactor run -c "$dir/idle.yaml"
hub_pid=$!
within grep -q 'listening on' "$dir/hub.log"
kill "$hub_pid" && wait "$hub_pid"
result "run: what is only odd starts" $?
hub_pid=
says "run: others can write it" '^nefia: warning: .*other users can write' hub.log
says "run: its rules do nothing" '^nefia: warning: .*there is no rule' hub.log
! grep -q 'error: ' "$dir/hub.log"
result "run: neither is an error" $?

# ---- the shipped example raises no alarm ----
cp rootfs-overlay/etc/nefia/nefia.yaml "$dir/shipped.yaml"
chmod 644 "$dir/shipped.yaml"
printf '%s\n' "$key" >"$dir/hmac.key"
chmod 600 "$dir/hmac.key"
sed -i "s|/etc/nefia/hmac.key|$dir/hmac.key|" "$dir/shipped.yaml"
expect "the shipped example, for the hub" 0 "$nefia" reactor check -c "$dir/shipped.yaml"
[ ! -s "$dir/err" ]
result "the shipped example, for the hub: no warning" $?
expect "the shipped example, for the beacon" 0 "$beacon" check -c "$dir/shipped.yaml"
[ ! -s "$dir/err" ]
result "the shipped example, for the beacon: no warning" $?

# ---- what can be typed only by mistake ----
hub_config typed.yaml 600 <<'YAML'
  peers: [127.0.0.1]
  rules:
    - {name: a, event_pattern: "\bdisk\b", action: {type: exec, target: hub, command: "true"}}
YAML
printf 'host_id: |\n  web-01\n' >>"$dir/typed.yaml"
expect "a backspace and a line break" 2 "$nefia" reactor check -c "$dir/typed.yaml"
says "a backspace: the remedy" 'typed.yaml:7: reactor.rules\[0\].event_pattern: .*single quotes' err
says "a line break: the remedy" 'typed.yaml:8: host_id: .*line of its key' err
printf 'policy: {mode: enforce}\nbeacons: {reactor: 127.0.0.1}\n' >"$dir/policy.yaml"
expect "a policy that a beacon does not need" 0 "$beacon" check -c "$dir/policy.yaml"
says "a policy that a beacon does not need: it says so" 'policy.yaml:1: warning: policy: restricts nothing here' err
printf 'policy: {mode: on}\nreactor: {peers: [127.0.0.1]}\n' >"$dir/policy.yaml"
expect "a policy with a mistake, at the hub" 2 "$nefia" reactor run -c "$dir/policy.yaml"
says "a policy with a mistake, at the hub: why" 'policy.yaml:1: policy.mode: "on" is not one of off, warn, enforce' err
printf 'policy: {mode: off}\nreactor: {peers: [127.0.0.1]}\n' >"$dir/off.yaml"
expect "a policy that restricts nothing" 0 "$nefia" reactor check -c "$dir/off.yaml"

finish
