#include <errno.h>
#include <linux/watchdog.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/dir.h"

/* reboot: did the device go down without stopping the beacon? A mark in state_dir says which start of the kernel it
 * was last written in, and whether the beacon was stopped since. What the kernel knows of the reason is asked where
 * drivers leave it: crash records in pstore, the watchdogs' bootstatus in sysfs (never /dev/watchdog, whose opening
 * starts it), and the reason of the last reset of the SoC. */
struct reboot {
    struct sensor_common common;
    struct emitter *self;
    uint64_t before, mark; /* as found at the start, as stored now */
    int found;             /* 0: before counts; negative: there is no mark, as emitter_state_load */
    bool told;             /* this start has been judged */
    bool gone;             /* another state has taken over */
};

/** The mark: in bit 0 whether the beacon was stopped, in bits 1 to 31 which start, above them which crash
 * records have been reported: they stay until somebody removes them. */
#define STOPPED UINT64_C(1)
#define START UINT64_C(0xfffffffe)
enum { CRASH_SHIFT = 32, EARLY_MS = 10 * 60 * 1000 };

/** What the kernel says. */
struct signs {
    struct emitter *out;
    uint32_t record, records; /* one crash record, all of them */
    bool begun, panic;
    unsigned status; /* of all watchdogs */
    char text[40];
};

static void keep(struct reboot *r, uint64_t mark)
{
    if (mark != r->mark && emitter_state_store(r->self, "mark", mark) == 0)
        r->mark = mark;
}

static int reboot_start(void *state, struct emitter *self, void *before)
{
    struct reboot *r = state, *old = before;
    size_t len = 0;

    if (old) {
        struct sensor_common common = r->common;
        *r = *old;
        r->common = common;
        old->gone = true;
        r->self = self;
        return 0;
    }
    r->self = self;
    const char *id = emitter_file_if(self, "/proc/sys/kernel/random/boot_id", &len);
    const uint64_t start = hash_bytes(HASH_START, id, len) & START;
    r->found = id ? emitter_state_load(self, "mark", &r->before) : NEFIA_ENOTSUP;
    if (r->found == 0 && (r->before & START) == start)
        r->told = true;
    r->mark = r->before;
    if (id)
        keep(r, (r->before & ~(START | STOPPED)) | start);
    return 0;
}

/** Not judged yet: the next start is to do it. */
static void reboot_stop(void *state)
{
    struct reboot *r = state;

    if (!r->gone)
        keep(r, r->told ? r->mark | STOPPED : r->before);
}

/** Each line of a crash record; the first is "Panic#2 Part1" or "Oops#1 Part1". */
static int take_record(void *arg, const char *line, size_t len)
{
    struct signs *s = arg;

    if (!s->begun)
        s->panic |= strncmp(line, "Panic", 5) == 0;
    s->begun = true;
    s->record = hash_bytes(s->record, line, len);
    return 0;
}

static void look_record(struct signs *s, const char *dir, const char *name)
{
    char path[128];
    struct text t;

    if (strncmp(name, "dmesg-", 6) != 0)
        return;
    text_init(&t, path, sizeof path);
    text_str(&t, dir);
    text_char(&t, '/');
    text_str(&t, name);
    s->begun = false;
    s->record = HASH_START;
    (void)emitter_lines(s->out, path, take_record, s);
    s->records += s->record; /* in whichever order */
}

static void look_watchdog(struct signs *s, const char *dir, const char *name)
{
    int64_t status;

    if (emitter_number_in(s->out, dir, name, "bootstatus", &status) == 0 && status >= 0 &&
        status <= UINT16_MAX) /* WDIOF_UNKNOWN is -1 */
        s->status |= (unsigned)status & (2 * WDIOF_POWEROVER - 1);
}

/** at91-reset and others (Documentation/ABI/testing/sysfs-platform-power-on-reason), Tegra's pmc. */
static void look_soc(struct signs *s, const char *dir, const char *name)
{
    const char *text = emitter_file_in(s->out, dir, name, "power_on_reason", NULL);
    struct text t;

    if (!text)
        text = emitter_file_in(s->out, dir, name, "reset_reason", NULL);
    if (!text)
        return;
    text_init(&t, s->text, sizeof s->text);
    text_str(&t, text);
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
    while ((name = dir_next(&d)))
        look(s, path, name);
}

/** Return: whether it was accepted. crashed: there are new records of a crash. */
static bool tell(struct signs *s, bool crashed)
{
    /* WDIOF_OVERHEAT is bit 0. */
    static const char words[] =
        "overheat\0fan failure\0external\0external\0undervoltage\0watchdog\0overvoltage\0";
    const char *reason = NULL;

    if (crashed)
        reason = s->panic ? "panic" : "oops";
    if (s->status && !(crashed && s->panic))
        reason = word_at(words, (unsigned)__builtin_ctz(s->status));
    if (!reason)
        each(s, "/sys/bus/platform/devices", look_soc);
    struct json_writer *w = emit_change(s->out, "reboot.unexpected", NULL,
                                        reason ? SEVERITY_CRITICAL : SEVERITY_WARNING);
    if (!reason)
        reason = s->text[0] ? s->text : "unknown";
    json_put_bytes(w, "reason", reason, strlen(reason));
    return emit_end(s->out) == 1;
}

static int reboot_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct reboot *r = state;
    struct signs s = {.out = out};
    const bool marked = r->found == 0;

    if (marked && ((r->before ^ r->mark) & START) == 0)
        return 0; /* only the beacon was started anew */
    each(&s, "/sys/fs/pstore", look_record);
    each(&s, "/sys/class/watchdog", look_watchdog);
    const bool crashed = s.records && s.records != (uint32_t)(r->before >> CRASH_SHIFT);
    /* Many a SoC is restarted by its watchdog, too: where the beacon had been stopped that says nothing. */
    const bool unexpected =
        (crashed && s.panic) || (marked ? !(r->before & STOPPED) : s.status != 0);
    if (!r->told && unexpected && (marked || now_ms < EARLY_MS) && !tell(&s, crashed))
        return 0;
    if (!r->told)
        keep(r, (r->mark & UINT32_MAX) | (uint64_t)s.records << CRASH_SHIFT);
    r->told = true;
    if (!marked && !unexpected)
        return emitter_not_measured(out, "state_dir",
                                    r->found == NEFIA_ENOTSUP ? "there is none"
                                                              : "no mark of an earlier start");
    return 0;
}

const struct sensor_class sensor_reboot = {
    .name = "reboot",
    .source = "reboot-beacon",
    .interval = "1h",
    .state_size = sizeof(struct reboot),
    .start = reboot_start,
    .poll = reboot_poll,
    .stop = reboot_stop,
};
