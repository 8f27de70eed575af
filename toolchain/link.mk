# How our own code is compiled and linked; see flags.mk for what the libraries share.

WARN_CFLAGS := -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
               -Wmissing-prototypes -Wvla -Wcast-align -Wpointer-arith -Wundef

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
PAGE_SIZE_arm    := -Wl,-z,max-page-size=4096
PAGE_SIZE_armel  := $(PAGE_SIZE_arm)
PAGE_SIZE_mips   := $(PAGE_SIZE_arm)
PAGE_SIZE_mipsel := $(PAGE_SIZE_arm)

# Debian's gcc knows static-pie for some targets only: the linker is told itself.
LINK_FLAGS := $(ABI) $(ABI_LINK) -nostdlib -static-pie -Wl,-static -Wl,--no-dynamic-linker \
              -L$(SYSROOT)/lib \
              -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,text \
              -Wl,-z,noseparate-code -Wl,--build-id=none -Wl,--fatal-warnings $(PAGE_SIZE_$(ARCH))
# Without gcc's crtbeginS.o and crtendS.o: they are for C++ and for shared libraries.
LINK_START := $(SYSROOT)/lib/rcrt1.o $(SYSROOT)/lib/crti.o
LINK_END   := -Wl,--start-group -lc -lgcc -Wl,--end-group $(SYSROOT)/lib/crtn.o
endif
