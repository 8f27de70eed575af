#!/bin/sh
# The beacon as a whole program, on loopback: its verbs, what it sends, how it reloads and ends.
#   tests/beacon_test.sh [PROGRAM]      default: out/host/nefia-beacon
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
# shellcheck source=tests/beacon_lib.sh
. tests/beacon_lib.sh

command_line() {
    expect "--version" 0 "$beacon" --version
    says "--version: the board" '^nefia-beacon [0-9].*(host)' out
    says "--version: the features" '^sensors: .*disk_usage' out
    expect "--help" 0 "$beacon" --help
    says "--help: the verbs" '^  once ' out
    expect "verb --help" 0 "$beacon" emit --help
    expect "no verb" 2 "$beacon"
    expect "unknown verb" 2 "$beacon" rnu
    says "unknown verb: the remedy" 'see .nefia-beacon --help' err
    expect "option before the verb" 2 "$beacon" -c "$dir/none.yaml" check
    says "option before the verb: the reason" 'missing verb before "-c"; options come after the verb' err
    expect "unknown option" 2 "$beacon" once --fast
    expect "no configuration" 2 "$beacon" check -c "$dir/none.yaml"
    says "no configuration: the reason" 'none.yaml.*No such file' err
    config a ''
    expect "status without a daemon" 1 "$beacon" status -c "$dir/nefia.yaml"
    says "status without a daemon: the reason" 'cannot reach' err
}

mistakes() {
    cat >"$dir/bad.yaml" <<YAML
beacons:
  reactor: "hub example:9500"
  max_event_per_min: 10
  dedup_window: 5
  disk_usage: {warning_percent: 95, critical_percent: 90}
  scripts:
    - {name: a, command: "true", severity: criticl}
YAML
    expect "five mistakes" 2 "$beacon" check -c "$dir/bad.yaml"
    says "five mistakes: no address" 'bad.yaml:2: beacons.reactor' err
    says "five mistakes: an unknown key" 'bad.yaml:3: beacons.max_event_per_min: .*max_events_per_min' err
    says "five mistakes: no unit" 'bad.yaml:4: beacons.dedup_window' err
    says "five mistakes: thresholds" 'bad.yaml:5: beacons.disk_usage: warning_percent' err
    says "five mistakes: a word" 'bad.yaml:7: beacons.scripts\[0\].severity: "criticl" is not one of' err
    expect "five mistakes start nothing" 2 "$beacon" run -c "$dir/bad.yaml"

    expect "check" 0 "$beacon" check -c "$dir/nefia.yaml"
    sed "s|$dir/key|$dir/nokey|" "$dir/nefia.yaml" >"$dir/bad.yaml"
    expect "missing key file" 2 "$beacon" check -c "$dir/bad.yaml"
    says "missing key file: where and why" 'bad.yaml:4: beacons.hmac_key_file: .*No such file' err
    cp "$dir/key" "$dir/openkey"
    chmod 644 "$dir/openkey"
    sed "s|$dir/key|$dir/openkey|" "$dir/nefia.yaml" >"$dir/bad.yaml"
    expect "key file for all to read" 2 "$beacon" check -c "$dir/bad.yaml"
    says "key file for all to read: the remedy" 'chmod' err
    sed "s|^  hmac_key_file.*|  hmac_key: $key|" "$dir/nefia.yaml" >"$dir/bad.yaml"
    chmod 644 "$dir/bad.yaml"
    expect "a key in a configuration for all to read" 2 "$beacon" check -c "$dir/bad.yaml"
    says "a key in a configuration for all to read: the remedy" "bad.yaml:4: beacons.hmac_key: .*chmod 600 $dir/bad.yaml" err
    chmod 600 "$dir/bad.yaml"
    expect "a key in a configuration of our own" 0 "$beacon" check -c "$dir/bad.yaml"
    sed "s|^  hmac_key_file.*|&\n  hmac_key: $key|" "$dir/nefia.yaml" >"$dir/bad.yaml"
    expect "two keys" 2 "$beacon" check -c "$dir/bad.yaml"
    says "two keys: the remedy" 'hmac_key is given too; remove one of them' err
    echo 'beacons: {}' >"$dir/bad.yaml"
    echo 'beacons: {reactor: "fd00::1:9500"}' >"$dir/open.yaml"
    expect "an IPv6 address without brackets" 2 "$beacon" check -c "$dir/open.yaml"
    says "an IPv6 address without brackets: the form" 'beacons.reactor: fd00::1:9500: .*in brackets' err
    expect "no hub: a warning" 0 "$beacon" check -c "$dir/bad.yaml"
    says "no hub: the remedy" 'bad.yaml:1: warning: beacons.reactor: not configured: no hub; .*such as "10.99.0.1:9500"' err
    expect "the example is fine" 0 "$beacon" once -c rootfs-overlay/etc/nefia/nefia.yaml
}

