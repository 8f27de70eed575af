#!/bin/sh
# Sensors that measure, against the real thing: pressure that rises, connections that are tracked, a clock whose state is read
# behind the filter of system calls, file systems that fill up, turn read-only, and hang. As root and in a mount namespace of its
# own; without root what takes it is named.
#   tests/sensors_measure_test.sh [BEACON]      default: out/host/nefia-beacon
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
if [ "$(id -u)" -eq 0 ] && [ -z "${MEASURE_MOUNTS:-}" ]; then
    MEASURE_MOUNTS=1 exec unshare -m sh "$0" "$@"
fi
. tests/lib.sh
. tests/beacon_lib.sh
busy_pids=
server_pid=
processes='beacon_pid hub_pid busy_pids server_pid'

# once NAME STATUS LINES: with these lines of `beacons:`.
once()
{
    printf 'beacons:\n  %s\n' "$3" >"$dir/once.yaml"
    expect "$1" "$2" "$beacon" once -c "$dir/once.yaml"
}

# is SENSOR RESULT: as `status` shows it.
is()
{
    status_has "^  $1  .* $2\$"
}

# ---- processors: load and pressure ----
once "the load is measured" 0 'load: {warning_per_core: 0}'
cores=$(nproc --all)
says "for each core" "\"type\":\"load.high\".*\"cores\":$cores,\"load_1m\":\"[0-9.]*\"" out

if [ -r /proc/pressure/cpu ]; then
    once "pressure is measured" 0 'pressure: {warning_some_percent: 0, warning_full_percent: 0}'
    for resource in cpu memory io; do
        says "of $resource" "\"type\":\"pressure.some\".*\"resource\":\"$resource\",\"waited_percent\":\"[0-9.]*\"" out
    done
    # crowd NAME: more processes than processors, until that is reported.
    crowd()
    {
        for i in $(seq $((2 * cores))); do
            sh -c 'while :; do :; done' &
            busy_pids="$busy_pids $!"
        done
        within heard '"type":"pressure.some".*"severity":"\(warning\|critical\)".*"resource":"cpu"'
        result "$1" $?
        # shellcheck disable=SC2086 # one argument for each
        kill $busy_pids
        # shellcheck disable=SC2086
        wait $busy_pids 2>/dev/null
        busy_pids=
        halt
    }
    run '  pressure: {interval: 1s, warning_some_percent: 0.5}'
    crowd "more processes than processors are pressure"

    # Where the beacon is not root the kernel says when there is more, if it does that without rights (Linux 6.5).
    told_in()
    {
        [ "$(find "/proc/$beacon_pid/fd" -lname '/proc/pressure/*' -perm -600 | wc -l)" -eq "$1" ]
    }
    if [ "$(id -u)" -eq 0 ]; then
        run '  pressure: {interval: 1s}'
        within is pressure ok
        told_in 0
        result "root does not have the kernel start a thread for it" $?
        halt
        chmod 755 "$dir" # the user has to get through it
        tells=0
        # shellcheck disable=SC2016 # for that shell
        if setpriv --reuid 64123 --clear-groups sh -c 'exec 3<>/proc/pressure/io && printf "some 400000 10000000\0" >&3' 2>"$dir/tells"; then
            tells=3
        fi
        run '  user: "64123:64124"
  pressure: {interval: 1s, warning_some_percent: 20}'
        within is pressure ok
        within told_in $tells
        result "another user is told of pressure by the kernel, where it does that: $tells" $?
        # rests: for three looks it has read nothing, since the kernel would tell. On a machine that is busy it always reads.
        reads()
        {
            sed -n 's/^syscr: //p' "/proc/$beacon_pid/io"
        }
        rests()
        {
            before=$(reads) && [ -n "$before" ] && sleep 3 && [ "$(reads)" = "$before" ]
        }
        rested="and hears of it (it had no rest before)"
        tries=$((tells * 5))
        while [ $tries -gt 0 ]; do
            tries=$((tries - 1))
            rests && rested="and hears of it, having read nothing before" && break
        done
        crowd "$rested"
    fi
