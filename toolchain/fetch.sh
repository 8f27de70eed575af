#!/bin/sh
# Fetch, verify, unpack and patch pinned third-party sources.
#
#   toolchain/fetch.sh [-l LOCK] [-o OUT] [-d DIR] [-n] NAME…
#
# Leaves OUT/sources/NAME (a directory) for each NAME, or prints one line that says what is wrong,
# exits 1 and leaves nothing of that name behind.  Debian's archive is reached through a private apt
# state in OUT/apt: no root, nothing of the machine's own state is changed.  DEBIAN_MIRROR=URL of the
# environment is a mirror of that archive that needs no apt.  A source archive of `make dist` has the
# sources in dist/sources, verified and patched: they are copied, unless -d names others.
#   -d DIR   the files are in DIR, under the names that the lock gives them: no network is used
#   -n       apt is not used, only what is there, what upstream serves, and DEBIAN_MIRROR
set -eu
umask 022

lock=$(dirname "$0")/sources.lock
out=out
given=
apt=yes
included=$(dirname "$0")/../dist/sources
while getopts l:o:d:n opt; do
    case $opt in
    l) lock=$OPTARG ;;
    o) out=$OPTARG ;;
    d) given=$OPTARG ;;
    n) apt=no ;;
    *) echo "usage: fetch.sh [-l LOCK] [-o OUT] [-d DIR] [-n] NAME…" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))

mkdir -p "$out/sources"
out=$(cd "$out" && pwd)
sources=$out/sources
tmp=$sources/.tmp.$$
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

die()
{
    echo "toolchain: $*" >&2
    exit 1
}

sha256_of()
{
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum "$1"
    else
        shasum -a 256 "$1"
    fi | cut -d ' ' -f 1
}

# The machine's own entries for this Debian release, in both formats of apt's sources, as lines
# `uri suite signed-by`.  An entry of another origin has another suite or no component main.
debian_entries()
{
    # shellcheck disable=SC1091  # os-release belongs to the machine
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
             /etc/apt/sources.list.d/*.sources; do
        [ -r "$f" ] || continue
        case $f in
        *.sources) set -- -v deb822=1 ;;
        *) set -- -v deb822=0 ;;
        esac
        awk "$@" -v codename="$codename" -f "$(dirname "$0")/apt-entries.awk" "$f"
    done | sort -u
}

# One private apt state for all fetches, updated once (`again` updates it once more).
apt_ready()
{
    [ "${1:-}" = again ] || [ ! -e "$out/apt/ready" ] || return 0
    command -v apt-get >/dev/null 2>&1 || return 1
    mkdir -p "$out/apt/lists/partial" "$out/apt/cache/archives/partial"
    rm -f "$out/apt/ready"
    debian_entries | while read -r uri suite key; do
        opts=
        [ -z "$key" ] || opts="[signed-by=$key] "
        echo "deb ${opts}$uri $suite main"
        echo "deb-src ${opts}$uri $suite main"
    done >"$out/apt/sources.list"
    [ -s "$out/apt/sources.list" ] || return 1
    cat >"$out/apt/apt.conf" <<CONF
Dir::State "$out/apt";
Dir::State::Lists "$out/apt/lists";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "$out/apt/cache";
Dir::Etc::sourcelist "$out/apt/sources.list";
Dir::Etc::sourceparts "-";
Acquire::Languages "none";
Acquire::Retries "5";
Acquire::http::Timeout "120";
Acquire::https::Timeout "120";
APT::Sandbox::User "root";
CONF
    APT_CONFIG=$out/apt/apt.conf apt-get -qq update >"$out/apt/log" 2>&1 || return 1
    touch "$out/apt/ready"
}

# apt_get DIR ARGUMENT…: what apt-get downloads lands in DIR.
apt_get()
{
    dir=$1
    shift
    (cd "$dir" && APT_CONFIG=$out/apt/apt.conf apt-get -qq "$@" </dev/null) >>"$out/apt/log" 2>&1
}

# from_debian PACKAGE=VERSION NAME FILE: from the user's mirror, or by apt, whose list is renewed once when it has grown old.
from_debian()
{
    if [ -n "${DEBIAN_MIRROR:-}" ]; then
        from_url "${DEBIAN_MIRROR%/}/pool/main/$(pool_of "${1%%=*}")/$2" "$3" && return 0
    fi
    [ $apt = yes ] && apt_ready || return 1
    mkdir -p "$tmp/apt"
    pkg_file=$tmp/apt/$2 file=$3
    case $2 in
    *.orig.tar.*) part=--tar-only ;;
    *) part=--diff-only ;;
    esac
    set -- source --download-only --only-source $part "$1"
    apt_get "$tmp/apt" "$@" || { apt_ready again && apt_get "$tmp/apt" "$@"; } || return 1
    mv "$pkg_file" "$file"
}

# Where Debian's archive keeps a source package: p/package, libp/libpackage.
pool_of()
{
    case $1 in
    lib?*) echo "$1" | sed 's/^\(lib.\).*/\1\/&/' ;;
    *) echo "$1" | sed 's/^\(.\).*/\1\/&/' ;;
    esac
}

