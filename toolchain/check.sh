#!/bin/sh
# Run the tiers of a check, each with a log of its own in the directory LOGS, and add up their counts.
#
#   check.sh -d LOGS TIER… [-- TIER…]…       a TIER is `name=command line`
#
# The tiers run one after another. Those after a `--` begin when all before the first one have ended, each such list beside the others,
# so that one computes while another waits.
#
# A tier ends with a line `N passed, N failed`; one that dies without it counts as one failed, one
# that exits with an error although nothing is counted as failed does too.  What a tier could not test
# on this machine (`skip: WHAT`) is shown.  Each tier's begin and end is a line, its end with the seconds that it took and those of
# processors that it used; the last line is the sum.
set -u
# shellcheck source=toolchain/verdict.sh
. "$(dirname "$0")/verdict.sh"
# shellcheck source=toolchain/times.sh
. "$(dirname "$0")/times.sh"

if [ "$1" != -d ]; then
    echo "usage: check.sh -d LOGS TIER… [-- TIER…]…" >&2
    exit 2
fi
logs=$2
shift 2
mkdir -p "$logs"
rm -f "$logs"/counts.* "$logs"/times.*

# report NAME COMMAND SECONDS COMPUTED: what came of a tier; $p, $f and $log are its verdict.
report()
{
    if [ "$f" -gt 0 ]; then
        echo "---- $1: $2: exit status $status; the end of $log:"
        grep -E '^FAIL|rror' "$log" | head -n 20
        tail -n 30 "$log"
        echo "----"
    fi
    printf '%-18s %5d passed %3d failed %5d s %6d s computed\n' "$1" "$p" "$f" "$3" "$4"
    sed -n 's/^ *skip: /    not tested here: /p' "$log"
}

# run LIST TIER: adds a line `P F` to the counts of its list.
run()
{
    name=${2%%=*}
    command=${2#*=}
    log=$logs/$name.log
    began=$(date +%s)
    look_at_times "$logs/times.$1"
    before=$computed
    printf '%-18s begins, its log is %s\n' "$name" "$log"
    sh -c "$command" >"$log" 2>&1 </dev/null &
    running=$!
    wait "$running"
    status=$?
    took=$(($(date +%s) - began))
    look_at_times "$logs/times.$1"
    verdict $status "$log"
    # In one piece, whatever runs beside it.
    said=$(report "$name" "$command" "$took" $((computed - before)))
    printf '%s\n' "$said"
    echo "$p $f" >>"$logs/counts.$1"
}

# A shell's children in the background hear nothing of Ctrl-C: each is ended by whoever began it.
ends_with_us()
{
    running=
    trap 'kill $running 2>/dev/null; exit 1' HUP INT TERM
}

ends_with_us
list=0
while [ $# -gt 0 ]; do
    if [ "$1" = -- ]; then
        break
    fi
    run 0 "$1"
    shift
done
lists=
while [ $# -gt 0 ]; do
    shift
    list=$((list + 1))
    {
        ends_with_us
        for tier in "$@"; do
            [ "$tier" != -- ] || break
            run $list "$tier"
        done
    } &
    lists="$lists $!"
    while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
done
running=$lists
wait
passed=$(cat "$logs"/counts.* 2>/dev/null | awk '{ n += $1 } END { print n + 0 }')
failed=$(cat "$logs"/counts.* 2>/dev/null | awk '{ n += $2 } END { print n + 0 }')
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
