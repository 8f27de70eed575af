/* Any lines in the place of a daemon's records: what is printed as text is lines of valid UTF-8 that
 * no terminal obeys, as JSON it is one document, or one a line, whenever the answer was accepted.
 * The first byte picks the program's sections and the form; the rest are the records. */
#include <stdlib.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/beacon.h"
#include "nefia/cmd/reactor.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

enum { TOKENS = 256, ALL_TOKENS = 4096, MOST = 16384 };

static struct json_token tokens[TOKENS], all_tokens[ALL_TOKENS];
static char printed[8 * MOST], lines[MOST];
static size_t len;

static bool take(void *arg, const char *s, size_t n)
{
    (void)arg;
    MUST(n <= sizeof printed - len);
    memcpy(printed + len, s, n);
    len += n;
    return true;
}

/** Feed each line, as control_request does. Return: 0, or the error of the first that is refused. */
static int feed(struct show *s, const char *end)
{
    int err = show_begin(s);

    for (const char *p = lines; err >= 0 && p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = newline ? (size_t)(newline - p) : (size_t)(end - p);
        err = show_record(s, p, n);
        p += n + 1;
    }
    return err < 0 ? err : show_end(s);
}

static void check_text(void)
{
    MUST(utf8_valid(printed, len));
    MUST(len == 0 || printed[len - 1] == '\n');
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        int n = utf8_decode(printed + i, len - i, &cp);
        MUST(n > 0 && (cp == '\n' || !(utf8_is_control(cp) || utf8_is_hidden(cp))));
        i += (size_t)n;
    }
}

/** One document: but for members of the same name, which a record may bring. */
static void check_json(const char *json, size_t n)
{
    struct json_doc d;
    int err = json_parse(&d, json, n, all_tokens, ALL_TOKENS, JSON_MAX_DEPTH, NULL);

    MUST(err == 0 || err == NEFIA_EEXIST || err == NEFIA_EFULL || err == NEFIA_EDEPTH);
}

static void check_json_lines(void)
{
    for (size_t at = 0; at < len;) {
        const char *newline = memchr(printed + at, '\n', len - at);
        MUST(newline != NULL);
        check_json(printed + at, (size_t)(newline - printed) - at);
        at = (size_t)(newline - printed) + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct show_section *const views[] = {
        beacon_status_sections, reactor_status_sections, reactor_events_sections};
    static struct show s;

    if (size == 0 || size > MOST)
        return 0;
    memcpy(lines, bytes + 1, size - 1);
    s = (struct show){.sections = views[(bytes[0] & 3) % 3],
                      .tokens = tokens,
                      .token_cap = TOKENS,
                      .write = take};
    len = 0;
    s.form = SHOW_MEASURE;
    (void)feed(&s, lines + size - 1);
    MUST(len == 0);
    s.form = bytes[0] & 4 ? SHOW_JSON : SHOW_TEXT;
    int err = feed(&s, lines + size - 1);
    if (s.form == SHOW_TEXT)
        check_text();
    else if (err == 0)
        check_json_lines();
    return 0;
}
