/* Thousands of documents, read by our YAML reader and by libyaml: what ours accepts, libyaml reads
 * as the same tree; what ours refuses has a reason, and a line of the document. The documents come
 * from a seeded generator that writes all that DESIGN 4.3 lists in all ways it knows, and from
 * mutations of them and of the configurations in tests/configs. */
#include "check.h"
#include "nefia/base/err.h"
#include "nefia/sys/heap.h"
#include "readfile.h"
#include "yaml_cases.h"
#include "yaml_theirs.h"

#include <stdalign.h>

enum { DOC_BYTES = 16 * 1024, MOST_SHOWN = 5 };

static alignas(max_align_t) char heap[8 * 1024 * 1024];
static struct ours ours;
static char our_words[OURS_WORDS], their_words[OURS_WORDS], doc_buf[DOC_BYTES],
    other_buf[DOC_BYTES];
static unsigned accepted, refused, shown;

static unsigned lines_of(const struct text *doc)
{
    unsigned lines = 1;

    for (size_t i = 0; i < doc->len; i++)
        lines += doc->buf[i] == '\n';
    return lines;
}

static void blame(const struct text *doc, const char *what, const char *ours_says,
                  const char *theirs)
{
    check_failures++;
    if (shown++ >= MOST_SHOWN)
        return;
    check_puts("FAIL ");
    check_puts(what);
    check_puts("\n--- the document\n");
    check_puts(doc->buf);
    check_puts("\n--- ours\n");
    check_puts(ours_says);
    check_puts("\n--- libyaml\n");
    check_puts(theirs);
    check_puts("\n---\n");
}

/** Read one document both ways. */
static void compare(const struct text *doc)
{
    struct text a, b;

    text_init(&a, our_words, sizeof our_words);
    text_init(&b, their_words, sizeof their_words);
    if (!read_ours(&ours, doc->buf, doc->len, &a)) {
        refused++;
        if (ours.report[0] == '\0' || ours.line == 0 || ours.line > lines_of(doc))
            blame(doc, "refused without a reason or a line", ours.report, "");
        return;
    }
    accepted++;
    const char *problem = read_theirs(doc->buf, doc->len, &b);
    if (problem != NULL)
        blame(doc, "only ours accepts", a.buf, problem);
    else if (a.len != b.len || memcmp(a.buf, b.buf, a.len) != 0)
        blame(doc, "not the same tree", a.buf, b.buf);
}

/* ---- the generator ---- */

static uint64_t seed;

static unsigned below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

static bool one_in(unsigned n)
{
    return below(n) == 0;
}

static void put(struct text *t, const char *s)
{
    text_str(t, s);
}

static void put_one_of(struct text *t, const char *words, unsigned count)
{
    put(t, word_at(words, below(count)));
}

static void put_spaces(struct text *t, unsigned n)
{
    while (n-- > 0)
        text_char(t, ' ');
}

/** The end of a line: perhaps blanks, a comment, blank lines. */
static void put_eol(struct text *t)
{
    if (one_in(6))
        put_one_of(t, " \0  # a comment\0 # it's [a: {\0  \0\t# tab\0 #\0", 6);
    put(t, one_in(40) ? "\r\n" : "\n");
    while (one_in(8))
        put_one_of(t, "\n\0  \n\0# a whole line\n\0      # indented: \"no\n\0\r\n\0", 5);
}

static void put_plain(struct text *t)
{
    static const char words[] =
        "a\0web-01\0null\0~\0true\0010.99.0.0/24\0/opt/x.sh\0a b  "
        "c\0-1h\0--\0-x\0http://h:1/p?q=1\0"
        "a#b\0a:b\0it's\0say \"hi\"\0a\tb\0\xC3\xA9t\xC3\xA9\0.\0...x\0::1\0x: \0y #z\0[\0a]\0a, "
        "b\0?\0!\0=\0<<\0";

    put_one_of(t, words, one_in(8) ? 30 : 22);
}

static void put_break(struct text *t, unsigned indent)
{
    if (one_in(3))
        put_one_of(t, " \0  \0\t\0", 3);
    put(t, "\n");
    while (one_in(3))
        put(t, one_in(2) ? "\n" : "  \n");
    put_spaces(t, one_in(10) ? below(4) : indent + 1 + below(3));
}

