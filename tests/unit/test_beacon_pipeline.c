#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "check.h"
#include "nefia/base/err.h"

static int emit(const char *type, const char *subject, enum severity s)
{
    struct pipeline_event e = {.type = type, .source = "test", .subject = subject, .severity = s};

    json_put_string(beacon_pipeline_begin(&fix.pipeline), "subject", subject);
    return beacon_pipeline_end(&fix.pipeline, &e);
}

static void later(uint64_t ms)
{
    fix.clock.now_ms += ms;
    loop_turn(&fix.loop, 0);
}

TEST(event_reaches_the_spool_once_encoded)
{
    static struct json_token tokens[64];
    char scratch[EVENT_SCRATCH];
    struct event ev;

    fix_init();
    CHECK_INT(emit("a.b", "x", SEVERITY_WARNING), PIPELINE_ACCEPTED);
    CHECK_INT(fix.queued, 1);
    REQUIRE(fix_take());
    REQUIRE(event_decode(&ev, fix.printed[0], strlen(fix.printed[0]), tokens, 64, scratch, NULL) ==
            0);
    CHECK(slice_eq(ev.type, "a.b"));
    CHECK(slice_eq(ev.source, "test"));
    CHECK(slice_eq(ev.host_id, "web-01"));
    CHECK(slice_eq(ev.data, "{\"subject\":\"x\"}"));
    CHECK_INT(ev.severity, SEVERITY_WARNING);
    CHECK_INT(ev.seq, 1);
    CHECK_INT(ev.boot, 7);
    CHECK(fix_has(0, "\"uptime_ms\":100000"));
}

TEST(repetition_waits_for_the_window)
{
    fix_init();
    fix.pipeline.dedup.window_ms = 1000;
    CHECK_INT(emit("a", "x", SEVERITY_INFO), PIPELINE_ACCEPTED);
    CHECK_INT(emit("a", "x", SEVERITY_INFO), PIPELINE_REPEATED);
    CHECK_INT(emit("a", "x", SEVERITY_INFO), PIPELINE_REPEATED);
    CHECK_INT(emit("a", "y", SEVERITY_INFO), PIPELINE_ACCEPTED);
    CHECK_INT(emit("a", "x", SEVERITY_WARNING), PIPELINE_ACCEPTED);
    CHECK_INT(fix.pipeline.repeated[SEVERITY_INFO], 2);
    CHECK_INT(fix.pipeline.seq, 3);
    later(1000);
    CHECK_INT(emit("a", "x", SEVERITY_INFO), PIPELINE_ACCEPTED);
    for (int i = 0; i < 4; i++)
        REQUIRE(fix_take());
    CHECK(fix_has(0, "\"suppressed\":2"));
}

TEST(change_is_no_repetition)
{
    struct pipeline_event e = {.type = "a", .source = "test", .subject = "x", .change = true};

    fix_init();
    for (int i = 0; i < 2; i++) {
        beacon_pipeline_begin(&fix.pipeline);
        CHECK_INT(beacon_pipeline_end(&fix.pipeline, &e), PIPELINE_ACCEPTED);
    }
}

TEST(rate_is_reported_after_its_minute)
{
    fix_init();
    rate_set_limit(&fix.pipeline.rate, 3);
    CHECK_INT(emit("a", "1", SEVERITY_WARNING), PIPELINE_ACCEPTED);
    CHECK_INT(emit("a", "2", SEVERITY_WARNING), PIPELINE_ACCEPTED);
    CHECK_INT(emit("a", "3", SEVERITY_WARNING), PIPELINE_OVER_RATE);
    CHECK_INT(emit("b", "4", SEVERITY_INFO), PIPELINE_OVER_RATE);
    CHECK_INT(emit("a", "5", SEVERITY_CRITICAL), PIPELINE_ACCEPTED);
    later(59999);
    CHECK_INT(fix.pipeline.spool.events, 3);
    later(1);
    CHECK_INT(fix.pipeline.spool.events, 4);
    for (int i = 0; i < 4; i++)
        REQUIRE(fix_take());
    CHECK(fix_has(0, "\"type\":\"beacon.suppressed\",\"source\":\"beacon\""));
    CHECK(fix_has(0, "{\"suppressed\":2,\"info\":1,\"warning\":1,\"critical\":0,"
                     "\"by_type\":{\"a\":{\"warning\":1},\"b\":{\"info\":1}}}"));
    /* An event suppressed by the rate limit does not make the next one a duplicate. */
    CHECK_INT(emit("a", "3", SEVERITY_WARNING), PIPELINE_ACCEPTED);
    later(60000);
    CHECK_INT(fix.pipeline.spool.events, 2);
}

