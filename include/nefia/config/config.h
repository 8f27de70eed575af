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

/** The file of a program that is given none. */
#ifdef CONFIG_YAML
#define CONFIG_DEFAULT_FILE "/etc/nefia/nefia.yaml"
#else
#define CONFIG_DEFAULT_FILE "/etc/nefia/nefia.json"
#endif

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
    const char *program; /* "BEACON" or "HUB": which Kconfig symbols a message names; null: none */
    struct node *nodes;  /* nodes[0] is the root map */
    unsigned nodes_cap, nodes_len;
    struct config_arena *arena;
    unsigned errors; /* how many were found */
    uint32_t owner;  /* of the file; mode is its type and permissions, 0 where it came from memory */
    uint16_t mode;
    bool secrets; /* values of secret keys were read */
    /* One call for each error: "nefia.yaml:14: reactor.rules[2]…" */
    void (*report)(void *arg, const char *message);
    /* One call for each warning; null, as config_init leaves it: they are reported as errors are, and
     * say what they are. */
    void (*warn)(void *arg, const char *message);
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
/** The same in steps, for who wants to see the file that is read: open it (Return: as open(2)), then load and close it;
 * fd negative: its errno is reported. */
int config_open(const char *path);
int config_load_fd(struct config *c, const char *path, int fd, struct config_arena *arena, void *work,
                   size_t work_cap);
/** The same from memory; name decides the format. */
int config_load_text(struct config *c, const char *name, const char *text, size_t len,
                     struct config_arena *arena, void *work, size_t work_cap);
/** After load and bind: reports how many errors there were beyond those shown, and wipes every secret
 * that no FIELD_SECRET has taken (those of the other program's section, those that were refused).
 * Return: 0, or NEFIA_EINVAL when there was any error. */
int config_done(struct config *c);
/** For a daemon that refused what it loaded: wipe all its texts, since a mistyped key may hold a
 * secret. Nothing that was bound to them may be used any more. */
void config_drop(struct config *c);

/** The member of that name, or null (also when map is null or no map). */
const struct node *node_child(const struct config *c, const struct node *map, const char *key);
const struct node *node_first(const struct config *c, const struct node *n);
const struct node *node_next(const struct config *c, const struct node *n);

/* ---- secrets ---- */

/** The keys whose values are secret, wherever in the file they stand: both programs read one file, and
 * neither has the other's tables. The text of such a value is never shared with an equal one, never
 * repeated in a report, and wiped unless a FIELD_SECRET takes it; what config_load worked in is wiped
 * too when there was one. A new secret is named here first: FIELD_SECRET_KEY does not compile without. */
#define CONFIG_SECRETS(X) X(hmac_key) X(secret)

#define CONFIG_SECRET_NAME(key) CONFIG_SECRET_##key,
enum config_secret { CONFIG_SECRETS(CONFIG_SECRET_NAME) CONFIG_SECRET_COUNT };
bool config_is_secret(const char *key);

/* ---- fields ---- */

enum field_type {
    FIELD_STRING,   /* const char *, without control or invisible characters; null when not given */
    FIELD_TEXT,     /* the same with any character but NUL: a command, of several lines too */
    FIELD_SECRET,   /* char * (FIELD_SECRET_KEY): its owner wipes it when it is no longer needed */
    FIELD_BOOL,     /* bool: true, false, yes, no, on, off */
    FIELD_INT,      /* an integer within min..max */
    FIELD_DURATION, /* an integer, milliseconds within min..max */
    FIELD_TENTHS,   /* an integer: "80" or "80.5" to 800, 805; within min..max (in tenths) */
    FIELD_WORD,     /* an integer: index in words; -1 when not given (or "") and without default */
    FIELD_SET,      /* whatever set() makes of the text; left alone when not given and without default */
    FIELD_LIST,     /* an array and its count: a list of texts, or one; or a list of maps */
    FIELD_NODE,     /* const struct node *: bound later by its owner; null when not given */
    FIELD_OWNED,    /* no member: its owner finds it with node_child. Also several, by names() */
    FIELD_ABSENT,   /* keys of what is not in this build (FIELD_IF): giving one is an error */
};

