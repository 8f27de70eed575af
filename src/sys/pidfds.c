#include "nefia/sys/pidfd.h"

#include <unistd.h>

bool pidfds_add(struct pollfd *held, unsigned *count, pid_t pid)
{
    const int fd = pidfd_open(pid);

    if (fd < 0)
        return false;
    held[(*count)++] = (struct pollfd){.fd = fd, .events = POLLIN};
    return true;
}

bool pidfds_run(struct pollfd *held, unsigned count)
{
    return poll(held, count, 0) == 0;
}

void pidfds_close(struct pollfd *held, unsigned *count)
{
    while (*count > 0)
        close(held[--*count].fd);
}
