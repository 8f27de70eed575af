/* Arbitrary requests of `emit`: an accepted one is an event that readers accept, of the requested type
 * and severity. */
#include <stdlib.h>
#include <string.h>

#include "nefia/beacon/beacon.h"
#include "nefia/base/err.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

enum { TOKENS = 512 };

static struct beacon beacon;
static char data[CONFIG_EVENT_BYTES + 1], line[CONFIG_EVENT_BYTES + 1];
static struct clock_fake fake;
static char request[CONFIG_CONTROL_LINE_BYTES + 1];
static struct json_token tokens[TOKENS];

static int read_back(void *arg, const char *event, size_t len)
{
    char scratch[EVENT_SCRATCH];
    struct event ev;

    (void)arg;
    MUST(len <= CONFIG_EVENT_BYTES);
    MUST(memchr(event, '\n', len) == NULL);
    MUST(event_decode(&ev, event, len, tokens, TOKENS, scratch, NULL) == 0);
    MUST(slice_eq(ev.source, "emit"));
    MUST(strncmp(request, severity_text(ev.severity), strcspn(request, " ")) == 0);
    return PIPELINE_ACCEPTED;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct control_cursor cursor = {0};
    char sentence[256];
    struct text why;

    if (len > CONFIG_CONTROL_LINE_BYTES || memchr(bytes, '\n', len) || memchr(bytes, '\0', len))
        return 0;
    clock_fake_init(&fake, 1000, 1773156600);
    beacon.loop.clock = &fake.clock;
    beacon_pipeline_init(&beacon.pipeline, &beacon.loop, data, line);
    beacon.pipeline.host_id = "fuzz";
    beacon.pipeline.print = read_back;
    memcpy(request, bytes, len);
    request[len] = '\0';
    text_init(&why, sentence, sizeof sentence);
    const struct control_verb *emit = &beacon_verbs[1];
    int err = emit->begin(&beacon, &cursor, request, &why);
    MUST(err >= 0 || why.len > 0 || err == NEFIA_ETOOBIG);
    return 0;
}
