#!/bin/sh
# Install the Debian packages that a purpose needs, by name.
#
#   install-deps.sh [-o OUT] PURPOSE…      OUT: where generated files go
#
# Root: apt-get installs what is missing, one such script at a time; while another program has apt's lock, it waits.  Others: the
# missing packages are named, exit 1.
set -eu

out=$(dirname "$0")/../out
if [ "$1" = -o ]; then
    out=$2
    shift 2
fi

packages()
{
    case $1 in
    build) echo make gcc libc6-dev kconfig-frontends-nox dpkg-dev patch xz-utils ;;
    dist) echo git tar xz-utils ;;
    cross-arm) echo gcc-arm-linux-gnueabihf libc6-dev-armhf-cross ;;
    cross-armel) echo gcc-arm-linux-gnueabi libc6-dev-armel-cross ;;
    cross-aarch64) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
    cross-mips) echo gcc-mips-linux-gnu libc6-dev-mips-cross ;;
    cross-mipsel) echo gcc-mipsel-linux-gnu libc6-dev-mipsel-cross ;;
    cross-riscv64) echo gcc-riscv64-linux-gnu libc6-dev-riscv64-cross ;;
    cross-i386) echo gcc-i686-linux-gnu libc6-dev-i386-cross ;;
    cross-ppc) echo gcc-powerpc-linux-gnu libc6-dev-powerpc-cross ;;
    emulate) echo qemu-user ;;
    test) echo openssl socat strace iproute2 procps curl util-linux python3 musl-tools \
               openssh-client dropbear-bin busybox dash ;;
    re2) echo g++ libre2-dev ;;
    model) echo spin gcc libc6-dev util-linux ;;
    fuzz) echo clang libclang-rt-14-dev ;;
    lint) echo clang-format clang-tidy cppcheck shellcheck ;;
    qemu) echo qemu-system-arm qemu-system-mips qemu-system-x86 cpio gzip bzip2 bc flex bison e2fsprogs \
               openssl ;;
    image) echo squashfs-tools fdisk e2fsprogs cpio gzip qemu-user ;;
    qemu-slow) echo qemu-system-misc qemu-system-ppc ;;
    check) for p in build dist cross-arm cross-armel cross-aarch64 cross-mips cross-mipsel cross-riscv64 cross-i386 cross-ppc \
                      emulate test re2 model qemu image; do
               packages $p
           done ;;
    *) echo "install-deps.sh: no such purpose: $1" >&2; exit 2 ;;
    esac
}

installed()
{
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed$'
}

# Makes that run side by side ask for packages at the same time.
mkdir -p "$out"
exec 9>"$out/.deps.lock"
flock 9

missing=
for purpose in "$@"; do
    list=$(packages "$purpose")
    for p in $list; do
        installed "$p" || missing="$missing $p"
    done
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "install-deps.sh: this is no Debian; needed for $*:$missing" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages for $*; as root: apt-get install$missing" >&2
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "installing$missing"

# apt COMMAND…: a machine that has just booted upgrades itself and keeps the locks meanwhile. apt's own setting for that,
# DPkg::Lock::Timeout, does not hold for the lists of packages.
apt()
{
    tries=1800
    until LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=5 -o Acquire::http::Timeout=120 \
        -o Acquire::https::Timeout=120 "$@" </dev/null >"$log" 2>&1 9>&-; do
        grep -Eq 'Could not get lock|locked by another process' "$log" || return 1
        [ $tries -lt 1800 ] || echo "waiting: another program is installing packages"
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 1
    done
}

install()
{
    # shellcheck disable=SC2086  # a list of words
    apt install --no-install-recommends $missing
}

# Package lists that are missing or too old show in an install that fails.
if ! install && ! { apt update && install; }; then
    cat "$log" >&2
    echo "install-deps.sh: cannot install$missing" >&2
    exit 1
fi
