#include "nefia/guard/audit.h"

#include "check.h"
#include "nefia/base/err.h"

/* Records are bytes: what a log looks like is fixed here, computed by another program (Python's hmac and hashlib). What
 * happens to a log is done to one of two files, and the verifier must name it. */

enum { RECORDS = 9, FIRST = 5, /* records in the older file */ LINE = 512, FOUND = 256 };

static struct mac_key key;
static char lines[RECORDS + 1][LINE]; /* the log, with newlines */
static size_t lens[RECORDS + 1];
static struct audit_head heads[RECORDS + 1], head; /* after each record */
static uint64_t oldest = 1;

static struct audit_finding found[FOUND];
static unsigned found_count;

static void on_found(void *arg, const struct audit_finding *f)
{
    (void)arg;
    REQUIRE(found_count < FOUND);
    found[found_count++] = *f;
}

static void set_key(void)
{
    CHECK_INT(mac_key_set(&key, "0123456789abcdef0123456789abcdef", 32), 0);
}

static size_t put_record(char *line, enum audit_kind kind, const char *fact, const char *value)
{
    static char buf[AUDIT_LINE_MAX + 1];
    struct audit_record r;

    audit_begin(&r, buf, head.n, kind, 1773156600, false);
    audit_put_str(&r, fact, value, 100);
    if (kind == AUDIT_ROTATED)
        json_put_u64(&r.w, "oldest", oldest);
    size_t len = audit_end(&r, &head, &key);
    CHECK(len < LINE);
    memcpy(line, buf, len);
    line[len++] = '\n';
    return len;
}

/** Of RECORDS records; FIRST of them are in the older file. */
static void make_log(void)
{
    set_key();
    head = (struct audit_head){0};
    for (unsigned i = 0; i < RECORDS; i++) {
        const enum audit_kind kind = i == 0 ? AUDIT_BEGUN : i == FIRST ? AUDIT_ROTATED : AUDIT_DECISION;

        lens[i] = put_record(lines[i], kind, kind == AUDIT_BEGUN ? "key" : "rule", i == 0 ? "new" : "web");
        heads[i] = head;
    }
}

static struct audit_verifier v;
static struct audit_head wanted;

static void begin(void)
{
    found_count = 0;
    audit_verify_init(&v, &key, on_found, NULL);
    v.want = wanted;
}

/** The lines of these numbers (negative: a forged one), the second file before index `second`. */
static void verify(const int *order, unsigned count, unsigned second)
{
    static const char forged[] = "{\"n\":3,\"time\":\"2026-03-10T15:30:00Z\",\"kind\":\"decision\"}\n";

    begin();
    audit_verify_file(&v);
    for (unsigned i = 0; i < count; i++) {
        if (i == second)
            audit_verify_file(&v);
        if (order[i] < 0)
            audit_verify_feed(&v, forged, sizeof forged - 1);
        else
            audit_verify_feed(&v, lines[order[i]], lens[order[i]]);
    }
    audit_verify_end(&v);
    CHECK_INT(v.findings, found_count);
}

static void all_in_order(int order[2 * RECORDS])
{
    for (int i = 0; i < RECORDS; i++)
        order[i] = i;
}

static void insert(int *order, unsigned count, unsigned at, int what)
{
    memmove(order + at + 1, order + at, (count - at) * sizeof *order);
    order[at] = what;
}

static bool names(const struct audit_finding *f, uint64_t record)
{
    return f->first <= record && record <= f->last;
}

static void expect(unsigned i, enum audit_finding_kind kind, uint64_t first, uint64_t last)
{
    REQUIRE(i < found_count);
    CHECK_INT(found[i].kind, kind);
    CHECK_INT(found[i].first, first);
    CHECK_INT(found[i].last, last);
}

/* ---- Records ---- */

