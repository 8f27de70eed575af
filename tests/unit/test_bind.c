/* The binder: members of every size, converters, lists, what is not in this build, warnings. */
#include <stdalign.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/config/config.h"

struct point {
    const char *name;
    uint16_t x;
    uint8_t tags[2];
    unsigned tag_count;
};

struct all {
    uint8_t before, byte, after_byte;
    uint16_t half, after_half;
    uint32_t word, after_word;
    uint64_t big;
    uint8_t kind, kind_given;
    bool on;
    int number;
    const char *text, *line;
    char *secret;
    const char *names[3];
    unsigned name_count;
    struct point points[2];
    unsigned point_count;
    int extra;
};

static struct node nodes[128];
static char strings[4096], reports[2048], warnings[512];
static alignas(max_align_t) char work[8192];
static struct config_arena arena = {strings, sizeof strings, 0};
static struct text report, warned;
static struct config config;
static struct all all;

static void take_report(void *arg, const char *message)
{
    (void)arg;
    text_str(&report, message);
    text_char(&report, '\n');
}

static void take_warning(void *arg, const char *message)
{
    (void)arg;
    text_str(&warned, message);
}

static int set_digit(void *member, const char *value, struct text *why)
{
    int v = value[0] - '0';

    if (v < 0 || v > 9 || value[1] != '\0') {
        text_str(why, "not a digit: ");
        text_str(why, value);
        return NEFIA_EINVAL;
    }
    memcpy(member, &v, sizeof v);
    return 0;
}

static int set_tag(void *item, const char *value, struct text *why)
{
    int v;
    int err = set_digit(&v, value, why);

    if (err == 0)
        *(uint8_t *)item = (uint8_t)v;
    return err;
}

static bool keep_point(struct config *c, const struct node *n, const char *where, void *item,
                       void *out)
{
    const struct point *p = item;
    const struct all *a = out;

    for (unsigned i = 0; i < a->point_count; i++)
        if (p->name && str_eq(a->points[i].name, p->name))
            config_error(c, n, where, "twice", (char *)0);
    return p->name;
}

static const char *more_names(unsigned i)
{
    static const char *const names[] = {"owned_one", "owned_two"};

    return i < ARRAY_SIZE(names) ? names[i] : NULL;
}

static const char kinds[] = "red\0green\0";
static const struct field_list tags = {.count = offsetof(struct point, tag_count), .size = 1, .cap = 2,
                                       .set = set_tag};
static const struct field point_fields[] = {
    {.name = "name", .type = FIELD_STRING, FIELD_AT(struct point, name), .required = true},
    {.name = "x", .type = FIELD_INT, FIELD_AT(struct point, x), .min = 0, .max = 65535},
    {.name = "tags", .type = FIELD_LIST, FIELD_AT(struct point, tags), .list = &tags},
    {.name = NULL},
};
static const struct field_list points = {
    .count = offsetof(struct all, point_count),
    .size = sizeof(struct point),
    .cap = 2,
    .remedy = "; raise CONFIG_POINTS",
    .fields = point_fields,
    .keep = keep_point,
};
static const struct field_list names = {.count = offsetof(struct all, name_count), .cap = 3};

#define CONFIG_TEST_ON 1
#define AT(member) FIELD_AT(struct all, member)
static const struct field fields[] = {
    {FIELD_DEFAULT("byte", "7"), .type = FIELD_INT, AT(byte), .min = 0, .max = 255},
    {.name = "half", .type = FIELD_INT, AT(half), .min = 0, .max = 65535},
    {.name = "word", .type = FIELD_DURATION, AT(word)},
    {.name = "big", .type = FIELD_DURATION, AT(big)},
    {.name = "kind", .type = FIELD_WORD, AT(kind), .words = kinds},
    {FIELD_DEFAULT("kind_given", "green"), .type = FIELD_WORD, AT(kind_given), .words = kinds},
    FIELD_IF_DEFAULT(CONFIG_TEST_ON, "on", "true", .type = FIELD_BOOL, AT(on))
    FIELD_IF_DEFAULT(CONFIG_TEST_OFF, "off", "false", .type = FIELD_BOOL, AT(on))
    FIELD_NOT("never\0nowhere\0", "")
    {FIELD_DEFAULT("number", "3"), .type = FIELD_SET, AT(number), .set = set_digit},
    {.name = "text", .type = FIELD_TEXT, AT(text)},
    {.name = "line", .type = FIELD_STRING, AT(line), .max = 8},
    {FIELD_SECRET_KEY(secret), AT(secret), .max = 20},
    {FIELD_DEFAULT("names", "one"), .type = FIELD_LIST, AT(names), .min = 1, .list = &names},
    {.name = "points", .type = FIELD_LIST, AT(points), .list = &points},
    {.name = "", .type = FIELD_OWNED, .names = more_names},
    {.name = NULL},
};
static const struct field more_fields[] = {
    {.name = "extra", .type = FIELD_WORD, AT(extra), .words = kinds},
    {.name = NULL},
};

