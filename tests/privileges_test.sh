#!/bin/sh
# What the running daemons may still do: users, capabilities, the filter of system calls. As root, since only root has rights
# to give up.
#   tests/privileges_test.sh [DIRECTORY]      default: out/host
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

programs=${1:-out/host}
pids=
hook_pid=
processes='pids hook_pid'

if [ "$(id -u)" -ne 0 ]; then
    printf 'reactor: {listen_port: 9, hmac_key: 0123456789abcdef, user: "0:0"}\n' >"$dir/root.yaml"
    chmod 600 "$dir/root.yaml"
    expect "without root it cannot change users" 1 "$programs/nefia" reactor run -c "$dir/root.yaml"
    finish
fi
chmod 755 "$dir" # the user has to get through it
user=64123 group=64124
port=$(free_port)

# has FILE PATTERN…: status of a process, as /proc has it; each pattern is a result.
has()
{
    name=$1
    file=$2
    shift 2
    for pattern; do
        grep -q "$pattern" "$file"
        result "$name: $pattern" $?
    done
}

# start NAME READY PROGRAM…: a daemon; its pid in $started, its log in NAME.log.
start()
{
    log=$1.log
    ready=$2
    shift 2
    background "$log" "$@"
    started=$!
    pids="$pids $started"
    within grep -q "$ready" "$dir/$log"
}

stop()
{
    kill -TERM "$1"
    wait "$1"
    stopped=$?
    pids=$(echo " $pids " | sed "s/ $1 / /")
    [ $stopped -eq 0 ]
}

nothing='Cap\(Inh\|Prm\|Eff\|Bnd\|Amb\):.0*$'
printf '0123456789abcdef0123456789abcdef\n' >"$dir/key"
chown 0:$group "$dir/key"
chmod 640 "$dir/key"

# ---- the beacon as another user ----
cat >"$dir/beacon.yaml" <<END
beacons:
  reactor: 127.0.0.1:9
  hmac_key_file: $dir/key
  user: "$user:$group"
  state_dir: $dir/state
  control_socket: $dir/run/beacon.sock
  disk_usage: {interval: 1s, paths: [/]}
  scripts:
    - {name: who, command: "id >$dir/state/who; grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status >$dir/state/rights", interval: 1s}
    - {name: rights, command: "mount -t tmpfs x /mnt", interval: 1s}
END
start beacon 'version' "$programs/nefia-beacon" run -c "$dir/beacon.yaml"
result "the beacon starts" $?
beacon=$started
has beacon "/proc/$beacon/status" "^Uid:.$user.$user.$user.$user\$" "^Gid:.$group.$group.$group.$group\$" '^Groups:[[:space:]]*$' \
    '^NoNewPrivs:.1$' '^Seccomp:.2$'
[ "$(grep -c "^$nothing" "/proc/$beacon/status")" -eq 5 ]
result "the beacon has no capability of any kind" $?
within test -s "$dir/state/rights"
result "a script writes where the user may" $?
grep -q "uid=$user gid=$group" "$dir/state/who" && [ "$(grep -c "^$nothing" "$dir/state/rights")" -eq 5 ] &&
    grep -q '^Seccomp:.2$' "$dir/state/rights" && grep -q '^NoNewPrivs:.1$' "$dir/state/rights"
result "and is the user, without capabilities, filtered" $?
[ "$(stat -c %u:%g:%a "$dir/run")" = "$user:$group:755" ] && [ "$(stat -c %u:%g:%a "$dir/state")" = "$user:$group:700" ] &&
    [ "$(stat -c %u:%a "$dir/run/beacon.sock")" = "$user:600" ] && [ "$(stat -c %u "$dir/state/boot")" = $user ]
result "socket, state and their new directories are the user's" $?
expect "root asks it" 0 "$programs/nefia-beacon" status --json -c "$dir/beacon.yaml"
says "its status shows the filter" '"seccomp":"commands"' out
! grep -q warning "$dir/beacon.log"
result "nothing to warn of" $?
! setpriv --reuid $user --regid $group --clear-groups cat "/proc/$beacon/environ" >"$dir/out" 2>&1
result "its own user cannot look into its memory" $?

