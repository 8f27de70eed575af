# QEMU's q35 machine with a 32-bit processor: PC-like routers (PC Engines ALIX, old thin clients) and industrial PCs.
ARCH := i386
