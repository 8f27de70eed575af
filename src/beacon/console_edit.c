#include "nefia/beacon/console_edit.h"

#include <string.h>

enum { CTRL_C = 3, CTRL_D = 4, BACKSPACE = 8, CTRL_L = 12, CTRL_N = 14, CTRL_P = 16, CTRL_U = 21, CTRL_W = 23, ESC = 27, DEL = 127 };

/** To the terminal: to the left, over it with a blank, and left again. */
static void erase(struct console_edit *e, size_t to, struct text *echo)
{
    while (e->len > to)
        if ((e->line[--e->len] & 0xC0) != 0x80 && !e->blind) /* a character's first byte */
            text_str(echo, "\b \b");
}

static size_t before_word(const struct console_edit *e)
{
    size_t to = e->len;

    while (to > 0 && e->line[to - 1] == ' ')
        to--;
    while (to > 0 && e->line[to - 1] != ' ')
        to--;
    return to;
}

static void add(struct console_edit *e, const char *s, size_t len, struct text *echo)
{
    if (e->len + len > CONSOLE_LINE)
        return;
    memcpy(e->line + e->len, s, len);
    e->len += len;
    if (!e->blind)
        text_bytes(echo, s, len);
}

/** A byte above 7F: only whole characters get into the line. */
static void add_part(struct console_edit *e, uint8_t byte, struct text *echo)
{
    uint32_t cp;

    if ((byte & 0xC0) != 0x80 || e->pending_len == sizeof e->pending)
        e->pending_len = 0;
    e->pending[e->pending_len++] = (char)byte;
    if (utf8_decode(e->pending, e->pending_len, &cp) == e->pending_len && !utf8_is_control(cp))
        add(e, e->pending, e->pending_len, echo);
}

/* ---- History: lines with their NULs, the last one first ---- */

static const char *earlier(const struct console_edit *e, unsigned back)
{
    const char *at = e->history;

    while (--back > 0 && *at)
        at += strlen(at) + 1;
    return at;
}

static void remember(struct console_edit *e)
{
    const size_t size = e->len + 1;

    if (e->blind || e->len == 0 || str_eq(e->line, e->history))
        return;
    memmove(e->history + size, e->history, CONSOLE_HISTORY - size);
    memcpy(e->history, e->line, size);
    /* The earliest, which has lost its end, goes; two NULs stand behind the last. */
    size_t end = CONSOLE_HISTORY - 1;
    e->history[end] = '\0';
    while (end > 0 && e->history[end - 1] != '\0')
        e->history[--end] = '\0';
}

static void show(struct console_edit *e, unsigned back, struct text *echo)
{
    const char *line = back ? earlier(e, back) : "";

    if (e->blind || (back && !*line))
        return;
    e->back = back;
    erase(e, 0, echo);
    add(e, line, strlen(line), echo);
}

static void step(struct console_edit *e, bool up, struct text *echo)
{
    if (up)
        show(e, e->back + 1, echo);
    else if (e->back > 0)
        show(e, e->back - 1, echo);
}

/* ---- Bytes ---- */

static void begin_line(struct console_edit *e, struct text *echo)
{
    e->len = e->back = 0;
    text_str(echo, e->prompt);
}

void console_edit_next(struct console_edit *e, struct text *echo)
{
    remember(e);
    begin_line(e, echo);
}

/** ESC [ A, ESC O A and the like; whatever else comes so is passed over up to its last letter. */
static void take_escape(struct console_edit *e, uint8_t byte, struct text *echo)
{
    if (byte == '[' || byte == 'O' || byte < '@')
        return;
    if (byte == 'A' || byte == 'B')
        step(e, byte == 'A', echo);
    e->escape = false;
}

static enum console_event take_control(struct console_edit *e, uint8_t byte, struct text *echo)
{
    switch (byte) {
    case '\r':
    case '\n':
        e->line[e->len] = '\0';
        if (!e->blind)
            text_char(echo, '\n');
        return CONSOLE_ENTER;
    case CTRL_D:
        return e->len ? CONSOLE_MORE : CONSOLE_EOF;
    case CTRL_C:
        text_str(echo, "^C\n");
        begin_line(e, echo);
        break;
    case CTRL_L:
        text_char(echo, '\n');
        text_str(echo, e->prompt);
        text_bytes(echo, e->line, e->blind ? 0 : e->len);
        break;
    case BACKSPACE:
    case DEL:
        erase(e, e->len ? utf8_cut(e->line, e->len, e->len - 1) : 0, echo);
        break;
    case CTRL_U:
        erase(e, 0, echo);
        break;
    case CTRL_W:
        erase(e, before_word(e), echo);
        break;
    case CTRL_P:
    case CTRL_N:
        step(e, byte == CTRL_P, echo);
        break;
    case ESC:
        e->escape = true;
        break;
    default:
        break;
    }
    return CONSOLE_MORE;
}

enum console_event console_edit_feed(struct console_edit *e, uint8_t byte, struct text *echo)
{
    const bool rest = byte == '\n' && e->after_cr;

    e->after_cr = byte == '\r';
    if (rest)
        return CONSOLE_MORE;
    if (e->escape && byte >= ' ') {
        take_escape(e, byte, echo);
        return CONSOLE_MORE;
    }
    e->escape = false;
    if (byte >= 0x80) {
        add_part(e, byte, echo);
        return CONSOLE_MORE;
    }
    e->pending_len = 0;
    if (byte < ' ' || byte == DEL)
        return take_control(e, byte, echo);
    add(e, (const char *)&byte, 1, echo);
    return CONSOLE_MORE;
}