static int bind(const char *json)
{
    const struct field *const tables[] = {fields, more_fields, NULL};

    text_init(&report, reports, sizeof reports);
    text_init(&warned, warnings, sizeof warnings);
    config_init(&config, "HUB", nodes, ARRAY_SIZE(nodes), take_report, NULL);
    CHECK_INT(config_load_text(&config, "t.json", json, strlen(json), &arena, work, sizeof work), 0);
    memset(&all, 0x55, sizeof all);
    config_bind_tables(&config, config.nodes, "", tables, &all);
    config_bind_maps(&config, config.nodes, "", fields, &all);
    return config.errors > 0 ? NEFIA_EINVAL : 0;
}

static void says(const char *part)
{
    if (strstr(reports, part) == NULL)
        check_str(reports, part, __FILE__, __LINE__, "a report has");
}

TEST(members_of_every_size)
{
    CHECK_INT(bind("{\"byte\":254,\"half\":65534,\"word\":\"49d\",\"big\":\"366d\",\"kind\":\"green\","
                   "\"extra\":\"green\"}"),
              0);
    CHECK_INT(all.byte, 254);
    CHECK_INT(all.half, 65534);
    CHECK_INT(all.word, 49LL * 86400000);
    CHECK_INT(all.big, 366LL * 86400000);
    CHECK_INT(all.kind, 1);
    CHECK_INT(all.kind_given, 1);
    CHECK_INT(all.extra, 1);
    /* and none of what lies beside them */
    CHECK_INT(all.before, 0x55);
    CHECK_INT(all.after_byte, 0x55);
    CHECK_INT(all.after_half, 0x5555);
    CHECK_INT(all.after_word, 0x55555555);
    CHECK(bind("{\"word\":\"50d\"}") < 0);
    says("word: \"50d\" is too large");
    CHECK_INT(all.word, 0);
}

TEST(what_is_not_given)
{
    CHECK_INT(bind("{}"), 0);
    CHECK_INT(all.byte, 7);
    CHECK_INT(all.half, 0);
    CHECK_INT(all.kind, 255);
    CHECK_INT(all.kind_given, 1);
    CHECK_INT(all.extra, -1);
    CHECK(all.on);
    CHECK_INT(all.number, 3);
    CHECK(all.text == NULL && all.line == NULL && all.secret == NULL);
    CHECK_INT(all.name_count, 1);
    CHECK_STR(all.names[0], "one");
    CHECK_INT(all.point_count, 0);
    CHECK_INT(bind("{\"kind\":\"\",\"kind_given\":\"\"}"), 0);
    CHECK_INT(all.kind, 255);
    CHECK_INT(all.kind_given, 1);
}

TEST(converters_say_why)
{
    CHECK_INT(bind("{\"number\":\"9\"}"), 0);
    CHECK_INT(all.number, 9);
    CHECK(bind("{\n\"number\":\"x\"}") < 0);
    CHECK_STR(reports, "t.json:2: number: not a digit: x\n");
    CHECK_INT(all.number, 3);
    CHECK(bind("{\"number\":[1]}") < 0);
    CHECK(bind("{\"number\":null}") < 0);
}

