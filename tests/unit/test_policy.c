#include "check.h"
#include "nefia/base/err.h"
#include "nefia/guard/policy.h"

static struct policy_memory memory;
static struct policy_work work;
static struct policy_use use = {&memory.policy, &work};
static struct pattern_tree scratch;
static struct node nodes[512];
static char strings[16384], parsing[32768], reports[4096];
static struct text report;
static struct config config;

static void note(void *arg, const char *message)
{
    (void)arg;
    text_str(&report, message);
    text_char(&report, '\n');
}

/** Bind what stands in `policy`. Return: as policy_bind. */
static int load(const char *json)
{
    static struct config_arena arena;
    char doc[8192];
    struct text t;

    text_init(&t, doc, sizeof doc);
    text_str(&t, "{\"policy\":");
    text_str(&t, json);
    text_str(&t, "}");
    text_init(&report, reports, sizeof reports);
    arena = (struct config_arena){strings, sizeof strings, 0};
    config_init(&config, "HUB", nodes, ARRAY_SIZE(nodes), note, NULL);
    if (config_load_text(&config, "p.json", doc, t.len, &arena, parsing, sizeof parsing) < 0)
        return NEFIA_ESYNTAX;
    policy_memory_init(&memory);
    return policy_bind(&memory.policy, &config, node_child(&config, nodes, "policy"), &scratch);
}

static struct verdict judge_for(const char *host, const char *role, const char *command)
{
    return policy_judge(&use, &(struct policy_case){.command = command, .host = host, .role = role});
}

/** In words. */
static const char *verdict_for(const char *host, const char *role, const char *command)
{
    static char buf[512];
    struct text t;
    struct verdict v = judge_for(host, role, command);

    text_init(&t, buf, sizeof buf);
    verdict_text(&t, &v);
    return buf;
}

static const char *verdict(const char *command)
{
    return verdict_for(NULL, NULL, command);
}

static const char *verdict_path(const char *path)
{
    static char buf[512];
    struct text t;
    struct verdict v = policy_judge(&use, &(struct policy_case){.path = path});

    text_init(&t, buf, sizeof buf);
    verdict_text(&t, &v);
    return buf;
}

TEST(an_empty_policy_permits_everything)
{
    REQUIRE(load("{}") == 0);
    CHECK_INT(memory.policy.mode, POLICY_ENFORCE);
    CHECK_STR(verdict("rm -rf /"), "allowed");
    CHECK_STR(verdict("a && (b"), "allowed");
    CHECK_STR(verdict_path("/etc/shadow"), "allowed");
    policy_memory_init(&memory);
    REQUIRE(policy_bind(&memory.policy, &config, NULL, &scratch) == 0);
    CHECK_STR(verdict("rm -rf /"), "allowed");
}

TEST(deny_comes_before_allow)
{
    REQUIRE(load("{\"deny_commands\":[\"shutdown\",\"reboot\"],\"allow_commands\":[\"^ls\\\\b\",\"reboot\"]}") == 0);
    CHECK_STR(verdict("ls -l"), "allowed: matches allow_commands pattern: \"^ls\\b\" at byte 0");
    CHECK_STR(verdict("reboot"), "denied: matches deny_commands pattern: \"reboot\" at byte 0");
    CHECK_STR(verdict("ls; reboot"), "denied: matches deny_commands pattern: \"reboot\" at byte 4");
    CHECK_STR(verdict("uptime"), "denied: matches no allow_commands pattern at byte 0");
    CHECK_STR(verdict("ls; uptime"), "denied: matches no allow_commands pattern at byte 4");
}

TEST(quotes_and_paths_do_not_hide_a_command)
{
    REQUIRE(load("{\"deny_commands\":[\"^rm -rf\",\"^mkfs\"]}") == 0);
    CHECK_STR(verdict("r''m   -rf /"), "denied: matches deny_commands pattern: \"^rm -rf\" at byte 0");
    CHECK_STR(verdict("true; \"rm\" \\\n-r\\f /"), "denied: matches deny_commands pattern: \"^rm -rf\" at byte 6");
    CHECK_STR(verdict("/bin/rm -rf /"), "denied: matches deny_commands pattern: \"^rm -rf\" at byte 0");
    CHECK_STR(verdict("sudo -u root rm -rf /"), "denied: matches deny_commands pattern: \"^rm -rf\" at byte 0");
    CHECK_STR(verdict("sh -c 'cd /; rm -rf .'"), "denied: matches deny_commands pattern: \"^rm -rf\" at byte 0");
    CHECK_STR(verdict("echo rm -rf"), "allowed");
}

