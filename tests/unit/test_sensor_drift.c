/* config_drift, module_drift and package_drift on files, kernel modules and databases of the test's own. */
#include <utime.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"
#include "nefia/base/err.h"

#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" /* SHA-256 of "hello" */
enum { SAME = 1 };

static char text[8192]; /* a configuration, or what was written */
static struct manifest_run run;
static char line[CONFIG_EVENT_BYTES];

/** A path below the test's directory; valid until four more. */
static const char *at(const char *path)
{
    static char paths[4][256];
    static unsigned next;
    char *p = paths[next++ % 4];

    snprintf(p, sizeof *paths, "%s%s", fake_root_dir, path);
    return p;
}

static void begin(void)
{
    fix_init();
    fix_print_lines();
    fake_root_begin();
    fake_root_put("/etc/hello", "hello");
    fake_root_put("/etc/sub/deep/file", "1");
    fake_root_link("/etc/link", "hello");
}

static struct emitter *sensor(unsigned i)
{
    return &fix.sensor_runner.sets[fix.sensor_runner.current].items[i];
}

static const char *config_all(const char *class, const char *more)
{
    snprintf(text, sizeof text, "{\"%s\": {\"manifest\": \"%s\", \"database\": \"%s\", %s}}", class, at("/manifest"),
             at("/status"), more);
    return text;
}

static const char *config(const char *more)
{
    snprintf(text, sizeof text, "{\"config_drift\": {\"manifest\": \"%s\", \"paths\": [\"%s\"]%s}}", at("/manifest"),
             at("/etc"), more);
    return text;
}

/** As the verb does it: what is written becomes the manifest. Return: the sensor's result. */
static int run_verb(enum manifest_task task, const char *configuration)
{
    char to[256];

    snprintf(to, sizeof to, "%s/out", fake_root_dir);
    run = (struct manifest_run){.task = task, .buf = line, .cap = sizeof line};
    run.fd = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fix.sensor_runner.manifest = &run;
    CHECK_INT(fix_once(configuration), 1);
    fix.sensor_runner.manifest = NULL;
    const ssize_t n = pread(run.fd, text, sizeof text - 1, 0);
    CHECK(n >= 0);
    text[n > 0 ? n : 0] = '\0';
    close(run.fd);
    if (task == MANIFEST_WRITE)
        fake_root_put("/manifest", text);
    fix.sensor_runner.once = false;
    return (int)sensor(0)->result;
}

static void look(void)
{
    fix.count = 0;
    sensor_runner_run(sensor(0));
}

static void start(const char *configuration)
{
    REQUIRE(fix_start(configuration) == 1);
    look();
}

TEST(what_is_written_is_what_is_there)
{
    char expected[2048];

    begin();
    CHECK_INT(run_verb(MANIFEST_WRITE, config("")), INSTANCE_OK);
    snprintf(expected, sizeof expected,
             HELLO "  %s/etc/hello\n"
             "#link " HELLO "  %s/etc/link\n"
             "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b  %s/etc/sub/deep/file\n",
             fake_root_dir, fake_root_dir, fake_root_dir);
    CHECK_STR(text, expected);
    CHECK_INT(run_verb(MANIFEST_CHECK, config("")), INSTANCE_OK);
    CHECK_STR(text, "");
    CHECK_INT(run.differences, 0);
    fake_root_end();
}

TEST(a_drift_begins_and_ends)
{
    begin();
    run_verb(MANIFEST_WRITE, config(""));
    start(config(""));
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor(0)->result, INSTANCE_OK);
    fake_root_put("/etc/hello", "Hello");
    fake_root_remove("/etc/sub/deep/file");
    fake_root_put("/etc/sub/new", "");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"config.drift_detected\",\"source\":\"config_drift-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\""));
    CHECK(fix_has(0, "\"changed\":1,\"missing\":1,\"extra\":1,\"differences\":\""));
    CHECK(fix_has(0, "/etc/hello: changed, "));
    CHECK(fix_has(0, "/etc/sub/deep/file: missing, "));
    CHECK(fix_has(0, "/etc/sub/new: extra\""));
    fake_root_put("/etc/hello", "hello");
    fake_root_put("/etc/sub/deep/file", "1");
    fake_root_remove("/etc/sub/new");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"config.drift_resolved\""));
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\","));
    CHECK(fix_has(0, "\"changed\":0,\"missing\":0,\"extra\":0,\"differences\":\"\""));
    look();
    CHECK_INT(fix.count, 0);
    fake_root_end();
}

