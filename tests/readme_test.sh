#!/bin/sh
# The README keeps its word: its configuration is accepted, its shell lines work, its sensor builds and speaks, and every
# configuration key, event type and target of the Makefile that it should name is named.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

beacon=$PWD/out/host/nefia-beacon
nefia=$PWD/out/host/nefia
hub_pid=
pair_pids=
processes='hub_pid pair_pids'

# block NAME: the code block that says ```language test=NAME.
block()
{
    awk -v fence="test=$1" '$0 ~ /^```/ { if (on) exit; on = $2 == fence; next } on' README.md
}

# ---- the configuration of the reference ----
openssl rand -hex 32 >"$dir/hmac.key"
chmod 600 "$dir/hmac.key"
block config | sed "s|/etc/nefia/|$dir/|" >"$dir/nefia.yaml"
expect "the beacon accepts the README's configuration" 0 "$beacon" check -c "$dir/nefia.yaml"
expect "the hub accepts the README's configuration" 0 "$nefia" reactor check -c "$dir/nefia.yaml"
expect "once runs with the example of the image" 0 "$beacon" once -c rootfs-overlay/etc/nefia/nefia.yaml

# ---- both programs ----
mkdir "$dir/pair"
block pair | sed -e "s|:9500|:$(free_port)|" -e "s|^  listen_address.*|&\n  listen_port: PORT|" -e "s|\.\./out|$PWD/out|" \
    -e 's|&$|2>>log \& echo $! >>../pids|' >"$dir/pair.sh"
sed -i "s/PORT$/$(sed -n 's/.*127.0.0.1:\([0-9]*\)"$/\1/p' "$dir/pair.sh")/" "$dir/pair.sh"
(cd "$dir/pair" && sh ../pair.sh)
pair_pids=$(cat "$dir/pair/pids")
within grep -q 'connected to' "$dir/pair/try/log"
result "both programs of the README start and find each other" $?
block door | sed "s|\.\./out|$PWD/out|" >"$dir/door.sh"
(cd "$dir/pair/try" && within sh -c 'sh ../../door.sh && grep -q "the north door" doors') >"$dir/out" 2>&1
result "the README's event sets off its rule" $?

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
chmod 600 "$dir/hub.yaml" # it holds the key
"$nefia" reactor run -c "$dir/hub.yaml" 2>"$dir/hub.log" &
hub_pid=$!
within "$nefia" reactor status -c "$dir/hub.yaml"
expect "the README's shell line sends" 0 sh "$dir/send.sh"
heard()
{
    "$nefia" reactor events -c "$dir/hub.yaml" | grep -q 'door.open .*shed .*warning'
}
within heard
result "the hub takes it" $?

# ---- the sensor ----
copy=$dir/copy
mkdir -p "$copy/out/host"
tar -cf - --exclude=./out --exclude=./.git . | tar -xf - -C "$copy"
for kept in sources .deps host/sysroot; do
    cp -a "out/$kept" "$copy/out/$kept"
done
block sensor-kconfig >>"$copy/src/beacon/sensors/Kconfig"
block sensor-c >"$copy/src/beacon/sensors/load.c"
printf 'beacons:\n  load: {warning: 0}\n' >"$dir/load.yaml"
expect "the README's sensor builds, from one file and one Kconfig entry" 0 \
    make -C "$copy" "-j$(nproc)" BOARD=host
expect "it runs" 0 "$copy/out/host/nefia-beacon" once -c "$dir/load.yaml"
says "its event is sent" '"type":"load.average","source":"load-beacon"' out

# ---- nothing is left out ----
# The names in the tables of fields are the keys of the configuration.
keys=$(grep -rhoE '\{ *\.name = "[a-z_]+", *\.type = FIELD_' src | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u)
for key in $keys; do
    grep -q "\`$key\`" README.md || echo "$key"
done >"$dir/out"
[ -n "$keys" ] && [ ! -s "$dir/out" ]
result "every configuration key is in the README" $?

types=$(grep -rhoE '"[a-z]+\.[a-z_]+"' src/beacon --include='*.c' | tr -d '"' | grep -vE '\.(sock|yaml|key|json|inc)$' |
    grep -vE '^(beacons|reactor)\.' | sort -u)
for type in $types; do
    grep -q "\`$type\`" README.md || echo "$type"
done >"$dir/out"
[ -n "$types" ] && [ ! -s "$dir/out" ]
result "every event type is in the README" $?

make help >"$dir/targets"
grep -oE '`make [a-z-]+' README.md | cut -d ' ' -f 2 | sort -u | while read -r target; do
    grep -q "^$target " "$dir/targets" || echo "$target"
done >"$dir/out"
[ ! -s "$dir/out" ]
result "every target that the README names is in make help" $?

finish
