#include <errno.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

#include "nefia/sys/pidfd.h"

static bool with_handles;    /* as from Linux 5.3 on */
static int ends[300];        /* by process id: the pipe that closes when it ends */
static unsigned handles_given;
static int last_handle;

int pidfd_open(pid_t pid)
{
    int both[2];

    if (!with_handles || pid >= 300) {
        errno = ENOSYS;
        return -1;
    }
    if (pipe2(both, O_CLOEXEC) < 0)
        return -1;
    if (ends[pid])
        close(ends[pid]);
    ends[pid] = both[1];
    handles_given++;
    last_handle = both[0];
    return both[0];
}

static void begin(void)
{
    fix_init();
    fix_print_lines();
    fake_root_begin();
    fake_root_put("/proc/1/stat", "1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 2 1000 300 9\n");
}

static void put_argv(int id, const char *argv)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/cmdline", id);
    fake_root_put(path, argv);
}

static void put_process(int id, const char *comm, char state, unsigned began, unsigned pages)
{
    char path[64], stat[256];

    snprintf(path, sizeof path, "/proc/%d/stat", id);
    snprintf(stat, sizeof stat,
             "%d (%s) %c 1 7 7 0 -1 4194560 177 0 0 0 3 1 0 0 20 0 1 0 %u 4771840 %u 18446744073709551615 0\n",
             id, comm, state, began, pages);
    fake_root_put(path, stat);
    put_argv(id, "");
}

static void put_descriptors(int id, int count)
{
    char path[64];

    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", id, i);
        fake_root_put(path, "");
    }
}

static void drop_process(int id)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/%d", id);
    fake_root_remove_all(path);
}

static struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

static void look(void)
{
    fix.count = 0;
    sensor_runner_run(sensor());
}

static void load(const char *configuration)
{
    REQUIRE(fix_load(configuration) == 0);
    sensor_runner_switch(&fix.sensor_runner);
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
    fake_root_end();
}

TEST(missing_is_a_condition)
{
    begin();
    put_process(40, "dnsmasq2", 'S', 5, 100);
    load("{\"process\": [{\"name\": \"dnsmasq\"}]}");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"process.missing\",\"source\":\"process-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"process\":\"dnsmasq\",\"count\":0}"));
    put_process(50, "dnsmasq", 'Z', 6, 0); /* has ended, and nobody has waited for it */
    look();
    CHECK_INT(fix.count, 1);
    put_process(50, "dnsmasq", 'R', 6, 100);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"process\":\"dnsmasq\",\"count\":1}"));
    look();
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(names)
{
    static const struct {
        const char *name, *comm, *argv;
        int found;
    } cases[] = {
        {"udhcpc", "busybox", "udhcpc", 1},
        {"udhcpc", "busybox", "/sbin/udhcpc", 1},
        {"udhcpc", "busybox", "/sbin/udhcpc6", 0},
        {"udhcpc", "busybox", "/udhcpc/", 0},
        {"udhcpc", "udhcpc", "", 1},
        {"a-very-long-name-indeed", "a-very-long-nam", "", 1},
        {"a-very-long-name-indeed", "a-very-long-name", "", 0},
        {"a-very-long-na", "a-very-long-nam", "", 0},
        {"nginx", "odd) S 1 (nginx", "", 0},
        {"odd) S 1 (x", "odd) S 1 (x", "", 1},
        {"init", "other", "", 1},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char configuration[128];
        begin();
        put_process(77, cases[i].comm, 'S', 1, 1);
        put_argv(77, cases[i].argv);
        snprintf(configuration, sizeof configuration, "{\"process\": [{\"name\": \"%s\"}]}", cases[i].name);
        load(configuration);
        look();
        CHECK_INT(fix.count, !cases[i].found);
        end();
    }
}

TEST(how_many)
{
    begin();
    put_process(11, "worker", 'S', 1, 1);
    load("{\"process\": [{\"name\": \"worker\", \"min\": 2, \"max\": 3}]}");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"process.count\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"process\":\"worker\",\"count\":1}"));
    put_process(12, "worker", 'S', 1, 1);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"data\":{\"state\":\"recovered\",\"process\":\"worker\",\"count\":2}"));
    put_process(13, "worker", 'S', 1, 1);
    put_process(14, "worker", 'S', 1, 1);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"count\":4}"));
    drop_process(11);
    drop_process(12);
    drop_process(13);
    drop_process(14);
    look();
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "process.missing"));
    CHECK(fix_has(1, "recovered"));
    end();
}

TEST(what_must_not_run)
{
    begin();
    load("{\"process\": [{\"name\": \"telnetd\", \"min\": 0, \"max\": 0}]}");
    look();
    CHECK_INT(fix.count, 0);
    put_process(30, "telnetd", 'S', 1, 1);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "process.count"));
    end();
}

TEST(proc_is_searched_on_loss_only)
{
    begin();
    put_process(20, "worker", 'S', 100, 1);
    load("{\"process\": [{\"name\": \"worker\", \"min\": 1, \"max_memory_kib\": 100000}]}");
    look();
    CHECK_INT(fix.count, 0);
    fake_root_remove("/proc/1/stat");
    fake_root_remove("/proc/1"); /* a search would find all hidden */
    look();
    CHECK_INT(sensor()->result, INSTANCE_OK);
    put_process(20, "worker", 'S', 101, 1); /* its id, but another process */
    look();
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/proc/1/stat: No such file or directory");
    CHECK_INT(fix.count, 0);
    put_process(20, "other", 'S', 101, 1);
    look();
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    put_process(1, "init", 'S', 2, 1);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "process.missing"));
    end();
}

