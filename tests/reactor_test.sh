#!/bin/sh
# The hub as a whole program, on loopback, with foreign senders (openssl and socat) and a foreign webhook receiver (Python's).
#   tests/reactor_test.sh [PROGRAM]      default: out/host/nefia
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=${1:-out/host/nefia}
secret='s3cret of the webhook'
hub_pid=
hook_pid=
other_pid=
hold_pid=
processes='hub_pid hook_pid other_pid hold_pid'

# expect_within NAME COMMAND…
expect_within() {
    name=$1
    shift
    within "$@"
    result "$name" $?
}

# config FILE: the lines on stdin are `reactor:`'s, after what all have.
config() {
    {
        echo "reactor:"
        echo "  listen_port: $port"
        echo "  control_socket: $dir/$1.sock"
        cat
    } >"$dir/$1"
    chmod 600 "$dir/$1" # it may hold a secret
}

start_hub() {
    background run.log "$nefia" reactor run -c "$dir/$1"
    hub_pid=$!
    within grep -q 'listening on' "$dir/run.log"
}

stop_hub() {
    kill -TERM "$hub_pid"
    wait "$hub_pid"
    hub_status=$?
    hub_pid=
    return $hub_status
}

# sign LINE: its signature, by openssl.
sign() {
    printf %s "$1" | openssl dgst -sha256 -hmac "$(cat "$dir/key")" -r | cut -d ' ' -f 1
}

# event TYPE HOST SEVERITY DATA
event() {
    printf '{"type":"%s","source":"shell","host_id":"%s","timestamp":"2026-03-10T15:30:00Z","severity":"%s","data":%s}' "$@"
}

# send LINE [ADDRESS]: signed, with socat.
send() {
    printf '%s\n%s\n' "$1" "$(sign "$1")" | socat -t 600 - "${2:-TCP:127.0.0.1:$port}"
}

# counter PATH: a figure of `status --json`.
counter() {
    "$nefia" reactor status --json -c "$dir/$conf" | python3 -c '
import json, sys
v = json.load(sys.stdin)["counters"]
for part in sys.argv[1].split("."):
    v = v[part]
print(v)' "$1"
}

counter_is() {
    [ "$(counter "$1")" = "$2" ]
}

logged() {
    grep -q -e "$1" "$dir/run.log"
}

port=$(free_port)
openssl rand -hex 32 >"$dir/key"
chmod 600 "$dir/key"
mkdir "$dir/hook"
python3 "tests/fake/webhook.py" "$dir/hook" "$secret" &
hook_pid=$!
within test -s "$dir/hook/port"
hook=http://127.0.0.1:$(cat "$dir/hook/port")

# ---- command line and configuration ----------------------------------------------------------------------------------
expect "--version" 0 "$nefia" --version
says "--version names board and actions" 'action-exec' out
expect "--help" 0 "$nefia" --help
expect "no verb" 2 "$nefia"
expect "a wrong option" 2 "$nefia" reactor run --fast
expect "incomplete verb" 2 "$nefia" reactor
says "incomplete verb: reports the missing word" 'missing verb after "reactor"' err
expect "option before the verb's second word" 2 "$nefia" reactor -c "$dir/none.yaml" check
says "option before the verb's second word: the reason" 'missing verb before "-c"; options come after' err
expect "unknown second word" 2 "$nefia" reactor frob
says "unknown second word: names it" 'unknown verb "frob"' err
expect "incomplete verb, and --help" 0 "$nefia" reactor --help
says "incomplete verb, and --help: the verbs" '^  reactor check' out
expect "a missing file" 2 "$nefia" reactor check -c "$dir/none.yaml"
expect "status without a daemon" 1 "$nefia" reactor status -c "tests/configs/minimal.yaml"

config good <<END
  hmac_key_file: $dir/key
  rules:
    - {name: disk, event_pattern: 'disk\\..*', severity: warning, action: {type: exec, command: "true", target: hub}}
    - {name: later, action: {type: exec, command: "true"}}
