# shellcheck shell=sh disable=SC2034,SC2154
# A real beacon and a real hub, which may be killed and started again. Usage: . tests/lib.sh; set $beacon and $nefia; . tests/pair_lib.sh
# The beacon's configuration is $dir/nefia.yaml, the hub's $hub_config.

hub_config=$dir/nefia.yaml
beacon_pid=
hub_pid=
processes='beacon_pid hub_pid'

start_beacon()
{
    "$beacon" run -c "$dir/nefia.yaml" 2>>"$dir/beacon.log" &
    beacon_pid=$!
    within "$beacon" status -c "$dir/nefia.yaml"
}

# As a power cut ends it.
kill_beacon()
{
    kill -9 "$beacon_pid"
    wait "$beacon_pid" 2>/dev/null
    beacon_pid=
}

stop_beacon()
{
    kill "$beacon_pid" && wait "$beacon_pid"
    beacon_pid=
}

start_hub()
{
    "$nefia" reactor run -c "$hub_config" 2>>"$dir/hub.log" &
    hub_pid=$!
    within "$nefia" reactor status -c "$hub_config"
}

stop_hub()
{
    kill "$hub_pid" && wait "$hub_pid"
    hub_pid=
}
