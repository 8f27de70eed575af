# e500v2, big-endian: a 32-bit PowerPC whose floating-point unit is one of its own (SPE), which no compiler serves any more: soft float.
# Debian's libgcc is hard-float: --no-warn-mismatch lets its integer helpers be linked, check-fp.sh proves that no instruction of
# an FPU came along. musl has no `long double` of this CPU's kind (two doubles).
CROSS     := powerpc-linux-gnu-
ABI       := -mcpu=8548 -msoft-float -mlong-double-64
ABI_LINK  := -Wl,--no-warn-mismatch
OPTIMIZE  := -Os
MUSL_HOST := powerpc-linux-muslsf
QEMU_USER := qemu-ppc -cpu e500v2
DEPS      := cross-ppc