else
    once "a kernel without pressure" 1 'pressure: {}'
    says "is not measured" '^pressure: not measured: /proc/pressure/cpu: ' err
fi

# ---- the clock: it must be readable behind the filter ----
run '  clock: {interval: 1s}
  heartbeat: {interval: 1s}
  temperature: {interval: 1s}'
within is clock ok
result "the clock's state is read behind the filter of system calls" $?
within heard '"type":"instance.heartbeat".*"clock":"\(synced\|unsynced\)"'
result "the heartbeat has it" $?
within heard "\"type\":\"instance.heartbeat\".*\"config_sha256\":\"$(sha256sum "$dir/nefia.yaml" | cut -d ' ' -f 1)\""
result "and the digest of the configuration" $?
later()
{
    grep '"type":"instance.heartbeat"' "$dir/hub.log" | tail -n +2 | grep -qv config_sha256
}
within later
result "once" $?
! heard '"type":"clock.stepped"'
result "a clock that nobody sets does not step" $?
bounding=$(sed -n 's/^CapBnd:\t//p' "/proc/$beacon_pid/status")
[ $((0x$bounding >> 25 & 1)) -eq 0 ]
result "nobody in it may set clocks (CAP_SYS_TIME)" $?
if [ -d /sys/class/hwmon ] || ls /sys/class/thermal/thermal_zone* >/dev/null 2>&1; then
    within is temperature '\(ok\|not measured: .*\)'
    result "temperatures are looked at" $?
else
    within is temperature 'not measured: no thermometer'
    result "a machine without thermometers says so" $?
    [ "$(grep -c 'temperature: not measured' "$dir/run.log")" -eq 1 ]
    result "once" $?
fi
halt

if [ "$(id -u)" -ne 0 ]; then
    echo "skip: network namespaces and mounts: they take root"
    finish
fi

# ---- connections ----
in_namespace()
{
    unshare -n sh -c "$1" measure "$beacon" "$dir/once.yaml"
}
once "the table of connections" "$([ -r /proc/sys/net/netfilter/nf_conntrack_count ] && echo 0 || echo 1)" 'conntrack: {warning_percent: 0}'
if [ -r /proc/sys/net/netfilter/nf_conntrack_count ]; then
    # shellcheck disable=SC2016 # the inner shell's
    expect "connections are tracked in a network namespace" 0 in_namespace 'python3 tests/fake/track.py 7 && exec "$1" once -c "$2"'
    says "and counted" '"type":"conntrack.usage".*"connections":7,"max_connections":[1-9]' out
else
    says "is not measured where the kernel has none" '^conntrack: not measured: /proc/sys/net/netfilter/nf_conntrack_count: ' err
fi

# ---- file systems ----
mkdir "$dir/rw" "$dir/ro" "$dir/ext4"
mount -t tmpfs -o size=1m,nr_inodes=20 none "$dir/rw" && mount -t tmpfs -o ro none "$dir/ro"
result "file systems to measure" $?
run "  disk_usage: {interval: 1s, paths: [$dir/rw, $dir/ro]}"
within is disk_usage ok
result "they are measured" $?
for i in $(seq 18); do : >"$dir/rw/$i"; done
within heard "\"type\":\"disk.inodes\".*\"severity\":\"critical\",\"data\":{\"path\":\"$dir/rw\",\"used_percent\":\"9[05].0\",\"total_inodes\":20,"
result "inodes run out" $?
rm "$dir"/rw/1*
within heard "\"type\":\"disk.inodes\".*\"state\":\"recovered\",\"path\":\"$dir/rw\""
result "and are there again" $?
! heard '"type":"disk.usage"'
result "while there is room" $?
mount -o remount,ro "$dir/rw"
within heard "\"type\":\"disk.read_only\".*\"severity\":\"critical\",\"data\":{\"path\":\"$dir/rw\"}"
result "a file system turns read-only" $?
mount -o remount,rw "$dir/rw"
within heard "\"type\":\"disk.read_only\".*\"state\":\"recovered\",\"path\":\"$dir/rw\""
result "and is writable again" $?
! heard "$dir/ro"
result "one that has always been is none" $?
halt
umount "$dir/rw" "$dir/ro"

