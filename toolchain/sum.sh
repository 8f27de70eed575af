#!/bin/sh
# Run the parts of one check, and add up what they count.
#
#   sum.sh [-j] PART…       a PART is a command line that ends with `N passed, N failed`
#
# Shown is what they print, with one such line for all of them at the end. A part that dies without it counts as one failed, as in
# check.sh, which keeps logs instead. With -j they run side by side; each part's output is shown in one piece.
set -u
# shellcheck source=toolchain/verdict.sh
. "$(dirname "$0")/verdict.sh"

beside=
if [ "$1" = -j ]; then
    beside=y
    shift
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

# run NUMBER PART
run()
{
    {
        sh -c "$2"
        echo $? >"$dir/status.$1"
    } | tee "$dir/log.$1" | grep --line-buffered -vE '^[0-9]+ passed, [0-9]+ failed$'
}

number=0
for part in "$@"; do
    number=$((number + 1))
    if [ "$beside" ]; then
        run $number "$part" >"$dir/shown.$number" 2>&1 &
    else
        run $number "$part"
    fi
done
wait
passed=0
failed=0
for number in $(seq $#); do
    [ -z "$beside" ] || cat "$dir/shown.$number"
    verdict "$(cat "$dir/status.$number")" "$dir/log.$number"
    passed=$((passed + p))
    failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
