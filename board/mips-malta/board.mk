# QEMU's big-endian Malta with a 24Kc: the classic router (Atheros AR71xx and kin).
ARCH := mips
