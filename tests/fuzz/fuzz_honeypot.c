/* Arbitrary bytes as what fanotify reports, each event with a byte of its length before it, and behind it what /proc says of the
 * process, until a NUL. The descriptors in them are nobody's: none of them may be taken where the version is another. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What the sensor does to the outside; whatever the bytes say is not ours to close. */
static int fuzz_close(int fd);
static int fuzz_fstat(int fd, struct stat *st);
static ssize_t fuzz_readlink(const char *path, char *target, size_t cap);
static const char *fuzz_file(const char *dir, const char *name, const char *leaf);
#define close fuzz_close
#define fstat(fd, st) fuzz_fstat(fd, st)
#define readlink fuzz_readlink
#define emitter_file_in(e, dir, name, leaf, len) fuzz_file(dir, name, leaf)
#include "beacon/sensors/honeypot.c"
#undef close
#undef fstat
#undef readlink
#undef emitter_file_in
#include "beacon_fixture.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

static int taken;
static char status[512];
static struct honeypot pot;

static int fuzz_close(int fd)
{
    MUST(fd >= 0);
    taken--;
    return 0;
}

static int fuzz_fstat(int fd, struct stat *st)
{
    *st = (struct stat){.st_ino = (unsigned)fd & 1};
    taken++;
    return fd & 2 ? -1 : 0;
}

static ssize_t fuzz_readlink(const char *path, char *target, size_t cap)
{
    MUST(strncmp(path, "/proc/", 6) == 0 && cap > 0);
    const size_t len = strnlen(status, cap);
    memcpy(target, status, len);
    return len > 100 ? -1 : (ssize_t)len;
}

static const char *fuzz_file(const char *dir, const char *name, const char *leaf)
{
    MUST(str_eq(dir, "/proc") && name[0] > '0' && name[0] <= '9' && str_eq(leaf, "status"));
    return status[0] ? status : NULL;
}

static int look(void *arg, const char *line, size_t len)
{
    static struct json_token tokens[64];
    char scratch[EVENT_SCRATCH];
    struct event e;

    (void)arg;
    MUST(event_decode(&e, line, len, tokens, ARRAY_SIZE(tokens), scratch, NULL) == 0);
    MUST(slice_eq(e.type, "honeypot.access_attempted") && e.severity == SEVERITY_CRITICAL);
    return PIPELINE_ACCEPTED;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const struct stat first = {.st_ino = 0}, second = {.st_ino = 1};
    struct emitter e = {.owner = &fix.sensor_runner, .class = &sensor_honeypot, .common = &pot.common};

    fix_init();
    fix.pipeline.print = look;
    pot = (struct honeypot){.files = {{.path = "/a"}, {.path = "/b\"\x01"}}, .file_count = 2,
                            .prints = {print_of(0, &first), print_of(0, &second)},
                            .ignore = {"ignored"}, .ignore_count = 1};
    while (size > 0) {
        struct fanotify_event_metadata m = {0};
        size_t len = data[0] % 32;
        data++;
        len = len < --size ? len : size;
        memcpy(&m, data, len < sizeof m ? len : sizeof m);
        data += len;
        size -= len;
        const size_t said = strnlen((const char *)data, size);
        const size_t kept = said < sizeof status ? said : sizeof status - 1;
        memcpy(status, data, kept);
        memset(status + kept, 0, sizeof status - kept);
        data += said + (said < size);
        size -= said + (said < size);
        e.why[0] = '\0';
        MUST(take_event(&pot, &e, &m, (ssize_t)len));
        MUST(taken == 0);
        MUST((len == sizeof m && m.vers == FANOTIFY_METADATA_VERSION && m.fd >= 0) || e.why[0]);
    }
    return 0;
}
