/* Arbitrary bytes as what the kernel reports of links and routes: datagrams, each with a byte of its length in words
 * before it. What comes of them must be events, and places of the table must stay whole. */
#include "beacon/sensors/interface.c"
#include "beacon_fixture.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

static int look_at(void *arg, const char *line, size_t len)
{
    static struct json_token tokens[64];
    char scratch[EVENT_SCRATCH];
    struct event e;

    (void)arg;
    MUST(event_decode(&e, line, len, tokens, ARRAY_SIZE(tokens), scratch, NULL) == 0);
    MUST(e.type.len > 10 && memcmp(e.type.ptr, "interface.", 10) == 0);
    return PIPELINE_ACCEPTED;
}

static void check(const struct interface *s)
{
    for (unsigned i = 0; i < CONFIG_INTERFACES; i++) {
        const struct nic *l = &s->nics[i];
        MUST(memchr(l->name, '\0', IFNAMSIZ) && l->state <= UP && l->told <= UP);
        MUST(l->name[0] || l->index == 0);
        MUST((l->state == ABSENT) == (l->index == 0));
        for (unsigned j = 0; j < i; j++)
            MUST(!l->name[0] || !str_eq(l->name, s->nics[j].name));
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct interface s;
    struct emitter e = {.owner = &fix.sensor_runner, .class = &sensor_interface, .common = &s.common};
    struct look look = {&s, &e};
    struct netlink_answer news = {.take = take, .arg = &look, .news = true};

    fix_init();
    fix.pipeline.print = look_at;
    s = (struct interface){
        .common.for_checks = 1, .flapping_changes = 3, .limits = {1, 100, 0}};
    while (size > 0) {
        size_t len = data[0] * (size_t)4;
        data++;
        len = len < --size ? len : size;
        int result = netlink_feed(&news, data, len);
        MUST(result == 0 || result == 1 || result == NEFIA_ESYNTAX || result == NEFIA_EIO);
        check(&s);
        tell(&s, &e, len & 1);
        tell_errors(&s, &e, len + 1);
        fix.clock.now_ms += len;
        data += len;
        size -= len;
    }
    return 0;
}
