/* The tables of both programs: what they bind, what they say of a mistake, what becomes of secrets,
 * and that the documentation has the same keys. */
#include <stdalign.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "check.h"
#include "hub_fixture.h"
#include "nefia/beacon/sensor_table.h"
#include "nefia/beacon/settings.h"
#include "nefia/event/settings.h"
#include "nefia/hub/devices.h"
#include "nefia/hub/settings.h"
#include "readfile.h"

/* ---- loading ---- */

enum { NODES = 300, TEXT = 8192, WORK = 16384 };

static struct node nodes[NODES];
static char strings[TEXT], reports[4096], path[64];
static alignas(max_align_t) char work[WORK];
static struct config_arena arena = {strings, sizeof strings, 0};
static struct text report;
static struct config config;
static struct rules rules;
static struct hub_settings hub;
static struct beacon_settings beacon;
static struct mac_key key;
static struct privileges nobody;

static void take_report(void *arg, const char *message)
{
    text_str(arg, message);
    text_char(arg, '\n');
}

static void begin(void)
{
    fixture_init(&rules); /* the heap, for patterns */
    text_init(&report, reports, sizeof reports);
    memset(strings, 'x', sizeof strings);
    memset(work, 'x', sizeof work);
    config_init(&config, "HUB", nodes, NODES, take_report, &report);
}

/** The hub's way through a text. Return: whether it was fine. */
static bool bind_hub(void)
{
    const struct node *list;

    hub_settings_bind(&hub, &config, &list);
    rules_stage(&rules, &config, list, &hub, NULL, NULL);
    settings_load_key(&key, &config, "reactor", hub.hmac_key_file, hub.hmac_key);
    hub_settings_warn(&hub, &config, rules_staged_able(&rules));
    rules_abort(&rules);
    return config_done(&config) == 0;
}

static bool load_hub(const char *json)
{
    begin();
    if (config_load_text(&config, "t.json", json, strlen(json), &arena, work, sizeof work) < 0)
        return false;
    return bind_hub();
}

static bool bind_beacon(void)
{
    beacon_settings_bind(&beacon, &config, false);
    settings_load_key(&key, &config, "beacons", beacon.hmac_key_file, beacon.hmac_key);
    settings_warn(&config, "beacons", &nobody);
    return config_done(&config) == 0;
}

static bool load_beacon(const char *json)
{
    begin();
    if (config_load_text(&config, "t.json", json, strlen(json), &arena, work, sizeof work) < 0)
        return false;
    return bind_beacon();
}

static void says(const char *part)
{
    if (strstr(reports, part) == NULL)
        check_str(reports, part, __FILE__, __LINE__, "a report has");
}

/* ---- all tables ---- */

struct table {
    const struct field *fields;
    unsigned count; /* 0: ended by a null name */
};

static void each_field(void (*visit)(const struct field *f))
{
    struct table tables[19 + SENSOR_COUNT + ACTION_CLASSES] = {
        {settings_root_fields, 0}, {beacon_fields, 0}, {reactor_fields, 0},
        {rule_fields, 0}, {sensor_common_fields, 0},
        {action_common_fields, 0}, {hub_audit_fields, 0}, {remote_fields, 0}, {console_fields, 0},
        {rule_after_fields, 0}, {rule_breaker_fields, 0},
    };
    unsigned n = 11;

    for (unsigned i = 0; sensor_table[i]; i++)
        if (sensor_table[i]->fields)
            tables[n++].fields = sensor_table[i]->fields;
    for (const struct action_class *const *at = action_classes(); *at; at++)
        if ((*at)->fields)
            tables[n++].fields = (*at)->fields;
    for (unsigned i = 0; i < n; i++)
        for (const struct field *f = tables[i].fields;
             tables[i].count ? f < tables[i].fields + tables[i].count : f->name != NULL; f++) {
            visit(f);
            if (f->type == FIELD_LIST && f->list->fields)
                tables[n++].fields = f->list->fields;
        }
}

/* ---- secrets ---- */

static unsigned secret_fields;

static void check_secret(const struct field *f)
{
    if (f->type == FIELD_ABSENT)
        return;
    check_int(f->type == FIELD_SECRET, config_is_secret(f->name), __FILE__, __LINE__, f->name);
    secret_fields += f->type == FIELD_SECRET;
}

TEST(a_field_is_secret_exactly_where_its_key_is)
{
    secret_fields = 0;
    each_field(check_secret);
    CHECK(secret_fields >= 2 + IS_ENABLED(CONFIG_ACTION_ALERT));
    CHECK(!config_is_secret("hmac_key_file"));
    CHECK(!config_is_secret("hmac"));
    CHECK(!config_is_secret(""));
}

#define SHARED "0123456789abcdef"

