/* What disk_usage does beyond how full a file system is, on file systems and mounts of the test's own. */
#include <errno.h>
#include <sys/statfs.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

#define ROOT "20 1 8:1 / / rw,relatime - ext4 /dev/root rw\n"

/** A file system as statfs(2) shows it; the longest path that fits counts. */
struct filesystem {
    const char *path;
    unsigned long files, free_files;
    int read_only, hangs, error;
};
static struct filesystem filesystems[4];
static pid_t beacon;
static unsigned asked_here; /* by the beacon itself, of those that may hang */

/* In place of the C library's. */
int statfs(const char *path, struct statfs *v)
{
    const struct filesystem *f = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(filesystems); i++)
        if (filesystems[i].path && strncmp(path, filesystems[i].path, strlen(filesystems[i].path)) == 0 &&
            (!f || strlen(filesystems[i].path) > strlen(f->path)))
            f = &filesystems[i];
    if (getpid() == beacon)
        asked_here++;
    while (f && f->hangs)
        pause();
    if (!f || f->error) {
        errno = f ? f->error : ENOENT;
        return -1;
    }
    *v = (struct statfs){.f_bsize = 4096,
                         .f_frsize = 4096,
                         .f_blocks = 1000,
                         .f_bfree = 900,
                         .f_bavail = 900,
                         .f_files = f->files,
                         .f_ffree = f->free_files,
                         .f_flags = f->read_only ? 0x21 : 0x20};
    return 0;
}

static struct emitter *disk(void)
{
    return &fix.sensor_runner.sets[fix.sensor_runner.current].items[0];
}

static void begin(const char *mounts)
{
    memset(filesystems, 0, sizeof filesystems);
    filesystems[0] = (struct filesystem){.path = "/", .files = 100, .free_files = 90};
    beacon = getpid();
    asked_here = 0;
    fix_init();
    loop_on_signal(&fix.loop, fix_signal, &fix);
    fix_print_lines();
    fake_root_begin();
    fake_root_put("/dev/null", ""); /* standard input of children */
    if (mounts)
        fake_root_put("/proc/self/mountinfo", mounts);
}

static void load(const char *configuration)
{
    CHECK(fix_load(configuration) == 0);
    sensor_runner_switch(&fix.sensor_runner);
    timer_stop(&disk()->timer); /* the test says when */
}

/** Look, and wait for what has to be waited for, as far as it answers. */
static void look(void)
{
    fix.count = 0;
    sensor_runner_run(disk());
    for (int i = 0; i < 600 && fix.sensor_runner.running > 0; i++)
        loop_turn(&fix.loop, 100);
}

TEST(inodes_run_out)
{
    begin(ROOT);
    filesystems[1] = (struct filesystem){.path = "/fat"};
    filesystems[2] = (struct filesystem){.path = "/odd", .files = 5, .free_files = 6};
    load("{\"disk_usage\": {\"paths\": [\"/\", \"/fat\", \"/odd\"]}}");
    look();
    CHECK_INT(fix.count, 0);
    filesystems[0].free_files = 20;
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"disk.inodes\",\"source\":\"disk-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"path\":\"/\",\"used_percent\":\"80.0\",\"total_inodes\":100,"
                     "\"free_inodes\":20}"));
    filesystems[0].free_files = 21; /* within the hysteresis */
    look();
    CHECK(fix_has(0, "\"severity\":\"warning\""));
    filesystems[0].free_files = 23;
    look();
    CHECK(fix_has(0, "\"state\":\"recovered\",\"path\":\"/\""));
    fake_root_end();
}

TEST(inodes_have_thresholds)
{
    begin(ROOT);
    load("{\"disk_usage\": {\"warning_inodes_percent\": 5, \"critical_inodes_percent\": 10}}");
    look();
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    fake_root_end();
    fix_refused("{\"disk_usage\": {\"warning_inodes_percent\": 90}}",
                "warning_inodes_percent must be below critical_inodes_percent");
}

TEST(what_turns_read_only)
{
    begin(ROOT);
    filesystems[1] = (struct filesystem){.path = "/rom", .read_only = 1};
    load("{\"disk_usage\": {\"paths\": [\"/\", \"/rom\"]}}");
    look();
    CHECK_INT(fix.count, 0);
    filesystems[0].read_only = 1;
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"disk.read_only\""));
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"path\":\"/\"}"));
    filesystems[0].read_only = 0;
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"path\":\"/\"}"));
    fake_root_end();
}

