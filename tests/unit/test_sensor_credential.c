/* src/beacon/sensors/credential.c; it is 2026-03-10T15:30:00Z. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "check.h"

enum { NOW = 1773156600, MINUTE = 60 };

static char path[64], configuration[1024];

static int64_t mtime; /* of every file, as only some file systems can have it; 0: its own */

int stat(const char *restrict name, struct stat *restrict s)
{
    const int result = fstatat(AT_FDCWD, name, s, 0);

    if (result == 0 && mtime)
        s->st_mtim.tv_sec = (time_t)mtime;
    return result;
}

static void written(int64_t unix_s)
{
    const struct timespec times[2] = {{.tv_sec = (time_t)unix_s}, {.tv_sec = (time_t)unix_s}};

    CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
}

static void begin(void)
{
    fix_init();
    fix_print_lines();
    strcpy(path, "/tmp/nefia-credential-XXXXXX");
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    CHECK(fchmod(fd, 0) == 0 && close(fd) == 0); /* nobody reads it */
    written(NOW);
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
    remove(path);
}

/** An item that ends then. */
static const char *at(const char *time)
{
    snprintf(configuration, sizeof configuration,
             "{\"sdwan_credential_expiry\": {\"credentials\": [{\"name\": \"hub\", \"kind\": \"ipsec\", \"expires\": \"%s\"}]}}",
             time);
    return configuration;
}

static const char *of_file(const char *lifetime)
{
    snprintf(configuration, sizeof configuration,
             "{\"sdwan_credential_expiry\": {\"credentials\": [{\"name\": \"hub\", \"kind\": \"wireguard_psk\", \"file\": \"%s\","
             " \"lifetime\": \"%s\"}]}}",
             path, lifetime);
    return configuration;
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

static void look(int64_t after_s)
{
    fix.count = 0;
    fix.clock.now_s += after_s;
    fix_turn(60 * 1000);
    fix_turn(0);
}

TEST(a_time_that_is_given)
{
    begin();
    REQUIRE(fix_start(at("2026-03-10T17:00:00+01:00")) == 1); /* in half an hour */
    look(0);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    look(15 * MINUTE - 1);
    CHECK_INT(fix.count, 0);
    look(1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"sdwan.credential_expiring\",\"source\":\"sdwan_credential_expiry-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"name\":\"hub\",\"kind\":\"ipsec\","
                     "\"not_after\":\"2026-03-10T16:00:00Z\",\"seconds_left\":900}"));
    look(10 * MINUTE);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"critical\"") && fix_has(0, "\"seconds_left\":300}"));
    look(5 * MINUTE + 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"sdwan.credential_expired\"") && fix_has(0, "\"severity\":\"critical\""));
    REQUIRE(fix_start(at("2027-03-10T16:00:00Z")) == 1);
    look(0);
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "\"type\":\"sdwan.credential_expired\"") && fix_has(0, "\"data\":{\"state\":\"recovered\",\"name\":\"hub\""));
    CHECK(fix_has(1, "\"type\":\"sdwan.credential_rotated\"") && fix_has(1, "\"severity\":\"info\""));
    CHECK(fix_has(1, "\"not_after\":\"2027-03-10T16:00:00Z\""));
    look(0);
    CHECK_INT(fix.count, 0);
    REQUIRE(fix_start(at("2026-12-10T16:00:00Z")) == 1); /* sooner: a correction */
    look(0);
    CHECK_INT(fix.count, 0);
    end();
}

TEST(the_age_of_a_file)
{
    begin();
    REQUIRE(fix_start(of_file("1h")) == 1);
    look(0);
    CHECK_INT(fix.count, 0);
    look(50 * MINUTE);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"sdwan.credential_expiring\""));
    CHECK(fix_has(0, "\"kind\":\"wireguard_psk\",\"not_after\":\"2026-03-10T16:30:00Z\",\"seconds_left\":600}"));
    written(NOW + 51 * MINUTE);
    look(2 * MINUTE);
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "\"type\":\"sdwan.credential_expiring\"") && fix_has(0, "\"state\":\"recovered\""));
    CHECK(fix_has(1, "\"type\":\"sdwan.credential_rotated\""));
    REQUIRE(fix_start(of_file("2h")) == 1); /* what is configured is no other file, but it lives longer */
    look(0);
    CHECK_INT(fix.count, 1);
    remove(path);
    look(0);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, ": No such file or directory") != NULL);
    end();
}

