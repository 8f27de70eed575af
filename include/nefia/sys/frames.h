#ifndef NEFIA_SYS_FRAMES_H
#define NEFIA_SYS_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Records in an append-only file. A power cut at any byte loses at most the record being written,
 * a damaged byte at most the record containing it.
 *
 *     be16 0x4E46 ("NF"), u8 kind (1..255), u8 0, be32 length, be32 CRC-32, bytes
 *
 * The CRC (IEEE 802.3, as in zlib) covers kind, the zero byte, length and the bytes. */
#define FRAME_HEADER 12

/** Build a frame's header in out; the frame's bytes, which the checksum covers, come in up to two
 * parts (b null: one) and are written after it. */
void frame_header(uint8_t out[FRAME_HEADER], uint8_t kind, const void *a, size_t a_len,
                  const void *b, size_t b_len);

struct frame {
    uint8_t kind;
    const uint8_t *bytes; /* in the reader's buffer, until the next call */
    size_t len;
    uint64_t at; /* file offset of its header */
};

/** Reads frames from the descriptor's current position on, without moving it (blocking: for
 * start-up). */
struct frame_reader {
    int fd;
    uint8_t *buf; /* the caller's */
    size_t cap, len, pos;
    uint64_t at;      /* file offset of buf[0] */
    uint64_t end;     /* file offset after the last good frame */
    uint64_t damaged; /* bytes skipped between good frames; not counting a torn tail */
    uint64_t torn;    /* bytes after `end`, once frame_next has returned 0 */
};

/** cap: FRAME_HEADER plus the longest frame to be read. */
void frame_reader_init(struct frame_reader *r, int fd, uint8_t *buf, size_t cap);
/** The same, starting at a file offset. */
void frame_reader_seek(struct frame_reader *r, uint64_t at);
/** The next intact frame; damage is skipped, byte by byte, up to the next good one.
 * Bounds: O(file), plus O(cap) for each damaged byte that looks like the start of a frame.
 * Return: 1; 0 at the end; NEFIA_EIO (errno). */
int frame_next(struct frame_reader *r, struct frame *out);

/** CRC-32 (IEEE 802.3), incremental: start with 0. */
uint32_t crc32(uint32_t crc, const void *data, size_t len);

#endif
