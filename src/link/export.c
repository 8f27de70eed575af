#include "nefia/link/export.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/event/event.h"
#include "nefia/json/json.h"

void export_key(struct mac_key *to, const struct mac_key *key, struct slice host_id)
{
    static const char label[] = "nefia export 1"; /* its NUL is part of what is signed */
    uint8_t input[sizeof label + EVENT_HOST_MAX], secret[MAC_BYTES];
    const size_t len = host_id.len < EVENT_HOST_MAX ? host_id.len : EVENT_HOST_MAX;

    memcpy(input, label, sizeof label);
    memcpy(input + sizeof label, host_id.ptr, len);
    mac_sign(key, input, sizeof label + len, secret);
    mac_key_set_any(to, secret, sizeof secret);
    wipe(secret, sizeof secret);
}

void export_sign(const struct mac_key *key, uint64_t mark, const char *line, size_t len, struct text *out)
{
    char sig[MAC_HEX] = {'-'};

    if (key->set)
        mac_sign_line(key, mark, line, len, sig);
    text_str(out, EXPORT_MARKER);
    text_hex64(out, mark);
    text_char(out, ' ');
    text_bytes(out, sig, key->set ? sizeof sig : 1);
}

void export_end(uint64_t events, const char *host_id, const char *time, struct text *out)
{
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w, NULL);
    json_put_u64(&w, "exported", events);
    json_put_string(&w, "host_id", host_id);
    json_put_string(&w, "time", time);
    json_end_object(&w);
}

/* ---- reading ---- */

enum { AT_START, IN_LINE, IN_MARKER, IN_NOISE };

void export_reader_init(struct export_reader *r, char *buf, size_t cap)
{
    *r = (struct export_reader){.buf = buf, .cap = cap};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/** What the first character of a line says of it. */
static unsigned begin_line(struct export_reader *r, char c)
{
    r->len = 0;
    if (c == '{') {
        r->has_line = true;
        r->too_long = false;
        return IN_LINE;
    }
    return c == EXPORT_MARKER[0] ? IN_MARKER : IN_NOISE;
}

static void take_char(struct export_reader *r, char c)
{
    if (r->state == AT_START && is_blank(c))
        return;
    if (r->state == AT_START)
        r->state = begin_line(r, c);
    if (r->state == IN_LINE && r->len < r->cap)
        r->buf[r->len++] = c;
    else if (r->state == IN_LINE)
        r->too_long |= !is_blank(c);
    else if (r->state == IN_MARKER && r->len < sizeof r->marker)
        r->marker[r->len++] = c;
}

/** The word up to the next blank, which *s moves behind. */
static struct slice next_word(struct slice *s)
{
    const char *end = memchr(s->ptr, ' ', s->len);
    const struct slice word = {s->ptr, end ? (size_t)(end - s->ptr) : s->len};
    const size_t taken = word.len + (end ? 1 : 0);

    *s = (struct slice){s->ptr + taken, s->len - taken};
    return word;
}

static enum export_item take_signature(struct export_reader *r, struct slice rest)
{
    r->unit = (struct export_unit){.line = {r->buf, r->kept}, .mark = next_word(&rest), .at = r->lines};
    r->unit.sig = next_word(&rest);
    const bool whole = r->has_line && !r->too_long && r->unit.mark.len == EXPORT_MARK_HEX && rest.len == 0 &&
                       (r->unit.sig.len == MAC_HEX || slice_eq(r->unit.sig, "-"));
    r->has_line = false;
    return whole ? EXPORT_UNIT : EXPORT_DAMAGED;
}

/** A line that begins with the marker's first character. */
static enum export_item take_marker(struct export_reader *r)
{
    static const char marker[] = EXPORT_MARKER, begin[] = "begin ";
    struct slice rest = {r->marker + sizeof marker - 1, 0};
    uint64_t version;

    if (r->len < sizeof marker - 1 || memcmp(r->marker, marker, sizeof marker - 1) != 0)
        return EXPORT_NOTHING;
    rest.len = r->len - (sizeof marker - 1);
    if (rest.len < sizeof begin - 1 || memcmp(rest.ptr, begin, sizeof begin - 1) != 0)
        return take_signature(r, rest);
    next_word(&rest);
    const struct slice number = next_word(&rest);
    r->version = parse_u64(number.ptr, number.len, &version) == 0 && version <= UINT16_MAX ? (unsigned)version : 0;
    r->has_line = false;
    return EXPORT_BEGUN;
}

static enum export_item end_line(struct export_reader *r)
{
    const unsigned state = r->state;
    const char *from = state == IN_LINE ? r->buf : r->marker;

    r->state = AT_START;
    r->lines++;
    if (state == AT_START || state == IN_NOISE)
        return EXPORT_NOTHING;
    while (r->len > 0 && is_blank(from[r->len - 1]))
        r->len--;
    if (state == IN_MARKER)
        return take_marker(r);
    r->kept = r->len;
    return EXPORT_NOTHING;
}

enum export_item export_read(struct export_reader *r, const char **s, size_t *len)
{
    enum export_item item = EXPORT_NOTHING;

    for (; *len > 0 && item == EXPORT_NOTHING; (*s)++, (*len)--) {
        if (**s == '\n')
            item = end_line(r);
        else
            take_char(r, **s);
    }
    return item;
}
