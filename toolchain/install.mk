# `make install`: what goes on a device or into a package, under DESTDIR. Needs no root and changes no owner.

## DESTDIR directory that stands for the device's root (default: empty)
## PREFIX where programs and licences go (default: /usr/local); SBINDIR, DOCDIR to say it of one
## SYSCONFDIR where nefia/nefia.yaml (nefia.json) and init.d are (default: /etc)
## INIT init scripts to install: sysv (BusyBox, Buildroot), systemd (units), procd (OpenWrt), none (default)
## DOCS y: install README.md and docs/ into DOCDIR, too (default: licences alone; a device has little room)
## UNITDIR where systemd's units go (default: PREFIX/lib/systemd/system), for INIT=systemd
## PLAYBOOKDIR where the playbooks that come with the hub are (default: PREFIX/share/nefia/playbooks)
## ACLDIR where ubusd of OpenWrt reads who may call what (default: /usr/share/acl.d), for INIT=procd
## INSTALL_PROGRAMS nefia-beacon, nefia or both (default)
PREFIX     ?= /usr/local
SBINDIR    ?= $(PREFIX)/sbin
SYSCONFDIR ?= /etc
DOCDIR     ?= $(PREFIX)/share/doc/nefia-edge
ACLDIR     ?= /usr/share/acl.d
UNITDIR    ?= $(PREFIX)/lib/systemd/system
PLAYBOOKDIR ?= $(PREFIX)/share/nefia/playbooks
INSTALL_PROGRAMS ?= nefia-beacon nefia
DOCS       ?= n
INIT       ?= none

init-sysv  := S95nefia-beacon S96nefia-reactor
init-systemd := nefia-beacon.service nefia-reactor.service
init-procd := nefia-beacon nefia-reactor
init-none  :=
# Those of the programs that are installed.
INIT_FILES  = $(if $(filter nefia-beacon,$(INSTALL_PROGRAMS)),$(filter %beacon %beacon.service,$(init-$(INIT)))) \
              $(if $(filter nefia,$(INSTALL_PROGRAMS)),$(filter %reactor %reactor.service,$(init-$(INIT))))
# Units are no programs, and elsewhere.
INIT_FROM   = rootfs-overlay/$(if $(filter systemd,$(INIT)),usr/lib/systemd/system,etc/init.d)
INIT_DIR    = $(if $(filter systemd,$(INIT)),$(UNITDIR),$(SYSCONFDIR)/init.d)
INIT_MODE   = $(if $(filter systemd,$(INIT)),644,755)

# A beacon that does not run as root asks procd for the state of services.
ACL_FILES   = $(if $(filter procd,$(INIT)),$(if $(filter nefia-beacon,$(INSTALL_PROGRAMS)),nefia-beacon.json))

# What else makes a program part of OpenWrt, where that looks for it: a file of the overlay, and behind a colon its place if that is another
# one (two packages cannot have one file).
openwrt-nefia-beacon := usr/lib/nefia/uci.sh:usr/lib/nefia/beacon.sh etc/uci-defaults/90-nefia-beacon lib/upgrade/keep.d/nefia-beacon \
                        usr/libexec/rpcd/nefia usr/share/rpcd/acl.d/nefia-beacon.json
openwrt-nefia        := usr/lib/nefia/uci.sh:usr/lib/nefia/hub.sh etc/uci-defaults/90-nefia-hub lib/upgrade/keep.d/nefia-hub \
                        usr/libexec/rpcd/nefia usr/share/rpcd/acl.d/nefia-hub.json
OPENWRT_FILES = $(if $(filter procd,$(INIT)),$(foreach p,$(INSTALL_PROGRAMS),$(openwrt-$(p))))

# The licences of what is linked in, from the sources that were built; their texts are not ours to keep in the tree. A foreign
# toolchain's own C library and packages bring theirs.
licence-musl    := COPYRIGHT
licence-bearssl := LICENSE.txt
licence-tre     := LICENSE
licence-jsmn    := LICENSE
LICENCES         = $(foreach l,$(LIB_SOURCES),$(if $(licence-$(l)),$(l)))

ifneq ($(filter install uninstall,$(MAKECMDGOALS)),)
ifndef init-$(INIT)
$(if $(filter none,$(INIT)),,$(error INIT=$(INIT): there are init scripts for sysv, systemd and procd; INIT=none installs none))
endif
endif

# A build without the YAML reader has a configuration and an example in JSON.
CONFIG_FILE = nefia.$(if $(CONFIG_YAML),yaml,json)
# A beacon with sensors has another one, for routers.
EXAMPLES    = $(CONFIG_FILE) $(if $(and $(CONFIG_YAML),$(CONFIG_SENSOR_KERNEL_LOG),$(filter nefia-beacon,$(INSTALL_PROGRAMS))),router.yaml)

