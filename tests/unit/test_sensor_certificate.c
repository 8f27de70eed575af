/* src/beacon/sensors/certificate.c with certificates that openssl(1) has made; it is 2026-03-10T15:30:00Z. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "certificates.h"
#include "check.h"
#include "tempdir.h"

enum { NOW = 1773156600, DAY_S = 86400 };

static char dir[64], configuration[1024];
static unsigned opened;
static int refused; /* errno of the next open */

int openat(int at_fd, const char *path, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    int mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    errno = refused;
    if (refused && !(flags & O_DIRECTORY))
        return -1;
    opened += !(flags & (O_DIRECTORY | O_CREAT));
    return (int)syscall(SYS_openat, at_fd, path, flags | O_LARGEFILE, mode);
}

static const char *at(const char *name)
{
    static char path[2][128];
    static unsigned i;

    i = !i;
    snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
    return path[i];
}

static void put_bytes(const char *name, const void *content, size_t len)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    REQUIRE(fd >= 0);
    CHECK(write(fd, content, len) == (ssize_t)len && close(fd) == 0);
}

static void put(const char *name, const char *content)
{
    put_bytes(name, content, strlen(content));
}

/** As a renewal does it: another file takes the place. */
static void replace(const char *name, const char *content)
{
    put("new", content);
    CHECK(rename(at("new"), at(name)) == 0);
}

/** Of the certificate in this PEM. */
static size_t der_of(const char *pem, uint8_t *der)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, count = 0;
    size_t len = 0;

    for (const char *c = strchr(pem, '\n'); *c != '-'; c++) {
        const char *digit = *c == '\n' || *c == '=' ? NULL : strchr(digits, *c);
        if (!digit)
            continue;
        bits = bits << 6 | (unsigned)(digit - digits);
        count += 6;
        if (count >= 8)
            der[len++] = (uint8_t)(bits >> (count -= 8));
    }
    return len;
}

static void begin(void)
{
    fix_init();
    fix_print_lines();
    opened = 0;
    strcpy(dir, "/tmp/nefia-certificates-XXXXXX");
    REQUIRE(mkdtemp(dir) != NULL);
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
    CHECK(remove_tempdir(dir));
}

/** A configuration with a file or directory below `dir`. */
static const char *of(const char *name, const char *more)
{
    snprintf(configuration, sizeof configuration, "{\"certificate_expiry\": {\"paths\": [\"%s\"]%s}}", at(name), more);
    return configuration;
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

static void start(const char *c)
{
    REQUIRE(fix_start(c) == 1);
    fix_turn(0);
    fix_turn(0);
}

/** An hour later it has looked again. */
static void look(void)
{
    fix.count = 0;
    opened = 0;
    fix_turn(3600 * 1000);
    fix_turn(0);
}

static bool why_ends(const char *why)
{
    const size_t a = strlen(sensor()->why), b = strlen(why);

    return sensor()->result == INSTANCE_NOT_MEASURED && a >= b && strcmp(sensor()->why + a - b, why) == 0;
}

/** The file a, with this content, in a beacon that looks once. Return: how many events. */
static unsigned once(const char *pem)
{
    fix_init();
    fix_print_lines();
    put("a", pem);
    CHECK_INT(fix_once(of("a", "")), 1);
    return fix.count;
}

TEST(what_ends_soon_and_what_does_not)
{
    begin();
    CHECK_INT(once(far_pem), 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    REQUIRE(once(soon_pem) == 1);
    CHECK(fix_has(0, "\"type\":\"cert.expiring\",\"source\":\"certificate_expiry-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"path\":\"/tmp/nefia-certificates-"));
    CHECK(fix_has(0, "/a\",\"subject\":\"soon\",\"fingerprint\":\"" SOON_PRINT "\","
                     "\"not_after\":\"2026-03-20T15:30:00Z\",\"seconds_left\":864000}"));
    REQUIRE(once(tomorrow_pem) == 1);
    CHECK(fix_has(0, "\"type\":\"cert.expiring\"") && fix_has(0, "\"severity\":\"critical\""));
    CHECK(fix_has(0, "\"not_after\":\"2026-03-11T10:00:00Z\",\"seconds_left\":66600}"));
    REQUIRE(once(past_pem) == 1);
    CHECK(fix_has(0, "\"type\":\"cert.expired\"") && fix_has(0, "\"severity\":\"critical\""));
    CHECK(fix_has(0, "\"fingerprint\":\"" PAST_PRINT "\",\"not_after\":\"2026-03-01T00:00:00Z\",\"seconds_left\":-833400}"));
    end();
}

TEST(der)
{
    static const char *const pems[] = {far_pem, soon_pem, tomorrow_pem, past_pem};
    uint8_t der[1024];

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(pems); i++) {
        const size_t len = der_of(pems[i], der);
        for (size_t cut = 0; cut <= len; cut++) {
            fix_init();
            fix_print_lines();
            put_bytes("a", der, cut);
            CHECK_INT(fix_once(of("a", "")), 1);
            CHECK_INT(fix.count, cut == len && pems[i] != far_pem);
            CHECK_INT(sensor()->result, cut == len ? INSTANCE_OK : INSTANCE_NOT_MEASURED);
        }
        der[len] = 0;
        put_bytes("a", der, len + 1);
        fix_init();
        CHECK_INT(fix_once(of("a", "")), 1);
        CHECK(why_ends("/a: not a whole certificate"));
    }
    end();
}

/** Past 2038, 2049 and 2106, where fewer bits end. */
TEST(years)
{
    begin();
    for (int64_t year = 2026; year < 2060; year++) {
        const int64_t days = (year - 2026) * 365 + (year - 2025) / 4;
        fix_init();
        fix_print_lines();
        fix.clock.now_s = NOW + days * DAY_S;
        put("a", general_pem);
        CHECK_INT(fix_once(of("a", "")), 1);
        CHECK_INT(fix.count, 0);
    }
    fix_init();
    fix_print_lines();
    fix.clock.now_s = INT64_C(2842920000); /* 2060-02-02T06:40:00Z */
    CHECK_INT(fix_once(of("a", "")), 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"not_after\":\"2060-02-03T04:05:06Z\",\"seconds_left\":86706}"));
    CHECK(fix_has(0, "\"subject\":\"general\""));
    CHECK_INT(once(beyond_pem), 0);
    fix_init();
    fix_print_lines();
    fix.clock.now_s = INT64_C(2379067200); /* 2045-05-22: 24 days before the end of UTCTime's year 45 */
    put("a", far_pem);
    CHECK_INT(fix_once(of("a", "")), 1);
    CHECK_INT(fix.count, 0);
    end();
}

