# nefia-edge.  `make help` lists the targets; everything generated goes under out/, or O=.

VERSION := 0.1.0
.DEFAULT_GOAL := all

ifneq ($(filter 3.% 4.0 4.1,$(MAKE_VERSION)),)
$(error this is make $(MAKE_VERSION); GNU make 4.2 or newer is needed (gmake on some systems))
endif
ifneq ($(word 2,$(CURDIR)),)
$(error $(CURDIR): this path has a space, which neither make nor the build of the C library can handle; move the tree)
endif

include toolchain/given.mk
# These mean something else in this file than on the command line of a package's build.
override undefine CFLAGS
override undefine CPPFLAGS
override undefine LDFLAGS
override undefine ARCH
override undefine CROSS

BOARD   ?= $(if $(FOREIGN_CC),foreign,host)
BOARDS  := host arm-virt armel-virt aarch64-virt mips-malta mipsel-malta riscv64-virt i386-q35 ppc-e500

## BOARD the device to build for; its defconfig and toolchain
## O directory for all that one build makes, libraries and sources too, instead of out/BOARD and out/sources
## V 1: show the commands
# CONFIG picks another configuration than the board's defconfig, in a build directory of its own:
# board/BOARD/CONFIG.config or board/profiles/CONFIG.config on top of it, one of allno, allyes, random, or any file
# (a name with a slash).
## CONFIG allno, allyes, random, NAME of board/*/NAME.config, or a file (with a slash): features other than the defconfig's
CONFIG ?=

ifeq ($(wildcard board/$(BOARD)/board.mk),)
$(error BOARD=$(BOARD): no such board; there are: $(BOARDS))
endif
include board/$(BOARD)/board.mk
BOARD_NAME = $(BOARD)

# A toolchain that is not ours takes the place of a board.
ifneq ($(or $(FOREIGN_CC),$(filter foreign,$(BOARD))),)
ifneq ($(BOARD),foreign)
$(error BOARD=$(BOARD) has a toolchain of its own: leave out either BOARD or CC and CROSS_COMPILE; CONFIG= chooses features)
endif
ifeq ($(FOREIGN_CC),)
$(error BOARD=foreign: name its compiler on the command line, CC=… or CROSS_COMPILE=…)
endif
else ifeq ($(origin CC)$(MAKELEVEL)$(MAKE_RESTARTS),environment0)
$(info CC=$(CC) of the environment is not used; `make CC=…` builds with it)
endif

# These look at, or make, other builds than one.
SEVERAL := boards randconfig distclean check test-dist test-san test-cross test-qemu test-image test-power test-fault fuzz demo bench kernel budget costs sensors lint

# OUT has what builds share. A build whose directory is given shares nothing, and the tree may be read-only.
O_GIVEN := $(filter command override,$(origin O))
ifneq ($(O_GIVEN),)
override O := $(patsubst %/,%,$(O))
ifneq ($(words $(O)),1)
$(error O='$(O)': name one directory, without a space in its path)
endif
ifneq ($(filter $(SEVERAL),$(MAKECMDGOALS)),)
$(error make $(filter $(SEVERAL),$(MAKECMDGOALS)) works in out/ on the builds that it needs; O= is the directory of one build: leave out O=)
endif
endif
O       := out/$(BOARD)$(addprefix -,$(patsubst %.config,%,$(notdir $(CONFIG))))$(SAN:%=-%)
OUT     := $(if $(O_GIVEN),$(O),out)
SOURCES := $(OUT)/sources

NO_CONFIG := help boards clean dist test-dist distclean menuconfig defconfig olddefconfig savedefconfig randconfig deps check \
             test-san test-cross test-model test-qemu test-image test-power demo bench fuzz kernel budget costs sensors sources uninstall format promised/%
ifneq ($(filter-out $(NO_CONFIG),$(or $(MAKECMDGOALS),all)),)
include $(O)/gen/auto.conf
CONFIGURED := y
endif

