# shellcheck shell=sh disable=SC2034,SC2154  # its variables are used by name, or by who reads it
# A hub and a router, emulated and connected.  Usage: . qemu/machines.sh, with the repository's root
# as the working directory.
#
#   machines_begin DIR              empty run directory; everything ends with this shell
#   machine_dir NAME                make and print the directory that becomes its file system
#   machine_image NAME OUT          it boots from the image of that build (qemu/image.sh); what machine_dir has is put over it
#   by_hand NAME BUILD PROGRAM…     the same with out/BUILD (BOARD or BOARD-CONFIG), but neither beacon nor hub is started: the scenario
#                                   does that; a board without an image is given the programs alone
#   machine_start BOARD NAME ADDRESS FD [DISK]    FD: a descriptor of this shell, 7 to 9
#   power_cut NAME                  it is gone at once, with all its disk has not been told yet
#   power_on NAME                   the same machine again, with the same disk
#   cable NAME off|on               pull its network cable, put it back
#   on NAME COMMAND                 run it there; its status; what it printed is in $answer
#   seen NAME PATTERN               wait for a console line; the line is in $found
#   until_true COMMAND              until it succeeds; it asks machines
#   mark                            from now on `seen` and `count` look at new lines only
#   count NAME PATTERN              how many console lines match since the mark
#   ok WHAT, bad WHAT               count one
#   check WHAT COMMAND              the same by its status; a failure says what is in $answer
#   must WHAT COMMAND               a step that the rest needs
#   verdict                         the end, whatever happened; with a failure, what the consoles showed last
#
# The hub is 10.99.0.1, an ARM machine always; the router is 10.99.0.2.
#
# A wait for a machine ends when what it waits for is there, when the machine is gone, or when the machine has made no progress
# for long: each new line on its console begins the wait anew, and toolchain/patience.sh says how long that is.

. toolchain/patience.sh

run=
machine_pids=
number=0
hub_mark=1
router_mark=1

machines_begin() {
    run=$1
    mkdir -p "$(dirname "$run")"
    # One at a time: another run of the same would lose its files.  Descriptor 6 is the lock's.
    exec 6>"$run.lock"
    flock 6
    rm -rf "$run"
    mkdir -p "$run"
    trap machines_end EXIT
    trap 'exit 1' HUP INT TERM
}

# Ends only what machine_start (or the caller, through machine_pids) started.
machines_end() {
    for pid in $machine_pids; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    machine_pids=
}

machine_dir() {
    mkdir -p "$run/$1/etc/nefia" "$run/$1/bin"
    echo "$run/$1"
}

# A person logs in at the serial console; the profile is what answers `on`.
machine_image() {
    dir=$(machine_dir "$1")
    if [ "$(cat "$2/nefia-beacon" "$2/nefia" | cksum)" != "$(cat "$2/image/programs" 2>/dev/null)" ]; then
        echo "$2/image is not there, or has other programs: make BOARD=… CONFIG=… image" >&2
        return 1
    fi
    echo "$2/image" >"$run/$1.image"
    mkdir -p "$dir/root" "$dir/usr/lib"
    cp qemu/init "$dir/usr/lib/console"
    echo 'exec /bin/sh /usr/lib/console' >"$dir/root/.profile"
    echo "$1" >"$dir/etc/hostname"
}

# In a shell of its own: the facts have common names.
# shellcheck disable=SC2016
has_image() { sh -c '. qemu/board.sh; board_facts "$(echo "$1" | cut -d - -f 1,2)"; [ "$image" ]' sh "$1"; }

by_hand() {
    if has_image "$2"; then
        machine_image "$1" "out/$2" || return 1
        mkdir -p "$run/$1/etc/init.d"
        : >"$run/$1/etc/init.d/S95nefia-beacon"
        : >"$run/$1/etc/init.d/S96nefia-reactor"
    else
        name=$1 build=$2
        shift 2
        for program; do
            cp "out/$build/$program" "$(machine_dir "$name")/bin/" || return 1
        done
    fi
}

