/* Any bytes typed at the console: the line stays within its bounds and is UTF-8 that no terminal obeys, and the echo is text, \b and
 * \n: a terminal is never sent an escape sequence. */
#include <string.h>

#include "nefia/beacon/console_edit.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_echo(const struct text *t)
{
    MUST(!t->truncated && utf8_valid(t->buf, t->len));
    for (size_t i = 0; i < t->len; i++)
        MUST((unsigned char)t->buf[i] >= ' ' || t->buf[i] == '\b' || t->buf[i] == '\n');
}

static void check_line(const struct console_edit *e)
{
    uint32_t cp;
    size_t skip;

    MUST(e->len <= CONSOLE_LINE);
    MUST(utf8_harmless(e->line, e->len, &cp, &skip) == e->len && skip == 0);
    MUST(e->history[CONSOLE_HISTORY - 1] == '\0' && e->history[CONSOLE_HISTORY - 2] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char echo[CONSOLE_ECHO];
    struct console_edit e = {.prompt = "> "};
    struct text t;

    if (size > 0)
        e.blind = *data & 1;
    for (size_t i = 1; i < size; i++) {
        text_init(&t, echo, sizeof echo);
        if (console_edit_feed(&e, data[i], &t) == CONSOLE_ENTER) {
            MUST(strlen(e.line) == e.len);
            check_echo(&t);
            text_reset(&t);
            console_edit_next(&e, &t);
        }
        check_echo(&t);
        check_line(&e);
    }
    return 0;
}
