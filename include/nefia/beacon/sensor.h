#ifndef NEFIA_BEACON_SENSOR_H
#define NEFIA_BEACON_SENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nefia/sys/child.h"
#include "nefia/event/condition.h"
#include "nefia/config/config.h"
#include "nefia/event/event.h"

/** The sensor's interface to the rest of the beacon; the only header of ours a sensor needs.
 * A sensor is one file, src/beacon/sensors/<name>.c, one entry CONFIG_SENSOR_<NAME> in the
 * Kconfig beside it, and `const struct sensor_class sensor_<name>`. */
struct emitter;

/** First member of every sensor's state: the configuration common to all sensors, bound without
 * being declared by them. */
struct sensor_common {
    const char *name; /* name of the list item (`name`, required there), else the class's */
    bool enabled;     /* default true if the section exists; without a section nothing runs */
    uint64_t interval_ms; /* `interval`, 1s to 366d */
    int64_t for_checks;   /* `for`: consecutive checks before a condition is entered, default 1 */
};

/** Their table. */
extern const struct field sensor_common_fields[];

/** One result of a sensor, for `sample`. Texts are valid during the call only. */
struct sample {
    const char *class, *name; /* configuration key, and name of the sensor */
    bool ok;                  /* it answered, it succeeded */
    uint32_t value;           /* as at emitter_sample */
};

/** The names of a class in one string, as for word_at: its configuration key under `beacons:`, which the log uses, too;
 * the default of `interval`, "5m"; and the source of its events, which without `select BEACON_SENSOR_LEVELS` has
 * to be given: by default it is the key and "-beacon". */
#ifdef CONFIG_BEACON_SENSOR_LEVELS
#define SENSOR_NAME(key, interval) .name = key "\0" interval "\0"
#endif
#define SENSOR_NAME_OF(key, interval, source) .name = key "\0" interval "\0" source

/** One kind of sensor. All members const; what changes is in the state. */
struct sensor_class {
    const char *name; /* SENSOR_NAME or SENSOR_NAME_OF */
    bool list;            /* SENSOR_LIST: the key holds a list of items, each with a `name` */
    bool spread;          /* each first runs at a random phase of its own, later in wake-ups of the others, one in each: a command,
                           * of which few may run at once */
    bool early;           /* starts before the beacon drops root and filters its system calls, where it is configured then:
                           * `select BEACON_SENSOR_EARLY` */
    bool follows;         /* uses emitter_follow: `select BEACON_FOLLOWS` */
    bool samples;         /* has `sample` in the place of `ready`, and `watches` 0: `select BEACON_SAMPLES` */
    uint8_t watches; /* descriptors that one of them watches at most: `select BEACON_WATCHES` */
    uint8_t limits; /* of THRESHOLD_FIELDS its fields begin with; they are checked (thresholds_check): `select
                     * BEACON_SENSOR_LEVELS` */
    bool low_is_bad; /* BELOW, for those */
    const struct field *
        fields; /* further fields, bound into the state; null: none */
    size_t state_size; /* bytes of one state, which begins with a struct sensor_common */
    uint8_t capability; /* CAP_… needed after the beacon has dropped root; 0: none */
    /** The state is zeroed and the fields are bound; check what the table cannot express, and read
     * lists. No side effects: this also runs for `check`. Nodes are invalid afterwards; their texts
     * live as long as the state. Report errors with config_error at n. May be null. Return: 0, or
     * negative after a report. */
    int (*open)(void *state, struct config *c, const struct node *n, const char *where);
    /** Take what the sensor keeps while it runs: descriptors, a command that is followed. Runs when a
     * configuration comes into force, and again at each interval until it succeeds. before: the state
     * of the same sensor (class and name) until this reload, or null. It is stopped afterwards, so
     * what is taken over from it must be marked in it as gone. May be null; needs `select
     * BEACON_SENSOR_STARTS`. Return: as poll's; after a failure, or emitter_not_measured, nothing is left
     * open: its watches are gone then, and a command that it began to follow ends. */
    int (*start)(void *state, struct emitter *self, void *before);
    /** One check. May emit 0..n events and start a command. Must not block. May be null where start
     * is given. Return: 0; negative: the check failed (the beacon logs and counts it). After
     * emitter_not_measured that is the result, whatever is returned. */
    int (*poll)(void *state, struct emitter *out, uint64_t now_ms);
    union {
        /** A descriptor of emitter_watch is ready; read it until it would block, or unwatch it. */
        void (*ready)(void *state, struct emitter *out, int fd, short events);
        /** Another sensor has a result. Take it down; nothing may be emitted here. */
        void (*sample)(void *state, struct emitter *self, const struct sample *s);
    };
    /** Close what start has opened. Only after a start that succeeded. Its watches are gone and its
     * commands have ended. May be null. */
    void (*stop)(void *state);
};

