#!/bin/sh
# What the sensors of WireGuard see of real tunnels, on an emulated ARM machine: a hub that goes silent and answers again, allowed
# IPs that change, peers that come and go, one with more of them than a message holds, an interface that is removed. The
# beacon runs as a user of its own. Tunnels are between interfaces of the one machine; `wg` and the C library it needs are Debian's.
# The last line is the verdict.
set -eu

cd "$(dirname "$0")/.."
board=arm-virt
. qemu/machines.sh

# ---- what the machine has ----

make_machine() {
    by_hand router "$board" nefia-beacon || { bad "there is an image of $board"; return 1; }
    tools=out/kernel/wireguard-tools
    if [ ! -x "$tools/usr/bin/wg" ]; then
        rm -rf "$tools"
        qemu/debian.sh armhf "$PWD/$tools" wireguard-tools libc6
    fi
    dir=$(machine_dir router)
    : >"$run/hub.log" # there is no other machine
    # shellcheck disable=SC2034 # machines.sh uses it
    router_mark=1
    mkdir -p "$dir/lib"
    cp "$tools/usr/bin/wg" "$dir/bin/"
    cp -L "$tools"/lib/arm-linux-gnueabihf/ld-linux-armhf.so.3 "$tools"/lib/arm-linux-gnueabihf/libc.so.6 "$dir/lib/"
    cat >"$dir/etc/nefia/nefia.yaml" <<'YAML'
host_id: router
beacons:
  reactor: 127.0.0.1
  user: nefia
  control_socket: /run/nefia-beacon/beacon.sock
  max_events_per_min: 120
  dedup_window: 1s
  sdwan_reachability:
    - {name: hub, interval: 1s, interface: wg0, silent_after: 2s, hubs: [{public_key: HUB, name: berlin}]}
  sdwan_drift:
    - name: wg0
      interval: 1s
      interface: wg0
      peers:
        - {public_key: HUB, name: berlin, allowed_ips: [10.88.0.0/16, 10.77.0.1, "fd77::/64"]}
        - {public_key: SPOKE, allowed_ips: [10.77.0.3/32]}
    - {name: lo, interval: 1s, interface: lo, peers: [{public_key: HUB}]}
  sdwan_vip_reachability:
    - {name: gateway, interval: 1s, interface: wg0, vip: 10.88.0.9, silent_after: 2s, holders: [{public_key: HUB, name: berlin}]}
reactor:
  peers: [127.0.0.1/32]
  control_socket: /run/nefia-hub/reactor.sock
  rules:
    - name: show
      event_pattern: '.*'
      action: {type: exec, target: hub, command: 'echo "event: $NEFIA_TYPE $NEFIA_SEVERITY ${NEFIA_EVENT#*data}" >/dev/console'}
YAML
    # Of this machine wg0 is what is watched; wg1 is its hub, and wg2 another spoke.
    cat >"$dir/bin/tunnels" <<'SH'
#!/bin/sh
set -e
endpoint() { echo "endpoint 127.0.0.1:5182$1 persistent-keepalive 1"; }
up() {
    ip link add "wg$1" type wireguard
    wg set "wg$1" private-key "/tmp/wg$1.key" listen-port "5182$1"
    ip link set "wg$1" up
}
# shellcheck disable=SC2046 # words
case $1 in
keys) for i in 0 1 2 3; do (umask 077; wg genkey >"/tmp/wg$i.key"); wg pubkey <"/tmp/wg$i.key" >"/tmp/wg$i.pub"; done ;;
up)
    up 0
    wg set wg0 peer "$(cat /tmp/wg1.pub)" $(endpoint 1) allowed-ips fd77::/64,10.77.0.1/32,10.88.0.0/16 \
        peer "$(cat /tmp/wg2.pub)" allowed-ips 10.77.0.3/32
    ;;