# A beacon that has no hub yet runs, keeps its events, and delivers them once a reload brings one.
unconfigured() {
    config unconfigured ''
    cp "$dir/nefia.yaml" "$dir/with_hub.yaml"
    sed '/reactor:/d' "$dir/with_hub.yaml" >"$dir/nefia.yaml"
    start_beacon
    result "a beacon without a hub runs" $?
    [ "$(grep -c 'beacons.reactor: not configured: no hub' "$dir/run.log")" -eq 1 ]
    result "no hub: one line of its log says what to do" $?
    expect "no hub: emit is accepted" 0 "$beacon" emit no.hub warning -c "$dir/nefia.yaml"
    expect "no hub: status answers" 0 "$beacon" status -c "$dir/nefia.yaml"
    says "no hub: status says so" 'not configured: no hub' out
    start_link_hub
    cp "$dir/with_hub.yaml" "$dir/nefia.yaml"
    kill -HUP "$beacon_pid"
    within grep -q '"type":"no.hub"' "$dir/hub.log"
    result "a reload brings a hub, and what was kept arrives" $?
    "$beacon" status --json -c "$dir/nefia.yaml" | grep -q '"delivered":[1-9]' && kill -0 "$beacon_pid"
    result "it is the same process" $?
    sed '/reactor:/d' "$dir/with_hub.yaml" >"$dir/nefia.yaml"
    kill -HUP "$beacon_pid"
    within sh -c "'$beacon' status -c '$dir/nefia.yaml' | grep -q 'not configured: no hub'"
    result "another one takes it away, and the beacon stays" $?
    "$beacon" emit late.event info -c "$dir/nefia.yaml" >/dev/null
    stop_beacon
    result "no hub: it stops with status 0" $?
    says "no hub: it says what was not delivered" 'stopped; undelivered events: [1-9]' run.log
    stop_hub
}

once() {
    echo '{"beacons": {"disk_usage": {"warning_percent": 0.1}, "scripts": [{"name": "s", "command": "exit 2"}]}}' \
        >"$dir/once.json"
    expect "once, without key, hub and network" 0 "$beacon" once -c "$dir/once.json"
    says "once: the disk" '^{"type":"disk.usage","source":"disk-beacon",.*"path":"/","used_percent":"' out
    says "once: the script" '"type":"script.result".*"severity":"critical"' out
    python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]' <"$dir/out"
    result "once: JSON Lines" $?
}

plainly='  require_ack: false'
signed() {
    config signed "$plainly"
    sed -i 's/"127.0.0.1:/"localhost:/' "$dir/nefia.yaml"
    start_hub plain
    start_beacon
    result "run answers" $?
    within heard '"beacon.started"'
    result "the start is reported" $?
    expect "emit" 0 emit ups.on_battery critical 'charge=93 %' 'quote="'
    within heard '"ups.on_battery"'
    result "emit is sent" $?
    grep -A 1 '"ups.on_battery"' "$dir/hub.log" >"$dir/event"
    head -n 1 "$dir/event" | tr -d '\n' >"$dir/line"
    [ "$(openssl dgst -sha256 -hmac $key "$dir/line" | sed 's/.*= //')" = "$(sed -n 2p "$dir/event")" ]
    result "openssl finds the same signature" $?
    grep -q '"data":{"charge":"93 %","quote":"\\""}' "$dir/event"
    result "emit: the data" $?
    expect "emit: a repetition is suppressed" 1 emit ups.on_battery critical 'charge=93 %' 'quote="'
    says "emit: and why" 'suppressed: duplicate' out
    expect "emit: other data is no repetition" 0 emit ups.on_battery critical 'charge=92 %'
    expect "emit: bad severity" 2 emit a.b bad
    expect "emit: bad type" 2 emit 'a b' info
    expect "emit: bad pair" 2 emit a.b info novalue
    expect "status" 0 "$beacon" status -c "$dir/nefia.yaml"
    says "status: the hub" '^  Connection  *up for [0-9]' out
    says "status: what was accepted" '^  Accepted .* 2 critical$' out
    says "status: what was suppressed" '^  Suppressed .* 1 critical (repetitions)$' out
    says "status: what was lost" '^  Lost .* 0 critical$' out
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c 'import json, sys
s = json.load(sys.stdin)
assert s["uplink"]["state"] == "up" and s["accepted"]["critical"] == 2 and s["sensors"] == [], s'
    result "status --json" $?
    "$beacon" run -c "$dir/nefia.yaml" >"$dir/out" 2>"$dir/err"
    [ $? -eq 1 ]
    result "a second one on the same socket ends" $?
}