static void put_quoted(struct text *t, unsigned indent)
{
    static const char singles[] = "a\0 \0disk\\..*\0''\0\"\0: \0 #\0{\0, \0\xE2\x82\xAC\0\t\0";
    static const char doubles[] =
        "a\0 \0\\\"\0\\\\\0\\n\0\\t\0\\x41\0\\u00e9\0\\U0001F600\0\\/\0\\ \0\\e\0"
        "\\_\0\\N\0\\L\0\\P\0'\0: \0 #\0]\0\\\t\0\\a\0\\b\0\\v\0\\f\0\\r\0\t\0\\d\0";
    bool twice = one_in(2);

    text_char(t, twice ? '"' : '\'');
    for (unsigned n = below(6); n > 0; n--) {
        if (one_in(9)) {
            if (twice && one_in(3))
                text_char(t, '\\');
            put_break(t, indent);
        } else if (twice) {
            put_one_of(t, doubles, one_in(20) ? 28 : 27);
        } else {
            put_one_of(t, singles, 11);
        }
    }
    text_char(t, twice ? '"' : '\'');
}

static void put_flow_space(struct text *t, unsigned indent)
{
    if (one_in(3))
        put(t, " ");
    if (one_in(12)) {
        if (one_in(3))
            put(t, " # why");
        put(t, "\n");
        put_spaces(t, one_in(10) ? below(4) : indent + 1 + below(3));
    }
}

static void put_flow_scalar(struct text *t, unsigned indent)
{
    if (one_in(2))
        put_quoted(t, indent);
    else
        put_plain(t);
}

static void put_flow(struct text *t, unsigned indent, unsigned deep)
{
    bool map = one_in(2);
    unsigned n = below(4);

    text_char(t, map ? '{' : '[');
    for (unsigned i = 0; i < n; i++) {
        put_flow_space(t, indent);
        if (map) {
            if (one_in(4)) {
                put(t, "\"k");
                text_u64(t, i);
                put(t, one_in(2) ? "\": " : one_in(2) ? "\" :" : "\":");
            } else {
                put(t, "k");
                text_u64(t, i);
                put(t, one_in(20) ? ":" : ": ");
            }
        }
        put_flow_space(t, indent);
        if (deep > 0 && one_in(3))
            put_flow(t, indent, deep - 1);
        else if (!map || !one_in(6))
            put_flow_scalar(t, indent);
        put_flow_space(t, indent);
        if (i + 1 < n || one_in(4))
            put(t, ",");
    }
    put_flow_space(t, indent);
    text_char(t, map ? '}' : ']');
}

static void put_block_text(struct text *t, unsigned indent)
{
    static const char lines[] =
        "text\0 more\0\ttab\0# no comment\0- a\0k: v\0\0  two\0a  \0'\0---\0";
    unsigned by = 1 + below(3);

    text_char(t, one_in(2) ? '|' : '>');
    unsigned order = below(4);
    if (order == 1)
        text_u64(t, by);
    put(t, one_in(2) ? "" : one_in(2) ? "-" : "+");
    if (order == 2)
        text_u64(t, by);
    put(t, one_in(6) ? " # comment\n" : "\n");
    while (one_in(5))
        put(t, one_in(2) ? "\n" : " \n");
    for (unsigned n = below(5); n > 0; n--) {
        const char *line = word_at(lines, below(11));
        if (line[0] != '\0' || one_in(3))
            put_spaces(t, one_in(25) ? below(6) : indent + by);
        put(t, line);
        put(t, n == 1 && one_in(8) ? "" : one_in(40) ? "\r\n" : "\n");
    }
    while (one_in(4))
        put(t, one_in(2) ? "\n" : "   \n");
}

static void put_block(struct text *t, unsigned indent, unsigned deep, bool here);

/** What follows `key:` or a dash on its line and below; indent: of the key or dash. */
static void put_value(struct text *t, unsigned indent, unsigned deep, bool in_list)
{
    unsigned what = below(12);

    if (what < 4 && deep > 0) {
        if (in_list && one_in(2)) {
            put(t, " ");
            put_block(t, indent + 2, deep - 1, true);
            return;
        }
        put_eol(t);
        put_block(t, indent + (one_in(12) ? 0 : 1 + below(4)), deep - 1, false);
        return;
    }
    if (what == 4) {
        put_eol(t);
        return;
    }
    if (what == 5 && one_in(3)) {
        put_eol(t);
        put_spaces(t, indent + 1 + below(2));
    } else {
        put(t, one_in(15) ? "\t" : one_in(8) ? "   " : " ");
    }
    if (what == 6) {
        put_block_text(t, indent);
        return;
    }
    if (what < 8)
        put_flow(t, indent, 2);
    else
        put_flow_scalar(t, indent);
    put_eol(t);
}

