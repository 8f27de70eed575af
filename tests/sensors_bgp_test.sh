#!/bin/sh
# sdwan_bgp_session_health against the real FRR and BIRD: Debian's packages, unpacked and not installed, since that would start
# them. Two hosts with a link between them: here FRR, on the other one BIRD, and a session between both.
#   tests/sensors_bgp_test.sh [PROGRAM]
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
. tests/beacon_lib.sh

if [ "$(id -u)" -ne 0 ]; then
    echo "skip: BGP sessions of the real FRR and BIRD: it takes root and namespaces"
    result "without root there is nothing to do" 0
    finish
fi
# ---- the daemons, with the libraries that a machine may not have ----
arch=$(dpkg --print-architecture)
tree=$PWD/out/routers
# unpacked DIRECTORY PACKAGE…
unpacked()
{
    to=$1
    shift
    [ -e "$to/.complete" ] && return
    rm -rf "$to"
    qemu/debian.sh "$arch" "$to" "$@" >/dev/null && touch "$to/.complete"
}
# BIRD 1.6 and 2 are the same files.
unpacked "$tree/new" frr bird2 libyang2 libssh-gcrypt-4 libgcrypt20 libgpg-error0 libc-ares2 libjson-c5 libreadline8 libcap2 \
    libpcre2-8-0 libcrypt1 libpam0g libaudit1 libcap-ng0 libtinfo6
unpacked "$tree/old" bird
if [ ! -e "$tree/new/.complete" ] || [ ! -e "$tree/old/.complete" ]; then
    result "FRR and BIRD can be had" 1
    finish
fi

if [ "${NEFIA_IN_NAMESPACE:-}" != yes ]; then
    rm -rf "$dir"
    NEFIA_IN_NAMESPACE=yes exec unshare --mount --net "$0" "$@"
fi

libraries=$(find "$tree/new" -name '*.so.*' ! -path '*/modules/*' -exec dirname {} + | sort -u | tr '\n' ':')
chmod 755 "$dir" # users have to get through it
mkdir "$dir/run"
cp /etc/group "$dir/group"
echo 'frrvty:x:64124:root' >>"$dir/group" # bgpd wants it
mount --bind "$dir/group" /etc/group

cat >"$dir/frr.conf" <<CONF
router bgp 65001
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 timers bgp 1 3
 neighbor 192.0.2.2 remote-as 65002
 neighbor 192.0.2.2 timers connect 1
 neighbor 192.0.2.2 description the "other" {one}
 neighbor 192.0.2.66 remote-as 65066
 neighbor 192.0.2.66 shutdown
CONF
cat >"$dir/bird.conf" <<CONF
router id 192.0.2.2;
protocol device {}
template bgp quick { local 192.0.2.2 as 65002; connect delay time 1; connect retry time 1; error wait time 1, 1;
    hold time 3; ipv4 { import all; export none; }; }
protocol bgp upstream from quick { neighbor 192.0.2.1 as 65001; }
protocol bgp unused from quick { disabled; neighbor 192.0.2.67 as 65067; }
CONF
cat >"$dir/old.conf" <<CONF
router id 192.0.2.2;
listen bgp port 1179;
protocol device {}
protocol bgp upstream { local 192.0.2.2 as 65002; neighbor 192.0.2.68 as 65001; }
protocol bgp unused { disabled; local 192.0.2.2 as 65002; neighbor 192.0.2.67 as 65067; }
CONF

# ---- two hosts ----
ip link set lo up
bgpd_pid='' bird_pid='' old_pid=''
processes="$processes bgpd_pid bird_pid old_pid"
. tests/far_lib.sh
far_host wan0 far0
ip address add 192.0.2.1/24 dev wan0
ip link set wan0 up
far ip address add 192.0.2.2/24 dev far0
far ip link set far0 up
far ip link set lo up

# Without zebra: no route leaves bgpd.
start_bgpd()
{
    rm -f "$dir/run/bgpd.pid"
    background bgpd.log env LD_LIBRARY_PATH="$libraries" "$tree/new/usr/lib/frr/bgpd" -Z -u root -g root -f "$dir/frr.conf" \
        -i "$dir/run/bgpd.pid" --vty_socket "$dir/run" -A 127.0.0.1 -P 0
    bgpd_pid=$!
}
start_bird()
{
    background bird.log start_far env LD_LIBRARY_PATH="$libraries" "$tree/new/usr/sbin/bird" -f -c "$dir/bird.conf" \
        -s "$dir/run/bird.ctl" -P "$dir/run/bird.pid"
    bird_pid=$!
}
# end VARIABLE SIGNAL: of the process whose id it holds.
end()
{
    eval "id=\$$1"
    kill "-$2" "$id" && { wait "$id" 2>/dev/null || true; }
    eval "$1="
}
vty=$dir/run/bgpd.vty ctl=$dir/run/bird.ctl
once()
{
    echo "beacons: {sdwan_bgp_session_health: {$1}}" >"$dir/once.yaml"
    "$beacon" once -c "$dir/once.yaml" >"$dir/out" 2>"$dir/err"
}
established()
{
    once "socket: $1" && [ ! -s "$dir/out" ]
}
start_bgpd
start_bird
within established "$vty" && within established "$ctl"
result "the session is established, as both say" $?

# ---- once ----
once "socket: $vty, backend: frr, peers: [192.0.2.2, 192.0.2.66, 192.0.2.99]"
grep -q '"severity":"warning","data":{"session":"192.0.2.66","state":"shut down",' "$dir/out" &&
    grep -q '"session":"192.0.2.99","state":"absent"' "$dir/out" && [ "$(wc -l <"$dir/out")" -eq 2 ]
