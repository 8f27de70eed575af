#include "nefia/guard/audit.h"

#include <limits.h>
#include <string.h>

#include "nefia/base/err.h"

/* What a line ends in: `,"prev":"` hex `","mac":"` hex `"}` */
static const char PREV[] = ",\"prev\":\"", MAC[] = "\",\"mac\":\"", END[] = "\"}";
static const char COMMIT[] = ",\"commit\":true"; /* the last fact of a commit's first record */
enum {
    COMMIT_LEN = sizeof COMMIT - 1,
    PREV_LEN = sizeof PREV - 1,
    MAC_LEN = sizeof MAC - 1,
    END_LEN = sizeof END - 1,
    TAIL = PREV_LEN + MAC_HEX + MAC_LEN + MAC_HEX + END_LEN,
    SIGNED = MAC_LEN - 1 + MAC_HEX + END_LEN, /* these last bytes are not under the MAC */
    TIME = 20,                                /* 2026-03-10T15:30:00Z */
};

const char *audit_kind_word(enum audit_kind kind)
{
    static const char words[] = "begun\0rotated\0repaired\0lost\0started\0stopped\0reloaded\0refused\0"
                                "decision\0action_begun\0action_ended\0rejected\0forgotten\0"
                                "silence_added\0silence_ended\0step\0command_ordered\0command_sent\0command_ended\0";

    return word_at(words, kind);
}

/* ---- Writing ---- */

void audit_begin(struct audit_record *r, char *buf, uint64_t n, enum audit_kind kind, int64_t unix_s, bool unsynced)
{
    r->commit = false;
    text_init(&r->text, buf, AUDIT_LINE_MAX + 1 - TAIL);
    json_begin(&r->w, &r->text);
    json_object(&r->w, NULL);
    json_put_u64(&r->w, "n", n + 1);
    json_put_time(&r->w, "time", unix_s);
    json_put_string(&r->w, "kind", audit_kind_word(kind));
    if (unsynced)
        json_put_string(&r->w, "clock", "unsynced");
    r->facts = r->text.len;
}

void audit_mark_commit(struct audit_record *r)
{
    r->text.cap -= COMMIT_LEN;
    r->commit = true;
}

/** Append KEY_bytes and KEY_sha256 of a text that was cut. */
static void put_whole(struct audit_record *r, const char *key, struct slice s)
{
    char name_buf[48], hex_buf[MAC_HEX + 1];
    uint8_t hash[MAC_BYTES];
    struct text name, hex;

    text_init(&name, name_buf, sizeof name_buf);
    text_str(&name, key);
    const size_t len = name.len;
    text_str(&name, "_bytes");
    json_put_u64(&r->w, name.buf, s.len);
    text_rewind(&name, len);
    text_str(&name, "_sha256");
    mac_hash(s.ptr, s.len, hash);
    text_init(&hex, hex_buf, sizeof hex_buf);
    text_hex(&hex, hash, sizeof hash);
    json_put_bytes(&r->w, name.buf, hex.buf, hex.len);
}

void audit_put(struct audit_record *r, const char *key, struct slice s, size_t most)
{
    if (s.len == 0)
        return;
    json_put_raw(&r->w, key, "\"", 1);
    const size_t taken = json_escape(&r->text, s.ptr, s.len, most);
    text_char(&r->text, '"');
    if (taken < s.len)
        put_whole(r, key, s);
}

void audit_put_str(struct audit_record *r, const char *key, const char *s, size_t most)
{
    if (s)
        audit_put(r, key, (struct slice){s, strlen(s)}, most);
}

size_t audit_end(struct audit_record *r, struct audit_head *head, const struct mac_key *key)
{
    struct text *t = &r->text;

    if (t->truncated) {
        text_rewind(t, r->facts);
        json_put_bool(&r->w, "cut", true);
    }
    t->cap = AUDIT_LINE_MAX + 1;
    if (r->commit)
        text_str(t, COMMIT);
    text_str(t, PREV);
    text_hex(t, head->hash, sizeof head->hash);
    text_char(t, '"');
    const size_t covered = t->len;
    text_str(t, MAC + 1);
    mac_sign_hex(key, t->buf, covered, t->buf + t->len);
    t->len += MAC_HEX;
    text_str(t, END);
    head->n++;
    mac_hash(t->buf, t->len, head->hash);
    return t->len;
}

