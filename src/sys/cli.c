#include "nefia/sys/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/sys/log.h"
#include "nefia/sys/loop.h"
#include "nefia/sys/relro.h"
#include "nefia/base/text.h"

/* Defined by the generated header; these serve a file compiled by hand. */
#ifndef NEFIA_VERSION
#define NEFIA_VERSION "unknown"
#define NEFIA_BOARD   "unknown"
#endif

/** State of one parse, beside the arguments it fills in. */
struct parse {
    const struct cli_program *program;
    char **argv; /* operands are moved to its front */
    int argc, at;
    struct cli_args args;
};

const char *cli_version(void)
{
    return NEFIA_VERSION;
}

const char *cli_board(void)
{
    return NEFIA_BOARD;
}

int cli_write(int fd, const char *s, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, s, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return NEFIA_EIO;
        s += n;
        len -= (size_t)n;
    }
    return 0;
}

int cli_print(int fd, ...)
{
    char buf[512];
    size_t used = 0;
    va_list parts;
    int err = 0;

    va_start(parts, fd);
    for (const char *part; err >= 0 && (part = va_arg(parts, const char *)) != NULL;) {
        size_t len = strlen(part);
        if (len > sizeof buf - used) {
            err = cli_write(fd, buf, used);
            used = 0;
        }
        if (err >= 0 && len > sizeof buf) {
            err = cli_write(fd, part, len);
        } else if (err >= 0) {
            memcpy(buf + used, part, len);
            used += len;
        }
    }
    va_end(parts);
    return err < 0 ? err : cli_write(fd, buf, used);
}

void cli_report_log(void *arg, const char *message)
{
    (void)arg;
    LOG_ERROR(message);
}

void cli_warn_log(void *arg, const char *message)
{
    (void)arg;
    LOG_WARN(message);
}

void cli_report_stderr(void *arg, const char *message)
{
    (void)arg;
    CLI_ERR(message, "\n");
}

static void print_row(const char *left, const char *more, const char *help)
{
    static const char spaces[] = "                                        ";
    size_t width = strlen(left) + (more ? strlen(more) + 1 : 0);
    size_t column = 26;

    CLI_OUT("  ", left, more ? " " : "", more ? more : "",
            width < column ? spaces + sizeof spaces - 1 - (column - width)
                           : "\n                            ",
            help, "\n");
}

/** The whole of --help without CONFIG_HELP. */
static int print_verbs(const struct cli_program *p)
{
    CLI_OUT(p->name);
    for (const struct cli_verb *v = p->verbs; v->name; v++)
        CLI_OUT(v == p->verbs ? " " : " | ", v->name, v->operands ? " " : "",
                v->operands ? v->operands : "");
    CLI_OUT("\n");
    return CLI_FINE;
}

static int print_program_help(const struct cli_program *p)
{
    if (!IS_ENABLED(CONFIG_HELP))
        return print_verbs(p);
    CLI_OUT(p->name, ": ", p->summary, "\n\nUsage: ", p->name, " VERB [OPTION...]\n\nVerbs:\n");
    for (const struct cli_verb *v = p->verbs; v->name; v++)
        print_row(v->name, v->operands, v->help);
    CLI_OUT("\nEvery verb accepts -c FILE (default ", p->config, ") and --help.\n");
    CLI_OUT(p->name, " --version prints the version, board and features of this build.\n"
                     "Exit status: 0 success, 1 failure or a negative answer, 2 usage or "
                     "configuration error.\n");
    return CLI_FINE;
}

static int print_verb_help(const struct cli_program *p, const struct cli_verb *v)
{
    CLI_OUT("Usage: ", p->name, " ", v->name, " [OPTION...]", v->operands ? " " : "",
            v->operands ? v->operands : "", "\n", v->help, "\n\n");
    print_row("-c FILE", NULL, "configuration file");
    for (const struct cli_option *o = v->options; o && o->name; o++)
        print_row(o->name, o->value, o->help);
    print_row("--help", NULL, "show this help");
    if (v->more)
        CLI_OUT("\n", v->more);
    return CLI_FINE;
}

static int print_version(const struct cli_program *p)
{
    CLI_OUT(p->name, " ", cli_version(), " (", cli_board(), ")\nfeatures: ", p->features, "\n");
    if (p->more_features)
        p->more_features();
    return CLI_FINE;
}

static int wrong(const struct parse *p, const char *what, const char *word, const char *remedy)
{
    const struct cli_verb *v = p->args.verb;

    CLI_ERR(p->program->name, ": ", what, word ? " \"" : "", word ? word : "", word ? "\"" : "",
            remedy ? "; " : "", remedy ? remedy : "");
    if (IS_ENABLED(CONFIG_HELP))
        CLI_ERR("; see `", p->program->name, v ? " " : "", v ? v->name : "", " --help`\n");
    else
        CLI_ERR("; see --help\n");
    return CLI_WRONG;
}

/** Is it the first word of the verb's name? */
static bool begins_verb(const struct cli_verb *v, const char *word)
{
    size_t first = strcspn(v->name, " ");

    return strlen(word) == first && memcmp(word, v->name, first) == 0;
}

/** How many words of argv the verb's name is, 0 when it is another one. */
static int verb_words(const struct cli_verb *v, char **words, int count)
{
    const char *space = strchr(v->name, ' ');

    if (count < 1 || !begins_verb(v, words[0]))
        return 0;
    if (!space)
        return 1;
    return count > 1 && str_eq(words[1], space + 1) ? 2 : 0;
}

