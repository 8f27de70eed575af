#include <errno.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

/* /dev/kmsg as the kernel has it: each read is one record, or an error. What a test adds after it has begun is
 * new; a seek to the end passes over what is there. */
enum { RECORDS = 200 };
static struct {
    const char *text; /* null: an error */
    int error;
    size_t len;
} log_[RECORDS];
static unsigned log_len, log_at, reads;
static int readable; /* keeps it so: what is read of it is what tests say */

static bool is_kmsg(int fd)
{
    struct stat file, wanted;

    return fake_root_dir[0] && fstat(fd, &file) == 0 && stat(fake_root_of("/dev/kmsg"), &wanted) == 0 &&
           file.st_ino == wanted.st_ino && file.st_dev == wanted.st_dev;
}

ssize_t read(int fd, void *buf, size_t cap)
{
    if (!is_kmsg(fd))
        return syscall(SYS_read, fd, buf, cap);
    reads++;
    errno = log_at == log_len ? EAGAIN : log_[log_at].error;
    if (log_at == log_len)
        return -1;
    const size_t len = log_[log_at].len;
    const char *text = log_[log_at++].text;
    if (!text)
        return -1;
    if (len > cap) {
        errno = EINVAL; /* and it is gone */
        return -1;
    }
    memcpy(buf, text, len);
    return (ssize_t)len;
}

off_t lseek(int fd, off_t offset, int whence)
{
    CHECK(is_kmsg(fd) && offset == 0 && whence == SEEK_END);
    log_at = log_len;
    return 0;
}

static void says(const char *record)
{
    log_[log_len].text = record;
    log_[log_len++].len = strlen(record);
}

static void fails(int error)
{
    log_[log_len].text = NULL;
    log_[log_len++].error = error;
}

static void put_kmsg(void)
{
    fake_root_put("/dev/kmsg", "");
    fake_root_remove("/dev/kmsg");
    CHECK(mkfifo(fake_root_of("/dev/kmsg"), 0600) == 0);
    readable = open(fake_root_of("/dev/kmsg"), O_RDWR | O_CLOEXEC);
    CHECK(write(readable, "", 1) == 1);
}

static void begin(void)
{
    fix_init();
    log_len = log_at = reads = 0;
    fake_root_begin();
    put_kmsg();
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
    fake_root_end();
    close(readable);
}

/** What of this record is reported; one event at most. */
static const char *told(const char *record, const char *configuration)
{
    begin();
    fix_print_lines();
    CHECK(fix_start(configuration) == 1);
    says(record);
    fix_turn(0);
    end();
    CHECK(fix.count <= 1);
    return fix.count ? strstr(fix.printed[0], "\"type\"") : NULL;
}

