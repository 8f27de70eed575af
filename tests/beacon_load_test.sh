#!/bin/sh
# The beacon as a whole program, on loopback: what it survives, and what it costs.
#   tests/beacon_load_test.sh [PROGRAM]      default: out/host/nefia-beacon
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
# shellcheck source=tests/beacon_lib.sh
. tests/beacon_lib.sh

restarts() {
    config restarts ''
    : >"$dir/hub.log"
    start_link_hub
    start_beacon
    i=0
    while [ $i -lt 90 ]; do
        emit flow.test warning n=$i
        i=$((i + 1))
        if [ $((i % 30)) -eq 15 ]; then
            stop_hub
            start_link_hub
        fi
        sleep 0.05
    done
    within status_has '^  In memory  *0 events'
    grep -o '"n":"[0-9]*"' "$dir/hub.log" | sort -u >"$dir/out"
    [ "$(wc -l <"$dir/out")" -eq 90 ]
    result "a hub that restarts while events flow loses none of 90" $?
    # And one that dies: what it did not acknowledge is sent again.
    kill -9 "$hub_pid"
    wait "$hub_pid" 2>/dev/null
    emit flow.test warning n=last
    start_link_hub
    within heard '"n":"last"'
    result "a hub that was killed gets the next ones" $?
    stop_beacon
    stop_hub
}

scripts() {
    config scripts '  scripts:
    - {name: endless, command: "while :; do : '"$dir"'; done", interval: 20s, timeout: 15s}
    - {name: loud, command: "yes | head -c 10000000; exit 1", interval: 10s}
    - {name: killed, command: "kill -KILL $$", interval: 10s}
    - {name: short, command: "while :; do sleep 9; done", interval: 10s, timeout: 500ms}'
    start_link_hub
    : >"$dir/hub.log"
    start_beacon
    sed -i 's/host_id: scripts/host_id: scripts2/' "$dir/nefia.yaml"
    for word in '"name":"loud".*"output_bytes":10000000' '"name":"killed".*"signal":9' '"name":"short".*"timed_out":true'; do
        within heard "$word"
        result "scripts: $word" $?
    done
    within status_has '^  scripts  *endless .*running'
    result "scripts: the endless one runs, and status does not wait for it" $?
    stop_beacon
    result "scripts: nor at the end" $?
    within sh -c "! pgrep -f 'while :; do : $dir; don[e]'"
    result "scripts: which ends it too" $?
    stop_hub
}

full_disk() {
    if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null; then
        echo "skip: a full disk: it takes root and a mount namespace"
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
    says "a full disk" '"used_percent":"100.0","total_bytes":1024000,"free_bytes":0' out
}

no_heap() {
    config heap '  disk_usage: {interval: 1s, warning_percent: 0.1}'
    start_link_hub
    background run.log strace -f -o "$dir/trace" "$beacon" run -c "$dir/nefia.yaml"
    strace_pid=$!
    within "$beacon" status -c "$dir/nefia.yaml"
    beacon_pid=$(sed -n '1s/ .*//p' "$dir/trace")
    for i in 1 2 3 4 5 6 7 8 9; do
        emit heap.test info n=$i
    done
    kill -HUP "$beacon_pid"
    within grep -q 'reloaded' "$dir/run.log"
    within status_has '^  disk_usage .* ok'
    kill "$beacon_pid"
    wait $strace_pid
    beacon_pid=
    [ "$(grep -c epoll_pwait "$dir/trace")" -gt 10 ] && ! sed '1,/epoll_pwait/d' "$dir/trace" | grep -E '(brk|mmap2?|mremap)\('
    result "no brk, mmap, mremap after the start, over load and reload" $?
    stop_hub
}

wakeups() {
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c 'import json, sys; print(json.load(sys.stdin)["wakeups"])'
}

# Each question costs some itself.
three_quiet_seconds() {
    a=$(wakeups)
    b=$(wakeups)
    sleep 3
    c=$(wakeups)
    [ $((c - b)) -le $((b - a + 1)) ]
}

idle() {
    config idle '  disk_usage: {interval: 1h}'
    start_link_hub
    start_beacon
    within status_has '^  In memory  *0 events'
    within three_quiet_seconds
    result "idle: three seconds without a wake-up" $?
    stop_beacon
    stop_hub
}

restarts
scripts
full_disk
no_heap
idle
finish