static bool asks_for_help(const struct parse *p)
{
    for (int i = p->at; i < p->argc && !str_eq(p->argv[i], "--"); i++)
        if (str_eq(p->argv[i], "--help") || str_eq(p->argv[i], "-h"))
            return true;
    return false;
}

static int find_verb(struct parse *p)
{
    const char *word = p->argv[p->at];

    for (const struct cli_verb *v = p->program->verbs; v->name; v++) {
        int words = verb_words(v, p->argv + p->at, p->argc - p->at);
        if (words > 0) {
            p->args.verb = v;
            p->at += words;
            return CLI_FINE;
        }
    }
    for (const struct cli_verb *v = p->program->verbs; v->name; v++) {
        if (!begins_verb(v, word))
            continue;
        if (asks_for_help(p))
            return print_program_help(p->program);
        if (p->at + 1 == p->argc)
            return wrong(p, "missing verb after", word, NULL);
        word = p->argv[p->at + 1];
        break;
    }
    if (word[0] == '-')
        return wrong(p, "missing verb before", word, CLI_HELP("options come after the verb"));
    return wrong(p, "unknown verb", word, NULL);
}

/** Value of the option at p->at, whose name is `len` bytes long: after `=`, or the next word.
 * Null if there is none. */
static const char *take_value(struct parse *p, const char *word, size_t len)
{
    if (word[len] == '=')
        return word + len + 1;
    if (p->at + 1 >= p->argc)
        return NULL;
    return p->argv[++p->at];
}

static int take_option(struct parse *p)
{
    const char *word = p->argv[p->at];
    size_t len = strcspn(word, "=");
    const struct cli_option *options = p->args.verb->options;

    if (str_eq(word, "-c") && !p->program->config_fixed) {
        p->args.config = take_value(p, word, 2);
        return p->args.config ? CLI_FINE : wrong(p, "missing value for", "-c", NULL);
    }
    for (unsigned i = 0; options && options[i].name; i++) {
        if (strlen(options[i].name) != len || memcmp(word, options[i].name, len) != 0)
            continue;
        if (!options[i].value && word[len] == '=')
            return wrong(p, options[i].name, word + len + 1, "it takes no value");
        p->args.values[i] = options[i].value ? take_value(p, word, len) : "";
        return p->args.values[i] ? CLI_FINE : wrong(p, "missing value for", word, NULL);
    }
    return wrong(p, "unknown option", word, NULL);
}

static int parse_words(struct parse *p)
{
    bool options_end = false;
    int operands = 0;

    for (; p->at < p->argc; p->at++) {
        const char *word = p->argv[p->at];
        if (!options_end && str_eq(word, "--")) {
            options_end = true;
        } else if (!options_end && word[0] == '-' && word[1] != '\0') {
            int status = take_option(p);
            if (status != CLI_FINE)
                return status;
        } else {
            p->argv[operands++] = p->argv[p->at];
        }
    }
    p->args.operands = (const char *const *)p->argv;
    p->args.operand_count = (unsigned)operands;
    return CLI_FINE;
}

static int run_verb(struct parse *p)
{
    const struct cli_verb *v = p->args.verb;
    int status = parse_words(p);

    if (status != CLI_FINE)
        return status;
    if (p->args.operand_count < (unsigned)v->least)
        return wrong(p, "missing operand; expected", v->operands, NULL);
    if (p->args.operand_count > (unsigned)v->most)
        return wrong(p, "unexpected operand", p->args.operands[v->most], NULL);
    return v->run(&p->args);
}

/** Open descriptors 0 to 2, lest a socket be given one of them and be used as input, output or
 * log. */
static void fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int cli_main(const struct cli_program *program, int argc, char **argv, void *arg)
{
    struct parse p = {.program = program, .argv = argv, .argc = argc, .at = 1};

    p.args.config = program->config;
    p.args.arg = arg;
    if (argc < 2)
        return wrong(&p, "missing verb", NULL, NULL);
    if (str_eq(argv[1], "--version"))
        return print_version(program);
    if (str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help"))
        return print_program_help(program);
    int status = find_verb(&p);
    if (!p.args.verb)
        return status;
    if (p.args.verb->daemon)
        loop_hold_signals();
    relro_protect();
    fill_standard_descriptors();
    if (!asks_for_help(&p))
        return run_verb(&p);
    return IS_ENABLED(CONFIG_HELP) ? print_verb_help(program, p.args.verb) : print_verbs(program);
}

const char *cli_option(const struct cli_args *a, const char *name)
{
    for (unsigned i = 0; a->verb->options && a->verb->options[i].name; i++)
        if (str_eq(a->verb->options[i].name, name))
            return a->values[i];
    return NULL;
}

int cli_log(const struct cli_args *a, const char *program)
{
    static const char words[] = "error\0warning\0info\0debug\0"; /* in the order of enum log_level */
    const char *word = cli_option(a, "--log-level");
    int level = LOG_LEVEL_INFO;

    if (word)
        level = word_index(words, (struct slice){word, strlen(word)});
    if (level < 0) {
        CLI_ERR(program, ": --log-level ", word, " is not one of error, warning, info, debug\n");
        return CLI_WRONG;
    }
    log_init(program, (enum log_level)level);
    if (IS_ENABLED(CONFIG_SYSLOG) && cli_option(a, "--syslog"))
        log_to_syslog();
    return CLI_FINE;
}
