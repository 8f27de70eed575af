#ifndef NEFIA_LINK_INT_H
#define NEFIA_LINK_INT_H

#include "nefia/link/link.h"

/** Shared by the files of the link: link.c (both ends), hub.c and beacon.c. */

#define LINK_DEPTH 12 /* of a message's nesting: a command with a step that is undone has 9 */

/** The session's greeting is this line. */
void link_greeted(struct link *l, struct slice greeting);
/** The session's keys, from the greeting and this hello. */
void link_derive(const struct link *l, const struct mac_key *key, struct slice hello,
                 struct mac_key *up, struct mac_key *down);
/** Begin an object at the end of out, and end it: with its newline, number and signature. start:
 * out's length before. */
struct json_writer link_begin(struct text *out);
void link_finish(struct link *l, struct json_writer *w, size_t start);
void link_put_reason(struct json_writer *w, const char *reason);
/** "id":"16 hex digits" */
void link_put_id(struct json_writer *w, uint64_t id);
/** A string with at most `room` bytes of escaped text. */
void link_put_escaped(struct json_writer *w, const char *key, struct slice s, size_t room);
/** As link_beacon_end, for both ends. */
size_t link_end(struct link *l, char *buf, size_t len);

/** Parse an object. Return: 0 or NEFIA_ESYNTAX. */
int link_parse(struct json_doc *d, struct slice line, struct json_token *tokens, unsigned cap);
/** A number up to most. */
bool link_read_number(const struct json_doc *d, unsigned object, const char *name, uint64_t most,
                      uint64_t *v);
/** Write the words of these features as a list, without those that a session of this kind cannot have; and read them: others, and
 * what is no list of words, name none. Return: what was written, or read. */
uint8_t link_put_features(struct json_writer *w, unsigned features, bool is_signed);
unsigned link_read_features(const struct json_doc *d, unsigned object);
/** n bytes in lower-case hex. */
bool link_read_hex(const struct json_doc *d, unsigned object, const char *name, uint8_t *out,
                   size_t n);

#endif