TEST(lists_of_texts)
{
    CHECK_INT(bind("{\"names\":\"a\"}"), 0);
    CHECK_INT(all.name_count, 1);
    CHECK_STR(all.names[0], "a");
    CHECK_INT(bind("{\"names\":[\"a\",\"b\",\"c\"]}"), 0);
    CHECK_INT(all.name_count, 3);
    CHECK_STR(all.names[2], "c");
    CHECK(bind("{\"names\":[\"a\",\"b\",\"c\",\"d\"]}") < 0);
    CHECK_INT(all.name_count, 0);
    says("names: is ");
    CHECK(bind("{\"names\":[]}") < 0);
    CHECK(bind("{\"names\":[\"a\",\n[]]}") < 0);
    CHECK_STR(reports, "t.json:2: names[1]: is not a text\n");
    CHECK_INT(all.name_count, 1);
    CHECK(bind("{\"names\":{}}") < 0);
    CHECK_INT(bind("{\"names\":null}"), 0);
    CHECK_STR(all.names[0], "one");
}

TEST(lists_of_maps)
{
    CHECK_INT(bind("{\"points\":[{\"name\":\"a\",\"x\":65535,\"tags\":[1,2]},{\"name\":\"b\"}]}"), 0);
    REQUIRE(all.point_count == 2);
    CHECK_STR(all.points[0].name, "a");
    CHECK_INT(all.points[0].x, 65535);
    CHECK_INT(all.points[0].tag_count, 2);
    CHECK_INT(all.points[0].tags[1], 2);
    CHECK_STR(all.points[1].name, "b");
    CHECK_INT(all.points[1].tag_count, 0);
    CHECK(bind("{\"points\":[{\"x\":1},\n{\"name\":\"b\",\"x\":-1,\"tags\":[\"9\",\"x\"]},\n{}]}") < 0);
    CHECK_INT(all.point_count, 0); /* three are too many */
    says("points: is ");
    CHECK(bind("{\"points\":[{\"x\":1},\n{\"name\":\"b\",\"x\":-1,\"tags\":[\"9\",\"x\"]}]}") < 0);
    says("t.json:1: points[0].name: missing");
    says("t.json:2: points[1].x: \"-1\" is ");
    says("t.json:2: points[1].tags[1]: not a digit: x");
    CHECK_INT(all.point_count, 1); /* the one without a name is not kept */
    CHECK_STR(all.points[0].name, "b");
    CHECK_INT(all.points[0].tag_count, 1);
    CHECK(bind("{\"points\":[{\"name\":\"a\"},{\"name\":\"a\"}]}") < 0);
    says("t.json:1: points[1]: twice");
    CHECK(bind("{\"points\":\"a\"}") < 0);
    CHECK(bind("{\"points\":[1]}") < 0);
    CHECK_INT(bind("{\"points\":null}"), 0);
    CHECK_INT(bind("{\"points\":[]}"), 0);
}

