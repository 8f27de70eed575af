#include "nefia/beacon/spool_export.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/beacon.h"
#include "nefia/beacon/spool_file.h"
#include "nefia/link/export.h"
#include "nefia/sys/cli.h"
#include "nefia/sys/clock.h"
#include "nefia/sys/file.h"

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

enum { ANSWER_MS = 10 * 1000 };

/** `["0123456789abcdef",` stands before an event, and `]` behind it. */
#define BEFORE (2 + EXPORT_MARK_HEX + 2)

/* ---- The order ---- */

/** Events of the running start come first, then those of the others; a hub that is told of several starts remembers the first. */
static bool comes_before(const struct spool *s, struct spool_id a, struct spool_id b)
{
    const bool a_earlier = a.boot != s->own, b_earlier = b.boot != s->own;

    if (a_earlier != b_earlier)
        return b_earlier;
    return a.boot != b.boot ? a.boot < b.boot : a.seq < b.seq;
}

/** The first one behind `last`; that null: of all. */
static bool next_item(const struct spool *s, const struct spool_id *last, struct spool_item *out)
{
    struct spool_item item;
    bool found = false;

    for (size_t at = 0; spool_walk(s, &at, &item);) {
        if ((last && !comes_before(s, *last, item.event.id)) || (found && !comes_before(s, item.event.id, out->event.id)))
            continue;
        *out = item;
        found = true;
    }
    return found;
}

/* ---- The daemon's side ---- */

/** The name of the hub's window of that start, if the hub has acknowledged something of it. */
static const uint8_t *acknowledged_name(const struct session *session, uint64_t boot)
{
    for (unsigned i = 0; i < 2; i++)
        if (session->highest[i].boot == boot && session->highest[i].seq > 0)
            return session->highest[i].name;
    return NULL;
}

int spool_export_produce(void *arg, struct control_cursor *c, struct text *out)
{
    struct beacon *b = arg;
    struct spool *s = &b->pipeline.spool;
    const struct spool_id last = {c->boot, c->seq};
    struct spool_item item;

    if (!next_item(s, c->flag ? &last : NULL, &item))
        return 0;
    c->flag = true;
    c->boot = item.event.id.boot;
    c->seq = item.event.id.seq;
    text_str(out, "[\"");
    text_hex64(out, spool_exported(s, &item, acknowledged_name(b->uplink.delivery.session, c->boot)));
    text_str(out, "\",");
    text_bytes(out, item.event.line, item.event.len);
    text_char(out, ']');
    return 1;
}

/* ---- The text ---- */

struct exporting {
    const struct spool_export_sink *to;
    const char *host_id;
    struct mac_key key;
    uint64_t events;
    bool begun;
    bool closed; /* nobody reads any more */
    char time[32];
};

static int put(struct exporting *x, const char *s, size_t len)
{
    x->closed |= !x->to->write(x->to->arg, s, len);
    return x->closed ? NEFIA_ECLOSED : 0;
}

static int put_signed(struct exporting *x, uint64_t mark, const char *line, size_t len)
{
    char buf[EXPORT_SIGNATURE + 3];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_char(&t, '\n');
    export_sign(&x->key, mark, line, len, &t);
    text_char(&t, '\n');
    return put(x, line, len) < 0 ? NEFIA_ECLOSED : put(x, t.buf, t.len);
}

static int put_begin(struct exporting *x)
{
    char buf[sizeof EXPORT_BEGIN + sizeof x->time + EVENT_HOST_MAX + 3];
    struct text t;

    x->events = 0;
    x->begun = true;
    text_init(&t, x->time, sizeof x->time);
    text_rfc3339(&t, clock_unix(&clock_system));
    text_init(&t, buf, sizeof buf);
    text_str(&t, EXPORT_BEGIN);
    text_str(&t, x->time);
    text_char(&t, ' ');
    text_str(&t, x->host_id);
    text_char(&t, '\n');
    return put(x, t.buf, t.len);
}

static int put_event(struct exporting *x, uint64_t mark, const char *line, size_t len)
{
    if (!x->begun && put_begin(x) < 0)
        return NEFIA_ECLOSED;
    x->events++;
    return put_signed(x, mark, line, len);
}

static int put_end(struct exporting *x)
{
    char buf[EVENT_HOST_MAX * 2 + 128];
    struct text t;

    if (!x->begun && put_begin(x) < 0)
        return NEFIA_ECLOSED;
    text_init(&t, buf, sizeof buf);
    export_end(x->events, x->host_id, x->time, &t);
    return put_signed(x, EXPORT_NEW, t.buf, t.len);
}

