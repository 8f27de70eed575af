#ifndef NEFIA_HUB_DEVICE_H
#define NEFIA_HUB_DEVICE_H

/** What the configuration says of a device, beside its keys (devices.h). Strings belong to the
 * configuration. */
struct host_label {
    const char *key, *value;
};

struct device {
    const char *role; /* null: none */
    const struct host_label *labels;
    unsigned label_count;
};

#endif
