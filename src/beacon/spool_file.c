#include "nefia/beacon/spool_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <string.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/sys/log.h"

/* On-disk format: never renumber. */
enum { KIND_EVENT = 1, KIND_GONE = KIND_EVENT + SEVERITY_COUNT, KIND_LOST, KIND_WROTE };
enum { LOST_BYTES = 4 * SEVERITY_COUNT + 4 + 32, WROTE_BYTES = 8 + LINK_NAME };
enum { DAY_MS = 24 * 60 * 60 * 1000 };

/** Bytes of an event, including its GONE. */
static uint32_t event_bytes(size_t len)
{
    return (uint32_t)(FRAME_HEADER + SPOOL_FILE_HEAD + SPOOL_FILE_GONE + len);
}

uint32_t spool_file_today(struct spool_file *f)
{
    uint64_t now = clock_ms(f->clock);

    if (now >= f->day_ends_ms) {
        f->day_ends_ms = now + DAY_MS;
        f->today = 0;
    }
    return f->today;
}

static bool affords(struct spool_file *f, uint32_t bytes)
{
    /* It can always be truncated once it holds no live events. */
    return spool_file_today(f) + bytes + SPOOL_FILE_BLOCK <= f->daily;
}

/* ---- Writing ---- */

static void put_id(uint8_t *p, struct spool_id id)
{
    put_be64(p, id.boot);
    put_be64(p + 8, id.seq);
}

static struct spool_id get_id(const uint8_t *p)
{
    return (struct spool_id){get_be64(p), get_be64(p + 8)};
}

static int put_event(int fd, const struct spool_event *e)
{
    uint8_t b[FRAME_HEADER + SPOOL_FILE_HEAD];

    put_id(b + FRAME_HEADER, e->id);
    put_be64(b + FRAME_HEADER + 16, e->key);
    frame_header(b, (uint8_t)(KIND_EVENT + e->severity), b + FRAME_HEADER, SPOOL_FILE_HEAD, e->line,
                 e->len);
    int err = file_append(fd, b, sizeof b);
    return err < 0 ? err : file_append(fd, e->line, e->len);
}

static uint32_t losses(const struct spool_lost *l)
{
    uint32_t sum = 0;

    for (int i = 0; i < SEVERITY_COUNT; i++)
        sum += l->count[i];
    return sum;
}

/** Record the unreported losses; supersedes earlier LOST frames. */
static int put_lost(struct spool_file *f, int fd)
{
    const struct spool_lost *l = &f->spool->lost;
    uint8_t b[FRAME_HEADER + LOST_BYTES], *p = b + FRAME_HEADER;

    for (int i = 0; i < SEVERITY_COUNT; i++, p += 4)
        put_be32(p, l->count[i]);
    put_be32(p, l->unknown);
    put_id(p + 4, l->first);
    put_id(p + 20, l->last);
    frame_header(b, KIND_LOST, b + FRAME_HEADER, LOST_BYTES, NULL, 0);
    f->unreported_lost = losses(l);
    f->size += sizeof b;
    f->today += sizeof b;
    return file_append(fd, b, sizeof b);
}

/* ---- Notes: which start was written under which name ---- */

static const uint8_t several[LINK_NAME];

static bool same_name(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, LINK_NAME) == 0;
}

static struct spool_note *find_note(struct spool_file *f, uint64_t boot)
{
    for (unsigned i = 0; i < f->note_count; i++)
        if (f->notes[i].boot == boot)
            return &f->notes[i];
    return NULL;
}

static bool has_live(const struct spool_file *f, uint64_t boot)
{
    struct spool_item item;

    for (size_t at = 0; spool_walk(f->spool, &at, &item);)
        if (item.event.kept && item.event.id.boot == boot)
            return true;
    return false;
}

/** Forget starts that have no event in the file, and get no more. */
static void prune_notes(struct spool_file *f)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < f->note_count; i++)
        if (f->notes[i].boot == f->spool->own || has_live(f, f->notes[i].boot))
            f->notes[kept++] = f->notes[i];
    f->note_count = kept;
}

static void take_note(struct spool_file *f, uint64_t boot, const uint8_t *name)
{
    struct spool_note *n = find_note(f, boot);

    if (!n && f->note_count == SPOOL_FILE_NOTES) {
        f->all_several = true;
        return;
    }
    if (!n) {
        n = &f->notes[f->note_count++];
        n->boot = boot;
    } else if (!same_name(n->name, name)) {
        name = several;
    }
    memcpy(n->name, name, LINK_NAME);
}

