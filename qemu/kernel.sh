#!/bin/sh
# Get the kernel and the BusyBox of an emulated board.
#
#   qemu/kernel.sh BOARD    → out/kernel/BOARD/{image,busybox,version,modules/NN-NAME.ko}
#                           and, where qemu/board.sh names them, extra/NN-NAME.ko and tools/{sbin,lib}
#
# Both are Debian's binaries of that architecture, unpacked, not installed.  Debian 12 has none for big-endian MIPS, RISC-V and
# 32-bit PowerPC: their kernels are built from its linux-source with qemu/BOARD.config, their BusyBox from source with our musl.
set -eu

cd "$(dirname "$0")/.."
[ $# -eq 1 ] || { echo "usage: kernel.sh BOARD" >&2; exit 2; }
. qemu/board.sh
board_facts "$1"
mkdir -p out/kernel
out=$PWD/out/kernel/$board
tmp=$PWD/out/kernel/.$board.tmp

die() { echo "kernel.sh: $*" >&2; exit 1; }

# depends_of FILE.ko: the names in its .modinfo section.
depends_of() {
    tr '\0' '\n' <"$1" | sed -n 's/^depends=//p' | tr ',' ' '
}

module_path() {
    find "$tree/lib/modules" -name "$(echo "$1" | sed 's/_/[-_]/g').ko"
}

# add_module NAME: to the directory $into, after the modules it depends on; one seen before or built in is left.
add_module() {
    case " $seen " in *" $1 "*) return ;; esac
    seen="$seen $1"
    grep -q "/$(echo "$1" | sed 's/_/[-_]/g')\.ko\$" "$tree"/lib/modules/*/modules.builtin && return
    [ -n "$(module_path "$1")" ] || die "$board: the kernel has no module $1"
    for dependency in $(depends_of "$(module_path "$1")"); do
        add_module "$dependency"
    done
    count=$((count + 1))
    cp "$(module_path "$1")" "$tmp/$into/$(printf '%02d' "$count")-$1.ko"
}

# add_tool NAME: with the C library, which is all that it may need.
add_tool() {
    mkdir -p "$tmp/tools/sbin" "$tmp/tools/lib"
    cp "$tree/usr/sbin/$1" "$tmp/tools/sbin/"
    for library in libc.so.6 $(readelf -l "$tree/usr/sbin/$1" | sed -n 's,.*interpreter: /lib/\(.*\)\]$,\1,p'); do
        cp "$(find "$tree/lib" -type f -name "$library")" "$tmp/tools/lib/"
    done
}

from_debian() {
    tree=$tmp/tree
    package=$(qemu/debian.sh "$debian" newest "linux-image-[0-9.]+-[0-9]+-$flavour")
    # shellcheck disable=SC2086  # no word, or two
    qemu/debian.sh "$debian" "$tree" "$package" busybox-static $tools_package ${tools_package:+libc6}
    cp "$tree"/boot/vmlinuz-* "$tmp/image"
    cp "$tree/bin/busybox" "$tmp/busybox"
    seen='' count=0
    for into in modules extra; do
        [ "$into" = modules ] || modules=$extra
        for module in $modules; do
            add_module "$module"
        done
    done
    for tool in $tools; do
        add_tool "$tool"
    done
    basename "$tree"/boot/vmlinuz-* | sed 's/^vmlinuz-//' >"$tmp/version"
    rm -rf "$tree"
}

# The sources land in out/linux-BOARD; only the image and the user headers are kept of the build.
kernel_from_source() {
    [ -e "$sysroot/lib/libc.a" ] || die "musl comes first: make BOARD=$board"
    linux=$PWD/out/linux-$board
    rm -rf "$linux"
    qemu/debian.sh mipsel "$linux" linux-source-6.1
    tar -C "$linux" --strip-components=1 --exclude='*/asic_reg' \
        -xf "$linux/usr/src/linux-source-6.1.tar.xz"
    rm -rf "$linux/usr/src"
    linux_make="make -s -C $linux ARCH=$linux_arch CROSS_COMPILE=$cross"
    $linux_make allnoconfig KCONFIG_ALLCONFIG="$PWD/qemu/$board.config"
    grep '^CONFIG\|^# CONFIG.*not set' "qemu/$board.config" | while IFS= read -r line; do
        grep -qxF "$line" "$linux/.config" || die "this kernel has no $line"
    done
    $linux_make -j2 "${linux_image##*/}" headers
    cp "$linux/$linux_image" "$tmp/image"
    [ "$linux_image" != vmlinux ] || "${cross}strip" "$tmp/image"
    cp -r "$linux/usr/include" "$tmp/include"
    $linux_make kernelrelease >"$tmp/version"
    rm -rf "$linux"
}

# What the result is made of: when that changes, it is made anew.
if [ -n "$debian" ]; then
    inputs="$flavour $modules${extra:+ / $extra}${tools:+ / $tools}"
else
    inputs=$(cat "qemu/$board.config" qemu/busybox.config qemu/busybox.sh qemu/nofloat.c | cksum)
fi
up_to_date() { [ "$(cat "$out/complete" 2>/dev/null)" = "$inputs" ]; }

up_to_date && exit 0
exec 9>"out/kernel/.lock.$board"
flock 9
up_to_date && exit 0
rm -rf "$tmp"
mkdir -p "$tmp/modules" "$tmp/extra"
echo "kernel.sh: $board"
if [ -n "$debian" ]; then
    from_debian
else
    kernel_from_source >"out/kernel/$board.log" 2>&1 &  # in the background `set -e` holds inside
    wait $! || { tail -n 20 "out/kernel/$board.log" >&2; die "the kernel did not build"; }
    qemu/busybox.sh "$board" "$tmp/include" "$tmp/busybox"
fi
echo "$inputs" >"$tmp/complete"
rm -rf "$out"
mv "$tmp" "$out"