TEST(a_secret_shares_no_storage)
{
    if (!IS_ENABLED(CONFIG_ACTION_ALERT))
        return;
    CHECK(load_hub("{\"host_id\":\"" SHARED "\",\"reactor\":{\"hmac_key\":\"" SHARED "\","
                   "\"state_dir\":\"" SHARED "\",\"webhooks\":["
                   "{\"name\":\"" SHARED "\",\"url\":\"http://h/\",\"secret\":\"" SHARED "\"},"
                   "{\"name\":\"b\",\"url\":\"http://h/\",\"secret\":\"" SHARED "\"}]},"
                   "\"beacons\":{\"hmac_key\":\"" SHARED "\"}}"));
    CHECK(key.set);
    REQUIRE(hub.hook_count == 2);
    CHECK_STR(hub.hooks[0].secret, SHARED);
    CHECK_STR(hub.hooks[1].secret, SHARED);
    CHECK_STR(hub.hooks[0].name, SHARED);
    CHECK_STR(hub.state_dir, SHARED);
    CHECK(hub.hooks[0].secret != hub.hooks[1].secret);
    char *const first = hub.hooks[0].secret;
    const char *name = hub.hooks[0].name;
    hub_settings_wipe(&hub);
    CHECK_STR(first, "");
    CHECK_STR(name, SHARED);
}

/** The other way round: the secret stands first in the file, and its text is looked for later. */
TEST(nothing_shares_storage_with_a_secret)
{
    CHECK(load_beacon("{\"reactor\":{\"webhooks\":[{\"secret\":\"" SHARED "\"}]},\"beacons\":{"
                      "\"hmac_key\":\"" SHARED "\"},\"host_id\":\"" SHARED "\"}"));
    CHECK_STR(beacon.host_id, SHARED);
}

static bool holds(const char *where, size_t len, const char *what)
{
    return memmem(where, len, what, strlen(what)) != NULL;
}

/** Whoever's they are, and whether or not they were right. */
TEST(nothing_is_left_of_secrets)
{
    static const char text[] =
        "{\"beacons\":{\"hmac_key\":\"BEACONXYZZY01234\"},\"reactor\":{\"peers\":\"10.0.0.1\","
        "\"hmac_key\":\"HUBXYZZY\\u0041001234\",\"webhooks\":[{\"name\":\"a\",\"url\":\"http://h/\","
        "\"secret\":\"HOOKXYZZY\"}]}}";

    CHECK(load_beacon(text));
    CHECK(!holds(strings, sizeof strings, "XYZZY"));
    CHECK(!holds(work, sizeof work, "XYZZY"));
    CHECK(beacon.host_id[0] != '\0');
    load_hub(text);
    hub_settings_wipe(&hub);
    CHECK(!holds(strings, sizeof strings, "XYZZY"));
    CHECK(!holds(work, sizeof work, "XYZZY"));
    CHECK(!holds(reports, sizeof reports, "XYZZY"));
    /* A file that cannot be read to its end: as text, and as a tree. */
    begin();
    CHECK(config_load_text(&config, "t.json", text, sizeof text - 2, &arena, work, sizeof work) < 0);
    CHECK(!holds(strings, sizeof strings, "XYZZY"));
    CHECK(!holds(work, sizeof work, "XYZZY"));
    begin();
    config.nodes_cap = 3;
    CHECK_INT(config_load_text(&config, "t.json", text, sizeof text - 1, &arena, work, sizeof work),
              NEFIA_EFULL);
    CHECK(!holds(strings, sizeof strings, "XYZZY"));
    CHECK(!holds(work, sizeof work, "XYZZY"));
    CHECK(!load_hub("{\"reactor\":{\"hmac_key\":\"XYZZY\",\"webhooks\":[{\"secret\":{\"a\":\"b\"}}]}}"));
    says("reactor.hmac_key: the value is not 16..256 bytes long");
    CHECK(!holds(strings, sizeof strings, "XYZZY"));
}

/* ---- whose files they are ---- */

static void put_file(const char *text, mode_t mode)
{
    char name[] = "/tmp/nefia-settings-XXXXXX";
    int fd = mkstemp(name);

    if (path[0])
        unlink(path);
    memcpy(path, name, sizeof name);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(write(fd, "\n", 1) == 1);
    fchmod(fd, mode);
    close(fd);
}

static void load_file(void)
{
    begin();
    CHECK_INT(config_load(&config, path, &arena, work, sizeof work), 0);
}

TEST(a_secret_in_a_file_for_all_is_refused)
{
    static const char *const secrets[] = {
        "{\"reactor\":{\"hmac_key\":\"0123456789abcdef\"}}",
        "{\"reactor\":{\"peers\":\"10.0.0.1\",\"webhooks\":[{\"name\":\"a\",\"url\":\"http://h/\","
        "\"secret\":\"s\"}]}}",
    };

    for (unsigned i = 0; i < 1 + IS_ENABLED(CONFIG_ACTION_ALERT); i++) {
        put_file(secrets[i], 0604);
        load_file();
        CHECK(!bind_hub());
        says(i == 0 ? "reactor.hmac_key: is in a file that is open to all users"
                    : "reactor.webhooks[0].secret: is in a file that is open to all users");
        says(path);
        put_file(secrets[i], 0640);
        load_file();
        CHECK(bind_hub());
    }
    put_file("{\"beacons\":{\"hmac_key\":\"0123456789abcdef\"}}", 0644);
    load_file();
    CHECK(!bind_beacon());
    /* The other program's are not ours to refuse. */
    put_file(secrets[1], 0644);
    load_file();
    CHECK(bind_beacon());
    CHECK_STR(reports, "");
}

