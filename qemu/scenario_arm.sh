#!/bin/sh
# The whole system on arm-virt: see scenario.sh.
exec "$(dirname "$0")/scenario.sh" arm-virt
