#!/bin/sh
# A daemon that is not root restarts a real service of this machine, which is told nothing of that daemon's restrictions: the helper
# for services. As root, since only root has rights to give up, and in mounts of its own, where the init scripts are.
#   tests/helper_test.sh [DIRECTORY]      default: out/host
cd "$(dirname "$0")/.." || exit 1
if [ "$(id -u)" -eq 0 ] && [ -z "${NEFIA_OWN_MOUNTS:-}" ]; then
    NEFIA_OWN_MOUNTS=1
    export NEFIA_OWN_MOUNTS
    exec unshare -m --propagation private "$0" "$@"
fi
. tests/lib.sh

programs=${1:-out/host}
hub=
toy=
# shellcheck disable=SC2034 # names variables
processes='hub toy'

if [ "$(id -u)" -ne 0 ]; then
    expect "without root there is nothing to give up" 0 "$programs/nefia" --version
    finish
fi
chmod 755 "$dir"
user=64123 group=64124
port=$(free_port)
mkdir -p /etc/init.d
mount -t tmpfs tmpfs /etc/init.d && mount -t tmpfs tmpfs /run
result "mounts of its own" $?

# As BusyBox's init scripts are: numbered, with a pid file. It begins with the environment that it was given in a file.
cat >/etc/init.d/S50toy <<END
#!/bin/sh
start() { env >/run/toy.env; setsid sh -c 'echo \$\$ >/run/toy.pid; exec sleep 3600' >/dev/null 2>&1 </dev/null & }
stop() { kill "\$(cat /run/toy.pid)"; rm -f /run/toy.pid; }
case \$1 in
start) start ;;
stop) stop ;;
restart) stop; start ;;
*) echo "usage: \$0 {start|stop|restart}"; exit 1 ;;
esac
END
chmod 755 /etc/init.d/S50toy
/etc/init.d/S50toy start
within test -s /run/toy.pid
first=$(cat /run/toy.pid)
toy=$first

cat >"$dir/playbook.yaml" <<END
name: toy
target: hub
vars: {verb: restart}
steps:
  - {name: tell, service: {name: toy, verb: VERB}}
  - {name: runs, wait_for: {service: toy}}
END
for verb in restart stop reload; do
    sed "s/VERB/$verb/" "$dir/playbook.yaml" | sed '/^vars/d' >"$dir/$verb.yaml"
done
sed '/runs/d' "$dir/stop.yaml" >"$dir/stop2.yaml" && mv "$dir/stop2.yaml" "$dir/stop.yaml"
cat >"$dir/hub.yaml" <<END
host_id: here
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  user: "$user:$group"
  state_dir: $dir/state
  control_socket: $dir/run/hub.sock
  rules:
    - {name: restart, event_pattern: '^restart$', action: {type: playbook, playbook_path: $dir/restart.yaml, target: hub}}
    - {name: stop, event_pattern: '^stop$', action: {type: playbook, playbook_path: $dir/stop.yaml, target: hub}}
    - {name: reload, event_pattern: '^reload$', action: {type: playbook, playbook_path: $dir/reload.yaml, target: hub}}
policy: {deny_commands: ['^service toy stop$']}
END
chmod 644 "$dir"/*.yaml

# send TYPE: an event of that type.
send()
{
    printf '{"type":"%s","source":"shell","host_id":"shed","timestamp":"2026-03-10T15:30:0%dZ","severity":"warning","data":{}}\n' "$1" "$2" |
        socat -t 600 - "TCP:127.0.0.1:$port" >/dev/null
}

# The helper of this hub: its pid; the hub's log is its standard error.
helper()
{
    grep -l '^Name:.nefia-services$' /proc/[0-9]*/status 2>/dev/null | while read -r status; do
        if [ "$(readlink "${status%/status}/fd/2")" = "$dir/hub.log" ]; then
            basename "${status%/status}"
        fi
    done
}

start_hub()
{
    background hub.log "$programs/nefia" reactor run -c "$dir/hub.yaml"
    hub=$!
    within grep -q 'listening on' "$dir/hub.log"
}

start_hub
result "the hub starts" $?
grep -q "^Uid:.$user.$user.$user.$user\$" "/proc/$hub/status" && grep -q '^Seccomp:.2$' "/proc/$hub/status" &&
    grep -q '^NoNewPrivs:.1$' "/proc/$hub/status"
result "as another user, filtered" $?
helper=$(helper)
grep -q '^Uid:.0.0.0.0$' "/proc/$helper/status" && grep -q '^Seccomp:.0$' "/proc/$helper/status" &&
    grep -q '^NoNewPrivs:.0$' "/proc/$helper/status"
result "its helper is root, and unrestricted" $?
[ "$(cut -d ' ' -f 4 "/proc/$helper/stat")" != "$hub" ] && [ "$(cut -d ' ' -f 6 "/proc/$helper/stat")" = "$helper" ]
result "of a session of its own, and not the hub's child" $?

send restart 1
is_another() { [ -s /run/toy.pid ] && [ "$(cat /run/toy.pid)" != "$first" ] && kill -0 "$(cat /run/toy.pid)"; }
within is_another
result "a service is restarted" $?
within grep -q 'rule restart: playbook done' "$dir/hub.log"
result "and waited for" $?
toy=$(cat /run/toy.pid)
grep -q '^Uid:.0.0.0.0$' "/proc/$toy/status" && grep -q '^Gid:.0.0.0.0$' "/proc/$toy/status" && grep -q '^Seccomp:.0$' "/proc/$toy/status" &&
    grep -q '^NoNewPrivs:.0$' "/proc/$toy/status" && grep '^CapEff:' "/proc/$toy/status" | grep -q '[1-9a-f]'
result "it is root's, without a filter, and may gain rights" $?
! grep -v -e '^PATH=' -e '^PWD=' -e '^SHLVL=' -e '^_=' -e '^OLDPWD=' /run/toy.env
result "it has PATH and nothing else in its environment" $?
grep -q '^Max cpu time  *unlimited' "/proc/$toy/limits"
result "it has no limit of the hub's" $?
within grep -q 'service toy restart: exit 0' "$dir/hub.log"
result "it is logged" $?
send reload 2
within grep -q 'rule reload: playbook failed' "$dir/hub.log"
result "a verb that its script does not know fails" $?

send stop 3
within grep -q 'rule stop: playbook failed: .*denied' "$dir/hub.log"
result "the policy of the hub denies" $?
kill -0 "$toy"
result "nothing was stopped" $?
# The policy is the file's: what the hub believes does not matter. Here both read it again.
sed -i 's/^policy: .*/policy: {deny_commands: ["^service toy restart$"]}/' "$dir/hub.yaml"
kill -HUP "$hub"
within grep -q 'reloaded: ' "$dir/hub.log"
send stop 4
is_stopped() { ! kill -0 "$toy"; }
within is_stopped
result "after a reload it allows what the file allows" $?

# ---- its end, and the hub's ----
kill -KILL "$helper"
within grep -q 'the helper for services has ended' "$dir/hub.log"
result "the hub notices the end of its helper" $?
send stop 5
within grep -q 'playbook failed: .*' "$dir/hub.log"
kill -0 "$hub"
result "and lives" $?
kill -TERM "$hub" && wait "$hub"
result "it ends" $?
hub=
start_hub
helper=$(helper)
[ -n "$helper" ]
result "another start has another helper" $?
kill -KILL "$hub" && wait "$hub" 2>/dev/null
hub=
has_ended() { ! kill -0 "$helper" || grep -q '^State:.Z' "/proc/$helper/status"; }
within has_ended
result "which ends with it" $?
finish