TEST(a_reload_remembers_what_was_writable)
{
    begin(ROOT);
    load("{\"disk_usage\": {}}");
    look();
    filesystems[0].read_only = 1;
    load("{\"disk_usage\": {\"paths\": [\"/rom\", \"/\"]}}");
    filesystems[1] = (struct filesystem){.path = "/rom", .read_only = 1};
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"disk.read_only\""));
    CHECK(fix_has(0, "\"path\":\"/\""));
    fake_root_end();
}

TEST(ext4_after_an_error)
{
    begin(ROOT "21 20 8:2 / /data\\040of\\040mine rw - ext4 /dev/b rw\n"
               "22 20 8:3 / /d rw - ext4 /dev/c rw,emergency_ro\n");
    load("{\"disk_usage\": {\"paths\": [\"/data of mine/x\"]}}");
    look();
    CHECK_INT(fix.count, 0);
    fake_root_put("/proc/self/mountinfo", "21 20 8:2 / /data\\040of\\040mine rw - ext4 /dev/b rw,emergency_ro\n" ROOT);
    for (int i = 0; i < 3 && fix.count == 0; i++) /* it is no change of mounts, which the kernel would tell */
        look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"disk.read_only\""));
    fake_root_remove("/proc/self/mountinfo"); /* that it cannot be read is no recovery */
    for (int i = 0; i < 4; i++) {
        look();
        REQUIRE(fix.count == 1);
        CHECK(!fix_has(0, "recovered"));
    }
    fake_root_put("/proc/self/mountinfo", "21 20 8:2 / /data\\040of\\040mine rw - ext4 /dev/b rw\n" ROOT);
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "recovered"));
    fake_root_end();
}

/** The kernel tells of mounts, and not that a directory on the way to one was renamed. */
TEST(network_file_system_below_a_renamed_directory)
{
    begin(ROOT "21 20 0:31 / /mnt/a/fs rw - nfs server:/ rw\n");
    load("{\"disk_usage\": {\"paths\": [\"/mnt/b/fs\"]}}");
    look();
    CHECK_INT(asked_here, 1);
    fake_root_put("/proc/self/mountinfo", ROOT "21 20 0:31 / /mnt/b/fs rw - nfs server:/ rw\n");
    look();
    CHECK_INT(asked_here, 1);
    fake_root_end();
}

/** How many paths the beacon measured itself. */
static unsigned asked_of(const char *mounts, const char *paths)
{
    char configuration[256];

    begin(mounts);
    snprintf(configuration, sizeof configuration, "{\"disk_usage\": {\"paths\": [%s]}}", paths);
    load(configuration);
    look();
    fake_root_end();
    CHECK_INT(disk()->result, mounts ? INSTANCE_OK : INSTANCE_NOT_MEASURED);
    return asked_here;
}

TEST(network_file_systems_are_known_by_their_mounts)
{
    static const char *const types[] = {"nfs",  "nfs4", "cifs",    "smb3",     "fuse.sshfs", "fuse", "9p",
                                        "ceph", "afs",  "autofs", "virtiofs", "fuseblk"};
    static const char *const local[] = {"ext4", "tmpfs", "overlay", "squashfs", "xnfs", "ubifs", "jffs2", "vfat"};
    char mounts[256];

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        snprintf(mounts, sizeof mounts, ROOT "21 20 0:31 / /mnt/a rw shared:1 master:2 - %s server:/ rw\n", types[i]);
        CHECK_INT(asked_of(mounts, "\"/\", \"/mnt\", \"/mnt/ab\", \"/mnt/a\", \"/mnt/a/b\""), 3);
    }
    for (size_t i = 0; i < ARRAY_SIZE(local); i++) {
        snprintf(mounts, sizeof mounts, ROOT "21 20 0:31 / /mnt/a rw - %s server:/ rw\n", local[i]);
        CHECK_INT(asked_of(mounts, "\"/mnt/a\""), 1);
    }
    /* the way to it leads over one */
    CHECK_INT(asked_of("21 20 0:31 / /n rw - nfs s:/ rw\n22 21 8:1 / /n/l rw - ext4 /dev/b rw\n", "\"/n/l\""), 0);
    CHECK_INT(asked_of("21 20 0:31 / / rw - nfs s:/ rw\n", "\"/\", \"/usr\""), 0);
    /* ways that do not lead where they seem to */
    CHECK_INT(asked_of(ROOT, "\"/usr/../tmp\", \"/usr//lib\", \"/\""), 1);
    CHECK_INT(asked_of(NULL, "\"/\""), 0); /* nobody knows */
}

