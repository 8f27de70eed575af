/* Any bytes as a text that may have exported events in it. The first byte says how large the pieces are in which the reader gets the rest,
 * and how long a line may be: it keeps to its room, a unit's parts lie where they have to, and other pieces find the same. */
#include <string.h>

#include "nefia/base/bytes.h"
#include "nefia/link/export.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

enum { ROOM = 256 };

static char room[ROOM + 1];
static struct export_reader reader;

static void check_unit(size_t cap)
{
    const struct export_unit *u = &reader.unit;

    MUST(u->line.ptr == room && u->line.len > 0 && u->line.len <= cap && u->line.ptr[0] == '{');
    MUST(u->line.ptr[u->line.len - 1] != '\r' && !memchr(u->line.ptr, '\n', u->line.len));
    MUST(u->mark.len == EXPORT_MARK_HEX && u->mark.ptr >= reader.marker);
    MUST(u->sig.len == MAC_HEX || u->sig.len == 1);
    MUST(u->sig.ptr + u->sig.len <= reader.marker + sizeof reader.marker);
    MUST(u->at > 1 && u->at <= reader.lines);
}

/** Return: a hash of all that was found. */
static uint32_t read_all(const char *s, size_t len, size_t piece, size_t cap)
{
    uint32_t hash = HASH_START;

    room[cap] = 'Z';
    export_reader_init(&reader, room, cap);
    while (len > 0) {
        size_t n = piece < len ? piece : len;
        len -= n;
        while (n > 0) {
            const size_t before = n;
            const enum export_item item = export_read(&reader, &s, &n);
            MUST(n < before && (n == 0 || item != EXPORT_NOTHING));
            if (item == EXPORT_UNIT) {
                check_unit(cap);
                hash = hash_bytes(hash, reader.unit.line.ptr, reader.unit.line.len);
            }
            const char kind = (char)item;
            if (item != EXPORT_NOTHING)
                hash = hash_bytes(hash, &kind, 1);
        }
    }
    MUST(room[cap] == 'Z');
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    const size_t piece = (data[0] & 15) + 1u, cap = ROOM - (data[0] >> 4) * 16u;
    const char *s = (const char *)data + 1;
    MUST(read_all(s, len - 1, piece, cap) == read_all(s, len - 1, len, cap));
    return 0;
}