# However slow it comes; two minutes without a byte are too much.
from_url()
{
    if command -v curl >/dev/null 2>&1; then
        curl -fsSL --retry 3 --connect-timeout 120 --speed-limit 1 --speed-time 120 -o "$2" "$1" 2>/dev/null
    else
        wget -q -T 120 -t 4 -O "$2" "$1" 2>/dev/null
    fi
}

# Get one place's file into $tmp/download; fails when the place cannot be reached.
download()
{
    rm -f "$tmp/download"
    if [ -n "$given" ]; then
        cp "$given/$(basename "$1")" "$tmp/download" 2>/dev/null
        return
    fi
    case $1 in
    deb-src:*)
        spec=${1#deb-src:}
        from_debian "${spec%%/*}" "${spec#*/}" "$tmp/download" ;;
    file:*) cp "${1#file:}" "$tmp/download" 2>/dev/null ;;
    *) from_url "$1" "$tmp/download" ;;
    esac
}

# Why a source could not be had, and what to do about it; $tmp/places are where it is served.
not_had()
{
    wanted=$(while read -r _ _ _ where; do basename "$where"; done <"$tmp/places" | sort -u | tr '\n' ' ')
    wanted=$(echo "${wanted% }" | sed 's/ / or /g')
    if [ -n "$given" ]; then
        echo "$given has no $wanted"
    elif [ $apt = no ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "cannot be fetched from upstream: put $wanted into $sources, name a directory that has it with SOURCES_DIR=, or a" \
            "mirror of Debian with DEBIAN_MIRROR=; the archive that \`make dist\` makes has all sources"
    else
        echo "cannot be fetched from any place in $lock"
    fi
}

# obtain NAME: sets $archive; a file already there is verified like a new one.
obtain()
{
    name=$1
    archive=
    grep "^${name}[[:space:]]" "$lock" >"$tmp/places" || die "$name: not in $lock"
    while read -r _ _ sum where; do
        file=$(basename "$where")
        [ -f "$sources/$file" ] || continue
        archive=$sources/$file
        break
    done <"$tmp/places"
    if [ -z "$archive" ]; then
        while read -r _ _ sum where; do
            download "$where" || continue
            file=$(basename "$where")
            archive=$tmp/download
            break
        done <"$tmp/places"
    fi
    [ -n "$archive" ] || die "$name: $(not_had)"
    got=$(sha256_of "$archive")
    if [ "$got" != "$sum" ]; then
        rm -f "$archive"
        die "$file: SHA-256 is $got, $(basename "$lock") says $sum; nothing is kept"
    fi
    [ "$archive" = "$sources/$file" ] || mv "$archive" "$sources/$file"
    archive=$sources/$file
}

unpack()
{
    mkdir -p "$2"
    case $1 in
    *.debian.tar.*) tar -xf "$1" -C "$2" ;;
    *) tar -xf "$1" -C "$2" --strip-components=1 ;;
    esac || die "$(basename "$1"): cannot be unpacked"
}

fetch_one()
{
    rm -rf "$tmp"
    mkdir -p "$tmp"
    if [ -z "$given" ] && [ -d "$included/$1" ]; then
        cp -R "$included/$1" "$tmp/tree"
        chmod -R u+w "$tmp/tree"
        take "$1"
        return
    fi
    obtain "$1"
    unpack "$archive" "$tmp/tree"
    if grep -q "^${1}-patches[[:space:]]" "$lock"; then
        obtain "$1-patches"
        unpack "$archive" "$tmp/patches"
        grep -v '^#' "$tmp/patches/debian/patches/series" >"$tmp/series"
        while read -r patch _; do
            [ -n "$patch" ] || continue
            (cd "$tmp/tree" && patch -p1 <"$tmp/patches/debian/patches/$patch") >"$tmp/log" 2>&1 ||
                die "$1: $patch does not apply"
        done <"$tmp/series"
    fi
    take "$1"
}

take()
{
    rm -rf "${sources:?}/$1"
    mv "$tmp/tree" "$sources/$1"
    rm -rf "$tmp"
}

# Makes that run side by side share the apt state and the sources. Where there is no flock, there is no apt either.
exec 9>"$out/sources/.lock"
if command -v flock >/dev/null 2>&1; then
    flock 9
fi
for name in "$@"; do
    fetch_one "$name"
done
