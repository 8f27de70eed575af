#include "nefia/hub/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/sys/log.h"
#include "tempdir.h"

enum { BYTES = 256 * 1024, FOUND = 64 };

/* ---- The disk: its calls are counted, fail on demand, and are where the power may be cut ---- */

static unsigned failing_renames; /* of the next file to its place */
static unsigned syncs, calls, failing_sync, cut_at; /* cut_at: the process ends before this call; 0: never */

static void call(void)
{
    if (++calls == cut_at)
        _exit(0);
}

static int sync_or_fail(int fd)
{
    call();
    errno = EIO;
    return fd < 0 || ++syncs == failing_sync ? -1 : 0;
}

int fdatasync(int fd)
{
    return sync_or_fail(fd);
}

int fsync(int fd)
{
    return sync_or_fail(fd);
}

static bool truncation_fails;

int ftruncate(int fd, off_t len)
{
    char path[40];

    call();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    errno = EIO;
    return truncation_fails ? -1 : truncate(path, len);
}

int unlinkat(int at, const char *name, int flags)
{
    call();
    return (int)syscall(SYS_unlinkat, at, name, flags);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    call();
    if (failing_renames > 0 && strcmp(from, "audit.log.new") == 0) {
        failing_renames--;
        errno = EIO;
        return -1;
    }
#ifdef SYS_renameat
    return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
#else
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
#endif
}

/* ---- A log in a directory of its own ---- */

static char memory_dir[] = "/dev/shm/nefia-audit-XXXXXX", disk_dir[] = "/tmp/nefia-audit-XXXXXX";
static const char *dir;
static struct clock_fake fake;
static union audit_work work;
static struct audit_log audit;
static struct audit_settings settings;
static char why_text[512];
static unsigned wakes;

static const char *path_of(const char *name)
{
    static char paths[4][FILE_PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];

    CHECK_INT(file_join(path, dir, name), 0);
    return path;
}

static const char *log_path(unsigned i)
{
    char name[32];

    snprintf(name, sizeof name, i > 0 ? "audit.log.%u" : "audit.log", i);
    return path_of(name);
}

static void remove_logs(void)
{
    for (unsigned i = 0; i < AUDIT_FILES_MAX; i++)
        unlink(log_path(i));
    unlink(path_of("audit.log.new"));
}

static void leave(void)
{
    (void)remove_tempdir(dir);
}

static void on_wake(void *arg)
{
    (void)arg;
    wakes++;
}

static int open_again(void)
{
    struct text why;

    text_init(&why, why_text, sizeof why_text);
    memset(&work, 0xA5, sizeof work);
    audit_log_init(&audit, &fake.clock, &work);
    audit.wake = on_wake;
    return audit_log_open(&audit, dir, &settings, &why);
}

/** A new log with a new key. */
static void set_up(void)
{
    if (!dir) {
        dir = make_tempdir(memory_dir, disk_dir);
        REQUIRE(dir);
        atexit(leave);
        log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    }
    if (audit.buf)
        audit_log_close(&audit);
    remove_logs();
    unlink(path_of("audit.key"));
    clock_fake_init(&fake, 100000, 1773156600);
    settings = (struct audit_settings){.enabled = true, .sync = true, .max_kb = 64, .files = 4};
    failing_sync = syncs = cut_at = calls = wakes = 0;
    CHECK_INT(open_again(), 0);
    CHECK_STR(why_text, "");
    CHECK(audit.dir_fd >= 0);
}

/** A decision of `rule`, as long as wanted. */
static void decide_long(const char *rule, size_t len)
{
    static char command[8192];
    const struct verdict v = {.kind = VERDICT_DENIED, .reason = "matches deny_commands pattern", .rule = "rm", .has_at = true, .at = 4, .mode = "enforce"};

    memset(command, 'c', len);
    command[len] = '\0';
    audit_decision(&audit, &(struct audit_decision){.rule = rule, .action = "exec", .command = command, .verdict = &v});
}

static void decide(const char *rule)
{
    decide_long(rule, 10);
}

/** A turn with one decision. */
static void turn(const char *rule)
{
    decide(rule);
    audit_log_commit(&audit);
}

static char bytes[BYTES];

