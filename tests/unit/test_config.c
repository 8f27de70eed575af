#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "nefia/config/config.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "readfile.h"

/* ---- a schema such as the programs have ---- */

struct settings {
    const char *host_id;
    struct {
        const char *reactor[4];
        unsigned reactor_count;
        char *hmac_key;
        const char *hmac_key_file, *state_dir, *control_socket;
        int64_t max_events;
        uint64_t dedup_window;
        struct {
            bool enabled;
            uint64_t interval;
            int64_t warning, critical;
            const char *paths[8];
            unsigned path_count;
        } disk;
        const struct node *disk_node, *service_node, *scripts;
    } beacons;
    struct {
        bool enabled;
        const char *listen_address;
        int64_t listen_port;
        const char *hmac_key_file;
        const char *peers[16];
        unsigned peer_count;
        const struct node *rules, *webhooks;
    } reactor;
    int policy;
    const struct node *beacons_node, *reactor_node, *policy_node;
};

struct item {
    const char *name, *command, *event_pattern, *host_pattern, *url;
    char *secret;
    uint64_t interval;
    int severity;
    bool enabled;
    const char *services[4];
    unsigned service_count;
    const struct node *action;
};

static const char severities[] = "info\0warning\0critical\0";
static const char modes[] = "enforce\0warn\0off\0";

#define ROW(key, sort, member) .name = key, .type = FIELD_##sort, .offset = AT(member)
#define AT(member) offsetof(struct settings, member)
#define LIST(name, type, counter, most)                                                            \
    static const struct field_list name = {.count = offsetof(type, counter), .cap = (most)}
LIST(reactor_list, struct settings, beacons.reactor_count, 4);
LIST(path_list, struct settings, beacons.disk.path_count, 8);
LIST(peer_list, struct settings, reactor.peer_count, 16);
LIST(service_list, struct item, service_count, 4);
static const struct field root_fields[] = {
    {ROW("host_id", STRING, host_id), .max = 255},
    {ROW("beacons", NODE, beacons_node)},
    {ROW("reactor", NODE, reactor_node)},
    {ROW("policy", NODE, policy_node)},
    {0},
};
static const struct field beacon_fields[] = {
    {ROW("reactor\0" "the hub's address, such as \"10.99.0.1:9500\"", LIST, beacons.reactor), .min = 1, .list = &reactor_list, .has_text = 1, .required = true},
    {ROW("hmac_key", SECRET, beacons.hmac_key), .min = 16, .max = 256},
    {ROW("hmac_key_file", STRING, beacons.hmac_key_file), .min = 1, .max = -1},
    {ROW("state_dir\0" "/var/lib/nefia", STRING, beacons.state_dir), .has_text = 1},
    {ROW("control_socket", STRING, beacons.control_socket), .min = 1, .max = 100},
    {ROW("max_events_per_min\0" "10", INT, beacons.max_events), .min = 1, .max = 120, .has_text = 1},
    {ROW("dedup_window\0" "5m", DURATION, beacons.dedup_window), .max = 86400000, .has_text = 1},
    {ROW("disk_usage", NODE, beacons.disk_node)},
    {ROW("service_check", NODE, beacons.service_node)},
    {ROW("scripts", NODE, beacons.scripts)},
    {0},
};
static const struct field disk_fields[] = {
    {ROW("enabled\0" "no", BOOL, beacons.disk.enabled), .has_text = 1},
    {ROW("interval\0" "5m", DURATION, beacons.disk.interval), .min = 1000, .max = 86400000, .has_text = 1},
    {ROW("warning_percent\0" "80", TENTHS, beacons.disk.warning), .max = 1000, .has_text = 1},
    {ROW("critical_percent\0" "90", TENTHS, beacons.disk.critical), .max = 1000, .has_text = 1},
    {ROW("paths\0" "/", LIST, beacons.disk.paths), .min = 1, .list = &path_list, .has_text = 1},
    {0},
};
static const struct field reactor_fields[] = {
    {ROW("enabled\0" "true", BOOL, reactor.enabled), .has_text = 1},
    {ROW("listen_address\0" "0.0.0.0", STRING, reactor.listen_address), .has_text = 1},
    {ROW("listen_port\0" "9500", INT, reactor.listen_port), .min = 1, .max = 65535, .has_text = 1},
    {ROW("hmac_key_file", STRING, reactor.hmac_key_file)},
    {ROW("peers", LIST, reactor.peers), .min = 1, .list = &peer_list},
    {ROW("rules", NODE, reactor.rules)},
    {ROW("webhooks", NODE, reactor.webhooks)},
    {0},
};
static const struct field policy_fields[] = {
    {ROW("mode", WORD, policy), .words = modes},
    {0},
};
#undef AT
#define AT(member) offsetof(struct item, member)
static const struct field script_fields[] = {
    {ROW("name", STRING, name), .min = 1, .max = 64, .required = true},
    {ROW("command\0" "what to run", TEXT, command), .has_text = 1, .required = true},
    {ROW("interval\0" "5m", DURATION, interval), .min = 1000, .max = -1, .has_text = 1},
    {0},
};
static const struct field service_fields[] = {
    {ROW("enabled", BOOL, enabled)},
    {ROW("interval", STRING, name)},
    {ROW("services", LIST, services), .list = &service_list},
    {0},
};
static const struct field rule_fields[] = {
    {ROW("name", STRING, name), .required = true},
    {ROW("event_pattern", STRING, event_pattern)},
    {ROW("host_pattern", STRING, host_pattern)},
    {ROW("severity", WORD, severity), .words = severities},
    {ROW("action", NODE, action), .required = true},
    {0},
};
static const struct field webhook_fields[] = {
    {ROW("name", STRING, name), .required = true},
    {ROW("url", STRING, url), .required = true},
    {ROW("secret", SECRET, secret), .min = 16, .max = 256},
    {0},
};