/** Needs `select BEACON_SENSOR_LISTS` in the sensor's Kconfig entry. */
#ifdef CONFIG_BEACON_SENSOR_LISTS
#define SENSOR_LIST true
#endif
static inline bool sensor_is_list(const struct sensor_class *class)
{
    return IS_ENABLED(CONFIG_BEACON_SENSOR_LISTS) && class->list;
}

/** Start an event of the sensor's source. subject tells events of one type apart for deduplication
 * (path, script name). Strings are borrowed until emit_end, and exactly one emit_end must follow,
 * with no other emit between. Return: the writer of its data object, already opened; never null. */
struct json_writer *emit_begin(struct emitter *e, const char *type, const char *subject,
                               enum severity severity);
/** The same for what has changed and does not hold: a service that went from one state to another, a link
 * that went down. Never a repetition; only the rate may suppress it. Remember the new state only when
 * emit_end returned 1, so that what the rate held back is told at the next look. */
struct json_writer *emit_change(struct emitter *e, const char *type, const char *subject,
                                enum severity severity);
/** The same outside the rate, too, for a sensor that speaks at its interval only. */
struct json_writer *emit_exempt(struct emitter *e, const char *type, const char *subject,
                                enum severity severity);
/** Close data and pass the event on: dedup, rate, spool. Return: 1 accepted, 0 suppressed, negative
 * if it was lost (counted). */
int emit_end(struct emitter *e);

/** The condition of this type and subject, preserved over reloads. Null if CONFIG_CONDITIONS are
 * used up, which is "not measured". */
struct condition *emitter_condition(struct emitter *e, const char *type, const char *subject);
/** One check of a condition, with the sensor's `for`. If there is something to report, the event is
 * begun with the right severity (recovered: info, with "state":"recovered" already in data).
 * Return: the writer, to be followed by emit_end; or null: nothing to report. */
struct json_writer *emit_condition(struct emitter *e, const char *type, const char *subject,
                                   enum level measured);
/** The same where the recovery is an event of another type: "config.drift_detected" and "config.drift_resolved". The
 * condition is that of `type`. */
struct json_writer *emit_condition_pair(struct emitter *e, const char *type, const char *ended,
                                        const char *subject, enum level measured);
/** The same for a signal with the grades of the fleet documentation: low is info, medium a
 * warning, high and critical are critical; while it holds "level" in data is the word. GRADE_NONE: it does not
 * hold. Needs `select BEACON_SENSOR_LEVELS`. */
enum grade { GRADE_NONE, GRADE_LOW, GRADE_MEDIUM, GRADE_HIGH, GRADE_CRITICAL };
struct json_writer *emit_grade(struct emitter *e, const char *type, const char *ended,
                               const char *subject, enum grade measured);

/** When a measured value is a warning and when it is critical; the sensor says in which unit. */
struct thresholds {
    int64_t warning, critical, hysteresis;
};
/** The three entries of a table of fields for `struct thresholds member`, side by side: `warning` and so on
 * with this suffix ("_percent", ""), all of one kind (FIELD_INT, FIELD_TENTHS, FIELD_DURATION), from
 * `least` to `most`, the defaults as written in the file; hysteresis up to half of `most`. */
