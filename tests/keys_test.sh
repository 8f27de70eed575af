#!/bin/sh
# Keys of single hosts (reactor.hosts): who may sign for whom and from where, rotation, replay, and that no key shows anywhere.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

nefia=out/host/nefia
beacon=out/host/nefia-beacon
hub_pid=
beacon_pid=
emit_pid=
processes='emit_pid beacon_pid hub_pid'

umask 077
port=$(free_port)
: >"$dir/acted"
for key in shared own bound old new only stray; do
    openssl rand -hex 24 >"$dir/$key.key"
done

# hub_config NAME: the lines on stdin are `reactor:`'s, after what all have.
hub_config()
{
    {
        cat <<YAML
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  control_socket: $dir/hub.sock
  state_dir: $dir/hub.state
  rules:
    - {name: note, event_pattern: '^key\.', action: {type: exec, target: hub, command: "echo \$NEFIA_HOST \$NEFIA_TYPE >>$dir/acted"}}
YAML
        cat
    } >"$dir/$1.yaml"
}

start_hub()
{
    cp "$dir/$1.yaml" "$dir/hub.yaml"
    "$nefia" reactor run -c "$dir/hub.yaml" 2>>"$dir/hub.log" &
    hub_pid=$!
    within "$nefia" reactor status -c "$dir/hub.yaml"
}

stop_hub()
{
    kill "$hub_pid"
    wait "$hub_pid"
    hub_pid=
}

lines()
{
    grep -c -e "$1" "$dir/$2"
}

more_lines()
{
    [ "$(lines "$1" "$2")" -gt "$3" ]
}

# reload_hub NAME
reload_hub()
{
    before=$(lines 'reloaded: ' hub.log)
    cp "$dir/$1.yaml" "$dir/hub.yaml"
    kill -HUP "$hub_pid"
    within more_lines 'reloaded: ' hub.log "$before"
}

# hub_says PYTHON: true of the counters c.
hub_says()
{
    "$nefia" reactor status --json -c "$dir/hub.yaml" | python3 -c "
import json, sys
c = json.load(sys.stdin)['counters']
sys.exit(not ($1))"
}

rejected()
{
    "$nefia" reactor status --json -c "$dir/hub.yaml" |
        python3 -c 'import json, sys; print(sum(json.load(sys.stdin)["counters"]["rejected"].values()))'
}

# line HOST TYPE KEY: a plain event and its signature.
line()
{
    text=$(printf '{"type":"key.%s","source":"shell","host_id":"%s","timestamp":"2026-03-10T15:30:00Z","severity":"info","data":{}}' "$2" "$1")
    printf '%s\n' "$text"
    printf %s "$text" | openssl dgst -sha256 -hmac "$(cat "$dir/$3.key")" -r | cut -d ' ' -f 1
}

# send HOST TYPE KEY [ADDRESS]: from that address.
send()
{
    line "$1" "$2" "$3" | socat -u - "TCP:127.0.0.1:$port,bind=${4:-127.0.0.1}" 2>/dev/null
}

# takes NAME HOST TYPE KEY [ADDRESS]
takes()
{
    name=$1
    shift
    send "$@"
    within grep -qx "$1 key.$2" "$dir/acted"
    result "$name" $?
}

# refuses NAME WHY HOST TYPE KEY [ADDRESS]: with one line in the log, and no act.
refuses()
{
    name=$1
    why=$2
    shift 2
    before=$(lines ' closed: ' hub.log)
    # Each from an address of its own: the log names one once a minute.
    stranger=$((${stranger:-0} + 1))
    send "$1" "$2" "$3" "${4:-127.8.0.$stranger}"
    within more_lines ' closed: ' hub.log "$before" &&
        [ "$(lines ' closed: ' hub.log)" -eq $((before + 1)) ] && tail -n 1 "$dir/hub.log" | grep -q "127\..* closed: $why" &&
        ! grep -qx "$1 key.$2" "$dir/acted"
    result "$name" $?
}

# ---- the configuration -----------------------------------------------------------------------------------------------
hub_config shared <<YAML
  hmac_key_file: $dir/shared.key
  hosts:
    - {host_id: own, key_file: $dir/own.key, plain: true}
    - {host_id: bound, key_file: $dir/bound.key, addresses: [127.0.0.5, 127.0.7.0/24], plain: true}
    - {host_id: turns, key_file: $dir/old.key, plain: true}
