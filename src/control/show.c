#include "nefia/control/show.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/base/text.h"
#include "nefia/control/control.h"
#include "nefia/sys/cli.h"

enum {
    NAME_BYTES = 32,     /* longest name in a layout */
    STRING_BYTES = 1040, /* 255 characters of 4 bytes */
    MINUTE = 16,         /* "2026-03-10 15:30" */
    SECOND = 20,
};

static void put(struct show *s, const char *text, size_t len)
{
    if (s->form != SHOW_MEASURE && len > 0 && s->err >= 0 && !s->write(s->arg, text, len))
        s->err = NEFIA_ECLOSED;
}

static void put_str(struct show *s, const char *text)
{
    put(s, text, strlen(text));
}

/* ---- layouts ---- */

/** The object that a layout's references look in; negative: there is none. */
struct place {
    const struct json_doc *doc;
    int object;
};

/** The value of a member, negative when it is missing or null; name empty: the object itself. */
static int find(struct place at, struct slice name)
{
    char buf[NAME_BYTES];
    struct text t;

    if (at.object < 0 || name.len == 0)
        return at.object;
    text_init(&t, buf, sizeof buf);
    text_bytes(&t, name.ptr, name.len);
    int value = json_member(at.doc, (unsigned)at.object, buf);
    return value < 0 || json_at(at.doc, (unsigned)value)->type == JSON_NULL ? NEFIA_ENOTFOUND
                                                                            : value;
}

static void put_plain(struct text *line, const struct json_doc *d, unsigned value)
{
    struct slice raw = json_raw(d, value);
    enum json_type type = (enum json_type)json_at(d, value)->type;
    char buf[STRING_BYTES];
    struct text t;

    if (type == JSON_TRUE) {
        text_str(line, "yes");
    } else if (type == JSON_FALSE) {
        text_str(line, "no");
    } else if (type == JSON_OBJECT || type == JSON_ARRAY || type == JSON_NULL) {
        text_char(line, '-');
    } else if (!json_at(d, value)->escaped) {
        text_printable(line, raw.ptr, raw.len);
    } else {
        text_init(&t, buf, sizeof buf);
        (void)json_string(d, value, &t);
        text_printable(line, t.buf, t.len);
    }
}

/** {"info":1,"warning":2} as "1 info, 2 warning", {"site":"north"} as "site=north". */
static void put_object(struct text *line, const struct json_doc *d, unsigned object)
{
    unsigned end = json_at(d, object)->next;

    if (end == object + 1)
        text_char(line, '-');
    for (unsigned key = object + 1; key < end; key = json_at(d, key + 1)->next) {
        const bool named = IS_ENABLED(CONFIG_HUB_DEVICES) && json_at(d, key + 1)->type == JSON_STRING;
        text_str(line, key > object + 1 ? ", " : "");
        put_plain(line, d, key + !named);
        text_char(line, named ? '=' : ' ');
        put_plain(line, d, key + named);
    }
}

/** format: what a reference begins with, ~ or @; anything else: none. */
static void put_value(struct text *line, const struct json_doc *d, unsigned value, char format)
{
    struct slice raw = json_raw(d, value);
    uint64_t ms;

    if (format == '~' && parse_u64(raw.ptr, raw.len, &ms) >= 0) {
        text_duration(line, ms / 1000 * 1000);
    } else if (format == '@' && raw.len == SECOND && raw.ptr[10] == 'T') {
        text_printable(line, raw.ptr, 10);
        text_char(line, ' ');
        text_printable(line, raw.ptr + 11, MINUTE - 11);
    } else if (json_at(d, value)->type == JSON_OBJECT) {
        put_object(line, d, value);
    } else {
        put_plain(line, d, value);
    }
}

/** What stands between braces. */
struct reference {
    char format;
    struct slice name;
    bool compares;
    struct slice word; /* with what */
};

/** p: behind the first brace. Return: behind the last one. */
static const char *take_reference(const char *p, struct reference *r)
{
    r->format = *p;
    p += *p == '~' || *p == '@';
    r->name = (struct slice){p, strcspn(p, "=}>")};
    p += r->name.len;
    r->compares = *p == '=';
    p += r->compares;
    r->word = (struct slice){p, strcspn(p, "}>")};
    return p + r->word.len + 1;
}

/** Is a group to be shown, whose text begins at p? */
static bool group_holds(struct place at, const char *p)
{
    while (*(p += strcspn(p, "{<]")) != ']') {
        struct reference r;
        bool changes = *p == '<';

        p = take_reference(p + 1, &r);
        int value = find(changes ? (struct place){at.doc, 0} : at, r.name);
        if (value < 0)
            return false;
        if (changes)
            at.object = value;
        struct slice raw = json_raw(at.doc, (unsigned)value);
        if (r.compares && (raw.len != r.word.len || memcmp(raw.ptr, r.word.ptr, raw.len) != 0))
            return false;
    }
    return true;
}