#define THRESHOLD_FIELDS(type_, member, suffix, kind, least, most, warning_, critical_, hysteresis_) \
    {FIELD_DEFAULT("warning" suffix, warning_), .type = (kind), FIELD_AT(type_, member.warning), .min = (least),     \
     .max = (most), FIELD_NOTE("warning threshold")},                    \
    {FIELD_DEFAULT("critical" suffix, critical_), .type = (kind), FIELD_AT(type_, member.critical), .min = (least),   \
     .max = (most), FIELD_NOTE("critical threshold")},                  \
    {FIELD_DEFAULT("hysteresis" suffix, hysteresis_), .type = (kind), FIELD_AT(type_, member.hysteresis), .min = 0,     \
     .max = (most) / 2,                                                                             \
     FIELD_NOTE("distance from the threshold at which a level is left")}
/** For `open`: are they in order, and can a level be left? ABOVE: high is bad; BELOW: low is bad. three: the
 * first of the three fields of this state. A default hysteresis that is too large for the thresholds is
 * reduced. Return: 0, or NEFIA_EINVAL after reports. */
enum direction { ABOVE, BELOW };
int thresholds_check(void *state, const struct field *three, enum direction bad, struct config *c,
                     const struct node *n, const char *where);
/** One check of a value against its thresholds; as emit_condition. A threshold of INT64_MAX (BELOW: INT64_MIN)
 * disables its level. */
struct json_writer *emit_level(struct emitter *e, const char *type, const char *subject,
                               int64_t value, const struct thresholds *t, enum direction bad);
/** What ends at a time that is known. */
struct expiry {
    const char *types;   /* as for word_at: the events that the end is near, that it has passed, that it was put off */
    const char *subject;
    const struct thresholds *limits; /* of how long before the end, as durations; BELOW */
    int64_t end_s, now_s;            /* seconds since 1970 */
    bool rotated;                    /* it was put off since the last look */
};
/** The time, for poll. Return: false: the clock was never set, and nothing can be said; that is "not measured", and poll is
 * called again in a minute. */
bool expiry_now(struct emitter *e, int64_t *now_s);
/** One look at it: the conditions that the end is near and that it has passed, of which the second takes the place of the
 * first, without an event that the first has ended; both recover when the end was put off. put: writes members of
 * an event's data and returns when it ends; "not_after" and "seconds_left" follow. Needs `select
 * BEACON_SENSOR_LEVELS`. Return: false: that it was rotated was not accepted, and is to be said at the next look. */
bool judge_expiry(struct emitter *e, const struct expiry *x, int64_t (*put)(void *arg, struct json_writer *w), void *arg);
/** Conditions of these types with this mark get that one, for what comes and goes by itself: all are EXPIRY_OLD at the
 * beginning of a look, those that are judged EXPIRY_NEEDED, and the rest EXPIRY_GONE at its end. What is gone stays until
 * others need the place. */
enum expiry_mark { EXPIRY_GONE, EXPIRY_NEEDED, EXPIRY_OLD };
void expiry_turn_over(struct emitter *e, const char *types, enum expiry_mark from, enum expiry_mark to);
/** A member in tenths as text with one decimal, as events give percentages: "92.5". */
void put_tenths(struct json_writer *w, const char *key, int64_t tenths);
/** 100 % * part / whole in tenths, rounded half up; 0 of 0 is 0. part <= whole, or below 2^53. */
int64_t percent_tenths(uint64_t part, uint64_t whole);

/** What this run was to measure could not be measured: emitter_not_measured(out, path, ERRNO(errno)). The
 * sensor's result is "not measured" instead of "ok", with the reason "what: why" (what may be null),
 * in `status`, in `once` and in the log. Of several reasons in one run the first is kept, cut to
 * SENSOR_WHY_BYTES. Conditions stay as they are: nothing was seen of them. Return: 0, for
 * `return emitter_not_measured(…);`. */
int emitter_not_measured(struct emitter *e, const char *what, const char *why);

