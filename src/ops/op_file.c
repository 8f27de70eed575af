#include <bearssl_hash.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/sys/cli.h"
#include "nefia/sys/dir.h"
#include "nefia/sys/file.h"
#include "ops_int.h"

/* Backups are files in state_dir, or beside the file with a dot before their name:
 *     backup.NAME.PATH.NUMBER.RUN   as the file was: its content, mode and, where that can be set, owner
 *     backup.NAME.PATH.NUMBER-RUN   it did not exist
 * PATH: 16 hex digits of the SHA-256 of its resolved path; NUMBER: 8 hex digits, which count up; RUN: of the playbook, or zeros. A run
 * keeps what a file was before it began: its later steps make no other backup of that file. The last BACKUPS
 * of runs, and as many others, are kept of a file: what a run is undone by is not lost to what else changes the file meanwhile. */
enum { BACKUPS = 4, PATH_DIGITS = 16, NUMBER_DIGITS = 8, COPY_BYTES = 1024, NAME_ROOM = 256, MODE_NEW = 0644, PERMISSIONS = 0777 };
static const char no_run[] = "0000000000000000";

/** The file of an op, in a directory that is held. */
struct target {
    struct path path;
    const char *name; /* in that directory */
    struct stat st;
    bool exists;
};

static int target_open(struct target *t, const struct op_place *place)
{
    const int status = op_resolve(&t->path, place->op->path, place);

    if (status != 0)
        return status;
    t->name = t->path.text + t->path.name_at;
    if (strchr(t->name, '/'))
        return op_failed(t->path.text, "a directory of the path does not exist", 0);
    t->exists = fstatat(t->path.dir, *t->name ? t->name : ".", &t->st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!t->exists && errno != ENOENT)
        return op_failed(t->path.text, "cannot be looked at", errno);
    return t->path.directory || (t->exists && !S_ISREG(t->st.st_mode)) ? op_failed(t->path.text, "not a regular file", 0) : 0;
}

/** What a file is to be. */
struct content {
    const char *text; /* null: what `from` has */
    size_t len;
    int from;
    mode_t mode;
    const struct stat *owner; /* null: whoever writes it */
    bool must_own;            /* it is an error if that cannot be set */
};

static int copy(int from, int to)
{
    char buf[COPY_BYTES];
    long n;

    while ((n = file_fill(from, buf, sizeof buf)) > 0)
        if (file_append(to, buf, (size_t)n) < 0)
            return NEFIA_EIO;
    return n < 0 ? NEFIA_EIO : 0;
}

static int fill(int fd, const struct content *c)
{
    struct stat st;

    if ((c->text ? file_append(fd, c->text, c->len) : copy(c->from, fd)) < 0 || fstat(fd, &st) < 0)
        return NEFIA_EIO;
    if (c->owner && (st.st_uid != c->owner->st_uid || st.st_gid != c->owner->st_gid) &&
        fchown(fd, c->owner->st_uid, c->owner->st_gid) < 0 && c->must_own)
        return NEFIA_EIO;
    return fchmod(fd, c->mode & PERMISSIONS) < 0 || fsync(fd) < 0 ? NEFIA_EIO : 0;
}

/** The rename is durable only once the directory has been synced. */
static void sync_directory(int dir, const char *what)
{
    const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    /* Some file systems cannot, and say EINVAL. */
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        op_failed(what, "may not survive a power cut", errno);
    if (fd >= 0)
        close(fd);
}

/** Replace dir/name at once. what: for messages. Return: 0, or the exit status. */
static int put(int dir, const char *name, const struct content *c, const char *what)
{
    char temporary[40];
    struct text t;

    /* A leftover of a power cut has the name by which it is found here. */
    text_init(&t, temporary, sizeof temporary);
    text_str(&t, ".nefia-new-");
    text_u64(&t, hash_bytes(HASH_START, name, strlen(name)));
    (void)unlinkat(dir, temporary, 0);
    const int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return op_failed(what, "cannot be written", errno);
    const bool written = fill(fd, c) == 0 && renameat(dir, temporary, dir, name) == 0;
    const int error = errno;
    close(fd);
    if (!written) {
        unlinkat(dir, temporary, 0);
        return op_failed(what, "cannot be written", error);
    }
    sync_directory(dir, what);
    return 0;
}

