#!/bin/sh
# What is this compiler, and what can it do?
#
#   probe.sh OUT CC…
#
# CC is a command with its options. From the environment: PROBE_CFLAGS, PROBE_LDFLAGS (the user's), LIBC (any: another C library
# than musl is taken), SYSROOT_LIBS (a directory with packaged libraries), KERNEL_HEADERS.
# Writes make variables to OUT, or prints what is wrong and what to do about it (for make to say), and exits 1.
set -eu

out=$1
shift
cc=$*
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

die()
{
    echo "CC=$cc: $*"
    exit 1
}

# try FLAG… : $work/t.c compiles and links with these.
try()
{
    # shellcheck disable=SC2086 # lists of words
    $cc ${PROBE_CFLAGS:-} "$@" -o "$work/t" "$work/t.c" ${PROBE_LDFLAGS:-} >"$work/log" 2>&1
}

compiles()
{
    # shellcheck disable=SC2086
    $cc ${PROBE_CFLAGS:-} -c -o "$work/t.o" "$work/t.c" >"$work/log" 2>&1
}

# preprocess: the last line of what the preprocessor makes of stdin.
preprocess()
{
    # shellcheck disable=SC2086
    $cc ${PROBE_CFLAGS:-} -E -P - 2>"$work/log" | tail -n 1
}

# musl defines no macro that names it; its <bits/alltypes.h> leaves one for each type it has defined.
c_library()
{
    preprocess <<'C'
#include <stdlib.h>
#include <sys/types.h>
#if !defined __linux__
no-linux
#elif defined __UCLIBC__
uClibc
#elif defined __BIONIC__
bionic
#elif defined __GLIBC__
glibc
#elif defined __DEFINED_size_t
musl
#else
unknown
#endif
C
}

check_c_library()
{
    libc=$(c_library)
    case $libc in
    musl) return ;;
    '') die "cannot read <stdlib.h>: $(head -n 1 "$work/log")" ;;
    no-linux) die "does not compile for Linux" ;;
    unknown) name="its C library is neither musl, glibc nor uClibc" ;;
    *) name="its C library is $libc" ;;
    esac
    [ "${LIBC:-}" = any ] || die "$name, which allocates memory on its own. nefia-edge keeps its promise (no allocation after" \
        "start-up) with musl: take a toolchain with musl, or say LIBC=any for programs that may allocate"
}

# Programs are linked statically; one that is position-independent needs start-up code that relocates it (musl's rcrt1.o). Some
# drivers take -static-pie and link something else.
check_link()
{
    cat >"$work/t.c" <<'C'
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char text[64];
    strncpy(text, argv[argc - 1], sizeof(text) - 1);
    return write(1, text, 1) < 0;
}
C
    try -static || die "cannot link a static program (the C library's static archive may be missing): $(grep -v '^$' "$work/log" |
        head -n 1)"
    pie=
    if try -fPIE -static-pie -Wl,-z,text -Wl,--trace && grep -q 'rcrt1\.o' "$work/log"; then
        pie=y
    fi
    flags=
    for flag in -fno-strict-aliasing -ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables \
                -fstack-protector-strong; do
        if try -Werror $flag -static; then
            flags="$flags $flag"
        fi
    done
    lto=
    if try -Werror -flto -ffat-lto-objects -flto-partition=one -static; then
        lto='-flto -ffat-lto-objects'
    fi
}

# The kernel's interfaces (netlink, seccomp) are no part of a C library: an SDK has their headers, musl-gcc does not.
check_kernel_headers()
{
    printf '#include <%s>\n' asm/unistd.h linux/audit.h linux/capability.h linux/filter.h linux/genetlink.h linux/netlink.h \
        linux/sched.h linux/seccomp.h >"$work/t.c"
    headers=
    compiles && return
    machine=$($cc -dumpmachine)
    for headers in ${KERNEL_HEADERS:-$(native_headers)}; do
        for asm in "$headers/asm" "$headers/$machine/asm"; do
            [ -e "$asm/unistd.h" ] && [ -e "$headers/linux/seccomp.h" ] && return
        done
    done
    die "finds no headers of the kernel (<linux/seccomp.h>, <asm/unistd.h>); name a directory that has them with KERNEL_HEADERS=" \
        "(\`make headers_install\` in a kernel tree makes one)"
}

# Those of this machine serve a compiler for this machine.
native_headers()
{
    case $($cc -dumpmachine) in
    "$(uname -m)"-*) echo /usr/include ;;
    esac
}

# library NAME HEADER: is it in the packages that were given?
library()
{
    [ -e "$libs/include/$2" ] || return 0
    if [ "$1" != jsmn ] && [ ! -e "$libs/lib/lib$1.a" ]; then
        die "SYSROOT_LIBS=$SYSROOT_LIBS has include/$2 but no lib/lib$1.a; the programs are linked statically"
    fi
    given="$given $1"
}

check_libraries()
{
    libs=
    given=
    [ -n "${SYSROOT_LIBS:-}" ] || return 0
    [ -d "$SYSROOT_LIBS" ] || die "SYSROOT_LIBS=$SYSROOT_LIBS is no directory"
    libs=$SYSROOT_LIBS
    [ -d "$libs/include" ] || libs=$libs/usr
    library bearssl bearssl.h
    library tre tre/tre.h
    library jsmn jsmn.h
    [ -n "$given" ] || die "SYSROOT_LIBS=$SYSROOT_LIBS has none of include/bearssl.h, include/tre/tre.h, include/jsmn.h"
}

command -v "$1" >/dev/null 2>&1 || die "there is no such program"
echo 'int main(void) { return 0; }' >"$work/t.c"
compiles || die "cannot compile a C program: $(head -n 1 "$work/log")"
check_c_library
check_link
check_kernel_headers
check_libraries
mkdir -p "$(dirname "$out")"
cat >"$out.new" <<MK
# Generated by probe.sh from CC=$cc.
FOREIGN_LIBC    := $libc
FOREIGN_MACHINE := $($cc -dumpmachine)
FOREIGN_FLAGS   :=$flags
FOREIGN_LTO     := $lto
FOREIGN_PIE     := $pie
FOREIGN_HEADERS := $headers
FOREIGN_LIBS    := $libs
FOREIGN_GIVEN   :=$given
MK
mv "$out.new" "$out"
