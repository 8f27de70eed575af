# MIPS 24Kc, big-endian, soft float.  Debian's libgcc is hard-float: --no-warn-mismatch lets its
# integer helpers be linked, check-fp.sh proves that no instruction of an FPU came along.
CROSS     := mips-linux-gnu-
ABI       := -EB -march=24kc -msoft-float
ABI_LINK  := -Wl,--no-warn-mismatch
OPTIMIZE  := -Os
MUSL_HOST := mips-linux-gnu
QEMU_USER := qemu-mips
DEPS      := cross-mips
