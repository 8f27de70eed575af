/* Arbitrary bytes as the answer of procd (first byte even) or systemctl (odd) about services that ran before. */
#include "beacon/sensors/service.c"
#include "beacon_fixture.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

static unsigned events;

/** What is printed is an event with exactly its three members, of a service that has changed. */
static int see(void *arg, const char *line, size_t len)
{
    static struct json_token tokens[64];
    char scratch[EVENT_SCRATCH];
    struct event e;
    struct json_doc d;

    (void)arg;
    MUST(event_decode(&e, line, len, tokens, ARRAY_SIZE(tokens), scratch, NULL) == 0);
    MUST(slice_eq(e.type, "service.status"));
    MUST(json_parse(&d, line, len, tokens, ARRAY_SIZE(tokens), JSON_MAX_DEPTH, NULL) == 0);
    const int data = json_member(&d, 0, "data");
    MUST(data > 0 && json_at(&d, (unsigned)data)->size == 3);
    const int state = json_member(&d, (unsigned)data, "state");
    MUST(word_index(service_state_words, json_raw(&d, (unsigned)state)) >= 0);
    const int before = json_member(&d, (unsigned)data, "previous_state");
    MUST(slice_eq(json_raw(&d, (unsigned)before), "active") && !slice_eq(json_raw(&d, (unsigned)state), "active"));
    events++;
    return PIPELINE_ACCEPTED;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static char output[CONFIG_SCRIPT_OUTPUT_BYTES];
    struct service s = {.common = {.name = "service_check"}, .names = {"a", "b", "c"}, .states = {SERVICE_ACTIVE, SERVICE_ACTIVE, SERVICE_ACTIVE}};
    struct emitter e = {.owner = &fix.sensor_runner, .class = &sensor_service, .common = &s.common, .output = -1};
    struct child_result r = {.exit_code = 0};

    if (size == 0)
        return 0;
    r.output_total = size - 1;
    r.output_len = size - 1 < sizeof output ? size - 1 : sizeof output;
    memcpy(output, data + 1, r.output_len);
    fix_init();
    fix.pipeline.print = see;
    events = 0;
    s.count = data[0] & 1 ? 3 : 1; /* procd is asked for one at a time: there is no next */
    (data[0] & 1 ? systemd_done : procd_done)(&s, &e, &r, output);
    MUST(events <= s.count);
    for (unsigned i = 0; i < s.count; i++) {
        MUST(s.states[i] >= SERVICE_ACTIVE && s.states[i] < SERVICE_UNKNOWN);
        events -= s.states[i] != SERVICE_ACTIVE;
    }
    MUST(events == 0);
    return 0;
}
