#!/bin/sh
# The sensors of targets, of a metered link and of logins against the real things: listeners, hosts and name servers that go away,
# bytes that pass an interface, sshd and dropbear that are logged into.
#   tests/sensors_reach_test.sh [PROGRAM]
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
. tests/beacon_lib.sh
fake=$PWD/tests/fake

if [ "$(id -u)" -ne 0 ]; then
    echo "skip: reach, data_budget and login against the real things: it takes root and namespaces"
    result "without root there is nothing to do" 0
    finish
fi

# ---- a world of its own: two hosts and the link between them ----
# In a namespace of mounts the user database, root's home and the system log's socket are ours.
if [ "${NEFIA_IN_NAMESPACE:-}" != yes ]; then
    rm -rf "$dir"
    NEFIA_IN_NAMESPACE=yes exec unshare --mount --net "$0" "$@"
fi
mount -t sysfs none /sys # with the interfaces of this namespace
ip link set lo up
listener_pid='' names_pid='' syslog_pid='' sshd_pid='' dropbear_pid=''
processes="$processes listener_pid names_pid syslog_pid sshd_pid dropbear_pid"
. tests/far_lib.sh
far_host wwan0 far0
ip address add 192.0.2.1/24 dev wwan0
ip -6 address add 2001:db8::1/64 dev wwan0 nodad
ip link set wwan0 up
far ip address add 192.0.2.2/24 dev far0
far ip -6 address add 2001:db8::2/64 dev far0 nodad
far ip link set far0 up
far ip link set lo up
echo "1 0" >/proc/sys/net/ipv4/ping_group_range # raw sockets, as on most devices

listen()
{
    start_far socat -u TCP-LISTEN:7000,bind=192.0.2.2,reuseaddr,fork OPEN:/dev/null &
    listener_pid=$!
}
answer_names()
{
    start_far python3 "$fake/dns.py" 2001:db8::2 5353 &
    names_pid=$!
}
listens()
{
    far ss -lntu | grep -q "$1"
}
end()
{
    kill "$1" && wait "$1" 2>/dev/null
}
listen
answer_names
within listens '192.0.2.2:7000' && within listens ':5353'

# ---- once ----
once()
{
    echo "beacons: {$1}" >"$dir/once.yaml"
    "$beacon" once -c "$dir/once.yaml" >"$dir/out" 2>"$dir/err"
}
targets='reach: [
    {name: port, tcp: "192.0.2.2:7000", interval: 1s, window: 4},
    {name: echo4, icmp: 192.0.2.2, interval: 1s, window: 4},
    {name: echo6, icmp: "2001:db8::2", interval: 1s, window: 4},
    {name: names, dns: "[2001:db8::2]:5353", query: example.org, interval: 1s, window: 4}]'
once "$targets"
result "once: all targets are there" $?
[ "$(grep -c ': no events$' "$dir/err")" -eq 4 ] && [ ! -s "$dir/out" ]
result "and there is nothing to say of them" $?
once 'reach: [{name: nowhere, tcp: "192.0.2.2:7001"}, {name: off, icmp: 192.0.2.77}, {name: mute, dns: 192.0.2.2, query: a.example}]'
[ "$(grep -c '"type":"reach.loss".*"severity":"critical".*"loss_percent":"100.0","lost":1,"probes":1}' "$dir/out")" -eq 3 ]
result "once: what is not there is lost" $?

# ---- reach ----
config gw "  $targets
  data_budget: {interface: wwan0, allowance_mb: 2, interval: 1s}
  state_dir: $dir/state
  dedup_window: 0"
start_link_hub
start_beacon
descriptors()
{
    set -- "/proc/$beacon_pid/fd/"*
    echo $#
}
runs() # NAME: how often it ran, with result ok
{
    "$beacon" status --json -c "$dir/nefia.yaml" |
        python3 -c '
import json, sys
for s in json.load(sys.stdin)["sensors"]:
    if sys.argv[1] in (s.get("name"), s.get("sensor"), s.get("class")) and s["result"] == "ok":
        print(s["runs"])' "$1"
}
has_run() { [ "$(runs "$1")" -ge "$2" ]; }
for name in port echo4 echo6 names; do
    within has_run $name 5
    result "it is probed: $name" $?
