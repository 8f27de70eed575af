#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/ops/op.h"
#include "op_fixture.h"

static char written[2 * OP_TEXT_BYTES];

static const char *write_op(void)
{
    struct json_writer w;
    struct text t;

    text_init(&t, written, sizeof written);
    json_begin(&w, &t);
    op_write(&op, &w, NULL);
    CHECK(!t.truncated);
    return written;
}

/** Reads, and is written as it was. */
#define SAME(json)                       \
    do {                                 \
        CHECK_INT(read_op(json), 0);     \
        CHECK_STR(reason, NULL);         \
        CHECK_STR(write_op(), json);     \
    } while (0)

#define REFUSED(json, err, words)        \
    do {                                 \
        CHECK_INT(read_op(json), err);   \
        CHECK_STR(reason, words);        \
    } while (0)

TEST(each_kind_is_written_as_it_was_read)
{
    SAME("{\"run\":\"logger \\\"$NEFIA_TYPE\\\"\",\"timeout_ms\":30000,\"env\":{\"NEFIA_TYPE\":\"disk.usage\",\"NEFIA_X\":\"\"}}");
    SAME("{\"argv\":[\"/bin/echo\",\"\",\"a b\"],\"timeout_ms\":1}");
    SAME("{\"service\":{\"name\":\"nginx\",\"verb\":\"restart\"},\"timeout_ms\":3600000}");
    SAME("{\"file\":{\"path\":\"/etc/x\",\"content\":\"a\\u0000b\\n\"},\"timeout_ms\":30000}");
    SAME("{\"file\":{\"path\":\"/etc/x\",\"from\":\"/tmp/y\",\"mode\":\"0644\",\"backup\":true},\"timeout_ms\":30000}");
    SAME("{\"restore\":{\"path\":\"/etc/x\"},\"timeout_ms\":30000,\"of\":[\"" RUN "\",63]}");
    SAME("{\"restore\":{\"path\":\"/etc/x\",\"run\":\"" RUN "\"},\"timeout_ms\":30000}");
    SAME("{\"wait_for\":{\"port\":\"127.0.0.1:80\"},\"timeout_ms\":30000}");
    SAME("{\"wait_for\":{\"path\":\"/run/x\"},\"timeout_ms\":30000}");
    SAME("{\"wait_for\":{\"service\":\"a@b\"},\"timeout_ms\":30000}");
    SAME("{\"wait_for\":{\"service\":\"a\",\"state\":\"inactive\"},\"timeout_ms\":30000}");
    SAME("{\"undo\":{\"begin\":\"" RUN "\",\"within_ms\":60000,\"restart\":\"continue\",\"ops\":[[0,{\"argv\":[\"/a\"]}]]},\"timeout_ms\":30000}");
    SAME("{\"undo\":{\"commit\":\"" RUN "\"},\"timeout_ms\":30000}");
    SAME("{\"undo\":{\"rollback\":\"" RUN "\"},\"timeout_ms\":30000}");
}

TEST(what_it_means)
{
    CHECK_INT(read_op("{\"env\":{\"NEFIA_A\":\"b=c\"},\"of\":[\"" RUN "\",0],\"run\":\"true\"}"), 0);
    CHECK_INT(op.kind, OP_RUN);
    CHECK_STR(op.run, "true");
    CHECK_INT(op.timeout_ms, 30000);
    CHECK_INT(op.env_count, 1);
    CHECK_STR(op.env[0], "NEFIA_A=b=c");
    CHECK_STR(op.env[1], NULL);
    CHECK_STR(op.step_of, RUN);
    CHECK_INT(op.step, 0);
    CHECK_INT(read_op("{\"file\":{\"content\":\"a\\u0000b\",\"path\":\"/x\",\"mode\":\"0755\",\"backup\":false}}"), 0);
    CHECK_INT(op.content_len, 3);
    CHECK_MEM(op.content, "a\0b", 4);
    CHECK_INT(op.mode, 0755);
    CHECK(!op.backup && !op.from);
    CHECK_INT(read_op("{\"wait_for\":{\"service\":\"a\"}}"), 0);
    CHECK_INT(op.wait, OP_WAIT_SERVICE);
    CHECK_INT(read_op("{\"undo\":{\"begin\":\"" RUN "\",\"within_ms\":1,\"ops\":[]}}"), 0);
    CHECK_INT(op.undo, OP_UNDO_BEGIN);
    CHECK(!op.continues);
    CHECK(slice_eq(op.undo_ops, "[]"));
    CHECK_INT(read_op("{\"undo\":{\"rollback\":\"" RUN "\"}}"), 0);
    CHECK_INT(op.undo, OP_UNDO_ROLLBACK);
}

