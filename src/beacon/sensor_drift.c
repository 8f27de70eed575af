#include "nefia/beacon/drift.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor_runner.h"
#include "nefia/sys/clock.h"
#include "nefia/sys/dir.h"
#include "nefia/sys/file.h"

/* Files, kernel modules and packages against a manifest. One pass over the manifest finds what has changed and what is
 * missing, one over what is there what is extra. What was found of a file is remembered in 8 bytes, and that
 * memory is also the set of declared names, and how far a first pass over many files has come: each turn
 * begins anew and passes quickly over what the turns before have read. */
enum {
    SLICE = 64 * 1024,  /* bytes read in one turn */
    PAUSE_MS = 20,      /* between two */
    GIVEN_UP_MS = 1000, /* so long after its last turn nobody reads on in a file */
    TICK_S = 1,
    DIGEST = 32,        /* of SHA-256 */
    DIGEST_HEX = 2 * DIGEST,
    NAME_BYTES = 128, /* longest name and version of a package */
    FLAGS = 3,        /* of drift_known */
    SAME = 1,         /* print: the digest is the declared one */
    SEEN = 2,         /* print: declared; of a package: declared, too */
};

_Static_assert(CONFIG_EVENT_BYTES >= 2 * FILE_PATH_MAX + 2 * NAME_BYTES, "the choice of what is written next fits");

static const char module_mark[] = "module:", proc_modules[] = "/proc/modules",
                  too_deep[] = "too deep, or too many names";

enum source { FILES, MODULES, PACKAGES, SOURCES };

/** One look. */
struct look {
    struct emitter *e;
    struct drift_sensor *s;
    struct drift *d;
    struct drift_memory *m;
    unsigned owner; /* which sensor's entries */
    bool once;      /* in as many bytes as it takes */
    bool pending;   /* another turn is needed */
    long left;      /* bytes to read in this turn */
    unsigned sources; /* bits: what is looked at */
    uint32_t seen;    /* print of the file that is compared; 0: none is */
    struct drift_known *installed; /* packages; in the buffer of an event's data */
    unsigned installed_count, packages_differ;
    /* What each thing that is there is given to. */
    void (*take)(struct look *l, const char *name, const char *version, bool link);
};

static bool is_module(const char *name)
{
    return strncmp(name, module_mark, sizeof module_mark - 1) == 0;
}

static bool runs_on(const struct look *l)
{
    return !l->pending && !l->e->why[0];
}

/* ---- What is remembered ---- */

static uint32_t name_hash(const struct look *l, const char *name)
{
    return (hash_bytes(l->m->seed, name, strlen(name)) & ~(uint32_t)FLAGS) | l->owner;
}

static struct drift_known *find(struct drift_known *known, unsigned count, uint32_t name)
{
    for (unsigned i = 0; i < count; i++)
        if (known[i].name == name)
            return &known[i];
    return NULL;
}

/** forget: what this look has not found declared. again: all is to be found by the next. */
static void sweep(struct look *l, bool forget, bool again)
{
    struct drift_memory *m = l->m;
    unsigned kept = 0;

    for (unsigned i = 0; i < m->count; i++) {
        struct drift_known k = m->known[i];
        const bool ours = (k.name & FLAGS) == l->owner;
        if (ours && forget && !(k.print & SEEN))
            continue;
        if (ours && again)
            k.print &= ~(uint32_t)SEEN;
        m->known[kept++] = k;
    }
    m->count = kept;
}

/** The entry of a declared name, or null: not measured. */
static struct drift_known *remember(struct look *l, const char *name)
{
    struct drift_memory *m = l->m;
    const uint32_t hash = name_hash(l, name);
    struct drift_known *k = find(m->known, m->count, hash);

    if (k)
        return k;
    if (m->count == CONFIG_DRIFT_ENTRIES)
        sweep(l, true, false);
    if (m->count == CONFIG_DRIFT_ENTRIES) {
        emitter_not_measured(l->e, l->s->manifest, HINTED("too many names", " (CONFIG_DRIFT_ENTRIES)"));
        return NULL;
    }
    k = &m->known[m->count++];
    *k = (struct drift_known){.name = hash};
    return k;
}

static uint32_t print_of(uint32_t file, struct slice value)
{
    return hash_bytes(file, value.ptr, value.len) & ~(uint32_t)FLAGS;
}

