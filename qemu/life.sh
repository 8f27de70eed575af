#!/bin/sh
# What a product goes through, on the image of BOARD as `make image` leaves it: the first start, a configuration that changes and one
# that is wrong, a beacon that is killed, a stop, a wait in which nothing may be written to flash, a power cut, the second start. The
# hub is another image, on ARM. Both are set up at their serial consoles, as a person would. The last line is the verdict.
#
#   qemu/life.sh BOARD        called by scenario_image_*.sh
#
# IMAGE_MINUTES: how long events come while nothing may be written (1). With 10 or more the disk has 60 s before that to settle;
# with less, it is told to write what it has.
set -eu

cd "$(dirname "$0")/.."
board=$1
minutes=${IMAGE_MINUTES:-1}
. qemu/machines.sh

began=$(date +%s)
say() { echo "   $(($(date +%s) - began)) s: $*"; }
service=/etc/init.d/S95nefia-beacon

# Nothing of this is in the root: what a site adds to a device beside its image is its network and its rules.
make_hub() {
    machine_image hub out/arm-virt || return 1
    cat >"$(machine_dir hub)/etc/nefia/nefia.yaml" <<YAML
host_id: hub
reactor:
  listen_address: 0.0.0.0
  peers: [10.99.0.0/24]
  hmac_key_file: /etc/nefia/hmac.key
  state_dir: /var/lib/nefia
  control_socket: /run/nefia/reactor.sock
  rules:
    - name: act
      event_pattern: 'test\\..*'
      action: {type: exec, target: hub, command: 'echo "act: \$NEFIA_HOST \$NEFIA_TYPE \$NEFIA_DATA_N" >/dev/console'}
YAML
}

# all_act TYPE LAST: the rule acted on all of the numbered events.
all_act() {
    lost=
    for n in $(seq 1 "$2"); do
        seen hub "^act: nefia-990002 $1 $n\$" || lost="$lost $n"
    done
    answer="lost:$lost"
    [ -z "$lost" ]
}

emit() { on router "nefia-beacon emit test.$1 warning n=${2:-1}"; }
beacon_process() { on router "cat /run/nefia-beacon.pid" && process=$answer; }
same_beacon() { on router "[ \"\$(cat /run/nefia-beacon.pid)\" = $process ] && kill -0 $process"; }
logged() { on router "await sh -c \"logread | grep -q '$1'\""; }

first_start() {
    machine_start arm-virt hub 10.99.0.1 7
    machine_start "$board" router 10.99.0.2 8
    must "the hub boots" seen hub '^machine .* is up'
    must "the router boots" seen router '^machine .* is up'
    say "$found"
    check "its name is made of the address of its network card" [ "$found" != "${found#machine nefia-990002 }" ]
    check "the root is read-only" on router 'grep -q "/rom squashfs ro" /proc/mounts && ! touch /rom/x'
    check "what is changed is on the second partition" on router 'grep -q "1 / overlay rw\|root / overlay rw" /proc/mounts && grep -q "2 /overlay ext4 rw" /proc/mounts'
    check "its key is made, for root alone" on router "grep -qx '[0-9a-f]\\{64\\}' /etc/nefia/hmac.key && ls -l /etc/nefia/hmac.key | grep -q '^-rw------- '"
    must "it is shown" on router 'cat /etc/nefia/hmac.key'
    key=$answer
    check "the hub has another one" on hub "[ -s /etc/nefia/hmac.key ] && ! grep -qx '$key' /etc/nefia/hmac.key"
    check "the beacon runs with the configuration of the first start" on router 'await nefia-beacon status'
    check "a hub is not started unasked" on hub '! pidof nefia'
}

set_up() {
    must "the hub is given the router's key" on hub "echo $key >/etc/nefia/hmac.key"
    must "it is switched on" on hub 'chmod +x /etc/init.d/S96nefia-reactor && /etc/init.d/S96nefia-reactor start && await nefia reactor status'
    must "the beacon is started again" on router "$service restart && await nefia-beacon status"
    mark
    check "emit" emit one
    check "the hub's rule acts" all_act test.one 1
}

# refused: by the last command, with the place.
refused() {
    [ "$status" -ne 0 ] || return 1
    case $answer in *nefia.yaml:[0-9]*": beacons.load.interval"*) ;; *) return 1 ;; esac
}

reload() {
    must "the beacon has a process" beacon_process
    on router "sed -i 's/^beacons:/beacons:\\n  max_events_per_min: 120\\n  dedup_window: 0s/' /etc/nefia/nefia.yaml"
    check "a changed configuration is taken" on router "$service reload"
    check "  and said to be" logged 'configuration reloaded'
    check "  by the same process" same_beacon
    on router "cp /etc/nefia/nefia.yaml /etc/nefia/good.yaml; sed -i 's/^  load: .*/  load: {interval: soon}/' /etc/nefia/nefia.yaml"
    on router "$service reload" && status=0 || status=$?
    check "a wrong one is refused with its line and key" refused
    on router "kill -HUP $process"
    check "  by the beacon, too" logged 'nefia.yaml:[0-9]*: beacons.load.interval'
    check "  and the old one stays, in the same process" same_beacon
    mark
    check "  which delivers" emit two
    check "  as before" all_act test.two 1
}

