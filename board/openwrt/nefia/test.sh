#!/bin/sh
# What OpenWrt's build of packages runs on an installed one: test.sh PACKAGE VERSION.

case "$1" in
nefia-beacon) nefia-beacon --version | grep -F "$2" ;;
nefia-hub) nefia --version | grep -F "$2" ;;
*) exit 1 ;;
esac