TEST(a_link_counts_by_its_text_and_a_pipe_is_no_file)
{
    begin();
    run_verb(MANIFEST_WRITE, config(""));
    fake_root_remove("/etc/link");
    fake_root_link("/etc/link", "sub/deep/file");
    run_verb(MANIFEST_CHECK, config(""));
    CHECK(strstr(text, "/etc/link: changed\n") != NULL);
    CHECK_INT(run.differences, 1);
    fake_root_remove("/etc/link");
    fake_root_put("/etc/link", "hello"); /* the same bytes, but no link */
    fake_root_remove("/etc/hello");
    CHECK_INT(mkfifo(at("/etc/hello"), 0600), 0);
    run_verb(MANIFEST_CHECK, config(""));
    CHECK(strstr(text, "/etc/link: changed\n") != NULL && strstr(text, "/etc/hello: changed\n") != NULL);
    CHECK_INT(run.differences, 2);
    fake_root_end();
}

TEST(a_line_of_sha256sum_follows_a_link)
{
    char manifest[512];

    begin();
    snprintf(manifest, sizeof manifest, "# by hand\n\n" HELLO " *%s\n", at("/etc/link"));
    fake_root_put("/manifest", manifest);
    snprintf(manifest, sizeof manifest, "{\"config_drift\": {\"manifest\": \"%s\"}}", at("/manifest"));
    CHECK_INT(run_verb(MANIFEST_CHECK, manifest), INSTANCE_OK);
    CHECK_INT(run.differences, 0); /* and without paths nothing is extra */
    fake_root_end();
}

TEST(names_may_be_anything)
{
    begin();
    fake_root_put("/etc/new\nline \\ \xff\r", "hello");
    run_verb(MANIFEST_WRITE, config(""));
    CHECK(strstr(text, "\n\\" HELLO "  ") != NULL);
    CHECK(strstr(text, "/etc/new\\nline \\\\ \xff\\r\n") != NULL);
    run_verb(MANIFEST_CHECK, config(""));
    CHECK_INT(run.differences, 0);
    fake_root_put("/etc/new\nline \\ \xff\r", "other");
    run_verb(MANIFEST_CHECK, config(""));
    CHECK(strstr(text, "/etc/new?line \\ ??: changed\n") != NULL);
    start(config(""));
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "/etc/new\\nline \\\\ \xef\xbf\xbd\\r: changed\""));
    fake_root_end();
}

TEST(a_damaged_manifest_is_no_measurement)
{
    static const char *const bad[] = {
        HELLO, HELLO " ", HELLO "  ", HELLO " /etc/x", HELLO "\t\t/etc/x", "  /etc/x", "\\" HELLO "  /etc/\\x",
        "\\" HELLO "  /etc/\\", "#link /etc/x", "x",
    };
    char manifest[1024];

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        begin();
        snprintf(manifest, sizeof manifest, "# first\n%s\n", bad[i]);
        fake_root_put("/manifest", manifest);
        start(config(""));
        CHECK_INT(sensor(0)->result, INSTANCE_NOT_MEASURED);
        CHECK(strstr(sensor(0)->why, "/manifest: not VALUE  NAME in line 2") != NULL);
        CHECK_INT(fix.count, 0);
        fake_root_end();
    }
    begin();
    fake_root_put("/manifest", HELLO "  etc/hello\n");
    start(config(""));
    CHECK_STR(sensor(0)->why, "etc/hello: not an absolute path");
    fake_root_remove("/manifest");
    look();
    CHECK(strstr(sensor(0)->why, "/manifest: No such file") != NULL);
    fake_root_end();
}

