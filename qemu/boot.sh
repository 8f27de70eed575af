#!/bin/sh
# Run ONE emulated machine in the foreground, until it ends or whoever started it is gone.
#
#   qemu/boot.sh BOARD NAME ADDRESS DIR [DISK]
#
# DIR/NAME/       what its file system holds beside BusyBox and the modules
# DIR/NAME.image  if it is there, it names the directory of an image (qemu/image.sh) to boot from; DIR/NAME/ is put over that at the
#                 first start, DIR/NAME.flash is its disk
# DIR/NAME.append  if it is there, more of the kernel's command line; DIR/NAME.qemu: more of QEMU's
# DIR/NAME.in     a FIFO: what the console reads (see qemu/init)
# DIR/NAME.net    its end of the network cable (a Unix socket); DIR/NAME.peer names the other end
# DIR/NAME.monitor  QEMU's monitor (a Unix socket); DIR/NAME.pid: QEMU's own process
# DISK            a disk image, mounted on /mnt/disk
# The console goes to standard output.
set -eu

[ $# -ge 4 ] || { echo "usage: boot.sh BOARD NAME ADDRESS DIR [DISK]" >&2; exit 2; }
cd "$(dirname "$0")/.."
. qemu/board.sh
board_facts "$1"
name=$2 address=$3 dir=$4 disk_image=${5:-}
kernel=out/kernel/$board
[ -e "$kernel/complete" ] || { echo "boot.sh: no kernel yet: qemu/kernel.sh $board" >&2; exit 1; }

# archive PATH: what is there, owned by root whoever builds it.
archive() { find "$1" | cpio -o -H newc -R 0:0 --quiet | gzip -1; }

tree=$dir/$name
mac=$(printf "%02x" "${address##*.}")
append="$append panic=-1 nefia.name=$name nefia.addr=$address"
if [ -e "$dir/$name.image" ]; then
    image=$(cat "$dir/$name.image")
    cp "$image/initrd.gz" "$dir/$name.cpio.gz"
    if [ ! -e "$dir/$name.flash" ]; then
        append="$append nefia.site=$name"
        (cd "$dir" && archive "$name") >>"$dir/$name.cpio.gz"
        cp --sparse=always "$image/disk.img" "$dir/$name.flash"
    fi
    set -- -drive "if=none,id=flash,format=raw,file=$dir/$name.flash" -device "$disk_device,drive=flash"
    disk=other
else
    mkdir -p "$tree/bin" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/lib/modules"
    cp "$kernel/busybox" "$tree/bin/busybox"
    cp qemu/init "$tree/init"
    chmod 755 "$tree/init" "$tree/bin/busybox"
    for module in "$kernel"/modules/*.ko; do
        [ ! -e "$module" ] || cp "$module" "$tree/lib/modules/"
    done
    (cd "$tree" && archive .) >"$dir/$name.cpio.gz"
    set --
fi

[ ! -e "$dir/$name.append" ] || append="$append $(cat "$dir/$name.append")"
# shellcheck disable=SC2046  # it is a part of a command line
[ ! -e "$dir/$name.qemu" ] || set -- "$@" $(cat "$dir/$name.qemu")
if [ -n "$disk_image" ]; then
    append="$append nefia.disk=$disk nefia.fs=$disk_fs"
    set -- "$@" -drive "if=none,id=disk,format=raw,file=$disk_image" -device "$disk_device,drive=disk"
fi
# shellcheck disable=SC2086  # $qemu is a command line
exec setpriv --pdeathsig TERM $qemu -m "$memory" -nographic -no-reboot -serial stdio -pidfile "$dir/$name.pid" \
    -monitor "unix:$dir/$name.monitor,server=on,wait=off" \
    -kernel "$kernel/image" -initrd "$dir/$name.cpio.gz" -append "$append" \
    -netdev "dgram,id=net,local.type=unix,local.path=$dir/$name.net,remote.type=unix,remote.path=$(cat "$dir/$name.peer")" \
    -device "$nic,netdev=net,mac=52:54:00:99:00:$mac" "$@" <>"$dir/$name.in"