/** A record of the daemon. */
static int take_record(void *arg, const char *json, size_t len)
{
    uint8_t mark[EXPORT_MARK_HEX / 2];

    if (len < BEFORE + 1 || parse_hex(json + 2, EXPORT_MARK_HEX, mark, sizeof mark) < 0)
        return NEFIA_ESYNTAX;
    return put_event(arg, get_be64(mark), json + BEFORE, len - BEFORE - 1);
}

/* ---- The file, of a daemon that does not answer ---- */

#define MARKER ".exported"

void spool_export_recall(struct spool *s, const char *file)
{
    char path[FILE_PATH_MAX];
    struct spool_item item;

    if (file_beside(path, file, MARKER) < 0 || access(path, F_OK) < 0)
        return;
    for (size_t at = 0; spool_walk(s, &at, &item);)
        (void)spool_exported(s, &item, NULL);
    (void)unlink(path);
}

static int leave_marker(const char *file)
{
    char path[FILE_PATH_MAX];
    const int err = file_beside(path, file, MARKER);

    return err < 0 ? err : file_write_atomic(path, "", 0);
}

static void say(const struct exporting *x, const char *a, const char *b, const char *c)
{
    char buf[FILE_PATH_MAX + 256];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, a);
    text_str(&t, b);
    text_str(&t, c);
    x->to->say(x->to->arg, t.buf);
}

/** Return: 0, or negative after a sentence: the spool has what the file has. */
static int look(struct exporting *x, struct spool *s, const char *path, bool *unsure)
{
    bool held;
    const int err = spool_file_look(pool_spool_file, s, path, (uint8_t *)pool_work, FRAME_HEADER + SPOOL_FILE_HEAD + CONFIG_EVENT_BYTES,
                                    &held);

    if (err < 0) {
        say(x, path, ": ", ERRNO(errno));
        return err;
    }
    *unsure = held || leave_marker(path) < 0;
    say(x, "these events are from ", path, HINTED("", "; those that were only in the daemon's memory are not among them"));
    if (*unsure)
        say(x, held ? "the daemon still runs" : "the next start cannot be told of this export",
            HINTED("", ", so that all events are marked as unsure: a rule that is not idempotent does not act on them"), "");
    return 0;
}

static int export_file(struct exporting *x, struct spool *s, const char *path)
{
    struct spool_item item;
    struct spool_id last;
    bool unsure;

    if (!path || !path[0]) {
        say(x, "there is no beacons.spool_file that could be read instead", "", "");
        return NEFIA_ENOTFOUND;
    }
    int err = look(x, s, path, &unsure);
    if (err < 0)
        return err;
    for (size_t at = 0; spool_walk(s, &at, &item);)
        s->own = item.event.id.boot; /* what came last is of the last start */
    x->begun = false;
    for (bool more = next_item(s, NULL, &item); err == 0 && more; more = next_item(s, &last, &item)) {
        const uint64_t mark = spool_exported(s, &item, NULL);
        last = item.event.id;
        err = put_event(x, unsure ? EXPORT_UNSURE : mark, item.event.line, item.event.len);
    }
    return err;
}

int spool_export(struct beacon *b, const struct spool_export_sink *to)
{
    const struct beacon_settings *s = beacon_loaded(b);
    struct exporting x = {.to = to, .host_id = s->host_id};
    char buf[256];
    struct text why;

    text_init(&why, buf, sizeof buf);
    if (b->next_key.set)
        export_key(&x.key, &b->next_key, (struct slice){s->host_id, strlen(s->host_id)});
    int err = control_request(beacon_socket(b), "spool", (char *)pool_work, sizeof pool_work, take_record, &x, ANSWER_MS, &why);
    if (err != 0 && !x.closed) {
        say(&x, why.buf, "", "");
        err = err < 0 && IS_ENABLED(CONFIG_SPOOL_FILE) ? export_file(&x, &b->pipeline.spool, s->spool_file) : NEFIA_EIO;
    }
    if (err == 0)
        err = put_end(&x);
    mac_key_wipe(&x.key);
    if (err == 0)
        say(&x, DEC(x.events), x.events == 1 ? " event exported" : " events exported", HINTED("", "; the hub takes them with `nefia import`"));
    return err == 0 || x.closed ? CLI_FINE : CLI_NO;
}
