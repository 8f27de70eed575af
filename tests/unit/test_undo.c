#include "nefia/beacon/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "check.h"
#include "nefia/base/err.h"
#include "nefia/base/text.h"
#include "tempdir.h"

#define RUN_A "00000000000000aa"
#define RUN_B "00000000000000bb"
/* Two ops for step 1, none for step 2. */
#define OPS "[[0,{\"run\":\"zero\"}],[1,{\"run\":\"one\"}],[1,{\"run\":\"more\"}],[3,{\"run\":\"three\"}]]"
enum { TOKENS = OP_TOKENS, WITHIN = 60000, IMAGE = 16384 };

/* ---- The disk: syncs fail on demand ---- */

static bool sync_fails;

int fsync(int fd)
{
    if (!sync_fails)
        return fd < 0 ? -1 : 0;
    errno = EIO;
    return -1;
}

static char in_memory[] = "/dev/shm/nefia-undo-XXXXXX", on_disk[] = "/tmp/nefia-undo-XXXXXX";
static const char *dir;
static int dir_fd;

static struct undo undo;
static struct json_token tokens[TOKENS];
static max_align_t work[UNDO_WORK_BYTES / sizeof(max_align_t) + 1];
static char why_text[256];
static struct text why;
static unsigned wakes, judged;
static const char *denied; /* an op that has this text in it */

static void on_wake(void *arg)
{
    CHECK(arg == &wakes);
    wakes++;
}

static int judge(void *arg, struct slice op, struct text *reason)
{
    CHECK(arg == &judged);
    judged++;
    if (!denied || !memmem(op.ptr, op.len, denied, strlen(denied)))
        return 0;
    text_str(reason, "denied: ");
    text_str(reason, denied);
    return NEFIA_EAUTH;
}

static const char *path_of_file(void)
{
    static char path[64];
    struct text t;

    text_init(&t, path, sizeof path);
    text_str(&t, dir);
    text_str(&t, "/" UNDO_FILE);
    return path;
}

/** A device that has just started. kept: in the file, whose content stays. */
static void start(bool kept)
{
    undo_close(&undo);
    fix_init();
    fix_print_lines();
    wakes = judged = 0;
    denied = NULL;
    sync_fails = false;
    undo_init(&undo, &fix.pipeline, on_wake, &wakes);
    if (kept)
        undo_load(&undo, dir_fd, work);
}

static void start_anew(bool kept)
{
    if (!dir)
        dir = make_tempdir(in_memory, on_disk);
    if (dir_fd == 0)
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unlink(path_of_file());
    undo.fd = -1;
    start(kept);
}

static struct text *clear_why(void)
{
    text_init(&why, why_text, sizeof why_text);
    return &why;
}

static int begin_with(const char *run, const char *ops, const char *cause, bool continues)
{
    const struct op op = {.kind = OP_UNDO,
                          .undo = OP_UNDO_BEGIN,
                          .undo_run = run,
                          .within_ms = WITHIN,
                          .continues = continues,
                          .undo_ops = {ops, strlen(ops)}};

    return undo_begin(&undo, &op, (struct slice){cause, strlen(cause)}, judge, &judged, tokens, TOKENS, clear_why());
}

static int begin(const char *run)
{
    return begin_with(run, OPS, "", false);
}

static int step(const char *run, unsigned number)
{
    const int err = undo_step_begins(&undo, run, number, clear_why());

    undo_step_ended(&undo);
    return err;
}

/** Carry out what there is to undo; what has `failing` in it fails. Return: the ops' commands. */
static const char *undo_all(const char *failing)
{
    static char names[4096];
    struct text t;

    text_init(&t, names, sizeof names);
    for (struct slice op; (op = undo_next(&undo)).len > 0;) {
        const char *name = memchr(op.ptr, ':', op.len);
        CHECK(name);
        if (!name)
            break;
        text_bytes(&t, name + 2, (size_t)(op.ptr + op.len - name) - 4);
        text_char(&t, ' ');
        undo_op_ended(&undo, failing && memmem(op.ptr, op.len, failing, strlen(failing)) ? "exit status 1" : "");
    }
    return names;
}