/** n null: all starts that have no note. */
static int put_note(struct spool_file *f, int fd, const struct spool_note *n)
{
    uint8_t b[FRAME_HEADER + WROTE_BYTES] = {0}, *p = b + FRAME_HEADER;

    if (n) {
        put_be64(p, n->boot);
        memcpy(p + 8, n->name, LINK_NAME);
    }
    frame_header(b, KIND_WROTE, p, WROTE_BYTES, NULL, 0);
    f->size += sizeof b;
    f->today += sizeof b;
    return file_append(fd, b, sizeof b);
}

static int put_notes(struct spool_file *f, int fd)
{
    int err = f->all_several ? put_note(f, fd, NULL) : 0;

    prune_notes(f);
    for (unsigned i = 0; err == 0 && i < f->note_count; i++)
        err = put_note(f, fd, &f->notes[i]);
    return err;
}

/* ---- Appending ---- */

static void flush(struct spool_file *f)
{
    struct spool *s = f->spool;
    const struct spool_lost lost = s->lost;

    if (f->gone_len == 0)
        return;
    /* Losses being reported are not reported yet: count them as lost here. */
    if (s->reporting)
        spool_put_lost(s, s->reporting);
    /* First, because events that are gone may be among the lost. */
    if (f->unreported_lost != losses(&s->lost))
        (void)put_lost(f, f->fd);
    s->lost = lost;
    (void)file_append(f->fd, f->gone, f->gone_len);
    f->gone_len = 0;
}

static void put_gone(struct spool_file *f, struct spool_id id)
{
    if (f->gone_len == sizeof f->gone)
        flush(f);
    uint8_t *p = f->gone + f->gone_len;
    put_id(p + FRAME_HEADER, id);
    frame_header(p, KIND_GONE, p + FRAME_HEADER, SPOOL_FILE_GONE - FRAME_HEADER, NULL, 0);
    f->gone_len += SPOOL_FILE_GONE;
}

/** Hook called by the spool. */
static void event_left(void *arg, const struct spool_event *e)
{
    struct spool_file *f = arg;

    f->events--;
    f->alive -= event_bytes(e->len);
    if (f->replaying)
        return;
    if (f->spool->collapsing)
        f->replaced = e->id;
    else
        put_gone(f, e->id);
}

/** It holds no live events. */
static void empty_file(struct spool_file *f)
{
    f->gone_len = f->unreported_lost = 0;
    f->stale = false;
    f->today += SPOOL_FILE_BLOCK;
    if (ftruncate(f->fd, 0) < 0)
        return;
    f->size = f->note_count = 0;
    f->all_several = false;
}

void spool_file_settle(struct spool_file *f)
{
    const uint32_t lost = losses(&f->spool->lost);
    const bool empty = f->spool->events == 0;
    const bool over = f->stale ? empty : f->size > SPOOL_FILE_CUT;

    if (f->events > 0 || !over || lost > 0) {
        flush(f);
        if (empty && f->unreported_lost != lost)
            (void)put_lost(f, f->fd);
        return;
    }
    empty_file(f);
}

static int append(struct spool_file *f, const struct spool_event *e, struct spool_id replaced)
{
    uint32_t need = event_bytes(e->len);

    if (!affords(f, need))
        return NEFIA_EFULL;
    flush(f);
    off_t end = lseek(f->fd, 0, SEEK_END);
    int err = put_event(f->fd, e);
    /* It may be the event that reports them. */
    if (err == 0 && f->unreported_lost != losses(&f->spool->lost))
        err = put_lost(f, f->fd);
    f->today += need;
    if (err == 0 && fdatasync(f->fd) == 0) {
        f->size += need;
        if (replaced.seq > 0)
            put_gone(f, replaced);
        return 0;
    }
    (void)!ftruncate(f->fd, end);
    f->unreported_lost = UINT32_MAX;
    return NEFIA_EIO;
}

/* ---- Replacing the file ---- */

static bool below(const struct spool_event *a, const struct spool_event *b)
{
    if (a->severity != b->severity)
        return a->severity < b->severity;
    return a->id.boot != b->id.boot ? a->id.boot < b->id.boot : a->id.seq < b->id.seq;
}

/** Choose the live events to keep: those above `cut`. Return: their bytes. */
static uint32_t choose(const struct spool_file *f, struct spool_event *cut)
{
    uint32_t bytes = f->alive;

    *cut = (struct spool_event){.severity = SEVERITY_INFO};
    while (bytes > f->cap / 2) {
        struct spool_event least = {.severity = SEVERITY_COUNT};
        struct spool_item item;

        for (size_t at = 0; spool_walk(f->spool, &at, &item);)
            if (item.event.kept && below(cut, &item.event) && below(&item.event, &least))
                least = item.event;
        if (least.severity == SEVERITY_COUNT)
            break;
        *cut = least;
        bytes -= event_bytes(least.len);
    }
    return bytes;
}