TEST(a_record_is_these_bytes)
{
    static char buf[AUDIT_LINE_MAX + 1];
    struct audit_record r;
    struct audit_line l;
    struct slice rest;
    uint64_t at = 0;

    set_key();
    head = (struct audit_head){0};
    audit_begin(&r, buf, 0, AUDIT_BEGUN, 1773156600, false);
    audit_put_str(&r, "key", "new", 10);
    size_t len = audit_end(&r, &head, &key);
    CHECK_INT(len, strlen(buf));
    CHECK_STR(buf, "{\"n\":1,\"time\":\"2026-03-10T15:30:00Z\",\"kind\":\"begun\",\"key\":\"new\",\"prev\":"
                   "\"0000000000000000000000000000000000000000000000000000000000000000\",\"mac\":"
                   "\"069abd7781df57a8009f121111f03855fa0063de61fc2489dda8f7ed4e2ffa3e\"}");
    audit_begin(&r, buf, head.n, AUDIT_DECISION, 1773156600, true);
    audit_put_str(&r, "rule", "say \"so\"", 10);
    audit_put_str(&r, "role", NULL, 10);
    audit_put_str(&r, "host", "", 10);
    audit_put_str(&r, "command", "abcdef", 3);
    json_put_u64(&r.w, "at", 4);
    len = audit_end(&r, &head, &key);
    CHECK_STR(buf, "{\"n\":2,\"time\":\"2026-03-10T15:30:00Z\",\"kind\":\"decision\",\"clock\":\"unsynced\",\"rule\":"
                   "\"say \\\"so\\\"\",\"command\":\"abc\",\"command_bytes\":6,\"command_sha256\":"
                   "\"bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721\",\"at\":4,\"prev\":"
                   "\"14af7100d51b5f06f3f5c8d6d99bb4ffa2a1029642a992d0f96f285778024b77\",\"mac\":"
                   "\"2148c6a9925dc2f860981137444e309dc4db3bf425791e9ec850ac6c76f5ec30\"}");
    CHECK_INT(audit_read(&l, &key, buf, len), 0);
    CHECK_INT(l.n, 2);
    CHECK_INT(l.kind, AUDIT_DECISION);
    CHECK_INT(audit_number(&l, "\"at\":", &at), 0);
    CHECK_INT(at, 4);
    CHECK_INT(audit_number(&l, "\"rule\":", &at), NEFIA_ENOTFOUND);
    CHECK_INT(audit_number(&l, "\"never\":", &at), NEFIA_ENOTFOUND);
    CHECK(audit_has(&l, "\"command\":\"abc\"", &rest) && !audit_has(&l, "\"prev\":", &rest));
    CHECK(memcmp(l.hash, head.hash, MAC_BYTES) == 0);
}

TEST(a_head_reads_as_it_is_printed)
{
    char buf[100];
    struct text t;
    struct audit_head got;
    static const char *const wrong[] = {"", "7", "7:", ":ab", "0:", "x:", "7:00", "18446744073709551616:"};

    make_log();
    text_init(&t, buf, sizeof buf);
    audit_head_text(&t, &head);
    CHECK(strncmp(buf, "9:", 2) == 0);
    CHECK_INT(t.len, 2 + MAC_HEX);
    CHECK_INT(audit_head_parse(&got, (struct slice){t.buf, t.len}), 0);
    CHECK(got.n == head.n && memcmp(got.hash, head.hash, MAC_BYTES) == 0);
    CHECK_INT(audit_head_parse(&got, (struct slice){t.buf, t.len - 1}), NEFIA_ESYNTAX);
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
        CHECK_INT(audit_head_parse(&got, (struct slice){wrong[i], strlen(wrong[i])}), NEFIA_ESYNTAX);
}

/** Whatever the facts, the line fits and can be read. */
TEST(facts_without_bound_fit)
{
    static char buf[AUDIT_LINE_MAX + 1], text[8192];
    struct audit_record r;
    struct audit_line l;
    struct slice rest;

    set_key();
    for (size_t n = 0; n <= AUDIT_LINE_MAX; n++) {
        head = (struct audit_head){.n = UINT64_MAX - 1};
        memset(text, '\1', sizeof text); /* six bytes each */
        audit_begin(&r, buf, head.n, AUDIT_ACTION_ENDED, 0, true);
        audit_mark_commit(&r);
        audit_put(&r, "long", (struct slice){text, sizeof text}, n);
        size_t len = audit_end(&r, &head, &key);
        CHECK(len <= AUDIT_LINE_MAX && strlen(buf) == len);
        CHECK_INT(audit_read(&l, &key, buf, len), 0);
        CHECK_INT(l.n, UINT64_MAX);
        CHECK(audit_has(&l, ",\"cut\":true", &rest) == !audit_has(&l, "\"long_sha256\":", &rest));
        CHECK(n > 3500 || audit_has(&l, "\"long_bytes\":8192,", &rest));
    }
}

