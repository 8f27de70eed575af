# Compiler and linker flags that the libraries and our own code share.

SECTION_CFLAGS := -ffunction-sections -fdata-sections
UNWIND_CFLAGS  := -fno-unwind-tables -fno-asynchronous-unwind-tables
STACK_CFLAGS   := -fstack-usage -fcallgraph-info=su
HARDEN_CFLAGS  := -fPIE -fstack-protector-strong
SAN_CFLAGS     := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
                  -fno-sanitize-recover=all

ifdef SAN
# The sanitizers keep glibc's malloc to themselves: ours, and who calls it, get another name.
CC_BOARD    := $(CROSS)gcc
BASE_CFLAGS := $(ABI) $(SAN_CFLAGS) -fno-strict-aliasing -isystem $(SYSROOT)/include \
               -Dmalloc=heap_malloc -Dcalloc=heap_calloc -Drealloc=heap_realloc -Dfree=heap_free
LINK_START  :=
LINK_END    :=
LINK_FLAGS  := $(ABI) $(SAN_CFLAGS) -L$(SYSROOT)/lib
else
CC_BOARD    := $(CROSS)gcc
GCC_FILE     = $(shell $(CC_BOARD) $(ABI) -print-file-name=$(1))
BASE_CFLAGS := $(ABI) $(OPTIMIZE) -fno-strict-aliasing $(SECTION_CFLAGS) $(UNWIND_CFLAGS) \
               $(STACK_CFLAGS) $(HARDEN_CFLAGS) -nostdinc -isystem $(SYSROOT)/include \
               -isystem $(call GCC_FILE,include)
LINK_FLAGS  := $(ABI) $(ABI_LINK) -nostdlib -static-pie -L$(SYSROOT)/lib \
               -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,text \
               -Wl,-z,noseparate-code -Wl,--build-id=none -Wl,--fatal-warnings
LINK_START  := $(SYSROOT)/lib/rcrt1.o $(SYSROOT)/lib/crti.o $(call GCC_FILE,crtbeginS.o)
LINK_END    := -Wl,--start-group -lc -lgcc -Wl,--end-group $(call GCC_FILE,crtendS.o) \
               $(SYSROOT)/lib/crtn.o
endif

WARN_CFLAGS := -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
               -Wmissing-prototypes -Wvla -Wcast-align -Wpointer-arith -Wundef