/* ---- Digests ---- */

/** Where stat(2) sees that a module was loaded anew: each time sysfs' file is another inode. A module that is built
 * into the kernel has none. */
static const char *module_file(char path[NAME_BYTES], const char *name, const char *leaf)
{
    struct text t;

    text_init(&t, path, NAME_BYTES);
    text_str(&t, "/sys/module/");
    text_str(&t, name + sizeof module_mark - 1);
    text_char(&t, '/');
    text_str(&t, leaf);
    return path;
}

static void close_file(struct drift_memory *m)
{
    if (m->fd > 0)
        close(m->fd);
    m->fd = 0;
}

/** Read on in the open file. Return: 1 at its end, 0: not there yet, or negative (errno). */
static int read_slice(struct look *l, int fd)
{
    char buf[512];
    long n = 1;

    while (n > 0 && l->left > 0) {
        n = file_fill(fd, buf, sizeof buf);
        br_sha256_update(&l->m->sha, buf, n > 0 ? (size_t)n : 0);
        l->left -= l->once ? 0 : n;
    }
    return n < 0 ? (int)n : n == 0;
}

/** Two that take the file from each other would begin anew for ever. */
static bool is_others(const struct look *l, const struct drift_memory *m)
{
    return m->fd > 0 && !l->once && ((m->reading.name ^ l->owner) & FLAGS) &&
           (uint32_t)emitter_now(l->e) - m->read_ms < GIVEN_UP_MS;
}

/** Return: as read_slice; in memory->sha is the digest. k: what the entry will be. */
static int digest_file(struct look *l, const char *name, struct drift_known k)
{
    struct drift_memory *m = l->m;
    struct stat s;

    if (is_others(l, m))
        return 0;
    m->read_ms = (uint32_t)emitter_now(l->e);
    if (m->fd <= 0 || m->reading.name != k.name || m->reading.print != k.print) {
        close_file(m);
        br_sha256_init(&m->sha);
        m->fd = file_open_regular(name, 0);
        m->reading = k;
        if (m->fd < 0)
            return NEFIA_EIO;
        /* What is remembered is of that file, not of one that has just come in its place. */
        if (l->seen && (fstat(m->fd, &s) < 0 || file_print(&s) != l->seen)) {
            close_file(m);
            return 0;
        }
    }
    const int done = read_slice(l, m->fd);
    const int saved = errno;
    if (done)
        close_file(m);
    errno = saved;
    return done;
}

static int digest_link(struct look *l, const char *name)
{
    char text[FILE_PATH_MAX];
    const ssize_t n = readlink(name, text, sizeof text);

    if (n < 0)
        return NEFIA_EIO;
    br_sha256_update(&l->m->sha, text, (size_t)n);
    return 1;
}

static int digest_module(struct look *l, const char *name)
{
    static const char leaves[] = "notes/.note.gnu.build-id\0srcversion\0coresize\0";
    char path[NAME_BYTES], text[256];

    for (unsigned i = 0; *word_at(leaves, i); i++) {
        const long n = file_read(module_file(path, name, word_at(leaves, i)), text, sizeof text);
        br_sha256_update(&l->m->sha, text, n > 0 ? (size_t)n : 0);
    }
    return 1;
}

/** Return: as read_slice. */
static int digest(struct look *l, const char *name, bool link, struct drift_known k, char hex[DIGEST_HEX + 1])
{
    uint8_t bytes[DIGEST];
    struct text t;
    int done;

    if (!link && !is_module(name)) {
        done = digest_file(l, name, k);
    } else {
        close_file(l->m);
        br_sha256_init(&l->m->sha);
        done = link ? digest_link(l, name) : digest_module(l, name);
    }
    if (done > 0) {
        br_sha256_out(&l->m->sha, bytes);
        text_init(&t, hex, DIGEST_HEX + 1);
        text_hex(&t, bytes, DIGEST);
    }
    return done;
}

/* ---- What is there ---- */

/** Where the walk through a directory is. */
struct walk {
    char path[FILE_PATH_MAX];
    unsigned depth, names;
    struct walk_level {
        uint16_t len; /* of its path */
        int64_t at;   /* where the directory is read on */
    } levels[DRIFT_DEPTH];
};

