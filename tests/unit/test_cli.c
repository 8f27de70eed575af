#include <fcntl.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "nefia/sys/cli.h"

static int open_descriptors(const struct cli_args *args)
{
    int n = 0;

    (void)args;
    for (int fd = 0; fd < 8; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static int count_operands(const struct cli_args *args)
{
    return (int)args->operand_count * 10 + (cli_option(args, "--json") != NULL);
}

static const struct cli_option count_options[] = {{"--json", NULL, ""}, {.name = NULL}};
static const struct cli_verb verbs[] = {
    {.name = "descriptors", .help = "", .run = open_descriptors},
    {.name = "two words",
     .operands = "WORD...",
     .most = 3,
     .options = count_options,
     .help = "",
     .run = count_operands},
    {.name = NULL},
};
static const struct cli_program program = {
    .name = "test", .summary = "", .features = "", .config = "/default", .verbs = verbs};

/** Run a command line in a child process whose first `closed` descriptors are closed. */
static int run(int closed, const char *const *words)
{
    char *argv[8] = {0};
    int argc = 0, status = 0;

    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    pid_t pid = fork();
    if (pid == 0) {
        for (int fd = closed; fd < 8; fd++)
            if (fd > STDERR_FILENO)
                close(fd);
        for (int fd = 0; fd < closed; fd++)
            close(fd);
        _exit(cli_main(&program, argc, argv, NULL));
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(standard_descriptors_are_never_free)
{
    static const char *const words[] = {"test", "descriptors", NULL};

    for (int closed = 0; closed <= 3; closed++)
        CHECK_INT(run(closed, words), 3);
}

TEST(operands_and_options_in_any_order)
{
    static const char *const mixed[] = {"test", "two", "words", "a", "--json", "b", NULL};
    static const char *const ended[] = {"test", "two", "words", "--", "--json", "-", NULL};

    CHECK_INT(run(0, mixed), 21);
    CHECK_INT(run(0, ended), 20);
}

TEST_MAIN(standard_descriptors_are_never_free, operands_and_options_in_any_order)
