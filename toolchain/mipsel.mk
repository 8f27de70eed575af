# MIPS32r2, little-endian.
CROSS := mipsel-linux-gnu-
CPU   := -EL -march=mips32r2
include toolchain/mips32.mk
