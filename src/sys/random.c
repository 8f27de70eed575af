#include "nefia/sys/random.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

#include "nefia/base/err.h"
#include "nefia/sys/clock.h"

int random_bytes(void *buf, size_t len)
{
    return getrandom(buf, len, GRND_NONBLOCK) == (ssize_t)len ? 0 : NEFIA_EAGAIN;
}

uint64_t random_number(void)
{
    struct timespec t;
    uint64_t v;

    if (random_bytes(&v, sizeof v) == 0)
        return v;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)(uint32_t)t.tv_nsec * 2654435769u +
           ((uint64_t)clock_unix(&clock_system) << 32);
}

uint64_t random_below(uint64_t n)
{
    return (random_number() & UINT32_MAX) * n >> 32;
}

/** Its arrival interrupts the wait. */
static void on_alarm(int signo)
{
    (void)signo;
}

void random_wait(unsigned ms)
{
    const struct sigaction interrupt = {.sa_handler = on_alarm};
    const struct itimerval once = {.it_value = {ms / 1000, ms % 1000 * 1000}}, never = {0};
    struct sigaction before;
    uint8_t probe;

    if (random_bytes(&probe, sizeof probe) == 0)
        return;
    sigaction(SIGALRM, &interrupt, &before);
    setitimer(ITIMER_REAL, &once, NULL);
    (void)!getrandom(&probe, sizeof probe, 0);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
}