TEST(a_file_that_others_can_write_is_a_warning)
{
    static const mode_t modes[] = {0602, 0620, 0666};

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        put_file("{}", modes[i]);
        load_file();
        CHECK(bind_beacon());
        says(": warning: other users can write this file");
        CHECK_INT(config.errors, 0);
    }
    put_file("{}", 0644);
    load_file();
    CHECK(bind_beacon());
    CHECK_STR(reports, "");
    unlink(path);
    path[0] = '\0';
}

static char key_path[64], key_config[256];

/** A key file and a configuration that names it, each with an owner. */
static void put_pair(uid_t owner, uid_t key_owner)
{
    struct text t;

    put_file("0123456789abcdef", 0640);
    memcpy(key_path, path, sizeof key_path);
    CHECK_INT(chown(key_path, key_owner, (gid_t)-1), 0);
    path[0] = '\0';
    text_init(&t, key_config, sizeof key_config);
    text_str(&t, "{\"beacons\":{\"hmac_key_file\":\"");
    text_str(&t, key_path);
    text_str(&t, "\"}}");
    put_file(key_config, 0644);
    CHECK_INT(chown(path, owner, (gid_t)-1), 0);
    load_file();
}

static void drop_pair(void)
{
    unlink(key_path);
    unlink(path);
    path[0] = '\0';
}

TEST(a_file_of_another_user_is_a_warning)
{
    const uid_t other = 12345;
    const uid_t us = geteuid();

    put_pair(us, us);
    CHECK(bind_beacon());
    CHECK(key.set);
    CHECK_STR(reports, "");
    drop_pair();
    if (us != 0)
        return; /* only root gives files away */
    put_pair(other, us);
    CHECK(bind_beacon());
    says(": warning: /tmp/nefia-settings-");
    says("belongs to user 12345");
    drop_pair();
    put_pair(us, other);
    CHECK(bind_beacon());
    says(":1: warning: beacons.hmac_key_file: /tmp/nefia-settings-");
    says("belongs to user 12345");
    drop_pair();
    /* Whom the daemon becomes has to read the key again at a reload. */
    put_pair(us, other);
    nobody = (struct privileges){.name = "user", .uid = other};
    CHECK(bind_beacon());
    CHECK_STR(reports, "");
    nobody = (struct privileges){.name = NULL};
    drop_pair();
}

/* ---- a beacon without a hub ---- */

TEST(a_beacon_without_a_hub_is_a_warning)
{
    begin();
    const char json[] = "{\"beacons\":\n{\"memory\":{}}}";
    CHECK(config_load_text(&config, "t.json", json, strlen(json), &arena, work, sizeof work) == 0);
    CHECK_INT(beacon_settings_bind(&beacon, &config, true), 0);
    says("t.json:1: warning: beacons.reactor: not configured: no hub");
    CHECK_INT(beacon.reactor_count, 0);
    CHECK(config_done(&config) == 0);
}

/* ---- rules that do nothing ---- */

TEST(a_hub_that_does_nothing_is_a_warning)
{
    static const char *const idle[] = {
        "{\"reactor\":\n{\"peers\":\"10.0.0.1\"}}",
        "{\"reactor\":{\"peers\":\"10.0.0.1\",\n\"rules\":[]}}",
        "{\"reactor\":{\"peers\":\"10.0.0.1\",\n\"rules\":null}}",
        "{\"reactor\":{\"peers\":\"10.0.0.1\",\n\"rules\":[{\"name\":\"a\",\"action\":"
        "{\"type\":\"exec\",\"command\":\"y\"}},{\"name\":\"b\",\"action\":{\"type\":\"exec\",\"command\":\"x\"}}]}}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(idle) - IS_ENABLED(CONFIG_HUB_COMMANDS); i++) {
        CHECK(load_hub(idle[i]));
        says(i == 0   ? "t.json:1: warning: reactor.rules: there is no rule; "
             : i == 3 ? "t.json:2: warning: reactor.rules: no rule has an action that this build can do"
                      : "t.json:2: warning: reactor.rules: there is no rule; ");
    }
    CHECK(load_hub("{\"reactor\":{\"enabled\":false,\"peers\":\"10.0.0.1\"}}"));
    CHECK_STR(reports, "");
    if (!IS_ENABLED(CONFIG_ACTION_EXEC))
        return;
    CHECK(load_hub("{\"reactor\":{\"peers\":\"10.0.0.1\",\"rules\":[{\"name\":\"a\",\"action\":{"
                   "\"type\":\"exec\",\"command\":\"y\"}},{\"name\":\"b\",\"action\":{\"type\":\"exec\","
                   "\"command\":\"x\",\"target\":\"hub\"}}]}}"));
    CHECK_STR(reports, "");
}

/* ---- what a table refuses ---- */

#define RULE(members)                                                                              \
    "{\"reactor\":{\"peers\":\"10.0.0.1\",\"rules\":[\n{" members                                  \
    "\"action\":{\"type\":\"exec\",\"command\":\"a\\nb\\tc\",\"target\":\"hub\"}}]}}"