/* ---- Reading ---- */

/** Cut `what` off the beginning of s. */
static bool skip(struct slice *s, const char *what)
{
    const size_t len = strlen(what);

    if (s->len < len || memcmp(s->ptr, what, len) != 0)
        return false;
    *s = (struct slice){s->ptr + len, s->len - len};
    return true;
}

/** Cut a decimal number off. */
static bool take_number(struct slice *s, uint64_t *out)
{
    size_t digits = 0;

    while (digits < s->len && s->ptr[digits] >= '0' && s->ptr[digits] <= '9')
        digits++;
    if (parse_u64(s->ptr, digits, out) < 0)
        return false;
    *s = (struct slice){s->ptr + digits, s->len - digits};
    return true;
}

/** The members before the facts, of a line that is authentic. */
static int read_members(struct audit_line *out, struct slice s)
{
    if (!skip(&s, "{\"n\":") || !take_number(&s, &out->n) || out->n == 0 || !skip(&s, ",\"time\":\"") ||
        s.len < TIME)
        return NEFIA_EAUTH;
    s = (struct slice){s.ptr + TIME, s.len - TIME};
    if (!skip(&s, "\",\"kind\":\""))
        return NEFIA_EAUTH;
    const char *quote = memchr(s.ptr, '"', s.len);
    if (!quote)
        return NEFIA_EAUTH;
    out->kind = NEFIA_ENOTFOUND;
    for (int kind = 0; kind < AUDIT_KINDS; kind++)
        if (slice_eq((struct slice){s.ptr, (size_t)(quote - s.ptr)}, audit_kind_word((enum audit_kind)kind)))
            out->kind = kind;
    out->facts = (struct slice){quote + 1, s.len - (size_t)(quote + 1 - s.ptr)};
    return 0;
}

int audit_read(struct audit_line *out, const struct mac_key *key, const char *line, size_t len)
{
    if (len <= TAIL || len > AUDIT_LINE_MAX || memcmp(line + len - END_LEN, END, END_LEN) != 0)
        return NEFIA_EAUTH;
    const size_t covered = len - SIGNED, facts = len - TAIL;
    if (memcmp(line + covered - 1, MAC, MAC_LEN) != 0 || memcmp(line + facts, PREV, PREV_LEN) != 0 ||
        parse_hex(line + facts + PREV_LEN, MAC_HEX, out->prev, MAC_BYTES) < 0 ||
        mac_verify_hex(key, line, covered, line + covered + MAC_LEN - 1, MAC_HEX) < 0)
        return NEFIA_EAUTH;
    mac_hash(line, len, out->hash);
    return read_members(out, (struct slice){line, facts});
}

bool audit_has(const struct audit_line *l, const char *fact, struct slice *rest)
{
    for (size_t i = 0; i < l->facts.len; i++) {
        *rest = (struct slice){l->facts.ptr + i, l->facts.len - i};
        if (skip(rest, fact))
            return true;
    }
    return false;
}

int audit_number(const struct audit_line *l, const char *name, uint64_t *out)
{
    struct slice rest;

    return audit_has(l, name, &rest) && take_number(&rest, out) ? 0 : NEFIA_ENOTFOUND;
}

int audit_head_parse(struct audit_head *out, struct slice s)
{
    if (!take_number(&s, &out->n) || out->n == 0 || !skip(&s, ":") || parse_hex(s.ptr, s.len, out->hash, MAC_BYTES) < 0)
        return NEFIA_ESYNTAX;
    return 0;
}

void audit_head_text(struct text *t, const struct audit_head *head)
{
    text_u64(t, head->n);
    text_char(t, ':');
    text_hex(t, head->hash, sizeof head->hash);
}

/* ---- Verifying ---- */

void audit_verify_init(struct audit_verifier *v, const struct mac_key *key,
                       void (*found)(void *arg, const struct audit_finding *f), void *arg)
{
    memset(v, 0, offsetof(struct audit_verifier, buf));
    v->key = key;
    v->found = found;
    v->arg = arg;
    v->at.file = UINT_MAX; /* before the first one */
}

static void report(struct audit_verifier *v, enum audit_finding_kind kind, struct audit_place at, uint64_t first,
                   uint64_t last)
{
    const struct audit_finding f = {
        .kind = kind,
        .file = at.file,
        .line = at.line,
        .first = first,
        .last = last,
        .bytes = kind == AUDIT_FOUND_TORN ? v->torn : 0,
    };

    v->findings++;
    if (v->found)
        v->found(v->arg, &f);
}

