#ifndef NEFIA_CRYPTO_MAC_H
#define NEFIA_CRYPTO_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/text.h"

/** HMAC-SHA256 (RFC 2104, FIPS 180-4; BearSSL) of a line, as 64 lower-case hex digits on the
 * wire. */
#define MAC_BYTES 32
#define MAC_HEX 64
#define MAC_KEY_MAX 256 /* longest key taken from a file or the configuration; least is 16 */
#define MAC_KEY_MIN 16

/** A prepared key (both inner states precomputed). set false: no key, nothing is signed.
 * An assignment makes a second copy of the key; wipe both. */
struct mac_key {
    uint8_t inner[MAC_BYTES], outer[MAC_BYTES];
    bool set;
};

/** Memory: key is copied; the caller wipes its own copy.
 * Return: 0, or NEFIA_EINVAL when len is outside MAC_KEY_MIN..MAC_KEY_MAX (k unchanged). */
int mac_key_set(struct mac_key *k, const void *key, size_t len);
/** The same of a key of any length, for what others have agreed on with us. */
void mac_key_set_any(struct mac_key *k, const void *key, size_t len);
void mac_key_wipe(struct mac_key *k);
/** Load a key from a file; one trailing newline (or CR LF) is stripped. Symbolic links are
 * followed; the target must be a regular file without access for others (mode & 007 == 0). why (may
 * be null) gets a sentence with the path and the remedy, never key bytes. On error k is unchanged.
 * Return: 0, NEFIA_EIO (errno), NEFIA_EINVAL (not a regular file, or bad length), NEFIA_EAUTH
 * (mode). */
int mac_key_load(struct mac_key *k, const char *path, struct text *why);
/** Signing and verifying need k->set. Data may have any length, including 0. */
void mac_sign(const struct mac_key *k, const void *data, size_t len, uint8_t mac[MAC_BYTES]);
/** hex is not NUL-terminated. */
void mac_sign_hex(const struct mac_key *k, const void *data, size_t len, char hex[MAC_HEX]);
/** Compares in constant time. Return: 0; NEFIA_EINVAL (not 64 lower-case hex digits); NEFIA_EAUTH
 * (mismatch). */
int mac_verify_hex(const struct mac_key *k, const void *data, size_t len, const char *hex,
                   size_t hex_len);
/** The same of number, as eight big-endian bytes, followed by the data: a line at its place. */
void mac_sign_line(const struct mac_key *k, uint64_t number, const void *data, size_t len,
                   char hex[MAC_HEX]);
int mac_verify_line(const struct mac_key *k, uint64_t number, const void *data, size_t len,
                    const char *hex, size_t hex_len);
/** Without a key: SHA-256 (FIPS 180-4). */
void mac_hash(const void *data, size_t len, uint8_t hash[MAC_BYTES]);

#endif
