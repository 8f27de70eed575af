# i686 without SSE: every 32-bit PC since the Pentium Pro, AMD's Geode LX too.
CROSS     := i686-linux-gnu-
ABI       := -march=i686 -mtune=generic
OPTIMIZE  := -Os
MUSL_HOST := i386-linux-gnu
QEMU_USER := qemu-i386
DEPS      := cross-i386
