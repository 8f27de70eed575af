#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"

/* sdwan_credential_expiry: how long what peers share is declared to live, WireGuard's pre-shared keys and the like. It ends
 * at the time that is given, or so long after its file was written; the file itself is never read. */
struct credential {
    const char *name, *file;
    int kind;
    int64_t ends, reported; /* seconds since 1970; when it was to end at the last look, 0: there was none */
    uint64_t lifetime_ms;
};

struct credentials {
    struct sensor_common common;
    struct thresholds limits; /* ms */
    struct credential items[CONFIG_CREDENTIALS];
    unsigned count;
};

#define YEAR_2020 1577836800
#define YEAR_2200 7258118400
static const char types[] = 
    "sdwan.credential_expiring" "\0" "sdwan.credential_expired" "\0" "sdwan.credential_rotated" "\0";
static const char kinds[] = "wireguard_psk\0ipsec\0peer\0";

static int set_time(void *member, const char *value, struct text *why)
{
    int64_t *t = member;
    const int err = parse_rfc3339(value, strlen(value), t);

    if (err < 0) {
        *t = 1; /* given: one mistake, not two */
        text_str(why, "must be as 2026-03-10T15:30:00Z");
    }
    return err;
}

#define MEMBER(name) FIELD_AT(struct credential, name)
static const struct field item_fields[] = {
    {FIELD_REQUIRED("name", "its name"), .type = FIELD_STRING, MEMBER(name), .min = 1, .max = 64},
    {FIELD_DEFAULT("kind", "peer"), .type = FIELD_WORD, MEMBER(kind), .words = kinds},
    {.name = "expires", .type = FIELD_SET, MEMBER(ends), .set = set_time, FIELD_NOTE("when it ends")},
    {.name = "file", .type = FIELD_STRING, MEMBER(file), .min = 2, .max = 255, FIELD_NOTE("or the file that it is in")},
    {.name = "lifetime", .type = FIELD_DURATION, MEMBER(lifetime_ms), .min = 1000, .max = -1,
     FIELD_NOTE("how long after that was written")},
    {.name = NULL},
};

static bool keep(struct config *c, const struct node *n, const char *where, void *item, void *out)
{
    const struct credential *i = item;
    const struct credentials *s = out;

    if (!i->ends == !i->file || !i->file != !i->lifetime_ms)
        config_error(c, n, where, "needs either expires, or file and lifetime", NULL);
    for (unsigned k = 0; i->name && k < s->count; k++)
        if (str_eq(s->items[k].name, i->name))
            config_error(c, n, where, "duplicate name \"", i->name, "\"", NULL);
    return i->name;
}

static const struct field_list item_list = {
    .count = offsetof(struct credentials, count),
    .size = sizeof(struct credential),
    .cap = CONFIG_CREDENTIALS,
    .remedy = FIELD_HELP("; raise CONFIG_CREDENTIALS"),
    .fields = item_fields,
    .keep = keep,
};

static const struct field credential_fields[] = {
    THRESHOLD_FIELDS(struct credentials, limits, "", FIELD_DURATION, 0, -1, "15m", "5m", "0"),
    {FIELD_REQUIRED("credentials", "what to watch"), .type = FIELD_LIST, FIELD_AT(struct credentials, items), .min = 1,
     .list = &item_list},
    {.name = NULL},
};

static int credential_open(void *state, struct config *c, const struct node *n, const char *where)
{
    return config_bind_maps(c, n, where, credential_fields, state);
}

static int credential_start(void *state, struct emitter *self, void *before)
{
    struct credentials *s = state;
    const struct credentials *old = before;

    (void)self;
    for (unsigned i = 0; i < s->count; i++)
        for (unsigned k = 0; old && k < old->count; k++)
            if (str_eq(s->items[i].name, old->items[k].name))
                s->items[i].reported = old->items[k].reported;
    return 0;
}

/** When it ends. Return: false: not measured. */
static bool find_end(struct emitter *out, struct credential *i)
{
    struct stat s;

    if (!i->file)
        return true;
    const int error = stat(i->file, &s) < 0 ? errno : 0;
    if (error || s.st_mtime < YEAR_2020 || s.st_mtime > YEAR_2200) {
        emitter_not_measured(out, i->file, error ? ERRNO(error) : "written while the clock was wrong");
        return false;
    }
    i->ends = s.st_mtime + (int64_t)(i->lifetime_ms / 1000);
    return true;
}

static int64_t put(void *arg, struct json_writer *w)
{
    const struct credential *i = arg;

    json_put_string(w, "name", i->name);
    json_put_string(w, "kind", word_at(kinds, (unsigned)i->kind));
    return i->ends;
}

static int credential_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct credentials *s = state;
    struct expiry x = {.types = types, .limits = &s->limits};

    (void)now_ms;
    if (!expiry_now(out, &x.now_s))
        return 0;
    for (unsigned i = 0; i < s->count; i++) {
        struct credential *c = &s->items[i];
        if (!find_end(out, c))
            continue;
        x.subject = c->name;
        x.end_s = c->ends;
        x.rotated = c->reported && (c->ends > c->reported || (c->file && c->ends != c->reported));
        if (judge_expiry(out, &x, put, c))
            c->reported = c->ends;
    }
    return 0;
}

const struct sensor_class sensor_credential = {
    SENSOR_NAME("sdwan_credential_expiry", "1m"),
    .limits = 1,
    .low_is_bad = true,
    .fields = credential_fields,
    .state_size = sizeof(struct credentials),
    .open = credential_open,
    .start = credential_start,
    .poll = credential_poll,
};
