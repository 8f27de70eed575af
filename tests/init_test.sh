#!/bin/sh
# The init scripts for BusyBox init and Buildroot (S95nefia-beacon, S96nefia-reactor), run by BusyBox's shell with its start-stop-daemon, and
# systemd's units as systemd-analyze reads them. As root, and in mounts of its own, where pid files and /etc/default are.
cd "$(dirname "$0")/.." || exit 1
if [ "$(id -u)" -eq 0 ] && [ -z "${NEFIA_OWN_MOUNTS:-}" ]; then
    NEFIA_OWN_MOUNTS=1
    export NEFIA_OWN_MOUNTS
    exec unshare -m --propagation private "$0" "$@"
fi
. tests/lib.sh

log=$dir/init.log
beacon=
hub=
# shellcheck disable=SC2034 # names variables
processes='beacon hub'

make BOARD=host install PREFIX="$dir/usr" SYSCONFDIR="$dir/etc" INIT=sysv >"$log" 2>&1 &&
    make BOARD=host install DESTDIR="$dir/root" PREFIX=/usr INIT=systemd >>"$log" 2>&1
result "the programs, their scripts and units are installed" $?
units=$dir/root/usr/lib/systemd/system

# ---- units ----
if command -v systemd-analyze >/dev/null; then
    for unit in nefia-beacon nefia-reactor; do
        # Outside of a root of its own, so that the units that it names are those of this machine.
        sed "s|/usr/sbin/|$dir/usr/sbin/|" "$units/$unit.service" >"$dir/$unit.service"
        timeout 60 systemd-analyze verify --man=no "$dir/$unit.service" >"$log" 2>&1 && ! grep "$unit" "$log" >"$dir/out"
        result "systemd finds nothing wrong with $unit.service" $?
    done
else
    echo "skip: units, as systemd-analyze reads them"
fi
! grep -E '^(Protect(System|Home|Proc|Control|KernelT|KernelM|KernelL|Hostname)|Private|ReadOnly|ReadWrite|TemporaryFile|Inaccessible|Mount|ProcSubset|DynamicUser|RootD)' \
    rootfs-overlay/usr/lib/systemd/system/nefia-beacon.service >"$log"
result "the beacon's unit gives it neither mounts nor a /proc of its own" $?

grep -q '^Wants=network-online.target' "$units/nefia-reactor.service" && grep -q '^After=network-online.target' "$units/nefia-reactor.service"
result "the hub's unit waits for the addresses that it may have to listen on" $?

sed '1,/^# ---- from here on/d' rootfs-overlay/etc/init.d/S95nefia-beacon >"$dir/beacon.rest"
sed '1,/^# ---- from here on/d' rootfs-overlay/etc/init.d/S96nefia-reactor | diff "$dir/beacon.rest" - >"$log" && [ -s "$dir/beacon.rest" ]
result "but for their beginning, both scripts are the same" $?

if [ "$(id -u)" -ne 0 ] || ! command -v busybox >/dev/null; then
    echo "skip: running the init scripts (root, busybox)"
    finish
fi
mkdir -p /etc/default "$dir/bin" "$dir/state"
mount -t tmpfs tmpfs /etc/default && mount -t tmpfs tmpfs /run && [ "$(realpath /var/run)" = /run ]
result "mounts of its own" $?
for applet in start-stop-daemon sleep cat rm; do
    ln -s "$(command -v busybox)" "$dir/bin/$applet"
done
port=$(free_port)

# script NAME VERB: its status; what it says is in $dir/out and, of faults, in $dir/err.
script()
{
    PATH=$dir/bin:$PATH busybox sh "$dir/etc/init.d/$1" "$2" >"$dir/out" 2>"$dir/err" </dev/null
}

# starts_alone NAME: what the script says.
starts_alone()
{
    PATH=$dir/bin:$PATH busybox sh "$dir/etc/init.d/$1" start 2>&1 </dev/null
}

# does NAME VERB STATUS WORDS WHAT: the script has that status, and says WORDS.
does()
{
    script "$1" "$2"
    [ $? -eq "$3" ] && cat "$dir/out" "$dir/err" | grep -q -e "$4"
    result "$1 $2: $5" $?
}

pid_of()
{
    cat "/var/run/$1.pid" 2>/dev/null
}

# is_up NAME: the process of its pid file runs the installed program.
is_up()
{
    case $1 in *beacon) program=nefia-beacon ;; *) program=nefia ;; esac
    [ "$(readlink "/proc/$(pid_of "$1")/exe")" = "$dir/usr/sbin/$program" ]
}

# is_down NAME PID: neither a pid file nor that process, but for what init has not collected.
is_down()
{
    [ ! -e "/var/run/$1.pid" ] && ! readlink "/proc/$2/exe" >/dev/null
}

