/* What stands for every command in the tests of the splitter: it appends its arguments to /log, then does what a wrapper of its name
 * does, by getopt and not by the splitter's tables. Of other names: f… fails, e… prints its arguments, all else succeeds. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

enum { RECORD = 64 * 1024, WORDS = 4096 };

/* Arguments with a \1 behind each, and a \2 behind the last: neither is in a line. */
static void record(char **argv)
{
    static char text[RECORD];
    size_t len = 0;

    for (; *argv; argv++) {
        size_t n = strlen(*argv);
        if (len + n + 3 > sizeof text)
            n = sizeof text - 3 - len;
        memcpy(text + len, *argv, n);
        len += n;
        text[len++] = '\1';
    }
    text[len++] = '\2';
    int fd = open("/log", O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd >= 0 && write(fd, text, len) != (ssize_t)len)
        _exit(99);
    close(fd);
}

static void run(char **argv)
{
    if (!*argv)
        _exit(0);
    execvp(*argv, argv);
    _exit(127);
}

static void run_script(char *script)
{
    char *argv[] = {"sh", "-c", script, NULL};

    execv("/shell", argv);
    _exit(127);
}

static char *joined(char **argv)
{
    static char text[RECORD];

    for (; *argv; argv++) {
        strncat(text, *argv, sizeof text - strlen(text) - 2);
        if (argv[1])
            strcat(text, " ");
    }
    return text;
}

static void env(int argc, char **argv)
{
    static char path[] = "PATH=/bin", *bare[2] = {path, NULL};

    for (int c; (c = getopt(argc, argv, "+iu:C:0v")) != -1;) {
        if (c == 'i')
            environ = bare;
        else if (c == 'u')
            unsetenv(optarg);
        else if (c == '?')
            _exit(125);
    }
    if (argv[optind] && strcmp(argv[optind], "-") == 0)
        optind++;
    for (; argv[optind] && strchr(argv[optind], '='); optind++)
        putenv(argv[optind]);
    run(argv + optind);
}

static void su(char **argv)
{
    char *script = NULL;

    for (argv++; *argv; argv++) {
        if (strcmp(*argv, "-c") == 0 && argv[1])
            script = *++argv;
        else if (strcmp(*argv, "-s") == 0 && argv[1])
            argv++;
    }
    if (script)
        run_script(script);
    _exit(0);
}

static void find(char **argv)
{
    for (; *argv; argv++) {
        if (strcmp(*argv, "-exec") != 0 && strcmp(*argv, "-execdir") != 0 && strcmp(*argv, "-ok") != 0)
            continue;
        char **end = ++argv;
        while (*end && strcmp(*end, ";") != 0 && !(strcmp(*end, "+") == 0 && strcmp(end[-1], "{}") == 0))
            end++;
        if (!*end || end == argv)
            _exit(1);
        *end = NULL;
        pid_t pid = fork();
        if (pid == 0)
            run(argv);
        argv = end;
    }
    _exit(0);
}

static void start_stop_daemon(int argc, char **argv)
{
    char *name = NULL;
    int starts = 0;

    for (int c; (c = getopt(argc, argv, "+SKbmqvotp:n:u:c:g:d:N:s:R:x:a:")) != -1;) {
        if (c == 'S')
            starts = 1;
        else if (c == 'x' || c == 'a')
            name = optarg;
        else if (c == '?')
            _exit(1);
    }
    if (!starts || !name)
        _exit(0);
    argv[optind - 1] = name;
    run(argv + optind - 1);
}

static void ip(char **argv)
{
    if (argv[1] && argv[2] && argv[3] && strcmp(argv[1], "netns") == 0 && strcmp(argv[2], "exec") == 0)
        run(argv + 4);
    _exit(0);
}

/* Wrappers with nothing but options and operands. */
static const struct {
    const char *name, *options;
    int operands;
    char then; /* j: the rest is a script; c: -c SCRIPT may follow */
} plain[] = {
    {"sudo", "+AbEHknPu:g:C:D:p:r:t:T:h:", 0, 0},
    {"nohup", "+", 0, 0},
    {"setsid", "+cfw", 0, 0},
    {"nice", "+n:0123456789", 0, 0},
    {"ionice", "+c:n:t", 0, 0},
    {"taskset", "+ac", 1, 0},
    {"chrt", "+bfior", 1, 0},
    {"timeout", "+k:s:fpv", 1, 0},
    {"stdbuf", "+i:o:e:", 0, 0},
    {"time", "+pvaf:o:q", 0, 0},
    {"chroot", "+", 1, 0},
    {"flock", "+sxnueoFvw:E:", 1, 'c'},
    {"command", "+p", 0, 0},
    {"busybox", "+", 0, 0},
    {"toybox", "+", 0, 0},
    {"xargs", "+0rtpxn:P:I:L:s:d:E:a:i::e::l::", 0, 0},
    {"watch", "+n:d::tbecg", 0, 'j'},
    {"doas", "+nu:", 0, 0},
};

static void wrapper(int argc, char **argv, const char *name)
{
    size_t i = 0;

    while (i < sizeof plain / sizeof *plain && strcmp(plain[i].name, name) != 0)
        i++;
    if (i == sizeof plain / sizeof *plain)
        return;
    for (int c; (c = getopt(argc, argv, plain[i].options)) != -1;) {
        if (c == '?')
            _exit(125);
    }
    for (int n = plain[i].operands; n > 0 && argv[optind]; n--)
        optind++;
    while (strcmp(name, "sudo") == 0 && argv[optind] && strchr(argv[optind], '='))
        optind++;
    if (!argv[optind])
        _exit(0);
    if (plain[i].then == 'c' && strcmp(argv[optind], "-c") == 0 && argv[optind + 1])
        run_script(argv[optind + 1]);
    if (plain[i].then == 'j')
        run_script(joined(argv + optind));
    run(argv + optind);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash ? slash + 1 : argv[0];

    opterr = 0;
    record(argv);
    if (strcmp(name, "sh") == 0 || strcmp(name, "ash") == 0 || strcmp(name, "dash") == 0 || strcmp(name, "bash") == 0) {
        argv[0] = (char[]){"sh"};
        execv("/shell", argv);
        _exit(127);
    }
    if (strcmp(name, "env") == 0)
        env(argc, argv);
    if (strcmp(name, "su") == 0)
        su(argv);
    if (strcmp(name, "find") == 0)
        find(argv + 1);
    if (strcmp(name, "start-stop-daemon") == 0)
        start_stop_daemon(argc, argv);
    if (strcmp(name, "ip") == 0)
        ip(argv);
    wrapper(argc, argv, name);
    if (name[0] == 'e' && name[1] >= '0' && name[1] <= '9') {
        char *text = joined(argv + 1);
        (void)!write(1, text, strlen(text));
        (void)!write(1, "\n", 1);
    }
    return name[0] == 'f' && name[1] >= '0' && name[1] <= '9';
}