struct field;

/** What FIELD_LIST binds into an array of the same struct. */
struct field_list {
    uint32_t count;     /* offsetof the unsigned that gets how many there are */
    uint32_t size;      /* of one item; 0: they are const char * and bound as FIELD_STRING */
    uint16_t cap;       /* how many there may be */
    const char *remedy; /* what to do about more: "; raise CONFIG_PEERS" */
    /* Items that are texts: as field.set. */
    int (*set)(void *item, const char *value, struct text *why);
    /* Items that are maps: their table, which has no such list itself. */
    const struct field *fields;
    /* After binding an item that is a map; earlier ones are counted. out: the struct that holds the
     * array. Checks what no table can say, and reports. Return: is the item kept? null: all are. */
    bool (*keep)(struct config *c, const struct node *n, const char *where, void *item, void *out);
};

struct field {
    /* At most 32 characters; of FIELD_ABSENT, a list of them for word_at. Behind its end stands the default
     * as written (a list: its one text), what a required key is for, or which symbol an absent one wants:
     * one address less for each key (12 bytes of a position-independent program). */
    const char *name;
    uint32_t offset : 22;  /* of the member: FIELD_AT sets both */
    uint32_t size : 4;     /* of an integer, in bytes; 0: 8, of FIELD_WORD 4 */
    uint32_t type : 4;     /* enum field_type */
    uint32_t required : 1; /* not given is an error */
    uint32_t has_text : 1; /* something stands behind the name */
    int32_t min, max;      /* of numbers, durations (ms), tenths; of the length of texts; min also of
                            * the items of lists. 0,0: no bounds; max < min: only the least.
                            * No duration is longer than 366 days in any case */
    union {
        const char *words; /* FIELD_WORD: a list for word_at */
        /* FIELD_SET: the value into the member. Return: 0; or negative with a sentence in why. */
        int (*set)(void *member, const char *value, struct text *why);
        const struct field_list *list;        /* FIELD_LIST */
        const char *(*names)(unsigned index); /* FIELD_OWNED: more keys than name; null ends them */
    };
};

/** The name of a key with a default, and of one that has to be given: what it is for is a hint, and takes no
 * flash without CONFIG_HINTS. */
#define FIELD_DEFAULT(key, value) .name = key "\0" value, .has_text = 1
#define FIELD_REQUIRED(key, what) .name = key "\0" FIELD_HINT(what), .has_text = 1, .required = 1
#define FIELD_HINT(text) KCONFIG_CHOOSE(CONFIG_CONFIG_HINTS, FIELD_KEPT, FIELD_LEFT)(text)
#define FIELD_KEPT(text) text
#define FIELD_LEFT(text) ""
/** What a list does not take is a hint, too. */
#define FIELD_HELP(text) (IS_ENABLED(CONFIG_CONFIG_HINTS) ? (text) : NULL)
/** For who reads the table, at the end of an entry. No report says it. */
#define FIELD_NOTE(text)
/** Return: null: it has none. */
const char *field_default(const struct field *f);

/** The member of the struct that a table is for. */
#define FIELD_AT(type, member)                                                                     \
    .offset = offsetof(type, member),                                                              \
    .size = sizeof(((type *)0)->member) <= 8 ? sizeof(((type *)0)->member) : 0
#define FIELD_SECRET_KEY(key) .name = #key, .type = FIELD_SECRET + 0 * CONFIG_SECRET_##key

/** An entry of a table, without a comma behind it, for a key that only a build with this bool symbol
 * has:
 *     FIELD_IF(CONFIG_PRIVILEGES, "user", .type = FIELD_STRING, …)
 * In the others the key is refused, by the name of the symbol. Without CONFIG_HINTS the table does not
 * have it at all, and the report of an unknown key says what else it may be. */
