# QEMU's ppce500 machine with an e500v2: big-endian PowerPC routers and access points (Freescale QorIQ P1010, P1020 and kin).
ARCH := ppc
