/* Arbitrary bytes as a configuration, once as YAML and once as JSON: the result is either a tree that
 * can be walked and bound, or a report. */
#include <string.h>

#include "nefia/config/config.h"

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

enum { NODES = 300, TEXT = 2048, WORK = 12 * 1024 };

static struct node nodes[NODES];
static char strings[TEXT], work[WORK];
static unsigned reports;

static void take_report(void *arg, const char *message)
{
    const char *name = arg;

    reports++;
    MUST(strncmp(message, name, strlen(name)) == 0);
    MUST(strlen(message) < CONFIG_MESSAGE_BYTES && utf8_valid(message, strlen(message)));
}

struct all {
    const char *string;
    bool on;
    int64_t number, tenths;
    uint64_t duration;
    int word;
    const char *list[4];
    unsigned count;
    char *secret;
    const struct node *map, *maps;
};

static const struct field_list paths = {.count = offsetof(struct all, count), .cap = 4};
#define ROW(key, sort, member) \
    .name = key, .type = FIELD_##sort, .offset = offsetof(struct all, member)
static const struct field fields[] = {
    {ROW("host_id\0" "host", STRING, string), .min = 1, .max = 8, .has_text = 1},
    {ROW("enabled", BOOL, on), .required = true},
    {ROW("listen_port\0" "9500", INT, number), .min = 1, .max = 65535, .has_text = 1},
    {ROW("warning_percent\0" "80", TENTHS, tenths), .max = 1000, .has_text = 1},
    {ROW("interval\0" "5m", DURATION, duration), .min = 1000, .max = -1, .has_text = 1},
    {ROW("severity", WORD, word), .words = "info\0warning\0critical\0"},
    {ROW("paths\0" "/", LIST, list), .min = 1, .list = &paths, .has_text = 1},
    {ROW("secret", SECRET, secret), .max = 16},
    {ROW("beacons", NODE, map)},
    {ROW("rules", NODE, maps)},
    {0},
};

static void check_bound(const struct all *a)
{
    MUST(a->string != NULL && strlen(a->string) >= 1 && strlen(a->string) <= 8);
    MUST(a->number >= 1 && a->number <= 65535 && a->tenths >= 0 && a->tenths <= 1000);
    MUST(a->duration >= 1000 && a->word >= -1 && a->word <= 2);
    MUST(a->count <= 4);
    for (unsigned i = 0; i < a->count; i++)
        MUST(a->list[i] != NULL);
    MUST(a->secret == NULL || strlen(a->secret) <= 16);
}

static void bind(struct config *c)
{
    struct all a, item;

    config_bind(c, c->nodes, "", fields, &a);
    check_bound(&a);
    config_bind(c, a.map, "beacons", fields, &item);
    check_bound(&item);
    if (!config_is(c, a.maps, "rules", NODE_LIST))
        return;
    for (const struct node *n = node_first(c, a.maps); n != NULL; n = node_next(c, n)) {
        config_bind(c, n, "rules[]", fields, &item);
        check_bound(&item);
    }
}

static void check_tree(const struct config *c)
{
    MUST(c->nodes_len >= 1 && c->nodes_len <= c->nodes_cap && c->nodes[0].type == NODE_MAP);
    for (unsigned i = 0; i < c->nodes_len; i++) {
        const struct node *n = &c->nodes[i];
        unsigned children = 0;
        for (const struct node *m = node_first(c, n); m != NULL; m = node_next(c, m), children++) {
            MUST(m > n && (m->key != NULL) == (n->type == NODE_MAP));
            MUST((m->value != NULL) == (m->type == NODE_SCALAR) && m->line >= 1);
        }
        MUST(children == (n->type == NODE_SCALAR ? 0 : n->children));
        MUST(children == 0 || n->type <= NODE_LIST);
    }
}

static void load(const char *name, const char *text, size_t size)
{
    char path[16];
    struct config_arena arena = {strings, sizeof strings, 0};
    struct config c;

    memcpy(path, name, strlen(name) + 1);
    reports = 0;
    config_init(&c, "BEACON", nodes, NODES, take_report, path);
    int err = config_load_text(&c, name, text, size, &arena, work, sizeof work);
    MUST(err < 0 ? c.errors > 0 : c.nodes_len > 0);
    if (err == 0) {
        check_tree(&c);
        bind(&c);
    }
    unsigned shown = c.errors < CONFIG_MOST_REPORTS ? c.errors : CONFIG_MOST_REPORTS;
    MUST(reports == shown);
    MUST((config_done(&c) < 0) == (c.errors > 0));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    load("f.json", (const char *)data, size);
    load("f.yaml", (const char *)data, size);
    return 0;
}
