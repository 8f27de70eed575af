# QEMU's virt machine with a Cortex-A15: any ARMv7 router or gateway.
ARCH := arm