#define LACKS "an operation lacks a member, or has one too many"
#define UNKNOWN "unknown member of an operation"

TEST(what_is_not_understood_whole_is_refused)
{
    REFUSED("", NEFIA_ESYNTAX, "the operation is no JSON");
    REFUSED("{\"run\":\"a\",\"run\":\"b\"}", NEFIA_ESYNTAX, "the operation is no JSON");
    REFUSED("[]", NEFIA_EINVAL, "the operation is no object");
    REFUSED("{}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"timeout_ms\":5}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"run\":\"a\",\"argv\":[\"/a\"]}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"run\":\"a\",\"user\":\"b\"}", NEFIA_EINVAL, UNKNOWN);
    REFUSED("{\"run\":\"\"}", NEFIA_EINVAL, "a text of the operation is empty or has a NUL character");
    REFUSED("{\"run\":\"a\\u0000b\"}", NEFIA_EINVAL, "a text of the operation is empty or has a NUL character");
    REFUSED("{\"run\":7}", NEFIA_EINVAL, "a member of the operation is no text");
    REFUSED("{\"run\":\"a\",\"timeout_ms\":0}", NEFIA_EINVAL, "a number of the operation is out of range");
    REFUSED("{\"run\":\"a\",\"timeout_ms\":3600001}", NEFIA_EINVAL, "a number of the operation is out of range");
    REFUSED("{\"run\":\"a\",\"timeout_ms\":1.5}", NEFIA_EINVAL, "a number of the operation is out of range");
    REFUSED("{\"run\":\"a\",\"of\":[\"" RUN "\"]}", NEFIA_EINVAL, "of is not a run and a step");
    REFUSED("{\"run\":\"a\",\"of\":[\"" RUN "\",64]}", NEFIA_EINVAL, "a number of the operation is out of range");
    REFUSED("{\"run\":\"a\",\"of\":[\"0123456789abcdeF\",6]}", NEFIA_EINVAL, "the run of a playbook is not 16 hex digits");
    REFUSED("{\"argv\":[]}", NEFIA_EINVAL, "argv is no list of 1 to 32 texts");
    REFUSED("{\"argv\":[\"ls\"]}", NEFIA_EINVAL, "argv does not begin with an absolute path");
    REFUSED("{\"argv\":[\"\"]}", NEFIA_EINVAL, "argv does not begin with an absolute path");
    REFUSED("{\"argv\":[\"/a\",\"\\u0000\"]}", NEFIA_EINVAL, "argv has a NUL character");
    REFUSED("{\"service\":{\"name\":\"a\"}}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"service\":{\"verb\":\"stop\"}}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"service\":{\"name\":\"a\",\"verb\":\"enable\"}}", NEFIA_EINVAL, "unknown word in the operation");
    REFUSED("{\"service\":{\"name\":\"../a\",\"verb\":\"stop\"}}", NEFIA_EINVAL, "not the name of a service");
    REFUSED("{\"service\":{\"name\":\"-a\",\"verb\":\"stop\"}}", NEFIA_EINVAL, "not the name of a service");
    REFUSED("{\"service\":{\"name\":\"a b\",\"verb\":\"stop\"}}", NEFIA_EINVAL, "not the name of a service");
    REFUSED("{\"service\":{\"name\":\"a\",\"verb\":\"stop\",\"path\":\"/x\"}}", NEFIA_EINVAL, UNKNOWN);
    REFUSED("{\"service\":[]}", NEFIA_EINVAL, "an operation's member is no object");
    REFUSED("{\"file\":{\"path\":\"/x\"}}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"file\":{\"path\":\"/x\",\"content\":\"\",\"from\":\"/y\"}}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"file\":{\"path\":\"x\",\"content\":\"\"}}", NEFIA_EINVAL, "a path of the operation is not absolute, or too long");
    REFUSED("{\"file\":{\"path\":\"/x\",\"content\":\"\",\"mode\":\"4755\"}}", NEFIA_EINVAL, "mode is not four octal digits of permissions");
    REFUSED("{\"file\":{\"path\":\"/x\",\"content\":\"\",\"mode\":\"0000\"}}", NEFIA_EINVAL, "mode is not four octal digits of permissions");
    REFUSED("{\"file\":{\"path\":\"/x\",\"content\":\"\",\"mode\":\"0689\"}}", NEFIA_EINVAL, "mode is not four octal digits of permissions");
    REFUSED("{\"file\":{\"path\":\"/x\",\"content\":\"\",\"mode\":420}}", NEFIA_EINVAL, "mode is not four octal digits of permissions");
    REFUSED("{\"file\":{\"path\":\"/x\",\"content\":\"\",\"backup\":\"true\"}}", NEFIA_EINVAL, "backup is neither true nor false");
    REFUSED("{\"restore\":{}}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"wait_for\":{\"port\":\"a:1\",\"path\":\"/x\"}}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"wait_for\":{\"path\":\"/x\",\"state\":\"active\"}}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"wait_for\":{\"service\":\"x\",\"state\":\"gone\"}}", NEFIA_EINVAL, "unknown word in the operation");
    REFUSED("{\"undo\":{\"begin\":\"" RUN "\"}}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"undo\":{\"begin\":\"" RUN "\",\"commit\":\"" RUN "\",\"within_ms\":1,\"ops\":[]}}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"undo\":{\"commit\":\"" RUN "\",\"within_ms\":1}}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"undo\":{\"commit\":\"" RUN "\"},\"of\":[\"" RUN "\",1]}", NEFIA_EINVAL, LACKS);
    REFUSED("{\"undo\":{\"begin\":\"" RUN "\",\"within_ms\":1,\"ops\":{}}}", NEFIA_EINVAL, "ops is no list");
}

