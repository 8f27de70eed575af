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
    MUST(data > 0 && json_at(&d, (unsigned)data)->size >= 3);
    const int state = json_member(&d, (unsigned)data, "state");
    MUST(state > 0 && !slice_eq(json_raw(&d, (unsigned)state), "Established"));
    events++;
    return PIPELINE_ACCEPTED;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct bgp s = {.common = {.name = "bgp", .for_checks = 1}, .peers = {"192.0.2.2"}, .peer_count = 1, .path = "/x"};
    struct emitter e = {.owner = &fix.sensor_runner, .class = &sensor_bgp, .common = &s.common, .output = -1};
    struct answer *a = &s.a;
    int verdict = MORE;
    unsigned remembered = 0;

    if (size == 0)
        return 0;
    fix_init();
    fix.sensor_runner.once = true; /* at once, whatever the time */
    fix.pipeline.print = see;
    events = 0;
    MUST(bgp_start(&s, &e, NULL) == 0);
    s.take = data[0] & 1 ? take_bird : take_frr;
    for (size_t i = 1; verdict == MORE && i < size; i++) {
        verdict = s.take(a, (char)data[i]);
        MUST(a->len < sizeof a->token && a->name[NAME_BYTES - 1] == '\0' && a->token[sizeof a->token - 1] == '\0');
        MUST(a->state <= NO_SESSION);
        if (verdict != SESSION)
            continue;
        MUST(a->state < NO_SESSION);
        observe(&s, &e);
        verdict = MORE;
    }
    MUST(verdict == MORE || verdict == END || verdict == NEFIA_ESYNTAX);
    for (unsigned i = 0; i < CONFIG_BGP_SESSIONS; i++) {
        const struct session *t = &s.sessions[i];
        MUST(t->name[NAME_BYTES - 1] == '\0' && t->state < NO_SESSION && t->since <= stamp(&e));
        MUST(!t->since || t->state != ESTABLISHED || !t->seen || i > 0 || s.count > 1);
        remembered += t->name[0] && t->since;
    }
    if (verdict < 0) {
        fail(&s, &e, verdict);
        MUST(events == 1 && s.fd == 0);
    }
    if (verdict != END)
        return 0;
    conclude(&s, &e);
    MUST(events <= CONFIG_BGP_SESSIONS && s.fd == 0);
    MUST(events >= (remembered < 8 ? remembered : 0) || s.count > remembered); /* the fixture has 8 conditions */
    return 0;
}