TEST(what_cannot_be_taken_apart_is_denied_where_an_allow_list_is_in_force)
{
    REQUIRE(load("{\"deny_commands\":[\"^rm\"]}") == 0);
    CHECK(judge_for(NULL, NULL, "$X -rf /").kind == VERDICT_ALLOWED);
    REQUIRE(load("{\"allow_commands\":[\"^ls\",\"^[$]X\"]}") == 0);
    const struct verdict v = judge_for(NULL, NULL, "ls; $X -rf /");
    CHECK_INT(v.kind, VERDICT_DENIED);
    CHECK_INT(v.at, 4);
    CHECK(v.has_at && !v.rule && v.reason);
}

TEST(modes)
{
    char line[8200];

    memset(line, 'x', sizeof line);
    line[8193] = '\0';
    REQUIRE(load("{\"mode\":\"warn\",\"deny_commands\":[\"reboot\"]}") == 0);
    CHECK_STR(verdict("reboot"), "notify: matches deny_commands pattern: \"reboot\" at byte 0");
    CHECK_STR(verdict(line), "denied: too long (8193 > 8192)");
    CHECK_STR(verdict_path(line), "denied: too long (8193 > 8192)");
    line[8192] = '\0';
    CHECK_STR(verdict(line), "allowed");
    REQUIRE(load("{\"mode\":\"off\",\"deny_commands\":[\"reboot\"]}") == 0);
    CHECK_STR(verdict("reboot"), "allowed: the policy is off");
    REQUIRE(load("{\"mode\":\"of\"}") < 0);
    CHECK(strstr(reports, "policy.mode: \"of\" is not one of off, warn, enforce"));
}

#define ROLES                                                                                      \
    "{\"deny_commands\":[\"^mkfs\"],\"allow_commands\":[\"^(ls|df|systemctl)\\\\b\",\"^mkfs\"],\"roles\":["  \
    "{\"name\":\"readonly\",\"hosts\":[\"^web-\"],\"deny_commands\":[\".*\"],\"allow_commands\":[\"^(ls|df|cat)\\\\b\"]}," \
    "{\"name\":\"deploy\",\"hosts\":[\"^web-0\",\"^db-\"],\"deny_commands\":[\"stop\"]}]}"

TEST(roles)
{
    REQUIRE(load(ROLES) == 0);
    CHECK_STR(verdict_for("web-01", NULL, "ls /"), "allowed: matches allow_commands pattern: \"^(ls|df|cat)\\b\" of role \"readonly\" at byte 0");
    CHECK_STR(verdict_for("web-01", NULL, "cat /x"), "denied: matches no allow_commands pattern at byte 0");
    CHECK_STR(verdict_for("web-01", NULL, "systemctl stop x"), "denied: matches no allow_commands pattern of role \"readonly\" at byte 0");
    CHECK_STR(verdict_for("web-01", "deploy", "systemctl stop x"), "denied: matches deny_commands pattern: \"stop\" of role \"deploy\" at byte 10");
    CHECK_STR(verdict_for("web-01", "deploy", "systemctl start x"),
              "allowed: matches allow_commands pattern: \"^(ls|df|systemctl)\\b\" at byte 0");
    CHECK_STR(verdict_for("db-1", NULL, "systemctl stop x"), "denied: matches deny_commands pattern: \"stop\" of role \"deploy\" at byte 10");
    CHECK_STR(verdict_for("db-1", NULL, "mkfs /dev/sda"), "denied: matches deny_commands pattern: \"^mkfs\" at byte 0");
    CHECK_STR(verdict_for("other", NULL, "systemctl stop x"),
              "allowed: matches allow_commands pattern: \"^(ls|df|systemctl)\\b\" at byte 0");
    CHECK_STR(policy_role(&use, "web-01", NULL), "readonly");
    CHECK_STR(policy_role(&use, "web-01", "deploy"), "deploy");
    CHECK_STR(policy_role(&use, "db-9", "no-such-role"), "deploy");
    CHECK(policy_role(&use, "other", NULL) == NULL);
}

TEST(deny_everything_means_deny_the_rest_beside_an_allow_list)
{
    static const char *const all[] = {".*", "^.*", "^", "", "^.*$", ".+"};

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        char json[256];
        struct text t;

        text_init(&t, json, sizeof json);
        text_str(&t, "{\"deny_commands\":[\"");
        text_str(&t, all[i]);
        text_str(&t, "\"],\"allow_commands\":[\"^uptime$\"]}");
        REQUIRE(load(json) == 0);
        CHECK(memory.policy.rules[0].catch_all);
        CHECK_INT(judge_for(NULL, NULL, "uptime").kind, VERDICT_ALLOWED);
        CHECK_STR(verdict("ls"), "denied: matches no allow_commands pattern at byte 0");
        /* alone it denies */
        t.buf[strlen(t.buf) - strlen(",\"allow_commands\":[\"^uptime$\"]}")] = '}';
        t.buf[strlen(t.buf) - strlen("\"allow_commands\":[\"^uptime$\"]}")] = '\0';
        REQUIRE(load(json) == 0);
        CHECK_INT(judge_for(NULL, NULL, "uptime").kind, VERDICT_DENIED);
    }
}

