#!/bin/sh
# Run test programs and add up their counts.
#
#   run-tests.sh [-e EMULATOR] [-t SECONDS] [-v] PROGRAM…
#
# Each program ends with a line `N passed, N failed`; one that dies without it counts as one failed.
# Its output is shown when it fails, with -v always; what it skips (`skip: WHAT`) always.  The last line is the sum.  A program
# …/replay/NAME is given the files of its corpus: tests/fuzz/corpus/NAME, or that without a leading fuzz_.
set -u
# shellcheck source=toolchain/verdict.sh
. "$(dirname "$0")/verdict.sh"

emulator=
limit=120
all=
while getopts e:t:v opt; do
    case $opt in
    e) emulator=$OPTARG ;;
    t) limit=$OPTARG ;;
    v) all=1 ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM
passed=0
failed=0
for program in "$@"; do
    case $program in
    */replay/*)
        corpus=tests/fuzz/corpus/${program##*/}
        [ -d "$corpus" ] || corpus=tests/fuzz/corpus/${program##*/fuzz_}
        set -- "$corpus"/* ;;
    *) set -- ;;
    esac
    timeout -k 5 "$limit" ${emulator:+"$emulator"} "$program" "$@" >"$log" 2>&1 </dev/null
    status=$?
    verdict $status "$log"
    if [ "$f" -gt 0 ]; then
        cat "$log"
        echo "FAIL $program: exit status $status, ${line:-no result}"
    else
        if [ -n "$all" ]; then sed '$d' "$log"; else grep '^ *skip: ' "$log"; fi
        echo "ok $program: $p"
    fi
    passed=$((passed + p))
    failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
