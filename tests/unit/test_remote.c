#include "nefia/beacon/remote.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"
#include "tempdir.h"

/* Which commands begin on a device, and what it says and remembers of them. What they are is behind a fake: it begins what it is told to
 * let begin, and counts. */

enum { HELLO_MS = 1000, OWN = 700 };

static struct remote remote;
static struct clock_fake fake;
static struct link device, hub;
static struct link_message got;
static struct json_token tokens[LINK_TOKENS];
static char line[LINK_BYTES_MIN + MAC_HEX + 3];
static unsigned prepared, started;
static enum link_outcome may_begin, begins;
static uint64_t disk_ms; /* how long the disk takes */
static bool ends_at_once;
static char dir[FILE_PATH_MAX];

static enum link_outcome prepare(void *arg, const struct link_command *c, struct text *what, struct text *why)
{
    (void)arg;
    prepared++;
    text_bytes(what, c->op.ptr, c->op.len);
    if (may_begin != LINK_DONE)
        text_str(why, "because");
    fake.now_ms += disk_ms;
    return may_begin;
}

static enum link_outcome start(void *arg, struct text *why)
{
    struct remote *r = arg;

    if (begins != LINK_DONE) {
        text_str(why, "no child process available");
        return begins;
    }
    started++;
    if (ends_at_once)
        remote_ended(r, &(struct remote_end){.exit_code = 0});
    return LINK_DONE;
}

/** A directory for `dir`. */
static void tempdir_make(char *to)
{
    char in_memory[] = "/dev/shm/nefia-remote-XXXXXX", on_disk[] = "/tmp/nefia-remote-XXXXXX";
    const char *made = make_tempdir(in_memory, on_disk);
    struct text t;

    CHECK(made != NULL);
    text_init(&t, to, FILE_PATH_MAX);
    text_str(&t, made ? made : "/dev/null");
}

static void tempdir_remove(const char *made)
{
    CHECK(remove_tempdir(made));
}

static void begin_session(void)
{
    link_init(&device, false, 0);
    link_init(&hub, false, 0);
    device.state = hub.state = LINK_OPEN;
    device.lines_out = hub.lines_in = 1;
}

static void begin_start(uint64_t own, const char *state_dir)
{
    const struct remote_hooks hooks = {prepare, start, &remote};

    clock_fake_init(&fake, 5000, 1773156600);
    remote_init(&remote, &hooks, &fake.clock);
    remote.takes = true;
    remote_open(&remote, own, state_dir);
    begin_session();
}

static void begin(const char *state_dir)
{
    log_init("test", LOG_LEVEL_ERROR);
    prepared = started = 0;
    may_begin = begins = LINK_DONE;
    disk_ms = 0;
    ends_at_once = false;
    begin_start(OWN, state_dir);
}

static void take_as(uint64_t id, uint64_t first, uint64_t age_ms, uint64_t life_ms)
{
    const struct link_command c = {
        .id = id, .first = first, .age_ms = age_ms, .life_ms = life_ms, .op = {"{\"run\":\"x\"}", 11}};

    remote_take(&remote, &c, HELLO_MS);
}

/** With a minute to live. */
static void take(uint64_t id)
{
    take_as(id, OWN, fake.now_ms - HELLO_MS, 60000);
}

/** The next result the hub reads is of this id. Return: its outcome; -1: there is none. */
static int said(uint64_t id)
{
    struct link_unit u;
    const size_t len = remote_next(&remote, &device, line, LINK_BYTES_MIN);

    if (len == 0)
        return -1;
    CHECK(link_cut(line, len, LINK_BYTES_MIN, false, &u) == (long)len);
    CHECK_INT(link_verify(&hub, &u), 0);
    CHECK_INT(link_read(&got, u.line, tokens, LINK_TOKENS, link_read_result), 0);
    CHECK_INT(got.kind, LINK_RESULT);
    CHECK(got.result.id == id);
    return (int)got.result.outcome;
}

static void end(uint8_t exit_code, const char *output)
{
    const struct remote_end e = {.exit_code = exit_code, .ms = 12, .bytes = strlen(output), .output_len = strlen(output)};

    memcpy(remote.output, output, strlen(output));
    remote_ended(&remote, &e);
}

static void acknowledge(void)
{
    remote_acknowledged(&remote, (uint32_t)device.lines_out);
}

static void lose_session(void)
{
    remote_lost(&remote);
    begin_session();
}

/** One that runs, ends and is acknowledged. */
static void whole(uint64_t id)
{
    take(id);
    end(0, "");
    CHECK_INT(said(id), LINK_DONE);
    acknowledge();
}