static bool is_manifest(const struct look *l, const char *path)
{
    const char *manifest = l->s->manifest;
    const size_t len = manifest ? strlen(manifest) : 0;

    /* The new one is written beside it. */
    return len > 0 && strncmp(path, manifest, len) == 0 &&
           (!path[len] || emitter_task(l->e) == MANIFEST_WRITE);
}

/** One name of the directory w->path, whose path is w->levels[w->depth].len long. Return: DT_…; DT_DIR: w->path is that
 * directory now. */
static int walk_name(struct look *l, struct walk *w, const char *name, int type)
{
    char *end = w->path + w->levels[w->depth].len;
    const size_t room = (size_t)(w->path + sizeof w->path - end), len = strlen(name) + 1;
    struct stat s;

    if (len + 1 > room || w->names++ == DRIFT_NAMES) {
        emitter_not_measured(l->e, w->path, too_deep);
        return DT_UNKNOWN;
    }
    if (end == w->path || end[-1] != '/')
        *end++ = '/';
    memcpy(end, name, len);
    if (type == DT_UNKNOWN && lstat(w->path, &s) == 0)
        type = S_ISDIR(s.st_mode) ? DT_DIR : S_ISLNK(s.st_mode) ? DT_LNK : S_ISREG(s.st_mode) ? DT_REG : type;
    if ((type == DT_REG || type == DT_LNK) && !is_manifest(l, w->path))
        l->take(l, w->path, NULL, type == DT_LNK);
    return type;
}

/** Read the directory on, up to the first directory in it. Return: was there one? w->path is that then. */
static bool walk_on(struct look *l, struct walk *w)
{
    struct walk_level *here = &w->levels[w->depth];
    const char *name;
    struct dir d;
    int type = DT_REG;

    w->path[here->len] = '\0';
    if (dir_open(&d, w->path) < 0) {
        if (errno != ENOENT)
            emitter_not_measured(l->e, w->path, ERRNO(errno));
        return false;
    }
    lseek(d.fd, (off_t)here->at, SEEK_SET);
    while (type != DT_DIR && runs_on(l) && (name = dir_next(&d))) {
        here->at = dir_offset(name);
        type = walk_name(l, w, name, dir_type(name));
        w->path[type == DT_DIR ? strlen(w->path) : here->len] = '\0';
    }
    dir_close(&d);
    return type == DT_DIR;
}

static void walk_tree(struct look *l, struct walk *w)
{
    w->depth = 0;
    w->levels[0] = (struct walk_level){.len = (uint16_t)strlen(w->path)};
    while (runs_on(l)) {
        if (!walk_on(l, w)) {
            if (w->depth-- == 0)
                return;
        } else if (++w->depth == DRIFT_DEPTH) {
            emitter_not_measured(l->e, w->path, too_deep);
        } else {
            w->levels[w->depth] = (struct walk_level){.len = (uint16_t)strlen(w->path)};
        }
    }
}

static void each_file(struct look *l)
{
    struct walk w;
    struct stat s;

    w.names = 0;
    for (unsigned i = 0; i < l->s->count && runs_on(l); i++) {
        struct text t;
        text_init(&t, w.path, sizeof w.path);
        text_str(&t, l->s->paths[i]);
        if (stat(w.path, &s) < 0) {
            if (errno != ENOENT || emitter_task(l->e) == MANIFEST_WRITE)
                emitter_not_measured(l->e, w.path, ERRNO(errno));
        } else if (S_ISDIR(s.st_mode)) {
            walk_tree(l, &w);
        } else {
            l->take(l, w.path, NULL, false);
        }
    }
}

static int take_module(void *arg, const char *line, size_t len)
{
    char buf[NAME_BYTES];
    struct text t;

    (void)len;
    text_init(&t, buf, sizeof buf);
    text_str(&t, module_mark);
    text_bytes(&t, line, strcspn(line, " "));
    struct look *l = arg;
    l->take(l, buf, NULL, false);
    return !runs_on(l);
}

/** A record of the packages' database. */
struct record {
    struct look *l;
    bool absent; /* removed, or only its configuration is left */
    char name[NAME_BYTES], version[NAME_BYTES];
};