TEST(control_characters_are_refused)
{
    static const struct {
        const char *json, *why;
    } hubs[] = {
        {RULE("\"name\":\"a\",\"event_pattern\":\"\\bdisk\\b\","),
         "t.json:2: reactor.rules[0].event_pattern: \"?disk?\" has a control character"},
        {RULE("\"name\":\"a\",\"host_pattern\":\"a\\u007f\","), "rules[0].host_pattern: \"a?\" has a"},
        {RULE("\"name\":\"a\\tb\","), "rules[0].name: \"a?b\" has a control character"},
        {"{\"host_id\":\"web-01\\n\",\"reactor\":{\"peers\":\"10.0.0.1\"}}",
         "t.json:1: host_id: \"web-01?\" has a line break"},
        {"{\"reactor\":{\"peers\":\"10.0.0.1\",\"state_dir\":\"/var\\n\"}}", "state_dir: \"/var?\" has"},
        {"{\"reactor\":{\"peers\":[\"10.0.0.1\\n\"]}}", "reactor.peers[0]: \"10.0.0.1?\" has"},
        {"{\"reactor\":{\"hosts\":[{\"host_id\":\"a\\r\",\"key_file\":\"\\u001f\"}]}}",
         "reactor.hosts[0].key_file: \"?\" has a control character"},
        {"{\"reactor\":{\"plain_hosts\":[\"a\",\"b\\n\"]}}", "reactor.plain_hosts[1]: \"b?\" has a"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(hubs); i++) {
        CHECK(!load_hub(hubs[i].json));
        says(hubs[i].why);
    }
    if (IS_ENABLED(CONFIG_ACTION_EXEC))
        CHECK(load_hub(RULE("\"name\":\"a\","))); /* commands may have any */
    if (IS_ENABLED(CONFIG_ACTION_ALERT)) {
        CHECK(!load_hub("{\"reactor\":{\"peers\":\"::1\",\"webhooks\":[{\"name\":\"a\\n\",\"url\":"
                        "\"http://h/\\b\"}]}}"));
        says("reactor.webhooks[0].name: \"a?\" has a line break");
        says("reactor.webhooks[0].url: \"http://h/?\" has a control character");
    }
    CHECK(!load_beacon("{\"beacons\":{\"reactor\":[\"10.0.0.1\",\"h\\b:1\"],\"dedup_key\":\"type\\n\"}}"));
    says("beacons.reactor[1]: \"h?:1\" has a control character");
    says("beacons.dedup_key: \"type?\" has a line break");
}

#define GUARDED "\"reactor\":{\"peers\":\"::1\"}"

/** Both programs read the section. A hub that cannot enforce it refuses it; a beacon that runs nothing for a hub says so. */
TEST(a_policy_that_is_not_enforced)
{
    enum { MAPS = 7 };
    static const char *const fine[] = {"{\"mode\":\"off\"}", "{}", "null"};
    static const struct {
        const char *policy, *says;
    } refused[] = {
        {"{\"mode\":\"enforce\"}", "t.json:1: policy: mode: this build cannot enforce a policy"},
        {"{\"mode\":\"warn\"}", "policy: mode: this build cannot enforce a policy"},
        {"{\"mode\":\"OFF\"}", "policy: mode: this build cannot"},
        {"{\"mode\":[\"off\"]}", "policy: mode: this build cannot"},
        {"{\"mode\":\"off\",\"deny_commands\":[\"rm\"]}", "policy: deny_commands: this build cannot"},
        {"{\"deny_command\":[]}", "policy: deny_command: this build cannot"},
        {"{\"roles\":[{\"name\":\"r\"}]}", "policy: roles: this build cannot"},
        {"\"enforce\"", "policy: is one value; a map of keys is wanted"},
        {"[\"off\"]", "policy: is a list; a map of keys is wanted"},
    };
    char json[256];
    struct text t;

    for (unsigned i = 0; i < ARRAY_SIZE(fine) + ARRAY_SIZE(refused); i++) {
        const bool is_fine = i < ARRAY_SIZE(fine);
        const unsigned j = i - (unsigned)ARRAY_SIZE(fine);

        text_init(&t, json, sizeof json);
        text_str(&t, "{" GUARDED ",\"policy\":");
        text_str(&t, is_fine ? fine[i] : refused[j].policy);
        text_char(&t, '}');
        CHECK(load_beacon(json));
        if (!is_fine && j < MAPS && !IS_ENABLED(CONFIG_BEACON_GUARD))
            says("t.json:1: warning: policy: restricts nothing here");
        if (IS_ENABLED(CONFIG_HUB_GUARD)) /* it is bound elsewhere, see test_policy.c */
            continue;
        CHECK_INT(load_hub(json), is_fine);
        if (!is_fine)
            says(refused[j].says);
    }
}

TEST(what_is_not_in_this_build_says_so)
{
    if (!IS_ENABLED(CONFIG_WIREGUARD_PEERS)) {
        CHECK(!load_hub("{\"reactor\":{\"peers_from\":\"wireguard:wg0\"}}"));
        says("reactor.peers_from: not in this build (CONFIG_WIREGUARD_PEERS)");
    }
    CHECK(!load_beacon("{\"beacons\":{\"spool_fil\":1,\"polisy\":1}}"));
    says("beacons.polisy: unknown key");
}

TEST(the_hub_binds_straight)
{
    CHECK(load_hub("{\"reactor\":{\"listen_port\":1234,\"listen_address\":\"127.0.0.1\","
                   "\"peers\":[\"10.0.0.0/8\",\"192.168.1.1\"],\"journal_kb\":1048576,"
                   "\"max_events_per_sec\":1000000,\"journal_sync\":false}}"));
    CHECK_INT(hub.listen.port, 1234);
    CHECK_STR(ADDR(&hub.listen), "127.0.0.1:1234");
    CHECK_INT(hub.peer_count, 2);
    CHECK_INT(hub.journal_kb, 1048576);
    CHECK_INT(hub.max_events_per_sec, 1000000);
    CHECK(!hub.journal_sync && hub.enabled && !hub.require_nonce);
    CHECK(load_hub("{\"reactor\":{\"peers\":\"::1\",\"listen_address\":\"0.0.0.0\",\"listen_port\":7}}"));
    CHECK_STR(ADDR(&hub.listen), "0.0.0.0:7");
    for (int port = 1; port <= 3; port++) {
        char text[] = "{\"reactor\":{\"peers\":\"::1\",\"listen_address\":\"127.0.0.1:1\"}}";
        *strstr(text, ":1\"}") = ':';
        strstr(text, ":1\"}")[1] = (char)('0' + port);
        CHECK(!load_hub(text));
        says("reactor.listen_address: an address without a port is wanted");
    }
    CHECK_INT(hub.max_connections_per_peer, 8);
    CHECK_INT(hub.reserved_connections, 8);
    CHECK_INT(hub.plain_host_count + hub.host_count, 0);
    CHECK(!hub_settings_keyed(&hub));
    CHECK(load_hub("{\"host_id\":\"the-hub\",\"reactor\":{\"peers\":\"::1\",\"require_nonce\":true,"
                   "\"max_connections_per_peer\":0,\"reserved_connections\":1024,"
                   "\"plain_hosts\":[\"old-1\",\"old-2\"]}}"));
    CHECK_STR(hub.host_id, "the-hub");
    CHECK(hub.require_nonce);
    CHECK_INT(hub.max_connections_per_peer, 0);
    CHECK_INT(hub.reserved_connections, 1024);
    CHECK_INT(hub.plain_host_count, 2);
    CHECK_STR(hub.plain_hosts[1], "old-2");
    CHECK(!load_hub("{\"reactor\":{\"peers\":\"::1\",\"reserved_connections\":1025}}"));
    says("reactor.reserved_connections: ");
}

/* ---- reactor.hosts ---- */

/** A file with that key. Return: its path. */
static const char *key_at(char buf[64], const char *text, mode_t mode)
{
    static const char pattern[] = "/tmp/nefia-settings-XXXXXX";

    memcpy(buf, pattern, sizeof pattern);
    int fd = mkstemp(buf);

    CHECK_INT(write(fd, text, strlen(text)), strlen(text));
    CHECK_INT(fchmod(fd, mode), 0);
    close(fd);
    return buf;
}

static bool load_hosts(const char *items)
{
    char json[1024];
    struct text t;

    text_init(&t, json, sizeof json);
    text_str(&t, "{\"reactor\":{\"hosts\":[");
    text_str(&t, items);
    text_str(&t, "]}}");
    return load_hub(json);
}

TEST(hosts_have_keys_addresses_and_exceptions)
{
    char first[64], second[64], items[512], mac[MAC_HEX], own[MAC_HEX];
    struct mac_key want;
    struct text t;

    key_at(first, "the first key of web-01\n", 0600);
    key_at(second, "the next key of web-01", 0600);
    text_init(&t, items, sizeof items);
    text_str(&t, "{\"host_id\":\"web-01\",\"key_file\":\"");
    text_str(&t, first);
    text_str(&t, "\",\"next_key_file\":\"");
    text_str(&t, second);
    text_str(&t, "\",\"addresses\":[\"10.99.0.2\",\"fd00::/64\"],\"plain\":true},"
                 "{\"host_id\":\"web-02\",\"addresses\":\"10.99.0.3\"}");
    CHECK(load_hosts(items)); /* a key guards: no `peers` are needed */
    CHECK_INT(hub.host_count, 2);
    CHECK(hub_settings_keyed(&hub));
    const struct host_item *h = hub_settings_host(&hub, (struct slice){"web-01", 6});
    REQUIRE(h == &hub.hosts[0]);
    CHECK(h->plain && h->keys[0].set && h->keys[1].set);
    CHECK_INT(h->net_count, 2);
    CHECK_INT(mac_key_set(&want, "the first key of web-01", 23), 0);
    mac_sign_hex(&want, "x", 1, mac);
    mac_sign_hex(&h->keys[0], "x", 1, own);
    CHECK_MEM(own, mac, MAC_HEX);
    h = hub_settings_host(&hub, (struct slice){"web-02", 6});
    REQUIRE(h == &hub.hosts[1]);
    CHECK(!h->plain && !h->keys[0].set && !h->keys[1].set);
    CHECK_INT(h->net_count, 1);
    CHECK(!hub_settings_host(&hub, (struct slice){"web-0", 5}));
    CHECK(!hub_settings_host(&hub, (struct slice){"", 0}));
    hub_settings_wipe(&hub);
    CHECK(!hub_settings_keyed(&hub));
    unlink(first);
    unlink(second);
}

TEST(mistakes_in_hosts_are_named)
{
    char file[64], items[512];
    struct text t;

    CHECK(!load_hosts("")); /* an empty list guards nothing */
    says("anyone could send events");
    CHECK(!load_hosts("{\"host_id\":\"a\",\"addresses\":[\"10.0.0.1\"]}")); /* nor do addresses */
    says("anyone could send events");
    CHECK(!load_hosts("{\"key_file\":\"/nonexistent/key\"}"));
    says("reactor.hosts[0].host_id: missing");
    says("/nonexistent/key");
    CHECK(!load_hosts("{\"host_id\":\"a\"},{\"host_id\":\"a\"}"));
    says("reactor.hosts[1]: host_id: \"a\" is already the host of an earlier item");
    CHECK(!load_hosts("{\"host_id\":\"a\",\"addresses\":[\"::1\",\"::2\",\"::3\",\"::4\",\"::5\"]}"));
    says("use a network that holds them");
    CHECK(!load_hosts("{\"host_id\":\"a\",\"file\":\"/x\"}"));
    says("reactor.hosts[0].file: unknown key");
    key_at(file, "a key that is long enough", 0600);
    text_init(&t, items, sizeof items);
    text_str(&t, "{\"host_id\":\"a\",\"next_key_file\":\"");
    text_str(&t, file);
    text_str(&t, "\"}");
    CHECK(!load_hosts(items));
    says("reactor.hosts[0]: next_key_file needs a key_file");
    CHECK_INT(chmod(file, 0644), 0);
    CHECK(!load_hosts(items));
    says("chmod 600");
    unlink(file);
}

/** Whoever comes from an older version is told what to write. */
TEST(keys_that_are_gone_name_the_remedy)
{
    CHECK(!load_hub("{\"reactor\":{\"peers\":\"::1\",\"greeting\":false}}"));
    says(IS_ENABLED(CONFIG_CONFIG_HINTS) ? "reactor.greeting: not in this build; a hub always greets"
                                         : "reactor.greeting: unknown key");
}

TEST(hosts_have_a_role_and_labels)
{
    if (!IS_ENABLED(CONFIG_HUB_DEVICES)) {
        CHECK(!load_hub("{\"reactor\":{\"peers\":\"::1\",\"hosts\":[{\"host_id\":\"a\",\"role\":\"r\"}]}}"));
        says("reactor.hosts[0].role: ");
        return;
    }
    CHECK(load_hub("{\"reactor\":{\"peers\":\"::1\",\"hosts\":["
                   "{\"host_id\":\"a\",\"role\":\"edge-gw\",\"labels\":{\"site\":\"north\",\"rack_2\":12}},"
                   "{\"host_id\":\"b\",\"labels\":{}},"
                   "{\"host_id\":\"c\",\"labels\":{\"site\":\"South.1\"}}]}}"));
    CHECK_STR(hub.hosts[0].role, "edge-gw");
    CHECK(!hub.hosts[1].role);
    CHECK_INT(hub.label_count, 3);
    CHECK_INT(hub.hosts[0].label_count, 2);
    CHECK_INT(hub.hosts[1].label_count, 0);
    CHECK_INT(hub.hosts[2].label_count, 1);
    const struct host_label *labels = &hub.labels[hub.hosts[0].first_label];
    CHECK_STR(labels[0].key, "site");
    CHECK_STR(labels[0].value, "north");
    CHECK_STR(labels[1].key, "rack_2");
    CHECK_STR(labels[1].value, "12");
    CHECK_STR(hub.labels[hub.hosts[2].first_label].value, "South.1");
    hub_settings_wipe(&hub);
    CHECK_INT(hub.label_count, 0);
}

/** {"host_id":"a", and more: fine? */
static bool load_device(const char *more)
{
    char items[512];
    struct text t;

    text_init(&t, items, sizeof items);
    text_str(&t, "{\"host_id\":\"a\",");
    text_str(&t, more);
    text_char(&t, '}');
    return load_hosts(items);
}

static void put_labels_of(struct text *t, char first, unsigned count)
{
    text_str(t, "\"labels\":{");
    for (unsigned i = 0; i < count; i++) {
        text_str(t, i > 0 ? ",\"" : "\"");
        text_char(t, first);
        text_u64(t, i);
        text_str(t, "\":1");
    }
    text_char(t, '}');
}

TEST(mistakes_in_roles_and_labels_are_named)
{
    char buf[512], long_word[HOST_WORD_MAX + 2];
    struct text t;

    if (!IS_ENABLED(CONFIG_HUB_DEVICES))
        return;
    CHECK(!load_device("\"role\":\"two words\""));
    says("reactor.hosts[0].role: \"two words\" is not a word");
    CHECK(!load_device("\"role\":[\"a\"]"));
    says("reactor.hosts[0].role: is a list");
    CHECK(!load_device("\"labels\":[\"a\"]"));
    says("reactor.hosts[0].labels: is a list; a map of keys is wanted");
    CHECK(!load_device("\"labels\":{\"a\":{\"b\":1}}"));
    says("reactor.hosts[0].labels: a: one word is wanted");
    CHECK(!load_device("\"labels\":{\"a\":\"\"}"));
    says("reactor.hosts[0].labels: a: the value is not a word");
    CHECK(!load_device("\"labels\":{\"a\":\"$(reboot)\"}"));
    says("reactor.hosts[0].labels: a: the value is not a word");
    static const char *const keys[] = {"Site", "a-b", "1st", "_a", "a b", "\\u00fc"};
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        text_init(&t, buf, sizeof buf);
        text_str(&t, "\"labels\":{\"");
        text_str(&t, keys[i]);
        text_str(&t, "\":\"x\"}");
        CHECK(!load_device(buf));
        says("is not the key of a label");
    }
    memset(long_word, 'w', sizeof long_word);
    long_word[HOST_WORD_MAX + 1] = '\0';
    const char *value = long_word;
    text_init(&t, buf, sizeof buf);
    CHECK_INT(device_set_word(&value, long_word, &t), NEFIA_ESYNTAX);
    long_word[HOST_WORD_MAX] = '\0';
    CHECK_INT(device_set_word(&value, long_word, &t), 0);
}

