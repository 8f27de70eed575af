#!/bin/sh
# A room of the tree includes only rooms above it.
#
#   rooms.sh [ROOT]      ROOT: a directory with src/ and include/nefia/ (default: .)
#
# Prints each include that points downwards, each room that is not in the list, and each include in a spelling that cannot be read
# here: a header of ours stands in quotes, by its whole name and without detours. Exit status: 0 there are none, 1 otherwise.
set -eu
cd "${1:-.}"
files=$(mktemp)
trap 'rm -f "$files"' EXIT
find src include/nefia -type f ! -name Kconfig >"$files"

# Whatever the preprocessor would take for an include, but for the two plain spellings.
# shellcheck disable=SC2016 # `$` is the end of a line
odd=$(xargs grep -nE '(#|%:|\?\?=)[[:space:]]*(include|import|/\*|\\$)|/\*.*\*/[[:space:]]*#' <"$files" |
    grep -vE '^[^:]*:[0-9]+:[[:space:]]*#[[:space:]]*include[[:space:]]+("[^"]*"|<[^>]*>)[[:space:]]*(/\*.*)?$' || true)
detours=$(xargs grep -nE 'include[[:space:]]+(<(nefia|base|sys|json|config|crypto|net|event|link|guard|ops|play|control|beacon|hub|cmd)/|["<]([^">]*/)?\.\.?/)' \
    <"$files" | grep -vE 'include[[:space:]]+<(sys|net)/[a-z_]+\.h>' || true)
for line in "$odd" "$detours"; do
    [ -z "$line" ] || printf '%s\n' "$line" 'rooms.sh: write #include "nefia/ROOM/NAME.h"'
done

xargs grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"' <"$files" |
awk -F '"' -v rooms="base sys json config crypto net event link guard ops play control beacon hub cmd" -v bad="${odd:+1}${detours:+1}" '
    BEGIN {
        n = split(rooms, name, " ")
        for (i = 1; i <= n; i++)
            rank[name[i]] = i
    }
    # The room of a path; "" of one outside of all rooms, such as a generated header.
    function room(path)
    {
        sub(/^(src|include\/nefia|nefia)\//, "", path)
        if (path !~ /\//)
            return ""
        sub(/\/.*/, "", path)
        return path
    }
    {
        place = $1
        sub(/:[^:]*$/, "", place)
        from = room(place)
        to = room($2)
        if (from != "" && !(from in rank)) {
            print place ": " from " is not a room of toolchain/rooms.sh"
            bad = 1
        } else if (to != "" && !(to in rank)) {
            print place ": includes " $2 ", which is in no room of toolchain/rooms.sh"
            bad = 1
        } else if (from != "" && to != "" && rank[to] > rank[from]) {
            print place ": " from " includes " $2 ", but " to " is below " from
            bad = 1
        }
    }
    END { exit bad != "" && bad != 0 }'
