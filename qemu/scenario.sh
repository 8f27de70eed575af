#!/bin/sh
# A router (BOARD) and a hub under emulation, through a day's troubles; the last line is the verdict.
#
#   qemu/scenario.sh BOARD        called by scenario_*.sh
set -eu

cd "$(dirname "$0")/.."
board=$1
. qemu/machines.sh
. qemu/nefia.sh

# all_ticks FROM TO: each numbered event's action ran, as seen on the hub's console.
all_ticks() {
    lost=
    for n in $(seq "$1" "$2"); do
        seen hub "^tick $n\$" || lost="$lost $n"
    done
    answer="lost:$lost"
    [ -z "$lost" ]
}

# emit_ticks FROM TO: ten a second; the ticker says the number of each that the beacon took.
emit_ticks() {
    on router "daemon ticker sh -c 'n=$1; while [ \$n -le $2 ]; do nefia-beacon emit test.tick \
info n=\$n >/dev/null && echo \$n || echo refused \$n; n=\$((n + 1)); usleep 100000; done; echo done'"
}

# kilobytes NAME PROGRAM FIELD: of smaps_rollup, which counts pages; VmRSS lags behind.
kilobytes() {
    on "$1" "sed -n 's/^$3:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/\$(cat /run/$2.pid)/smaps_rollup"
}

# within NAME DAEMON BOARD PROGRAM: its resident memory is no more than what is promised of that board's: flash and RAM, and RAM.
within() {
    # shellcheck disable=SC2046 # two numbers
    set -- "$1" "$2" $(awk -v b="$3" -v p="$4" '$1 == b && $2 == "-" && $3 == p { print $4 + $5, $5 }' toolchain/promises.txt)
    kilobytes "$1" "$2" Rss && rss=$answer && kilobytes "$1" "$2" Anonymous && anon=$answer || return 1
    answer="resident $rss KiB, of it not from the file $anon KiB"
    echo "   $2: $answer; allowed $3 and $4"
    [ "$rss" -gt 0 ] && [ "$rss" -le "$3" ] && [ "$anon" -le "$4" ]
}

same_process() { on "$1" "[ \"\$(cat /run/$2.pid)\" = $3 ] && kill -0 $3"; }

boot() {
    machine_start arm-virt hub 10.99.0.1 7
    machine_start "$board" router 10.99.0.2 8 "$run/disk"
    must "the hub boots" seen hub '^machine hub is up'
    must "the router boots" seen router '^machine router is up'
    must "the webhook receiver starts" on hub 'httpd -p 127.0.0.1:8080 -h /www'
    must "the reactor's configuration is fine" on hub 'nefia reactor check'
    on hub 'daemon reactor nefia reactor run'
    must "the reactor answers" on hub 'await nefia reactor status'
    must "the beacon's configuration is fine" on router 'nefia-beacon check'
    on router 'daemon beacon nefia-beacon run'
    must "the beacon connects" seen router '^beacon: .*connected to 10.99.0.1'
    on router 'cat /run/beacon.pid'
    beacon_pid=$answer
    ok "$board: both boot, the beacon is connected"
}

disk_fills() {
    on router 'dd if=/dev/zero of=/mnt/disk/logs bs=1k count=15500 2>/dev/null && sync'
    check "a full disk runs the command on the hub" \
        seen hub '^command: rule disk-full: /mnt/disk on router is 9[0-9]\.[0-9] % full'
    seen hub '^webhook-body: .*disk.usage' || true
    check "the webhook's signature is the one openssl computes" until_true signature_holds
    on router 'rm /mnt/disk/logs && sync'
    on hub 'await sh -c "nefia reactor status | grep -q \"disk.usage  *router  *info\""' || true
    on hub 'nefia reactor status' || true
    check "status shows rule, hit, event, recovery" story_is_told
}

# While the disk fills slowly, there is more than one hit.
story_is_told() {
    echo "$answer" | grep -q '^  disk-full .* exec  *[1-9]' || return 1
    case $answer in *disk.usage*critical*disk.usage*info*) return 0 ;; *) return 1 ;; esac
}

unsigned_is_refused() {
    mark
    on router "echo '{\"type\":\"disk.usage\"}' >/tmp/line; echo $(printf '%064d' 0) >>/tmp/line; \
nc 10.99.0.1 9500 </tmp/line" || true
    check "a wrong signature is refused with its peer and the reason" \
        seen hub '^reactor: .*10\.99\.0\.2.*signature'
}

