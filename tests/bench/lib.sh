# shellcheck shell=sh disable=SC2034,SC2154,SC2086 # $out, $pids and the cores are those of who sources it
# What the benchmarks share, to be sourced from the top of the tree with $out set: the programs of that board are measured.

dir=$(mktemp -d)
pids=
trap 'for p in $pids; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

# The sender on one core, hub and limit on another, where there are two.
cores=$(nproc)
hub_core=0
sender_core=$((cores > 1 ? 1 : 0))

bench=out/bench/bench
mkdir -p out/bench/include
cp $out/sysroot/include/bearssl*.h $out/sysroot/include/jsmn.h out/bench/include/
cc -O2 -D_GNU_SOURCE -Iinclude -isystem out/bench/include -include $out/gen/autoconf.h -o $bench -Isrc tests/bench/bench.c src/link/*.c src/json/*.c \
    src/crypto/mac.c src/event/event.c src/base/*.c src/sys/file.c $out/sysroot/lib/libbearssl.a

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
openssl rand -hex 32 >"$dir/key"
chmod 600 "$dir/key"

within() {
    tenths=$(($1 * 10))
    shift
    while [ $tenths -gt 0 ]; do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
        tenths=$((tenths - 1))
    done
    echo "bench: gave up waiting for: $*" >&2
    return 1
}

# percentile P: of the numbers on stdin.
percentile() {
    sort -n | awk -v p="$1" '{ v[NR] = $1 } END { i = int((NR - 1) * p / 100 + 0.5) + 1; print v[i] }'
}

median() {
    percentile 50
}

# Nothing is turned away: the senders of a benchmark come from one address.
admission="  max_connections_per_peer: 0
  reserved_connections: 0
"

# rules N: half of them for types that come, half for types that do not; no severity is enough, so that what is
# measured is deciding.
rules() {
    echo "reactor:"
    echo "  listen_port: $port"
    echo "  control_socket: $dir/hub.sock"
    echo "  hmac_key_file: $dir/key"
    printf '%s' "$admission"
    echo "  rules:"
    i=0
    while [ $i -lt "$1" ]; do
        case $((i % 4)) in
        0) pattern='disk\..*' ;;
        1) pattern="svc$i\\.(up|down)" ;;
        2) pattern='(script|service)\.[a-z]+' ;;
        3) pattern="app$i\\..*" ;;
        esac
        echo "    - {name: r$i, event_pattern: '$pattern', host_pattern: 'site-$((i % 97))-.*', severity: critical, action: {type: exec, command: 'true', target: hub}}"
        i=$((i + 1))
    done
}

# start_hub CONFIG [PROGRAM]: its process is $hub.
start_hub() {
    : >"$dir/hub.log"
    taskset -c $hub_core "${2:-$out/nefia}" reactor run -c "$1" 2>"$dir/hub.log" &
    hub=$!
    pids="$pids $hub"
    within 10 grep -q 'listening on' "$dir/hub.log"
}

stop() {
    kill "$1"
    wait "$1" || true
}
