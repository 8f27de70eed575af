#!/bin/sh
# The beacon as a whole program, on loopback: what it says, sends, survives, and how it ends.
#   tests/beacon_test.sh [PROGRAM]      default: out/host/nefia-beacon
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

beacon=${1:-out/host/nefia-beacon}
key=0123456789abcdef0123
beacon_pid=
hub_pid=

stop_all() {
    for pid in $beacon_pid $hub_pid; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    umount "$dir/disk" 2>/dev/null
    rm -rf "$dir"
}
trap stop_all EXIT
trap 'exit 1' HUP INT TERM

port=$(free_port)

# config HOST EXTRA: $dir/nefia.yaml, with more lines of `beacons:`.
config() {
    cat >"$dir/nefia.yaml" <<YAML
host_id: $1
beacons:
  reactor: "127.0.0.1:$port"
  hmac_key_file: $dir/key
  control_socket: $dir/beacon.sock
  max_events_per_min: 120
$2
YAML
}

start_hub() {
    python3 tests/fake/hub.py "$port" "$dir/hub.log" &
    hub_pid=$!
    within 5 sh -c "ss -ltn | grep -q '127.0.0.1:$port '"
}

stop_hub() {
    kill "$hub_pid" && wait "$hub_pid"
    hub_pid=
}

start_beacon() {
    "$beacon" run -c "$dir/nefia.yaml" >"$dir/run.log" 2>&1 &
    beacon_pid=$!
    within 5 "$beacon" status -c "$dir/nefia.yaml"
}

# The exit status of the beacon is this one's.
stop_beacon() {
    kill "$beacon_pid"
    wait "$beacon_pid"
    set -- $?
    beacon_pid=
    return "$1"
}

emit() {
    "$beacon" emit -c "$dir/nefia.yaml" "$@" >"$dir/out" 2>"$dir/err"
}

heard() {
    grep -q -e "$1" "$dir/hub.log"
}

status_has() {
    "$beacon" status -c "$dir/nefia.yaml" | grep -q -e "$1"
}

printf '%s\n' $key >"$dir/key"
chmod 600 "$dir/key"

command_line() {
    expect "--version" 0 "$beacon" --version
    says "--version: the board" '^nefia-beacon [0-9].*(host)' out
    says "--version: the features" '^features: .*sensor-disk' out
    expect "--help" 0 "$beacon" --help
    says "--help: the verbs" '^  once ' out
    expect "verb --help" 0 "$beacon" emit --help
    expect "no verb" 2 "$beacon"
    expect "unknown verb" 2 "$beacon" rnu
    says "unknown verb: the remedy" 'see .nefia-beacon --help' err
    expect "unknown option" 2 "$beacon" once --fast
    expect "no configuration" 2 "$beacon" check -c "$dir/none.yaml"
    says "no configuration: the reason" 'none.yaml.*No such file' err
    config a ''
    expect "status without a daemon" 1 "$beacon" status -c "$dir/nefia.yaml"
    says "status without a daemon: the reason" 'cannot reach' err
}

