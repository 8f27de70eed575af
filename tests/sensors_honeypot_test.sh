#!/bin/sh
# honeypot_access against the real thing: canary files by fanotify and by inotify, decoy ports in a network namespace that is made for
# the test, with peers in another one.
#   tests/sensors_honeypot_test.sh [PROGRAM]      default: out/host/nefia-beacon
# fanotify, users and namespaces take root.
cd "$(dirname "$0")/.." || exit 1
if [ "${1-}" != inside ] && [ "$(id -u)" -eq 0 ] && unshare -n true 2>/dev/null; then
    exec unshare -n sh tests/sensors_honeypot_test.sh inside "$@"
fi
inside=
if [ "${1-}" = inside ]; then
    inside=y
    shift
    ip link set lo up
fi
. tests/lib.sh
# shellcheck source=tests/beacon_lib.sh
. tests/beacon_lib.sh
actor_pid=
other_pid=
processes="$processes actor_pid other_pid"
canary=$dir/canary
decoy=$(free_port)
local=$(free_port) # at one address

reloads=0
reload()
{
    reloads=$((reloads + 1))
    kill -HUP "$beacon_pid"
    within status_has ", $reloads reloads,"
}

comes()
{
    within heard "$2"
    result "$1" $?
}

# never NAME PATTERN: none, although later ones have come.
never()
{
    ! heard "$2"
    result "$1" $?
}

is_ok()
{
    status_has '^  honeypot_access  *honeypot_access ' && ! status_has '^  honeypot_access .*\(failed\|not measured\)'
}

# honeypot LINES: its configuration, beside that of every beacon here. At once: of one access there may be one event for opening
# and one for reading.
honeypot()
{
    config sensors "  require_ack: false
  dedup_window: ${window:-0}
${user:+  user: \"$user\"}
  honeypot_access:
    interval: 1s
$1"
}

# touched ACCESS PATH MORE: the pattern of an event; of a file that was opened and read it may say either.
touched()
{
    case $1 in
    read) access='\(opened\|read\)' ;;
    *) access=$1 ;;
    esac
    echo "\"type\":\"honeypot.access_attempted\".*\"severity\":\"critical\",\"data\":{\"path\":\"$2\",\"access\":\"$access\"$3"
}

# reads PROGRAM…: it opens the file, and stays.
reads()
{
    "$@" >"$dir/actor.log" 2>&1 &
    actor_pid=$!
}

ends()
{
    kill "$actor_pid"
    wait "$actor_pid"
    actor_pid=
}

# connects ADDRESS PORT [FROM]: what the peer sees in the end: "closed" or "reset".
connects()
{
    python3 - "$@" <<'P'
import socket, sys
source = (sys.argv[3], 0) if len(sys.argv) > 3 else None
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 30, source) as s:
        print("closed" if s.recv(10) == b"" else "answered")
except ConnectionResetError:
    print("reset")
P
}

# number MEMBER SEVERITY: of the status.
number()
{
    "$beacon" status --json -c "$dir/nefia.yaml" | python3 -c 'import json, sys
status = json.load(sys.stdin)
for key in sys.argv[1:]:
    status = status[key]
print(status)' "$@"
}

fanotify_works()
{
    [ "$inside" ] && python3 -c 'import ctypes, sys
sys.exit(ctypes.CDLL(None).fanotify_init(1, 0) < 0)'
}

# ---- files, by fanotify ----
by_fanotify()
{
    if ! fanotify_works; then
        echo "skip: fanotify: it takes root and a kernel that has it"
        return
    fi
    echo secret >"$canary"
    chmod 644 "$canary"
    chmod 755 "$dir"
    tail=$(command -v tail)
    cp "$tail" "$dir/backup"
    honeypot "    files: [$canary, $dir/later, $dir/nefia.yaml]
    ignore: [$dir/backup]"
    start_hub plain
    start_beacon
    within status_has "not measured: $dir/later: No such file"
    result "a canary that is not there is not measured" $?
    reads "$tail" -f "$canary"
    comes "who reads it" "$(touched read "$canary" ",\"pid\":$actor_pid,\"program\":\"$tail\",\"process\":\"tail\",\"uid\":0}")"
    ends
    reads setpriv --reuid 64123 --clear-groups "$tail" -f "$canary"
    comes "another user" "$(touched read "$canary" ",\"pid\":$actor_pid,\"program\":\"$tail\",\"process\":\"tail\",\"uid\":64123}")"
    ends
    reads "$dir/backup" -f "$canary"
    ignored=$actor_pid
    within grep -q secret "$dir/actor.log"
    cp "$tail" "$dir/ Uid: 1234"
    "$dir/ Uid: 1234" -f "$canary" >/dev/null 2>&1 &
    other_pid=$!
    comes "a process with a name that lies" "$(touched read "$canary" ",\"pid\":$other_pid,.*\"process\":\" Uid: 1234\",\"uid\":0}")"
    kill "$other_pid" && wait "$other_pid"
    other_pid=
    never "a program that may read it" "\"pid\":$ignored,"
    ends
    python3 -c 'import sys, time