/** As a power cut leaves it: it says nothing, and not that all is well. */
TEST(an_empty_manifest_is_no_measurement)
{
    begin();
    run_verb(MANIFEST_WRITE, config(""));
    fake_root_put("/etc/hello", "Hello");
    start(config(""));
    CHECK_INT(fix.count, 1);
    fake_root_put("/manifest", "");
    snprintf(text, sizeof text, "{\"config_drift\": {\"manifest\": \"%s\"}}", at("/manifest"));
    start(text);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor(0)->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor(0)->why, "/manifest: it is empty") != NULL);
    fake_root_remove("/manifest");
    CHECK(mkfifo(at("/manifest"), 0600) == 0);
    look();
    CHECK(strstr(sensor(0)->why, "/manifest: not a regular file") != NULL);
    CHECK_INT(fix.count, 0);
    fake_root_remove("/manifest");
    fake_root_end();
}

/** Of which the lines have no end. */
TEST(a_database_without_an_end)
{
    begin();
    fake_root_put("/manifest", "1  x\n");
    snprintf(text, sizeof text, "{\"package_drift\": {\"manifest\": \"%s\", \"database\": \"%s\"}}", at("/manifest"), at("/zero"));
    CHECK(symlink("/dev/zero", at("/zero")) == 0);
    start(text);
    CHECK_INT(fix.count, 0);
    CHECK(strstr(sensor(0)->why, "/zero: not a regular file") != NULL);
    fake_root_end();
}

TEST(what_was_read_is_remembered)
{
    begin();
    run_verb(MANIFEST_WRITE, config(""));
    start(config(""));
    CHECK_INT(fix.drift.count, 3);
    fix.drift.known[0].print &= ~(uint32_t)SAME; /* as if the file had differed: it is not read again to find that out */
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"changed\":1,"));
    fake_root_put("/etc/hello", "hello"); /* the same bytes at another time */
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "drift_resolved"));
    fake_root_end();
}

TEST(what_has_just_been_written_is_read_once_more)
{
    struct stat s;

    begin();
    run_verb(MANIFEST_WRITE, config(""));
    REQUIRE(stat(at("/etc/hello"), &s) == 0);
    fix.clock.now_s = (int64_t)s.st_ctim.tv_sec;
    start(config(""));
    const uint32_t print = fix.drift.known[0].print;
    CHECK_INT(print & SAME, 0);
    CHECK_INT(fix.count, 0);
    fix.clock.now_s += 10;
    look();
    CHECK(fix.drift.known[0].print & SAME);
    CHECK_INT(fix.count, 0);
    fake_root_end();
}

static unsigned swaps;

static void swap_in(const char *path)
{
    if (strcmp(path, at("/etc/hello")) != 0)
        return;
    CHECK(rename(path, at("/bad")) == 0 && rename(at("/good"), path) == 0);
    swaps++;
}

static void swap_back(void)
{
    CHECK(rename(at("/etc/hello"), at("/good")) == 0 && rename(at("/bad"), at("/etc/hello")) == 0);
}

/** By whoever can time it, so that the good one is read and remembered for the bad one. */
TEST(a_file_that_is_swapped_for_another_while_it_is_looked_at)
{
    begin();
    run_verb(MANIFEST_WRITE, config(""));
    CHECK(rename(at("/etc/hello"), at("/good")) == 0);
    fake_root_put("/etc/hello", "Hello");
    fix.clock.now_s += 3600; /* all of it is old enough to be remembered */
    fake_root_on_open = swap_in;
    for (swaps = 0; swaps < 3; swap_back()) {
        start(config(""));
        CHECK_INT(fix.count, 0);
        CHECK_INT(sensor(0)->result, INSTANCE_NOT_MEASURED);
        CHECK(strstr(sensor(0)->why, "files are being read") != NULL);
    }
    fake_root_on_open = NULL;
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "/etc/hello: changed\""));
    fake_root_end();
}