TEST(clocks_that_were_not_set)
{
    begin();
    written(1000);
    CHECK_INT(fix_once(of_file("1h")), 1);
    CHECK_INT(fix.count, 0);
    CHECK(strstr(sensor()->why, ": written while the clock was wrong") != NULL);
    static const int64_t wrong[] = {INT64_MIN, -1, 7258118401, INT64_MAX - 3599, INT64_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        fix_init();
        fix_print_lines();
        mtime = wrong[i];
        CHECK_INT(fix_once(of_file("1h")), 1);
        CHECK_INT(fix.count, 0);
        CHECK(strstr(sensor()->why, ": written while the clock was wrong") != NULL);
    }
    mtime = 0;
    fix_init();
    fix_print_lines();
    fix.clock.now_s = 1000;
    CHECK_INT(fix_once(at("1999-01-01T00:00:00Z")), 1);
    CHECK_INT(fix.count, 0);
    CHECK_STR(sensor()->why, "clock: not set");
    end();
}

/** What is not accepted is reported at the next look. */
TEST(a_rotation_that_the_rate_suppresses)
{
    begin();
    fix.pipeline.print = NULL;
    rate_set_limit(&fix.pipeline.rate, 1);
    REQUIRE(fix_start(of_file("1d")) == 1);
    look(0);
    CHECK(!fix_take());
    struct emitter *e = &fix.items[fix.sensor_runner.current * CONFIG_BEACON_SENSORS];
    emit_begin(e, "t.t", NULL, SEVERITY_INFO);
    CHECK_INT(emit_end(e), 1);
    CHECK(fix_take());
    written(NOW + 1);
    sensor_runner_run(e);
    CHECK(!fix_take());
    look(0); /* a minute later */
    REQUIRE(fix_take());
    while (!fix_has(0, "\"type\":\"sdwan.credential_rotated\"") && fix_take()) /* behind that something was suppressed */
        ;
    CHECK(fix_has(0, "\"type\":\"sdwan.credential_rotated\""));
    end();
}

TEST(configurations_that_are_refused)
{
#define WITH(members) "{\"sdwan_credential_expiry\": {\"credentials\": [{\"name\": \"a\"" members "}]}}"
    fix_refused("{\"sdwan_credential_expiry\": {}}", "credentials: missing");
    fix_refused("{\"sdwan_credential_expiry\": {\"credentials\": [{\"expires\": \"2026-03-10T16:00:00Z\"}]}}", "name: missing");
    fix_refused(WITH(""), "needs either expires, or file and lifetime");
    fix_refused(WITH(", \"file\": \"/x\""), "needs either expires, or file and lifetime");
    fix_refused(WITH(", \"lifetime\": \"1h\""), "needs either expires, or file and lifetime");
    fix_refused(WITH(", \"expires\": \"2026-03-10T16:00:00Z\", \"file\": \"/x\", \"lifetime\": \"1h\""),
                "needs either expires, or file and lifetime");
    fix_refused(WITH(", \"expires\": \"tomorrow\""), "must be as 2026-03-10T15:30:00Z");
    CHECK(strstr(fix.reports, "needs either") == NULL); /* one mistake */
    fix_refused(WITH(", \"kind\": \"password\", \"expires\": \"2026-03-10T16:00:00Z\""), "is not one of");
    fix_refused(WITH(", \"expires\": \"2026-03-10T16:00:00Z\"}, {\"name\": \"a\", \"expires\": \"2026-03-10T16:00:00Z\""),
                "duplicate name \"a\"");
}

TEST_MAIN(a_time_that_is_given, the_age_of_a_file, clocks_that_were_not_set, a_rotation_that_the_rate_suppresses,
          configurations_that_are_refused)
