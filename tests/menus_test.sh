#!/bin/sh
# The menus of OpenWrt and Buildroot offer what ours does: the same symbols, which take the same values.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

log=$dir/menus.log
openwrt=board/openwrt/nefia/Config.in
buildroot=board/buildroot/package/nefia-edge/Config.features.in

# ---- they are made from Kconfig, and were ----
for menu in "$openwrt" "$buildroot"; do
    system=${menu#board/}
    toolchain/menus.sh "${system%%/*}" 2>"$log" | diff "$menu" - >>"$log"
    result "$menu is what toolchain/menus.sh makes of Kconfig; it writes both" $?
done
if command -v busybox >/dev/null; then
    mkdir "$dir/bin"
    ln -s "$(command -v busybox)" "$dir/bin/awk"
    PATH=$dir/bin:$PATH toolchain/menus.sh openwrt 2>"$log" | diff "$openwrt" - >>"$log"
    result "BusyBox's awk makes the same" $?
fi
mkdir "$dir/tree"
cp -R Kconfig src toolchain "$dir/tree"
printf '\tdefault y if NO_SUCH_SYMBOL\n' >>"$dir/tree/Kconfig"
if "$dir/tree/toolchain/menus.sh" openwrt >"$dir/out" 2>"$log"; then false; else grep -q 'no symbol NO_SUCH_SYMBOL' "$log"; fi
result "a symbol that Kconfig does not have is named" $?

# ---- they take the same values ----
# The rest of a build system: its packages are chosen.
cat >"$dir/openwrt.in" <<END
config PACKAGE_nefia-beacon
	def_bool y
config PACKAGE_nefia-hub
	def_bool y
source "$PWD/$openwrt"
END
cat >"$dir/buildroot.in" <<END
config BR2_PACKAGE_NEFIA_EDGE_BEACON
	def_bool y
config BR2_PACKAGE_NEFIA_EDGE_HUB
	def_bool y
source "$PWD/$buildroot"
END

# conf DIRECTORY MENU OPTION: a Kconfig program makes DIRECTORY/.config. Buildroot's options have no CONFIG_ before them.
conf()
{
    mkdir -p "$1"
    prefix=CONFIG_
    [ "$2" != "$dir/buildroot.in" ] || prefix=
    (cd "$1" && srctree=$top CONFIG_=$prefix KCONFIG_CONFIG=.config "${KCONFIG_CONF:-kconfig-conf}" "$3" "$2") >"$1/conf.log" 2>&1 &&
        ! grep warning "$1/conf.log" >"$log"
}
top=$PWD

# values DIRECTORY PREFIX: what each symbol is there, without PREFIX, sorted; the packages left out.
values()
{
    sed -n "s/^$2\([A-Z0-9_]*=.*\)/\1/p; s/^# $2\([A-Z0-9_]*\) is not set\$/\1=n/p" "$1/.config" | grep -v '^BEACON=\|^HUB=' | sort
}

# same NAME: three configurations have the same values.
same()
{
    values "$dir/ours" CONFIG_ >"$dir/ours.values"
    values "$dir/openwrt" CONFIG_NEFIA_ | diff "$dir/ours.values" - >"$log" &&
        values "$dir/buildroot" BR2_PACKAGE_NEFIA_EDGE_ | diff "$dir/ours.values" - >"$log" &&
        [ "$(wc -l <"$dir/ours.values")" -gt 50 ]
    result "$1: every symbol has the same value in all three" $?
}

for choice in allnoconfig allyesconfig alldefconfig; do
    conf "$dir/ours" Kconfig --$choice && conf "$dir/openwrt" "$dir/openwrt.in" --$choice &&
        conf "$dir/buildroot" "$dir/buildroot.in" --$choice
    result "$choice: the menus are read without a warning" $?
    same $choice
done

# given NAME: what the configuration of DIRECTORY ours says, said to the other two.
given()
{
    sed -n 's/^\(# \)\{0,1\}CONFIG_/\1CONFIG_NEFIA_/p' "$dir/ours/.config" >"$dir/openwrt/.config"
    sed -n 's/^\(# \)\{0,1\}CONFIG_/\1BR2_PACKAGE_NEFIA_EDGE_/p' "$dir/ours/.config" >"$dir/buildroot/.config"
    conf "$dir/openwrt" "$dir/openwrt.in" --olddefconfig && conf "$dir/buildroot" "$dir/buildroot.in" --olddefconfig
    result "$1: the other menus take it" $?
    same "$1"
}

profiles=$(sed -n 's/^config PROFILE_//p' Kconfig)
for profile in $profiles; do
    echo "CONFIG_PROFILE_$profile=y" >"$dir/ours/.config"
    cp "$dir/ours/.config" "$dir/profile"
    conf "$dir/ours" Kconfig --olddefconfig
    sed 's/CONFIG_/CONFIG_NEFIA_/' "$dir/profile" >"$dir/openwrt/.config"
    sed 's/CONFIG_/BR2_PACKAGE_NEFIA_EDGE_/' "$dir/profile" >"$dir/buildroot/.config"
    conf "$dir/openwrt" "$dir/openwrt.in" --olddefconfig && conf "$dir/buildroot" "$dir/buildroot.in" --olddefconfig
    same "profile $profile"
done

# RANDOM_SEED tries others.
for seed in 1 2 3 4 5; do
    seed=$((${RANDOM_SEED:-0} + seed))
    KCONFIG_SEED=$seed conf "$dir/ours" Kconfig --randconfig
    given "random configuration $seed"
done

# ---- a program that is not chosen shows nothing of its own ----
sed -i '/nefia-hub/,/def_bool/s/def_bool y/def_bool n/' "$dir/openwrt.in"
conf "$dir/openwrt" "$dir/openwrt.in" --allyesconfig && values "$dir/openwrt" CONFIG_NEFIA_ >"$dir/values"
grep -q '^SENSOR_DISK=y' "$dir/values" && grep -q '^IPV6=y' "$dir/values" && ! grep '^HUB_AUDIT=\|^ACTION_EXEC=\|^CONNECTIONS=' "$dir/values" >"$log"
result "OpenWrt's beacon alone: no features of the hub" $?
sed -i '/_BEACON/,/def_bool/s/def_bool y/def_bool n/' "$dir/buildroot.in"
conf "$dir/buildroot" "$dir/buildroot.in" --allyesconfig && values "$dir/buildroot" BR2_PACKAGE_NEFIA_EDGE_ >"$dir/values"
grep -q '^HUB_AUDIT=y' "$dir/values" && grep -q '^IPV6=y' "$dir/values" && ! grep '^SENSOR_DISK=\|^REMOTE_EXEC=\|^SPOOL_KB=' "$dir/values" >"$log"
result "Buildroot's hub alone: no features of the beacon" $?

finish