TEST(a_name_that_is_listed_twice)
{
    char twice[1024];

    begin();
    run_verb(MANIFEST_WRITE, config(""));
    snprintf(twice, sizeof twice, HELLO "  %s/etc/hello\n6b%s  %s/etc/hello\n", fake_root_dir, HELLO + 2, fake_root_dir);
    fake_root_put("/manifest", twice);
    snprintf(text, sizeof text, "{\"config_drift\": {\"manifest\": \"%s\"}}", at("/manifest"));
    start(text);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor(0)->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor(0)->why, "/etc/hello: listed twice") != NULL);
    twice[strlen(HELLO) + 3 + strlen(at("/etc/hello"))] = '\0';
    fake_root_put("/manifest", twice);
    look();
    CHECK_INT(sensor(0)->result, INSTANCE_OK);
    fake_root_end();
}

TEST(a_large_file_is_read_in_turns)
{
    static char large[300 * 1024];
    unsigned turns = 0;

    begin();
    memset(large, 'x', sizeof large);
    fake_root_put_bytes("/etc/large", large, sizeof large);
    run_verb(MANIFEST_WRITE, config(""));
    large[sizeof large - 1] = 'y';
    fake_root_put_bytes("/etc/large", large, sizeof large);
    REQUIRE(fix_start(config("")) == 1);
    sensor_runner_run(sensor(0));
    CHECK_INT(sensor(0)->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor(0)->why, "files are being read") != NULL);
    for (; fix.count == 0 && turns < 10; turns++)
        fix_turn(20);
    CHECK_INT(turns, 2);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "/etc/large: changed\""));
    CHECK_INT(sensor(0)->result, INSTANCE_OK);
    CHECK_INT(fix.drift.fd, 0);
    fake_root_end();
}

TEST(more_files_than_places_are_not_measured)
{
    static char manifest[(CONFIG_DRIFT_ENTRIES + 1) * 90];
    size_t len = 0;

    begin();
    for (unsigned i = 0; i <= CONFIG_DRIFT_ENTRIES; i++)
        len += (size_t)sprintf(manifest + len, HELLO "  /none/%u\n", i);
    fake_root_put("/manifest", manifest);
    start(config(""));
    CHECK_INT(sensor(0)->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor(0)->why, "too many names") != NULL);
    manifest[len - 80] = '\0'; /* one line less */
    *(strrchr(manifest, '\n') + 1) = '\0';
    fake_root_put("/manifest", manifest);
    look();
    CHECK_INT(sensor(0)->result, INSTANCE_OK);
    REQUIRE(fix.count == 1);
    fake_root_put("/manifest", "# none\n"); /* the places are free again */
    look();
    CHECK_INT(fix.drift.count, 0);
    fake_root_end();
}

TEST(directories_have_a_bound)
{
    begin();
    fake_root_put("/etc/1/2/3/4/5/6/7/file", "at the bound");
    CHECK_INT(run_verb(MANIFEST_WRITE, config("")), INSTANCE_OK);
    CHECK(strstr(text, "/7/file\n") != NULL);
    fake_root_put("/etc/1/2/3/4/5/6/7/8/file", "beyond");
    CHECK_INT(run_verb(MANIFEST_WRITE, config("")), INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor(0)->why, "too deep") != NULL);
    fake_root_end();
}

TEST(many_names_in_a_directory_are_all_found)
{
    char name[32];

    begin();
    for (unsigned i = 0; i < 100; i++) { /* several times what one call of the kernel gives, with directories between */
        snprintf(name, sizeof name, "/etc/d%02u/f", i);
        fake_root_put(name, "");
        snprintf(name, sizeof name, "/etc/some-longer-name-%02u", i);
        fake_root_put(name, "");
    }
    fake_root_put("/manifest", "# none\n");
    CHECK_INT(run_verb(MANIFEST_CHECK, config("")), INSTANCE_OK);
    CHECK_INT(run.differences, 203);
    fake_root_end();
}