# doubles: the numbers of seconds in $answer.
doubles() {
    doubled="1 2 4 8 16 32 64 128 256 300"
    case $doubled in "${answer:-none}"*) ;; *) return 1 ;; esac
}

killed() {
    on router 'mv /etc/nefia/nefia.yaml /etc/nefia/wrong.yaml; cp /etc/nefia/good.yaml /etc/nefia/nefia.yaml'
    must "the beacon has a process" beacon_process
    on router "kill -9 $process"
    check "a beacon that was killed is started again" on router "await sh -c \"[ -e /run/nefia-beacon.pid ] && ! grep -qx $process /run/nefia-beacon.pid && nefia-beacon status\""
    must "the beacon has a process" beacon_process
    on router "cp /etc/nefia/wrong.yaml /etc/nefia/nefia.yaml; kill -9 $process"
    check "with a wrong configuration that is tried less and less often" until_true on router "logread | grep -q 'nefia-beacon is not running.*after 4 s'"
    on router "echo \$(logread | sed -n 's/.*respawn: nefia-beacon is not running.* after \\([0-9]*\\) s.*/\\1/p')"
    check "  each time after twice as long" doubles
    on router 'cp /etc/nefia/good.yaml /etc/nefia/nefia.yaml'
    check "with the right one it is there again" on router 'await nefia-beacon status'
}

# A stop takes 5 s at most.
accounted() { all_act test.last 8 || on router "logread | grep 'stopped; undelivered events: [1-9]'"; }

stopped() {
    mark
    on router "for n in 1 2 3 4 5 6 7 8; do nefia-beacon emit test.last info n=\$n; done; $service stop"
    check "a stop delivers what waits, or says how much it could not" accounted
    check "what was stopped stays so" on router 'sleep 8; ! pidof nefia-beacon'
    must "it is started again" on router "$service start && await nefia-beacon status"
}

# written NAME: in $sectors, those that were written to its disk since it started.
written() {
    # shellcheck disable=SC2016 # the machine expands it
    on "$1" 'cat "/sys/class/block/$(sed -n "s;^/dev/\\([^ ]*\\)2 /overlay .*;\\1;p" /proc/mounts)/stat"' || return 1
    # shellcheck disable=SC2086 # fields
    set -- $answer
    sectors=$7
}

# The guest counts the minutes, and each is a line that shows that it lives.
nothing_is_written() {
    [ "$minutes" -ge 10 ] || settle=5
    on router sync
    on hub sync
    on router "daemon settle sleep ${settle:-60}"
    must "it has settled" seen router '^settle: exit status 0'
    must "the kernel counts" written hub
    hub_before=$sectors
    must "the kernel counts" written router
    router_before=$sectors
    mark
    on router "daemon minutes sh -c 'n=0; while [ \$n -lt $minutes ]; do n=\$((n + 1)); for s in 1 2 3 4 5 6; do nefia-beacon emit test.minute info n=\$n.\$s >/dev/null; sleep 10; done; echo \$n; done'"
    must "the minutes pass" seen router '^minutes: exit status 0'
    must "the kernel counts" written router
    router_after=$sectors
    must "the kernel counts" written hub
    hub_after=$sectors
    acted=$(count hub '^act: nefia-990002 test.minute')
    check "events came all the time" [ "$acted" -ge $((minutes * 6)) ]
    check "nothing was written to the router's flash in $minutes min" [ "$router_after" -eq "$router_before" ]
    check "nothing was written to the hub's" [ "$hub_after" -eq "$hub_before" ]
    say "$minutes min, $acted events acted on; sectors written, router: $router_before before, $router_after after; hub: $hub_before, $hub_after"
}

asked_for() {
    on router "sed -i 's,state_dir: \"\",state_dir: /etc/nefia/state,' /etc/nefia/nefia.yaml && sync"
    must "the kernel counts" written router
    router_before=$sectors
    must "the beacon takes a state_dir on flash" on router "$service restart && await nefia-beacon status && sync"
    must "the kernel counts" written router
    check "what is asked for is written" [ "$sectors" -gt "$router_before" ]
}

second_start() {
    must "what is to be kept is known" on router 'cat /etc/nefia/hmac.key /etc/nefia/nefia.yaml /etc/hostname | sha256sum'
    kept=$answer
    power_cut router
    mark
    power_on router
    must "after a power cut the router boots" seen router '^machine nefia-990002 is up'
    on router 'cat /etc/nefia/hmac.key /etc/nefia/nefia.yaml /etc/hostname | sha256sum' || true
    check "its key, its configuration and its name are the same" [ "$answer" = "$kept" ]
    check "its state is there" on router 'await nefia-beacon status && ls /etc/nefia/state | grep -q .'
    check "emit" emit again
    check "the hub's rule acts" all_act test.again 1
    check "the kernel saw no fault" on router '! dmesg | grep -qi "SIGILL\|illegal instruction\|oops\|segfault\|I/O error\|ext4-fs error"'
}

machines_begin "out/qemu/image-$board"
must "the hub's image is there" make_hub
must "the router's image is there" machine_image router "out/$board"
rm -f "$run/hub/etc/hostname" "$run/router/etc/hostname"
first_start
set_up
reload
killed
stopped
nothing_is_written
asked_for
second_start
say "the end"
verdict
