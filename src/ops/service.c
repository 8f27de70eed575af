#include "nefia/ops/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/sys/dir.h"
#include "nefia/sys/file.h"

const char service_state_words[] = "active\0reloading\0refreshing\0activating\0deactivating\0inactive\0"
                                   "failed\0maintenance\0unknown\0";
const char service_backend_words[] = "auto\0systemd\0procd\0openrc\0runit\0sysv\0";
/** By what each is recognised, from SYSTEMD on; SYSV is what is left. The first is sd_booted(3)'s. */
static const char marks[] = "/run/systemd/system\0/sbin/procd\0" SERVICE_OPENRC_DIR "\0/run/runit\0";
static const char runit_dirs[] = "/var/service\0/etc/service\0";

/** Where `%` stands for the name and `$` for the word. Valid until the buffer is used again. */
static const char *path_of(char buf[SERVICE_PATH_BYTES], const char *path, const char *name, const char *word)
{
    struct text t;

    for (text_init(&t, buf, SERVICE_PATH_BYTES); *path; path++)
        if (*path == '%')
            text_str(&t, name);
        else if (*path == '$')
            text_str(&t, word);
        else
            text_char(&t, *path);
    return buf;
}

/** The first of the words with which the path exists, in buf, or -1. */
static int find(char buf[SERVICE_PATH_BYTES], const char *path, const char *name, const char *words)
{
    const char *word;

    for (int i = 0; *(word = word_at(words, (unsigned)i)); i++)
        if (access(path_of(buf, path, name, word), F_OK) == 0)
            return i;
    return -1;
}

enum service_backend service_backend(void)
{
    char buf[SERVICE_PATH_BYTES];
    const int found = find(buf, "$", NULL, marks);

    return found < 0 ? SERVICE_SYSV : (enum service_backend)(SERVICE_SYSTEMD + found);
}

/* ---- what files say ---- */

static enum service_state unseen(struct service_look *l, const char *what, int error)
{
    l->what = what;
    l->error = error;
    return SERVICE_UNSEEN;
}

/** A file that need not be there. Return: ACTIVE, with its text in l->buf; UNKNOWN: it is not there; UNSEEN. */
static enum service_state read_if(struct service_look *l, const char *path, const char *name, const char *word, size_t *len)
{
    errno = EINVAL;
    /* Where a daemon may write its id, its user may put a link to /dev/watchdog. */
    const long n = file_read_as(path_of(l->path, path, name, word), l->buf, l->cap - 1, O_NOFOLLOW);

    if (n < 0)
        return errno == ENOENT || errno == ENOTDIR ? SERVICE_UNKNOWN : unseen(l, l->path, errno);
    l->buf[n] = '\0';
    *len = (size_t)n;
    return SERVICE_ACTIVE;
}

