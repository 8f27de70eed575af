#ifndef NEFIA_CONFIG_CONFIG_H
#define NEFIA_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/base/kconfig.h"
#include "nefia/base/text.h"

/** The configuration file as a tree of nodes with line numbers, the same from YAML and from JSON,
 * and one binder that reads a node against a table of fields into a C struct.
 *
 *     config_init(&c, "HUB", nodes, n, report, arg);
 *     if (config_load(&c, path, &arena, work, work_cap) == 0)
 *         config_bind(&c, c.nodes, "", root_fields, &root);    // and what hangs below it
 *     return config_done(&c);                                   // 0 only when nothing was reported
 */
enum node_type {
    NODE_MAP,
    NODE_LIST,
    NODE_SCALAR,
    NODE_REFUSED, /* already reported (an alias): the binder passes over it */
};

struct node {
    const char *key;   /* null in a list and at the root */
    const char *value; /* scalars: NUL-terminated text, "" for ~ and null; null otherwise */
    uint16_t line;     /* of the key, or of the value in a list; 65535 where beyond; 0: a default */
    uint8_t type;      /* enum node_type */
    uint8_t quoted;    /* in quotes or a block: text, even where a plain one would be empty */
    uint16_t children; /* of a scalar: how many lines below its key it begins */
    uint16_t next;     /* index of the next sibling, 0: none */
    uint16_t first;    /* index of the first child, 0: none */
};

#define CONFIG_MAX_DEPTH 16
#define CONFIG_MESSAGE_BYTES 512 /* longest report, with its NUL; a longer one is cut */
#define CONFIG_MOST_REPORTS 20   /* further errors are only counted; config_done tells how many */

/** Where texts live. They stay valid until the arena is loaded again; a reload loads into the other
 * of two arenas. Nodes are shared by both: they are needed only while binding. */
struct config_arena {
    char *strings;
    size_t strings_cap, strings_len;
};

struct config {
    const char *path;    /* as given, for messages */
    const char *program; /* "BEACON" or "HUB": which Kconfig symbols a message names */
    struct node *nodes;  /* nodes[0] is the root map */
    unsigned nodes_cap, nodes_len;
    struct config_arena *arena;
    unsigned errors; /* how many were found */
    /* One call for each error: "nefia.yaml:14: reactor.rules[2]…" */
    void (*report)(void *arg, const char *message);
    void *report_arg;
};

/** Keeps all pointers. nodes_cap 1..65535. */
void config_init(struct config *c, const char *program, struct node *nodes, unsigned nodes_cap,
                 void (*report)(void *, const char *), void *report_arg);

/** Read a file (YAML when built in and the name does not end in .json; otherwise JSON) into nodes
 * and arena, forgetting what they held.
 * work: scratch space, free again afterwards (what was secret in the file is in it then). A JSON
 * file needs room for its text and 20 bytes for each value and each key; YAML for 512 bytes, and
 * for its longest text and 256.
 * YAML is a subset of YAML 1.2 and means the same: block and flow maps and lists, plain scalars on
 * one line, quoted ones, | and > blocks, comments. One thing is wider: in a map or list of several
 * lines the closing bracket may stand below the key instead of deeper.
 * Refused with a line number: duplicate keys, aliases, anchors, tags, merge keys, directives,
 * several documents, keys that are not text or longer than a line, plain scalars of several lines,
 * nesting deeper than CONFIG_MAX_DEPTH, tabs in the indentation, bad UTF-8, control characters that
 * are not escaped, NUL characters, a root that is no map, more nodes or text than fits (the message
 * names the Kconfig symbol to raise). A YAML file without any value is an empty map.
 * Return: 0 when there is a whole tree to bind, even if errors in it were already reported
 * (config_done tells); otherwise a negative error, and a report. */
int config_load(struct config *c, const char *path, struct config_arena *arena, void *work,
                size_t work_cap);
