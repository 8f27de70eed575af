# `make lint`: each finding stops it, nothing is switched off wholesale (.clang-tidy says why for the
# few checks that are).  Stamps under out/lint make a second run look only at what changed.

# A beacon without a policy of its own has no memory for one, nor for commands one that takes none.
LINT_C     := $(filter-out $(if $(CONFIG_BEACON_GUARD),,src/beacon/policy.c) $(if $(CONFIG_REMOTE_EXEC),,src/beacon/remote_run.c src/beacon/helper.c),$(sort $(wildcard src/*/*.c src/*/*/*.c tests/unit/*.c tests/fake/*.c)))
LINT_SH    := $(sort $(shell git ls-files -co --exclude-standard '*.sh' 'rootfs-overlay/*' 'qemu/image/root/*' 2>/dev/null | \
                xargs -r grep -lE '^\#!/bin/sh' 2>/dev/null)) .ci/run
LINT_FLAGS  = -std=c11 -D_GNU_SOURCE $(TEST_FLAGS) -Iinclude -Isrc -I$(O)/gen -include $(O)/gen/autoconf.h
LINT_DEPS   = $(wildcard include/nefia/*.h include/nefia/*/*.h) $(O)/gen/autoconf.h $(SYSROOT)/.ready

.PHONY: lint lint-tidy lint-analyzer lint-cppcheck lint-shell lint-rooms
lint: $(OUT)/.deps/lint ## clang-tidy, cppcheck, gcc -fanalyzer, shellcheck, the order of the rooms
	+$(Q)$(SUBMAKE) $(JOBS) -k BOARD=host lint-rooms lint-shell lint-cppcheck lint-analyzer lint-tidy

lint-tidy: $(LINT_C:%=out/lint/tidy/%)
out/lint/tidy/%: % .clang-tidy $(LINT_DEPS)
	@mkdir -p $(@D)
	$(call say,TIDY $<)
	$(Q)clang-tidy --quiet --warnings-as-errors='*' $< -- $(LINT_FLAGS) $(WARN_CFLAGS) -nostdinc \
	    -isystem $(SYSROOT)/include -isystem $(shell clang -print-file-name=include) >$@.log 2>&1 || \
	    { grep -v 'warnings generated' $@.log; exit 1; }
	@touch $@

lint-analyzer: $(LINT_C:%=out/lint/analyzer/%)
out/lint/analyzer/%: % $(LINT_DEPS)
	@mkdir -p $(@D)
	$(call say,ANALYZE $<)
	$(Q)$(CC_BOARD) $(CFLAGS) $(TEST_FLAGS) -fanalyzer -Wduplicated-branches -Wduplicated-cond -c -o $@.o $<
	@touch $@

lint-cppcheck: out/lint/cppcheck.ok
out/lint/cppcheck.ok: $(LINT_C) $(LINT_DEPS) toolchain/cppcheck.suppress
	@mkdir -p out/lint/cppcheck
	$(call say,CPPCHECK)
	$(Q)cppcheck $(JOBS) --quiet --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --suppressions-list=toolchain/cppcheck.suppress --error-exitcode=1 \
	    --cppcheck-build-dir=out/lint/cppcheck $(filter -I%,$(LINT_FLAGS)) -D_GNU_SOURCE -D__x86_64__ \
	    --include=$(O)/gen/autoconf.h $(LINT_C)
	@touch $@

# Seconds, so it needs no stamp.
lint-rooms:
	$(call say,ROOMS)
	$(Q)toolchain/rooms.sh

lint-shell: out/lint/shell.ok
out/lint/shell.ok: $(LINT_SH)
	@mkdir -p $(@D)
	$(call say,SHELLCHECK)
	$(Q)shellcheck -x $(LINT_SH)
	@touch $@

# Only what is being worked on: the C files that differ from the last commit, or those that FORMAT names.
.PHONY: format
format: $(OUT)/.deps/lint ## Lay out the changed C files as .clang-format says (FORMAT='FILE…': these)
	$(Q)files='$(or $(FORMAT),$(shell git diff --name-only --diff-filter=d HEAD -- '*.c' '*.h' 2>/dev/null) \
	    $(shell git ls-files -o --exclude-standard '*.c' '*.h' 2>/dev/null))'; \
	set -- $$files; [ $$# -eq 0 ] || clang-format -i "$$@"
