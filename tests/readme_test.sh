#!/bin/sh
# README.md and docs/*.md keep their word: their configurations are accepted, their shell lines work, their sensor and their action
# build and act; and they name what there is, and leave nothing out. tests/docs.py reads them.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

beacon=$PWD/out/host/nefia-beacon
nefia=$PWD/out/host/nefia
hub_pid=
pair_pids=
processes='hub_pid pair_pids'

# block NAME: the fenced block with test=NAME, wrong=NAME or output=NAME.
block()
{
    python3 tests/docs.py block "$1"
}

# documented NAME CHECK ARGUMENTS…: what tests/docs.py finds nothing wrong with.
documented()
{
    name=$1
    shift
    expect "$name" 0 python3 tests/docs.py "$@"
}

# Without tests, what these blocks say would be nobody's word.
documented "every block is run, checked, or says why not" \
    fences once pair door send audit sensor-kconfig sensor-c sensor-yaml battery-kconfig battery-c battery-yaml action-kconfig action-c action-yaml \
    console policy-fleet policy-readonly silence why replay play-first play-templates play-rollback

# ---- configurations ----
umask 077
mkdir -p "$dir/configurations/keys"
for key in hmac.key keys/web-01 keys/web-01.next; do
    openssl rand -hex 32 >"$dir/configurations/$key"
done
documented "the configurations can be read" configurations "$dir/configurations"
for file in "$dir"/configurations/*.yaml; do
    if grep -q '^beacons:' "$file"; then
        expect "the beacon accepts ${file##*/}" 0 "$beacon" check -c "$file"
    fi
    if grep -q '^reactor:' "$file"; then
        expect "the hub accepts ${file##*/}" 0 "$nefia" reactor check -c "$file"
    fi
done

# What a device does not have is not measured; nothing fails.
for file in "$dir"/configurations/*-sensors-*.yaml; do
    "$beacon" once -c "$file" >"$dir/out" 2>"$dir/err"
    [ $? -le 1 ] && grep -q 'events\?$' "$dir/err" && ! grep -q ': failed\|: error: ' "$dir/err"
    result "once runs the sensors of ${file##*/}" $?
done

mkdir "$dir/wrong"
block reactor >"$dir/wrong/nefia.yaml"
block answer >"$dir/answer"
(cd "$dir/wrong" && "$nefia" reactor check -c nefia.yaml) 2>"$dir/err"
[ $? -eq 2 ] && cmp "$dir/answer" "$dir/err" >"$dir/out" 2>&1
result "the mistake of the reference is answered as it says" $?

# ---- both programs ----
# Each waits in the background with its log and process id where the test finds them, at a port that is free.
port=$(free_port)
mkdir "$dir/pair"
block pair | sed -e "s|:9500|:$port|" -e "s|^  listen_address.*|&\n  listen_port: $port|" -e "s|\.\./out|$PWD/out|" \
    -e 's|&$|2>>log \& echo $! >>../pids|' >"$dir/pair.sh"
(cd "$dir/pair" && sh ../pair.sh)
pair_pids=$(cat "$dir/pair/pids")
within grep -q 'connected to' "$dir/pair/try/log"
result "both programs of the README start and find each other" $?
block door | sed "s|\.\./out|$PWD/out|" >"$dir/door.sh"
(cd "$dir/pair/try" && within sh -c 'sh ../../door.sh && grep -q "the north door" doors') >"$dir/out" 2>&1
result "the README's event sets off its rule" $?
(
    cd "$dir/pair/try" || exit
    "$beacon" status --json -c nefia.yaml >../beacon.json
    "$nefia" reactor status --json -c nefia.yaml >../hub.json
    "$nefia" reactor status -c nefia.yaml >../hub.txt
)
documented "status says what the reference says it does" status "$dir/pair/beacon.json" "$dir/pair/hub.json" "$dir/pair/hub.txt"

# ---- a signed event from a shell ----
port=$(free_port)
block send | sed "s/:9500/:$port/" >"$dir/send.sh"
cat >"$dir/hub.yaml" <<YAML
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  hmac_key: $(sed -n 's/^key=\([^ ]*\).*/\1/p' "$dir/send.sh")
  control_socket: $dir/hub.sock