TEST(what_is_no_record_is_not_read)
{
    static char line[LINE];
    struct audit_line l;

    make_log();
    for (size_t n = 0; n < lens[3] - 1; n++)
        CHECK_INT(audit_read(&l, &key, lines[3], n), NEFIA_EAUTH);
    CHECK_INT(audit_read(&l, &key, lines[3], lens[3] - 1), 0);
    CHECK_INT(audit_read(&l, &key, lines[3], lens[3]), NEFIA_EAUTH);
    /* Signed, but by somebody who writes something else. */
    memcpy(line, lines[3], lens[3]);
    line[1] = '\'';
    const size_t covered = lens[3] - 1 - MAC_HEX - 10;
    mac_sign_hex(&key, line, covered, line + covered + 8);
    CHECK_INT(audit_read(&l, &key, line, lens[3] - 1), NEFIA_EAUTH);
}

/* ---- A log ---- */

TEST(a_log_as_it_was_written_has_no_finding)
{
    int order[2 * RECORDS];

    make_log();
    wanted = (struct audit_head){0};
    all_in_order(order);
    verify(order, RECORDS, FIRST);
    CHECK_INT(found_count, 0);
    CHECK_INT(v.records, RECORDS);
    CHECK(v.last.n == RECORDS && memcmp(v.last.hash, head.hash, MAC_BYTES) == 0);
    begin();
    for (unsigned i = 0; i < RECORDS; i++) {
        if (i == 0 || i == FIRST)
            audit_verify_file(&v);
        for (size_t k = 0; k < lens[i]; k++)
            audit_verify_feed(&v, lines[i] + k, 1);
    }
    audit_verify_end(&v);
    CHECK_INT(found_count, 0);
    for (unsigned i = 0; i < RECORDS; i++) { /* and a head of it is in it */
        wanted = heads[i];
        verify(order, RECORDS, FIRST);
        CHECK_INT(found_count, 0);
    }
    wanted = (struct audit_head){0};
}

/** Record i is named, and `more` that follow: a newline that is gone makes one line of two, and a new one makes two
 * of the last. */
static void expect_named(unsigned i, unsigned more)
{
    bool named = false;

    for (unsigned k = 0; k < found_count; k++) {
        const struct audit_finding *f = &found[k];
        const bool torn = f->kind == AUDIT_FOUND_TORN && i == RECORDS - 1;

        named |= names(f, i + 1) || torn;
        CHECK(torn || f->kind == AUDIT_FOUND_CHANGED);
        CHECK(torn || (f->first >= i + 1 && f->last <= i + 1 + more));
    }
    CHECK(named && found_count <= 2);
}

TEST(each_byte_that_is_changed_is_found)
{
    make_log();
    for (unsigned i = 0; i < RECORDS; i++)
        for (size_t at = 0; at < lens[i]; at++)
            for (unsigned how = 0; how < 3; how++) {
                const char was = lines[i][at];
                const bool newline = was == '\n';
                int order[2 * RECORDS];

                lines[i][at] = (char)(how == 0 ? was ^ 1 << at % 8 : how == 1 ? '\n' : '\0');
                if (lines[i][at] == was)
                    continue;
                all_in_order(order);
                verify(order, RECORDS, FIRST);
                expect_named(i, (newline && i != FIRST - 1) || (how == 1 && i == RECORDS - 1));
                lines[i][at] = was;
            }
}