TEST(undoes_what_has_begun_last_step_first)
{
    start_anew(false);
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(judged, 4);
    CHECK_INT(step(RUN_A, 0), 0);
    CHECK_INT(step(RUN_A, 1), 0);
    CHECK_INT(step(RUN_A, 2), 0);
    CHECK_INT(undo_next(&undo).len, 0);
    fix_turn(WITHIN - 1);
    CHECK_INT(undo.state, UNDO_OPEN);
    fix_turn(1);
    CHECK_INT(undo.state, UNDO_UNDOING);
    fix_turn(0);
    CHECK_INT(wakes, 1);
    CHECK_STR(undo_all(NULL), "one more zero ");
    CHECK_INT(undo.state, UNDO_UNDONE);
    CHECK_INT(fix.count, 1);
    CHECK(fix_has(0, "\"type\":\"playbook.rolled_back\""));
    CHECK(fix_has(0, "\"severity\":\"warning\""));
    CHECK(fix_has(0, "{\"run\":\"" RUN_A "\",\"reason\":\"not heard in time\",\"steps\":[1,0]}"));
    fix_turn(10 * WITHIN);
    CHECK_INT(fix.count, 1);
}

TEST(what_fails_does_not_keep_the_rest_from_being_undone)
{
    start_anew(false);
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(step(RUN_A, 0), 0);
    CHECK_INT(step(RUN_A, 3), 0);
    CHECK_INT(step(RUN_A, 1), 0);
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), 0);
    fix_turn(0);
    CHECK_INT(wakes, 1);
    CHECK_STR(undo_all("one"), "one more three zero ");
    CHECK_INT(undo_failed(&undo), 1);
    CHECK(fix_has(0, "\"severity\":\"critical\""));
    CHECK(fix_has(0, "\"reason\":\"asked\",\"steps\":[3,0],\"failed\":[1],\"error\":\"exit status 1\"}"));
}

TEST(commit_ends_it)
{
    start_anew(false);
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(step(RUN_A, 0), 0);
    CHECK_INT(undo_commit(&undo, RUN_A, clear_why()), 0);
    fix_turn(10 * WITHIN);
    CHECK_INT(undo.state, UNDO_COMMITTED);
    CHECK_INT(fix.count + wakes, 0);
    CHECK_INT(undo_commit(&undo, RUN_A, clear_why()), 0); /* a command that is sent twice */
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), NEFIA_EEXIST);
    CHECK_STR(why_text, "the run is committed");
    CHECK_INT(step(RUN_A, 1), NEFIA_EEXIST);
    CHECK_INT(begin(RUN_A), NEFIA_EEXIST);
    CHECK_INT(begin(RUN_B), 0);
}

TEST(a_step_that_runs_stops_the_time)
{
    start_anew(false);
    CHECK_INT(begin(RUN_A), 0);
    fix_turn(WITHIN - 1);
    CHECK_INT(undo_step_begins(&undo, RUN_A, 0, clear_why()), 0);
    fix_turn(5 * WITHIN);
    CHECK_INT(undo.state, UNDO_OPEN);
    CHECK_INT(undo_commit(&undo, RUN_A, clear_why()), NEFIA_EAGAIN);
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), NEFIA_EAGAIN);
    undo_step_ended(&undo);
    fix_turn(WITHIN - 1);
    CHECK_INT(undo.state, UNDO_OPEN);
    fix_turn(1);
    CHECK_INT(undo.state, UNDO_UNDOING);
    undo_step_ended(&undo); /* of no step */
    CHECK_STR(undo_all(NULL), "zero ");
}

TEST(one_run_at_a_time)
{
    start_anew(false);
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(step(RUN_A, 0), 0);
    CHECK_INT(begin(RUN_B), NEFIA_EEXIST);
    CHECK_STR(why_text, "another run is open on this device");
    fix_turn(WITHIN - 1);
    CHECK_INT(begin(RUN_A), 0); /* the same again: its time begins anew, its steps stay */
    fix_turn(WITHIN - 1);
    CHECK_INT(undo.state, UNDO_OPEN);
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), 0);
    CHECK_INT(begin(RUN_B), NEFIA_EEXIST);
    CHECK_STR(why_text, "another run is undoing on this device");
    CHECK_INT(begin(RUN_A), NEFIA_EEXIST);
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), 0); /* and this */
    CHECK_STR(undo_all(NULL), "zero ");
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), 0);
    CHECK_INT(undo_commit(&undo, RUN_A, clear_why()), NEFIA_EEXIST);
    CHECK_STR(why_text, "the run is undone: asked");
    CHECK_INT(step(RUN_A, 1), NEFIA_EEXIST);
    CHECK_INT(begin(RUN_B), 0);
}