result "FRR: what must exist and does not, or is shut down" $?
once "socket: $ctl, backend: bird, peers: [upstream, unused, gone]"
grep -q '"session":"unused","state":"shut down",' "$dir/out" && grep -q '"session":"gone","state":"absent"' "$dir/out" &&
    [ "$(wc -l <"$dir/out")" -eq 2 ]
result "BIRD: the same" $?
background old.log start_far "$tree/old/usr/sbin/bird" -f -c "$dir/old.conf" -s "$dir/run/old.ctl" -P "$dir/run/old.pid"
old_pid=$!
of_old() # STATE
{
    once "socket: $dir/run/old.ctl"
    grep -q "\"severity\":\"critical\",\"data\":{\"session\":\"upstream\",\"state\":\"$1\"," "$dir/out" && [ "$(wc -l <"$dir/out")" -eq 1 ]
}
within of_old '\(Idle\|Connect\|Active\)'
result "BIRD 1.6: none is established, and what is disabled does not count" $?
end old_pid TERM
once "socket: $dir/run/old.ctl"
grep -q '"data":{"socket":".*","state":"unreadable","reason":"\(No such file or directory\|Connection refused\)"' "$dir/out"
result "once: a state that cannot be read" $?

# ---- a beacon that runs ----
# watch SOCKET [MORE]: the log of events is empty before.
watch()
{
    rm -f "$dir/hub.log"
    run "  dedup_window: 0
  sdwan_bgp_session_health: {socket: $1, interval: 1s, unhealthy_after: 2s${2:-}}"
}
event() # TYPE DATA
{
    heard "\"type\":\"sdwan.bgp_$1\".*\"data\":{.*$2"
}
looks() # at least
{
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c '
import json, sys
s = json.load(sys.stdin)["sensors"][0]
sys.exit(s["result"] != "ok" or s["runs"] < int(sys.argv[1]))' "$1"
}
# The hub's log is emptied in place: what follows comes after it.
anew() { : >"$dir/hub.log"; }

watch "$vty"
within looks 4
result "FRR: it is looked at" $?
! heard sdwan
result "FRR: an established session is no event" $?
ip link set wan0 down
within event unhealthy '"session":"192.0.2.2","state":"\(Idle\|Connect\|Active\)","down_ms"'
result "FRR: the link goes down" $?
heard '"severity":"critical","data":{"session":"192.0.2.2"' && ! heard '192.0.2.66'
result "FRR: it is critical, since it was the only one" $?
anew
ip link set wan0 up
within event recovered '"state":"recovered","session":"192.0.2.2"'
result "FRR: it is established again" $?
anew
end bird_pid KILL
within event unhealthy '"session":"192.0.2.2"'
result "FRR: its neighbor's daemon is killed" $?
anew
start_bird
within event recovered '"state":"recovered","session":"192.0.2.2"'
result "FRR: and starts again" $?
anew
kill -STOP "$bgpd_pid"
within event unhealthy '"state":"unreadable","reason":"timed out"'
result "FRR: a daemon that does not answer" $?
"$beacon" status -c "$dir/nefia.yaml" >"$dir/out" 2>"$dir/err"
says "the beacon goes on meanwhile" 'not measured' out
! event unhealthy '"session"'
result "it says nothing of the sessions" $?
anew
kill -CONT "$bgpd_pid"
within event recovered '"state":"recovered","socket"'
result "FRR: it answers again" $?
anew
end bgpd_pid KILL
within event unhealthy '"state":"unreadable","reason":"Connection refused"'
result "FRR: the daemon is killed" $?
anew
start_bgpd
within event recovered '"state":"recovered","socket"' && within established "$vty"
result "FRR: it runs again" $?
halt

watch "$ctl"
within looks 4
result "BIRD: it is looked at" $?
! heard sdwan
result "BIRD: an established session is no event" $?
end bgpd_pid KILL
within event unhealthy '"session":"upstream","state":"\(Idle\|Connect\|Active\)","down_ms"'
result "BIRD: its neighbor's daemon is killed" $?
anew
start_bgpd
within event recovered '"state":"recovered","session":"upstream"'
result "BIRD: it is established again" $?
anew
end bird_pid TERM
within event unhealthy '"state":"unreadable","reason":"No such file or directory"'
result "BIRD: its socket is gone" $?
start_bird
within event recovered '"state":"recovered","socket"'
result "BIRD: and there again" $?
halt
within established "$vty" && within established "$ctl"
result "both are established at the end" $?

# ---- without root ----
chmod 711 "$dir/run"
chgrp 64124 "$ctl"
chmod 660 "$ctl"
chmod 644 "$dir/key"
mkdir "$dir/sock"
chmod 777 "$dir/sock"
as() # GROUP
{
    rm -f "$dir/hub.log"
    config sensors "  user: \"64123:$1\"
  dedup_window: 0
  require_ack: false
  sdwan_bgp_session_health: {socket: $ctl, interval: 1s, unhealthy_after: 2s}"
    sed -i -e "s|$dir/beacon.sock|$dir/sock/beacon.sock|" -e "s|hmac_key_file: .*|hmac_key: $key|" "$dir/nefia.yaml"
    chmod 640 "$dir/nefia.yaml"
    chgrp "$1" "$dir/nefia.yaml"
    start_hub plain
    start_beacon
}
as 64125
within event unhealthy '"state":"unreadable","reason":"Permission denied"'
result "a user who may not ask" $?
halt
as 64124
within looks 4
result "a user whose group may" $?
! heard sdwan
result "has nothing to say" $?
halt

finish
