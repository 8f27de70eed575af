# ARMv8-A.  Atomics inline: libgcc's outlined ones want a glibc start-up.
CROSS     := aarch64-linux-gnu-
ABI       := -march=armv8-a -mno-outline-atomics
OPTIMIZE  := -Os
MUSL_HOST := aarch64-linux-gnu
QEMU_USER := qemu-aarch64
DEPS      := cross-aarch64
