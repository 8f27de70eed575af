#!/bin/sh
# Cable and power: nothing is lost and nothing is done twice.  Two ARM machines with disks of their own (ext4 on virtio-blk): a
# hub with its journal, and a router with three beacons, which wait for acknowledgements.  The cable is pulled at either end; the
# hub's power is cut twice under load, the router's once with events in its spools; each time QEMU is killed, so what a machine
# had not brought to its disk is gone.  Then the account: what the beacons gave numbers to, what the hub's journals say it took,
# and what was acted on have to be the same events.  The last line is the verdict.
set -eu

cd "$(dirname "$0")/.."
. qemu/machines.sh

began=$(date +%s)
say() { echo "   $(($(date +%s) - began)) s: $*"; }

# ---- the machines ----

beacons="1 2 3"

make_image() {
    truncate -s 24M "$1"
    PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -b 1024 -m 0 "$1"
}

# from_image FILE: of the hub's disk, which nobody has mounted.
from_image() { PATH=$PATH:/sbin:/usr/sbin debugfs -R "cat $1" "$run/hub.disk" 2>/dev/null; }

# The action: a line on the disk, made sure of, and one on the console, which is outside of the machine.  It takes its time, so
# that some wait when the power goes.
make_hub() {
    by_hand hub arm-virt nefia || return 1
    dir=$(machine_dir hub)
    cp "$run/hmac.key" "$dir/etc/nefia/"
    cat >"$dir/etc/nefia/nefia.yaml" <<YAML
reactor:
  listen_address: 0.0.0.0
  peers: [10.99.0.0/24]
  hmac_key_file: /etc/nefia/hmac.key
  state_dir: /mnt/disk/hub
  rules:
    - name: act
      action: {type: exec, command: /bin/act, target: hub}
YAML
    cat >"$dir/bin/act" <<'SH'
#!/bin/sh
boot=${NEFIA_EVENT##*\"boot\":} seq=${NEFIA_EVENT##*\"seq\":}
event="$NEFIA_HOST ${boot%%[,\}]*} ${seq%%[,\}]*}"
usleep 100000
echo "$event" | dd of=/mnt/disk/acted conv=notrunc,fsync oflag=append 2>/dev/null
echo "acted $event" >/dev/console
SH
    chmod 755 "$dir/bin/act"
}

# load PHASE COUNT: so many events of each beacon, of all severities, and what became of them.
make_router() {
    by_hand router arm-virt nefia-beacon || return 1
    dir=$(machine_dir router)
    cp "$run/hmac.key" "$dir/etc/nefia/"
    for b in $beacons; do
        cat >"$dir/etc/nefia/$b.yaml" <<YAML
host_id: router-$b
beacons:
  reactor: "10.99.0.1:9500"
  require_ack: true
  hmac_key_file: /etc/nefia/hmac.key
  control_socket: /run/nefia/$b.sock
  state_dir: /mnt/disk/$b
  max_events_per_min: 120
  dedup_window: 0s
  disk_usage: {enabled: false}
YAML
        [ -z "$flash" ] || printf '  spool_file: /mnt/disk/%s.spool\n  spool_file_events: all\n' "$b" \
            >>"$dir/etc/nefia/$b.yaml"
    done
    cat >"$dir/bin/load" <<SH
#!/bin/sh
n=0
while [ \$((n += 1)) -le "\$2" ]; do
    case \$((n % 4)) in 0) severity=critical ;; 1) severity=warning ;; *) severity=info ;; esac
    for b in $beacons; do
        echo "router-\$b \$(nefia-beacon emit -c /etc/nefia/\$b.yaml load.test \$severity "n=\$1.\$n" 2>&1)"
    done
done
echo done
SH
    chmod 755 "$dir/bin/load"
}

make_machines() {
    od -An -N 24 -tx1 /dev/urandom | tr -d ' \n' >"$run/hmac.key"
    chmod 600 "$run/hmac.key"
    flash=
    ! grep -q '^CONFIG_SPOOL_FILE=y' out/arm-virt/.config || flash=1
    make_image "$run/hub.disk"
    make_image "$run/router.disk"
    make_hub && make_router
}

start_hub() {
    must "the hub boots with its disk" on hub 'grep -q "/mnt/disk ext4" /proc/mounts'
    on hub 'daemon reactor nefia reactor run'
    must "the reactor answers" on hub 'await nefia reactor status'
}

start_beacons() {
    must "the router boots with its disk" on router 'grep -q "/mnt/disk ext4" /proc/mounts'
    for b in $beacons; do
        on router "daemon beacon-$b nefia-beacon run -c /etc/nefia/$b.yaml"
    done
    for b in $beacons; do
        must "a beacon answers" on router "await nefia-beacon status -c /etc/nefia/$b.yaml"
    done
}

