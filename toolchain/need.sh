#!/bin/sh
# Are the programs there that a purpose needs?  For machines whose packages we do not know or are not to touch.
#
#   need.sh PURPOSE COMPILER     names what is missing, exit 1
set -eu

purpose=$1
compiler=${2%% *}
conf=${KCONFIG_CONF:-kconfig-conf}
# A source archive of `make dist` has its sources and its configurations.
dist=$(dirname "$0")/../dist

programs()
{
    case $1 in
    build) if [ -d "$dist" ]; then echo "$compiler"; else echo "$conf" "$compiler" tar xz patch sha256sum; fi ;;
    dist) echo git tar xz ;;
    cross-*) echo "$compiler" ;;
    emulate) echo qemu-arm qemu-aarch64 qemu-mips qemu-mipsel qemu-riscv64 qemu-i386 qemu-ppc ;;
    test) echo openssl socat strace ip ps curl flock python3 ;;
    model) echo spin gcc flock ;;
    fuzz) echo clang ;;
    lint) echo clang-format clang-tidy cppcheck shellcheck ;;
    qemu) echo qemu-system-arm qemu-system-aarch64 qemu-system-mips qemu-system-mipsel qemu-system-i386 cpio gzip bzip2 bc flex bison mke2fs openssl ;;
    qemu-slow) echo qemu-system-riscv64 qemu-system-ppc ;;
    *) echo "need.sh: no such purpose: $1" >&2; exit 2 ;;
    esac
}

missing=
list=$(programs "$purpose")
for p in $list; do
    command -v "$p" >/dev/null 2>&1 || { [ "$p" = sha256sum ] && command -v shasum >/dev/null; } || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

echo "need.sh: not on this machine, but needed to $purpose:$missing" >&2
case $missing in
*"$conf"*)
    echo "need.sh: KCONFIG_CONF= names another Kconfig program, such as scripts/kconfig/conf of a kernel tree" >&2 ;;
esac
echo "need.sh: nothing is installed here (DEPS=none, a foreign toolchain, or no Debian): install them and build again" >&2
exit 1
