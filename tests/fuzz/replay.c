/* A plain main for the fuzz targets: runs the target on the files named on the command line, on any
 * board and without libFuzzer.  A crash or a sanitizer report is the failure. */
#include <fcntl.h>
#include <stdint.h>

#include "check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t input[256 * 1024];

/** Read a whole file into `input`. Return: its length, or -1 when it cannot be read or is longer. */
static long read_input(const char *path)
{
    size_t len = 0;
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    while (len < sizeof input && (n = read(fd, input + len, sizeof input - len)) > 0)
        len += (size_t)n;
    (void)close(fd);
    return n == 0 ? (long)len : -1;
}

int main(int argc, char **argv)
{
    int passed = 0;
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        long len = read_input(argv[i]);
        if (len < 0) {
            check_puts("FAIL cannot read ");
            check_puts(argv[i]);
            check_puts("\n");
            failed++;
            continue;
        }
        check_puts("replay ");
        check_puts(argv[i]);
        check_puts("\n");
        (void)LLVMFuzzerTestOneInput(input, (size_t)len);
        passed++;
    }
    check_putn(passed);
    check_puts(" passed, ");
    check_putn(failed);
    check_puts(" failed\n");
    return failed > 0;
}
