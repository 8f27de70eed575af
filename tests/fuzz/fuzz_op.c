/* Arbitrary bytes as an operation. What is read is in range, is written as what reads back the same, and a shell that is given its
 * argv as the policy is runs that one command with these words. */
#include <stdio.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/ops/op.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

static struct json_token tokens[OP_TOKENS + 8]; /* defaults are written, too */
static char strings[2][OP_TEXT_BYTES], written[2][8 * OP_TEXT_BYTES], line[8 * OP_TEXT_BYTES], words[2 * OP_TEXT_BYTES];
static struct op op[2];
static struct shell_work shell;
static unsigned commands;

static int read_op(unsigned i, const char *json, size_t len)
{
    struct text text;
    const char *why;

    text_init(&text, strings[i], sizeof strings[i]);
    const int err = op_read(&op[i], (struct slice){json, len}, &text, tokens, OP_TOKENS + 8 * i, &why);
    MUST((err < 0) == (why != NULL));
    return err;
}

static size_t write_op(unsigned i)
{
    struct json_writer w;
    struct text text;

    text_init(&text, written[i], sizeof written[i]);
    json_begin(&w, &text);
    op_write(&op[i], &w, NULL);
    MUST(!text.truncated && w.depth == 0);
    return text.len;
}

static bool found(void *arg, const struct shell_command *c)
{
    (void)arg;
    if (c->origin == SHELL_WRITTEN) {
        commands++;
        MUST(c->at == 0 && slice_eq(c->text, words));
    }
    MUST(c->origin != SHELL_REDIRECTED || c->at == 0);
    return true;
}

static void check_subject(const struct op *o)
{
    const char *command, *paths[2];
    struct shell_doubt doubt;
    struct text text, expected;

    text_init(&text, line, sizeof line);
    const unsigned n = op_subject(o, &text, &command, paths);
    MUST(!text.truncated && n <= 2);
    for (unsigned i = 0; i < n; i++)
        MUST(paths[i][0] == '/' && strlen(paths[i]) < FILE_PATH_MAX);
    if (o->kind != OP_ARGV || text.len > SHELL_LINE_MAX || strchr(o->argv[0], '\n'))
        return;
    text_init(&expected, words, sizeof words);
    for (unsigned i = 0; o->argv[i]; i++) {
        text_str(&expected, i > 0 ? " " : "");
        text_str(&expected, o->argv[i]);
    }
    commands = 0;
    shell_split(line, text.len, &shell, found, NULL, &doubt);
    MUST(commands == 1);
}

static void check_ranges(const struct op *o)
{
    MUST(o->timeout_ms >= 1 && o->timeout_ms <= OP_TIMEOUT_MAX_MS);
    MUST(o->env_count <= OP_ENV && !o->env[o->env_count]);
    for (unsigned i = 0; i < o->env_count; i++)
        MUST(strncmp(o->env[i], "NEFIA_", 6) == 0 && strchr(o->env[i], '='));
    MUST(!o->service || op_is_service(o->service));
    MUST(o->kind != OP_ARGV || o->argv[0][0] == '/');
    MUST(!o->path || o->path[0] == '/');
    MUST(o->mode <= 0777 && o->step < OP_STEPS);
    MUST(o->kind != OP_FILE || !o->from != !o->content);
    MUST(o->kind != OP_UNDO || strlen(o->undo_run) == OP_RUN_ID);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (read_op(0, (const char *)data, size) < 0)
        return 0;
    check_ranges(&op[0]);
    check_subject(&op[0]);
    const size_t len = write_op(0);
    MUST(read_op(1, written[0], len) == 0);
    MUST(op[0].kind == op[1].kind && op[0].env_count == op[1].env_count);
    MUST(write_op(1) == len && memcmp(written[0], written[1], len) == 0);
    return 0;
}
