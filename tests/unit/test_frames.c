#include "nefia/sys/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "check.h"
#include "nefia/base/bytes.h"
#include "nefia/base/err.h"

enum { LONGEST = 300, FILE_MAX = 4096 };

static uint8_t image[FILE_MAX], buf[FRAME_HEADER + LONGEST];
static size_t size;
static struct {
    size_t at, len;
} frames[16];
static unsigned frame_count;
static int fd = -1;

static void add(uint8_t kind, const void *a, size_t a_len, const void *b, size_t b_len)
{
    frames[frame_count].at = size;
    frames[frame_count++].len = a_len + b_len;
    frame_header(image + size, kind, a, a_len, b, b_len);
    size += FRAME_HEADER;
    memcpy(image + size, a, a_len);
    size += a_len;
    if (b)
        memcpy(image + size, b, b_len);
    size += b_len;
}

/** Frames of kinds 1.., of lengths from none to the longest, with what looks like frames inside. */
static void make_image(void)
{
    uint8_t bytes[LONGEST];

    size = frame_count = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % 7 == 0 ? 'N' : i % 7 == 1 ? 'F' : i % 7 == 2 ? 3 : i % 7 == 6);
    add(1, "", 0, NULL, 0);
    add(2, "one", 3, "two", 3);
    add(255, bytes, sizeof bytes, NULL, 0);
    add(3, bytes, 40, bytes, 1);
    add(4, "NFNFNFNFNFNFNFNFNFNFNFNF", 24, NULL, 0);
    add(5, "last", 4, NULL, 0);
}

static void write_file(const uint8_t *bytes, size_t len)
{
    if (fd < 0) {
        char path[] = "/tmp/nefia-frames-XXXXXX";
        fd = mkstemp(path);
        REQUIRE(fd >= 0);
        unlink(path);
    }
    REQUIRE(ftruncate(fd, 0) == 0);
    CHECK_INT(pwrite(fd, bytes, len, 0), len);
}

/** Read all: a bit for each frame of the image that was found; anything else fails. */
static unsigned read_all(struct frame_reader *r, size_t cap, size_t len)
{
    unsigned found = 0;
    struct frame f;
    uint64_t good = 0;
    int more;

    frame_reader_init(r, fd, buf, cap);
    while ((more = frame_next(r, &f)) > 0) {
        unsigned i = 0;
        while (i < frame_count && frames[i].at != f.at)
            i++;
        if (!check_true(i < frame_count && f.len == frames[i].len, __FILE__, __LINE__, "no frame"))
            return found;
        CHECK(memcmp(f.bytes, image + f.at + FRAME_HEADER, f.len) == 0);
        CHECK_INT(f.kind, image[f.at + 2]);
        found |= 1u << i;
        good += FRAME_HEADER + f.len;
        CHECK_INT(r->end, f.at + FRAME_HEADER + f.len);
    }
    CHECK_INT(more, 0);
    CHECK_INT(good + r->damaged + r->torn, len);
    return found;
}

TEST(computes_crc32)
{
    uint8_t bytes[67];
    uint32_t all, parts;

    CHECK_INT(crc32(0, "", 0), 0);
    CHECK_INT(crc32(0, "123456789", 9), 0xCBF43926); /* the check value of its specification */
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 73 + 5);
    all = crc32(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        parts = crc32(0, bytes, cut);
        CHECK_INT(crc32(parts, bytes + cut, sizeof bytes - cut), all);
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        uint32_t slow = ~0u;
        for (size_t k = 0; k <= i; k++)
            for (unsigned bit = 0; bit < 8; bit++)
                slow = slow >> 1 ^ (0xEDB88320u & (0u - ((slow ^ (uint32_t)bytes[k] >> bit) & 1)));
        CHECK_INT(crc32(0, bytes, i + 1), ~slow);
    }
}

TEST(has_the_documented_form)
{
    uint8_t h[FRAME_HEADER];

    frame_header(h, 7, "123", 3, "456789", 6);
    CHECK_MEM(h, "NF\x07\0\0\0\0\x09", 8);
    uint32_t crc = crc32(crc32(0, h + 2, 6), "123456789", 9);
    CHECK_INT(get_be32(h + 8), crc);
    uint8_t whole[FRAME_HEADER];
    frame_header(whole, 7, "123456789", 9, NULL, 0);
    CHECK_MEM(h, whole, FRAME_HEADER);
}

