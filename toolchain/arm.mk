# ARMv7-A, Thumb-2, hard float.
CROSS     := arm-linux-gnueabihf-
ABI       := -march=armv7-a+fp -mthumb -mfloat-abi=hard
OPTIMIZE  := -Os
MUSL_HOST := arm-linux-gnueabihf
QEMU_USER := qemu-arm
DEPS      := cross-arm
