#!/bin/sh
# A product's life on the image of mipsel-malta: see life.sh.
exec "$(dirname "$0")/life.sh" mipsel-malta
