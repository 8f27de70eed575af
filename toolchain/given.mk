# What the command line of make says of a toolchain that is not ours, under names of our own: a package's build passes CC, AR,
# STRIP, CFLAGS, LDFLAGS and sometimes ARCH or CROSS, which mean other things here.
#
# Only the command line (and make -e) chooses a toolchain: an exported CC of the shell would turn every `make` into another.
#
## CC a compiler that is not ours, with its own musl (OpenWrt's, Buildroot's, musl-gcc); builds into out/foreign
## CROSS_COMPILE the same by its prefix: CROSS_COMPILE=mipsel-openwrt-linux-musl-
## CFLAGS options for that compiler (CPU, optimization); LDFLAGS, AR, STRIP likewise
## SYSROOT_LIBS a directory with include/ and lib/ of packaged BearSSL, TRE, jsmn; what it lacks is built here
## KERNEL_HEADERS the kernel's headers, for a compiler that has none
## LIBC any: take a compiler whose C library is not musl; its programs may allocate
## DEPS none: never call the package manager; what is missing is named
ifndef GIVEN
GIVEN := y
given = $(if $(filter command override,$(origin $(1))),$(strip $($(1))))
FOREIGN_CC      := $(or $(call given,CC),$(patsubst %,%gcc,$(call given,CROSS_COMPILE)))
ifneq ($(FOREIGN_CC),)
# The prefix of its other programs: as given, or what stands before the compiler's name, if there is such an ar.
FOREIGN_CROSS   := $(or $(call given,CROSS_COMPILE),$(shell p=$$(echo '$(lastword $(filter %cc %clang,$(FOREIGN_CC)))' | \
                     sed 's/[a-z]*$$//'); command -v "$${p}ar" >/dev/null 2>&1 && command -v "$${p}strip" >/dev/null && echo "$$p"))
FOREIGN_AR      := $(or $(call given,AR),$(FOREIGN_CROSS)ar)
FOREIGN_STRIP   := $(or $(call given,STRIP),$(FOREIGN_CROSS)strip)
FOREIGN_CFLAGS  := $(strip $(CPPFLAGS) $(CFLAGS))
FOREIGN_LDFLAGS := $(strip $(LDFLAGS))
endif
# DEPS=none: the package manager stays alone. A foreign toolchain's user installs what is needed, too.
NO_APT     := $(filter none,$(DEPS))
NO_INSTALL := $(NO_APT)$(FOREIGN_CC)
endif
