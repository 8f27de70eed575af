# Compiler flags that the libraries and our own code share.

SECTION_CFLAGS := -ffunction-sections -fdata-sections
UNWIND_CFLAGS  := -fno-unwind-tables -fno-asynchronous-unwind-tables
STACK_CFLAGS   := -fstack-usage -fcallgraph-info=su
# A program at a fixed address needs no table of addresses to find itself.
PIE_CFLAGS     := $(if $(CONFIG_PIE),-fPIE,-fno-pie $(ABI_FIXED))
HARDEN_CFLAGS  := $(PIE_CFLAGS) -fstack-protector-strong
# For link-time optimization, and without it for tests, which are many and link quickly this way. Objects of programs alone (SLIM) have
# no machine code of their own: they are made in less than half the time.
LTO_CFLAGS     := -flto $(if $(SLIM),-fno-fat-lto-objects,-ffat-lto-objects)

ifdef SAN
# The same code on glibc, for the host: SAN=san with gcc, SAN=fuzz with clang and libFuzzer's
# instrumentation.  malloc stays with the sanitizers, src/sys/malloc.c is left out: under SAN=san
# the libraries call our heap by its own name, as on a device; under SAN=fuzz they use the
# sanitizer's malloc, which sees every byte read past a block.
SAN_FLAGS     := -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
ifeq ($(SAN),fuzz)
CC_BOARD      := clang
SAN_CFLAGS    := -O1 $(SAN_FLAGS) -fsanitize=fuzzer-no-link
LIB_RENAME    :=
else
CC_BOARD      := gcc
SAN_CFLAGS    := -O1 $(SAN_FLAGS)
LIB_RENAME    := -Dmalloc=heap_alloc -Dcalloc=heap_calloc -Drealloc=heap_realloc \
                 -Dfree=heap_free -Dstrdup=heap_strdup
endif
BASE_CFLAGS := $(ABI) $(SAN_CFLAGS) -fno-strict-aliasing -isystem $(SYSROOT)/include
else ifneq ($(ARCH),foreign)
CC_BOARD    := $(CROSS)gcc
GCC_FILE     = $(shell $(CC_BOARD) $(ABI) -print-file-name=$(1))
BASE_CFLAGS := $(ABI) $(OPTIMIZE) -fno-strict-aliasing $(SECTION_CFLAGS) $(UNWIND_CFLAGS) \
               $(STACK_CFLAGS) $(HARDEN_CFLAGS) $(LTO_CFLAGS) -nostdinc -isystem $(SYSROOT)/include \
               -isystem $(call GCC_FILE,include)
endif
AR_BOARD    := $(CROSS)ar
STRIP_PROGRAM = toolchain/strip.sh '$(CROSS)' $< $@