# ---- what they say ----

# number NAME: the first of that name in the JSON in $answer; number OBJECT NAME: in the object.
number() {
    rest=$answer
    for name; do
        rest=${rest#*"\"$name\":"}
    done
    echo "${rest%%[!0-9]*}"
}

# ask_beacons: the sums of all; made: the numbers given out; each beacon's boot and last number go to $run/boots.
ask_beacons() {
    made=0 delivered=0 lost=0 waiting=0
    : >"$run/boots"
    for b in $beacons; do
        on router "nefia-beacon status --json -c /etc/nefia/$b.yaml" || return 1
        echo "router-$b $(number boot) $(number seq)" >>"$run/boots"
        made=$((made + $(number seq))) delivered=$((delivered + $(number delivered)))
        lost=$((lost + $(number lost info) + $(number lost warning) + $(number lost critical)))
        waiting=$((waiting + $(number spool events)))
    done
}

ask_hub() {
    on hub 'nefia reactor status --json | tail -n 1' || return 1
    events=$(number events) duplicates=$(number duplicates)
    busy=$(($(number exec waiting) + $(number exec running)))
}

drained() {
    busy=some
    ask_beacons && [ "$waiting" -eq 0 ] && ask_hub && [ "$busy" -eq 0 ] && return
    answer="$waiting events wait in the spools, $busy actions"
    return 1
}

emit() { on router "daemon load load $1 $2"; }
random() { od -An -N 2 -tu2 /dev/urandom | awk -v n="$1" '{ print $1 % n }'; }
acted() { [ "$(count hub '^acted ')" -ge "$1" ]; }

# ---- what happens ----

boot() {
    machine_start arm-virt hub 10.99.0.1 7 "$run/hub.disk"
    machine_start arm-virt router 10.99.0.2 8 "$run/router.disk"
    must "the hub boots" seen hub '^machine hub is up'
    start_hub
    must "the router boots" seen router '^machine router is up'
    start_beacons
    emit whole 5
    must "events are emitted" seen router '^load: done'
    check "on a whole link all arrives" until_true drained
    say "$delivered delivered"
}

nothing_comes() {
    last=$delivered
    ask_beacons && [ "$delivered" -eq "$last" ]
}

# cable_is_pulled NAME: at the router the kernel says so; pulled at the hub, the beacons talk to nobody.
cable_is_pulled() {
    mark
    emit "cable-$1" 25
    must "the hub is busy" until_true acted "$((3 + $(random 12)))"
    cable "$1" off
    must "the $1 sees that its cable is pulled" on "$1" 'await grep 0 /sys/class/net/eth0/carrier'
    delivered=-1
    must "what was on its way is there" until_true nothing_comes
    before=$delivered
    must "events are emitted meanwhile" seen router '^load: done'
    ask_beacons
    check "nothing arrives with the cable pulled at the $1" [ "$delivered" -eq "$before" ]
    check "and the spools fill" [ "$waiting" -gt 0 ]
    say "$delivered delivered, $waiting in the spools"
    cable "$1" on
    check "with the cable back at the $1 all arrives" until_true drained
    say "$delivered delivered"
}

# hub_power_is_cut N: what the journal was then is kept on the disk.
hub_power_is_cut() {
    mark
    emit "power-$1" 20
    must "the hub is busy" until_true acted "$((3 + $(random 20)))"
    power_cut hub
    say "the hub's power is cut after $(count hub '^acted ') actions of this load"
    must "events are emitted while the hub is off" seen router '^load: done'
    mark
    power_on hub
    must "the hub boots again" seen hub '^machine hub is up'
    must "its journal is there" on hub "cp -r /mnt/disk/hub /mnt/disk/cut.$1 && sync"
    start_hub
    say "the hub is up again; it found $(count hub 'resumed after the restart') actions that waited, \
$(count hub 'was running when the hub stopped') that had begun"
    check "the hub took its journal up" [ "$(count hub 'after the restart|was running when')" -gt 0 ]
    check "its journal has no damage" [ "$(count hub 'journal in .* and [1-9][0-9]* damaged byte')" -eq 0 ]
    check "its audit log is whole" on hub 'nefia audit verify'
    check "after the power cut all arrives" until_true drained
    say "$delivered delivered, $duplicates came to the hub again and counted once"
}

# What the beacons of this start leave to the account.
close_books() {
    ask_beacons
    made_before=$made delivered_before=$delivered lost_before=$lost
    expand <"$run/boots" >>"$run/made"
}
expand() {
    while read -r host boot last; do seq -f "$host $boot %.0f" 1 "$last"; done
}

router_power_is_cut() {
    mark
    cable router off
    emit flash 15
    must "events are emitted without a cable" seen router '^load: done'
    ask_hub
    duplicates_before=$duplicates
    close_books
    left=$waiting
    power_cut router
    say "the router's power is cut with $left events in the spools"
    mark
    power_on router
    must "the router boots again" seen router '^machine router is up'
    start_beacons
    check "all that was on flash arrives" until_true drained
    say "$delivered delivered since"
}

# ---- the account ----

# actions: made, acted (sorted): events; unknown: of which the hub says that it cannot know.
actions() {
    sort "$run/made" -o "$run/made"
    from_image acted | sort >"$run/acted"
    tr -d '\r' <"$run/hub.log" | sed -n 's/.* from \([^ ]*\) (boot \([0-9]*\), seq \([0-9]*\)) was running .*/\1 \2 \3/p' |
        sort >"$run/unknown"
    sort -u "$run/acted" | comm -23 "$run/made" - >"$run/missing"
    comm -12 "$run/missing" "$run/unknown" >"$run/without"
    answer=$(uniq -d <"$run/acted")
    check "no event is acted on twice" [ -z "$answer" ]
    answer=$(sort -u "$run/acted" | comm -13 "$run/made" -)
    check "nothing comes from nowhere" [ -z "$answer" ]
    answer=$(comm -23 "$run/missing" "$run/unknown")
    check "what is not acted on was reported: lost, or begun at the power cut" \
        [ "$(comm -23 "$run/missing" "$run/unknown" | wc -l)" -eq "$lost" ]
    check "what the console saw is on the disk, or was begun at the power cut" console_agrees
    echo "   $(wc -l <"$run/made") events = $(wc -l <"$run/acted") acted on + $(wc -l <"$run/without") begun at the power cut, \
without effect + $lost reported lost"
}

console_agrees() {
    answer=$(tr -d '\r' <"$run/hub.log" | sed -n 's/^acted //p' | sort | comm -23 - "$run/acted")
    [ -z "$answer" ]
}

# taken DIRECTORY: by the journal in it, since the start that began it: of the two files, the newer.
taken() {
    for n in 0 1; do
        from_image "$1/journal.$n" >"$run/journal"
        [ ! -s "$run/journal" ] || qemu/journal.py "$run/journal"
    done | sort -n | tail -n 1 | cut -d ' ' -f 2
}

journals() {
    first=$(taken cut.1) second=$(taken cut.2) last=$(taken hub)
    echo "   the hub's journals: $first taken before its first power cut, $second before the second, $last since; status: \
$events events since, $duplicates of them again"
    echo "   the beacons: $made numbers given out, $delivered delivered, $again of them again after the router's power cut, \
$lost lost"
    check "the journal since the last power cut is what status counts" [ "$last" -eq $((events - duplicates)) ]
    check "the hub's journals and the beacons' numbers agree to the event" [ $((first + second + last + lost)) -eq "$made" ]
    check "and so do the beacons' counters" [ $((delivered - again + lost)) -eq "$made" ]
}

# The audit log, by another program, and against what was done.
audited() {
    from_image hub/audit.key >"$run/audit.key"
    from_image hub/audit.log >"$run/audit.log"
    answer=$(python3 tests/fake/audit.py "$run/audit.key" "$run/audit.log" 2>&1) && whole=0 || whole=1
    check "the audit log is whole over both power cuts" [ "$whole" -eq 0 ]
    begun=$(grep -c '"kind":"action_begun"' "$run/audit.log") acted=$(wc -l <"$run/acted")
    answer="$begun records of $acted actions"
    check "every action was recorded before it began" [ "$begun" -ge "$acted" ]
    echo "   $answer"
}

account() {
    made_before=0 delivered_before=0 lost_before=0 duplicates_before=$duplicates
    if [ -n "$flash" ]; then
        router_power_is_cut
    else
        say "skip: this build keeps no spool on flash"
    fi
    ask_hub
    ask_beacons
    again=$((duplicates - duplicates_before))
    expand <"$run/boots" >>"$run/made"
    made=$((made + made_before)) delivered=$((delivered + delivered_before)) lost=$((lost + lost_before))
    check "no action failed, no queue was full" [ "$(grep -acE 'queue full|exec failed' "$run/hub.log")" -eq 0 ]
    mark
    on hub 'signal TERM reactor'
    check "SIGTERM ends the reactor with status 0" seen hub '^reactor: exit status 0'
    must "the disk is whole" on hub 'umount /mnt/disk'
    power_cut hub
    actions
    audited
    journals
}

machines_begin "out/qemu/cut"
make_machines || { bad "the programs are built"; verdict; exit 1; }
boot
cable_is_pulled router
cable_is_pulled hub
hub_power_is_cut 1
hub_power_is_cut 2
account
say "the end"
verdict
