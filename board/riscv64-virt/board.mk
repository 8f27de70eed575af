# QEMU's virt machine: any 64-bit RISC-V device.
ARCH := riscv64