static bool is(const char *record, const char *type)
{
    const char *event = told(record, "{\"kernel_log\": {}}");

    return event && strstr(event, type);
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

#define OOM "\"kernel.oom_kill\",\"source\":\"kernel-beacon\""
#define DISK "\"kernel.io_error\""
#define FS "\"kernel.filesystem_error\""
#define FIRMWARE "\"kernel.firmware_crash\""
TEST(what_kernels_say_of_their_troubles)
{
    /* Recorded: Linux 6.1, 5.15 in a cgroup, and 4.14, which says it in two lines. */
    CHECK(is("3,1044,93124785,-;Out of memory: Killed process 1234 (uhttpd) total-vm:102400kB, "
             "anon-rss:65000kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:140kB oom_score_adj:0\n", OOM));
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"message\":\"Out of memory: Killed process 1234 "
                     "(uhttpd) total-vm:"));
    CHECK(is("3,5,6,-;Memory cgroup out of memory: Killed process 9 (a b) total-vm:1kB, anon-rss:2kB\n", OOM));
    CHECK(!is("3,5,6,-;Out of memory: Kill process 9 (a) score 865 or sacrifice child\n", ""));
    CHECK(is("3,6,7,-;Killed process 9 (a) total-vm:1kB, anon-rss:2kB, file-rss:0kB\n", OOM));
    CHECK(!is("6,6,7,-;oom_reaper: reaped process 9 (a), now anon-rss:0kB, file-rss:0kB\n", ""));

    CHECK(is("3,1,2,-;blk_update_request: I/O error, dev mmcblk0, sector 1234 op 0x0:(READ)\n", DISK));
    CHECK(is("3,1,2,-;I/O error, dev sda, sector 2048 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2\n"
             " SUBSYSTEM=block\n DEVICE=b8:0\n", DISK));
    CHECK(fix_has(0, "prio class 2\"}"));
    CHECK(is("3,1,2,-;Buffer I/O error on dev sda1, logical block 0, lost async page write\n", DISK));
    CHECK(is("3,1,2,-;critical medium error, dev sda, sector 8 op 0x0:(READ) flags 0x0\n", DISK));
    CHECK(is("3,1,2,-;mmcblk0: error -110 transferring data, sector 1, nr 8\n", DISK));
    CHECK(is("3,1,2,-;ubi0 error: ubi_io_read: error -74 (ECC error) while reading 4096 bytes\n", DISK));

    CHECK(is("3,1,2,-;UBIFS error (ubi0:1 pid 1234): ubifs_check_node: bad CRC\n", FS));
    CHECK(is("3,1,2,-;jffs2: error: (1234) jffs2_get_inode_nodes: bad node\n", FS));
    CHECK(is("2,1,2,-;EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading dir\n", FS));
    CHECK(is("2,1,2,-;EXT4-fs (sda1): Remounting filesystem read-only\n", FS));
    CHECK(!is("6,1,2,-;EXT4-fs (sda1): mounted filesystem with ordered data mode\n", ""));
    CHECK(is("3,1,2,-;F2FS-fs (mmcblk0p3): inconsistent node block, nid:4\n", FS));
    CHECK(!is("5,1,2,-;F2FS-fs (mmcblk0p3): Mounted with checkpoint version = 4a\n", ""));
    CHECK(is("3,1,2,-;BTRFS error (device sda1): parent transid verify failed\n", FS));
    CHECK(is("2,1,2,-;BTRFS: error (device sda1) in btrfs_commit_transaction: errno=-5 IO failure\n", FS));
    CHECK(is("3,1,2,-;SQUASHFS error: xz decompression failed, data probably corrupt\n", FS));

    CHECK(is("3,1,2,-;ath10k_pci 0000:01:00.0: firmware crashed! (guid 1234)\n", FIRMWARE));
    CHECK(fix_has(0, "\"severity\":\"warning\""));
    CHECK(is("3,1,2,-;ieee80211 phy0: brcmf_psm_watchdog: Firmware has halted or crashed\n", FIRMWARE));
    CHECK(is("3,1,2,-;iwlwifi 0000:02:00.0: Microcode SW error detected. Restarting 0x2000000.\n", FIRMWARE));
    CHECK(!is("6,1,2,-;usb 1-1: new high-speed USB device number 2 using xhci_hcd\n", ""));
}

/** Programs write into this log, too, but not as the kernel: their facility is not 0. */
TEST(programs_cannot_speak_for_the_kernel)
{
    CHECK(!is("11,1,2,-;Out of memory: Killed process 1 (init) total-vm:1kB\n", ""));
    CHECK(!is("18446744073709551615,1,2,-;I/O error, dev sda, sector 1\n", ""));
}

#define OWN(pattern, more) "{\"kernel_log\": {\"patterns\": [{\"name\": \"mine\", \"pattern\": \"" pattern "\"" more "}]}}"
TEST(own_patterns_come_first)
{
    const char *event = told("30,7,8,-;procd: Instance dnsmasq::a s in a crash loop\n", OWN("dnsmasq*crash", ""));
    REQUIRE(event != NULL);
    CHECK(fix_has(0, "\"type\":\"kernel.log\",\"source\":\"kernel-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"name\":\"mine\",\"message\":\"procd: Instance dnsmasq::a"));
    CHECK(!told("30,7,8,-;procd: Instance odhcpd::a\n", OWN("dnsmasq*crash", "")));
    CHECK(told("3,7,8,-;I/O error, dev sr0, sector 1\n", OWN("dev sr?,", ", \"severity\": \"info\"")));
    CHECK(fix_has(0, "\"type\":\"kernel.log\"") && fix_has(0, "\"severity\":\"info\""));
    CHECK(told("3,7,8,-;I/O error, dev sda, sector 1\n", OWN("dev sr?,", "")));
    CHECK(fix_has(0, DISK));
}

