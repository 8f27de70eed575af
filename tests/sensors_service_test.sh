#!/bin/sh
# The sensor of services in a running beacon, with its filter of system calls: real processes and their pid files, and systemctl
# and ubus of our own. (qemu/scenario_systemd.sh has the real systemd.)
#   tests/sensors_service_test.sh [PROGRAM]      default: out/host/nefia-beacon
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
# shellcheck source=tests/beacon_lib.sh
. tests/beacon_lib.sh

if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null; then
    echo "skip: a directory in the place of /run takes root and a mount namespace"
    result "the rest" 0
    finish
fi

service_pid=
processes="$processes service_pid"

start_service() {
    sleep 100000 &
    service_pid=$!
    echo "$service_pid" >"$dir/run/watched.pid"
}

kill_service() {
    kill -KILL "$service_pid"
    wait "$service_pid" 2>/dev/null
    service_pid=
}

# In the beacon's eyes $dir/run is /run, and $dir/bin comes first in PATH.
start_here() {
    # shellcheck disable=SC2016 # the inner shell expands them
    background run.log env PATH="$dir/bin:$PATH" unshare -m sh -c 'mount --bind "$0/run" /run && exec "$@"' "$dir" \
        "$beacon" run -c "$dir/nefia.yaml"
    beacon_pid=$!
    within "$beacon" status -c "$dir/nefia.yaml"
}

# The beacon looks at any time: it finds what was there before, or all of it.
program() {
    printf '#!/bin/sh\n%s\n' "$2" >"$dir/new"
    chmod 755 "$dir/new"
    mv "$dir/new" "$dir/bin/$1"
}

systemctl_says() {
    echo "$1" >"$dir/new"
    mv "$dir/new" "$dir/run/state"
}

changes() {
    within heard "\"severity\":\"$4\",\"data\":{\"service\":\"watched\",\"state\":\"$3\",\"previous_state\":\"$2\"}"
    result "$1: $2 to $3 is $4" $?
}

# reload BACKEND: with another member, and wait until it is in force.
reload() {
    config services "  service_check: {interval: 1s, services: [watched, other], backend: $1}"
    kill -HUP "$beacon_pid"
    reloads=$((reloads + 1))
    within sh -c "[ \$(grep -c 'configuration reloaded' '$dir/run.log') -eq $reloads ]"
}

mkdir "$dir/run" "$dir/bin"
reloads=0
: >"$dir/hub.log"
config services '  service_check: {interval: 1s, services: [watched]}'
start_service
start_link_hub
start_here
within grep -q 'service watched is active' "$dir/run.log"
result "the first look is in the log" $?
kill_service
changes "pid file" active failed critical
start_service
changes "pid file" failed active info
rm "$dir/run/watched.pid"
reload auto
changes "pid file, over a reload" active inactive warning
! heard '"service":"other"'
result "what is unknown makes no event" $?
within status_has 'service_check.*not measured.*other: unknown service'
result "and is not measured" $?

systemctl_says activating
program systemctl "[ \"\$*\" = 'is-active watched other' ] || exit 9; cat $dir/run/state; echo failed; exit 3"
mkdir -p "$dir/run/systemd/system"
changes "systemctl" inactive activating info
systemctl_says reloading
changes "systemctl" activating reloading info
systemctl_says "Failed to connect to bus: Connection refused"
within status_has 'service_check.*not measured.*systemctl: Failed to connect to bus'
result "systemctl: what is no answer is not measured" $?

program ubus "case \$4 in
*watched*) echo '{\"watched\":{\"instances\":{\"instance1\":{\"running\":false,\"exit_code\":1}}}}' ;;
*) echo '{\"other\":{\"instances\":{\"instance1\":{\"running\":true,\"pid\":1}}}}' ;;
esac"
reload procd
changes "ubus" reloading failed critical
program ubus 'echo "Command failed: Permission denied" >&2; exit 6'
within status_has 'service_check.*not measured.*ubus: Command failed: Permission denied'
result "ubus: without permission is not measured" $?

# Measured in between by systemctl, and by ubus.
[ "$(grep -c 'not measured' "$dir/run.log")" -eq 3 ]
result "that it is not measured is in the log once each time" $?
[ "$(grep -c '"service":"watched"' "$dir/hub.log")" -eq 6 ]
result "nothing was told twice" $?
"$beacon" status --json -c "$dir/nefia.yaml" | grep -q '"seccomp":"commands"'
result "all of that within the filter for commands" $?
stop_beacon
result "the beacon ends" $?
stop_hub
finish
