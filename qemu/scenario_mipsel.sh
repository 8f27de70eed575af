#!/bin/sh
# The whole system on mipsel-malta: see scenario.sh.
exec "$(dirname "$0")/scenario.sh" mipsel-malta