TEST(configurations_that_are_refused)
{
    fix_refused("{\"kernel_log\": {\"patterns\": [{\"name\": \"a\"}]}}",
                "beacons.kernel_log.patterns[0].pattern: missing");
    fix_refused(OWN("a", ", \"severity\": \"bad\""), "beacons.kernel_log.patterns[0].severity: \"bad\" is not one of");
    fix_refused(OWN("", ""), "beacons.kernel_log.patterns[0].pattern");
}

TEST(escapes_are_bytes_again)
{
    CHECK(told("6,7,8,-;a\\x0ab \\xc3\\xa4\\x5cx41 \\xff \\xg1 \\x\n KEY=x\n", OWN("b ??\\\\x41", "")));
    CHECK(fix_has(0, "\"message\":\"a\\nb \xc3\xa4\\\\x41 \xef\xbf\xbd \\\\xg1 \\\\x\""));
}

TEST(what_is_no_record_is_passed_over)
{
    static const char *const bad[] = {";", "3", "3,", "3,4", "3,4,5,-", ",4,5,-;crash", "3,,5,-;crash", "x,4,5,-;crash",
                                      "3,-4,5,-;crash", "99999999999999999999,4,5,-;crash", "3;crash"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK(!told(bad[i], OWN("crash", "")));
    CHECK(told("3,4;crash", OWN("crash", "")));
}

TEST(old_lines_are_told_by_once_only)
{
    begin();
    fix_print_lines();
    says("3,7,8,-;I/O error, dev sda, sector 1\n");
    REQUIRE(fix_start("{\"kernel_log\": {}}") == 1);
    fix_turn(0);
    fix_turn(30000);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
    begin();
    fix_print_lines();
    for (int i = 0; i < 100; i++)
        says("6,7,8,-;nothing\n");
    says("3,7,8,-;I/O error, dev sda, sector 1\n");
    REQUIRE(fix_once("{\"kernel_log\": {}}") == 1);
    CHECK_INT(fix.count, 1);
    end();
}

TEST(an_error_of_another_sector_is_a_repetition)
{
    begin();
    REQUIRE(fix_start("{\"kernel_log\": {}}") == 1);
    says("3,1,8,-;I/O error, dev sda, sector 1024 op 0x0:(READ)\n");
    says("3,2,8,-;I/O error, dev sda, sector 4711 op 0x1:(READ)\n");
    says("3,3,8,-;I/O error, dev sdb, sector 1024 op 0x0:(READ)\n");
    says("3,4,8,-;I/O error, dev mmcblk0, sector 1024 op 0x0:(READ)\n");
    says("3,5,8,-;I/O error, dev mmcblk1, sector 1024 op 0x0:(READ)\n");
    fix_turn(0);
    REQUIRE(fix_take());
    CHECK(fix_has(0, "sector 1024"));
    REQUIRE(fix_take());
    CHECK(fix_has(0, "sdb"));
    REQUIRE(fix_take());
    CHECK(fix_has(0, "mmcblk0"));
    REQUIRE(fix_take());
    CHECK(fix_has(0, "mmcblk1"));
    CHECK(!fix_take());
    end();
}

TEST(what_is_overwritten_or_too_long_is_counted)
{
    static char longer[PIPELINE_LINE_BYTES + 1];

    memset(longer, 'a', sizeof longer - 1);
    begin();
    REQUIRE(fix_start("{\"kernel_log\": {}}") == 1);
    says("6,100,8,-;one\n");
    fails(EPIPE);
    says("6,105,8,-;six\n");
    says(longer); /* 106 */
    says("6,107,8,-;eight\n");
    fix_turn(0);
    REQUIRE(fix_take());
    CHECK(fix_has(0, "\"type\":\"kernel.log_lost\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"lost\":5}"));
    says("6,110,8,-;a repetition in its window: it adds up\n");
    fix_turn(0);
    says("6,111,8,-;none\n");
    fix_turn(0);
    CHECK(!fix_take());
    fix.clock.now_ms += 301000;
    says("6,113,8,-;one more\n");
    fix_turn(0);
    REQUIRE(fix_take());
    CHECK(fix_has(0, "\"data\":{\"lost\":3}"));
    CHECK(!fix_take());
    end();
}

TEST(overwritten_before_the_first_is_at_least_one)
{
    begin();
    fix_print_lines();
    REQUIRE(fix_start("{\"kernel_log\": {}}") == 1);
    fails(EPIPE);
    says("6,105,8,-;six\n");
    fix_turn(0);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"data\":{\"lost\":1}"));
    end();
}

