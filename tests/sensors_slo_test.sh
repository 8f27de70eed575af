#!/bin/sh
# Objectives and projects in a running beacon, with its filter of system calls: a server that closes every third connection, that
# is slow and that is not there, and processes that end.
#   tests/sensors_slo_test.sh [PROGRAM]      default: out/host/nefia-beacon
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
# shellcheck source=tests/beacon_lib.sh
. tests/beacon_lib.sh

server_pid='' worker_pid=''
# shellcheck disable=SC2034 # lib.sh ends them
processes="$processes server_pid worker_pid"
server_port=$(free_port)
lone_port=$(free_port)

# server_is EVERY DELAY: see tests/fake/flaky.py.
server_is()
{
    echo "$1 $2" >"$dir/new"
    mv "$dir/new" "$dir/server"
}

serve()
{
    background server.log python3 tests/fake/flaky.py "$1" "$dir/server"
    server_pid=$!
    within sh -c "ss -ltn | grep -q '127.0.0.1:$1 '"
}

end()
{
    kill "$1" && wait "$1" 2>/dev/null
}


cp "$(command -v sleep)" "$dir/worker-$$"
ask="socat -u TCP:127.0.0.1:$server_port - | grep -q well"
sources="  reach: [{name: shop, tcp: \"127.0.0.1:$lone_port\", interval: 1s}]
  scripts: [{name: ask, interval: 1s, command: '$ask'}]"
common='interval: 1s, window: 1m, min_results: 3'

# ---- results of a script: a server that fails now and then, and one that is slow ----
server_is 3 0
serve "$server_port"
result "a server that closes every third connection" $?
run "$sources
  slo_violation:
    - {name: errors, script: ask, objective: error_rate, target: 20, $common}
    - {name: slow, script: ask, objective: latency, target: 300ms, percentile: 50, $common}
    - {name: there, reach: shop, target: 60, $common}
  process: [{name: worker-$$, min: 0, interval: 1s}]
  project_slo: [{name: shop, interval: 1s, objectives: [slow, errors], replicas: {worker-$$: 1}}]"
within heard '"type":"slo.violated".*"name":"errors","script":"ask","objective":"error_rate","observed_percent":"[2-6][0-9.]*","target_percent":"20.0"'
result "its error rate" $?
within heard '"type":"project.slo_violation".*"project":"shop","objective":"errors","failing":1'
result "the project says which objective" $?
within heard '"type":"slo.violated".*"level":"critical","name":"there","reach":"shop","objective":"availability","observed_percent":"0.0"'
result "a target that is not there" $?
within heard '"type":"project.drift".*"severity":"critical","data":{"level":"high","project":"shop","process":"worker-[0-9]*","expected":1,"running":0'
result "a process that is missing" $?

server_is 0 0
"$dir/worker-$$" 100000 &
worker_pid=$!
within heard '"type":"slo.recovered".*"state":"recovered","name":"errors"'
result "the error rate is low again" $?
within heard '"type":"project.slo_violation".*"state":"recovered","project":"shop","failing":0'
result "and the project is well" $?
within heard '"type":"project.drift".*"state":"recovered"'
result "the process runs" $?

server_is 0 0.4
within heard '"type":"slo.violated".*"name":"slow","script":"ask","objective":"latency","observed_ms":[3-9][0-9][0-9],"target_ms":300'
result "the server is slow" $?

# ---- a reload keeps the window ----
# The least of the runs of all sensors: each has looked again once it has grown by two.
runs()
{
    "$beacon" status -c "$dir/nefia.yaml" --json | python3 -c '
import json, sys
print(min(s["runs"] for s in json.load(sys.stdin)["sensors"]))'
}
more()
{
    [ "$(runs)" -ge $((before + 2)) ]
}
sed -i 's/min_results: 3/min_results: 10/' "$dir/nefia.yaml"
kill -HUP "$beacon_pid"
within status_has ', 1 reloads\{0,1\},'
before=$(runs)
within more
! status_has 'too few results'
result "the window is kept over a reload" $?
halt
end "$server_pid"
server_pid=
end "$worker_pid"
worker_pid=

# ---- the first results, and one of each in once ----
server_is 0 0
serve "$lone_port"
cat >"$dir/once.yaml" <<YAML
beacons:
$sources
  slo_violation: [{name: there, reach: shop, target: 60}, {name: errors, script: ask, objective: error_rate, target: 20}]
  project_slo: [{name: shop, objectives: [there, errors]}]
YAML
"$beacon" once -c "$dir/once.yaml" >"$dir/out" 2>"$dir/err"
says "once: a script fails" '"type":"slo.violated".*"name":"errors".*"observed_percent":"100.0".*"results":1}' out
says "once: the project, too" '"type":"project.slo_violation".*"objective":"errors","failing":1}' out
says "once: the target is there" 'slo_violation there: no events' err
end "$server_pid"
server_pid=

finish
