/* Directories for tests that make thousands of files: on a disk it is the disk that they wait for. */
#ifndef NEFIA_TESTS_TEMPDIR_H
#define NEFIA_TESTS_TEMPDIR_H

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/** Both are templates of mkdtemp(3); in_memory is used where it can be, on_disk otherwise. Return: the
 * one that became a directory, or NULL. */
static inline char *make_tempdir(char *in_memory, char *on_disk)
{
    return mkdtemp(in_memory) ? in_memory : mkdtemp(on_disk);
}

/** With all that is in it. Return: whether it is gone. */
static inline int remove_tempdir(const char *dir)
{
    int status = -1;
    const pid_t child = fork();

    if (child == 0) {
        execl("/bin/rm", "rm", "-rf", dir, (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

#endif