/* ---- loading and binding one file ---- */

enum { NODES = 400, FILE_BYTES = 16384 };

static struct node nodes[NODES];
static char strings[8192], work[16384], file[FILE_BYTES], reports[FILE_BYTES], bound[FILE_BYTES],
    twin[FILE_BYTES];
static struct config_arena arena = {strings, sizeof strings, 0};
static struct config config;
static struct settings settings;
static struct text report_text;

static void take_report(void *arg, const char *message)
{
    text_str(arg, message);
    text_char(arg, '\n');
}

static void setup(void)
{
    text_init(&report_text, reports, sizeof reports);
    config_init(&config, "HUB", nodes, NODES, take_report, &report_text);
    memset(&settings, 0x55, sizeof settings);
}

static void bind_items(const struct node *list, const char *where, const struct field *fields)
{
    struct item item;
    unsigned i = 0;

    if (!config_is(&config, list, where, NODE_LIST))
        return;
    for (const struct node *n = node_first(&config, list); n != NULL; n = node_next(&config, n)) {
        char buf[64];
        struct text path;
        text_init(&path, buf, sizeof buf);
        config_where_item(&path, where, i++);
        config_bind(&config, n, buf, fields, &item);
    }
}

static void bind_all(void)
{
    struct item service;

    config_bind(&config, config.nodes, "", root_fields, &settings);
    config_bind(&config, settings.beacons_node, "beacons", beacon_fields, &settings);
    config_bind(&config, settings.beacons.disk_node, "beacons.disk_usage", disk_fields, &settings);
    config_bind(&config, settings.beacons.service_node, "beacons.service_check", service_fields,
                &service);
    bind_items(settings.beacons.scripts, "beacons.scripts", script_fields);
    config_bind(&config, settings.reactor_node, "reactor", reactor_fields, &settings);
    bind_items(settings.reactor.rules, "reactor.rules", rule_fields);
    bind_items(settings.reactor.webhooks, "reactor.webhooks", webhook_fields);
    config_bind(&config, settings.policy_node, "policy", policy_fields, &settings);
}

static int load_file(const char *path)
{
    setup();
    int err = config_load(&config, path, &arena, work, sizeof work);
    config.mode = 0; /* whatever the checkout gave it: some hold secrets */
    if (err == 0)
        bind_all();
    int done = config_done(&config);
    CHECK(err == 0 || done < 0);
    return err;
}

static int load_text(const char *name, const char *s)
{
    setup();
    return config_load_text(&config, name, s, strlen(s), &arena, work, sizeof work);
}

/** The tree without lines and quotes: what has to be equal from both formats. */
static void describe(struct text *t, const struct node *n)
{
    static const char *const open[] = {"{", "[", "\"", "?"}, *const close[] = {"}", "]", "\"", ""};

    if (n->key != NULL) {
        text_str(t, n->key);
        text_char(t, '=');
    }
    text_str(t, open[n->type]);
    if (n->value != NULL)
        text_str(t, n->value);
    for (const struct node *m = node_first(&config, n); m != NULL; m = node_next(&config, m))
        describe(t, m);
    text_str(t, close[n->type]);
}

