# Somebody else's toolchain (OpenWrt's, Buildroot's, musl-gcc): the C library is its own, and its driver links. See given.mk
# and probe.sh, which finds out what it can do.
include toolchain/given.mk
CROSS     := $(FOREIGN_CROSS)
ABI       := $(FOREIGN_CFLAGS)
OPTIMIZE  := -Os
QEMU_USER :=
DEPS      :=

# Its libraries are of its build directory alone.
SYSROOT       := $(O)/sysroot$(if $(CONFIG_PIE),,-fixed)
FOREIGN_PROBE := $(O)/gen/toolchain.mk

# The compiler is asked once, and again when something else is given; libs.mk finds the answer.
ifneq ($(NO_CONFIG),)
ifneq ($(filter-out $(NO_CONFIG),$(or $(MAKECMDGOALS),all)),)
FOREIGN_SAID := CC=$(FOREIGN_CC) $(shell $(FOREIGN_CC) --version 2>&1 | head -n 1) AR=$(FOREIGN_AR) STRIP=$(FOREIGN_STRIP) \
                CFLAGS=$(FOREIGN_CFLAGS) LDFLAGS=$(FOREIGN_LDFLAGS) LIBC=$(LIBC) SYSROOT_LIBS=$(SYSROOT_LIBS) \
                KERNEL_HEADERS=$(KERNEL_HEADERS)
FOREIGN_ASKED := $(FOREIGN_PROBE:.mk=.said)
ifneq ($(FOREIGN_SAID),$(if $(wildcard $(FOREIGN_PROBE)),$(file <$(FOREIGN_ASKED))))
FOREIGN_WRONG := $(shell PROBE_CFLAGS='$(FOREIGN_CFLAGS)' PROBE_LDFLAGS='$(FOREIGN_LDFLAGS)' LIBC='$(LIBC)' \
                   SYSROOT_LIBS='$(SYSROOT_LIBS)' KERNEL_HEADERS='$(KERNEL_HEADERS)' \
                   toolchain/probe.sh $(FOREIGN_PROBE) $(FOREIGN_CC) 2>&1)
ifneq ($(FOREIGN_WRONG),)
$(error $(FOREIGN_WRONG))
endif
$(file >$(FOREIGN_ASKED),$(FOREIGN_SAID))
endif
endif
endif