/** What this sensor has found, for those that judge it over time or count it. Not between emit_begin and emit_end. Nothing
 * is left of the call in a build without such. value: reach: milliseconds until the answer; scripts: those that the
 * command took; process: how many there are; data_budget: megabytes used; slo_violation: enum grade. */
void sensor_sample(struct emitter *e, bool ok, uint32_t value);
static inline void emitter_sample(struct emitter *e, bool ok, uint32_t value)
{
    if (IS_ENABLED(CONFIG_BEACON_SAMPLES))
        sensor_sample(e, ok, value);
}
/** The value of the last check of the sensor of that class (its key) and name. Return: >= 0; or negative: it is not
 * running, was not checked yet, or could not measure. */
int64_t emitter_sampled(const struct emitter *e, const char *class, const char *name);
/** For `open`: report that `beacons` has no sensor of that class (null: of none) and name. Order in the file does not
 * matter. n: the place that names it. */
void sample_source(struct config *c, const struct node *n, const char *where, const char *class,
                   const char *name);

/** Read a small file of the kernel, of /proc or /sys, into the buffer that all sensors share. Return: its
 * text, NUL-terminated and without the last newline, *len bytes (len may be null), valid until the
 * next file or emit_end; null: it is not there, cannot be read or is longer than CONFIG_EVENT_BYTES, and
 * the result is "not measured", with the path and why. */
const char *emitter_file(struct emitter *e, const char *path, size_t *len);
/** The same of a constant path of /proc that is read again and again: it stays open. Needs `select BEACON_KEPT_FILES`. */
const char *emitter_kept_file(struct emitter *e, const char *path);
/** The same of a file that need not be there: null is no result, and errno says why. */
const char *emitter_file_if(struct emitter *e, const char *path, size_t *len);
/** emitter_file, and emitter_kept_file, of a file that holds one number. Return: 0, or negative: not measured. */
int emitter_file_number(struct emitter *e, const char *path, int64_t *value);
int emitter_kept_number(struct emitter *e, const char *path, int64_t *value);
/** The same of a number that need not be there. Return: 0, or negative. */
int emitter_number_if(struct emitter *e, const char *path, int64_t *value);
/** Both of the file dir/name/leaf, for what a directory of /sys or /proc holds (nefia/sys/dir.h). */
const char *emitter_file_in(struct emitter *e, const char *dir, const char *name, const char *leaf,
                            size_t *len);
int emitter_number_in(struct emitter *e, const char *dir, const char *name, const char *leaf,
                      int64_t *value);
/** A file of any length, line by line, each NUL-terminated and without its newline; of one that is longer
 * than CONFIG_EVENT_BYTES the beginning. take must not emit or read another file; it returns 0, or
 * anything else to end the reading. Return: 0, what take returned, or negative: not measured. */
int emitter_lines(struct emitter *e, const char *path,
                  int (*take)(void *arg, const char *line, size_t len), void *arg);

/** How much memory there is, and how much of it is available without swapping, as the kernel estimates it (MemAvailable of
 * /proc/meminfo, Linux 3.14), in KiB. Return: 0; or negative: not measured. */
struct memory_kib {
    uint64_t total, available; /* available <= total */
};
int emitter_memory(struct emitter *e, struct memory_kib *m);
struct json_doc;
/** Parse JSON, such as what a command has printed, with its tokens in that buffer (about CONFIG_EVENT_BYTES / 20).
 * text stays the caller's. Return: 0, the root is an object; or negative as json_parse, NEFIA_EINVAL: it
 * is something else. */
int emitter_json(struct emitter *e, const char *text, size_t len, struct json_doc *d);
/** The buffer that all of these are read into, *cap bytes, for what a watched descriptor gives. Valid as what
 * emitter_file returns; what is in it may be given to the event's writer. */
char *emitter_buffer(struct emitter *e, size_t *cap);
/** The beacon's clocks (nefia/sys/clock.h): the time in `ready`, and the wall clock. */
struct clock;
const struct clock *emitter_clock(const struct emitter *e);

