#!/bin/sh
# Commands and playbooks on a big-endian MIPS router with the guarded beacon. Its web server is killed: the event triggers a playbook that
# restarts it there. A changed configuration is put right. Commands are refused by the hub's policy, and where that lets them pass by the device's own. A playbook takes
# the router off the network: it undoes that by itself, and the hub hears of it. The last line is the verdict.
set -eu

cd "$(dirname "$0")/.."
. qemu/machines.sh
board=${ROUTER:-mips-malta}

make_router() {
    by_hand router "$board-guarded" nefia-beacon || return 1
    dir=$(machine_dir router)
    cp "$run/hmac.key" "$dir/etc/nefia/"
    mkdir -p "$dir/etc/init.d" "$dir/www"
    echo "it works" >"$dir/www/index.html"
    cat >"$dir/etc/nefia/nefia.yaml" <<YAML
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
  service_check: {interval: 1s, services: [web]}
policy:
  mode: enforce
  deny_commands: ['^reboot( |\$)']
YAML
    cat >"$dir/etc/init.d/web" <<'SH2'
#!/bin/sh
case $1 in
start)
    httpd -f -p 8081 -h "$(cat /etc/web.conf)" &
    echo $! >/run/web.pid
    echo "web started as $!" >/dev/console
    ;;
stop)
    kill "$(cat /run/web.pid)" 2>/dev/null
    rm -f /run/web.pid
    ;;
restart)
    "$0" stop
    "$0" start
    ;;
esac
exit 0
SH2
    # This BusyBox has no cmp.
    cat >"$dir/bin/cmp" <<'SH2'
#!/bin/sh
[ "$(sha256sum <"$2")" = "$(sha256sum <"$3")" ]
SH2
    chmod 755 "$dir/etc/init.d/web" "$dir/bin/cmp"
    echo /www | tee "$dir/etc/web.conf" >"$dir/etc/web.good"
}

make_hub() {
    by_hand hub arm-virt nefia || return 1
    dir=$(machine_dir hub)
    cp "$run/hmac.key" "$dir/etc/nefia/"
    mkdir -p "$dir/usr/share/nefia/playbooks"
    cat >"$dir/etc/nefia/nefia.yaml" <<YAML
host_id: hub
reactor:
  listen_address: 0.0.0.0
  peers: [10.99.0.0/24]
  hmac_key_file: /etc/nefia/hmac.key
  control_socket: /run/nefia/reactor.sock
  state_dir: /mnt/disk/hub
  rules:
    - name: service-recovery
      event_pattern: 'service\\.status'
      severity: warning
      action: {type: playbook, playbook_path: /usr/share/nefia/playbooks/restart-service.yaml}
    - name: shut-down
      event_pattern: 'test\\.shut'
      action: {type: exec, command: poweroff}
    - name: start-again
      event_pattern: 'test\\.again'
      action: {type: exec, command: reboot}
    - name: say-so
      event_pattern: 'playbook\\..*'
      action: {type: exec, target: hub, command: 'echo "told: \$NEFIA_TYPE from \$NEFIA_HOST: \$NEFIA_DATA_REASON" >/dev/console'}
policy:
  mode: enforce
  deny_commands: ['^poweroff( |\$)']
YAML
    cat >"$dir/usr/share/nefia/playbooks/stop-and-start.yaml" <<'YAML'
name: stop-and-start
steps:
  - {name: stop, service: {name: web, verb: stop}}
  - {name: stopped, wait_for: {service: web, state: inactive}}
  - {name: start, service: {name: web, verb: start}}
  - {name: started, wait_for: {service: web}}
YAML
    cat >"$dir/usr/share/nefia/playbooks/cut-off.yaml" <<'YAML'
name: change-the-address
commit_within: 15s
steps:
  - name: keep the proof
    run: "echo before >>/mnt/disk/proof; sync"
    rollback:
      - run: "echo undone >>/mnt/disk/proof; sync"
  - name: new address
    run: "ip addr flush dev eth0; ip addr add 10.98.0.2/24 dev eth0"
    rollback:
      - run: "ip addr flush dev eth0; ip addr add 10.99.0.2/24 dev eth0"
YAML
}

make_machines() {
    od -An -N 24 -tx1 /dev/urandom | tr -d ' \n' >"$run/hmac.key"
    chmod 600 "$run/hmac.key"
    for name in hub router; do
        truncate -s 8M "$run/$name.disk"
        PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext2 -b 1024 -m 0 "$run/$name.disk"
    done
    make_router && make_hub
}

