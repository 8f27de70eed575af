#!/bin/sh
# Sensors that a descriptor wakes, against the real thing: files by inotify, the log of this machine's kernel, and interfaces and
# routes of a network namespace that is made for the test.
#   tests/sensors_woken_test.sh [PROGRAM]      default: out/host/nefia-beacon
# The interfaces and the kernel's log take root.
cd "$(dirname "$0")/.." || exit 1
if [ "${1-}" != inside ] && [ "$(id -u)" -eq 0 ] && unshare -n true 2>/dev/null; then
    exec unshare -n sh tests/sensors_woken_test.sh inside "$@"
fi
inside=
if [ "${1-}" = inside ]; then
    inside=y
    shift
    ip link set lo up
fi
. tests/lib.sh
# shellcheck source=tests/beacon_lib.sh
. tests/beacon_lib.sh

reloads=0
reload()
{
    reloads=$((reloads + 1))
    kill -HUP "$beacon_pid"
    within status_has ", $reloads reloads,"
}

# count PATTERN: how many events have it.
count()
{
    grep -c -e "$1" "$dir/hub.log"
}

heard_times()
{
    [ "$(count "$2")" -eq "$1" ]
}

# comes NAME PATTERN: an event.
comes()
{
    within heard "$2"
    result "$1" $?
}

# never NAME PATTERN: none, although later ones have come.
never()
{
    ! heard "$2"
    result "$1" $?
}

# It has started; its first look may be to come.
is_ok()
{
    status_has "^  $1  *$1 " && ! status_has "^  $1 .*\(failed\|not measured\)"
}

# ---- files ----
files()
{
    mkdir "$dir/watched"
    echo one >"$dir/watched/a"
    config woken "  require_ack: false
  file:
    interval: 1h
    files:
      - {path: $dir/watched/a}
      - {path: $dir/watched/later/on/b, severity: critical}
      - {path: $dir/watched/log, max_size: 100}"
    start_hub plain
    start_beacon
    is_ok file
    result "file: it runs" $?
    echo two >>"$dir/watched/a"
    comes "file: a change" "\"type\":\"file.changed\".*\"severity\":\"warning\".*/watched/a\",\"change\":\"changed\",\"size\":8}"
    mkdir -p "$dir/watched/later/on"
    echo three >"$dir/watched/later/on/b"
    comes "file: its directories come later" '"severity":"critical".*/on/b","change":"created","size":6}'
    echo four >"$dir/watched/new" && mv "$dir/watched/new" "$dir/watched/later/on/b"
    comes "file: a replacement by rename" '/on/b","change":"changed","size":5}'
    rm -r "$dir/watched/later"
    comes "file: a removal" '/on/b","change":"removed"}'
    head -c 200 /dev/zero >"$dir/watched/log"
    comes "file: growth" '/log","change":"grown","size":200}'
    kill -STOP "$beacon_pid"
    mv "$dir/watched/a" "$dir/watched/a.1"
    kill -HUP "$beacon_pid"
    kill -CONT "$beacon_pid"
    comes "file: what happens during a reload" '/watched/a","change":"removed"}'
    never "file: others of the directory" 'a\.1'
    stop_beacon
    stop_hub
    "$beacon" once -c "$dir/nefia.yaml" >"$dir/out" 2>"$dir/err"
    says "file: once" '"change":"grown"' out
}

