# A double of the few rules of OpenWrt's tree that the package's Makefile needs: BuildPackage says what the scan of metadata sees, and has
# the steps as targets. PKG_BUILD_DIR is given.
INCLUDE_DIR := $(TOPDIR)/include

define BuildPackage
$(eval $(Package/$(1)))
$(eval info-$(1): ; @printf '%s\n' 'Package: $(1)' 'Version: $(PKG_VERSION)-$(PKG_RELEASE)' 'License: $(PKG_LICENSE)' 'Section: $(SECTION)' 'Category: $(CATEGORY)' 'Title: $(TITLE)' 'Depends: $(DEPENDS)' 'Require-User: $(USERID)' 'Alternatives: $(ALTERNATIVES)' 'Conffiles: $(strip $(Package/$(1)/conffiles))' 'Symbols: $(words $(PKG_CONFIG_DEPENDS))')
configure-$(1):
	$(value Build/Configure)
install-$(1):
	$$(call Package/$(1)/install,$$(DESTINATION))
endef
