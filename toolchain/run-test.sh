#!/bin/sh
# One program for run-tests.sh, which says what it is:
#
#   run-test.sh DIR SECONDS ALL EMULATOR PROGRAM     ALL: its output is shown in any case; EMULATOR: with options, or empty
#
# The SECONDS are those of patience.sh.  Adds a line `P F` to DIR/counts, and prints what is to be shown in one piece.
set -u
# shellcheck source=toolchain/verdict.sh
. "$(dirname "$0")/verdict.sh"
# shellcheck source=toolchain/patience.sh
. "$(dirname "$0")/patience.sh"
# shellcheck source=toolchain/times.sh
. "$(dirname "$0")/times.sh"

dir=$1 limit=$2 all=$3 emulator=$4 program=$5
case $program in
*/replay/*)
    corpus=tests/fuzz/corpus/${program##*/}
    [ -d "$corpus" ] || corpus=tests/fuzz/corpus/${program##*/fuzz_}
    set -- "$corpus"/* ;;
*) set -- ;;
esac
log=$dir/$$
began=$(date +%s)
running=
watching=
trap 'for p in $running $watching; do kill "$p" 2>/dev/null; done' EXIT
trap 'exit 1' HUP INT TERM

# timeout(1) is here for what it does with a signal: it passes it on to the program and all that this started.
# shellcheck disable=SC2086 # an emulator may have options
timeout -k 5 12h $emulator "$program" "$@" >"$log" 2>&1 </dev/null &
running=$!
{
    patience_begin "$limit"
    while patience 5; do :; done
    echo "run-test.sh: it has not ended within $limit s (patience.sh says which)" >>"$log"
    kill "$running"
} >/dev/null 2>&1 &
watching=$!
wait "$running"
status=$?
running=
look_at_times "$log.times"
kill "$watching"
watching=
verdict $status "$log"
exec 9>"$dir/lock"
flock 9
if [ "$f" -gt 0 ]; then
    cat "$log"
    echo "FAIL $program: exit status $status, ${line:-no result}"
else
    if [ -n "$all" ]; then sed '$d' "$log"; else grep '^ *skip: ' "$log"; fi
    echo "ok $program: $p, $(($(date +%s) - began)) s, $computed s computed"
fi
echo "$p $f" >>"$dir/counts"
