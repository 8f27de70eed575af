#ifndef NEFIA_SYS_CLI_H
#define NEFIA_SYS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "nefia/base/kconfig.h"

/** The command line of both programs: a table of verbs, each with its options, help and handler.
 * Help goes to stdout with exit status 0; errors go to stderr with the remedy, and exit with
 * CLI_WRONG. */

/** Exit statuses of every verb. */
enum cli_exit {
    CLI_FINE = 0,
    CLI_NO = 1,    /* negative answer, or failure */
    CLI_WRONG = 2, /* usage or configuration error */
};

#define CLI_OPTIONS_MAX 8 /* of one verb */

/** A help text; takes no flash without CONFIG_HELP. */
#define CLI_HELP(text) (IS_ENABLED(CONFIG_HELP) ? (text) : NULL)

struct cli_option {
    const char *name;  /* "--json"; null ends a table */
    const char *value; /* "LEVEL" when a value follows (`--name VALUE` or `--name=VALUE`), null for
                          a flag */
    const char *help;
};

struct cli_args {
    const struct cli_verb *verb;
    const char *config; /* argument of -c, or the program's default */
    const char *
        values[CLI_OPTIONS_MAX]; /* parallel to verb->options: null if not given, "" for a flag */
    const char *const *operands; /* non-option arguments, in order */
    unsigned operand_count;
    void *arg; /* the program's */
};

struct cli_verb {
    const char *name; /* one word or two: "run", "reactor run"; null ends the table */
    const char *operands;             /* "TYPE SEVERITY [KEY=VALUE...]"; null: none */
    uint8_t least, most;              /* number of operands */
    bool daemon; /* runs a loop, whose signals are held back from the beginning (loop_hold_signals) */
    const struct cli_option *options; /* in addition to -c and --help; null: none */
    const char *help;                 /* one line, for the list of verbs */
    const char *more; /* further lines for the verb's own --help, each ending in a newline; may be null */
    int (*run)(const struct cli_args *args); /* returns the exit status */
};

struct cli_program {
    const char *name, *summary;
    const char *features; /* of this build: words separated by single spaces */
    void (*more_features)(void); /* prints further lines of --version; may be null */
    const char *config; /* default of -c */
    bool config_fixed;  /* there is no -c */
    const struct cli_verb *verbs;
};

/** Parse and run. `--` ends the options; operands may precede or follow options. Return: the exit
 * status. */
int cli_main(const struct cli_program *p, int argc, char **argv, void *arg);
/** The value of an option of this verb: null if not given, "" for a flag that was given. The name
 * must be in the verb's table. */
const char *cli_option(const struct cli_args *a, const char *name);

/** The last options of a verb that runs in the foreground and logs; log_start applies them:
 * CLI_FINE, or CLI_WRONG if LEVEL is not a level (reported on stderr). */
#define CLI_LOG_OPTIONS                                                                            \
    {"--log-level", "LEVEL", CLI_HELP("error, warning, info (default) or debug")},                 \
    {                                                                                              \
        IS_ENABLED(CONFIG_SYSLOG) ? "--syslog" : NULL, NULL,                                       \
            CLI_HELP("log to syslog instead of stderr")                                            \
    }
int cli_log(const struct cli_args *a, const char *program);

/** The version of this build, and the board it is for. */
const char *cli_version(void);
const char *cli_board(void);

/** Sinks for configuration errors (config_init): the log, or stderr; and its warnings. */
void cli_report_log(void *arg, const char *message);
void cli_warn_log(void *arg, const char *message);
void cli_report_stderr(void *arg, const char *message);

/** Write everything, retrying short writes and EINTR. Return: 0 or NEFIA_EIO. */
int cli_write(int fd, const char *s, size_t len);
/** Write strings, terminated by a null pointer; in a single write if they are short. Return: 0 or
 * NEFIA_EIO. */
int cli_print(int fd, ...) __attribute__((sentinel));
#define CLI_OUT(...) (void)cli_print(STDOUT_FILENO, __VA_ARGS__, (char *)0)
#define CLI_ERR(...) (void)cli_print(STDERR_FILENO, __VA_ARGS__, (char *)0)

#endif
