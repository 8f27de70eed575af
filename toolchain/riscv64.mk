# RV64GC, double-precision registers for arguments (lp64d).
CROSS     := riscv64-linux-gnu-
ABI       := -march=rv64gc -mabi=lp64d
OPTIMIZE  := -Os
MUSL_HOST := riscv64-linux-gnu
QEMU_USER := qemu-riscv64
DEPS      := cross-riscv64
