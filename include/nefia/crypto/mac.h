#ifndef NEFIA_CRYPTO_MAC_H
#define NEFIA_CRYPTO_MAC_H

#include <bearssl_hmac.h>
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

/** A key ready for use (the two inner states computed once). set false: no key, nothing is signed.
 * A copy by assignment is a second key; wipe both. */
struct mac_key {
    br_hmac_key_context ctx;
    bool set;
};

/** Memory: key is not kept; the caller wipes its own copy.
 * Return: 0, or NEFIA_EINVAL when len is outside MAC_KEY_MIN..MAC_KEY_MAX (k is untouched then). */
int mac_key_set(struct mac_key *k, const void *key, size_t len);
void mac_key_wipe(struct mac_key *k);
/** Read a key from a file, one trailing newline (or CR LF) left out. A symbolic link is followed;
 * the file behind it must be regular and closed to other users (mode & 007 == 0).
 * why (may be null) gets a sentence with the path and the remedy, never key bytes. On error k is
 * untouched.
 * Return: 0, NEFIA_EIO (errno), NEFIA_EINVAL (no regular file, or length), NEFIA_EAUTH (mode). */
int mac_key_load(struct mac_key *k, const char *path, struct text *why);
/** A key that stands among other things in the file at path: that file must be closed to others in
 * the same way. Returns as mac_key_load. */
int mac_key_inline(struct mac_key *k, const char *key, const char *path, struct text *why);
/** Signing and verifying need k->set. Data of any length, 0 too. */
void mac_sign(const struct mac_key *k, const void *data, size_t len, uint8_t mac[MAC_BYTES]);
/** hex is not NUL-terminated. */
void mac_sign_hex(const struct mac_key *k, const void *data, size_t len, char hex[MAC_HEX]);
/** Constant time in the digits. Return: 0; NEFIA_EINVAL (not 64 lower-case hex digits); NEFIA_EAUTH
 * (wrong). */
int mac_verify_hex(const struct mac_key *k, const void *data, size_t len, const char *hex,
                   size_t hex_len);

#endif
