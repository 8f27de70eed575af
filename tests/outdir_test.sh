#!/bin/sh
# `make O=DIRECTORY`: everything generated is in there, and the tree is only read.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

log=$dir/build.log
tree=$dir/tree
mkdir "$tree"
cp -Rp Makefile Kconfig LICENSE board include rootfs-overlay src toolchain "$tree"
chmod -R a-w "$tree"
(cd "$tree" && find . -exec ls -ld --full-time {} +) >"$dir/before"

# Root may write everywhere, unless that is taken away.
reader=
if [ "$(id -u)" -eq 0 ]; then
    reader='setpriv --bounding-set -dac_override'
fi
if $reader touch "$tree/written" 2>/dev/null; then
    echo "skip: a tree that refuses to be written; that nothing was written is looked at"
    rm -f "$tree/written"
    reader=
fi

in_tree()
{
    # shellcheck disable=SC2086 # a list of words
    $reader make -C "$tree" "-j$(nproc)" BOARD=host "$@" >"$log" 2>&1
}

make "-j$(nproc)" BOARD=host >"$log" 2>&1
result "the host's programs build" $?

in_tree O="$dir/sources" SOURCES_DIR="$PWD/out/sources" sources &&
    [ -e "$dir/sources/sources/tre/lib/regcomp.c" ] && [ -e "$dir/sources/sources/musl/configure" ]
result "sources go into O=, from SOURCES_DIR=" $?

# What takes long is there already: sources, the libraries; and the smallest of the programs is enough.
built=$dir/built
mkdir "$built"
cp -Rp out/host/sysroot "$built"
ln -s "$PWD/out/sources" "$built/sources"
printf 'CONFIG_PROFILE_MINIMAL=y\nCONFIG_PIE=y\n# CONFIG_LTO is not set\n' >"$dir/small.config"
in_tree O="$built/" CONFIG="$dir/small.config" "$built/nefia-beacon" && ! grep -q ' LIBS ' "$log" &&
    "$built/nefia-beacon" --version >"$log" 2>&1 && grep -q '^features: profile-minimal' "$log"
result "a program is built into O=" $?
in_tree O="$built" olddefconfig && [ -e "$built/.config" ] && [ ! -e "$tree/out" ]
result "its configuration is changed there" $?
# Libraries of other flags (CONFIG_PIE) are not there yet: where would they go?
sed -i 's/^CONFIG_PIE=y/# CONFIG_PIE is not set/' "$built/.config"
in_tree O="$built" -n "$built/nefia-beacon"
grep -q "SYSROOT=$built/sysroot-fixed " "$log" && grep -q "BUILD=$built/build-fixed " "$log"
result "libraries go into O=" $?

(cd "$tree" && find . -exec ls -ld --full-time {} +) | diff "$dir/before" - >"$log"
result "nothing in the tree was written" $?

if make O="$dir/several" check >"$log" 2>&1; then false; else grep -q 'leave out O=' "$log" && [ ! -e "$dir/several" ]; fi
result "what needs several builds refuses O=" $?
if make O= >"$log" 2>&1; then false; else grep -q 'name one directory' "$log"; fi
result "an empty O= is refused" $?

chmod -R u+w "$tree"
finish
