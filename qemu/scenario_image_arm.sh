#!/bin/sh
# A product's life on the image of arm-virt: see life.sh.
exec "$(dirname "$0")/life.sh" arm-virt