TEST(each_record_that_is_removed_is_found)
{
    make_log();
    for (unsigned i = 0; i < RECORDS; i++)
        for (unsigned n = 1; i + n <= RECORDS; n++) {
            int order[2 * RECORDS];

            all_in_order(order);
            memmove(order + i, order + i + n, (RECORDS - i - n) * sizeof *order);
            const unsigned second = i >= FIRST ? FIRST : i + n <= FIRST ? FIRST - n : i;
            verify(order, RECORDS - n, second);
            if (i + n < RECORDS) {
                CHECK_INT(found_count, 1);
                expect(0, AUDIT_FOUND_REMOVED, i + 1, i + n);
                continue;
            }
            CHECK_INT(found_count, 0); /* nothing in the log says that there was more */
            wanted = heads[RECORDS - 1];
            verify(order, RECORDS - n, second);
            CHECK_INT(found_count, 1);
            expect(0, AUDIT_FOUND_CUT, i + 1, RECORDS);
            wanted = (struct audit_head){0};
        }
}

TEST(each_line_that_is_inserted_is_found)
{
    make_log();
    for (int what = -1; what < RECORDS; what++)
        for (unsigned at = 0; at <= RECORDS; at++) {
            int order[2 * RECORDS];

            all_in_order(order);
            insert(order, RECORDS, at, what);
            const unsigned second = at <= FIRST ? FIRST + 1 : FIRST;
            verify(order, RECORDS + 1, second);
            CHECK_INT(found_count, 1);
            REQUIRE(found_count == 1);
            /* Of two lines that are the same, one is the copy. */
            const bool twin = what >= 0 && ((unsigned)what == at || (unsigned)what + 1 == at);
            const uint64_t line = at < second ? at + 1 : at - second + 1;
            if (what < 0 && at == RECORDS)
                expect(0, AUDIT_FOUND_CHANGED, RECORDS + 1, RECORDS + 1);
            else
                expect(0, AUDIT_FOUND_INSERTED, (uint64_t)what + 1, (uint64_t)what + 1);
            CHECK(twin || (found[0].file == (at >= second) && found[0].line == line));
        }
}

TEST(each_pair_that_is_swapped_is_found)
{
    make_log();
    for (unsigned i = 0; i < RECORDS; i++)
        for (unsigned j = i + 1; j < RECORDS; j++) {
            int order[2 * RECORDS];

            all_in_order(order);
            order[i] = (int)j;
            order[j] = (int)i;
            verify(order, RECORDS, FIRST);
            CHECK_INT(found_count, j == i + 1 ? 1 : 2);
            for (unsigned k = 0; k < found_count; k++) {
                CHECK_INT(found[k].kind, AUDIT_FOUND_MOVED);
                /* Of three that are reversed, any two have moved. */
                CHECK(names(&found[k], i + 1) || names(&found[k], j + 1) || (j == i + 2 && names(&found[k], j)));
            }
        }
}

TEST(a_file_that_is_gone_is_found)
{
    int order[2 * RECORDS];

    make_log();
    all_in_order(order);
    verify(order + FIRST, RECORDS - FIRST, RECORDS);
    CHECK_INT(found_count, 1);
    expect(0, AUDIT_FOUND_REMOVED, 1, FIRST);
    CHECK_INT(found[0].line, 1);
    begin();
    v.part = true; /* it was asked for alone */
    audit_verify_file(&v);
    for (unsigned i = FIRST; i < RECORDS; i++)
        audit_verify_feed(&v, lines[i], lens[i]);
    audit_verify_end(&v);
    CHECK_INT(found_count, 0);
}

TEST(a_record_of_another_time_is_found)
{
    int order[2 * RECORDS];

    make_log();
    wanted = heads[6];
    wanted.hash[0] ^= 1;
    all_in_order(order);
    verify(order, RECORDS, FIRST);
    CHECK_INT(found_count, 1);
    expect(0, AUDIT_FOUND_HEAD, 7, 7);
    /* The same number, signed, from before the log was put back to an older state. */
    wanted = heads[RECORDS - 1];
    head = heads[2];
    lens[3] = put_record(lines[3], AUDIT_DECISION, "rule", "other");
    verify(order, RECORDS, FIRST);
    CHECK_INT(found_count, 1);
    expect(0, AUDIT_FOUND_REPLACED, 4, 5);
    wanted = (struct audit_head){0};
}