static void drop_below(struct spool_file *f, const struct spool_event *cut)
{
    struct spool_item item;

    for (size_t at = 0; spool_walk(f->spool, &at, &item);)
        if (item.event.kept && !below(cut, &item.event)) {
            spool_set_kept(f->spool, item.at, false);
            f->events--;
            f->skipped++;
            f->unreported++;
        }
}

static int replace(struct spool_file *f)
{
    struct spool_event cut;
    struct spool_item item;
    uint32_t bytes = choose(f, &cut);

    if (!affords(f, bytes + SPOOL_FILE_BLOCK))
        return NEFIA_EFULL;
    f->today += bytes + SPOOL_FILE_BLOCK;
    int fd = file_replace_begin(f->path);
    int err = fd < 0 ? 0 : file_lock(fd); /* before it has the name: no other beacon comes between */
    const uint32_t size = f->size;
    f->unreported_lost = f->size = 0;
    if (fd >= 0 && err == 0 && losses(&f->spool->lost) > 0)
        err = put_lost(f, fd);
    if (fd >= 0 && err == 0)
        err = put_notes(f, fd);
    for (size_t at = 0; fd >= 0 && err == 0 && spool_walk(f->spool, &at, &item);)
        if (item.event.kept && below(&cut, &item.event))
            err = put_event(fd, &item.event);
    if (fd >= 0)
        err = file_replace_end(f->path, fd, err);
    if (fd < 0 || err == NEFIA_EIO) {
        close(fd);
        f->size = size;
        f->unreported_lost = UINT32_MAX; /* what the file records is unknown: write it again */
        return NEFIA_EIO;
    }
    close(f->fd);
    f->fd = fd;
    f->gone_len = 0;
    f->stale = false;
    drop_below(f, &cut);
    f->alive = bytes;
    f->size += bytes;
    return 0;
}

/* ---- What was written ---- */

static int append_note(struct spool_file *f, const struct spool_note *n)
{
    const uint32_t size = f->size;
    const off_t end = lseek(f->fd, 0, SEEK_END);

    if (put_note(f, f->fd, n) == 0 && fdatasync(f->fd) == 0)
        return 0;
    (void)!ftruncate(f->fd, end);
    f->size = size;
    return NEFIA_EIO;
}

/** Rather no event in the file than one that may act twice. */
static void give_up_file(struct spool_file *f)
{
    const struct spool_event all = {.severity = SEVERITY_COUNT};

    LOG_ERROR("cannot write ", f->path, ": its ", DEC(f->events), " events remain in memory only");
    f->failed += f->events;
    f->alive = 0;
    drop_below(f, &all);
    empty_file(f);
    (void)fdatasync(f->fd);
}

/** Hook called by the spool. */
static void event_written(void *arg, uint64_t boot, const uint8_t *name)
{
    struct spool_file *f = arg;
    const struct spool_note *n = find_note(f, boot);

    if (!name)
        name = several;
    if (n ? same_name(n->name, name) || same_name(n->name, several) : f->all_several)
        return;
    if (!n && f->note_count == SPOOL_FILE_NOTES)
        prune_notes(f);
    take_note(f, boot, name);
    if (append_note(f, find_note(f, boot)) < 0 && replace(f) < 0)
        give_up_file(f);
}

void spool_file_keep(struct spool_file *f, const struct spool_event *e)
{
    struct spool *s = f->spool;
    uint32_t need = event_bytes(e->len);
    int err = NEFIA_EFULL;
    const struct spool_id replaced = f->replaced;

    f->replaced.seq = 0;
    if (e->severity < f->least) {
        if (replaced.seq > 0)
            put_gone(f, replaced);
        return;
    }
    spool_set_kept(s, s->used - SPOOL_HEADER - e->len, true);
    f->events++;
    f->alive += need;
    if (f->fd < 0)
        err = NEFIA_EIO;
    else if (need <= f->cap / 2)
        err = f->size + need <= f->cap ? append(f, e, replaced) : replace(f);
    if (err == 0)
        return;
    spool_set_kept(s, s->used - SPOOL_HEADER - e->len, false);
    f->events--;
    f->alive -= need;
    f->stale |= replaced.seq > 0;
    f->skipped++;
    f->unreported++;
    f->failed += err == NEFIA_EIO;
}

/* ---- Start ---- */

static void replay_lost(struct spool_file *f, const uint8_t *p)
{
    struct spool_lost *l = &f->found;

    for (int i = 0; i < SEVERITY_COUNT; i++, p += 4)
        l->count[i] = get_be32(p);
    l->unknown = get_be32(p);
    l->first = get_id(p + 4);
    l->last = get_id(p + 20);
}