TEST(data_too_long_is_replaced)
{
    struct pipeline_event e = {.type = "a", .source = "test"};
    static char big[CONFIG_EVENT_BYTES + 1];

    fix_init();
    fix_print_lines();
    memset(big, 'x', sizeof big - 1);
    json_put_string(beacon_pipeline_begin(&fix.pipeline), "big", big);
    CHECK_INT(beacon_pipeline_end(&fix.pipeline, &e), PIPELINE_ACCEPTED);
    CHECK_INT(fix.count, 1);
    CHECK(fix_has(0, "\"data\":{\"truncated\":true}"));
}

TEST(losses_are_counted_and_reported)
{
    char subject[4] = "s00";
    uint64_t lost;

    fix_init();
    rate_init(&fix.pipeline.rate, fix.times, 8);
    for (int i = 0; i < 60; i++, fix.clock.now_ms += 10000) {
        subject[1] = (char)('0' + i / 10);
        subject[2] = (char)('0' + i % 10);
        CHECK_INT(emit("fill", subject, SEVERITY_WARNING), PIPELINE_ACCEPTED);
    }
    lost = fix.pipeline.spool.lost_total[SEVERITY_WARNING];
    CHECK(lost > 0);
    CHECK_INT(lost + fix.pipeline.spool.events, 60);
    while (fix_take())
        ;
    spool_delivered(&fix.pipeline.spool);
    beacon_pipeline_report_lost(&fix.pipeline);
    REQUIRE(fix_take());
    CHECK(fix_has(0, "\"type\":\"beacon.events_lost\""));
    CHECK(fix_has(0, "\"info\":0,\"warning\":"));
    CHECK(fix_has(0, "\"critical\":0,\"first_seq\":1,\"last_seq\":"));
    CHECK(fix_has(0, ",\"unknown\":0,\"collapsed\":0}"));
    CHECK(!fix_has(0, "first_boot"));
    beacon_pipeline_report_lost(&fix.pipeline);
    CHECK(!fix_take());
}

TEST(losses_of_an_earlier_start_are_marked)
{
    fix_init();
    spool_push(&fix.pipeline.spool,
               &(struct spool_event){{6, 41}, 0, SEVERITY_CRITICAL, "{}", 2, false});
    spool_unknown(&fix.pipeline.spool, (struct spool_id){6, 41});
    beacon_pipeline_report_lost(&fix.pipeline);
    REQUIRE(fix_take());
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"lost\":1,\"info\":0,\"warning\":0,"
                     "\"critical\":1,\"first_seq\":41,\"last_seq\":41,\"first_boot\":6,"
                     "\"last_boot\":6,\"unknown\":1,\"collapsed\":0}"));
}

static struct spool_file flash;
static uint8_t flash_buf[FRAME_HEADER + SPOOL_FILE_HEAD + CONFIG_EVENT_BYTES];
static char flash_path[] = "/tmp/nefia-pipeline-XXXXXX";

static unsigned flash_reports(void)
{
    unsigned n = 0;

    while (fix_take())
        n += (unsigned)fix_has(0, "\"type\":\"beacon.flash_budget\"");
    return n;
}

TEST(events_not_kept_on_flash_are_reported_once_a_day)
{
    enum { HOUR = 60 * 60 * 1000 };

    fix_init();
    int fd = mkstemp(flash_path);
    REQUIRE(fd >= 0);
    close(fd);
    flash = (struct spool_file){.least = SEVERITY_INFO, .cap = 1 << 16, .daily = 1024};
    REQUIRE(spool_file_open(&flash, &fix.pipeline.spool, fix.loop.clock, flash_path, flash_buf,
                            sizeof flash_buf) == 0);
    fix.pipeline.flash = &flash;
    emit("a", "1", SEVERITY_CRITICAL);
    later(1);
    CHECK_INT(flash_reports(), 0);
    emit("a", "2", SEVERITY_CRITICAL);
    emit("a", "3", SEVERITY_CRITICAL);
    later(1);
    REQUIRE(fix_take() && fix_take());
    REQUIRE(fix_take());
    CHECK(fix_has(0, "\"type\":\"beacon.flash_budget\",\"source\":\"beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"skipped\":"));
    CHECK(fix_has(0, ",\"failed\":0,\"written\":"));
    CHECK(fix_has(0, ",\"budget\":1024}"));
    /* The report itself is not in the file either, but does not cause another. */
    CHECK_INT(flash.unreported, 0);
    for (int hour = 0; hour < 23; hour++) {
        later(HOUR);
        emit("b", "1", SEVERITY_INFO);
        CHECK_INT(flash_reports(), 0);
    }
    later(HOUR);
    CHECK_INT(flash_reports(), 1);
    later(23 * HOUR);
    later(HOUR);
    later(HOUR);
    CHECK_INT(flash_reports(), 0);
    close(flash.fd);
    unlink(flash_path);
}