# Tests link without link-time optimization. Objects that serve programs alone are quicker to make (flags.mk); a build directory that
# tests once were built in keeps objects for both.
ifneq ($(filter lib objects test test-board tests test-unit test-patterns fuzzers fault-programs fault-guarded \
         $(foreach d,test unit replay fuzz differential mutant fault,$(O)/$(d)/%) %.o %.a,$(MAKECMDGOALS)),)
WITH_TESTS := $(shell mkdir -p $(O)/gen && { [ -e $(O)/gen/fat ] || : >$(O)/gen/fat; })y
endif
SLIM := $(if $(or $(WITH_TESTS),$(wildcard $(O)/gen/fat)),,$(CONFIG_LTO))

# The libraries of a board serve all of its configurations, unless O= is given; those of programs at a fixed address are others.
SYSROOT := $(or $(if $(O_GIVEN),$(O)),out/$(BOARD)$(SAN:%=-%))/sysroot$(if $(SAN)$(CONFIG_PIE),,-fixed)
include toolchain/$(ARCH).mk
include toolchain/flags.mk
include toolchain/link.mk
ifeq ($(ARCH),foreign)
include toolchain/foreign_flags.mk
endif

ifeq ($(V),)
Q := @
endif
say = $(if $(Q),@echo '  $(1)')
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:

.PHONY: all
all: $(O)/nefia-beacon $(O)/nefia ## Build both programs for BOARD (default: host) into out/BOARD

.PHONY: help
help: ## Show this list
	@echo 'usage: make [BOARD=name] [target]    boards: $(BOARDS)'
	@tab=$$(printf '\t'); sed -n "s/^\([a-z][a-z-]*\):.*## \(.*\)$$/\1$$tab\2/p" $(MAKEFILE_LIST) | expand -t 16
	@echo
	@echo 'variables:'
	@tab=$$(printf '\t'); sed -n "s/^## \([A-Z_]*\)  *\(.*\)$$/\1$$tab\2/p" $(MAKEFILE_LIST) | expand -t 20

.PHONY: boards
boards: ## Build both programs for every board
	+$(Q)for b in $(BOARDS); do $(MAKE) --no-print-directory BOARD=$$b all || exit 1; done

# ---- what has to be installed --------------------------------------------------------------------
# Without Debian's package manager, or when it is to be left alone, programs are only looked for.
$(OUT)/.deps/%: | toolchain/install-deps.sh
	$(Q)if [ '$(NO_INSTALL)' ] || ! command -v dpkg-query >/dev/null; then \
	    toolchain/need.sh $* '$(CC_BOARD)'; \
	else \
	    toolchain/install-deps.sh -o $(OUT) $* && mkdir -p $(@D) && touch $@; \
	fi

BUILD_DEPS := $(OUT)/.deps/build $(patsubst %,$(OUT)/.deps/%,$(filter-out none,$(DEPS)))

# ---- configuration -------------------------------------------------------------------------------
KCONFIGS   := Kconfig $(wildcard src/Kconfig src/*/Kconfig src/*/*/Kconfig)
FRAGMENT   := $(if $(CONFIG),$(firstword $(wildcard board/$(BOARD)/$(CONFIG).config board/profiles/$(CONFIG).config) \
                $(if $(findstring /,$(CONFIG)),$(CONFIG))))
