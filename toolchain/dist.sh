#!/bin/sh
# The source archive that needs nothing else: the tree as it is committed, the third-party sources, verified and patched
# (dist/sources), and what Kconfig makes of each board's configurations (dist/configs).
#
#   dist.sh VERSION OUT NAME…    OUT/sources has the archives of the third-party NAMES; OUT gets nefia-edge-VERSION.tar.xz
#
# The same commit gives the same bytes, wherever and whenever: sorted names, fixed owner and modes, the times of the commit
# (SOURCE_DATE_EPOCH of the environment instead), one thread of xz. Other versions of xz and of the Kconfig program may give others.
# DIRTY=1 of the environment packs a tree that differs from its commit, as it is. KCONFIG_CONF is the Kconfig program.
set -eu
umask 022
cd "$(dirname "$0")/.."

version=$1
out=$(cd "$2" && pwd)
shift 2
name=nefia-edge-$version
work=$out/.dist.$$
stage=$work/$name
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

die()
{
    echo "dist: $*" >&2
    exit 1
}

# GNU's options make the archive the same everywhere.
gnu_tar()
{
    for tar in tar gtar; do
        "$tar" --version 2>/dev/null | grep -q GNU && return 0
    done
    die "needs GNU tar"
}

# Sets $tree: what git is to pack.
choose_tree()
{
    [ -e .git ] || die "this is no git repository; an archive is made from one"
    different=$(git status --porcelain | wc -l)
    tree=HEAD
    [ "$different" -gt 0 ] || return 0
    [ "${DIRTY:-}" = 1 ] ||
        die "$((different)) files differ from the commit (\`git status\` names them): commit them, or pack the tree as it is with DIRTY=1"
    echo "dist: $((different)) files differ from the commit; the archive is of no commit" >&2
    GIT_INDEX_FILE=$work/index
    export GIT_INDEX_FILE
    git read-tree HEAD
    git add -A
    tree=$(git write-tree)
    unset GIT_INDEX_FILE
}

# A user's settings of git are not to change what is packed.
our_files()
{
    git -c core.autocrlf=false -c core.eol=lf -c core.attributesFile=/dev/null archive --format=tar -o "$work/tree.tar" "$tree"
    "$tar" -xf "$work/tree.tar" -C "$stage"
}

# Unpacked anew: nobody has changed anything in them.
third_party()
{
    toolchain/fetch.sh -o "$work" -d "$out/sources" "$@"
    mkdir -p "$stage/dist/sources"
    for source in "$@"; do
        mv "$work/sources/$source" "$stage/dist/sources"
    done
}

# resolve NAME DEFCONFIG [FRAGMENT]: into $work/configs, the symbols alone.
resolve()
{
    as=$1
    shift
    (cd "$stage" && toolchain/config.sh seed "$work/config" "$@" && toolchain/config.sh old "$work/config")
    grep '^CONFIG_\|^# CONFIG_.* is not set$' "$work/config/.config" >"$work/configs/$as.config"
    rm -rf "$work/config"
}

configurations()
{
    case ${KCONFIG_CONF:-} in
    /*) ;;
    */*) KCONFIG_CONF=$PWD/$KCONFIG_CONF ;;
    esac
    mkdir "$work/configs"
    for defconfig in board/*/defconfig; do
        board=$(basename "$(dirname "$defconfig")")
        resolve "$board" "$defconfig"
        for fragment in "board/$board"/*.config board/profiles/*.config; do
            [ -e "$fragment" ] || continue
            resolve "$board-$(basename "$fragment" .config)" "$defconfig" "$fragment"
        done
    done
    mv "$work/configs" "$stage/dist"
}

gnu_tar
mkdir -p "$stage"
choose_tree
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct HEAD)}"
our_files
third_party "$@"
configurations
LC_ALL=C "$tar" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --hard-dereference --mode=u+rwX,go+rX,go-w \
    --mtime="@$SOURCE_DATE_EPOCH" -C "$work" -cf "$work/$name.tar" "$name"
XZ_DEFAULTS='' XZ_OPT='' xz -T1 -6 "$work/$name.tar"
mv "$work/$name.tar.xz" "$out/$name.tar.xz"
(cd "$out" && sha256sum "$name.tar.xz")
