#!/bin/sh
# An ARM machine whose first program is the real systemd: what becomes of its units comes to a real hub as events. So does what
# becomes of a service of runit's, in the same machine.
set -eu

cd "$(dirname "$0")/.."
. qemu/machines.sh

# unit NAME LINE…: a service with nothing around it; the rest of a system is not there.
unit() {
    file=$dir/etc/systemd/system/$1
    shift
    printf '[Unit]\nDefaultDependencies=no\n' >"$file"
    printf '%s\n' "$@" >>"$file"
}

make_machine() {
    for program in nefia-beacon nefia; do
        [ -x "out/arm-virt/$program" ] || { echo "no out/arm-virt/$program: make BOARD=arm-virt first" >&2; return 1; }
    done
    qemu/systemd.sh armhf
    dir=$(machine_dir router)
    cp -r out/systemd/armhf/bin out/systemd/armhf/lib out/systemd/armhf/usr "$dir/"
    cp out/arm-virt/nefia-beacon out/arm-virt/nefia "$dir/bin/"
    mkdir -p "$dir/etc/systemd/system" "$dir/usr/bin"
    ln -s /bin/busybox "$dir/usr/bin/env"
    echo 'nefia.init=/lib/systemd/systemd systemd.show_status=no systemd.log_target=kmsg systemd.machine_id=00000000000000000000000000000001' \
        >"$run/router.append"
    printf '[Manager]\nDefaultStandardOutput=null\n' >"$dir/etc/systemd/system.conf"
    unit default.target 'Wants=console.service steady.service'
    unit console.service '[Service]' 'ExecStart=/init' 'KillMode=process'
    # Ours, as they are installed; what else a system has is not there.
    cp rootfs-overlay/usr/lib/systemd/system/nefia-*.service "$dir/etc/systemd/system/"
    for name in nefia-beacon nefia-reactor; do
        mkdir -p "$dir/etc/systemd/system/$name.service.d"
        printf '[Unit]\nDefaultDependencies=no\n' >"$dir/etc/systemd/system/$name.service.d/alone.conf"
    done
    mkdir -p "$dir/usr/sbin"
    ln -s /bin/nefia-beacon /bin/nefia "$dir/usr/sbin/"
    echo 'nefia:x:990:990::/:/bin/false' >"$dir/etc/passwd"
    printf 'nefia:x:990:\nsystemd-journal:x:991:\n' >"$dir/etc/group"
    unit steady.service '[Service]' 'ExecStart=/bin/sleep 1000000'
    unit again.service '[Service]' 'ExecStart=/bin/sleep 1000000' 'Restart=always' 'RestartSec=1000000'
    # Each of its steps takes as long as its file is not there.
    cat >"$dir/bin/wait-for" <<'SH'
#!/bin/sh
until [ -e "/run/$1" ]; do usleep 100000; done
SH
    chmod 755 "$dir/bin/wait-for"
    unit slow.service '[Service]' 'ExecStartPre=/bin/wait-for go' 'ExecStart=/bin/sleep 1000000' \
        'ExecReload=/bin/wait-for reload' 'ExecStop=/bin/wait-for stop' 'TimeoutSec=infinity'
    mkdir -p "$dir/etc/service/supervised"
    printf '#!/bin/sh\nexec sleep 1000000\n' >"$dir/etc/service/supervised/run"
    printf '#!/bin/sh\nexec wait-for finish\n' >"$dir/etc/service/supervised/finish"
    chmod 755 "$dir/etc/service/supervised/run" "$dir/etc/service/supervised/finish"
    cat >"$dir/etc/nefia/runit.yaml" <<'YAML'
host_id: runit
beacons:
  reactor: 127.0.0.1
  control_socket: /run/nefia/runit.sock
  service_check: {interval: 1s, services: [supervised], backend: runit}
YAML
    cat >"$dir/etc/nefia/nefia.yaml" <<'YAML'
host_id: router
beacons:
  reactor: 127.0.0.1
  control_socket: /run/nefia/beacon.sock
  max_events_per_min: 120
  service_check: {interval: 1s, services: [steady, again, slow, nosuch]}
reactor:
  peers: [127.0.0.1/32]
  control_socket: /run/nefia/reactor.sock
  rules:
    - name: show
      event_pattern: 'service\.status'
      action:
        type: exec
        target: hub
        command: 'echo "event: $NEFIA_DATA_SERVICE $NEFIA_DATA_PREVIOUS_STATE to $NEFIA_DATA_STATE, $NEFIA_SEVERITY" >/dev/console'
YAML
}

boot() {
    : >"$run/hub.log" # there is no other machine
    machine_start arm-virt router 10.99.0.2 8
    must "systemd boots" seen router '^machine router is up'
    on router 'cat /proc/1/comm; systemctl --version'
    case $answer in systemd*systemd\ 2[0-9][0-9]*) ok "the first program is $(echo "$answer" | sed -n 2p)" ;;
    *) bad "the first program is $answer" ;; esac
    must "the configuration is fine" on router 'nefia-beacon check && nefia reactor check'
    on router 'daemon reactor nefia reactor run'
    must "the reactor answers" on router 'await nefia reactor status'
    on router 'daemon beacon nefia-beacon run'
    must "the beacon connects" seen router '^beacon: .*connected to 127.0.0.1'
}

