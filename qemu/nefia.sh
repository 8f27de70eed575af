# shellcheck shell=sh disable=SC2154
# A router with a beacon and a hub with a reactor, as demo.sh and scenario.sh use them. What the programs say
# is on the console.
# Usage: . qemu/machines.sh; . qemu/nefia.sh

secret=webhook-secret

# A small real file system on a real (emulated) block device.
make_disk() {
    truncate -s 16M "$run/disk"
    PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext2 -b 1024 -N 64 -m 0 "$run/disk"
}

make_router() {
    by_hand router "$board" nefia-beacon || return 1
    dir=$(machine_dir router)
    cp "$run/hmac.key" "$dir/etc/nefia/"
    cat >"$dir/etc/nefia/nefia.yaml" <<YAML
host_id: router
beacons:
  reactor: "10.99.0.1:9500"
  require_ack: true
  hmac_key_file: /etc/nefia/hmac.key
  control_socket: /run/nefia/beacon.sock
  max_events_per_min: ${events_per_min:-10}
  dedup_window: ${dedup_window:-5m}
  disk_usage:
    interval: 1s
    warning_percent: 80
    critical_percent: 90
    paths: [/mnt/disk]
YAML
}

# The webhook's receiver prints what it got; whoever reads the console checks the signature.
make_hub() {
    by_hand hub arm-virt nefia || return 1
    dir=$(machine_dir hub)
    cp "$run/hmac.key" "$dir/etc/nefia/"
    cat >"$dir/etc/nefia/nefia.yaml" <<YAML
host_id: hub
reactor:
  listen_address: 0.0.0.0
  peers: [10.99.0.0/24]
  hmac_key_file: /etc/nefia/hmac.key
  control_socket: /run/nefia/reactor.sock
${reactor_state:+  state_dir: $reactor_state}
  rules:
    - name: disk-full
      event_pattern: 'disk\..*'
      severity: critical
      action: {type: exec, command: /bin/make-room, target: hub}
    - name: tell-the-team
      event_pattern: 'disk\..*'
      host_pattern: 'router.*'
      severity: critical
      action: {type: alert, webhook_name: team}
${more_rules:-}
  webhooks:
    - {name: team, url: "http://127.0.0.1:8080/cgi-bin/hook", secret: "$secret"}
YAML
    chmod 600 "$dir/etc/nefia/nefia.yaml" # it holds a secret
    cat >"$dir/bin/make-room" <<'SH'
#!/bin/sh
# Whole lines in one write each: other programs use the console too.
echo "command: rule $NEFIA_RULE: $NEFIA_DATA_PATH on $NEFIA_HOST is $NEFIA_DATA_USED_PERCENT % full" \
    >/dev/console
SH
    mkdir -p "$dir/www/cgi-bin"
    cat >"$dir/www/cgi-bin/hook" <<'SH'
#!/bin/sh
body=$(head -c "$CONTENT_LENGTH")
echo "webhook: $REQUEST_METHOD, signature $HTTP_X_NEFIA_SIGNATURE" >/dev/console
echo "webhook-body: $body" >/dev/console
printf 'Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nok\n'
SH
    chmod 755 "$dir/bin/make-room" "$dir/www/cgi-bin/hook"
}

make_machines() {
    od -An -N 24 -tx1 /dev/urandom | tr -d ' \n' >"$run/hmac.key"
    chmod 600 "$run/hmac.key"
    make_disk
    make_router && make_hub
}

# Does the signature of the last webhook hold?  Judged on this side, by openssl.  The next one's may be there already.
signature_holds() {
    body=$(tr -d '\r' <"$run/hub.log" | sed -n 's/^webhook-body: //p' | tail -n 1)
    wanted=$(printf '%s' "$body" | openssl dgst -sha256 -hmac "$secret" | sed 's/.* //')
    [ -n "$body" ] && tr -d '\r' <"$run/hub.log" | grep -q "^webhook: .*sha256=$wanted\$"
}
