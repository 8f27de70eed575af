#!/bin/sh
# Builds that run no commands, under the strict filter of system calls, on real ARM and MIPS kernels: everything they do is
# allowed. qemu-user has no seccomp, so that only whole machines can tell. The last line is the verdict.
set -eu

cd "$(dirname "$0")/.."
. qemu/machines.sh
router=${ROUTER:-mips-malta}

ok() { passed=$((passed + 1)); echo "ok $board: $*"; }
bad() { failed=$((failed + 1)); echo "FAIL $board: $*"; }

# One machine is hub and router.
make_machine() {
    make --no-print-directory -j2 BOARD="$board" CONFIG=no-commands image >"$run.build.log" 2>&1 || return 1
    by_hand router "$board-no-commands" nefia-beacon || return 1
    dir=$(machine_dir router)
    machine_dir hub >/dev/null
    echo '127.0.0.1 localhost hub.lan' >"$dir/etc/hosts"
    printf '0123456789abcdef0123456789abcdef' >"$dir/etc/nefia/key"
    cat >"$dir/etc/nefia/nefia.yaml" <<'YAML'
host_id: strict
beacons:
  reactor: "hub.lan:9500"
  hmac_key_file: /etc/nefia/key
  user: nefia
  state_dir: /run/beacon
  control_socket: /run/nefia-beacon/beacon.sock
  dedup_window: 0
  max_events_per_min: 30
  disk_usage: {interval: 5s, warning_percent: 0.1, critical_percent: 100, paths: [/run]}
  clock: {interval: 1s}
  heartbeat: {interval: 1s}
  load: {interval: 1s}
  memory: {interval: 1s}
reactor:
  listen_port: 9500
  hmac_key_file: /etc/nefia/key
  user: nefia
  state_dir: /run/reactor
  control_socket: /run/nefia-reactor/reactor.sock
  rules:
    - {name: tell, event_pattern: 'disk|test|clock|instance', action: {type: alert, webhook_name: ok}}
  webhooks:
    - {name: ok, url: "http://localhost:8080/cgi-bin/hook"}
YAML
    mkdir -p "$dir/www/cgi-bin"
    cat >"$dir/www/cgi-bin/hook" <<'SH'
#!/bin/sh
body=$(head -c "$CONTENT_LENGTH")
echo "webhook: $body" >/dev/console
printf 'Status: 200 OK\r\n\r\nok\n'
SH
    chmod 755 "$dir/www/cgi-bin/hook"
}

# status_of NAME: the daemon's, as /proc has it, holds what is expected.
restricted() {
    on router "read -r pid </run/$1.pid; cat /proc/\$pid/status" || return 1
    for want in '^Uid:.900.900.900.900$' '^CapEff:.0*$' '^CapBnd:.0*$' '^NoNewPrivs:.1$' '^Seccomp:.2$'; do
        echo "$answer" | grep -q "$want" || return 1
    done
}

says_strict() {
    on router "$1 status --json" || return 1
    case $answer in *'"seccomp":"strict"'*) return 0 ;; *) return 1 ;; esac
}

# The kernel tells each refusal where it has audit (Debian's ARM has, its MIPS has not), the programs tell what failed of it.
nothing_refused() {
    on router 'dmesg | grep -E "Run /init|type=1326|segfault|[Oo]ops"' || return 1
    case $answer in
    *type=1326* | *segfault* | *[Oo]ops*) return 1 ;;
    *"Run /init"*) ;;
    *) return 1 ;;
    esac
    answer=$(tr -d '\r' <"$run/router.log" | grep -aE '^(beacon|reactor): nefia[a-z-]*: (warning|error): ') || return 0
    return 1
}

day() {
    on router 'chown nefia:nefia /etc/nefia/key && chmod 755 /etc/nefia && chmod 600 /etc/nefia/key'
    on router 'httpd -p 127.0.0.1:8080 -h /www; dd if=/dev/zero of=/run/fill bs=1k count=100 2>/dev/null'
    on router 'daemon reactor nefia reactor run'
    on router 'await nefia reactor status >/dev/null'
    on router 'daemon beacon nefia-beacon run'
    check "a hub is found by name" seen router '^beacon: .*connected to 127.0.0.1'
    check "an event sets off an alert" seen router '^webhook: .*disk.usage'
    check "emit" on router 'nefia-beacon emit test.event info a=b'
    check "and it arrives" seen router '^webhook: .*test.event'
    check "a heartbeat with the clock's state" seen router '^webhook: .*instance.heartbeat.*"clock":"unsynced"'
    # shellcheck disable=SC2016 # the machine's
    on router 'date -s "@$(($(date +%s) + 3600))" >/dev/null'
    check "a clock that is set by an hour" seen router '^webhook: .*clock.stepped.*"step_ms":3[56][0-9][0-9][0-9][0-9][0-9],'
    check "the beacon's status" says_strict nefia-beacon
    check "the reactor's status" says_strict 'nefia reactor'
    check "the beacon's rights" restricted beacon
    check "the reactor's rights" restricted reactor
    on router 'signal HUP reactor; signal HUP beacon'
    check "the reactor reloads" seen router '^reactor: .*reloaded'
    check "the beacon reloads" seen router '^beacon: .*configuration reloaded'
    on router 'signal TERM beacon'
    check "the beacon ends" seen router '^beacon: exit status 0'
    on router 'signal TERM reactor'
    check "the reactor ends" seen router '^reactor: exit status 0'
    check "nothing was refused" nothing_refused
}

for board in arm-virt "$router"; do
    machines_begin "out/qemu/strict-$board"
    if make_machine && machine_start "$board" router 10.99.0.2 8 && seen router '^machine router is up'; then
        day || bad "the machine answers: ${answer:-}"
    else
        bad "the machine starts"
    fi
    machines_end
done
if [ "$failed" -gt 0 ]; then
    for board in arm-virt "$router"; do
        tr -d '\r' <"out/qemu/strict-$board/router.log" | grep -avE '^[0-9]+[|=]' | tail -n 30 | cut -c 1-200 | sed "s/^/[$board] /"
    done
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
