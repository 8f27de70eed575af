#!/bin/sh
# One program for run-tests.sh, which says what it is:
#
#   run-test.sh DIR SECONDS ALL EMULATOR PROGRAM     ALL: its output is shown in any case; EMULATOR: or empty
#
# Adds a line `P F` to DIR/counts, and prints what is to be shown in one piece.
set -u
# shellcheck source=toolchain/verdict.sh
. "$(dirname "$0")/verdict.sh"

dir=$1 limit=$2 all=$3 emulator=$4 program=$5
case $program in
*/replay/*)
    corpus=tests/fuzz/corpus/${program##*/}
    [ -d "$corpus" ] || corpus=tests/fuzz/corpus/${program##*/fuzz_}
    set -- "$corpus"/* ;;
*) set -- ;;
esac
log=$dir/$$
timeout -k 5 "$limit" ${emulator:+"$emulator"} "$program" "$@" >"$log" 2>&1 </dev/null
status=$?
verdict $status "$log"
exec 9>"$dir/lock"
flock 9
if [ "$f" -gt 0 ]; then
    cat "$log"
    echo "FAIL $program: exit status $status, ${line:-no result}"
else
    if [ -n "$all" ]; then sed '$d' "$log"; else grep '^ *skip: ' "$log"; fi
    echo "ok $program: $p"
fi
echo "$p $f" >>"$dir/counts"
