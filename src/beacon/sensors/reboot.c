#include <errno.h>
#include <linux/watchdog.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/dir.h"
#include "nefia/sys/file.h"

/* reboot: did the device go down without stopping the beacon? A mark in state_dir says which start of the kernel it
 * was last written in, and whether the beacon was stopped since. What the kernel knows of the reason is asked where
 * drivers leave it: crash records in pstore, the watchdogs' bootstatus in sysfs (never /dev/watchdog, whose opening
 * starts it), and the reason of the last reset of the SoC. */
struct reboot {
    struct sensor_common common;
    struct emitter *self;
    struct kept {
        uint32_t start, before; /* this start of the kernel, and the one of the mark that was found */
        uint32_t records;       /* those crash records that need not be reported (again) */
        bool marked, told;      /* a mark was found; this start has been judged */
    } kept;
};

/** The mark, and `before` in it: in bit 0 whether the beacon was stopped, in bits 1 to 31 which start, above them which
 * crash records have been reported: they stay until somebody removes them. */
enum { STOPPED = 1, RECORDS_SHIFT = 32, EARLY_MS = 10 * 60 * 1000 };

/** What the kernel says. */
struct signs {
    struct emitter *out;
    uint32_t records; /* all that there are of crashes */
    bool panic;
    unsigned status; /* of all watchdogs */
    const char *reason; /* null: none, yet */
};

static void keep(const struct reboot *r, uint32_t start)
{
    (void)emitter_state_store(r->self, "mark", (uint64_t)r->kept.records << RECORDS_SHIFT | start);
}

/** Was only the beacon started anew, or stopped and started? */
static bool same_start(const struct kept *k)
{
    return k->marked && (k->before | STOPPED) == (k->start | STOPPED);
}

static int reboot_start(void *state, struct emitter *self, void *before)
{
    struct reboot *r = state, *old = before;
    struct kept *k = &r->kept;
    uint64_t mark = 0;
    size_t len = 0;

    r->self = self;
    if (old) {
        *k = old->kept;
        old->self = NULL;
        return 0;
    }
    const char *id = emitter_file(self, "/proc/sys/kernel/random/boot_id", &len);
    if (!id)
        return 0;
    k->start = hash_bytes(HASH_START, id, len) & ~(uint32_t)STOPPED;
    k->marked = emitter_state_load(self, "mark", &mark) == 0;
    k->before = (uint32_t)mark;
    k->records = (uint32_t)(mark >> RECORDS_SHIFT);
    k->told = same_start(k);
    if (k->before != k->start)
        keep(r, k->start);
    return 0;
}

/** Not judged yet: the next start is to do it. */
static void reboot_stop(void *state)
{
    const struct reboot *r = state;

    if (r->self)
        keep(r, r->kept.told ? r->kept.start | STOPPED : r->kept.before);
}

/** A crash record begins with "Panic#2 Part1" or "Oops#1 Part1"; its first lines, with their times, tell it from
 * others. */
static void look_record(struct signs *s, const char *dir, const char *name)
{
    char path[128], record[256];
    struct text t;

    if (strncmp(name, "dmesg-", 6) != 0)
        return;
    text_init(&t, path, sizeof path);
    text_str(&t, dir);
    text_char(&t, '/');
    text_str(&t, name);
    memset(record, 0, sizeof record);
    (void)file_read(path, record, sizeof record); /* the rest does not fit */
    s->panic |= strncmp(record, "Panic", 5) == 0;
    s->records += hash_bytes(HASH_START, record, sizeof record); /* in whichever order */
}

static void look_watchdog(struct signs *s, const char *dir, const char *name)
{
    int64_t status;

    if (emitter_number_in(s->out, dir, name, "bootstatus", &status) == 0 && status >= 0 &&
        status <= UINT16_MAX) /* WDIOF_UNKNOWN is -1 */
        s->status |= (unsigned)status & (2 * WDIOF_POWEROVER - 1);
}

/** Microchip's and a few others (Linux, Documentation/ABI/testing/sysfs-platform-power-on-reason), Tegra's. */
static void look_soc(struct signs *s, const char *dir, const char *name)
{
    s->reason = emitter_file_in(s->out, dir, name, "power_on_reason", NULL);
    if (!s->reason)
        s->reason = emitter_file_in(s->out, dir, name, "reset_reason", NULL);
}

static void each(struct signs *s, const char *path,
                 void (*look)(struct signs *, const char *, const char *))
{
    struct dir d;
    const char *name;

    if (dir_open(&d, path) < 0) {
        if (errno != ENOENT)
            emitter_not_measured(s->out, path, ERRNO(errno));
        return;
    }
    while (!s->reason && (name = dir_next(&d)))
        look(s, path, name);
    dir_close(&d);
}

/** Return: whether it was accepted. crashed: there are new records of a crash. */
static bool tell(struct signs *s, bool crashed)
{
    /* WDIOF_OVERHEAT is bit 0. */
    static const char words[] = "overheat\0fan\0external\0external\0undervoltage\0watchdog\0overvoltage\0";
    if (crashed)
        s->reason = s->panic ? "panic" : "oops";
    if (s->status && !(crashed && s->panic))
        s->reason = word_at(words, (unsigned)__builtin_ctz(s->status));
    const bool known = s->reason != NULL;
    if (!known)
        each(s, "/sys/bus/platform/devices", look_soc);
    struct json_writer *w = emit_change(s->out, "reboot.unexpected", NULL,
                                        known ? SEVERITY_CRITICAL : SEVERITY_WARNING);
    json_put_string(w, "reason", s->reason && s->reason[0] ? s->reason : "unknown");
    return emit_end(s->out) == 1;
}

static int reboot_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct reboot *r = state;
    struct kept *k = &r->kept;
    struct signs s = {.out = out};

    if (same_start(k))
        return 0;
    each(&s, "/sys/fs/pstore", look_record);
    each(&s, "/sys/class/watchdog", look_watchdog);
    const bool crashed = s.records && s.records != k->records;
    /* Many a SoC is restarted by its watchdog, too: where the beacon had been stopped that says nothing. */
    const bool unexpected = k->marked ? !(k->before & STOPPED) || (crashed && s.panic)
                                      : now_ms < EARLY_MS && (s.status || (crashed && s.panic));
    if (!k->told && (!unexpected || tell(&s, crashed))) {
        k->told = true;
        if (s.records != k->records) {
            k->records = s.records;
            keep(r, k->start);
        }
    }
    if (!k->marked && !unexpected)
        return emitter_not_measured(out, "state_dir", "no mark of an earlier start");
    return 0;
}

const struct sensor_class sensor_reboot = {
    SENSOR_NAME("reboot", "1h"),
    .state_size = sizeof(struct reboot),
    .start = reboot_start,
    .poll = reboot_poll,
    .stop = reboot_stop,
};
