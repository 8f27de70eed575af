# ARMv5TE, soft float.
CROSS     := arm-linux-gnueabi-
ABI       := -march=armv5te -mthumb -mfloat-abi=soft
# ARMv5 changes between ARM and Thumb code in the call itself; unless told so, the linker goes by veneers.
ABI_LINK  := -Wl,--use-blx
# As in arm.mk.
OPTIMIZE  := -Os -fno-tree-tail-merge -fno-schedule-insns2 -fno-ipa-cp -fno-ipa-sra -fno-caller-saves -fno-expensive-optimizations -fno-if-conversion -fno-tree-pta
MUSL_HOST := arm-linux-gnueabi
QEMU_USER := qemu-arm
DEPS      := cross-armel