#define FIELD_IF(symbol, key, ...)                                                                 \
    KCONFIG_CHOOSE(symbol, FIELD_PRESENT, FIELD_REFUSED)(key, " (" #symbol ")", __VA_ARGS__)
#define FIELD_IF_DEFAULT(symbol, key, value, ...)                                                  \
    KCONFIG_CHOOSE(symbol, FIELD_PRESENT_DEFAULT, FIELD_REFUSED_DEFAULT)                           \
    (key, " (" #symbol ")", value, __VA_ARGS__)
#define FIELD_PRESENT(key, symbol, ...) {.name = (key), __VA_ARGS__},
#define FIELD_PRESENT_DEFAULT(key, symbol, value, ...) {FIELD_DEFAULT(key, value), __VA_ARGS__},
#define FIELD_REFUSED(key, symbol, ...) FIELD_NOT(key "\0", symbol)
#define FIELD_REFUSED_DEFAULT(key, symbol, value, ...) FIELD_NOT(key "\0", symbol)
/** Keys of what this build never has, as for word_at. */
#define FIELD_NOT(keys, symbol) KCONFIG_CHOOSE(CONFIG_CONFIG_HINTS, FIELD_SAID, FIELD_UNSAID)(keys, symbol)
#define FIELD_SAID(keys, symbol) {.name = keys "\0" symbol, .type = FIELD_ABSENT},
#define FIELD_UNSAID(keys, symbol)

/** Bind map n against a table ended by a field with a null name, into `out`. Every member named in
 * the table is set: from the file, else from its default, else zero, null or -1 as at field_type.
 * Every problem is reported, none stops the others: unknown key with the nearest known one, wrong
 * type, out of range, missing, bad word, control or invisible characters, a secret in a file that all
 * users can read. A value that is refused leaves the default.
 * An empty value (`key:`, ~, null) counts as not given for FIELD_NODE and FIELD_LIST and is an
 * error for the others.
 * where: the dotted path of n for messages ("reactor.rules[2]"; "" at the root). n null, or empty:
 * all defaults.
 * Return: 0, or NEFIA_EINVAL when anything was reported. */
int config_bind(struct config *c, const struct node *n, const char *where,
                const struct field *fields, void *out);
/** Then the lists of maps of the table, which config_bind leaves empty. */
int config_bind_maps(struct config *c, const struct node *n, const char *where,
                     const struct field *fields, void *out);
/** config_bind with several tables, ended by a null pointer. */
int config_bind_tables(struct config *c, const struct node *n, const char *where,
                       const struct field *const *tables, void *out);

/** Only this field, whatever else the map has: for a key that says which table counts. */
void config_bind_key(struct config *c, const struct node *map, const char *where,
                     const struct field *field, void *out);

/** Does the map have this key with something in it? Not so for an empty value or an empty list. */
bool config_given(const struct config *c, const struct node *map, const char *key);
/** For a list of texts: report those that are there twice: `duplicate WHAT "TEXT"`. Return: 0, or NEFIA_EINVAL. */
int config_distinct(struct config *c, const struct node *n, const char *where, const char *what,
                    const char *const *texts, unsigned count);
/** Is n what its owner can read? Null, empty and refused nodes are not, quietly; the wrong type is
 * reported. Use it on a FIELD_NODE before walking it. */
bool config_is(struct config *c, const struct node *n, const char *where, enum node_type type);
/** Report an error at node n in the same form: FILE:LINE: WHERE: parts…  Parts end with a null
 * pointer. n null: no line. where null or "": left out. */
void config_error(struct config *c, const struct node *n, const char *where, ...)
    __attribute__((sentinel));
/** What is no error, in the same form; with "warning: " before WHERE where c->warn is null. */
void config_warn(struct config *c, const struct node *n, const char *where, ...)
    __attribute__((sentinel));
/** Paths for `where`: appends "where.key", or "where[index]", which counts from 0. t is not reset. */
void config_where_key(struct text *t, const char *where, const char *key);
void config_where_item(struct text *t, const char *where, unsigned index);

#endif