/** The same from memory; name decides the format. */
int config_load_text(struct config *c, const char *name, const char *text, size_t len,
                     struct config_arena *arena, void *work, size_t work_cap);
/** After load and bind: tells how many errors there were beyond those shown.
 * Return: 0, or NEFIA_EINVAL when there was any. */
int config_done(struct config *c);

/** The member of that name, or null (also when map is null or no map). */
const struct node *node_child(const struct config *c, const struct node *map, const char *key);
const struct node *node_first(const struct config *c, const struct node *n);
const struct node *node_next(const struct config *c, const struct node *n);

enum field_type {
    FIELD_STRING,   /* const char *; null when not given and without default */
    FIELD_BOOL,     /* bool: true, false, yes, no, on, off */
    FIELD_INT,      /* int64_t within min..max */
    FIELD_DURATION, /* uint64_t milliseconds within min..max */
    FIELD_TENTHS,   /* int64_t: "80" or "80.5" to 800, 805; within min..max (in tenths) */
    FIELD_WORD,     /* int: index in words[]; -1 when not given (or "") and without default */
    FIELD_STRINGS,  /* struct string_list: a list of scalars, or one scalar */
    FIELD_NODE,     /* const struct node *: bound later by its owner; null when not given */
};

/** Walk by count, since a lone scalar has siblings that are none of it:
 *     const struct node *n = list.first;
 *     for (unsigned i = 0; i < list.count; i++, n = node_next(c, n)) use(n->value);
 * The nodes are valid until the next load; the texts as long as the arena. */
struct string_list {
    const struct node *first;
    unsigned count;
};

struct field {
    const char *name;         /* at most 32 characters */
    uint8_t type;             /* enum field_type */
    bool required;            /* not given is an error */
    uint16_t offset;          /* offsetof the member */
    int32_t min, max;         /* of numbers, durations (ms), tenths; of the length of strings and
                               * the items of lists. 0,0: no bounds; max < min: only the least.
                               * No duration is longer than 366 days in any case */
    const char *def;          /* default as written (a list: its one item); null: none */
    const char *const *words; /* FIELD_WORD, ended by null */
    const char *help;         /* one line, for the reference and for the report of a missing one */
};

/** Help is a hint: without CONFIG_HINTS it takes no flash. */
#define FIELD_HELP(text) (IS_ENABLED(CONFIG_CONFIG_HINTS) ? (text) : NULL)
/** Of a key that is not required: for who reads the table. No report says it. */
#define FIELD_NOTE(text) NULL

/** Bind map n against a table ended by a field with a null name, into `out`. Every member named in
 * the table is set: from the file, else from its default, else zero, null or -1 as at field_type.
 * Every problem is reported, none stops the others: unknown key with the nearest known one, wrong
 * type, out of range, missing, bad word. A value that is refused leaves the default.
 * An empty value (`key:`, ~, null) counts as not given for FIELD_NODE and FIELD_STRINGS and is an
 * error for the others. Values of keys named hmac_key and secret are never repeated in a report.
 * where: the dotted path of n for messages ("reactor.rules[2]"; "" at the root). n null, or empty:
 * all defaults.
 * Return: 0, or NEFIA_EINVAL when anything was reported. */
int config_bind(struct config *c, const struct node *n, const char *where,
                const struct field *fields, void *out);

/** Is n what its owner can read? Null, empty and refused nodes are not, quietly; the wrong type is
 * reported. Use it on a FIELD_NODE before walking it. */
bool config_is(struct config *c, const struct node *n, const char *where, enum node_type type);
/** Report an error at node n in the same form: FILE:LINE: WHERE: parts…  Parts end with a null
 * pointer. n null: no line. where null or "": left out. */
void config_error(struct config *c, const struct node *n, const char *where, ...)
    __attribute__((sentinel));
/** Paths for `where`: appends "where.key", or "where[index]". t is not reset. */
void config_where_key(struct text *t, const char *where, const char *key);
void config_where_item(struct text *t, const char *where, unsigned index);

#endif