TEST(a_head_that_is_rotated_away_proves_nothing)
{
    int order[2 * RECORDS];

    oldest = FIRST + 1;
    make_log();
    oldest = 1;
    wanted = heads[1];
    all_in_order(order);
    verify(order + FIRST, RECORDS - FIRST, RECORDS);
    CHECK_INT(found_count, 1);
    expect(0, AUDIT_FOUND_GONE, 2, 2);
    wanted = (struct audit_head){0};
}

/** Of one file, nothing can be said of what is before it. */
TEST(a_head_before_a_single_file_proves_nothing)
{
    make_log();
    wanted = heads[1];
    begin();
    v.part = true;
    audit_verify_file(&v);
    for (unsigned i = FIRST; i < RECORDS; i++)
        audit_verify_feed(&v, lines[i], lens[i]);
    audit_verify_end(&v);
    CHECK_INT(found_count, 1);
    expect(0, AUDIT_FOUND_GONE, 2, 2);
    wanted = (struct audit_head){0};
}

/** What was rotated away is not missing, however many findings there are, and if a record of it is back. */
TEST(what_was_rotated_away_is_not_missing)
{
    enum { MANY = 200, OLDEST = 50 };
    static char line[LINE], old[LINE];
    size_t old_len = 0;

    for (unsigned i = 0; i < 2; i++) {
        set_key();
        head = (struct audit_head){0};
        oldest = OLDEST;
        begin();
        audit_verify_file(&v);
        for (unsigned n = 1; n <= MANY; n++) {
            const size_t len = put_record(line, n == OLDEST ? AUDIT_ROTATED : AUDIT_DECISION, "rule", "web");
            if (n == 20)
                memcpy(old, line, old_len = len);
            if (n >= OLDEST && (i > 0 || n % 3 != 1))
                audit_verify_feed(&v, line, len);
            if (i > 0 && n == 100)
                audit_verify_feed(&v, old, old_len);
        }
        oldest = 1;
        audit_verify_end(&v);
        for (unsigned k = 0; i == 0 && k < found_count; k++)
            CHECK(found[k].kind == AUDIT_FOUND_REMOVED && found[k].first == found[k].last && found[k].first > OLDEST);
        CHECK_INT(found_count, i == 0 ? 50 : 1);
    }
    expect(0, AUDIT_FOUND_MOVED, 20, 20);
}

TEST(a_log_that_begins_anew_is_found)
{
    make_log();
    head = (struct audit_head){0};
    lens[0] = put_record(lines[0], AUDIT_BEGUN, "key", "kept");
    verify((const int[]){0}, 1, 1);
    CHECK_INT(found_count, 1);
    expect(0, AUDIT_FOUND_ANEW, 1, 1);
}

TEST(another_key_knows_no_record)
{
    int order[2 * RECORDS];

    make_log();
    CHECK_INT(mac_key_set(&key, "another key, as long", 20), 0);
    all_in_order(order);
    verify(order, RECORDS, FIRST);
    CHECK_INT(v.records, 0);
    CHECK_INT(found_count, RECORDS);
}

/** A log may end in part of a line, as a power cut leaves it. */
TEST(a_torn_line_is_called_so)
{
    make_log();
    for (size_t n = 0; n < lens[RECORDS - 1]; n++) {
        begin();
        for (unsigned i = 0; i < RECORDS; i++) {
            if (i == 0 || i == FIRST)
                audit_verify_file(&v);
            audit_verify_feed(&v, lines[i], i < RECORDS - 1 ? lens[i] : n);
        }
        audit_verify_end(&v);
        CHECK_INT(v.last.n, RECORDS - 1);
        CHECK_INT(found_count, n > 0);
        if (n == 0)
            continue;
        expect(0, AUDIT_FOUND_TORN, 0, 0);
        CHECK_INT(found[0].bytes, n);
        CHECK_INT(found[0].line, RECORDS - FIRST);
    }
}

