/* The YAML reader, feature by feature and mistake by mistake. */
#include "check.h"
#include "yaml_cases.h"
#include "yaml_ours.h"

static struct ours ours;
static char words_buf[OURS_WORDS];

static bool read_doc(const char *doc, size_t len, struct text *words)
{
    text_init(words, words_buf, sizeof words_buf);
    return read_ours(&ours, doc, len, words);
}

TEST(reads_every_feature)
{
    struct text words;

    for (size_t i = 0; i < ARRAY_SIZE(yaml_cases) && IS_ENABLED(CONFIG_YAML); i++) {
        const struct yaml_case *c = &yaml_cases[i];
        const char *got = read_doc(c->doc, strlen(c->doc), &words) ? words_buf : ours.report;
        check_str(got, c->words, __FILE__, __LINE__, c->doc);
    }
}

/** What people write, the line that is to be named, and what has to be in the message. */
static const struct {
    const char *doc;
    unsigned line;
    const char *what;
} mistakes[] = {
    /* ---- colons ---- */
    {"a: 1\nbeacons\n  reactor: hub:1\n", 2, "a key without a colon"},
    {"beacons\n  reactor: hub:1\n", 1, "a key without a colon"},
    {"beacons:\n  reactor hub\n  dedup_window: 5m\n", 2, "a key without a colon"},
    {"beacons:\n  dedup_window: 5m\n  reactor hub\n  a: 1\n", 3, "beacons: a key without a colon"},
    {"beacons:\n  dedup_window: 5m\n  reactor hub\n", 3, "beacons: a key without a colon"},
    {"beacons:\n  scripts\n    - name: a\n", 2, "a key without a colon"},
    {"beacons:\n  - name a\n    command: b\n", 2, "a key without a colon"},
    {"beacons:\n  reactor:hub\n  dedup_window: 5m\n", 2, "no space after the colon"},
    {"beacons:\n  dedup_window: 5m\n  reactor:hub\n", 3, "no space after the colon"},
    {"\"a\":1\n", 1, "no space after the colon"},
    {"a: b: c\n", 1, "a second `: ` on the line"},
    {"a: 'b': c\n", 1, "a second `: ` on the line"},
    {"a: [b]: c\n", 1, "a second `: ` on the line"},
    {"action: {type:exec}\n", 1, "no space after the colon"},
    {"action: {type:exec, command: b}\n", 1, "no space after the colon"},
    {"action: {type: b:?c}\n", 1, "no space after the colon"},
    {"action: {type}\n", 1, "a key without a colon"},
    {"action: {\n  type: a,\n  command\n}\n", 3, "a key without a colon"},
    {": a\n", 1, "a colon without a key"},
    {"a:\n  -name: b\n", 2, "no space after the dash"},
    {"a:\n  -b\n  -c\n", 2, "no space after the dash"},
    /* ---- quotes ---- */
    {"a: 1\nb: \"c\nd: 2\n", 2, "the quote that opens here is not closed"},
    {"a: 1\nb: 'c\n", 2, "the quote that opens here is not closed"},
    {"a: [\n  \"b,\n  \"c\",\n  \"d\"\n  ]\n", 2, "the quote that opens here is not closed"},
    {"a: [\n  {b: 'c},\n  {b: 'd'}\n  ]\n", 2, "the quote that opens here is not closed"},
    {"a: [\n  {b: {c: d},\n  {b: {c: d}}\n  ]\n", 2, "the { that opens here is not closed"},
    {"a: [\n  {b: c\n  {b: d}\n  ]\n", 2, "the { that opens here is not closed"},
    {"secret: {b: 1, b: 2}\n", 1, ": secret: duplicate key"},
    {"a: 1\nb {c: d}\n", 2, "a key without a colon"},
    {"a: 1\nb [\"c: d\"]\n", 2, "a key without a colon"},
    {"a:\n  b: \"c\n  d: \"e\"\n", 2, "the quote that opens here is not closed"},
    {"a: [\"b, c]\nd: 1\n", 1, "the quote that opens here is not closed"},
    {"a: \"b\n...\n c\"\n", 1, "the quote that opens here is not closed"},
    {"a: \"b\" c\n", 1, "text after the closing quote"},
    {"a: 'it's'\n", 1, "text after the closing quote"},
    {"a: \"b\"#c\n", 1, "no space before the comment"},
    {"a: \"disk\\..*\"\n", 1, "use single quotes for patterns"},
    {"a: 1\nb: [\"\\d+\"]\n", 2, "use single quotes for patterns"},
    {"a: \"\\u12\"\n", 1, "an escape that is no character"},
    {"a: \"\\ud83d\\ude00\"\n", 1, "an escape that is no character"},
    {"a: \"\\UFFFFFFFF\"\n", 1, "an escape that is no character"},
    {"a: \"\\0\"\n", 1, "a NUL character"},
    {"\"a\n b\": 1\n", 1, "a key that is longer than a line"},
    /* ---- brackets ---- */
    {"a: 1\nb: [c,\nd: 2\n", 2, "the [ that opens here is not closed"},
    {"a: 1\nb: {c: 1\nd: 2\n", 2, "the { that opens here is not closed"},
    {"a: [b, {c: 1]\n", 1, "the { that opens here is not closed"},
    {"a: [b\n  c]\n", 2, "no comma before this"},
    {"a:\n  b: [\"/\"\n    c: 5m\n", 2, "the [ that opens here is not closed"},
    {"a: [\"b\" [c]]\n", 1, "no comma before this"},
    {"a: {b: 1\n  c: 2}\n", 2, "no comma before this"},
    {"a: [b,, c]\n", 1, "a comma without a value"},
    {"a: [, c]\n", 1, "a comma without a value"},
    {"a: [b: c]\n", 1, "write {key: value}"},
    {"a: b]\nc: ]\n", 2, "a closing bracket without"},
    {"a: [b] c\n", 1, "text after the closing quote or bracket"},
    {"reactor: [::1]:9500\n", 1, "put an address such as \"[::1]:9500\" in quotes"},
    {"reactor: [fe80::1]:9500\n", 1, "such as \"[::1]:9500\""},
    {"reactor: [[::1]:9500]\n", 1, "such as \"[::1]:9500\""},
    {"a: [|\n  b]\n", 1, "a block of text"},
    {"a: [- b]\n", 1, "a dash"},
    /* ---- indentation ---- */
    {"a: 1\n\tb: 2\n", 2, "a tab in the indentation"},
    {"a:\n  b: 1\n \tc: 2\n", 3, "a tab in the indentation"},
    {"a:\n  -\tb\n", 2, "a tab in the indentation"},
    {"a: [\n\tb]\n", 2, "a tab in the indentation"},
    {"a: |\n\tb\n", 2, "a tab in the indentation"},
    {"a: 1\n  b: 2\n", 2, "indented deeper than the line above"},
    {"a:\n  b: 1\n    c: 2\n", 3, "a.b: indented deeper than the line above"},
    {"a:\n    b: 1\n  c: 2\n", 3, "the indentation matches no line above"},
    {"  a: 1\nb: 2\n", 2, "the indentation matches no line above"},
    {"reactor: hub:1\n  - hub:2\n", 2, "indented deeper than the line above"},
    {"a: b\n  c\n", 2, "indented deeper than the line above"},
    {"a:\n  b: 1\n  - c\n", 3, "a list item among the keys"},
    {"a:\n  - b\n  c: 1\n", 3, "a line without a dash"},
    {"a: - b\n", 1, "a dash that does not begin an item"},
    {"a: |\n    b\n  c\n", 3, "indented deeper than the line above"},
    {"a: |\n     \n  b\n", 3, "indented less than the blank line above"},
    {"a: | b\n", 1, "text on the line of | or >"},
    {"a: >=5\n", 1, "text on the line of | or >"},
    /* ---- what is not supported ---- */
    {"a: &b c\n", 1, "an anchor (&)"},
    {"a: 1\nb: *.disk\n", 2, "put text such as '*.disk' in quotes"},
    {"a: [*.disk]\n", 1, "put text such as '*.disk' in quotes"},
    {"a: !!str b\n", 1, "a tag (!)"},
    {"<<: *a\n", 1, "a merge key (<<)"},
    {"%YAML 1.2\n---\na: 1\n", 1, "a directive (%)"},
    {"a: 1\n---\nb: 1\n", 2, "a second document"},
    {"a: 1\n...\nb: 1\n", 3, "a second document"},
    {"--- a: 1\n", 1, "text after ---"},
    {"? a\n: b\n", 1, "a complex key (?)"},
    {"[a]: b\n", 1, "the file is not a map of keys"},
    {"a: 1\n[b]: c\n", 2, "a key that is not text"},
    {"a: 1\n*b : c\n", 2, "a key that is not text"},
    {"a: {[b]: c}\n", 1, "a key that is not text"},
    {"a: %b\n", 1, "text that begins with"},
    {"a: @b\n", 1, "text that begins with"},
    {"a: `b`\n", 1, "text that begins with"},
    {"a: ,b\n", 1, "a comma without"},
    {"{a: 1}\nb: 2\n", 2, "text after the end of the map"},
    {"just text\n", 1, "the file is not a map of keys"},
    {"- a\n", 1, "the file is not a map of keys"},
    {"a: 1\nb: 2\na: 3\n", 3, "a: duplicate key, first on line 1"},
    {"a: {b: 1, b: 2}\n", 1, "a.b: duplicate key"},
    {"'': 1\n", 1, "an empty key"},
    /* ---- characters ---- */
    {"a: 1\nb: \x01\n", 2, "a control or invisible character"},
    {"a: 1\n# \x7F\n", 2, "a control or invisible character"},
    {"a: b\xC2\x85"
     "c\n",
     1, "a control or invisible character"},
    {"a: 1\n\xEF\xBB\xBF"
     "b: 2\n",
     2, "a control or invisible character"},
    {"a:\n\xC2\xA0 b: 1\n", 2, "a control or invisible character"},
    {"a: caf\xE9\n", 1, "bytes that are not UTF-8"},
    {"a: 1\rb: 2\r", 1, "a carriage return without a line feed"},
    {"\xFF\xFE"
     "a",
     1, "the file is UTF-16"},
    /* ---- the item it is in, from 0 ---- */
    {"a:\n  - b c\n    d: e\n", 2, ": a[0]: a key without a colon"},
    {"a:\n  - b: c\n  - d e\n    f: g\n", 3, ": a[1]: a key without a colon"},
    {"a:\n  - b\n  - c\n    d: e\n", 3, ": a[1]: a key without a colon"},
    {"a:\n  - 'b' c\n", 2, ": a[0]: text after the closing quote"},
    {"a:\n  - b: 'c' d\n", 2, ": a[0].b: text after the closing quote"},
    {"a:\n  - [b] c\n", 2, ": a[0]: text after the closing quote"},
    {"a:\n  - [b]\n  - [c] d\n", 3, ": a[1]: text after the closing quote"},
    {"a:\n  - b: [c] d\n", 2, ": a[0].b: text after the closing quote"},
    {"a:\n  - b: c\n    d:\n      e: f\n     g: h\n", 5, ": a[0].d: the indentation matches no"},
    {"a: [b: c]\n", 1, ": a[0]: a colon in a list"},
    {"a: [b, 'c' 'd']\n", 1, ": a[2]: no comma before this"},
    {"a: [\n  'b,\n  'c'\n  ]\n", 2, ": a[0]: the quote that opens here"},
    {"a: [b, [c]\n", 1, ": a: the [ that opens here"},
    {"a: [[b, c\n", 1, ": a[0]: the [ that opens here"},
    {"a:\n  - b\n  - {c: d\n", 3, ": a[1]: the { that opens here"},
    {"a:\n  - b: [c, d\n", 2, ": a[0].b: the [ that opens here"},
    {"a: [@b]\n", 1, ": a[0]: text that begins with"},
    {"a: [b, \"\\d\"]\n", 1, ": a[1]: an unknown escape"},
    {"secret:\n  - [b] c\n", 2, ".yaml:2: secret: text after the closing quote"},
    {"secret: {b: [c] d}\n", 1, ".yaml:1: secret: no comma before this"},
};