TEST(with_a_limit_it_is_always_searched)
{
    begin();
    put_process(20, "worker", 'S', 100, 1);
    load("{\"process\": [{\"name\": \"worker\", \"max\": 1}]}");
    look();
    CHECK_INT(fix.count, 0);
    put_process(21, "worker", 'S', 200, 1);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"count\":2}"));
    end();
}

TEST(memory_and_descriptors_are_summed)
{
    const long kib = sysconf(_SC_PAGESIZE) / 1024;
    char text[160];

    begin();
    put_process(20, "worker", 'S', 100, 1000);
    put_process(21, "worker", 'S', 100, 2000);
    put_descriptors(20, 7);
    put_descriptors(21, 5);
    snprintf(text, sizeof text,
             "{\"process\": [{\"name\": \"worker\", \"max_memory_kib\": %ld, \"max_descriptors\": 11}]}",
             2999 * kib);
    load(text);
    snprintf(text, sizeof text, "\"severity\":\"warning\",\"data\":{\"process\":\"worker\",\"memory_bytes\":%ld}",
             3000 * 1024 * kib);
    for (int i = 0; i < 2; i++) { /* found by the search, then known */
        look();
        REQUIRE(fix.count == 2);
        CHECK(fix_has(0, text));
        CHECK(fix_has(1, "\"severity\":\"warning\",\"data\":{\"process\":\"worker\",\"descriptors\":12}"));
    }
    put_process(20, "worker", 'S', 100, 999);
    look();
    CHECK_INT(fix.count, 2); /* too near to it */
    put_process(20, "worker", 'S', 100, 1);
    fake_root_remove("/proc/21/fd/0");
    fake_root_remove("/proc/21/fd/1");
    look();
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "recovered"));
    CHECK(fix_has(1, "recovered"));
    put_process(20, "worker", 'S', 100, 999);
    look(); /* at the limits is within them */
    CHECK_INT(fix.count, 0);
    end();
}

TEST(descriptors_that_cannot_be_seen)
{
    begin();
    put_process(20, "worker", 'S', 100, 1000);
    fake_root_put("/proc/20/fd", ""); /* no directory: as one that is refused */
    load("{\"process\": [{\"name\": \"worker\", \"max_descriptors\": 12, \"max_memory_kib\": 100}]}");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "process.memory"));
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/proc/20/fd: Not a directory");
    end();
}

/** What the handles say counts: stat is read again only once one has ended, or where more is asked than whether they are there. */
TEST(handles)
{
    with_handles = true;
    handles_given = 0;
    begin();
    put_process(100, "worker", 'S', 5, 1);
    put_process(101, "worker", 'S', 5, 1);
    load("{\"process\": [{\"name\": \"worker\"}, {\"name\": \"worker2\", \"min\": 0, \"max\": 3}]}");
    look();
    CHECK_INT(handles_given, 2);
    drop_process(100); /* nobody looks */
    drop_process(101);
    look();
    CHECK_INT(fix.count, 0);
    close(ends[101]);
    ends[101] = 0;
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "process.missing"));
    put_process(102, "worker", 'S', 5, 1);
    look();
    CHECK(fix_has(0, "recovered"));
    CHECK_INT(handles_given, 3);
    CHECK(fcntl(last_handle, F_GETFD) >= 0);
    load("{\"process\": [{\"name\": \"worker\", \"max_memory_kib\": 100}]}");
    CHECK(fcntl(last_handle, F_GETFD) < 0);
    look();
    CHECK_INT(handles_given, 3);
    end();
    with_handles = false;
}

TEST(more_than_are_remembered)
{
    begin();
    for (int i = 0; i < CONFIG_PROCESS_IDS + 3; i++)
        put_process(100 + i, "worker", 'S', 100, 1);
    load("{\"process\": [{\"name\": \"worker\", \"min\": 11}]}");
    look();
    CHECK_INT(fix.count, CONFIG_PROCESS_IDS + 3 < 11);
    drop_process(100 + CONFIG_PROCESS_IDS + 2);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"process.count\""));
    end();
}

TEST(no_proc)
{
    begin();
    fake_root_remove("/proc/1/stat");
    fake_root_remove("/proc/1");
    fake_root_remove("/proc");
    load("{\"process\": [{\"name\": \"worker\"}]}");
    look();
    CHECK_INT(fix.count, 0);
    CHECK_STR(sensor()->why, "/proc/1/stat: No such file or directory");
    fake_root_put("/proc/1/stat", "1");
    fake_root_put("/proc/self/stat", "8 (worker) S 1 1"); /* what is no process */
    fake_root_put("/proc/7/stat", "7");
    fake_root_put("/proc/8/stat", "8 (worker");
    fake_root_put("/proc/9/stat", "9 )worker( S");
    fake_root_put("/proc/10/stat", "10 (worker)");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "process.missing"));
    end();
}

TEST(configurations)
{
    fix_refused("{\"process\": [{\"name\": \"a\", \"min\": 3, \"max\": 2}]}",
                "beacons.process[0]: min must not be above max");
    fix_refused("{\"process\": [{\"name\": \"a\"}, {\"name\": \"a\"}]}", "duplicate name");
    fix_refused("{\"process\": [{}]}", "name");
}

TEST_MAIN(missing_is_a_condition, names, how_many, what_must_not_run, proc_is_searched_on_loss_only,
          with_a_limit_it_is_always_searched, memory_and_descriptors_are_summed,
          descriptors_that_cannot_be_seen, handles, more_than_are_remembered, no_proc, configurations)
