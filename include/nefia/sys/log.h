#ifndef NEFIA_SYS_LOG_H
#define NEFIA_SYS_LOG_H

#include <stdbool.h>

#include "nefia/base/text.h"

/** The process's log. State at file scope (as only the heap has besides): a process has one log,
 * and every module may write to it. Lines are bounded by CONFIG_LOG_LINE_BYTES; longer ones end in
 * "...". Control bytes become `?`, so that no peer can forge lines. Consecutive identical lines are
 * counted and reported as "last message repeated N times": before the next different line, at
 * log_flush, and at 10, 100, 1000 … repetitions, lest an endless repetition look like silence.
 * Lines that a blocked reader does not accept are dropped; their number is logged once it reads
 * again. */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** stderr is the default: "nefia: warning: text\n". */
void log_init(const char *program, enum log_level least);
/** Log to /dev/log instead, as RFC 3164 lines (facility daemon); falls back to stderr while no
 * syslogd listens. */
void log_to_syslog(void);
/** For tests: log to this descriptor. */
void log_to_fd(int fd);
/** With BEACON_CONSOLE (log_ring.h): each line, without its newline, goes there as well, whether or not a reader takes it and also
 * below the level that is logged: debug lines are for there. Null: no longer. */
void log_keep(void (*keep)(const char *line, size_t len));
/** Report pending repetitions; call before the process ends. */
void log_flush(void);
/** Parts are strings, terminated by a null pointer; use the macros. Never fails; waits only briefly
 * for a blocked reader. */
void log_write(enum log_level level, ...) __attribute__((sentinel));

#define LOG_ERROR(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__, (char *)0)
#define LOG_WARN(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__, (char *)0)
#define LOG_INFO(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__, (char *)0)
#define LOG_DEBUG(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__, (char *)0)

#endif
