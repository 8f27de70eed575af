#ifndef NEFIA_SYS_LOG_H
#define NEFIA_SYS_LOG_H

#include <stdbool.h>

#include "nefia/base/text.h"

/** The process's log. One of the two places with state of its own at file scope (the heap is the
 * other): there is one log in a process, and every module may write to it.
 * A line is at most CONFIG_LOG_LINE_BYTES; longer ones end in "...". Control bytes become `?`, so
 * no peer can forge lines.
 * An identical line directly after itself is counted, and reported as "last message repeated N
 * times" before the next other line, at log_flush, and at 10, 100, 1000 … repetitions, so that an
 * endless one does not look like silence.
 * A reader that takes nothing loses lines; how many is said when it takes one again. */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** stderr is the default: "nefia: warning: text\n". */
void log_init(const char *program, enum log_level least);
/** To /dev/log as RFC 3164 lines (facility daemon) instead; falls back to stderr while no syslogd
 * listens. */
void log_to_syslog(void);
/** Tests: lines go to this descriptor. */
void log_to_fd(int fd);
/** Report repetitions not reported yet: before the process ends. */
void log_flush(void);
/** Parts are strings, ended by a null pointer; use the macros. Never blocks for long, never
 * fails. */
void log_write(enum log_level level, ...) __attribute__((sentinel));

#define LOG_ERROR(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__, (char *)0)
#define LOG_WARN(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__, (char *)0)
#define LOG_INFO(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__, (char *)0)
#define LOG_DEBUG(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__, (char *)0)

#endif
