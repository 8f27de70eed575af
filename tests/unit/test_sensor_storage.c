/* storage_assignment_drift, on mounts, exports and devices of the test's own. */
#include <errno.h>
#include <poll.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

#define ROOT "20 1 8:1 / / rw,relatime - ext4 /dev/root rw\n"
#define DATA "21 20 8:2 / /mnt/data rw,noatime shared:1 - ext4 /dev/sdb1 rw\n"
#define NAS "22 20 0:31 / /mnt/nas rw - nfs4 nas:/backup rw,vers=4.2\n"
#define EVENT "\"type\":\"system.storage_assignment_drift\",\"source\":\"storage_assignment_drift-beacon\""

static int answer; /* of /mnt/nas: 0, an errno, or -1: none */
static pid_t beacon;
static unsigned asked_here;

/* In place of the C library's. */
int statfs(const char *path, struct statfs *v)
{
    (void)path;
    asked_here += getpid() == beacon;
    while (answer < 0)
        pause();
    *v = (struct statfs){.f_bsize = 4096};
    errno = answer;
    return answer ? -1 : 0;
}

static int changed; /* the kernel's list of mounts, since it was last asked */

/* The kernel's list is a file here, of which poll(2) knows nothing. */
int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    const struct timespec wait = {timeout / 1000, timeout % 1000 * 1000000L};

    if (count != 1 || timeout != 0)
        return ppoll(fds, count, timeout < 0 ? NULL : &wait, NULL);
    const int had = changed;
    changed = 0;
    return had;
}

static struct emitter *storage(void)
{
    return &fix.sensor_runner.sets[fix.sensor_runner.current].items[0];
}

static void load(const char *item)
{
    char configuration[512];

    snprintf(configuration, sizeof configuration, "{\"storage_assignment_drift\": [{\"name\": \"a\", %s}]}", item);
    CHECK(fix_load(configuration) == 0);
    CHECK_STR(fix.reports, "");
    sensor_runner_switch(&fix.sensor_runner);
    timer_stop(&storage()->timer); /* the test says when */
}

static void begin(const char *item)
{
    memset(fake_devices, 0, sizeof fake_devices);
    answer = 0;
    beacon = getpid();
    asked_here = 0;
    fix_init();
    loop_on_signal(&fix.loop, fix_signal, &fix);
    fix_print_lines();
    fake_root_begin();
    fake_root_put("/dev/null", ""); /* standard input of children */
    load(item);
}

/** Look, and wait for what has to be waited for. */
static void look(void)
{
    fix.count = 0;
    sensor_runner_run(storage());
    for (int i = 0; i < 600 && fix.sensor_runner.running > 0; i++)
        loop_turn(&fix.loop, 100);
}

static void look_at(const char *mounts)
{
    fake_root_put("/proc/self/mountinfo", mounts);
    changed = 1;
    look();
}

/** One look at these mounts reports this, or nothing. */
static void expect(const char *item, const char *mounts, const char *data)
{
    begin(item);
    look_at(mounts);
    CHECK_INT(fix.count, data != NULL);
    if (data && !fix_has(0, data)) {
        CHECK_STR(fix.printed[0], data);
    }
    CHECK_INT(storage()->result, INSTANCE_OK);
    fake_root_end();
}

TEST(what_is_there_is_fine)
{
    expect("\"mount\": \"/mnt/data\"", ROOT DATA, NULL);
    expect("\"mount\": \"/\"", ROOT, NULL);
    expect("\"mount\": \"/mnt/data\", \"source\": \"/dev/sdb1\", \"type\": \"ext4\", \"root\": \"/\", \"writable\": true",
           ROOT DATA, NULL);
    expect("\"mount\": \"/mnt/nas\", \"source\": \"nas:/backup\", \"type\": \"nfs4\"", ROOT DATA NAS, NULL);
    expect("\"mount\": \"/mnt/my data\", \"source\": \"//s/a #b\"",
           ROOT "21 20 0:2 / /mnt/my\\040data rw - smb //s/a\\040\\043b rw\n", NULL);
}

TEST(missing)
{
    begin("\"mount\": \"/mnt/data\"");
    look_at(ROOT "21 20 8:2 / /mnt/data2 rw - ext4 /dev/sdb1 rw\n22 20 8:2 / /mnt rw - ext4 /dev/sdb2 rw\n");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, EVENT));
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"level\":\"critical\",\"name\":\"a\",\"path\":\"/mnt/data\","
                     "\"problem\":\"missing\"}"));
    look_at(ROOT DATA);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, EVENT));
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"name\":\"a\",\"path\":\"/mnt/data\"}"));
    look();
    CHECK_INT(fix.count, 0);
    fake_root_end();
}

