#include "nefia/sys/dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/base/text.h"

enum { FILES = 300 }; /* more than one call of the kernel's takes */
static char path[] = "/tmp/nefia-dir-XXXXXX";

TEST(every_name_once)
{
    static unsigned char seen[FILES];
    char name[64];
    struct dir d;
    const char *found;
    unsigned count = 0;

    REQUIRE(mkdtemp(path) != NULL);
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%s/some-file-%03u", path, i);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        REQUIRE(fd >= 0);
        close(fd);
    }
    REQUIRE(dir_open(&d, path) == 0);
    while ((found = dir_next(&d))) {
        REQUIRE(strncmp(found, "some-file-", 10) == 0);
        uint64_t i = FILES;
        REQUIRE(parse_u64(found + 10, strlen(found + 10), &i) == 0 && i < FILES);
        seen[i]++;
        count++;
    }
    CHECK_INT(count, FILES);
    CHECK(memchr(seen, 0, sizeof seen) == NULL);
    CHECK(dir_next(&d) == NULL);
}

TEST(it_is_closed_at_its_end_or_before)
{
    struct dir d;
    int free_fd = dup(0);

    close(free_fd);
    REQUIRE(dir_open(&d, path) == 0);
    while (dir_next(&d))
        ;
    REQUIRE(dir_open(&d, path) == 0);
    CHECK(dir_next(&d) != NULL);
    dir_close(&d);
    int fd = dup(0);
    CHECK_INT(fd, free_fd);
    close(fd);
}

TEST(what_is_none)
{
    struct dir d;
    char name[64];

    CHECK_INT(dir_open(&d, "/no/such/directory"), NEFIA_EIO);
    CHECK(dir_next(&d) == NULL);
    snprintf(name, sizeof name, "%s/some-file-000", path);
    CHECK_INT(dir_open(&d, name), NEFIA_EIO);
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%s/some-file-%03u", path, i);
        remove(name);
    }
    REQUIRE(dir_open(&d, path) == 0);
    CHECK(dir_next(&d) == NULL);
    rmdir(path);
}

TEST_MAIN(every_name_once, it_is_closed_at_its_end_or_before, what_is_none)
