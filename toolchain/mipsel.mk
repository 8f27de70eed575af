# MIPS32r2, little-endian, soft float.  About the link see mips.mk.
CROSS     := mipsel-linux-gnu-
ABI       := -EL -march=mips32r2 -msoft-float
ABI_LINK  := -Wl,--no-warn-mismatch
OPTIMIZE  := -Os
MUSL_HOST := mipsel-linux-gnu
QEMU_USER := qemu-mipsel
DEPS      := cross-mipsel