done
! heard '"type":"reach\.'
result "while all answer there is no event" $?

end "$listener_pid"
within heard '"type":"reach.loss".*"severity":"critical","data":{"name":"port","target":"192.0.2.2:7000","loss_percent":"50.0"'
result "a listener that goes away" $?
end "$names_pid"
within heard '"type":"reach.loss".*"severity":"critical","data":{"name":"names","target":"\[2001:db8::2\]:5353","loss_percent":"50.0"'
result "a name server that goes away" $?
! heard '"name":"echo'
result "the host is still there" $?
listen
answer_names
within heard '"severity":"info","data":{"state":"recovered","name":"port"' &&
    within heard '"severity":"info","data":{"state":"recovered","name":"names"'
result "both come back" $?
far ip link set far0 down
for name in port echo4 echo6 names; do
    within heard "\"severity\":\"critical\",\"data\":{\"name\":\"$name\",.*\"loss_percent\":\"100.0\",\"lost\":4,\"probes\":4}"
    result "the link goes down: $name" $?
done
far ip link set far0 up
far ip -6 address add 2001:db8::2/64 dev far0 nodad 2>/dev/null
count()
{
    grep -c "\"state\":\"recovered\",\"name\":\"$1\"" "$dir/hub.log"
}
recovered() { [ "$(count "$1")" -ge "$2" ]; }
for name in "port 2" "echo4 1" "echo6 1" "names 2"; do
    # shellcheck disable=SC2086 # two words
    within recovered $name
    result "and up: $name" $?
done

# ---- data_budget ----
pass() # BYTES, to the other host
{
    head -c "$1" /dev/zero | socat -u - TCP:192.0.2.2:7000
}
counter()
{
    echo $(($(cat /sys/class/net/wwan0/statistics/rx_bytes) + $(cat /sys/class/net/wwan0/statistics/tx_bytes)))
}
budget() # of the last event
{
    sed -n 's/.*"type":"data.budget".*"used_bytes":\([0-9]*\).*/\1/p' "$dir/hub.log" | tail -n 1
}
pass 1650000
within heard '"type":"data.budget".*"severity":"warning","data":{"interface":"wwan0"'
result "most of the allowance is used" $?
pass 350000
within heard '"type":"data.budget".*"severity":"critical"'
result "all of it" $?
[ "$(budget)" -ge 2000000 ] && [ "$(budget)" -le "$(counter)" ]
result "used are the bytes that passed: $(budget) of $(counter)" $?

before=$(descriptors)
for i in 1 2 3 4 5; do
    kill -HUP "$beacon_pid"
    within status_has ", $i reloads,"
done
steady() { [ "$(descriptors)" -le $((before + 4)) ]; }
within steady
result "five reloads leave no descriptors open" $?
used=$(budget)
stop_beacon
pass 300000
stop_hub
: >"$dir/hub.log"
start_link_hub
start_beacon
more() { [ "$(budget)" -ge $((used + 300000)) ]; }
within more
result "what passed while it was stopped is counted: $used, then $(budget)" $?
stop_beacon
ip link delete wwan0
start_beacon
within status_has 'data_budget .*not measured: netlink: No such device'
result "an interface that is gone is not measured" $?
stop_beacon

# ---- login ----
if ! [ -x /usr/sbin/dropbear ]; then
    result "dropbear, which toolchain/install-deps.sh test installs" 1
    finish
fi
servers="2202:dropbear"
if [ -x /usr/sbin/sshd ]; then # not installed for tests alone: its package starts it
    servers="2201:sshd $servers"
else
    echo "skip: logins to sshd (package openssh-server)"
fi
mount --make-rprivate /
# Nothing is mounted below $dir, which is removed at the end.
mkdir "$dir/home" "$dir/home/.ssh"
mount -t tmpfs none /mnt
for node in null zero full random urandom tty; do
    : >"/mnt/$node"
    mount --bind "/dev/$node" /mnt/$node
