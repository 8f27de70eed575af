#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "nefia/sys/file.h"

static struct sensor_common common = {.name = "fake", .enabled = true};
static const struct sensor_class fake_class = {.name = "fake", .source = "fake-beacon"};
static struct emitter fake;
static char path[] = "/tmp/nefia-sensor-file-XXXXXX";

static void begin(void)
{
    fix_init();
    fake = (struct emitter){
        .owner = &fix.sensor_runner, .class = &fake_class, .common = &common, .output = -1};
}

/** A file with this content. */
static void put(const char *content, size_t len)
{
    begin();
    if (strstr(path, "XXXXXX"))
        close(mkstemp(path));
    REQUIRE(file_write_atomic(path, content, len) == 0);
}

TEST(its_text_without_the_last_newline)
{
    size_t len;

    put("two\nlines\n", 10);
    const char *text = emitter_file(&fake, path, &len);
    REQUIRE(text != NULL);
    CHECK_STR(text, "two\nlines");
    CHECK_INT(len, 9);
    put("", 0);
    text = emitter_file(&fake, path, NULL);
    REQUIRE(text != NULL);
    CHECK_STR(text, "");
    CHECK_STR(fake.why, "");
}

TEST(a_number)
{
    int64_t v = 0;

    put("-42500\n", 7);
    CHECK_INT(emitter_file_number(&fake, path, &v), 0);
    CHECK_INT(v, -42500);
    CHECK_STR(fake.why, "");
    put("n/a\n", 4);
    CHECK(emitter_file_number(&fake, path, &v) < 0);
    CHECK(fake.why[0]);
    CHECK(strstr(fake.why, path) == fake.why);
    CHECK_STR(fake.why + strlen(path), ": not a number");
}

TEST(what_cannot_be_read_is_not_measured)
{
    begin();
    CHECK(emitter_file(&fake, "/no/such/value", NULL) == NULL);
    CHECK(fake.why[0]);
    CHECK(strstr(fake.why, "/no/such/value: ") == fake.why);
    begin();
    CHECK(emitter_file(&fake, "/dev/null", NULL) == NULL);
    CHECK_STR(fake.why, "/dev/null: not a regular file");
}

TEST(too_long_is_an_error_and_not_a_cut)
{
    static char much[CONFIG_EVENT_BYTES + 1];
    size_t len;

    memset(much, 'x', sizeof much);
    put(much, CONFIG_EVENT_BYTES);
    CHECK(emitter_file(&fake, path, &len) != NULL);
    CHECK_INT(len, CONFIG_EVENT_BYTES);
    put(much, CONFIG_EVENT_BYTES + 1);
    CHECK(emitter_file(&fake, path, &len) == NULL);
    CHECK(strstr(fake.why, ": too long") != NULL);
}

TEST(files_of_the_kernel)
{
    begin();
    const char *text = emitter_file(&fake, "/proc/uptime", NULL);
    REQUIRE(text != NULL);
    CHECK(strchr(text, '.') != NULL);
    remove(path);
}

TEST_MAIN(its_text_without_the_last_newline, a_number, what_cannot_be_read_is_not_measured,
          too_long_is_an_error_and_not_a_cut, files_of_the_kernel)