/** A map or a list; here: the line is indented already. */
static void put_block(struct text *t, unsigned indent, unsigned deep, bool here)
{
    bool map = deep == 3 || one_in(2);

    for (unsigned i = 0, n = 1 + below(4); i < n; i++) {
        if (!here || i > 0)
            put_spaces(t, one_in(60) ? below(8) : indent);
        if (!map) {
            put(t, "-");
            put_value(t, indent, deep, true);
            continue;
        }
        put(t, one_in(8) ? "\"q k" : one_in(12) ? "'it''s " : one_in(10) ? "a b" : "key");
        text_u64(t, one_in(50) ? 0 : i);
        size_t at = t->len;
        while (at > 0 && t->buf[at - 1] != '"' && t->buf[at - 1] != '\n' && t->len - at < 8)
            at--;
        if (at > 0 && t->buf[at - 1] == '"')
            put(t, "\"");
        else if (t->len > 7 && memcmp(t->buf + t->len - 7, "it''s ", 6) == 0)
            put(t, "'");
        put(t, one_in(15) ? " :" : one_in(80) ? "" : ":");
        put_value(t, indent, deep, false);
    }
}

static void put_document(struct text *t)
{
    text_reset(t);
    if (one_in(20))
        put(t, "\xEF\xBB\xBF");
    if (one_in(10))
        put_eol(t);
    if (one_in(10))
        put(t, one_in(2) ? "---\n" : "--- # start\n");
    if (one_in(12))
        put_flow(t, 0, 3);
    else
        put_block(t, one_in(15) ? below(3) : 0, 3, false);
    if (one_in(12))
        put_one_of(t, "...\n\0... # end\n\0---\n\0...\n---\n\0# end\0", 5);
}

/* ---- mutations ---- */

static void mutate(const struct text *from, struct text *to)
{
    static const char bits[] =
        " \0:\0-\0#\0\"\0'\0[\0]\0{\0}\0,\0\n\0  \0: \0- \0\t\0|\0>\0&a \0*a\0!t \0?\0? "
        "\0%\0@\0`\0\\\0"
        "\r\n\0\r\0~\0---\n\0\xC2\x85\0\xE2\x80\xA8\0\xEF\xBB\xBF\0\xFF\0\x7F\0<<\0\n\n\0 #\0";
    size_t at = from->len > 0 ? below((unsigned)from->len) : 0, gone = 0;

    text_reset(to);
    text_bytes(to, from->buf, at);
    switch (below(4)) {
    case 0:
        gone = 1 + below(2);
        break;
    case 1:
        put_one_of(to, bits, 39);
        break;
    case 2:
        put_one_of(to, bits, 39);
        gone = 1;
        break;
    default: /* a line goes, or its indentation changes */
        while (at > 0 && from->buf[at - 1] != '\n')
            at--;
        text_reset(to);
        text_bytes(to, from->buf, at);
        if (one_in(2))
            put_spaces(to, 1 + below(3));
        else if (one_in(2))
            gone = 1 + below(3);
        else
            for (gone = 0; at + gone < from->len && from->buf[at + gone] != '\n';)
                gone++;
        break;
    }
    if (at + gone < from->len)
        text_bytes(to, from->buf + at + gone, from->len - at - gone);
}

/** A document, and what becomes of it in steps. */
static void compare_with_mutations(struct text *doc, unsigned steps)
{
    struct text other;

    text_init(&other, other_buf, sizeof other_buf);
    compare(doc);
    for (unsigned i = 0; i < steps; i++) {
        mutate(doc, &other);
        compare(&other);
        if (i % 3 == 2) {
            text_reset(doc);
            text_bytes(doc, other.buf, other.len);
        }
    }
}

static void begin(uint64_t first)
{
    if (heap_stats().size == 0)
        heap_init(heap, sizeof heap);
    seed = first;
    accepted = refused = shown = 0;
}

/** Both sorts have to be there in numbers, or nothing was shown. */
static void check_shares(unsigned least_accepted, unsigned least_refused)
{
    check_puts("  accepted ");
    check_putn(accepted);
    check_puts(", refused ");
    check_putn(refused);
    check_puts("\n");
    CHECK(accepted >= least_accepted);
    CHECK(refused >= least_refused);
    CHECK_INT(heap_stats().used, 0);
}

/** What test_yaml.c wants of our reader is what libyaml reads, too: the wishes are not ours alone.
 */
TEST(every_feature_reads_the_same)
{
    struct text words;

    if (!IS_ENABLED(CONFIG_YAML))
        return;
    begin(1);
    text_init(&words, their_words, sizeof their_words);
    for (size_t i = 0; i < ARRAY_SIZE(yaml_cases); i++) {
        const struct yaml_case *c = &yaml_cases[i];
        const char *problem = read_theirs(c->doc, strlen(c->doc), &words);
        check_str(problem != NULL ? problem : their_words, c->words, __FILE__, __LINE__, c->doc);
    }
}

