#!/bin/sh
# The whole system on ppc-e500: see scenario.sh.
exec "$(dirname "$0")/scenario.sh" ppc-e500
