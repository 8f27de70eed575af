# Compiler flags that the libraries and our own code share.

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
else
CC_BOARD    := $(CROSS)gcc
GCC_FILE     = $(shell $(CC_BOARD) $(ABI) -print-file-name=$(1))
BASE_CFLAGS := $(ABI) $(OPTIMIZE) -fno-strict-aliasing $(SECTION_CFLAGS) $(UNWIND_CFLAGS) \
               $(STACK_CFLAGS) $(HARDEN_CFLAGS) -nostdinc -isystem $(SYSROOT)/include \
               -isystem $(call GCC_FILE,include)
endif
