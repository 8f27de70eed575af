# shellcheck shell=sh disable=SC2034,SC2154
# A beacon and the fake hub it sends to, as the beacon_*_test.sh use them. Usage: . tests/lib.sh; . tests/beacon_lib.sh

beacon=${1:-out/host/nefia-beacon}
key=0123456789abcdef0123
beacon_pid=
hub_pid=
processes='beacon_pid hub_pid'

port=$(free_port)

# config HOST EXTRA: $dir/nefia.yaml, with more lines of `beacons:`.
config() {
    cat >"$dir/nefia.yaml" <<YAML
host_id: $1
beacons:
  reactor: "127.0.0.1:$port"
  hmac_key_file: $dir/key
  control_socket: $dir/beacon.sock
  max_events_per_min: 120
$2
YAML
}

# start_hub MODE…: of the fake hub; "plain": it never greets.
start_hub() {
    [ "$1" != plain ] || shift
    python3 tests/fake/hub.py "$port" "$dir/hub.log" "$@" &
    hub_pid=$!
    within sh -c "ss -ltn | grep -q '127.0.0.1:$port '"
}

# One that acknowledges.
start_link_hub() {
    start_hub link "key=$dir/key"
}

stop_hub() {
    kill "$hub_pid" && wait "$hub_pid"
    hub_pid=
}

start_beacon() {
    background run.log "$beacon" run -c "$dir/nefia.yaml"
    beacon_pid=$!
    within "$beacon" status -c "$dir/nefia.yaml"
}

# The exit status of the beacon is this one's.
stop_beacon() {
    kill "$beacon_pid"
    wait "$beacon_pid"
    set -- $?
    beacon_pid=
    return "$1"
}

# run LINES: a beacon with these lines of `beacons:`, and a hub that takes all it sends; halt: both end.
run() {
    config sensors "  require_ack: false
$1"
    start_hub plain
    start_beacon
}

halt() {
    stop_beacon
    result "the beacon stops" $?
    stop_hub
}

emit() {
    "$beacon" emit -c "$dir/nefia.yaml" "$@" >"$dir/out" 2>"$dir/err"
}

heard() {
    grep -q -e "$1" "$dir/hub.log"
}

status_has() {
    "$beacon" status -c "$dir/nefia.yaml" | grep -q -e "$1"
}

printf '%s\n' $key >"$dir/key"
chmod 600 "$dir/key"