# A hub with playbooks has some to begin with.
SHIPPED     = $(if $(filter nefia,$(INSTALL_PROGRAMS)),$(notdir $(wildcard rootfs-overlay/usr/share/nefia/playbooks/*.yaml)))
PLAYBOOKS   = $(if $(CONFIG_HUB_PLAYBOOKS),$(SHIPPED))

# Links in them are relative.
DOC_FILES   = $(if $(filter y,$(DOCS)),README.md $(wildcard docs/*.md))

.PHONY: install uninstall
install: $(INSTALL_PROGRAMS:%=$(O)/%) ## Install the programs of BOARD under DESTDIR
	$(Q)mkdir -p '$(DESTDIR)$(SBINDIR)' '$(DESTDIR)$(SYSCONFDIR)/nefia' '$(DESTDIR)$(DOCDIR)'
	$(Q)for p in $(INSTALL_PROGRAMS); do install -m 755 $(O)/$$p '$(DESTDIR)$(SBINDIR)/'$$p || exit 1; done
	$(Q)for f in $(EXAMPLES); do install -m 644 rootfs-overlay/etc/nefia/$$f '$(DESTDIR)$(SYSCONFDIR)/nefia/'$$f.example || exit 1; done
	$(Q)install -m 644 LICENSE '$(DESTDIR)$(DOCDIR)/LICENSE'
	$(Q)$(foreach l,$(LICENCES),install -m 644 $(SOURCES)/$(l)/$(licence-$(l)) '$(DESTDIR)$(DOCDIR)/LICENSE.$(l)' &&) true
	$(Q)[ '$(DOCS)' != y ] || mkdir -p '$(DESTDIR)$(DOCDIR)/docs'
	$(Q)for f in $(DOC_FILES); do install -m 644 $$f '$(DESTDIR)$(DOCDIR)/'$$f || exit 1; done
	$(Q)[ -z '$(strip $(INIT_FILES))' ] || mkdir -p '$(DESTDIR)$(INIT_DIR)'
	$(Q)for f in $(INIT_FILES); do \
	    sed 's|/usr/sbin/nefia|$(SBINDIR)/nefia|g; s|/etc/nefia/nefia.yaml|$(SYSCONFDIR)/nefia/$(CONFIG_FILE)|g$(if $(CONFIG_SYSLOG),,; s| --syslog||)' \
	        $(INIT_FROM)/$$f >'$(DESTDIR)$(INIT_DIR)/'$$f && chmod $(INIT_MODE) '$(DESTDIR)$(INIT_DIR)/'$$f || exit 1; \
	done
	$(Q)[ -z '$(ACL_FILES)' ] || mkdir -p '$(DESTDIR)$(ACLDIR)'
	$(Q)for f in $(ACL_FILES); do install -m 644 rootfs-overlay/usr/share/acl.d/$$f '$(DESTDIR)$(ACLDIR)/'$$f || exit 1; done
	$(Q)for f in $(OPENWRT_FILES); do \
	    from=rootfs-overlay/$${f%%:*} to='$(DESTDIR)/'$${f#*:} mode=644; [ ! -x $$from ] || mode=755; \
	    mkdir -p "$${to%/*}" && sed 's|/usr/sbin/nefia|$(SBINDIR)/nefia|g' $$from >"$$to" && chmod $$mode "$$to" || exit 1; \
	done
	$(Q)[ -z '$(PLAYBOOKS)' ] || mkdir -p '$(DESTDIR)$(PLAYBOOKDIR)'
	$(Q)for f in $(PLAYBOOKS); do install -m 644 rootfs-overlay/usr/share/nefia/playbooks/$$f '$(DESTDIR)$(PLAYBOOKDIR)/'$$f || exit 1; done

# Configurations and keys of its user stay.
uninstall: ## Remove what `make install` with the same variables has put there
	$(Q)rm -f $(INSTALL_PROGRAMS:%='$(DESTDIR)$(SBINDIR)/%') $(patsubst %,'$(DESTDIR)$(SYSCONFDIR)/nefia/%.example',nefia.yaml nefia.json router.yaml) \
	    $(INIT_FILES:%='$(DESTDIR)$(INIT_DIR)/%') $(ACL_FILES:%='$(DESTDIR)$(ACLDIR)/%') \
	    '$(DESTDIR)$(DOCDIR)/LICENSE' $(foreach l,musl bearssl tre jsmn,'$(DESTDIR)$(DOCDIR)/LICENSE.$(l)') \
	    $(DOC_FILES:%='$(DESTDIR)$(DOCDIR)/%') $(SHIPPED:%='$(DESTDIR)$(PLAYBOOKDIR)/%') $(foreach f,$(OPENWRT_FILES),'$(DESTDIR)/$(lastword $(subst :, ,$(f)))')
	$(Q)for d in '$(DESTDIR)$(DOCDIR)/docs' '$(DESTDIR)$(DOCDIR)' '$(DESTDIR)$(SYSCONFDIR)/nefia' $(if $(SHIPPED),'$(DESTDIR)$(PLAYBOOKDIR)'); do [ ! -d "$$d" ] || rmdir "$$d" 2>/dev/null || true; done
