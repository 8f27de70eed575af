#!/bin/sh
# What a device's sensors see of real things, on two emulated machines, one after the other: raw flash that wears out under UBI,
# a process that the kernel's OOM killer ends, processes that come and go, what this kernel has of PSI and conntrack, its modules
# against a manifest, a disk and an NFS export that change, a mount whose server does not answer, starts in order and without; then
# a kernel's panic and a watchdog that resets the machine. The last line is the verdict.
set -eu

cd "$(dirname "$0")/.."
. qemu/machines.sh

ok() { passed=$((passed + 1)); echo "ok $board: $*"; }
bad() { failed=$((failed + 1)); echo "FAIL $board: $*"; }

# make_machine SENSORS: it is router and hub; each event that the hub accepts is a line on its console.
make_machine() {
    by_hand router "$board" nefia-beacon nefia || { bad "there are programs of $board"; return 1; }
    dir=$(machine_dir router)
    : >"$run/hub.log" # there is no other machine
    # shellcheck disable=SC2034 # machines.sh uses it
    router_mark=1
    mkdir -p "$dir/lib/extra"
    cp "out/kernel/$board"/extra/*.ko "$dir/lib/extra/"
    cat >"$dir/bin/sensor-says" <<'SH'
#!/bin/sh
nefia-beacon status --json | tr '{' '\n' | grep -F "\"name\":\"$1\"" | grep -F "$2"
SH
    chmod 755 "$dir/bin/sensor-says"
    truncate -s 16M "$run/disk"
    PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -b 1024 -m 0 "$run/disk"
    cat >"$dir/etc/nefia/nefia.yaml" <<YAML
host_id: router
beacons:
  reactor: 127.0.0.1
  control_socket: /run/nefia/beacon.sock
  state_dir: /mnt/disk/state
  max_events_per_min: 120
  dedup_window: 10s
  reboot: {interval: 1s}
$1
reactor:
  peers: [127.0.0.1/32]
  control_socket: /run/nefia/reactor.sock
  rules:
    - name: show
      event_pattern: '.*'
      action: {type: exec, target: hub, command: 'echo "event: \$NEFIA_TYPE \$NEFIA_SEVERITY \${NEFIA_EVENT#*data}" >/dev/console'}
YAML
}

# add_module NAME [PARAMETER…]: one that nobody has loaded, with what it needs.
add_module() {
    on router "insmod /lib/extra/[0-9][0-9]-$1.ko ${2:-}"
}

programs_start() {
    must "the configuration is fine" on router 'nefia-beacon check && nefia reactor check'
    must "the reactor starts" on router 'daemon reactor nefia reactor run; await nefia reactor status >/dev/null'
    must "the beacon starts" on router 'daemon beacon nefia-beacon run; await nefia-beacon status >/dev/null'
}

beacon_stops() {
    on router 'signal TERM beacon'
    check "SIGTERM ends the beacon with status 0" seen router '^beacon: exit status 0'
}

# sensor_is NAME TEXT: what `status` says of it comes to hold this.
sensor_is() {
    on router "await sensor-says $1 '$2'"
}

event() { check "$1" seen router "^event: $2"; }
no_event() {
    answer=$(count router "^event: $1")
    check "no $1" [ "$answer" -eq 0 ]
}

# machine_ends: by itself, as one does that is not allowed to start anew.
machine_ends() {
    # shellcheck disable=SC2154 # power_on sets it
    pid=$router_pid
    patience_begin "$PATIENCE"
    while kill -0 "$pid" 2>/dev/null; do
        patience 0.1 || return 1
    done
    machine_pids=
}

# order COMMAND: one that the machine does not live to answer.
order() {
    number=$((number + 1))
    printf '%s %s\n' "$number" "$1" >&8
}

# machine_again WHAT COMMAND: it ends by this, and is started again with the same disk.
machine_again() {
    mark
    order "$2"
    check "$1 ends the machine" machine_ends
    power_on router
    must "it starts again" seen router '^machine router is up'
    programs_start
}

# ---- ARM: flash, memory, processes ----

# How often the most erased block was, and how many blocks are bad.
wear() { on router 'cat /sys/class/ubi/ubi0/max_ec /sys/class/ubi/ubi0/bad_peb_count'; }

# Writing is what wears it out: until a block has been erased so often.
wear_out() {
    on router "n=0; until [ \$(cat /sys/class/ubi/ubi0/max_ec) -ge $1 ]; do n=\$((n + 1)); [ \$n -le 1000 ] || exit 1; \
/sbin/ubiupdatevol /dev/ubi0_0 /tmp/data || exit; done"
}

# A chip of 64 blocks, of which one is bad from the factory, and three can be erased eight times. UBI keeps seven for such.
flash_wears_out() {
    check "without flash it is not measured" sensor_is flash '"reason":"no UBI and no eMMC'
    must "nandsim" add_module nandsim 'first_id_byte=0x20 second_id_byte=0xa2 third_id_byte=0 fourth_id_byte=0x15 overridesize=6 badblocks=5 weakblocks=20:8,21:8,22:8'
    must "ubi" add_module ubi
    must "attach" on router '/sbin/ubiattach -m 0 -b 100 && /sbin/ubimkvol /dev/ubi0 -N data -m'
    check "a new UBI device is measured" sensor_is flash '"result":"ok"'
    no_event flash
    must "data" on router 'dd if=/dev/urandom of=/tmp/data bs=1k count=2000 2>/dev/null'
    must "20 erasures" wear_out 20
    event "they are a warning" 'flash.wear warning .*"device":"ubi0","used_percent":"[23][0-9]\.0","used":[23][0-9],"of":100}'
    must "40 erasures" wear_out 40
    event "they are critical" 'flash.wear critical .*"device":"ubi0","used_percent":"4[0-9]\.0","used":4[0-9],"of":100}'
    event "the weak blocks have become bad" 'flash.bad_blocks critical .*"used":[34],"of":7}'
    wear
    set -- "$(echo "$answer" | sed -n 1p)" "$(echo "$answer" | sed -n 2p)"
    on router 'nefia-beacon once' || true
    check "once shows what the kernel says: $1 erasures, $2 bad blocks" holds "\"used\":$1,\"of\":100" "\"used\":$2,\"of\":7"
    event "UBI's errors are in the kernel's log" 'kernel.io_error'
}

# holds TEXT…: the answer does.
holds() {
    for text; do
        case $answer in *"$text"*) ;; *) return 1 ;; esac
    done
}

processes_come_and_go() {
    event "memory is counted" 'process.memory warning .*"process":"nefia","memory_bytes":[1-9]'
    event "descriptors are counted" 'process.descriptors warning .*"process":"nefia","descriptors":[1-9]'
    event "none is critical" 'process.missing critical .*"process":"httpd"'
    # shellcheck disable=SC2016 # the machine's shell expands it
    on router 'httpd -f -p 127.0.0.1:8001 & echo $! >/run/first'
    event "it is there" 'process.missing info .*recovered.*"process":"httpd"'
    # shellcheck disable=SC2016
    on router 'httpd -f -p 127.0.0.1:8002 & echo $! >/run/second'
    event "two are one too many" 'process.count warning .*"process":"httpd","count":2}'
    mark
    on router 'xargs kill </run/first'
    event "one is right" 'process.count info .*recovered.*"count":1}'
    on router 'xargs kill </run/second'
    event "none is critical again" 'process.missing critical .*"process":"httpd"'
}

# The OOM killer is called by SysRq f. It would also come by itself when no memory is left, but not before a machine that has its programs
# on a disk has read them again and again for minutes, without room to keep them.
oom_kill() {
    on router 'cat /run/beacon.pid'
    before=$answer
    # shellcheck disable=SC2016
    must "there is a process to kill first" on router \
        'sh -c "echo 1000 >/proc/self/oom_score_adj; exec tail -f /dev/null" & await grep -q tail /proc/$!/comm'
    must "SysRq f calls the OOM killer" on router 'echo f >/proc/sysrq-trigger'
    event "the process is killed" 'kernel.oom_kill critical .*Killed process [0-9]+ .tail'
    check "the beacon survives it" on router "[ \$(cat /run/beacon.pid) = $before ] && nefia-beacon status"
}

kernel_has() {
    check "PSI is there" sensor_is pressure '"result":"ok"'
    check "conntrack is not" sensor_is conntrack '"result":"not measured"'
    check "no manifest, no comparison" sensor_is module_drift '"reason":"/run/modules: No such file'
    must "a manifest of the kernel's modules" on router 'nefia-beacon manifest modules -o /run/modules && cat /run/modules'
    check "has them all" holds 'module:virtio_net' 'module:ext4'
    check "they are what runs" sensor_is module_drift '"result":"ok"'
    no_event module.drift
    for module in nf_defrag_ipv4 nf_defrag_ipv6 nf_conntrack; do
        must "$module" add_module "$module"
    done
    check "then it is" sensor_is conntrack '"result":"ok"'
    event "three modules more are a drift" 'module.drift_detected critical .*"level":"high",.*"changed":0,"missing":0,"extra":3,'
    on router 'nefia-beacon manifest modules --check' || true
    check "the command line names them" holds 'module:nf_conntrack: extra' 'module:nf_defrag_ipv4: extra'
    mark
    must "they become the manifest" on router 'nefia-beacon manifest modules -o /run/modules'
    event "which ends it" 'module.drift_resolved info'
    must "one goes and comes back" on router 'rmmod nf_conntrack && insmod /lib/extra/[0-9][0-9]-nf_conntrack.ko'
    check "it is the same" on router 'nefia-beacon manifest modules --check'
    must "one goes, another is said to be one of other bytes" on router 'rmmod nf_conntrack && sed -i "s/^....\(.*module:nf_defrag_ipv6\)/0000\1/" /run/modules'
    on router 'nefia-beacon manifest modules --check' || true
    check "both differ" holds 'module:nf_conntrack: missing' 'module:nf_defrag_ipv6: changed'
    event "a warning" 'module.drift_detected warning .*"level":"medium",.*"changed":1,"missing":1,"extra":0,'
}

# ---- ARM: mounts and exports ----

# The kernel's own server, without the programs that usually answer its questions: whom it may serve is written into its caches.
# 9234: no_subtree_check, fsid=0, async, insecure.
add_server() {
    cat >"$dir/bin/nfs-server" <<'SH'
#!/bin/sh
set -e
echo '-2 -3 +4 +4.1 +4.2' >/proc/fs/nfsd/versions
echo 1 >/proc/fs/nfsd/threads
cd /proc/net/rpc
echo 'nfsd 127.0.0.1 2147483647 clients' >auth.unix.ip/channel
echo 'clients /mnt/disk/share 2147483647 9234 65534 65534 0' >nfsd.export/channel
printf '%s\n' 'clients 1 \x00000000 2147483647 /mnt/disk/share' >nfsd.fh/channel
SH
    chmod 755 "$dir/bin/nfs-server"
}

storage_drifts() {
    drift='system.storage_assignment_drift'
    event "nothing is mounted yet" "$drift critical .*\"name\":\"nas\",\"path\":\"/mnt/nas\",\"problem\":\"missing\"}"
    event "nothing is exported yet" "$drift critical .*\"name\":\"share\",\"path\":\"/mnt/disk/share\",\"problem\":\"not_exported\",\"found\":\"no server\"}"
    for module in "out/kernel/$board"/extra/*.ko; do
        case $module in
        *-nandsim.ko | *-ubi.ko | *conntrack.ko | *-nf_defrag_*) ;;
        *) must "${module##*/}" on router "insmod /lib/extra/${module##*/}" ;;
        esac
    done
    must "the server" on router 'mount -t nfsd nfsd /proc/fs/nfsd && mkdir -p /mnt/disk/share /mnt/nas'
    must "it starts" on router nfs-server
    must "the mount" on router 'mount -t nfs4 -o addr=127.0.0.1,clientaddr=127.0.0.1,vers=4.2,timeo=20 127.0.0.1:/ /mnt/nas'
    event "it is exported" "$drift info .*recovered.*\"name\":\"share\""
    event "it is mounted" "$drift info .*recovered.*\"name\":\"nas\""
    check "the manifest has all three" on router 'nefia-beacon manifest storage >/tmp/items && grep -q "\"mount\":\"/mnt/nas\",\"source\":\"127.0.0.1:/\",\"root\":\"/\",\"type\":\"nfs4\",\"writable\":true}" /tmp/items && grep -q "\"mount\":\"/mnt/disk\",\"source\":\"'"$disk"'\",.*\"type\":\"ext4\"" /tmp/items'
    mark
    on router 'mount -o remount,ro /mnt/disk'
    event "a disk turns read-only" "$drift critical .*\"name\":\"disk\",\"path\":\"/mnt/disk\",\"problem\":\"read_only\",\"expected\":\"rw\",\"found\":\"ro\"}"
    on router 'mount -o remount,rw /mnt/disk'
    event "and is writable again" "$drift info .*recovered.*\"name\":\"disk\""
    mark
    on router 'echo 0 >/proc/fs/nfsd/threads'
    event "the server ends, which exports nothing" "$drift critical .*\"name\":\"share\".*\"problem\":\"not_exported\",\"found\":\"no server\"}"
    event "and answers no more" "$drift critical .*\"name\":\"nas\",\"path\":\"/mnt/nas\",\"problem\":\"stale\",\"found\":\"Operation timed out\"}"
    check "the beacon answers all the same" on router 'nefia-beacon status'
    must "it starts again" on router nfs-server
    event "it exports again" "$drift info .*recovered.*\"name\":\"share\""
    event "it answers again" "$drift info .*recovered.*\"name\":\"nas\""
    on router 'umount /mnt/nas'
    event "it is unmounted" "$drift critical .*\"name\":\"nas\".*\"problem\":\"missing\"}"
    on router 'echo 0 >/proc/fs/nfsd/threads'
}

