#!/bin/sh
# A product's life on the image of mips-malta: see life.sh.
exec "$(dirname "$0")/life.sh" mips-malta