mistakes() {
    cat >"$dir/bad.yaml" <<YAML
beacons:
  reactor: "hub example:9500"
  max_event_per_min: 10
  dedup_window: 5
  disk_usage: {warning_percent: 95, critical_percent: 90}
  scripts:
    - {name: a, command: "true", severity: criticl}
YAML
    expect "five mistakes" 2 "$beacon" check -c "$dir/bad.yaml"
    says "five mistakes: no address" 'bad.yaml:2: beacons.reactor' err
    says "five mistakes: an unknown key" 'bad.yaml:3: beacons.max_event_per_min: .*max_events_per_min' err
    says "five mistakes: no unit" 'bad.yaml:4: beacons.dedup_window' err
    says "five mistakes: thresholds" 'bad.yaml:5: beacons.disk_usage: warning_percent' err
    says "five mistakes: a word" 'bad.yaml:7: beacons.scripts\[0\].severity: "criticl" is not one of' err
    expect "five mistakes start nothing" 2 "$beacon" run -c "$dir/bad.yaml"

    expect "check" 0 "$beacon" check -c "$dir/nefia.yaml"
    sed "s|$dir/key|$dir/nokey|" "$dir/nefia.yaml" >"$dir/bad.yaml"
    expect "missing key file" 2 "$beacon" check -c "$dir/bad.yaml"
    says "missing key file: where and why" 'bad.yaml:4: beacons.hmac_key_file: .*No such file' err
    cp "$dir/key" "$dir/openkey"
    chmod 644 "$dir/openkey"
    sed "s|$dir/key|$dir/openkey|" "$dir/nefia.yaml" >"$dir/bad.yaml"
    expect "key file for all to read" 2 "$beacon" check -c "$dir/bad.yaml"
    says "key file for all to read: the remedy" 'chmod' err
    sed "s|^  hmac_key_file.*|  hmac_key: $key|" "$dir/nefia.yaml" >"$dir/bad.yaml"
    chmod 644 "$dir/bad.yaml"
    expect "a key in a configuration for all to read" 2 "$beacon" check -c "$dir/bad.yaml"
    says "a key in a configuration for all to read: the remedy" "bad.yaml:4: beacons.hmac_key: .*chmod 600 $dir/bad.yaml" err
    chmod 600 "$dir/bad.yaml"
    expect "a key in a configuration of our own" 0 "$beacon" check -c "$dir/bad.yaml"
    sed "s|^  hmac_key_file.*|&\n  hmac_key: $key|" "$dir/nefia.yaml" >"$dir/bad.yaml"
    expect "two keys" 2 "$beacon" check -c "$dir/bad.yaml"
    says "two keys: the remedy" 'hmac_key is given too; remove one of them' err
    echo 'beacons: {}' >"$dir/bad.yaml"
    expect "no hub" 2 "$beacon" check -c "$dir/bad.yaml"
    says "no hub: the remedy" 'beacons.reactor: missing' err
    expect "the example is fine" 0 "$beacon" once -c rootfs-overlay/etc/nefia/nefia.yaml
}

once() {
    echo '{"beacons": {"disk_usage": {"warning_percent": 0.1}, "scripts": [{"name": "s", "command": "exit 2"}]}}' \
        >"$dir/once.json"
    expect "once, without key, hub and network" 0 "$beacon" once -c "$dir/once.json"
    says "once: the disk" '^{"type":"disk.usage","source":"disk-beacon",.*"path":"/","used_percent":"' out
    says "once: the script" '"type":"script.result".*"severity":"critical"' out
    python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]' <"$dir/out"
    result "once: JSON Lines" $?
}

signed() {
    config signed ''
    sed -i 's/"127.0.0.1:/"localhost:/' "$dir/nefia.yaml"
    start_hub
    start_beacon
    result "run answers" $?
    within 5 heard '"beacon.started"'
    result "the start is told" $?
    expect "emit" 0 emit ups.on_battery critical 'charge=93 %' 'quote="'
    within 5 heard '"ups.on_battery"'
    result "emit is sent" $?
    grep -A 1 '"ups.on_battery"' "$dir/hub.log" >"$dir/event"
    head -n 1 "$dir/event" | tr -d '\n' >"$dir/line"
    [ "$(openssl dgst -sha256 -hmac $key "$dir/line" | sed 's/.*= //')" = "$(sed -n 2p "$dir/event")" ]
    result "openssl finds the same signature" $?
    grep -q '"data":{"charge":"93 %","quote":"\\""}' "$dir/event"
    result "emit: the data" $?
    expect "emit: a repetition is held back" 1 emit ups.on_battery critical 'charge=93 %' 'quote="'
    says "emit: and why" 'held back' out
    expect "emit: other data is no repetition" 0 emit ups.on_battery critical 'charge=92 %'
    expect "emit: bad severity" 2 emit a.b bad
    expect "emit: bad type" 2 emit 'a b' info
    expect "emit: bad pair" 2 emit a.b info novalue
    expect "status" 0 "$beacon" status -c "$dir/nefia.yaml"
    says "status: the hub" '^hub .*, up for' out
    says "status: the counts" '^critical  *2  *1  *0  *0$' out
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c 'import json, sys
s = json.load(sys.stdin)
assert s["uplink"]["state"] == "up" and s["heard"]["critical"] == 2 and s["sensors"] == [], s'
    result "status --json" $?
    "$beacon" run -c "$dir/nefia.yaml" >"$dir/out" 2>"$dir/err"
    [ $? -eq 1 ]
    result "a second one on the same socket ends" $?
}

