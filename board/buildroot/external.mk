include $(sort $(wildcard $(BR2_EXTERNAL_NEFIA_PATH)/package/*/*.mk))
