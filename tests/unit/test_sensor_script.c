#include "beacon_fixture.h"
#include "check.h"

/** A script says with SIGUSR1 that its time is over. */
static void on_signal(void *arg, int signo)
{
    if (signo == SIGUSR1)
        fix.clock.now_ms += 300;
    fix_signal(arg, signo);
}

/** Run one script to its end. */
static int run(const char *config)
{
    fix_init();
    fix_print_lines();
    loop_on_signal(&fix.loop, on_signal, &fix);
    int n = fix_once(config);
    if (n < 0)
        check_puts(fix.reports);
    return n;
}

#define SCRIPT(members) "{\"scripts\": [{\"name\": \"s\", \"interval\": \"1m\", " members "}]}"

TEST(success_is_silent_unless_asked)
{
    CHECK_INT(run(SCRIPT("\"command\": \"echo fine\"")), 1);
    CHECK_INT(fix.count, 0);
    CHECK_INT(run(SCRIPT("\"command\": \"echo fine\", \"always\": true")), 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"script.result\",\"source\":\"script-beacon\""));
    CHECK(fix_has(
        0, "\"severity\":\"info\",\"data\":{\"name\":\"s\",\"exit_code\":0,\"duration_ms\":"));
    CHECK(fix_has(0, "\"output\":\"fine\\n\"}"));
}

TEST(exit_status_gives_the_severity)
{
    CHECK_INT(run(SCRIPT("\"command\": \"exit 1\"")), 1);
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"name\":\"s\",\"exit_code\":1,"));
    CHECK_INT(run(SCRIPT("\"command\": \"echo out; echo err >&2; exit 2\"")), 1);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    CHECK(fix_has(0, "\"output\":\"out\\nerr\\n\""));
    CHECK_INT(run(SCRIPT("\"command\": \"exit 3\"")), 1);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    CHECK_INT(run(SCRIPT("\"command\": \"exit 255\"")), 1);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    CHECK_INT(run(SCRIPT("\"command\": \"exit 3\", \"severity\": \"warning\"")), 1);
    CHECK(fix_has(0, "\"severity\":\"warning\""));
    CHECK_INT(run(SCRIPT("\"command\": \"exit 1\", \"severity\": \"critical\"")), 1);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    CHECK_INT(run(SCRIPT("\"command\": \"/no/such/program\"")), 1);
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"name\":\"s\",\"exit_code\":127,"));
}

TEST(argv_goes_to_the_program_as_it_is)
{
    CHECK_INT(run(SCRIPT("\"argv\": [\"/bin/echo\", \"a  b\", \"$HOME\", \";\"], \"always\": true")),
              1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"exit_code\":0,"));
    CHECK(fix_has(0, "\"output\":\"a  b $HOME ;\\n\"}"));
    CHECK_INT(run(SCRIPT("\"argv\": \"/no/such/program\"")), 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"exit_code\":127"));
    CHECK(fix_has(0, "cannot run /no/such/program: "));
}

TEST(a_command_without_a_slot_is_not_measured)
{
    fix_init();
    fix_print_lines();
    for (unsigned i = 0; i < CONFIG_BEACON_CHILDREN; i++)
        fix.sensor_runner.output_used[i] = true;
    CHECK_INT(fix_once(SCRIPT("\"command\": \"true\"")), 1);
    const struct emitter *e = &sensor_runner_current(&fix.sensor_runner)->items[0];
    CHECK_INT(e->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(e->why, "too many commands are running") == e->why);
    CHECK_INT(e->failures, 0);
}

TEST(endless_script_ends_at_its_deadline)
{
    CHECK_INT(run(SCRIPT("\"command\": \"echo begun; kill -USR1 $PPID; while :; do :; done\", "
                         "\"timeout\": \"300ms\"")),
              1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"timed_out\":true"));
    CHECK(fix_has(0, "\"output\":\"begun\\n\""));
    CHECK(fix_has(0, "\"severity\":\"critical\""));
}

TEST(signal_is_reported)
{
    CHECK_INT(run(SCRIPT("\"command\": \"kill -9 $$\"")), 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"exit_code\":137,"));
    CHECK(fix_has(0, "\"signal\":9"));
    CHECK(fix_has(0, "\"severity\":\"critical\""));
}

/** One that ends with status 1 because of our SIGTERM has still not done its work. */
TEST(time_out_is_critical_whatever_the_exit_status)
{
    CHECK_INT(run(SCRIPT("\"command\": \"trap 'exit 1' TERM; kill -USR1 $PPID; while :; do :; done\", "
                         "\"timeout\": \"300ms\"")),
              1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"name\":\"s\",\"exit_code\":1,"));
    CHECK(fix_has(0, "\"timed_out\":true"));
}

TEST(ten_megabytes_are_bounded_and_marked)
{
    CHECK_INT(run(SCRIPT("\"command\": \"dd if=/dev/zero bs=10000 count=1000 2>/dev/null | tr "
                         "'\\\\0' x; exit 1\"")),
              1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"output_bytes\":10000000,\"truncated\":true"));
    CHECK(strlen(fix.printed[0]) > CONFIG_SCRIPT_OUTPUT_BYTES);
    CHECK(strlen(fix.printed[0]) < CONFIG_SCRIPT_OUTPUT_BYTES + 512);
}

