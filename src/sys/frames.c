#include "nefia/sys/frames.h"

#include <string.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/sys/file.h"

/* ---- CRC-32 ---- */

/* What four bits of a register become when they have been shifted out of it: row 7 by 4 bits, row 6 by 8, row 0 by
 * 32. Computed at the first use: 512 bytes that need not be in flash. */
static uint32_t shifted[8][16];

static uint32_t shift4(uint32_t crc)
{
    for (unsigned i = 0; i < 4; i++)
        crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0); /* the polynomial, reflected */
    return crc;
}

static void compute_shifted(void)
{
    for (uint32_t n = 0; n < 16; n++) {
        uint32_t crc = n;
        for (unsigned row = 8; row-- > 0;)
            shifted[row][n] = crc = shift4(crc);
    }
}

static uint32_t get_le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

uint32_t crc32(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    if (shifted[7][1] == 0)
        compute_shifted();
    crc = ~crc;
    for (; len >= 4; p += 4, len -= 4) {
        uint32_t x = crc ^ get_le32(p);
        crc = shifted[0][x & 15] ^ shifted[1][x >> 4 & 15] ^ shifted[2][x >> 8 & 15] ^
              shifted[3][x >> 12 & 15] ^ shifted[4][x >> 16 & 15] ^ shifted[5][x >> 20 & 15] ^
              shifted[6][x >> 24 & 15] ^ shifted[7][x >> 28];
    }
    /* The last two rows are the table for a shift by 8. */
    for (; len > 0; p++, len--) {
        uint32_t x = crc ^ *p;
        crc = crc >> 8 ^ shifted[6][x & 15] ^ shifted[7][x >> 4 & 15];
    }
    return ~crc;
}

/* ---- Writing ---- */

enum { MAGIC = 0x4E46, MAGIC_FIRST = MAGIC >> 8, KIND_AT = 2, LENGTH_AT = 4, CRC_AT = 8 };

void frame_header(uint8_t out[FRAME_HEADER], uint8_t kind, const void *a, size_t a_len,
                  const void *b, size_t b_len)
{
    put_be16(out, MAGIC);
    out[KIND_AT] = kind;
    out[KIND_AT + 1] = 0;
    put_be32(out + LENGTH_AT, (uint32_t)(a_len + b_len));
    uint32_t crc = crc32(0, out + KIND_AT, CRC_AT - KIND_AT);
    crc = crc32(crc, a, a_len);
    if (b)
        crc = crc32(crc, b, b_len);
    put_be32(out + CRC_AT, crc);
}

/* ---- Reading ---- */

void frame_reader_init(struct frame_reader *r, int fd, uint8_t *buf, size_t cap)
{
    off_t at = lseek(fd, 0, SEEK_CUR);

    *r = (struct frame_reader){.fd = fd, .buf = buf, .cap = cap};
    frame_reader_seek(r, at > 0 ? (uint64_t)at : 0);
}

void frame_reader_seek(struct frame_reader *r, uint64_t at)
{
    r->at = r->end = at;
    r->len = r->pos = 0;
}

/** Bytes available after pos: at least `need` (<= cap), unless the file ends first. */
static int fill(struct frame_reader *r, size_t need)
{
    if (r->len - r->pos >= need)
        return 0;
    memmove(r->buf, r->buf + r->pos, r->len - r->pos);
    r->at += r->pos;
    r->len -= r->pos;
    r->pos = 0;
    long n = file_fill_at(r->fd, r->at + r->len, r->buf + r->len, r->cap - r->len);
    if (n < 0)
        return (int)n;
    r->len += (size_t)n;
    return 0;
}

/** Check for a frame at pos. Return: 1; 0: none; NEFIA_EIO. */
static int take(struct frame_reader *r, struct frame *out)
{
    const uint8_t *h = r->buf + r->pos;
    uint8_t kind = h[KIND_AT];
    size_t len = get_be32(h + LENGTH_AT);

    if (get_be16(h) != MAGIC || kind == 0 || h[KIND_AT + 1] != 0 || len > r->cap - FRAME_HEADER)
        return 0;
    int err = fill(r, FRAME_HEADER + len);
    if (err < 0)
        return err;
    if (r->len - r->pos < FRAME_HEADER + len)
        return 0;
    h = r->buf + r->pos;
    uint32_t crc = crc32(0, h + KIND_AT, CRC_AT - KIND_AT);
    if (crc32(crc, h + FRAME_HEADER, len) != get_be32(h + CRC_AT))
        return 0;
    *out = (struct frame){kind, h + FRAME_HEADER, len, r->at + r->pos};
    return 1;
}

/** Skip to the next byte that may start a frame. */
static void pass_over(struct frame_reader *r)
{
    const uint8_t *from = r->buf + r->pos + 1;
    size_t rest = r->len - r->pos - 1;
    const uint8_t *next = memchr(from, MAGIC_FIRST, rest);

    r->pos += 1 + (next ? (size_t)(next - from) : rest);
}

int frame_next(struct frame_reader *r, struct frame *out)
{
    for (;;) {
        int err = fill(r, FRAME_HEADER);

        if (err < 0)
            return err;
        if (r->len - r->pos < FRAME_HEADER)
            break;
        err = take(r, out);
        if (err < 0)
            return err;
        if (err > 0) {
            r->damaged += out->at - r->end;
            r->pos += FRAME_HEADER + out->len;
            r->end = r->at + r->pos;
            return 1;
        }
        pass_over(r);
    }
    r->torn = r->at + r->len - r->end;
    return 0;
}
