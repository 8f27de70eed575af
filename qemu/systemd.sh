#!/bin/sh
# Get systemd for an emulated machine: the service manager, systemctl and the libraries they need; and runit's runsv.
#
#   qemu/systemd.sh ARCH     → out/systemd/ARCH/{bin,lib,usr}
#
# They are Debian's binaries of that architecture, unpacked, not installed; no unit comes with them.
set -eu

cd "$(dirname "$0")/.."
[ $# -eq 1 ] || { echo "usage: systemd.sh ARCH" >&2; exit 2; }
arch=$1
packages="systemd libsystemd-shared libc6 libacl1 libapparmor1 libaudit1 libblkid1 libcap-ng0 libcap2 libcrypt1 libgcrypt20
    libgpg-error0 libip4tc2 libkmod2 liblz4-1 liblzma5 libmount1 libpam0g libpcre2-8-0 libseccomp2 libselinux1 libssl3 libzstd1
    runit"
out=$PWD/out/systemd/$arch
tmp=$PWD/out/systemd/.$arch.tmp

die() { echo "systemd.sh: $*" >&2; exit 1; }
up_to_date() { [ "$(cat "$out/complete" 2>/dev/null)" = "$packages" ]; }

needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'; }

# add PATH: a program or library of the tree, by its own name, and what it needs.
add() {
    [ ! -e "$tmp/$1" ] || return 0
    mkdir -p "$tmp/$(dirname "$1")"
    cp -L "$tmp/tree/$1" "$tmp/$1"
    for name in $(needed "$tmp/$1"); do
        path=$(cd "$tmp/tree" && find lib usr/lib -name "$name" | head -n 1)
        [ -n "$path" ] || die "$1 needs $name, which is in none of the packages"
        add "$path"
    done
}

up_to_date && exit 0
mkdir -p out/systemd out/kernel
exec 9>out/kernel/.lock # that of kernel.sh: debian.sh unpacks for one at a time
flock 9
up_to_date && exit 0
echo "systemd.sh: $arch"
rm -rf "$tmp"
# shellcheck disable=SC2086 # several words
qemu/debian.sh "$arch" "$tmp/tree" $packages
add lib/systemd/systemd
add bin/systemctl
add usr/bin/runsv
add "$(readelf -l "$tmp/bin/systemctl" | sed -n 's,.*interpreter: /\(.*\)\]$,\1,p')"
rm -rf "$tmp/tree"
echo "$packages" >"$tmp/complete"
rm -rf "$out"
mv "$tmp" "$out"