TEST(labels_are_bounded)
{
    static char buf[16384];
    struct text t;

    if (!IS_ENABLED(CONFIG_HUB_DEVICES))
        return;
    text_init(&t, buf, sizeof buf);
    put_labels_of(&t, 'a', HOST_LABELS_MAX + 1);
    CHECK(!load_device(buf));
    says("a16: a host has at most 16 labels");
    CHECK_INT(hub.label_count, HOST_LABELS_MAX);
    text_init(&t, buf, sizeof buf);
    text_str(&t, "{\"reactor\":{\"peers\":\"::1\",\"hosts\":[");
    for (unsigned i = 0; i * HOST_LABELS_MAX <= CONFIG_HOST_LABELS; i++) {
        text_str(&t, i > 0 ? ",{\"host_id\":\"h" : "{\"host_id\":\"h");
        text_u64(&t, i);
        text_str(&t, "\",");
        put_labels_of(&t, 'b', HOST_LABELS_MAX);
        text_char(&t, '}');
    }
    text_str(&t, "]}}");
    CHECK(!load_hub(buf));
    says("too many labels; raise CONFIG_HOST_LABELS");
    CHECK_INT(hub.label_count, CONFIG_HOST_LABELS);
}

TEST(the_old_name_of_hosts_is_taken_with_a_notice)
{
    char file[64], buf[512];
    struct text t;

    if (!IS_ENABLED(CONFIG_HUB_DEVICES))
        return;
    key_at(file, "a key that is long enough", 0600);
    text_init(&t, buf, sizeof buf);
    text_str(&t, "{\"reactor\":{\"keys\":[{\"host_id\":\"a\",\"file\":\"");
    text_str(&t, file);
    text_str(&t, "\",\"next_file\":\"");
    text_str(&t, file);
    text_str(&t, "\",\"addresses\":[\"10.0.0.1\"]}]");
    const size_t len = t.len;
    text_str(&t, "}}");
    CHECK(load_hub(buf)); /* its keys guard */
    says("t.json:1: warning: reactor.keys: this is the old name of `hosts`");
    CHECK_INT(hub.host_count, 1);
    CHECK(hub.hosts[0].keys[0].set && hub.hosts[0].keys[1].set);
    CHECK_INT(hub.hosts[0].net_count, 1);
    text_rewind(&t, len);
    text_str(&t, ",\"hosts\":[{\"host_id\":\"b\"}]}}");
    CHECK(!load_hub(buf));
    says("reactor.keys: this is the old name of `hosts`, which is given too");
    hub_settings_wipe(&hub);
    unlink(file);
}