/** A number that outlives restarts, in `state_dir` (state_load_u64, state_store_u64), under this name and
 * the sensor's. Each store is written to flash: seldom; in `once`, never. Return: 0; NEFIA_ENOTSUP there is
 * no state_dir; NEFIA_ENOTFOUND (loading: nothing stored) and as those. */
int emitter_state_load(struct emitter *e, const char *name, uint64_t *v);
int emitter_state_store(struct emitter *e, const char *name, uint64_t v);

/** A mount: the words of its line in /proc/self/mountinfo (proc(5)), borrowed. Each ends at a blank, and what is not
 * printable stands in it in octal ("\040"). What the line lacks is empty. */
enum {
    MOUNT_ID,
    MOUNT_PARENT, /* the id of the mount that it is on */
    MOUNT_DEVICE, /* "8:1" */
    MOUNT_ROOT,   /* the directory of the file system that is mounted */
    MOUNT_PATH,
    MOUNT_OPTIONS, /* "rw,noatime" */
    MOUNT_TYPE,
    MOUNT_SOURCE,
    MOUNT_SUPER, /* the options of the file system itself */
    MOUNT_WORDS,
};
struct mount {
    const char *word[MOUNT_WORDS];
};
#define MOUNTS "/proc/self/mountinfo"
/** Return: a number that is another one when something was mounted, moved or unmounted, or options of a mount were changed; not
 * when a file system itself turned read-only, or a directory on the way to a mount was renamed. 0: not known. Needs
 * `select BEACON_KEPT_FILES`. */
uint32_t emitter_mounts(struct emitter *e);
/** Return: is the line that of a mount? */
bool mount_read(struct mount *m, const char *line);
/** Does the text begin with what this word means? Return: how many bytes of it that is; 0: no, or the word is empty. */
size_t mount_word(const char *word, const char *text);
/** What the word means, as it is: its bytes need not be UTF-8. */
void mount_text(struct text *t, const char *word);
/** Is the absolute path the mount point, or below it? Return: as mount_word. */
size_t mount_holds(const struct mount *m, const char *path);
/** Is it a network file system, or one that a process serves? Then system calls on it may not return. */
bool mount_may_hang(const struct mount *m);

/** A process that makes such calls, forked by the task of emitter_child_run: while one hangs it cannot be killed, and is
 * left behind when its parent is. */
struct apart {
    pid_t child, group; /* child 0: none */
};
/** Is it still there? Its number may be another's by now, but not in that group. */
bool apart_hangs(const struct apart *a);

/** What is there against what is declared. Needs `select BEACON_MANIFEST`.
 * `nefia-beacon manifest KIND [--check]` runs `poll` of the kind's sensor once, as `once` does, but shows no events; the kinds
 * and their sensors stand in manifest.c. With MANIFEST_WRITE poll gives each thing that it would
 * declare, in a reproducible order, to manifest_put, and compares nothing; with MANIFEST_CHECK it compares
 * as always: drift_note and manifest_difference print. Of a list one item writes, and all compare. */
enum manifest_task { MANIFEST_NONE, MANIFEST_WRITE, MANIFEST_CHECK };
enum manifest_task emitter_task(const struct emitter *e);
/** Write the line "VALUE  NAME"; `before` stands before it. value has no blanks and no newline; a name with a newline, CR or
 * backslash is escaped as sha256sum(1) does it. */
void manifest_put(struct emitter *e, const char *before, const char *value, const char *name);

/** What is no such line: a text in the verb's own buffer, empty, and writing it. */
struct text manifest_text(struct emitter *e);
void manifest_write(struct emitter *e, const struct text *t);
/** With MANIFEST_CHECK print a difference, in words. name may be anything. Does nothing otherwise. */
void manifest_difference(struct emitter *e, const char *name, const char *words);

/** A line of a manifest. */
struct manifest_line {
    struct slice value;
    const char *name; /* without escapes, not "" */
    bool link;        /* behind "#link ", which is a comment to sha256sum(1): the digest of a link's text */
};
/** Give all lines to take, but for empty ones and comments; what they hold is valid during the call. The
 * rules of emitter_lines apply. Return: 0, what take returned, or negative: not measured, also where a line is none. */
