#!/bin/sh
# What a beacon with every sensor costs while nothing happens, as a table in Markdown: the CPU of one run of each sensor times its
# runs a day, and a beacon with all of them, or those of the device, at their default intervals over a quarter of an hour.
#   tests/bench/idle.sh
# IDLE_ALL_SECONDS (900, for each of two beacons; 0: only the table) may be set in the environment.
#
# Nothing happens on a device that is well: the target of `reach` answers, the service runs, there is a default route. As root this
# takes place in namespaces of its own, where the kernel lets everybody ping (as systemd has it), there is no service manager but init
# scripts, and no process but these. That the clock may not be synchronised is reported once an hour. What this device does not have is
# not measured, which costs less than a measurement: those sensors are listed.
# What the kernel of the hub and of the target does to receive a packet is not the beacon's cost, but on the loopback it is done in the
# sender's time: where there are two processors another one than the beacon's does it (RPS), as root; else the output says so.
# What a wake-up costs is a matter of the machine and, of a virtual one, of its neighbours: beside the beacon runs a program that does
# nothing but wake up every 30 s, on that other processor, so that neither keeps caches warm for the other.
set -eu
if [ "$(id -u)" -eq 0 ] && [ "${1-}" != inside ]; then
    exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" inside
fi
if [ "${1-}" = inside ]; then
    ip link set lo up
    ip route add default dev lo
    echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range
    mount -t tmpfs none /run
    mount -t sysfs none /sys # with this namespace's interfaces
fi

out=out/host
seconds=${IDLE_ALL_SECONDS:-900}
. tests/bench/lib.sh
. tests/needed_by.sh

# Real manifests for the sensors that compare with one.
all=$dir/all-sensors.yaml
sha256sum /etc/[a-z]*.conf /etc/passwd >"$dir/files.sha256"
sed "s|/dev/null|$dir/files.sha256|; s|tcp: \"127.0.0.1:9500\"|icmp: 127.0.0.1|; s|\[sshd\]|[nefia]|; s|name: nefia-beacon}|name: nefia}|; s|{nefia-beacon: 1}|{nefia: 1}|" tests/configs/all-sensors.yaml >"$all"

# settings: of a beacon that delivers to the hub of this benchmark.
settings()
{
    echo "host_id: idle"
    echo "beacons:"
    echo "  reactor: 127.0.0.1:$port"
    echo "  hmac_key_file: $dir/key"
    echo "  state_dir: $dir/state"
    echo "  control_socket: $dir/beacon.sock"
    echo "  dedup_window: 1h"
    [ -z "$user" ] || echo "  user: $user"
}

# line SENSOR [INTERVAL]: its line of the configuration, a map or a list of one map.
line()
{
    sed -n "s/^  $1: /&/p" "$all" | if [ $# -gt 1 ]; then sed "s|{|{interval: $2, |;s|, }|}|"; else cat; fi
}

# alone SENSOR [INTERVAL]: a beacon with it; the sensors that it judges look once, at the start.
alone()
{
    settings
    for needed in $(needed_by "$1"); do
        line "$needed" 366d
    done
    line "$@"
}

# As docs/operations.md has it, the beacon gives up the rights of root, if it has them.
user=
if [ "$(id -u)" -eq 0 ]; then
    user="64123:64124"
    chmod 755 "$dir"
fi

# The beacon on the first processor, and what the loopback receives on the second. Of a file of this namespace: /sys was mounted anew.
apart=
rps=/sys/class/net/lo/queues/rx-0/rps_cpus
if [ "${1-}" = inside ] && [ "$(nproc)" -gt 1 ] && taskset -c 0 true 2>/dev/null && { echo 2 >$rps; } 2>/dev/null; then
    apart="taskset -c 0"
fi

# start_beacon: its process is $beacon.
start_beacon()
{
    $apart $out/nefia-beacon run -c "$dir/beacon.yaml" 2>"$dir/beacon.log" &
    beacon=$!
    pids="$pids $beacon"
    within 60 status 's["host_id"]' || { cat "$dir/beacon.log" >&2; exit 1; }
}

# status EXPRESSION: of the running beacon's status s.
status()
{
    $out/nefia-beacon status --json -c "$dir/beacon.yaml" | python3 -c '
import json, sys
s = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$1"
}
all_ran()
{
    [ "$(status 'min(r["runs"] for r in s["sensors"])')" -ge 1 ]
}

# cpu: nanoseconds of the beacon itself and of its children that have ended.
cpu()
{
    echo "$($bench cpu "$beacon") $(awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%d", ($14 + $15) * 1e9 / hz }' "/proc/$beacon/stat")"
}

{
    echo "reactor:"
    echo "  listen_port: $port"
    echo "  control_socket: $dir/hub.sock"
    echo "  hmac_key_file: $dir/key"
} >"$dir/hub.yaml"
start_hub "$dir/hub.yaml"
[ "${1-}" != inside ] || echo "$hub" >/run/nefia.pid

