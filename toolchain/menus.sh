#!/bin/sh
# The features that Kconfig offers, as menus of OpenWrt and of Buildroot: the same symbols with a prefix, prompts, defaults and helps.
#
#   menus.sh            write them where those build systems look
#   menus.sh openwrt    print that of OpenWrt; likewise buildroot
set -eu

cd "$(dirname "$0")/.."

openwrt()
{
    awk -f toolchain/menus.awk -v prefix=NEFIA_ -v beacon=PACKAGE_nefia-beacon -v hub=PACKAGE_nefia-hub
}

buildroot()
{
    awk -f toolchain/menus.awk -v prefix=BR2_PACKAGE_NEFIA_EDGE_ \
        -v beacon=BR2_PACKAGE_NEFIA_EDGE_BEACON -v hub=BR2_PACKAGE_NEFIA_EDGE_HUB
}

# write MENU FILE
write()
{
    mkdir -p "$(dirname "$2")"
    "$1" >"$2.new" || { rm -f "$2.new"; exit 1; }
    mv "$2.new" "$2"
}

case ${1-} in
'')
    write openwrt board/openwrt/nefia/Config.in
    write buildroot board/buildroot/package/nefia-edge/Config.features.in
    ;;
openwrt | buildroot) "$1" ;;
*) echo "usage: menus.sh [openwrt|buildroot]" >&2; exit 2 ;;
esac
