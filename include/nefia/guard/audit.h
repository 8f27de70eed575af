#ifndef NEFIA_GUARD_AUDIT_H
#define NEFIA_GUARD_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/crypto/mac.h"
#include "nefia/json/json.h"

/** Records that nobody without the key can change, remove, insert or reorder unnoticed. Pure: no files, no
 * clock. A record is one line of JSON, in this order:
 *
 *     {"n":7,"time":"2026-03-10T15:30:00Z","kind":"decision", facts…,"prev":"<64 hex>","mac":"<64 hex>"}
 *
 * n counts from 1; prev is the SHA-256 of the line before (without its newline; zeros for n 1); mac is the
 * HMAC-SHA256 of all bytes before `,"mac":`. Both stand at a fixed distance from the end, so that nothing is
 * parsed before it is authenticated, and what then is parsed is what a hub wrote. */
#define AUDIT_LINE_MAX 4112 /* of a line, without its newline */

/** The last record of a chain, by which another one is chained to it; n 0: there is none. */
struct audit_head {
    uint64_t n;
    uint8_t hash[MAC_BYTES]; /* SHA-256 of its line */
};

enum audit_kind {
    AUDIT_BEGUN,    /* the first record; "key": "new", "kept" (there was an earlier log) or "given" */
    AUDIT_ROTATED,  /* the first record of a further file; "oldest": the n that must still be there; "files" */
    AUDIT_REPAIRED, /* "bytes" of an incomplete last line were removed at the start */
    AUDIT_LOST,     /* "records" could not be written, "error" */
    AUDIT_STARTED,
    AUDIT_STOPPED,
    AUDIT_RELOADED,
    AUDIT_REFUSED, /* a configuration */
    AUDIT_DECISION,
    AUDIT_ACTION_BEGUN,
    AUDIT_ACTION_ENDED,
    AUDIT_REJECTED, /* connections */
    AUDIT_FORGOTTEN,
    AUDIT_SILENCE_ADDED,
    AUDIT_SILENCE_ENDED,
    AUDIT_STEP, /* of a playbook, or its run */
    AUDIT_COMMAND_ORDERED, /* for a device */
    AUDIT_COMMAND_SENT,
    AUDIT_COMMAND_ENDED,
    AUDIT_KINDS,
};
/** "begun", "rotated", … */
const char *audit_kind_word(enum audit_kind kind);

/* ---- Writing ---- */

/** A record while it is written: its facts are put through w. */
struct audit_record {
    struct json_writer w;
    struct text text;
    size_t facts; /* where they begin */
    bool commit;  /* it is the first one of a commit */
};

/** Begin the record that follows n. buf: AUDIT_LINE_MAX + 1 bytes, the caller's until audit_end. unsynced: the
 * clock is not set, which the record says. */
void audit_begin(struct audit_record *r, char *buf, uint64_t n, enum audit_kind kind, int64_t unix_s, bool unsynced);
/** Directly after audit_begin: what stands before this record was on disk when it was written. */
void audit_mark_commit(struct audit_record *r);
/** A fact that is text; null or empty: left out. At most `most` bytes of it, as escaped, are kept; of one that
 * is longer KEY_bytes and KEY_sha256 tell what it was. */
void audit_put(struct audit_record *r, const char *key, struct slice s, size_t most);
void audit_put_str(struct audit_record *r, const char *key, const char *s, size_t most);
/** Chain, sign, and make it the head. Facts that do not fit are left out, all of them: then it has "cut".
 * Return: bytes of the line in buf, without a newline. */
size_t audit_end(struct audit_record *r, struct audit_head *head, const struct mac_key *key);

/* ---- Reading ---- */

/** What a signed line says. */
struct audit_line {
    uint64_t n;
    int kind; /* enum audit_kind; negative: of another version */
    uint8_t prev[MAC_BYTES], hash[MAC_BYTES]; /* the one before; of its own line */
    struct slice facts; /* behind the kind, as JSON: "," and members */
};
/** line: without its newline. Return: 0; NEFIA_EAUTH: not signed with this key. */
int audit_read(struct audit_line *out, const struct mac_key *key, const char *line, size_t len);
/** Does a fact stand there, spelled so: "\"key\":\"kept\""? rest: what follows it. */
bool audit_has(const struct audit_line *l, const char *fact, struct slice *rest);
/** The number behind the first `name` of its facts, such as "\"oldest\":". Return: 0, or NEFIA_ENOTFOUND. */
int audit_number(const struct audit_line *l, const char *name, uint64_t *out);
/** "4711:<64 hex>". Return: 0, or NEFIA_ESYNTAX. */
int audit_head_parse(struct audit_head *out, struct slice s);
void audit_head_text(struct text *t, const struct audit_head *head);

