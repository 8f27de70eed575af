#ifndef NEFIA_CONFIG_H
#define NEFIA_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/text.h"

/** The configuration file as a tree of nodes with line numbers, the same from YAML and from JSON, and one binder that reads a node
 * against a table of fields into a C struct. */
enum node_type { NODE_MAP, NODE_LIST, NODE_SCALAR };

struct node {
    const char *key;    /* null in a list and at the root */
    const char *value;  /* scalars: NUL-terminated text; null otherwise */
    uint16_t line;      /* of the key, or of the value in a list; 65535 where beyond */
    uint8_t type;       /* enum node_type */
    uint8_t quoted;     /* a scalar in quotes: "5m", 'yes' - text even where a plain scalar would be null */
    uint16_t children;
    uint16_t next;      /* index of the next sibling, 0: none */
    uint16_t first;     /* index of the first child, 0: none */
};

/** Where nodes and their strings live. Strings go to `strings` and stay valid until the arena is loaded again;
 * a reload loads into the other of two arenas. Nodes are shared by both: they are needed only while binding. */
struct config_arena {
    char *strings;
    size_t strings_cap, strings_len;
};

struct config {
    const char *path;           /* as given, for messages */
    struct node *nodes;         /* nodes[0] is the root map */
    unsigned nodes_cap, nodes_len;
    struct config_arena *arena;
    unsigned errors;            /* how many were reported */
    void (*report)(void *arg, const char *message); /* one call for each error: "nefia.yaml:14: reactor.rules[2]…" */
    void *report_arg;
};

/** `read_buf` holds the whole file while a JSON file is read, a piece at a time for YAML (>= 4096). Nothing of it is kept. */
void config_init(struct config *c, struct node *nodes, unsigned nodes_cap, void (*report)(void *, const char *), void *report_arg);
/** Read a file (YAML when built in and the name does not end in .json; otherwise JSON) into nodes and arena.
 * Refused with a line number: duplicate keys, aliases and anchors, tags, several documents, nesting deeper than 16, tabs, bad UTF-8, a root
 * that is no map, more nodes or text than fits (the message names the Kconfig symbol to raise).
 * Return: 0; or the first error's code, all reported; NEFIA_EIO with the system's reason reported. */
int config_load(struct config *c, const char *path, struct config_arena *arena, char *read_buf, size_t read_cap);
/** The same from memory; name decides the format. */
int config_load_text(struct config *c, const char *name, const char *text, size_t len, struct config_arena *arena);

const struct node *node_child(const struct config *c, const struct node *map, const char *key);
const struct node *node_first(const struct config *c, const struct node *n);
const struct node *node_next(const struct config *c, const struct node *n);

enum field_type {
    FIELD_STRING,   /* const char * */
    FIELD_BOOL,     /* bool: true, false, yes, no, on, off */
    FIELD_INT,      /* int64_t within min..max */
    FIELD_DURATION, /* uint64_t milliseconds within min..max */
    FIELD_TENTHS,   /* int64_t: "80" or "80.5" to 800, 805; within min..max (in tenths) */
    FIELD_WORD,     /* int: index in words[] */
    FIELD_STRINGS,  /* struct string_list: a list of scalars, or one scalar; items in config-owned memory */
    FIELD_NODE,     /* const struct node *: bound later by its owner (maps and lists of maps) */
};

struct string_list {
    const struct node *first; /* walk with node_next; valid while the nodes are: use during open/bind only */
    unsigned count;
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset;           /* offsetof the member */
    int64_t min, max;        /* numbers, durations (ms), tenths; strings and lists: least and most length/items; 0,0: no bounds */
    const char *def;         /* default as it would be written; null: required for the types below `optional` false */
    const char *const *words; /* FIELD_WORD, ended by null */
    bool required;
    const char *help;        /* one line for the reference and for error remedies */
};

/** Bind map n against a table ended by a field with a null name, into `out`. Every member named in the table is set: from the file,
 * else from its default, else zero/null. Every problem is reported (unknown key with the nearest known one, wrong type, out of range,
 * missing, bad word: `"criticl" is not one of info, warning, critical`), none stops the others.
 * where: the dotted path of n for messages ("reactor.rules[2]"). n may be null: all defaults.
 * Return: 0, or NEFIA_EINVAL when anything was reported. */
int config_bind(struct config *c, const struct node *n, const char *where, const struct field *fields, void *out);
/** Report an error at node n in the same form: FILE:LINE: WHERE: parts…  Parts end with a null pointer. */
void config_error(struct config *c, const struct node *n, const char *where, ...) __attribute__((sentinel));

#endif