/** What stands behind the key in a line of the database, or null. */
static const char *value_of(const char *line, const char *key)
{
    const size_t len = strlen(key);

    return strncmp(line, key, len) == 0 ? line + len + (line[len] == ' ') : NULL;
}

static void keep_word(char to[NAME_BYTES], const char *word)
{
    struct text t;

    text_init(&t, to, NAME_BYTES);
    text_bytes(&t, word, strcspn(word, " "));
}

/** Lines as opkg and dpkg have them (deb-control(5)), and those of apk, whose keys are letters. */
static int take_package(void *arg, const char *line, size_t len)
{
    struct record *r = arg;
    struct look *l = r->l;
    const char *v;

    if (len == 0) {
        if (r->name[0] && r->version[0] && !r->absent)
            l->take(l, r->name, r->version, false);
        r->name[0] = r->version[0] = '\0';
        r->absent = false;
    } else if ((v = value_of(line, "P:")) || (v = value_of(line, "Package:"))) {
        keep_word(r->name, v);
    } else if ((v = value_of(line, "V:")) || (v = value_of(line, "Version:"))) {
        keep_word(r->version, v);
    } else if ((v = value_of(line, "Status:"))) {
        const char *state = strrchr(v, ' ');
        r->absent = !state || !str_eq(state + 1, "installed");
    }
    return !runs_on(l);
}

static const char *database(const struct look *l)
{
    static const char places[] = "/usr/lib/opkg/status\0/var/lib/opkg/status\0/lib/apk/db/installed\0"
                                 "/usr/lib/apk/db/installed\0/var/lib/dpkg/status\0";
    unsigned i = 0;

    if (l->s->database)
        return l->s->database;
    while (*word_at(places, i + 1) && access(word_at(places, i), F_OK) < 0)
        i++;
    return word_at(places, i);
}

static void each(struct look *l, enum source source)
{
    struct record r = {.l = l};

    if (source == FILES) {
        each_file(l);
    } else if (source == MODULES) {
        if (access(proc_modules, F_OK) == 0) /* a kernel without modules lacks nothing */
            emitter_lines(l->e, proc_modules, take_module, l);
    } else if (emitter_lines(l->e, database(l), take_package, &r) == 0) {
        take_package(&r, "", 0); /* the last record need not end with an empty line */
    }
}

static void each_source(struct look *l, void (*step)(struct look *l, enum source source))
{
    for (unsigned source = FILES; source < SOURCES && runs_on(l); source++)
        if (l->sources >> source & 1)
            step(l, source);
}

/* ---- Writing ---- */

/** In the buffer of an event's data: what was written last, and the next in order that was found. */
struct choice {
    char last[FILE_PATH_MAX], next[FILE_PATH_MAX], version[NAME_BYTES];
    bool link;
};

static void choose(struct look *l, const char *name, const char *version, bool link)
{
    struct choice *c = (void *)l->installed;

    if (strcmp(name, c->last) <= 0 || (c->next[0] && strcmp(name, c->next) >= 0))
        return;
    memcpy(c->next, name, strlen(name) + 1);
    c->link = link;
    if (version)
        memcpy(c->version, version, strlen(version) + 1);
}

static void write_next(struct look *l, const struct choice *c, enum source source)
{
    char hex[DIGEST_HEX + 1];
    const char *value = c->version;

    if (source != PACKAGES) {
        value = hex;
        if (digest(l, c->next, c->link, (struct drift_known){0}, hex) < 0) {
            emitter_not_measured(l->e, c->next, ERRNO(errno));
            return;
        }
    }
    manifest_put(l->e, c->link ? "#link " : "", value, c->next);
}

/** In order, so that two of them can be compared: the next is looked for again and again, which needs no memory. */
static void write_source(struct look *l, enum source source)
{
    struct choice *c = (void *)l->installed;

    memset(c, 0, sizeof *c);
    do {
        c->next[0] = '\0';
        each(l, source);
        if (c->next[0] && runs_on(l))
            write_next(l, c, source);
        memcpy(c->last, c->next, sizeof c->last);
    } while (c->next[0] && runs_on(l));
}

/* ---- Comparing ---- */