TEST(no_variable_changes_what_a_command_runs)
{
    static const char words[] = "env has a name that is not NEFIA_ and capital letters, digits and _";

    REFUSED("{\"run\":\"a\",\"env\":{\"PATH\":\"/tmp\"}}", NEFIA_EINVAL, words);
    REFUSED("{\"run\":\"a\",\"env\":{\"LD_PRELOAD\":\"/tmp/x.so\"}}", NEFIA_EINVAL, words);
    REFUSED("{\"run\":\"a\",\"env\":{\"NEFIA_\":\"\"}}", NEFIA_EINVAL, words);
    REFUSED("{\"run\":\"a\",\"env\":{\"NEFIA_a\":\"\"}}", NEFIA_EINVAL, words);
    REFUSED("{\"run\":\"a\",\"env\":{\"NEFIA_A=\":\"\"}}", NEFIA_EINVAL, words);
    REFUSED("{\"run\":\"a\",\"env\":{\"NEFIA_A\":\"\\u0000\"}}", NEFIA_EINVAL, "env has a NUL character");
}

TEST(sizes)
{
    static char json[OP_TEXT_BYTES + 256];
    struct text t;

    text_init(&t, json, sizeof json);
    text_str(&t, "{\"run\":\"");
    for (unsigned i = 0; i < OP_TEXT_BYTES - 2; i++)
        text_char(&t, 'a');
    text_str(&t, "\"}");
    CHECK_INT(read_op(json), 0);
    CHECK_INT(strlen(op.run), OP_TEXT_BYTES - 2);
    text_rewind(&t, t.len - 2);
    text_str(&t, "a\"}");
    REFUSED(json, NEFIA_ETOOBIG, "the texts of the operation are too long");
    text_init(&t, json, sizeof json);
    text_str(&t, "{\"argv\":[\"/a\"");
    for (unsigned i = 1; i < OP_ARGS; i++)
        text_str(&t, ",\"b\"");
    text_str(&t, "]}");
    CHECK_INT(read_op(json), 0);
    CHECK_STR(op.argv[OP_ARGS - 1], "b");
    CHECK_STR(op.argv[OP_ARGS], NULL);
    text_rewind(&t, t.len - 2);
    text_str(&t, ",\"b\"]}");
    CHECK_INT(read_op(json), NEFIA_EINVAL);
    text_init(&t, json, sizeof json);
    text_str(&t, "{\"run\":\"a\",\"env\":{\"NEFIA_A\":\"\"");
    for (unsigned i = 1; i < OP_ENV; i++) {
        text_str(&t, ",\"NEFIA_");
        text_u64(&t, i);
        text_str(&t, "\":\"\"");
    }
    text_str(&t, "}}");
    CHECK_INT(read_op(json), 0);
    CHECK_INT(op.env_count, OP_ENV);
    CHECK_STR(op.env[OP_ENV], NULL);
    text_rewind(&t, t.len - 2);
    text_str(&t, ",\"NEFIA_B\":\"\"}}");
    REFUSED(json, NEFIA_EINVAL, "env has more than 40 variables");
}

/* ---- the policy ---- */

static char asked[8][512];
static unsigned asked_count;

/** Denies what has "no" in it. */
static struct verdict judge(void *arg, const struct policy_case *c)
{
    const char *subject = c->command ? c->command : c->path;

    (void)arg;
    CHECK_STR(c->host, "r1");
    CHECK_STR(c->role, "edge");
    CHECK(!c->command != !c->path);
    if (!subject)
        return (struct verdict){.kind = VERDICT_DENIED, .reason = "nothing asked"};
    if (asked_count < 8)
        strncpy(asked[asked_count++], subject, 511);
    if (strstr(subject, "no"))
        return (struct verdict){.kind = VERDICT_DENIED, .reason = "has no in it"};
    return (struct verdict){.kind = strstr(subject, "warn") ? VERDICT_NOTIFY : VERDICT_ALLOWED};
}

