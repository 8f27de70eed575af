# Build musl and the libraries for one board into SYSROOT.  Called by the Makefile, with
#   BUILD (directory)  SYSROOT  SOURCES  ARCH  CONFIG_PIE  SAN (set: glibc and sanitizers, no musl)  NEEDS (what they are made of)
# A foreign toolchain (ARCH=foreign) has a C library of its own, too, and perhaps some of the libraries.
# Everything is compiled with the call-graph output that `make budget` reads.
include toolchain/$(ARCH).mk
include toolchain/flags.mk
ifeq ($(ARCH),foreign)
include toolchain/foreign_flags.mk
endif

# musl's makefile has an ARCH of its own: what is set on the command line goes to this makefile only, by HANDED.
HANDED := $(MAKEOVERRIDES)
MAKEOVERRIDES :=

ifeq ($(V),)
Q := @
endif
LIBS  := $(filter-out $(FOREIGN_GIVEN),bearssl tre) $(if $(filter x86_64,$(ARCH)),yaml)

# Several builds of a board share them: whoever waited for the lock finds them made.
.PHONY: ready all
ready: $(SYSROOT)/.ready
$(SYSROOT)/.ready: $(NEEDS)
	$(Q)rm -rf $(SYSROOT) $(BUILD)
	@mkdir -p $(SYSROOT)
	+$(Q)$(MAKE) --no-print-directory -f toolchain/libs.mk all $(HANDED)
	@touch $@

all: $(LIBS:%=$(SYSROOT)/lib/lib%.a) $(if $(filter jsmn,$(FOREIGN_GIVEN)),,$(SYSROOT)/include/jsmn.h) \
     $(if $(or $(SAN),$(FOREIGN_CC)),$(if $(FOREIGN_HEADERS),$(SYSROOT)/include/.kernel),$(SYSROOT)/include/linux/version.h)

LIB_CFLAGS := -std=gnu11 $(BASE_CFLAGS) $(LIB_RENAME) -w -DNDEBUG
# What each byte on the wire goes through is the CPU's own code where the rest is denser and slower.
FAST       := $(foreach f,hash/sha2small mac/hmac codec/dec32be codec/enc32be,$(BUILD)/bearssl/src/$(f).o)

# ---- musl --------------------------------------------------------------------------------------
MUSL_STAMP := $(if $(SAN)$(FOREIGN_CC),,$(SYSROOT)/lib/libc.a)

$(SYSROOT)/lib/libc.a: | $(SOURCES)/musl
	$(Q)mkdir -p $(BUILD)/musl
	$(Q)cd $(BUILD)/musl && CC="$(CROSS)gcc $(ABI) $(PIE_CFLAGS)" AR="$(CROSS)ar" RANLIB="$(CROSS)ranlib" \
	    CFLAGS="$(OPTIMIZE) -w $(SECTION_CFLAGS) $(STACK_CFLAGS)" LIBCC=" " \
	    $(abspath $(SOURCES))/musl/configure --target=$(MUSL_HOST) --prefix= \
	    --disable-shared --enable-wrapper=no --enable-static >configure.log
	$(Q)$(MAKE) -C $(BUILD)/musl install DESTDIR=$(abspath $(SYSROOT)) >$(BUILD)/musl/make.log

	$(Q)$(CROSS)objcopy --rename-section .data.rel.local.static_func_ptr.0=.data.rel.ro.local.start \
	    $(SYSROOT)/lib/rcrt1.o

