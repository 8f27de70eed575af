#ifndef NEFIA_SYS_FRAMES_H
#define NEFIA_SYS_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Records in a file that is only ever appended to, so that a power cut at any byte costs at most
 * the one being written, and a damaged byte at most the one it is in.
 *
 *     be16 0x4E46 ("NF"), u8 kind (1..255), u8 0, be32 length, be32 CRC-32, bytes
 *
 * The CRC (IEEE 802.3, as in zlib) covers kind to length and the bytes. */
#define FRAME_HEADER 12

/** Its header into out; the bytes of the frame, which the checksum covers, are given in up to two
 * parts (b null: one), to be written behind it. */
void frame_header(uint8_t out[FRAME_HEADER], uint8_t kind, const void *a, size_t a_len,
                  const void *b, size_t b_len);

struct frame {
    uint8_t kind;
    const uint8_t *bytes; /* in the reader's buffer, until the next call */
    size_t len;
    uint64_t at; /* of its header, in the file */
};

/** Reads frames from the descriptor's position on, which it leaves where it is (blocking: for
 * start-up). */
struct frame_reader {
    int fd;
    uint8_t *buf; /* the caller's */
    size_t cap, len, pos;
    uint64_t at;      /* file offset of buf[0] */
    uint64_t end;     /* file offset behind the last good frame */
    uint64_t damaged; /* bytes passed over to find the next good frame, other than a torn tail */
    uint64_t torn;    /* bytes behind `end`, once frame_next has said 0 */
};

/** cap: FRAME_HEADER and the longest frame that is to be read. */
void frame_reader_init(struct frame_reader *r, int fd, uint8_t *buf, size_t cap);
/** The same, from that file offset on. */
void frame_reader_seek(struct frame_reader *r, uint64_t at);
/** The next frame that is whole; what is damaged is passed over, byte by byte, to the next good one.
 * Bounds: O(file), and O(cap) more for each damaged byte that looks like the first of a frame.
 * Return: 1; 0 at the end; NEFIA_EIO (errno). */
int frame_next(struct frame_reader *r, struct frame *out);

/** CRC-32 (IEEE 802.3), to be continued: begin with 0. */
uint32_t crc32(uint32_t crc, const void *data, size_t len);

#endif