/* ---- kernel modules ---- */

static void put_module(const char *name, const char *id, const char *version, const char *size)
{
    char path[128];

    snprintf(path, sizeof path, "/sys/module/%s/coresize", name);
    fake_root_put(path, size);
    snprintf(path, sizeof path, "/sys/module/%s/srcversion", name);
    if (version)
        fake_root_put(path, version);
    snprintf(path, sizeof path, "/sys/module/%s/notes/.note.gnu.build-id", name);
    if (id)
        fake_root_put(path, id);
}

TEST(the_kernels_modules_are_those_that_run)
{
    static const char modules[] = "dummy 16384 0 - Live 0x0\nbridge 1 1 stp, Live 0x0\n";
    char more[] = "\"packages\": false";

    begin();
    fake_root_put("/proc/modules", modules);
    put_module("dummy", "id", "ABC\n", "16384\n");
    put_module("bridge", NULL, NULL, "1\n");
    put_module("stp", NULL, NULL, "2\n");
    CHECK_INT(run_verb(MANIFEST_WRITE, config_all("module_drift", more)), INSTANCE_OK);
    /* SHA-256 of "1\n", and of "idABC\n16384\n" */
    CHECK_STR(text, "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865  module:bridge\n"
                    "51ef40a18d40d9378df5ad4b02043dc3ed52ff1116c50e18ed1bc2841a423732  module:dummy\n");
    start(config_all("module_drift", more));
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor(0)->result, INSTANCE_OK);
    put_module("dummy", "other", "ABC\n", "16384\n"); /* loaded anew: the kernel's file is another one */
    fake_root_remove("/sys/module/dummy/coresize");
    put_module("dummy", "other", "ABC\n", "16384\n");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"module.drift_detected\",\"source\":\"module_drift-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"level\":\"medium\","));
    CHECK(fix_has(0, "\"differences\":\"module:dummy: changed\""));
    fake_root_remove("/sys/module/bridge/coresize");
    fake_root_put("/proc/modules", "dummy 1\nevil 1\n");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"level\":\"high\","));
    CHECK(fix_has(0, "\"changed\":1,\"missing\":1,\"extra\":1,"));
    CHECK(fix_has(0, "module:bridge: missing, module:dummy: changed, module:evil: extra"));
    fake_root_put("/proc/modules", "dummy 1\nevil 1\nworse 1\nworst 1\n");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"level\":\"critical\""));
    fake_root_end();
}

/* ---- packages ---- */

static const char opkg[] = "Package: busybox\nVersion: 1.36.1-1\nDepends: libc\nStatus: install user installed\n"
                           "Architecture: mips_24kc\nInstalled-Time: 1\n\n"
                           "Package: gone\nVersion: 2\nStatus: deinstall ok config-files\n\n"
                           "Package: base-files\nVersion: 1559-r23809\nStatus: install ok installed\n";
static const char apk[] = "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\n\n"
                          "C:Q1def=\nP:busybox\nV:1.36.1-r15\np:/bin/sh\n\n";
static const char dpkg[] = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\n"
                           "Description: C\n Package: no\n .\n\n"
                           "Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2.36-9\n\n"
                           "Package: half\nStatus: install ok half-configured\nVersion: 1\n\n";

