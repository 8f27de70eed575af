/* Arbitrary bytes as records of /dev/kmsg: each begins with a byte that says how long it is. */
#include "beacon/sensors/kernel_log.c"
#include "beacon_fixture.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

/** What is printed is an event. */
static int look(void *arg, const char *line, size_t len)
{
    static struct json_token tokens[64];
    char scratch[EVENT_SCRATCH];
    struct event e;

    (void)arg;
    MUST(event_decode(&e, line, len, tokens, ARRAY_SIZE(tokens), scratch, NULL) == 0);
    MUST(e.type.len > 7 && memcmp(e.type.ptr, "kernel.", 7) == 0);
    return PIPELINE_ACCEPTED;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct kernel_log k = {.patterns = {{"a", "a*b?c", SEVERITY_WARNING}, {"x", "\xff", SEVERITY_INFO}}, .count = 2};
    struct emitter e = {.owner = &fix.sensor_runner, .class = &sensor_kernel_log, .common = &k.common};

    fix_init();
    fix.pipeline.print = look;
    while (size > 0) {
        size_t cap, len = data[0];
        char *record = emitter_buffer(&e, &cap);
        data++;
        len = len < --size ? len : size;
        memcpy(record, data, len);
        record[len] = '\0';
        take(&k, &e, record);
        data += len;
        size -= len;
    }
    report_lost(&k, &e);
    MUST(k.lost == 0);
    return 0;
}