# first NAME STATE: what the beacon saw when it looked for the first time.
first() { check "at first $1 is $2" seen router "^beacon: .*service $1 is $2\$"; }

# becomes NAME STATE STATE SEVERITY COMMAND: after a command on the machine such an event comes. The first STATE is a pattern: what
# a unit goes through on its way may be seen, too.
becomes() {
    mark
    check "$5" on router "$5"
    check "$1: $2 to $3 is $4" seen router "^event: $1 $2 to $3, $4\$"
}

machines_begin out/qemu/systemd
make_machine || { bad "the programs and systemd are there"; verdict; exit 1; }
boot
first steady active
first again inactive
first slow inactive
# shellcheck disable=SC2016 # the machine's shell expands it
becomes steady active failed critical 'kill -KILL "$(systemctl show -p MainPID --value steady)"'
becomes steady failed active info 'systemctl restart steady'
becomes steady '(active|deactivating)' inactive warning 'systemctl stop steady'
becomes again inactive active info 'systemctl start again'
becomes again active activating info 'systemctl kill -s KILL again' # it is to be restarted, much later
becomes again '(activating|inactive)' active info 'systemctl restart again'
becomes slow inactive activating info 'systemctl start --no-block slow'
becomes slow activating active info 'touch /run/go'
becomes slow active reloading info 'systemctl reload --no-block slow'
becomes slow reloading active info 'touch /run/reload'
becomes slow active deactivating warning 'systemctl stop --no-block slow'
becomes slow deactivating inactive warning 'touch /run/stop'
# A unit that does not exist is no inactive one.
# While it looks, the status says that instead.
check "nosuch is an unknown service" on router "await sh -c 'nefia-beacon status --json | grep -qF \"nosuch: unknown service\"'"
# runit
on router 'daemon runsv /usr/bin/runsv /etc/service/supervised'
must "runsv starts its service" on router 'await grep -q . /etc/service/supervised/supervise/pid'
on router 'daemon second nefia-beacon run -c /etc/nefia/runit.yaml'
check "at first the supervised service is active" seen router '^second: .*service supervised is active$'
# shellcheck disable=SC2016
becomes supervised active failed critical 'kill -KILL "$(cat /etc/service/supervised/supervise/pid)"' # its finish script waits
becomes supervised failed active info 'touch /run/finish'
becomes supervised '(active|failed)' inactive warning 'echo d >/etc/service/supervised/supervise/control'
becomes supervised inactive active info 'echo u >/etc/service/supervised/supervise/control'
# shellcheck disable=SC2016
becomes supervised active failed critical 'signal KILL runsv; kill -KILL "$(cat /etc/service/supervised/supervise/pid)"'
on router 'signal TERM beacon'
check "SIGTERM ends the beacon with status 0" seen router '^beacon: exit status 0'
on router 'signal TERM reactor'
check "SIGTERM ends the reactor with status 0" seen router '^reactor: exit status 0'

# ---- our own units ----
# shows UNIT PROPERTY: its value, in $answer.
shows() { on router "systemctl show -p $2 --value $1"; }

# is UNIT PROPERTY VALUE
is() { shows "$1" "$2" && [ "$answer" = "$3" ]; }

# as_nefia UNIT: so runs its process.
as_nefia() { on router "grep ^Uid: /proc/\$(systemctl show -p MainPID --value $1)/status" && [ "${answer#*990}" != "$answer" ]; }

on router 'cp /etc/nefia/nefia.yaml /run/good.yaml'
for unit in nefia-reactor nefia-beacon; do
    must "$unit starts" on router "systemctl start $unit"
    shows $unit MainPID
    process=$answer
    check "$unit runs as the user nefia" as_nefia $unit
    check "$unit reloads" on router "systemctl reload $unit"
    check "$unit: that is the same process" is $unit MainPID "$process"
    on router 'echo "nonsense: true" >>/etc/nefia/nefia.yaml'
    if on router "systemctl reload $unit"; then bad "$unit loads a wrong configuration"; else ok "$unit does not load a wrong configuration"; fi
    check "$unit goes on with the right one" is $unit MainPID "$process"
    on router "systemctl restart $unit" || true
    check "$unit fails with a wrong configuration" on router "await systemctl is-failed $unit"
    check "$unit is not started with it again and again" is $unit NRestarts 0
    on router "cp /run/good.yaml /etc/nefia/nefia.yaml; systemctl start $unit"
    on router "systemctl kill -s KILL $unit"
    check "$unit is started again when it was killed" on router "await sh -c '[ \$(systemctl show -p NRestarts --value $unit) = 1 ]'"
    check "$unit runs again" on router "await systemctl is-active $unit"
done
check "root asks the beacon of the unit, which is connected" on router "await sh -c 'nefia-beacon status --json | grep -q state...up'"
for unit in nefia-beacon nefia-reactor; do
    check "$unit stops" on router "systemctl stop $unit"
    check "$unit has ended well" is $unit Result success
done
verdict