TEST(steps_of_no_open_run_do_not_begin)
{
    start_anew(false);
    CHECK_INT(step(RUN_A, 0), NEFIA_ENOTFOUND);
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(step(RUN_B, 0), NEFIA_ENOTFOUND);
    CHECK_INT(step("00000000000000a", 0), NEFIA_ENOTFOUND);
    CHECK_INT(step(NULL, 0), NEFIA_ENOTFOUND);
    CHECK_INT(undo_commit(&undo, RUN_B, clear_why()), NEFIA_ENOTFOUND);
    CHECK_INT(undo_rollback(&undo, RUN_B, clear_why()), NEFIA_ENOTFOUND);
    CHECK_INT(undo.begun, 0);
}

TEST(a_run_without_steps_is_undone_at_once)
{
    start_anew(false);
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(step(RUN_A, 2), 0);
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), 0);
    CHECK_INT(undo.state, UNDO_UNDONE);
    CHECK(fix_has(0, "\"steps\":[]}"));
    CHECK_INT(begin_with(RUN_B, " [ ] ", "", false), 0);
    CHECK_INT(undo_rollback(&undo, RUN_B, clear_why()), 0);
    CHECK_INT(fix.count, 2);
    fix_turn(WITHIN);
    CHECK_INT(wakes, 0);
}

/** Nothing of it is kept. */
static void refused(const char *ops, int err, const char *sentence)
{
    CHECK_INT(begin_with(RUN_A, ops, "", false), err);
    CHECK(strstr(why_text, sentence));
    if (!strstr(why_text, sentence))
        check_puts(why_text);
    CHECK_INT(undo.state, UNDO_NONE);
    CHECK_INT(undo_cause(&undo).len, 0);
    fix_turn(WITHIN);
    CHECK_INT(wakes + fix.count, 0);
}

TEST(what_is_refused)
{
    static const char *const wrong[] = {"",        "{}",          "[",          "[1]",      "[[]]",          "[[0]]", "[[0,1]]",
                                        "[[{},0]]", "[[0,{},{}]]", "[[-1,{}]]", "[[64,{}]]", "[[\"0\",{}]]", "[[0,[]]]"};
    static char big[CONFIG_UNDO_BYTES + 64];
    struct text t;

    start_anew(true);
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
        refused(wrong[i], NEFIA_ESYNTAX, "undo the run");
    denied = "more";
    refused(OPS, NEFIA_EAUTH, "denied: more");
    denied = NULL;
    for (unsigned spare = 0; spare < 4; spare++) { /* exactly full, and up to three bytes too many */
        text_init(&t, big, sizeof big);
        text_str(&t, "[[1,{\"run\":\"");
        while (t.len < CONFIG_UNDO_BYTES - 3 - 2 + 4 + spare) /* behind "[[1,", before "\"}" */
            text_char(&t, 'x');
        text_str(&t, "\"}]]");
        if (spare > 0)
            refused(big, NEFIA_ETOOBIG, "CONFIG_UNDO_BYTES");
        else
            CHECK_INT(begin_with(RUN_B, big, "", false), 0);
        CHECK_INT(undo_commit(&undo, RUN_B, clear_why()), spare > 0 ? NEFIA_ENOTFOUND : 0);
    }
    CHECK_INT(begin_with("0000000000000000", OPS, "", false), NEFIA_ENOTFOUND);
    CHECK_INT(begin(RUN_A), 0);
}

TEST(the_cause_is_that_of_the_run)
{
    static const char cause[] = "[\"restart-it\"]";

    start_anew(true);
    CHECK_INT(begin_with(RUN_A, OPS, cause, false), 0);
    CHECK_INT(step(RUN_A, 1), 0);
    CHECK(slice_eq(undo_cause(&undo), cause));
    start(true);
    CHECK(slice_eq(undo_cause(&undo), cause));
    fix_turn(0);
    CHECK_STR(undo_all(NULL), "one more ");
    CHECK(slice_eq(undo_cause(&undo), cause));
}

