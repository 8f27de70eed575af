# What MIPS boards of both byte orders share, soft float. CPU is the byte order and the processor.
# Debian's libgcc is hard-float: --no-warn-mismatch lets its integer helpers be linked, check-fp.sh proves that
# no instruction of an FPU came along.
# Our code and the libraries are MIPS16e, half the size. musl, whose system calls and atomics are 32-bit
# code, and the hash stay as they are; each may call the other.
ABI          := $(CPU) -msoft-float -minterlink-mips16
DENSE_CFLAGS := -mips16
ABI_LINK     := -Wl,--no-warn-mismatch
# Static programs at a fixed address call each other without a table.
ABI_FIXED    := -mno-shared -mplt
OPTIMIZE     := -Os
MUSL_HOST    := $(ARCH)-linux-gnu
QEMU_USER    := qemu-$(ARCH)
DEPS         := cross-$(ARCH)
