#!/bin/sh
# Fetch, verify, unpack and patch pinned third-party sources.
#
#   toolchain/fetch.sh [-l LOCK] [-o OUT] [-d DIR] [-n] NAME…
#
# Leaves OUT/sources/NAME (a directory) for each NAME, or prints one line that says what is wrong,
# exits 1 and leaves nothing of that name behind.  Debian's archive is reached through a private apt
# state in OUT/apt: no root, nothing of the machine's own state is changed.
#   -d DIR   the files are in DIR, under the names that the lock gives them: no network is used
#   -n       Debian's archive is not used, only what is there and what upstream serves
set -eu
umask 022

lock=$(dirname "$0")/sources.lock
out=out
given=
archive_of_debian=yes
while getopts l:o:d:n opt; do
    case $opt in
    l) lock=$OPTARG ;;
    o) out=$OPTARG ;;
    d) given=$OPTARG ;;
    n) archive_of_debian=no ;;
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
    sha256sum "$1" | cut -d ' ' -f 1
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

# from_debian VERB PACKAGE=VERSION PATTERN FILE: a list that has grown old is renewed once.
from_debian()
{
    apt_ready || return 1
    mkdir -p "$tmp/apt"
    case $1 in
    source) set -- "$2" "$3" "$4" source --download-only --only-source ;;
    download) set -- "$2" "$3" "$4" download ;;
    esac
    pkg=$1 pattern=$2 file=$3
    shift 3
    apt_get "$tmp/apt" "$@" "$pkg" ||
        { apt_ready again && apt_get "$tmp/apt" "$@" "$pkg"; } || return 1
    for got in "$tmp/apt"/$pattern; do
        [ -f "$got" ] && mv "$got" "$file" && return 0
    done
    return 1
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

# from_given NAME FILE: a binary package of Debian may have its architecture in its name.
from_given()
{
    for got in "$given/$1" "$given/${1%.deb}"_*.deb; do
        [ -f "$got" ] && cp "$got" "$2" && return 0
    done
    return 1
}

# Get one place's file into $tmp/download; fails when the place cannot be reached.
download()
{
    rm -f "$tmp/download"
    if [ -n "$given" ]; then
        from_given "$(file_of "$1")" "$tmp/download"
        return
    fi
    case $archive_of_debian:$1 in
    no:deb:* | no:deb-src:*) return 1 ;;
    esac
    case $1 in
    deb-src:*)
        spec=${1#deb-src:}
        from_debian source "${spec%%/*}" "${spec#*/}" "$tmp/download" ;;
    deb:*)
        spec=${1#deb:}
        from_debian download "$spec" "${spec%%=*}_*.deb" "$tmp/download" ;;
    file:*) cp "${1#file:}" "$tmp/download" 2>/dev/null ;;
    *) from_url "$1" "$tmp/download" ;;
    esac
}

file_of()
{
    case $1 in
    deb:*) echo "$1" | sed 's/^deb://; s/=/_/; s/$/.deb/' ;;
    *) basename "$1" ;;
    esac
}

# Why a source could not be had, and what to do about it; $tmp/places are where it is served.
not_had()
{
    wanted=$(while read -r _ _ _ where; do file_of "$where"; done <"$tmp/places" | sort -u | tr '\n' ' ')
    wanted=$(echo "${wanted% }" | sed 's/ / or /g')
    if [ -n "$given" ]; then
        echo "$given has no $wanted"
    elif [ $archive_of_debian = no ]; then
        echo "put $wanted into $sources, or name a directory that has it with SOURCES_DIR=" \
            "(\`make sources\` on a Debian machine fetches all of them)"
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
        file=$(file_of "$where")
        [ -f "$sources/$file" ] || continue
        archive=$sources/$file
        break
    done <"$tmp/places"
    if [ -z "$archive" ]; then
        while read -r _ _ sum where; do
            download "$where" || continue
            file=$(file_of "$where")
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

# Without Debian's own program: a package is an ar archive with a tar archive in it.
unpack_deb()
{
    if command -v dpkg-deb >/dev/null 2>&1; then
        dpkg-deb -x "$1" "$2"
        return
    fi
    member=$(ar t "$1" | grep '^data\.tar') || return 1
    ar p "$1" "$member" >"$tmp/$member" && tar -xf "$tmp/$member" -C "$2"
}

unpack()
{
    mkdir -p "$2"
    case $1 in
    *.deb) unpack_deb "$1" "$2" ;;
    *.debian.tar.*) tar -xf "$1" -C "$2" ;;
    *) tar -xf "$1" -C "$2" --strip-components=1 ;;
    esac || die "$(basename "$1"): cannot be unpacked"
}

fetch_one()
{
    rm -rf "$tmp"
    mkdir -p "$tmp"
    obtain "$1"
    unpack "$archive" "$tmp/tree"
    if grep -q "^${1}-patches[[:space:]]" "$lock"; then
        obtain "$1-patches"
        unpack "$archive" "$tmp/patches"
        grep -v '^#' "$tmp/patches/debian/patches/series" >"$tmp/series"
        while read -r patch _; do
            [ -n "$patch" ] || continue
            patch -s -p1 -d "$tmp/tree" <"$tmp/patches/debian/patches/$patch" ||
                die "$1: $patch does not apply"
        done <"$tmp/series"
    fi
    rm -rf "${sources:?}/$1"
    mv "$tmp/tree" "$sources/$1"
    rm -rf "$tmp"
}

# Makes that run side by side share the apt state and the sources.
exec 9>"$out/sources/.lock"
flock 9
for name in "$@"; do
    fetch_one "$name"
done
