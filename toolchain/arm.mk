# ARMv7-A, Thumb-2, hard float.
CROSS     := arm-linux-gnueabihf-
ABI       := -march=armv7-a+fp -mthumb -mfloat-abi=hard
# The stack protector reads its word where musl keeps it in the thread's record (the end of struct
# pthread, "external and internal ABI"): half the code of a load through the GOT.
ABI       += -mtp=cp15 -mstack-protector-guard=tls -mstack-protector-guard-offset=-8
# Measured: each of these passes makes the programs larger.
OPTIMIZE  := -Os -fno-tree-tail-merge -fno-schedule-insns2 -fno-ipa-cp -fno-ipa-sra -fno-caller-saves -fno-expensive-optimizations -fno-if-conversion -fno-tree-pta
MUSL_HOST := arm-linux-gnueabihf
QEMU_USER := qemu-arm
DEPS      := cross-arm