static struct op_place place = {.guard = {judge, NULL}, .host = "r1", .role = "edge", .work = work, .work_cap = sizeof work};
static struct verdict verdict;

static bool allowed(const char *json)
{
    CHECK_INT(read_op(json), 0);
    text_init(&why, why_text, sizeof why_text);
    memset(asked, 0, sizeof asked);
    asked_count = 0;
    return op_allowed(&op, &place, &verdict, &why);
}

TEST(a_policy_is_asked_as_a_shell_would_be)
{
    CHECK(allowed("{\"run\":\"a | b\"}"));
    CHECK_STR(asked[0], "a | b");
    CHECK(allowed("{\"argv\":[\"/bin/a\",\"b=c\",\"d e\",\"\",\"it's\",\"$x\",\"*\"]}"));
    CHECK_STR(asked[0], "/bin/a b=c 'd e' '' 'it'\\''s' '$x' '*'");
    CHECK(allowed("{\"service\":{\"name\":\"nginx\",\"verb\":\"reload\"}}"));
    CHECK_STR(asked[0], "service nginx reload");
    CHECK_INT(asked_count, 1);
    CHECK(allowed("{\"wait_for\":{\"port\":\"[::1]:80\"}}"));
    CHECK(allowed("{\"undo\":{\"commit\":\"" RUN "\"}}"));
    CHECK_INT(asked_count, 0);
    CHECK(allowed("{\"run\":\"warn\"}"));
    CHECK_INT(verdict.kind, VERDICT_NOTIFY);
    CHECK(!allowed("{\"run\":\"no\"}"));
    CHECK_INT(verdict.kind, VERDICT_DENIED);
    CHECK_STR(why.buf, "has no in it");
}

TEST(paths_are_judged_as_they_resolve)
{
    CHECK(allowed("{\"file\":{\"path\":\"/proc/./x/a\",\"from\":\"/../b\"}}"));
    CHECK_INT(asked_count, 2);
    CHECK_STR(asked[0], "/proc/x/a");
    CHECK_STR(asked[1], "/b");
    CHECK(!allowed("{\"file\":{\"path\":\"/x\",\"from\":\"/no\"}}"));
    CHECK_STR(why.buf, "/no: has no in it");
    CHECK(!allowed("{\"restore\":{\"path\":\"/no/x\"}}"));
    CHECK(!allowed("{\"wait_for\":{\"path\":\"/no\"}}"));
}

TEST(what_cannot_be_judged_is_denied)
{
    place.work_cap = 16;
    CHECK(!allowed("{\"argv\":[\"/bin/a\",\"12345678901\"]}"));
    CHECK_INT(verdict.kind, VERDICT_DENIED);
    CHECK_STR(why.buf, "too long to be judged");
    CHECK_INT(asked_count, 0);
    CHECK(allowed("{\"run\":\"a line that is longer than this\"}"));
    place.work_cap = 0;
    CHECK(!allowed("{\"argv\":[\"/a\"]}"));
    place.work_cap = sizeof work;
    place.guard.judge = NULL;
    CHECK(allowed("{\"run\":\"no\"}"));
    place.guard.judge = judge;
}

/* ---- carried out ---- */

TEST(commands_run)
{
    struct op_place here = {.host = "r1"};

    carry_out(&here, "{\"run\":\"echo \\\"$NEFIA_A\\\"; exit 3\",\"env\":{\"NEFIA_A\":\"$(x) 'y'\"}}");
    CHECK_STR(output, "$(x) 'y'\n");
    CHECK_INT(result.exit_code, 3);
    carry_out(&here, "{\"argv\":[\"/bin/echo\",\"$HOME\",\"a  b\"]}");
    CHECK_STR(output, "$HOME a  b\n");
    CHECK_INT(result.exit_code, 0);
    carry_out(&here, "{\"run\":\"env | sed -n 's/=.*//p' | grep -v -e '^PWD$' -e '^SHLVL$' -e '^_$' -e '^OLDPWD$' | sort\",\"env\":{\"NEFIA_B\":\"\"}}");
    CHECK_STR(output, "NEFIA_B\nPATH\n");
}

TEST_MAIN(each_kind_is_written_as_it_was_read, what_it_means, what_is_not_understood_whole_is_refused,
          no_variable_changes_what_a_command_runs, sizes, a_policy_is_asked_as_a_shell_would_be, paths_are_judged_as_they_resolve,
          what_cannot_be_judged_is_denied, commands_run)