END
expect "check: a good file" 0 "$nefia" reactor check -c "$dir/good"
says "check: what it has" 'good: OK; listens on .*, 2 rules, 0 webhooks, signed' out
[ ! -s "$dir/err" ]
result "check: nothing to say about exec on the device of the event" $?

# ---- patterns and reloads ----
# patterns FILE TEXT COUNT: each of which takes memory.
patterns() {
    {
        echo "  listen_address: 127.0.0.1"
        echo "  peers: [127.0.0.1]"
        echo "  rules:"
        i=0
        while [ "$i" -lt "$3" ]; do
            echo "    - {name: r$i, event_pattern: '$2${i}[0-9]$', action: {type: exec, command: 'true', target: hub}}"
            i=$((i + 1))
        done
    } | config "$1"
}
patterns large a 140
patterns small a 20
expect "check: few patterns" 0 "$nefia" reactor check -c "$dir/small"
! grep -q 'reload' "$dir/err"
result "check: a reload of them fits" $?
expect "check: many patterns" 0 "$nefia" reactor check -c "$dir/large"
says "check: a reload that changes them does not fit" 'notice: its patterns use [0-9]* of [0-9]* KiB (CONFIG_HUB_HEAP_KB) and 140 of [0-9]* places .*: a reload that changes most of them does not fit' err
start_hub large
kill -HUP "$hub_pid"
expect_within "reload: the same patterns are shared" logged 'reloaded: .* 140 rules'
patterns large b 140
kill -HUP "$hub_pid"
expect_within "reload: others do not fit" logged 'reload: no room for new patterns beside those in force; if .nefia reactor check. accepts the file, a restart fits'
expect "check: accepts them" 0 "$nefia" reactor check -c "$dir/large"
stop_hub

config bad <<END
  hmac_key_file: $dir/key
  peers: [10.0.0.1/24]
  rules:
    - {name: one, event_pattern: 'disk(', action: {type: exec, command: "true", target: hub}}
    - {name: one, severity: criticl, action: {type: exec, command: "true", target: hub}}
    - {name: two, action: {type: alert, webhook_name: nobody}}
    - {name: three, colour: red, action: {type: exec, target: hub}}
  webhooks:
    - {name: safe, url: "https://example.org/x"}
END
expect "check: a bad file" 2 "$nefia" reactor check -c "$dir/bad"
says "a pattern that does not compile, with its line" "bad:7: reactor.rules\[0\].event_pattern: " err
says "a duplicate name" 'bad:8: .*"one" is already used by an earlier rule' err
says "a wrong severity" 'bad:8: .*"criticl" is not one of info, warning, critical' err
says "a missing webhook" 'bad:9: .*no webhook "nobody"' err
says "an unknown key" 'bad:10: .*colour' err
says "a missing command" 'bad:10: .*command' err
says "a network with bits behind its prefix" 'bad:5: .*10.0.0.0/24' err
says "https" 'bad:12: reactor.webhooks\[0\].url: https:// is not in this build' err

