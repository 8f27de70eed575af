/* The splitter against a shell: lines from standard input, each ended by a NUL, are taken apart and then run.
 *
 *     compare ROOT SHELL <lines
 *
 * ROOT: a directory with /bin full of stubs, into which it changes the root as nobody, and in which lines cannot leave files that others
 * would run; SHELL: the program there. The first byte of a line is S if all that is reported must run, else C. Prints each
 * violation, and last how many there were of what; exit status 1 if there is any violation. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nefia/guard/shell.h"

enum { MOST = 2048, LOG = 1024 * 1024, NOBODY = 65534, PATIENCE = 4 };

struct found {
    char *text;
    size_t len, name_len;
    bool ran;
};

static struct shell_work work;
static struct found found[MOST];
static unsigned count;
static char texts[512 * 1024], log_text[LOG], errors[LOG];
static size_t texts_used;
static int log_fd, error_fd;
static unsigned long lines, sure, ran, violations, refused, late;

static bool keep(void *arg, const struct shell_command *c)
{
    (void)arg;
    if (c->origin > SHELL_WRAPPED || count == MOST || texts_used + c->text.len > sizeof texts)
        return true;
    memcpy(texts + texts_used, c->text.ptr, c->text.len);
    found[count++] = (struct found){texts + texts_used, c->text.len, c->name_len, false};
    texts_used += c->text.len;
    return true;
}

static volatile sig_atomic_t child;

static void too_late(int sig)
{
    (void)sig;
    late++;
    kill(-child, SIGKILL);
}

/* All that was started has ended afterwards: this process inherits orphans. */
static int run_line(const char *shell, const char *line)
{
    int status = 0, first = 0;

    if (ftruncate(log_fd, 0) < 0 || ftruncate(error_fd, 0) < 0)
        exit(2);
    child = fork();
    if (child == 0) {
        const int null = open("/dev/null", O_RDWR);
        setpgid(0, 0);
        dup2(null, 0);
        dup2(null, 1);
        dup2(error_fd, 2);
        for (int fd = 3; fd < 16; fd++)
            close(fd);
        execle(shell, "sh", "-c", line, NULL, (char *[]){"PATH=/bin", "HOME=/tmp", NULL});
        _exit(126);
    }
    setpgid(child, child);
    alarm(PATIENCE);
    for (pid_t pid; (pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR;) {
        if (pid == child) {
            first = status;
            kill(-child, SIGCONT);
        }
    }
    alarm(0);
    return first;
}

static size_t contents(int fd, char *buf, size_t cap)
{
    const ssize_t n = pread(fd, buf, cap - 1, 0);

    buf[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static void violation(const char *shell, const char *line, const char *what, const char *text, size_t len)
{
    violations++;
    printf("%s: %s: [%.*s]\n  in: %s\n", shell, what, (int)len, text, line);
    for (unsigned i = 0; i < count; i++)
        printf("  reported: [%.*s]\n", (int)found[i].len, found[i].text);
    for (char *p = errors; *p; p++)
        *p = *p == '\n' ? '|' : *p;
    printf("  stderr: %.500s\n", errors);
}

/* One that has what a shell expands is compared by its name. */
static bool expands(const struct found *f)
{
    for (size_t i = 0; i < f->len; i++) {
        if (strchr("$`*?[~\\", f->text[i]))
            return true;
    }
    return false;
}

static bool reported(const char *argv, size_t len, size_t name_len)
{
    bool any = false;

    for (unsigned i = 0; i < count; i++) {
        const bool same = found[i].len == len && memcmp(found[i].text, argv, len) == 0;
        const bool alike = expands(&found[i]) && found[i].name_len == name_len && memcmp(found[i].text, argv, name_len) == 0;
        if (same || alike)
            any = found[i].ran = true;
    }
    return any;
}

static bool named(const char *name, size_t len)
{
    for (unsigned i = 0; i < count; i++) {
        if (found[i].name_len == len && memcmp(found[i].text, name, len) == 0)
            return true;
    }
    return false;
}

/* Names that the shell looked for: a command without a stub is not in the log. Return: one that was not reported, or null. */
static const char *missing(size_t *len)
{
    static const char suffix[] = ": not found\n";

    contents(error_fd, errors, sizeof errors);
    for (const char *at = errors, *end; (end = strstr(at, suffix)); at = end + sizeof suffix - 1) {
        const char *name = end;
        while (name > at && name[-1] != '\n' && !(name[-1] == ' ' && name - at >= 2 && name[-2] == ':'))
            name--;
        *len = (size_t)(end - name);
        if (!named(name, *len))
            return name;
    }
    return NULL;
}

/* Messages of several processes may be mixed up, but hardly so each time. */
static void check_missing(const char *shell, const char *line)
{
    size_t len;
    const char *name;

    for (unsigned tries = 0; (name = missing(&len)); tries++) {
        if (tries == 4) {
            violation(shell, line, "looked for, but not reported", name, len);
            return;
        }
        (void)run_line(shell, line);
    }
}

/* Is it logged when it runs? `command` is the shell's own. */
static bool stub(const struct found *f)
{
    char path[256];

    if (f->name_len == 0 || f->name_len > 200 || memchr(f->text, '/', f->name_len))
        return false;
    if (f->name_len == 7 && memcmp(f->text, "command", 7) == 0)
        return false;
    snprintf(path, sizeof path, "/bin/%.*s", (int)f->name_len, f->text);
    return access(path, X_OK) == 0;
}

static bool syntax_error(void)
{
    return strstr(errors, "yntax error") || strstr(errors, "ad substitution") || strstr(errors, "unterminated") ||
           strstr(errors, "nterminated");
}

static void check(const char *shell, const char *kind)
{
    const char *line = kind + 1;
    struct shell_doubt doubt;

    lines++;
    count = 0;
    texts_used = 0;
    if (!shell_split(line, strlen(line), &work, keep, NULL, &doubt))
        return;
    sure++;
    const unsigned long was_late = late;
    (void)run_line(shell, line);
    char *end = log_text + contents(log_fd, log_text, sizeof log_text);
    for (char *at = log_text, *stop; at < end && (stop = memchr(at, '\2', (size_t)(end - at))); at = stop + 1) {
        size_t name_len = 0;
        ran++;
        for (char *p = at; p < stop; p++) {
            if (*p != '\1')
                continue;
            name_len = name_len ? name_len : (size_t)(p - at);
            *p = ' ';
        }
        const size_t len = (size_t)(stop - at) - (stop > at);
        if (!reported(at, len, name_len))
            violation(shell, line, "ran, but was not reported", at, len);
    }
    if (late == was_late)
        check_missing(shell, line);
    const bool error = syntax_error();
    refused += error;
    if (*kind != 'S' || late > was_late)
        return;
    for (unsigned i = 0; i < count; i++) {
        if (!found[i].ran && stub(&found[i])) {
            violation(shell, line, "was reported, but did not run", found[i].text, found[i].len);
            return;
        }
    }
}

static void limits(void)
{
    setrlimit(RLIMIT_NPROC, &(struct rlimit){200, 200});
    setrlimit(RLIMIT_CPU, &(struct rlimit){600, 600});
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){4 << 20, 4 << 20});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_AS, &(struct rlimit){256 << 20, 256 << 20});
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t cap = 0;

    if (argc != 3 || chdir(argv[1]) < 0 || chroot(".") < 0)
        return 2;
    log_fd = open("/log", O_RDWR | O_CREAT | O_TRUNC, 0666);
    error_fd = open("/errors", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    if (log_fd < 0 || error_fd < 0 || fchmod(log_fd, 0666) < 0 || chdir("/") < 0)
        return 2;
    limits();
    if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
        return 2;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = too_late}, NULL);
    while (getdelim(&line, &cap, '\0', stdin) > 1)
        check(argv[2], line);
    printf("%lu lines, %lu taken apart, %lu refused by the shell, %lu too late, %lu commands, %lu violations\n", lines, sure, refused,
           late, ran, violations);
    return violations > 0;
}