/** Also of another user, and where /proc does not show those. */
static bool runs(uint64_t pid)
{
    return pid - 1 < INT32_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

/** Of the process whose id is in a file: ACTIVE, FAILED (it has ended without removing the file), or as
 * read_if. */
static enum service_state pid_file(struct service_look *l, const char *path, const char *name, const char *called)
{
    uint64_t pid;
    size_t len;
    const enum service_state state = read_if(l, path, name, NULL, &len);
    const char *text = l->buf;

    if (state != SERVICE_ACTIVE)
        return state;
    text += strspn(text, " \t");
    if (parse_u64(text, strspn(text, "0123456789"), &pid) < 0)
        return unseen(l, called, 0);
    if (!runs(pid))
        return SERVICE_FAILED;
    l->pid = (pid_t)pid;
    return SERVICE_ACTIVE;
}

/** Its init script, also one that is numbered ("S50dropbear"), in buf. */
static bool find_script(const char *name, char buf[SERVICE_PATH_BYTES])
{
    struct dir d;
    const char *file;

    if (dir_open(&d, "/etc/init.d") < 0)
        return false;
    while ((file = dir_next(&d)))
        if (str_eq(file, name) || (file[0] == 'S' && file[1] && file[2] && str_eq(file + 3, name))) {
            path_of(buf, "/etc/init.d/%", file, NULL);
            dir_close(&d);
            return true;
        }
    return false;
}

/** It does not run: INACTIVE if it has an init script. */
static enum service_state by_script(const char *name)
{
    char buf[SERVICE_PATH_BYTES];

    return find_script(name, buf) ? SERVICE_INACTIVE : SERVICE_UNKNOWN;
}

static enum service_state look_sysv(struct service_look *l, const char *name)
{
    static const char files[] = "/run/%.pid\0/run/%/%.pid\0/var/run/%.pid\0/var/run/%/%.pid\0";
    enum service_state found = SERVICE_UNKNOWN;

    for (unsigned i = 0; i < 4 && found != SERVICE_ACTIVE && found != SERVICE_UNSEEN; i++) {
        const enum service_state state = pid_file(l, word_at(files, i), name, name);
        if (state != SERVICE_UNKNOWN)
            found = state;
    }
    return found == SERVICE_UNKNOWN ? by_script(name) : found;
}

/** OpenRC says of a service whose daemon has died that it is started; how to find that is in its
 * daemons/NAME/001: "exec=…\nargv_0=…\n…pidfile=…\n". */
static enum service_state openrc_daemon(struct service_look *l, const char *name)
{
    static const char key[] = "\npidfile=/";
    char path[SERVICE_PATH_BYTES];
    const char *text;
    struct text t;
    size_t len;
    enum service_state state = read_if(l, SERVICE_OPENRC_DIR "/daemons/%/001", name, NULL, &len);

    text = state == SERVICE_ACTIVE ? str_find(l->buf, key) : NULL;
    if (!text)
        return state == SERVICE_UNSEEN ? SERVICE_UNSEEN : SERVICE_ACTIVE;
    text += sizeof key - 2;
    text_init(&t, path, sizeof path);
    text_bytes(&t, text, strcspn(text, "\n"));
    state = pid_file(l, "%", path, l->path);
    return state == SERVICE_UNKNOWN ? SERVICE_FAILED : state;
}

static enum service_state look_openrc(struct service_look *l, const char *name)
{
    static const char words[] = "starting\0stopping\0inactive\0failed\0crashed\0started\0";
    static const uint8_t states[] = {SERVICE_ACTIVATING, SERVICE_DEACTIVATING, SERVICE_INACTIVE, SERVICE_FAILED, SERVICE_FAILED};

    const int found = find(l->path, SERVICE_OPENRC_DIR "/$/%", name, words);

    if (found < 0)
        return by_script(name);
    return (size_t)found < sizeof states ? (enum service_state)states[found] : openrc_daemon(l, name);
}

/** runsv's supervise/status: a TAI64N label, the process id in little endian, whether it is paused, what is
 * wanted (`u` or `d`), whether it was sent SIGTERM, and 0 down, 1 run, 2 finish. */
static enum service_state runit_status(const uint8_t *s)
{
    enum { PID = 12, WANT = 17, TERM = 18, STATE = 19 };
    const uint32_t pid = s[PID] | (uint32_t)s[PID + 1] << 8 | (uint32_t)s[PID + 2] << 16 |
                         (uint32_t)s[PID + 3] << 24;

    if (s[STATE] == 1 && runs(pid))
        return s[TERM] ? SERVICE_DEACTIVATING : SERVICE_ACTIVE;
    if (s[STATE] == 1 || s[WANT] == 'u')
        return SERVICE_FAILED; /* nobody has stopped it */
    return s[STATE] ? SERVICE_DEACTIVATING : SERVICE_INACTIVE;
}

static enum service_state look_runit(struct service_look *l, const char *name)
{
    enum { STATUS_BYTES = 20 };
    enum service_state state = SERVICE_UNKNOWN;
    size_t len = 0;

    for (unsigned i = 0; i < 2 && state == SERVICE_UNKNOWN; i++)
        state = read_if(l, "$/%/supervise/status", name, word_at(runit_dirs, i), &len);
    if (state != SERVICE_ACTIVE)
        return state;
    return len < STATUS_BYTES ? unseen(l, name, 0) : runit_status((const uint8_t *)l->buf);
}

enum service_state service_look(struct service_look *l, enum service_backend b, const char *name)
{
    return b == SERVICE_OPENRC ? look_openrc(l, name) : b == SERVICE_RUNIT ? look_runit(l, name) : look_sysv(l, name);
}

/* ---- what commands say ---- */

/** To systemctl a unit that does not exist is inactive. */
static bool has_unit(const char *name)
{
    static const char dirs[] = "/etc\0/run\0/lib\0/usr/lib\0";
    char buf[SERVICE_PATH_BYTES];

    /* Of a template there is no file of this name, and a suffix may be any. */
    return name[strcspn(name, "@.")] || find(buf, "$/systemd/system/%.service", name, dirs) >= 0;
}

enum service_state service_of_word(const char *name, struct slice word)
{
    const int i = word_index(service_state_words, word);

    if (i < 0)
        return SERVICE_UNSEEN;
    return i == SERVICE_INACTIVE - SERVICE_ACTIVE && !has_unit(name) ? SERVICE_UNKNOWN : (enum service_state)(SERVICE_ACTIVE + i);
}

/** The first character of a member's value; 0: there is none. */
static char member(const struct json_doc *d, unsigned object, const char *name)
{
    const int value = json_member(d, object, name);

    return value < 0 ? '\0' : d->text[json_at(d, (unsigned)value)->start];
}

/** {"NAME":{"instances":{"instance1":{"running":true,"pid":…}, "instance2":{"running":false,"exit_code":1}}}};
 * {}: procd does not have it. (procd, service/service.c and service/instance.c) */
enum service_state service_of_object(const struct json_doc *d, const char *name)
{
    const int service = json_member(d, 0, name);
    enum service_state state = SERVICE_INACTIVE;

    if (service < 0)
        return by_script(name);
    const int all = json_member(d, (unsigned)service, "instances");
    if (all < 0 || json_at(d, (unsigned)all)->type != JSON_OBJECT)
        return SERVICE_ACTIVE; /* it has none: a firewall */
    for (unsigned i = (unsigned)all + 1; i < json_at(d, (unsigned)all)->next;
         i = json_at(d, i)->next) {
        const char code = member(d, i + 1, "exit_code");
        if (member(d, i + 1, "running") == 't')
            state = SERVICE_ACTIVE;
        else if (code && code != '0')
            return SERVICE_FAILED;
    }
    return state;
}

/** Put the words into argv from n on. Return: how many there are then. */
static unsigned put_args(const char **argv, unsigned n, const char *words)
{
    for (; *words; words = word_at(words, 1))
        argv[n++] = words;
    return n;
}

unsigned service_ask(enum service_backend b, const char *name, const char **argv, char buf[SERVICE_PATH_BYTES])
{
    if (b == SERVICE_SYSTEMD)
        return put_args(argv, 0, "/usr/bin/env\0systemctl\0is-active\0");
    const unsigned n = put_args(argv, 0, "/usr/bin/env\0ubus\0call\0service\0list\0");
    argv[n] = path_of(buf, "{\"name\":\"%\"}", name, NULL);
    return n + 1;
}

/* ---- what it is told ---- */

int service_tell(enum service_backend b, const char *name, enum op_verb verb, const char *argv[SERVICE_TELL_ARGS],
                 char buf[SERVICE_PATH_BYTES])
{
    const char *word = word_at(op_verb_words, verb);
    unsigned n = 0;

    if (b == SERVICE_SYSTEMD || b == SERVICE_RUNIT) {
        n = put_args(argv, n, b == SERVICE_SYSTEMD ? "/usr/bin/env\0systemctl\0" : "/usr/bin/env\0sv\0");
        argv[n++] = word;
        argv[n++] = b == SERVICE_SYSTEMD ? name : buf;
        if (b == SERVICE_RUNIT && find(buf, "$/%", name, runit_dirs) < 0)
            return NEFIA_ENOTFOUND;
    } else {
        if (!find_script(name, buf))
            return NEFIA_ENOTFOUND;
        argv[n++] = buf;
        argv[n++] = word;
    }
    argv[n] = NULL;
    return 0;
}

int service_run(const char *name, enum op_verb verb, struct command *c)
{
    const char *argv[SERVICE_TELL_ARGS];
    char buf[SERVICE_PATH_BYTES];
    const int err = service_tell(service_backend(), name, verb, argv, buf);

    return err < 0 ? err : command_run(argv, c);
}