config nokey </dev/null
printf 'reactor: {peers: [10.0.0.0/8], greeting: false, keys: [], listen_address: "127.0.0.1:9501"}\n' >"$dir/odd"
expect "settings of before, and one that contradicts another" 2 "$nefia" reactor check -c "$dir/odd"
says "keys: the remedy" 'odd:1: warning: reactor.keys: this is the old name of .hosts.' err
says "greeting: the remedy" 'odd:1: reactor.greeting: .*always greets' err
says "a port in the address" 'odd:1: reactor.listen_address: .*listen_port' err
expect "neither key nor peers" 2 "$nefia" reactor check -c "$dir/nokey"
says "neither key nor peers: the remedy" 'set hmac_key_file' err
cp "$dir/key" "$dir/open-key"
chmod 644 "$dir/open-key"
echo "  hmac_key_file: $dir/open-key" | config openkey
expect "a key that all can read" 2 "$nefia" reactor run -c "$dir/openkey"
says "a key that all can read: the remedy" 'chmod 600' err
echo "  hmac_key: 0123456789abcdef" | config inlinekey
chmod 644 "$dir/inlinekey"
expect "a key in a configuration that all can read" 2 "$nefia" reactor check -c "$dir/inlinekey"
says "a key in a configuration that all can read: the remedy" "inlinekey:4: reactor.hmac_key: .*chmod 600 $dir/inlinekey" err
chmod 640 "$dir/inlinekey"
expect "a key in a configuration that others cannot read" 0 "$nefia" reactor check -c "$dir/inlinekey"
echo "  hmac_key_file: $dir/no-key" | config lostkey
expect "a key file that is not there" 2 "$nefia" reactor run -c "$dir/lostkey"
says "a missing key file: its path" "$dir/no-key" err
socat "TCP-LISTEN:$port,reuseaddr" /dev/null &
other_pid=$!
within sh -c "grep -q ':$(printf %04X "$port") 00000000:0000 0A' /proc/net/tcp"
expect "a port in use" 1 "$nefia" reactor run -c "$dir/good"
says "a port in use: the port, and the setting" "$port.*reactor.listen_port\|reactor.listen_port.*$port" err
kill $other_pid
wait $other_pid 2>/dev/null
other_pid=

# ---- events, actions -------------------------------------------------------------------------------------------------
conf=main
config main <<END
  listen_address: "::"
  max_connections_per_peer: 0
  hmac_key_file: $dir/key
  rules:
    - name: show
      event_pattern: '^show\\.'
      action: {type: exec, command: 'env -u PWD -u SHLVL -u _ | sort >$dir/env.new; mv $dir/env.new $dir/env', target: hub}
    - {name: critical-disk-alert, event_pattern: 'disk\\..*', host_pattern: 'prod-.*', severity: critical, action: {type: alert, webhook_name: ok}}
    - {name: later, event_pattern: '^later$', action: {type: alert, webhook_name: later}}
    - {name: gone, event_pattern: '^gone$', action: {type: alert, webhook_name: gone}}
    - {name: hang, event_pattern: '^hang$', action: {type: alert, webhook_name: hang}}
    - {name: impatient, event_pattern: '^impatient$', action: {type: alert, webhook_name: impatient}}
    - {name: drop, event_pattern: '^drop$', action: {type: alert, webhook_name: drop}}
    - {name: junk, event_pattern: '^junk$', action: {type: alert, webhook_name: junk}}
    - {name: nosecret, event_pattern: '^nosecret$', action: {type: alert, webhook_name: nosecret}}
    - {name: by-name, event_pattern: '^byname$', action: {type: alert, webhook_name: byname}}
    - {name: fails, event_pattern: '^fails$', action: {type: exec, command: 'echo broken pipe; exit 3', target: hub}}
    - {name: slow, event_pattern: '^slow$', action: {type: exec, command: 'sleep 60', target: hub, timeout: 1s}}
    - {name: many, event_pattern: '^many$', action: {type: exec, command: 'echo >>$dir/many.done', target: hub}}
    - {name: stuck, event_pattern: '^stuck$', action: {type: exec, command: 'sleep 60', target: hub, timeout: 20s}}
    - {name: leaver, event_pattern: '^leave$', action: {type: exec, command: 'setsid sh -c "echo \\\$\\\$ >$dir/left.new; mv $dir/left.new $dir/left; while :; do sleep 600; done" >/dev/null 2>&1 & until [ -s $dir/left ]; do sleep 0.1; done', target: hub}}
    - {name: on-host, event_pattern: '^onhost$', action: {type: exec, command: 'true', life: 1s}}
  webhooks:
    - {name: ok, url: "$hook/ok", secret: "$secret"}
    - {name: later, url: "$hook/later", secret: "$secret"}
    - {name: gone, url: "$hook/gone", secret: "$secret"}
    - {name: hang, url: "$hook/hang", secret: "$secret", timeout: 5m, retries: 0}
    - {name: impatient, url: "$hook/hang", secret: "$secret", timeout: 1s, retries: 0}
    - {name: drop, url: "$hook/drop", secret: "$secret", retries: 0}
    - {name: junk, url: "$hook/junk", secret: "$secret", retries: 0}
    - {name: nosecret, url: "$hook/ok"}
    - {name: byname, url: "http://localhost:${hook##*:}/ok", secret: "$secret"}
