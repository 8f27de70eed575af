#include "nefia/hub/playbook_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/sys/dir.h"
#include "nefia/sys/log.h"

#define PREFIX "playbook."
#define LOCK ".lock"
enum { NAME_BYTES = sizeof PREFIX + PLAYBOOK_FILE_NAME_MAX + sizeof LOCK };

static int cannot(struct text *why, const char *path, const char *reason)
{
    text_str(why, "cannot keep the position of a playbook in ");
    text_str(why, path);
    text_str(why, ": ");
    text_str(why, reason);
    return NEFIA_EIO;
}

/** The path of the lock. Return: 0, or NEFIA_ETOOBIG. */
static int lock_path(char path[FILE_PATH_MAX], const struct playbook_file *f)
{
    struct text t;

    text_init(&t, path, FILE_PATH_MAX);
    text_str(&t, f->path);
    text_str(&t, LOCK);
    return t.truncated ? NEFIA_ETOOBIG : 0;
}

int playbook_file_open(struct playbook_file *f, const char *dir, const char *name, struct text *why)
{
    char name_buf[NAME_BYTES], path[FILE_PATH_MAX];
    struct text t;

    *f = (struct playbook_file){.lock = -1};
    if (!dir || !*dir)
        return 0;
    text_init(&t, name_buf, sizeof name_buf);
    text_str(&t, PREFIX);
    text_str(&t, name);
    if (t.truncated || file_join(f->path, dir, name_buf) < 0 || lock_path(path, f) < 0) {
        f->path[0] = '\0';
        (void)cannot(why, dir, "the path is too long");
        return NEFIA_ETOOBIG;
    }
    f->lock = file_open_locked(path, O_RDWR | O_CREAT);
    if (f->lock >= 0)
        return 0;
    if (f->lock != NEFIA_EEXIST)
        return cannot(why, path, ERRNO(errno));
    text_str(why, "another process carries this run out: it has locked ");
    text_str(why, path);
    return NEFIA_EEXIST;
}

/** The first line, for these bytes. */
static void head_of(char head[PLAYBOOK_FILE_HEAD + 1], const char *json, size_t len)
{
    uint8_t hash[MAC_BYTES];
    struct text t;

    mac_hash(json, len, hash);
    text_init(&t, head, PLAYBOOK_FILE_HEAD + 1);
    text_hex(&t, hash, sizeof hash);
    text_char(&t, '\n');
}

long playbook_file_load(const struct playbook_file *f, char *buf, size_t cap)
{
    char head[PLAYBOOK_FILE_HEAD + 1];

    if (f->lock < 0)
        return NEFIA_ENOTFOUND;
    const long n = file_read_as(f->path, buf, cap, O_NOFOLLOW);
    if (n < 0)
        return n;
    const long len = n - PLAYBOOK_FILE_HEAD - 1;
    if (len <= 0 || buf[n - 1] != '\n')
        return NEFIA_ESYNTAX;
    head_of(head, buf + PLAYBOOK_FILE_HEAD, (size_t)len);
    return memcmp(head, buf, PLAYBOOK_FILE_HEAD) == 0 ? len : NEFIA_ESYNTAX;
}

int playbook_file_store(const struct playbook_file *f, char *buf, size_t len)
{
    char head[PLAYBOOK_FILE_HEAD + 1];

    if (f->lock < 0)
        return 0;
    head_of(head, buf + PLAYBOOK_FILE_HEAD, len);
    memcpy(buf, head, PLAYBOOK_FILE_HEAD);
    buf[PLAYBOOK_FILE_HEAD + len] = '\n';
    return file_write_atomic(f->path, buf, PLAYBOOK_FILE_HEAD + len + 1) < 0 ? NEFIA_EIO : 0;
}

void playbook_file_remove(const struct playbook_file *f)
{
    if (f->lock >= 0 && unlink(f->path) < 0 && errno != ENOENT)
        LOG_WARN("cannot remove ", f->path, ": ", ERRNO(errno));
}

const char *playbook_file_name(char *buf, uint64_t job)
{
    struct text t;

    text_init(&t, buf, PLAYBOOK_FILE_NAME_MAX + 1);
    text_char(&t, 'j');
    text_hex64(&t, job);
    return buf;
}

/** Is it one of an action's, or its lock? */
static bool of_job(const char *name, uint64_t *job)
{
    enum { DIGITS = 2 * sizeof *job };
    const size_t prefix = sizeof PREFIX; /* with the j */
    uint8_t bytes[sizeof *job];

    if (strncmp(name, PREFIX "j", prefix) != 0 || strlen(name) < prefix + DIGITS ||
        parse_hex(name + prefix, DIGITS, bytes, sizeof bytes) < 0)
        return false;
    *job = 0;
    for (unsigned i = 0; i < sizeof bytes; i++)
        *job = *job << 8 | bytes[i];
    return name[prefix + DIGITS] == '\0' || str_eq(name + prefix + DIGITS, LOCK);
}

void playbook_file_sweep(const char *dir, bool (*wanted)(void *arg, uint64_t job), void *arg)
{
    const char *name;
    uint64_t job;
    struct dir d;

    if (!dir || !*dir || dir_open(&d, dir) < 0)
        return;
    while ((name = dir_next(&d)) != NULL)
        if (of_job(name, &job) && !wanted(arg, job))
            (void)unlinkat(d.fd, name, 0);
}

void playbook_file_close(struct playbook_file *f)
{
    char path[FILE_PATH_MAX];

    if (f->lock < 0)
        return;
    if (access(f->path, F_OK) < 0 && lock_path(path, f) == 0)
        (void)unlink(path); /* before it is unlocked: see file_open_locked */
    close(f->lock);
    f->lock = -1;
}
