#!/bin/sh
# qemu/image.sh: the same input gives the same image, wherever and whenever it is made; nothing in it is for one device alone, and
# nobody gets in but at the serial console. What an image does is tested by qemu/life.sh.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

board=arm-virt
nothing_to_do()
{
    echo "skip: the image of $board, $1"
    result "nothing to do" 0
    finish
}
PATH=$PATH:/usr/sbin:/sbin
for needed in out/$board/nefia-beacon out/$board/nefia out/kernel/$board/complete; do
    [ -e "$needed" ] || nothing_to_do "there is no $needed: make BOARD=$board image"
done
for program in mksquashfs unsquashfs mke2fs sfdisk cpio; do
    command -v "$program" >/dev/null || nothing_to_do "there is no $program"
done

expect "an image is made" 0 qemu/image.sh $board out/$board "$dir/one"
expect "  again, in another time zone, with another umask" 0 sh -c "umask 077; TZ=Asia/Tokyo LC_ALL=C exec qemu/image.sh $board out/$board '$dir/two'"
for file in disk.img initrd.gz; do
    cmp "$dir/one/$file" "$dir/two/$file" >"$dir/cmp.log" 2>&1
    result "  with the same bytes: $file" $?
done

# The first partition begins at 1 MiB.
expect "its first partition is a squashfs" 0 unsquashfs -o 1048576 -no-progress -d "$dir/root" "$dir/one/disk.img"
for file in etc/nefia/hmac.key etc/nefia/nefia.yaml etc/nefia/nefia.json etc/hostname; do
    [ ! -e "$dir/root/$file" ]
    result "a device makes it for itself: $file" $?
done
[ -x "$dir/root/etc/init.d/S10identity" ] && [ -s "$dir/root/etc/nefia/nefia.yaml.example" ]
result "  of what is there" $?
[ "$(awk -F : '$2 == "" { print $1 }' "$dir/root/etc/passwd")" = root ]
result "only root has an empty password" $?
[ "$(grep -c getty "$dir/root/etc/inittab")" -eq 1 ] && grep -q '^ttyAMA0::respawn:/bin/getty ' "$dir/root/etc/inittab"
result "one getty, on the serial port" $?
! grep -rqwE 'telnetd|sshd|dropbear|httpd|ftpd|inetd' "$dir/root/etc/inittab" "$dir/root/etc/init.d"
result "no login over the network" $?
finish