reactor_restarts() {
    mark
    emit_ticks 1 24
    must "events flow" seen hub '^tick 8$'
    on hub 'signal TERM reactor'
    check "SIGTERM ends the reactor with status 0" seen hub '^reactor: exit status 0'
    must "events go on without a reactor" seen router '^ticker: 16$'
    on hub 'daemon reactor nefia reactor run'
    must "all events are emitted" seen router '^ticker: done'
    check "none of 24 events is lost over a restart of the reactor" all_ticks 1 24
    [ "$(count router '^ticker: refused')" -eq 0 ] || bad "the beacon refused events"
    twice=$(($(count hub '^tick ') - 24))
    echo "   done twice: $twice; run again since the stop came upon them: $(count hub 'run again after the restart')"
}

# link_is_cut NAME FROM TO: at the router the kernel says so; at the hub the router hears nothing.
link_is_cut() {
    mark
    on "$1" 'ip link set eth0 down'
    emit_ticks "$2" "$3"
    must "all events are emitted" seen router '^ticker: done'
    check "nothing arrives over a link cut at the $1" [ "$(count hub "^tick ($(seq -s '|' "$2" "$3"))\$")" -eq 0 ]
    on "$1" 'ip link set eth0 up'
    check "no event is lost over a link cut at the $1" all_ticks "$2" "$3"
}

reload_is_heard() {
    mark
    on hub "sed -i 's/name: disk-full/name: disk-fuller/' /etc/nefia/nefia.yaml"
    on hub 'signal HUP reactor'
    check "SIGHUP: the reactor takes the new rules" seen hub '^reactor: .*reloaded'
    on hub 'nefia reactor status' || true
    check "SIGHUP: status shows the new rule" [ -z "${answer##*disk-fuller*}" ]
    on router "sed -i 's/warning_percent: 80/warning_percent: 5/' /etc/nefia/nefia.yaml"
    on router 'dd if=/dev/zero of=/mnt/disk/logs bs=1k count=4000 2>/dev/null && sync'
    on router 'signal HUP beacon'
    check "SIGHUP: the beacon takes the new threshold" \
        seen router '^beacon: .*configuration reloaded'
    check "the new threshold fires" on hub \
        'await sh -c "nefia reactor status | grep -q \"disk.usage  *router  *warning\""'
    on router "sed -i 's/warning_percent: 5/warning_percent: lots/' /etc/nefia/nefia.yaml"
    on router 'signal HUP beacon'
    check "SIGHUP: an error names file, line and key" \
        seen router '^beacon: .*nefia.yaml:[0-9]+: beacons.disk_usage.warning_percent'
}

memory_and_faults() {
    check "the beacon's memory is within the promise" within router beacon "$board" nefia-beacon
    check "the reactor's memory is within the promise" within hub reactor arm-virt nefia
    check "the beacon is the process that was started" same_process router beacon "$beacon_pid"
    for name in hub router; do
        on "$name" 'dmesg' || true
        # What matters is none of these; that dmesg says anything proves that it was read.
        case $answer in
        *SIGILL* | *"Illegal instruction"* | *[Oo]ops* | *segfault* | *"Out of memory"*)
            bad "$name: the kernel saw a fault" ;;
        *"Run /init"*) ok "$name: the kernel saw no fault" ;;
        *) bad "$name: dmesg says nothing" ;;
        esac
    done
    mark
    on router 'signal TERM beacon'
    check "SIGTERM ends the beacon with status 0" seen router '^beacon: exit status 0'
    on hub 'signal TERM reactor'
    check "SIGTERM ends the reactor with status 0 again" seen hub '^reactor: exit status 0'
}

machines_begin "out/qemu/$board"
events_per_min=120
dedup_window=0s
# What it had seen is known after its restart: an event that was on its way when it stopped then acts, instead of being unknown. On
# a slow machine some actions run longer than a stop waits for them: what they did is not known, and they are run again.
reactor_state=/run/reactor-state
more_rules="    - name: tick
      event_pattern: 'test\\.tick'
      idempotent: true
      action: {type: exec, command: 'echo \"tick \$NEFIA_DATA_N\" >/dev/console', target: hub}"
make_machines || { bad "the programs are built"; verdict; exit 1; }
boot
disk_fills
unsigned_is_refused
reactor_restarts
link_is_cut router 25 36
link_is_cut hub 37 48
reload_is_heard
memory_and_faults
verdict
