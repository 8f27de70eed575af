#!/bin/sh
# All sensors in one beacon, as root and as a user of its own: each runs or says why it cannot measure, once, and goes on.
#   tests/sensors_test.sh [BEACON]      default: out/host/nefia-beacon
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
. tests/beacon_lib.sh
. tests/needed_by.sh

all=tests/configs/all-sensors.yaml
sensors=$(sed -n 's/^  \([a-z_]*\): [[{].*/\1/p' $all)

known=$(sed -n 's/^ *SENSOR_NAME[_OF]*("\([a-z_]*\)",.*/\1/p' src/beacon/sensors/*.c | sort)
[ "$known" ] && [ "$(echo "$sensors" | sort)" = "$known" ]
result "the configuration has every sensor" $?
sed "s|^beacons:|&\n  reactor: 127.0.0.1|" $all >"$dir/all.yaml"
expect "it is accepted" 0 "$beacon" check -c "$dir/all.yaml"
# The smallest build with all of them, of which toolchain/promises.txt has the size.
make BOARD=host CONFIG=sensors out/host-sensors/nefia-beacon >"$dir/make.log" 2>&1
expect "also by board/profiles/sensors.config" 0 out/host-sensors/nefia-beacon check -c "$dir/all.yaml"
out/host-sensors/nefia-beacon once -c "$dir/all.yaml" >"$dir/out" 2>"$dir/err"
[ $? -le 1 ] && ! grep -q ': failed' "$dir/err" && [ "$(grep -c 'events\?$' "$dir/err")" -eq "$(echo "$sensors" | wc -l)" ]
result "where each sensor looks" $?
sed "s|/etc/nefia/hmac.key|$dir/key|" rootfs-overlay/etc/nefia/router.yaml >"$dir/router.yaml"
expect "so is that of a router" 0 "$beacon" check -c "$dir/router.yaml"
"$beacon" once -c "$dir/router.yaml" >"$dir/out" 2>"$dir/err"
[ $? -le 1 ] && ! grep -q ': failed\|: error: ' "$dir/err" && [ "$(grep -c 'events\?$' "$dir/err")" -eq "$(grep -c '^  [a-z_]*: {\|^  [a-z]*:$' "$dir/router.yaml")" ]
result "whose sensors all run" $?
sed 's|^  # \([a-z_]*: [[{]\)|  \1|' "$dir/router.yaml" >"$dir/more.yaml"
! cmp -s "$dir/router.yaml" "$dir/more.yaml" && "$beacon" check -c "$dir/more.yaml" >"$dir/out" 2>&1
result "also with what it only proposes" $?

# Each alone, as a newcomer tries it.
for sensor in $sensors; do
    { echo "beacons:"; for s in $(needed_by "$sensor") "$sensor"; do grep "^  $s: " $all; done; } >"$dir/one.yaml"
    "$beacon" once -c "$dir/one.yaml" >"$dir/out" 2>"$dir/err"
    status=$?
    [ $status -le 1 ] && grep -q "^$sensor.*: \(not measured: .*, \)\?\(no\|[0-9]*\) events\?\$" "$dir/err" &&
        ! grep -q ': failed' "$dir/err" &&
        python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]' <"$dir/out"
    result "once: $sensor" $?
done

# status PYTHON: an expression of the running beacon's sensors.
sensors_are()
{
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c '
import json, sys
sensors = json.load(sys.stdin)["sensors"]
sys.exit(not eval(sys.argv[1]))' "$1"
}

# run_all NAME LINE: a beacon with all of them, each every second, until each has looked five times.
run_all()
{
    config all "  require_ack: false
  state_dir: $dir/state
$2
$(sed -n 's/^  \([a-z_]*: [[{].*\)/  \1/p' $all | sed 's|{|{interval: 1s, |;s|, }|}|')"
    start_hub plain
    start_beacon
    within sensors_are 'min(s["runs"] for s in sensors) >= 5'
    result "$1: all of them run" $?
    sensors_are "len(sensors) == $(echo "$sensors" | wc -l) and all(s['result'] in ('ok', 'running', 'not measured') for s in sensors)"
    result "$1: none fails" $?
    sensors_are 'all(s["reason"] for s in sensors if s["result"] == "not measured")'
    result "$1: what is not measured says why" $?
    # In the log each reason stands once.
    ! sed -n 's/^[^:]*: *warning: \(.*: not measured: .*\)/\1/p' "$dir/run.log" | sort | uniq -d | grep .
    result "$1: and only once" $?
    grep ': not measured: ' "$dir/run.log" | sed 's/^/   /'
    kill -HUP "$beacon_pid"
    within status_has ', 1 reloads,'
    result "$1: reload" $?
    sensors_are 'min(s["runs"] for s in sensors) >= 5'
    result "$1: which keeps what they have counted" $?
    stop_beacon
    result "$1: stop" $?
    stop_hub
}

mkdir "$dir/state"
run_all "as $(id -un)" ""
if [ "$(id -u)" -eq 0 ]; then
    chmod 711 "$dir"
    chown -R nobody "$dir/state" "$dir/key"
    run_all "as a user without rights" "  user: nobody"
else
    echo "not counted: a beacon with a user of its own, which takes root"
fi

finish