static void note_bad(struct audit_verifier *v)
{
    struct slice s = {v->buf, v->len};

    if (v->bad_count == 0 && (!skip(&s, "{\"n\":") || !take_number(&s, &v->bad_n)))
        v->bad_n = 0;
    if (v->bad_count < AUDIT_PENDING)
        v->bad[v->bad_count] = v->at;
    v->bad_count++;
}

/** The lines that are not signed stand before a record, where `missing` are missing from `first` on: each in
 * the place of one, or all in the place of all. */
static void settle_bad(struct audit_verifier *v, uint64_t first, uint64_t missing)
{
    const bool each = v->bad_count == missing;

    for (uint64_t i = 0; i < v->bad_count; i++) {
        const bool listed = i < AUDIT_PENDING;
        const struct audit_place at = v->bad[listed ? i : AUDIT_PENDING - 1];

        if (missing == 0)
            report(v, AUDIT_FOUND_INSERTED, at, 0, 0);
        else if (each && listed)
            report(v, AUDIT_FOUND_CHANGED, at, first + i, first + i);
        else
            report(v, AUDIT_FOUND_CHANGED, at, each ? first + i : first, first + missing - 1);
        if (!listed)
            break; /* one finding for all that were not remembered */
    }
    v->bad_count = 0;
}

static void add_gap(struct audit_verifier *v, uint64_t first, uint64_t last, struct audit_place at)
{
    if (v->gap_count == AUDIT_PENDING) {
        struct audit_gap *g = v->gaps;

        while (g < v->gaps + AUDIT_PENDING - 1 && g->last <= v->before)
            g++; /* of those at the front, it is known only at the end */
        report(v, AUDIT_FOUND_REMOVED, g->at, g->first, g->last);
        memmove(g, g + 1, (size_t)(&v->gaps[--v->gap_count] - g) * sizeof *g);
    }
    v->gaps[v->gap_count++] = (struct audit_gap){first, last, at};
}

/** Take record n out of what is missing. Return: was it? */
static bool fill_gap(struct audit_verifier *v, uint64_t n)
{
    for (unsigned i = 0; i < v->gap_count; i++) {
        struct audit_gap *g = &v->gaps[i], gap = *g;

        if (n < gap.first || n > gap.last)
            continue;
        memmove(g, g + 1, (--v->gap_count - i) * sizeof *g);
        if (n > gap.first)
            add_gap(v, gap.first, n - 1, gap.at);
        if (n < gap.last)
            add_gap(v, n + 1, gap.last, gap.at);
        return true;
    }
    return false;
}

/** The one with the lowest number between these, or null. */
static struct audit_early *first_early(struct audit_verifier *v, uint64_t from, uint64_t to)
{
    struct audit_early *best = NULL;

    for (unsigned i = 0; i < v->early_count; i++) {
        struct audit_early *e = &v->early[i];

        if (e->head.n >= from && e->head.n <= to && (!best || e->head.n < best->head.n))
            best = e;
    }
    return best;
}

static void drop_early(struct audit_verifier *v, struct audit_early *e, enum audit_finding_kind kind)
{
    report(v, kind, e->at, e->head.n, e->head.n);
    memmove(e, e + 1, (size_t)(&v->early[--v->early_count] - e) * sizeof *e);
}

static void add_early(struct audit_verifier *v, const struct audit_early *e)
{
    if (v->early_count == AUDIT_PENDING)
        drop_early(v, v->early, AUDIT_FOUND_MOVED);
    v->early[v->early_count++] = *e;
}

/** Go on behind the records that came too early and have their place here. Return: the next one expected. */
static uint64_t pass_early(struct audit_verifier *v, uint64_t until)
{
    struct audit_early *e;

    while (v->last.n + 1 < until && (e = first_early(v, v->last.n + 1, v->last.n + 1)) != NULL) {
        v->last = e->head;
        drop_early(v, e, AUDIT_FOUND_MOVED);
    }
    return v->last.n + 1;
}

