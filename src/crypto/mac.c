#include "nefia/crypto/mac.h"

#include <bearssl_hash.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/base/text.h"
#include "nefia/base/wipe.h"
#include "nefia/sys/file.h"

enum { BLOCK = 64 }; /* of SHA-256 */

/** The hash's state after its first block: the key, padded and XORed with pad. */
static void first_block(const uint8_t key[BLOCK], uint8_t pad, uint8_t state[MAC_BYTES])
{
    uint8_t block[BLOCK];
    br_sha256_context sha;

    for (size_t i = 0; i < BLOCK; i++)
        block[i] = key[i] ^ pad;
    br_sha256_init(&sha);
    br_sha256_update(&sha, block, BLOCK);
    br_sha256_state(&sha, state);
    wipe(block, sizeof block);
    wipe(&sha, sizeof sha);
}

void mac_key_set_any(struct mac_key *k, const void *key, size_t len)
{
    uint8_t padded[BLOCK] = {0};
    br_sha256_context sha;

    if (len <= BLOCK) {
        memcpy(padded, key, len);
    } else {
        br_sha256_init(&sha);
        br_sha256_update(&sha, key, len);
        br_sha256_out(&sha, padded);
        wipe(&sha, sizeof sha);
    }
    first_block(padded, 0x36, k->inner);
    first_block(padded, 0x5c, k->outer);
    wipe(padded, sizeof padded);
    k->set = true;
}

int mac_key_set(struct mac_key *k, const void *key, size_t len)
{
    if (len < MAC_KEY_MIN || len > MAC_KEY_MAX)
        return NEFIA_EINVAL;
    mac_key_set_any(k, key, len);
    return 0;
}

void mac_key_wipe(struct mac_key *k)
{
    wipe(k, sizeof *k);
}

static int complain(struct text *why, const char *path, const char *what, int err)
{
    if (why) {
        text_str(why, path);
        text_str(why, ": ");
        text_str(why, what);
    }
    return err;
}

static int complain_errno(struct text *why, const char *path, const char *what)
{
    int saved = errno;

    complain(why, path, what, NEFIA_EIO);
    if (why)
        text_str(why, ERRNO(saved));
    errno = saved;
    return NEFIA_EIO;
}

/** Open a key file that others cannot read. Symbolic links are followed (images link keys to the
 * writable partition); the mode checked is the target's. Return: the descriptor. */
static int open_private(const char *path, struct text *why)
{
    /* O_NONBLOCK: a FIFO must not hang the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int err;

    if (fd < 0 || fstat(fd, &st) < 0) {
        err = complain_errno(why, path, "cannot read the key file: ");
        if (why && IS_ENABLED(CONFIG_CONFIG_HINTS) && errno == ENOENT)
            text_str(why, "; create one with: openssl rand -hex 32");
    } else if (st.st_mode & 007) {
        err = complain(why, path, HINTED("holds a key but is accessible to all users", "; run: chmod 600 "),
                       NEFIA_EAUTH);
        if (why && IS_ENABLED(CONFIG_CONFIG_HINTS))
            text_str(why, path);
    } else if (!S_ISREG(st.st_mode)) {
        err = complain(why, path, "key file is not a regular file", NEFIA_EINVAL);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return err;
}

static int key_from_fd(struct mac_key *k, int fd, const char *path, struct text *why)
{
    char buf[MAC_KEY_MAX + 3]; /* room for CR LF, and one byte more to detect an overlong key */
    long n = file_fill(fd, buf, sizeof buf);
    size_t len = n < 0 ? 0 : (size_t)n;

    if (len > 0 && buf[len - 1] == '\n')
        len -= len > 1 && buf[len - 2] == '\r' ? 2 : 1;
    int err = n < 0 ? (int)n : mac_key_set(k, buf, len);
    wipe(buf, sizeof buf); /* even after an error: part of the key may have been read */
    if (n < 0)
        return complain_errno(why, path, "cannot read the key file: ");
    if (!err)
        return 0;
    return complain(why, path,
                    HINTED("key is not 16 to 256 bytes long", "; create one with: openssl rand -hex 32"),
                    err);
}

