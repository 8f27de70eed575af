#!/bin/sh
# SIGHUP while a program starts: at each system call of its start it is delivered once, and the program has to live and to
# reload. Nothing here waits: strace delivers the signals, the last of which ends the program.
#   tests/signals_test.sh [DIRECTORY]      default: out/host
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

programs=${1:-out/host}
port=$(free_port)
cat >"$dir/conf" <<END
host_id: early
beacons:
  reactor: 127.0.0.1:$port
  require_ack: false
  control_socket: $dir/beacon.sock
  state_dir: $dir/beacon.state
  spool_file: $dir/spool
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  control_socket: $dir/hub.sock
  state_dir: $dir/hub.state
END

# survives NAME PROGRAM…
survives() {
    name=$1
    shift
    strace -o "$dir/calls" -e inject=epoll_pwait:signal=SIGTERM:when=1+1 "$@" >"$dir/out" 2>&1
    result "$name: it starts and ends" $?
    # The names of its calls in order, from the first that is about signals to the loop.
    sed '/^epoll_pwait/,$d; s/(.*//' "$dir/calls" >"$dir/start"
    sed '/^rt_sigprocmask/,$d' "$dir/start" >"$dir/before"
    ! grep -q -e open -e mprotect "$dir/before" && [ "$(wc -l <"$dir/before")" -le 6 ]
    result "$name: it attends to signals before anything else" $?
    awk 'seen { count[$1]++; print $1, count[$1] + skipped[$1]; next } { skipped[$1]++ } /^rt_sigprocmask/ { seen = 1 }' \
        "$dir/start" >"$dir/points"
    bad=0
    while read -r call number; do
        rm -rf "$dir"/*.state "$dir/spool"
        strace -o /dev/null -e inject="$call:signal=SIGHUP:when=$number" -e inject=epoll_pwait:signal=SIGTERM:when=2+1 "$@" \
            >"$dir/out" 2>&1 </dev/null
        status=$?
        if [ "$status" -ne 0 ] || ! grep -q reload "$dir/out"; then
            echo "SIGHUP at call $number of $call: exit status $status"
            bad=$((bad + 1))
        fi
    done <"$dir/points"
    [ "$bad" -eq 0 ] && [ "$(wc -l <"$dir/points")" -gt 20 ]
    result "$name: SIGHUP at each of the $(wc -l <"$dir/points") calls of its start" $?
}

survives hub "$programs/nefia" reactor run -c "$dir/conf"
survives beacon "$programs/nefia-beacon" run -c "$dir/conf"

# Other verbs end by it, as everything on a terminal that goes away.
strace -o /dev/null -e inject=openat,open:signal=SIGHUP:when=2 "$programs/nefia" reactor check -c "$dir/conf" >"$dir/out" 2>&1
[ $? -eq 129 ]
result "check: SIGHUP ends it" $?
finish