/** What libyaml takes and ours does not, each for its reason. (The other way round there is
 * nothing; where libyaml refuses what YAML 1.2 allows, such as `{a:}` or a tab after a dash, ours
 * does, too.) */
static const struct {
    const char *doc, *reason;
} known[] = {
    {"a: b\xC2\x85  c\n", "U+0085, U+2028 and U+2029 end a line in YAML 1.1 and are text in 1.2"},
    {"a: b\xE2\x80\xA8  c\n", "the same"},
    {"a: 1\rb: 2\r", "a line may end with CR alone; ours takes it for a damaged file"},
    {"a: \"b\nc\"\n", "1.2 wants the lines of a quoted text indented; libyaml does not look"},
    {"a: [b,\nc]\n", "1.2 wants the lines in brackets indented; libyaml does not look"},
    {"a: {b: 1,\n# c\nd: 2}\n", "the same"},
    {"a: [b]#c\n", "1.2 wants a space before a comment; libyaml does not look"},
    {"a: 1\na: 2\n", "1.2 wants unique keys (3.2.1.1); libyaml leaves that to its caller"},
    {"a: b\n  c\n", "a plain text of several lines is what a forgotten colon or dash looks like"},
    {"a: [b\n c]\n", "the same"},
    {"a: [b: c]\n", "a map of one pair without braces: a mistake more often than meant"},
    {"a: {b, c: 1}\n", "a key without a colon, for an empty value"},
    {"a: ?b\n", "1.2 allows it in block only"},
    {"? a\n: b\n", "complex keys are not in the subset"},
    {"%YAML 1.2\n---\na: 1\n", "directives are not in the subset"},
    {"--- {a: 1}\n", "a document on the line of its mark is not in the subset"},
    {"a: \xE2\x80\xAE"
     "b\n",
     "a direction override hides what a reviewer would see"},
};

TEST(known_differences_are_refused)
{
    struct text words;

    if (!IS_ENABLED(CONFIG_YAML))
        return;
    begin(1);
    text_init(&words, their_words, sizeof their_words);
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        size_t len = strlen(known[i].doc);
        const char *problem = read_theirs(known[i].doc, len, &words);
        check_str(problem, NULL, __FILE__, __LINE__, known[i].reason);
        if (read_ours(&ours, known[i].doc, len, &words))
            check_str("accepted", known[i].reason, __FILE__, __LINE__, known[i].doc);
    }
}

TEST(generated_documents_read_the_same)
{
    struct text doc;

    if (!IS_ENABLED(CONFIG_YAML))
        return;
    begin(UINT64_C(0x9E3779B97F4A7C15));
    text_init(&doc, doc_buf, sizeof doc_buf);
    for (unsigned i = 0; i < 8000; i++) {
        put_document(&doc);
        compare(&doc);
    }
    check_shares(2000, 2000);
}

TEST(mutated_documents_read_the_same)
{
    struct text doc;

    if (!IS_ENABLED(CONFIG_YAML))
        return;
    begin(UINT64_C(0xD1B54A32D192ED03));
    text_init(&doc, doc_buf, sizeof doc_buf);
    for (unsigned i = 0; i < 2500; i++) {
        put_document(&doc);
        compare_with_mutations(&doc, 6);
    }
    check_shares(2500, 2500);
}

TEST(mutated_configurations_read_the_same)
{
    static const char *const files[] = {
        "tests/configs/example.yaml",          "tests/configs/minimal.yaml",
        "tests/configs/empty-values.yaml",     "tests/configs/five-mistakes.yaml",
        "tests/configs/wrong-types.yaml",      "tests/configs/secrets.yaml",
        "rootfs-overlay/etc/nefia/nefia.yaml",
    };
    static char file[DOC_BYTES];
    struct text doc;

    if (!IS_ENABLED(CONFIG_YAML))
        return;
    begin(UINT64_C(0x2545F4914F6CDD1D));
    text_init(&doc, doc_buf, sizeof doc_buf);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        long len = read_file(files[i], file, sizeof file);
        REQUIRE(len > 0);
        for (unsigned round = 0; round < 150; round++) {
            text_reset(&doc);
            text_bytes(&doc, file, (size_t)len);
            compare_with_mutations(&doc, 6);
        }
    }
    check_shares(1500, 1500);
}

TEST_MAIN(every_feature_reads_the_same, known_differences_are_refused,
          generated_documents_read_the_same, mutated_documents_read_the_same,
          mutated_configurations_read_the_same)