TEST(lines_that_are_no_mounts)
{
    static const char *const lines[] = {
        "\n",    " - ",         "nfs", "1 2 3 4 / - nfs", "1 2 3 4", " - nfs a b", "1 2 3 4 /u\\ rw - nfs s:/ rw\n",
        "1 2 3 4 /usr\\000 rw - nfs s:/ rw\n", "1 2 3 4 /usr\\0 rw - nfs s:/ rw\n",
        "1 2 3 4 /usr\\777\\777\\777\\777\\777 rw - nfs s:/ rw\n", "1 2 3 4  rw - nfs s:/ rw\n"};

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        CHECK_INT(asked_of(lines[i], "\"/usr\""), i == 3 ? 0 : 1);
}

TEST(links_may_lead_anywhere)
{
    begin(ROOT);
    fake_root_put("/run/there/file", "");
    fake_root_link("/run/link", "there");
    load("{\"disk_usage\": {\"paths\": [\"/run/there\", \"/run/link\", \"/run/link/more\"]}}");
    look();
    CHECK_INT(asked_here, 1);
    fake_root_end();
}

static void wait_for_output(size_t bytes)
{
    for (int i = 0; i < 600 && fix.child_slots[0].result.output_len < bytes; i++)
        loop_turn(&fix.loop, 100);
    CHECK(fix.child_slots[0].result.output_len >= bytes);
}

static unsigned count_of(const char *part)
{
    unsigned count = 0;

    for (unsigned i = 0; i < fix.count; i++)
        count += (unsigned)fix_has(i, part);
    return count;
}

TEST(one_that_hangs_hides_no_other)
{
    enum { BEGUN = 12, ANSWER = 48 }; /* no more than the sensor's */

    begin(ROOT "21 20 0:31 / /gone rw - nfs s:/ rw\n22 20 0:32 / /well rw - nfs s:/ rw\n");
    filesystems[1] = (struct filesystem){.path = "/gone", .hangs = 1};
    filesystems[2] = (struct filesystem){.path = "/well", .files = 10, .free_files = 0};
    load("{\"disk_usage\": {\"paths\": [\"/gone\", \"/\", \"/well\"]}}");
    sensor_runner_run(disk());
    CHECK_INT(disk()->result, INSTANCE_RUNNING);
    CHECK_INT(asked_here, 1);
    wait_for_output(2 * BEGUN + ANSWER);
    fix.clock.now_ms += 10000;
    for (int i = 0; i < 600 && fix.sensor_runner.running > 0; i++)
        loop_turn(&fix.loop, 100);
    CHECK_INT(count_of("\"type\":\"disk.inodes\""), 1);
    CHECK_INT(count_of("\"path\":\"/gone\",\"state\":\"unreadable\",\"reason\":\""), 1);
    CHECK_INT(fix.count, 2);
    CHECK(strstr(disk()->why, "/gone: ") && strstr(disk()->why, strerror(ETIMEDOUT)));

    /* That process could be killed: it is asked again, and answers. */
    filesystems[1].hangs = 0;
    unsigned recovered = 0;
    for (int i = 0; i < 600 && !(recovered && disk()->result == INSTANCE_OK); i++) {
        loop_turn(&fix.loop, 100); /* until that process has ended; and on a busy machine one of the others may not answer in time */
        look();
        recovered += count_of("\"state\":\"recovered\",\"path\":\"/gone\"");
    }
    CHECK_INT(recovered, 1);
    CHECK_INT(disk()->result, INSTANCE_OK);
    fake_root_end();
}

TEST(errors_of_others_are_reported)
{
    begin(ROOT "21 20 0:31 / /stale rw - nfs s:/ rw\n");
    filesystems[1] = (struct filesystem){.path = "/stale", .error = ESTALE};
    load("{\"disk_usage\": {\"paths\": [\"/stale\"]}}");
    look();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"path\":\"/stale\",\"state\":\"unreadable\",\"reason\":\"Stale file handle\""));
    fake_root_end();
}

TEST_MAIN(inodes_run_out, inodes_have_thresholds, what_turns_read_only, a_reload_remembers_what_was_writable,
          ext4_after_an_error, network_file_system_below_a_renamed_directory,
          network_file_systems_are_known_by_their_mounts, lines_that_are_no_mounts, links_may_lead_anywhere, one_that_hangs_hides_no_other, errors_of_others_are_reported)
