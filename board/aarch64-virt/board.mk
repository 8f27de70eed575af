# QEMU's virt machine with a Cortex-A53: any ARMv8 device.
ARCH := aarch64