TEST(mounts_are_read_when_they_have_changed)
{
    begin("\"mount\": \"/mnt/data\", \"source\": \"/dev/sdb1\"");
    look_at(ROOT DATA);
    changed = 0; /* since it was opened */
    fake_root_put("/proc/self/mountinfo", ROOT);
    look();
    CHECK_INT(fix.count, 0); /* the kernel has not said so */
    changed = 1;
    look();
    CHECK_INT(fix.count, 1);
    fake_root_put("/proc/self/mountinfo", ROOT DATA);
    look();
    CHECK_INT(fix.count, 1); /* what is not in order is looked at each time */
    fake_root_end();

    begin("\"mount\": \"/mnt/data\", \"writable\": true");
    look_at(ROOT DATA);
    fake_root_put("/proc/self/mountinfo", ROOT "21 20 8:2 / /mnt/data rw - ext4 /dev/sdb1 rw,emergency_ro\n");
    look(); /* an error on the disk changes no mount */
    CHECK_INT(fix.count, 1);
    fake_root_end();
}

TEST(wrong_ones)
{
    expect("\"mount\": \"/mnt/data\", \"source\": \"/dev/sdc1\"", ROOT DATA,
           "\"severity\":\"critical\",\"data\":{\"level\":\"critical\",\"name\":\"a\",\"path\":\"/mnt/data\","
           "\"problem\":\"wrong_source\",\"expected\":\"/dev/sdc1\",\"found\":\"/dev/sdb1\"}");
    expect("\"mount\": \"/mnt/nas\", \"source\": \"nas:/back\"", ROOT NAS, "\"found\":\"nas:/backup\"}");
    expect("\"mount\": \"/mnt/nas\", \"source\": \"nas:/backups\"", ROOT NAS, "\"found\":\"nas:/backup\"}");
    expect("\"mount\": \"/mnt/data\", \"type\": \"ext3\"", ROOT DATA,
           "\"severity\":\"warning\",\"data\":{\"level\":\"medium\",\"name\":\"a\",\"path\":\"/mnt/data\","
           "\"problem\":\"wrong_type\",\"expected\":\"ext3\",\"found\":\"ext4\"}");
    expect("\"mount\": \"/mnt/data\", \"root\": \"/b\"", ROOT "21 20 8:2 /b\\040c /mnt/data rw - ext4 /dev/sdb1 rw\n",
           "\"problem\":\"wrong_source\",\"expected\":\"/b\",\"found\":\"/b c\"}");
}

TEST(rights)
{
    static const char *const read_only[] = {
        "21 20 8:2 / /mnt/data ro - ext4 /dev/sdb1 rw\n",
        "21 20 8:2 / /mnt/data rw - ext4 /dev/sdb1 ro\n",
        "21 20 8:2 / /mnt/data rw - ext4 /dev/sdb1 rw,emergency_ro\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(read_only); i++) {
        expect("\"mount\": \"/mnt/data\", \"writable\": true", read_only[i],
               "\"severity\":\"critical\",\"data\":{\"level\":\"high\",\"name\":\"a\",\"path\":\"/mnt/data\","
               "\"problem\":\"read_only\",\"expected\":\"rw\",\"found\":\"ro\"}");
        expect("\"mount\": \"/mnt/data\", \"writable\": false", read_only[i], NULL);
        expect("\"mount\": \"/mnt/data\"", read_only[i], NULL);
    }
    expect("\"mount\": \"/mnt/data\", \"writable\": false", DATA,
           "\"level\":\"medium\",\"name\":\"a\",\"path\":\"/mnt/data\",\"problem\":\"writable\",\"expected\":\"ro\",\"found\":\"rw\"}");
}

