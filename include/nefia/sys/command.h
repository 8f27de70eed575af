#ifndef NEFIA_SYS_COMMAND_H
#define NEFIA_SYS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Runs a program to its end, waiting for it: for child processes and helpers, which may block (child.h is for loops). It has its own
 * session, stdin from /dev/null, stdout and stderr in one pipe, PATH and nothing else in its environment, and no other descriptor. What it
 * starts in the background lives on, also in its process group: a service. */
struct command {
    uint64_t deadline_ms; /* from the start; then SIGTERM to its group, 2 s later SIGKILL */
    char *output;         /* the caller's: the first output_cap bytes that it printed; the rest is read and dropped */
    size_t output_cap;
    /* afterwards */
    size_t output_len;
    int exit_code; /* 128 + signal if a signal ended it; 127: it could not be executed */
    bool timed_out;
};

/** argv[0] absolute; ended by a null pointer. Return: 0; NEFIA_EIO (errno): there was no pipe or no process. */
int command_run(const char *const *argv, struct command *c);

#endif
