#!/bin/sh
# `nefia replay` against the history of a real hub: with the same rules every decision is what it was, over restraint, silences, reloads,
# kills and new files of the journal; with others the differences are those that there must be. It changes nothing.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=$PWD/out/host/nefia
hub_pid=
processes=hub_pid
port=$(free_port)

# config RULES…: the configuration with these lines of rules.
config()
{
    cat <<YAML
host_id: hub
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  control_socket: $dir/hub.sock
  state_dir: $state
  journal_kb: 256
  hosts:
    - {host_id: gw-0, labels: {site: north}}
    - {host_id: gw-1, labels: {site: south}}
  rules:
YAML
    printf '    - %s\n' "$@"
    echo "policy: {mode: enforce, deny_commands: ['$denied']}"
}
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
# The rows of the recent events are gone with the hub.
stop_hub()
{
    hub reactor events --json >>"$dir/rows"
    kill "$1" "$hub_pid"
    wait "$hub_pid" 2>/dev/null
}
# event TYPE HOST BOOT SEQ SEVERITY MORE
event()
{
    printf '{"type":"%s","source":"s","host_id":"%s","timestamp":"2026-03-10T15:30:00Z","boot":%s,"seq":%s,"severity":"%s","data":{"n":%s}%s}\n' \
        "$1" "$2" "$3" "$4" "$5" "$(($4 % 3))" "$6"
}
send()
{
    socat -u - "TCP:127.0.0.1:$port"
}
# seen HOST BOOT SEQ
seen()
{
    hub why "$1:$2:$3"
}

# ---- as the documentation has it ----
state=$dir/documented
denied='^none$'
free="{name: free-disk, event_pattern: '^disk\\.', host_pattern: south, action: {type: exec, target: hub, command: 'true'}}"
clean="{name: clean-up, event_pattern: '^disk\\.', host_pattern: '^gw-north\$', action: {type: exec, target: hub, command: 'cd /tmp; rm -rf old'}}"
config "$free" "$clean" >"$dir/nefia.yaml"
start_hub
hub silence add --host gw-south --for 1h --why x >"$dir/out"
event disk.usage gw-south 7 40 info '' | send
within seen gw-south 7 40
hub silence remove 1 >"$dir/out"
for seq in 41 42 43; do
    event disk.usage gw-south 7 "$seq" info '' | send
    within seen gw-south 7 "$seq"
done
event disk.usage gw-north 3 9 info '' | send
within seen gw-north 3 9
denied='rm -rf'
config "$(echo "$free" | sed 's/action:/cooldown: 5m, &/')" "$clean" >"$dir/new.yaml"
python3 tests/docs.py block replay | sed -e "s|/var/lib/nefia-hub|$state|" -e "s|new.yaml|$dir/new.yaml|" >"$dir/documented.sh"
python3 tests/docs.py block replay-answer >"$dir/wanted"
mkdir "$dir/bin"
ln -s "$nefia" "$dir/bin/nefia"
PATH="$dir/bin:$PATH" sh "$dir/documented.sh" >"$dir/got" 2>"$dir/err"
result "the documented command works beside a running hub" $?
for file in wanted got; do
    sed -e 's/20[0-9]*-[-0-9T:Z]*\( [0-9]*:[0-9]*\)\{0,1\}/TIME/g' -e 's/4m[0-9]*s left/4m left/' -e 's/^4 events/5 events/' "$dir/$file" >"$dir/$file.timeless"
done
diff "$dir/wanted.timeless" "$dir/got.timeless" >"$dir/out"
result "and answers as documented" $?
stop_hub -TERM