TEST(hostile_output_stays_valid_and_bounded)
{
    CHECK_INT(
        run(SCRIPT("\"command\": \"head -c 4000 /dev/zero; printf '\\\\377\\\\\\\"'; exit 1\"")),
        1);
    REQUIRE(fix.count == 1);
    CHECK(strlen(fix.printed[0]) <= CONFIG_EVENT_BYTES);
    CHECK(fix_has(0, "\\u0000\\u0000"));
    CHECK(fix_has(0, "\"truncated\":true"));
    CHECK(utf8_valid(fix.printed[0], strlen(fix.printed[0])));
}

/** Neither a sensor that is due 200 ms earlier nor its own timer starts it anew, or makes it a failure. */
TEST(a_command_that_still_runs_is_no_failure)
{
    static const char config[] =
        "{\"scripts\": [{\"name\": \"a\", \"interval\": \"1200ms\", \"timeout\": \"1190ms\","
        " \"command\": \"trap '' TERM; while :; do sleep 1; done\"},"
        " {\"name\": \"b\", \"interval\": \"1s\", \"timeout\": \"900ms\", \"command\": \"true\"}]}";

    fix_init();
    loop_on_signal(&fix.loop, fix_signal, &fix);
    REQUIRE(fix_load(config) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    const struct emitter *e = sensor_runner_current(&fix.sensor_runner)->items;
    while (e[0].runs == 0 || e[1].runs == 0 || fix.sensor_runner.running > 1)
        loop_turn(&fix.loop, 100);
    fix.clock.now_ms += 1000;
    while (e[1].runs == 1 || fix.sensor_runner.running > 1)
        loop_turn(&fix.loop, 100);
    CHECK_INT(e[0].runs, 1);
    fix.clock.now_ms += 200;
    while (e[0].runs == 1)
        loop_turn(&fix.loop, 100);
    CHECK_INT(e[0].result, INSTANCE_RUNNING);
    CHECK_INT(e[0].failures, 0);
    CHECK_STR(e[0].why, "");
    sensor_runner_stop(&fix.sensor_runner);
    children_kill_all(&fix.children);
}

/** Their processes have been killed and not reaped yet. */
TEST(commands_that_a_reload_killed_leave_no_slot_at_once)
{
    static const char config[] = "{\"scripts\": [{\"name\": \"a\", \"command\": \"sleep 60\"},"
                                 " {\"name\": \"b\", \"command\": \"sleep 60\"}]}";

    fix_init();
    loop_on_signal(&fix.loop, fix_signal, &fix);
    REQUIRE(fix_load(config) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    for (unsigned i = 0; i < FIX_CHILDREN; i++)
        sensor_runner_run(&fix.items[fix.sensor_runner.current * CONFIG_BEACON_SENSORS + i]);
    CHECK_INT(fix.sensor_runner.running, FIX_CHILDREN);
    REQUIRE(fix_load(config) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    struct emitter *e = &fix.items[fix.sensor_runner.current * CONFIG_BEACON_SENSORS];
    sensor_runner_run(e);
    CHECK_INT(e->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(e->why, "too many commands are running") != NULL);
    CHECK_INT(e->failures, 0);
    children_kill_all(&fix.children);
    sensor_runner_run(e);
    CHECK_INT(e->result, INSTANCE_RUNNING);
    sensor_runner_stop(&fix.sensor_runner);
    children_kill_all(&fix.children);
}

TEST(mistakes_are_named)
{
    fix_refused(SCRIPT("\"x\": 1"), "beacons.scripts[0]");
    fix_refused(SCRIPT("\"command\": \"true\", \"timeout\": \"2m\""),
            "timeout must be shorter than interval");
    fix_refused("{\"scripts\": [{\"command\": \"true\"}]}", "beacons.scripts[0].name");
    fix_refused("{\"scripts\": [{\"name\": \"a\"}]}",
                "beacons.scripts[0]: one of command and argv is missing");
    fix_refused(SCRIPT("\"command\": \"true\", \"argv\": [\"/bin/true\"]"),
                "both command and argv are given");
    fix_refused(SCRIPT("\"argv\": [\"true\", \"/x\"]"), "argv does not begin with an absolute path");
    fix_refused(SCRIPT("\"argv\": [\"/bin/true\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", "
                       "\"8\"]"),
                "raise CONFIG_SCRIPT_ARGS");
    fix_refused("{\"scripts\": [{\"name\": \"a\", \"command\": \"true\"},\n{\"name\": \"a\", "
            "\"command\": \"true\"}]}",
            "t.json:2: beacons.scripts[1]: duplicate name \"a\"");
    fix_refused("{\"scripts\": {}}", "beacons.scripts");
    fix_refused(SCRIPT("\"command\": \"true\", \"severity\": \"criticl\""),
            "is not one of info, warning, critical");
}

TEST_MAIN(success_is_silent_unless_asked, exit_status_gives_the_severity,
          argv_goes_to_the_program_as_it_is, a_command_without_a_slot_is_not_measured,
          a_command_that_still_runs_is_no_failure, commands_that_a_reload_killed_leave_no_slot_at_once,
          endless_script_ends_at_its_deadline, time_out_is_critical_whatever_the_exit_status,
          signal_is_reported,
          ten_megabytes_are_bounded_and_marked, hostile_output_stays_valid_and_bounded,
          mistakes_are_named)
