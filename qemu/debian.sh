#!/bin/sh
# Unpack Debian packages of another architecture without installing them.
#
#   qemu/debian.sh ARCH DIR PACKAGE…       download, unpack into DIR
#   qemu/debian.sh ARCH newest REGEX       print the newest package name that matches
#
# The state is private (out/apt-ARCH): the system's apt configuration is read, never written.
# The sources are those of this machine, limited to its own Debian release; apt verifies them.
set -eu

die() { echo "debian.sh: $*" >&2; exit 1; }

[ $# -ge 3 ] || die "usage: debian.sh ARCH DIR PACKAGE… | debian.sh ARCH newest REGEX"
arch=$1 what=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
state=$root/out/apt-$arch

sources() {
    # shellcheck disable=SC1091
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016  # the $(…) are apt's own
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v c="$codename" '$2 == c { print "deb", $1, $2, $3 }' |
        sort -u
}

privately() {
    tool=$1
    shift
    "$tool" -q -o APT::Architecture="$arch" -o APT::Architectures::="$arch" \
        -o APT::Architectures="$arch" -o Dir::State="$state" -o Dir::State::lists="$state/lists" \
        -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferencesparts=/dev/null -o Acquire::Languages=none \
        -o Acquire::Retries=5 -o Acquire::http::Timeout=120 \
        -o Acquire::https::Timeout=120 -o APT::Sandbox::User=root "$@"
}

# One update a state; a failed one leaves no mark, so that the next call tries again.
refresh() {
    [ -e "$state/fresh" ] && return
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    : >"$state/status"
    sources >"$state/sources.list"
    [ -s "$state/sources.list" ] || die "this machine's apt has no source for its own release"
    privately apt-get --error-on=any update >"$state/update.log" 2>&1 ||
        { cat "$state/update.log" >&2; die "cannot read the package lists for $arch"; }
    : >"$state/fresh"
}

newest() {
    privately apt-cache pkgnames linux- | grep -Ex "$1" | sort -V | tail -n 1 | grep . ||
        die "no package matches $1 on $arch"
}

unpack() {
    dest=$1
    shift
    rm -rf "$state/take"
    mkdir -p "$state/take" "$dest"
    for package; do
        (cd "$state/take" && privately apt-get download "$package") >"$state/download.log" 2>&1 ||
            { cat "$state/download.log" >&2; rm -f "$state/fresh"; die "cannot download $package"; }
    done
    for deb in "$state"/take/*.deb; do
        dpkg-deb -x "$deb" "$dest"
    done
    rm -rf "$state/take"
}

refresh
case $what in
newest) newest "$1" ;;
*) unpack "$what" "$@" ;;
esac
