#include "nefia/cmd/show.h"

#include <string.h>

#include "nefia/base/err.h"

enum { NOTHING, RULES, RECENT, COUNTERS };

struct column {
    const char *heading, *member;
    uint8_t width; /* least, with the space before the next column */
};

static const struct column rule_columns[] = {
    {"NAME", "name", 22},
    {"EVENT PATTERN", "event_pattern", 17},
    {"HOST PATTERN", "host_pattern", 15},
    {"ACTION", "action", 10},
    {"HITS", "hits", 0},
    {0},
};

static const struct column recent_columns[] = {
    {"TIME", "time", 20},  {"TYPE", "type", 17},
    {"HOST", "host", 9},   {"SEVERITY", "severity", 10},
    {"RULE", "rule", 21},  {"ACTION", "action", 10},
    {"ERROR", "error", 0}, {0},
};

/** Longest row: seven cells of 255 characters of up to 4 bytes would be more, but no daemon sends
 * that. */
#define ROW_BYTES 2560

static int put(struct show *s, const char *text, size_t len)
{
    return s->write(s->arg, text, len) ? 0 : NEFIA_ECLOSED;
}

static int put_str(struct show *s, const char *text)
{
    return put(s, text, strlen(text));
}

/** Others' JSON: the same value in one line that no terminal obeys. Control characters stand in its
 * strings, but for the white space between its tokens. */
static int put_json(struct show *s, struct slice raw)
{
    size_t run = 0, i = 0;
    int err = 0;

    while (i < raw.len && err >= 0) {
        char buf[8];
        struct text escape;
        uint32_t cp = '?';
        int n = utf8_decode(raw.ptr + i, raw.len - i, &cp);
        if (n > 0 && !utf8_is_control(cp)) {
            i += (size_t)n;
            continue;
        }
        text_init(&escape, buf, sizeof buf);
        text_str(&escape, cp < ' ' ? " " : "\\u");
        if (cp >= ' ')
            text_hex(&escape, (const uint8_t[]){(uint8_t)(cp >> 8), (uint8_t)cp}, 2);
        err = put(s, raw.ptr + run, i - run);
        if (err >= 0)
            err = put(s, escape.buf, escape.len);
        i += n > 0 ? (size_t)n : 1;
        run = i;
    }
    return err < 0 ? err : put(s, raw.ptr + run, raw.len - run);
}

/* ---- Tables ---- */

/** One cell, and space up to the next column; at least two. width 0: the last one. */
static void put_cell(struct text *t, const char *text, size_t len, uint32_t width)
{
    size_t n = utf8_count(text, len);

    text_bytes(t, text, len);
    if (width == 0)
        return;
    do
        text_char(t, ' ');
    while (++n < width);
}

static uint32_t column_width(const struct column *c, uint32_t longest)
{
    return c->width == 0 ? 0 : c->width > longest + 2 ? c->width : longest + 2;
}

static int put_heading(struct show *s, const char *title, const struct column *columns,
                       const uint32_t *longest)
{
    char buf[ROW_BYTES];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, title);
    text_str(&t, "  ");
    for (unsigned i = 0; columns[i].heading; i++)
        put_cell(&t, columns[i].heading, strlen(columns[i].heading),
                 column_width(&columns[i], longest[i]));
    text_char(&t, '\n');
    return put(s, t.buf, t.len);
}

/** "2026-03-10T15:30:00Z" as "2026-03-10 15:30". */
static void shorten_time(struct text *t)
{
    int64_t unix_s;

    if (parse_rfc3339(t->buf, t->len, &unix_s) < 0)
        return;
    text_reset(t);
    text_minute(t, unix_s);
}

/** What a cell shows of member `value` (negative: there is none). */
static void cell_text(const struct json_doc *d, int value, const char *member, struct text *t)
{
    char buf[1040];
    struct text plain;

    text_reset(t);
    text_init(&plain, buf, sizeof buf);
    if (value < 0 || json_at(d, (unsigned)value)->type == JSON_NULL) {
        text_char(t, '-');
        return;
    }
    if (json_at(d, (unsigned)value)->type == JSON_STRING) {
        json_string(d, (unsigned)value, &plain);
    } else {
        struct slice raw = json_raw(d, (unsigned)value);
        text_bytes(&plain, raw.ptr, raw.len);
    }
    if (str_eq(member, "time"))
        shorten_time(&plain);
    text_printable(t, plain.buf, plain.len);
    if (t->len == 0)
        text_str(t, "(all)");
}

/** Has the row's action not ended? */
static bool is_pending(const struct json_doc *d, unsigned object)
{
    int state = json_member(d, object, "state");

    if (state < 0)
        return false;
    struct slice word = json_raw(d, (unsigned)state);
    return word.len == 7 && memcmp(word.ptr, "pending", 7) == 0;
}

static int put_row(struct show *s, const struct json_doc *d, unsigned object,
                   const struct column *columns, const uint32_t *longest)
{
    char buf[ROW_BYTES], cell_buf[1040];
    struct text t, cell;

    text_init(&t, buf, sizeof buf);
    text_init(&cell, cell_buf, sizeof cell_buf);
    text_str(&t, "  ");
    for (unsigned i = 0; columns[i].heading; i++) {
        cell_text(d, json_member(d, object, columns[i].member), columns[i].member, &cell);
        if (str_eq(columns[i].member, "error") && is_pending(d, object)) {
            text_reset(&cell);
            text_str(&cell, "(pending)");
        }
        put_cell(&t, cell.buf, cell.len, column_width(&columns[i], longest[i]));
    }
    text_char(&t, '\n');
    return put(s, t.buf, t.len);
}

