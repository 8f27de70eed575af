#!/bin/sh
# Build a static BusyBox for the emulated big-endian MIPS machine with the board's own musl.
#
#   qemu/busybox.sh INCLUDE FILE    INCLUDE: the kernel's user headers; FILE: where it goes
set -eu

cd "$(dirname "$0")/.."
[ $# -eq 2 ] || { echo "usage: busybox.sh INCLUDE FILE" >&2; exit 2; }
include=$1 file=$2
sysroot=$PWD/out/mips-malta/sysroot-fixed
build=$PWD/out/busybox
log=$PWD/out/busybox.log
abi="-EB -march=24kc -msoft-float"

die() { echo "busybox.sh: $*" >&2; exit 1; }

[ -e "$sysroot/lib/libc.a" ] || die "musl comes first: make BOARD=mips-malta"
toolchain/fetch.sh -l qemu/sources.lock busybox
rm -rf "$build"
cp -r out/sources/busybox "$build"

# shellcheck disable=SC2086  # $abi is several words
mips-linux-gnu-gcc $abi -Os -c qemu/nofloat.c -o "$build/nofloat.o"
cat >"$build/cc" <<CC
#!/bin/sh
gcc="mips-linux-gnu-gcc $abi -nostdinc -isystem $sysroot/include \
-isystem $(mips-linux-gnu-gcc -print-file-name=include) -isystem $include"
for word; do
    case \$word in -c | -E | -S | -M* | -nostdlib) exec \$gcc "\$@" ;; esac
done
exec \$gcc -nostdlib -static -Wl,--no-warn-mismatch $sysroot/lib/crt1.o $sysroot/lib/crti.o \
"\$@" $build/nofloat.o -L$sysroot/lib -Wl,--start-group -lc -lgcc -Wl,--end-group \
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
    make -s -C "$build" -j2 CROSS_COMPILE=mips-linux-gnu- CC="$build/cc" SKIP_STRIP=y busybox
}

# In the background, so that `set -e` holds inside.
compile >"$log" 2>&1 </dev/null &
wait $! || { tail -n 20 "$log" >&2; die "BusyBox did not build"; }
mips-linux-gnu-strip -o "$file" "$build/busybox"
rm -rf "$build"
