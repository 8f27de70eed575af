/* Arbitrary bytes as lines of the system log, and as a user name in the lines that may hold any: the address is
 * the program's. */
#include "beacon/sensors/login.c"
#include "beacon_fixture.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

static unsigned events;
static int ours; /* the address must be */

static int look(void *arg, const char *line, size_t len)
{
    static struct json_token tokens[64];
    static const char address[] = "\"address\":\"192.0.2.1\"";
    char scratch[EVENT_SCRATCH];
    struct event e;

    (void)arg;
    MUST(event_decode(&e, line, len, tokens, ARRAY_SIZE(tokens), scratch, NULL) == 0);
    MUST(e.type.len > 6 && memcmp(e.type.ptr, "login.", 6) == 0);
    MUST(!ours || memmem(line, len, address, sizeof address - 1));
    events++;
    return PIPELINE_ACCEPTED;
}

/** The bytes between two texts. Return: how many events came of it. */
static unsigned say(struct login *l, struct emitter *e, const char *before, const unsigned char *data,
                    size_t size, const char *behind)
{
    char line[CONFIG_FOLLOW_LINE_BYTES + 1];
    const size_t a = strlen(before), b = strlen(behind), room = sizeof line - 1 - a - b;

    size = size < room ? size : room;
    memcpy(line, before, a);
    memcpy(line + a, data, size);
    memcpy(line + a + size, behind, b + 1);
    events = 0;
    login_line(l, e, line, a + size + b);
    return events;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct login l = {.failures = 2, .window_ms = 1000};
    struct emitter e = {.owner = &fix.sensor_runner, .class = &sensor_login, .common = &l.common};

    fix_init();
    fix.pipeline.print = look;
    ours = 0;
    MUST(say(&l, &e, "", data, size, "") <= 1);
    MUST(say(&l, &e, "Nov 26 05:28:21 gw sshd[1]: ", data, size, "") <= 1);
    MUST(say(&l, &e, "Nov 26 05:28:21 gw dropbear[1]: ", data, size, "") <= 1);
    if (size > CONFIG_FOLLOW_LINE_BYTES / 2) /* what is cut is ignored */
        return 0;
    ours = 1;
    MUST(say(&l, &e, "Nov 26 05:28:21 gw sshd[1]: Invalid user ", data, size, " from 192.0.2.1 port 5") == 1);
    MUST(say(&l, &e, "Nov 26 05:28:21 gw sshd[1]: Invalid user ", data, size, " from 192.0.2.1") == 1);
    MUST(say(&l, &e, "uhttpd[1]: [info] luci: failed login on /", data, size, " from 192.0.2.1") == 1);
    MUST(say(&l, &e, "luci: accepted login on / for ", data, size, " from 192.0.2.1") == 1);
    MUST(say(&l, &e, "dropbear[1]: Login attempt for nonexistent user '", data, size, "' from 192.0.2.1:5") == 1);
    MUST(say(&l, &e, "sshd[1]: Failed password for invalid user ", data, size, " from 192.0.2.1 port 5 ssh2") == 0);
    return 0;
}
