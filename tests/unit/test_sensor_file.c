#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "nefia/base/err.h"
#include "nefia/sys/file.h"

static struct sensor_common common = {.name = "fake", .enabled = true};
static const struct sensor_class fake_class = {SENSOR_NAME("fake", "1m")};
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

TEST(what_need_not_be_there)
{
    int64_t v = 0;

    begin();
    CHECK(emitter_file_if(&fake, "/no/such/value", NULL) == NULL);
    CHECK(emitter_number_if(&fake, "/no/such/value", &v) < 0);
    CHECK(!fake.why[0]);
    CHECK(emitter_number_if(&fake, "/proc/sys/kernel/pid_max", &v) == 0);
    CHECK(v > 0);
}

TEST(of_a_directory)
{
    static char name[600];
    size_t len = 0;
    int64_t v = 0;

    begin();
    CHECK(emitter_number_in(&fake, "/proc/sys", "kernel", "pid_max", &v) == 0 && v > 0);
    CHECK(emitter_number_in(&fake, "/proc/sys", "kernel", "ostype", &v) < 0);
    const char *text = emitter_file_in(&fake, "/proc/sys", "kernel", "ostype", &len);
    REQUIRE(text != NULL);
    CHECK_STR(text, "Linux");
    CHECK_INT(len, 5);
    CHECK(emitter_file_in(&fake, "/proc", "nobody", "stat", &len) == NULL);
    memset(name, '/', sizeof name - 1); /* the path would be cut to that of a directory */
    CHECK(emitter_file_in(&fake, "/proc", name, "uptime", &len) == NULL);
    CHECK(!fake.why[0]);
}

static struct taken {
    unsigned lines, stop_at;
    size_t bytes, longest;
    char last[64];
} taken;

static int take_line(void *arg, const char *line, size_t len)
{
    struct text t;

    CHECK(arg == &taken);
    CHECK(line[len] == '\0');
    taken.bytes += len;
    if (len > taken.longest)
        taken.longest = len;
    text_init(&t, taken.last, sizeof taken.last);
    text_bytes(&t, line, len);
    return ++taken.lines == taken.stop_at ? 7 : 0;
}

static int lines_of(const char *content, size_t len, unsigned stop_at)
{
    strcpy(path, "/tmp/nefia-sensor-file-XXXXXX");
    put(content, len);
    taken = (struct taken){.stop_at = stop_at};
    int err = emitter_lines(&fake, path, take_line, &taken);
    remove(path);
    return err;
}

TEST(lines)
{
    CHECK_INT(lines_of("one\n\nthree\n", 11, 0), 0);
    CHECK_INT(taken.lines, 3);
    CHECK_STR(taken.last, "three");
    CHECK_INT(lines_of("one\ntwo", 7, 0), 0); /* without the last newline */
    CHECK_INT(taken.lines, 2);
    CHECK_STR(taken.last, "two");
    CHECK_INT(lines_of("", 0, 0), 0);
    CHECK_INT(taken.lines, 0);
    CHECK_INT(lines_of("one\ntwo\nthree\n", 14, 2), 7);
    CHECK_STR(taken.last, "two");
    CHECK(emitter_lines(&fake, "/no/such/file", take_line, &taken) < 0);
    CHECK_STR(fake.why, "/no/such/file: No such file or directory");
}

/** Longer than the buffer, whatever it holds: nothing is lost but the ends of lines that are too long. */
TEST(files_of_any_length)
{
    static char much[5 * PIPELINE_LINE_BYTES];
    const size_t most = PIPELINE_LINE_BYTES - 1;

    memset(much, 'x', sizeof much);
    for (size_t i = 99; i < sizeof much; i += 100)
        much[i] = '\n';
    CHECK_INT(lines_of(much, 40000, 0), 0);
    CHECK_INT(taken.lines, 400);
    CHECK_INT(taken.longest, 99);
    for (size_t around = most - 2; around < most + 3; around++) {
        memset(much, 'x', sizeof much);
        much[around] = '\n';
        memcpy(much + around + 1, "end\n", 4);
        CHECK_INT(lines_of(much, around + 5, 0), 0);
        CHECK_INT(taken.lines, 2);
        CHECK_INT(taken.longest, around < most ? around : most);
        CHECK_STR(taken.last, "end");
    }
    memset(much, 'x', sizeof much);
    CHECK_INT(lines_of(much, sizeof much, 0), 0);
    CHECK_INT(taken.lines, 1);
    CHECK_INT(taken.longest, most);
}

TEST(numbers_that_outlive_a_restart)
{
    char dir[] = "/tmp/nefia-sensor-state-XXXXXX", stored[64];
    uint64_t v = 5;

    begin();
    CHECK_INT(emitter_state_store(&fake, "n", 1), NEFIA_ENOTSUP);
    CHECK_INT(emitter_state_load(&fake, "n", &v), NEFIA_ENOTSUP);
    REQUIRE(mkdtemp(dir) != NULL);
    fix.sensor_runner.state_dir = dir;
    CHECK_INT(emitter_state_load(&fake, "n", &v), NEFIA_ENOTFOUND);
    CHECK_INT(emitter_state_store(&fake, "n", UINT64_MAX), 0);
    CHECK_INT(emitter_state_load(&fake, "n", &v), 0);
    CHECK(v == UINT64_MAX);
    snprintf(stored, sizeof stored, "%s/fake-n", dir); /* under the sensor's name */
    CHECK(remove(stored) == 0);
    rmdir(dir);
}

TEST_MAIN(its_text_without_the_last_newline, a_number, what_cannot_be_read_is_not_measured,
          too_long_is_an_error_and_not_a_cut, files_of_the_kernel, what_need_not_be_there, of_a_directory, lines,
          files_of_any_length, numbers_that_outlive_a_restart)