END
start_hub main
result "it starts" $?

# shellcheck disable=SC2016 # the command substitution is bait
line=$(event show.me 'web $(touch '"$dir"'/pwned)' info '{"used-percent":"92.5","n":-3,"ok":true,"deep":{"x":1},"none":null,"text":"a\nb; touch '"$dir"'/pwned","Used_percent":"second"}')
send "$line"
expect_within "exec: the command runs" test -e "$dir/env"
cat >"$dir/env.want" <<END
NEFIA_CAUSE=["show"]
NEFIA_DATA_N=-3
NEFIA_DATA_OK=true
NEFIA_DATA_TEXT=a
NEFIA_DATA_USED_PERCENT=92.5
NEFIA_EVENT=$line
NEFIA_HOST=web \$(touch $dir/pwned)
NEFIA_RULE=show
NEFIA_SEVERITY=info
NEFIA_TYPE=show.me
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
b; touch $dir/pwned
END
LC_ALL=C sort "$dir/env.want" >"$dir/want"
LC_ALL=C sort "$dir/env" >"$dir/got"
cmp "$dir/want" "$dir/got"
result "exec: the event is in the environment, nothing else is" $?
[ ! -e "$dir/pwned" ]
result "exec: event contents are never executed" $?

rm -f "$dir/env"
send "$(event show.6 v6 info '{}')" "TCP6:[::1]:$port"
expect_within "a sender over IPv6" test -e "$dir/env"

hook_got() {
    grep -qxF -e "$1" "$dir/hook/log"
}

line=$(event disk.usage prod-1 critical '{"path":"/","used_percent":"92.5"}')
send "$line"
expect_within "alert: the exact event, with a signature that a stranger can verify" hook_got "/ok good $line"
line=$(event nosecret h info '{}')
send "$line"
expect_within "alert: no secret, no signature" hook_got "/ok none $line"
line=$(event byname h info '{}')
send "$line"
expect_within "alert: to a host by its name" hook_got "/ok good $line"

row_is() {
    "$nefia" reactor events --json -c "$dir/$conf" | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
sys.exit(0 if any(r["rule"] == sys.argv[1] and r["state"] == sys.argv[2] and (r["error"] or "-") == sys.argv[3] for r in rows) else 1)' "$@"
}