TEST(a_command_runs_and_its_result_is_said_once)
{
    begin(NULL);
    take(1);
    CHECK_INT(started, 1);
    CHECK(remote.running);
    CHECK_INT(said(1), -1);
    CHECK(!remote_idle(&remote));
    end(3, "hi\n");
    CHECK_INT(said(1), LINK_DONE);
    CHECK_INT(got.result.exit_code, 3);
    CHECK(got.result.duration_ms == 12 && got.result.output_total == 3);
    CHECK_MEM(got.result.output.ptr, "hi\\n", 4);
    CHECK_INT(said(1), -1);
    CHECK(remote_idle(&remote));
    CHECK_INT(remote.ended[LINK_DONE], 1);
}

TEST(one_that_ends_before_it_has_begun)
{
    begin(NULL);
    ends_at_once = true;
    take(1);
    CHECK_INT(said(1), LINK_DONE);
    CHECK(!remote.running);
}

TEST(an_id_is_never_run_again)
{
    begin(NULL);
    take(1);
    take(1);
    take(1);
    CHECK_INT(started, 1);
    end(0, "out");
    CHECK_INT(said(1), LINK_DONE);
    take(1);
    CHECK_INT(said(1), LINK_DONE);
    CHECK_INT(got.result.output.len, 3);
    take(2);
    end(1, "");
    CHECK_INT(said(2), LINK_DONE);
    take_as(1, OWN, 0, 0); /* asks only; its output has gone */
    CHECK_INT(said(1), LINK_DONE);
    CHECK_INT(got.result.output.len, 0);
    CHECK(got.result.output_total == 3);
    CHECK_INT(started, 2);
    CHECK_INT(prepared, 2);
}

TEST(a_result_is_said_in_the_session_that_asks)
{
    begin(NULL);
    take(1);
    lose_session();
    end(0, "out");
    CHECK_INT(said(1), -1); /* another hub may be there */
    take(1);
    CHECK_INT(said(1), LINK_DONE);
    lose_session(); /* before it was acknowledged */
    CHECK_INT(said(1), -1);
    take(1);
    CHECK_INT(said(1), LINK_DONE);
    CHECK_INT(got.result.output.len, 3);
    CHECK(!(remote.ids[0].how & REMOTE_SETTLED));
    acknowledge();
    CHECK(remote.ids[0].how & REMOTE_SETTLED);
    CHECK_INT(started, 1);
}

TEST(an_acknowledgement_of_an_earlier_line_settles_nothing)
{
    begin(NULL);
    take(1);
    end(0, "");
    CHECK_INT(said(1), LINK_DONE);
    remote_acknowledged(&remote, (uint32_t)device.lines_out - 1);
    CHECK(!(remote.ids[0].how & REMOTE_SETTLED));
    lose_session();
    remote_acknowledged(&remote, 99); /* of another session */
    CHECK(!(remote.ids[0].how & REMOTE_SETTLED));
}

TEST(busy_while_another_one_runs_and_no_longer)
{
    begin(NULL);
    take(1);
    take(2);
    CHECK_INT(said(2), LINK_BUSY);
    CHECK_STR(got.result.reason, "{\"run\":\"x\"}");
    end(0, "");
    CHECK_INT(said(1), LINK_DONE);
    take(2); /* though nobody has acknowledged the first */
    CHECK_INT(started, 2);
    end(0, "");
    CHECK_INT(said(2), LINK_DONE);
    take(1);
    CHECK_INT(said(1), LINK_DONE);
}

TEST(a_life_ends_at_its_millisecond)
{
    begin(NULL);
    fake.now_ms = HELLO_MS + 500 + 100 - 1;
    take_as(1, OWN, 500, 100);
    CHECK_INT(started, 1);
    end(0, "");
    CHECK_INT(said(1), LINK_DONE);
    fake.now_ms++;
    take_as(2, OWN, 500, 100);
    CHECK_INT(said(2), LINK_EXPIRED);
    take_as(3, OWN, LINK_TIME_MAX, LINK_TIME_MAX);
    end(0, "");
    CHECK_INT(said(3), LINK_DONE);
    take_as(4, OWN, LINK_TIME_MAX, 0);
    CHECK_INT(said(4), LINK_EXPIRED);
    CHECK_INT(started, 2);
    CHECK_INT(prepared, 2);
    CHECK_INT(remote.ended[LINK_EXPIRED], 2);
}