boot() {
    machine_start arm-virt hub 10.99.0.1 7 "$run/hub.disk"
    machine_start "$board" router 10.99.0.2 8 "$run/router.disk"
    must "the hub boots" seen hub '^machine hub is up'
    must "the router boots" seen router '^machine router is up'
    must "the reactor's configuration is fine" on hub 'nefia reactor check'
    on hub 'daemon reactor nefia reactor run'
    must "the reactor answers" on hub 'await nefia reactor status'
    must "the web server starts" on router '/etc/init.d/web start && await wget -q -O - http://127.0.0.1:8081/'
    must "the beacon's configuration is fine" on router 'nefia-beacon check'
    on router 'daemon beacon nefia-beacon run'
    must "the beacon connects" seen router '^beacon: .*connected to 10.99.0.1'
    must "it sees that the service runs" seen router '^beacon: .*service web is active'
    must "the hub takes it for one that can be commanded" on hub 'await nefia exec --target router -- true'
}

a_command() {
    check "a command runs on the router" on hub 'nefia exec --target router -- uname -m'
    check "  and what it prints is here" [ "$answer" = mips ]
    on hub 'nefia exec --target router -- "echo a; exit 7"' && status=0 || status=$?
    check "its exit status is passed on" [ "$status" -eq 7 ]
}

a_service_is_restarted() {
    mark
    on router "kill -9 \$(cat /run/web.pid)"
    must "the playbook restarts the web server on the router" seen router '^web started as'
    check "it serves again" on router 'await wget -q -O - http://127.0.0.1:8081/'
    check "the playbook has ended well" on hub 'await sh -c "nefia reactor status | grep -q \"service-recovery .* playbook *-\""'
    check "its steps are in the log" on hub 'nefia playbook log | grep -q "done"'
    on hub 'nefia playbook log' || true
    echo "$answer" | sed 's/^/   /'
    check "a person has it stopped and started, and each waited for" on hub \
        'nefia playbook run --target router /usr/share/nefia/playbooks/stop-and-start.yaml'
    echo "$answer" | sed 's/^/   /'
}

refused_twice() {
    mark
    on router 'nefia-beacon emit test.shut warning'
    check "the hub refuses what its policy denies" on hub 'await sh -c "nefia reactor status | grep -q \"shut-down .*denied\""'
    on router 'nefia-beacon emit test.again warning'
    check "the device refuses what only its own policy denies" on hub 'await sh -c "nefia reactor status | grep -q \"start-again .*denied\""'
    on hub 'nefia exec --target router -- reboot' && status=0 || status=$?
    check "a person is told the same" [ "$status" -eq 126 ]
    check "the audit log is whole" on hub 'nefia audit verify'
    check "the router is up as before" on router 'test -e /run/web.pid'
}

a_configuration_is_restored() {
    on router 'echo /nowhere >/etc/web.conf; /etc/init.d/web restart'
    must "a wrong configuration breaks the service" on router 'await sh -c "! wget -q -O - http://127.0.0.1:8081/"'
    check "the shipped playbook puts the good one in its place" on hub \
        'nefia playbook run --target router /usr/share/nefia/playbooks/restore-config.yaml file=/etc/web.conf good=/etc/web.good service=web'
    check "  and the service serves again" on router 'await wget -q -O - http://127.0.0.1:8081/'
    check "once more, there is nothing to do" on hub \
        'nefia playbook run --target router /usr/share/nefia/playbooks/restore-config.yaml file=/etc/web.conf good=/etc/web.good service=web'
    check "  and nothing was done" [ -z "${answer##*skipped*}" ]
}

undone_when_cut_off() {
    mark
    on hub 'nefia playbook run --target router /usr/share/nefia/playbooks/cut-off.yaml' && status=0 || status=$?
    check "a playbook that cuts the router off fails" [ "$status" -eq 1 ]
    check "the router undoes it by itself" on router 'await grep -q undone /mnt/disk/proof'
    check "  and has its address again" on router 'ip addr show dev eth0 | grep -q 10.99.0.2'
    check "the hub hears the router again" on hub 'await nefia exec --target router -- true'
    check "  and of the undoing" seen hub '^told: playbook.rolled_back from router: not heard in time'
    check "nothing else was changed" on router "sed -n 1p /mnt/disk/proof | grep -qx before && wc -l </mnt/disk/proof | grep -qw 2"
}

machines_begin out/qemu/playbook
make_machines || { bad "the programs are built"; verdict; exit 1; }
boot
a_command
a_service_is_restarted
a_configuration_is_restored
refused_twice
undone_when_cut_off
verdict