static void path_of(struct text *t, char *buf, size_t cap, const char *name, const char *end)
{
    text_init(t, buf, cap);
    text_str(t, "tests/configs/");
    text_str(t, name);
    text_str(t, end);
}

/** Reports with FILE:LINE taken off each, so that those of both formats can be compared. */
static void strip_places(char *s)
{
    char *to = s;

    for (char *line; (line = next_line(&s)) != NULL;) {
        char *rest = strstr(line, ": ");
        size_t len = rest != NULL ? strlen(rest) : 0;
        memmove(to, rest, len);
        to += len;
        *to++ = '\n';
    }
    *to = '\0';
}

/* ---- golden files ---- */

/** The reports are what FILE.errors has; a file that is fine has none. */
static void check_reports(const char *path)
{
    char buf[96];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, path);
    text_str(&t, ".errors");
    if (read_file(buf, file, sizeof file) < 0)
        file[0] = '\0';
    check_str(reports, file, __FILE__, __LINE__, path);
}

TEST(reports_what_the_golden_files_say)
{
    static const char *const names[] = {
        "example",     "minimal",        "empty",       "empty-values",  "five-mistakes",
        "wrong-types", "secrets",        "unsupported", "two-documents", "tab",
        "unclosed",    "unclosed-quote", "colon",       "latin1",        "nul",
        "list",        "scalar",         "odd-key",     "empty-key",     "deep",
        "broken",      "twice",          "many-errors", "controls",      "secrets-twice",
        "lone",
    };
    char buf[96];
    struct text path;
    unsigned files = 0;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        for (int json = 0; json < 2; json++) {
            path_of(&path, buf, sizeof buf, names[i], json ? ".json" : ".yaml");
            if ((!json && !IS_ENABLED(CONFIG_YAML)) || access(buf, R_OK) < 0)
                continue;
            load_file(buf);
            check_reports(buf);
            files++;
        }
    }
    CHECK(files >= (IS_ENABLED(CONFIG_YAML) ? 38 : 15));
}

TEST(yaml_and_json_bind_equally)
{
    static const char *const names[] = {"example",       "minimal",     "empty",   "empty-values",
                                        "five-mistakes", "wrong-types", "secrets", "nul",
                                        "list",          "empty-key",   "controls"};
    char buf[96];
    struct text path, tree;

    if (!IS_ENABLED(CONFIG_YAML))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        path_of(&path, buf, sizeof buf, names[i], ".yaml");
        int err = load_file(buf);
        text_init(&tree, bound, sizeof bound);
        describe(&tree, config.nodes);
        strip_places(reports);
        memcpy(twin, reports, sizeof twin);
        path_of(&path, buf, sizeof buf, names[i], ".json");
        CHECK_INT(load_file(buf), err);
        strip_places(reports);
        CHECK_STR(reports, twin);
        if (err < 0)
            continue;
        text_init(&tree, twin, sizeof twin);
        describe(&tree, config.nodes);
        CHECK_STR(twin, bound);
    }
}

/** Every line of `list` is one of `of`. */
static void check_lines_within(char *list, const char *of)
{
    for (char *line; (line = next_line(&list)) != NULL;) {
        const char *at = of;
        size_t len = strlen(line);
        while ((at = strstr(at, line)) != NULL && !((at == of || at[-1] == '\n') && at[len] == '\n'))
            at++;
        if (at == NULL)
            check_str(line, "a line of the YAML example", __FILE__, __LINE__, "the example in JSON");
    }
}

/** "beacons.disk_usage.interval=5m", a line each; the items of a list are not told apart. */
static void list_values(struct text *t, const struct node *n, const char *path)
{
    char buf[128];
    struct text where;

    text_init(&where, buf, sizeof buf);
    if (n->key != NULL)
        config_where_key(&where, path, n->key);
    else
        text_str(&where, path);
    for (const struct node *m = node_first(&config, n); m != NULL; m = node_next(&config, m))
        list_values(t, m, buf);
    if (n->type != NODE_SCALAR)
        return;
    text_str(t, buf);
    text_char(t, '=');
    text_str(t, n->value);
    text_char(t, '\n');
}

/* What a build without YAML installs has nothing that the other example has not, but one line: most
 * such builds cannot wait for acknowledgements. */
