#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"
#include "nefia/sys/file.h"

static const char plain[] = "{\"reboot\": {}}", none[] = "{}";
static const char first[] = "5d1b2f3e-0c6a-4d8e-9f10-1122334455a1\n", second[] = "0e7c9a55-8b1f-4f02-a3b4-99887766550b\n",
                  third[] = "93f1d9c0-77aa-4b3c-8d5e-0123456789ab\n";

/** A kernel with nothing to say, and with a place to keep things. */
static void begin(void)
{
    fake_root_begin();
}

static struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

/** The beacon starts in this start of the kernel. */
static void start(const char *boot_id, const char *state_dir)
{
    fix_init();
    fix_print_lines();
    fake_root_put("/proc/sys/kernel/random/boot_id", boot_id);
    fix.sensor_runner.state_dir = state_dir;
    REQUIRE(fix_load(plain) == 0);
    sensor_runner_switch(&fix.sensor_runner);
}

static void start_and_look(const char *boot_id, const char *state_dir)
{
    start(boot_id, state_dir);
    sensor_runner_run(sensor());
}

static void stop(void)
{
    sensor_runner_stop(&fix.sensor_runner);
}

static void reload(const char *configuration)
{
    REQUIRE(fix_load(configuration) == 0);
    sensor_runner_switch(&fix.sensor_runner);
}

static int is_quiet(void)
{
    return fix.count == 0 && sensor()->result == INSTANCE_OK;
}

static int says(const char *reason, const char *severity)
{
    char want[128];

    snprintf(want, sizeof want, "\"severity\":\"%s\",\"data\":{\"reason\":\"%s\"}", severity, reason);
    return fix.count == 1 && fix_has(0, "\"type\":\"reboot.unexpected\",\"source\":\"reboot-beacon\"") &&
           fix_has(0, want);
}

TEST(the_first_start_knows_nothing)
{
    begin();
    start_and_look(first, fake_root_dir);
    CHECK_INT(fix.count, 0);
    CHECK_STR(sensor()->why, "state_dir: no mark of an earlier start");
    sensor_runner_run(sensor());
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    stop();
    start_and_look(first, fake_root_dir); /* the beacon alone */
    CHECK(is_quiet());
    stop();
    fake_root_end();
}

TEST(an_orderly_one_is_none)
{
    begin();
    start_and_look(first, fake_root_dir);
    stop();
    start_and_look(second, fake_root_dir);
    CHECK(is_quiet());
    stop();
    start_and_look(third, fake_root_dir);
    CHECK(is_quiet());
    fake_root_end();
}

TEST(without_a_stop_it_is_unexpected)
{
    begin();
    start_and_look(first, fake_root_dir);
    start_and_look(second, fake_root_dir);
    CHECK(says("unknown", "warning"));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    sensor_runner_run(sensor());
    CHECK_INT(fix.count, 1);
    start_and_look(second, fake_root_dir); /* the beacon was killed */
    CHECK(is_quiet());
    start(third, fake_root_dir);
    start_and_look(first, fake_root_dir); /* gone before it could look */
    CHECK(says("unknown", "warning"));
    fake_root_end();
}

TEST(a_beacon_that_runs_again_is_not_stopped)
{
    begin();
    start_and_look(first, fake_root_dir);
    stop();
    start_and_look(first, fake_root_dir);
    start_and_look(second, fake_root_dir);
    CHECK(says("unknown", "warning"));
    fake_root_end();
}

TEST(a_stop_before_the_first_look)
{
    begin();
    start_and_look(first, fake_root_dir);
    start(second, fake_root_dir);
    stop(); /* and nobody has been told of the crash before */
    start_and_look(second, fake_root_dir);
    CHECK(says("unknown", "warning"));
    stop();
    start(third, fake_root_dir);
    stop();
    start_and_look(first, fake_root_dir);
    CHECK(is_quiet());
    start(first, fake_root_dir); /* killed, started and stopped again */
    stop();
    start_and_look(second, fake_root_dir);
    CHECK(is_quiet());
    fake_root_end();
}

TEST(a_reload_is_no_stop)
{
    begin();
    start_and_look(first, fake_root_dir);
    reload("{\"reboot\": {\"interval\": \"2h\"}}");
    CHECK_INT(sensor()->common->interval_ms, 7200000);
    start(second, fake_root_dir);
    reload(plain); /* before the first look */
    sensor_runner_run(sensor());
    CHECK(says("unknown", "warning"));
    reload(plain);
    sensor_runner_run(sensor());
    CHECK_INT(fix.count, 1);
    stop();
    start_and_look(third, fake_root_dir);
    CHECK(is_quiet());
    reload(none); /* nobody watches any more */
    start_and_look(first, fake_root_dir);
    CHECK(is_quiet());
    fake_root_end();
}

