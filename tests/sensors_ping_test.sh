#!/bin/sh
# Ping sockets of `reach` on this kernel: they are kept while they are answered. A router that sends redirects, an address that changes,
# a link-local target. Answers that come later wake up nobody, and their time is the kernel's.
#   tests/sensors_ping_test.sh [PROGRAM]
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
. tests/beacon_lib.sh

if [ "$(id -u)" -ne 0 ]; then
    echo "skip: ping sockets: it takes root and namespaces"
    result "without root there is nothing to do" 0
    finish
fi
if [ "${NEFIA_IN_NAMESPACE:-}" != yes ]; then
    rm -rf "$dir"
    NEFIA_IN_NAMESPACE=yes exec unshare --mount --net "$0" "$@"
fi
ip link set lo up
other_pid=''
echo_pid=''
processes="$processes echo_pid other_pid"
. tests/far_lib.sh

# A router, which reaches 198.51.100.1 over the interface that we reach it over, and the host that has this address.
far_host lan0 far0
start_far unshare --net sleep 1000000 &
other_pid=$!
other_is_apart()
{
    [ "$(readlink "/proc/$other_pid/ns/net")" != "$(readlink "/proc/$far_pid/ns/net")" ] &&
        [ "$(readlink "/proc/$other_pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}
other()
{
    nsenter --net --target "$other_pid" "$@"
}
start_other()
{
    exec nsenter --net --target "$other_pid" "$@"
}
within other_is_apart
far sh -ec "
    ip link add far1 type veth peer name other0 netns $other_pid
    ip link add lan type bridge
    for port in far0 far1; do ip link set \$port master lan up; done
    ip address add 192.0.2.2/24 dev lan
    ip -6 address add fe80::2/64 dev lan nodad
    ip link set lan up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    ip route add 198.51.100.1 via 192.0.2.3"
other ip address add 192.0.2.3/24 dev other0
other ip link set other0 up
other ip link set lo up
other ip address add 198.51.100.1/32 dev lo
ip address add 192.0.2.1/24 dev lan0
ip -6 address add fe80::1/64 dev lan0 nodad
ip link set lan0 up
ip route add default via 192.0.2.2
echo 0 >/proc/sys/net/ipv4/conf/all/accept_redirects
echo 0 >/proc/sys/net/ipv4/conf/lan0/accept_redirects
echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range

config gw '  reach: [
    {name: router, icmp: 192.0.2.2, interval: 1s, window: 4},
    {name: behind, icmp: 198.51.100.1, interval: 1s, window: 4},
    {name: beside, icmp: "fe80::2%lan0", interval: 1s, window: 4}]
  dedup_window: 0'
start_link_hub
start_beacon
runs() # NAME
{
    "$beacon" status --json -c "$dir/nefia.yaml" |
        python3 -c '
import json, sys
print([s["runs"] for s in json.load(sys.stdin)["sensors"] if s.get("name") == sys.argv[1] and s["result"] == "ok"][0])' "$1"
}
has_run() { [ "$(runs "$1")" -ge "$2" ]; }
sockets() # that are open, with their numbers
{
    find "/proc/$beacon_pid/fd" -lname 'socket:*' -printf '%l\n' | sort
}
for name in router behind beside; do
    within has_run $name 3
    result "it answers: $name" $?
done
kept=$(sockets)
! heard '"type":"reach\.'
result "a redirect comes before the answer, and is no loss" $?
ip address add 192.0.2.7/24 dev lan0
ip address del 192.0.2.1/24 dev lan0 # and with it what was added behind it, and the default route
ip address replace 192.0.2.7/24 dev lan0
ip route replace default via 192.0.2.2
ran=$(runs behind)
within has_run behind $((ran + 5))
! heard '"type":"reach.*"severity":"critical"'
result "its own address changes" $?
other ip link set other0 down
within heard '"severity":"critical","data":{"name":"behind".*"loss_percent":"100.0"'
result "the target goes away" $?
other ip link set other0 up
within heard '"severity":"info","data":{"state":"recovered","name":"behind"'
result "it is there again" $?
! heard '"name":"beside"'
result "a link-local target was there all the time" $?
[ "$(sockets | wc -l)" -eq "$(echo "$kept" | wc -l)" ]
result "no descriptor more than before" $?
stop_beacon

# ---- answers that come later, each of them three times ----
echo 0 >"$dir/delay"
start_other python3 tests/fake/echo.py "$dir/delay" 3 "$dir/echo" &
# shellcheck disable=SC2034 # of $processes
echo_pid=$!
within grep -q ready "$dir/echo"
: >"$dir/hub.log"
config gw '  reach: [{name: late, icmp: 192.0.2.3, interval: 2s, window: 3}]
  dedup_window: 1h'
start_beacon
probes()
{
    grep -c echo "$dir/echo"
}
probed() { [ "$(probes)" -ge "$1" ]; }
wakeups()
{
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c 'import json, sys; print(json.load(sys.stdin)["wakeups"])'
}
within probed 5
! heard '"type":"reach\.'
result "three answers to each probe are as one" $?
echo 0.6 >"$dir/delay"
within heard '"type":"reach.latency".*"name":"late"'
latency=$(sed -n 's/.*"type":"reach.latency".*"latency_ms":\([0-9]*\).*/\1/p' "$dir/hub.log" | head -n 1)
[ "${latency:-0}" -ge 600 ] && [ "$latency" -lt 2000 ]
result "latency is not that of the next look: $latency ms" $?
sent=$(probes)
woken=$(wakeups)
within probed $((sent + 8))
woken=$(($(wakeups) - woken))
sent=$(($(probes) - sent))
[ "$woken" -lt $((sent * 2)) ] # asking for the number is among them
result "an answer wakes up nobody: $woken wake-ups, $sent probes" $?
! heard '"type":"reach.loss"'
result "none of them is lost" $?
stop_beacon
finish