send "$(event later h info '{"n":1}')"
send "$(event hang h info '{}')"
send "$(event hang h info '{}')"
send "$(event hang h info '{}')"
send "$(event hang h info '{}')"
send "$(event disk.usage prod-2 critical '{"n":"past the one that hangs"}')"
expect_within "a webhook that hangs does not hold up another" grep -q 'past the one that hangs' "$dir/hook/log"
"$nefia" reactor status -c "$dir/main" >"$dir/out"
says "status: unfinished actions" '  hang .* hang .*(pending)$' out
send "$(event gone h info '{}')"
send "$(event drop h info '{}')"
send "$(event junk h info '{}')"
send "$(event fails h info '{}')"
send "$(event slow h info '{}')"
send "$(event onhost h info '{}')"
expect_within "alert: 404 is not tried again" row_is gone failed 'HTTP 404'
expect_within "alert: a connection that is dropped" row_is drop failed 'connection closed without a response'
expect_within "alert: an answer that is not HTTP" row_is junk failed 'response is not HTTP'
expect_within "exec: an exit status" row_is fails failed 'exit 3'
says "exec: its output is in the log" 'rule fails: exec failed: exit 3: broken pipe' run.log
send "$(event leave h info '{}')"
expect_within "exec: what outlives a command is reported" logged 'leaver ended and left running: sh ([0-9]*)$'
left=$(cat "$dir/left")
logged "left running: sh ($left)\$" && kill -0 "$left"
result "exec: and not ended" $?
pkill -P "$left"
kill "$left"
expect_within "exec: and reaped in the end" sh -c "! kill -0 $left"
expect_within "exec: one that never ends" row_is slow failed 'timed out after 1s'
expect_within "exec on a device that does not take commands" row_is on-host failed 'the device was not there in time'
send "$(event impatient h info '{}')"
expect_within "alert: a webhook that hangs times out" row_is impatient failed 'timed out after 1s'
row_is hang failed 'connection closed without a response'
[ $? -eq 1 ] && touch "$dir/hook/release"
expect_within "alert: a webhook that hangs is waited for until then" row_is hang failed 'connection closed without a response'
expect_within "alert: 503 is tried again until it is taken" row_is later 'done' -
[ "$(grep -c '^/later' "$dir/hook/log")" = 3 ] && [ "$(grep -c '^/gone' "$dir/hook/log")" = 1 ]
result "alert: as many tries as it takes, and no more" $?
! grep -q "$secret" "$dir/run.log"
result "no secret in the log" $?

# events TYPE COUNT: signed, of as many hosts.
events() {
    i=0
    while [ "$i" -lt "$2" ]; do
        line=$(event "$1" "h$i" info '{}')
        printf '%s\n%s\n' "$line" "$(sign "$line")"
        i=$((i + 1))
    done
}

# More than one rule may have waiting, however large the queue was built: the sender waits.
jobs=$(sed -n 's/^CONFIG_EXEC_JOBS=//p' out/host/.config)
events many "$((jobs + 100))" >"$dir/many"
socat -u "OPEN:$dir/many" "TCP:127.0.0.1:$port"
expect_within "more than the queue holds: all is done" sh -c "[ \$(wc -l <'$dir/many.done') -eq $((jobs + 100)) ]"
[ "$(counter actions.exec.queue_full)" = 0 ] && [ "$(counter held)" -gt 0 ]
result "more than the queue holds: the sender waited, nothing was dropped" $?

# One rule that hangs: its sender waits for a bounded time, others do not.
holding() {
    "$nefia" reactor status --json -c "$dir/main" | grep -q "\"holding\":$1"
}
events stuck "$((jobs * 3 / 4 + 20))" >"$dir/stuck"
socat -u "OPEN:$dir/stuck" "TCP:127.0.0.1:$port"
expect_within "a rule that hangs: its queue fills" holding 1
rm "$dir/env"
send "$(event show.me other info '{}')"
within test -e "$dir/env" && holding 1
result "a rule that hangs: another sender's event acts meanwhile" $?
sed -i '/name: stuck/d' "$dir/main"
kill -HUP "$hub_pid"
expect_within "a rule that hangs: removed, everything continues" holding 0

