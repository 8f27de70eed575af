/* Any bytes as a YAML document: what our reader accepts, libyaml reads as the same tree; what it
 * refuses has a reason and a line of the document. */
#include <stdalign.h>
#include <string.h>

#include "nefia/sys/heap.h"
#include "yaml_theirs.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

static alignas(max_align_t) char heap[8 * 1024 * 1024];
static struct ours ours;
static char our_words[OURS_WORDS], their_words[OURS_WORDS];

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *doc = (const char *)data;
    struct text a, b;
    unsigned lines = 1;

    if (!IS_ENABLED(CONFIG_YAML) || size > 16 * 1024)
        return 0;
    if (heap_stats().size == 0)
        heap_init(heap, sizeof heap);
    text_init(&a, our_words, sizeof our_words);
    text_init(&b, their_words, sizeof their_words);
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    if (!read_ours(&ours, doc, size, &a)) {
        MUST(ours.report[0] != '\0' && ours.line <= lines);
        return 0;
    }
    MUST(read_theirs(doc, size, &b) == NULL);
    MUST(!a.truncated && !b.truncated && a.len == b.len && memcmp(a.buf, b.buf, a.len) == 0);
    return 0;
}