static uint8_t image[1 << 16], next_spool[1 << 16];

/** Start with the part of the image that was written. Return: does it contain the report of losses? */
static bool start_with(struct spool *s, const char *path, size_t len)
{
    struct spool_item item;
    bool told = false;
    int fd = open(path, O_WRONLY | O_TRUNC);

    CHECK_INT(write(fd, image, len), len);
    close(fd);
    spool_init(s, next_spool, sizeof next_spool);
    flash = (struct spool_file){.least = SEVERITY_INFO, .cap = 1 << 16, .daily = 1 << 20};
    CHECK_INT(spool_file_open(&flash, s, fix.loop.clock, path, flash_buf, sizeof flash_buf), 0);
    close(flash.fd);
    for (size_t at = 0; spool_walk(s, &at, &item);)
        told |= memmem(item.event.line, item.event.len, "beacon.events_lost", 18) != NULL;
    return told;
}

/** The spool is full: the report displaces others. The power is cut while it is written. */
TEST(losses_stay_on_flash_until_reported)
{
    static char path[] = "/tmp/nefia-pipeline-XXXXXX";
    struct spool *spool = &fix.pipeline.spool, next;
    char subject[3] = "aa";

    fix_init();
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    flash = (struct spool_file){.least = SEVERITY_INFO, .cap = 1 << 16, .daily = 1 << 20};
    REQUIRE(spool_file_open(&flash, spool, fix.loop.clock, path, flash_buf, sizeof flash_buf) == 0);
    fix.pipeline.flash = &flash;
    for (; spool->lost_total[SEVERITY_WARNING] < 3; fix.clock.now_ms += 10000, subject[0]++)
        CHECK_INT(emit("fill", subject, SEVERITY_WARNING), PIPELINE_ACCEPTED);
    const uint32_t lost = spool->lost.count[SEVERITY_WARNING];
    const size_t before = (size_t)lseek(fd, 0, SEEK_END);
    CHECK_INT(flash.unreported_lost, lost);
    beacon_pipeline_report_lost(&fix.pipeline);
    const uint32_t since = spool->lost.count[SEVERITY_WARNING];
    CHECK(since > 0 && since < lost);
    CHECK_INT(flash.unreported_lost, since);
    close(flash.fd);
    const size_t len = (size_t)pread(fd, image, sizeof image, 0);
    close(fd);
    REQUIRE(len > before);
    for (size_t cut = before; cut <= len; cut++) {
        bool told = start_with(&next, path, cut);
        CHECK(told || next.lost.count[SEVERITY_WARNING] >= lost);
        CHECK(told || next.lost.first.seq == 1);
        CHECK(told == (cut == len) || next.lost.count[SEVERITY_WARNING] == lost + since);
    }
    CHECK_INT(next.lost.count[SEVERITY_WARNING], since);
    unlink(path);
}

TEST(raw_data_passes_as_it_is)
{
    struct pipeline_event e = {.type = "a", .source = "emit", .severity = SEVERITY_INFO};

    fix_init();
    beacon_pipeline_begin_raw(&fix.pipeline, "{\"k\":[1,2]}", 11);
    CHECK_INT(beacon_pipeline_end(&fix.pipeline, &e), PIPELINE_ACCEPTED);
    REQUIRE(fix_take());
    CHECK(fix_has(0, "\"data\":{\"k\":[1,2]},\"seq\":1"));
}

TEST_MAIN(event_reaches_the_spool_once_encoded, repetition_waits_for_the_window,
          change_is_no_repetition, rate_is_reported_after_its_minute, data_too_long_is_replaced,
          losses_are_counted_and_reported, losses_of_an_earlier_start_are_marked,
          events_not_kept_on_flash_are_reported_once_a_day, losses_stay_on_flash_until_reported,
          raw_data_passes_as_it_is)
