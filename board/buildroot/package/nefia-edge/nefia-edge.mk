################################################################################
#
# nefia-edge
#
################################################################################

NEFIA_EDGE_VERSION = 0.1.0
NEFIA_EDGE_SOURCE = nefia-edge-$(NEFIA_EDGE_VERSION).tar.xz
NEFIA_EDGE_SITE = \
	$(or $(call qstrip,$(BR2_PACKAGE_NEFIA_EDGE_SITE)), \
		file://$(abspath $(BR2_EXTERNAL_NEFIA_PATH)/../../out))
NEFIA_EDGE_LICENSE = ISC, MIT (musl, BearSSL, jsmn), BSD-2-Clause (TRE)
NEFIA_EDGE_LICENSE_FILES = LICENSE

# An archive that was made on this machine has no other hash to compare.
ifneq ($(filter file:%,$(NEFIA_EDGE_SITE)),)
BR_NO_CHECK_HASH_FOR += $(NEFIA_EDGE_SOURCE)
endif

# A working tree has the builds of others, of which only the sources of
# the libraries are of use here.
NEFIA_EDGE_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = \
	--include /out --include /out/sources --exclude '/out/*'

NEFIA_EDGE_PROGRAMS = \
	$(if $(BR2_PACKAGE_NEFIA_EDGE_BEACON),nefia-beacon) \
	$(if $(BR2_PACKAGE_NEFIA_EDGE_HUB),nefia)

# Options of this package that are no features of the programs.
NEFIA_EDGE_NO_FEATURES = BEACON|HUB|SITE|CONFIGURATION

# It is built in out/foreign-buildroot, by the name of this file.
NEFIA_EDGE_FRAGMENT = buildroot.config

define NEFIA_EDGE_CONFIGURE_CMDS
	sed -n -E \
		-e '/BR2_PACKAGE_NEFIA_EDGE_($(NEFIA_EDGE_NO_FEATURES))[= ]/d' \
		-e 's/^(# )?BR2_PACKAGE_NEFIA_EDGE_/\1CONFIG_/p' \
		$(BR2_CONFIG) > $(@D)/$(NEFIA_EDGE_FRAGMENT)
endef

NEFIA_EDGE_MAKE_OPTS = \
	DEPS=none \
	$(if $(BR2_TOOLCHAIN_USES_GLIBC),LIBC=any) \
	CC="$(TARGET_CC)" \
	AR="$(TARGET_AR)" \
	CROSS_COMPILE="$(TARGET_CROSS)" \
	CFLAGS="$(TARGET_CFLAGS)" \
	LDFLAGS="$(TARGET_LDFLAGS)" \
	KCONFIG_CONF="$(BUILD_DIR)/buildroot-config/conf" \
	CONFIG=./$(NEFIA_EDGE_FRAGMENT)

define NEFIA_EDGE_BUILD_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D) $(NEFIA_EDGE_MAKE_OPTS) \
		$(addprefix out/foreign-buildroot/,$(NEFIA_EDGE_PROGRAMS))
endef

# $(1): the kind of init scripts
define NEFIA_EDGE_INSTALL
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D) $(NEFIA_EDGE_MAKE_OPTS) \
		INSTALL_PROGRAMS="$(strip $(NEFIA_EDGE_PROGRAMS))" \
		DESTDIR="$(TARGET_DIR)" PREFIX=/usr INIT=$(1) install
endef

NEFIA_EDGE_CONFIGURATION = \
	$(call qstrip,$(BR2_PACKAGE_NEFIA_EDGE_CONFIGURATION))
NEFIA_EDGE_CONFIGURATION_NAME = \
	nefia.$(if $(BR2_PACKAGE_NEFIA_EDGE_YAML),yaml,json)

ifneq ($(NEFIA_EDGE_CONFIGURATION),)
define NEFIA_EDGE_INSTALL_CONFIGURATION
	if [ -d "$(NEFIA_EDGE_CONFIGURATION)" ]; then \
		cp -R "$(NEFIA_EDGE_CONFIGURATION)/." $(TARGET_DIR)/etc/nefia/; \
	else \
		cp "$(NEFIA_EDGE_CONFIGURATION)" \
			$(TARGET_DIR)/etc/nefia/$(NEFIA_EDGE_CONFIGURATION_NAME); \
	fi
	chmod -R u=rwX,g=rX,o= $(TARGET_DIR)/etc/nefia
endef
endif

define NEFIA_EDGE_INSTALL_TARGET_CMDS
	$(call NEFIA_EDGE_INSTALL,none)
	$(NEFIA_EDGE_INSTALL_CONFIGURATION)
endef

define NEFIA_EDGE_INSTALL_INIT_SYSV
	$(call NEFIA_EDGE_INSTALL,sysv)
endef

define NEFIA_EDGE_INSTALL_INIT_SYSTEMD
	$(call NEFIA_EDGE_INSTALL,systemd)
endef

# The user that `user: nefia` in the configuration, and the units, name.
define NEFIA_EDGE_USERS
	nefia -1 nefia -1 * - - - daemons of nefia-edge
endef

# The key, which the daemons read again when they reload.
define NEFIA_EDGE_PERMISSIONS
	/etc/nefia r -1 root nefia - - - - -
	/etc/nefia d 750 root nefia - - - - -
endef

$(eval $(generic-package))
