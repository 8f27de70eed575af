# How our own code is compiled and linked; see flags.mk for what the libraries share.

WARN_CFLAGS := -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
               -Wmissing-prototypes -Wvla -Wcast-align -Wpointer-arith -Wundef

# Every function with characters on its stack has the stack protector: those can be overrun. Where what others send or write fills other
# arrays there (tokens, addresses, columns), every array and every local that something points to has it, too (-fstack-protector-strong,
# as in the libraries). Everywhere that would be 8 KiB of a beacon on ARM.
STRONG       := $(addprefix src/,json/% link/% net/resolve net/http_post config/json config/yaml config/bind control/client \
                beacon/resolve beacon/status)
GUARD_CFLAGS  = $(if $(SAN)$(FOREIGN_CC)$(filter $(STRONG),$*),,-fstack-protector --param=ssp-buffer-size=1)

ifeq ($(SAN),fuzz)
# glibc's headers and clang's warnings do not go together; gcc has warned already.
WARN_CFLAGS := -w
endif

ifdef SAN
LINK_FLAGS := $(ABI) $(SAN_FLAGS) -L$(SYSROOT)/lib
LINK_START :=
LINK_END   :=
else
# 32-bit devices have 4 KiB pages: a larger alignment only pads the file.
# ARMv8 kernels have pages of 4, 16 or 64 KiB, and a program runs where they are no larger than what it was
# linked for. 64 KiB, the linker's default, pads the file for kernels of a few large servers.
PAGE_SIZE_aarch64 := -Wl,-z,max-page-size=16384
PAGE_SIZE_arm    := -Wl,-z,max-page-size=4096
PAGE_SIZE_armel  := $(PAGE_SIZE_arm)
PAGE_SIZE_mips   := $(PAGE_SIZE_arm)
PAGE_SIZE_mipsel := $(PAGE_SIZE_arm)
PAGE_SIZE_ppc    := $(PAGE_SIZE_arm)

# Debian's gcc knows static-pie for some targets only: the linker is told itself.
# A static program exports nothing: without the version script MIPS keeps 12 KiB of dynamic symbols.
ifeq ($(CONFIG_PIE),y)
PIE_LINK := -static-pie -Wl,-static -Wl,--no-dynamic-linker -Wl,-z,text \
            -Wl,--version-script=toolchain/exports.map -Wl,-z,relro -Wl,-z,now -Wl,-T,toolchain/relro.ld
else
# At a fixed address every table of addresses is constant from the start. Nothing is left for RELRO, and no
# page between code and data need be padded for it (tests/promises_test.sh looks).
PIE_LINK := -static -no-pie -Wl,-z,norelro -Wl,-z,common-page-size=16
endif
# Functions in the order of their alignment need no gaps between them.
LINK_FLAGS := $(ABI) $(ABI_LINK) -nostdlib $(PIE_LINK) \
              -L$(SYSROOT)/lib \
              -Wl,--gc-sections -Wl,--sort-section=alignment -Wl,-z,noexecstack \
              -Wl,-z,noseparate-code -Wl,--build-id=none -Wl,--fatal-warnings $(PAGE_SIZE_$(ARCH))
# Without gcc's crtbeginS.o and crtendS.o: they are for C++ and for shared libraries.
LINK_START := $(SYSROOT)/lib/$(if $(CONFIG_PIE),r)crt1.o $(SYSROOT)/lib/crti.o
LINK_END   := -Wl,--start-group -lc -lgcc -Wl,--end-group $(SYSROOT)/lib/crtn.o

# Tests link the same objects without it.
LTO_LINK := $(if $(CONFIG_LTO),$(BASE_CFLAGS) $(DENSE_CFLAGS) -flto-partition=one,-fno-lto)
LTO      := -fno-lto
endif