kill -HUP "$beacon"
within grep -q 'configuration reloaded' "$dir/beacon.log"
result "it reads configuration and key again" $?
chmod 600 "$dir/key"
kill -HUP "$beacon"
within grep -q "$dir/key: cannot read the key file: Permission denied" "$dir/beacon.log"
result "a key it may not read any more is named" $?
grep -q 'the running configuration stays in force' "$dir/beacon.log"
result "and changes nothing" $?
chmod 640 "$dir/key"
sed -i "s/user: .*/user: '1:1'/" "$dir/beacon.yaml"
kill -HUP "$beacon"
within grep -q 'changing beacons.user requires a restart' "$dir/beacon.log"
result "another user waits for the next start" $?
stop "$beacon"
result "it ends" $?
[ ! -e "$dir/run/beacon.sock" ]
result "its socket is removed" $?
sed -i "s/user: .*/user: '$user:$group'/" "$dir/beacon.yaml"
boot=$(cut -d ' ' -f 2 "$dir/state/boot")
start beacon 'version' "$programs/nefia-beacon" run -c "$dir/beacon.yaml" && stop "$started"
[ "$(cut -d ' ' -f 2 "$dir/state/boot")" -eq $((boot + 1)) ]
result "and continues counting at the next start" $?

# ---- files of other owners are reported ----
mkdir "$dir/roots"
sed "s|state_dir: .*|state_dir: $dir/roots|" "$dir/beacon.yaml" >"$dir/roots.yaml"
chmod 600 "$dir/key" "$dir/roots.yaml"
start roots 'version' "$programs/nefia-beacon" run -c "$dir/roots.yaml"
stop "$started"
says "a state directory of root's" "cannot write to $dir/roots: Permission denied; chown -R it to that user" roots.log
says "a key of root's" "cannot read $dir/key: Permission denied; a reload will be refused" roots.log
says "a configuration of root's" "cannot read $dir/roots.yaml: Permission denied; a reload will be refused" roots.log
chmod 640 "$dir/key"
sed 's/user: .*/user: nobody-of-that-name/' "$dir/beacon.yaml" >"$dir/wrong.yaml"
expect "an unknown user is an error" 2 "$programs/nefia-beacon" check -c "$dir/wrong.yaml"
says "with its place" 'wrong.yaml:4: beacons.user: no such user in /etc/passwd: nobody-of-that-name' err
sed "s/user: .*/user: nobody/; s|hmac_key_file: .*||" "$dir/beacon.yaml" >"$dir/other.yaml"
expect "without root it cannot change users" 1 setpriv --reuid $user --regid $group --clear-groups \
    "$programs/nefia-beacon" run -c "$dir/other.yaml"
says "and reports it" 'cannot become user nobody: not running as root (beacons.user)' err

# ---- as root, the filter alone ----
# What changes nothing where it succeeds: the same name, the same second, a mount in this test's own directory.
mkdir "$dir/mounted"
cat >"$dir/try.sh" <<END
try() { "\$@" >/dev/null 2>&1; echo "\$1 \$?"; }
try unshare -n true
try hostname "\$(hostname)"
try date -s "@\$(date +%s)"
try mount --bind "$dir/mounted" "$dir/mounted"
echo end
END
sh "$dir/try.sh" >"$dir/unfiltered"
umount "$dir/mounted" 2>/dev/null
sed "s/user: .*//; s|mount -t.*/mnt|sh $dir/try.sh >$dir/filtered|; s|$dir/state|$dir/rootstate|" "$dir/beacon.yaml" >"$dir/asroot.yaml"
mkdir "$dir/rootstate"
start asroot 'version' "$programs/nefia-beacon" run -c "$dir/asroot.yaml"
has "as root" "/proc/$started/status" '^Uid:.0.0.0.0$' '^NoNewPrivs:.1$' '^Seccomp:.2$' '^CapEff:.*[1-9a-f]'
within grep -q end "$dir/filtered"
result "a script runs that would change the system" $?
stop "$started"
grep -q ' 0$' "$dir/unfiltered"
result "without the filter it could" $?
grep -q ' 0$' "$dir/filtered"
[ $? -eq 1 ] && [ "$(wc -l <"$dir/filtered")" -eq 5 ]
result "with it nothing of that works" $?

