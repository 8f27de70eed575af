#!/bin/sh
# Make the image of a board, as a product has it: a disk with a read-only root (squashfs) and a partition for what is changed
# (ext4, put over it as an overlay), and the small initial file system that puts them together.
#
#   qemu/image.sh BOARD OUT [IMAGE]     OUT: the directory of the build (out/BOARD, out/BOARD-CONFIG), whose programs go in
#       → IMAGE/{disk.img,initrd.gz}, OUT/image without it; the kernel is out/kernel/BOARD/image
#
# The root: BusyBox, what qemu/image/root has, and what `make install` puts on a device. The same input gives the same bytes.
set -eu

cd "$(dirname "$0")/.."
[ $# -eq 2 ] || [ $# -eq 3 ] || { echo "usage: image.sh BOARD OUT [IMAGE]" >&2; exit 2; }
. qemu/board.sh
board_facts "$1"
[ "$image" ] || { echo "image.sh: there is no image of the board $board" >&2; exit 2; }
out=$2
kernel=out/kernel/$board
image=${3:-$out/image}
tmp=$image.tmp
root=$tmp/root
console=${append#console=}
emulator=${qemu%% *}
overlay_kib=16384
PATH=$PATH:/usr/sbin:/sbin
export SOURCE_DATE_EPOCH=0 E2FSPROGS_FAKE_TIME=1

die() { echo "image.sh: $*" >&2; exit 1; }

# The programs that this build of BusyBox has, run on this machine.
applets() { "qemu-${emulator#qemu-system-}" "$kernel/busybox" --list; }

make_root() {
    mkdir -p "$root"
    cp -R qemu/image/root/. "$root/"
    for directory in bin sbin usr/bin dev proc sys run tmp var root mnt rom overlay; do
        mkdir -p "$root/$directory"
    done
    cp "$kernel/busybox" "$root/bin/busybox"
    for applet in $(applets); do
        [ "$applet" = busybox ] || ln -s /bin/busybox "$root/bin/$applet"
    done
    ln -s /bin/busybox "$root/sbin/init"
    sed -i "s/^CONSOLE/$console/; s/CONSOLE/$console/" "$root/etc/inittab"
    cp -R "$tmp/install/." "$root/"
    # Whatever umask the tree, BusyBox and the programs were made with.
    chmod -R u+rwX,go+rX,go-w "$root"
    chmod 700 "$root/root"
    # A hub is what one of many devices is.
    chmod 644 "$root/etc/init.d/S96nefia-reactor"
}

# mebibytes FILE: so many hold it.
mebibytes() { echo $((($(wc -c <"$1") + 1048575) / 1048576)); }

# put FILE KIB: into the disk, at that place.
put() { dd if="$1" of="$tmp/disk.img" bs=1024 seek="$2" conv=notrunc,sparse status=none; }

make_disk() {
    mksquashfs "$root" "$tmp/root.squashfs" -noappend -all-root -no-xattrs -comp xz -no-progress -quiet -processors 1
    truncate -s "${overlay_kib}K" "$tmp/overlay.ext4"
    # All is initialised here: nothing is left that a device would write by and by.
    mke2fs -q -t ext4 -b 1024 -m 0 -L overlay -U 6e656669-612d-6564-6765-6f7665726c61 \
        -E lazy_itable_init=0,lazy_journal_init=0,hash_seed=6e656669-612d-6564-6765-6f7665726c61 "$tmp/overlay.ext4"
    root_kib=$(($(mebibytes "$tmp/root.squashfs") * 1024))
    truncate -s "$((1024 + root_kib + overlay_kib))K" "$tmp/disk.img"
    sfdisk -q "$tmp/disk.img" <<PARTITIONS
label: dos
label-id: 0x6966656e
start=2048, size=$((root_kib * 2)), type=83
start=$(((1024 + root_kib) * 2)), size=$((overlay_kib * 2)), type=83
PARTITIONS
    put "$tmp/root.squashfs" 1024
    put "$tmp/overlay.ext4" $((1024 + root_kib))
}

make_initrd() {
    mkdir -p "$tmp/initrd/bin" "$tmp/initrd/dev" "$tmp/initrd/proc" "$tmp/initrd/sys" "$tmp/initrd/lib/modules"
    cp "$kernel/busybox" "$tmp/initrd/bin/"
    cp qemu/image/init "$tmp/initrd/init"
    for module in "$kernel"/modules/*.ko; do
        [ ! -e "$module" ] || cp "$module" "$tmp/initrd/lib/modules/"
    done
    find "$tmp/initrd" -exec touch -h -d @0 {} +
    (cd "$tmp/initrd" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) | gzip -9n >"$tmp/initrd.gz"
}

[ -e "$kernel/complete" ] || die "no kernel yet: qemu/kernel.sh $board"
for program in nefia-beacon nefia; do
    [ -x "$out/$program" ] || die "no $out/$program: make BOARD=$board"
done
rm -rf "$tmp"
mkdir -p "$tmp"
umask 022
config=${out#"out/$board"}
make --no-print-directory BOARD="$board" CONFIG="${config#-}" install DESTDIR="$tmp/install" PREFIX=/usr INIT=sysv >"$tmp/log" 2>&1 ||
    { cat "$tmp/log" >&2; die "make install failed"; }
make_root
make_disk
make_initrd
rm -rf "$image"
mkdir "$image"
cat "$tmp/install/usr/sbin/nefia-beacon" "$tmp/install/usr/sbin/nefia" | cksum >"$image/programs"
mv "$tmp/disk.img" "$tmp/initrd.gz" "$image/"
echo "$image: $(wc -c <"$tmp/root.squashfs") bytes of squashfs, $(wc -c <"$image/initrd.gz") of initial file system"
rm -rf "$tmp"