TEST(reads_what_was_written)
{
    struct frame_reader r;

    make_image();
    write_file(image, size);
    CHECK_INT(read_all(&r, sizeof buf, size), (1u << frame_count) - 1);
    CHECK_INT(r.damaged + r.torn, 0);
    /* From the middle on, at the descriptor's position, which must not move. */
    CHECK_INT(lseek(fd, (off_t)frames[3].at, SEEK_SET), frames[3].at);
    CHECK_INT(read_all(&r, sizeof buf, size - frames[3].at), 7u << 3);
    CHECK_INT(lseek(fd, 0, SEEK_CUR), frames[3].at);
    lseek(fd, 0, SEEK_SET);
    struct frame f;
    frame_reader_seek(&r, frames[5].at);
    CHECK_INT(frame_next(&r, &f), 1);
    CHECK_INT(f.kind, 5);
    CHECK_INT(frame_next(&r, &f), 0);
}

TEST(a_frame_longer_than_the_buffer_is_skipped)
{
    struct frame_reader r;

    make_image();
    write_file(image, size);
    CHECK_INT(read_all(&r, sizeof buf - 1, size), ((1u << frame_count) - 1) & ~(1u << 2));
    CHECK_INT(r.damaged, FRAME_HEADER + LONGEST);
    CHECK_INT(read_all(&r, FRAME_HEADER, size), 1);
}

TEST(cut_at_every_byte)
{
    struct frame_reader r;

    make_image();
    for (size_t len = 0; len <= size; len++) {
        unsigned whole = 0;
        while (whole < frame_count && frames[whole].at + FRAME_HEADER + frames[whole].len <= len)
            whole++;
        write_file(image, len);
        CHECK_INT(read_all(&r, sizeof buf, len), (1u << whole) - 1);
        CHECK_INT(r.damaged, 0);
        size_t end = whole ? frames[whole - 1].at + FRAME_HEADER + frames[whole - 1].len : 0;
        CHECK_INT(r.end, end);
        CHECK_INT(r.torn, len - end);
    }
}

TEST(damaged_at_every_byte)
{
    struct frame_reader r;

    make_image();
    unsigned hit = 0;
    for (size_t at = 0; at < size; at++) {
        if (hit + 1 < frame_count && at >= frames[hit + 1].at)
            hit++;
        for (unsigned mask = 0; mask <= 8; mask++) {
            uint8_t was = image[at], is = (uint8_t)(was ^ (mask == 8 ? 0xFFu : 1u << mask));
            write_file(image, size);
            CHECK_INT(pwrite(fd, &is, 1, (off_t)at), 1);
            CHECK_INT(read_all(&r, sizeof buf, size), ((1u << frame_count) - 1) & ~(1u << hit));
            bool last = hit == frame_count - 1;
            CHECK_INT(r.damaged, last ? 0 : FRAME_HEADER + frames[hit].len);
            CHECK_INT(r.torn, last ? FRAME_HEADER + frames[hit].len : 0);
        }
    }
}

TEST(garbage_between_and_after_frames)
{
    struct frame_reader r;
    uint8_t file[2 * FILE_MAX];
    uint32_t seed = 1;

    make_image();
    for (unsigned i = 0; i < sizeof file; i++) {
        seed = seed * 1664525 + 1013904223;
        file[i] = seed >> 28 < 4 ? 'N' : seed >> 28 < 8 ? 'F' : (uint8_t)(seed >> 24);
    }
    /* Offsets are preserved: garbage in place of the third frame, and after the last. */
    memcpy(file, image, frames[2].at);
    memcpy(file + frames[3].at, image + frames[3].at, size - frames[3].at);
    write_file(file, sizeof file);
    CHECK_INT(read_all(&r, sizeof buf, sizeof file), ((1u << frame_count) - 1) & ~(1u << 2));
    CHECK_INT(r.damaged, FRAME_HEADER + LONGEST);
    CHECK_INT(r.torn, sizeof file - size);
}

TEST(system_errors_are_returned)
{
    struct frame_reader r;
    struct frame f;

    frame_reader_init(&r, -1, buf, sizeof buf);
    CHECK_INT(frame_next(&r, &f), NEFIA_EIO);
    CHECK_INT(errno, EBADF);
}

TEST_MAIN(computes_crc32, has_the_documented_form, reads_what_was_written,
          a_frame_longer_than_the_buffer_is_skipped, cut_at_every_byte, damaged_at_every_byte,
          garbage_between_and_after_frames, system_errors_are_returned)