# ---- the hub ----
cat >"$dir/hub.yaml" <<END
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  user: "$user:$group"
  state_dir: $dir/hubstate
  control_socket: $dir/hubrun/hub.sock
  rules:
    - {name: who, event_pattern: door, action: {type: exec, target: hub, command: "id >$dir/hubstate/who; mount -t tmpfs x /mnt"}}
END
start hub 'listening on' "$programs/nefia" reactor run -c "$dir/hub.yaml"
result "the hub starts" $?
has hub "/proc/$started/status" "^Uid:.$user.$user.$user.$user\$" "^Gid:.$group.$group.$group.$group\$" '^Groups:[[:space:]]*$' \
    '^NoNewPrivs:.1$' '^Seccomp:.2$'
[ "$(grep -c "^$nothing" "/proc/$started/status")" -eq 5 ]
result "the hub has no capability of any kind" $?
echo '{"type":"door.open","source":"shell","host_id":"shed","timestamp":"2026-03-10T15:30:00Z","severity":"warning","data":{}}' |
    socat -t 600 - "TCP:127.0.0.1:$port" >/dev/null
within grep -q 'rule who: exec failed: exit' "$dir/hub.log"
result "an action runs, and may not mount" $?
grep -q "uid=$user gid=$group" "$dir/hubstate/who"
result "as the user" $?
expect "root asks the hub" 0 "$programs/nefia" reactor status --json -c "$dir/hub.yaml"
says "its status shows the filter" '"seccomp":"commands"' out
sed -i "s/listen_port: .*/listen_port: 77/" "$dir/hub.yaml"
kill -HUP "$started"
within grep -q 'cannot listen on .*ports below 1024 require root; change reactor.listen_port' "$dir/hub.log"
result "a reload cannot take a port below 1024, and logs the reason" $?
stop "$started"
result "the hub ends" $?
# A port below 1024 from the start, and the one capability that a feature needs.
sed "s/peers: .*/peers_from: wireguard:nefia-none/" "$dir/hub.yaml" >"$dir/wireguard.yaml"
if start wireguard 'listening on .*:77' "$programs/nefia" reactor run -c "$dir/wireguard.yaml"; then
    result "a port below 1024 is taken before root is given up" 0
    keeps='^Cap\(Prm\|Eff\|Bnd\):.0*1000$'
    [ "$(grep -c "$keeps" "/proc/$started/status")" -eq 3 ] && [ "$(grep -c "^$nothing" "/proc/$started/status")" -eq 2 ]
    result "for WireGuard's peers CAP_NET_ADMIN is kept, and nothing else" $?
    says "an interface that cannot be read is named with a remedy" 'no connections accepted from nefia-none: .*; ' wireguard.log
    stop "$started"
else
    result "a port below 1024 is taken before root is given up" 1
fi

# ---- builds that run no commands: the strict filter ----
make BOARD=host CONFIG=no-commands all >"$dir/build.log" 2>&1
result "a build without commands" $?
strict=out/host-no-commands
mkdir "$dir/hook"
python3 tests/fake/webhook.py "$dir/hook" secret &
hook_pid=$!
within test -s "$dir/hook/port"
cat >"$dir/strict.yaml" <<END
host_id: strict
beacons:
  reactor: "localhost:$port"
  hmac_key_file: $dir/key
  user: "$user:$group"
  state_dir: $dir/state
  control_socket: $dir/run/beacon.sock
  dedup_window: 0
  disk_usage: {interval: 1s, warning_percent: 0.1, critical_percent: 100, paths: [/]}
  data_budget: {interface: lo, allowance_mb: 1, interval: 1s}
  reach:
    - {name: here, tcp: "127.0.0.1:$port", interval: 1s}
    - {name: echo, icmp: 127.0.0.1, interval: 1s}
    - {name: names, dns: "127.0.0.1:9", query: hub.example, interval: 1s}