TEST(a_clock_that_is_not_set_says_nothing)
{
    begin();
    put("a", past_pem);
    fix.clock.now_s = 1000;
    CHECK_INT(fix_once(of("a", "")), 1);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "clock: not set");
    fix_init();
    fix_print_lines();
    fix.clock.now_s = 1000;
    start(of("a", ""));
    CHECK_STR(sensor()->why, "clock: not set");
    fix.clock.now_s = NOW;
    fix_turn(60 * 1000); /* not only at the next interval */
    fix_turn(0);
    CHECK_INT(fix.count, 1);
    end();
}

/** The one that ends first counts, the first one is what the file is; what is no certificate is passed over. */
TEST(chains)
{
    static char chain[16384];
    struct text t;

    begin();
    text_init(&t, chain, sizeof chain);
    text_str(&t, "a comment\n-----BEGIN PRIVATE KEY-----\nMIIBXTCB5AIUDl70\n-----END PRIVATE KEY-----\n");
    text_str(&t, far_pem);
    text_str(&t, "subject=CN = soon\n");
    text_str(&t, soon_pem);
    text_str(&t, general_pem);
    REQUIRE(once(chain) == 1);
    CHECK(fix_has(0, "\"subject\":\"soon\"") && fix_has(0, "\"fingerprint\":\"" FAR_PRINT "\""));
    for (unsigned i = 0; i < 8; i++) /* longer than the buffer, so that one is cut */
        text_str(&t, general_pem);
    text_str(&t, "\n");
    while (t.len < 14000)
        text_str(&t, beyond_pem);
    REQUIRE(once(chain) == 1);
    CHECK(fix_has(0, "\"subject\":\"soon\""));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    text_str(&t, past_pem);
    REQUIRE(!t.truncated && once(chain) == 1);
    CHECK(fix_has(0, "\"type\":\"cert.expired\"") && fix_has(0, "\"subject\":\"past\""));
    end();
}

TEST(line_ends_of_dos_and_none_at_the_end)
{
    static char text[4096];
    size_t len = 0;

    begin();
    for (const char *c = soon_pem; *c; c++) {
        if (*c == '\n')
            text[len++] = '\r';
        text[len++] = *c;
    }
    text[len - 2] = '\0';
    CHECK_INT(once(text), 1);
    CHECK(fix_has(0, SOON_PRINT));
    end();
}

