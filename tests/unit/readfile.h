/* Reading the files that tests compare with. Tests run from the top of the tree. */
#ifndef NEFIA_TESTS_READFILE_H
#define NEFIA_TESTS_READFILE_H

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/** Read a whole file, NUL-terminated. Return: its length, or -1 if it cannot be read or is longer than
 * cap - 1. */
static inline long read_file(const char *path, char *buf, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = 1;

    if (fd < 0)
        return -1;
    while (n > 0 && len < cap) {
        n = read(fd, buf + len, cap - len);
        len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    if (n < 0 || len == cap)
        return -1;
    buf[len] = '\0';
    return (long)len;
}

/** The line at *at, its newline replaced by NUL; *at is advanced past it. Null at the
 * end. */
static inline char *next_line(char **at)
{
    char *line = *at;

    if (*line == '\0')
        return NULL;
    char *end = strchr(line, '\n');
    if (end != NULL)
        *end = '\0';
    *at = end != NULL ? end + 1 : line + strlen(line);
    return line;
}

#endif
