#include "nefia/sys/survivors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nefia/base/text.h"
#include "nefia/sys/child.h"
#include "nefia/sys/dir.h"
#include "nefia/sys/file.h"
#include "nefia/sys/log.h"

enum { LOOK_MS = 1000, STAT_BYTES = 512 };

void survivors_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1ul, 0ul, 0ul, 0ul);
}

static bool is_ours(const struct children *c, pid_t pid)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->slots[i].pid == pid)
            return true;
    return false;
}

/** Return: whether it was there. */
static bool swap_known(struct children *c, pid_t pid, pid_t by)
{
    for (unsigned i = 0; i < SURVIVORS_KNOWN; i++)
        if (c->survivors[i] == pid) {
            c->survivors[i] = by;
            return true;
        }
    return false;
}

/** The next child that has ended. Return: its pid; 0: there are others; negative: there are none. */
static pid_t next_ended(void)
{
    siginfo_t info = {0};

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ? -1 : info.si_pid;
}

void survivors_reap(struct children *c)
{
    for (pid_t pid; (pid = next_ended()) > 0 && !is_ours(c, pid);) {
        waitpid(pid, NULL, 0);
        if (swap_known(c, pid, 0))
            c->more_reported = false;
    }
}

/* ---- proc(5) ---- */

struct process {
    pid_t pid;
    struct slice name;
    uint64_t parent, group;
    char state;
    char stat[STAT_BYTES];
};

/** The next word behind a space, as a number. */
static bool take_number(struct slice *s, uint64_t *v)
{
    size_t n = 1;

    while (n < s->len && s->ptr[n] != ' ')
        n++;
    if (s->len < 2 || parse_u64(s->ptr + 1, n - 1, v) < 0)
        return false;
    *s = (struct slice){s->ptr + n, s->len - n};
    return true;
}

/** /proc/PID/stat: "PID (NAME) STATE PARENT GROUP …"; the name may contain anything. */
static bool read_process(struct process *p, const char *pid)
{
    char path[48];
    struct text t;
    uint64_t v;

    if (parse_u64(pid, strlen(pid), &v) < 0)
        return false;
    text_init(&t, path, sizeof path);
    text_str(&t, "/proc/");
    text_str(&t, pid);
    text_str(&t, "/stat");
    long n = t.truncated ? -1 : file_read(path, p->stat, sizeof p->stat - 1);
    if (n <= 0)
        return false;
    p->stat[n] = '\0';
    const char *open = strchr(p->stat, '('), *close = strrchr(p->stat, ')');
    if (!open || !close || close < open || strlen(close) < 3)
        return false;
    p->pid = (pid_t)v;
    p->name = (struct slice){open + 1, (size_t)(close - open) - 1};
    p->state = close[2];
    struct slice rest = {close + 3, strlen(close + 3)};
    return take_number(&rest, &p->parent) && take_number(&rest, &p->group);
}

/** Is it a process that has left the group of its command, and has not been reported? What has not left
 * it is ended with the command, which may take a moment. */
static bool is_new(struct children *c, const struct process *p)
{
    if (p->parent != (uint64_t)getpid() || p->state == 'Z' || is_ours(c, p->pid) ||
        is_ours(c, (pid_t)p->group))
        return false;
    for (unsigned i = 0; i < SURVIVORS_KNOWN; i++)
        if (p->group == (uint64_t)c->ended[i])
            return false;
    return !swap_known(c, p->pid, p->pid);
}

/** The rule whose action it was begun by stands at the beginning of its environment. p->stat is used
 * up. Return: "" if it is not there. */
static const char *rule_of(struct process *p)
{
    static const char variable[] = "NEFIA_RULE=";
    char path[48];
    struct text t;

    text_init(&t, path, sizeof path);
    text_str(&t, "/proc/");
    text_i64(&t, p->pid);
    text_str(&t, "/environ");
    memset(p->stat, 0, sizeof p->stat);
    (void)file_read(path, p->stat, sizeof p->stat - 1); /* the rest may not fit */
    for (const char *s = p->stat; s < p->stat + sizeof p->stat - 1 && *s; s += strlen(s) + 1)
        if (strncmp(s, variable, sizeof variable - 1) == 0)
            return s + sizeof variable - 1;
    return "";
}

static void report(struct children *c, struct process *p)
{
    char name[32];
    struct text t;

    if (!swap_known(c, 0, p->pid)) { /* it would be reported again each time */
        if (!c->more_reported)
            LOG_WARN("commands left more processes running than ", DEC(SURVIVORS_KNOWN),
                     "; others are not reported until one of these has ended");
        c->more_reported = true;
        return;
    }
    text_init(&t, name, sizeof name);
    text_bytes(&t, p->name.ptr, p->name.len);
    const char *rule = rule_of(p);
    LOG_WARN(*rule ? "rule " : "a command", rule, " ended and left running: ", name, " (", DEC(p->pid), ")");
}

static void walk(struct children *c)
{
    struct dir processes;
    struct process p;
    const char *name;

    if (dir_open(&processes, "/proc") < 0)
        return;
    while ((name = dir_next(&processes)))
        if (read_process(&p, name) && is_new(c, &p))
            report(c, &p);
}

void survivors_look(struct children *c, pid_t ended)
{
    const uint64_t now = clock_ms(c->loop->clock);

    c->ended[c->ended_next++ % SURVIVORS_KNOWN] = ended;
    if (next_ended() < 0 || (c->running > 0 && now < c->look_ms))
        return;
    c->look_ms = now + LOOK_MS;
    walk(c);
}
