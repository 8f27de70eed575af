# MIPS32r2, little-endian, soft float.  About the code and the link see mips.mk.
CROSS        := mipsel-linux-gnu-
ABI          := -EL -march=mips32r2 -msoft-float -minterlink-mips16
DENSE_CFLAGS := -mips16
ABI_LINK     := -Wl,--no-warn-mismatch
ABI_FIXED    := -mno-shared -mplt
OPTIMIZE     := -Os
MUSL_HOST    := mipsel-linux-gnu
QEMU_USER    := qemu-mipsel
DEPS         := cross-mipsel