done
mkdir /mnt/pts /mnt/shm
mount --bind /dev/pts /mnt/pts
ln -s pts/ptmx /mnt/ptmx
mount --rbind /mnt /dev
mount -t tmpfs none /run
mkdir /run/sshd
cp /etc/passwd "$dir/passwd"
sed "s|^root:[^:]*:|root:$(openssl passwd -6 right):|" /etc/shadow >"$dir/shadow"
chmod 600 "$dir/shadow"
mount --bind "$dir/passwd" /etc/passwd
mount --bind "$dir/shadow" /etc/shadow
chmod 755 "$dir"
mount --bind "$dir/home" /root
python3 "$fake/syslogd.py" /dev/log "$dir/auth" &
syslog_pid=$!
within test -S /dev/log
ssh-keygen -q -t ed25519 -N '' -f "$dir/hostkey"
ssh-keygen -q -t ed25519 -N '' -f "$dir/id"
dropbearkey -t ed25519 -f "$dir/dropbearkey" >"$dir/out" 2>&1
cp "$dir/id.pub" "$dir/home/.ssh/authorized_keys"
chmod 700 "$dir/home" "$dir/home/.ssh"
if [ -x /usr/sbin/sshd ]; then
    /usr/sbin/sshd -D -f /dev/null -h "$dir/hostkey" -p 2201 -o UsePAM=no -o PermitRootLogin=yes &
    sshd_pid=$!
fi
dropbear -F -r "$dir/dropbearkey" -p 2202 &
dropbear_pid=$!
near_listens()
{
    ss -lnt | grep -q ":$1 "
}
for server in $servers; do
    within near_listens "${server%:*}"
    result "it runs: ${server#*:}" $?
done

config gw "  login: {log: $dir/auth, failures: 6}
  dedup_window: 0"
: >"$dir/hub.log"
start_beacon
follows() { [ -n "$(find "/proc/$beacon_pid/fd" -lname "$dir/auth")" ]; }
within follows
result "the log is followed" $?
! pgrep -P "$beacon_pid" >"$dir/out"
result "by the beacon itself: no process is started" $?

# log_in PORT USER PASSWORD ADDRESS
log_in()
{
    cat >"$dir/askpass" <<ASK
#!/bin/sh
echo '$3'
ASK
    chmod 700 "$dir/askpass"
    SSH_ASKPASS="$dir/askpass" SSH_ASKPASS_REQUIRE=force ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o NumberOfPasswordPrompts=1 -o PubkeyAuthentication=no -p "$1" -l "$2" "$4" true </dev/null >"$dir/out" 2>&1
}
log_in_by_key()
{
    ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -i "$dir/id" -p "$1" -l root "$2" true \
        </dev/null >"$dir/out" 2>&1
}
event()
{
    within heard "\"type\":\"login.$1\".*\"data\":{$2"
}
for server in $servers; do
    port=${server%:*} service=${server#*:}
    log_in "$port" root wrong 127.0.0.1
    event failed "\"user\":\"root\",\"address\":\"127.0.0.1\",\"service\":\"$service\",\"method\":\"password\""
    result "$service: a wrong password" $?
    log_in "$port" root right ::1
    event succeeded "\"user\":\"root\",\"address\":\"::1\",\"service\":\"$service\",\"method\":\"password\""
    result "$service: the right one, by IPv6" $?
    log_in_by_key "$port" 127.0.0.1
    event succeeded "\"user\":\"root\",\"address\":\"127.0.0.1\",\"service\":\"$service\",\"method\":\"publickey\""
    result "$service: a key" $?
    log_in "$port" "x from 192.0.2.66 port 22" wrong 127.0.0.1
    event failed "\(\"user\":\"x from 192.0.2.66 port 22\",\)\?\"address\":\"127.0.0.1\",\"service\":\"$service\",\"failures\""
    result "$service: a user whose name looks like an address" $?
done
! heard '"address":"192.0.2.66"'
result "which is not taken for one" $?
mv "$dir/auth" "$dir/auth.1"
end "$syslog_pid"
rm -f /dev/log
python3 "$fake/syslogd.py" /dev/log "$dir/auth" &
syslog_pid=$!
within test -S /dev/log
for i in 1 2 3 4 5 6; do
    log_in 2202 root wrong 127.0.0.1
done
event brute_force '"user":"root","address":"127.0.0.1","service":"dropbear","method":"password","failures":6}'
result "many failures, in a log that was rotated" $?
stop_beacon
finish
