#!/bin/sh
# What the programs cost and how fast they are, as a table in Markdown. Everything is measured on this machine, now; the hub's
# throughput beside the limit it is judged by (the same core computing only the HMACs), in the same rounds.
#   tests/bench/run.sh
# ROUNDS (5), EVENTS (200000) and IDLE_SECONDS (20) may be set in the environment.
set -eu

out=out/host
rounds=${ROUNDS:-5}
events=${EVENTS:-200000}
idle=${IDLE_SECONDS:-20}
. tests/bench/lib.sh

echo "## make bench"
echo
model=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)
echo "On: ${model:-$(uname -m)}, $cores cores, Linux $(uname -r), $(date -u +%Y-%m-%d); load while it ran: $(cut -d ' ' -f 1-3 /proc/loadavg)."
echo "Events of $($bench bytes "$dir/key" 0) bytes on average, signed, over one loopback connection; medians of $rounds rounds of $events events."
echo "Events per second are those of one second of the process's CPU time, so that other load on the machine does not count."
echo
echo "### Hub throughput"
echo
echo "| rules | hub, events/s | HMAC only, events/s | share | promise |"
echo "|------:|--------------:|--------------------:|------:|---------|"
for n in 10 100 1000; do
    rules $n >"$dir/rules$n.yaml"
    : >"$dir/hub$n"
    : >"$dir/hmac$n"
    start_hub "$dir/rules$n.yaml"
    taskset -c $sender_core $bench load "$dir/key" "$port" 8192 >"$dir/ignored"
    round=0
    while [ $round -lt "$rounds" ]; do
        taskset -c $hub_core $bench hmac "$dir/key" "$events" | cut -d ' ' -f 1 >>"$dir/hmac$n"
        before=$($bench cpu $hub)
        taskset -c $sender_core $bench load "$dir/key" "$port" "$events" >>"$dir/wall$n"
        after=$($bench cpu $hub)
        echo $(((after - before) / events)) >>"$dir/hub$n"
        round=$((round + 1))
    done
    stop $hub
    hub_ns=$(median <"$dir/hub$n")
    hmac_ns=$(median <"$dir/hmac$n")
    promise=-
    [ $n = 100 ] && promise="≥ 65 %"
    [ $n = 1000 ] && promise="≤ 1.5 × of 10 rules: $(awk -v a="$hub_ns" -v b="$(median <"$dir/hub10")" 'BEGIN { printf "%.2f ×", a / b }')"
    awk -v n=$n -v hub="$hub_ns" -v hmac="$hmac_ns" -v promise="$promise" \
        'BEGIN { printf "| %d | %d | %d | %.0f %% | %s |\n", n, 1e9 / hub, 1e9 / hmac, 100 * hmac / hub, promise }'
done
echo
echo "In wall-clock time, with other load on the machine: $(awk -v ns="$(median <"$dir/wall100")" 'BEGIN { printf "%d", 1e9 / ns }') events/s with 100 rules."
echo

# counter NAME: of the running hub.
counter() {
    $out/nefia reactor status --json -c "$1" | python3 -c '
import json, sys
v = json.load(sys.stdin)["counters"]
for part in sys.argv[1].split("."):
    v = v[part]
print(v)' "$2"
}

echo "### Acknowledged delivery, 100 rules"
echo
echo "An event counts once its acknowledgement has arrived; a sender has at most 32 unacknowledged. With state_dir the hub writes events to the"
echo "journal before it acknowledges them, one commit for all events of a turn (\`events/commit\`); with journal_sync it also waits for the disk ($(df --output=fstype . | tail -n 1))."
echo
echo "| connections | journal | hub, events/s of its CPU | share | promise | events/s by the clock | events/commit | RAM, peak |"
echo "|------------:|---------|-------------------------:|------:|---------|----------------------:|--------------:|----------:|"
for kept in none memory disk; do
    for connections in 1 64; do
        rm -rf out/bench/state
        {
            cat "$dir/rules100.yaml"
            [ $kept = none ] || echo "  state_dir: out/bench/state"
            [ $kept = disk ] || echo "  journal_sync: false"
        } >"$dir/acked.yaml"
        start_hub "$dir/acked.yaml"
        taskset -c $sender_core $bench acked "$dir/key" "$port" 6400 $connections >"$dir/ignored"
        sleep 1.1 # the next run's events are of another second
        commits=$(counter "$dir/acked.yaml" journal.commits)
        before=$($bench cpu $hub)
        wall=$(taskset -c $sender_core $bench acked "$dir/key" "$port" $((events / 4)) $connections)
        after=$($bench cpu $hub)
        echo "$wall" >"$dir/wall.$kept.$connections"
        commits=$(($(counter "$dir/acked.yaml" journal.commits) - commits))
        ram=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$hub/status")
        stop $hub
        awk -v c=$connections -v k=$kept -v n=$((events / 4)) -v ns=$((after - before)) -v wall="$wall" -v commits="$commits" -v ram="$ram" \
            -v hmac="$(median <"$dir/hmac100")" 'BEGIN {
            names["none"] = "in memory"; names["memory"] = "written"; names["disk"] = "written and synced"
            promise = c == 1 ? "-" : k == "none" ? "≥ 60 %" : k == "disk" ? "≥ 50 %" : "-"
            printf "| %d | %s | %d | %.0f %% | %s | %d | %s | %d KiB |\n", c, names[k], n * 1e9 / ns, 100 * hmac * n / ns, promise, 1e9 / wall,
                (commits > 0 ? sprintf("%.0f", n / commits) : "-"), ram }'
    done