SEED       := $(if $(or $(FRAGMENT),$(if $(CONFIG),,y)),board/$(BOARD)/defconfig $(FRAGMENT),$(CONFIG))
ifeq ($(filter allno allyes random,$(SEED))$(wildcard $(SEED) $(O)/.config),)
$(error CONFIG=$(CONFIG): no such configuration; there are allno, allyes, random, \
  $(sort $(basename $(notdir $(wildcard board/$(BOARD)/*.config board/profiles/*.config)))), and any file (a name with a slash))
endif
# Any Kconfig implementation serves: that of a kernel or of Buildroot (scripts/kconfig/conf and mconf) as well as Debian's.
## KCONFIG_CONF the Kconfig program, such as scripts/kconfig/conf of a kernel tree (default: kconfig-conf)
## KCONFIG_MCONF the same for make menuconfig, such as scripts/kconfig/mconf (default: kconfig-mconf)
KCONFIG_CONF  ?= kconfig-conf
KCONFIG_MCONF ?= kconfig-mconf
export KCONFIG_CONF

$(O)/.config: $(wildcard $(SEED)) $(if $(filter allno allyes random,$(SEED)),$(KCONFIGS)) \
              | $(BUILD_DEPS)
	$(Q)toolchain/config.sh seed $(O) $(SEED)

# Directories count too: a sensor's file may come after its Kconfig entry. An action's file says what memory it wants.
$(O)/gen/auto.conf: $(O)/.config $(KCONFIGS) toolchain/config.sh Makefile \
                    $(wildcard src/beacon/sensors src/hub/actions src/hub/actions/*.c) $(FOREIGN_PROBE)
	$(Q)toolchain/config.sh sync $(O) '$(BOARD_NAME)' $(VERSION)

.PHONY: menuconfig defconfig olddefconfig savedefconfig randconfig
menuconfig: $(O)/.config ## Choose the features and sizes of BOARD
	$(Q)toolchain/config.sh menu $(O) $(KCONFIG_MCONF)
defconfig: ## Restore BOARD's default configuration
	$(Q)rm -f $(O)/.config
	$(Q)$(MAKE) --no-print-directory $(O)/.config
olddefconfig: $(O)/.config ## Give symbols that the present configuration does not know their defaults
	$(Q)toolchain/config.sh old $(O)
savedefconfig: $(O)/.config ## Save the current configuration as BOARD's defconfig
	$(Q)toolchain/config.sh save $(O) board/$(BOARD)/defconfig
randconfig: ## Build a random configuration (in out/BOARD-random)
	$(Q)rm -rf out/$(BOARD)-random
	$(Q)$(MAKE) --no-print-directory CONFIG=random all

# ---- third-party code ----------------------------------------------------------------------------
LIB_BUILD   := $(dir $(SYSROOT))$(subst sysroot,build,$(notdir $(SYSROOT)))
# libyaml is what tests on the host compare our reader with.
LIB_SOURCES := $(filter-out $(FOREIGN_GIVEN),bearssl tre jsmn $(if $(filter host,$(BOARD)),libyaml) $(if $(SAN)$(FOREIGN_CC),,musl))

$(SOURCES)/%.ready: toolchain/sources.lock | $(OUT)/.deps/build
	$(call say,FETCH $*)
	$(Q)toolchain/fetch.sh -o $(OUT) $(SOURCES_DIR:%=-d %) $(NO_APT:none=-n) $*
	@touch $@

## SOURCES_DIR a directory with the archives that toolchain/sources.lock names; no network is used
## DEBIAN_MIRROR a mirror of Debian for those that come from there, on a machine without apt
THIRD_PARTY := bearssl jsmn libyaml musl tre
.PHONY: sources dist
sources: $(THIRD_PARTY:%=$(SOURCES)/%.ready) ## Fetch the third-party sources into out/sources

## DIRTY 1: `make dist` packs a tree that differs from its commit
dist: sources | $(OUT)/.deps/dist ## Pack a source archive that builds without network: out/nefia-edge-VERSION.tar.xz
	$(Q)DIRTY='$(DIRTY)' toolchain/dist.sh $(VERSION) $(OUT) $(THIRD_PARTY)

$(SYSROOT)/.ready: toolchain/libs.mk toolchain/flags.mk toolchain/$(ARCH).mk $(filter toolchain/mips32.mk,$(MAKEFILE_LIST)) \
                   toolchain/tre-ascii.h $(FOREIGN_PROBE) \
                   $(LIB_SOURCES:%=$(SOURCES)/%.ready) | $(BUILD_DEPS)
	$(call say,LIBS $(@D))
	@mkdir -p $(dir $(@D))
	+$(Q)$(if $(shell command -v flock),flock $(dir $(@D)).libs.lock) $(MAKE) --no-print-directory -f toolchain/libs.mk ready BUILD=$(LIB_BUILD) \
	    SYSROOT=$(@D) SOURCES=$(SOURCES) ARCH=$(ARCH) SAN=$(SAN) CONFIG_PIE=$(CONFIG_PIE) V=$(V) NEEDS='$^' \
	    $(if $(FOREIGN_CC),FOREIGN_CFLAGS='$(FOREIGN_CFLAGS)' FOREIGN_PROBE=$(FOREIGN_PROBE))

# ---- our own code --------------------------------------------------------------------------------
# Every file of a module is compiled, but for those that a symbol chooses.
config-$(CONFIG_YAML) += src/config/yaml.c
json-$(CONFIG_JSON_FAST) += src/json/fast.c
beacon-$(CONFIG_SPOOL_FILE) += src/beacon/spool_file.c
beacon-$(CONFIG_BEACON_ACK) += src/beacon/session.c
beacon-$(CONFIG_SPOOL_EXPORT) += src/beacon/spool_export.c
beacon-$(CONFIG_BEACON_CONTROL) += src/beacon/ask.c src/beacon/status.c
beacon-$(CONFIG_BEACON_CONSOLE) += $(filter-out %_edit.c,$(wildcard src/beacon/console*.c))
beacon-$(CONFIG_BEACON_RESOLVE) += src/beacon/resolve.c
beacon-$(CONFIG_BEACON_WATCHES) += src/beacon/sensor_watch.c
beacon-$(CONFIG_BEACON_INOTIFY) += src/beacon/sensor_inotify.c
beacon-$(CONFIG_BEACON_FOLLOWS) += src/beacon/sensor_follow.c src/beacon/sensor_log.c
beacon-$(CONFIG_BEACON_TUNNELS) += src/beacon/sensor_tunnel.c
beacon-$(CONFIG_BEACON_SAMPLES) += src/beacon/sensor_sample.c
beacon-$(CONFIG_BEACON_GUARD) += src/beacon/policy.c
beacon-$(CONFIG_REMOTE_EXEC) += src/beacon/helper.c
beacon-$(CONFIG_REMOTE_EXEC) += src/beacon/remote_run.c
beacon-$(CONFIG_BEACON_MANIFEST) += src/beacon/manifest.c
beacon-$(CONFIG_BEACON_DRIFT) += src/beacon/sensor_drift.c
hub-$(CONFIG_HUB_DEVICES) += src/hub/devices.c
hub-$(CONFIG_HUB_COMMANDS) += src/hub/helper.c
hub-$(if $(CONFIG_HUB_STATE),y) += src/hub/journal.c
hub-$(if $(CONFIG_HUB_STATE),,y) += src/hub/journal_none.c
hub-$(CONFIG_HUB_WHY) += src/hub/why.c src/cmd/why.c src/cmd/replay.c
hub-$(if $(CONFIG_HUB_COMMANDS),y) += src/hub/dispatch.c src/cmd/exec.c
hub-$(if $(CONFIG_HUB_COMMANDS),,y) += src/hub/dispatch_none.c
hub-$(CONFIG_HUB_SILENCES) += src/hub/silence_verbs.c src/cmd/silence.c
hub-$(CONFIG_HUB_IMPORT) += src/hub/import.c src/cmd/import.c
hub-$(CONFIG_HUB_PLAYBOOKS) += src/cmd/playbook_check.c
hub-$(if $(CONFIG_HUB_AUDIT),y) += src/hub/audit_log.c src/cmd/audit.c
hub-$(if $(CONFIG_HUB_AUDIT),,y) += src/hub/audit_log_none.c
hub-$(CONFIG_HUB_PLAYBOOKS) += src/cmd/playbook_run.c
OPTIONAL := $(foreach m,config json beacon hub,$($(m)-y) $($(m)-)) $(if $(SAN)$(OWN_MALLOC),src/sys/malloc.c)

module_src = $(sort $(filter-out $(OPTIONAL),$(wildcard src/$(1)/*.c)) $(wildcard $($(1)-y)))
objects    = $(patsubst %.c,$(O)/obj/%.o,$(1))

common-src := $(foreach m,base sys json config crypto net event link guard ops play control,$(call module_src,$(m)))
beacon-src := $(call module_src,beacon) $(SENSORS:%=src/beacon/sensors/%.c)
hub-src    := $(foreach m,hub cmd,$(call module_src,$(m))) $(ACTIONS:%=src/hub/actions/%.c)
lib-src    := $(filter-out %/main.c,$(common-src) $(beacon-src) $(hub-src))

# What is linked changes when a source goes, too.
ifneq ($(and $(CONFIGURED),$(wildcard $(O)/gen/auto.conf)),)
ifneq ($(strip $(lib-src)),$(strip $(file <$(O)/gen/sources.list)))
$(file >$(O)/gen/sources.list,$(lib-src))
endif
endif

CFLAGS := -std=c11 -D_GNU_SOURCE $(WARN_CFLAGS) $(BASE_CFLAGS) $(DENSE_CFLAGS) -Iinclude -Isrc -I$(O)/gen \
          -include $(O)/gen/autoconf.h
# The compiler calls malloc's file on its own.
CFLAGS_src/sys/malloc += $(if $(LTO_CFLAGS),-fno-lto)
CC_DEPENDS := $(O)/gen/autoconf.h $(SYSROOT)/.ready toolchain/link.mk $(FOREIGN_PROBE) $(if $(SLIM),,$(wildcard $(O)/gen/fat))

$(O)/obj/%.o: %.c $(CC_DEPENDS)
	@mkdir -p $(@D)
	@rm -f $(@:.o=.ci) $(@:.o=.su)
	$(call say,CC $@)
	$(Q)$(CC_BOARD) $(CFLAGS) $(GUARD_CFLAGS) $(CFLAGS_$*) -MMD -MP -c -o $@ $<

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)

.PHONY: lib objects
objects: $(call objects,$(lib-src))
lib: $(O)/libnefia.a ## Build only the archive that unit tests link with
$(O)/libnefia.a: $(call objects,$(lib-src)) $(O)/gen/sources.list
	$(call say,AR $@)
	$(Q)rm -f $@
	$(Q)$(AR_BOARD) rcs $@ $(filter %.o,$^)

LIBS = -ltre -lbearssl
define link
	$(call say,LD $@)
	$(Q)$(CC_BOARD) $(LINK_FLAGS) $(LTO) -o $@ $(LINK_MAP) $(LINK_START) $(filter %.o %.a,$^) $(LIBS) $(LINK_END)
endef

$(O)/nefia-beacon.elf: $(call objects,$(common-src) $(beacon-src)) $(SYSROOT)/.ready toolchain/link.mk $(O)/gen/sources.list
	$(link)
%.elf: LINK_MAP = -Wl,-Map=$(@:.elf=.map)
%.elf: LTO = $(LTO_LINK)
$(O)/nefia.elf: $(call objects,$(common-src) $(hub-src)) $(SYSROOT)/.ready toolchain/link.mk $(O)/gen/sources.list
	$(link)
$(O)/nefia-beacon $(O)/nefia: %: %.elf toolchain/strip.sh
	$(call say,STRIP $@)
	$(Q)$(STRIP_PROGRAM)

include toolchain/install.mk
include toolchain/tests.mk
include toolchain/lint.mk

.PHONY: clean distclean
clean: ## Remove the build of BOARD, keep sources, libraries and kernels
	rm -rf $(addprefix $(O)/,obj test gen libnefia.a nefia nefia.elf nefia-beacon nefia-beacon.elf)
distclean: ## Remove everything generated
	rm -rf out