TEST(invisible_characters_are_named)
{
    static const struct {
        const char *written;
        bool invisible;
    } characters[] = {
        {"\\u00a0", true},  {"\\u00ad", true},  {"\\u2000", true},  {"\\u200b", true},
        {"\\u202f", true},  {"\\u2064", true},  {"\\ufeff", true},  {"\\u2028", true},
        {"\\u2029", true},  {"\\u00a1", false}, {"\\u200c", false}, {"\\u200d", false},
        {"\\u3000", false}, {"\\ufefe", false}, {"\\ud83d\\ude00", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(characters); i++) {
        char doc[64];
        struct text t;
        text_init(&t, doc, sizeof doc);
        text_str(&t, "{\"line\":\"a");
        text_str(&t, characters[i].written);
        text_str(&t, "\"}");
        check_int(bind(doc) < 0, characters[i].invisible, __FILE__, __LINE__, characters[i].written);
        if (characters[i].invisible)
            says("has an invisible character");
    }
    CHECK_INT(bind("{\"names\":[\"a\\u00a0b\"]}"), 0); /* it may be a path */
}

TEST(one_line_and_several)
{
    CHECK_INT(bind("{\"text\":\"a\\nb\\tc\\b\",\"line\":\"\xC3\xA9 ~\"}"), 0);
    CHECK_STR(all.text, "a\nb\tc\b");
    CHECK(bind("{\"line\":\"a\\u001fb\"}") < 0);
    says("line: \"a?b\" has a control character");
    CHECK(bind("{\"line\":\"a\\u007f\"}") < 0);
    says("line: \"a?\" has a control character");
    CHECK(bind("{\"line\":\"123456789\"}") < 0);
    CHECK(bind("{\"names\":[\"a\",\"b\\n\"]}") < 0);
    says("names[1]: \"b?\" has a ");
    CHECK_INT(all.name_count, 1);
}

TEST(keys_that_are_not_ours)
{
    CHECK_INT(bind("{\"owned_one\":[1],\"owned_two\":{\"a\":\"b\"}}"), 0);
    CHECK(bind("{\"off\":true}") < 0);
    if (IS_ENABLED(CONFIG_CONFIG_HINTS))
        CHECK_STR(reports, "t.json:1: off: not in this build (CONFIG_TEST_OFF)\n");
    says("not in this build");
    CHECK(all.on); /* it is not bound in its place */
    CHECK(bind("{\"nowhere\":null}") < 0);
    says("t.json:1: nowhere: ");
    says("not in this build");
    CHECK(bind("{\"owned_tow\":1}") < 0);
    says("owned_tow: unknown key");
    if (IS_ENABLED(CONFIG_CONFIG_HINTS))
        says("did you mean owned_two?");
    CHECK(bind("{\"ofg\":1}") < 0);
    CHECK(strstr(reports, "mean off") == NULL); /* what cannot be given is not proposed */
    CHECK(bind("{\"ext\":1}") < 0);
}

TEST(a_secret_is_taken_out_of_the_tree)
{
    CHECK_INT(bind("{\"secret\":\"XYZZY\",\"line\":\"XYZZY\"}"), 0);
    CHECK_STR(all.secret, "XYZZY");
    CHECK_STR(node_child(&config, config.nodes, "secret")->value, "");
    CHECK(config_given(&config, config.nodes, "secret"));
    all.secret[0] = '-'; /* it is the owner's to write to */
    CHECK_STR(all.line, "XYZZY");
    CHECK_INT(config_done(&config), 0);
    CHECK_STR(all.secret, "-YZZY");
    CHECK(bind("{\"secret\":\"XYZZY678901234567890-\"}") < 0);
    CHECK(strstr(reports, "XYZZY") == NULL);
    CHECK(all.secret == NULL);
    CHECK(bind("{\"secret\":[\"XYZZY\"]}") < 0);
    CHECK(strstr(reports, "XYZZY") == NULL);
    CHECK(config_done(&config) < 0);
    config_drop(&config);
    CHECK(memmem(arena.strings, arena.strings_cap, "XYZZY", 5) == NULL);
    CHECK(bind("{\"secert\":\"XYZZY\"}") < 0);
    CHECK(config_done(&config) < 0);
    config_drop(&config);
    CHECK(memmem(arena.strings, arena.strings_cap, "XYZZY", 5) == NULL);
    CHECK(bind("{\"line\":\"a\\u0085b\"}") < 0);
    CHECK(bind("{\"line\":\"a\\u2029b\"}") < 0);
}

TEST(warnings_are_no_errors)
{
    CHECK_INT(bind("{\n\"line\":\"a\"}"), 0);
    const struct node *n = node_child(&config, config.nodes, "line");
    config_warn(&config, n, "line", "is odd; ", "look", (char *)0);
    CHECK_STR(reports, "t.json:2: warning: line: is odd; look\n");
    config.warn = take_warning;
    config_warn(&config, NULL, NULL, "odd", (char *)0);
    CHECK_STR(warnings, "t.json: odd");
    CHECK_INT(config_done(&config), 0);
}

TEST(given_means_with_something_in_it)
{
    CHECK_INT(bind("{\"names\":[\"a\"],\"owned_one\":[],\"owned_two\":null,\"line\":\"\",\"text\":\"x\"}"),
              0);
    CHECK(config_given(&config, config.nodes, "names"));
    CHECK(config_given(&config, config.nodes, "text"));
    CHECK(config_given(&config, config.nodes, "line"));
    CHECK(!config_given(&config, config.nodes, "owned_one"));
    CHECK(!config_given(&config, config.nodes, "owned_two"));
    CHECK(!config_given(&config, config.nodes, "none"));
    CHECK(!config_given(&config, NULL, "none"));
}

TEST_MAIN(members_of_every_size, what_is_not_given, converters_say_why, lists_of_texts,
          lists_of_maps, invisible_characters_are_named, one_line_and_several, keys_that_are_not_ours,
          a_secret_is_taken_out_of_the_tree, warnings_are_no_errors,
          given_means_with_something_in_it)