/** More than it remembers: each is still reported. */
TEST(many_findings_are_all_reported)
{
    enum { MANY = 200 };
    static char line[LINE];
    uint64_t removed = 0, changed = 0;

    set_key();
    head = (struct audit_head){0};
    begin();
    audit_verify_file(&v);
    for (unsigned i = 0; i < MANY; i++) {
        const size_t len = put_record(line, i == 0 ? AUDIT_BEGUN : AUDIT_DECISION, "key", "new");
        if (i % 3 != 1)
            audit_verify_feed(&v, line, len);
    }
    audit_verify_end(&v);
    for (unsigned i = 0; i < found_count; i++) {
        CHECK_INT(found[i].kind, AUDIT_FOUND_REMOVED);
        CHECK(found[i].first == found[i].last && found[i].first % 3 == 2);
        removed++;
    }
    CHECK_INT(removed, MANY / 3);
    head = (struct audit_head){0};
    begin();
    audit_verify_file(&v);
    for (unsigned i = 0; i < MANY; i++) {
        const size_t len = put_record(line, i == 0 ? AUDIT_BEGUN : AUDIT_DECISION, "key", "new");
        line[10] = i > 10 && i < 150 ? '#' : line[10];
        audit_verify_feed(&v, line, len);
    }
    audit_verify_end(&v);
    CHECK_INT(found_count, AUDIT_PENDING + 1);
    for (unsigned i = 0; i < found_count; i++)
        changed += found[i].last - found[i].first + 1;
    CHECK_INT(changed, 139);
}

/** A line without an end, and bytes that are none. */
TEST(a_line_of_any_length_takes_no_more_memory)
{
    make_log();
    begin();
    audit_verify_file(&v);
    audit_verify_feed(&v, lines[0], lens[0]);
    for (unsigned i = 0; i < 100000; i++)
        audit_verify_feed(&v, "\0\xff{\r", 4);
    audit_verify_feed(&v, "\n", 1);
    audit_verify_feed(&v, lines[1], lens[1]);
    audit_verify_end(&v);
    CHECK_INT(found_count, 1);
    expect(0, AUDIT_FOUND_INSERTED, 0, 0);
}

TEST(findings_are_sentences)
{
    char buf[256];
    struct text t;
    struct audit_finding f = {.kind = AUDIT_FOUND_CHANGED, .file = 1, .line = 17, .first = 5, .last = 5};

    text_init(&t, buf, sizeof buf);
    audit_finding_text(&t, &f, "audit.log");
    CHECK_STR(buf, "audit.log line 17: changed: record 5 (the line there is not signed with the hub's key)");
    text_reset(&t);
    f = (struct audit_finding){.kind = AUDIT_FOUND_REMOVED, .first = 5, .last = 7};
    audit_finding_text(&t, &f, "audit.log");
    CHECK_STR(buf, "audit.log: removed: records 5 to 7 (missing before this line)");
    text_reset(&t);
    f = (struct audit_finding){.kind = AUDIT_FOUND_TORN, .line = 3, .bytes = 12};
    audit_finding_text(&t, &f, "a");
    CHECK_STR(buf, "a line 3: torn (12 bytes of an incomplete line, as after a power cut; the hub removes it at its next start)");
    CHECK_STR(audit_finding_word(AUDIT_FOUND_ANEW), "begun_anew");
    CHECK_STR(audit_kind_word(AUDIT_FORGOTTEN), "forgotten");
    CHECK_STR(audit_kind_word(AUDIT_SILENCE_ENDED), "silence_ended");
    CHECK_STR(audit_kind_word(AUDIT_STEP), "step");
}

TEST_MAIN(a_record_is_these_bytes, a_head_reads_as_it_is_printed, facts_without_bound_fit, what_is_no_record_is_not_read,
          a_log_as_it_was_written_has_no_finding, each_byte_that_is_changed_is_found, each_record_that_is_removed_is_found,
          each_line_that_is_inserted_is_found, each_pair_that_is_swapped_is_found, a_file_that_is_gone_is_found,
          a_record_of_another_time_is_found, a_head_that_is_rotated_away_proves_nothing,
          a_head_before_a_single_file_proves_nothing, what_was_rotated_away_is_not_missing, a_log_that_begins_anew_is_found,
          another_key_knows_no_record, a_torn_line_is_called_so, many_findings_are_all_reported,
          a_line_of_any_length_takes_no_more_memory, findings_are_sentences)