TEST(a_slow_disk_takes_from_the_life)
{
    begin(NULL);
    disk_ms = 60000;
    take(1);
    CHECK_INT(prepared, 1);
    CHECK_INT(started, 0);
    CHECK_INT(said(1), LINK_EXPIRED);
    CHECK(!remote.running);
    disk_ms = 0;
    take(1); /* it is over for good */
    CHECK_INT(said(1), LINK_EXPIRED);
    CHECK_INT(started, 0);
}

TEST(what_does_not_begin_says_why)
{
    begin(NULL);
    may_begin = LINK_DENIED;
    take(1);
    CHECK_INT(said(1), LINK_DENIED);
    CHECK_STR(got.result.reason, "because");
    may_begin = LINK_UNSUPPORTED;
    take(1);
    CHECK_INT(said(1), LINK_UNSUPPORTED);
    may_begin = LINK_DONE;
    begins = LINK_UNSUPPORTED;
    take(2);
    CHECK_INT(said(2), LINK_UNSUPPORTED);
    CHECK_STR(got.result.reason, "no child process available");
    CHECK(!remote.running && remote_idle(&remote));
    begins = LINK_DONE;
    take(1); /* the policy has changed meanwhile */
    CHECK_INT(started, 1);
    take(2); /* this one is known */
    CHECK_INT(said(2), LINK_UNSUPPORTED);
    end(0, "");
    remote.takes = false;
    take(3);
    CHECK_INT(said(3), LINK_UNSUPPORTED);
    CHECK_INT(said(1), LINK_DONE);
    remote.takes = true;
    remote.stopping = true;
    take(4);
    CHECK_INT(said(4), LINK_BUSY);
    CHECK_INT(started, 1);
}

TEST(without_state_dir_another_start_knows_nothing)
{
    begin(NULL);
    whole(1);
    begin_start(OWN + 1, NULL);
    take_as(1, OWN, 0, 60000);
    CHECK_INT(said(1), LINK_END_UNKNOWN);
    take_as(2, OWN, 0, 0);
    CHECK_INT(said(2), LINK_END_UNKNOWN);
    CHECK_INT(started, 1);
    take_as(3, OWN + 1, 4000, 60000);
    CHECK_INT(started, 2);
}

TEST(with_state_dir_another_start_knows_what_became_of_each)
{
    tempdir_make(dir);
    begin(dir);
    whole(1);
    take(2);
    end(9, "x");
    take(3); /* the power goes */
    begin_start(OWN + 1, dir);
    take_as(1, OWN, 0, 60000);
    CHECK_INT(said(1), LINK_DONE);
    take_as(2, OWN, 0, 60000);
    CHECK_INT(said(2), LINK_DONE);
    CHECK_INT(got.result.exit_code, 9);
    CHECK_INT(got.result.output.len, 0);
    CHECK(got.result.output_total == 1);
    take_as(3, OWN, 0, 60000);
    CHECK_INT(said(3), LINK_END_UNKNOWN);
    CHECK_INT(started, 3);
    take_as(4, OWN, 4000, 60000); /* never came: it may begin now */
    CHECK_INT(started, 4);
    end(0, "");
    CHECK_INT(said(4), LINK_DONE);
    take_as(5, OWN, 0, 0);
    CHECK_INT(said(5), LINK_EXPIRED); /* and this one has not, and never will */
    take_as(6, OWN - 1, 0, 60000);
    CHECK_INT(said(6), LINK_END_UNKNOWN);
    tempdir_remove(dir);
}

TEST(only_so_many_starts_are_covered)
{
    tempdir_make(dir);
    begin(dir);
    for (unsigned i = 1; i <= REMOTE_STARTS; i++)
        begin_start(OWN + i, dir);
    take_as(1, OWN, 0, 60000);
    CHECK_INT(said(1), LINK_END_UNKNOWN);
    take_as(2, OWN + 1, 4000, 60000);
    CHECK_INT(started, 1);
    tempdir_remove(dir);
}

TEST(what_is_acknowledged_is_forgotten_first)
{
    begin(NULL);
    take(1000); /* its result is lost */
    end(0, "");
    for (unsigned i = 0; i < 3 * REMOTE_IDS; i++)
        whole(i);
    take(1000);
    CHECK_INT(said(1000), LINK_DONE);
    take(3 * REMOTE_IDS - 1);
    CHECK_INT(said(3 * REMOTE_IDS - 1), LINK_DONE);
    CHECK_INT(started, 1 + 3 * REMOTE_IDS);
    take(0); /* a hub that forgets what it has acknowledged */
    CHECK_INT(started, 2 + 3 * REMOTE_IDS);
}

