#!/bin/sh
# The whole system on riscv64-virt: see scenario.sh.
exec "$(dirname "$0")/scenario.sh" riscv64-virt
