#ifndef NEFIA_LINK_EXPORT_H
#define NEFIA_LINK_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/bytes.h"
#include "nefia/base/text.h"
#include "nefia/crypto/mac.h"

/** Events as text, which a person carries from a device that is cut off to its hub (docs/wire.md, "Events as text"):
 *
 *     #nefia-export begin 1 2026-03-10T15:30:00Z r1
 *     {"type":…,"seq":1,"boot":7}                               the exact line that goes over the link
 *     #nefia-export 0000000000000000 <64 hex>                   its mark and signature
 *     {"exported":1,"host_id":"r1","time":"2026-03-10T15:30:00Z"}
 *     #nefia-export 0000000000000000 <64 hex>
 *
 * A signature is HMAC(K_export, mark ‖ line), the mark as eight big-endian bytes; K_export = HMAC(K, "nefia export 1" ‖ 00 ‖ host_id).
 * Without a key it is one `-`. */
#define EXPORT_VERSION 1
#define EXPORT_MARKER "#nefia-export "
#define EXPORT_MARK_HEX 16
/** What begins each text, without the time and the host_id that follow. */
#define EXPORT_BEGIN EXPORT_MARKER "begin " LITERAL(EXPORT_VERSION) " "

/** What a mark says: under which name (link.h) the event was written before. */
#define EXPORT_NEW UINT64_C(0)     /* none: it was at most exported */
#define EXPORT_UNSURE UINT64_MAX   /* several, or that is not known */

/** The key that signs a host's exports. */
void export_key(struct mac_key *to, const struct mac_key *key, struct slice host_id);
/** Append a line's signature line, without its newline. key not set: unsigned. */
#define EXPORT_SIGNATURE (sizeof EXPORT_MARKER - 1 + EXPORT_MARK_HEX + 1 + MAC_HEX)
void export_sign(const struct mac_key *key, uint64_t mark, const char *line, size_t len, struct text *out);
/** Append the line that comes last: events: how many there are, time as in the first line. */
void export_end(uint64_t events, const char *host_id, const char *time, struct text *out);

/* ---- reading ---- */

/** A line and what its signature line says. */
struct export_unit {
    struct slice line, mark, sig; /* mark: 16 characters; sig: MAC_HEX, or one */
    uint64_t at;                  /* number of the signature line in the text, from 1 */
};

enum export_item {
    EXPORT_NOTHING, /* all bytes are taken */
    EXPORT_BEGUN,   /* a text begins; `version` */
    EXPORT_UNIT,
    EXPORT_DAMAGED, /* a signature line without the line that it signs, or which is no signature line */
};

/** Finds exports in any text: what a terminal shows before, between and after, and how it ends lines, does not matter. A line is an
 * event's if it begins with a brace and a signature line follows, whatever else stands between them. */
struct export_reader {
    char *buf; /* the caller's: the last line that may be an event's; what stands before `unit.line` is not touched */
    size_t cap, kept;
    bool too_long, has_line;
    unsigned state; /* of the line being read */
    size_t len;     /* of it: in buf, or in marker */
    uint64_t lines;
    unsigned version; /* of the text that began last */
    struct export_unit unit;
    char marker[sizeof EXPORT_MARKER + 128];
};

/** buf: cap bytes for the longest line. */
void export_reader_init(struct export_reader *r, char *buf, size_t cap);
/** Take bytes up to the next item; *s and *len move on. r->unit is valid until the next call. At the end of the text, one more newline is
 * given: its last line may have none. */
enum export_item export_read(struct export_reader *r, const char **s, size_t *len);

#endif
