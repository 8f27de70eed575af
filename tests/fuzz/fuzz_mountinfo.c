/* Arbitrary bytes as lines of /proc/self/mountinfo. */
#include "beacon/sensors/disk.c"
#include "beacon_fixture.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct disk d = {.paths = {"/", "/mnt/a b"}, .count = 2};
    char line[512];

    while (size > 0) {
        const unsigned char *newline = memchr(data, '\n', size);
        const size_t whole = newline ? (size_t)(newline - data) : size;
        const size_t len = whole < sizeof line - 1 ? whole : sizeof line - 1;
        memcpy(line, data, len);
        line[len] = '\0';
        MUST(take_mount(&d, line, len) == 0);
        data += whole + (newline != NULL);
        size -= whole + (newline != NULL);
    }
    for (unsigned i = 0; i < d.count; i++)
        MUST(d.places[i].mounted <= strlen(d.paths[i]));
    return 0;
}