TEST(paths)
{
    REQUIRE(load("{\"deny_paths\":[\"/\\\\.ssh/\"],\"allowed_roots\":[\"/srv/app\",\"/var/log\"]}") == 0);
    CHECK_STR(verdict_path("/srv/app"), "allowed: lies in allowed_roots: \"/srv/app\"");
    CHECK_STR(verdict_path("/srv/app/x"), "allowed: lies in allowed_roots: \"/srv/app\"");
    CHECK_STR(verdict_path("/srv/application"), "denied: lies in none of allowed_roots");
    CHECK_STR(verdict_path("/srv"), "denied: lies in none of allowed_roots");
    CHECK_STR(verdict_path("/srv/app/.ssh/id"), "denied: matches deny_paths pattern: \"/\\.ssh/\" at byte 8");
    CHECK_STR(verdict_path("srv/app"), "denied: is not an absolute path");
    CHECK_STR(verdict("ls"), "allowed");
    REQUIRE(load("{\"allowed_roots\":\"/\"}") == 0);
    CHECK_STR(verdict_path("/x"), "allowed: lies in allowed_roots: \"/\"");
}

TEST(redirections_name_paths)
{
    REQUIRE(load("{\"deny_paths\":[\"^/etc/\"]}") == 0);
    CHECK_STR(verdict("echo x > /etc/passwd"), "denied: matches deny_paths pattern: \"^/etc/\" at byte 8");
    CHECK_STR(verdict("cat </etc/shadow"), "denied: matches deny_paths pattern: \"^/etc/\" at byte 5");
    CHECK_STR(verdict("echo x >> '/e'tc/passwd"), "denied: matches deny_paths pattern: \"^/etc/\" at byte 9");
    CHECK_STR(verdict("echo x > /tmp/../etc/passwd"), "denied: redirects to a path that is not plain at byte 8");
    CHECK_STR(verdict("echo x > //etc/passwd"), "denied: redirects to a path that is not plain at byte 8");
    CHECK_STR(verdict("echo x > /tmp/.x..y/z 2>&1"), "allowed");
    CHECK_STR(verdict("cat /etc/passwd"), "allowed"); /* what a program does with its arguments is not seen */
}

TEST(mistakes_are_named)
{
    CHECK(load("{\"deny_commands\":[\"(\",\"ok\"],\"allowed_roots\":[\"/a/../b\",\"x\",\"/a/\",\"/ok\"],\"roles\":[{\"name\":\"a\"},"
               "{\"name\":\"a\"},{\"hosts\":[\"x\"]},7],\"allow_command\":[]}") < 0);
    CHECK(strstr(reports, "policy.deny_commands[0]: \"(\": "));
    CHECK(strstr(reports, "policy.allowed_roots[0]: \"/a/../b\": is not a plain path"));
    CHECK(strstr(reports, "policy.allowed_roots[1]: \"x\": is not an absolute path"));
    CHECK(strstr(reports, "policy.allowed_roots[2]: \"/a/\": is not a plain path"));
    CHECK(strstr(reports, "policy.roles[1]: name: \"a\" is the name of an earlier role"));
    CHECK(strstr(reports, "policy.roles[2].name"));
    CHECK(strstr(reports, "policy.roles[3]"));
    CHECK(strstr(reports, "allow_command"));
    CHECK(load("[]") < 0);
    CHECK(load("{\"deny_commands\":[[\"x\"]]}") < 0);
    CHECK(load("{\"deny_commands\":{\"x\":1}}") < 0);
}

TEST(too_much_is_refused)
{
    char json[8192];
    struct text t;

    text_init(&t, json, sizeof json);
    text_str(&t, "{\"deny_commands\":[\"x\"");
    for (unsigned i = 0; i < CONFIG_POLICY_PATTERNS && i < 1000; i++)
        text_str(&t, ",\"x\"");
    text_str(&t, "]}");
    CHECK(load(json) < 0);
    CHECK(strstr(reports, "too many patterns"));
    text_reset(&t);
    text_str(&t, "{\"deny_commands\":[\"x\"");
    for (unsigned i = 0; i < 12 && i < CONFIG_POLICY_PATTERNS - 1; i++)
        text_str(&t, ",\"a{400}\"");
    text_str(&t, "]}");
    if (CONFIG_POLICY_OPS < 4000) {
        CHECK(load(json) < 0);
        CHECK(strstr(reports, "CONFIG_POLICY_OPS"));
    }
}

