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

/** What is reported only when it has changed. */
struct facts {
    uint8_t config[DIGEST];
    uint64_t modules; /* sums of hashes of their names, and how many there are */
};

/* heartbeat: the device is there, with what may help who looks at it from afar. */
struct heartbeat {
    struct sensor_common common;
    bool reported;           /* accepted is something */
    struct facts accepted;   /* by the last heartbeat that passed */
    uint8_t config[DIGEST]; /* of the configuration that is in force */
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
    digest_file(c->path, h->config);
    return 0;
}

static int heartbeat_start(void *state, struct emitter *self, void *before)
{
    struct heartbeat *h = state;
    const struct heartbeat *old = before;

    (void)self;
    if (old) {
        h->reported = old->reported;
        h->accepted = old->accepted;
    }
    return 0;
}

static struct slice module_name(const char *line)
{
    return (struct slice){line, strcspn(line, " ")};
}

/** /proc/modules lists them as they were loaded; sums do not depend on that. */
static int count_module(void *arg, const char *line, size_t len)
{
    uint64_t *sum = arg;
    const struct slice name = module_name(line);

    (void)len;
    *sum += (UINT64_C(1) << 48) + hash_bytes(HASH_START, name.ptr, name.len);
    return 0;
}

static int digest_module(void *arg, const char *line, size_t len)
{
    uint8_t *sum = arg, digest[DIGEST];
    const struct slice name = module_name(line);
    br_sha256_context sha;
    unsigned carry = 0;

    (void)len;
    br_sha256_init(&sha);
    br_sha256_update(&sha, name.ptr, name.len);
    br_sha256_out(&sha, digest);
    for (int i = DIGEST - 1; i >= 0; i--) {
        carry += sum[i] + digest[i];
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return 0;
}

static void put_digest(struct json_writer *w, const char *key, const uint8_t digest[DIGEST])
{
    char hex[2 * DIGEST + 1];
    struct text t;

    text_init(&t, hex, sizeof hex);
    text_hex(&t, digest, DIGEST);
    json_put_string(w, key, hex);
}

static void put_changes(const struct heartbeat *h, struct emitter *out, struct json_writer *w,
                        struct facts *now)
{
    static const char modules[] = "/proc/modules";
    static const uint8_t none[DIGEST];
    uint8_t sum[DIGEST] = {0};

    if (memcmp(h->config, none, DIGEST) != 0 &&
        (!h->reported || memcmp(h->config, h->accepted.config, DIGEST) != 0))
        put_digest(w, "config_sha256", h->config);
    memcpy(now->config, h->config, DIGEST);
    if (access(modules, R_OK) < 0 || emitter_lines(out, modules, count_module, &now->modules) < 0)
        return; /* a kernel without modules lacks nothing */
    if (h->reported && now->modules == h->accepted.modules)
        return;
    emitter_lines(out, modules, digest_module, sum);
    put_digest(w, "modules_sha256", sum);
}

static void put_state(struct emitter *out, struct json_writer *w, uint64_t now_ms)
{
    struct memory_kib kib;
    struct sysinfo info;
    struct utsname kernel;
    int64_t max_error_us;

    json_put_u64(w, "uptime_s", now_ms / 1000);
    if (sysinfo(&info) == 0)
        put_tenths(w, "load_1m", (int64_t)((uint64_t)info.loads[0] * 10 >> SI_LOAD_SHIFT));
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
    struct facts now = {0};
    struct json_writer *w = emit_exempt(out, "instance.heartbeat", NULL, SEVERITY_INFO);

    put_state(out, w, now_ms);
    put_changes(h, out, w, &now);
    if (emit_end(out) == 1) {
        h->reported = true;
        h->accepted = now;
    }
    return 0;
}

const struct sensor_class sensor_heartbeat = {
    SENSOR_NAME("heartbeat", "2m"),
    .state_size = sizeof(struct heartbeat),
    .open = heartbeat_open,
    .start = heartbeat_start,
    .poll = heartbeat_poll,
};