YAML
sed "s|old.key|old.key, next_key_file: $dir/new.key|" "$dir/shared.yaml" >"$dir/both.yaml"
sed "s|old.key|new.key|" "$dir/shared.yaml" >"$dir/turned.yaml"
expect "check: keys of single hosts" 0 "$nefia" reactor check -c "$dir/both.yaml"
cp "$dir/own.key" "$dir/open.key"
chmod 644 "$dir/open.key"
sed "s|own.key|open.key|" "$dir/shared.yaml" >"$dir/open.yaml"
expect "a key file that others can read" 2 "$nefia" reactor run -c "$dir/open.yaml"
says "a key file that others can read: place and remedy" "hosts\[0\].key_file: .*open.key.*chmod 600" err
sed "s|new.key|open.key|" "$dir/both.yaml" >"$dir/opennext.yaml"
expect "a second key that others can read" 2 "$nefia" reactor check -c "$dir/opennext.yaml"
says "a second key that others can read: place and remedy" "hosts\[2\].next_key_file: .*open.key.*chmod 600" err
sed "s|own.key|none.key|" "$dir/shared.yaml" >"$dir/none.yaml"
expect "a key file that is not there" 2 "$nefia" reactor run -c "$dir/none.yaml"
says "a missing key file: its path" "hosts\[0\].key_file: .*$dir/none.key" err
sed "s|host_id: bound|host_id: own|" "$dir/shared.yaml" >"$dir/twice.yaml"
expect "a host with two keys" 2 "$nefia" reactor check -c "$dir/twice.yaml"
says "a host with two keys: the remedy" 'already the host of an earlier item' err
sed 's|  hosts:|  keys:|; s|key_file: \([^}]*own\.key\)|file: \1|; s|key_file: \([^}]*bound\.key\)|file: \1|; s|key_file: \([^}]*old\.key\)|file: \1|; s|, plain: true||' \
    "$dir/shared.yaml" >"$dir/keys.yaml"
expect "the old name of hosts" 0 "$nefia" reactor check -c "$dir/keys.yaml"
says "the old name of hosts: a notice" 'reactor.keys: this is the old name of .hosts.' err
sed '$a\  hosts: [{host_id: another}]' "$dir/keys.yaml" >"$dir/bothnames.yaml"
expect "both names" 2 "$nefia" reactor check -c "$dir/bothnames.yaml"
says "both names: the remedy" 'reactor.keys: .*given too; move its items there' err

# ---- keys and hosts ----------------------------------------------------------------------------------------------
start_hub shared
takes "a host with its own key" own a own
takes "a host without one, with the shared key" free a shared
takes "from an address of the list" bound a bound 127.0.0.5
takes "from a network of the list" bound b bound 127.0.7.9
refuses "the shared key for a host with its own" "wrong signature" own b shared
refuses "another host's key" "wrong signature" own c bound 127.0.0.5
refuses "a host's key for one without" "wrong signature" free b own
refuses "an address outside of the list" "host_id does not belong to this session, key or address (reactor.hosts)" bound c bound
refuses "a key that nobody has" "wrong signature" own d stray
refuses "the next key, before it is named" "wrong signature" turns a new
hub_says "c['rejected']['wrong_host'] == 1 and c['rejected']['signature_wrong'] == 5"
result "each is counted by its reason" $?
before=$(lines 'stays in force' hub.log)
cp "$dir/open.yaml" "$dir/hub.yaml"
kill -HUP "$hub_pid"
within more_lines 'stays in force' hub.log "$before"
result "reload: a key file that others can read changes nothing" $?
takes "the key before is still good" own e own
cp "$dir/shared.yaml" "$dir/hub.yaml"

# ---- rotation without a gap ------------------------------------------------------------------------------------------
cp "$dir/old.key" "$dir/device.key"
cat >"$dir/nefia.yaml" <<YAML
host_id: turns
beacons:
  reactor: "127.0.0.1:$port"
  hmac_key_file: $dir/device.key
  control_socket: $dir/beacon.sock
  state_dir: $dir/beacon.state
  max_events_per_min: 120
  dedup_window: 0
YAML

start_beacon()
{
    "$beacon" run -c "$dir/nefia.yaml" 2>>"$dir/beacon.log" &
    beacon_pid=$!
    within "$beacon" status -c "$dir/nefia.yaml"
}

# beacon_says PYTHON: true of its status s.
beacon_says()
{
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c "
import json, sys
s = json.load(sys.stdin)
sys.exit(not ($1))"
}
all_delivered="s['spool']['events'] == 0 and s['uplink']['delivered'] == s['seq'] and not any(s['lost'].values())"

# emit_on PREFIX: until there is $dir/enough; each that is accepted goes to $dir/emitted.
emit_on()
{
    n=0
    while [ ! -e "$dir/enough" ]; do
        n=$((n + 1))
        "$beacon" emit -c "$dir/nefia.yaml" "key.$1-$n" critical >/dev/null 2>&1 && echo "$1-$n" >>"$dir/emitted"
        sleep 0.05
    done
}

