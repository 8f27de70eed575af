#ifndef NEFIA_SRC_CONFIG_TREE_H
#define NEFIA_SRC_CONFIG_TREE_H

#include "nefia/config/config.h"

/** What a report is about, seen from the innermost open container: its next child, the child it got
 * last, or the container itself. */
enum tree_place { PLACE_NEXT, PLACE_LAST, PLACE_OPEN };

/** What both readers build the node tree with: a stream of keys, scalars, openings and closings in
 * file order. */
struct config_tree {
    struct config *c;
    uint16_t open[CONFIG_MAX_DEPTH]; /* the containers around the next node */
    uint16_t last[CONFIG_MAX_DEPTH]; /* and the child each got last, 0: none */
    unsigned depth;
    bool has_key;  /* a key waits for its value */
    uint8_t place; /* enum tree_place */
    const char *key;
    unsigned key_line;
    uint32_t recent[128]; /* by hash, where in the arena a text was put last */
};

void tree_init(struct config_tree *t, struct config *c);
/** Is the next scalar a key? */
bool tree_wants_key(const struct config_tree *t);
/** What the innermost open container is; there is one. */
enum node_type tree_top(const struct config_tree *t);
/** All take the line from 1 and return 0, or a negative error already reported: reading ends. */
int tree_key(struct config_tree *t, const char *s, size_t len, unsigned line);
int tree_scalar(struct config_tree *t, const char *s, size_t len, unsigned line, bool quoted);
int tree_refused(struct config_tree *t, unsigned line);
int tree_open(struct config_tree *t, enum node_type type, unsigned line);
void tree_close(struct config_tree *t);
/** Report at the place the tree has reached; a reader that looks back sets t->place. */
void tree_error(struct config_tree *t, unsigned line, const char *what, const char *remedy);

/** Report that reading needs more than work_cap bytes. Return: NEFIA_EFULL. */
int tree_no_work(struct config_tree *t, size_t work_cap);

struct config_source;
/** The readers (source.h). Return: 0, or a negative error already reported. work is theirs until they return.
 */
int config_read_json(struct config_tree *t, struct config_source *s, void *work, size_t work_cap);
int config_read_yaml(struct config_tree *t, struct config_source *s, void *work, size_t work_cap);

#endif