TEST(names_the_line_and_the_mistake)
{
    struct text words;

    for (size_t i = 0; i < ARRAY_SIZE(mistakes) && IS_ENABLED(CONFIG_YAML); i++) {
        const char *doc = mistakes[i].doc;
        bool accepted = read_doc(doc, strlen(doc), &words);
        if (!accepted && ours.line == mistakes[i].line &&
            (!IS_ENABLED(CONFIG_CONFIG_HINTS) || strstr(ours.report, mistakes[i].what) != NULL))
            continue;
        check_str(accepted ? words_buf : ours.report, mistakes[i].what, __FILE__, __LINE__, doc);
    }
}

TEST(bounds_hold)
{
    static char doc[200 * 1024];
    struct text t, words;

    if (!IS_ENABLED(CONFIG_YAML))
        return;
    /* A key may be as long as YAML lets it be, and no longer. */
    for (unsigned len = 1023; len <= 1025; len++) {
        text_init(&t, doc, sizeof doc);
        text_str(&t, "\"");
        while (t.len < len - 1)
            text_char(&t, 'k');
        text_str(&t, "\": 1\n");
        CHECK_INT(read_doc(doc, t.len, &words), len <= 1024);
    }
    /* A text that is longer than the work space is refused, the longest one is not. */
    for (unsigned more = 0; more < 2; more++) {
        text_init(&t, doc, sizeof doc);
        text_str(&t, "a: '");
        for (size_t i = 0; i < OURS_WORK - 256 - 1 + more; i++)
            text_char(&t, 'x');
        text_str(&t, "'\n");
        CHECK_INT(read_doc(doc, t.len, &words), more == 0);
        CHECK(more == 0 || strstr(ours.report, "CONFIG_HUB_CONFIG_FILE_KB") != NULL ||
              !IS_ENABLED(CONFIG_CONFIG_HINTS));
    }
    /* Nesting. */
    for (unsigned deep = CONFIG_MAX_DEPTH - 1; deep <= CONFIG_MAX_DEPTH; deep++) {
        text_init(&t, doc, sizeof doc);
        text_str(&t, "a:");
        for (unsigned i = 0; i < deep; i++)
            text_str(&t, i == 0 ? "\n - " : "- ");
        text_str(&t, "x\n");
        CHECK_INT(read_doc(doc, t.len, &words), deep < CONFIG_MAX_DEPTH);
    }
}

/** The window is refilled wherever the file happens to be cut. */
TEST(reads_the_same_wherever_the_window_ends)
{
    static char doc[16 * 1024];
    struct text t, words;

    for (size_t i = 0; i < ARRAY_SIZE(yaml_cases) && IS_ENABLED(CONFIG_YAML); i++) {
        const struct yaml_case *c = &yaml_cases[i];
        if (c->doc[0] == '\xEF')
            continue;
        for (unsigned before = 200; before < 256; before += 3) {
            text_init(&t, doc, sizeof doc);
            text_char(&t, '#');
            while (t.len < before)
                text_char(&t, 'x');
            text_char(&t, '\n');
            text_str(&t, c->doc);
            const char *got = read_doc(doc, t.len, &words) ? words_buf : ours.report;
            check_str(got, c->words, __FILE__, __LINE__, c->doc);
        }
    }
}

TEST_MAIN(reads_every_feature, names_the_line_and_the_mistake, bounds_hold,
          reads_the_same_wherever_the_window_ends)
