# ARMv5TE, soft float.
CROSS     := arm-linux-gnueabi-
ABI       := -march=armv5te -mthumb -mfloat-abi=soft
OPTIMIZE  := -Os
MUSL_HOST := arm-linux-gnueabi
QEMU_USER := qemu-arm
DEPS      := cross-armel