# ---- a random history ----
state=$dir/state
denied='rm -rf'
: >"$dir/rows"
rules() # COOLDOWN
{
    config "{name: cool, event_pattern: '^disk\\.', cooldown: $1, action: {type: exec, target: hub, command: 'true'}}" \
        "{name: once, event_pattern: '^(disk|door)\\.', once_within: 3s, once_per: [host, data.n], action: {type: exec, target: hub, command: 'true'}}" \
        "{name: third, event_pattern: '^door\\.', after: {count: 3, within: 20s}, max_per_hour: 4, action: {type: exec, target: hub, command: 'true'}}" \
        "{name: broken, severity: warning, event_pattern: '^disk\\.', breaker: {failures: 2, pause: 1s}, action: {type: exec, target: hub, command: 'sleep 0.2; exit \$((\$NEFIA_DATA_N % 2))'}}" \
        "{name: denied, event_pattern: '^door\\.', host_pattern: '[02]\$', action: {type: exec, target: hub, command: 'rm -rf /nowhere'}}" \
        "{name: plain, idempotent: true, action: {type: exec, target: hub, command: 'sleep 0.1'}}"
}
rules 700ms >"$dir/nefia.yaml"
seed=${REPLAY_SEED:-$(date +%s)}
echo "REPLAY_SEED=$seed"
python3 - "$seed" >"$dir/steps" <<'PY'
import random, sys
r = random.Random(int(sys.argv[1]))
for seq in range(1, 121):
    causes = r.choice(['', '', '', ',"cause":["plain"]', ',"cause":["cool","once"]'])
    print("event", r.choice(["disk.usage", "disk.usage", "door.open"]), f"gw-{r.randrange(3)}", seq, r.choice(["info", "warning", "critical"]), causes or "-")
    # A start begins a file, and two are kept.
    if seq in (15, 30, 75):
        print(r.choice(["kill", "kill", "stop"]))
    if seq % 25 == 20:
        print("reload")
    if seq % 9 == 4:
        what = r.choice(["--host gw-1", "--label site=north", "--type ^door", "--rule broken", "--rule plain --host ^gw-[12]$"])
        print("silence", what, "--for", r.choice(["1s", "2s", "1h"]))
    if seq % 30 == 0:
        print("unsilence")
PY
unsilence()
{
    for id in $(hub silence list --json | python3 -c 'import json, sys; print(*[s["id"] for s in json.load(sys.stdin)["silences"]])'); do
        hub silence remove "$id" >"$dir/out" 2>&1
    done
}
start_hub
while read -r step a b c d e; do
    case $step in
    event) event "$a" "$b" 1 "$c" "$d" "${e#-}" | send ;;
    silence)
        # shellcheck disable=SC2086 # they are words
        hub silence add $a $b $c $d $e --why test >"$dir/out" 2>&1 ;;
    unsilence) unsilence ;;
    reload)
        hub reactor events --json >>"$dir/rows"
        kill -HUP "$hub_pid" ;;
    kill)
        stop_hub -KILL
        start_hub ;;
    stop)
        stop_hub -TERM
        start_hub ;;
    esac
done <"$dir/steps"
# However fast the machine is, a cooldown ends within what the journal keeps.
unsilence
for seq in 121 122; do
    sleep 0.8
    event disk.usage gw-0 1 "$seq" info '' | send
    within seen gw-0 1 "$seq"