# ---- bad input: rejected, the connection closed, one line, the daemon lives ------------------------------------------
before=$(counter events)
good=$(event fine h info '{}')
bad_input() {
    lines=$(grep -c 'closed: ' "$dir/run.log")
    # Each from an address of its own: the log names one once a minute.
    stranger=$((${stranger:-0} + 1))
    verdict=$(SOURCE=127.8.0.$stranger python3 "tests/fake/sender.py" raw "$port" "$dir/raw")
    [ "$verdict" = closed ] && within logged "connection from .*127.8.0.$stranger.* closed: $2" &&
        [ "$(grep -c 'closed: ' "$dir/run.log")" = $((lines + 1)) ]
    result "bad input: $1" $?
}
printf '%s\n%s\n' "$good" "$good" >"$dir/raw"
bad_input "signature missing" 'signature missing'
printf '%s\n\n' "$good" >"$dir/raw"
bad_input "signature empty" 'signature missing'
printf '%s\n%s\n' "$good" "$(sign "$good" | tr a-f A-F | tr 0 A)" >"$dir/raw"
bad_input "signature in capitals" 'signature is not 64'
printf '%s\n%s\n' "$good" "$(sign "$good" | cut -c 2-)" >"$dir/raw"
bad_input "signature one digit short" 'signature is not 64'
printf '%s\n%s0\n' "$good" "$(sign "$good")" >"$dir/raw"
bad_input "signature one digit long" 'signature is not 64'
printf '%s\n%s\r\n' "$good" "$(sign "$good")" >"$dir/raw"
bad_input "signature line ended by CR LF" 'signature is not 64'
printf '%s\n%s\n' "$good" "$(sign "$good ")" >"$dir/raw"
bad_input "signature wrong" 'wrong signature'

signed_raw() {
    printf '%s\n%s\n' "$1" "$(sign "$1")" >"$dir/raw"
}
signed_raw "$(printf '{"type":"a\377b"}')"
bad_input "not UTF-8" 'not UTF-8'
signed_raw "${good%\}}"
bad_input "truncated JSON" 'not JSON'
signed_raw "[]"
bad_input "not an object" 'not an event'
signed_raw '{"type":"a","source":"b","host_id":"c","timestamp":"2026-03-10T15:30:00Z","severity":"info"}'
bad_input "an event without data" 'not an event'
signed_raw '{"type":"a","type":"a","source":"b","host_id":"c","timestamp":"2026-03-10T15:30:00Z","severity":"info","data":{}}'
bad_input "a member twice" 'not an event'
long=$(event fine h info '{"x":"X"}' | python3 -c 'import sys; s = sys.stdin.read(); print(s.replace("X", "x" * (8192 - len(s) + 1)), end="")')
lines=$(grep -c 'closed: ' "$dir/run.log")
send "$long"
[ "${#long}" = 8192 ] && within counter_is events $((before + 1)) && [ "$(grep -c 'closed: ' "$dir/run.log")" = "$lines" ]
result "the longest line is taken" $?
signed_raw "$long "
bad_input "a line one byte too long" 'line longer than'
# An address is named once a minute. All of it is counted.
SOURCE=127.8.0.1
export SOURCE
head -c 70000 /dev/zero | tr '\0' x >"$dir/raw"
lines=$(grep -c 'closed: ' "$dir/run.log")
[ "$(python3 tests/fake/sender.py raw "$port" "$dir/raw")" = closed ] && within counter_is rejected.line_too_long 2
result "bad input: a line that does not end" $?
printf %s "$good" | socat -t 600 - "TCP:127.0.0.1:$port,bind=$SOURCE"
expect_within "bad input: the connection ends inside a line" counter_is rejected.line_unfinished 1
[ "$(grep -c 'closed: ' "$dir/run.log")" = "$lines" ]
result "bad input: an address is named once a minute" $?
unset SOURCE
expect_within "only the good ones were counted" counter_is events $((before + 1))

# ---- connections -----------------------------------------------------------------------------------------------------
# closed_for REASON…: how many connections the hub closed for one of these.
closed_for() {
    sum=0
    for reason; do
        sum=$((sum + $(counter "rejected.$reason")))
    done
    echo $sum
}
[ "$(python3 tests/fake/sender.py hold "$port" 70)" = 70 ]
result "70 connections: each is greeted" $?
[ "$(closed_for unproven)" -ge 6 ] && counter_is rejected.too_many_connections 0
result "but 64, and no more, are kept of those that have proved nothing" $?
expect_within "and their places are free again" counter_is connections.open 0