# ---- the libraries ------------------------------------------------------------------------------
# Of BearSSL the hashes, HMAC, their codecs and generators, and the decoder of certificates; the linker takes what is called.
bearssl-src := $(wildcard $(foreach d,hash mac codec kdf rand,$(SOURCES)/bearssl/src/$(d)/*.c) \
                          $(SOURCES)/bearssl/src/settings.c $(SOURCES)/bearssl/src/x509/x509_decoder.c)
bearssl-inc := -I$(SOURCES)/bearssl/inc -I$(SOURCES)/bearssl/src

# TRE: wide characters only, exact matching only, and memory from malloc, never from alloca.
tre-src := $(addprefix $(SOURCES)/tre/lib/,regcomp.c regerror.c regexec.c tre-ast.c tre-compile.c \
             tre-match-backtrack.c tre-match-parallel.c tre-mem.c tre-parse.c tre-stack.c xmalloc.c)
tre-inc := -I$(BUILD)/tre -I$(SOURCES)/tre/lib -DHAVE_WCTYPE_H -DHAVE_ISWCTYPE -DHAVE_WCTYPE \
           -DHAVE_ISWLOWER -DHAVE_ISWUPPER -DHAVE_TOWLOWER -DHAVE_TOWUPPER -DHAVE_ISBLANK \
           -DHAVE_ISASCII -DTRE_REGEX_T_FIELD=value -include toolchain/tre-ascii.h $(TRE_RENAME)

# libyaml, for tests on the host only: the parser.
yaml-src := $(addprefix $(SOURCES)/libyaml/src/,api.c parser.c reader.c scanner.c)
yaml-inc := -I$(SOURCES)/libyaml/include -DYAML_DECLARE_STATIC -DYAML_VERSION_MAJOR=0 \
            -DYAML_VERSION_MINOR=2 -DYAML_VERSION_PATCH=5 '-DYAML_VERSION_STRING="0.2.5"'

objects = $(patsubst $(SOURCES)/%.c,$(BUILD)/%.o,$($(1)-src))

define library
$(call objects,$(1)): LIB_INC := $($(1)-inc)
$(call objects,$(1)): | $(MUSL_STAMP) $($(1)-headers)
$(SYSROOT)/lib/lib$(1).a: $(call objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)$(AR_BOARD) rcs $$@ $$(filter %.o,$$^)
endef

ifeq ($(SAN),san)
$(SYSROOT)/lib/libyaml.a: $(BUILD)/heap_strdup.o
$(BUILD)/heap_strdup.o: toolchain/heap_strdup.c
	@mkdir -p $(@D)
	$(Q)$(CC_BOARD) $(BASE_CFLAGS) -Iinclude -c -o $@ $<
endif

tre-headers := $(SYSROOT)/include/tre/tre.h
$(foreach lib,$(LIBS),$(eval $(call library,$(lib))))

$(BUILD)/%.o: $(SOURCES)/%.c
	@mkdir -p $(@D)
	$(Q)$(CC_BOARD) $(LIB_CFLAGS) $(if $(DENSE_CFLAGS),$(if $(filter $@,$(FAST)),-fno-lto,$(DENSE_CFLAGS))) $(LIB_INC) -c -o $@ $<

$(BUILD)/tre/tre-config.h:
	@mkdir -p $(@D)
	$(Q)printf '#define %s\n' 'HAVE_SYS_TYPES_H 1' 'HAVE_WCHAR_H 1' 'TRE_WCHAR 1' \
	    'TRE_VERSION "0.8.0"' 'TRE_VERSION_1 0' 'TRE_VERSION_2 8' 'TRE_VERSION_3 0' >$@

# ---- headers ------------------------------------------------------------------------------------
$(SYSROOT)/include/tre/tre.h: $(BUILD)/tre/tre-config.h | $(MUSL_STAMP)
	@mkdir -p $(@D)
	$(Q)cp $(BUILD)/tre/tre-config.h $(@D)/
	$(Q)cp $(SOURCES)/tre/lib/tre.h $@

$(SYSROOT)/lib/libbearssl.a: $(SYSROOT)/include/bearssl.h
$(SYSROOT)/include/bearssl.h: | $(MUSL_STAMP)
	@mkdir -p $(@D)
	$(Q)cp $(SOURCES)/bearssl/inc/*.h $(@D)/

$(SYSROOT)/lib/libyaml.a: $(SYSROOT)/include/yaml.h
$(SYSROOT)/include/yaml.h: | $(MUSL_STAMP)
	@mkdir -p $(@D)
	$(Q)cp $(SOURCES)/libyaml/include/yaml.h $@

$(SYSROOT)/include/jsmn.h: | $(MUSL_STAMP)
	@mkdir -p $(@D)
	$(Q)cp $(SOURCES)/jsmn/jsmn.h $@

# The kernel's own headers (netlink, ioctls), from the compiler's package.
$(SYSROOT)/include/linux/version.h: | $(MUSL_STAMP)
	$(Q)for h in asm/types.h asm-generic/types.h linux/version.h; do \
	    dir=$$(echo "#include <$$h>" | $(CROSS)gcc $(ABI) -M -xc - | tr ' ' '\n' | \
	        grep "/$$h\$$" | head -n 1) && \
	    cp -RL "$${dir%/*}" $(SYSROOT)/include/ || exit 1; done

# Those that a foreign compiler does not find by itself, from where they are.
$(SYSROOT)/include/.kernel:
	@mkdir -p $(@D)
	$(Q)cp -RL $(FOREIGN_HEADERS)/linux $(FOREIGN_HEADERS)/asm-generic $(@D)/
	$(Q)cp -RL $(firstword $(wildcard $(addsuffix /asm,$(FOREIGN_HEADERS) $(FOREIGN_HEADERS)/$(FOREIGN_MACHINE)))) $(@D)/
	@touch $@