TEST(what_the_rate_held_back_is_told_later)
{
    begin();
    start_and_look(first, fake_root_dir);
    start(second, fake_root_dir);
    fix.pipeline.print = NULL;
    rate_set_limit(&fix.pipeline.rate, 1);
    for (int i = 0; i < 8 && beacon_pipeline_begin(&fix.pipeline); i++) {
        struct pipeline_event e = {.type = "x", .source = "y", .severity = SEVERITY_CRITICAL, .change = true};
        beacon_pipeline_end(&fix.pipeline, &e);
    }
    while (fix_take())
        ;
    sensor_runner_run(sensor());
    CHECK_INT(fix_take(), 0);
    fix.clock.now_ms += 3600 * 1000;
    sensor_runner_run(sensor());
    REQUIRE(fix_take());
    while (!fix_has(0, "reboot.unexpected") && fix_take())
        ;
    CHECK(fix_has(0, "reboot.unexpected"));
    fake_root_end();
}

TEST(watchdogs_give_the_reason)
{
    static const struct {
        const char *status, *reason, *severity;
    } cases[] = {
        {"0\n", "unknown", "warning"},        {"32\n", "watchdog", "critical"},
        {"1\n", "overheat", "critical"},      {"16\n", "undervoltage", "critical"},
        {"64\n", "overvoltage", "critical"},  {"2\n", "fan", "critical"},
        {"8\n", "external", "critical"},      {"33152\n", "unknown", "warning"}, /* what it can do */
        {"nonsense\n", "unknown", "warning"}, {"4294967295\n", "unknown", "warning"},
        {"-1\n", "unknown", "warning"},      {"\n", "unknown", "warning"},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        fake_root_put("/sys/class/watchdog/watchdog0/bootstatus", "0\n");
        fake_root_put("/sys/class/watchdog/watchdog1/bootstatus", cases[i].status);
        start_and_look(first, fake_root_dir);
        fix.count = 0;
        start_and_look(second, fake_root_dir);
        CHECK(says(cases[i].reason, cases[i].severity));
        stop();
        start_and_look(third, fake_root_dir); /* many restart by it in order */
        CHECK(is_quiet());
        fake_root_end();
    }
}

TEST(crash_records_give_the_reason)
{
    begin();
    start_and_look(first, fake_root_dir);
    fake_root_put("/sys/fs/pstore/console-ramoops-0", "Panic#1 Part1\nno record\n");
    start_and_look(second, fake_root_dir);
    CHECK(says("unknown", "warning"));
    fake_root_put("/sys/fs/pstore/dmesg-ramoops-0", "Oops#1 Part1\n<4>[   12.3] BUG\n");
    start_and_look(third, fake_root_dir);
    CHECK(says("oops", "critical"));
    start_and_look(first, fake_root_dir); /* the record is still there, and known */
    CHECK(says("unknown", "warning"));
    fake_root_put("/sys/fs/pstore/dmesg-ramoops-1", "Panic#1 Part1\n<0>[   99.1] Kernel panic\n");
    fake_root_put("/sys/class/watchdog/watchdog0/bootstatus", "32\n");
    start_and_look(second, fake_root_dir);
    CHECK(says("panic", "critical"));
    stop();
    start_and_look(third, fake_root_dir);
    CHECK(is_quiet());
    stop();
    /* After the stop: a panic all the same. */
    fake_root_put("/sys/fs/pstore/dmesg-ramoops-1", "Panic#1 Part1\n<0>[   12.7] Kernel panic\n");
    start_and_look(first, fake_root_dir);
    CHECK(says("panic", "critical"));
    stop();
    fake_root_remove("/sys/fs/pstore/dmesg-ramoops-0");
    fake_root_remove("/sys/fs/pstore/dmesg-ramoops-1");
    start_and_look(second, fake_root_dir);
    CHECK(is_quiet());
    fake_root_end();
}

/** Much longer than the buffer that sensors share. */
TEST(long_crash_records)
{
    static char record[3 * CONFIG_EVENT_BYTES];

    begin();
    start_and_look(first, fake_root_dir);
    memset(record, 'x', sizeof record - 1);
    memcpy(record, "Panic#1 Part1\n", 14);
    fake_root_put("/sys/fs/pstore/dmesg-ramoops-0", record);
    start_and_look(second, fake_root_dir);
    CHECK(says("panic", "critical"));
    stop();
    start_and_look(third, fake_root_dir);
    CHECK(is_quiet());
    fake_root_end();
}