$(sed -n '/^  \(disk_usage\|data_budget\|reach\|scripts\|service_check\|login\|storage_assignment_drift\):/d
    s/^  [a-z_]*: {/&interval: 1s, /;s/^  [a-z_]*: \[{/&interval: 1s, /;s/, }/}/;/interval/p' tests/configs/all-sensors.yaml)
reactor:
  listen_port: $port
  hmac_key_file: $dir/key
  user: "$user:$group"
  state_dir: $dir/hubstate
  control_socket: $dir/hubrun/hub.sock
  rules:
    - {name: tell, event_pattern: 'disk|test', action: {type: alert, webhook_name: ok}}
  webhooks:
    - {name: ok, url: "http://localhost:$(cat "$dir/hook/port")/ok", secret: secret}
END
chown 0:$group "$dir/strict.yaml" # it holds a secret
chmod 640 "$dir/strict.yaml"
# Every system call of them and their children after the filter came into force; what it refuses gives EPERM.
start stricthub 'listening on' strace -ff -o "$dir/hubcalls" "$strict/nefia" reactor run -c "$dir/strict.yaml"
hub=$started
start strictbeacon 'connected to' strace -ff -o "$dir/beaconcalls" "$strict/nefia-beacon" run -c "$dir/strict.yaml"
result "both run and communicate, with a resolved name" $?
beacon=$started
within grep -q '^/ok good .*disk.usage' "$dir/hook/log"
result "an alert is posted" $?
expect "emit" 0 "$strict/nefia-beacon" emit test.event info a=b -c "$dir/strict.yaml"
within grep -q '^/ok good .*test.event' "$dir/hook/log"
result "is taken and posted" $?
for ask in "nefia reactor events" "nefia reactor status --json" "nefia-beacon status --json"; do
    # shellcheck disable=SC2086 # several words
    expect "$ask" 0 "$strict/"$ask -c "$dir/strict.yaml"
done
says "status: strict" '"seccomp":"strict"' out
is_measured()
{
    "$strict/nefia-beacon" status --json -c "$dir/strict.yaml" >"$dir/out"
    grep -q "\"name\":\"$1\"[^}]*\"result\":\"ok\"" "$dir/out"
}
for name in here echo names data_budget heartbeat memory load clock kernel_log file interface nefia-beacon honeypot_access; do
    within is_measured "$name"
    result "measured: $name" $?
done
! grep '"result":"failed"' "$dir/out"
result "no other sensor fails" $?
# The children of strace are the daemons.
for pid in $hub $beacon; do
    kill -HUP "$(cat "/proc/$pid/task/$pid/children")"
done
within grep -q 'configuration reloaded' "$dir/strictbeacon.log" && within grep -q 'reloaded: ' "$dir/stricthub.log"
result "both reload" $?
for pid in $hub $beacon; do
    kill -TERM "$(cat "/proc/$pid/task/$pid/children")"
done
wait "$beacon"
result "the beacon ends" $?
wait "$hub"
result "the hub ends" $?
pids=
# In the process itself from the filter on; in those it started, from their first call.
for f in "$dir"/hubcalls.* "$dir"/beaconcalls.*; do
    if grep -q '^execve' "$f"; then sed '1,/^seccomp(SECCOMP_SET_MODE_FILTER/d' "$f"; else cat "$f"; fi
done >"$dir/filtered"
echo "   $(wc -l <"$dir/filtered") system calls under the strict filter"
[ "$(wc -l <"$dir/filtered")" -gt 200 ]
result "they were watched" $?
grep 'EPERM' "$dir/filtered" >"$dir/out"
[ $? -eq 1 ]
result "none of what they need is refused" $?

finish