static void add_installed(struct look *l, const char *name, const char *version, bool link)
{
    (void)link;
    if (l->installed_count == (CONFIG_EVENT_BYTES - sizeof(uint32_t)) / sizeof *l->installed) {
        emitter_not_measured(l->e, NULL, HINTED("too many packages", " (CONFIG_EVENT_BYTES)"));
        return;
    }
    l->installed[l->installed_count++] = (struct drift_known){
        name_hash(l, name), hash_bytes(HASH_START, version, strlen(version)) & ~(uint32_t)FLAGS};
}

/** All of that name: dpkg has one for each architecture, of the same version. */
static void check_package(struct look *l, const struct manifest_line *line)
{
    const uint32_t name = name_hash(l, line->name),
                   version = hash_bytes(HASH_START, line->value.ptr, line->value.len) & ~(uint32_t)FLAGS;
    bool there = false, differs = false;

    for (unsigned i = 0; i < l->installed_count; i++) {
        struct drift_known *k = &l->installed[i];
        if (k->name != name)
            continue;
        there = true;
        differs |= (k->print & ~(uint32_t)FLAGS) != version;
        k->print |= SEEN;
    }
    if (!there || differs) {
        drift_note(l->e, l->d, there ? DRIFT_CHANGED : DRIFT_MISSING, line->name);
        l->packages_differ++;
    }
}

/** Is it there, and as it is declared? Return: 0, or errno. */
static int check_file(struct look *l, const struct manifest_line *line, struct drift_known *k)
{
    char buf[NAME_BYTES], hex[DIGEST_HEX + 1];
    const char *path = is_module(line->name) ? module_file(buf, line->name, "coresize") : line->name;
    struct stat s;

    k->print |= SEEN;
    if ((line->link ? lstat(path, &s) : stat(path, &s)) < 0)
        return errno;
    l->seen = file_print(&s);
    const uint32_t print = print_of(l->seen, line->value) | SEEN;
    bool same = k->print & SAME;
    if (!(line->link ? S_ISLNK(s.st_mode) : S_ISREG(s.st_mode))) {
        same = false;
    } else if (print != (k->print & ~(uint32_t)SAME)) {
        int done = digest(l, line->name, line->link, (struct drift_known){k->name, print}, hex);
        if (done < 0)
            return errno;
        l->pending = done == 0;
        if (l->pending)
            return 0;
        same = line->value.len == DIGEST_HEX && memcmp(hex, line->value.ptr, DIGEST_HEX) == 0;
        /* What is written within the same tick of the clock would not show: it is read once more. */
        const int64_t age = clock_unix(emitter_clock(l->e)) - (int64_t)s.st_ctim.tv_sec;
        if (age < 0 || age > TICK_S)
            k->print = print | same;
    }
    if (!same)
        drift_note(l->e, l->d, DRIFT_CHANGED, line->name);
    return 0;
}

static int check_line(void *arg, const struct manifest_line *line)
{
    struct look *l = arg;

    if (line->name[0] != '/' && !is_module(line->name) && l->s->packages) {
        if (l->sources >> PACKAGES)
            check_package(l, line);
        return 0;
    }
    if (line->name[0] != '/' && !(is_module(line->name) && l->s->modules)) {
        emitter_not_measured(l->e, line->name, "not an absolute path");
        return 1;
    }
    struct drift_known *k = remember(l, line->name);
    if (!k)
        return 1;
    if (k->print & SEEN) {
        emitter_not_measured(l->e, line->name, "listed twice");
        return 1;
    }
    const int error = check_file(l, line, k);
    if (error == ENOENT || error == ENOTDIR || error == ELOOP)
        drift_note(l->e, l->d, DRIFT_MISSING, line->name);
    else if (error)
        emitter_not_measured(l->e, line->name, ERRNO(error));
    return l->pending;
}

static void find_extra(struct look *l, const char *name, const char *version, bool link)
{
    const uint32_t hash = name_hash(l, name);
    const struct drift_known *k = version ? find(l->installed, l->installed_count, hash)
                                          : find(l->m->known, l->m->count, hash);

    (void)link;
    if (k && (k->print & SEEN))
        return;
    drift_note(l->e, l->d, DRIFT_EXTRA, name);
    l->packages_differ += version != NULL;
}

/** While neither the manifest nor the database changes, packages that were the same still are. Return: their print; 0: one
 * is not there. */