/* ---- Verifying ---- */

enum audit_finding_kind {
    AUDIT_FOUND_CHANGED,  /* the line is not signed, and stands in the place of these records */
    AUDIT_FOUND_INSERTED, /* the line has no place: not signed, or (first > 0) a copy of that record */
    AUDIT_FOUND_MOVED,    /* the record stands at the wrong place */
    AUDIT_FOUND_REMOVED,  /* these records are missing */
    AUDIT_FOUND_REPLACED, /* both signed, but the last one followed another first one */
    AUDIT_FOUND_TORN,     /* the log ends in `bytes` of an incomplete line */
    AUDIT_FOUND_CUT,      /* these records, up to the head that is wanted, are missing at the end */
    AUDIT_FOUND_HEAD,     /* the record is not the one that the wanted head names */
    AUDIT_FOUND_GONE,     /* so old a head that its record was rotated away: nothing can be said of it */
    AUDIT_FOUND_ANEW,     /* the log was begun anew: the hub had a key, but no log */
};

struct audit_finding {
    enum audit_finding_kind kind;
    unsigned file;        /* from 0, in the order they were read */
    uint64_t line;        /* of that file, from 1; 0: none */
    uint64_t first, last; /* records; 0: none */
    uint64_t bytes;
};

/** A place in the log. */
struct audit_place {
    unsigned file;
    uint64_t line;
};

#define AUDIT_PENDING 16 /* of each of the following that are remembered; more are reported less exactly */

/** Reads a log of any length in constant memory and goes on after a finding. A record that is missing is
 * reported at the end, or when it is known that it does not come later. */
struct audit_verifier {
    const struct mac_key *key;
    void (*found)(void *arg, const struct audit_finding *f); /* null: they are only counted */
    void *arg;
    struct audit_head want; /* n 0: none; set after audit_verify_init */
    bool part;              /* only a part of the log is read: it may begin anywhere */

    uint64_t records, lines, findings;
    struct audit_head last; /* the last one in order */
    uint64_t oldest;        /* what the last `rotated` says; 0: there was none */
    uint64_t before;        /* records before the first one that was read: they may have been rotated away */
    struct audit_place at;  /* of the line being read */
    uint64_t torn;          /* bytes of an incomplete last line */
    uint64_t bytes;         /* of the file, in complete lines */
    /** The first line that is not signed in the last commit of the file: of what a power cut found on its way to the disk any
     * part may be there. */
    struct audit_damage {
        bool found;
        uint64_t at;              /* byte of the file */
        struct audit_head before; /* the last record before it */
    } damage;

    struct audit_place bad[AUDIT_PENDING]; /* lines that are not signed, since the last record */
    uint64_t bad_count, bad_n; /* bad_n: what the first of them says that it is; 0: nothing */
    struct audit_gap {
        uint64_t first, last;
        struct audit_place at; /* behind it */
    } gaps[AUDIT_PENDING];
    unsigned gap_count;
    struct audit_early {
        struct audit_head head;
        struct audit_place at;
    } early[AUDIT_PENDING], jump; /* records that came too early; jump: it may be one, or there is a gap */
    unsigned early_count;
    bool want_seen, overlong;
    size_t len;
    char buf[AUDIT_LINE_MAX + 1];
};

/** All is the caller's; key and arg are kept. */
void audit_verify_init(struct audit_verifier *v, const struct mac_key *key,
                       void (*found)(void *arg, const struct audit_finding *f), void *arg);
/** Before each file, the oldest first. */
void audit_verify_file(struct audit_verifier *v);
/** The next bytes of the file, cut anywhere. Bounds: O(len). */
void audit_verify_feed(struct audit_verifier *v, const char *bytes, size_t len);
/** After the last one: what is still open is reported. */
void audit_verify_end(struct audit_verifier *v);
/** "changed", "inserted", "moved", "removed", "replaced", "torn", "cut", "other_head", "rotated_away", "begun_anew". */
const char *audit_finding_word(enum audit_finding_kind kind);
/** Append: "audit.log line 17: changed: record 5 (…)"; name is the file's. */
void audit_finding_text(struct text *t, const struct audit_finding *f, const char *name);

#endif
