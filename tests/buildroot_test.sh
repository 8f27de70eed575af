#!/bin/sh
# board/buildroot: what Buildroot asks of a package's files, and what its commands build and install, by a double of its package
# infrastructure (tests/buildroot/Makefile). With BUILDROOT=DIRECTORY, a tree of Buildroot, by Buildroot itself: its check-package, and the
# package built by arm-virt's configuration, or by that of the build directory BUILDROOT_OUTPUT.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
. tests/sdk.sh

log=$dir/buildroot.log
external=$PWD/board/buildroot
package=board/buildroot/package/nefia-edge
version=$(sed -n 's/^VERSION := //p' Makefile)

# ---- the files ----
# style KIND FILE…
style()
{
    kind=$1
    shift
    for file in "$@"; do
        awk -v KIND="$kind" -f tests/buildroot/style.awk "$file" >"$log" && [ ! -x "$file" ] && [ -z "$(tail -c 1 "$file")" ]
        result "$file is written as Buildroot wants it" $?
    done
}
style config board/buildroot/Config.in $package/Config.in $package/Config.features.in
style mk $package/nefia-edge.mk
style hash $package/nefia-edge.hash
style defconfig board/buildroot/configs/nefia_*_defconfig
style sysv rootfs-overlay/etc/init.d/S9*
shellcheck rootfs-overlay/etc/init.d/S9* >"$log"
result "shellcheck finds nothing in the init scripts" $?

