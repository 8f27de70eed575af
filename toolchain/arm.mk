# ARMv7-A, Thumb-2, hard float.
CROSS     := arm-linux-gnueabihf-
ABI       := -march=armv7-a+fp -mthumb -mfloat-abi=hard
# The stack protector reads its word where musl keeps it in the thread's record (the end of struct
# pthread, "external and internal ABI"): half the code of a load through the GOT.
ABI       += -mtp=cp15 -mstack-protector-guard=tls -mstack-protector-guard-offset=-8
OPTIMIZE  := -Os
MUSL_HOST := arm-linux-gnueabihf
QEMU_USER := qemu-arm
DEPS      := cross-arm