/** What was seen of a host stays with its name, wherever that stands after a reload. */
TEST(what_was_seen_of_hosts_is_carried_over_a_reload)
{
    static struct hub_settings before;

    if (!IS_ENABLED(CONFIG_HUB_DEVICES))
        return;
    before.host_count = 2;
    before.hosts[0] = (struct host_item){.host_id = "a", .seen_ms = 7, .seen_kind = 2};
    before.hosts[1] = (struct host_item){.host_id = "gone", .seen_ms = 8};
    CHECK(load_hub("{\"reactor\":{\"peers\":\"::1\",\"hosts\":[{\"host_id\":\"new\"},{\"host_id\":\"a\"}]}}"));
    devices_carry(&hub, &before);
    CHECK_INT(hub.hosts[0].seen_ms, 0);
    CHECK_INT(hub.hosts[1].seen_ms, 7);
    CHECK_INT(hub.hosts[1].seen_kind, 2);
}

TEST(the_beacon_binds_straight)
{
    CHECK(load_beacon("{\"beacons\":{\"reactor\":[\"10.0.0.1\",\"[::1]:7\"],"
                      "\"max_events_per_min\":20,\"dedup_key\":\"type\",\"dedup_window\":\"7d\"}}"));
    CHECK_INT(beacon.reactor_count, 2);
    CHECK_STR(ADDR(&beacon.reactors[0].addr), "10.0.0.1:9500");
    CHECK_STR(ADDR(&beacon.reactors[1].addr), "[::1]:7");
    CHECK_INT(beacon.max_events_per_min, 20);
    CHECK_INT(beacon.dedup_window_ms, 7 * 86400000);
    CHECK(beacon.require_ack && beacon.dedup_parts != 0);
    if (IS_ENABLED(CONFIG_SPOOL_FILE)) {
        CHECK_INT(beacon.spool_file_kb, 64);
        CHECK_INT(beacon.spool_file_daily_kb, 1024);
        CHECK_INT(beacon.spool_file_events, SPOOL_FILE_CRITICAL);
    }
    CHECK(load_beacon("{\"beacons\":{\"reactor\":\"10.0.0.1\",\"require_ack\":false}}"));
    CHECK(!beacon.require_ack);
    CHECK(!load_beacon("{\"beacons\":{\"dedup_key\":\"type|colour\",\"reactor\":[\"a b\"]}}"));
    says("beacons.dedup_key: \"type|colour\" is not a dedup key");
    says("beacons.reactor[0]: ");
}