/** The jump was over records that are missing here. */
static void settle_jump(struct audit_verifier *v)
{
    if (v->jump.head.n == 0)
        return;
    uint64_t from = v->last.n + 1, to = v->jump.head.n - 1;
    for (struct audit_early *e; (e = first_early(v, from, to)) != NULL;) {
        if (e->head.n > from)
            add_gap(v, from, e->head.n - 1, v->jump.at);
        from = e->head.n + 1;
        drop_early(v, e, AUDIT_FOUND_MOVED);
    }
    if (from <= to)
        add_gap(v, from, to, v->jump.at);
    v->last = v->jump.head;
    v->jump.head.n = 0;
}

/** A record in order, or behind some that are missing. */
static void take_next(struct audit_verifier *v, const struct audit_line *l)
{
    const uint64_t expected = pass_early(v, l->n), missing = l->n - expected;
    const struct audit_head head = {l->n, {0}};
    struct audit_early *copy = first_early(v, l->n, l->n);

    if (copy)
        drop_early(v, copy, AUDIT_FOUND_INSERTED);
    if (missing > 0 && v->bad_count == 0) { /* it depends on what follows */
        v->jump = (struct audit_early){head, v->at};
        memcpy(v->jump.head.hash, l->hash, MAC_BYTES);
        return;
    }
    settle_bad(v, expected, missing);
    if (missing == 0 && memcmp(l->prev, v->last.hash, MAC_BYTES) != 0)
        report(v, AUDIT_FOUND_REPLACED, v->at, l->n - 1, l->n);
    v->last = head;
    memcpy(v->last.hash, l->hash, MAC_BYTES);
}

/** The first record: of those before it, it is known only at the end which are still to be there. */
static void take_first(struct audit_verifier *v, const struct audit_line *l)
{
    struct slice rest;

    v->before = l->n - 1;
    if (l->kind == AUDIT_BEGUN && audit_has(l, "\"key\":\"kept\"", &rest))
        report(v, AUDIT_FOUND_ANEW, v->at, 1, 1);
    if (v->bad_count > 0 && v->bad_count < l->n - 1) {
        const bool said = v->bad_n > 0 && v->bad_n < l->n;
        const uint64_t first = said ? v->bad_n : l->n - v->bad_count;

        settle_bad(v, first, l->n - first);
        if (first > 1)
            add_gap(v, 1, first - 1, (struct audit_place){0});
    } else if (!v->part) {
        take_next(v, l);
        return;
    }
    settle_bad(v, l->n, 0);
    v->last.n = l->n - 1;
    memcpy(v->last.hash, l->prev, MAC_BYTES);
    take_next(v, l);
}

static void note_oldest(struct audit_verifier *v, const struct audit_line *l)
{
    uint64_t oldest;

    if (l->kind != AUDIT_ROTATED || audit_number(l, "\"oldest\":", &oldest) < 0)
        return;
    if (oldest > v->oldest)
        v->oldest = oldest;
}

/** All before a commit was on disk: what is damaged there was damaged later. */
static void note_commit(struct audit_verifier *v, const struct audit_line *l)
{
    const struct slice f = l->facts;

    if (f.len >= COMMIT_LEN && memcmp(f.ptr + f.len - COMMIT_LEN, COMMIT, COMMIT_LEN) == 0)
        v->damage.found = false;
}

/** Behind a record only: of a log with another key, nothing was being written. */
static void note_damage(struct audit_verifier *v)
{
    if (!v->damage.found && v->records > 0)
        v->damage = (struct audit_damage){true, v->bytes, v->jump.head.n > 0 ? v->jump.head : v->last};
}

static void take_record(struct audit_verifier *v, const struct audit_line *l)
{
    v->records++;
    note_commit(v, l);
    if (v->want.n == l->n && !v->want_seen) {
        v->want_seen = true;
        if (memcmp(v->want.hash, l->hash, MAC_BYTES) != 0)
            report(v, AUDIT_FOUND_HEAD, v->at, l->n, l->n);
    }
    note_oldest(v, l);
    if (v->records == 1) {
        take_first(v, l);
        return;
    }
    if (v->jump.head.n > 0 && (l->n >= v->jump.head.n || l->n <= v->last.n)) {
        settle_jump(v);
    } else if (v->jump.head.n > 0) {
        add_early(v, &v->jump);
        v->jump.head.n = 0;
    }
    if (l->n > v->last.n)
        take_next(v, l);
    else
        report(v, fill_gap(v, l->n) ? AUDIT_FOUND_MOVED : AUDIT_FOUND_INSERTED, v->at, l->n, l->n);
}