TEST(the_example_in_json_is_part_of_the_one_in_yaml)
{
    static const char plain[] = "beacons.require_ack=false\n";
    struct text list;

    setup();
    REQUIRE(config_load(&config, "rootfs-overlay/etc/nefia/nefia.json", &arena, work, sizeof work) == 0);
    text_init(&list, twin, sizeof twin);
    list_values(&list, config.nodes, "");
    CHECK(strstr(twin, "beacons.disk_usage.interval=5m\n") != NULL);
    char *own = strstr(twin, plain);
    REQUIRE(own != NULL);
    memmove(own, own + strlen(plain), strlen(own + strlen(plain)) + 1);
    if (!IS_ENABLED(CONFIG_YAML))
        return;
    setup();
    REQUIRE(config_load(&config, "rootfs-overlay/etc/nefia/nefia.yaml", &arena, work, sizeof work) == 0);
    text_init(&list, bound, sizeof bound);
    list_values(&list, config.nodes, "");
    check_lines_within(twin, bound);
}

TEST(binds_values)
{
    REQUIRE(load_file("tests/configs/example.json") == 0);
    CHECK_STR(settings.host_id, "web-01");
    CHECK_INT(settings.beacons.reactor_count, 1);
    CHECK_STR(settings.beacons.reactor[0], "10.99.0.1:9500");
    CHECK_STR(settings.beacons.hmac_key, NULL);
    CHECK_STR(settings.beacons.state_dir, "/var/lib/nefia");
    CHECK_INT(settings.beacons.max_events, 10);
    CHECK_INT(settings.beacons.dedup_window, 300000);
    CHECK_INT(settings.beacons.disk.enabled, 1);
    CHECK_INT(settings.beacons.disk.warning, 800);
    CHECK_INT(settings.beacons.disk.critical, 905);
    CHECK_INT(settings.beacons.disk.path_count, 2);
    CHECK_STR(settings.beacons.disk.paths[1], "/home");
    CHECK_INT(settings.reactor.enabled, 1);
    CHECK_INT(settings.policy, 0);
    const struct node *script = node_first(&config, settings.beacons.scripts);
    CHECK_STR(node_child(&config, node_next(&config, script), "command")->value,
              "echo one\necho two\n");
}

TEST(what_is_not_given_has_its_default)
{
    REQUIRE(load_file("tests/configs/minimal.json") == 0);
    CHECK_STR(settings.host_id, NULL);
    CHECK_STR(settings.beacons.hmac_key_file, NULL);
    CHECK_INT(settings.beacons.disk.interval, 300000);
    CHECK_INT(settings.beacons.disk.critical, 900);
    CHECK_INT(settings.beacons.disk.path_count, 1);
    CHECK_STR(settings.beacons.disk.paths[0], "/");
    CHECK(settings.beacons.scripts == NULL);
    CHECK_INT(settings.reactor.listen_port, 9500);
    CHECK_INT(settings.reactor.peer_count, 0);
    CHECK_INT(settings.policy, -1);
}

TEST(a_refused_value_leaves_the_default)
{
    load_file("tests/configs/five-mistakes.json");
    CHECK_INT(settings.beacons.dedup_window, 300000);
    CHECK_INT(settings.reactor.listen_port, 9500);
    CHECK_INT(config.errors, 5);
}

TEST(secrets_are_never_repeated)
{
    load_file("tests/configs/secrets.json");
    CHECK(config.errors >= 4);
    CHECK(strstr(reports, "XYZZY") == NULL);
}

/* ---- numbers and words, one by one ---- */

static int bind_one(const char *value, enum field_type type, int32_t min, int32_t max, void *out)
{
    const struct field fields[] =
        {{.name = "v", .type = type, .min = min, .max = max, .words = severities}, {0}};
    char buf[128];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, "{\"v\":\"");
    text_str(&t, value);
    text_str(&t, "\"}");
    CHECK(load_text("t.json", buf) == 0);
    return config_bind(&config, config.nodes, "", fields, out);
}

