#!/bin/sh
# Toolchains that are not ours: musl-gcc of this machine, one that behaves as an SDK's for ARM does, and glibc's, which is refused. SOME=y: one of the
# three, another one at each commit.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
. tests/sdk.sh

log=$dir/build.log
out=out/foreign-test

# The archives are those of the other builds.
build()
{
    make "-j$(nproc)" SOURCES_DIR=out/sources "$@" >"$log" 2>&1
}

# refuses NAME WORDS VARIABLE…: make stops and says WORDS.
refuses()
{
    name=$1
    words=$2
    shift 2
    if build O="$dir/refused" "$@"; then false; else grep -q -e "$words" "$log"; fi
    result "$name" $?
}

refuses "a glibc toolchain is refused with the remedy" 'C library is glibc.*LIBC=any' CC=gcc
refuses "a compiler that is not there is named" 'CC=no-such-cc: there is no such program' CC=no-such-cc
refuses "a board and a compiler of one's own are refused" 'BOARD=host has a toolchain of its own' CC=gcc BOARD=host
refuses "the board foreign asks for its compiler" 'CC=' BOARD=foreign
printf '#!/bin/sh\nexit 1\n' >"$dir/broken-cc"
chmod +x "$dir/broken-cc"
refuses "a compiler that cannot compile is named" 'cannot compile a C program' CC="$dir/broken-cc"
mkdir "$dir/empty"

# runs NAME BUILD EMULATOR…: the beacon looks at the disk, the hub compiles a pattern that takes TRE.
printf 'beacons: {disk_usage: {enabled: true, warning_percent: 1, critical_percent: 2, paths: ["/"]}}\n' >"$dir/once.yaml"
cat >"$dir/hub.yaml" <<'EOF'
reactor:
  peers: [127.0.0.1]
  rules:
    - {name: any, event_pattern: '(disk|script)\.[a-z]{2,8}', action: {type: exec, command: "true", target: hub}}
EOF
runs()
{
    name=$1
    built=$2
    shift 2
    "$@" "$built/nefia-beacon" once -c "$dir/once.yaml" >"$log" 2>&1 && grep -q '"type":"disk.usage"' "$log"
    result "$name: the beacon runs" $?
    "$@" "$built/nefia" reactor check -c "$dir/hub.yaml" >"$log" 2>&1
    result "$name: the hub compiles a pattern" $?
}

toolchains='glibc musl-gcc sdk'
# shellcheck disable=SC2086 # words
[ -z "${SOME:-}" ] || toolchains=$(toolchain/turn.sh 1 $toolchains)

# ---- the C library is not musl, and that is all right with the user ----
if [ "${toolchains#*glibc}" != "$toolchains" ]; then
    build CC=gcc LIBC=any O=$out/glibc
    result "LIBC=any builds with glibc" $?
    out/foreign-test/glibc/nefia-beacon --version >"$log" 2>&1 && grep -q 'glibc, may allocate' "$log"
    result "and says that it may allocate" $?
    runs glibc $out/glibc
fi

# ---- musl-gcc ----
if [ "${toolchains#*musl-gcc}" = "$toolchains" ]; then
    :
elif command -v musl-gcc >/dev/null; then
    # What packages' builds pass besides; none of it is meant for our variables.
    build CC=musl-gcc ARCH=x86 CROSS=nonsense- CFLAGS='-O1 -DFOREIGN_TEST' LDFLAGS=-Wl,-O1 O=$out/musl
    result "musl-gcc builds both programs" $?
    build -q CC=musl-gcc ARCH=x86 CROSS=nonsense- CFLAGS='-O1 -DFOREIGN_TEST' LDFLAGS=-Wl,-O1 O=$out/musl
    result "a second make has nothing to do" $?
    build V=1 CC=musl-gcc CFLAGS='-O1 -DFOREIGN_OTHER' O=$out/musl $out/musl/obj/src/base/err.o && grep -q 'DFOREIGN_OTHER' "$log"
    result "other flags build it anew" $?
    build CC=musl-gcc ARCH=x86 CFLAGS='-O1 -DFOREIGN_TEST' O=$out/musl all check-linked
    result "no heap and no printf in its programs" $?
    runs musl-gcc $out/musl
    out/foreign-test/musl/nefia --version >"$log" 2>&1 && grep -q 'musl)' "$log" && ! grep -q allocate "$log"
    result "what they say of themselves" $?
    build CC=musl-gcc CFLAGS='-O1 -DFOREIGN_TEST' O=$out/musl install DESTDIR="$dir/root" PREFIX=/usr &&
        [ -x "$dir/root/usr/sbin/nefia" ] && [ ! -e "$dir/root/usr/share/doc/nefia-edge/LICENSE.musl" ] &&
        [ -s "$dir/root/usr/share/doc/nefia-edge/LICENSE.tre" ]
    result "make install takes them" $?
    refuses "packages without any of the libraries are named" 'has none of' CC=musl-gcc SYSROOT_LIBS="$dir/empty"
    mkdir -p "$dir/half/include"
    touch "$dir/half/include/bearssl.h"
    refuses "a package without its static library is named" 'no lib/libbearssl.a' CC=musl-gcc SYSROOT_LIBS="$dir/half"
else
    echo "skip: a build with musl-gcc (package musl-tools)"
fi

# ---- an SDK's cross compiler: its own sysroot, its own start-up code, a prefix, and the libraries from its packages ----
sdk=$PWD/$out/sdk
sysroot=$PWD/out/arm-virt/sysroot
if [ "${toolchains#*sdk}" = "$toolchains" ]; then
    :
elif sdk "$sdk" "$sysroot"; then
    PATH=$sdk:$PATH
    build CROSS_COMPILE=arm-sdk-linux-musleabihf- SYSROOT_LIBS="$sysroot" O=$out/arm all check-linked
    result "an SDK's compiler builds both programs with the libraries of its packages" $?
    [ ! -e $out/arm/sysroot/lib/libtre.a ] && [ ! -e $out/arm/sysroot/lib/libc.a ]
    result "and nothing of them is built here" $?
    arm-linux-gnueabihf-readelf -lW $out/arm/nefia.elf >"$log" 2>&1 &&
        grep -q GNU_RELRO "$log" && ! grep -q INTERP "$log" && grep -q 'GNU_STACK.* RW ' "$log"
    result "its programs are static, with RELRO and no executable stack" $?
    type=EXEC
    grep -qx 'CONFIG_PIE=y' $out/arm/.config && type=DYN
    arm-linux-gnueabihf-readelf -hW $out/arm/nefia.elf >"$log" 2>&1 && grep -q "Type: *$type" "$log"
    result "position-independent as the configuration says" $?
    if command -v qemu-arm >/dev/null; then
        runs "SDK for ARM" $out/arm qemu-arm
    else
        echo "skip: running what an SDK's compiler built (qemu-arm)"
    fi
else
    echo "skip: an SDK's cross compiler, which is made from the build of arm-virt"
fi

finish