reload() {
    config other "$plainly
  disk_usage: {warning_percent: high}"
    kill -HUP "$beacon_pid"
    within grep -q 'reload failed' "$dir/run.log"
    result "reload: a file with an error is refused" $?
    status_has '^  Host  *signed,'
    result "reload: and what runs stays" $?
    config reloaded "$plainly
  disk_usage: {interval: 1h}"
    kill -HUP "$beacon_pid"
    within status_has '^  Host  *reloaded,'
    result "reload" $?
    status_has '^  disk_usage  disk_usage  1h '
    result "reload: a new sensor" $?
    emit ups.on_battery critical 'charge=92 %'
    emit ups.on_battery critical 'charge=92 %'
    says "reload: accepted events are remembered" 'suppressed: duplicate' out
}

ending() {
    emit last.word warning n=1
    stop_beacon
    result "SIGTERM: exit status 0" $?
    heard '"last.word"'
    result "SIGTERM: what waited was sent" $?
    grep -q 'all events delivered' "$dir/run.log"
    result "SIGTERM: and this is logged" $?
    stop_hub
    start_beacon
    emit lost.word warning
    emit lost.word critical
    stop_beacon
    grep -q 'stopped; undelivered events: 3' "$dir/run.log"
    result "SIGTERM without a hub: how many were not sent" $?
}

acknowledged() {
    config acknowledged ''
    : >"$dir/hub.log"
    start_hub link "key=$dir/key" refuse=not.wanted
    start_beacon
    within grep -q 'acknowledges events, signed; window 32' "$dir/run.log"
    result "with a hub of link 2: its events are acknowledged" $?
    emit not.wanted warning
    emit wanted warning
    within heard '"beacon.events_lost".*"lost":1,.*"unknown":0'
    result "a refused event is reported as lost" $?
    heard '"wanted"' && ! heard '"not.wanted"' && grep -q 'refused by the hub: not an event' "$dir/run.log"
    result "a refused event: the next one is delivered, and the reason logged" $?
    touch "$dir/hub.log.withhold"
    stop_hub
    start_hub link "key=$dir/key" withhold
    emit under.way warning
    within heard '"under.way"'
    status_has '^  In memory  *[1-9][0-9]* events'
    result "an event that is not acknowledged is kept" $?
    rm "$dir/hub.log.withhold"
    stop_beacon
    result "SIGTERM: exit status 0" $?
    grep -q 'all events delivered' "$dir/run.log"
    result "SIGTERM: the acknowledgement was waited for" $?
    stop_hub
}

rate() {
    config rate '  state_dir: '"$dir"'
'
    sed -i 's/max_events_per_min: 120/max_events_per_min: 5/' "$dir/nefia.yaml"
    start_link_hub
    start_beacon
    for i in 1 2 3 4; do
        emit rate.test warning n=$i
    done
    expect "rate: four warnings of five, the fifth place is critical's" 1 emit rate.test warning n=5
    expect "rate: a critical one" 0 emit rate.test critical n=6
    stop_beacon
    heard '"beacon.suppressed".*"suppressed":1,.*"rate.test":{"warning":1}'
    result "rate: reported at the end" $?
    boot=$(grep '"host_id":"rate"' "$dir/hub.log" | tail -n 1 | sed 's/.*"boot":\([0-9]*\).*/\1/')
    start_beacon
    stop_beacon
    next=$(grep '"host_id":"rate"' "$dir/hub.log" | tail -n 1 | sed 's/.*"boot":\([0-9]*\).*/\1/')
    [ $((next >> 33)) -eq $(((boot >> 33) + 1)) ]
    result "the count of starts is kept" $?
    stop_hub
}

command_line
mistakes
unconfigured
once
signed
reload
ending
acknowledged
rate
# ---- few descriptors ----
with_descriptors 20 "$beacon" run -c "$dir/nefia.yaml" >"$dir/out" 2>&1
[ $? -eq 1 ] && grep -q 'open files: [0-9]* needed, 20 permitted; raise the limit (ulimit -n)' "$dir/out"
result "too few descriptors: refused at the start, with what is missing" $?

finish