log_in() {
    seen_line "$run/$1.log" "$2" "^[a-z0-9-]* login: *\$" "$3" && eval "echo root >&\"\$$1_fd\""
}

machine_start() {
    case $2 in hub) peer=router ;; *) peer=hub ;; esac
    echo "$run/$peer.net" >"$run/$2.peer"
    mkfifo "$run/$2.in"
    : >"$run/$2.log"
    # Open for reading too: a machine that is gone must not stop the writer.
    eval "exec $4<>\"$run/$2.in\""
    eval "$2_fd=$4 $2_board=$1 $2_address=$3 $2_disk=${5:-}"
    [ ! -e "$run/$2.image" ] || printf 'ADDRESS=%s/24\nGATEWAY=\n' "$3" >"$run/$2/etc/network.conf"
    power_on "$2"
}

power_on() {
    eval "set -- $1 \$$1_board \$$1_address \$$1_disk"
    from=$(($(wc -l <"$run/$1.log") + 1))
    qemu/boot.sh "$2" "$1" "$3" "$run" ${4:+"$4"} >>"$run/$1.log" 2>&1 6>&- &
    machine_pids="$! $machine_pids"
    eval "$1_pid=$!"
    [ ! -e "$run/$1.image" ] || log_in "$1" "$from" "$!" 6>&- &
}

power_cut() {
    eval "pid=\$$1_pid"
    kill -KILL "$(cat "$run/$1.pid")"
    wait "$pid" 2>/dev/null || true
    machine_pids=$(echo " $machine_pids" | sed "s/ $pid / /")
}

cable() {
    echo "set_link net $2" | socat -t 600 - "UNIX-CONNECT:$run/$1.monitor" >>"$run/$1.monitor.log"
}

# seen_line FILE FIRST PATTERN PID: the wait behind seen and on.
seen_line() {
    size=
    while :; do
        alive=1
        kill -0 "$4" 2>/dev/null || alive=
        size_before=$size
        size=$(wc -c <"$1")
        found=$(tail -n "+$2" "$1" | tr -d '\r' | grep -aEm 1 -e "$3") && return 0
        [ -n "$alive" ] || return 1
        [ "$size" = "$size_before" ] || patience_begin "$PATIENCE"
        patience 0.1 || return 1
    done
}

seen() {
    eval "first=\$$1_mark pid=\$$1_pid"
    seen_line "$run/$1.log" "$first" "$2" "$pid"
}

# So many tries, not so many seconds: a try takes as long as the machines need to answer.
until_true() {
    tries=300
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.3
    done
}

mark() {
    hub_mark=$(($(wc -l <"$run/hub.log") + 1))
    router_mark=$(($(wc -l <"$run/router.log") + 1))
}

count() {
    eval "first=\$$1_mark"
    tail -n "+$first" "$run/$1.log" | tr -d '\r' | grep -acE -e "$2" || true
}

on() {
    number=$((number + 1))
    eval "fd=\$$1_fd pid=\$$1_pid"
    printf '%s %s\n' "$number" "$2" >&"$fd"
    answer=
    seen_line "$run/$1.log" 1 "^$number=[0-9]+\$" "$pid" || return 124
    status=${found#*=}
    answer=$(tr -d '\r' <"$run/$1.log" | sed -n "s/^$number|//p")
    return "$status"
}

# ---- what a scenario finds ----
passed=0
failed=0
ok() { passed=$((passed + 1)); echo "ok $*"; }
bad() { failed=$((failed + 1)); echo "FAIL $*"; }
check() {
    what=$1
    shift
    if "$@"; then ok "$what"; else bad "$what: ${answer:-}"; fi
}

must() {
    what=$1
    shift
    "$@" || { bad "$what: ${answer:-}"; verdict; exit 1; }
}

verdict() {
    machines_end
    if [ "$failed" -gt 0 ]; then
        for name in hub router; do
            [ -e "$run/$name.log" ] || continue
            tr -d '\r' <"$run/$name.log" | grep -avE '^[0-9]+[|=]' | tail -n 40 | cut -c 1-200 | sed "s/^/[$name] /"
        done
    fi
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