reload() {
    config other '  disk_usage: {warning_percent: high}'
    kill -HUP "$beacon_pid"
    within 5 grep -q 'was not reloaded' "$dir/run.log"
    result "reload: a file with an error is refused" $?
    status_has 'on signed,'
    result "reload: and what runs stays" $?
    config reloaded '  disk_usage: {interval: 1h}'
    kill -HUP "$beacon_pid"
    within 5 status_has 'on reloaded,'
    result "reload" $?
    status_has '^disk_usage '
    result "reload: a new sensor" $?
    emit ups.on_battery critical 'charge=92 %'
    emit ups.on_battery critical 'charge=92 %'
    says "reload: what was heard is remembered" 'held back' out
}

ending() {
    emit last.word warning n=1
    stop_beacon
    result "SIGTERM: exit status 0" $?
    heard '"last.word"'
    result "SIGTERM: what waited was sent" $?
    grep -q 'all events were delivered' "$dir/run.log"
    result "SIGTERM: and that is said" $?
    stop_hub
    start_beacon
    emit lost.word warning
    emit lost.word critical
    stop_beacon
    grep -q 'stopped; 3 events were not delivered' "$dir/run.log"
    result "SIGTERM without a hub: how many were not sent" $?
}

rate() {
    config rate '  state_dir: '"$dir"'
'
    sed -i 's/max_events_per_min: 120/max_events_per_min: 5/' "$dir/nefia.yaml"
    start_hub
    start_beacon
    for i in 1 2 3 4; do
        emit rate.test warning n=$i
    done
    expect "rate: four warnings of five, the fifth place is critical's" 1 emit rate.test warning n=5
    expect "rate: a critical one" 0 emit rate.test critical n=6
    stop_beacon
    heard '"beacon.suppressed".*"suppressed":1,.*"rate.test":{"warning":1}'
    result "rate: told at the end" $?
    boot=$(grep '"host_id":"rate"' "$dir/hub.log" | tail -n 1 | sed 's/.*"boot":\([0-9]*\).*/\1/')
    start_beacon
    stop_beacon
    heard "\"host_id\":\"rate\".*\"boot\":$((boot + 1)),"
    result "the count of starts is kept" $?
    stop_hub
}

restarts() {
    config restarts ''
    : >"$dir/hub.log"
    start_hub
    start_beacon
    i=0
    while [ $i -lt 90 ]; do
        emit flow.test warning n=$i
        i=$((i + 1))
        if [ $((i % 30)) -eq 15 ]; then
            stop_hub
            start_hub
        fi
        sleep 0.05
    done
    within 20 status_has '^spool  *0 events'
    grep -o '"n":"[0-9]*"' "$dir/hub.log" | sort -u >"$dir/out"
    [ "$(wc -l <"$dir/out")" -eq 90 ]
    result "a hub that restarts while events flow loses none of 90" $?
    # And one that dies: what it did not acknowledge is sent again.
    kill -9 "$hub_pid"
    wait "$hub_pid" 2>/dev/null
    emit flow.test warning n=last
    start_hub
    within 20 heard '"n":"last"'
    result "a hub that was killed gets the next ones" $?
    stop_beacon
    stop_hub
}