static void take_line(struct audit_verifier *v)
{
    struct audit_line l;

    v->lines++;
    v->at.line++;
    if (v->overlong || audit_read(&l, v->key, v->buf, v->len) < 0) {
        note_bad(v);
        note_damage(v);
    } else {
        take_record(v, &l);
    }
    v->len = 0;
    v->overlong = false;
}

void audit_verify_file(struct audit_verifier *v)
{
    if (v->len > 0)
        take_line(v); /* only the last file may end in an incomplete line */
    v->torn = 0;
    v->bytes = 0;
    v->damage.found = false;
    v->at.file++;
    v->at.line = 0;
}

void audit_verify_feed(struct audit_verifier *v, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        const size_t n = newline ? (size_t)(newline - bytes) : len;
        const size_t room = AUDIT_LINE_MAX - v->len, kept = n < room ? n : room;

        memcpy(v->buf + v->len, bytes, kept);
        v->len += kept;
        v->overlong |= kept < n;
        v->torn += n;
        if (newline) {
            take_line(v);
            v->bytes += v->torn + 1;
            v->torn = 0;
        }
        bytes += n + (newline != NULL);
        len -= n + (newline != NULL);
    }
}

static void end_want(struct audit_verifier *v)
{
    const struct audit_head *want = &v->want;

    if (want->n == 0 || v->want_seen)
        return;
    if (want->n > v->last.n)
        report(v, AUDIT_FOUND_CUT, v->at, v->last.n + 1, want->n);
    else if (want->n < v->oldest || (v->part && want->n <= v->before))
        report(v, AUDIT_FOUND_GONE, v->at, want->n, want->n);
    else
        report(v, AUDIT_FOUND_HEAD, v->at, want->n, want->n);
}

/** What is missing at the front may have been rotated away, as far as the log says so. */
static void end_gaps(struct audit_verifier *v)
{
    for (unsigned i = 0; i < v->gap_count; i++) {
        struct audit_gap g = v->gaps[i];
        const bool front = g.last <= v->before;

        if (front && g.first < v->oldest)
            g.first = v->oldest;
        if (g.first <= g.last && !(front && v->part))
            report(v, AUDIT_FOUND_REMOVED, g.at, g.first, g.last);
    }
    v->gap_count = 0;
}

void audit_verify_end(struct audit_verifier *v)
{
    settle_jump(v);
    settle_bad(v, v->last.n + 1, v->bad_count);
    while (v->early_count > 0)
        drop_early(v, v->early, AUDIT_FOUND_MOVED);
    end_gaps(v);
    if (v->torn > 0)
        report(v, AUDIT_FOUND_TORN, (struct audit_place){v->at.file, v->at.line + 1}, 0, 0);
    end_want(v);
}

const char *audit_finding_word(enum audit_finding_kind kind)
{
    static const char words[] = "changed\0inserted\0moved\0removed\0replaced\0torn\0cut\0other_head\0"
                                "rotated_away\0begun_anew\0";

    return word_at(words, kind);
}

/** What the word means. */
static const char *finding_meaning(enum audit_finding_kind kind)
{
    static const char phrases[] = "the line there is not signed with the hub's key\0"
                                  "the line has no place there\0"
                                  "it stands at the wrong place\0"
                                  "missing before this line\0"
                                  "one does not continue the other\0"
                                  "an incomplete line, as after a power cut; the hub removes it at its next start\0"
                                  "missing at the end, up to --head\0"
                                  "not the record that --head names\0"
                                  "--head is older than the log: it proves nothing\0"
                                  "the hub had its key, but no log any more\0";

    return word_at(phrases, kind);
}

void audit_finding_text(struct text *t, const struct audit_finding *f, const char *name)
{
    text_str(t, name);
    if (f->line > 0) {
        text_str(t, " line ");
        text_u64(t, f->line);
    }
    text_str(t, ": ");
    text_str(t, audit_finding_word(f->kind));
    if (f->first > 0) {
        text_str(t, f->last > f->first ? ": records " : ": record ");
        text_u64(t, f->first);
    }
    if (f->last > f->first) {
        text_str(t, " to ");
        text_u64(t, f->last);
    }
    text_str(t, " (");
    if (f->bytes > 0) {
        text_u64(t, f->bytes);
        text_str(t, " bytes of ");
    }
    text_str(t, finding_meaning(f->kind));
    text_char(t, ')');
}
