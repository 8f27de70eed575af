#!/bin/sh
# Run the tiers of a check, each with a log of its own in the directory LOGS, and add up their counts.
#
#   check.sh -d LOGS TIER…       a TIER is `name=command line`
#
# A tier ends with a line `N passed, N failed`; one that dies without it counts as one failed, one
# that exits with an error although nothing is counted as failed does too.  What a tier could not test
# on this machine (`skip: WHAT`) is shown.  Each tier's begin and end is a line; the last line is the sum.
set -u
# shellcheck source=toolchain/verdict.sh
. "$(dirname "$0")/verdict.sh"

if [ "$1" != -d ]; then
    echo "usage: check.sh -d LOGS TIER…" >&2
    exit 2
fi
logs=$2
shift 2
mkdir -p "$logs"
passed=0
failed=0
for tier in "$@"; do
    name=${tier%%=*}
    command=${tier#*=}
    log=$logs/$name.log
    began=$(date +%s)
    printf '%-18s begins, its log is %s\n' "$name" "$log"
    sh -c "$command" >"$log" 2>&1 </dev/null
    status=$?
    took=$(($(date +%s) - began))
    verdict $status "$log"
    if [ "$f" -gt 0 ]; then
        echo "---- $name: $command: exit status $status; the end of $log:"
        grep -E '^FAIL|rror' "$log" | head -n 20
        tail -n 30 "$log"
        echo "----"
    fi
    printf '%-18s %5d passed %3d failed %5d s\n' "$name" "$p" "$f" "$took"
    sed -n 's/^ *skip: /    not tested here: /p' "$log"
    passed=$((passed + p))
    failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