# configuration [RULE]: a good one.
configuration()
{
    cat >"$dir/etc/nefia/nefia.yaml" <<END
host_id: here
beacons:
  reactor: "127.0.0.1:$port"
  require_ack: true
  control_socket: $dir/beacon.sock
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  control_socket: $dir/hub.sock
  rules:
    - {name: ${1:-slow}, event_pattern: '^slow$', action: {type: exec, target: hub, command: 'touch $dir/begun; sleep 2; touch $dir/ended'}}
END
    chmod 600 "$dir/etc/nefia/nefia.yaml"
}

wrong_configuration()
{
    configuration
    echo 'nonsense: true' >>"$dir/etc/nefia/nefia.yaml"
}

for name in S95nefia-beacon S96nefia-reactor; do
    daemon=${name#S9?}
    rm -f "$dir/etc/nefia/nefia.yaml"
    does $name start 1 "there is no $dir/etc/nefia/nefia.yaml" "without a configuration it says so"
    [ ! -e "/var/run/$daemon.pid" ]
    result "$name: and nothing starts" $?
    wrong_configuration
    does $name start 1 'nonsense: unknown key' "a wrong configuration is refused with the reason"
    [ ! -e "/var/run/$daemon.pid" ]
    result "$name: and nothing starts then, either" $?
    does $name stop 1 'does not run' "there is nothing to stop"
    does $name reload 1 'does not run' "there is nothing to reload"
    does $name nonsense 1 'usage: .*start|stop|restart|reload' "another verb is answered with those that there are"
done

configuration
does S96nefia-reactor start 0 '^Starting nefia-reactor: OK$' "starts the hub"
does S95nefia-beacon start 0 '^Starting nefia-beacon: OK$' "starts the beacon"
for name in S95nefia-beacon S96nefia-reactor; do
    daemon=${name#S9?}
    is_up "$daemon"
    result "$name: the pid file has the process of the program" $?
    was=$(pid_of "$daemon")
    does $name start 1 'runs already' "a second one is refused"
    does $name reload 0 'Reloading .*: OK' "reloads"
    wrong_configuration
    does $name reload 1 'nonsense: unknown key' "a wrong configuration is not loaded"
    does $name restart 1 'goes on as before' "nor does it end what runs with the right one"
    configuration
    is_up "$daemon" && [ "$(pid_of "$daemon")" = "$was" ]
    result "$name: all that was one process" $?
    does $name restart 0 'Starting .*: OK' "restarts"
    is_up "$daemon" && [ "$(pid_of "$daemon")" != "$was" ]
    result "$name: that is another process" $?
    # It is a race, which takes a few tries.
    for try in 1 2 3; do
        script $name stop
        starts_alone $name >"$dir/first" &
        first=$!
        starts_alone $name >"$dir/second"
        wait $first
        if ! is_up "$daemon" || ! grep -q 'runs already' "$dir/first" "$dir/second"; then
            try=0
            break
        fi
    done
    [ "$try" = 3 ]
    result "$name: of two starts at a time one starts it" $?
    was=$(pid_of "$daemon")
    kill -KILL "$was"
    within sh -c "! readlink /proc/$was/exe"
    does $name start 0 'Starting .*: OK' "starts again after it was killed"
    is_up "$daemon"
    result "$name: and the pid file is the new one's" $?
done

# ---- reload: what is new counts ----
hub=$(pid_of nefia-reactor)
configuration changed
script S96nefia-reactor reload
within sh -c "'$dir/usr/sbin/nefia' reactor status -c '$dir/etc/nefia/nefia.yaml' | grep -q '^ *changed '"
result "a reload brings the new rules" $?

# ---- what starts a service again that has died, in the images ----
# respawned SLEEPS: how many times it is started before respawn has slept so often.
respawned()
{
    : >"$dir/starts"
    # shellcheck disable=SC2016 # the shell that runs it expands it
    SLEEPS=$1 busybox sh -c 'n=0
        sleep() { n=$((n + 1)); [ "$n" -lt "$SLEEPS" ] || exit 0; }
        logger() { :; }
        . qemu/image/root/usr/sbin/respawn' respawn "$dir/service" "$dir/usr/sbin/nefia-test" "$dir/service.pid"
    rm -f /run/respawn.nefia-test
    wc -l <"$dir/starts"
}

# shellcheck disable=SC2016 # that shell expands it
printf '#!/bin/sh\necho "$1" >>"%s/starts"\n' "$dir" >"$dir/service"
chmod +x "$dir/service"
true &
wait $!
echo $! >"$dir/service.pid"
[ "$(respawned 20)" -gt 1 ]
result "respawn starts a service that has died" $?
mkdir "$dir/service.pid.lock"
[ "$(respawned 20)" -eq 0 ]
result "respawn: not while its script is at work" $?
[ "$(respawned 60)" -gt 1 ]
result "respawn: a lock that was left counts for a while" $?
rmdir "$dir/service.pid.lock"
# shellcheck disable=SC2016 # that shell expands it
printf '#!/bin/sh\necho "$1" >>"%s/starts"\nrm -f "%s/service.pid"\nexit "$STARTED"\n' "$dir" "$dir" >"$dir/service"
[ "$(STARTED=1 respawned 40)" -gt 2 ]
result "respawn: what does not start is tried again" $?
echo $! >"$dir/service.pid"
[ "$(STARTED=0 respawned 40)" -eq 1 ]
result "respawn: what it has started and somebody stops at once is left alone" $?

# ---- stop waits ----
beacon_says()
{
    "$dir/usr/sbin/nefia-beacon" "$@" -c "$dir/etc/nefia/nefia.yaml"
}
within sh -c "'$dir/usr/sbin/nefia-beacon' status -c '$dir/etc/nefia/nefia.yaml' --json | grep -q '\"state\":\"up\"'"
beacon_says emit slow warning >"$log" 2>&1 && within test -e "$dir/begun"
result "an event sets off an action that takes its time" $?
does S96nefia-reactor stop 0 'Stopping .*: OK' "stops the hub"
[ -e "$dir/ended" ] && is_down nefia-reactor "$hub"
result "when it returns, the action has ended and so has the hub" $?

script S96nefia-reactor start
hub=$(pid_of nefia-reactor)
beacon=$(pid_of nefia-beacon)
within sh -c "'$dir/usr/sbin/nefia-beacon' status -c '$dir/etc/nefia/nefia.yaml' --json | grep -q '\"state\":\"up\"'"
kill -STOP "$hub"
beacon_says emit last warning >"$log" 2>&1
script S95nefia-beacon stop &
stopping=$!
within sh -c "grep -q Stopping '$dir/out'"
kill -CONT "$hub"
wait $stopping && is_down nefia-beacon "$beacon" &&
    "$dir/usr/sbin/nefia" reactor events --json -c "$dir/etc/nefia/nefia.yaml" >"$log" 2>&1 && grep -q '"type":"last"' "$log"
result "when the beacon has stopped, the hub has its events" $?

# ---- what does not stop ----
script S95nefia-beacon start
beacon=$(pid_of nefia-beacon)
echo 'PATIENCE=1' >/etc/default/nefia-beacon
kill -STOP "$beacon"
does S95nefia-beacon stop 0 'was killed' "what does not stop is killed; /etc/default/nefia-beacon says when"
is_down nefia-beacon "$beacon"
result "and is gone" $?
script S96nefia-reactor stop

# ---- the rights that the beacon's unit gives ----
# as_unit COMMAND…: as systemd starts it, in place of this shell.
as_unit()
{
    rights=$(sed -n 's/^AmbientCapabilities=//p' "$units/nefia-beacon.service" | tr '[:upper:]' '[:lower:]' | sed 's/cap_/+/g; s/ /,/g')
    mkdir -p "$dir/run"
    chmod 755 "$dir" "$dir/etc" "$dir/etc/nefia"
    chown 64123:64123 "$dir/run"
    exec setpriv --reuid=64123 --regid=64123 --clear-groups --no-new-privs --bounding-set="-all,$rights" --inh-caps="-all,$rights" \
        --ambient-caps="-all,$rights" "$@"
}
if command -v setpriv >/dev/null; then
    cat >"$dir/unit.yaml" <<END
beacons:
  reactor: "127.0.0.1:$port"
  control_socket: $dir/run/beacon.sock
  memory: {interval: 1s}
END
    chmod 644 "$dir/unit.yaml"
    as_unit "$dir/usr/sbin/nefia-beacon" run -c "$dir/unit.yaml" 2>"$log" &
    beacon=$!
    within grep -q '^NoNewPrivs:.1$' "/proc/$beacon/status" && within test -S "$dir/run/beacon.sock"
    within grep -q '^Seccomp:.2$' "/proc/$beacon/status"
    grep -q '^CapEff:.*[1-9a-f]' "/proc/$beacon/status" && grep -q '^Uid:.64123' "/proc/$beacon/status"
    result "as its unit starts it, the beacon has capabilities, as an ordinary user" $?
    grep -q '^CapAmb:.0*$' "/proc/$beacon/status"
    result "which what it runs does not get: none is ambient" $?
else
    echo "skip: the rights that the beacon's unit gives (setpriv)"
fi

finish