/** Tell the spool what the notes say of the events. */
static void apply_notes(struct spool_file *f)
{
    struct spool_item item;

    for (size_t at = 0; spool_walk(f->spool, &at, &item);) {
        const struct spool_note *n = find_note(f, item.event.id.boot);
        if (n || f->all_several)
            spool_written(f->spool, item.at, n && !same_name(n->name, several) ? n->name : NULL);
    }
    prune_notes(f);
}

static void replay_note(struct spool_file *f, const uint8_t *p)
{
    const uint64_t boot = get_be64(p);

    if (boot)
        take_note(f, boot, p + 8);
    else
        f->all_several = true;
}

static void replay(struct spool_file *f, const struct frame *frame)
{
    bool is_gone = frame->kind == KIND_GONE;
    size_t head = is_gone ? SPOOL_FILE_GONE - FRAME_HEADER : SPOOL_FILE_HEAD + 1;

    if (frame->kind == KIND_LOST && frame->len == LOST_BYTES)
        replay_lost(f, frame->bytes);
    if (frame->kind == KIND_WROTE && frame->len == WROTE_BYTES)
        replay_note(f, frame->bytes);
    if (frame->kind > KIND_GONE || frame->len < head)
        return;
    struct spool_event e = {
        .id = get_id(frame->bytes),
        .kept = true,
    };
    if (is_gone) {
        const bool before = f->replaying;
        f->replaying = true;
        spool_remove(f->spool, e.id);
        f->replaying = before;
        return;
    }
    e.key = get_be64(frame->bytes + 16);
    e.severity = (enum severity)(frame->kind - KIND_EVENT);
    e.line = (const char *)frame->bytes + SPOOL_FILE_HEAD;
    e.len = frame->len - SPOOL_FILE_HEAD;
    f->events++;
    f->alive += event_bytes(e.len);
    if (spool_push(f->spool, &e) < 0)
        event_left(f, &e);
}

static int read_file(struct spool_file *f, uint8_t *buf, size_t cap)
{
    struct frame_reader r;
    struct frame frame;
    int more;

    frame_reader_init(&r, f->fd, buf, cap);
    while ((more = frame_next(&r, &frame)) > 0)
        replay(f, &frame);
    f->replaced.seq = 0; /* its successor is there */
    f->damaged = r.damaged + r.torn;
    if (r.damaged) {
        /* There may have been notes. */
        f->note_count = 0;
        f->all_several = true;
    }
    apply_notes(f);
    f->size = f->today = (uint32_t)(r.end + r.torn) + f->events * SPOOL_FILE_GONE;
    return more < 0 ? NEFIA_EIO : 0;
}

/** The spool tells f what leaves. */
static void join(struct spool_file *f, struct spool *s, const struct clock *clock)
{
    *f = (struct spool_file){
        .spool = s, .clock = clock, .fd = -1, .least = f->least, .cap = f->cap, .daily = f->daily};
    s->left = event_left;
    s->left_arg = f;
}

int spool_file_look(struct spool_file *f, struct spool *s, const char *path, uint8_t *buf, size_t cap, bool *held)
{
    join(f, s, NULL);
    f->replaying = true; /* nothing is written of what leaves */
    f->fd = file_open_regular(path, 0);
    if (f->fd < 0)
        return f->fd;
    if (held)
        *held = file_lock(f->fd) == NEFIA_EEXIST;
    const int err = read_file(f, buf, cap);
    close(f->fd);
    f->fd = -1;
    return err;
}

int spool_file_open(struct spool_file *f, struct spool *s, const struct clock *clock,
                    const char *path, uint8_t *buf, size_t cap)
{
    join(f, s, clock);
    f->day_ends_ms = clock_ms(clock) + DAY_MS;
    if (file_join(f->path, "", path) < 0)
        return NEFIA_ETOOBIG;
    const int fd = file_open_locked(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK);
    if (fd < 0)
        return fd;
    f->fd = fd;
    int err = read_file(f, buf, cap);
    /* Write pending GONE frames before the hub sees another start: it remembers only two. */
    if (err == 0 && f->size > 0 && fdatasync(f->fd) < 0)
        err = NEFIA_EIO;
    if (err < 0) {
        close(f->fd);
        f->fd = -1;
        return err;
    }
    const bool lost = s->lost.last.seq > 0;
    f->unreported_lost = losses(&f->found);
    if (f->unreported_lost > 0)
        spool_put_lost(s, &f->found);
    s->written = event_written;
    /* Count a loss once: at the next start, its event would be read before its GONE. */
    if (lost)
        (void)replace(f);
    spool_file_settle(f);
    return 0;
}
