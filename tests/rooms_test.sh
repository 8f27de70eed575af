#!/bin/sh
# The rooms of the tree include only rooms above them, and toolchain/rooms.sh finds whatever does not.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

mkdir "$dir/tree"
cp -r src include "$dir/tree/"

# plant FILE LINE: a copy of the tree with one more line in FILE is refused, and the file is named.
plant()
{
    mkdir -p "$(dirname "$dir/tree/$1")"
    [ ! -e "$dir/tree/$1" ] || cp "$dir/tree/$1" "$dir/kept"
    echo "$2" >>"$dir/tree/$1"
    expect "$1 must not say $2" 1 toolchain/rooms.sh "$dir/tree"
    says "and is named" "^$1:" out
    rm "$dir/tree/$1"
    [ ! -e "$dir/kept" ] || mv "$dir/kept" "$dir/tree/$1"
}

expect "the tree itself is in order" 0 toolchain/rooms.sh
expect "and so is a copy" 0 toolchain/rooms.sh "$dir/tree"
plant src/base/text.c '#include "nefia/sys/log.h"'
plant src/beacon/sensors/disk.c ' # include "nefia/hub/hub.h"'
plant include/nefia/event/event.h '#include "nefia/link/link.h"'
plant src/net/addr.c '#include "../hub/hub.h"'
plant src/net/tcp.c '#include "nefia/attic/old.h"'
plant src/base/text.c '#include <nefia/hub/hub.h>'
plant src/base/text.c '#include"nefia/hub/hub.h"'
plant src/event/event.c '#include "nefia/event/../hub/hub.h"'
plant src/base/text.c '#include HEADER'
plant src/base/text.c '#include/**/"nefia/hub/hub.h"'
plant src/base/text.c '/**/ #include "nefia/hub/hub.h"'
plant src/base/text.c '%:include "nefia/hub/hub.h"'
plant src/base/text.c '#include_next "nefia/hub/hub.h"'
plant src/base/new.inc '#include "nefia/hub/hub.h"'
plant src/attic/old.c '#include "nefia/base/err.h"'
rm -rf "$dir/tree/src/attic"
expect "the copy is in order again" 0 toolchain/rooms.sh "$dir/tree"
finish