/* ---- The file ---- */

TEST(a_restart_undoes)
{
    start_anew(true);
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(step(RUN_A, 1), 0);
    CHECK_INT(undo_step_begins(&undo, RUN_A, 3, clear_why()), 0);
    start(true);
    CHECK_INT(undo_next(&undo).len, 0);
    fix_turn(0);
    fix_turn(0);
    CHECK_INT(wakes, 1);
    CHECK_STR(undo_all("more"), "three one more ");
    CHECK(fix_has(0, "\"reason\":\"restart\",\"steps\":[3],\"failed\":[1],\"error\":\"exit status 1\"}"));
    /* The event was not delivered: it is made again. */
    start(true);
    fix_turn(0);
    CHECK_INT(fix.count, 1);
    CHECK(fix_has(0, "\"reason\":\"restart\",\"steps\":[3],\"failed\":[1]}"));
    CHECK_INT(undo.state, UNDO_UNDONE);
    undo_settled(&undo);
    start(true);
    fix_turn(WITHIN);
    CHECK_INT(fix.count + wakes, 0);
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), 0);
    CHECK_INT(undo_commit(&undo, RUN_A, clear_why()), NEFIA_EEXIST);
    CHECK_STR(why_text, "the run is undone: restart");
    CHECK_INT(begin(RUN_B), 0);
}

TEST(a_restart_goes_on)
{
    start_anew(true);
    CHECK_INT(begin_with(RUN_A, OPS, "", true), 0);
    CHECK_INT(step(RUN_A, 1), 0);
    fix_turn(WITHIN - 1);
    start(true);
    fix_turn(WITHIN - 1);
    CHECK_INT(undo.state, UNDO_OPEN);
    CHECK_INT(step(RUN_A, 0), 0);
    fix_turn(WITHIN);
    CHECK_INT(undo.state, UNDO_UNDOING);
    start(true);
    fix_turn(0);
    CHECK_STR(undo_all(NULL), "zero one more ");
    CHECK(fix_has(0, "\"reason\":\"not heard in time\",\"steps\":[0,1]}"));
}

TEST(an_undoing_goes_on_with_the_op_whose_end_is_not_noted)
{
    start_anew(true);
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(step(RUN_A, 0), 0);
    CHECK_INT(step(RUN_A, 1), 0);
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), 0);
    undo_op_ended(&undo, "");
    start(true);
    CHECK_INT(wakes, 0);
    fix_turn(0);
    CHECK_INT(wakes, 1);
    CHECK_STR(undo_all(NULL), "more zero ");
    CHECK(fix_has(0, "\"reason\":\"asked\",\"steps\":[1,0]}"));
}

TEST(a_commit_is_remembered)
{
    start_anew(true);
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(step(RUN_A, 0), 0);
    CHECK_INT(undo_commit(&undo, RUN_A, clear_why()), 0);
    start(true);
    fix_turn(WITHIN);
    CHECK_INT(fix.count + wakes, 0);
    CHECK_INT(undo_commit(&undo, RUN_A, clear_why()), 0);
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), NEFIA_EEXIST);
}

TEST(without_a_file_nothing_survives)
{
    start_anew(false);
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(step(RUN_A, 0), 0);
    start(true);
    fix_turn(WITHIN);
    CHECK_INT(fix.count + wakes, 0);
    CHECK_INT(step(RUN_A, 1), NEFIA_ENOTFOUND);
}

TEST(what_cannot_be_kept_does_not_begin)
{
    start_anew(true);
    sync_fails = true;
    CHECK_INT(begin(RUN_A), NEFIA_EIO);
    CHECK(strstr(why_text, "cannot write state_dir/undo: "));
    CHECK_INT(undo.state, UNDO_NONE);
    sync_fails = false;
    CHECK_INT(begin(RUN_A), 0);
    sync_fails = true;
    CHECK_INT(step(RUN_A, 0), NEFIA_EIO);
    CHECK_INT(undo.begun, 0);
    CHECK_INT(undo_commit(&undo, RUN_A, clear_why()), NEFIA_EIO);
    CHECK_INT(undo.state, UNDO_OPEN);
    sync_fails = false;
    CHECK_INT(step(RUN_A, 1), 0);
    sync_fails = true; /* but what began is undone */
    CHECK_INT(step(RUN_A, 1), 0);
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), 0);
    CHECK_STR(undo_all(NULL), "one more ");
    CHECK_INT(fix.count, 1);
}