/** Append a layout up to its end or that of its line. Return: what follows. */
static const char *put_layout(struct text *line, struct place *at, const char *p)
{
    while (*p) {
        size_t literal = strcspn(p, "[]{<\t\n");
        struct reference r;

        text_bytes(line, p, literal);
        p += literal;
        char c = *p;
        if (c == '\n')
            return p + 1;
        p += c != '\0';
        if (c == '[' && !group_holds(*at, p)) {
            p += strcspn(p, "]");
        } else if (c == '\t') {
            text_pad_to(line, 0, SHOW_LABEL);
        } else if (c == '<') {
            p = take_reference(p, &r);
            at->object = find((struct place){at->doc, 0}, r.name);
        } else if (c == '{') {
            p = take_reference(p, &r);
            int value = find(*at, r.name);
            if (value < 0)
                text_char(line, '-');
            else if (!r.compares)
                put_value(line, at->doc, (unsigned)value, r.format);
        }
    }
    return p;
}

/* ---- text ---- */

static struct text begin_line(struct show *s)
{
    struct text line;

    text_init(&line, s->line_buf, sizeof s->line_buf - 1);
    return line;
}

static void end_line(struct show *s, struct text *line)
{
    line->buf[line->len] = '\n'; /* there is room, whatever was cut */
    put(s, line->buf, line->len + 1);
}

/** d null: the row of the headings. */
static void put_row(struct show *s, unsigned index, const struct json_doc *d, int object)
{
    const char *column = s->sections[index].columns;
    struct place at = {d, object};
    struct text line = begin_line(s);

    text_str(&line, "  ");
    for (uint32_t *least = s->widths[index]; *column; least++) {
        size_t from = line.len, heading = strcspn(column, "|");
        column += heading + 1;
        if (d)
            (void)put_layout(&line, &at, column);
        else
            text_bytes(&line, column - heading - 1, heading);
        if (line.len == from)
            text_char(&line, '-');
        column += strcspn(column, "\n") + 1;
        size_t n = utf8_count(line.buf + from, line.len - from);
        if (s->form == SHOW_MEASURE && d && *least < n + 2)
            *least = (uint32_t)n + 2;
        size_t width = heading > *least ? heading : *least;
        if (*column && d && n >= width)
            text_char(&line, ' '); /* it has grown since it was measured */
        if (*column)
            text_pad_to(&line, from, width);
    }
    end_line(s, &line);
}

static void put_lines(struct show *s, const char *layout, const struct json_doc *d, int object)
{
    struct place at = {d, object};

    while (*layout) {
        struct text line = begin_line(s);
        layout = put_layout(&line, &at, layout);
        if (layout[-1] == '\n')
            end_line(s, &line);
    }
}

/** Print the headings of the tables among the first `sections`, those of empty ones too. */
static void enter_text(struct show *s, unsigned sections)
{
    for (; s->entered < sections && s->sections[s->entered].record; s->entered++) {
        const struct show_section *section = &s->sections[s->entered];
        if (!section->columns)
            continue;
        put_str(s, section->text ? section->text : "");
        put_row(s, s->entered, NULL, 0);
    }
}

static void record_text(struct show *s, unsigned index, const struct json_doc *d, int object)
{
    enter_text(s, index + 1);
    if (s->sections[index].columns)
        put_row(s, index, d, object);
    else if (s->sections[index].text)
        put_lines(s, s->sections[index].text, d, object);
}

/* ---- JSON ---- */

/** One \u escape, of a UTF-16 code unit. */
static void put_unit(struct show *s, uint32_t unit)
{
    const uint8_t bytes[2] = {(uint8_t)(unit >> 8), (uint8_t)unit};
    char escape[8];
    struct text t;

    text_init(&t, escape, sizeof escape);
    text_str(&t, "\\u");
    text_hex(&t, bytes, sizeof bytes);
    put_str(s, escape);
}

static void put_escape(struct show *s, uint32_t cp)
{
    if (cp < ' ') {
        put_str(s, " ");
        return;
    }
    if (cp > 0xFFFF) { /* a surrogate pair, RFC 8259 section 7 */
        put_unit(s, 0xD7C0 + (cp >> 10));
        cp = 0xDC00 | (cp & 0x3FF);
    }
    put_unit(s, cp);
}

/** Others' JSON: the same value in one line that no terminal obeys. Control characters stand in its
 * strings, but for the white space between its tokens. */
