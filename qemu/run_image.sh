#!/bin/sh
# A shell on an image, over the serial console of the emulated machine.
#
#   qemu/run_image.sh BOARD OUT     OUT: the directory of the build, see image.sh
#
# The disk is OUT/image/run.img, a copy that keeps what is changed in it until the image is made anew.
set -eu

cd "$(dirname "$0")/.."
[ $# -eq 2 ] || { echo "usage: run_image.sh BOARD OUT" >&2; exit 2; }
. qemu/board.sh
board_facts "$1"
image=$2/image
[ -e "$image/disk.img" ] || { echo "run_image.sh: no $image: make BOARD=$1 image" >&2; exit 1; }
# A new image is a new directory.
[ -e "$image/run.img" ] || cp --sparse=always "$image/disk.img" "$image/run.img"
echo "Log in as root, without a password. poweroff ends the machine, Ctrl-A X ends QEMU. The disk is $image/run.img."
# shellcheck disable=SC2086 # $qemu is a command line
exec $qemu -m "$memory" -nographic -no-reboot -kernel "out/kernel/$board/image" -initrd "$image/initrd.gz" \
    -append "$append panic=-1" \
    -drive "if=none,id=flash,format=raw,file=$image/run.img" -device "$disk_device,drive=flash" \
    -netdev user,id=net -device "$nic,netdev=net"