TEST(no_directory_no_run)
{
    start_anew(false);
    undo_load(&undo, -1, work);
    CHECK_INT(begin(RUN_A), NEFIA_EIO);
    CHECK_INT(undo.state, UNDO_NONE);
}

/* ---- Cut at every byte ---- */

static char image[IMAGE];

static size_t read_image(void)
{
    const int fd = open(path_of_file(), O_RDONLY | O_CLOEXEC);
    const ssize_t n = read(fd, image, sizeof image);

    close(fd);
    return n > 0 ? (size_t)n : 0;
}

static void write_image(const char *bytes, size_t len)
{
    const int fd = open(path_of_file(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    close(fd);
}

/** What a start would find: the state, and how far it is. */
static uint64_t found(void)
{
    return (uint64_t)undo.state << 60 | (uint64_t)undo.order_len << 40 | (uint64_t)undo.at_step << 32 |
           (uint64_t)undo.at_op << 16 | (undo.failed & 15) << 8 | (undo.run & 255);
}

/** The action `next` was cut after each of its bytes: the next start finds what was before or after it. */
static void cut_each_byte(void (*next)(void), bool ends_run)
{
    static char after[IMAGE];
    const size_t before_len = read_image();

    start(true);
    const uint64_t before = found();
    write_image(image, before_len);
    start(true);
    next();
    undo_close(&undo);
    const size_t len = read_image();
    memcpy(after, image, len);
    start(true);
    const uint64_t then = found();
    CHECK(before != then);
    for (size_t cut = ends_run ? 0 : before_len; cut <= len; cut++) {
        write_image(after, cut);
        start(true);
        const uint64_t now = found();
        CHECK(now == then || (cut < len && (now == before || (ends_run && now == 0))));
        CHECK_INT(lseek(undo.fd, 0, SEEK_END), now == then ? len : ends_run ? 0 : before_len);
    }
}

static void act_begin(void)
{
    CHECK_INT(begin_with(RUN_A, OPS, "[\"r\"]", true), 0);
}

static void act_step(void)
{
    CHECK_INT(step(RUN_A, undo.order_len ? 0 : 1), 0);
}

static void act_rollback(void)
{
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), 0);
}

static void act_op(void)
{
    CHECK(undo_next(&undo).len > 0);
    undo_op_ended(&undo, undo.at_step == 2 ? "" : "failed");
}

static void act_settled(void)
{
    fix_turn(0);
    undo_settled(&undo);
}

static void act_commit(void)
{
    CHECK_INT(undo_commit(&undo, RUN_A, clear_why()), 0);
}

TEST(cut_at_every_byte)
{
    start_anew(true);
    cut_each_byte(act_begin, true);
    cut_each_byte(act_step, false);
    cut_each_byte(act_step, false);
    cut_each_byte(act_rollback, false);
    for (unsigned i = 0; i < 3; i++)
        cut_each_byte(act_op, false);
    cut_each_byte(act_settled, true);
    start_anew(true);
    act_begin();
    act_step();
    undo_close(&undo);
    cut_each_byte(act_commit, true);
}

/** Each byte but those of the last frame is damaged: then that is said, or makes no difference. */
TEST(damage_at_every_byte)
{
    static char whole[IMAGE];

    start_anew(true);
    act_begin();
    act_step();
    act_step();
    act_rollback();
    undo_op_ended(&undo, "");
    undo_close(&undo);
    const size_t len = read_image();
    memcpy(whole, image, len);
    for (size_t at = 0; at + FRAME_HEADER + 9 < len; at++) {
        whole[at] ^= 0x20;
        write_image(whole, len);
        start(true);
        fix_turn(0);
        const bool all = str_eq(undo_all(NULL), "more zero ");
        CHECK_INT(undo.state, UNDO_UNDONE);
        CHECK_INT(fix.count, 1);
        CHECK((all && !undo.error[0]) || fix_has(0, "\"severity\":\"critical\""));
        CHECK(all || fix_has(0, UNDO_FILE));
        whole[at] ^= 0x20;
    }
}