# ---- asking the daemon -----------------------------------------------------------------------------------------------
"$nefia" reactor events --follow --json -c "$dir/main" >"$dir/follow" &
other_pid=$!
within test -s "$dir/follow"
line=$(event show.follow h info '{"mark":"follow me"}')
send "$line"
expect_within "events --follow tells what happens" grep -q '"state":"done".*follow me' "$dir/follow"
python3 -c 'import json, sys
for line in sys.stdin: json.loads(line)' <"$dir/follow"
result "events --json: each line is JSON" $?
kill $other_pid
wait $other_pid 2>/dev/null
other_pid=
expect "status --json" 0 "$nefia" reactor status --json -c "$dir/main"
python3 -c 'import json, sys; d = json.load(sys.stdin); assert len(d["rules"]) == 15 and d["recent"] and d["counters"]["events"] > 0' <"$dir/out"
result "status --json: one object with everything" $?

# ---- reload ----------------------------------------------------------------------------------------------------------
cp "$dir/main" "$dir/main.good"
sed 's/^show/\\./; s/severity: critical/severity: criticl/' "$dir/main.good" >"$dir/main"
kill -HUP "$hub_pid"
expect_within "reload: a bad file is refused" logged 'the running configuration stays in force'
rm -f "$dir/env"
send "$(event show.again h info '{}')"
expect_within "reload: running actions continue" test -e "$dir/env"
sed 's/name: many/name: few/; s/\^many\$/^few$/' "$dir/main.good" >"$dir/main"
kill -HUP "$hub_pid"
expect_within "reload: a good file" logged 'reloaded: '
"$nefia" reactor status -c "$dir/main" >"$dir/out"
grep -q '^  few .* 0$' "$dir/out" && grep -q '^  critical-disk-alert .* 2$' "$dir/out" && ! grep -q '^  many  .*exec  .*60$' "$dir/out"
result "reload: rules change, hits stay by name" $?

# ---- the end ---------------------------------------------------------------------------------------------------------
sed "s|echo >>$dir/many.done|sleep 1; touch $dir/finished|" "$dir/main.good" >"$dir/main"
kill -HUP "$hub_pid"
# The log says the same as of the last one, and so perhaps only how often.
within sh -c "'$nefia' reactor status --json -c '$dir/main' | grep -q '\"name\":\"many\"'"
send "$(event many h info '{}')"
stop_hub
result "SIGTERM: exit status 0" $?
[ -e "$dir/finished" ]
result "SIGTERM: what runs is finished" $?
[ ! -e "$dir/main.sock" ]
result "SIGTERM: the control socket is gone" $?

# ---- restart while events are flowing --------------------------------------------------------------------------------
start_hub main
python3 "tests/fake/sender.py" steady "$port" "$dir/key" 1000 "$dir/again" >"$dir/steady" &
other_pid=$!
expect_within "load: events flow" sh -c "[ \$('$nefia' reactor status --json -c '$dir/main' | sed 's/.*\"events\":\([0-9]*\).*/\1/') -gt 1000 ]"
stop_hub
first=$(sed -n 's/.*stopped after \([0-9]*\) events/\1/p' "$dir/run.log")
start_hub main
touch "$dir/again"
wait $other_pid
result "load: the sender ends in peace" $?
other_pid=
stop_hub
second=$(sed -n 's/.*stopped after \([0-9]*\) events/\1/p' "$dir/run.log")
echo "   $first before the restart, $second after it"
[ $((first + second)) = "$(cat "$dir/steady")" ] && [ "$first" -gt 0 ] && [ "$second" -gt 0 ]
result "load: nothing is lost over a restart" $?

# ---- peers, no key ---------------------------------------------------------------------------------------------------
conf=peers
config peers <<END
  peers: [10.0.0.0/8, "fd00::/8"]
END
start_hub peers
printf '%s\n' "$good" >"$dir/raw"
bad_input "a peer that is not in the list" 'not in reactor.peers'
stop_hub
config peers <<END
  peers: [127.0.0.1]
  rules:
    - {name: critical-disk-alert, event_pattern: 'disk\\..*', host_pattern: 'prod-.*', severity: critical, action: {type: exec, command: 'true', target: hub}}
    - {name: a-rule-with-a-rather-long-name, event_pattern: '^(net|link)\\.', action: {type: exec, command: 'exit 7', target: hub}}