# ---- the kernel's log ----
log()
{
    if [ ! "$inside" ] || ! : 2>/dev/null >/dev/kmsg; then
        echo "skip: the kernel's log: it takes root and /dev/kmsg"
        return
    fi
    mark=nefia-test-$$
    say() { echo "$mark $*" >/dev/kmsg; }
    patterns()
    {
        config woken "  require_ack: false
$2
  kernel_log:
    patterns:
      - {name: $1, pattern: \"$mark *\", severity: info}"
    }
    patterns mine ''
    start_hub plain
    say "before the start"
    start_beacon
    is_ok kernel_log
    result "kernel_log: it runs" $?
    say "a tab	and a letter ä"
    comes "kernel_log: a line" "\"type\":\"kernel.log\".*\"severity\":\"info\",\"data\":{\"name\":\"mine\",\"message\":\"$mark a tab\\\\tand a letter ä\"}"
    never "kernel_log: one from before the start" 'before the start'
    patterns other ''
    kill -STOP "$beacon_pid"
    say "during a reload"
    kill -HUP "$beacon_pid"
    kill -CONT "$beacon_pid"
    comes "kernel_log: one from during a reload, once" '"name":"other".*during a reload"}'
    say "after the reload" # others come before it, if there are any
    within heard 'after the reload'
    heard_times 1 'during a reload' && heard_times 1 'a tab'
    result "kernel_log: and no other again" $?
    oom
    flood "kernel_log" log_flood
    stop_beacon
    restricted
    stop_hub
    say "to be seen once"
    "$beacon" once -c "$dir/nefia.yaml" >"$dir/out" 2>"$dir/err"
    says "kernel_log: once shows what there is" 'to be seen once' out
}

# A process too large for its group, which only the kernel itself can report.
oom()
{
    group=/sys/fs/cgroup/memory/$mark limit=memory.limit_in_bytes
    if [ ! -e /sys/fs/cgroup/memory ]; then
        group=/sys/fs/cgroup/$mark limit=memory.max
    fi
    if ! mkdir "$group" 2>/dev/null || [ ! -e "$group/$limit" ]; then
        rmdir "$group" 2>/dev/null
        echo "skip: a process killed for want of memory: it takes a group of the kernel's with a limit of memory"
        return
    fi
    echo 20000000 >"$group/$limit"
    [ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"
    # shellcheck disable=SC2016 # the inner shell's own id
    sh -c 'echo $$ >"$1/cgroup.procs" && exec python3 -c "bytearray(200000000)"' - "$group" >"$dir/out" 2>&1
    rmdir "$group"
    comes "kernel_log: a process killed for want of memory" '"type":"kernel.oom_kill".*"severity":"critical".*Killed process [0-9]* (python3)'
}

log_flood()
{
    python3 - "$mark" <<'P'
import sys
for i in range(5000):
    with open("/dev/kmsg", "w") as f:
        f.write(f"{sys.argv[1][:-1]} flood {'x' * 100} {i}\n")
P
}

# flood NAME COMMAND: while it runs, and after it, the beacon answers.
flood()
{
    "$2" >/dev/null 2>&1 &
    flood_pid=$!
    answers=0
    while kill -0 "$flood_pid" 2>/dev/null; do
        "$beacon" status -c "$dir/nefia.yaml" >"$dir/out" 2>"$dir/err" && answers=$((answers + 1))
    done
    wait "$flood_pid"
    flood_pid=
    [ "$answers" -gt 0 ] && is_ok "$1"
    result "$1: status is answered in a flood" $?
}

# Without root, with and without the capability.
restricted()
{
    if [ "$(cat /proc/sys/kernel/dmesg_restrict)" != 1 ] || ! command -v setpriv >/dev/null; then
        echo "skip: a kernel whose log is restricted (kernel.dmesg_restrict)"
        return
    fi
    chmod 755 "$dir"
    chown 64123:64124 "$dir/key" "$dir/nefia.yaml"
    setpriv --reuid 64123 --regid 64124 --clear-groups "$beacon" once -c "$dir/nefia.yaml" >"$dir/out" 2>"$dir/err"
    says "kernel_log: without the right to read it" '^kernel_log: not measured: /dev/kmsg: Operation not permitted' err
    patterns mine '  user: "64123:64124"'
    start_beacon
    is_ok kernel_log
    result "kernel_log: a user of its own keeps that right" $?
    say "to another user"
    comes "kernel_log: and reads" 'to another user'
    stop_beacon
    chown 0:0 "$dir/key"
}

# ---- interfaces ----
interfaces()
{
    if [ ! "$inside" ]; then
        echo "skip: interfaces: they take root and a network namespace"
        return
    fi
    config woken "  require_ack: false
  interface: {interval: 1h, interfaces: [\"t*\"], flapping_changes: 8}"
    ip link add t0 type veth peer name other0
    ip link set t0 up && ip link set other0 up
    ip addr add 10.200.0.1/24 dev t0 && ip route add default via 10.200.0.2
    start_hub plain
    start_beacon
    is_ok interface
    result "interface: it runs" $?
    ip link set other0 down
    state t0 'no carrier' up warning "no carrier"
    ip link set other0 up
    state t0 up 'no carrier' info "carrier"
    ip link set t0 down
    state t0 down up warning "down"
    comes "interface: the default route goes with it" '"type":"interface.default_route".*"severity":"critical","data":{"family":"ipv4"}'
    ip link set t0 up && ip route add default via 10.200.0.2
    comes "interface: and is back" '"severity":"info","data":{"state":"recovered","family":"ipv4"}'
    ip link set t0 down && ip link set t0 name t1 && ip link set t1 up
    comes "interface: a new name" '"interface":"t0","state":"absent"'
    ip link add t2 type veth peer name other2
    ip link set t2 up && ip link set other2 up
    state t2 up 'no carrier' info "one that comes later"
    ip link del t2
    comes "interface: and vanishes" '"interface":"t2","state":"absent"'
    never "interface: others" '"interface":"\(other\|lo\)'
    flood interface route_flood
    kill -STOP "$beacon_pid" # more than the kernel keeps: what came last is found by asking
    route_flood
    ip link del t1
    kill -CONT "$beacon_pid"
    comes "interface: what the kernel could not report" '"interface":"t1","state":"absent"'
    ip link add t3 type veth peer name other3
    i=0
    while [ $i -lt 6 ]; do
        ip link set t3 down
        ip link set t3 up
        i=$((i + 1))
    done
    comes "interface: flapping" '"type":"interface.flapping".*"severity":"warning","data":{"interface":"t3","changes":8}'
    idle
    "$beacon" once -c "$dir/nefia.yaml" >"$dir/out" 2>"$dir/err"
    says "interface: once" '"interface":"t3","state":"no carrier","previous_state":"absent"' out
    stop_beacon
    stop_hub
}

# state NAME STATE BEFORE SEVERITY WHAT
state()
{
    comes "interface: $5" "\"type\":\"interface.state\".*\"severity\":\"$4\",\"data\":{\"interface\":\"$1\",\"state\":\"$2\",\"previous_state\":\"$3\"}"
}

route_flood()
{
    ip link add flood0 type veth peer name flood1 && ip link set flood0 up && ip link set flood1 up
    for way in add del; do
        seq 0 4095 | sed "s|.*|route $way 10.201.0.0/32 dev flood0 metric &|" | ip -batch -
    done
    ip link del flood0
}

# ---- while nothing happens ----
wakeups()
{
    "$beacon" status --json -c "$dir/nefia.yaml" | sed 's/.*"wakeups":\([0-9]*\).*/\1/'
}

# To ask takes wake-ups, too: so many as to ask again at once. Something may happen in the kernel just then: not each time.
quiet()
{
    first=$(wakeups)
    second=$(wakeups)
    sleep 3
    third=$(wakeups)
    [ "$second" -gt "$first" ] && [ $((third - second)) -eq $((second - first)) ]
}

idle()
{
    config woken "  require_ack: false
  file: {interval: 1h, files: [{path: $dir/watched/a}]}
  kernel_log: {}
  interface: {interval: 1h, interfaces: [\"t*\"]}"
    reload
    is_ok file && is_ok interface && is_ok kernel_log
    result "all of them run" $?
    within quiet
    result "while nothing happens they do not wake the beacon" $?
    seccomp=$("$beacon" status --json -c "$dir/nefia.yaml" | sed 's/.*"seccomp":"\([a-z]*\)".*/\1/')
    [ "$seccomp" ] && [ "$seccomp" != off ]
    result "under a filter of system calls ($seccomp)" $?
}

flood_pid=
processes="$processes flood_pid"
files
log
interfaces
finish
