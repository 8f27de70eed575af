#!/bin/sh
# Run test programs and add up their counts.
#
#   run-tests.sh [-j N] [-e EMULATOR] [-t SECONDS] [-v] PROGRAM…
#
# A program that has not ended after SECONDS, those of patience.sh, is ended.
# N of them run at a time, begun in their order; TEST_SLOT, 0 to N - 1, differs among those. Each program ends with a line
# `N passed, N failed`; one that dies without it counts as one failed.  Its output is shown when it fails, with -v always; what
# it skips (`skip: WHAT`) always.  The last line is the sum.  A program …/replay/NAME is given the files of its corpus:
# tests/fuzz/corpus/NAME, or that without a leading fuzz_.
set -u

emulator=
limit=600
all=
jobs=1
while getopts j:e:t:v opt; do
    case $opt in
    j) jobs=$OPTARG ;;
    e) emulator=$OPTARG ;;
    t) limit=$OPTARG ;;
    v) all=1 ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
: >"$dir/counts"
printf '%s\0' "$@" | xargs -0 -n 1 -P "$jobs" --process-slot-var=TEST_SLOT \
    "$(dirname "$0")/run-test.sh" "$dir" "$limit" "$all" "$emulator"
passed=$(awk '{ n += $1 } END { print n + 0 }' "$dir/counts")
failed=$(awk -v programs=$# '{ n += $2 } END { print n + programs - NR }' "$dir/counts")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