/* ---- the documentation has the same keys ---- */

enum { DOC_KEYS = 512 };

static char doc[3][256 * 1024];
static struct {
    const char *key, *def;
} rows[DOC_KEYS];
static unsigned row_count, table_keys;

/** The keys in backticks of a row's first cell, each with the second cell. */
static void take_row(char *line)
{
    char *cell = line + 1, *next = strchr(cell, '|');

    if (next == NULL)
        return;
    *next++ = '\0';
    char *end = next;
    while (*end && !(*end == '|' && end[-1] != '\\'))
        end++;
    *end = '\0';
    for (char *from = next, *to = next;; from++) {
        *to = *from;
        if (*from == '\0')
            break;
        to += *from != '\\';
    }
    for (char *open; (open = strchr(cell, '`')) != NULL; cell = open) {
        char *close = strchr(open + 1, '`');
        if (close == NULL || row_count == DOC_KEYS)
            return;
        *close = '\0';
        rows[row_count].key = open + 1;
        rows[row_count++].def = next;
        open = close + 1;
    }
}

/** All tables whose columns are `key…` and `default`. */
static void read_doc(const char *name, char *buf, size_t cap)
{
    bool in_table = false;
    char *at = buf;

    if (read_file(name, buf, cap) < 0)
        return;
    for (char *line; (line = next_line(&at)) != NULL;) {
        if (line[0] != '|')
            in_table = false;
        else if (strncmp(line, "| key", 5) == 0 && strstr(line, "| default |") != NULL)
            in_table = true;
        else if (in_table && line[1] != '-')
            take_row(line);
    }
}

