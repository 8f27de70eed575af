#ifndef NEFIA_SYS_CHILD_H
#define NEFIA_SYS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nefia/base/kconfig.h"
#include "nefia/sys/loop.h"
#include "nefia/sys/survivors.h"

/** Child processes with a deadline, for everything that may block. Each has its own session and
 * process group; stdin from /dev/null or from the caller's bytes; stdout and stderr in one pipe, of
 * which the first `output_cap` bytes are kept and the rest is read, counted and discarded; rlimits
 * (no core files; CPU seconds twice the deadline; open files); no_new_privs, default signal
 * dispositions, no inherited descriptors. At the deadline the group gets SIGTERM, 2 s later
 * SIGKILL; a program whose daemon has gone gets SIGALRM a few seconds after the deadline. When the leader exits, the group is
 * killed and the pipe is closed once drained, so that neither a background process nor a daemon that left the session can block the
 * caller. Each running child uses up to two watches of the loop. */
struct child_spec {
    const char *const *argv; /* argv[0] absolute, or null when `run` is given */
    const char *const *envp;
    /* Instead of exec: runs in the forked process and may block; returns the exit status.
     * LOG_* goes to the pipe. */
    int (*run)(void *arg);
    void *run_arg;
    const char *input; /* written to stdin, or null; must stay valid until done */
    size_t input_len;
    char *output; /* the caller's; may be null with cap 0 */
    size_t output_cap;
    uint64_t deadline_ms; /* from the start; at least 1 */
    int keep; /* with run: a descriptor above 2 that it keeps, as CHILD_KEPT; 0: none */
    bool followed;  /* the owner reads out_fd by a watch of its own, and is to see its end */
    bool unlimited; /* with run: no rlimits and no no_new_privs, since it starts what outlives it: a service */
};
#define CHILD_KEPT 3

struct child_result {
    int exit_code;         /* 0..255; 128 + signal if a signal ended it, as in shells */
    int signal;            /* 0, or the signal that ended it */
    bool timed_out;        /* ended by us at the deadline */
    size_t output_len;     /* kept in the caller's buffer; not NUL-terminated */
    uint64_t output_total; /* all bytes it printed */
    uint64_t duration_ms;
};

struct child {
    pid_t pid;                                             /* 0: free */
    void (*done)(void *arg, const struct child_result *r); /* null: cancelled */
    void *arg;
    struct child_spec spec; /* argv/envp are not used after start */
    struct child_result result;
    uint64_t started_ms;
    int out_fd, held_fd, in_fd; /* -1: closed */
    size_t in_pos;
    struct watch out_watch, in_watch;
    struct timer timer;
    struct children *owner;
};

struct children {
    struct loop *loop;
    struct child *slots;
    unsigned count, running;
    pid_t survivors[SURVIVORS_KNOWN]; /* reported, and not ended yet; 0: free */
    pid_t ended[SURVIVORS_KNOWN];     /* groups of the last commands, which have been sent SIGKILL */
    unsigned ended_next;
    bool more_reported; /* that survivors has no room */
    uint64_t look_ms; /* not again before */
};

/** Have so many descriptors permitted, as far as the hard limit allows. For the start, before there are
 * any. Return: how many may be open, at most `wanted`. */
unsigned descriptors_allow(unsigned wanted);
/** In a forked process: close this descriptor and all above it; have all signals as a program expects them. */
void descriptors_close(int first);
void signals_default(void);
/** What a child that runs takes, both ends of its output; and what child_start takes besides, a pair for stdin. */
#define CHILD_DESCRIPTORS 2
#define CHILD_START_DESCRIPTORS 2
void children_init(struct children *c, struct loop *loop, struct child *slots, unsigned count);
/** Start one. `done` is called exactly once, from children_reap, after the exit and with the slot
 * already free, so it may start the next. The spec is copied; argv, envp and run_arg are used only
 * during the call, the buffers until `done`.
 * Return: the slot (>= 0); NEFIA_EFULL if all slots or the loop's watches are in use; NEFIA_EINVAL
 * for a spec without an absolute argv[0] or run, or without a deadline; NEFIA_EIO if fork or pipe
 * failed (errno). If exec fails, the child ends with exit code 127 and a line of output with the
 * reason. Descriptors 0 to 2 must be open. */
int child_start(struct children *c, const struct child_spec *spec,
                void (*done)(void *, const struct child_result *), void *arg);
/** Call on SIGCHLD. Reaps our own children, by pid, and processes they left behind (survivors.h). */
void children_reap(struct children *c);
/** Send a signal to the child of this `arg`, not to its group. No-op if there is none. */
void child_signal(struct children *c, const void *arg, int signo);
/** Kill the child of this `arg` without calling done (its owner and the buffers may be released at
 * once); its slot is free after the next children_reap. No-op if there is none. */
void child_cancel(struct children *c, const void *arg);
/** For shutdown: SIGKILL and reap all, without `done`. Waits at most a second. */
void children_kill_all(struct children *c);

#endif