starts() {
    check "the first start is not measured" sensor_is reboot '"reason":"state_dir: no mark'
    beacon_stops
    machine_again "reboot" 'sync; umount /mnt/disk; reboot -f'
    check "after a stop all is well" sensor_is reboot '"result":"ok"'
    no_event reboot
    machine_again "SysRq b" 'echo b >/proc/sysrq-trigger'
    event "a reset is unexpected" 'reboot.unexpected warning .*"reason":"unknown"}'
    mark
    beacon_stops
    on router 'daemon beacon nefia-beacon run; await nefia-beacon status >/dev/null'
    check "the beacon alone is started again" sensor_is reboot '"result":"ok"'
    no_event reboot
    mark
    power_cut router
    power_on router
    must "it starts after a power cut" seen router '^machine router is up'
    programs_start
    event "a power cut is unexpected" 'reboot.unexpected warning .*"reason":"unknown"}'
}

arm() {
    board=arm-virt
    machines_begin out/qemu/device
    make_machine "  kernel_log: {}
  pressure: {interval: 1s}
  conntrack: {interval: 1s}
  module_drift: {interval: 1s, manifest: /run/modules, packages: false}
  flash: {interval: 1s, erase_cycles: 100, warning_percent: 20, critical_percent: 40}
  process:
    - {name: httpd, interval: 1s, max: 1}
    - {name: nefia, interval: 1s, max_memory_kib: 1, max_descriptors: 1}
  storage_assignment_drift:
    - {name: disk, interval: 1s, mount: /mnt/disk, source: DISK, type: ext4, writable: true}
    - {name: nas, interval: 4s, mount: /mnt/nas, source: '127.0.0.1:/', type: nfs4, stale_for: 5s}
    - {name: share, interval: 1s, export: /mnt/disk/share, clients: clients, writable: true}" || return
    cp -r "out/kernel/$board"/tools/* "$dir/"
    add_server
    machine_start "$board" router 10.99.0.2 8 "$run/disk"
    must "it boots" seen router '^machine router is up'
    must "it has its disk" on router 'grep " /mnt/disk " /proc/mounts'
    disk=${answer%% *}
    must "which is to be there" on router "sed -i 's|DISK|$disk|' /etc/nefia/nefia.yaml"
    programs_start
    processes_come_and_go
    kernel_has
    flash_wears_out
    storage_drifts
    oom_kill
    starts
}

# ---- ARM 64: what the kernel knows of the reason ----

# machine_falls WHAT COMMAND: it goes down by this, and comes up by itself; its memory keeps what was in it.
machine_falls() {
    mark
    order "$2"
    must "$1: it starts again by itself" seen router '^machine router is up'
    modules_start
    programs_start
}

# The last MiB of its memory belongs to ramoops.
modules_start() {
    must "ramoops" add_module reed_solomon
    must "ramoops" add_module ramoops 'mem_address=0x4ff00000 mem_size=0x40000 ecc=1'
    must "pstore" on router 'mount -t pstore pstore /sys/fs/pstore'
    must "the watchdog" add_module i6300esb 'heartbeat=2'
}

arm64() {
    board=aarch64-virt
    machines_begin out/qemu/device-arm64
    make_machine '' || return
    echo 'mem=255M' >"$run/router.append"
    echo '-device i6300esb -action reboot=reset,watchdog=reset' >"$run/router.qemu"
    machine_start "$board" router 10.99.0.2 8 "$run/disk"
    must "it boots" seen router '^machine router is up'
    modules_start
    programs_start
    check "the first start is not measured" sensor_is reboot '"reason":"state_dir: no mark'
    machine_falls "a panic" 'echo c >/proc/sysrq-trigger'
    event "pstore has the panic" 'reboot.unexpected critical .*"reason":"panic"}'
    machine_falls "the watchdog" 'echo >/dev/watchdog; sleep 1000000'
    event "the watchdog says so" 'reboot.unexpected critical .*"reason":"watchdog"}'
    beacon_stops
    machine_falls "a reboot" 'sync; umount /mnt/disk; reboot -f'
    check "after a stop all is well" sensor_is reboot '"result":"ok"'
    no_event reboot
}

finish() {
    machines_end
    [ "$failed" -eq 0 ] || tr -d '\r' <"$run/router.log" | grep -avE '^[0-9]+[|=]' | tail -n 60 | cut -c 1-200 | sed "s/^/[$board] /"
}
verdict() {
    finish
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

arm
finish
arm64
verdict
