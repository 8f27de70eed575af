#ifndef NEFIA_SYS_LOOP_H
#define NEFIA_SYS_LOOP_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "nefia/sys/clock.h"

/** One thread, one epoll_pwait(2): descriptors, timers, signals. No wake-up between deadlines. Nothing is
 * allocated: watches and timers belong to their owners and are linked in while active; the array of what
 * is ready is the caller's. Signal handlers only set flags, at file scope because a handler can reach
 * nothing else. epoll(7) rather than ppoll(2), which looks at every descriptor twice for each wait, with cold
 * caches a fourth of an idle wake-up's cost. Needs a kernel with CONFIG_EPOLL, as procd and systemd do. */
struct loop;

struct watch {
    int fd;
    short events; /* POLLIN, POLLOUT, POLLPRI; may be changed at any time through loop_watch_events */
    short told;   /* the loop's: what the kernel knows of them */
    void (*ready)(void *arg, short revents);
    void *arg;
    struct watch *next, **link; /* the loop's; link is null while inactive */
};

struct timer {
    uint64_t at_ms;
    void (*fire)(void *arg);
    void *arg;
    struct timer *next, **link; /* the loop's; link is null while inactive */
};

struct loop {
    const struct clock *clock;
    int epoll;                         /* negative: an errno, there is none */
    struct epoll_event *found;         /* what is ready in this turn */
    unsigned capacity, watches, ready; /* ready: entries of found */
    struct watch *first_watch;
    struct timer *first_timer; /* sorted by at_ms */
    struct timer *due_timer;   /* those of this turn that have not fired yet */
    sigset_t mask;             /* while it waits */
    bool stop;
    uint64_t wakeups; /* how often it has waited, for status and the idle benchmark */
    void (*on_signal)(void *arg, int signo);
    void *signal_arg;
};

/** found has `capacity` entries. Takes a descriptor; that there is none, with errno, the first loop_watch or
 * loop_turn says. Blocks SIGTERM, SIGINT, SIGHUP, SIGCHLD and SIGUSR1 except while it waits, ignores
 * SIGPIPE. */
void loop_init(struct loop *l, const struct clock *clock, struct epoll_event *found, unsigned capacity);
/** Close its descriptor. Nothing is watched any more. */
void loop_end(struct loop *l);
/** Before everything else in a daemon: none of these five ends it, or gets lost, while it starts.
 * loop_init's handlers take them. */
void loop_hold_signals(void);
/** Called from the loop (not from a handler) once for each pending signal among the five above. */
void loop_on_signal(struct loop *l, void (*fn)(void *arg, int signo), void *arg);
/** Return: 0; NEFIA_EFULL if `capacity` watches are active; NEFIA_EIO, with errno: not a descriptor that can be waited
 * for, such as a regular file, or one that is watched already. w must not move while active, and is
 * zeroed before its first use. On an active w: as after loop_unwatch. Readiness is level-triggered;
 * POLLERR and POLLHUP are always reported. */
int loop_watch(struct loop *l, struct watch *w, int fd, short events, void (*ready)(void *, short),
               void *arg);
void loop_watch_events(struct watch *w, short events);
/** No-op on an inactive (or zeroed) watch; safe from inside any callback, including its own.
 * Does not close the descriptor, which must still be open: the kernel would go on about one that a child has, too. */
void loop_unwatch(struct loop *l, struct watch *w);
/** Arm or re-arm to fire once, `delay_ms` from now, and never in the turn it was armed in. t is
 * zeroed before its first use and must not move while active. O(active timers). */
void timer_start(struct loop *l, struct timer *t, uint64_t delay_ms, void (*fire)(void *),
                 void *arg);
void timer_stop(struct timer *t);
static inline bool timer_active(const struct timer *t)
{
    return t->link;
}
/** Run until loop_stop (also one called before). Timers run in every turn, so no amount of I/O
 * starves them. Return: 0, or NEFIA_EIO. */
int loop_run(struct loop *l);
/** One turn: wait at most max_wait_ms (-1: no limit), run what is due. For tests
 * and `once`. */
int loop_turn(struct loop *l, int max_wait_ms);
void loop_stop(struct loop *l);

#endif
