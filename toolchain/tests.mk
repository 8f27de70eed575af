# Tests and what surrounds them.

TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FAKES := $(wildcard tests/fake/*.c)

CFLAGS_TEST = -Itests/unit -Itests/fake
$(foreach t,$(TESTS),$(eval CFLAGS_tests/unit/$(t) = $$(CFLAGS_TEST)))
$(foreach f,$(FAKES),$(eval CFLAGS_$(f:%.c=%) = $$(CFLAGS_TEST)))

.SECONDARY: $(TESTS:%=$(O)/obj/tests/unit/%.o)
$(O)/test/%: $(O)/obj/tests/unit/%.o $(FAKES:%.c=$(O)/obj/%.o) $(O)/libnefia.a $(SYSROOT)/.ready
	@mkdir -p $(@D)
	$(link)

.PHONY: tests test test-unit test-san test-cross
tests: $(TESTS:%=$(O)/test/%) ## Only build the unit tests of BOARD

test: tests ## Run the unit tests of BOARD (other boards: under qemu-user)
	$(Q)toolchain/run-tests.sh $(QEMU_USER:%=-e %) $(TESTS:%=$(O)/test/%)

# A single test is for writing code: what does not compile at the moment is left out.
test-unit: ## Build and run one unit test: T=text runs tests/unit/test_text.c
	$(Q)$(MAKE) --no-print-directory -k -s objects || echo 'the archive lacks what does not compile'
	$(Q)rm -f $(O)/partial.a
	$(Q)ls $(call objects,$(lib-src)) 2>/dev/null | xargs $(CROSS)ar rcs $(O)/partial.a
	$(Q)$(MAKE) --no-print-directory $(O)/unit/test_$(T)
	$(Q)$(QEMU_USER) $(O)/unit/test_$(T)

$(O)/unit/%: $(O)/obj/tests/unit/%.o $(FAKES:%.c=$(O)/obj/%.o) $(O)/partial.a
	@mkdir -p $(@D)
	$(link)

test-san: ## Run the unit tests under ASan and UBSan
	$(Q)$(MAKE) --no-print-directory SAN=1 BOARD=host test