/** It is read from where it was, and what was lost meanwhile is known. */
TEST(a_reload_loses_nothing)
{
    begin();
    fix_print_lines();
    REQUIRE(fix_start("{\"kernel_log\": {}}") == 1);
    says("6,100,8,-;one\n");
    fix_turn(0);
    says("6,102,8,-;three: firmware crash\n");
    says("6,103,8,-;four: mine\n");
    REQUIRE(fix_start(OWN("mine", "")) == 1);
    fix_turn(0);
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "four: mine"));
    CHECK(fix_has(1, "{\"lost\":1}"));
    end();
}

TEST(a_flood_does_not_hold_up_the_loop)
{
    begin();
    fix_print_lines();
    REQUIRE(fix_start("{\"kernel_log\": {}}") == 1);
    fix_turn(0);
    reads = 0;
    for (unsigned i = 0; i < RECORDS; i++)
        says("6,0,8,-;flood\n");
    fix_turn(0);
    CHECK_INT(reads, 64);
    for (unsigned turn = 0; turn < 3; turn++)
        fix_turn(0);
    CHECK_INT(reads, RECORDS + 1);
    end();
}

TEST(one_that_cannot_be_read_is_not_measured)
{
    fix_init();
    fake_root_begin();
    log_len = log_at = 0;
    REQUIRE(fix_start("{\"kernel_log\": {\"interval\": \"1m\"}}") == 1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/dev/kmsg: No such file or directory");
    put_kmsg();
    fix_turn(31000);
    fix_turn(60000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    fails(ENODEV);
    fix_turn(0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/dev/kmsg: No such device");
    reads = 0;
    fix_turn(0);
    CHECK_INT(reads, 0); /* it is not watched any more, until the next look */
    fix_turn(61000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    reads = 0;
    fix_turn(0);
    CHECK_INT(reads, 1);
    end();
}

/** In a container it may be /dev/null, which there is no waiting for. */
TEST(one_that_nobody_can_wait_for_is_not_measured)
{
    fix_init();
    fake_root_begin();
    fake_root_put("/dev/kmsg", "");
    REQUIRE(fix_start("{\"kernel_log\": {}}") == 1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/dev/kmsg: Operation not permitted");
    sensor_runner_stop(&fix.sensor_runner);
    fake_root_end();
}

TEST(one_that_is_none_does_not_keep_the_loop_busy)
{
    begin();
    REQUIRE(fix_start("{\"kernel_log\": {}}") == 1);
    says("");
    says("");
    fix_turn(0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/dev/kmsg: No data available");
    reads = 0;
    fix_turn(0);
    CHECK_INT(reads, 0);
    end();
}

TEST_MAIN(what_kernels_say_of_their_troubles, programs_cannot_speak_for_the_kernel, own_patterns_come_first,
          configurations_that_are_refused, escapes_are_bytes_again, what_is_no_record_is_passed_over,
          old_lines_are_told_by_once_only, an_error_of_another_sector_is_a_repetition,
          what_is_overwritten_or_too_long_is_counted, overwritten_before_the_first_is_at_least_one,
          a_reload_loses_nothing, a_flood_does_not_hold_up_the_loop, one_that_cannot_be_read_is_not_measured, one_that_nobody_can_wait_for_is_not_measured,
          one_that_is_none_does_not_keep_the_loop_busy)
