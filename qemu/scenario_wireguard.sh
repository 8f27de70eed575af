#!/bin/sh
# A hub that is reached through WireGuard, on a real kernel under emulation: peers_from, as an unprivileged user; the last line
# is the verdict. Two ARM machines; `wg` and the C library it needs are Debian's, the tunnel is the kernel's.
set -eu

cd "$(dirname "$0")/.."
board=arm-virt
. qemu/machines.sh
. qemu/nefia.sh

# ---- what the machines have ----

# wg for both; the user for the hub is in the image.
add_tools() {
    tools=out/kernel/wireguard-tools
    if [ ! -x "$tools/usr/bin/wg" ]; then
        rm -rf "$tools"
        qemu/debian.sh armhf "$PWD/$tools" wireguard-tools libc6
    fi
    for name in hub router; do
        mkdir -p "$run/$name/lib"
        cp "$tools/usr/bin/wg" "$run/$name/bin/"
        cp -L "$tools"/lib/arm-linux-gnueabihf/ld-linux-armhf.so.3 "$tools"/lib/arm-linux-gnueabihf/libc.so.6 "$run/$name/lib/"
    done
}

configure() {
    sed -i 's|"10.99.0.1:9500"|"10.77.0.1:9500"|' "$run/router/etc/nefia/nefia.yaml"
    sed -i -e 's|^  peers: .*|  peers_from: wireguard:wg0\n  user: nefia\n  state_dir: /run/nefia-state|' \
        -e 's|^  control_socket: .*|  control_socket: /run/nefia-hub/reactor.sock|' "$run/hub/etc/nefia/nefia.yaml"
}

# tunnel NAME ADDRESS: an interface without peers; its public key in $answer.
tunnel() {
    on "$1" "umask 077; wg genkey >/tmp/wg.key; ip link add wg0 type wireguard && ip addr add $2/24 dev wg0 && \
wg set wg0 private-key /tmp/wg.key listen-port 51820 && ip link set wg0 up && wg pubkey </tmp/wg.key"
}

connected() { seen router '^beacon: .*connected to 10.77.0.1'; }

says() {
    on hub 'nefia reactor status --json' || return 1
    case $answer in *"$1"*) return 0 ;; *) return 1 ;; esac
}

boot() {
    machine_start arm-virt hub 10.99.0.1 7
    machine_start arm-virt router 10.99.0.2 8 "$run/disk"
    must "the hub boots" seen hub '^machine hub is up'
    must "the router boots" seen router '^machine router is up'
    must "the configuration is fine" on hub 'chown -R nefia:nefia /etc/nefia && nefia reactor check'
}

# ---- what happens ----

without_an_interface() {
    on hub 'daemon reactor nefia reactor run'
    must "the reactor answers" on hub 'await nefia reactor status'
    check "without the interface, the log names it and the remedy" \
        seen hub '^reactor: .*no connections accepted from wg0: no such interface; bring it up'
}

as_nobody() {
    on hub "read -r pid </run/reactor.pid; cat /proc/\$pid/status" || true
    for want in '^Uid:.900.900.900.900$' '^Gid:.900.900.900.900$' '^Groups:.\{0,1\} *$' \
        '^CapEff:.0*1000$' '^CapPrm:.0*1000$' '^CapBnd:.0*1000$' '^CapInh:.0*$' '^NoNewPrivs:.1$' '^Seccomp:.2$'; do
        if echo "$answer" | grep -q "$want"; then ok "the reactor's status: $want"; else bad "the reactor has not $want: $answer"; fi
    done
    check "status tells of the filter" says '"seccomp":"commands"'
}

peers_come_and_go() {
    must "a tunnel at the hub" tunnel hub 10.77.0.1
    hub_key=$answer
    must "a tunnel at the router" tunnel router 10.77.0.2
    router_key=$answer
    on router "wg set wg0 peer $hub_key endpoint 10.99.0.1:51820 allowed-ips 10.77.0.1/32 persistent-keepalive 1"
    on hub "wg set wg0 peer $router_key allowed-ips 10.77.0.2/32,10.88.0.0/16"
    must "the tunnel works" on router 'await ping -c 1 -W 1 10.77.0.1'
    on hub 'signal HUP reactor'
    must "the reactor reads the peers" seen hub '^reactor: .*wg0 has 2 peer networks'
    on router 'daemon beacon nefia-beacon run'
    check "a peer connects through the tunnel" connected
    mark
    on router 'echo x | nc 10.99.0.1 9500' || true
    check "who comes past the tunnel is refused" seen hub '^reactor: .*connection from 10.99.0.2.*not in reactor.peers'
    mark
    on hub "wg set wg0 peer $router_key remove"
    check "a peer that is removed is cut off within half a minute" \
        seen hub '^reactor: .*connection from 10.77.0.2.*not in reactor.peers'
    mark
    on hub "wg set wg0 peer $router_key allowed-ips 10.77.0.2/32; signal HUP reactor"
    must "the reactor reads the peers again" seen hub '^reactor: .*wg0 has 1 peer network'
    # It was not told, for nothing passes between who are no peers: what it sends now is answered with a reset.
    on router 'nefia-beacon emit test.again info'
    check "one that is a peer again is let in" connected
    mark
    on hub 'ip link del wg0; signal HUP reactor'
    check "an interface that goes is told" seen hub '^reactor: .*no connections accepted from wg0: no such interface'
    check "and nobody stays connected" says '"open":0'
    on hub 'echo x | nc 127.0.0.1 9500' || true
    check "nor may the hub's own programs" seen hub '^reactor: .*connection from 127.0.0.1.*not in reactor.peers'
}

actions_still_run() {
    mark
    on hub "sed -i 's|^  peers_from: .*|  peers: [127.0.0.0/8]|' /etc/nefia/nefia.yaml; signal HUP reactor"
    must "peers instead of peers_from" seen hub '^reactor: .*reloaded'
    key=$(cat "$run/hmac.key")
    event='{"type":"disk.usage","source":"x","host_id":"router-script","timestamp":"2026-03-10T15:30:00Z","severity":"critical","data":{"path":"/"}}'
    signature=$(printf %s "$event" | openssl dgst -sha256 -hmac "$key" | sed 's/.* //')
    on hub "printf '%s\\n%s\\n' '$event' $signature | nc 127.0.0.1 9500" || true
    check "a command runs as the user" seen hub '^reactor: .*rule disk-full: exec'
    mark
    on hub 'signal TERM reactor'
    check "SIGTERM ends the reactor with status 0" seen hub '^reactor: exit status 0'
    check "its socket is removed" on hub '[ ! -e /run/nefia-hub/reactor.sock ]'
    # dmesg as root: the filter's own lines are told there.
    on hub 'dmesg' || true
    case $answer in
    *[Oo]ops* | *segfault* | *SIGILL*) bad "the kernel saw a fault" ;;
    *) ok "the kernel saw no fault" ;;
    esac
}

machines_begin "out/qemu/wireguard"
make_machines || { bad "the programs are built"; verdict; exit 1; }
add_tools
configure
boot
without_an_interface
as_nobody
peers_come_and_go
actions_still_run
verdict
