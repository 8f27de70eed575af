#!/bin/sh
# The console on the serial port of an emulated MIPS router whose hub is away: the key opens the line, and every command answers; after the
# daemon is killed the log and the events on flash are still there. The last line is the verdict.
set -eu

cd "$(dirname "$0")/.."
. qemu/machines.sh
board=${ROUTER:-mips-malta}

make_machine() {
    by_hand router "$board-guarded" nefia-beacon || { bad "there is an image with the guarded beacon"; return 1; }
    dir=$(machine_dir router)
    : >"$run/hub.log" # there is no other machine
    printf '0123456789abcdef0123\n' >"$dir/etc/nefia/hmac.key"
    chmod 600 "$dir/etc/nefia/hmac.key"
    cat >"$dir/etc/nefia/nefia.yaml" <<'YAML'
host_id: router
beacons:
  reactor: "10.99.0.1:9500"
  hmac_key_file: /etc/nefia/hmac.key
  spool_file: /tmp/spool
  console: {tty: /dev/ttyS1}
  disk_usage: {interval: 1h}
YAML
    # The second serial port; the first has the machine's console.
    echo "-serial unix:$run/line,server=on,wait=off" >"$run/router.qemu"
}

# line CASE: of qemu/console.py.
line() {
    if answer=$(python3 qemu/console.py "$run/line" "$1" 2>&1); then ok "$answer"; else bad "$1: $answer"; fi
}

machines_begin "out/qemu/console"
make_machine || { verdict; exit 1; }
machine_start "$board" router 10.99.0.2 7
must "the router boots" seen router '^machine router is up'
must "the beacon starts" on router 'daemon beacon nefia-beacon run; await nefia-beacon status >/dev/null'
must "the console starts" on router 'daemon console nefia-beacon console'
line locked
line opened
on router 'signal KILL beacon'
line killed
check "wrong answers and sessions are logged" seen router '^console: .*wrong answer to the challenge'
# shellcheck disable=SC2016 # the machine's shell looks
check "the console is the process that was started" on router 'kill -0 "$(cat /run/console.pid)"'
verdict