static void take_widths(const struct json_doc *d, unsigned widths, const char *table,
                        uint32_t longest[SHOW_COLUMNS])
{
    int list = json_member(d, widths, table);

    if (list < 0 || json_at(d, (unsigned)list)->type != JSON_ARRAY)
        return;
    unsigned i = (unsigned)list + 1, end = json_at(d, (unsigned)list)->next;
    for (unsigned n = 0; i < end && n < SHOW_COLUMNS; i = json_at(d, i)->next, n++) {
        int64_t v;
        if (json_i64(d, i, &v) >= 0 && v >= 0 && v <= 1024)
            longest[n] = (uint32_t)v;
    }
}

static int put_title(struct show *s, unsigned section)
{
    if (section == RULES)
        return put_heading(s, "Rules:\n", rule_columns, s->rule_widths);
    return put_heading(s, "\nRecent Events:\n", recent_columns, s->recent_widths);
}

/** Print what comes before the first record of `section`: its heading, and those of empty tables
 * before it. */
static int enter_table(struct show *s, unsigned section)
{
    int err = 0;

    while (err >= 0 && s->section < section && s->section < RECENT)
        err = put_title(s, ++s->section);
    return err;
}

static int status_table(struct show *s, const struct json_doc *d)
{
    int object;

    if ((object = json_member(d, 0, "widths")) > 0) {
        take_widths(d, (unsigned)object, "rules", s->rule_widths);
        take_widths(d, (unsigned)object, "recent", s->recent_widths);
        return 0;
    }
    if ((object = json_member(d, 0, "rule")) > 0) {
        int err = enter_table(s, RULES);
        return err < 0 ? err : put_row(s, d, (unsigned)object, rule_columns, s->rule_widths);
    }
    if ((object = json_member(d, 0, "recent")) > 0) {
        int err = enter_table(s, RECENT);
        return err < 0 ? err : put_row(s, d, (unsigned)object, recent_columns, s->recent_widths);
    }
    return 0;
}

/* ---- JSON ---- */

/** Close lists and open the next ones until `section` is open. */
static int enter_json(struct show *s, unsigned section)
{
    static const char *const openings[] = {
        [RULES] = "{\"rules\":[", [RECENT] = "],\"recent\":[", [COUNTERS] = "],\"counters\":"};
    int err = 0;

    while (err >= 0 && s->section < section) {
        err = put_str(s, openings[++s->section]);
        s->in_section = 0;
    }
    return err;
}

static int status_json(struct show *s, const struct json_doc *d)
{
    static const char *const members[] = {
        [RULES] = "rule", [RECENT] = "recent", [COUNTERS] = "counters"};

    for (unsigned section = RULES; section <= COUNTERS; section++) {
        int value = json_member(d, 0, members[section]);
        if (value < 0)
            continue;
        struct slice raw = json_raw(d, (unsigned)value);
        int err = enter_json(s, section);
        if (err >= 0 && s->in_section++ > 0)
            err = put_str(s, ",");
        return err < 0 ? err : put_json(s, raw);
    }
    return 0;
}

/* ---- Records ---- */

static int parse(struct show *s, struct json_doc *d, const char *json, size_t len)
{
    return json_parse(d, json, len, s->tokens, s->token_cap, JSON_MAX_DEPTH, NULL);
}

int show_status_record(void *show, const char *json, size_t len)
{
    struct show *s = show;
    struct json_doc d;
    int err = parse(s, &d, json, len);

    if (err < 0)
        return err;
    return s->json ? status_json(s, &d) : status_table(s, &d);
}

int show_status_end(struct show *s)
{
    if (!s->json)
        return enter_table(s, RECENT);
    int err = enter_json(s, RECENT);
    if (err >= 0)
        err = put_str(s, s->section == COUNTERS ? "}\n" : "]}\n");
    return err;
}

static int events_table(struct show *s, const struct json_doc *d)
{
    int value = json_member(d, 0, "widths");

    if (value > 0) {
        take_widths(d, (unsigned)value, "recent", s->recent_widths);
        return put_heading(s, "", recent_columns, s->recent_widths);
    }
    if ((value = json_member(d, 0, "row")) > 0)
        return put_row(s, d, (unsigned)value, recent_columns, s->recent_widths);
    if ((value = json_member(d, 0, "missed")) > 0) {
        struct slice raw = json_raw(d, (unsigned)value);
        int err = put_str(s, "  (");
        if (err >= 0)
            err = put_json(s, raw);
        return err < 0 ? err : put_str(s, " events came too fast to be shown)\n");
    }
    return 0;
}

int show_events_record(void *show, const char *json, size_t len)
{
    struct show *s = show;
    struct json_doc d;
    int err = parse(s, &d, json, len);

    if (err < 0)
        return err;
    if (!s->json)
        return events_table(s, &d);
    int row = json_member(&d, 0, "row");
    if (row < 0 && json_member(&d, 0, "missed") < 0)
        return 0;
    struct slice raw = json_raw(&d, row < 0 ? 0 : (unsigned)row);
    err = put_json(s, raw);
    return err < 0 ? err : put_str(s, "\n");
}