echo "### Idle with every sensor"
echo
echo "The CPU of one run is measured at an interval of 1 s over 10 s, that of the beacon without a sensor taken off; what waits for a descriptor"
echo "costs nothing while nothing happens. Processes that a sensor starts are counted beside it, in ticks of the kernel."
if [ -z "$apart" ]; then
    echo "What the hub and the target of \`reach\` do to receive is in it: that takes root, two processors and RPS to keep apart."
fi
echo
echo "| sensor | interval | CPU of a run | CPU a day | its processes a day |"
echo "|--------|---------:|-------------:|----------:|--------------------:|"

# member NAME: of $sensor.
member()
{
    status "[r['$1'] for r in s['sensors'] if r['sensor'] == '$sensor'][0]"
}

# ten_seconds: CPU of the beacon and of its children, and the runs of $sensor meanwhile.
ten_seconds()
{
    before="$(cpu) $(member runs)"
    sleep 10
    echo "$before $(cpu) $(member runs)" | awk '{ print $4 - $1, $5 - $2, $6 - $3 }'
}

sensor=memory
alone memory 366d >"$dir/beacon.yaml"
start_beacon
within 60 all_ran
resting=$(ten_seconds | cut -d ' ' -f 1)
stop "$beacon"
sed -n 's/^  \([a-z_]*\): .*/\1/p' "$all" | while read -r sensor; do
    alone "$sensor" >"$dir/beacon.yaml"
    start_beacon
    interval=$(member interval_ms)
    stop "$beacon"
    alone "$sensor" 1s >"$dir/beacon.yaml"
    start_beacon
    within 60 all_ran
    ten_seconds | awk -v s="$sensor" -v ms="$interval" -v rest="$resting" '{
        own = $3 ? ($1 - rest) / $3 : 0; kin = $3 ? $2 / $3 : 0; runs = 86400000 / ms
        if (own < 0) own = 0
        printf "| %s | %d s | %.0f µs | %.3f s | %s |\n", s, ms / 1000, own / 1000, own * runs / 1e9, kin ? sprintf("%.1f s", kin * runs / 1e9) : "-" }'
    stop "$beacon"
done
echo
if [ "$seconds" -eq 0 ]; then
    stop "$hub"
    exit 0
fi
# dozed: nanoseconds of the program that only wakes up, and how often it has.
dozed()
{
    echo "$($bench cpu "$dozer") $(sed -n 's/^voluntary_ctxt_switches:\t//p' "/proc/$dozer/status")"
}

# together WHAT: what a beacon with the sensors of standard input costs. In three parts: in each are all intervals up to 5 minutes.
together()
{
    ${apart:+taskset -c 1} "$bench" doze 30000 &
    dozer=$!
    pids="$pids $dozer"
    { settings; grep '^  '; } >"$dir/beacon.yaml"
    start_beacon
    within 60 all_ran
    # That `status` is answered counts as a wake-up of the beacon, but not as its CPU time.
    before="$(status 's["wakeups"]') $(cpu)"
    asleep=$(dozed)
    parts=$($bench cpu "$beacon")
    while [ "$(echo "$parts" | wc -w)" -lt 4 ]; do
        sleep $((seconds / 3))
        parts="$parts $($bench cpu "$beacon")"
    done
    echo "$before $(cpu) $(status 's["wakeups"]') $parts" | awk -v s=$((seconds / 3 * 3)) -v what="$1" -v tick="$(getconf CLK_TCK)" '{
        for (n = 1; n <= 3; n++) part[n] = ($(7 + n) - $(6 + n)) / 1e9 / (s / 3) * 86400
        low = part[1] < part[2] ? part[1] : part[2]; high = part[1] < part[2] ? part[2] : part[1]
        median = (part[3] < low) ? low : (part[3] > high) ? high : part[3]
        printf "%s together, connected, over %d s: %.1f ms of the beacon'"'"'s own CPU, %d wake-ups: %.2f s a day (promise: ≤ 1 s), the median of three parts %.2f. ",
            what, s, ($4 - $2) / 1e6, $6 - $1, ($4 - $2) / 1e9 / s * 86400, median
        if ($5 > $3)
            printf "Their processes: %.1f s a day.\n", ($5 - $3) / 1e9 / s * 86400
        else # of all of them the kernel counts ticks
            printf "Their processes: less than %.1f s a day.\n", 86400 / tick / s }'
    echo "$asleep $(dozed)" | awk '$4 > $2 { each = ($3 - $1) / 1e9 / ($4 - $2)
        printf "A program that only wakes up every 30 s: %.0f µs each time, %.2f s a day.\n", each * 1e6, each * 2880 }'
    status '"Not measured on this device: " + (", ".join(r["sensor"] for r in s["sensors"] if r["result"] != "ok") or "none") + "."'
    stop "$dozer" 2>/dev/null
    stop "$beacon"
    echo
}

together "All sensors" <"$all"
sed '/^  certificate_expiry:/,$d' "$all" >"$dir/device-sensors.yaml"
together "Those of the device itself, without those of a fleet," <"$dir/device-sensors.yaml"
stop "$hub"
