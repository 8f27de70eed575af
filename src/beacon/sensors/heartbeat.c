#include <bearssl_hash.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/clock.h"
#include "nefia/sys/cli.h"
#include "nefia/sys/file.h"

enum { DIGEST = 32 /* of SHA-256 */ };

/** What is reported only when it has changed; zeros: nothing. */
struct facts {
    uint8_t config[DIGEST], modules[DIGEST];
};

static const char modules[] = "/proc/modules";

/* heartbeat: the device is there, with what may help who looks at it from afar. */
struct heartbeat {
    struct sensor_common common;
    struct facts accepted, now; /* in the last heartbeat that passed; in this one */
    bool modular; /* there is a list of modules: a kernel without does not get one */
};

/** The file's digest, all zeros if it cannot be read. It holds secrets. */
static void digest_file(const char *path, uint8_t digest[DIGEST])
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    br_sha256_context sha;
    char buf[512];
    long n = fd < 0 ? -1 : 1;

    br_sha256_init(&sha);
    while (n > 0) {
        n = file_fill(fd, buf, sizeof buf);
        br_sha256_update(&sha, buf, n > 0 ? (size_t)n : 0);
    }
    if (n == 0)
        br_sha256_out(&sha, digest);
    if (fd >= 0)
        close(fd);
    wipe(buf, sizeof buf);
    wipe(&sha, sizeof sha);
}

static int heartbeat_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct heartbeat *h = state;

    (void)n;
    (void)where;
    digest_file(c->path, h->now.config);
    return 0;
}

static int heartbeat_start(void *state, struct emitter *self, void *before)
{
    struct heartbeat *h = state;
    const struct heartbeat *old = before;

    (void)self;
    h->modular = access(modules, R_OK) == 0; /* a kernel without modules lacks nothing */
    if (old)
        h->accepted = old->accepted;
    return 0;
}

/** A line of /proc/modules, which lists them as they were loaded; a sum does not depend on that. */
static int add_module(void *arg, const char *line, size_t len)
{
    uint8_t *sum = arg, digest[DIGEST];
    br_sha256_context sha;
    unsigned carry = 0;

    (void)len;
    br_sha256_init(&sha);
    br_sha256_update(&sha, line, strcspn(line, " "));
    br_sha256_out(&sha, digest);
    for (int i = DIGEST - 1; i >= 0; i--) {
        carry += sum[i] + digest[i];
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return 0;
}

static void put_change(struct json_writer *w, const char *key, const uint8_t now[DIGEST],
                       const uint8_t accepted[DIGEST])
{
    if (memcmp(now, accepted, DIGEST) != 0)
        json_put_hex(w, key, now, DIGEST);
}

static void put_state(struct emitter *out, struct json_writer *w, uint64_t now_ms)
{
    struct memory_kib kib;
    struct sysinfo info;
    struct utsname kernel;
    int64_t max_error_us;

    json_put_u64(w, "uptime_s", now_ms / 1000);
    if (sysinfo(&info) == 0)
        put_tenths(w, "load_1m", percent_tenths(info.loads[0], UINT64_C(100) << SI_LOAD_SHIFT));
    if (emitter_memory(out, &kib) == 0) {
        put_tenths(w, "available_percent", percent_tenths(kib.available, kib.total));
        json_put_u64(w, "available_bytes", kib.available * 1024);
    }
    const int synced = clock_disciplined(&max_error_us);
    if (synced >= 0)
        json_put_string(w, "clock", synced ? "synced" : "unsynced");
    json_put_string(w, "version", cli_version());
    if (uname(&kernel) == 0)
        json_put_string(w, "kernel", kernel.release);
}

static int heartbeat_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct heartbeat *h = state;
    struct json_writer *w = emit_exempt(out, "instance.heartbeat", NULL, SEVERITY_INFO);

    put_state(out, w, now_ms);
    memset(h->now.modules, 0, DIGEST);
    if (h->modular)
        emitter_lines(out, modules, add_module, h->now.modules);
    put_change(w, "config_sha256", h->now.config, h->accepted.config);
    put_change(w, "modules_sha256", h->now.modules, h->accepted.modules);
    if (emit_end(out) == 1)
        h->accepted = h->now;
    return 0;
}

const struct sensor_class sensor_heartbeat = {
    SENSOR_NAME("heartbeat", "2m"),
    .state_size = sizeof(struct heartbeat),
    .open = heartbeat_open,
    .start = heartbeat_start,
    .poll = heartbeat_poll,
};
