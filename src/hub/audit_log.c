#include "nefia/hub/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/sys/cli.h"
#include "nefia/sys/log.h"
#include "nefia/sys/random.h"

#define FRESH AUDIT_FILE ".new" /* the next file, before it takes its place */
#define KEY_FRESH AUDIT_KEY ".new"
enum { NAME_MOST = 24, TEXT_MOST = 128, COMMAND_MOST = 1536, ERROR_MOST = 256, KEY_RANDOM = 32 };

/** audit.log, audit.log.1, … */
static const char *file_name(char buf[NAME_MOST], unsigned i)
{
    struct text t;

    text_init(&t, buf, NAME_MOST);
    text_str(&t, AUDIT_FILE);
    if (i > 0) {
        text_char(&t, '.');
        text_u64(&t, i);
    }
    return buf;
}

void audit_log_init(struct audit_log *a, const struct clock *clock, union audit_work *work)
{
    *a = (struct audit_log){.clock = clock, .dir_fd = -1, .fd = -1, .work = work, .buf = work->lines};
}

/* ---- Writing ---- */

/** Nothing since the last commit is written; it is tried again later. */
static void failed(struct audit_log *a, int error)
{
    if (a->error == 0)
        LOG_ERROR("cannot write " AUDIT_FILE ": ", ERRNO(error),
                  "; actions go on, and records are lost and counted until this is fixed");
    a->error = error;
    a->failed_ms = clock_ms(a->clock);
    a->ragged = a->fd >= 0 && ftruncate(a->fd, (off_t)a->committed_size) < 0;
    a->size = a->committed_size;
    a->lost += a->pending;
    a->stats.lost += a->pending;
    a->head = a->committed;
    a->pending = 0;
    a->told = 0;
    a->len = 0;
}

static void put_files(struct audit_log *a)
{
    json_put_u64(&a->record.w, "oldest", a->firsts[a->first_count - 1]);
    json_array(&a->record.w, "files");
    for (unsigned i = 0; i < a->first_count; i++)
        json_put_u64(&a->record.w, NULL, a->firsts[i]);
    json_end_array(&a->record.w);
}

static void begin_record(struct audit_log *a, enum audit_kind kind)
{
    audit_begin(&a->record, a->buf + a->len, a->head.n, kind, clock_unix(a->clock), !clock_synced(a->clock));
    if (a->head.n == a->committed.n)
        audit_mark_commit(&a->record);
}

static void end_record(struct audit_log *a)
{
    a->len += audit_end(&a->record, &a->head, &a->key);
    a->buf[a->len++] = '\n';
}

/** The first record of a file that is not the first one. */
static void put_rotated(struct audit_log *a)
{
    const unsigned kept = a->first_count < a->files ? a->first_count : a->files - 1;

    memmove(a->firsts + 1, a->firsts, kept * sizeof a->firsts[0]);
    a->firsts[0] = a->head.n + 1;
    a->first_count = kept + 1;
    begin_record(a, AUDIT_ROTATED);
    put_files(a);
    end_record(a);
}

/** Is it the file that we write to? */
static bool is_ours(const struct audit_log *a, const struct stat *st)
{
    return st->st_dev == a->device && st->st_ino == a->inode;
}

/** From now on, write to this file. Return: 0, or NEFIA_EIO (errno). */
static int use_file(struct audit_log *a, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return NEFIA_EIO;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return NEFIA_EIO;
    }
    if (a->fd >= 0 && a->fd != fd)
        close(a->fd);
    a->fd = fd;
    a->device = st.st_dev;
    a->inode = st.st_ino;
    a->size = a->committed_size = (uint64_t)st.st_size;
    return 0;
}

