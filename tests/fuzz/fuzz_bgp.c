/* Arbitrary bytes as the answer of FRR (first byte even) or BIRD (odd): bounded, and what is said of it are events of sessions
 * that are not Established. */
#include "beacon/sensors/bgp.c"
#include "beacon_fixture.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

static unsigned events;

static int see(void *arg, const char *line, size_t len)
{
    static struct json_token tokens[64];
    char scratch[EVENT_SCRATCH];
    struct event e;
    struct json_doc d;

    (void)arg;
    MUST(event_decode(&e, line, len, tokens, ARRAY_SIZE(tokens), scratch, NULL) == 0);
    MUST(slice_eq(e.type, "sdwan.bgp_unhealthy"));
    MUST(json_parse(&d, line, len, tokens, ARRAY_SIZE(tokens), JSON_MAX_DEPTH, NULL) == 0);
    const int data = json_member(&d, 0, "data");
    MUST(data > 0 && json_at(&d, (unsigned)data)->size == 4);
    const int state = json_member(&d, (unsigned)data, "state");
    MUST(state > 0 && !slice_eq(json_raw(&d, (unsigned)state), "Established"));
    events++;
    return PIPELINE_ACCEPTED;
}

/** Return: as take_frr; 0: it has not ended. */
static int take(struct bgp *s, struct emitter *e, const unsigned char *data, size_t size)
{
    int verdict = 0;

    for (size_t i = 0; verdict == 0 && i < size; i++) {
        verdict = s->bird ? take_bird(s, e, (char)data[i]) : take_frr(s, e, (char)data[i]);
        MUST(s->len < NAME_BYTES && s->name[NAME_BYTES - 1] == '\0' && s->token[NAME_BYTES - 1] == '\0');
        MUST(s->state <= SHUT_DOWN && s->depth < UINT8_MAX + (verdict < 0));
    }
    return verdict;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct bgp s = {.common = {.name = "bgp", .for_checks = 1}, .peers = {"192.0.2.2"}, .peer_count = 1, .path = "/x"};
    struct emitter e = {.owner = &fix.sensor_runner, .class = &sensor_bgp, .common = &s.common, .output = -1};
    unsigned remembered = 0;

    if (size == 0)
        return 0;
    fix_init();
    fix.sensor_runner.once = true; /* at once, whatever the time */
    fix.pipeline.print = see;
    events = 0;
    s.bird = data[0] & 1;
    const int verdict = take(&s, &e, data + 1, size - 1);
    if (verdict == 0)
        return 0;
    if (verdict < 0)
        fail(&s, &e, verdict);
    for (unsigned i = 0; i < CONFIG_BGP_SESSIONS; i++) {
        const struct session *t = &s.m.sessions[i];
        MUST(t->name[NAME_BYTES - 1] == '\0' && t->state <= SHUT_DOWN);
        MUST(!t->name[0] || (t->since > 0 && t->since <= stamp(&e)));
        remembered += t->name[0] && t->state != ESTABLISHED;
    }
    if (verdict < 0)
        return 0;
    conclude(&s, &e);
    MUST(events <= CONFIG_BGP_SESSIONS);
    MUST(events >= (remembered < 8 ? remembered : 0)); /* the fixture has 8 conditions */
    return 0;
}