int manifest_lines(struct emitter *e, const char *path,
                   int (*take)(void *arg, const struct manifest_line *l), void *arg);

enum drift_kind { DRIFT_CHANGED, DRIFT_MISSING, DRIFT_EXTRA, DRIFT_KINDS };
/** What one look has found: how many of each kind, and the first of them in words. */
struct drift {
    unsigned count[DRIFT_KINDS];
    struct text words; /* "/etc/config/network: changed, /etc/passwd: missing" */
    char buf[256];
};
void drift_begin(struct drift *d);
/** Count one, and print it where the verb wants that. name may be anything. */
void drift_note(struct emitter *e, struct drift *d, enum drift_kind kind, const char *name);
/** All kinds together. */
unsigned drift_total(const struct drift *d);
/** How bad: 1 or 2 are medium, 3 or 4 high, more are critical. */
enum grade drift_grade(const struct drift *d);
/** The event's members `changed`, `missing`, `extra` and `differences`. */
void drift_put(struct json_writer *w, const struct drift *d);

struct netlink_answer;
/** Ask the kernel by NETLINK_ROUTE (nefia/net/netlink.h) through that buffer, wiped afterwards as far as it was used, and a socket
 * that stays open for the next question. take must not emit; it keeps what it needs in the state. message begins with a
 * struct nlmsghdr. Needs `select BEACON_NETLINK`. Return: 0, or negative: not measured. */
int emitter_netlink(struct emitter *e, struct netlink_answer *a, const void *message, size_t len);
/** Return: a number that is another one when an address of this device's may have come, gone or changed, and at first not 0: ask
 * after this call, not before. Costs a question to an empty queue. Needs `select BEACON_NETLINK`. */
uint32_t emitter_addresses(struct emitter *e);

/** Call the class's `ready` when the descriptor is ready for `events` (POLLIN, POLLOUT) or broken; again
 * for the same one: with other events. It stays the sensor's, which unwatches it before closing it.
 * For start, poll and ready. Needs `select BEACON_WATCHES`. Return: 0; NEFIA_EFULL if the sensor
 * watches as many as its class says; NEFIA_EIO, with errno, of what cannot be waited for, such as a regular file. */
int emitter_watch(struct emitter *e, int fd, short events);
void emitter_unwatch(struct emitter *e, int fd);

/** A path that is watched by inotify: the file, and the directory that it is in, or will be once the directories on the
 * way to it are there. So it does not matter whether the file is written, replaced by rename(2), removed or
 * not there yet. Needs `select BEACON_INOTIFY`. */
#define WATCHED_PATH_BYTES 256 /* longest path, with its NUL */
struct watched_path {
    const char *path;    /* absolute, shorter than WATCHED_PATH_BYTES; the owner's */
    uint32_t seen;       /* by paths_read: IN_… of it, until its owner sets that to 0 */
    int file, directory; /* watches; 0: none */
    uint16_t name;       /* where in the path the name begins that counts in `directory` */
};
/** Watch it, and again after each look at it: what there is to watch changes. fd: of inotify_init1(2). mask: what is
 * of interest of the file itself (IN_MODIFY …). A file that its user may not read is watched by its directory. Look at
 * the file afterwards, not before. Return: 0, or NEFIA_EIO (errno). */
int path_watch(int fd, struct watched_path *p, uint32_t mask);
/** Read, into the shared buffer, what has happened, as much as that holds, and note it with the paths that it is
 * about; IN_Q_OVERFLOW is about all. Return: all that was noted. */
uint32_t paths_read(struct emitter *e, int fd, struct watched_path *paths, unsigned count);

/** Call `poll` after this time, where that is sooner than the interval: what was noticed by a descriptor is
 * looked at once it has settled, and what differs from before a reload at once. For start, poll and ready. */
