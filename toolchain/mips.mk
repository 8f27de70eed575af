# MIPS 24Kc, big-endian.
CROSS := mips-linux-gnu-
CPU   := -EB -march=24kc
include toolchain/mips32.mk