TEST(tenths)
{
    int64_t v;

    CHECK_INT(bind_one("0.1", FIELD_TENTHS, 0, 0, &v), 0);
    CHECK_INT(v, 1);
    CHECK_INT(bind_one("-0.5", FIELD_TENTHS, 0, 0, &v), 0);
    CHECK_INT(v, -5);
    CHECK_INT(bind_one("-3", FIELD_TENTHS, 0, 0, &v), 0);
    CHECK_INT(v, -30);
    CHECK_INT(bind_one("100.0", FIELD_TENTHS, 0, 1000, &v), 0);
    CHECK_INT(v, 1000);
    CHECK(bind_one("100.1", FIELD_TENTHS, 0, 1000, &v) < 0);
    CHECK(bind_one(".5", FIELD_TENTHS, 0, 0, &v) < 0);
    CHECK(bind_one("5.", FIELD_TENTHS, 0, 0, &v) < 0);
    CHECK(bind_one("1e2", FIELD_TENTHS, 0, 0, &v) < 0);
    CHECK(bind_one("80%", FIELD_TENTHS, 0, 0, &v) < 0);
    CHECK(bind_one("9223372036854775807", FIELD_TENTHS, 0, 0, &v) < 0);
    CHECK(bind_one("-.5", FIELD_TENTHS, 0, 0, &v) < 0);
}

/* What writes JSON from shell variables has texts alone, and a double is not what was meant: jshn makes 80.1 into
 * 80.099999999999994. */
TEST(numbers_may_be_texts)
{
    static const struct {
        const char *json;
        int64_t tenths; /* -1: refused */
    } cases[] = {
        {"{\"v\":80.1}", 801},
        {"{\"v\":\"80.1\"}", 801},
        {"{\"v\":\"80\"}", 800},
        {"{\"v\":80.099999999999994}", -1},
        {"{\"v\":\"80.099999999999994\"}", -1},
        {"{\"v\":\"80,1\"}", -1},
        {"{\"v\":\"80.1 \"}", -1},
    };
    static const struct field fields[] = {{.name = "v", .type = FIELD_TENTHS, .max = 1000}, {0}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t v = 0;
        CHECK(load_text("t.json", cases[i].json) == 0);
        CHECK_INT(config_bind(&config, config.nodes, "", fields, &v) == 0, cases[i].tenths >= 0);
        if (cases[i].tenths >= 0)
            CHECK_INT(v, cases[i].tenths);
        else
            CHECK(strstr(reports, "is not a number with at most one decimal, such as 92.5") != NULL);
    }
}

TEST(integers_and_bools_and_words)
{
    int64_t v;
    bool b;
    int w;

    CHECK_INT(bind_one("-5", FIELD_INT, -5, 5, &v), 0);
    CHECK_INT(v, -5);
    CHECK(bind_one("-6", FIELD_INT, -5, 5, &v) < 0);
    CHECK(bind_one("0x10", FIELD_INT, 0, 0, &v) < 0);
    CHECK(bind_one(" 1", FIELD_INT, 0, 0, &v) < 0);
    CHECK_INT(bind_one("off", FIELD_BOOL, 0, 0, &b), 0);
    CHECK_INT(b, 0);
    CHECK_INT(bind_one("on", FIELD_BOOL, 0, 0, &b), 0);
    CHECK_INT(b, 1);
    CHECK(bind_one("True", FIELD_BOOL, 0, 0, &b) < 0);
    CHECK_INT(bind_one("warning", FIELD_WORD, 0, 0, &w), 0);
    CHECK_INT(w, 1);
    CHECK_INT(bind_one("", FIELD_WORD, 0, 0, &w), 0);
    CHECK_INT(w, -1);
}

/* ---- bounds ---- */

static void check_says(const char *part)
{
    if (strstr(reports, part) == NULL)
        check_str(reports, part, __FILE__, __LINE__, "a report has");
}

static void check_too_large(const char *name, const char *s)
{
    struct config_arena small = {strings, 8, 0};

    setup();
    config.nodes_cap = 2;
    CHECK_INT(config_load_text(&config, name, s, strlen(s), &arena, work, sizeof work),
              NEFIA_EFULL);
    check_says("raise CONFIG_HUB_CONFIG_NODES");
    setup();
    CHECK_INT(config_load_text(&config, name, s, strlen(s), &small, work, sizeof work),
              NEFIA_EFULL);
    check_says("raise CONFIG_HUB_CONFIG_TEXT_KB");
}

TEST(a_file_that_does_not_fit_names_what_to_raise)
{
    static const char json[] = "{\"aaa\":\"bbb\",\"ccc\":\"ddd\",\"eee\":[1,2]}";

    check_too_large("t.json", json);
    if (IS_ENABLED(CONFIG_YAML))
        check_too_large("t.yaml", json);
    for (size_t cap = 0; cap < sizeof json - 1 + 9 * 20; cap++) {
        setup();
        CHECK_INT(config_load_text(&config, "t.json", json, sizeof json - 1, &arena, work, cap),
                  NEFIA_EFULL);
        check_says("raise CONFIG_HUB_CONFIG_FILE_KB");
    }
    for (unsigned shift = 0; shift < 4; shift++) {
        setup();
        CHECK_INT(config_load_text(&config, "t.json", json, sizeof json - 1, &arena, work + shift,
                                   400),
                  0);
    }
}

