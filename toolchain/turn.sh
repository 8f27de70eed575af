#!/bin/sh
# By turns: what a check has no time for at every commit.
#
#   turn.sh N ITEM…     prints N of the items, a line each, others at each commit; where there is no history, the first ones
set -eu
cd "$(dirname "$0")/.."
some=$1
shift
commits=$(git rev-list --count HEAD 2>/dev/null || echo 0)
first=$((commits * some % $#))
i=0
for item in "$@" "$@"; do
    if [ "$i" -ge "$first" ] && [ "$i" -lt $((first + some)) ]; then echo "$item"; fi
    i=$((i + 1))
done