TEST(what_hides_another)
{
    static const char item[] = "\"mount\": \"/mnt/data\", \"source\": \"/dev/sdb1\"";
    static const char over[] = "\"problem\":\"wrong_source\"", hidden[] = "\"problem\":\"missing\"";

    /* over it, whatever the order */
    expect(item, ROOT DATA "30 21 8:9 / /mnt/data rw - ext4 /dev/sdx rw\n", over);
    expect(item, ROOT "30 21 8:9 / /mnt/data rw - ext4 /dev/sdx rw\n" DATA, NULL); /* no kernel does */
    expect(item, ROOT "19 20 8:9 / /mnt/data rw - ext4 /dev/sdx rw\n21 19 8:2 / /mnt/data rw - ext4 /dev/sdb1 rw\n", NULL);
    /* over the directory that it is in */
    expect(item, ROOT DATA "30 20 8:9 / /mnt rw - ext4 /dev/sdx rw\n", hidden);
    expect(item, ROOT "30 20 8:9 / /mnt rw - ext4 /dev/sdx rw\n21 30 8:2 / /mnt/data rw - ext4 /dev/sdb1 rw\n", NULL);
    expect(item, ROOT "18 20 8:8 / /mnt rw - ext4 /dev/sdy rw\n21 18 8:2 / /mnt/data rw - ext4 /dev/sdb1 rw\n"
                      "30 20 8:9 / / rw - ext4 /dev/sdx rw\n", hidden);
    /* below it */
    expect(item, ROOT DATA "30 21 8:9 / /mnt/data/more rw - ext4 /dev/sdx rw\n", NULL);
    /* moved, as the first file systems of a start are: before what they are on now */
    expect(item, "18 20 8:8 / /mnt rw - ext4 /dev/sdy rw\n21 18 8:2 / /mnt/data rw - ext4 /dev/sdb1 rw\n" ROOT, NULL);
    expect(item, ROOT "21 30 8:2 / /mnt/data rw - ext4 /dev/sdb1 rw\n30 20 8:9 / /mnt rw - ext4 /dev/sdx rw\n", NULL);
    /* deeper than the sensor goes */
    expect(item, "1 0 8:2 / / rw - a b rw\n2 1 8:2 / / rw - a b rw\n3 2 8:2 / / rw - a b rw\n4 3 8:2 / / rw - a b rw\n"
                 "5 4 8:2 / / rw - a b rw\n6 5 8:2 / / rw - a b rw\n7 6 8:2 / / rw - a b rw\n8 7 8:2 / / rw - a b rw\n"
                 "9 8 8:2 / /mnt/data rw - ext4 /dev/sdb1 rw\n", hidden);
}

static void set_device(unsigned i, const char *path, dev_t number)
{
    fake_devices[i].path = path;
    fake_devices[i].number = number;
}

TEST(devices_have_several_names)
{
    static const char *const items[] = {
        "\"mount\": \"/mnt/data\", \"source\": \"/dev/mapper/x\"",
        "\"mount\": \"/mnt/data\", \"source\": \"UUID=1-2\"",
        "\"mount\": \"/mnt/data\", \"source\": \"PARTLABEL=1-2\"",
    };
    static const char *const paths[] = {"/dev/mapper/x", "/dev/disk/by-uuid/1-2", "/dev/disk/by-partlabel/1-2"};
    static const char btrfs[] = "21 20 0:44 / /mnt/data rw - btrfs /dev/sdb1 rw\n";

    for (size_t i = 0; i < ARRAY_SIZE(items); i++)
        for (int same = 0; same < 3; same++) {
            begin(items[i]);
            fake_root_put("/dev/disk/by-label/x", "");
            if (same < 2)
                set_device(0, paths[i], makedev(8, same ? 2 : 3));
            look_at(ROOT DATA);
            CHECK_INT(fix.count, same != 1);
            CHECK(same == 1 || fix_has(0, "\"problem\":\"wrong_source\""));
            set_device(1, "/dev/sdb1", makedev(8, 3));
            look_at(btrfs);
            CHECK(fix.count == 1 && fix_has(0, same ? "\"problem\":\"wrong_source\"" : "\"state\":\"recovered\""));
            CHECK_INT(storage()->result, INSTANCE_OK);
            fake_root_end();
        }
    /* who has no udev cannot know */
    begin(items[1]);
    look_at(ROOT DATA);
    CHECK_INT(fix.count, 0);
    CHECK_INT(storage()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(storage()->why, "/dev/disk/by-uuid/1-2: ") == storage()->why);
    fake_root_end();
}