/** A certificate that cannot be read does not hide one that can. */
TEST(what_is_no_certificate)
{
    static char text[4096];
    struct text t;

    begin();
    CHECK_INT(once(""), 0);
    CHECK(why_ends("/a: no certificate"));
    CHECK_INT(once("-----BEGIN PRIVATE KEY-----\nMIIBXTCB5AIUDl70\n-----END PRIVATE KEY-----\n"), 0);
    CHECK(why_ends("/a: no certificate"));
    text_init(&t, text, sizeof text);
    text_bytes(&t, soon_pem, sizeof soon_pem - 41);
    CHECK_INT(once(text), 0);
    CHECK(why_ends("/a: not a whole certificate"));
    text_str(&t, "\n-----END CERTIFICATE-----\n");
    CHECK_INT(once(text), 0);
    CHECK(why_ends("/a: not a whole certificate"));
    text_str(&t, past_pem);
    CHECK_INT(once(text), 1);
    CHECK(why_ends("/a: not a whole certificate"));
    CHECK_INT(once("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), 0);
    CHECK(why_ends("/a: not a whole certificate"));
    end();
}

TEST(what_cannot_be_read)
{
    begin();
    CHECK_INT(fix_once(of("nowhere", "")), 1);
    CHECK(why_ends("/nowhere: No such file or directory"));
    CHECK(mkfifo(at("pipe.pem"), 0600) == 0);
    fix_init();
    CHECK_INT(fix_once(of("pipe.pem", "")), 1);
    CHECK(why_ends("/pipe.pem: not a regular file"));
    CHECK(symlink("loop", at("loop")) == 0);
    fix_init();
    CHECK_INT(fix_once(of("loop", "")), 1);
    CHECK(why_ends("/loop: Symbolic link loop") || why_ends("/loop: Too many levels of symbolic links"));
    put("a", past_pem);
    refused = EACCES;
    fix_init();
    CHECK_INT(fix_once(of("a", "")), 1);
    refused = 0;
    CHECK(why_ends("/a: Permission denied"));
    int fd = open(at("large"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(ftruncate(fd, INT64_C(1) << 32) == 0 && close(fd) == 0);
    fix_init();
    CHECK_INT(fix_once(of("large", "")), 1);
    CHECK(why_ends("/large: longer than 1 MiB"));
    end();
}

/** Bytes of the name that stand in the certificate. */
static void rename_subject(uint8_t *der, size_t len, const char *from, const char *to)
{
    uint8_t *name = memmem(der, len, from, strlen(from));

    REQUIRE(name != NULL);
    name = memmem(name + 1, len - (size_t)(name + 1 - der), from, strlen(from)); /* behind the issuer's */
    REQUIRE(name != NULL);
    memcpy(name, to, strlen(to));
}

TEST(names_are_hostile)
{
    uint8_t der[1024];

    begin();
    const size_t len = der_of(tomorrow_pem, der);
    rename_subject(der, len, "tomorrow", "a\"\xff\n\x1b\\b\x01");
    put_bytes("a", der, len);
    CHECK_INT(fix_once(of("a", "")), 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"subject\":\"a\\\"\xEF\xBF\xBD\\n\\u001b\\\\b\\u0001\""));
    end();
}

TEST(directories)
{
    begin();
    CHECK(mkdir(at("d"), 0700) == 0 && mkdir(at("d/sub.pem"), 0700) == 0);
    put("d/a.pem", past_pem);
    put("d/b.crt", soon_pem);
    put("d/c.cer", tomorrow_pem);
    put("d/key.pem", "-----BEGIN PRIVATE KEY-----\nMIIBXTCB5AIUDl70\n-----END PRIVATE KEY-----\n");
    put("d/readme", past_pem);
    put("d/.pem", "");
    put("d/sub.pem/a.pem", past_pem);
    put("real", past_pem);
    CHECK(symlink("../real", at("d/link.der")) == 0);
    CHECK_INT(fix_once(of("d", "")), 1);
    CHECK_INT(fix.count, 4);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    put("d/bad.crt", "nothing");
    fix_init();
    fix_print_lines();
    CHECK_INT(fix_once(of("d", "")), 1);
    CHECK_INT(fix.count, 4);
    CHECK(why_ends("/d/bad.crt: no certificate"));
    end();
}

/** A file is read when it is another one, and for an event. */
TEST(what_is_known_is_not_read_again)
{
    begin();
    CHECK(mkdir(at("d"), 0700) == 0);
    put("d/a.pem", far_pem);
    put("d/key.pem", "-----BEGIN PRIVATE KEY-----\nMIIBXTCB5AIUDl70\n-----END PRIVATE KEY-----\n");
    start(of("d", ""));
    CHECK_INT(opened, 2);
    look();
    CHECK_INT(opened, 0);
    CHECK_INT(fix.count, 0);
    CHECK_INT(fix_start(of("d", ", \"warning\": \"15d\"")), 1); /* nor after a reload */
    look();
    CHECK_INT(opened, 0);
    put("d/b.crt", "nothing");
    look();
    CHECK_INT(opened, 1);
    look(); /* it still says so */
    CHECK_INT(opened, 1);
    CHECK(why_ends("/d/b.crt: no certificate"));
    put("d/b.crt", soon_pem);
    look();
    CHECK_INT(opened, 1);
    CHECK_INT(fix.count, 1);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(as_many_files_as_there_is_room_for)
{
    char name[32];

    begin();
    CHECK(mkdir(at("d"), 0700) == 0);
    for (unsigned i = 0; i < CONFIG_CERTIFICATE_FILES; i++) {
        snprintf(name, sizeof name, "d/%u.pem", i);
        put(name, far_pem);
    }
    start(of("d", ""));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    put("d/one.pem", far_pem);
    look();
    CHECK(strstr(sensor()->why, ": too many files") != NULL);
    CHECK(remove(at("d/0.pem")) == 0); /* its room is free afterwards */
    look();
    look();
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

/** As where each renewal has another name, or somebody makes one after the other. */
TEST(expired_files_that_come_and_go_take_no_places)
{
    char name[32] = "d/kept.pem";

    begin();
    CHECK(mkdir(at("d"), 0700) == 0);
    put(name, past_pem);
    start(of("d", ""));
    CHECK_INT(fix.count, 1);
    for (unsigned i = 0; i < 3 * ARRAY_SIZE(fix.condition_slots); i++) {
        snprintf(name, sizeof name, "d/%u.pem", i);
        put(name, past_pem);
        look();
        CHECK_INT(fix.count, 2);
        CHECK_INT(sensor()->result, INSTANCE_OK);
        CHECK(remove(at(name)) == 0);
    }
    CHECK(remove(at("d/kept.pem")) == 0);
    look();
    put("d/kept.pem", far_pem); /* nobody needed its place */
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "cert.expired") && fix_has(0, "recovered"));
    end();
}

TEST(renewal)
{
    begin();
    put("a", soon_pem);
    start(of("a", ""));
    CHECK_INT(fix.count, 1);
    look();
    CHECK_INT(fix.count, 1); /* again, and the deduplication decides */
    replace("a", far_pem);
    look();
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "\"type\":\"cert.expiring\"") && fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\""));
    CHECK(fix_has(0, "\"not_after\":\"2045-06-15T12:00:00Z\""));
    CHECK(fix_has(1, "\"type\":\"cert.rotated\"") && fix_has(1, "\"severity\":\"info\",\"data\":{\"path\""));
    CHECK(fix_has(1, "\"subject\":\"far\"") && fix_has(1, FAR_PRINT));
    look();
    CHECK_INT(fix.count, 0);
    put("a", far_pem); /* the same once more */
    look();
    CHECK_INT(opened, 1);
    CHECK_INT(fix.count, 0);
    replace("a", "half of ");
    look();
    CHECK_INT(fix.count, 0);
    replace("a", general_pem); /* known for long, whatever was in between */
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"cert.rotated\""));
    end();
}

