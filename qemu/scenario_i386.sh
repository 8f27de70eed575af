#!/bin/sh
# The whole system on i386-q35: see scenario.sh.
exec "$(dirname "$0")/scenario.sh" i386-q35
