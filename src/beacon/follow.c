#include "nefia/beacon/follow.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/text.h"

enum {
    CLOSED_MS = 2 * 1000, /* between the end of its output and its own */
    DAY_MS = 24 * 3600 * 1000,
    PIPE_READS = 2 * 65536 / CONFIG_FOLLOW_LINE_BYTES + 1, /* pipe(7): its capacity; a line's beginning
                                                            * is in the way of the next read */
};
/* A child has a deadline; this one's is a year, after which it is started again. */
static const uint64_t deadline_ms = 365ull * DAY_MS;

static void begin(void *arg);

/* ---- lines ---- */

static void hand_over(struct follow *f, char *line, size_t len)
{
    line[len] = '\0';
    f->lines++;
    f->line(f->arg, line, len);
}

/** n more bytes are in the buffer. */
static void take(struct follow *f, size_t n)
{
    char *at = f->buf, *end = f->buf + f->len + n, *newline;

    while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
        if (!f->skipping)
            hand_over(f, at, (size_t)(newline - at));
        f->skipping = false;
        at = newline + 1;
    }
    f->len = (size_t)(end - at);
    if (f->skipping) {
        f->len = 0;
    } else if (f->len == sizeof f->buf) {
        hand_over(f, at, CONFIG_FOLLOW_LINE_BYTES);
        f->cut++;
        f->skipping = true;
        f->len = 0;
    } else {
        memmove(f->buf, at, f->len);
    }
}

ssize_t follow_read(struct follow *f, int fd, int reads)
{
    ssize_t n = 1;

    for (int i = 0; i < reads && n > 0; i++) {
        n = read(fd, f->buf + f->len, sizeof f->buf - f->len);
        if (n > 0)
            take(f, (size_t)n);
    }
    return n;
}

static void closed_too_long(void *arg);

static void output_ready(void *arg, short revents)
{
    struct follow *f = arg;
    struct child *ch = &f->children->slots[f->slot];
    /* Where nobody writes any more, all that is left in the pipe. */
    if (follow_read(f, ch->out_fd, revents & POLLHUP ? PIPE_READS : FOLLOW_READS) == 0) { /* it will print nothing any more */
        loop_unwatch(f->children->loop, &ch->out_watch);
        timer_start(f->children->loop, &f->timer, CLOSED_MS, closed_too_long, f);
    }
}

/* ---- start and end ---- */

static void start_later(struct follow *f)
{
    uint64_t delay = FOLLOW_FIRST_MS;

    for (unsigned i = 0; i < f->failures && delay < FOLLOW_MOST_MS; i++)
        delay *= 2;
    if (delay > FOLLOW_MOST_MS)
        delay = FOLLOW_MOST_MS;
    f->failures++;
    if (f->random_below)
        delay = delay / 2 + f->random_below(delay / 2 + 1);
    timer_start(f->children->loop, &f->timer, delay, begin, f);
}

static void fail(struct follow *f, const char *what, const char *value)
{
    struct text t;

    text_init(&t, f->why, sizeof f->why);
    text_str(&t, f->argv[0]);
    text_str(&t, what);
    text_str(&t, value);
    start_later(f);
    f->changed(f->arg);
}

static void ended(void *arg, const struct child_result *r)
{
    struct follow *f = arg;

    f->slot = -1;
    if (f->len > 0)
        hand_over(f, f->buf, f->len);
    f->len = 0;
    f->skipping = false;
    fail(f, r->signal ? ": ended by signal " : ": ended with exit status ",
         DEC(r->signal ? r->signal : r->exit_code));
}

static void closed_too_long(void *arg)
{
    struct follow *f = arg;

    child_cancel(f->children, f);
    f->slot = -1;
    fail(f, ": closed its output", "");
}

static void steady(void *arg)
{
    struct follow *f = arg;

    f->failures = 0;
    if (!f->why[0])
        return;
    f->why[0] = '\0';
    f->changed(f->arg);
}

static void begin(void *arg)
{
    struct follow *f = arg;
    struct loop *loop = f->children->loop;
    const struct child_spec spec = {
        .argv = f->argv, .envp = (const char *const *)environ, .deadline_ms = deadline_ms,
        .followed = true};

    f->len = 0;
    f->skipping = false;
    if (access(f->argv[0], X_OK) < 0) {
        fail(f, ": ", ERRNO(errno));
        return;
    }
    f->slot = child_start(f->children, &spec, ended, f);
    if (f->slot == NEFIA_EFULL && !f->waited) { /* one that was killed may not have been reaped yet */
        f->waited = true;
        timer_start(loop, &f->timer, FOLLOW_FIRST_MS, begin, f);
        return;
    }
    if (f->slot < 0) {
        fail(f, ": ", f->slot == NEFIA_EFULL ? "too many commands are running" : ERRNO(errno));
        return;
    }
    f->waited = false;
    f->starts++;
    struct child *ch = &f->children->slots[f->slot];
    loop_watch(loop, &ch->out_watch, ch->out_fd, POLLIN, output_ready, f);
    timer_start(loop, &f->timer, FOLLOW_STEADY_MS, steady, f);
}

void follow_start(struct follow *f)
{
    f->slot = -1;
    begin(f);
}

void follow_stop(struct follow *f)
{
    timer_stop(&f->timer);
    if (f->slot >= 0)
        child_cancel(f->children, f);
    f->slot = -1;
}