count_of()
{
    wc -l <"$dir/$1"
}
# more_emitted: ten more, so that events flow before, between and after the steps.
emitted_since()
{
    [ "$(count_of emitted)" -ge $((mark + 10)) ]
}
more_emitted()
{
    mark=$(count_of emitted)
    within emitted_since
}
# acted_as_emitted HOST: each that was accepted, once, and no other.
acted_as_emitted()
{
    sed "s/^/$1 key./" "$dir/emitted" | sort >"$dir/want"
    grep "^$1 " "$dir/acted" | sort | cmp -s "$dir/want" -
}

: >"$dir/emitted"
refused=$(rejected)
start_beacon
within beacon_says "$all_delivered"
result "a beacon with the host's key" $?
emit_on r &
emit_pid=$!
more_emitted && reload_hub both
result "the hub gets a second key" $?
more_emitted
cp "$dir/new.key" "$dir/device.key"
reloads=$(lines 'reloaded' beacon.log)
kill -HUP "$beacon_pid"
within more_lines 'reloaded' beacon.log "$reloads" && more_emitted
result "the beacon changes its key" $?
within beacon_says "s['uplink']['state'] == 'up'"
reload_hub turned && more_emitted
result "the hub forgets the first key" $?
touch "$dir/enough"
wait $emit_pid
emit_pid=
within beacon_says "$all_delivered"
result "rotation: no event is lost" $?
within acted_as_emitted turns
result "rotation: each acted once ($(count_of emitted) events)" $?
[ "$(rejected)" = "$refused" ]
result "rotation: nothing was refused" $?
refuses "the first key, once it is gone" "wrong signature" turns gone old
stop_hub

# ---- only keys of single hosts ---------------------------------------------------------------------------------------
hub_config hosts <<YAML
  hosts:
    - {host_id: turns, key_file: $dir/new.key}
    - {host_id: only, key_file: $dir/only.key, plain: true}
YAML
start_hub hosts
kill -HUP "$beacon_pid" # try again now
python3 -c 'import socket, sys
heard = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 600).makefile("r")
print(heard.readline(), end="")' "$port" >"$dir/greeting"
grep -qE '^\{"nefia":2,"nonce":"[0-9a-f]{32}"\}$' "$dir/greeting"
result "its greeting has a nonce, and nothing that would have to be believed" $?
rm "$dir/enough"
: >"$dir/emitted"
grep -v '^turns ' "$dir/acted" >"$dir/acted.new"
mv "$dir/acted.new" "$dir/acted"
emit_on h &
emit_pid=$!
more_emitted
touch "$dir/enough"
wait $emit_pid
emit_pid=
within beacon_says "$all_delivered" && ! grep -q 'does not acknowledge' "$dir/beacon.log"
result "only keys of hosts: acknowledged, and delivered" $?
within acted_as_emitted turns
result "only keys of hosts: each acted once" $?
hub_says "c['duplicates'] == 0 and c['events'] >= $(count_of emitted)"
result "only keys of hosts: nothing came twice" $?
expect "a foreign sender understands it, too" 0 python3 tests/fake/linked.py "$port" "$dir/only.key" only key.rec 3 "$dir/record"
says "a foreign sender: all responses are signed with the host's key" '^3 0 open$' out

# ---- the table of devices ----------------------------------------------------------------------------------------------
sed 's|host_id: turns,|host_id: turns, role: gateway, labels: {site: north, rack: 12},|; $a\    - {host_id: silent}' "$dir/hosts.yaml" >"$dir/devices.yaml"
reload_hub devices
expect "reactor hosts" 0 "$nefia" reactor hosts -c "$dir/hub.yaml"
says "a device that is connected, as seen before the reload" \
    '^  turns  *gateway  *site=north, rack=12  *link  *yes from 127\.0\.0\.1:[0-9]*  *no  *20..-..-.. ..:.., [0-9a-z]* ago$' out
says "one that was" '^  only  *-  *-  *link  *no  *-  *20..-..-.. ..:.., [0-9a-z]* ago$' out
says "one that was never seen" '^  silent  *-  *-  *-  *no  *-  *-$' out
says "and how many have no item" '^without an item in reactor.hosts: 0 known, 0 connected$' out
"$nefia" reactor hosts --json -c "$dir/hub.yaml" >"$dir/hosts.json"
"$nefia" reactor status --json -c "$dir/hub.yaml" >"$dir/status.json"
python3 - "$dir" <<'PYTHON'
import json, sys
hosts, status = (json.load(open(f"{sys.argv[1]}/{name}.json"))["hosts"] for name in ("hosts", "status"))
turns, only, silent = hosts
assert turns["labels"] == {"site": "north", "rack": "12"} and turns["connected"] and turns["delivery"] == "link"
assert not only["connected"] and only["address"] is None and only["silent_ms"] >= 0
assert silent["last_seen"] is None and silent["silent_ms"] is None and silent["labels"] == {} and silent["role"] is None
assert [h["host"] for h in status] == ["turns", "only", "silent"] and status[0]["labels"] == turns["labels"]
PYTHON
result "the same as JSON, and in the status" $?