static bool has_default(const char *cell, const char *def)
{
    if (def[0] == '\0')
        return strstr(cell, "empty") != NULL || strstr(cell, "all") != NULL;
    return strstr(cell, def) != NULL;
}

static void check_documented(const struct field *f)
{
    bool found = false, same = field_default(f) == NULL;

    if (f->type == FIELD_ABSENT || f->name[0] == '\0')
        return;
    table_keys++;
    for (unsigned i = 0; i < row_count; i++) {
        if (!str_eq(rows[i].key, f->name))
            continue;
        found = true;
        same = same || has_default(rows[i].def, field_default(f));
    }
    check_int(found, true, __FILE__, __LINE__, f->name);
    check_int(same, true, __FILE__, __LINE__, f->name);
}

static const char *wanted;
static bool wanted_found;

static void look_for(const struct field *f)
{
    wanted_found |= f->type == FIELD_ABSENT
                        ? word_index(f->name, (struct slice){wanted, strlen(wanted)}) >= 0
                        : str_eq(f->name, wanted);
}

TEST(the_reference_has_the_keys_and_defaults_of_the_tables)
{
    row_count = table_keys = 0;
    read_doc("README.md", doc[0], sizeof doc[0]);
    read_doc("docs/configuration.md", doc[1], sizeof doc[1]);
    read_doc("docs/sensors.md", doc[2], sizeof doc[2]);
    CHECK(row_count > 40 && row_count < DOC_KEYS);
    each_field(check_documented);
    CHECK(table_keys > 40);
    for (unsigned i = 0; i < row_count; i++) {
        wanted = rows[i].key;
        /* a list's `name` is nowhere alone; a key of what is not built is in no table */
        wanted_found = str_eq(wanted, "name") ||
                       IS_ENABLED(CONFIG_SENSOR_DISK) + IS_ENABLED(CONFIG_SENSOR_SCRIPT) +
                               IS_ENABLED(CONFIG_ACTION_EXEC) + IS_ENABLED(CONFIG_ACTION_ALERT) <
                           4;
        each_field(look_for);
        check_int(wanted_found, true, __FILE__, __LINE__, wanted);
    }
}

TEST_MAIN(a_field_is_secret_exactly_where_its_key_is, a_secret_shares_no_storage,
          nothing_shares_storage_with_a_secret, nothing_is_left_of_secrets,
          a_secret_in_a_file_for_all_is_refused, a_file_that_others_can_write_is_a_warning,
          a_file_of_another_user_is_a_warning, a_beacon_without_a_hub_is_a_warning, a_hub_that_does_nothing_is_a_warning,
          control_characters_are_refused, a_policy_that_is_not_enforced,
          what_is_not_in_this_build_says_so,
          the_hub_binds_straight, hosts_have_keys_addresses_and_exceptions,
          mistakes_in_hosts_are_named, hosts_have_a_role_and_labels,
          mistakes_in_roles_and_labels_are_named, labels_are_bounded,
          the_old_name_of_hosts_is_taken_with_a_notice,
          what_was_seen_of_hosts_is_carried_over_a_reload, keys_that_are_gone_name_the_remedy, the_beacon_binds_straight,
          the_reference_has_the_keys_and_defaults_of_the_tables)