static size_t load(const char *path)
{
    const long n = file_read(path, bytes, BYTES - 1);

    bytes[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static void save(const char *path, const char *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK_INT(write(fd, data, len), len);
    close(fd);
}

static bool log_has(const char *what)
{
    bool found = false;

    for (unsigned i = 0; i < AUDIT_FILES_MAX; i++)
        found |= load(log_path(i)) > 0 && strstr(bytes, what);
    return found;
}

/* ---- What a verifier finds ---- */

static struct audit_verifier v;
static struct audit_finding found[FOUND];

static void on_found(void *arg, const struct audit_finding *f)
{
    (void)arg;
    if (v.findings <= FOUND)
        found[v.findings - 1] = *f;
}

/** Return: how many findings. */
static unsigned verify(void)
{
    static struct mac_key key;

    CHECK_INT(mac_key_load(&key, settings.key_file ? settings.key_file : path_of("audit.key"), NULL), 0);
    audit_verify_init(&v, &key, on_found, NULL);
    for (unsigned i = AUDIT_FILES_MAX; i-- > 0;) {
        struct stat st;
        if (stat(log_path(i), &st) < 0)
            continue;
        const size_t n = load(log_path(i));
        audit_verify_file(&v);
        audit_verify_feed(&v, bytes, n);
    }
    audit_verify_end(&v);
    return (unsigned)v.findings;
}

/* ---- Beginning ---- */

TEST(a_log_begins_with_a_key_of_its_own)
{
    struct stat st;

    set_up();
    CHECK_INT(stat(path_of("audit.key"), &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    CHECK_INT(st.st_size, 65);
    CHECK_INT(stat(log_path(0), &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    CHECK(log_has("{\"n\":1,\"time\":\"2026-03-10T15:30:00Z\",\"kind\":\"begun\",\"key\":\"new\",\"commit\":true,\"prev\":\"00000000"));
    turn("a");
    audit_log_close(&audit);
    CHECK_INT(open_again(), 0);
    turn("b");
    CHECK_INT(verify(), 0);
    CHECK_INT(v.records, 3);
}

/** Before there is a log, too. */
TEST(the_first_start_may_be_cut_anywhere)
{
    unsigned cut = 0, opened = 0;

    do {
        set_up();
        audit_log_close(&audit);
        remove_logs();
        unlink(path_of("audit.key"));
        const pid_t child = fork();
        int status = -1;

        cut++;
        if (child == 0) {
            calls = 0;
            cut_at = cut;
            _exit(open_again() == 0 ? 1 : 2);
        }
        CHECK(waitpid(child, &status, 0) == child);
        opened = (unsigned)WEXITSTATUS(status);
        CHECK(opened < 2);
        CHECK_INT(open_again(), 0);
        turn("a");
        CHECK_INT(verify(), 0);
    } while (opened == 0);
    CHECK(cut > 5);
}

TEST(a_log_that_was_taken_away_is_told)
{
    set_up();
    turn("a");
    audit_log_close(&audit);
    remove_logs();
    CHECK_INT(open_again(), 0);
    CHECK(log_has("\"kind\":\"begun\",\"key\":\"kept\""));
    CHECK_INT(verify(), 1);
    CHECK_INT(found[0].kind, AUDIT_FOUND_ANEW);
}

TEST(a_key_may_be_given)
{
    static char given[FILE_PATH_MAX];

    set_up();
    memcpy(given, path_of("given"), sizeof given);
    audit_log_close(&audit);
    remove_logs();
    unlink(path_of("audit.key"));
    save(path_of("given"), "0123456789abcdef", 16);
    settings.key_file = given;
    CHECK_INT(open_again(), 0);
    CHECK(log_has("\"key\":\"given\""));
    CHECK(access(path_of("audit.key"), F_OK) < 0);
    CHECK_INT(verify(), 0);
    audit_log_close(&audit);
    CHECK_INT(chmod(path_of("given"), 0644), 0);
    CHECK_INT(open_again(), NEFIA_EIO);
    CHECK(strstr(why_text, "given") && strstr(why_text, "accessible"));
    CHECK(audit.dir_fd < 0);
    turn("nobody"); /* does nothing */
    unlink(path_of("given"));
    CHECK_INT(open_again(), NEFIA_EIO);
    settings.key_file = NULL;
}

TEST(without_a_directory_nothing_is_kept)
{
    struct text why;
    struct audit_head head;

    set_up();
    audit_log_close(&audit);
    audit_log_init(&audit, &fake.clock, &work);
    text_init(&why, why_text, sizeof why_text);
    CHECK_INT(audit_log_open(&audit, "", &settings, &why), 0);
    CHECK_INT(audit_log_open(&audit, NULL, &settings, &why), 0);
    settings.enabled = false;
    CHECK_INT(audit_log_open(&audit, dir, &settings, &why), 0);
    turn("a");
    audit_rejected(&audit, REJECT_PEER, &(struct addr){0});
    CHECK_INT(audit.stats.records, 0);
    CHECK(!audit_log_head(&audit, &head));
    CHECK(audit_log_due(&audit) == UINT64_MAX);
}

TEST(two_hubs_do_not_share_a_log)
{
    static struct audit_log other;
    static union audit_work other_work;
    struct text why;

    set_up();
    text_init(&why, why_text, sizeof why_text);
    audit_log_init(&other, &fake.clock, &other_work);
    CHECK_INT(audit_log_open(&other, dir, &settings, &why), NEFIA_EIO);
    CHECK(strstr(why_text, "in use by another hub"));
}

/* ---- Records ---- */

TEST(records_say_what_happened)
{
    const uint8_t hash[MAC_BYTES] = {0xab, 0xcd};
    const struct verdict denied = {.kind = VERDICT_DENIED, .reason = "too long", .role = "deploy", .have = 9000, .most = 8192, .mode = "warn"};
    const struct event e = {.type = {"t", 1}, .host_id = {"web", 3}, .severity = SEVERITY_WARNING, .has_seq = true, .boot = 7, .seq = 41};

    set_up();
    audit_config(&audit, AUDIT_REFUSED, "/etc/nefia/nefia.yaml", hash);
    audit_config(&audit, AUDIT_RELOADED, "x", NULL);
    audit_decision(&audit, &(struct audit_decision){.rule = "r", .event = &e, .target = "hub", .action = "exec",
                                                    .command = "say \"hi\"\n", .verdict = &denied});
    audit_decision(&audit, &(struct audit_decision){.who = "uid 0", .target = "web", .path = "/etc/shadow"});
    audit_forgotten(&audit, (struct slice){"web", 3}, 1000);
    audit_step(&audit, &(struct audit_step){.run = "0011", .playbook = "p", .step = "s", .part = "rollback", .host = "web",
                                            .outcome = "failed", .error = "exit 3", .has_result = true, .exit = 3, .duration_ms = 12}, 0);
    audit_step(&audit, &(struct audit_step){.run = "0011", .playbook = "p", .rule = "r", .outcome = "begun"}, 9);
    audit_stopped(&audit, 12, 3);
    audit_log_commit(&audit);
    CHECK(log_has("\"kind\":\"step\",\"run\":\"0011\",\"playbook\":\"p\",\"step\":\"s\",\"part\":\"rollback\",\"host\":\"web\",\"who\":"
                  "\"uid 0\",\"outcome\":\"failed\",\"error\":\"exit 3\",\"exit\":3,\"duration_ms\":12,\"prev\""));
    CHECK(log_has("\"kind\":\"step\",\"run\":\"0011\",\"playbook\":\"p\",\"rule\":\"r\",\"outcome\":\"begun\",\"prev\""));
    CHECK(log_has("\"kind\":\"refused\",\"file\":\"/etc/nefia/nefia.yaml\",\"sha256\":\"abcd0000"));
    CHECK(log_has("\"kind\":\"reloaded\",\"file\":\"x\",\"prev\""));
    CHECK(log_has("\"kind\":\"decision\",\"rule\":\"r\",\"host\":\"web\",\"target\":\"hub\",\"action\":\"exec\",\"verdict\":"
                  "\"denied\",\"reason\":\"too long\",\"role\":\"deploy\",\"have\":9000,\"most\":8192,\"mode\":\"warn\",\"type\":"
                  "\"t\",\"severity\":\"warning\",\"boot\":7,\"seq\":41,\"command\":\"say \\\"hi\\\"\\n\",\"prev\""));
    CHECK(log_has("\"kind\":\"decision\",\"who\":\"uid 0\",\"host\":\"web\",\"path\":\"/etc/shadow\",\"prev\""));
    CHECK(log_has("\"kind\":\"forgotten\",\"host\":\"web\",\"uid\":1000,\"prev\""));
    CHECK(log_has("\"kind\":\"stopped\",\"events\":12,\"unfinished\":3,\"prev\""));
    CHECK_INT(verify(), 0);
    CHECK_INT(audit.stats.records, 9);
}

TEST(a_long_command_is_known_by_its_hash)
{
    set_up();
    decide_long("long", 8192 - 1);
    audit_log_commit(&audit);
    CHECK(log_has("\"command_bytes\":8191,\"command_sha256\":\""));
    CHECK_INT(verify(), 0);
}

/** Whatever a sender puts into its event, no fact of a decision is left out. */
TEST(facts_of_any_length_leave_none_out)
{
    static char text[2001];
    const struct verdict pending = {.kind = VERDICT_PENDING, .reason = text, .rule = text, .role = text, .has_at = true,
                                    .at = UINT32_MAX, .have = UINT64_MAX, .most = UINT64_MAX, .mode = "enforce"};
    const struct event e = {.host_id = {text, EVENT_HOST_MAX}, .type = {text, EVENT_TYPE_MAX}, .severity = SEVERITY_CRITICAL,
                            .has_seq = true, .boot = UINT64_MAX, .seq = UINT64_MAX};

    set_up();
    memset(text, '\1', sizeof text - 1);
    audit_decision(&audit, &(struct audit_decision){.rule = text, .event = &e, .target = text, .action = "exec", .command = text,
                                                    .verdict = &pending});
    audit_log_commit(&audit);
    CHECK(!log_has("\"cut\":"));
    CHECK(log_has("\"command_sha256\":"));
    CHECK_INT(verify(), 0);
}

TEST(a_turn_is_synced_once)
{
    struct audit_head head;

    set_up();
    const unsigned before = syncs;
    for (unsigned i = 0; i < 100; i++)
        decide_long("many", 1000); /* more than the buffer holds */
    CHECK_INT(syncs, before);
    audit_log_commit(&audit);
    CHECK_INT(syncs, before + 1 + 3); /* it was rotated, too */
    audit_log_commit(&audit);
    CHECK_INT(syncs, before + 1 + 3);
    CHECK_INT(verify(), 0);
    CHECK_INT(v.records, 102);
    CHECK(audit_log_head(&audit, &head) && head.n == 102 && memcmp(head.hash, v.last.hash, MAC_BYTES) == 0);
    settings.sync = false;
    audit_log_close(&audit);
    CHECK_INT(open_again(), 0);
    const unsigned again = syncs;
    turn("not synced");
    CHECK_INT(syncs, again);
}

TEST(rejections_make_one_record_a_minute)
{
    const struct addr peer = {.family = AF_INET, .ip = {192, 0, 2, 7}, .port = 99};

    set_up();
    CHECK(audit_log_due(&audit) == UINT64_MAX);
    for (unsigned i = 0; i < 100; i++)
        audit_rejected(&audit, REJECT_PEER, &peer);
    audit_rejected(&audit, REJECT_WRONG, &peer);
    CHECK_INT(wakes, 3); /* two records, and the first that waits */
    audit_log_commit(&audit);
    CHECK(log_has("\"kind\":\"rejected\",\"reason\":\"not_a_peer\",\"connections\":1,\"last\":\"192.0.2.7:99\",\"prev\"") ||
          log_has("\"connections\":1,\"last\":\"192.0.2.7:99\",\"prev\""));
    CHECK_INT(audit.head.n, 3);
    CHECK_INT(audit_log_due(&audit), fake.now_ms + AUDIT_REJECT_MS);
    fake.now_ms += AUDIT_REJECT_MS - 1;
    audit_log_tick(&audit);
    CHECK_INT(audit.head.n, 3);
    fake.now_ms++;
    audit_log_tick(&audit);
    CHECK_INT(audit.head.n, 4);
    audit_log_commit(&audit);
    CHECK(log_has("\"connections\":99,"));
    CHECK(audit_log_due(&audit) == UINT64_MAX);
    CHECK_INT(verify(), 0);
}

TEST(rejections_are_recorded_at_the_end)
{
    const struct addr peer = {.family = AF_INET, .ip = {192, 0, 2, 7}, .port = 99};

    set_up();
    for (unsigned i = 0; i < 100; i++)
        audit_rejected(&audit, REJECT_PEER, &peer);
    audit_stopped(&audit, 3, 0);
    audit_log_close(&audit);
    CHECK(log_has("\"connections\":99,"));
    CHECK(log_has("\"kind\":\"stopped\""));
    CHECK_INT(verify(), 0);
}

/** They are counted until the disk works again, and are no reason to wake before it is tried. */
TEST(rejections_wait_for_the_disk)
{
    const struct addr peer = {.family = AF_INET, .ip = {192, 0, 2, 7}, .port = 99};

    set_up();
    failing_sync = syncs + 1;
    turn("lost");
    CHECK_INT(audit.stats.lost, 1);
    for (unsigned i = 0; i < 100; i++)
        audit_rejected(&audit, REJECT_PEER, &peer);
    CHECK_INT(audit_log_due(&audit), fake.now_ms + AUDIT_RETRY_MS);
    audit_log_tick(&audit);
    CHECK_INT(audit.stats.lost, 1);
    fake.now_ms += AUDIT_RETRY_MS;
    audit_log_tick(&audit);
    audit_log_commit(&audit);
    CHECK(log_has("\"connections\":100,"));
    CHECK(audit_log_due(&audit) == UINT64_MAX);
    CHECK_INT(verify(), 0);
}

/* ---- Rotation ---- */

TEST(rotation_carries_the_chain_over)
{
    for (unsigned files = 1; files <= 5; files++) {
        struct stat st;

        set_up();
        audit_log_close(&audit);
        settings.files = files;
        settings.max_kb = 16;
        CHECK_INT(open_again(), 0);
        for (unsigned i = 0; i < 300; i++) {
            turn("r");
            CHECK_INT(verify(), 0);
            CHECK_INT(v.last.n, audit.head.n);
            if (i % 37 != 0)
                continue;
            audit_log_close(&audit); /* a restart in between changes nothing */
            CHECK_INT(open_again(), 0);
        }
        for (unsigned i = 0; i < AUDIT_FILES_MAX; i++)
            CHECK((stat(log_path(i), &st) == 0) == (i < files));
        CHECK_INT(audit.first_count, files);
        if (files == 1)
            continue;
        unlink(log_path(files - 1));
        CHECK_INT(verify(), 1);
        CHECK_INT(found[0].kind, AUDIT_FOUND_REMOVED);
        CHECK_INT(found[0].first, audit.firsts[files - 1]);
        CHECK_INT(found[0].last, audit.firsts[files - 2] - 1);
        audit_log_close(&audit); /* and it stays missing as long as it would have been kept */
        CHECK_INT(open_again(), 0);
        turn("r");
        CHECK_INT(verify(), 1);
    }
}

TEST(fewer_files_are_kept_after_a_restart)
{
    struct stat st;

    set_up();
    audit_log_close(&audit);
    settings.max_kb = 16;
    settings.files = 6;
    CHECK_INT(open_again(), 0);
    for (unsigned i = 0; i < 300; i++)
        turn("r");
    audit_log_close(&audit);
    settings.files = 2;
    CHECK_INT(open_again(), 0);
    for (unsigned i = 0; i < 100; i++)
        turn("r");
    CHECK(stat(log_path(1), &st) == 0 && stat(log_path(2), &st) < 0);
    CHECK_INT(verify(), 0);
}

/* ---- Power cuts ---- */

/** What a start makes of the files: all committed records, the next one in its place. */
static void expect_whole(uint64_t least, bool torn)
{
    CHECK_INT(open_again(), 0);
    CHECK(audit.head.n >= least);
    CHECK(audit.head.n <= least + 4);
    turn("after");
    CHECK_INT(verify(), 0);
    CHECK_INT(v.last.n, audit.head.n);
    CHECK(log_has("\"kind\":\"repaired\"") == torn);
    audit_log_close(&audit);
}

static char image[BYTES];

TEST(the_last_turn_may_be_cut_at_every_byte)
{
    set_up();
    turn("a");
    turn("b");
    const size_t safe = (size_t)audit.size;
    const uint64_t n = audit.head.n;
    decide("c");
    decide("d");
    audit_log_commit(&audit);
    const size_t len = load(log_path(0));
    memcpy(image, bytes, len);
    audit_log_close(&audit);
    for (size_t at = safe; at <= len; at++) {
        const bool torn = at > safe && at < len && image[at - 1] != '\n';

        save(log_path(0), image, at);
        expect_whole(n, torn);
    }
    /* Or what was not on the disk reads as zeros. */
    for (size_t at = safe; at < len; at++) {
        char *end = image + at;
        const size_t rest = len - at;

        memcpy(bytes, end, rest);
        memset(end, 0, rest);
        save(log_path(0), image, len);
        memcpy(end, bytes, rest);
        expect_whole(n, true);
    }
}

/** The log before the turn that rotates it, whose records are the argument. */
static void fill(void)
{
    set_up();
    audit_log_close(&audit);
    settings.max_kb = 16;
    settings.files = 3;
    CHECK_INT(open_again(), 0);
    while (audit.stats.rotations < 3 || audit.size < audit.limit - 300)
        turn("r");
    decide("last");
}

TEST(a_rotation_may_be_cut_anywhere)
{
    unsigned cut = 0, rotated = 0;

    do {
        fill();
        const uint64_t n = audit.committed.n;
        const pid_t child = fork();
        int status = -1;

        if (child == 0) {
            calls = 0;
            cut_at = ++cut;
            audit_log_commit(&audit);
            _exit(1);
        }
        cut++;
        CHECK(waitpid(child, &status, 0) == child);
        close(audit.fd);
        close(audit.dir_fd);
        audit.fd = audit.dir_fd = -1; /* that one is gone */
        rotated = (unsigned)WEXITSTATUS(status);
        expect_whole(n, false);
        CHECK_INT(open_again(), 0); /* and the next rotation, with names that are missing */
        while (audit.stats.rotations < 2)
            turn("more");
        CHECK_INT(verify(), 0);
        for (unsigned i = 0; i < AUDIT_FILES_MAX; i++)
            CHECK((access(log_path(i), F_OK) == 0) == (i < settings.files));
    } while (rotated == 0);
    CHECK(cut > 5);
}

/** The next file is there in part. */
TEST(the_next_file_may_be_cut_at_every_byte)
{
    for (size_t at = 0; at < 400; at += 13) {
        fill();
        const uint64_t n = audit.committed.n;
        audit_log_commit(&audit);
        const size_t len = load(log_path(0));
        memcpy(image, bytes, len);
        audit_log_close(&audit);
        const size_t cut = at < len ? at : len;
        /* Before the names were shifted … */
        save(path_of("audit.log.new"), image, cut);
        expect_whole(n, false);
        CHECK(access(path_of("audit.log.new"), F_OK) < 0);
        /* … and of a disk that does not keep to the order of fsync and rename. */
        save(log_path(0), image, cut);
        expect_whole(n, cut > 0 && cut < len);
    }
}

/* ---- Faults ---- */

static void limit_files(rlim_t bytes_most)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes_most;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(a_full_disk_loses_records_and_says_so)
{
    for (unsigned room = 0; room < 700; room += 23) {
        set_up();
        turn("a");
        const uint64_t n = audit.head.n;
        limit_files(audit.size + room);
        decide("lost");
        decide("lost");
        audit_log_commit(&audit);
        const bool lost = audit.stats.lost > 0;
        CHECK(lost == (audit.error != 0));
        for (unsigned i = 0; i < 5; i++)
            turn("lost"); /* not tried before some time has passed */
        CHECK(!lost || audit.stats.lost == 7);
        CHECK_INT(lost ? audit.head.n : n, n);
        CHECK_INT(verify(), 0);
        fake.now_ms += AUDIT_RETRY_MS;
        turn("lost");
        const uint64_t count = audit.stats.lost;
        limit_files(RLIM_INFINITY);
        fake.now_ms += AUDIT_RETRY_MS;
        turn("again");
        CHECK_INT(audit.error, 0);
        CHECK_INT(audit.lost, 0);
        CHECK_INT(verify(), 0);
        if (count > 0) {
            char record[64];
            snprintf(record, sizeof record, "\"kind\":\"lost\",\"records\":%llu,", (unsigned long long)count);
            CHECK(log_has(record));
            CHECK(log_has("\"rule\":\"again\""));
        }
    }
}

TEST(a_disk_without_room_for_a_key_keeps_no_log)
{
    set_up();
    audit_log_close(&audit);
    remove_logs();
    unlink(path_of("audit.key"));
    limit_files(10);
    CHECK_INT(open_again(), 0);
    limit_files(RLIM_INFINITY);
    CHECK(strstr(why_text, "nothing is recorded"));
    CHECK(audit.dir_fd < 0 && access(path_of("audit.key"), F_OK) < 0 && access(path_of("audit.key.new"), F_OK) < 0);
    turn("nobody");
    CHECK_INT(open_again(), 0);
    turn("a");
    CHECK_INT(verify(), 0);
}

TEST(a_sync_that_fails_loses_the_turn)
{
    set_up();
    turn("a");
    failing_sync = syncs + 1;
    turn("lost");
    CHECK_INT(audit.stats.lost, 1);
    CHECK(!log_has("\"rule\":\"lost\""));
    fake.now_ms += AUDIT_RETRY_MS;
    turn("again");
    CHECK(log_has("\"kind\":\"lost\",\"records\":1,"));
    CHECK_INT(verify(), 0);
}

/** Nothing is written behind what was left of a turn. */
TEST(what_cannot_be_removed_again_stops_the_log)
{
    set_up();
    turn("a");
    failing_sync = syncs + 1;
    truncation_fails = true;
    turn("lost");
    CHECK(log_has("\"rule\":\"lost\""));
    for (unsigned i = 0; i < 3; i++) {
        fake.now_ms += AUDIT_RETRY_MS;
        turn("lost, too");
    }
    CHECK(!log_has("\"rule\":\"lost, too\""));
    CHECK_INT(audit.stats.lost, 4);
    truncation_fails = false;
    fake.now_ms += AUDIT_RETRY_MS;
    turn("again");
    CHECK(log_has("\"kind\":\"lost\",\"records\":4,") && !log_has("\"rule\":\"lost\""));
    CHECK_INT(verify(), 0);
}

TEST(a_rotation_that_fails_is_tried_again)
{
    for (unsigned which = 2; which <= 4; which++) {
        fill();
        failing_sync = syncs + which;
        audit_log_commit(&audit);
        CHECK_INT(verify(), 0);
        for (unsigned i = 0; i < 200; i++)
            turn("more");
        CHECK_INT(verify(), 0);
        CHECK_INT(audit.stats.lost, 0);
        CHECK(audit.stats.rotations > 3);
    }
}

/** The log goes on under its name, and nothing of it is removed before the next file is in its place. */
TEST(a_next_file_without_a_name_is_given_up)
{
    for (unsigned files = 1; files <= 4; files += 3) {
        fill();
        audit.files = files;
        failing_renames = 3;
        for (unsigned i = 0; i < 1000; i++) {
            turn("more");
            CHECK(access(log_path(0), F_OK) == 0);
            if (failing_renames > 0)
                CHECK_INT(verify(), 0);
        }
        CHECK_INT(failing_renames, 0);
        CHECK_INT(verify(), 0);
        CHECK_INT(audit.stats.lost, 0);
    }
}

/* ---- What others do to the files ---- */

TEST(a_file_that_others_change_is_noticed)
{
    set_up();
    for (unsigned i = 0; i < 5; i++)
        turn("a");
    CHECK_INT(truncate(log_path(0), (off_t)(audit.size - 100)), 0);
    turn("b");
    turn("c");
    CHECK_INT(verify(), 1);
    CHECK_INT(found[0].kind, AUDIT_FOUND_CHANGED);
    CHECK_INT(found[0].first, 6);
    set_up();
    turn("a");
    unlink(log_path(0));
    turn("b");
    CHECK(log_has("\"rule\":\"b\""));
    CHECK_INT(verify(), 1);
    CHECK_INT(found[0].kind, AUDIT_FOUND_REMOVED);
    CHECK_INT(found[0].first, 1);
    CHECK_INT(found[0].last, 2);
    turn("c");
    CHECK_INT(verify(), 1);
}

/** As an editor, `sed -i` or logrotate do it. */
TEST(a_file_that_others_replace_is_noticed)
{
    set_up();
    turn("a");
    const size_t n = load(log_path(0));
    save(path_of("other"), bytes, n);
    CHECK_INT(rename(path_of("other"), log_path(0)), 0);
    turn("b");
    CHECK(log_has("\"rule\":\"b\""));
    CHECK_INT(verify(), 1); /* the line that separates them */
    CHECK_INT(found[0].kind, AUDIT_FOUND_INSERTED);
    CHECK_INT(rename(log_path(0), path_of("other")), 0);
    turn("c");
    CHECK(log_has("\"rule\":\"c\""));
    CHECK_INT(verify(), 1);
    CHECK_INT(found[0].kind, AUDIT_FOUND_REMOVED);
    CHECK_INT(found[0].last, 3);
    CHECK_INT(audit.stats.lost, 0);
    unlink(path_of("other"));
}

/** Nothing is written to what is no file, and what was not written is counted. */
TEST(a_link_in_its_place_loses_records)
{
    for (unsigned i = 0; i < 3; i++) {
        set_up();
        turn("a");
        unlink(log_path(0));
        CHECK_INT(i == 0   ? symlink(path_of("other"), log_path(0))
                  : i == 1 ? mkfifo(log_path(0), 0600)
                           : mkdir(log_path(0), 0700),
                  0);
        turn("b");
        CHECK_INT(audit.stats.lost, 1);
        CHECK(audit.error != 0);
        CHECK(access(path_of("other"), F_OK) < 0);
        CHECK_INT(remove(log_path(0)), 0);
        fake.now_ms += AUDIT_RETRY_MS;
        turn("c");
        CHECK(log_has("\"kind\":\"lost\",\"records\":1,"));
        CHECK(log_has("\"rule\":\"c\""));
    }
}

/** What is damaged in a commit that was on disk may be evidence: it stays, and the chain goes on behind it. */
TEST(what_was_on_disk_is_never_removed)
{
    set_up();
    turn("a");
    const size_t a = (size_t)audit.size;
    turn("b");
    audit_log_close(&audit);
    size_t len = load(log_path(0));
    bytes[a - 30] ^= 1;
    memcpy(bytes + len, "half", 4);
    memcpy(image, bytes, len + 4);
    save(log_path(0), image, len + 4);
    CHECK_INT(open_again(), 0);
    turn("c");
    CHECK(log_has("\"kind\":\"repaired\",\"bytes\":4,"));
    CHECK_INT(verify(), 1);
    CHECK_INT(found[0].kind, AUDIT_FOUND_CHANGED);
}

/** Of the last commit any lines may be whole and any not; what stands before it always stays. */
TEST(the_last_commit_may_be_torn_anywhere)
{
    set_up();
    turn("a");
    const size_t safe = (size_t)audit.size;
    const uint64_t n = audit.head.n;
    decide("b");
    decide("c");
    decide("d");
    audit_log_commit(&audit);
    const size_t len = load(log_path(0));
    memcpy(image, bytes, len);
    audit_log_close(&audit);
    for (size_t at = safe; at < len; at += 64) {
        const size_t hole = len - at < 200 ? len - at : 200;

        memcpy(bytes, image, len);
        memset(bytes + at, 0, hole);
        memcpy(bytes + len, "forged\n", 7); /* the end of a line of which the beginning was lost */
        save(log_path(0), bytes, len + 7);
        expect_whole(n, true);
    }
}

TEST(another_key_begins_another_chain)
{
    set_up();
    turn("a");
    audit_log_close(&audit);
    save(path_of("audit.key"), "another key of 16", 17);
    CHECK_INT(open_again(), 0);
    turn("b");
    CHECK(verify() > 0);
    CHECK(log_has("\"kind\":\"begun\",\"key\":\"kept\""));
}

TEST(a_log_that_is_no_file_is_refused)
{
    set_up();
    audit_log_close(&audit);
    remove_logs();
    CHECK_INT(mkdir(log_path(0), 0700), 0);
    CHECK_INT(open_again(), NEFIA_EIO);
    CHECK(strstr(why_text, "audit.log"));
    rmdir(log_path(0));
    CHECK_INT(symlink("/etc/passwd", log_path(0)), 0);
    CHECK_INT(open_again(), NEFIA_EIO);
}

TEST_MAIN(a_log_begins_with_a_key_of_its_own, the_first_start_may_be_cut_anywhere, a_log_that_was_taken_away_is_told, a_key_may_be_given,
          without_a_directory_nothing_is_kept, two_hubs_do_not_share_a_log, records_say_what_happened,
          a_long_command_is_known_by_its_hash, facts_of_any_length_leave_none_out, a_turn_is_synced_once,
          rejections_make_one_record_a_minute, rejections_are_recorded_at_the_end, rejections_wait_for_the_disk,
          rotation_carries_the_chain_over, fewer_files_are_kept_after_a_restart, the_last_turn_may_be_cut_at_every_byte,
          a_rotation_may_be_cut_anywhere, the_next_file_may_be_cut_at_every_byte, a_full_disk_loses_records_and_says_so, a_disk_without_room_for_a_key_keeps_no_log,
          a_sync_that_fails_loses_the_turn, what_cannot_be_removed_again_stops_the_log, a_rotation_that_fails_is_tried_again,
          a_next_file_without_a_name_is_given_up, a_file_that_others_change_is_noticed, a_file_that_others_replace_is_noticed,
          a_link_in_its_place_loses_records,
          what_was_on_disk_is_never_removed,
          the_last_commit_may_be_torn_anywhere, another_key_begins_another_chain, a_log_that_is_no_file_is_refused)
