/* Operations that are read and carried out. */
#ifndef NEFIA_TESTS_OP_FIXTURE_H
#define NEFIA_TESTS_OP_FIXTURE_H

#include <signal.h>
#include <string.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/ops/op.h"

#define RUN "0123456789abcdef"

static struct op op;
static char strings[OP_TEXT_BYTES], why_text[256], work[OP_WORK_BYTES];
static struct json_token tokens[OP_TOKENS];
static struct text text, why;
static const char *reason;

static inline int read_op(const char *json)
{
    text_init(&text, strings, sizeof strings);
    return op_read(&op, (struct slice){json, strlen(json)}, &text, tokens, OP_TOKENS, &reason);
}

static struct loop loop;
static struct epoll_event found[8];
static struct child slots[2];
static struct children children;
static char output[4096];
static struct child_result result;
static bool done;

static void on_signal(void *arg, int signo)
{
    (void)arg;
    if (signo == SIGCHLD)
        children_reap(&children);
}

static void on_done(void *arg, const struct child_result *r)
{
    (void)arg;
    result = *r;
    done = true;
}

/** Do it to its end, in a child process: result and output tell. */
static inline void carry_out(struct op_place *here, const char *json)
{
    struct child_spec spec;

    CHECK_INT(read_op(json), 0);
    text_init(&why, why_text, sizeof why_text);
    REQUIRE(op_child(&op, here, &spec, &why) == 0);
    CHECK_INT(spec.deadline_ms, op.timeout_ms);
    memset(output, 0, sizeof output);
    spec.output = output;
    spec.output_cap = sizeof output - 1;
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &clock_system, found, 8);
    loop_on_signal(&loop, on_signal, NULL);
    children_init(&children, &loop, slots, 2);
    done = false;
    REQUIRE(child_start(&children, &spec, on_done, NULL) >= 0);
    while (!done)
        CHECK_INT(loop_turn(&loop, -1), 0);
}

#endif
