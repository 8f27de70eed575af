#!/bin/sh
# A room of the tree includes only rooms above it.
#
#   rooms.sh [ROOT]      ROOT: a directory with src/ and include/nefia/ (default: .)
#
# Prints each include that points downwards, and each room that is not in the list. Exit status: 0 there are none, 1 otherwise.
set -eu
cd "${1:-.}"
find src include/nefia -name '*.[ch]' -exec grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"' {} + |
awk -F '"' -v rooms="base sys json config crypto net event link guard control beacon hub cmd" '
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
        if (!(from in rank)) {
            print place ": " from " is not a room of toolchain/rooms.sh"
            bad = 1
        } else if (to != "" && !(to in rank)) {
            print place ": includes " $2 ", which is in no room of toolchain/rooms.sh"
            bad = 1
        } else if (to != "" && rank[to] > rank[from]) {
            print place ": " from " includes " $2 ", but " to " is below " from
            bad = 1
        }
    }
    END { exit bad }'