/* ---- backups ---- */

struct backups {
    int dir;               /* where they are */
    char prefix[NAME_ROOM]; /* of their names, up to the number */
    char found[NAME_ROOM];  /* the name of the one looked for; empty: there is none */
    char oldest[NAME_ROOM];
    unsigned count;
    uint64_t newest; /* number */
};

static int backups_open(struct backups *b, const struct target *t, const struct op_place *place)
{
    const bool kept = place->state_dir && place->state_dir[0];
    uint8_t sum[br_sha256_SIZE];
    br_sha256_context sha;
    struct text text;

    br_sha256_init(&sha);
    br_sha256_update(&sha, t->path.text, strlen(t->path.text));
    br_sha256_out(&sha, sum);
    text_init(&text, b->prefix, sizeof b->prefix);
    text_str(&text, kept ? "backup." : ".backup.");
    text_str(&text, t->name);
    text_char(&text, '.');
    text_hex(&text, sum, PATH_DIGITS / 2);
    text_char(&text, '.');
    b->dir = kept ? open(place->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                  : openat(t->path.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return b->dir < 0 ? op_failed(kept ? place->state_dir : t->path.text, "no directory for backups", errno) : 0;
}

/** The number of a backup of this file by its name. Return: false: it is something else. */
static bool number_of(const struct backups *b, const char *name, uint64_t *number)
{
    const size_t prefix = strlen(b->prefix);
    uint8_t bytes[NUMBER_DIGITS / 2];

    if (strncmp(name, b->prefix, prefix) != 0 || strlen(name) != prefix + NUMBER_DIGITS + 1 + OP_RUN_ID ||
        parse_hex(name + prefix, NUMBER_DIGITS, bytes, sizeof bytes) < 0)
        return false;
    *number = get_be32(bytes);
    return true;
}

static bool is_of_run(const char *name)
{
    return !str_eq(name + strlen(name) - OP_RUN_ID, no_run);
}

/** Look for the newest; of that run, if one is given. Counted, and the oldest, are those of runs, or the others, as that run is. */
static void backups_find(struct backups *b, const char *run)
{
    struct dir d = {.fd = openat(b->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    uint64_t number, best = 0, least = UINT64_MAX;
    const char *name;

    b->found[0] = '\0';
    b->count = 0;
    b->newest = 0;
    while ((name = dir_next(&d))) {
        if (!number_of(b, name, &number))
            continue;
        const bool same = is_of_run(name) == (run && is_of_run(run));
        b->count += same;
        b->newest = number > b->newest ? number : b->newest;
        if (same && number < least) {
            least = number;
            memcpy(b->oldest, name, strlen(name) + 1);
        }
        if (number >= best && (!run || str_eq(name + strlen(name) - OP_RUN_ID, run))) {
            best = number;
            memcpy(b->found, name, strlen(name) + 1);
        }
    }
}

static bool was_missing(const struct backups *b)
{
    return b->found[strlen(b->prefix) + NUMBER_DIGITS] == '-';
}

/** Keep what the file is before this run changes it. Return: 0, or the exit status. */
static int back_up(struct target *t, const struct op_place *place)
{
    struct content c = {.text = t->exists ? NULL : "", .mode = t->exists ? t->st.st_mode : 0600, .owner = t->exists ? &t->st : NULL};
    const char *run = place->op->step_of;
    struct backups b;
    uint8_t number[4];
    struct text text;
    int status = backups_open(&b, t, place);

    if (status != 0)
        return status;
    backups_find(&b, run ? run : no_run);
    if (run && b.found[0]) {
        close(b.dir);
        return 0;
    }
    put_be32(number, (uint32_t)b.newest + 1);
    text_init(&text, b.found, sizeof b.found);
    text_str(&text, b.prefix);
    text_hex(&text, number, sizeof number);
    text_char(&text, t->exists ? '.' : '-');
    text_str(&text, run ? run : no_run);
    if (text.truncated)
        status = op_failed(t->path.text, "its name is too long for a backup", 0);
    c.from = t->exists ? path_open(&t->path, O_RDONLY | O_NONBLOCK, 0) : -1;
    if (status == 0 && t->exists && (c.from < 0 || fstat(c.from, &t->st) < 0 || !S_ISREG(t->st.st_mode)))
        status = op_failed(t->path.text, "cannot be read for its backup", errno);
    if (status == 0)
        status = put(b.dir, b.found, &c, b.found);
    if (c.from >= 0)
        close(c.from);
    if (status == 0)
        CLI_OUT("backup: ", b.found, "\n");
    if (status == 0 && b.count >= BACKUPS && unlinkat(b.dir, b.oldest, 0) == 0)
        CLI_OUT("removed the oldest backup: ", b.oldest, "\n");
    close(b.dir);
    return status;
}

/* ---- the operations ---- */

/** Open what is copied. Return: 0, or the exit status. */
static int open_source(struct content *c, const struct op_place *place)
{
    struct path p;
    struct stat st;
    const int status = op_resolve(&p, place->op->from, place);

    if (status == 0)
        c->from = path_open(&p, O_RDONLY | O_NONBLOCK, 0);
    path_close(&p);
    if (status != 0)
        return status;
    if (c->from < 0)
        return op_failed(p.text, p.why, c->from == NEFIA_EIO ? errno : 0);
    return fstat(c->from, &st) == 0 && S_ISREG(st.st_mode) ? 0 : op_failed(p.text, "not a regular file", 0);
}

int op_do_file(const struct op_place *place)
{
    const struct op *op = place->op;
    struct content c = {.text = op->content, .len = op->content_len, .from = -1, .must_own = true};
    struct target t = {.path = {.dir = -1}};
    int status = target_open(&t, place);

    if (status == 0 && op->from)
        status = open_source(&c, place);
    if (status == 0 && op->backup)
        status = back_up(&t, place);
    c.mode = op->mode ? op->mode : t.exists ? t.st.st_mode : MODE_NEW;
    c.owner = t.exists ? &t.st : NULL;
    if (status == 0)
        status = put(t.path.dir, t.name, &c, t.path.text);
    if (c.from >= 0)
        close(c.from);
    path_close(&t.path);
    return status;
}

static int put_back(const struct backups *b, const struct target *t)
{
    const int from = openat(b->dir, b->found, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int status;

    if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode)) {
        status = op_failed(b->found, "cannot be read", errno);
    } else {
        const struct content c = {.from = from, .mode = st.st_mode, .owner = t->exists ? &t->st : &st, .must_own = t->exists};
        status = put(t->path.dir, t->name, &c, t->path.text);
    }
    if (from >= 0)
        close(from);
    return status;
}

static int restore(const struct backups *b, const struct target *t, const char *run)
{
    if (!b->found[0] && run) {
        CLI_OUT(t->path.text, ": not changed by this run\n");
        return 0;
    }
    if (!b->found[0])
        return op_failed(t->path.text, "has no backup", 0);
    CLI_OUT("restored: ", b->found, "\n");
    if (!was_missing(b))
        return put_back(b, t);
    if (t->exists && unlinkat(t->path.dir, t->name, 0) < 0)
        return op_failed(t->path.text, "cannot be removed", errno);
    sync_directory(t->path.dir, t->path.text);
    return 0;
}

int op_do_restore(const struct op_place *place)
{
    const char *run = place->op->undo_run;
    struct target t = {.path = {.dir = -1}};
    struct backups b = {.dir = -1};
    int status = target_open(&t, place);

    if (status == 0)
        status = backups_open(&b, &t, place);
    if (status == 0) {
        backups_find(&b, run);
        status = restore(&b, &t, run);
    }
    if (b.dir >= 0)
        close(b.dir);
    path_close(&t.path);
    return status;
}
