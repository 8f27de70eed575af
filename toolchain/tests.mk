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

test-unit: $(O)/test/test_$(T) ## Build and run one unit test: T=text runs tests/unit/test_text.c
	$(Q)$(QEMU_USER) $<

test-san: ## Run the unit tests under ASan and UBSan
	$(Q)$(MAKE) --no-print-directory SAN=1 BOARD=host test