TEST(a_file_that_is_not_there_says_why)
{
    CHECK_INT(load_file("tests/configs/no-such-file.json"), NEFIA_EIO);
    CHECK(strstr(reports, "tests/configs/no-such-file.json: No such file") != NULL);
    CHECK_INT(load_file("tests/configs"), NEFIA_EIO);
}

/** What some editors put in front of a file. */
TEST(a_byte_order_mark_is_passed_over)
{
    REQUIRE(load_text("t.json", "\xEF\xBB\xBF{\"a\":\"b\"}") == 0);
    CHECK_STR(node_child(&config, config.nodes, "a")->value, "b");
    CHECK(load_text("t.json", "{\"a\":\n\xEF\xBB\xBF" "1}") < 0);
    check_says("t.json:2: not JSON");
    if (!IS_ENABLED(CONFIG_YAML))
        return;
    REQUIRE(load_text("t.yaml", "\xEF\xBB\xBF" "a: b\r\n") == 0);
    CHECK_STR(node_child(&config, config.nodes, "a")->value, "b");
}

TEST(texts_that_repeat_are_kept_once)
{
    REQUIRE(load_text("t.json", "{\"l\":[{\"name\":1},{\"name\":2},{\"name\":\"name\"}]}") == 0);
    CHECK_INT(arena.strings_len, 2 + 5 + 2 * 2);
}

/** Every prefix of a valid file either loads or is refused, without reading past its end. */
TEST(every_prefix_is_survived)
{
    static const char *const names[] = {"tests/configs/example.yaml", "tests/configs/example.json"};

    for (size_t i = !IS_ENABLED(CONFIG_YAML); i < ARRAY_SIZE(names); i++) {
        long len = read_file(names[i], file, sizeof file);
        REQUIRE(len > 0);
        for (long n = 0; n < len; n++) {
            char *end = twin + sizeof twin - n;
            memcpy(end, file, (size_t)n);
            setup();
            if (config_load_text(&config, names[i], end, (size_t)n, &arena, work, sizeof work) == 0)
                bind_all();
            else
                CHECK(config.errors > 0);
        }
    }
}

/** Cut anywhere, a file is refused, or warned of, or ends where its writer had ended a line. */
TEST(a_file_that_is_still_being_written_is_warned_of)
{
    static const char whole[] = "host_id: h\nbeacons:\n  reactor: [\"10.0.0.1:9500\"]\nreactor:\n  peers:\n"
                                "    - 10.0.0.1\n  rules:\n    - name: 'a'\n      event_pattern: x # y\n"
                                "      action: {type: exec, command: \"z\"}\n    - name: b\n"
                                "      action:\n        type: exec\n        command: |\n"
                                "          echo\n\n          done\n# end\n";
    char name[] = "/tmp/nefia-cut-XXXXXX";
    int fd = mkstemp(name);
    unsigned taken = 0;

    for (size_t len = 1; len < sizeof whole; len++) {
        const char *last = whole + len - 1;

        REQUIRE(pwrite(fd, whole, len, 0) == (ssize_t)len && ftruncate(fd, (off_t)len) == 0);
        setup();
        if (config_load(&config, name, &arena, work, sizeof work) < 0)
            continue;
        taken++;
        while (last > whole && (*last == ' ' || *last == '-'))
            last--; /* a line on which nothing stands */
        CHECK((strstr(reports, "warning: the last line has no line break") != NULL) == (*last != '\n'));
    }
    CHECK(taken > 50);
    close(fd);
    unlink(name);
}

TEST_MAIN(reports_what_the_golden_files_say, yaml_and_json_bind_equally,
          the_example_in_json_is_part_of_the_one_in_yaml, binds_values,
          what_is_not_given_has_its_default, a_refused_value_leaves_the_default,
          secrets_are_never_repeated, tenths, numbers_may_be_texts, integers_and_bools_and_words,
          a_file_that_does_not_fit_names_what_to_raise, a_file_that_is_not_there_says_why,
          a_byte_order_mark_is_passed_over, texts_that_repeat_are_kept_once, every_prefix_is_survived,
          a_file_that_is_still_being_written_is_warned_of)
