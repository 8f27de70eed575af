#!/bin/sh
# The whole system on mips-malta: see scenario.sh.
exec "$(dirname "$0")/scenario.sh" mips-malta