done
rm -rf out/bench/state
echo

# Beside it, where it is installed, a broker that many know. It has less to do: it checks no signature, matches no rule and keeps nothing.
if command -v mosquitto >/dev/null; then
    {
        echo "listener $port 127.0.0.1"
        echo "allow_anonymous true"
        echo "persistence false"
        echo "log_type error"
        echo "user root"
    } >"$dir/mosquitto.conf"
    taskset -c $hub_core mosquitto -c "$dir/mosquitto.conf" >"$dir/mosquitto.log" 2>&1 &
    broker=$!
    pids="$pids $broker"
    within 10 $bench mqtt "$dir/key" "$port" 64 1
    echo "### The same events to mosquitto $(mosquitto -h | sed -n 's/^mosquitto version //p'), QoS 1"
    echo
    echo "It checks no signature, matches no rule and keeps nothing on the disk; nobody subscribes. A sender has at most 32 unacknowledged here, too."
    echo
    echo "| connections | broker, events/s of its CPU | events/s by the clock | the hub in memory, events/s by the clock |"
    echo "|------------:|----------------------------:|----------------------:|-----------------------------------------:|"
    for connections in 1 64; do
        $bench mqtt "$dir/key" "$port" 6400 $connections >"$dir/ignored"
        before=$($bench cpu $broker)
        wall=$(taskset -c $sender_core $bench mqtt "$dir/key" "$port" $((events / 4)) $connections)
        after=$($bench cpu $broker)
        awk -v c=$connections -v n=$((events / 4)) -v ns=$((after - before)) -v wall="$wall" -v ours="$(cat "$dir/wall.none.$connections")" \
            'BEGIN { printf "| %d | %d | %d | %d |\n", c, n * 1e9 / ns, 1e9 / wall, 1e9 / ours }'
    done
    stop $broker
    echo
fi

echo "### Reaction: event sent → first command of the action's shell"
echo
cat >"$dir/react.yaml" <<END
reactor:
  listen_port: $port
  control_socket: $dir/hub.sock
  hmac_key_file: $dir/key
  rules:
    - {name: react, action: {type: exec, command: 'echo x >$dir/fifo', target: hub}}
END
mkfifo "$dir/fifo"
start_hub "$dir/react.yaml"
taskset -c $sender_core $bench react "$dir/key" "$port" 500 "$dir/fifo" >"$dir/reactions"
stop $hub
echo "| p50 | p90 | p99 | max | promise |"
echo "|----:|----:|----:|----:|---------|"
printf '|'
for p in 50 90 99 100; do
    percentile $p <"$dir/reactions" | awk '{ printf " %.1f ms |", $1 / 1000 }'
done
echo " p99 ≤ 5 ms |"
echo

# cpu_and_wakes PID: nanoseconds, and how often it was woken.
cpu_and_wakes() {
    echo "$($bench cpu "$1") $(sed -n 's/^voluntary_ctxt_switches:[^0-9]*//p' "/proc/$1/status")"
}

echo "### Idle, both programs connected, over $idle s"
echo
cat >"$dir/idle.yaml" <<END
host_id: idle
beacons:
  reactor: 127.0.0.1:$port
  hmac_key_file: $dir/key
  control_socket: $dir/beacon.sock
  disk_usage: {interval: 5m, paths: [/]}
reactor:
  listen_port: $port
  control_socket: $dir/hub.sock
  hmac_key_file: $dir/key