# A rule that finds nothing may look at nothing: each of these lines is a fault.
faulty()
{
    printf '%b' "$2" >"$dir/S50faulty"
    ! awk -v KIND="$1" -f tests/buildroot/style.awk "$dir/S50faulty" >"$log"
    result "a fault is found: $3" $?
}
long=$(printf '%063d' 0)
for fault in 'mk|FOO = 1\n|another header' 'config|config A\n\tselect B\n\tbool "a"\n|attributes in another order' \
    'config|config A\n\thelp\n\t  '"$long"'\n|a long line of help' 'hash|sha256 12 x\n|a short hash' 'defconfig|BR2_arm=y\n|unchecked downloads' \
    'sysv|DAEMON="other"\n|a script of another name' 'sysv|DAEMON="faulty"\nPIDFILE=/run/x\n|another pid file'; do
    rest=${fault#*|}
    faulty "${fault%%|*}" "${rest%|*}" "${rest##*|}"
done

grep -qx "NEFIA_EDGE_VERSION = $version" $package/nefia-edge.mk
result "the package has the version of this tree" $?
grep -qx "sha256  $(sha256sum LICENSE | cut -d ' ' -f 1)  LICENSE" $package/nefia-edge.hash
result "the hash of LICENSE is the one of this tree" $?
for board in arm-virt aarch64-virt mipsel-malta mips-malta x86-64; do
    defconfig=board/buildroot/configs/nefia_${board}_defconfig
    grep -qx 'BR2_PACKAGE_NEFIA_EDGE=y' "$defconfig" && grep -qx 'BR2_TOOLCHAIN_BUILDROOT_MUSL=y' "$defconfig" &&
        sed -n 's/^\(# \)\{0,1\}\(BR2_PACKAGE_NEFIA_EDGE[A-Z_]*\).*/\2/p' "$defconfig" >"$dir/symbols" &&
        sed -n 's/^\(menu\)\{0,1\}config //p' $package/Config.in $package/Config.features.in | grep -vxF -f - "$dir/symbols" >"$log"
    [ $? -eq 1 ]
    result "nefia_${board}_defconfig names symbols that there are" $?
done

# ---- Buildroot's configuration, by the menus ----
cat >"$dir/Config.in" <<END
config BR2_EXTERNAL_NEFIA_PATH
	string
	option env="BR2_EXTERNAL_NEFIA_PATH"
config BR2_TOOLCHAIN_USES_MUSL
	bool "musl"
config BR2_TOOLCHAIN_USES_GLIBC
	bool "glibc"
config BR2_INIT_BUSYBOX
	bool "BusyBox"
config BR2_INIT_SYSTEMD
	bool "systemd"
source "$external/Config.in"
END
conf=${KCONFIG_CONF:-kconfig-conf}

# configure LINE…: Buildroot's .config of these lines.
configure()
{
    printf '%s\n' "$@" >"$dir/.config"
    (cd "$dir" && BR2_EXTERNAL_NEFIA_PATH=$external CONFIG_='' KCONFIG_CONFIG=.config "$conf" --olddefconfig Config.in) >"$log" 2>&1 &&
        ! grep -i 'warning\|error' "$log"
}
configure BR2_TOOLCHAIN_USES_MUSL=y BR2_PACKAGE_NEFIA_EDGE=y && grep -qx BR2_PACKAGE_NEFIA_EDGE_BEACON=y "$dir/.config" &&
    grep -qx BR2_PACKAGE_NEFIA_EDGE_SENSOR_DISK=y "$dir/.config" && ! grep NEFIA_EDGE_ACTION_EXEC "$dir/.config" >>"$log"
result "the menu: a beacon, without a question about the hub" $?
configure BR2_PACKAGE_NEFIA_EDGE=y && ! grep NEFIA_EDGE=y "$dir/.config" >>"$log"
result "the menu: with another C library than musl or glibc there is no such package" $?

# ---- what its commands do ----
# As Buildroot's own: it takes the configuration's name from BR2_CONFIG alone, and its symbols have no CONFIG_ before them.
mkdir -p "$dir/build/buildroot-config"
cat >"$dir/build/buildroot-config/conf" <<END
#!/bin/sh
[ -z "\${BR2_CONFIG:-}" ] || KCONFIG_CONFIG=\$BR2_CONFIG
CONFIG_=\${CONFIG_-} export CONFIG_ KCONFIG_CONFIG
exec $conf "\$@"
END
chmod +x "$dir/build/buildroot-config/conf"

# double TARGET…: make as Buildroot's would.
double()
{
    make --no-print-directory -f "$PWD/tests/buildroot/Makefile" -C "$dir" "-j$(nproc)" BR2_CONFIG="$dir/.config" \
        BR2_EXTERNAL_NEFIA_PATH="$external" BUILD_DIR="$dir/build" TARGET_DIR="$dir/target" TARGET_CROSS=arm-sdk-linux-musleabihf- "$@"
}

# installed: what is in the target directory, with its mode.
installed()
{
    (cd "$dir/target" && find . -type f -printf '%m %p\n' | LC_ALL=C sort -k 2)
}

users_and_modes()
{
    double users | grep -qx '	nefia -1 nefia -1 \* - - - daemons of nefia-edge' &&
        double permissions | grep -qx '	/etc/nefia d 750 root nefia - - - - -'
}

builds()
{
    PATH=$PWD/out/buildroot-test/sdk:$PATH
    mkdir "$dir/etc"
    printf 'beacons: {reactor: 127.0.0.1}\n' >"$dir/etc/nefia.yaml"
    echo 0123456789abcdef0123456789abcdef >"$dir/etc/hmac.key"
    chmod 644 "$dir"/etc/*
    # Linking takes longest, and is the same with optimization.
    configure BR2_TOOLCHAIN_USES_MUSL=y BR2_INIT_BUSYBOX=y BR2_PACKAGE_NEFIA_EDGE=y BR2_PACKAGE_NEFIA_EDGE_HUB=y \
        BR2_PACKAGE_NEFIA_EDGE_PROFILE_SENSORS=y '# BR2_PACKAGE_NEFIA_EDGE_LTO is not set' BR2_PACKAGE_NEFIA_EDGE_DISK_PATHS=7 \
        '# BR2_PACKAGE_NEFIA_EDGE_SENSOR_HONEYPOT is not set' BR2_PACKAGE_NEFIA_EDGE_HUB_AUDIT=y BR2_PACKAGE_NEFIA_EDGE_HUB_STATE=y \
        "BR2_PACKAGE_NEFIA_EDGE_CONFIGURATION=\"$dir/etc\""
    cp "$dir/.config" "$dir/before"
    double NEFIA_EDGE_OVERRIDE_SRCDIR="$PWD" >"$log" 2>&1
    result "a tree builds and installs" $?
    built=$dir/build/nefia-edge-custom
    ! grep 'is not a symbol of this tree' "$log" && cmp "$dir/before" "$dir/.config" >>"$log" 2>&1
    result "Buildroot's own configuration is left alone" $?
    # What the menu says is what is built.
    sed -n 's/^\(# \)\{0,1\}BR2_PACKAGE_NEFIA_EDGE_/\1CONFIG_/p' "$dir/.config" | grep -v 'CONFIG_\(BEACON\|HUB\|SITE\|CONFIGURATION\)[= ]' |
        sort >"$dir/asked"
    grep 'CONFIG_.*\(=\|is not set\)' "$built/out/foreign-buildroot/.config" | sort | diff "$dir/asked" - >"$log" &&
        grep -qx CONFIG_DISK_PATHS=7 "$dir/asked"
    result "the programs have the features of the menu, all of them and no others" $?
    installed >"$dir/out"
    diff - "$dir/out" >"$log" <<'END'
755 ./etc/init.d/S95nefia-beacon
755 ./etc/init.d/S96nefia-reactor
640 ./etc/nefia/hmac.key
640 ./etc/nefia/nefia.yaml
644 ./etc/nefia/nefia.yaml.example
644 ./etc/nefia/router.yaml.example
755 ./usr/sbin/nefia
755 ./usr/sbin/nefia-beacon
644 ./usr/share/doc/nefia-edge/LICENSE
644 ./usr/share/doc/nefia-edge/LICENSE.bearssl
644 ./usr/share/doc/nefia-edge/LICENSE.jsmn
644 ./usr/share/doc/nefia-edge/LICENSE.tre
END
    result "what is installed is what the list says" $?
    arm-linux-gnueabihf-readelf -hW "$dir/target/usr/sbin/nefia-beacon" >"$log" 2>&1 && grep -q 'Machine: *ARM' "$log"
    result "the programs are of the device's processor" $?
    if command -v qemu-arm >/dev/null; then
        qemu-arm "$dir/target/usr/sbin/nefia-beacon" --version >"$log" 2>&1 && grep -q "$version" "$log" && ! grep -q honeypot "$log" &&
            qemu-arm "$dir/target/usr/sbin/nefia-beacon" check -c "$dir/target/etc/nefia/nefia.yaml" >>"$log" 2>&1
        result "they run, and take the configuration that was installed" $?
    else
        echo "skip: running what was built for ARM (qemu-arm)"
    fi
    # The same build, installed another way.
    rm -rf "$dir/target"
    sed -i -e 's/^BR2_INIT_BUSYBOX=y/BR2_INIT_SYSTEMD=y/' -e 's/^BR2_PACKAGE_NEFIA_EDGE_HUB=y//' \
        -e "s|^\\(BR2_PACKAGE_NEFIA_EDGE_CONFIGURATION=\\).*|\\1\"$dir/etc/nefia.yaml\"|" "$dir/.config"
    rm "$built/.stamp_target_installed"
    double NEFIA_EDGE_OVERRIDE_SRCDIR="$PWD" >"$log" 2>&1 && installed | grep -v /doc/ >"$dir/out"
    diff - "$dir/out" >>"$log" <<'END'
640 ./etc/nefia/nefia.yaml
644 ./etc/nefia/nefia.yaml.example
644 ./etc/nefia/router.yaml.example
644 ./usr/lib/systemd/system/nefia-beacon.service
755 ./usr/sbin/nefia-beacon
END
    result "a beacon alone, under systemd, with a single file as its configuration" $?
    users_and_modes >"$log" 2>&1
    result "it has a user, and a directory that this user may read" $?
}

# The archive is unpacked, and has what the package's commands need; that it builds is what `make test-dist` shows.
from_archive()
{
    rm -rf "$dir/build/nefia-edge-$version"
    configure BR2_TOOLCHAIN_USES_MUSL=y BR2_PACKAGE_NEFIA_EDGE=y "BR2_PACKAGE_NEFIA_EDGE_SITE=\"file://$PWD/out\""
    double "$dir/build/nefia-edge-$version/.stamp_configured" >"$log" 2>&1 &&
        [ -e "$dir/build/nefia-edge-$version/Makefile" ] && [ -s "$dir/build/nefia-edge-$version/buildroot.config" ]
    result "the source archive is unpacked and configured" $?
}

if ! command -v rsync >/dev/null; then
    echo "skip: what the package's commands build from a tree (rsync)"
elif ! sdk "$PWD/out/buildroot-test/sdk" "$PWD/out/arm-virt/sysroot"; then
    echo "skip: what the package's commands build, with a cross compiler that is made from the build of arm-virt"
else
    builds
fi
if [ -e "out/nefia-edge-$version.tar.xz" ]; then
    from_archive
else
    echo "skip: the source archive, which \`make dist\` makes"
fi

# ---- Buildroot itself ----
if [ -n "${BUILDROOT:-}" ]; then
    # check-package tells a file's kind by its name.
    find "$external" rootfs-overlay/etc/init.d/S9* -type f -exec "$BUILDROOT/utils/check-package" -b {} + >"$log" 2>&1
    result "check-package has no warning" $?
    output=${BUILDROOT_OUTPUT:-$PWD/out/buildroot}
    {
        [ -e "$output/.config" ] || make -C "$BUILDROOT" O="$output" BR2_EXTERNAL="$external" nefia_arm-virt_defconfig
    } >"$log" 2>&1 &&
        { [ -e "out/nefia-edge-$version.tar.xz" ] || make dist; } >>"$log" 2>&1 &&
        make -C "$output" nefia-edge >>"$log" 2>&1
    result "Buildroot builds the package" $?
else
    echo "skip: Buildroot's own check-package and build (BUILDROOT=DIRECTORY)"
fi

finish