/** Open the file of that name, which may be a new one. Return: 0, or NEFIA_EIO (errno). */
static int open_named(struct audit_log *a)
{
    int fd = openat(a->dir_fd, AUDIT_FILE, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (fd < 0)
        return NEFIA_EIO;
    if (use_file(a, fd) == 0)
        return 0;
    const int saved = errno;
    close(fd);
    errno = saved;
    return NEFIA_EIO;
}

/** Somebody else may have changed, removed or replaced the file since we wrote to it. What is written now begins in a line
 * of its own, and in the file that has the name. Return: 0, or NEFIA_EIO (errno). */
static int look_at_file(struct audit_log *a)
{
    struct stat st;
    const bool there = fstatat(a->dir_fd, AUDIT_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0, ours = there && is_ours(a, &st);

    if (ours && (uint64_t)st.st_size == a->size)
        return 0;
    if (!ours && open_named(a) < 0)
        return NEFIA_EIO;
    LOG_ERROR(AUDIT_FILE " was ", ours ? "changed" : there ? "replaced" : "removed",
              " by another program" REMEDY("; `nefia audit verify` says what is missing"));
    if (ours)
        a->size = a->committed_size = (uint64_t)st.st_size;
    if (a->size > 0 && file_append(a->fd, "\n", 1) == 0)
        a->size = ++a->committed_size;
    return 0;
}

/** Write what is collected. Return: 0, or NEFIA_EIO. */
static int flush(struct audit_log *a)
{
    if (a->len == 0)
        return 0;
    if (a->ragged)
        a->ragged = ftruncate(a->fd, (off_t)a->committed_size) < 0;
    const bool begins = !a->ragged && a->size == a->committed_size;
    if (a->ragged || (begins && look_at_file(a) < 0) || file_append(a->fd, a->buf, a->len) < 0) {
        failed(a, errno);
        return NEFIA_EIO;
    }
    a->size += a->len;
    a->stats.bytes += a->len;
    a->len = 0;
    return 0;
}

/** Make room for a record. Return: false: it is lost. */
static bool may_begin(struct audit_log *a)
{
    const bool retry = a->error == 0 || a->pending > 0 || clock_ms(a->clock) - a->failed_ms >= AUDIT_RETRY_MS;
    const size_t room = 2 * (AUDIT_LINE_MAX + 1) - a->len;

    if (retry && (room > AUDIT_LINE_MAX || flush(a) == 0))
        return true;
    a->lost++;
    a->stats.lost++;
    return false;
}

/** Return: false: it is not kept, and nothing more is to be done. */
static bool begin(struct audit_log *a, enum audit_kind kind)
{
    if (!a || a->dir_fd < 0 || !may_begin(a))
        return false;
    if (a->lost > 0 && a->told == 0) {
        a->told = a->lost;
        begin_record(a, AUDIT_LOST);
        json_put_u64(&a->record.w, "records", a->lost);
        audit_put_str(&a->record, "error", ERRNO(a->error), TEXT_MOST);
        end_record(a);
        if (!may_begin(a))
            return false;
    }
    begin_record(a, kind);
    return true;
}

static void end(struct audit_log *a)
{
    end_record(a);
    a->pending++;
}

/* ---- Rotating ---- */

static int rename_file(const struct audit_log *a, unsigned from, unsigned to)
{
    char from_name[NAME_MOST], to_name[NAME_MOST];

    return renameat(a->dir_fd, file_name(from_name, from), a->dir_fd, file_name(to_name, to));
}

/** Remove the files that are older than those that are kept. */
static void remove_old(const struct audit_log *a)
{
    char name[NAME_MOST];

    for (unsigned i = a->files; i < AUDIT_FILES_MAX; i++)
        (void)unlinkat(a->dir_fd, file_name(name, i), 0);
}

/** Of a rotation that a power cut has ended, names are missing between others. */
static void close_gaps(const struct audit_log *a)
{
    unsigned next = 1;

    for (unsigned i = 1; i < AUDIT_FILES_MAX; i++)
        next += rename_file(a, i, next) == 0; /* to its own name: nothing happens if it is there */
}

/** Give each file the name of the next older one, and the fresh one the first. Return: 0, or NEFIA_EIO (errno). */
static int move_names(const struct audit_log *a)
{
    char oldest[NAME_MOST];

    /* One more than are ever kept. */
    (void)unlinkat(a->dir_fd, file_name(oldest, AUDIT_FILES_MAX - 1), 0);
    for (unsigned i = AUDIT_FILES_MAX - 1; i-- > 0;)
        if (rename_file(a, i, i + 1) < 0 && errno != ENOENT)
            return NEFIA_EIO;
    if (renameat(a->dir_fd, FRESH, a->dir_fd, AUDIT_FILE) == 0)
        return 0;
    const int saved = errno;
    (void)rename_file(a, 1, 0);
    errno = saved;
    return NEFIA_EIO;
}

/** Nothing that the log still has to have is removed before the fresh file, which says what may be missing, is in its
 * place; until then the log goes on in the others, at the next start, too.
 * Return: 0, or NEFIA_EIO (errno): each file has the name that it had. */
static int shift_names(const struct audit_log *a)
{
    close_gaps(a);
    int err = move_names(a);
    if (err < 0) {
        const int saved = errno;
        close_gaps(a);
        errno = saved;
        return err;
    }
    if (fsync(a->dir_fd) == 0) /* some file systems cannot sync a directory */
        remove_old(a);
    return 0;
}

/** A new file with its first record. Return: its descriptor, or NEFIA_EIO. */
static int make_fresh(struct audit_log *a)
{
    (void)unlinkat(a->dir_fd, FRESH, 0);
    int fd = openat(a->dir_fd, FRESH, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return NEFIA_EIO;
    put_rotated(a);
    if (file_append(fd, a->buf, a->len) == 0 && fsync(fd) == 0)
        return fd;
    const int saved = errno;
    close(fd);
    (void)unlinkat(a->dir_fd, FRESH, 0);
    errno = saved;
    return NEFIA_EIO;
}

/** After a commit: nothing is collected. If it fails, the log goes on in the file that it has. */
static void rotate(struct audit_log *a)
{
    uint64_t firsts[AUDIT_FILES_MAX];
    const unsigned count = a->first_count;

    memcpy(firsts, a->firsts, sizeof firsts);
    int fd = fdatasync(a->fd) < 0 ? NEFIA_EIO : make_fresh(a);
    if (fd < 0 || shift_names(a) < 0) {
        LOG_ERROR("cannot begin the next " AUDIT_FILE ": ", ERRNO(errno), "; the present one grows");
        if (fd >= 0)
            close(fd);
        (void)unlinkat(a->dir_fd, FRESH, 0);
        memcpy(a->firsts, firsts, sizeof firsts);
        a->first_count = count;
        a->head = a->committed;
        a->len = 0;
        a->limit = a->size + a->bound;
        return;
    }
    (void)use_file(a, fd);
    a->committed = a->head;
    a->limit = a->bound;
    a->stats.bytes += a->len;
    a->stats.records++;
    a->stats.rotations++;
    a->len = 0;
}

/** The first record is on disk. */
static void settle_key(struct audit_log *a)
{
    a->fresh_key = renameat(a->dir_fd, KEY_FRESH, a->dir_fd, AUDIT_KEY) < 0;
    (void)fsync(a->dir_fd);
}

void audit_log_write(struct audit_log *a)
{
    if (a && a->dir_fd >= 0)
        (void)flush(a);
}

void audit_log_commit(struct audit_log *a)
{
    if (!a || a->dir_fd < 0 || flush(a) < 0 || a->size == a->committed_size)
        return;
    if (a->sync) {
        a->stats.syncs++;
        if (fdatasync(a->fd) < 0) {
            failed(a, errno);
            return;
        }
    }
    if (a->error != 0)
        LOG_INFO(AUDIT_FILE " is writable again; lost: ", COUNT(a->told, "record"));
    a->stats.records += a->head.n - a->committed.n;
    a->committed_size = a->size;
    a->committed = a->head;
    a->lost -= a->told;
    a->told = 0;
    a->pending = 0;
    a->error = 0;
    if (a->fresh_key)
        settle_key(a);
    if (a->size >= a->limit)
        rotate(a);
}

/* ---- Opening ---- */

/** Append "cannot WHAT DIR/NAME: reason". Return: NEFIA_EIO. */
static int cannot(const char *dir, const char *what, const char *name, struct text *why)
{
    text_str(why, "audit: cannot ");
    text_str(why, what);
    text_char(why, ' ');
    text_str(why, dir);
    text_char(why, '/');
    text_str(why, name);
    text_str(why, ": ");
    text_str(why, ERRNO(errno));
    return NEFIA_EIO;
}

static int open_dir(struct audit_log *a, const char *dir, struct text *why)
{
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return cannot(dir, "create", "", why);
    a->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->dir_fd < 0)
        return cannot(dir, "open", "", why);
    /* Where a directory cannot be locked, the journal's lock has to do. */
    if (file_lock(a->dir_fd) != NEFIA_EEXIST)
        return 0;
    text_str(why, dir);
    text_str(why, HINTED(": in use by another hub", "; stop that one, or set another reactor.state_dir"));
    return NEFIA_EIO;
}

/** Return: 0, or NEFIA_EIO (errno). */
static int write_key(int fd)
{
    uint8_t bytes[KEY_RANDOM];
    char hex[2 * KEY_RANDOM + 2];
    struct text t;

    if (random_bytes(bytes, sizeof bytes) < 0) {
        errno = EAGAIN;
        return NEFIA_EIO;
    }
    text_init(&t, hex, sizeof hex);
    text_hex(&t, bytes, sizeof bytes);
    text_char(&t, '\n');
    int err = file_append(fd, t.buf, t.len);
    wipe(bytes, sizeof bytes);
    wipe(hex, sizeof hex);
    return err < 0 || fsync(fd) < 0 ? NEFIA_EIO : 0;
}

/** A key that takes its name with the first record. Return: 0, or NEFIA_EIO (errno). */
static int make_key(const struct audit_log *a, const char *dir, struct text *why)
{
    (void)unlinkat(a->dir_fd, KEY_FRESH, 0);
    int fd = openat(a->dir_fd, KEY_FRESH, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return cannot(dir, "create", AUDIT_KEY, why);
    int err = write_key(fd);
    const int saved = errno;
    close(fd);
    if (err < 0)
        (void)unlinkat(a->dir_fd, KEY_FRESH, 0);
    errno = saved;
    return err < 0 ? cannot(dir, "write", AUDIT_KEY, why) : 0;
}

/** The hub's own key. Until the first record is on disk it has another name: a key without a log is one whose log was taken
 * away. Return: 0, or NEFIA_EIO (full: for want of room on the disk). */
static int open_own_key(struct audit_log *a, const char *dir, struct text *why, bool *full)
{
    char path[FILE_PATH_MAX];
    struct stat st;

    a->fresh_key = fstatat(a->dir_fd, AUDIT_KEY, &st, AT_SYMLINK_NOFOLLOW) < 0;
    if (file_join(path, dir, a->fresh_key ? KEY_FRESH : AUDIT_KEY) < 0) {
        text_str(why, "reactor.state_dir is too long");
        return NEFIA_EIO;
    }
    if (a->fresh_key && mac_key_load(&a->key, path, NULL) == 0)
        return 0; /* the last start did not come further */
    if (a->fresh_key && make_key(a, dir, why) < 0) {
        *full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
        return NEFIA_EIO;
    }
    return mac_key_load(&a->key, path, why);
}

static int open_part(const struct audit_log *a, unsigned i)
{
    char name[NAME_MOST];
    struct stat st;
    int fd = openat(a->dir_fd, file_name(name, i), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
        return fd;
    close(fd);
    errno = EINVAL;
    return NEFIA_EIO;
}

static void name_finding(void *arg, const struct audit_finding *f)
{
    char buf[256];
    struct text t;

    text_init(&t, buf, sizeof buf);
    audit_finding_text(&t, f, arg);
    if (f->kind != AUDIT_FOUND_TORN)
        LOG_ERROR("audit: ", t.buf);
}

/** Read a file from its beginning, at most `most` bytes of it. Return: 0, or NEFIA_EIO. */
static int read_part(struct audit_log *a, int fd, uint64_t most)
{
    union audit_work *work = a->work;
    struct audit_verifier *v = &work->scan.verifier;
    uint64_t at = 0;
    long n = 0;

    v->part = true;
    audit_verify_file(v);
    while (at < most && (n = file_fill_at(fd, at, work->scan.chunk, sizeof work->scan.chunk)) > 0) {
        const size_t taken = most - at < (uint64_t)n ? (size_t)(most - at) : (size_t)n;

        at += taken;
        audit_verify_feed(v, work->scan.chunk, taken);
    }
    audit_verify_end(v);
    return n < 0 ? NEFIA_EIO : 0;
}

/** Read one file to its end, and again if there is something to be reported: what the last commit lost to a power cut is not.
 * torn: bytes that are to be removed at its end. Return: 0, or NEFIA_EIO. */
static int scan(struct audit_log *a, int fd, char *name, uint64_t *torn)
{
    struct audit_verifier *v = &a->work->scan.verifier;

    audit_verify_init(v, &a->key, NULL, NULL);
    int err = read_part(a, fd, UINT64_MAX);
    const uint64_t size = v->bytes + v->torn, whole = v->damage.found ? v->damage.at : v->bytes;

    *torn = size - whole;
    a->size += size;
    a->head = v->damage.found ? v->damage.before : v->last;
    if (err < 0 || v->findings == 0)
        return err;
    audit_verify_init(v, &a->key, name_finding, name);
    return read_part(a, fd, whole);
}

/** Where each file begins, as the first record of this one has it. Overwrites the buffer. */
static void load_firsts(struct audit_log *a, int fd)
{
    struct audit_line l;
    struct slice rest = {NULL, 0};
    uint64_t n = 0;
    long len = file_fill_at(fd, 0, a->buf, AUDIT_LINE_MAX + 1);
    const char *newline = len > 0 ? memchr(a->buf, '\n', (size_t)len) : NULL;

    a->first_count = 1;
    a->firsts[0] = a->head.n;
    if (!newline || audit_read(&l, &a->key, a->buf, (size_t)(newline - a->buf)) < 0)
        return;
    a->firsts[0] = l.n;
    if (l.kind != AUDIT_ROTATED || !audit_has(&l, "\"files\":[", &rest))
        return;
    for (a->first_count = 0; a->first_count < AUDIT_FILES_MAX && rest.len > 0;) {
        size_t digits = 0;
        while (digits < rest.len && rest.ptr[digits] != ',' && rest.ptr[digits] != ']')
            digits++;
        if (digits == rest.len || parse_u64(rest.ptr, digits, &n) < 0)
            break;
        a->firsts[a->first_count++] = n;
        if (rest.ptr[digits] == ']')
            break;
        rest = (struct slice){rest.ptr + digits + 1, rest.len - digits - 1};
    }
    if (a->first_count == 0)
        a->firsts[a->first_count++] = l.n;
}

/** Find the last record, in the newest file that has one. Return: 0, or NEFIA_EIO (errno; *name is the file's). */
static int find_last(struct audit_log *a, char name[NAME_MOST], uint64_t *torn)
{
    for (unsigned i = 0; i < AUDIT_FILES_MAX && a->head.n == 0; i++) {
        const uint64_t size = a->size;
        uint64_t damaged = 0;
        int fd = open_part(a, i);

        file_name(name, i);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0)
            return NEFIA_EIO;
        int err = scan(a, fd, name, &damaged);
        if (i == 0)
            *torn = damaged;
        else
            a->size = size; /* only the current one's counts */
        if (err == 0 && a->head.n > 0)
            load_firsts(a, fd);
        close(fd);
        if (err < 0)
            return err;
    }
    return 0;
}

/** The current file, ready for appending. Return: 0, or NEFIA_EIO (errno). */
static int open_current(struct audit_log *a, uint64_t torn)
{
    const uint64_t size = a->size - torn;

    if (open_named(a) < 0 || (torn > 0 && ftruncate(a->fd, (off_t)size) < 0))
        return NEFIA_EIO;
    a->size = a->committed_size = size;
    a->committed = a->head;
    a->len = 0;
    (void)unlinkat(a->dir_fd, FRESH, 0);
    (void)fsync(a->dir_fd);
    return 0;
}

/** What the log begins with, or goes on with. */
static void put_first(struct audit_log *a, const char *key, uint64_t torn)
{
    if (a->head.n == 0) {
        begin_record(a, AUDIT_BEGUN);
        audit_put_str(&a->record, "key", key, TEXT_MOST);
        end_record(a);
        a->firsts[0] = 1;
        a->first_count = 1;
    } else if (a->size == 0) {
        put_rotated(a);
    }
    if (torn > 0 && begin(a, AUDIT_REPAIRED)) {
        json_put_u64(&a->record.w, "bytes", torn);
        end(a);
    }
}

static int open_log(struct audit_log *a, const char *dir, const struct audit_settings *s, struct text *why)
{
    char name[NAME_MOST] = AUDIT_FILE;
    uint64_t torn = 0;
    bool full = false;

    int err = open_dir(a, dir, why);
    if (err < 0)
        return err;
    err = s->key_file ? mac_key_load(&a->key, s->key_file, why) : open_own_key(a, dir, why, &full);
    if (full) {
        text_str(why, "; nothing is recorded before a restart with room on the disk");
        audit_log_close(a);
        return 0;
    }
    if (err < 0)
        return NEFIA_EIO;
    if (find_last(a, name, &torn) < 0)
        return cannot(dir, "read", name, why);
    if (open_current(a, torn) < 0)
        return cannot(dir, "open", AUDIT_FILE, why);
    if (torn > 0)
        LOG_WARN(AUDIT_FILE ": ", COUNT(torn, "byte"), " removed that were not all on disk when the power was cut");
    put_first(a, s->key_file ? "given" : a->fresh_key ? "new" : "kept", torn);
    audit_log_commit(a);
    return 0;
}

int audit_log_open(struct audit_log *a, const char *dir, const struct audit_settings *s, struct text *why)
{
    if (!dir || !*dir || !s->enabled)
        return 0;
    a->limit = a->bound = (uint64_t)s->max_kb * 1024;
    a->files = s->files;
    a->sync = s->sync;
    int err = open_log(a, dir, s, why);
    if (err < 0) {
        a->len = 0;
        audit_log_close(a);
    }
    return err;
}

void audit_log_close(struct audit_log *a)
{
    audit_log_commit(a);
    if (a->fd >= 0)
        close(a->fd);
    if (a->dir_fd >= 0)
        close(a->dir_fd);
    a->fd = a->dir_fd = -1;
    mac_key_wipe(&a->key);
}

bool audit_log_head(const struct audit_log *a, struct audit_head *out)
{
    *out = a->committed;
    return a->dir_fd >= 0 && out->n > 0;
}

/* ---- Records ---- */

static void put_slice(struct audit_log *a, const char *key, struct slice s)
{
    audit_put(&a->record, key, s, TEXT_MOST);
}

static void put_str(struct audit_log *a, const char *key, const char *s)
{
    audit_put_str(&a->record, key, s, TEXT_MOST);
}

void audit_config(struct audit_log *a, enum audit_kind kind, const char *path, const uint8_t hash[MAC_BYTES])
{
    char hex_buf[MAC_HEX + 1];
    struct text hex;

    if (!begin(a, kind))
        return;
    text_init(&hex, hex_buf, sizeof hex_buf);
    if (kind == AUDIT_STARTED)
        put_str(a, "version", cli_version());
    audit_put_str(&a->record, "file", path, FILE_PATH_MAX);
    if (hash)
        text_hex(&hex, hash, MAC_BYTES);
    put_str(a, "sha256", hex.buf);
    end(a);
}

static void put_verdict(struct audit_log *a, const struct verdict *v)
{
    put_str(a, "verdict", verdict_word(v->kind));
    put_str(a, "reason", v->reason);
    audit_put_str(&a->record, "by", v->rule, ERROR_MOST);
    put_str(a, "role", v->role);
    if (v->has_at)
        json_put_u64(&a->record.w, "at", v->at);
    if (v->most > 0) {
        json_put_u64(&a->record.w, "have", v->have);
        json_put_u64(&a->record.w, "most", v->most);
    }
}

static void put_event(struct audit_log *a, const struct event *e)
{
    put_slice(a, "type", e->type);
    put_str(a, "severity", severity_text(e->severity));
    if (!e->has_seq)
        return;
    json_put_u64(&a->record.w, "boot", e->boot);
    json_put_u64(&a->record.w, "seq", e->seq);
}

void audit_decision(struct audit_log *a, const struct audit_decision *d)
{
    if (!begin(a, AUDIT_DECISION))
        return;
    put_str(a, "rule", d->rule);
    put_str(a, "who", d->who);
    if (d->event)
        audit_put(&a->record, "host", d->event->host_id, ERROR_MOST);
    audit_put_str(&a->record, d->event ? "target" : "host", d->target, ERROR_MOST);
    put_str(a, "action", d->action);
    if (d->verdict)
        put_verdict(a, d->verdict);
    put_str(a, "mode", d->verdict ? d->verdict->mode : NULL);
    if (d->event)
        put_event(a, d->event);
    audit_put_str(&a->record, "command", d->command, COMMAND_MOST);
    audit_put_str(&a->record, "path", d->path, FILE_PATH_MAX);
    end(a);
}

static void put_job(struct audit_log *a, const struct job *job, const struct recent *recent)
{
    struct recent_view v;

    put_str(a, "rule", job->name);
    if (recent_get(recent, job->row, &v)) {
        audit_put(&a->record, "host", v.host, ERROR_MOST);
        put_slice(a, "type", v.type);
    }
    put_str(a, "action", job->queue->class->name);
    json_put_u64(&a->record.w, "job", job->id);
}

void audit_begins(struct audit_log *a, const struct jobs *jobs, const struct recent *recent)
{
    for (unsigned i = 0; i < jobs->queue_count; i++) {
        const struct job_queue *q = &jobs->queues[i];

        for (unsigned k = 0; q->states[JOB_STARTING] > 0 && k < q->class->jobs; k++) {
            if (q->slots[k].state != JOB_STARTING || !begin(a, AUDIT_ACTION_BEGUN))
                continue;
            put_job(a, &q->slots[k], recent);
            json_put_u64(&a->record.w, "attempt", q->slots[k].attempt + 1u);
            end(a);
        }
    }
}

void audit_ended(struct audit_log *a, const struct job *job, const struct recent *recent, bool done, const char *error,
                 const struct child_result *r)
{
    if (!begin(a, AUDIT_ACTION_ENDED))
        return;
    put_job(a, job, recent);
    put_str(a, "outcome", recent_state_text(done ? RECENT_DONE : RECENT_FAILED));
    audit_put_str(&a->record, "error", error, ERROR_MOST);
    json_put_u64(&a->record.w, "attempts", job->attempt);
    if (r) {
        json_put_i64(&a->record.w, "exit", r->exit_code);
        json_put_u64(&a->record.w, "duration_ms", r->duration_ms);
    }
    end(a);
}

void audit_abandoned(struct audit_log *a, const char *rule, const struct event *event, const char *action, uint64_t job, bool begun,
                     const char *why)
{
    if (!begin(a, AUDIT_ACTION_ENDED))
        return;
    put_str(a, "rule", rule);
    if (event) {
        audit_put(&a->record, "host", event->host_id, ERROR_MOST);
        put_slice(a, "type", event->type);
    }
    put_str(a, "action", action);
    json_put_u64(&a->record.w, "job", job);
    put_str(a, "outcome", begun ? "unknown" : recent_state_text(RECENT_FAILED));
    put_str(a, "error", why);
    end(a);
}

void audit_forgotten(struct audit_log *a, struct slice host, uint32_t uid)
{
    if (!begin(a, AUDIT_FORGOTTEN))
        return;
    audit_put(&a->record, "host", host, ERROR_MOST);
    json_put_u64(&a->record.w, "uid", uid);
    end(a);
}

void audit_silence(struct audit_log *a, enum audit_kind kind, const struct silence *s, const char *outcome, uint32_t uid)
{
    if (!begin(a, kind))
        return;
    json_put_u64(&a->record.w, "silence", s->id);
    put_str(a, "host_pattern", silence_word(s, SILENCE_HOST));
    put_str(a, "type_pattern", silence_word(s, SILENCE_TYPE));
    put_str(a, "labels", silence_word(s, SILENCE_LABELS));
    put_str(a, "rule", silence_word(s, SILENCE_RULE));
    put_str(a, "why", silence_word(s, SILENCE_WHY));
    json_put_u64(&a->record.w, "for_ms", s->for_ms);
    put_str(a, "outcome", outcome);
    if (uid != AUDIT_NOBODY)
        json_put_u64(&a->record.w, "by_uid", uid);
    end(a);
}

void audit_step(struct audit_log *a, const struct audit_step *s, uint32_t uid)
{
    char who_buf[24];
    struct text who;

    if (!begin(a, AUDIT_STEP))
        return;
    put_str(a, "run", s->run);
    put_str(a, "playbook", s->playbook);
    put_str(a, "step", s->step);
    put_str(a, "part", s->part);
    audit_put_str(&a->record, "host", s->host, ERROR_MOST);
    put_str(a, "rule", s->rule);
    if (!s->rule) {
        text_init(&who, who_buf, sizeof who_buf);
        text_str(&who, "uid ");
        text_u64(&who, uid);
        put_str(a, "who", who.buf);
    }
    put_str(a, "outcome", s->outcome);
    audit_put_str(&a->record, "error", s->error, ERROR_MOST);
    if (s->has_result) {
        json_put_u64(&a->record.w, "exit", s->exit);
        json_put_u64(&a->record.w, "duration_ms", s->duration_ms);
    }
    end(a);
}

/* ---- Rejections ---- */

static void put_rejected(struct audit_log *a, enum reject why, struct audit_rejected *r)
{
    char buf[ADDR_TEXT];
    struct text peer;

    if (!begin(a, AUDIT_REJECTED))
        return;
    text_init(&peer, buf, sizeof buf);
    addr_text(&peer, &r->peer);
    put_str(a, "reason", reject_name(why));
    json_put_u64(&a->record.w, "connections", r->count);
    put_slice(a, "last", (struct slice){peer.buf, peer.len});
    end(a);
    r->count = 0;
    r->since_ms = clock_ms(a->clock);
}

/** When to record them: the first one at once; but not while a failure is waited out. */
static uint64_t due_ms(const struct audit_log *a, const struct audit_rejected *r)
{
    const uint64_t at = r->since_ms > 0 ? r->since_ms + AUDIT_REJECT_MS : 0;
    const uint64_t retry = a->error != 0 ? a->failed_ms + AUDIT_RETRY_MS : 0;

    return r->count == 0 ? UINT64_MAX : at > retry ? at : retry;
}

void audit_rejected(struct audit_log *a, enum reject why, const struct addr *peer)
{
    if (!a || a->dir_fd < 0)
        return;
    struct audit_rejected *r = &a->rejected[why];
    r->peer = *peer;
    r->count++;
    if (clock_ms(a->clock) >= due_ms(a, r))
        put_rejected(a, why, r);
    if (r->count <= 1 && a->wake)
        a->wake(a->arg);
}

void audit_log_tick(struct audit_log *a)
{
    const uint64_t now = clock_ms(a->clock);

    for (unsigned i = 0; i < REJECT_COUNT; i++)
        if (now >= due_ms(a, &a->rejected[i]))
            put_rejected(a, (enum reject)i, &a->rejected[i]);
}

uint64_t audit_log_due(const struct audit_log *a)
{
    uint64_t due = UINT64_MAX;

    for (unsigned i = 0; a->dir_fd >= 0 && i < REJECT_COUNT; i++)
        if (due_ms(a, &a->rejected[i]) < due)
            due = due_ms(a, &a->rejected[i]);
    return due;
}

void audit_stopped(struct audit_log *a, uint64_t events, unsigned unfinished)
{
    for (unsigned i = 0; a && i < REJECT_COUNT; i++)
        if (a->rejected[i].count > 0)
            put_rejected(a, (enum reject)i, &a->rejected[i]);
    if (!begin(a, AUDIT_STOPPED))
        return;
    json_put_u64(&a->record.w, "events", events);
    json_put_u64(&a->record.w, "unfinished", unfinished);
    end(a);
}

void audit_command(struct audit_log *a, const struct audit_command *c)
{
    if (!begin(a, c->kind))
        return;
    audit_put(&a->record, "who", c->who, ERROR_MOST);
    audit_put(&a->record, "host", c->host, ERROR_MOST);
    put_str(a, "command_id", c->id);
    if (c->job > 0)
        json_put_u64(&a->record.w, "job", c->job);
    put_str(a, "outcome", c->outcome);
    put_str(a, "error", c->error);
    if (c->result) {
        json_put_u64(&a->record.w, "exit", c->result->exit_code);
        json_put_u64(&a->record.w, "duration_ms", c->result->duration_ms);
    }
    end(a);
}
