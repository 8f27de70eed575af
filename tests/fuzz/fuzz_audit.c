/* The verifier of the audit log. The first byte selects:
 *   even  the rest is a log, in files that end at 0x1C, fed in pieces: whatever it is, the verifier ends, and its findings are in
 *         bounds;
 *   odd   a log is written with facts out of the input, then changed as the input says (flips, lines that are removed, copied,
 *         swapped, forged, a cut): it has findings exactly when it is not what was written. */
#include <string.h>

#include "nefia/guard/audit.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { RECORDS = 12, LOG = 16 * 1024, FACT = 200, LINES = 64, FILE_END = 0x1C, OPS = 12 };

static struct mac_key key;
static struct audit_verifier v;
static char log_bytes[LOG], changed[2 * LOG];
static struct audit_head head;

static void on_found(void *arg, const struct audit_finding *f)
{
    char buf[512];
    struct text t;

    (void)arg;
    MUST(f->first <= f->last && (f->first == 0) == (f->last == 0));
    MUST(f->kind != AUDIT_FOUND_TORN || f->bytes > 0);
    text_init(&t, buf, sizeof buf);
    audit_finding_text(&t, f, "audit.log");
    MUST(!t.truncated && t.len > 10);
}

static void begin(void)
{
    static const char bytes[] = "0123456789abcdef";

    MUST(mac_key_set(&key, bytes, sizeof bytes - 1) == 0);
    audit_verify_init(&v, &key, on_found, NULL);
    audit_verify_file(&v);
}

static void feed_pieces(const char *bytes, size_t len, size_t piece)
{
    while (len > 0) {
        const size_t n = piece > 0 && piece < len ? piece : len;

        audit_verify_feed(&v, bytes, n);
        bytes += n;
        len -= n;
    }
}

static void read_anything(const char *bytes, size_t len)
{
    const size_t piece = len > 0 ? (unsigned char)bytes[0] % 7 : 0;

    begin();
    v.part = len > 1 && bytes[1] & 1;
    while (len > 0) {
        const char *end = memchr(bytes, FILE_END, len);
        const size_t n = end ? (size_t)(end - bytes) : len;

        feed_pieces(bytes, n, piece);
        if (end)
            audit_verify_file(&v);
        bytes += n + (end != NULL);
        len -= n + (end != NULL);
    }
    audit_verify_end(&v);
    MUST(v.records <= v.lines && (v.lines == v.records || v.findings > 0));
}

/* ---- A log that was written, and what is done to it ---- */

static size_t write_log(const unsigned char *data, size_t size)
{
    static char line[AUDIT_LINE_MAX + 1];
    struct audit_record r;
    size_t len = 0;

    head = (struct audit_head){0};
    for (unsigned i = 0; i < RECORDS && (i == 0 || size > 0); i++) {
        const enum audit_kind kind = i == 0 ? AUDIT_BEGUN : (enum audit_kind)(AUDIT_REPAIRED + *data % (AUDIT_KINDS - AUDIT_REPAIRED));
        size_t n = size > 0 ? *data % 32 : 0;

        n = n < size ? n : size;
        audit_begin(&r, line, head.n, kind, (int64_t)n * 1000000, n & 1);
        audit_put(&r, "fact", (struct slice){(const char *)data, n}, FACT);
        const size_t written = audit_end(&r, &head, &key);
        memcpy(log_bytes + len, line, written);
        len += written;
        log_bytes[len++] = '\n';
        data += n;
        size -= n;
    }
    return len;
}

/** The lines of what is in `changed`. */
static struct slice lines[LINES];
static unsigned line_count;

static void find_lines(size_t len)
{
    line_count = 0;
    for (size_t at = 0; at < len && line_count < LINES;) {
        const char *newline = memchr(changed + at, '\n', len - at);
        const size_t n = newline ? (size_t)(newline + 1 - changed) - at : len - at;

        lines[line_count++] = (struct slice){changed + at, n};
        at += n;
    }
}

static size_t put_line(char *to, struct slice line)
{
    memcpy(to, line.ptr, line.len);
    return line.len;
}

/** One change; a and b choose where. Return: the new length. */
static size_t change(size_t len, unsigned op, unsigned a, unsigned b)
{
    static const char forged[] = "{\"n\":2,\"time\":\"2026-03-10T15:30:00Z\",\"kind\":\"decision\"}\n";
    static char out[2 * LOG];
    size_t n = 0;

    find_lines(len);
    if (line_count == 0 || len > LOG)
        return len;
    if (op % 6 == 0) {
        changed[(a * 256 + b) % len] ^= (char)(1 << b % 8);
        return len;
    }
    if (op % 6 == 1)
        return (a * 256 + b) % (len + 1);
    a %= line_count;
    b %= line_count;
    for (unsigned i = 0; i < line_count; i++) {
        const struct slice line = lines[op % 6 == 2 && i == a ? b : op % 6 == 2 && i == b ? a : i];

        if (op % 6 == 3 && i == a)
            continue;
        if (op % 6 == 4 && i == a)
            n += put_line(out + n, lines[b]);
        if (op % 6 == 5 && i == a)
            n += put_line(out + n, (struct slice){forged, sizeof forged - 1});
        n += put_line(out + n, line);
    }
    memcpy(changed, out, n);
    return n;
}

static void read_changed(const unsigned char *data, size_t size)
{
    const size_t ops = size < OPS ? size : OPS;
    const unsigned char *op = data + size - ops;

    begin();
    const size_t written = write_log(data, size - ops);
    size_t len = written;

    memcpy(changed, log_bytes, len);
    for (size_t i = 0; i + 3 <= ops; i += 3)
        len = change(len, op[i], op[i + 1], op[i + 2]);
    begin();
    v.want = head;
    feed_pieces(changed, len, size);
    audit_verify_end(&v);
    const bool same = len == written && memcmp(changed, log_bytes, len) == 0;
    MUST(same == (v.findings == 0));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        read_changed(data + 1, size - 1);
    else
        read_anything((const char *)data + 1, size - 1);
    return 0;
}