TEST(once_something_unsettled_is_forgotten_what_is_not_known_may_have_begun)
{
    begin(NULL);
    for (unsigned i = 0; i < REMOTE_IDS; i++) {
        take(i);
        end(0, "");
    }
    take(0);
    CHECK_INT(said(0), LINK_DONE);
    take_as(REMOTE_IDS, OWN, 4000, 60000);
    CHECK_INT(started, REMOTE_IDS + 1);
    end(0, "");
    CHECK_INT(said(REMOTE_IDS), LINK_DONE);
    take(0);
    CHECK_INT(said(0), LINK_END_UNKNOWN);
    take(5000);
    CHECK_INT(said(5000), LINK_END_UNKNOWN);
    CHECK_INT(started, REMOTE_IDS + 1);
}

/** Sessions that are cut before the acknowledgement, over months, must not end all commands until a restart. */
TEST(what_is_forgotten_is_in_doubt_only_while_it_could_begin)
{
    tempdir_make(dir);
    begin(dir);
    for (unsigned i = 0; i <= REMOTE_IDS; i++) {
        take(i);
        end(0, "");
    }
    const uint64_t over = fake.now_ms + 60000;
    fake.now_ms = over + LINK_WELCOME_MS - 1; /* another session's hello may have been late by that */
    take(0);
    CHECK_INT(said(0), LINK_END_UNKNOWN);
    fake.now_ms = over + LINK_WELCOME_MS + 2048;
    take_as(0, OWN, over - HELLO_MS, 0);
    CHECK_INT(said(0), LINK_END_UNKNOWN); /* not expired: it ran */
    take_as(0, OWN, 0, over - HELLO_MS);
    CHECK_INT(said(0), LINK_END_UNKNOWN);
    CHECK_INT(started, REMOTE_IDS + 1);
    for (unsigned i = 0; i < 3 * REMOTE_IDS; i++)
        whole(5000 + i);
    CHECK_INT(started, 4 * REMOTE_IDS + 1);
    begin_start(OWN + 1, dir); /* of which that start is none that is covered */
    take_as(0, OWN, 4000, 60000);
    CHECK_INT(said(0), LINK_END_UNKNOWN);
    take_as(9000, OWN + 1, 4000, 60000);
    CHECK_INT(started, 4 * REMOTE_IDS + 2);
    tempdir_remove(dir);
}

TEST(unsettled_ones_of_earlier_starts_do_not_block_this_one)
{
    tempdir_make(dir);
    begin(dir);
    for (unsigned i = 0; i < REMOTE_IDS; i++) {
        take(i);
        end(0, "");
    }
    begin_start(OWN + 1, dir);
    for (unsigned i = 0; i < REMOTE_IDS; i++) {
        take_as(1000 + i, OWN + 1, 4000, 60000);
        end(0, "");
        CHECK_INT(said(1000 + i), LINK_DONE);
    }
    take_as(0, OWN, 0, 60000);
    CHECK_INT(said(0), LINK_END_UNKNOWN);
    CHECK_INT(started, 2 * REMOTE_IDS);
    tempdir_remove(dir);
}

static char path[FILE_PATH_MAX];
static uint8_t file[REMOTE_FILE_MAX + 1];
static size_t file_len;

static void keep_file(void)
{
    tempdir_make(dir);
    begin(dir);
    whole(1);
    take(2);
    CHECK_INT(file_join(path, dir, REMOTE_FILE), 0);
    file_len = (size_t)file_read(path, file, sizeof file);
    CHECK(file_len > 12 && file_len < sizeof file);
}

static void put_file(size_t len)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && write(fd, file, len) == (ssize_t)len);
    close(fd);
}

/** The device starts again with that file: nothing of before begins, and what comes first now does. */
static void check_damaged(void)
{
    const unsigned before = started;

    begin_start(OWN + 1, dir);
    for (unsigned id = 1; id <= 3; id++) {
        take_as(id, OWN, 0, 60000);
        CHECK_INT(said(id), LINK_END_UNKNOWN);
    }
    CHECK_INT(started, before);
    take_as(4, OWN + 1, 4000, 60000);
    CHECK_INT(started, before + 1);
}

TEST(a_file_cut_at_any_byte_covers_nothing)
{
    keep_file();
    for (size_t len = 0; len < file_len; len++) {
        put_file(len);
        check_damaged();
    }
    put_file(file_len); /* and whole it does */
    begin_start(OWN + 1, dir);
    take_as(1, OWN, 0, 60000);
    CHECK_INT(said(1), LINK_DONE);
    tempdir_remove(dir);
}