TEST(socs_give_the_reason)
{
    static const char soc[] = "/sys/bus/platform/devices/f8048000.reset/power_on_reason";

    begin();
    start_and_look(first, fake_root_dir);
    fake_root_put("/sys/bus/platform/devices/f8048000.serial/uevent", "");
    fake_root_put(soc, "brown-out reset\n");
    start_and_look(second, fake_root_dir);
    CHECK(says("brown-out reset", "warning"));
    fake_root_put(soc, "\xff \"what nobody knows\n");
    start_and_look(third, fake_root_dir);
    CHECK(fix.count == 1 && fix_has(0, "\"reason\":\"\xEF\xBF\xBD \\\"what nobody knows\""));
    fake_root_put(soc, "");
    start_and_look(first, fake_root_dir);
    CHECK(says("unknown", "warning"));
    fake_root_remove(soc);
    fake_root_put("/sys/bus/platform/devices/7000e400.pmc/reset_reason", "SENSOR\n");
    start_and_look(second, fake_root_dir);
    CHECK(says("SENSOR", "warning"));
    fake_root_end();
}

TEST(without_state_only_the_kernel_counts)
{
    begin();
    start_and_look(first, "");
    CHECK_INT(fix.count, 0);
    CHECK_STR(sensor()->why, "state_dir: no mark of an earlier start");
    fake_root_put("/sys/class/watchdog/watchdog0/bootstatus", "32\n");
    start_and_look(second, NULL);
    CHECK(says("watchdog", "critical"));
    sensor_runner_run(sensor());
    CHECK_INT(fix.count, 1);
    fix.count = 0;
    start(second, NULL); /* the beacon alone, hours later: the status is still there */
    fix.clock.now_ms = 3 * 3600 * 1000;
    sensor_runner_run(sensor());
    CHECK_INT(fix.count, 0);
    fake_root_put("/sys/class/watchdog/watchdog0/bootstatus", "0\n");
    fake_root_put("/sys/fs/pstore/dmesg-efi-1", "Panic#1 Part1\n");
    start_and_look(third, NULL);
    CHECK(says("panic", "critical"));
    fake_root_end();
}

TEST(crash_records_that_cannot_be_read)
{
    begin();
    start_and_look(first, fake_root_dir);
    fake_root_put("/sys/fs/pstore", ""); /* no directory: as one that is refused */
    start_and_look(second, fake_root_dir);
    CHECK(says("unknown", "warning"));
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/sys/fs/pstore: Not a directory");
    stop();
    start_and_look(third, fake_root_dir);
    CHECK_INT(fix.count, 0);
    fake_root_end();
}

TEST(once_writes_nothing)
{
    uint64_t before = 0, after = 0;

    begin();
    start_and_look(first, fake_root_dir);
    CHECK_INT(state_load_u64(fake_root_dir, "reboot-mark", &before), 0);
    fix_init();
    fix_print_lines();
    fake_root_put("/proc/sys/kernel/random/boot_id", second);
    fix.sensor_runner.state_dir = fake_root_dir;
    CHECK_INT(fix_once(plain), 1);
    CHECK(says("unknown", "warning"));
    stop();
    CHECK_INT(state_load_u64(fake_root_dir, "reboot-mark", &after), 0);
    CHECK(before == after);
    fake_root_end();
}

TEST(a_damaged_mark)
{
    char path[96];

    begin();
    start_and_look(first, fake_root_dir);
    snprintf(path, sizeof path, "%s/reboot-mark", fake_root_dir);
    int fd = open(path, O_WRONLY | O_TRUNC);
    REQUIRE(fd >= 0 && write(fd, "12", 2) == 2 && close(fd) == 0);
    start_and_look(second, fake_root_dir);
    CHECK_INT(fix.count, 0);
    CHECK_STR(sensor()->why, "state_dir: no mark of an earlier start");
    start_and_look(third, fake_root_dir);
    CHECK(says("unknown", "warning"));
    fake_root_end();
}

/** All starts would look like one, and none would be unexpected. */
TEST(without_a_boot_id_it_is_not_measured)
{
    uint64_t mark;

    begin();
    fix_init();
    fix_print_lines();
    fix.sensor_runner.state_dir = fake_root_dir;
    REQUIRE(fix_start(plain) == 1);
    sensor_runner_run(sensor());
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/proc/sys/kernel/random/boot_id: No such file or directory");
    stop();
    CHECK(state_load_u64(fake_root_dir, "reboot-mark", &mark) < 0);
    fake_root_end();
}

TEST_MAIN(the_first_start_knows_nothing, an_orderly_one_is_none, without_a_stop_it_is_unexpected,
          a_beacon_that_runs_again_is_not_stopped, a_stop_before_the_first_look, a_reload_is_no_stop,
          what_the_rate_held_back_is_told_later, watchdogs_give_the_reason, crash_records_give_the_reason,
          long_crash_records, socs_give_the_reason, without_state_only_the_kernel_counts,
          crash_records_that_cannot_be_read, once_writes_nothing, a_damaged_mark,
          without_a_boot_id_it_is_not_measured)
