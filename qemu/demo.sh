#!/bin/sh
# Two emulated machines: a router's disk fills up, the hub hears of it and acts.
#
#   qemu/demo.sh [BOARD]      BOARD is the router (default arm-virt); the hub is an ARM machine
set -eu

cd "$(dirname "$0")/.."
board=${1:-arm-virt}
. qemu/machines.sh
. qemu/nefia.sh

if [ -t 1 ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
    bold='' plain=''
fi
say() { echo "${bold}        $*${plain}"; }
fail() { echo "demo: $*; the consoles are $run/hub.log and $run/router.log" >&2; exit 1; }
expect() { seen "$1" "$2" || fail "waited in vain: $3"; }
run_on() { on "$1" "$2" || fail "$1: '$2' failed: $answer"; }

# The console lines of the programs, with the machine's name; not the answers to our commands.
show() {
    eval "pid=\$$1_pid"
    tail -n +1 -f -s 0.1 --pid="$pid" "$run/$1.log" 6>&- |
        sed -u -nE "s/\r$//; /^(beacon|reactor|event|command|webhook|webhook-body|init): |^machine /s/^/[$1] /p" 6>&- &
    machine_pids="$! $machine_pids"  # ends before the machine does
}

machines_begin out/qemu/demo
make_machines || exit 1

say "Two machines boot: the router ($board) and the hub (arm-virt)."
machine_start arm-virt hub 10.99.0.1 7
machine_start "$board" router 10.99.0.2 8 "$run/disk"
show hub
show router
expect hub '^machine hub is up' "the hub boots"
expect router '^machine router is up' "the router boots"

say "The hub starts a webhook receiver and the reactor."
run_on hub 'httpd -p 127.0.0.1:8080 -h /www'
run_on hub 'nefia reactor check && daemon reactor nefia reactor run'
run_on hub 'await nefia reactor status'
run_on hub 'daemon event nefia reactor events --follow'

say "The router starts its beacon; its disk is almost empty."
run_on router 'nefia-beacon check && daemon beacon nefia-beacon run'
expect router '^beacon: .*connected to 10.99.0.1' "the beacon connects"
run_on router 'df /mnt/disk'
echo "$answer"

say "Now the disk fills up."
run_on router 'dd if=/dev/zero of=/mnt/disk/logs bs=1k count=15500 2>&1 && sync && df /mnt/disk'
echo "$answer"
expect hub '^event: .*disk.usage' "the event arrives"
expect hub '^reactor: .*rule disk-full: exec.*critical' "the rule matches"
expect hub '^command: rule disk-full: /mnt/disk on router' "the command runs"
expect hub '^webhook: POST, signature sha256=[0-9a-f]{64}' "the webhook arrives"
expect hub '^webhook-body: .*"type":"disk.usage".*' "the webhook's body"
until_true signature_holds || fail "the webhook's signature is not what openssl computes"
say "openssl on this machine agrees with the webhook's signature."

say "The disk is emptied: the condition ends with an event of its own."
mark
run_on router 'rm /mnt/disk/logs && sync'
expect hub '^event: .*disk.usage +router +info' "the recovery arrives"

say "nefia reactor status, asked on the hub:"
run_on hub 'nefia reactor status'
echo "$answer"
case $answer in
*disk-full*disk.usage*) ;;
*) fail "the status does not show the rule and the event" ;;
esac
