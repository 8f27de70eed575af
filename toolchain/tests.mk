# Tests and what surrounds them.

# What takes longest begins first.
longest_first = $(filter $(1),$(2)) $(filter-out $(1),$(sort $(2)))
# libyaml is built for the host only, and so is what compares with it.
HOST_ONLY := $(if $(filter x86_64,$(ARCH)),,test_yaml_libyaml fuzz_yaml)
TESTS   := $(filter-out $(HOST_ONLY),$(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c)))
TESTS   := $(call longest_first,test_uplink test_journal test_child test_text test_control,$(TESTS))
FAKES   := $(wildcard tests/fake/*.c)
SCRIPTS := $(call longest_first,tests/beacon_load_test.sh tests/dist_test.sh tests/kconfig_test.sh tests/init_test.sh tests/console_test.sh \
           tests/foreign_test.sh tests/guarded_test.sh tests/shell_test.sh tests/noheap_test.sh,$(wildcard tests/*_test.sh))
FAULTS  := $(sort $(wildcard tests/fault/scenario_*.py))
# What is alike on several boards has its turn: the check, which has no time for all, takes other ones at each commit.
turn         = $(shell toolchain/turn.sh $(1) $(2))
## FULL_BOARDS boards on which test-cross runs every unit test, and which are in every check; the others have the tests of the ABI
FULL_BOARDS := arm-virt mips-malta
# The check takes one of them at times, builds its programs, and looks at them and at their sizes. Their unit tests and machines take the time
# that it has not: two of the kernels are built from source.
MORE_BOARDS := riscv64-virt i386-q35 ppc-e500
## ROUTERS MIPS boards that test-qemu boots as routers (default: mips-malta mipsel-malta); it takes minutes to build the kernel of the first
ROUTERS     := mips-malta mipsel-malta
## MACHINES all: test-qemu boots riscv64-virt, i386-q35 and ppc-e500, too, and takes all images through a product's life instead of one
MACHINES ?=
# The boards that a system test boots from an image, and the names of their scenarios.
IMAGES  := arm-virt $(ROUTERS)
LIVES   := $(patsubst %,qemu/scenario_image_%.sh,$(foreach b,$(IMAGES),$(firstword $(subst -, ,$(b)))))
NO_ROUTERS = $(filter-out $(ROUTERS),mips-malta mipsel-malta)
SYSTEMS  = $(call systems,$(filter-out $(NO_ROUTERS:%-malta=qemu/scenario_%.sh) qemu/scenario_image_%.sh \
               $(if $(filter all,$(MACHINES)),,qemu/scenario_riscv64.sh qemu/scenario_i386.sh qemu/scenario_ppc.sh),$(wildcard qemu/scenario_*.sh)) \
           $(if $(filter all,$(MACHINES)),$(LIVES),$(call turn,1,$(LIVES))))
systems  = $(call longest_first,qemu/scenario_device.sh $(LIVES) qemu/scenario_wireguard.sh qemu/scenario_cut.sh,$(1))
# The boards of the scenarios that are run, and of those with a guarded beacon.
needs    = $(if $(filter $(1:%=qemu/scenario_%.sh),$(SYSTEMS)),$(2))
BOOTED   = $(IMAGES) $(call needs,device systemd,aarch64-virt) $(if $(filter all,$(MACHINES)),$(MORE_BOARDS))
GUARDED  = $(call needs,power,arm-virt) $(call needs,console playbook,$(firstword $(ROUTERS)))
FUZZERS := $(filter-out $(HOST_ONLY),$(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
JOBS    := -j$(shell nproc)
# Tests wait more than they compute. Emulated machines compute: there are two in a scenario, and a processor each.
RUN     := toolchain/run-tests.sh -j $(shell echo $$((2 * $$(nproc))))
RUN_QEMU := toolchain/run-tests.sh -j $(shell nproc)
SUBMAKE := $(MAKE) --no-print-directory
EMULATE := $(if $(QEMU_USER),-e '$(QEMU_USER)')
# Tiers that run side by side build the same programs: one at a time in a build directory.
LOCK     = mkdir -p out && flock -o out/.lock.$(1)

TEST_FLAGS := -Itests/unit -Itests/fake
$(foreach f,$(wildcard tests/unit/*.c tests/fake/*.c tests/fuzz/*.c),\
    $(eval CFLAGS_$(f:%.c=%) := $(TEST_FLAGS)))
# A fuzzer's entry has no header of ours; its name is libFuzzer's.
$(foreach f,$(FUZZERS),$(eval CFLAGS_tests/fuzz/$(f) += -Wno-missing-prototypes))

# Our malloc is in the archive before the libraries that ask for it: without this they get musl's.
FIRST := $(if $(SAN),heap_alloc,malloc)
$(O)/test/% $(O)/unit/% $(O)/replay/%: LINK_FLAGS += $(FIRST:%=-Wl,-u,%)
$(foreach f,test/test_yaml_libyaml unit/test_yaml_libyaml replay/fuzz_yaml fuzz/fuzz_yaml,\
    $(eval $(O)/$(f): LIBS += -lyaml))

.SECONDARY: $(TESTS:%=$(O)/obj/tests/unit/%.o) $(FUZZERS:%=$(O)/obj/tests/fuzz/%.o) \
            $(O)/obj/tests/fuzz/replay.o $(FAKES:%.c=$(O)/obj/%.o)
$(O)/test/%: $(O)/obj/tests/unit/%.o $(FAKES:%.c=$(O)/obj/%.o) $(O)/libnefia.a \
             $(SYSROOT)/.ready toolchain/link.mk
	@mkdir -p $(@D)
	$(link)

.PHONY: tests test test-unit test-san test-cross
tests: $(TESTS:%=$(O)/test/%) $(FUZZERS:%=$(O)/replay/%)

test: tests $(if $(QEMU_USER),$(OUT)/.deps/emulate) ## Run the unit tests of BOARD (under qemu-user)
	$(Q)$(RUN) $(EMULATE) $(TESTS:%=$(O)/test/%) $(FUZZERS:%=$(O)/replay/%)

# A single test is for writing code: what does not compile at the moment is left out.
test-unit: ## Build and run one unit test: T=text runs tests/unit/test_text.c
	+$(Q)$(SUBMAKE) -k -s objects || echo 'the archive lacks what does not compile'
	$(Q)rm -f $(O)/partial.a
	$(Q)ls $(call objects,$(lib-src)) 2>/dev/null | xargs $(CROSS)ar rcs $(O)/partial.a
	+$(Q)$(SUBMAKE) $(O)/unit/test_$(T)
	$(Q)$(QEMU_USER) $(O)/unit/test_$(T)

$(O)/unit/%: $(O)/obj/tests/unit/%.o $(FAKES:%.c=$(O)/obj/%.o) $(O)/partial.a
	@mkdir -p $(@D)
	$(link)

test-san: ## Run the unit tests under ASan and UBSan
	+$(Q)$(SUBMAKE) SAN=san BOARD=host test

# Every test runs on the host (64 bits) and on two unlike 32-bit boards: little-endian with an FPU, big-endian with strict alignment
# and without. What is left for the others is what a compiler, an ABI or a kernel's numbers may get wrong: those tests.
## CROSS_BOARDS boards of test-cross (default: all)
CROSS_BOARDS := $(filter-out host,$(BOARDS))
ABI_TESTS   := $(addprefix test_,text json json_rfc8259 yaml config bind settings mac heap frames loop child file path clock cli \
                 log addr netlink tcp event cause dedup rate condition link delivery uplink spool spool_file journal seen audit_log \
                 pattern matcher tre_ascii policy account seccomp privileges helper op op_file undo beacon_pipeline hub_pipeline \
                 wireguard sensor_interface sensor_disk sensor_conntrack sensor_clock sensor_kernel_log sensor_files sensor_login)
ABI_FUZZERS := $(addprefix fuzz_,json event wire link config pattern frames interface wireguard login process)
some = $(if $(filter $(BOARD),$(FULL_BOARDS)),$(2),$(filter $(1),$(2)))
CROSS_TESTS = $(patsubst %,$(O)/test/%,$(call some,$(ABI_TESTS),$(TESTS))) \
              $(patsubst %,$(O)/replay/%,$(call some,$(ABI_FUZZERS),$(FUZZERS)))

.PHONY: test-board
test-board: $(CROSS_TESTS)
	$(Q)$(RUN) $(EMULATE) $(CROSS_TESTS)

test-cross: $(OUT)/.deps/emulate ## Run the unit tests of every board under qemu-user
	+$(Q)toolchain/check.sh -d out/check-cross \
	    $(foreach b,$(CROSS_BOARDS),"$(b)=$(call LOCK,$(b)) $(SUBMAKE) $(JOBS) BOARD=$(b) all test-board")

# ---- fuzzers ---------------------------------------------------------------------------------------
# Built twice: with a plain main that replays the kept corpus (part of `make test`), and with
# libFuzzer, which looks for more.
$(O)/replay/%: $(O)/obj/tests/fuzz/%.o $(O)/obj/tests/fuzz/replay.o $(FAKES:%.c=$(O)/obj/%.o) \
               $(O)/libnefia.a $(SYSROOT)/.ready toolchain/link.mk
	@mkdir -p $(@D)
	$(link)

FUZZ_SECONDS ?= 20
$(O)/fuzz/%: LINK_FLAGS += -fsanitize=fuzzer
$(O)/fuzz/%: $(O)/obj/tests/fuzz/%.o $(FAKES:%.c=$(O)/obj/%.o) $(O)/libnefia.a $(SYSROOT)/.ready
	@mkdir -p $(@D)
	$(link)

.PHONY: fuzz fuzzers
fuzzers: $(FUZZERS:%=$(O)/fuzz/%)
fuzz: $(OUT)/.deps/fuzz ## Run the libFuzzer targets, FUZZ_SECONDS each
	+$(Q)$(SUBMAKE) SAN=fuzz BOARD=host fuzzers
	$(Q)toolchain/fuzz.sh $(FUZZ_SECONDS) $(FUZZERS:%=out/host-fuzz/fuzz/%)

# ---- patterns --------------------------------------------------------------------------------------
# What both our engines make of the same pairs, RE2 judges. It is of this machine's libraries, in a process of its own.
PATTERN_SEED ?= 1
PATTERNS     ?= 250000
CFLAGS_tests/differential/patterns := $(TEST_FLAGS)
$(O)/differential/patterns: LINK_FLAGS += $(FIRST:%=-Wl,-u,%)
$(O)/differential/patterns: $(O)/obj/tests/differential/patterns.o $(O)/libnefia.a $(SYSROOT)/.ready toolchain/link.mk
	@mkdir -p $(@D)
	$(link)
$(O)/differential/re2: tests/differential/re2.cc | $(OUT)/.deps/re2
	@mkdir -p $(@D)
	$(call say,CXX $@)
	$(Q)c++ -std=c++17 -O2 -Wall -Wextra -Werror -o $@ $< -lre2

.PHONY: test-patterns
test-patterns: $(O)/differential/patterns $(O)/differential/re2 ## Compare patterns with RE2: PATTERNS from PATTERN_SEED on
	$(Q)$(O)/differential/patterns $(PATTERN_SEED) $(PATTERNS) 16 | $(O)/differential/re2

# ---- faults ----------------------------------------------------------------------------------------
# The real programs, killed, cut off, on bad disks; each scenario closes with an exact account of the
# events. FAULT_ROUNDS makes a short run, FAULT_SEED repeats one, FAULT_KEEP=1 keeps its files.
.PHONY: test-fault fault-programs
test-fault: $(OUT)/.deps/test ## Fault injection into the real programs: kills, power cuts, full disks, corruption, floods
	+$(Q)$(SUBMAKE) $(JOBS) BOARD=host all fault-programs
	$(Q)$(RUN) -v $(FAULTS)

# Programs with one fault of the protocol each, as the model has them: the attacks must notice. A patch is of one file. Those of
# commands/ are of the beacon that takes commands.
MUTANTS := $(patsubst tests/fault/mutants/%.patch,%,$(wildcard tests/fault/mutants/*.patch))
COMMAND_MUTANTS := $(patsubst tests/fault/mutants/%.patch,%,$(wildcard tests/fault/mutants/commands/*.patch))
# Its object takes the place of the true one, where there is that.
mutated  = $(patsubst $(call objects,$(2)),$(O)/mutant/$(1)/mutated.o,$(call objects,$(3)))
define mutant
$(O)/mutant/$(1)/mutated.o: tests/fault/mutants/$(1).patch $(call objects,$(2)) $(CC_DEPENDS)
	@mkdir -p $$(@D)
	$$(Q)patch -s -o $$(@:.o=.c) $(2) $$<
	$$(call say,CC $$@)
	$$(Q)$$(CC_BOARD) $$(CFLAGS) -iquote $(dir $(2)) -c -o $$@ $$(@:.o=.c)
$(O)/mutant/$(1)/nefia: $(call mutated,$(1),$(2),$(common-src) $(hub-src)) $(SYSROOT)/.ready toolchain/link.mk
	$$(link)
$(O)/mutant/$(1)/nefia-beacon: $(call mutated,$(1),$(2),$(common-src) $(beacon-src)) $(SYSROOT)/.ready toolchain/link.mk
	$$(link)
endef
fault-programs: $(MUTANTS:%=$(O)/mutant/%/nefia) $(MUTANTS:%=$(O)/mutant/%/nefia-beacon) fault-guarded
$(foreach m,$(MUTANTS) $(COMMAND_MUTANTS),$(eval $(call mutant,$(m),$(shell sed -n 's,^+++ b/,,p' tests/fault/mutants/$(m).patch))))

.PHONY: fault-guarded
fault-guarded:
	+$(Q)$(SUBMAKE) BOARD=host CONFIG=guarded out/host-guarded/nefia-beacon \
	    $(COMMAND_MUTANTS:%=out/host-guarded/mutant/%/nefia-beacon)

# With a wall clock that a test can move.
fault-programs: $(O)/fault/nefia $(O)/fault/nefia-beacon
$(O)/fault/nefia: $(call objects,$(common-src) $(hub-src))
$(O)/fault/nefia-beacon: $(call objects,$(common-src) $(beacon-src))
$(O)/fault/nefia $(O)/fault/nefia-beacon: $(O)/obj/tests/fault/clock.o $(SYSROOT)/.ready toolchain/link.mk
	@mkdir -p $(@D)
	$(link)

# ---- the source archive ------------------------------------------------------------------------------
.PHONY: test-dist
test-dist: $(OUT)/.deps/dist $(OUT)/.deps/test ## Build every board from the source archive, without network, dpkg, apt-get and kconfig-conf
	+$(Q)$(SUBMAKE) $(JOBS) boards
	$(Q)DIST_BOARDS='$(BOARDS)' tests/dist_test.sh

# ---- the protocol ------------------------------------------------------------------------------------
# Spin searches models of the link through; what is in tests/model/ does not depend on what is built.
.PHONY: test-model
test-model: out/.deps/model ## Search the models of the link through (spin), and let their mutants fail
	$(Q)tests/model/run.sh

# ---- whole systems ---------------------------------------------------------------------------------
GIVEN_BOARD := $(if $(filter command environment,$(origin BOARD)),$(BOARD))
DEMO_BOARD  := $(or $(GIVEN_BOARD),arm-virt)

.PHONY: kernel image run-image test-qemu test-image test-power demo bench
kernel: $(OUT)/.deps/qemu $(if $(filter $(MORE_BOARDS),$(BOARD)),$(OUT)/.deps/qemu-slow) ## Fetch or build the Linux kernel that QEMU boots for BOARD
	$(Q)qemu/kernel.sh $(BOARD)

# A product's image of BOARD, with the programs of CONFIG.
image: all $(OUT)/.deps/qemu $(OUT)/.deps/image ## Make a disk image of BOARD for QEMU: read-only root, writable overlay
	$(Q)qemu/kernel.sh $(BOARD)
	+$(Q)$(SUBMAKE) BOARD=$(BOARD) CONFIG='$(CONFIG)' $(O)/image/disk.img
$(O)/image/disk.img: $(O)/nefia-beacon $(O)/nefia $(wildcard out/kernel/$(BOARD)/complete) \
                     qemu/image.sh qemu/board.sh $(shell find qemu/image rootfs-overlay -type f)
	$(call say,IMAGE $(O)/image)
	$(Q)qemu/image.sh $(BOARD) $(O)

run-image: image ## Boot the image of BOARD, with its serial console on this terminal
	$(Q)qemu/run_image.sh $(BOARD) $(O)

test-image: $(OUT)/.deps/test ## Boot each image, use it for 10 minutes, cut its power
	+$(Q)for b in $(IMAGES); do $(SUBMAKE) $(JOBS) BOARD=$$b image || exit 1; done
	$(Q)for b in $(IMAGES); do IMAGE_MINUTES=$(or $(IMAGE_MINUTES),10) qemu/life.sh $$b || exit 1; done

test-qemu: $(OUT)/.deps/qemu $(OUT)/.deps/test ## Boot emulated machines and run every qemu/scenario_*.sh
	+$(Q)for b in $(IMAGES); do $(call LOCK,$$b) $(SUBMAKE) $(JOBS) BOARD=$$b image || exit 1; done
	+$(Q)for b in $(filter-out $(IMAGES),$(BOOTED)); do \
	    $(call LOCK,$$b) $(SUBMAKE) $(JOBS) BOARD=$$b all && $(SUBMAKE) BOARD=$$b kernel || exit 1; done
	+$(Q)for b in $(GUARDED); do \
	    $(call LOCK,$$b-guarded) $(SUBMAKE) $(JOBS) BOARD=$$b CONFIG=guarded image || exit 1; done
	$(Q)ROUTER=$(firstword $(ROUTERS)) $(RUN_QEMU) $(SYSTEMS)

test-power: $(OUT)/.deps/qemu $(OUT)/.deps/test ## Cut the power of an emulated hub or router 50 times in the middle of commands
	+$(Q)$(SUBMAKE) $(JOBS) BOARD=arm-virt image
	+$(Q)$(SUBMAKE) $(JOBS) BOARD=arm-virt CONFIG=guarded image
	$(Q)POWER_ROUNDS=$(or $(POWER_ROUNDS),50) qemu/scenario_power.sh

demo: $(OUT)/.deps/qemu $(OUT)/.deps/test ## Demo on two emulated machines: an event, a rule, an action
	+$(Q)$(SUBMAKE) $(JOBS) BOARD=$(DEMO_BOARD) all && $(SUBMAKE) BOARD=$(DEMO_BOARD) kernel
	+$(Q)for b in $(sort arm-virt $(filter $(IMAGES),$(DEMO_BOARD))); do $(SUBMAKE) $(JOBS) BOARD=$$b image || exit 1; done
	$(Q)qemu/demo.sh $(DEMO_BOARD)

bench: $(OUT)/.deps/test ## Benchmark throughput, reaction time, decisions, idle load, start-up
	+$(Q)$(SUBMAKE) $(JOBS) BOARD=host all
	$(Q)for s in run policy idle; do tests/bench/$$s.sh || exit 1; done

# ---- what the linked programs must hold ---------------------------------------------------------------
PROGRAMS = $(O)/nefia-beacon.elf $(O)/nefia.elf

.PHONY: check-linked budget costs sensors
check-linked: $(PROGRAMS) ## Check BOARD's programs for allocators, printf and floating point
	$(Q)toolchain/sum.sh 'toolchain/check-symbols.sh "$(CROSS)" $(PROGRAMS)' \
	    $(if $(filter mips% ppc,$(ARCH)),'toolchain/check-fp.sh "$(CROSS)" $(PROGRAMS)')

BUDGET_BOARD  := $(or $(GIVEN_BOARD),arm-virt)
## BUDGET_BOARDS boards whose promises the budget looks at (default: all)
BUDGET_BOARDS := $(BOARDS)
## BUDGET_COSTS what else it builds: features, the costs of some of them; sensors, some of them alone (default: both)
BUDGET_COSTS  := features sensors
budget: ## Compare flash, RAM and worst-case stack with the promises; pools of BOARD
	+$(Q)$(SUBMAKE) $(JOBS) $$(awk -v boards=' $(BUDGET_BOARDS) ' 'NF && $$1 !~ /^#/ && index(boards, " " $$1 " ") \
	    { print "promised/" $$1 "/" $$2 "/" $$3 }' toolchain/promises.txt)
	$(Q)toolchain/sum.sh -j "python3 toolchain/budget.py --details $(BUDGET_BOARD) --boards '$(BUDGET_BOARDS)'" \
	    $(if $(BUDGET_COSTS),"toolchain/sum.sh $(if $(filter features,$(BUDGET_COSTS)),'python3 toolchain/costs.py --check --some 3') \
	        $(if $(filter sensors,$(BUDGET_COSTS)),'python3 toolchain/costs.py --alone --some 2 $(call turn,2,$(filter-out $(MORE_BOARDS),$(BOARDS)))')")

# BOARD/PROFILE/PROGRAM, as in promises.txt: a link needs one processor, so several builds go on at once.
promised/%:
	+$(Q)set -- $(subst /, ,$*) && build=$$1$$([ $$2 = - ] || echo -$$2) && \
	    $(call LOCK,$$build) $(SUBMAKE) BOARD=$$1 CONFIG="$$([ $$2 = - ] || echo $$2)" out/$$build/$$3

costs: $(OUT)/.deps/build ## Measure what each feature costs and write it into its help
	$(Q)python3 toolchain/costs.py --write

sensors: $(OUT)/.deps/build ## Build a beacon with no sensor and with each sensor alone, for every board
	$(Q)python3 toolchain/costs.py --alone $(BOARDS)

# ---- everything ----------------------------------------------------------------------------------------
# The first list computes, the second waits much. What the scripts look at was built before: by the unit tests, and by the tiers of
# their list (the guarded beacon, the programs of the emulated boards). Objects serve the unit tests from the beginning, so that no program
# is linked again while a machine of the other list boots with it.
.PHONY: check
# In every check are the host, arm-virt's machines, a router, and one of the FULL_BOARDS. The rest has one of these turns; a scenario that
# none of them names is in all.
TURNS := big-endian devices archive toolchains
SYSTEMS_big-endian := mips image_mips console playbook
SYSTEMS_devices    := mipsel device systemd wireguard
SYSTEMS_archive    := mipsel cut sdwan image_arm
SYSTEMS_toolchains := mipsel power strict image_mipsel
EVERY_TURN = $(filter-out $(foreach t,$(TURNS),$(SYSTEMS_$(t))) riscv64 i386 ppc,$(patsubst qemu/scenario_%.sh,%,$(wildcard qemu/scenario_*.sh)))
in = $(filter $(1) all,$(TURN))
## TURN which of its turns a check has: one of big-endian, devices, archive, toolchains, or all (default: another one at each commit)
check: TURN         = $(call turn,1,$(TURNS))
check: ROUTERS_TURN = $(if $(call in,big-endian),mips-malta) $(if $(call in,devices archive toolchains),mipsel-malta)
check: CROSS_TURN   = $(if $(call in,devices toolchains),arm-virt) $(if $(call in,big-endian archive),mips-malta) \
                      $(if $(call in,toolchains),$(call turn,1,$(filter-out host $(FULL_BOARDS) $(MORE_BOARDS),$(BOARDS))))
check: MORE_TURN    = $(if $(call in,archive),$(call turn,1,$(MORE_BOARDS)))
check: SYSTEMS_TURN = $(call systems,$(patsubst %,qemu/scenario_%.sh,$(EVERY_TURN) $(foreach t,$(TURNS),$(if $(call in,$(t)),$(SYSTEMS_$(t))))))
check: COSTS_TURN   = $(if $(call in,toolchains),features) $(if $(call in,archive),sensors)
check: $(OUT)/.deps/check ## Run every test tier; the last line is the result
	$(Q)for b in $(filter-out $(MORE_BOARDS),$(BOARDS)); do mkdir -p out/$$b/gen && { [ -e out/$$b/gen/fat ] || : >out/$$b/gen/fat; } || exit 1; done
	$(if $(filter $(TURNS) all,$(TURN)),,$(error TURN=$(TURN): there are $(TURNS) and all))
	$(Q)echo "This check has the turn: $(TURN)"
	+$(Q)toolchain/check.sh -d out/check \
	    "unit=$(SUBMAKE) $(JOBS) BOARD=host all test" \
	    -- \
	    "cross=$(SUBMAKE) test-cross CROSS_BOARDS='$(CROSS_TURN)'" \
	    "sanitizers=$(SUBMAKE) $(JOBS) test-san" \
	    "linked=toolchain/check.sh -d out/check-linked $(foreach b,host $(CROSS_TURN) $(MORE_TURN),'$(b)=$(SUBMAKE) BOARD=$(b) check-linked')" \
	    "budget=$(SUBMAKE) budget BUDGET_BOARDS='host $(CROSS_TURN) $(MORE_TURN)' BUDGET_COSTS='$(strip $(COSTS_TURN))'" \
	    "patterns=$(SUBMAKE) BOARD=host test-patterns" \
	    $(if $(call in,devices archive),"model=$(SUBMAKE) test-model") \
	    -- \
	    "fault=FAULT_ROUNDS=20 $(SUBMAKE) test-fault" \
	    "qemu=$(SUBMAKE) test-qemu ROUTERS='$(strip $(ROUTERS_TURN))' SYSTEMS='$(SYSTEMS_TURN)'" \
	    "scripts=SOME=y $(RUN) $(filter-out $(if $(call in,archive),,tests/dist_test.sh) $(if $(call in,toolchains),,tests/foreign_test.sh),$(SCRIPTS))"