hub) up 1 ;;
answer) wg set wg1 peer "$(cat /tmp/wg0.pub)" $(endpoint 0) allowed-ips 10.77.0.2/32 ;;
silent) wg set wg1 peer "$(cat /tmp/wg0.pub)" remove ;;
many)
    nets=10.99.0.0/32
    i=1
    while [ "$i" -lt 600 ]; do
        nets="$nets,10.99.$((i / 256)).$((i % 256))/32"
        i=$((i + 1))
    done
    wg set wg0 peer "$(cat /tmp/wg3.pub)" allowed-ips "$nets"
    ;;
esac
SH
    chmod 755 "$dir/bin/tunnels"
}

boot() {
    machine_start "$board" router 10.99.0.2 8
    must "the machine boots" seen router '^machine router is up'
    must "keys" on router 'tunnels keys; cat /tmp/wg1.pub'
    hub=$answer
    must "keys" on router 'cat /tmp/wg2.pub'
    spoke=$answer
    must "keys" on router 'cat /tmp/wg3.pub'
    stranger=$answer
    must "the configuration is fine" on router "sed -i 's|HUB|$hub|; s|SPOKE|$spoke|' /etc/nefia/nefia.yaml && \
chown -R nefia:nefia /etc/nefia && nefia-beacon check && nefia reactor check"
    must "the reactor starts" on router 'daemon reactor nefia reactor run; await nefia reactor status >/dev/null'
    must "the beacon starts" on router 'daemon beacon nefia-beacon run; await nefia-beacon status >/dev/null'
}

# What lasts is told again and again, so that there is always a new line on the console: a wait for the next one would never end.
told() {
    on router true
    [ "$(count router "$1")" -gt 0 ]
}
# event WHAT TYPE SEVERITY TEXT
event() { check "$1" until_true told "^event: $2 $3 .*$4"; }
# plain TEXT: as a pattern.
plain() { printf '%s' "$1" | sed 's/[+.]/\\&/g'; }
wg() { must "wg $*" on router "wg $*"; }

# ---- what happens ----

without_an_interface() {
    event "without the interface no hub is reached" sdwan.hub_unreachable critical '"interface":"wg0","problem":"interface_missing"'
    event "nor are there its peers" sdwan.peer_drift_detected critical '"interface":"wg0","problem":"interface_missing"'
    event "an interface of another kind is none" sdwan.peer_drift_detected critical '"interface":"lo","problem":"interface_missing"'
    event "nor a holder" sdwan.vip_holder_silent critical '"problem":"interface_missing","vip":"10\.88\.0\.9"'
    on router "read -r pid </run/beacon.pid; cat /proc/\$pid/status" || true
    for want in '^Uid:.900.900.900.900$' '^CapEff:.0*1000$' '^CapBnd:.0*1000$' '^Seccomp:.2$'; do
        if echo "$answer" | grep -q "$want"; then ok "the beacon's status: $want"; else bad "the beacon has not $want: $answer"; fi
    done
}

the_interface_comes() {
    mark
    must "a hub and an interface" on router 'tunnels hub && tunnels answer && tunnels up'
    event "the interface is there" sdwan.hub_recovered info '"interface":"wg0"'
    event "its peers are as declared" sdwan.peer_drift_resolved info '"interface":"wg0"'
    event "the holder has made a handshake" sdwan.vip_holder_recovered info "\"public_key\":\"$(plain "$hub")\",\"name\":\"berlin\""
}

a_hub_is_silent() {
    event "no new handshake" sdwan.hub_unreachable critical "\"problem\":\"silent\",\"public_key\":\"$(plain "$hub")\",\"name\":\"berlin\",\"silent_s\":[0-9]*,\"last_handshake\":\"20"
    event "the same of the holder" sdwan.vip_holder_silent critical '"problem":"silent"'
    must "the hub knows this device no more" on router 'tunnels silent'
    mark
    must "but then it does" on router 'tunnels answer'
    event "a new handshake" sdwan.hub_recovered info "\"name\":\"berlin\",\"silent_s\":[01],"
    event "of the holder, too" sdwan.vip_holder_recovered info '"vip":"10\.88\.0\.9"'
    event "and silence" sdwan.vip_holder_silent critical '"problem":"silent"'
}

