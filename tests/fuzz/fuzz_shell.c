/* A command line: nothing is read or written outside, what is reported lies in the working memory, and a line that was taken apart with
 * certainty is taken apart in the same way with what means nothing added. */
#include <string.h>

#include "nefia/guard/shell.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

static struct shell_work work;

/* Of what was reported as written or wrapped. */
struct sum {
    uint32_t hash, count;
};

static bool add(void *arg, const struct shell_command *c)
{
    struct sum *sum = arg;

    MUST(c->text.ptr >= work.text && c->text.ptr + c->text.len <= work.text + sizeof work.text);
    MUST(c->name_len <= c->text.len);
    MUST(c->at <= SHELL_LINE_MAX);
    if (c->origin != SHELL_WRITTEN && c->origin != SHELL_WRAPPED)
        return true;
    sum->hash = hash_bytes(sum->hash, c->text.ptr, c->text.len) + 1;
    sum->count++;
    return true;
}

static struct sum split(const char *line, size_t len, bool *sure)
{
    struct shell_doubt doubt;
    struct sum sum = {0};

    memset(&work, 0xa5, sizeof work);
    *sure = shell_split(line, len, &work, add, &sum, &doubt);
    MUST(*sure == (doubt.reason == NULL));
    MUST(*sure || doubt.at <= len);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const around[][2] = {{"", ""}, {" ", ""}, {"\n", "\n"}, {"( ", "\n)"}, {"{ ", "\n}"}, {"# x\n", "\n# y"}};
    static char end_of[SHELL_LINE_MAX + 1]; /* of which a line takes the last bytes, so that reading behind it shows */
    struct sum first = {0};
    bool sure = false;

    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        const size_t before = strlen(around[i][0]), behind = strlen(around[i][1]);
        bool again;
        if (before + len + behind > (i == 0 ? sizeof end_of : SHELL_LINE_MAX))
            return 0;
        char *line = end_of + sizeof end_of - (before + len + behind);
        memcpy(line, around[i][0], before);
        if (len > 0)
            memcpy(line + before, data, len);
        memcpy(line + before + len, around[i][1], behind);
        const struct sum sum = split(line, before + len + behind, i == 0 ? &sure : &again);
        if (i == 0)
            first = sum;
        if (!sure)
            return 0;
        if (i > 0 && i < 3)
            MUST(again);
        if (i > 0 && again)
            MUST(sum.hash == first.hash && sum.count == first.count);
    }
    return 0;
}