TEST(a_program_without_one_refuses_it)
{
    static const char *const refused[] = {"{\"mode\":\"enforce\"}", "{\"mode\":[\"off\"]}", "{\"mode\":\"off\",\"deny_commands\":[\"rm\"]}",
                                          "{\"roles\":[{\"name\":\"r\"}]}", "\"enforce\"", "[\"off\"]"};

    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
        load(refused[i]);
        const unsigned errors = config.errors;
        policy_refuse(&config, node_child(&config, nodes, "policy"));
        CHECK(config.errors > errors);
    }
    load("{\"mode\":\"off\"}");
    policy_refuse(&config, node_child(&config, nodes, "policy"));
    CHECK_INT(config.errors, 0);
}

static char remarks[2048];
static void remark(void *arg, const struct policy_remark *r)
{
    struct text *t = arg;

    text_str(t, r->where);
    text_str(t, r->role ? " of " : "");
    text_str(t, r->role ? r->role : "");
    text_str(t, " ");
    text_str(t, r->text);
    text_str(t, ": ");
    text_bytes(t, r->what, strcspn(r->what, ":,;"));
    text_str(t, "\n");
}

TEST(lint)
{
    struct text t;

    REQUIRE(load("{\"deny_commands\":[\"reboot\",\"a^b\",\"x$y\",\"[^\\\\x{0}-\\\\x{10ffff}]\",\"a\\\\bb\",\"a\\\\Bb\",\"(?m)a$\\n^b\"],"
                 "\"allow_commands\":[\"^reboot$\",\"df\",\"^(ls|df)\",\"^ls|df\",\"^awk \",\"^df\",\"^df\"],"
                 "\"roles\":[{\"name\":\"r\",\"hosts\":[\".*\"],\"deny_commands\":[\".*\"],\"allow_commands\":[\".*\",\"^x\"]}]}") == 0);
    text_init(&t, remarks, sizeof remarks);
    const unsigned count = policy_lint(&use, remark, &t);
    CHECK_STR(remarks, "deny_commands a^b: can never match\n"
                       "deny_commands x$y: can never match\n"
                       "deny_commands [^\\x{0}-\\x{10ffff}]: can never match\n"
                       "deny_commands a\\bb: can never match\n"
                       "allow_commands ^reboot$: can never decide\n"
                       "allow_commands df: has no ^ at its beginning\n"
                       "allow_commands ^ls|df: has no ^ at its beginning\n"
                       "allow_commands ^awk : allows a program that runs whatever its arguments say\n"
                       "allow_commands ^df: is there twice\n"
                       "deny_commands of r .*: matches every command\n"
                       "allow_commands of r .*: matches every command\n"
                       "allow_commands of r ^x: can never decide\n"
                       "hosts of r .*: matches every host\n");
    CHECK_INT(count, 13);
}

TEST(a_line_break_in_a_word_hides_nothing)
{
    REQUIRE(load("{\"allow_commands\":[\"^rm .*$\",\"^ls$\"],\"deny_commands\":[\"^rm.* -r\"],\"deny_paths\":[\"^/etc/.*shadow\"]}") == 0);
    CHECK_STR(verdict("rm 'a\nb' -rf /"), "denied: matches deny_commands pattern: \"^rm.* -r\" at byte 0");
    CHECK_STR(verdict("ls; rm 'a\nb' -rf /"), "denied: matches deny_commands pattern: \"^rm.* -r\" at byte 4");
    CHECK_STR(verdict("rm 'a\nb'"), "denied: matches no allow_commands pattern at byte 0");
    CHECK_STR(verdict_path("/etc/a\nb/shadow"), "denied: matches deny_paths pattern: \"^/etc/.*shadow\" at byte 0");
}

TEST_MAIN(an_empty_policy_permits_everything, deny_comes_before_allow, quotes_and_paths_do_not_hide_a_command,
          what_cannot_be_taken_apart_is_denied_where_an_allow_list_is_in_force, modes, roles,
          deny_everything_means_deny_the_rest_beside_an_allow_list, paths, redirections_name_paths, mistakes_are_named, too_much_is_refused, a_program_without_one_refuses_it,
          a_line_break_in_a_word_hides_nothing, lint)