f = open(sys.argv[1], "a"); f.write("more\n"); f.flush(); time.sleep(1000)' "$canary" &
    actor_pid=$!
    comes "who changes it" "$(touched changed "$canary" ",\"pid\":$actor_pid,.*\"uid\":0}")"
    ends
    echo other >"$dir/new" && mv "$dir/new" "$canary"
    comes "it is replaced" "$(touched changed "$canary" '}')"
    reads "$tail" -f "$canary"
    comes "who reads what is there now" "$(touched read "$canary" ",\"pid\":$actor_pid,")"
    ends
    echo here >"$dir/later"
    within is_ok
    result "a canary that comes later" $?
    never "without an event" "$dir/later"
    reads "$tail" -f "$dir/later"
    comes "and is watched" "$(touched read "$dir/later" ",\"pid\":$actor_pid,")"
    ends
    reload
    reads "$tail" -f "$dir/nefia.yaml"
    comes "the configuration as a canary" "$(touched read "$dir/nefia.yaml" ",\"pid\":$actor_pid,")"
    ends
    never "which the beacon reads itself" "\"pid\":$beacon_pid,"
    rm "$dir/later"
    comes "it is removed" "$(touched changed "$dir/later" '}')"
    quietly
    stop_beacon
    stop_hub
    honeypot "    files: [$canary, $dir/later]"
    "$beacon" once -c "$dir/nefia.yaml" >"$dir/out" 2>"$dir/err"
    says "once says what is not there" "^honeypot_access: not measured: $dir/later: No such file or directory, no events" err
}

wakeups()
{
    number wakeups
}

# To ask takes wake-ups, too: so many as to ask again at once.
quiet()
{
    first=$(wakeups)
    second=$(wakeups)
    sleep 3
    third=$(wakeups)
    [ "$second" -gt "$first" ] && [ $((third - second)) -eq $((second - first)) ]
}

quietly()
{
    window=5m honeypot "    files: [$canary]
    ports: [$decoy]"
    sed -i 's/interval: 1s/interval: 1h/' "$dir/nefia.yaml"
    reload
    within is_ok
    result "files and ports" $?
    within quiet
    result "while nothing happens they do not wake the beacon" $?
    seccomp=$(number seccomp)
    [ "$seccomp" != off ]
    result "under a filter of system calls ($seccomp)" $?
    tail=$(command -v tail)
    cp "$tail" "$dir/other" # no repetition
    reads "$dir/other" -f "$canary"
    comes "and that of fanotify works there" "$(touched read "$canary" ",\"pid\":$actor_pid,")"
    ends
    before=$(number accepted critical) repeated=$(number repeated critical)
    cp "$(command -v cat)" "$dir/reader"
    seq 10000 | sed "s|.*|$canary|" | xargs -n 2500 "$dir/reader" >/dev/null
    within answered
    after=$(number accepted critical)
    [ $((after - before)) -le 2 ] && [ "$(number repeated critical)" -gt "$repeated" ]
    result "a burst of 10,000 accesses is an event and a number" $?
}

answered()
{
    [ "$(number accepted critical)" -gt "$before" ]
}

# ---- files, by inotify ----
by_inotify()
{
    without=
    if [ "$(id -u)" -eq 0 ]; then
        without="setpriv --bounding-set=-sys_admin"
        command -v setpriv >/dev/null || without=
    fi
    if [ "$(id -u)" -eq 0 ] && [ ! "$without" ]; then
        echo "skip: files by inotify: it takes setpriv to give up fanotify"
        return
    fi
    echo secret >"$canary"
    honeypot "    files: [$canary]"
    start_hub plain
    # shellcheck disable=SC2086 # words
    background run.log $without "$beacon" run -c "$dir/nefia.yaml"
    beacon_pid=$!
    within is_ok
    result "inotify: it runs" $?
    read -r _ <"$canary"
    comes "inotify: somebody reads it" "$(touched read "$canary" '}')"
    echo more >>"$canary"
    comes "inotify: and changes it" "$(touched changed "$canary" '}')"
    echo new >"$dir/new" && mv "$dir/new" "$canary"
    within is_ok
    : >"$dir/hub.log"
    chmod 600 "$canary"
    comes "inotify: one that was replaced" "$(touched changed "$canary" '}')"
    never "inotify: without a process" '"pid"'
    stop_beacon
    stop_hub
}

