# QEMU's little-endian Malta: the other classic router (MediaTek MT7620 and kin).
ARCH := mipsel