scripts() {
    config scripts '  scripts:
    - {name: endless, command: "while :; do :; done", interval: 1m, timeout: 20s}
    - {name: loud, command: "yes | head -c 10000000; exit 1", interval: 1m}
    - {name: killed, command: "kill -KILL $$", interval: 1m}
    - {name: short, command: "while :; do sleep 9; done", interval: 1m, timeout: 500ms}'
    start_hub
    : >"$dir/hub.log"
    start_beacon
    sed -i 's/host_id: scripts/host_id: scripts2/' "$dir/nefia.yaml"
    for word in '"name":"loud".*"output_bytes":10000000' '"name":"killed".*"signal":9' '"name":"short".*"timed_out":true'; do
        within 40 heard "$word"
        result "scripts: $word" $?
    done
    within 40 status_has '^scripts endless .*running'
    result "scripts: the endless one runs" $?
    timeout 2 "$beacon" status -c "$dir/nefia.yaml" >"$dir/out"
    result "scripts: and nobody waits for it" $?
    stop_beacon
    result "scripts: nor at the end" $?
    [ -z "$(pgrep -f 'while :; do :; don[e]')" ]
    result "scripts: which ends it too" $?
    stop_hub
}

full_disk() {
    if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null; then
        echo "skip: full disk: it takes root"
        return
    fi
    mkdir -p "$dir/disk"
    cat >"$dir/disk.json" <<JSON
{"beacons": {"disk_usage": {"paths": ["$dir/disk"], "warning_percent": 80, "critical_percent": 90}}}
JSON
    unshare -m sh -c "mount -t tmpfs -o size=1000k none '$dir/disk' &&
        head -c 850000 /dev/zero >'$dir/disk/a' && '$beacon' once -c '$dir/disk.json' &&
        head -c 90000 /dev/zero >'$dir/disk/b' && '$beacon' once -c '$dir/disk.json' &&
        { cat /dev/zero >'$dir/disk/c' 2>/dev/null; '$beacon' once -c '$dir/disk.json'; }" >"$dir/out" 2>"$dir/err"
    [ "$(sed 's/.*"severity":"\([a-z]*\)".*/\1/' "$dir/out" | tr '\n' ' ')" = "warning critical critical " ]
    result "a disk that fills" $?
    says "a disk that is full" '"used_percent":"100.0","total_bytes":1024000,"free_bytes":0' out
}

no_heap() {
    config heap '  disk_usage: {interval: 1s, warning_percent: 0.1}'
    start_hub
    strace -f -o "$dir/trace" "$beacon" run -c "$dir/nefia.yaml" >"$dir/run.log" 2>&1 &
    strace_pid=$!
    within 5 "$beacon" status -c "$dir/nefia.yaml"
    beacon_pid=$(sed -n '1s/ .*//p' "$dir/trace")
    for i in 1 2 3 4 5 6 7 8 9; do
        emit heap.test info n=$i
    done
    kill -HUP "$beacon_pid"
    within 5 grep -q 'reloaded' "$dir/run.log"
    within 5 status_has '^disk_usage .* ok'
    kill "$beacon_pid"
    wait $strace_pid
    beacon_pid=
    [ "$(grep -c ppoll "$dir/trace")" -gt 10 ] && ! sed '1,/ppoll/d' "$dir/trace" | grep -E '(brk|mmap2?|mremap)\('
    result "no brk, mmap, mremap after the start, over load and reload" $?
    stop_hub
}

idle() {
    config idle '  disk_usage: {interval: 1h}'
    start_hub
    start_beacon
    within 5 status_has '^spool  *0 events'
    count='import json, sys; print(json.load(sys.stdin)["wakeups"])'
    "$beacon" status --json -c "$dir/nefia.yaml" >/dev/null
    a=$("$beacon" status --json -c "$dir/nefia.yaml" | python3 -c "$count")
    b=$("$beacon" status --json -c "$dir/nefia.yaml" | python3 -c "$count")
    sleep 3
    c=$("$beacon" status --json -c "$dir/nefia.yaml" | python3 -c "$count")
    [ $((c - b)) -le $((b - a + 1)) ]
    result "idle: three seconds without a wake-up" $?
    stop_beacon
    stop_hub
}

command_line
mistakes
once
signed
reload
ending
rate
restarts
scripts
full_disk
no_heap
idle
finish