static uint32_t print_packages(const struct look *l)
{
    struct stat a, b;

    if (stat(l->s->manifest, &a) < 0 || stat(database(l), &b) < 0)
        return 0;
    return (file_print(&a) * 31 + file_print(&b)) | 1;
}

static void compare(struct look *l)
{
    const uint32_t print = l->s->packages ? print_packages(l) : 0;

    if (print && print == l->s->same)
        l->sources &= ~(1u << PACKAGES);
    if (l->sources >> PACKAGES) {
        l->take = add_installed;
        each(l, PACKAGES);
    }
    if (runs_on(l))
        manifest_lines(l->e, l->s->manifest, check_line, l);
    l->take = find_extra;
    each_source(l, each);
    if (runs_on(l))
        l->s->same = l->packages_differ ? 0 : print;
}

static void begin(struct look *l)
{
    const size_t unit = _Alignof(struct drift_known);
    const uintptr_t room = (uintptr_t)l->e->owner->pipeline->data_buf;
    uint64_t (*random_below)(uint64_t) = l->e->owner->random_below;

    l->m = l->e->owner->drift;
    l->owner = (unsigned char)l->e->class->name[0] & FLAGS; /* their names begin with c, m and p */
    l->sources = 1u << FILES | (unsigned)l->s->modules << MODULES | (unsigned)l->s->packages << PACKAGES;
    l->once = emitter_once(l->e);
    l->left = SLICE;
    l->installed = (void *)((room + unit - 1) / unit * unit);
    if (!l->m->seed)
        l->m->seed = random_below ? (uint32_t)random_below(UINT32_MAX) | 1 : HASH_START;
}

bool drift_look(struct emitter *e, struct drift_sensor *s, struct drift *d)
{
    struct look l = {.e = e, .s = s, .d = d};

    begin(&l);
    drift_begin(d);
    if (emitter_task(e) == MANIFEST_WRITE) {
        if (s->count == 0 && !s->packages && !s->modules)
            return emitter_not_measured(e, NULL, "no paths are configured");
        l.take = choose;
        each_source(&l, write_source);
        return false;
    }
    if (!s->manifest)
        return emitter_not_measured(e, NULL, "no manifest is configured");
    compare(&l);
    sweep(&l, runs_on(&l), true);
    if (l.pending) {
        emitter_not_measured(e, s->manifest, "files are being read");
        emitter_soon(e, PAUSE_MS);
        return false;
    }
    return !e->why[0] || drift_total(d) > 0;
}

void drift_end(struct emitter *e, struct json_writer *w, const struct drift_sensor *s, const struct drift *d)
{
    if (s->manifest) {
        json_put_string(w, "manifest", s->manifest);
        drift_put(w, d);
    }
    emit_end(e);
}

/* ---- Configuration ---- */

static const struct field_list path_list = {
    .count = offsetof(struct drift_sensor, count),
    .cap = CONFIG_DRIFT_PATHS,
    .remedy = FIELD_HELP("; raise CONFIG_DRIFT_PATHS"),
};

const struct field drift_fields[] = {
    {.name = "database", .type = FIELD_STRING, FIELD_AT(struct drift_sensor, database), .min = 2, .max = 255},
    {FIELD_DEFAULT("packages", "true"), .type = FIELD_BOOL, FIELD_AT(struct drift_sensor, packages)},
    {.name = "manifest", .type = FIELD_STRING, FIELD_AT(struct drift_sensor, manifest), .min = 2, .max = 255,
     .required = 1},
    {.name = "paths", .type = FIELD_LIST, FIELD_AT(struct drift_sensor, paths), .list = &path_list},
    {.name = NULL},
};

int drift_open(void *state, struct config *c, const struct node *n, const char *where)
{
    const struct drift_sensor *s = state;
    const char *manifest = s->manifest;
    struct stat st;

    for (unsigned i = 0; i < s->count + 2; i++) {
        const char *path = i < s->count ? s->paths[i] : i == s->count ? manifest : s->database;
        if (path && path[0] != '/')
            config_error(c, n, where, "path \"", path, "\" is not absolute", NULL);
    }
    if (manifest && stat(manifest, &st) == 0 && S_ISREG(st.st_mode) &&
             (st.st_mode & (S_IWGRP | S_IWOTH)))
        config_warn(c, n, where, "others can write to ", manifest, "; chmod go-w", NULL);
    return 0;
}
