#include "nefia/sys/loop.h"

#include <errno.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"

static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1};
static volatile sig_atomic_t pending[ARRAY_SIZE(handled)];

static void mark_pending(int signo)
{
    for (size_t i = 0; i < ARRAY_SIZE(handled); i++)
        if (handled[i] == signo)
            pending[i] = 1;
}

static void handled_set(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < ARRAY_SIZE(handled); i++)
        sigaddset(set, handled[i]);
}

void loop_hold_signals(void)
{
    sigset_t ours;

    handled_set(&ours);
    sigprocmask(SIG_BLOCK, &ours, NULL);
}

static void take_signals(struct loop *l)
{
    struct sigaction mark = {.sa_handler = mark_pending, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t ours;

    handled_set(&ours);
    mark.sa_mask = ours; /* handlers do not nest: one signal frame of stack */
    for (size_t i = 0; i < ARRAY_SIZE(handled); i++) {
        pending[i] = 0;
        sigaction(handled[i], &mark, NULL);
    }
    /* In this order, because the mask saved here, with which it waits, must not block them. */
    sigprocmask(SIG_UNBLOCK, &ours, NULL);
    sigprocmask(SIG_BLOCK, &ours, &l->mask);
    sigaction(SIGPIPE, &ignore, NULL);
}

void loop_init(struct loop *l, const struct clock *clock, struct epoll_event *found, unsigned capacity)
{
    *l = (struct loop){.clock = clock, .found = found, .capacity = capacity, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (l->epoll < 0)
        l->epoll = -errno;
    take_signals(l);
}

void loop_end(struct loop *l)
{
    if (l->epoll >= 0)
        close(l->epoll);
    l->epoll = -EBADF;
}

void loop_on_signal(struct loop *l, void (*fn)(void *arg, int signo), void *arg)
{
    l->on_signal = fn;
    l->signal_arg = arg;
}

/* The kernel's names for the same bits. */
_Static_assert(POLLIN == EPOLLIN && POLLPRI == EPOLLPRI && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR && POLLHUP == EPOLLHUP, "");

static int tell(const struct loop *l, struct watch *w, int what)
{
    struct epoll_event e = {.events = (uint16_t)w->events, .data.ptr = w};

    w->told = w->events;
    errno = -l->epoll;
    return l->epoll < 0 ? -1 : epoll_ctl(l->epoll, what, w->fd, &e);
}

int loop_watch(struct loop *l, struct watch *w, int fd, short events, void (*ready)(void *, short),
               void *arg)
{
    loop_unwatch(l, w);
    if (l->watches == l->capacity)
        return NEFIA_EFULL;
    *w = (struct watch){.fd = fd, .events = events, .ready = ready, .arg = arg};
    if (tell(l, w, EPOLL_CTL_ADD) < 0)
        return NEFIA_EIO;
    w->next = l->first_watch;
    w->link = &l->first_watch;
    if (w->next)
        w->next->link = &w->next;
    l->first_watch = w;
    l->watches++;
    return 0;
}

void loop_watch_events(struct watch *w, short events)
{
    w->events = events;
}

void loop_unwatch(struct loop *l, struct watch *w)
{
    if (!w->link)
        return;
    tell(l, w, EPOLL_CTL_DEL);
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    w->next = NULL;
    w->link = NULL;
    l->watches--;
    for (unsigned i = 0; i < l->ready; i++)
        if (l->found[i].data.ptr == w)
            l->found[i].data.ptr = NULL;
}

void timer_start(struct loop *l, struct timer *t, uint64_t delay_ms, void (*fire)(void *),
                 void *arg)
{
    uint64_t now = clock_ms(l->clock);
    struct timer **at = &l->first_timer;

    timer_stop(t);
    *t = (struct timer){.at_ms = delay_ms > UINT64_MAX - now ? UINT64_MAX : now + delay_ms,
                        .fire = fire,
                        .arg = arg};
    while (*at && (*at)->at_ms <= t->at_ms)
        at = &(*at)->next;
    t->next = *at;
    t->link = at;
    if (t->next)
        t->next->link = &t->next;
    *at = t;
}

void timer_stop(struct timer *t)
{
    if (!t->link)
        return;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->next = NULL;
    t->link = NULL;
}

/** Move the due timers to a list of their own: one that re-arms itself waits for the next turn. */
static void split_due(struct loop *l)
{
    uint64_t now = clock_ms(l->clock);
    struct timer **end = &l->first_timer;

    while (*end && (*end)->at_ms <= now)
        end = &(*end)->next;
    if (end == &l->first_timer)
        return;
    l->due_timer = l->first_timer;
    l->due_timer->link = &l->due_timer;
    l->first_timer = *end;
    if (l->first_timer)
        l->first_timer->link = &l->first_timer;
    *end = NULL;
}

static void fire_timers(struct loop *l)
{
    split_due(l);
    while (l->due_timer) {
        struct timer *t = l->due_timer;
        timer_stop(t);
        t->fire(t->arg);
    }
}

/** How long to wait in milliseconds; -1: there is no limit. */
static int wait_time(const struct loop *l, int max_wait_ms)
{
    uint64_t wait = max_wait_ms < 0 ? UINT64_MAX : (uint64_t)max_wait_ms;

    if (l->first_timer) {
        uint64_t now = clock_ms(l->clock), at = l->first_timer->at_ms;
        uint64_t until = at > now ? at - now : 0;
        if (until < wait)
            wait = until;
    }
    if (wait == UINT64_MAX)
        return -1;
    return wait < INT32_MAX ? (int)wait : INT32_MAX;
}

/** What callbacks have changed is told at once, before the next wait: much of it is taken back by then. */
static void tell_changes(const struct loop *l)
{
    for (struct watch *w = l->first_watch; w; w = w->next)
        if (w->told != w->events)
            tell(l, w, EPOLL_CTL_MOD);
}

static void dispatch(struct loop *l)
{
    const unsigned always = EPOLLERR | EPOLLHUP;

    for (unsigned i = 0; i < l->ready; i++) {
        struct watch *w = l->found[i].data.ptr;
        if (!w)
            continue;
        short revents = (short)(l->found[i].events & ((uint16_t)w->events | always));
        if (revents)
            w->ready(w->arg, revents);
    }
    l->ready = 0;
}

/** epoll_pwait delivers no signal while a descriptor is ready, nor when it does not wait: unblock them briefly, so that a busy
 * peer cannot delay SIGTERM. */
static void fetch_signals(const struct loop *l)
{
    sigset_t blocked;

    sigprocmask(SIG_SETMASK, &l->mask, &blocked);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
}

static void deliver_signals(struct loop *l)
{
    for (size_t i = 0; i < ARRAY_SIZE(handled); i++) {
        if (!pending[i])
            continue;
        pending[i] = 0;
        if (l->on_signal)
            l->on_signal(l->signal_arg, handled[i]);
    }
}

int loop_turn(struct loop *l, int max_wait_ms)
{
    tell_changes(l);
    const int wait = wait_time(l, max_wait_ms);
    errno = -l->epoll;
    int n = l->epoll < 0 ? -1 : epoll_pwait(l->epoll, l->found, (int)l->capacity, wait, &l->mask);
    if (n < 0 && errno != EINTR)
        return NEFIA_EIO;
    l->ready = n > 0 ? (unsigned)n : 0;
    l->wakeups++;
    if (n > 0 || wait == 0)
        fetch_signals(l);
    deliver_signals(l);
    dispatch(l);
    fire_timers(l);
    return 0;
}

int loop_run(struct loop *l)
{
    int err = 0;

    while (!l->stop && err >= 0)
        err = loop_turn(l, -1);
    return err;
}

void loop_stop(struct loop *l)
{
    l->stop = true;
}
