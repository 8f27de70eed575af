#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"
#include "nefia/sys/clock.h"

/* SHA-256 of `{"heartbeat": {}}`, and the sums of those of the names below, from Python's hashlib. */
#define CONFIG_DIGEST "2e027ef0f462f79f9df24506f9497e25f8b86ccbab72b39c056522533414b7f6"
#define LONG_DIGEST "736ba0dcb2064bdbcc3f6923af8e310b02b153151cf48ed3b70e88f2be82b721"
#define TWO_MODULES "6c3dce427d106d007fe2d194b8e9b146e511a07d57056ecf218f85ed12cb6c6f"
#define THREE_MODULES "bf2b29e0af69091db4270e6326d29e2ec900e4b7549f0302a1fd8efbaee80048"

static const char configuration[] = "{\"heartbeat\": {}}";

/* In place of the C library's. */
int sysinfo(struct sysinfo *info)
{
    memset(info, 0xFF, sizeof *info);
    info->loads[0] = 5 << (SI_LOAD_SHIFT - 1);
    return 0;
}

int uname(struct utsname *name)
{
    memset(name, 0, sizeof *name);
    strcpy(name->release, "5.15.134");
    return 0;
}

static struct emitter *heartbeat(void)
{
    return &fix.sensor_runner.sets[fix.sensor_runner.current].items[0];
}

/** In a directory of its own, where the configuration is in a file, too. */
static void begin(void)
{
    fix_init();
    fix_print_lines();
    fake_root_begin();
    CHECK(chdir(fake_root_dir) == 0);
    fake_root_put("/proc/meminfo", "MemTotal: 100000 kB\nMemAvailable: 25000 kB\n");
    fake_root_put("/t.json", configuration);
}

static void end(void)
{
    CHECK(chdir("/") == 0);
    fake_root_end();
}

static void beat(void)
{
    fix.count = 0;
    sensor_runner_run(heartbeat());
    CHECK_INT(fix.count, 1);
}

TEST(it_says_what_there_is)
{
    begin();
    CHECK_INT(fix_once(configuration), 1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"instance.heartbeat\",\"source\":\"heartbeat-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"uptime_s\":100,\"load_1m\":\"2.5\","
                     "\"available_percent\":\"25.0\",\"available_bytes\":25600000,\"clock\":\""));
    CHECK(fix_has(0, "\"kernel\":\"5.15.134\",\"config_sha256\":\"" CONFIG_DIGEST "\"}"));
    CHECK_INT(heartbeat()->result, INSTANCE_OK); /* modules are not missed */
    end();
}

TEST(digests_are_there_when_they_changed)
{
    begin();
    fake_root_put("/proc/modules", "nf_conntrack 200704 1 - Live 0x00000000\ntun 61440 2 - Live 0x00000000\n");
    CHECK_INT(fix_once(configuration), 1);
    CHECK(fix_has(0, "\"config_sha256\":\"" CONFIG_DIGEST "\",\"modules_sha256\":\"" TWO_MODULES "\"}"));
    beat();
    CHECK(!fix_has(0, "_sha256"));
    fake_root_put("/proc/modules", "tun 61440 9 - Live 0x00000000\nnf_conntrack 1 1 - Live 0x00000000\n");
    beat();
    CHECK(!fix_has(0, "_sha256")); /* the same in another order */
    fake_root_put("/proc/modules", "ath9k 1 0 - Live 0x0\ntun 1 9 - Live 0x0\nnf_conntrack 1 1 - Live 0x0\n");
    beat();
    CHECK(fix_has(0, "\"modules_sha256\":\"" THREE_MODULES "\"}"));
    CHECK(!fix_has(0, "config_sha256"));
    end();
}

TEST(a_kernel_without_modules_is_asked_once)
{
    begin();
    REQUIRE(fix_load(configuration) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    fake_root_put("/proc/modules", "tun 1 1 - Live 0x0\n"); /* no kernel does that */
    beat();
    CHECK(!fix_has(0, "modules_sha256"));
    CHECK_INT(heartbeat()->result, INSTANCE_OK);
    REQUIRE(fix_load(configuration) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    beat();
    CHECK(fix_has(0, "modules_sha256"));
    fake_root_remove("/proc/modules"); /* one that has them lacks the list */
    beat();
    CHECK_STR(heartbeat()->why, "/proc/modules: No such file or directory");
    end();
}

TEST(a_reload_reports_what_it_changed)
{
    begin();
    fake_root_put("/proc/modules", "tun 1 1 - Live 0x0\n");
    REQUIRE(fix_load(configuration) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    beat();
    CHECK(fix_has(0, "config_sha256") && fix_has(0, "modules_sha256"));
    REQUIRE(fix_load(configuration) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    beat();
    CHECK(!fix_has(0, "_sha256"));
    fake_root_put("/t.json", "{\"heartbeat\": {} }"); /* the content counts, not what it means */
    REQUIRE(fix_load(configuration) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    beat();
    CHECK(fix_has(0, "config_sha256") && !fix_has(0, CONFIG_DIGEST) && !fix_has(0, "modules_sha256"));
    end();
}

TEST(a_configuration_of_some_length)
{
    char text[1301];

    memset(text, ' ', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, configuration, sizeof configuration - 1);
    begin();
    fake_root_put("/t.json", text);
    CHECK_INT(fix_once(configuration), 1);
    CHECK(fix_has(0, "\"config_sha256\":\"" LONG_DIGEST "\""));
    fake_root_remove("/t.json");
    fix_init();
    fix_print_lines();
    CHECK_INT(fix_once(configuration), 1);
    CHECK(!fix_has(0, "config_sha256")); /* it went after it was loaded */
    end();
}

TEST(neither_dedup_nor_rate_apply)
{
    begin();
    fix.pipeline.print = NULL;
    fix.pipeline.dedup.window_ms = 3600000;
    fix.pipeline.dedup.parts = DEDUP_ALL;
    rate_set_limit(&fix.pipeline.rate, 1);
    REQUIRE(fix_load(configuration) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    for (int i = 0; i < 4; i++) {
        sensor_runner_run(heartbeat());
        CHECK_INT(fix_take(), 1);
    }
    end();
}

TEST(digests_of_a_lost_heartbeat_come_again)
{
    begin();
    fix.pipeline.print = NULL;
    spool_init(&fix.pipeline.spool, fix.spool, 200); /* no event has room */
    REQUIRE(fix_load(configuration) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    sensor_runner_run(heartbeat());
    fix_print_lines();
    beat();
    CHECK(fix_has(0, "config_sha256"));
    end();
}

TEST(old_kernels)
{
    begin();
    fake_root_remove("/proc/meminfo");
    CHECK_INT(fix_once(configuration), 1);
    REQUIRE(fix.count == 1); /* all the same */
    CHECK(fix_has(0, "\"load_1m\"") && !fix_has(0, "available"));
    CHECK_STR(heartbeat()->why, "/proc/meminfo: No such file or directory");
    end();
}

TEST_MAIN(it_says_what_there_is, digests_are_there_when_they_changed, a_kernel_without_modules_is_asked_once, a_reload_reports_what_it_changed,
          a_configuration_of_some_length, neither_dedup_nor_rate_apply,
          digests_of_a_lost_heartbeat_come_again, old_kernels)
