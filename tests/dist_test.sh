#!/bin/sh
# The source archive of `make dist`: the same bytes everywhere, nothing missing, and a build of it needs a compiler, make and a POSIX
# shell: no network, no package manager, no Kconfig program, and of the usual programs only what BusyBox has.
# DIST_BOARDS are the boards to build (`make test-dist`: all).
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

log=$dir/build.log
boards=${DIST_BOARDS:-mips-malta}
tree=$PWD

if [ ! -e .git ] || ! command -v git >/dev/null; then
    echo "skip: the source archive, which is made from a git repository"
    result "nothing to do" 0
    finish
fi

# ---- the archive ----
# The tree as it is, committed in a repository of the test's own.
repository()
{
    mkdir "$dir/one"
    git ls-files -co --exclude-standard | while read -r file; do [ ! -e "$file" ] || echo "$file"; done >"$dir/files"
    tar -cf - -T "$dir/files" | tar -xf - -C "$dir/one"
    (
        cd "$dir/one" || exit
        GIT_COMMITTER_DATE='@1700000000 +0000' GIT_AUTHOR_DATE='@1700000000 +0000'
        export GIT_COMMITTER_DATE GIT_AUTHOR_DATE
        git init -q && git add -A && git -c user.name=test -c user.email=test@localhost -c commit.gpgsign=false commit -q -m test
    ) && git clone -q "$dir/one" "$dir/two"
}

# dist DIRECTORY VARIABLE…
dist()
{
    repo=$1
    shift
    make -C "$repo" DEPS=none SOURCES_DIR="$tree/out/sources" dist "$@" >"$log" 2>&1
}

for b in $boards; do
    make "-j$(nproc)" BOARD="$b" >"$log" 2>&1
    result "$b: make builds both programs in the tree" $?
done
make sources >"$log" 2>&1 && repository >"$log" 2>&1
result "a repository of the tree as it is" $?