TEST(packages_of_every_manager)
{
    static const struct {
        const char *database, *manifest;
    } cases[] = {
        {opkg, "1559-r23809  base-files\n1.36.1-1  busybox\n"},
        {apk, "1.36.1-r15  busybox\n1.2.4-r2  musl\n"},
        {dpkg, "2.36-9  libc6\n"},
        {"", ""},
        {"Package: x\n\nVersion: 1\n\nPackage:\nVersion:\n\n", ""},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        begin();
        fake_root_put("/status", cases[i].database);
        CHECK_INT(run_verb(MANIFEST_WRITE, config_all("package_drift", "\"max_age\": \"1d\"")), INSTANCE_OK);
        CHECK_STR(text, cases[i].manifest);
        CHECK_INT(run_verb(MANIFEST_CHECK, config_all("package_drift", "\"max_age\": \"1d\"")),
                  *cases[i].manifest ? INSTANCE_OK : INSTANCE_NOT_MEASURED);
        CHECK_STR(text, "");
        fake_root_end();
    }
}

static const char *lists(const char *more)
{
    static char with[300];

    snprintf(with, sizeof with, "\"lists\": \"%s\"%s", at("/lists"), more);
    return with;
}

static void fetched(int64_t unix_s)
{
    const struct utimbuf t = {.actime = (time_t)unix_s, .modtime = (time_t)unix_s};

    fake_root_put("/lists/base", "Package: x\n");
    CHECK(utime(at("/lists/base"), &t) == 0 && utime(at("/lists"), &t) == 0);
}

TEST(packages_that_differ)
{
    begin();
    fake_root_put("/status", opkg);
    fetched(fix.clock.now_s - 60);
    run_verb(MANIFEST_WRITE, config_all("package_drift", lists("")));
    start(config_all("package_drift", lists("")));
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor(0)->result, INSTANCE_OK);
    fake_root_put("/status", "Package: busybox\nVersion: 1.36.1-2\n\nPackage: new\nVersion: 1\n\n");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"system.package_drift_pressure\",\"source\":\"package_drift-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"level\":\"high\",\"lists_age_s\":60,\"manifest\":"));
    CHECK(fix_has(0, "\"changed\":1,\"missing\":1,\"extra\":1,\"differences\":\"base-files: missing, busybox: changed, new: extra\""));
    look(); /* and nothing has changed: it still holds */
    CHECK_INT(fix.count, 1);
    fake_root_put("/status", opkg);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\""));
    look();
    CHECK_INT(fix.count, 0);
    fake_root_remove("/status");
    look();
    CHECK_INT(sensor(0)->result, INSTANCE_NOT_MEASURED);
    fake_root_end();
}

TEST(lists_grow_old)
{
    enum { DAY = 86400 };

    begin();
    snprintf(text, sizeof text, "{\"package_drift\": {%s}}", lists(""));
    fetched(fix.clock.now_s - DAY);
    start(text);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor(0)->result, INSTANCE_OK);
    fix.clock.now_s++;
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"level\":\"low\",\"lists_age_s\":86401}"));
    fix.clock.now_s += 6 * DAY;
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"level\":\"medium\","));
    fetched(fix.clock.now_s + 10); /* by a server whose clock is ahead */
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"state\":\"recovered\""));
    fake_root_end();
}

TEST(lists_that_were_never_fetched_are_not_stale)
{
    begin();
    snprintf(text, sizeof text, "{\"package_drift\": {%s}}", lists(""));
    start(text);
    CHECK_INT(sensor(0)->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor(0)->why, "/lists: no lists were fetched") != NULL);
    fake_root_put("/lists/lock", ""); /* as apt has it from the beginning */
    fake_root_put("/lists/partial/x", "half");
    look();
    CHECK(strstr(sensor(0)->why, "/lists: no lists were fetched") != NULL);
    fetched(1000); /* in 1970 */
    look();
    CHECK(strstr(sensor(0)->why, "/lists: the clock was not set") != NULL);
    fetched(fix.clock.now_s);
    fix.clock.now_s = 1000;
    look();
    CHECK(strstr(sensor(0)->why, "/lists: the clock was not set") != NULL);
    CHECK_INT(fix.count, 0);
    fake_root_end();
}