done
over()
{
    [ "$(hub reactor status --json | python3 -c '
import json, sys
e = json.load(sys.stdin)["counters"]["actions"]["exec"]
print(e["queued"] + e["running"])')" = 0 ]
}
within over
hub reactor events --json >"$dir/rows.last"
# Of the files and of the directory: what they hold, and when they were changed.
sum()
{
    {
        cat "$state"/journal.*
        stat -c '%n %s %Y %Z' "$state" "$state"/*
    } | sha256sum
}
before=$(sum)
expect "the history is replayed" 0 hub replay "$state" --json
cp "$dir/out" "$dir/replayed"
[ "$before" = "$(sum)" ]
result "nothing was written" $?
stop_hub -TERM
tail -n 1 "$dir/replayed" | grep -q '"differences":0,'
result "with the same rules nothing differs" $?
# The rows that the hub has shown are another account of the same.
python3 - "$dir/replayed" "$dir/rows" >"$dir/err" <<'PY'
import json, sys
would, kinds = {}, {}
for line in map(json.loads, open(sys.argv[1])):
    if "would" in line:
        assert line["did"] == line["would"] and not line["differs"], line
        kinds[line["would"]] = kinds.get(line["would"], 0) + 1
        if line["host"] != "hub":
            would[line["host"], line["boot"], line["seq"], line["rule"]] = line
compared = 0
for line in map(json.loads, open(sys.argv[2])):
    if not line.get("rule") or line["host"] == "hub":
        continue
    key = line["host"], line["event"]["boot"], line["event"]["seq"], line["rule"]
    if key not in would:
        continue  # of a generation of the journal that is gone
    error = line["error"] or ""
    if error.startswith("own effect"):
        was = "own_effect"
    elif line["state"] in ("silenced", "restrained"):
        was = line["state"]
    elif error.startswith("denied"):
        was = "denied"
    else:
        was = "acted"
    compared += 1
    assert would[key]["would"] == was, (key, would[key], line)
    if was == "silenced":
        assert would[key]["detail"] == error.split(" until")[0].replace("silenced", "silenced", 1), (would[key], error)
    if was == "restrained":
        # The figures too: only what is left was counted at the end of the same millisecond.
        assert would[key]["detail"].removeprefix("restrained: ") == error, (would[key], error)
print(compared, kinds)
assert compared > 60, compared
for kind in ("acted", "restrained", "silenced", "denied", "own_effect"):
    assert kinds.get(kind, 0) > 0, (kind, kinds)
PY
result "every decision is what the hub has shown, with its figures" $?

# ---- other rules ----
rules 1h >"$dir/new.yaml"
expect "another cooldown" 0 "$nefia" replay "$state" --rules "$dir/new.yaml" --json
python3 - "$dir/out" <<'PY' >"$dir/err"
import json, sys
lines = list(map(json.loads, open(sys.argv[1])))
assert {l["rule"] for l in lines if l.get("differs") and "would" in l} == {"cool"}
rule = [l for l in lines if l.get("name") == "cool"][0]
assert rule["acted"] <= 1 and rule["restrained"]["cooldown"] > 0 and rule["differs"] > 0, rule
assert lines[-1]["differences"] == rule["differs"]
PY
result "changes only its rule" $?
sed -e '/name: third/d' -e "s/rm -rf/^none/" "$dir/nefia.yaml" >"$dir/new.yaml"
expect "a rule that is gone, and a looser policy" 0 "$nefia" replay "$state" --rules "$dir/new.yaml"
says "are differences" 'door.open from gw-. (boot 1, seq [0-9]*): third: no match; was: ' out
says "both" 'denied: acted; was: denied$' out
sed -e 's/nefia.sock/x/' -e 's/cooldown: 700ms/cooldown: never/' "$dir/nefia.yaml" >"$dir/new.yaml"
expect "rules with a mistake" 2 "$nefia" replay "$state" --rules "$dir/new.yaml"
for file in "$state"/journal.?; do
    expect "${file##*/} alone" 0 hub replay "$file"
done

# ---- files ----
expect "rows of reactor events" 0 hub replay "$dir/rows.last" --json
python3 - "$dir/rows.last" "$dir/out" <<'PY' >"$dir/err"
import json, sys
events = {json.dumps(json.loads(l)["event"]) for l in open(sys.argv[1])}
total = [json.loads(l) for l in open(sys.argv[2])][-1]
assert total["events"] == len(events) and total["unread"] == 0, (total, len(events))
PY
result "each event once" $?
{
    event disk.usage gw-0 1 1 warning ''
    event disk.usage gw-0 1 2 warning ',"clock":"unsynced"' | sed 's/2026/1970/'
    echo 'no event'
    event disk.usage gw-0 1 3 warning '' | sed 's/15:30:00/15:30:05/'
} >"$dir/raw"
expect "events as they are sent" 0 hub replay "$dir/raw"
says "in their own time" '^  cool  *3  *2 .* 1 cooldown' out
says "but for what is none" '^1 line could not be read' out
expect "what has no event" 1 hub replay "$dir/nefia.yaml"
expect "what is not there" 1 hub replay "$dir/nothing"
says "is said" 'nothing: No such file' err
finish