TEST(a_server_that_does_not_answer_is_stale_in_time)
{
    begin("\"mount\": \"/mnt/nas\"");
    answer = ESTALE;
    look_at(ROOT NAS);
    CHECK_INT(fix.count, 0);
    CHECK_INT(storage()->result, INSTANCE_NOT_MEASURED);
    fix.clock.now_ms += 299999;
    look();
    CHECK_INT(fix.count, 0);
    load("\"mount\": \"/mnt/nas\""); /* a reload forgets nothing */
    fix.clock.now_ms += 1;
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"level\":\"high\",\"name\":\"a\",\"path\":\"/mnt/nas\","
                     "\"problem\":\"stale\",\"found\":\"Stale file handle\"}"));
    answer = 0;
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"state\":\"recovered\""));
    CHECK_INT(storage()->result, INSTANCE_OK);
    answer = EACCES; /* that is an answer, but to somebody who may not ask */
    fix.clock.now_ms += 600000;
    look();
    CHECK_INT(fix.count, 0);
    CHECK_INT(storage()->result, INSTANCE_NOT_MEASURED);
    CHECK_INT(asked_here, 0);
    fake_root_end();
}

TEST(one_that_hangs_is_asked_once)
{
    begin("\"mount\": \"/mnt/nas\", \"stale_for\": \"20s\"");
    answer = -1;
    fake_root_put("/proc/self/mountinfo", ROOT NAS);
    sensor_runner_run(storage());
    CHECK_INT(storage()->result, INSTANCE_RUNNING);
    for (int i = 0; i < 600 && fix.child_slots[0].result.output_len < 8; i++)
        loop_turn(&fix.loop, 100);
    fix.clock.now_ms += 10000;
    for (int i = 0; i < 600 && fix.sensor_runner.running > 0; i++)
        loop_turn(&fix.loop, 100);
    CHECK_INT(fix.count, 0);
    CHECK(strstr(storage()->why, strerror(ETIMEDOUT)));
    answer = 0; /* that one was killed, here */
    unsigned fine = 0;
    for (int i = 0; i < 600 && !fine; i++) {
        loop_turn(&fix.loop, 100);
        look();
        fine = storage()->result == INSTANCE_OK;
    }
    CHECK_INT(fine, 1);
    fake_root_end();
}

TEST(what_must_be_fresh)
{
    char fresh[128], item[256];

    begin("\"mount\": \"/mnt/data\"");
    snprintf(fresh, sizeof fresh, "%s/run/stamp", fake_root_dir);
    fake_root_put("/run/stamp", "");
    fake_root_put("/proc/self/mountinfo", ROOT DATA);
    snprintf(item, sizeof item, "\"mount\": \"/mnt/data\", \"fresh\": \"%s\", \"max_age\": \"1h\"", fresh);
    load(item);
    look();
    CHECK_INT(fix.count, 0);
    const struct timespec times[2] = {{.tv_sec = 1773156600}, {.tv_sec = 1773156600}};
    REQUIRE(utimensat(AT_FDCWD, fresh, times, 0) == 0);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"level\":\"medium\""));
    CHECK(fix_has(0, "\"problem\":\"outdated\",\"expected\":\"/tmp/"));
    CHECK(fix_has(0, "\"found\":\"2026-03-10T15:30:00Z\"}"));
    fake_root_remove("/run/stamp");
    look();
    CHECK(fix_has(0, "\"found\":\"No such file or directory\"}"));
    fake_root_put("/run/stamp", "");
    look();
    CHECK(fix_has(0, "\"state\":\"recovered\""));
    CHECK_INT(asked_here, 0);
    fake_root_end();
}