/** Of a server that says so, lists would never be stale. */
TEST(lists_from_the_future)
{
    enum { DAY = 86400 };

    begin();
    snprintf(text, sizeof text, "{\"package_drift\": {%s}}", lists(""));
    fetched(fix.clock.now_s - 2 * DAY);
    const struct utimbuf t = {.modtime = (time_t)fix.clock.now_s + 1000 * DAY};
    CHECK(utime(at("/lists/base"), &t) == 0);
    start(text);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"level\":\"low\",\"lists_age_s\":172800}"));
    fake_root_end();
}

/** As on OpenWrt, where they live in RAM. */
TEST(packages_without_lists_drift_and_recover)
{
    begin();
    fake_root_put("/status", opkg);
    run_verb(MANIFEST_WRITE, config_all("package_drift", lists("")));
    start(config_all("package_drift", lists("")));
    CHECK_INT(fix.count, 0);
    fake_root_put("/status", "Package: busybox\nVersion: 1.36.1-2\n");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"level\":\"medium\",\"manifest\":"));
    fake_root_put("/status", opkg);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\""));
    CHECK(strstr(sensor(0)->why, "/lists: no lists were fetched") != NULL);
    fake_root_end();
}

/** What is not known any more does not make it better. */
TEST(what_cannot_be_compared_stays)
{
    begin();
    fake_root_put("/status", opkg);
    run_verb(MANIFEST_WRITE, config_all("package_drift", lists("")));
    fetched(fix.clock.now_s - 2 * 86400);
    fake_root_put("/status", "Package: new\nVersion: 1\n");
    start(config_all("package_drift", lists("")));
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"level\":\"high\""));
    fake_root_remove("/status");
    look();
    CHECK_INT(sensor(0)->result, INSTANCE_NOT_MEASURED);
    CHECK_INT(fix.count, 0);
    fake_root_put("/status", opkg);
    CHECK(remove(at("/lists/base")) == 0);
    look();
    CHECK_INT(fix.count, 1); /* the packages are as they should be, the lists were old */
    CHECK(fix_has(0, "\"level\":\"low\""));
    fetched(fix.clock.now_s);
    look();
    CHECK_INT(fix.count, 1);
    CHECK(fix_has(0, "recovered"));
    fake_root_end();
}

TEST(sensors_share_what_is_remembered)
{
    char two[2048];

    begin();
    fake_root_put("/proc/modules", "");
    run_verb(MANIFEST_WRITE, config(""));
    snprintf(two, sizeof two, "{\"config_drift\": {\"manifest\": \"%s\"}, \"module_drift\": {\"manifest\": \"%s\", \"packages\": false}}",
             at("/manifest"), at("/manifest"));
    REQUIRE(fix_start(two) == 2);
    sensor_runner_run(sensor(0));
    sensor_runner_run(sensor(1));
    CHECK_INT(fix.drift.count, 6);
    CHECK_INT(fix.count, 0);
    sensor_runner_run(sensor(0));
    CHECK_INT(fix.drift.count, 6);
    fake_root_end();
}

/** Each has more to read than one turn allows, of files that only it has. */
TEST(two_sensors_read_large_files)
{
    enum { LARGE = 200000, TURNS = 40 };
    static char large[LARGE + 1];
    char two[2048];
    unsigned turns = 0;

    begin();
    memset(large, 'x', LARGE);
    fake_root_put("/etc/large", large);
    run_verb(MANIFEST_WRITE, config(""));
    CHECK(rename(at("/manifest"), at("/manifest.config")) == 0);
    fake_root_put("/proc/modules", "");
    large[0] = 'y';
    fake_root_put("/usr/large", large);
    snprintf(two, sizeof two, "{\"module_drift\": {\"manifest\": \"%s\", \"packages\": false, \"paths\": [\"%s\"]}}", at("/manifest"),
             at("/usr"));
    run_verb(MANIFEST_WRITE, two);
    snprintf(two, sizeof two, "{\"config_drift\": {\"manifest\": \"%s\"}, \"module_drift\": {\"manifest\": \"%s\", \"packages\": false}}",
             at("/manifest.config"), at("/manifest"));
    REQUIRE(fix_start(two) == 2);
    do {
        sensor_runner_run(sensor(0));
        sensor_runner_run(sensor(1));
    } while ((sensor(0)->result != INSTANCE_OK || sensor(1)->result != INSTANCE_OK) && ++turns < TURNS);
    CHECK(turns < TURNS);
    CHECK_INT(fix.drift.fd, 0);
    CHECK_INT(fix.count, 0);
    fake_root_end();
}

