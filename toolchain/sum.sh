#!/bin/sh
# Run the parts of one check, and add up what they count.
#
#   sum.sh PART…       a PART is a command line that ends with `N passed, N failed`
#
# Shown is what they print, with one such line for all of them at the end. A part that dies without it counts as one failed, as in
# check.sh, which keeps logs instead.
set -u
# shellcheck source=toolchain/verdict.sh
. "$(dirname "$0")/verdict.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
passed=0
failed=0
for part in "$@"; do
    {
        sh -c "$part"
        echo $? >"$dir/status"
    } | tee "$dir/log" | grep --line-buffered -vE '^[0-9]+ passed, [0-9]+ failed$'
    verdict "$(cat "$dir/status")" "$dir/log"
    passed=$((passed + p))
    failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