dist "$dir/one"
result "make dist makes an archive" $?
archive=$(echo "$dir"/one/out/nefia-edge-*.tar.xz)
archive=${archive##*/}
(
    umask 077
    LC_ALL=C TZ=Asia/Tokyo XZ_DEFAULTS=-0
    export LC_ALL TZ XZ_DEFAULTS
    dist "$dir/two"
) && cmp "$dir/one/out/$archive" "$dir/two/out/$archive" >"$log" 2>&1
result "another directory, umask, time zone and locale: the same bytes" $?

echo 'not committed' >"$dir/two/new"
rm "$dir/two/out/$archive"
if dist "$dir/two"; then false; else grep -q 'dist: 1 files differ from the commit.*DIRTY=1' "$log" && [ ! -e "$dir/two/out/$archive" ]; fi
result "a tree that differs from its commit is refused" $?
dist "$dir/two" DIRTY=1 && grep -q 'the archive is of no commit' "$log" && tar -tf "$dir/two/out/$archive" >"$log" && grep -q '/new$' "$log"
result "DIRTY=1 packs it as it is" $?
rm -rf "$dir/two"

mkdir "$dir/unpacked"
tar -xf "$dir/one/out/$archive" -C "$dir/unpacked" >"$log" 2>&1
name=${archive%.tar.xz}
source=$dir/unpacked/$name
[ "$(ls "$dir/unpacked")" = "$name" ] && (cd "$source" && find . -type f ! -path './dist/*' | sed 's|^\./||' | sort) >"$dir/packed" &&
    sort "$dir/files" | diff - "$dir/packed" >"$log"
result "it has what is committed, in one directory" $?
for s in bearssl jsmn libyaml musl tre; do
    diff -r "out/sources/$s" "$source/dist/sources/$s"
done >"$log" 2>&1
[ ! -s "$log" ] && [ -z "$(find "$source" -name '*.deb' -o -name '*.tar*')" ]
result "and the third-party sources, unpacked and patched" $?
tar -tvf "$dir/one/out/$archive" | awk '{ print $1, $2 }' | sort -u >"$dir/modes"
printf '%s 0/0\n' -rw-r--r-- -rwxr-xr-x drwxr-xr-x | diff - "$dir/modes" >"$log"
result "modes and owners are those of sources" $?

# ---- the host: BusyBox and a compiler ----
bin=$dir/bin
busybox=$(command -v busybox)
mkdir "$bin"
for applet in $("$busybox" --list); do
    ln -s "$busybox" "$bin/$applet"
done
rm -f "$bin/wget" "$bin/dpkg" "$bin/dpkg-deb" "$bin/ar"
for program in make install gcc cpp as ld ld.bfd ar nm objcopy objdump ranlib readelf strip; do
    ln -sf "$(command -v "$program")" "$bin/$program"
done
for program in /usr/bin/*-linux-gnu*-*; do
    ln -sf "$program" "$bin/"
done

# sealed COMMAND…: on a host without a network and those programs, whose sh is BusyBox's.
cat >"$dir/seal" <<'EOF'
busybox=$1 bin=$2
shift 2
mount --bind "$busybox" "$(readlink -f /bin/sh)" || exit
PATH=$bin exec env -i PATH="$bin" HOME=/nonexistent "$@"
EOF
root=
[ "$(id -u)" -eq 0 ] || root=-r
sealed()
{
    unshare $root -n -m -- sh "$dir/seal" "$busybox" "$bin" "$@" >"$log" 2>&1
}

# Who may not make such a host, builds with the same PATH all the same.
if ! sealed true; then
    echo "skip: a host without a network, whose sh is BusyBox's (unshare -n -m); only PATH is BusyBox's"
    sealed()
    {
        env -i PATH="$bin" HOME=/nonexistent "$@" >"$log" 2>&1
    }
else
    # shellcheck disable=SC2016 # for the other shell
    sealed sh -c 'cmp /bin/sh "$0" && grep -v "^ *lo:" /proc/net/dev | grep ":"' "$busybox"
    [ ! -s "$log" ]
    result "the host has no network, and BusyBox's shell" $?
fi
if sealed which dpkg apt-get dpkg-query kconfig-conf curl wget git python3 perl flock tar; then false; else
    [ "$(cat "$log")" = "$bin/tar" ]
fi
result "the host has no package manager, no Kconfig program and nothing to download with" $?

# build BOARD ARGUMENT…
build()
{
    board=$1
    shift
    sealed make -C "$source" "-j$(nproc)" DEPS=none BOARD="$board" "$@"
}

for b in $boards; do
    build "$b"
    result "$b: the archive builds there" $?
    grep -q "config: there is no Kconfig program: the configuration $b is taken as it came; .* KCONFIG_CONF=" "$log"
    result "$b: with the configuration that came with it, which is said" $?
    for program in nefia nefia-beacon; do
        cmp "out/$b/$program" "$source/out/$b/$program" >"$log" 2>&1
        result "$b: $program is that of the tree, byte for byte" $?
    done
done

# ---- more of that host ----
b=${boards%% *}
build "$b" olddefconfig && build "$b" install INIT=sysv DOCS=y PREFIX=/usr DESTDIR="$dir/root"
result "make olddefconfig and make install work there" $?
[ -x "$dir/root/usr/sbin/nefia" ] && [ -x "$dir/root/etc/init.d/S95nefia-beacon" ] && [ -s "$dir/root/etc/nefia/nefia.yaml.example" ] &&
    [ -s "$dir/root/usr/share/doc/nefia-edge/LICENSE.jsmn" ] && [ -s "$dir/root/usr/share/doc/nefia-edge/README.md" ] &&
    [ -s "$dir/root/usr/share/doc/nefia-edge/docs/building.md" ]
result "programs, init scripts, example and docs are installed" $?
build "$b" CONFIG=minimal "out/$b-minimal/gen/autoconf.h" &&
    ! grep -q CONFIG_YAML "$source/out/$b-minimal/gen/autoconf.h" && grep -q 'CONFIG_PROFILE_MINIMAL 1' "$source/out/$b-minimal/gen/autoconf.h"
result "the profiles are there, too" $?
if build "$b" CONFIG=allno; then false; else grep -q 'needs a Kconfig program.*kconfig-frontends.*KCONFIG_CONF=' "$log"; fi
result "other features need a Kconfig program, which is named" $?
printf '# CONFIG_IPV6 is not set\n' >"$dir/mine.config"
if build "$b" CONFIG="$dir/mine.config"; then false; else grep -q 'needs a Kconfig program' "$log"; fi
result "so does a configuration of one's own" $?
sed -i 's/^CONFIG_RATE_MAX=.*/CONFIG_RATE_MAX=77/' "$source/out/$b/.config"
if build "$b"; then false; else grep -q 'needs a Kconfig program' "$log"; fi
result "and one that was edited" $?

# ---- inside another build with a Kconfig of its own ----
# Buildroot's program looks for the configuration in BR2_CONFIG, and its symbols begin with nothing.
mkdir "$dir/around"
cat >"$dir/conf" <<'EOF'
#!/bin/sh
echo "${CONFIG_-}" >>"$AROUND.prefix"
export KCONFIG_CONFIG="${BR2_CONFIG-.config}"
exec kconfig-conf "$@"
EOF
chmod +x "$dir/conf"
echo BR2_around=y >"$dir/around/.config"
AROUND=$dir/around BR2_CONFIG=$dir/around/.config KCONFIG_CONFIG=$dir/around/.config CONFIG_=BR2_ KCONFIG_AUTOHEADER=$dir/around/a.h \
    KCONFIG_AUTOCONFIG=$dir/around/a.conf make -C "$source" DEPS=none KCONFIG_CONF="$dir/conf" BOARD=arm-virt CONFIG=device \
    olddefconfig out/arm-virt-device/gen/auto.conf >"$log" 2>&1 &&
    grep '^CONFIG_\|^# CONFIG_.* is not set$' "$source/out/arm-virt-device/.config" |
    diff "$source/dist/configs/arm-virt-device.config" - >>"$log"
result "Buildroot's Kconfig program makes the configuration that came with the archive" $?
[ "$(ls -A "$dir/around")" = .config ] && [ "$(cat "$dir/around/.config")" = BR2_around=y ] && [ "$(sort -u "$dir/around.prefix")" = CONFIG_ ]
result "and the configuration of the build around is not touched" $?

finish