END
sed 's/interval: 5m/interval: 1s/' "$dir/idle.yaml" >"$dir/busy.yaml"
connected() {
    $out/nefia reactor status --json -c "$dir/idle.yaml" | grep -q '"open":1'
}
start_hub "$dir/idle.yaml"
$out/nefia-beacon run -c "$dir/idle.yaml" 2>"$dir/beacon.log" &
beacon=$!
pids="$pids $beacon"
within 20 connected || true
sleep 2
cpu_and_wakes $hub >"$dir/hub.0"
cpu_and_wakes $beacon >"$dir/beacon.0"
sleep "$idle"
cpu_and_wakes $hub >"$dir/hub.1"
cpu_and_wakes $beacon >"$dir/beacon.1"
stop $beacon
# What one look at the disks costs: the same beacon with an interval of 1 s.
$out/nefia-beacon run -c "$dir/busy.yaml" 2>"$dir/beacon.log" &
beacon=$!
pids="$pids $beacon"
sleep 3
cpu_and_wakes $beacon >"$dir/busy.0"
sleep 10
cpu_and_wakes $beacon >"$dir/busy.1"
stop $beacon
stop $hub
echo "| program | CPU | wake-ups | CPU a day | promise |"
echo "|---------|----:|---------:|----------:|---------|"
for p in hub beacon; do
    paste -d ' ' "$dir/$p.0" "$dir/$p.1" "$dir/busy.0" "$dir/busy.1" | awk -v p=$p -v s="$idle" '{
        polls = p == "beacon" ? ($7 - $5) / 10 * 288 / 1e9 : 0
        printf "| %s | %.2f ms | %d | %.2f s | ≤ 1 s |\n", p == "hub" ? "nefia" : "nefia-beacon", ($3 - $1) / 1e6, $4 - $2,
            ($3 - $1) / 1e9 / s * 86400 + polls }'
done
echo
echo "A day of the beacon has 288 disk checks (the default interval), each at the cost measured with an interval of 1 s."
echo

echo "### Time to drain a full spool"
echo
cat >"$dir/drain.yaml" <<END
host_id: drain
beacons:
  reactor: 127.0.0.1:$port
  hmac_key_file: $dir/key
  control_socket: $dir/drain.sock
  max_events_per_min: 120
  dedup_window: 0
END
$out/nefia-beacon run -c "$dir/drain.yaml" 2>"$dir/beacon.log" &
beacon=$!
pids="$pids $beacon"
within 10 test -S "$dir/drain.sock"
filler=$(head -c 300 /dev/zero | tr '\0' x)
i=0
while [ $i -lt 110 ]; do
    $out/nefia-beacon emit drain.test warning "n=$i" "filler=$filler" -c "$dir/drain.yaml" >"$dir/ignored" 2>&1 || true
    i=$((i + 1))
done
spooled=$($out/nefia-beacon status --json -c "$dir/drain.yaml" | python3 -c 'import json, sys; s = json.load(sys.stdin)["spool"]; print(s["events"], s["bytes"])')
sed "s|^reactor:|reactor:\n  state_dir: $dir/drain.state|" "$dir/idle.yaml" >"$dir/drained.yaml"
start_hub "$dir/drained.yaml"
# From the moment it is told to try again, as the control socket tells it.
python3 - "$dir/drain.sock" $beacon >"$dir/drain.ms" <<'END'
import json, os, signal, socket, sys, time

def status():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        s.sendall(b"status\n")
        data = b""
        while chunk := s.recv(65536):
            data += chunk
    return json.loads(data.split(b"\n")[0])

began = time.monotonic()
os.kill(int(sys.argv[2]), signal.SIGHUP)
while time.monotonic() < began + 30:
    if status()["spool"]["events"] == 0:
        print("%.0f" % ((time.monotonic() - began) * 1000))
        break
END
echo "${spooled% *} events, ${spooled#* } bytes: $(cat "$dir/drain.ms") ms from the try to connect to the last acknowledgement, the journal synced."
stop $beacon
stop $hub
echo

echo "### Start-up: from exec to the first line of the log"
echo
echo "| program | median of 20 |"
echo "|---------|-------------:|"
for p in "nefia reactor run" "nefia-beacon run"; do
    i=0
    while [ $i -lt 20 ]; do
        # shellcheck disable=SC2086 # program and verb
        $bench start $out/$p -c "$dir/idle.yaml"
        i=$((i + 1))
    done | median | awk -v p="$p" '{ printf "| %s | %.1f ms |\n", p, $1 / 1000 }'
done
echo

echo "### Size"
echo
echo "| build | program | flash (stripped), KiB | promised | in a squashfs (xz), KiB | RAM: data, bss and worst-case stack, KiB | promised |"
echo "|-------|---------|-----:|-----:|-----:|-----:|-----:|"
make --no-print-directory budget 2>"$dir/make.log" |
    awk '$2 ~ /^nefia/ && NF >= 13 { printf "| %s | %s | %s | %s | %s | %s | %s |\n", $1, $2, $7, $8, $10, $11, $12 }' || true
