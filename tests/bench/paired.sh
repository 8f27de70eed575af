#!/bin/sh
# This tree's hub beside that of another commit, in rounds on the same core: the other, this, this, the other; each as a share of what
# that core reaches when it only computes the HMACs in the same round. What the medians say is of the programs, not of the machine.
#   tests/bench/paired.sh COMMIT
# ROUNDS (5) and EVENTS (200000) may be set in the environment.
set -eu

[ $# = 1 ] || {
    echo "usage: tests/bench/paired.sh COMMIT" >&2
    exit 2
}
commit=$(git rev-parse --short "$1^{commit}")
out=out/host
rounds=${ROUNDS:-5}
events=${EVENTS:-200000}
. tests/bench/lib.sh

# The other commit, in a clone of its own with the libraries of its own lock file; this tree's optimization for both.
other=out/bench/$commit
[ -d "$other" ] || git clone --quiet --shared . "$other"
git -C "$other" checkout --quiet --detach "$commit"
[ -d "$other/out/sources" ] || { mkdir -p "$other/out" && cp -r out/sources "$other/out/"; }
echo "paired: building $commit" >&2
flags=$(sed -n 's/^OPTIMIZE *:= *//p' "toolchain/$(uname -m).mk")
make -C "$other" OPTIMIZE="$flags" >"$dir/make.log" 2>&1 || {
    tail -n 20 "$dir/make.log" >&2
    exit 1
}

# A hub from before link 2 has no such limits, and no acknowledgement this sender could read.
ways="plain acked"
grep -q reserved_connections "$other/src/hub/settings.c" || {
    admission=
    ways=plain
}

rules 100 >"$dir/hub.yaml"

# send WAY EVENTS
send() {
    case $1 in
    plain) taskset -c $sender_core $bench load "$dir/key" "$port" "$2" ;;
    acked) taskset -c $sender_core $bench acked "$dir/key" "$port" "$2" 64 ;;
    esac >"$dir/ignored"
}

# share WAY WHICH PROGRAM: appends the share, in hundredths of a percent; of a hub of its own each time, because where the memory of a
# process happens to lie decides over one or two percent.
share() {
    start_hub "$dir/hub.yaml" "$3"
    send "$1" 6400
    before=$($bench cpu "$hub")
    send "$1" "$events"
    after=$($bench cpu "$hub")
    stop "$hub"
    awk -v hmac="$hmac" -v ns=$((after - before)) -v n="$events" 'BEGIN { printf "%.0f\n", 10000 * hmac * n / ns }' >>"$dir/$1.$2"
}

this() {
    share "$1" this $out/nefia
}

other() {
    share "$1" other "$other/$out/nefia"
}

echo "| delivery, 100 rules | $commit, share of HMAC only | this tree | ratio |"
echo "|---------------------|------:|------:|------:|"
for way in $ways; do
    round=0
    while [ $round -lt "$rounds" ]; do
        hmac=$(taskset -c $hub_core $bench hmac "$dir/key" "$events" | cut -d ' ' -f 1)
        other "$way"
        this "$way"
        this "$way"
        other "$way"
        round=$((round + 1))
    done
    # Each round's own ratio, of two measurements each; then the medians.
    paste -d ' ' "$dir/$way.other" "$dir/$way.this" | paste -d ' ' - - | awk '{ print ($2 + $4) / ($1 + $3) }' | median >"$dir/ratio"
    awk -v way="$way" -v a="$(median <"$dir/$way.other")" -v b="$(median <"$dir/$way.this")" -v ratio="$(cat "$dir/ratio")" \
        'BEGIN { printf "| %s | %.1f %% | %.1f %% | %.3f |\n", way, a / 100, b / 100, ratio }'
done
