#!/bin/sh
# Build a static BusyBox for an emulated machine with the board's own musl.
#
#   qemu/busybox.sh BOARD INCLUDE FILE    INCLUDE: the kernel's user headers; FILE: where it goes
set -eu

cd "$(dirname "$0")/.."
[ $# -eq 3 ] || { echo "usage: busybox.sh BOARD INCLUDE FILE" >&2; exit 2; }
. qemu/board.sh
board_facts "$1"
include=$2 file=$3
sysroot=$PWD/$sysroot
build=$PWD/out/busybox-$board
log=$PWD/out/busybox-$board.log

die() { echo "busybox.sh: $*" >&2; exit 1; }

[ -e "$sysroot/lib/libc.a" ] || die "musl comes first: make BOARD=$board"
toolchain/fetch.sh -l qemu/sources.lock busybox
rm -rf "$build"
cp -r out/sources/busybox "$build"

# shellcheck disable=SC2086  # $abi is several words
case $abi in
*-msoft-float*) nofloat=$build/nofloat.o && "${cross}gcc" $abi -Os -c qemu/nofloat.c -o "$nofloat" ;;
*) nofloat='' ;;
esac
cat >"$build/cc" <<CC
#!/bin/sh
gcc="${cross}gcc $abi -nostdinc -isystem $sysroot/include \
-isystem $("${cross}gcc" -print-file-name=include) -isystem $include"
for word; do
    case \$word in -c | -E | -S | -M* | -nostdlib) exec \$gcc "\$@" ;; esac
done
exec \$gcc -nostdlib -static -Wl,--no-warn-mismatch $sysroot/lib/crt1.o $sysroot/lib/crti.o \
"\$@" $nofloat -L$sysroot/lib -Wl,--start-group -lc -lgcc -Wl,--end-group \
$sysroot/lib/crtn.o
CC
chmod +x "$build/cc"
# Its Kconfig knows no fragments: start from nothing, put ours in, take defaults for what is new.
compile() {
    make -s -C "$build" allnoconfig
    grep '^CONFIG' qemu/busybox.config >"$build/wanted"
    sed 's/=y$//' "$build/wanted" | while read -r symbol; do echo "/^# $symbol is not set\$/d"; done \
        >"$build/wanted.sed"
    sed -i -f "$build/wanted.sed" "$build/.config"
    cat "$build/wanted" >>"$build/.config"
    yes '' | make -s -C "$build" oldconfig
    while IFS= read -r line; do
        grep -qxF "$line" "$build/.config" || { echo "BusyBox has no $line"; exit 1; }
    done <"$build/wanted"
    make -s -C "$build" -j2 CROSS_COMPILE="$cross" CC="$build/cc" SKIP_STRIP=y busybox
}

# In the background, so that `set -e` holds inside.
compile >"$log" 2>&1 </dev/null &
wait $! || { tail -n 20 "$log" >&2; die "BusyBox did not build"; }
"${cross}strip" -o "$file" "$build/busybox"
rm -rf "$build"