int mac_key_load(struct mac_key *k, const char *path, struct text *why)
{
    int fd = open_private(path, why);

    if (fd < 0)
        return fd;
    int err = key_from_fd(k, fd, path, why);
    close(fd);
    return err;
}

static void compute(const struct mac_key *k, const void *head, size_t head_len, const void *data,
                    size_t len, uint8_t mac[MAC_BYTES])
{
    /* The outer hash's second and last block, padded: 0x300 bits have gone before its end. */
    uint8_t last[BLOCK] = {[MAC_BYTES] = 0x80, [BLOCK - 2] = 3};
    br_sha256_context sha;

    br_sha256_init(&sha);
    br_sha256_set_state(&sha, k->inner, BLOCK);
    br_sha256_update(&sha, head, head_len);
    br_sha256_update(&sha, data, len);
    br_sha256_out(&sha, last);
    br_sha256_set_state(&sha, k->outer, BLOCK);
    br_sha256_update(&sha, last, BLOCK);
    br_sha256_state(&sha, mac);
}

/** Four digits at a time: the nibbles of two bytes spread over four, and those above 9 moved on to the
 * letters. */
static void to_hex(const uint8_t mac[MAC_BYTES], char hex[MAC_HEX])
{
    for (size_t i = 0; i < MAC_BYTES; i += 2) {
        uint32_t x = (uint32_t)mac[i] << 16 | mac[i + 1];
        x = (x | x << 4) & 0x0F0F0F0F;
        uint32_t letters = (x + 0x06060606) >> 4 & 0x01010101;
        put_be32((uint8_t *)hex + 2 * i, x + 0x30303030 + letters * ('a' - '0' - 10));
    }
}

/** Does mac read like this? Digits are compared, not bytes: a match needs no syntax check. */
static int compare(uint8_t mac[MAC_BYTES], const char *hex, size_t hex_len)
{
    char want[MAC_HEX];
    unsigned differs = 0;

    if (hex_len != MAC_HEX)
        return NEFIA_EINVAL;
    to_hex(mac, want);
    for (size_t i = 0; i < MAC_HEX; i++)
        differs |= (unsigned)(hex[i] ^ want[i]);
    wipe(want, sizeof want);
    wipe(mac, MAC_BYTES);
    if (!differs)
        return 0;
    return parse_hex(hex, hex_len, mac, MAC_BYTES) < 0 ? NEFIA_EINVAL : NEFIA_EAUTH;
}

void mac_sign(const struct mac_key *k, const void *data, size_t len, uint8_t mac[MAC_BYTES])
{
    compute(k, NULL, 0, data, len, mac);
}

void mac_sign_hex(const struct mac_key *k, const void *data, size_t len, char hex[MAC_HEX])
{
    uint8_t mac[MAC_BYTES];

    mac_sign(k, data, len, mac);
    to_hex(mac, hex);
}

int mac_verify_hex(const struct mac_key *k, const void *data, size_t len, const char *hex,
                   size_t hex_len)
{
    uint8_t mac[MAC_BYTES];

    mac_sign(k, data, len, mac);
    return compare(mac, hex, hex_len);
}

void mac_sign_line(const struct mac_key *k, uint64_t number, const void *data, size_t len,
                   char hex[MAC_HEX])
{
    uint8_t mac[MAC_BYTES], head[8];

    put_be64(head, number);
    compute(k, head, sizeof head, data, len, mac);
    to_hex(mac, hex);
}

int mac_verify_line(const struct mac_key *k, uint64_t number, const void *data, size_t len,
                    const char *hex, size_t hex_len)
{
    uint8_t mac[MAC_BYTES], head[8];

    put_be64(head, number);
    compute(k, head, sizeof head, data, len, mac);
    return compare(mac, hex, hex_len);
}

void mac_hash(const void *data, size_t len, uint8_t hash[MAC_BYTES])
{
    br_sha256_context sha;

    br_sha256_init(&sha);
    br_sha256_update(&sha, data, len);
    br_sha256_out(&sha, hash);
}