# ext4 after an error: since Linux 6.15 it only says so among its options.
truncate -s 8M "$dir/image"
if mkfs.ext4 -q "$dir/image" && mount -o loop,errors=remount-ro "$dir/image" "$dir/ext4" 2>"$dir/err"; then
    device=$(findmnt -n -o SOURCE "$dir/ext4" 2>/dev/null || sed -n "s|.* $dir/ext4 .* - ext4 \([^ ]*\) .*|\1|p" /proc/self/mountinfo)
    run "  disk_usage: {interval: 1s, paths: [$dir/ext4]}"
    within is disk_usage ok
    result "ext4 is measured" $?
    echo test >"/sys/fs/ext4/${device##*/}/trigger_fs_error"
    within heard "\"type\":\"disk.read_only\".*\"severity\":\"critical\",\"data\":{\"path\":\"$dir/ext4\"}"
    result "after an error it is read-only" $?
    halt
    umount "$dir/ext4"
else
    echo "skip: ext4 with an error: no loop device, or no ext4"
fi

# ---- a server that hangs ----
if [ -c /dev/fuse ]; then
    : >"$dir/gone.hangs"
    mkdir "$dir/fs"
    ln -s "$dir/well" "$dir/link"
    background server.log python3 tests/fake/hanging_fs.py "$dir/gone" "$dir/well"
    server_pid=$!
    within grep -q mounted "$dir/server.log"
    result "two network file systems" $?
    run "  disk_usage: {interval: 1s, paths: [$dir, $dir/gone, $dir/well, $dir/link]}
  load: {interval: 1s}"
    within heard "\"type\":\"disk.unreadable\".*\"path\":\"$dir/gone\",\"state\":\"unreadable\",\"reason\":\"Operation timed out\""
    result "one hangs" $?
    within heard "\"type\":\"disk.usage\".*\"severity\":\"critical\",\"data\":{\"path\":\"$dir/well\",\"used_percent\":\"94.9\""
    result "the other is measured" $?
    within heard "\"type\":\"disk.usage\".*\"data\":{\"path\":\"$dir/link\",\"used_percent\":\"94.9\""
    result "through a link, too" $?
    within is disk_usage "not measured: $dir/gone: Operation timed out"
    result "status names the one that hangs" $?
    runs()
    {
        "$beacon" status -c "$dir/nefia.yaml" --json | python3 -c '
import json, sys
print(min(s["runs"] for s in json.load(sys.stdin)["sensors"]))'
    }
    before=$(runs)
    more()
    {
        [ "$(runs)" -ge $((before + 4)) ]
    }
    within more
    result "the beacon goes on" $?
    # They are forks of this beacon, in a wait that nothing interrupts.
    hanging()
    {
        for process in $(pgrep -f "$dir/nefia.yaml"); do
            grep -s '^State:.D' "/proc/$process/status"
        done | wc -l
    }
    [ "$(hanging)" -eq 1 ]
    result "one process hangs, not one for each look" $?
    kill -HUP "$beacon_pid"
    within status_has ', 1 reloads\{0,1\},'
    before=$(runs)
    within more
    [ "$(hanging)" -eq 1 ]
    result "after a reload it is still that one" $?
    rm "$dir/gone.hangs"
    within heard "\"type\":\"disk.unreadable\".*\"state\":\"recovered\",\"path\":\"$dir/gone\""
    result "the server answers again" $?
    within heard "\"type\":\"disk.usage\".*\"data\":{\"path\":\"$dir/gone\",\"used_percent\":\"94.9\""
    result "and its file system is measured" $?
    halt
    umount "$dir/gone" "$dir/well"
else
    echo "skip: a server that hangs: no /dev/fuse"
fi

finish