YAML
background hub.log "$nefia" reactor run -c "$dir/hub.yaml"
hub_pid=$!
within "$nefia" reactor status -c "$dir/hub.yaml"
expect "the shell line sends" 0 sh "$dir/send.sh"
accepted()
{
    "$nefia" reactor events -c "$dir/hub.yaml" | grep -q 'door.open .*shed .*warning'
}
within accepted
result "the hub accepts it" $?

# ---- the first commands, and what a reader adds, in a copy of the tree ----
copy=$dir/copy
mkdir -p "$copy/out/host"
tar -cf - --exclude=./out --exclude=./.git . | tar -xf - -C "$copy"
ln -s "$PWD/out/sources" "$PWD/out/.deps" "$copy/out"
for built in out/host/* out/host/.config*; do
    case $built in
    */sysroot | */obj | */gen | */.config*) cp -Rp "$built" "$copy/out/host" ;;
    esac
done
block once >"$dir/once.sh"
(cd "$copy" && sh -e "$dir/once.sh") >"$dir/out" 2>"$dir/err"
result "the README's first commands build and run the sensors" $?

block sensor-kconfig >>"$copy/src/beacon/sensors/Kconfig"
block sensor-c >"$copy/src/beacon/sensors/uptime.c"
{
    echo
    block battery-kconfig
} >>"$copy/src/beacon/sensors/Kconfig"
block battery-c >"$copy/src/beacon/sensors/battery.c"
{
    echo
    block action-kconfig
} >>"$copy/src/hub/actions/Kconfig"
block action-c >"$copy/src/hub/actions/append.c"
expect "the sensors and the action build" 0 make -C "$copy" "-j$(nproc)" BOARD=host

block sensor-yaml >"$dir/uptime.yaml"
expect "the sensor runs" 0 "$copy/out/host/nefia-beacon" once -c "$dir/uptime.yaml"
says "its event is sent" '"type":"uptime.long","source":"uptime-beacon"' out
block battery-yaml | sed "s|/sys/class/power_supply/BAT0|$dir|" >"$dir/battery.yaml"
expect "a battery that is not there" 1 "$copy/out/host/nefia-beacon" once -c "$dir/battery.yaml"
says "is not measured" "^battery: not measured: $dir/capacity: No such file" err
echo 15 >"$dir/capacity"
expect "one that is" 0 "$copy/out/host/nefia-beacon" once -c "$dir/battery.yaml"
says "is low" '"type":"battery.low".*"severity":"warning","data":{"charge":15}' out

kill "$hub_pid"
wait "$hub_pid"
block action-yaml | sed "s|/var/log|$dir|" >"$dir/hub.yaml"
cat >>"$dir/hub.yaml" <<YAML
  listen_address: 127.0.0.1
  listen_port: $port
  control_socket: $dir/hub.sock
YAML
background hub.log "$copy/out/host/nefia" reactor run -c "$dir/hub.yaml"
hub_pid=$!
within "$nefia" reactor status -c "$dir/hub.yaml"
{
    grep -v '^printf' "$dir/send.sh"
    echo "echo \"\$e\" | socat - TCP:127.0.0.1:$port"
} >"$dir/plain.sh"
expect "an event is sent to it" 0 sh "$dir/plain.sh"
within grep -q '"type":"door.open"' "$dir/events.jsonl"
result "the action acts" $?

# ---- what is named exists, and what exists is named ----
make help >"$dir/targets"
documented "the JSON is JSON" json
documented "links lead somewhere" links
documented "files that are named exist" paths
documented "symbols that are named exist" symbols
documented "make targets that are named exist" targets "$dir/targets"
documented "every configuration key is there, with its default" defaults
documented "the programs know every configuration key that is there" keys out/host
documented "the limits of a build are its symbols' values" limits
documented "every verb and option is there" verbs out/host
documented "every event type and its data are there" events
documented "every sensor has its keys, events, cost and an example" sensors
documented "the messages that are explained exist" messages
documented "the tables of make bench are there" bench
documented "the session of the wire is what both ends of it compute" wire

finish
