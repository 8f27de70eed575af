#!/bin/sh
# Both programs under load, with every system call watched: once their loops run, neither asks the kernel for memory.
#   tests/noheap_test.sh [DIRECTORY]      default: out/host
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

programs=${1:-out/host}
pids=
processes='pids'

port=$(free_port)
openssl rand -hex 32 >"$dir/key"
chmod 600 "$dir/key"
mkdir "$dir/hook"
python3 "tests/fake/webhook.py" "$dir/hook" secret &
pids=$!
within test -s "$dir/hook/port"
cat >"$dir/nefia.yaml" <<END
host_id: watched
beacons:
  reactor: 127.0.0.1:$port
  hmac_key_file: $dir/key
  control_socket: $dir/beacon.sock
  max_events_per_min: 100
  dedup_window: 0
  disk_usage: {interval: 1s, warning_percent: 0.1, critical_percent: 100, paths: [/]}
  scripts:
    - {name: loud, command: "seq 2000; exit 1", interval: 1s}
reactor:
  listen_port: $port
  hmac_key_file: $dir/key
  control_socket: $dir/hub.sock
  state_dir: $dir/state
  journal_kb: 64
  rules:
    - {name: run, event_pattern: '^load', action: {type: exec, command: "true", target: hub}}
    - {name: tell, event_pattern: '(disk|script)\\.(usage|result)+', action: {type: alert, webhook_name: ok}}
  webhooks:
    - {name: ok, url: "http://localhost:$(cat "$dir/hook/port")/ok", secret: secret}
END
chmod 600 "$dir/nefia.yaml" # it holds a secret

# trace NAME PROGRAM…: with a file of system calls for each process.
trace() {
    name=$1
    shift
    mkdir "$dir/$name"
    background "$name.log" strace -ff -o "$dir/$name/calls" "$@"
    pids="$pids $!"
    echo $! >"$dir/$name.pid"
}

# The daemon itself is the process that ran first.
daemon_calls() {
    for f in "$dir/$1"/calls.*; do
        if grep -q -m 1 "^execve(\"$2\"" "$f"; then
            echo "$f"
            return
        fi
    done
}

signal() {
    f=$(daemon_calls "$1" "$2")
    kill "-$3" "${f##*.}"
}

# has_read NAME PROGRAM TIMES: its configuration.
has_read() {
    [ "$(grep -c 'open.*nefia.yaml' "$(daemon_calls "$1" "$2")")" = "$3" ]
}

trace hub "$programs/nefia" reactor run -c "$dir/nefia.yaml"
within grep -q 'listening on' "$dir/hub.log"
result "the hub starts" $?
trace beacon "$programs/nefia-beacon" run -c "$dir/nefia.yaml"

# Load: events from a foreign sender, from the beacon, actions of both kinds, questions, a reload.
python3 "tests/fake/sender.py" steady "$port" "$dir/key" 1000 >"$dir/steady"
result "1,000 events are taken" $?
# Its actions run one after the other, and it waits for them.
taken() {
    [ "$("$programs/nefia" reactor status --json -c "$dir/nefia.yaml" | sed 's/.*"events":\([0-9]*\).*/\1/')" -ge "$1" ]
}
within taken 250 && within taken 500 && within taken 750 && within taken 1000
result "and acted on" $?
within grep -q '^/ok good .*disk.usage' "$dir/hook/log"
result "a webhook is called" $?
within grep -q '^/ok good .*script.result' "$dir/hook/log"
result "of a script too" $?
for round in 1 2; do
    "$programs/nefia" reactor status --json -c "$dir/nefia.yaml" >"$dir/status"
    "$programs/nefia" reactor events -c "$dir/nefia.yaml" >"$dir/events"
    "$programs/nefia-beacon" status -c "$dir/nefia.yaml" >"$dir/beacon-status"
    "$programs/nefia-beacon" emit test.event info "round=$round" -c "$dir/nefia.yaml" >"$dir/emit"
    signal hub "$programs/nefia" HUP
    signal beacon "$programs/nefia-beacon" HUP
    within has_read hub "$programs/nefia" $((round + 1)) && within has_read beacon "$programs/nefia-beacon" $((round + 1))
    result "reload $round" $?
done
grep -q '"events":1[0-9][0-9][0-9]' "$dir/status"
result "all of it was counted" $?
signal beacon "$programs/nefia-beacon" TERM
signal hub "$programs/nefia" TERM
wait "$(cat "$dir/beacon.pid")"
result "the beacon ends" $?
wait "$(cat "$dir/hub.pid")"
result "the hub ends" $?

# check NAME PROGRAM: from the first wait of the loop on.
check() {
    f=$(daemon_calls "$1" "$2")
    waits=$(grep -c '^epoll_pwait' "$f")
    sed -n '/^epoll_pwait/,$p' "$f" | grep -E '^(brk|mmap2?|mremap|munmap|clone3?\(.*CLONE_VM)\(?' >"$dir/grown"
    echo "   $1: $(wc -l <"$f") system calls, $waits waits"
    [ "$waits" -gt 5 ] && [ ! -s "$dir/grown" ]
    result "$1: no memory asked for once it runs" $?
    sed 's/^/  /' "$dir/grown" | head -n 5
}
check hub "$programs/nefia"
check beacon "$programs/nefia-beacon"

# A child that was forked and ran no other program is ours as well.
count=0
: >"$dir/grown"
for f in "$dir"/hub/calls.*; do
    if ! grep -q '^execve' "$f"; then
        count=$((count + 1))
        grep -E '^(brk|mmap2?|mremap)\(' "$f" >>"$dir/grown"
    fi
done
[ $count -gt 0 ] && [ ! -s "$dir/grown" ]
result "$count processes that sent alerts: none either" $?

finish