/* ---- Random histories ---- */

static uint32_t seed;

static unsigned chance(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % n;
}

/** What should be, in the plainest way. */
static struct plain {
    enum undo_state state;
    unsigned run;        /* 0: none */
    bool kept, continues, step_runs, settled;
    uint64_t ends_ms;    /* OPEN, no step runs */
    unsigned ops[6];     /* steps of the run's ops, in their order */
    unsigned op_count;
    unsigned begun[UNDO_STEPS], begun_count;
    unsigned plan[6 * UNDO_STEPS], plan_count, done; /* numbers of ops */
    unsigned failed_ops, events, wakes;
} plain;

static void plain_undo(void)
{
    plain.state = UNDO_UNDOING;
    plain.plan_count = plain.done = plain.failed_ops = 0;
    for (unsigned i = plain.begun_count; i-- > 0;)
        for (unsigned k = 0; k < plain.op_count; k++)
            if (plain.ops[k] == plain.begun[i])
                plain.plan[plain.plan_count++] = k;
    if (plain.plan_count == 0) {
        plain.state = UNDO_UNDONE;
        plain.settled = false;
        plain.events++;
    }
}

static const char *run_name(unsigned run)
{
    static char name[OP_RUN_ID + 1] = "000000000000000x";

    name[OP_RUN_ID - 1] = (char)('0' + run);
    return name;
}

static void random_begin(unsigned run)
{
    char ops[512];
    unsigned steps[6], count = chance(6);
    const bool continues = chance(2);
    struct text t;
    const bool may = plain.run != run && plain.state != UNDO_OPEN && plain.state != UNDO_UNDOING;
    const bool again = plain.run == run && plain.state == UNDO_OPEN;

    text_init(&t, ops, sizeof ops);
    text_char(&t, '[');
    for (unsigned i = 0; i < count; i++) {
        steps[i] = chance(5);
        text_str(&t, i ? ",[" : "[");
        text_u64(&t, steps[i]);
        text_str(&t, ",{\"run\":\"");
        text_u64(&t, i);
        text_str(&t, "\"}]");
    }
    text_char(&t, ']');
    CHECK_INT(begin_with(run_name(run), ops, "[\"x\"]", continues) == 0, may || again);
    if (may) {
        plain = (struct plain){.state = UNDO_OPEN,
                               .run = run,
                               .kept = plain.kept,
                               .continues = continues,
                               .op_count = count,
                               .events = plain.events};
        memcpy(plain.ops, steps, sizeof steps);
    }
    if ((may || again) && !plain.step_runs)
        plain.ends_ms = fix.clock.now_ms + WITHIN;
}

static void random_step(unsigned run)
{
    const unsigned number = chance(5);
    const bool may = plain.run == run && plain.state == UNDO_OPEN;
    bool known = false;

    CHECK_INT(undo_step_begins(&undo, run_name(run), number, clear_why()) == 0, may);
    if (!may)
        return;
    for (unsigned i = 0; i < plain.begun_count; i++)
        known = known || plain.begun[i] == number;
    if (!known)
        plain.begun[plain.begun_count++] = number;
    plain.step_runs = true;
}

static void random_step_end(void)
{
    undo_step_ended(&undo);
    if (plain.step_runs)
        plain.ends_ms = fix.clock.now_ms + WITHIN;
    plain.step_runs = false;
}

static void random_end(unsigned run, bool commit)
{
    const bool open = plain.run == run && plain.state == UNDO_OPEN && !plain.step_runs;
    const bool was = plain.run == run && (commit ? plain.state == UNDO_COMMITTED : plain.state >= UNDO_UNDOING);
    int (*const end)(struct undo *, const char *, struct text *) = commit ? undo_commit : undo_rollback;

    CHECK_INT(end(&undo, run_name(run), clear_why()) == 0, open || was);
    if (!open)
        return;
    if (commit)
        plain.state = UNDO_COMMITTED;
    else
        plain_undo();
}

static void random_time(void)
{
    fix_turn(chance(3) ? chance(WITHIN) : WITHIN);
    if (plain.state == UNDO_OPEN && !plain.step_runs && fix.clock.now_ms >= plain.ends_ms)
        plain_undo();
    fix_turn(0);
}