static void put_json(struct show *s, const char *json, size_t len)
{
    while (len > 0) {
        uint32_t cp;
        size_t skip, n = utf8_harmless(json, len, &cp, &skip);
        put(s, json, n);
        if (skip > 0)
            put_escape(s, cp);
        json += n + skip;
        len -= n + skip;
    }
}

/** Print what stands before the records of section `index`, and what those before it lack. Return:
 * 0, or NEFIA_ESYNTAX when a record is missing that has to be there. */
static int enter_json(struct show *s, unsigned index)
{
    while (s->entered <= index) {
        if (s->entered > 0 && s->records == 0 && s->sections[s->entered - 1].json != SHOW_LIST)
            return NEFIA_ESYNTAX;
        put_str(s, s->sections[s->entered++].open);
        s->records = 0;
    }
    return 0;
}

static int record_json(struct show *s, unsigned index, const struct json_doc *d, int object)
{
    enum show_json kind = s->sections[index].json;
    struct slice raw = json_raw(d, (unsigned)object);

    if (kind == SHOW_LINES) {
        put_json(s, raw.ptr, raw.len);
        put_str(s, "\n");
        return 0;
    }
    if (enter_json(s, index) < 0 || index + 1 < s->entered || (kind != SHOW_LIST && s->records > 0))
        return NEFIA_ESYNTAX;
    if (kind == SHOW_SPREAD && json_at(d, (unsigned)object)->size == 0)
        return NEFIA_ESYNTAX;
    put_str(s, s->records++ > 0 ? "," : "");
    put_json(s, raw.ptr, raw.len - (kind == SHOW_SPREAD));
    return 0;
}

/* ---- records ---- */

int show_begin(struct show *s)
{
    s->entered = s->records = 0;
    s->err = 0;
    if (s->form == SHOW_TEXT)
        enter_text(s, 1);
    return s->err;
}

/** The section that a record belongs to, and the object it shows. Return: its index, or
 * NEFIA_ENOTFOUND. */
static int section_of(const struct show *s, const struct json_doc *d, int *object)
{
    for (unsigned i = 0; s->sections[i].record; i++) {
        const char *name = s->sections[i].record;
        int value = *name ? json_member(d, 0, name) : 0;
        if (value < 0)
            continue;
        *object = json_at(d, (unsigned)value)->type == JSON_OBJECT ? value : 0;
        return (int)i;
    }
    return NEFIA_ENOTFOUND;
}

int show_record(void *show, const char *json, size_t len)
{
    struct show *s = show;
    struct json_doc d;
    int err, object;

    err = json_parse(&d, json, len, s->tokens, s->token_cap, JSON_MAX_DEPTH, NULL);
    if (err < 0)
        return err;
    int index = section_of(s, &d, &object);
    if (index < 0)
        return s->err;
    if (s->form == SHOW_JSON)
        err = record_json(s, (unsigned)index, &d, object);
    else
        record_text(s, (unsigned)index, &d, object);
    return err < 0 ? err : s->err;
}

int show_end(struct show *s)
{
    unsigned end = 0;
    int err = 0;

    while (s->sections[end].record)
        end++;
    if (s->form == SHOW_TEXT)
        enter_text(s, end);
    else if (s->form == SHOW_JSON && s->sections[0].json != SHOW_LINES)
        err = enter_json(s, end);
    return err < 0 ? err : s->err;
}

/* ---- the command line ---- */

static bool write_out(void *arg, const char *text, size_t len)
{
    (void)arg;
    return cli_write(STDOUT_FILENO, text, len) >= 0;
}

static int ask(const struct show_question *q, const char *request, struct show *s, struct text *why)
{
    int result = show_begin(s);

    if (result >= 0)
        result = control_request(q->socket, request, q->buf, q->cap, show_record, s, q->timeout_ms,
                                 why);
    if (result == 0)
        result = show_end(s);
    return result;
}

int show_answer(const struct show_question *q)
{
    struct show s = {.sections = q->sections,
                     .tokens = q->tokens,
                     .token_cap = q->token_cap,
                     .form = SHOW_MEASURE,
                     .write = write_out};
    char buf[256];
    struct text why;
    int result = 0;

    text_init(&why, buf, sizeof buf);
    if (q->measure && !q->json)
        result = ask(q, q->measure, &s, &why);
    s.form = q->json ? SHOW_JSON : SHOW_TEXT;
    if (result == 0)
        result = ask(q, q->request, &s, &why);
    if (why.len > 0)
        CLI_ERR(q->program, ": ", why.buf, "\n");
    else if (result == NEFIA_ECLOSED)
        return CLI_FINE; /* whoever read our output has enough */
    else if (result < 0)
        CLI_ERR(q->program, ": unreadable answer from the daemon at ", q->socket, ": ",
                err_text(result), "\n");
    return result < 0 ? CLI_NO : result;
}