# ---- replay ----------------------------------------------------------------------------------------------------------
within hub_says "c['actions']['exec']['queued'] + c['actions']['exec']['running'] == 0"
[ "$(lines '^only key.rec$' acted)" = 3 ]
result "the recorded events acted once each" $?
before=$(lines ' closed: ' hub.log)
[ "$(SOURCE=127.8.1.1 python3 tests/fake/sender.py raw "$port" "$dir/record")" = closed ]
result "a recorded stream: the connection is closed" $?
within more_lines ' closed: ' hub.log "$before" && [ "$(lines ' closed: ' hub.log)" = $((before + 1)) ] &&
    tail -n 1 "$dir/hub.log" | grep -q 'closed: wrong signature'
result "a recorded stream: one line in the log" $?
[ "$(lines '^only key.rec$' acted)" = 3 ] && hub_says "c['actions']['exec']['queued'] + c['actions']['exec']['running'] == 0"
result "a recorded stream: nothing acts" $?

hub_config strict <<YAML
  hmac_key_file: $dir/shared.key
  require_nonce: true
  hosts: [{host_id: turns, key_file: $dir/new.key}, {host_id: only, key_file: $dir/only.key}]
YAML
reload_hub strict
refuses "require_nonce: a plain sender" "plain events of this host are not taken" only plain only
refuses "require_nonce: a plain sender with the shared key" "plain events of this host are not taken" free plain shared
expect "require_nonce: one that speaks the link" 0 python3 tests/fake/linked.py "$port" "$dir/shared.key" free key.strict 2
says "require_nonce: it is acknowledged" '^2 0 open$' out

# ---- who has spoken the link sends nothing plainly ------------------------------------------------------------------------
pinned="plain events of this host are not taken: the host has spoken the link (reactor.plain_hosts, nefia reactor forget)"
hub_config pinning <<YAML
  hmac_key_file: $dir/shared.key
  hosts: [{host_id: turns, key_file: $dir/new.key}, {host_id: only, key_file: $dir/only.key}]
YAML
reload_hub pinning
refuses "pinned: a host that has spoken the link" "$pinned" free pinned shared
stop_hub
start_hub pinning
refuses "pinned: also after a restart" "$pinned" free again shared
takes "not pinned: another one" other plain shared
refuses "its own key, without plain: true" "plain events of this host are not taken: .*plain: true" only own only
expect "forget" 0 "$nefia" reactor forget free -c "$dir/hub.yaml"
takes "forgotten: it may be a plain sender again" free forgotten shared
expect "and speak the link again" 0 python3 tests/fake/linked.py "$port" "$dir/shared.key" free key.linked 1
refuses "pinned again" "$pinned" free later shared
sed '$a\  plain_hosts: [free]' "$dir/pinning.yaml" >"$dir/exempt.yaml"
reload_hub exempt
takes "reactor.plain_hosts: pinned, and taken nevertheless" free exempt shared

# ---- no key shows ----------------------------------------------------------------------------------------------------
for shown in status events hosts; do
    "$nefia" reactor "$shown" --json -c "$dir/hub.yaml"
done >"$dir/shown"
"$beacon" status --json -c "$dir/nefia.yaml" >>"$dir/shown"
for key in "$dir"/*.key; do
    grep -aqF -e "$(cat "$key")" "$dir/hub.log" "$dir/beacon.log" "$dir/shown" "/proc/$hub_pid/cmdline" "/proc/$hub_pid/environ" \
        "/proc/$beacon_pid/cmdline" "/proc/$beacon_pid/environ" "$dir"/hub.state/* "$dir"/beacon.state/* && echo "$key shows"
done >"$dir/keys.log"
[ -s "$dir/shown" ] && [ -s "$dir/hub.log" ] && tr '\0' ' ' <"/proc/$hub_pid/cmdline" | grep -q reactor && [ ! -s "$dir/keys.log" ]
result "no key in a log, a status, a process's arguments or environment, or a state file" $?
kill "$beacon_pid"
wait "$beacon_pid"
result "the beacon stops in order" $?
beacon_pid=
stop_hub
result "the hub stops in order" $?

finish
