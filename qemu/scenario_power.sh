#!/bin/sh
# Power cuts in the middle of commands on a device: two ARM machines with disks of their own, a hub whose rule has a command run on the
# router of the event. In each round some are ordered, and while one runs the power of one machine is cut: QEMU is killed, so what it
# had not brought to its disk is gone. At the end the account: what the router's disk says of each command, begun and ended, against
# what the hub's audit log says became of it. POWER_ROUNDS: cuts, by turns at the router and at the hub (3). The last line is the verdict.
set -eu
# shellcheck disable=SC2016 # the machines expand it

cd "$(dirname "$0")/.."
. qemu/machines.sh

rounds=${POWER_ROUNDS:-3}
commands=3 # in each round

make_image() {
    truncate -s 24M "$1"
    PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -b 1024 -m 0 "$1"
}

# from_image NAME FILE: of a disk that nobody has mounted.
from_image() { PATH=$PATH:/sbin:/usr/sbin debugfs -R "cat $2" "$run/$1.disk" 2>/dev/null; }

make_hub() {
    by_hand hub arm-virt nefia || return 1
    dir=$(machine_dir hub)
    cp "$run/hmac.key" "$dir/etc/nefia/"
    cat >"$dir/etc/nefia/nefia.yaml" <<'YAML'
reactor:
  listen_address: 0.0.0.0
  peers: [10.99.0.0/24]
  hmac_key_file: /etc/nefia/hmac.key
  state_dir: /mnt/disk/hub
  rules:
    - name: once
      event_pattern: 'power\.once'
      action: {type: exec, command: '/bin/note "$NEFIA_DATA_N"', life: 1h}
    - name: again
      event_pattern: 'power\.again'
      idempotent: true
      action: {type: exec, command: '/bin/note "$NEFIA_DATA_N"', life: 1h}
YAML
}

# note N: what is on the disk was so; what is on the console is known outside of the machine, too.
make_router() {
    by_hand router arm-virt-guarded nefia-beacon || return 1
    dir=$(machine_dir router)
    cp "$run/hmac.key" "$dir/etc/nefia/"
    cat >"$dir/etc/nefia/nefia.yaml" <<'YAML'
host_id: router
beacons:
  reactor: "10.99.0.1:9500"
  hmac_key_file: /etc/nefia/hmac.key
  control_socket: /run/nefia/beacon.sock
  state_dir: /mnt/disk/state
  remote: {enabled: true}
  max_events_per_min: 60
  dedup_window: 0s
  disk_usage: {enabled: false}
YAML
    cat >"$dir/bin/note" <<'SH2'
#!/bin/sh
note() {
    echo "$1 $2" | dd of=/mnt/disk/noted conv=notrunc,fsync oflag=append 2>/dev/null
    echo "note $1 $2" >/dev/console
}
note begun "$1"
usleep 700000
note ended "$1"
SH2
    chmod 755 "$dir/bin/note"
}

make_machines() {
    od -An -N 24 -tx1 /dev/urandom | tr -d ' \n' >"$run/hmac.key"
    chmod 600 "$run/hmac.key"
    make_image "$run/hub.disk"
    make_image "$run/router.disk"
    make_hub && make_router
}

start_hub() {
    must "the hub boots with its disk" on hub 'grep -q "/mnt/disk ext4" /proc/mounts'
    on hub 'daemon reactor nefia reactor run'
    must "the reactor answers" on hub 'await nefia reactor status'
}

start_router() {
    must "the router boots with its disk" on router 'grep -q "/mnt/disk ext4" /proc/mounts'
    on router 'daemon beacon nefia-beacon run'
    must "the beacon answers" on router 'await nefia-beacon status'
}

random() { od -An -N 2 -tu2 /dev/urandom | awk -v n="$1" '{ print $1 % n }'; }

# ordered: how many commands the hub has been given, as its audit log says. Of a hub that runs.
records() { on hub "nefia audit show --json --kind $1 | wc -l"; }
has_records() { records "$1" && [ "$answer" -ge "$2" ]; }

# round N MACHINE: commands are ordered; when one has begun, and some time more, that machine's power is cut.
round() {
    mark
    for _ in $(seq "$commands"); do
        total=$((total + 1))
        type=power.once
        [ $((total % 2)) -eq 0 ] || type=power.again
        echo "$total $type" >>"$run/wanted"
        must "an event is taken" on router "nefia-beacon emit $type warning n=$total"
    done
    must "the hub has all of the round" until_true has_records decision "$total"
    must "a command begins" seen router '^note begun'
    usleep=$(random 3000)
    sleep "$((usleep / 1000)).$(printf %03d $((usleep % 1000)))"
    power_cut "$2"
    echo "   round $1: the power of the $2 is cut $usleep ms after a command began"
    power_on "$2"
    mark
    must "the $2 boots again" seen "$2" "^machine $2 is up"
    "start_$2"
    check "round $1: every command comes to an end" until_true has_records action_ended "$total"
}

# ---- the account ----

account() {
    mark
    on router 'signal TERM beacon'
    must "the beacon ends in order" seen router '^beacon: exit status 0'
    must "the router's disk is whole" on router 'umount /mnt/disk'
    on hub 'signal TERM reactor'
    must "the reactor ends in order" seen hub '^reactor: exit status 0'
    must "the hub's disk is whole" on hub 'umount /mnt/disk'
    power_cut hub
    power_cut router
    from_image router noted >"$run/noted"
    from_image hub hub/audit.log >"$run/audit.log"
    from_image hub hub/audit.key >"$run/audit.key"
    answer=$(python3 tests/fake/audit.py "$run/audit.key" "$run/audit.log" 2>&1) && whole=0 || whole=1
    check "the audit log is whole over all power cuts" [ "$whole" -eq 0 ]
    while read -r line; do
        case $line in
        ok*) ok "${line#ok }" ;;
        FAIL*) bad "${line#FAIL }" ;;
        *) echo "   $line" ;;
        esac
    done <<END
$(qemu/power.py "$run/wanted" "$run/noted" "$run/audit.log" || echo "FAIL the account can be made")
END
}

machines_begin out/qemu/power
make_machines || { bad "the programs are built"; verdict; exit 1; }
total=0
: >"$run/wanted"
machine_start arm-virt hub 10.99.0.1 7 "$run/hub.disk"
machine_start arm-virt router 10.99.0.2 8 "$run/router.disk"
must "the hub boots" seen hub '^machine hub is up'
start_hub
must "the router boots" seen router '^machine router is up'
start_router
must "the beacon connects" seen router '^beacon: .*connected to 10.99.0.1'
first=$(random 2)
for n in $(seq "$rounds"); do
    if [ $(((n + first) % 2)) -eq 0 ]; then round "$n" router; else round "$n" hub; fi
done
account
verdict