TEST(a_file_damaged_at_any_byte_covers_nothing)
{
    keep_file();
    for (size_t at = 0; at < file_len; at++) {
        file[at] ^= 0x41;
        put_file(file_len);
        check_damaged();
        file[at] ^= 0x41;
    }
    file[file_len] = 0; /* something stands behind it */
    put_file(file_len + 1);
    check_damaged();
    tempdir_remove(dir);
}

TEST(a_full_memory_is_kept)
{
    tempdir_make(dir);
    begin(dir);
    for (unsigned i = 0; i < REMOTE_STARTS; i++)
        begin_start(OWN + i, dir);
    for (unsigned i = 0; i < REMOTE_IDS; i++) {
        take_as(i, OWN + REMOTE_STARTS - 1, 4000, 60000);
        end((uint8_t)i, "");
    }
    begin_start(OWN + 100, dir);
    for (unsigned i = 0; i < REMOTE_IDS; i++) {
        take_as(i, OWN, 0, 60000);
        CHECK_INT(said(i), LINK_DONE);
        CHECK_INT(got.result.exit_code, i);
    }
    CHECK_INT(started, REMOTE_IDS);
    tempdir_remove(dir);
}

TEST(what_cannot_be_kept_does_not_begin)
{
    char elsewhere[FILE_PATH_MAX + 8];
    struct text t;

    tempdir_make(dir);
    begin(dir);
    text_init(&t, elsewhere, sizeof elsewhere);
    text_str(&t, dir);
    text_str(&t, ".away");
    CHECK_INT(rename(dir, elsewhere), 0);
    take(1);
    CHECK_INT(said(1), LINK_UNSUPPORTED);
    CHECK(strstr(got.result.reason, "cannot write state_dir/commands"));
    CHECK_INT(started, 0);
    CHECK_INT(remote.count, 0);
    CHECK_INT(rename(elsewhere, dir), 0);
    take(1);
    CHECK_INT(started, 1);
    CHECK_INT(rename(dir, elsewhere), 0);
    end(0, ""); /* its end cannot be written, but is known */
    CHECK_INT(said(1), LINK_DONE);
    CHECK_INT(rename(elsewhere, dir), 0);
    begin_start(OWN + 1, dir);
    take_as(1, OWN, 0, 60000);
    CHECK_INT(said(1), LINK_END_UNKNOWN);
    tempdir_remove(dir);
    /* A directory that never could be written to: commands run, and another start says that it knows nothing. */
    begin("/dev/null");
    take(1);
    CHECK_INT(started, 1);
}

TEST(status_shows_what_runs_and_what_ran)
{
    char buf[1024];
    struct json_writer w;
    struct text t;

    begin(NULL);
    take(1);
    take(2);
    fake.now_ms += 250;
    text_init(&t, buf, sizeof buf);
    json_begin(&w, &t);
    json_object(&w, NULL);
    remote_put(&remote, &w);
    json_end_object(&w);
    CHECK_STR(buf, "{\"remote\":{\"state\":\"running\",\"command\":\"{\\\"run\\\":\\\"x\\\"}\",\"running_ms\":250,\"kept\":false,"
                   "\"done\":0,\"denied\":0,\"expired\":0,\"unknown\":0,\"unsupported\":0,\"busy\":1}}");
    end(7, "xy");
    text_reset(&t);
    json_begin(&w, &t);
    remote_put_id(&remote, 0, &w);
    CHECK_STR(buf, "{\"command\":\"0000000000000001\",\"state\":\"done\",\"exit\":7,\"ms\":12,\"bytes\":2,\"timed_out\":false,"
                   "\"acknowledged\":false}");
}

TEST_MAIN(a_command_runs_and_its_result_is_said_once, one_that_ends_before_it_has_begun, an_id_is_never_run_again,
          a_result_is_said_in_the_session_that_asks, an_acknowledgement_of_an_earlier_line_settles_nothing,
          busy_while_another_one_runs_and_no_longer, a_life_ends_at_its_millisecond, a_slow_disk_takes_from_the_life,
          what_does_not_begin_says_why, without_state_dir_another_start_knows_nothing,
          with_state_dir_another_start_knows_what_became_of_each, only_so_many_starts_are_covered,
          what_is_acknowledged_is_forgotten_first,
          once_something_unsettled_is_forgotten_what_is_not_known_may_have_begun,
          what_is_forgotten_is_in_doubt_only_while_it_could_begin,
          unsettled_ones_of_earlier_starts_do_not_block_this_one, a_file_cut_at_any_byte_covers_nothing,
          a_file_damaged_at_any_byte_covers_nothing, a_full_memory_is_kept, what_cannot_be_kept_does_not_begin,
          status_shows_what_runs_and_what_ran)