void emitter_soon(struct emitter *e, uint64_t delay_ms);
/** What poll is given, elsewhere. */
uint64_t emitter_now(const struct emitter *e);
/** Is this `nefia-beacon once`, which shows what there is and does not wait for what comes? */
bool emitter_once(const struct emitter *e);

/** Follow a command that does not end by itself, such as `logread -f`: a program by its absolute path and
 * its arguments, ended by a null pointer. `line` is called for each line that it prints to stdout or
 * stderr, NUL-terminated, without its newline; of one that is longer than CONFIG_FOLLOW_LINE_BYTES for
 * the beginning. If it ends it is started again, later and later (follow.h), and the sensor's result is
 * "not measured" until it has run for 10 s. Over a reload the same command of the same sensor runs
 * on; it ends with the sensor. For start only, one for each sensor, and argv stays valid as long as the
 * state. Needs `select BEACON_FOLLOWS`. Return: 0, also if it cannot be started now; NEFIA_EINVAL
 * (no absolute path, or the class does not have `follows`). argv[0] "": there is no command, but a
 * file (followed_file_start). */
int emitter_follow(struct emitter *e, const char *const *argv,
                   void (*line)(void *state, struct emitter *e, const char *line, size_t len));

/** A file that others append lines to, such as a log. inotify says when there is something to read: from the end of the
 * file that is there at first, or from the beginning of one that comes later. It may be replaced (the rest of the
 * old one is read once the new one is not empty), emptied, removed, and not be there yet. A file that is emptied
 * and at once longer than before cannot be told from one that has grown. */
struct followed_file {
    struct watched_path path;
    int inotify, fd; /* 0: none */
    bool known;      /* one that comes now is new */
};
/** For start, after emitter_follow with an argv of "" and whatever names the file: its buffer and its `line` serve here, too.
 * One of the class's `watches` is for this; its `ready`, `poll` and `stop` call the following. path is as that of a
 * watched_path and stays valid as long as the state. before: of the state until this reload, or null; what is taken
 * over is gone from it. No line is handed over during the call. Needs `select BEACON_INOTIFY`, too. Return: 0,
 * also if the file is not there; or negative; or not measured. */
int followed_file_start(struct followed_file *f, struct emitter *e, const char *path,
                        struct followed_file *before);
/** Read what has come, FOLLOW_READS times the longest line at most, and the rest at once afterwards. A file that cannot be
 * read is "not measured". Return: 0, or negative. */
int followed_file_look(struct followed_file *f, struct emitter *e);
void followed_file_ready(struct followed_file *f, struct emitter *e);
void followed_file_close(struct followed_file *f);

/** Run a shell command for this sensor, one at a time; `done` is called from the loop, and may run the next.
 * output is not NUL-terminated, at most CONFIG_SCRIPT_OUTPUT_BYTES (r->output_len) are kept. Needs `select
 * BEACON_RUNS_CHILDREN` in the Kconfig entry. Return: 0; NEFIA_EAGAIN while the previous one runs, and
 * where poll returns that, the result is still that one's; NEFIA_EFULL if CONFIG_BEACON_CHILDREN are
 * running, which is "not measured" already; NEFIA_EIO. */
int emitter_child(struct emitter *e, const char *command, uint64_t deadline_ms,
                  void (*done)(void *state, struct emitter *e, const struct child_result *r,
                               const char *output));
/** The same without a shell: a program by its absolute path, and its arguments as they are, ended by a
 * null pointer. For what has values in it that a shell must not read. argv is used only during the
 * call. */
int emitter_child_argv(struct emitter *e, const char *const *argv, uint64_t deadline_ms,
                       void (*done)(void *state, struct emitter *e, const struct child_result *r,
                                    const char *output));
/** The same for a function of ours, for system calls that may block: task(arg) in a forked process, which
 * prints its answer to standard output (cli_write) and returns the exit status. */
int emitter_child_run(struct emitter *e, int (*task)(void *arg), void *arg, uint64_t deadline_ms,
                      void (*done)(void *state, struct emitter *e, const struct child_result *r,
                                   const char *output));

#endif