static void random_op_end(void)
{
    const bool fails = chance(4) == 0;

    undo_op_ended(&undo, fails ? "no" : "");
    if (plain.state != UNDO_UNDOING)
        return;
    plain.failed_ops += fails;
    if (++plain.done == plain.plan_count) {
        plain.state = UNDO_UNDONE;
        plain.events++;
    }
}

static void random_restart(void)
{
    start(plain.kept);
    plain.events = 0;
    plain.step_runs = false;
    if (!plain.kept)
        plain = (struct plain){.kept = false};
    else if (plain.state == UNDO_OPEN && plain.continues)
        plain.ends_ms = fix.clock.now_ms + WITHIN;
    else if (plain.state == UNDO_OPEN)
        plain_undo();
    else if (plain.state == UNDO_UNDONE && !plain.settled)
        plain.events++;
    fix_turn(0);
    fix_turn(0);
    CHECK_INT(wakes, plain.state == UNDO_UNDOING);
}

static void compare(void)
{
    const struct slice op = undo_next(&undo);

    CHECK_INT(undo.state, plain.state);
    CHECK_INT(op.len > 0, plain.state == UNDO_UNDOING);
    if (op.len > 0 && plain.state == UNDO_UNDOING) {
        CHECK_INT(op.len, 11);
        CHECK_INT(op.ptr[8], '0' + (int)plain.plan[plain.done]);
    }
    CHECK_INT(fix.count, plain.events < FIX_LINES ? plain.events : FIX_LINES);
    if (plain.state == UNDO_UNDONE && !plain.settled && plain.kept)
        CHECK_INT(undo_failed(&undo) > 0, plain.failed_ops > 0);
}

TEST(random_histories)
{
    for (unsigned history = 0; history < 300; history++) {
        seed = history;
        start_anew(history & 1);
        plain = (struct plain){.kept = history & 1};
        for (unsigned i = 0; i < 120 && check_failures == 0; i++) {
            const unsigned what = chance(16), run = 1 + chance(3);
            if (what < 3)
                random_begin(run);
            else if (what < 6)
                random_step(run);
            else if (what < 8)
                random_step_end();
            else if (what < 9)
                random_end(run, true);
            else if (what < 10)
                random_end(run, false);
            else if (what < 12)
                random_time();
            else if (what < 14)
                random_op_end();
            else if (what < 15)
                random_restart();
            else if (plain.state == UNDO_UNDONE) {
                undo_settled(&undo);
                plain.settled = true;
            }
            compare();
        }
    }
}

TEST(status_shows_the_last_run)
{
    char buf[512];
    struct json_writer w;
    struct text t;

    start_anew(true);
    text_init(&t, buf, sizeof buf);
    json_begin(&w, &t);
    json_object(&w, NULL);
    undo_put(&undo, &w);
    CHECK_STR(buf, "{");
    CHECK_INT(begin(RUN_A), 0);
    CHECK_INT(step(RUN_A, 1), 0);
    undo_put(&undo, &w);
    CHECK_INT(undo_rollback(&undo, RUN_A, clear_why()), 0);
    undo_all("more");
    undo_put(&undo, &w);
    CHECK_STR(buf, "{\"undo\":{\"run\":\"" RUN_A "\",\"state\":\"open\",\"begun\":1,\"failed\":0,\"kept\":true},"
                   "\"undo\":{\"run\":\"" RUN_A "\",\"state\":\"undone\",\"reason\":\"asked\",\"begun\":1,\"failed\":1,"
                   "\"kept\":true}");
    undo_close(&undo);
    CHECK(remove_tempdir(dir));
}

TEST_MAIN(undoes_what_has_begun_last_step_first, what_fails_does_not_keep_the_rest_from_being_undone, commit_ends_it,
          a_step_that_runs_stops_the_time, one_run_at_a_time, steps_of_no_open_run_do_not_begin,
          a_run_without_steps_is_undone_at_once, what_is_refused, the_cause_is_that_of_the_run, a_restart_undoes,
          a_restart_goes_on, an_undoing_goes_on_with_the_op_whose_end_is_not_noted, a_commit_is_remembered,
          without_a_file_nothing_survives, what_cannot_be_kept_does_not_begin, no_directory_no_run, cut_at_every_byte,
          damage_at_every_byte, random_histories, status_shows_the_last_run)