/** Nor does one wait for ever for another that is there no more. */
TEST(a_sensor_that_went_while_it_was_reading)
{
    enum { LARGE = 200000 };
    static char large[LARGE + 1];
    char other[2048];

    begin();
    memset(large, 'x', LARGE);
    fake_root_put("/etc/large", large);
    fake_root_put("/proc/modules", "");
    run_verb(MANIFEST_WRITE, config(""));
    REQUIRE(fix_start(config("")) == 1);
    sensor_runner_run(sensor(0));
    CHECK(fix.drift.fd > 0);
    snprintf(other, sizeof other, "{\"module_drift\": {\"manifest\": \"%s\", \"packages\": false}}", at("/manifest"));
    REQUIRE(fix_start(other) == 1);
    for (unsigned i = 0; i < 10; i++) {
        fix.clock.now_ms += 500;
        sensor_runner_run(sensor(0));
    }
    CHECK_INT(sensor(0)->result, INSTANCE_OK);
    CHECK_INT(fix.drift.fd, 0);
    fake_root_end();
}

TEST(what_the_configuration_cannot_mean)
{
    fix_refused("{\"config_drift\": {}}", "config_drift.manifest");
    fix_refused("{\"config_drift\": {\"manifest\": \"m.sha256\"}}", "path \"m.sha256\" is not absolute");
    fix_refused("{\"config_drift\": {\"manifest\": \"/m\", \"paths\": [\"etc\"]}}", "path \"etc\" is not absolute");
    fix_refused("{\"config_drift\": {\"manifest\": \"/m\", \"database\": \"/d\"}}", "database");
    fix_refused("{\"module_drift\": {\"manifest\": \"/m\", \"database\": \"dpkg\"}}", "path \"dpkg\" is not absolute");
    fix_refused("{\"package_drift\": {\"database\": \"dpkg\"}}", "path \"dpkg\" is not absolute");
    fix_refused("{\"package_drift\": {\"lists\": \"lists\"}}", "path \"lists\" is not absolute");
    begin();
    fake_root_put("/manifest", "");
    CHECK(chmod(at("/manifest"), 0622) == 0);
    CHECK_INT(fix_start(config("")), 1);
    CHECK(strstr(fix.reports, "others can write to") != NULL && strstr(fix.reports, "; chmod go-w") != NULL);
    fake_root_end();
}

TEST_MAIN(what_is_written_is_what_is_there, a_drift_begins_and_ends,
          a_link_counts_by_its_text_and_a_pipe_is_no_file, a_line_of_sha256sum_follows_a_link,
          names_may_be_anything, a_damaged_manifest_is_no_measurement, an_empty_manifest_is_no_measurement,
          a_database_without_an_end, what_was_read_is_remembered,
          what_has_just_been_written_is_read_once_more, a_file_that_is_swapped_for_another_while_it_is_looked_at,
          a_name_that_is_listed_twice, a_large_file_is_read_in_turns,
          more_files_than_places_are_not_measured, directories_have_a_bound,
          many_names_in_a_directory_are_all_found, the_kernels_modules_are_those_that_run,
          packages_of_every_manager, packages_that_differ, lists_grow_old,
          lists_that_were_never_fetched_are_not_stale, lists_from_the_future,
          packages_without_lists_drift_and_recover, what_cannot_be_compared_stays, sensors_share_what_is_remembered,
          two_sensors_read_large_files, a_sensor_that_went_while_it_was_reading, what_the_configuration_cannot_mean)