# ---- as a user of its own ----
as_user()
{
    if ! fanotify_works; then
        echo "skip: honeypot_access as a user of its own: it takes root"
        return
    fi
    chown 64123:64124 "$dir/key"
    mkdir -m 700 "$dir/private"
    echo secret >"$dir/private/key"
    chmod 600 "$dir/private/key"
    user=64123:64124 honeypot "    files: [$dir/private/key]
    ports: [23]"
    chmod 644 "$dir/nefia.yaml"
    start_hub plain
    start_beacon
    within is_ok
    result "user: it runs" $?
    reads tail -f "$dir/private/key"
    comes "user: a file that it cannot read" "$(touched read "$dir/private/key" ",\"pid\":$actor_pid,\"process\":\"tail\",\"uid\":0}")"
    ends
    [ "$(connects 127.0.0.1 23)" = reset ] && comes "user: a port that takes root" '"port":23,"address":"127.0.0.1","peer_port":'
    reloads=0
    user=64123:64124 honeypot "    files: [$dir/private/key]
    ports: [23, 22]"
    chmod 644 "$dir/nefia.yaml"
    reload
    sleep 2 # two looks
    within is_ok
    result "user: it runs after a reload" $?
    never "user: which is no access" "$(touched changed "$dir/private/key" '}')"
    connects 127.0.0.1 22 >"$dir/out"
    comes "user: another such port" '"port":22,'
    reads head -c 1 "$dir/private/key"
    comes "user: the file is still watched" "$(touched read "$dir/private/key" ",\"pid\":$actor_pid")"
    wait "$actor_pid"
    actor_pid=
    rm "$dir/private/key"
    comes "user: its removal" "$(touched changed "$dir/private/key" '}')"
    within status_has "not measured: $dir/private/key: Permission denied"
    result "user: what it cannot see is not measured" $?
    stop_beacon
    stop_hub
    chown 0:0 "$dir/key"
}

# ---- ports ----
ports()
{
    if [ ! "$inside" ]; then
        echo "skip: decoy ports: they take root and a network namespace"
        return
    fi
    taken=$(free_port)
    python3 -m http.server "$taken" --bind 127.0.0.1 >/dev/null 2>&1 &
    other_pid=$!
    within sh -c "ss -ltn | grep -q '127.0.0.1:$taken '"
    reloads=0
    honeypot "    ports: [$decoy, \"127.0.0.9:$local\", \"127.0.0.1:$taken\"]"
    start_hub plain
    start_beacon
    within status_has "not measured: port 127.0.0.1:$taken: Address in use"
    result "a port that is in use is not measured" $?
    [ "$(connects 127.0.0.1 "$decoy" 127.0.0.5)" = reset ]
    result "a connection is reset" $?
    attempt="\"type\":\"honeypot.access_attempted\".*\"severity\":\"critical\",\"data\":{\"port\":$decoy,\"address\""
    comes "and reported" "$attempt:\"127.0.0.5\",\"peer_port\":[1-9][0-9]*}"
    connects 127.0.0.9 "$local" 127.0.0.6 >"$dir/out"
    comes "at one address" "\"port\":$local,\"address\":\"127.0.0.6\","
    connects ::1 "$decoy" >"$dir/out"
    comes "by IPv6" "$attempt:\"::1\","
    kill "$other_pid" && wait "$other_pid"
    other_pid=
    within is_ok
    result "a port that was in use is tried again" $?
    unshare -n sleep 1000 &
    other_pid=$!
    within sh -c "[ \"\$(readlink /proc/$other_pid/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]"
    ip link add hp0 type veth peer name hp1 netns "$other_pid"
    ip addr add 10.201.0.1/24 dev hp0 && ip link set hp0 up
    nsenter -t "$other_pid" -n sh -c 'ip addr add 10.201.0.2/24 dev hp1 && ip link set hp1 up'
    nsenter -t "$other_pid" -n python3 -c 'import socket, sys
try: socket.create_connection(("10.201.0.1", int(sys.argv[1])), 30).close()
except ConnectionResetError: pass' "$decoy"
    comes "from another host" "$attempt:\"10.201.0.2\","
    kill "$other_pid" && wait "$other_pid"
    other_pid=
    honeypot "    ports: [$decoy]
    allow: [127.0.1.0/24, \"::1\"]"
    kill -STOP "$beacon_pid"
    python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30, ("127.0.0.7", 0)).close()' "$decoy"
    kill -CONT "$beacon_pid"
    comes "before a reload" '"address":"127.0.0.7"'
    kill -STOP "$beacon_pid"
    kill -HUP "$beacon_pid"
    python3 -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30, ("127.0.0.8", 0)).close()' "$decoy"
    kill -CONT "$beacon_pid"
    comes "a socket that stays over a reload" '"address":"127.0.0.8"'
    within status_has ", 1 reloads,"
    [ "$(connects 127.0.0.1 "$decoy" 127.0.1.2)" = closed ] && [ "$(connects ::1 "$decoy")" = closed ]
    result "who is allowed sees an orderly close" $?
    [ "$(connects 127.0.0.1 "$decoy" 127.0.2.2)" = reset ]
    result "others are turned away" $?
    comes "and reported as such" "\"type\":\"honeypot.access_blocked\".*\"severity\":\"warning\",\"data\":{\"port\":$decoy,\"address\":\"127.0.2.2\",\"peer_port\":"
    never "who is allowed is not" '"127.0.1.2"'
    ! ss -ltn | grep -q "127.0.0.9:$local "
    result "a port that has gone is closed" $?
    flood
    no_descriptors
    stop_beacon
    stop_hub
}

