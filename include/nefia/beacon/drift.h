#ifndef NEFIA_BEACON_DRIFT_H
#define NEFIA_BEACON_DRIFT_H

#include <bearssl_hash.h>

#include "nefia/beacon/sensor.h"

/** What the sensors config_drift, module_drift and package_drift share: files, kernel modules and packages against one
 * manifest. Its lines are VALUE and NAME as manifest_lines reads them:
 * - a file by its absolute path: SHA-256 in hex of what is in it; of a symbolic link what it leads to, as
 *   sha256sum(1) does, or with `#link ` before it its text;
 * - a kernel module as "module:NAME": SHA-256 of its build id (sysfs' notes/.note.gnu.build-id), srcversion and
 *   coresize, as far as they are there: of what runs, not of a file;
 * - any other name is a package's, and the value its version, in the database of opkg, apk or dpkg. */
enum {
    DRIFT_DEPTH = 8,    /* directories in each other below a path */
    DRIFT_NAMES = 4096, /* in all paths of a sensor together */
};

struct drift_sensor {
    struct sensor_common common;
    const char *manifest, *database; /* null: none; where one is */
    const char *paths[CONFIG_DRIFT_PATHS];
    unsigned count;
    bool packages, modules; /* modules: extra ones count, and are written */
    uint32_t same;          /* print of manifest and database when the packages were last the same; 0: never */
};

/** What has been seen of a file: it need not be read again. */
struct drift_known {
    uint32_t name;  /* hash, with the sensor in its lowest bits */
    uint32_t print; /* of stat(2) and the declared value, with flags in its lowest bits */
};

/** Shared by the sensors. */
struct drift_memory {
    struct drift_known known[CONFIG_DRIFT_ENTRIES + 1];
    unsigned count;
    uint32_t seed; /* of the names' hashes, so that nobody can make a name for one; 0: not drawn yet */
    /* The file that is being read: its descriptor (0: none), when it was read last, its entry as it will be. */
    int fd;
    uint32_t read_ms;
    struct drift_known reading;
    br_sha256_context sha;
};

/** For `open`: are the paths absolute, and can only its owner write to the manifest? */
int drift_open(void *state, struct config *c, const struct node *n, const char *where);
/** One look; or what the verb `manifest` asks for. Files are read again only where stat(2) has changed, and in
 * slices: after one, the next is due soon. Return: is there a result? Not so while files are being read, where something
 * was not measured and no difference is found, and when the manifest was written. */
bool drift_look(struct emitter *e, struct drift_sensor *s, struct drift *d);
/** The rest of an event: the manifest and the differences. */
void drift_end(struct emitter *e, struct json_writer *w, const struct drift_sensor *s, const struct drift *d);
/** Fields of a state: `database`, `packages`, then DRIFT_FILES: `manifest`, which is required, and `paths`. */
extern const struct field drift_fields[];
enum { DRIFT_FILES = 2 };

#endif
