# The flags of a foreign toolchain, in place of those of flags.mk and link.mk. FOREIGN_PROBE is what probe.sh has found out:
#   FOREIGN_LIBC, FOREIGN_MACHINE, FOREIGN_FLAGS, FOREIGN_LTO, FOREIGN_PIE, FOREIGN_HEADERS, FOREIGN_LIBS, FOREIGN_GIVEN
-include $(wildcard $(FOREIGN_PROBE))

CC_BOARD    := $(FOREIGN_CC)
AR_BOARD    := $(FOREIGN_AR)
STRIP_PROGRAM = $(FOREIGN_STRIP) -s -R .comment -R .mdebug.abi32 -R .ARM.attributes -R .gnu.attributes -o $@ $<
# Warnings stop our own builds; a compiler that we do not know may see more than ours.
WARN_CFLAGS := -Wall -Wextra
LTO_CFLAGS   = $(if $(SLIM),$(patsubst -ffat-%,-fno-fat-%,$(FOREIGN_LTO)),$(FOREIGN_LTO))
# What the user says of the CPU and of optimization comes last.
BASE_CFLAGS  = $(OPTIMIZE) $(FOREIGN_FLAGS) $(LTO_CFLAGS) $(FOREIGN_PIE_CFLAGS) -isystem $(SYSROOT)/include \
               $(FOREIGN_LIBS:%=-isystem %/include) $(FOREIGN_CFLAGS)

FOREIGN_POSITION   = $(and $(FOREIGN_PIE),$(CONFIG_PIE))
FOREIGN_PIE_CFLAGS = $(if $(FOREIGN_POSITION),-fPIE,-fno-pie)
LINK_FLAGS  = $(FOREIGN_CFLAGS) $(if $(FOREIGN_POSITION),-static-pie,-static -no-pie) -L$(SYSROOT)/lib $(FOREIGN_LIBS:%=-L%/lib) \
              -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack $(FOREIGN_LDFLAGS)
LINK_START :=
LINK_END   :=
LTO        := $(if $(FOREIGN_LTO),-fno-lto)
LTO_LINK    = $(if $(and $(FOREIGN_LTO),$(CONFIG_LTO)),$(BASE_CFLAGS) -flto-partition=one,$(if $(FOREIGN_LTO),-fno-lto))

# A C library that allocates on its own keeps its malloc; TRE calls our fixed heap by its name.
ifneq ($(FOREIGN_LIBC),musl)
OWN_MALLOC := y
TRE_RENAME := -Dmalloc=heap_alloc -Dcalloc=heap_calloc -Drealloc=heap_realloc -Dfree=heap_free
endif

# What `--version` says of the board.
comma     := ,
BOARD_NAME = foreign: $(FOREIGN_MACHINE)$(comma) $(FOREIGN_LIBC)$(if $(filter-out musl,$(FOREIGN_LIBC)),$(comma) may allocate)