# An account of each connection: reported, repeated, or over the rate.
flood()
{
    window=5m honeypot "    ports: [$decoy]"
    sed -i 's/max_events_per_min: .*/max_events_per_min: 20/' "$dir/nefia.yaml"
    reloads=1
    reload
    before=$(account)
    python3 - "$decoy" <<'P' &
import socket, sys
for i in range(5000):
    source = f"127.1.{i % 250}.{1 + i % 250}"
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60, (source, 0)).close()
    except ConnectionResetError:  # already
        pass
P
    other_pid=$!
    answers=0
    while kill -0 "$other_pid" 2>/dev/null; do
        "$beacon" status -c "$dir/nefia.yaml" >"$dir/out" 2>"$dir/err" && answers=$((answers + 1))
    done
    wait "$other_pid"
    result "5,000 connections" $?
    other_pid=
    [ "$answers" -gt 0 ]
    result "status is answered meanwhile" $?
    within all_counted
    result "each is reported or counted ($(($(account) - before)))" $?
    [ "$(number over_rate critical)" -gt 0 ] && [ "$(number accepted critical)" -lt 500 ]
    result "most are suppressed" $?
}

account()
{
    echo $(($(number accepted critical) + $(number repeated critical) + $(number over_rate critical)))
}

all_counted()
{
    [ $(($(account) - before)) -eq 5000 ]
}

# It does not turn in circles while it cannot accept, and does so afterwards.
no_descriptors()
{
    if ! command -v prlimit >/dev/null; then
        echo "skip: no descriptors left: it takes prlimit"
        return
    fi
    window=0 honeypot "    ports: [$decoy]"
    sed -i 's/interval: 1s/interval: 2s/' "$dir/nefia.yaml"
    reload
    within is_ok
    limit=$(prlimit -n -o SOFT --noheadings -p "$beacon_pid" | tr -d ' ')
    unused=3 # the first that is
    while [ -e "/proc/$beacon_pid/fd/$unused" ]; do
        unused=$((unused + 1))
    done
    prlimit -p "$beacon_pid" -n"$unused":
    before=$(wakes)
    python3 -c 'import socket, sys
try:
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30, ("127.0.3.1", 0))
    s.settimeout(600)
    s.recv(1)
except ConnectionResetError: pass' "$decoy" &
    other_pid=$!
    within grep -q 'honeypot_access: not measured: accept: ' "$dir/run.log"
    result "without descriptors it says so" $?
    sleep 5
    never "the peer waits" '127.0.3.1'
    prlimit -p "$beacon_pid" -n"$limit":
    comes "until there are some" '127.0.3.1'
    wait "$other_pid"
    other_pid=
    spent=$(($(wakes) - before))
    [ "$spent" -lt 100 ]
    result "and meanwhile it slept (voluntary switches: $spent)" $?
}

# How often the beacon has slept or been put to sleep.
wakes()
{
    sed -n 's/^[a-z]*voluntary_ctxt_switches:[^0-9]*//p' "/proc/$beacon_pid/status" | { read -r a; read -r b; echo $((a + b)); }
}

for part in ${PARTS:-by_fanotify by_inotify as_user ports}; do
    $part
done
finish