allowed_ips_change() {
    mark
    wg "set wg0 peer $hub allowed-ips 10.77.0.1/32,10.89.0.0/16,fd77::/64"
    event "a network has gone and another has come" sdwan.peer_drift_detected warning \
        "\"problem\":\"allowed_ips\",\"public_key\":\"$(plain "$hub")\",\"name\":\"berlin\",\"missing\":\"10\.88\.0\.0/16\",\"unexpected\":\"10\.89\.0\.0/16\""
    mark
    must "the address is this device's" on router 'ip addr add 10.88.0.9/32 dev lo'
    event "which holds it now" sdwan.vip_holder_recovered info '"interface":"wg0","vip":"10\.88\.0\.9"'
    must "the address is not" on router 'ip addr del 10.88.0.9/32 dev lo'
    event "nobody holds it" sdwan.vip_holder_silent critical '"problem":"no_holder"'
    wg "set wg0 peer $hub allowed-ips 10.77.0.1/32,10.88.0.0/16,fd77::/64"
    event "all is as declared" sdwan.peer_drift_resolved info "\"public_key\":\"$(plain "$hub")\""
}

peers_come_and_go() {
    mark
    wg "set wg0 peer $spoke remove"
    event "a peer is missing" sdwan.peer_drift_detected warning "\"problem\":\"peer_missing\",\"public_key\":\"$(plain "$spoke")\",\"missing\":\"10\.77\.0\.3/32\""
    must "a peer of 600 networks, which are several messages" on router 'tunnels many'
    event "it is unknown" sdwan.peer_drift_detected warning "\"problem\":\"unknown_peer\",\"public_key\":\"$(plain "$stranger")\",\"unexpected\":\"10\.99\.[0-9]*\.[0-9]*/32\""
    wg "set wg0 peer $spoke allowed-ips 10.77.0.3/32"
    event "the peer is back" sdwan.peer_drift_resolved info "\"public_key\":\"$(plain "$spoke")\""
    wg "set wg0 peer $stranger remove"
    event "the other is gone" sdwan.peer_drift_resolved info "\"public_key\":\"$(plain "$stranger")\""
    mark
    wg "set wg0 peer $hub remove"
    event "spokes and no hub" sdwan.hub_unreachable critical '"interface":"wg0","problem":"no_hub"'
}

an_interface_is_removed() {
    mark
    must "the interface is removed" on router 'ip link del wg0'
    event "that is told" sdwan.peer_drift_detected critical '"interface":"wg0","problem":"interface_missing"'
    event "of hubs, too" sdwan.hub_unreachable critical '"interface":"wg0","problem":"interface_missing"'
    mark
    must "and made anew" on router 'tunnels up'
    event "its peers are back" sdwan.peer_drift_resolved info '"interface":"wg0"}'
    event "the hub is among them" sdwan.hub_recovered info '"interface":"wg0"}'
    event "and answers" sdwan.hub_recovered info "\"public_key\":\"$(plain "$hub")\""
}

machines_begin "out/qemu/sdwan"
make_machine || { verdict; exit 1; }
boot
without_an_interface
the_interface_comes
a_hub_is_silent
allowed_ips_change
peers_come_and_go
an_interface_is_removed
on router 'nefia-beacon once' || true
mark
on router 'signal TERM beacon'
check "SIGTERM ends the beacon with status 0" seen router '^beacon: exit status 0'
on router 'dmesg' || true
case $answer in
*[Oo]ops* | *segfault* | *SIGILL*) bad "the kernel saw a fault" ;;
*) ok "the kernel saw no fault" ;;
esac
verdict