END
start_hub peers
{
    event disk.usage prod-1 critical '{}'
    echo
    event disk.usage web-01 critical '{}'
    echo
    event net.down a-host-with-a-long-name warning '{}'
    echo
} | socat -t 600 - "TCP:127.0.0.1:$port"
expect_within "without a key, from a peer in the list" counter_is actions.exec.failed 1
within counter_is actions.exec.done 1
"$nefia" reactor status -c "$dir/peers" >"$dir/out"
cmp "$dir/out" "tests/golden/reactor_status.txt"
result "status: the table, to the byte" $?
"$nefia" reactor events -c "$dir/peers" >"$dir/out"
sed -n '/^Recent/,$p' "tests/golden/reactor_status.txt" | tail -n +2 >"$dir/want"
sed 's/^  ....//' "$dir/out" | sed 's/^/  /' | cmp - "$dir/want" && sed 1d "$dir/out" | cut -c 3-5 | tr -d '\n ' | grep -qx 123
result "events: its lower half, with the numbers by which \`nefia why\` knows them" $?
expect "a foreign sender that speaks the link, without a key" 0 python3 tests/fake/linked.py "$port" - prod-9 disk.usage 40
says "more than the window has room for: all are acknowledged" '^40 0 open$' out
expect_within "and counted" counter_is events 43
python3 tests/fake/sender.py hold "$port" 30 >"$dir/out"
[ "$(closed_for unproven too_many_of_peer too_often_from_peer)" -ge 22 ] && counter_is rejected.too_many_connections 0
result "8 connections of an address, and no more, are kept" $?
stop_hub

# ---- few descriptors -------------------------------------------------------------------------------------------------
conf=few
config few <<END
  peers: [127.0.0.1]
  max_connections_per_peer: 0
  reserved_connections: 0
  rules:
    - {name: run, event_pattern: '^run$', action: {type: exec, command: 'echo >>$dir/few.done', target: hub}}
END
# As with_descriptors, whose subshell would be what stop_hub ends, and the hub would stay.
# shellcheck disable=SC3045
(ulimit -n 60 && exec "$nefia" reactor run -c "$dir/few" 2>"$dir/run.log") &
hub_pid=$!
within logged 'listening on'
says "few descriptors: connections share what the rest leaves" 'open files: [0-9]* needed, 60 permitted (ulimit -n), connections: [1-9][0-9]*$' run.log
room=$(sed -n 's/.*connections: //p' "$dir/run.log")
# More connections than fit stay open, each of which has brought an event; one more event needs a child.
python3 -c '
import os, socket, sys, time
held = []
for i in range(int(sys.argv[2])):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.sendall(sys.argv[3].encode() + b"\n")
    held.append(s)
open(sys.argv[4], "w").close()
while not os.path.exists(sys.argv[5]):
    time.sleep(0.05)' "$port" $((room - 1)) "$(event quiet h info '{}')" "$dir/held" "$dir/let-go" &
hold_pid=$!
within test -e "$dir/held"
expect_within "few descriptors: as many connections as were said" counter_is events $((room - 1))
event run h info '{}' >"$dir/raw"
echo >>"$dir/raw"
socat -t 600 - "TCP:127.0.0.1:$port" <"$dir/raw"
expect_within "few descriptors: an action begins nevertheless" test -e "$dir/few.done"
touch "$dir/let-go"
wait $hold_pid
hold_pid=
stop_hub
with_descriptors 20 "$nefia" reactor run -c "$dir/few" >"$dir/out" 2>&1
[ $? -eq 1 ] && grep -q 'open files: [0-9]* needed, 20 permitted (ulimit -n), connections: 0$' "$dir/out"
result "too few descriptors: refused at the start, with what is missing" $?

finish