TEST(exports)
{
    static const char etab[] = "/srv/my\\040share\t10.0.0.0/24(rw,sync)\n/srv/share\t*(ro,sync)\n/srv/share\t@net(rw,sync)\n";
    static const struct {
        const char *item, *data;
    } cases[] = {
        {"\"export\": \"/srv/my share\"", NULL},
        {"\"export\": \"/srv/my share\", \"clients\": \"10.0.0.0/24\", \"writable\": true", NULL},
        {"\"export\": \"/srv/share\", \"clients\": \"@net\", \"writable\": true", NULL},
        {"\"export\": \"/srv/share\", \"clients\": \"*\", \"writable\": true", "\"problem\":\"wrong_clients\",\"expected\":\"*\",\"found\":\"@net\"}"},
        {"\"export\": \"/srv/my share\", \"writable\": false", "\"problem\":\"writable\",\"expected\":\"ro\",\"found\":\"rw\"}"},
        {"\"export\": \"/srv\"", "\"severity\":\"critical\",\"data\":{\"level\":\"high\",\"name\":\"a\",\"path\":\"/srv\",\"problem\":\"not_exported\"}"},
        {"\"export\": \"/srv/my share\", \"clients\": \"10.0.0.0/2\"",
         "\"level\":\"medium\",\"name\":\"a\",\"path\":\"/srv/my share\",\"problem\":\"wrong_clients\",\"expected\":\"10.0.0.0/2\",\"found\":\"10.0.0.0/24\"}"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (int kernel = 0; kernel < 2; kernel++) {
            begin(cases[i].item);
            fake_root_put("/proc/fs/nfsd/threads", "8\n");
            fake_root_put(kernel ? "/proc/fs/nfsd/exports" : "/var/lib/nfs/etab", etab);
            look();
            CHECK_INT(fix.count, cases[i].data != NULL);
            if (cases[i].data && !fix_has(0, cases[i].data)) {
                CHECK_STR(fix.printed[0], cases[i].data);
            }
            fake_root_end();
        }
    begin(cases[0].item);
    fake_root_put("/var/lib/nfs/etab", etab);
    look();
    CHECK(fix_has(0, "\"problem\":\"not_exported\",\"found\":\"no server\"}"));
    fake_root_put("/proc/fs/nfsd/threads", "8\n");
    look();
    CHECK(fix_has(0, "\"state\":\"recovered\""));
    fake_root_put("/proc/fs/nfsd/threads", "0\n");
    look();
    CHECK(fix_has(0, "\"found\":\"no server\"}"));
    fake_root_end();
}

TEST(lines_that_are_none)
{
    static const char *const lines[] = {
        "", "\n", " - ", "1 2 3 4 /mnt/data", "1 2 3 4 /mnt/data rw - ", "- - - - - - - - -\n", "1 0 3 4 /mnt/data\\ rw - a b c",
        "99999999999999999999 0 8:2 / /mnt/data\\000 rw - a b c\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        expect("\"mount\": \"/mnt/data\", \"type\": \"ext4\"", lines[i], i == 4 ? "\"wrong_type\"" : "\"missing\"");
    begin("\"mount\": \"/mnt/data\"");
    look();
    CHECK_INT(fix.count, 0);
    CHECK_INT(storage()->result, INSTANCE_NOT_MEASURED);
    fake_root_end();
    begin("\"export\": \"/srv\"");
    fake_root_put("/proc/fs/nfsd/threads", "1\n");
    look();
    CHECK_INT(fix.count, 0);
    CHECK_INT(storage()->result, INSTANCE_NOT_MEASURED);
    fake_root_put("/var/lib/nfs/etab", "/srv\n/srv(\n(\t\n\t(rw\n/srv\t(");
    look();
    CHECK_INT(fix.count, 0);
    fake_root_end();
    expect("\"mount\": \"/mnt/data\", \"type\": \"ext4\"", "1 0 8:2 / /mnt/data rw - \xff\xfe b rw\n",
           "\"found\":\"\xEF\xBF\xBD\xEF\xBF\xBD\"}");
}

TEST(mistakes_are_named)
{
    static const char *const items[] = {"mnt", "/mnt/", "/mnt/../x", "/mnt//x", "/./mnt"};
    char configuration[128];

    for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
        snprintf(configuration, sizeof configuration, "{\"storage_assignment_drift\": [{\"name\": \"a\", \"mount\": \"%s\"}]}", items[i]);
        fix_refused(configuration, "is not an absolute path");
    }
    fix_refused("{\"storage_assignment_drift\": [{\"name\": \"a\"}]}", "give mount or export");
    fix_refused("{\"storage_assignment_drift\": [{\"name\": \"a\", \"mount\": \"/a\", \"export\": \"/a\"}]}", "give mount or export");
    fix_refused("{\"storage_assignment_drift\": [{\"name\": \"a\", \"mount\": \"/a\", \"writable\": \"perhaps\"}]}", "writable");
    fix_refused("{\"storage_assignment_drift\": [{\"name\": \"a\", \"mount\": \"/a\", \"clients\": \"*\"}]}", "clients belongs to export");
    fix_refused("{\"storage_assignment_drift\": [{\"name\": \"a\", \"export\": \"/a\", \"type\": \"ext4\"}]}", "belong to mount");
}

TEST_MAIN(what_is_there_is_fine, missing, mounts_are_read_when_they_have_changed, wrong_ones, rights, what_hides_another, devices_have_several_names,
          a_server_that_does_not_answer_is_stale_in_time, one_that_hangs_is_asked_once, what_must_be_fresh, exports,
          lines_that_are_none, mistakes_are_named)