TEST(it_passes)
{
    begin();
    put("a", tomorrow_pem);
    start(of("a", ""));
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"cert.expiring\""));
    fix.clock.now_s = NOW + 66600; /* its last second */
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"cert.expiring\"") && fix_has(0, "\"seconds_left\":0}"));
    fix.clock.now_s++;
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"cert.expired\"") && fix_has(0, "\"seconds_left\":-1}"));
    replace("a", soon_pem); /* for a short time only */
    look();
    REQUIRE(fix.count == 3);
    CHECK(fix_has(0, "\"type\":\"cert.expiring\"") && fix_has(0, "\"severity\":\"warning\""));
    CHECK(fix_has(1, "\"type\":\"cert.expired\"") && fix_has(1, "\"state\":\"recovered\""));
    CHECK(fix_has(2, "\"type\":\"cert.rotated\""));
    end();
}

TEST(thresholds)
{
    begin();
    put("a", soon_pem);
    CHECK_INT(fix_once(of("a", ", \"warning\": \"10d\", \"critical\": \"9d\"")), 1);
    CHECK_INT(fix.count, 1);
    fix_init();
    fix_print_lines();
    CHECK_INT(fix_once(of("a", ", \"warning\": \"9d\", \"critical\": \"1d\"")), 1);
    CHECK_INT(fix.count, 0);
    fix_init();
    fix_print_lines();
    CHECK_INT(fix_once(of("a", ", \"warning\": \"366d\", \"critical\": \"30d\"")), 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    fix_refused(of("a", ", \"warning\": \"1h\""), "warning must be above critical");
    fix_refused("{\"certificate_expiry\": {}}", "paths");
    fix_refused("{\"certificate_expiry\": {\"paths\": []}}", "paths");
    end();
}

TEST_MAIN(what_ends_soon_and_what_does_not, der, years, a_clock_that_is_not_set_says_nothing, chains,
          line_ends_of_dos_and_none_at_the_end, what_is_no_certificate, what_cannot_be_read, names_are_hostile,
          directories, what_is_known_is_not_read_again, as_many_files_as_there_is_room_for, renewal, it_passes,
          thresholds, expired_files_that_come_and_go_take_no_places)
