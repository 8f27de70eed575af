/* src/sys/path.c beside the kernel and beside GNU realpath, and while somebody changes the tree. */
#include "nefia/sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "check.h"
#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/base/text.h"
#include "tempdir.h"

enum { NOBODY = 65534, NO_SYMLINKS = 256 /* MS_NOSYMFOLLOW */ };

static char in_memory[] = "/dev/shm/nefia-path-XXXXXX", on_disk[] = "/tmp/nefia-path-XXXXXX";
static char root[64]; /* canonical */
static struct path path;

/* ---- the tree changes at the n-th look at it ---- */

static unsigned looks, change_at;
static void (*change)(void);

static void looked(void)
{
    if (++looks == change_at && change)
        change();
}

int lstat(const char *restrict name, struct stat *restrict st)
{
    looked();
    return fstatat(AT_FDCWD, name, st, AT_SYMLINK_NOFOLLOW);
}

ssize_t readlink(const char *restrict name, char *restrict to, size_t cap)
{
    looked();
    return readlinkat(AT_FDCWD, name, to, cap);
}

int openat(int dir, const char *name, int flags, ...)
{
    looked();
    return (int)syscall(SYS_openat, dir, name, flags | O_LARGEFILE, 0600);
}

/* ---- a tree ---- */

static void begin(void)
{
    if (root[0])
        return;
    char canonical[PATH_MAX];
    char *dir = make_tempdir(in_memory, on_disk);

    REQUIRE(dir && chmod(dir, 0755) == 0);
    REQUIRE(realpath(dir, canonical) && strlen(canonical) < sizeof root);
    memcpy(root, canonical, strlen(canonical) + 1);
}

static const char *at(const char *name)
{
    static char names[8][2 * FILE_PATH_MAX];
    static unsigned i;

    i = (i + 1) % ARRAY_SIZE(names);
    snprintf(names[i], sizeof names[i], "%s/%s", root, name);
    return names[i];
}

static void make_dir(const char *name)
{
    CHECK(mkdir(at(name), 0755) == 0 || errno == EEXIST);
}

static void make_file(const char *name)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    CHECK(fd >= 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name));
    close(fd);
}

static void make_link(const char *to, const char *name)
{
    CHECK(symlink(to, at(name)) == 0);
}

static void exchange(const char *a, const char *b)
{
    char spare[FILE_PATH_MAX];

    if (syscall(SYS_renameat2, AT_FDCWD, at(a), AT_FDCWD, at(b), 2 /* RENAME_EXCHANGE */) == 0)
        return;
    snprintf(spare, sizeof spare, "%s/spare", root);
    if (rename(at(a), spare) < 0 || rename(at(b), at(a)) < 0 || rename(spare, at(b)) < 0)
        _exit(3);
}

/** The names of descriptors are given out again, unless some stay open. */
static int next_fd(void)
{
    int fd = dup(STDOUT_FILENO);

    close(fd);
    return fd;
}

static void resolves(const char *given, const char *want)
{
    const int before = next_fd();

    CHECK_INT(path_resolve(&path, given), 0);
    CHECK_STR(path.text, want);
    CHECK(path.why == NULL && path.dir >= 0);
    path_close(&path);
    path_close(&path);
    CHECK_INT(next_fd(), before);
}

static void refuses(const char *given, int err, const char *why)
{
    const int before = next_fd();

    CHECK_INT(path_resolve(&path, given), err);
    CHECK_INT(path.dir, -1);
    CHECK_INT(next_fd(), before);
    CHECK(path.why && strstr(path.why, why));
}

static void fails(const char *given, int error)
{
    errno = 0;
    CHECK_INT(path_resolve(&path, given), NEFIA_EIO);
    CHECK_INT(errno, error);
    CHECK_INT(path.dir, -1);
}

static const char *content(int fd)
{
    static char buf[64];
    ssize_t n = fd < 0 ? -1 : pread(fd, buf, sizeof buf - 1, 0);

    buf[n < 0 ? 0 : n] = '\0';
    return n < 0 ? "(nothing)" : buf;
}

static void opens(const char *given, const char *want)
{
    CHECK_INT(path_resolve(&path, given), 0);
    int fd = path_open(&path, O_RDONLY, 0);
    CHECK_STR(content(fd), want);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    path_close(&path);
}

/* ---- what a path means ---- */

TEST(names)
{
    begin();
    make_dir("dir");
    make_dir("dir/sub");
    make_file("dir/file");
    resolves("/", "/");
    resolves("//", "/");
    resolves("/..", "/");
    resolves("/../.././", "/");
    resolves(root, root);
    resolves(at("."), root);
    resolves(at("dir/sub/.././/sub//"), at("dir/sub"));
    resolves(at("dir/sub/../.."), root);
    resolves(at("dir/file"), at("dir/file"));
    opens(at("dir/sub/../file"), "dir/file");
    fails(at("dir/file/"), ENOTDIR);
    fails(at("dir/file/."), ENOTDIR);
    fails(at("dir/file/.."), ENOTDIR);
    fails(at("dir/file/x"), ENOTDIR);
    refuses("", NEFIA_EINVAL, "not absolute");
    refuses("dir/file", NEFIA_EINVAL, "not absolute");
    refuses("./dir", NEFIA_EINVAL, "not absolute");
    refuses("~/dir", NEFIA_EINVAL, "not absolute");
}

TEST(directories)
{
    struct stat held, st;
    int fd;

    begin();
    make_dir("dir");
    CHECK_INT(path_resolve(&path, at("dir/")), 0);
    CHECK(path.directory && !path.missing);
    CHECK_STR(path.text + path.name_at, "dir");
    CHECK(fstat(path.dir, &held) == 0 && stat(root, &st) == 0 && held.st_ino == st.st_ino);
    fd = path_open(&path, O_RDONLY | O_DIRECTORY, 0);
    CHECK(fstat(fd, &held) == 0 && stat(at("dir"), &st) == 0 && held.st_ino == st.st_ino);
    close(fd);
    errno = 0;
    CHECK_INT(path_open(&path, O_RDWR | O_CREAT, 0600), NEFIA_EIO);
    CHECK_INT(errno, EISDIR);
    path_close(&path);

    CHECK_INT(path_resolve(&path, "/"), 0);
    CHECK_STR(path.text + path.name_at, "");
    fd = path_open(&path, O_RDONLY | O_DIRECTORY, 0);
    CHECK(fstat(fd, &held) == 0 && stat("/", &st) == 0 && held.st_ino == st.st_ino);
    close(fd);
    CHECK_INT(path_open(&path, O_PATH, 0), NEFIA_EINVAL);
    path_close(&path);
}

TEST(symbolic_links)
{
    char far[FILE_PATH_MAX];

    begin();
    make_dir("links");
    make_dir("links/a");
    make_dir("links/b");
    make_dir("links/b/inner");
    make_file("links/b/file");
    make_link("../b/inner", "links/a/in");
    make_link("a/in/", "links/slash");
    make_link("../b/file", "links/a/file");
    snprintf(far, sizeof far, "%s/links/b//./inner/..", root);
    make_link(far, "links/far");
    make_link("/", "links/top");
    make_link("../../../../../../../../../..", "links/up");
    opens(at("links/a/file"), "links/b/file");
    resolves(at("links/a/in"), at("links/b/inner"));
    resolves(at("links/a/in/.."), at("links/b")); /* not links/a, as the text has it */
    opens(at("links/a/in/../file"), "links/b/file");
    opens(at("links/slash/../file"), "links/b/file");
    opens(at("links/far/file"), "links/b/file");
    resolves(at("links/top"), "/");
    resolves(at("links/up"), "/");
    fails(at("links/a/file/"), ENOTDIR);
    make_link("b/file/", "links/odd");
    fails(at("links/odd"), ENOTDIR);
}

/** Links n, n - 1 … 1, 0 in a row, the last of them to a file. */
static void make_chain(unsigned n)
{
    char name[16], to[16] = "file";

    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof name, "chain/%u", i);
        make_link(to, name);
        snprintf(to, sizeof to, "%u", i);
    }
}

TEST(at_most_forty_links)
{
    begin();
    make_dir("chain");
    make_file("chain/file");
    make_chain(42);
    opens(at("chain/39"), "chain/file"); /* as the kernel does */
    int fd = open(at("chain/39"), O_RDONLY | O_CLOEXEC);
    CHECK_STR(content(fd), "chain/file");
    close(fd);
    refuses(at("chain/40"), NEFIA_EDEPTH, "40 symbolic links");
    CHECK(open(at("chain/40"), O_RDONLY | O_CLOEXEC) < 0 && errno == ELOOP);
    make_link("loop", "chain/loop");
    refuses(at("chain/loop"), NEFIA_EDEPTH, "links");
    make_link("b/x", "chain/a");
    make_link("a/x", "chain/b");
    refuses(at("chain/a"), NEFIA_EDEPTH, "links");
    make_link("grow/grow/grow", "chain/grow"); /* its text grows with each */
    refuses(at("chain/grow"), NEFIA_EDEPTH, "links");
}

static void creates(const char *given, const char *want)
{
    struct stat made, st;

    CHECK_INT(path_resolve(&path, given), 0);
    CHECK_STR(path.text, want);
    CHECK(path.missing && !path.directory);
    CHECK_INT(path_open(&path, O_RDONLY, 0), NEFIA_ENOTFOUND);
    int fd = path_open(&path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fstat(fd, &made) == 0 && stat(want, &st) == 0 && made.st_ino == st.st_ino);
    close(fd);
    path_close(&path);
    CHECK_INT(unlink(want), 0);
}

/** Nothing can be made there, and nothing is. */
static void only_names(const char *given, const char *want, int err)
{
    resolves(given, want);
    CHECK(path.missing);
    CHECK_INT(path_resolve(&path, given), 0);
    CHECK_INT(path_open(&path, O_WRONLY | O_CREAT, 0600), err);
    CHECK(path.why != NULL);
    path_close(&path);
    CHECK(access(want, F_OK) < 0);
}

TEST(missing_tails)
{
    begin();
    make_dir("tail");
    make_dir("tail/real");
    make_link("real/new", "tail/dangling");
    make_link("nowhere/new", "tail/lost");
    creates(at("tail/new"), at("tail/new"));
    creates(at("tail/./real/..//new"), at("tail/new"));
    creates(at("tail/dangling"), at("tail/real/new"));
    only_names(at("tail/new/"), at("tail/new"), NEFIA_EIO);
    only_names(at("tail/new/."), at("tail/new"), NEFIA_EIO);
    only_names(at("tail/x/y/z"), at("tail/x/y/z"), NEFIA_ENOTFOUND);
    only_names(at("tail/x//./y"), at("tail/x/y"), NEFIA_ENOTFOUND);
    only_names(at("tail/lost"), at("tail/nowhere/new"), NEFIA_ENOTFOUND);
    only_names(at("tail/dangling/x"), at("tail/real/new/x"), NEFIA_ENOTFOUND);
    refuses(at("tail/x/.."), NEFIA_EINVAL, "\"..\" behind");
    refuses(at("tail/x/../real"), NEFIA_EINVAL, "\"..\" behind");
    refuses(at("tail/dangling/../file"), NEFIA_EINVAL, "\"..\" behind");
}

/** Add to s until it has len bytes. */
static void pad(char *s, char with, size_t len)
{
    size_t n = strlen(s);

    for (; n < len; n++)
        s[n] = with;
    s[n] = '\0';
}

TEST(bounds)
{
    char given[FILE_PATH_MAX + 8], want[FILE_PATH_MAX] = "", name[FILE_PATH_MAX];

    begin();
    make_dir("bound");
    given[0] = '\0';
    pad(given, '/', FILE_PATH_MAX - 1);
    resolves(given, "/");
    pad(given, '/', FILE_PATH_MAX);
    refuses(given, NEFIA_ETOOBIG, "too long");
    /* The longest name there can be, through a link, and one byte more. */
    snprintf(want, sizeof want, "%s", at("bound"));
    while (strlen(want) < FILE_PATH_MAX - 100) {
        pad(want, '/', strlen(want) + 1);
        pad(want, 'd', strlen(want) + 60);
        REQUIRE(mkdir(want, 0755) == 0);
    }
    make_link(want, "bound/l");
    pad(want, '/', strlen(want) + 1);
    const size_t begins = strlen(want);
    pad(want, 'x', FILE_PATH_MAX - 1);
    creates(want, want);
    snprintf(name, sizeof name, "%s", want + begins);
    snprintf(given, sizeof given, "%s/%s", at("bound/l"), name);
    creates(given, want);
    pad(given, 'y', strlen(given) + 1);
    refuses(given, NEFIA_ETOOBIG, "too long");
    /* A name longer than a file system has is its error; where nothing is looked up, it is text. */
    snprintf(given, sizeof given, "%s", at(""));
    pad(given, 'n', strlen(given) + 256);
    fails(given, ENAMETOOLONG);
    snprintf(given, sizeof given, "%s", at("m/"));
    pad(given, 'n', strlen(given) + 256);
    only_names(given, given, NEFIA_ENOTFOUND);
}

TEST(links_that_are_too_long)
{
    char to[2 * FILE_PATH_MAX + 8] = "..", name[32];

    begin();
    make_dir("wide");
    make_dir("wide/d");
    for (size_t len = FILE_PATH_MAX - 4; len < 2 * FILE_PATH_MAX + 4; len++) {
        pad(to, '/', len);
        snprintf(name, sizeof name, "wide/d/%zu", len);
        make_link(to, name);
        if (len < 2 * FILE_PATH_MAX - 1)
            resolves(at(name), at("wide"));
        else
            refuses(at(name), NEFIA_ETOOBIG, "too long");
        snprintf(name, sizeof name, "wide/d/%zu/1234567", len);
        if (len < 2 * FILE_PATH_MAX - 1 - 8)
            resolves(at(name), at("wide/1234567"));
        else
            refuses(at(name), NEFIA_ETOOBIG, "too long");
    }
}

TEST(any_bytes)
{
    begin();
    make_dir("b\xff\xc3");
    make_file("b\xff\xc3/\n\x01 '$(x)");
    make_link("b\xff\xc3", "\xe2\x80\xae");
    opens(at("\xe2\x80\xae/\n\x01 '$(x)"), "b\xff\xc3/\n\x01 '$(x)");
    resolves(at("\xe2\x80\xae/..."), at("b\xff\xc3/..."));
    resolves(at("\xe2\x80\xae/.\x80."), at("b\xff\xc3/.\x80."));
    resolves(at(" /. ./.. "), at(" /. ./.. "));
}

/* ---- what is refused although the kernel would follow it ---- */

TEST(links_of_proc)
{
    char want[FILE_PATH_MAX], given[64];

    begin();
    if (access("/proc/self/status", F_OK) < 0) {
        check_puts("skip: no /proc\n");
        return;
    }
    refuses("/proc/self/root/etc/passwd", NEFIA_EINVAL, "/proc");
    refuses("/proc/self/root", NEFIA_EINVAL, "/proc");
    refuses("/proc/self/cwd/x", NEFIA_EINVAL, "/proc");
    refuses("/proc/self/exe", NEFIA_EINVAL, "/proc");
    refuses("/proc/self/ns/net", NEFIA_EINVAL, "/proc");
    refuses("/proc/thread-self/cwd", NEFIA_EINVAL, "/proc");
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(given, sizeof given, "/proc/%d/fd/%d/x", (int)getpid(), fd);
    refuses(given, NEFIA_EINVAL, "/proc");
    snprintf(given, sizeof given, "/proc/self/task/%d/fd/%d", (int)getpid(), fd);
    refuses(given, NEFIA_EINVAL, "/proc");
    close(fd);
    if (access("/dev/fd/0", F_OK) == 0)
        refuses("/dev/fd/0", NEFIA_EINVAL, "/proc");
    make_link("/proc/self/cwd", "cwd");
    refuses(at("cwd/x"), NEFIA_EINVAL, "/proc");
    /* These are names. */
    snprintf(want, sizeof want, "/proc/%d/status", (int)getpid());
    resolves("/proc/self/status", want);
    snprintf(want, sizeof want, "/proc/%d/mounts", (int)getpid());
    resolves("/proc/mounts", want);
    resolves("/proc/self/../self/mounts", want);
}

TEST(links_in_directories_that_all_write_to)
{
    begin();
    make_dir("sticky");
    make_file("sticky-file");
    CHECK_INT(chmod(at("sticky"), 01777), 0);
    make_link("../sticky-file", "sticky/ours");
    opens(at("sticky/ours"), "sticky-file");
    if (geteuid() != 0) {
        check_puts("skip: another user's symbolic link, which needs root\n");
        return;
    }
    make_link("../sticky-file", "sticky/theirs");
    CHECK_INT(lchown(at("sticky/theirs"), NOBODY, NOBODY), 0);
    refuses(at("sticky/theirs"), NEFIA_EINVAL, "another user's");
    CHECK_INT(chmod(at("sticky"), 0777), 0); /* the kernel's rule is of the sticky bit */
    opens(at("sticky/theirs"), "sticky-file");
    CHECK_INT(chmod(at("sticky"), 01777), 0);
    CHECK_INT(chown(at("sticky"), NOBODY, NOBODY), 0);
    opens(at("sticky/theirs"), "sticky-file"); /* the directory's owner's */
}

/** In a child, as root: mount, chroot, another user. Its exit status; 2: it cannot. */
static void in_child(const char *what, int (*run)(void))
{
    int status = 2 << 8;
    const pid_t child = fork();

    if (child == 0) {
        const int could = geteuid() == 0 ? run() : -1;
        _exit(could < 0 ? 2 : check_failures > 0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        check_puts("skip: ");
        check_puts(what);
        check_puts(", which needs root\n");
        return;
    }
    CHECK_INT(status, 0);
}

static int without_links(void)
{
    make_dir("mnt");
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", at("mnt"), "tmpfs", NO_SYMLINKS, NULL) < 0)
        return -1;
    make_file("mnt/file");
    make_link("file", "mnt/link");
    if (open(at("mnt/link"), O_RDONLY | O_CLOEXEC) >= 0)
        return -1; /* a kernel before 5.10 */
    opens(at("mnt/file"), "mnt/file");
    refuses(at("mnt/link"), NEFIA_EINVAL, "forbids");
    return 0;
}

/** A part of /proc, mounted elsewhere. */
static int with_proc(void)
{
    char here[64];

    make_dir("proc");
    snprintf(here, sizeof here, "/proc/%d", (int)getpid());
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(here, at("proc"), NULL, MS_BIND, NULL) < 0)
        return -1;
    refuses(at("proc/root/etc"), NEFIA_EINVAL, "/proc");
    resolves(at("proc/status"), at("proc/status"));
    return 0;
}

static int with_another_root(void)
{
    make_dir("jail");
    make_dir("jail/d");
    make_file("jail/d/file");
    make_link("/d/file", "jail/link");
    if (chroot(at("jail")) < 0)
        return -1;
    opens("/link", "jail/d/file");
    resolves("/../../d/..", "/");
    return 0;
}

static int as_nobody(void)
{
    make_dir("closed");
    make_dir("closed/d");
    make_file("closed/d/file");
    make_link("closed/d/file", "to-closed");
    CHECK_INT(chmod(at("closed"), 0744), 0);
    if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
        return -1;
    resolves(at("closed"), at("closed"));
    fails(at("closed/d"), EACCES);
    fails(at("closed/new"), EACCES);
    fails(at("closed/d/../../dir"), EACCES);
    fails(at("to-closed"), EACCES);
    return 0;
}

TEST(where_links_are_forbidden)
{
    begin();
    in_child("a mount without symbolic links", without_links);
}

TEST(links_of_proc_elsewhere)
{
    begin();
    in_child("a part of /proc mounted elsewhere", with_proc);
}

TEST(in_another_root)
{
    begin();
    in_child("another root", with_another_root);
}

TEST(without_search_permission)
{
    begin();
    in_child("another user", as_nobody);
}

/* ---- beside the kernel, and beside realpath -m ---- */

static uint64_t seed = 20260310;

static unsigned below(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

/* The links are l0 to l7; m is missing. */
static const char *const parts[] = {"a", "a", "a", "a", "b", "b", "b", "c", "c", "f", "m", ".", "..", "..", "",
                                    "l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7"};

/** a/b/l3/../c/ … Return: its length. */
static size_t make_path(char *to, size_t cap, unsigned most)
{
    size_t len = 0;

    *to = '\0';
    for (unsigned n = 1 + below(most); n > 0; n--) {
        const char *part = parts[below(ARRAY_SIZE(parts))];
        len += (size_t)snprintf(to + len, cap - len, "%s%s", part, n > 1 || below(6) == 0 ? "/" : "");
    }
    return len;
}

static void make_random_links(const char *dir)
{
    char name[128], to[256], text[128];

    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "%s/l%u", dir, i);
        do
            make_path(text, sizeof text, 3);
        while (!text[0]);
        const bool absolute = below(4) == 0;
        snprintf(to, sizeof to, "%s%s%s", absolute ? root : "", absolute ? "/tree/" : "", text);
        make_link(to, name);
    }
}

/** A directory with a file, eight links, and three of its kind as deep as `depth` says. */
static void make_tree(const char *name, unsigned depth)
{
    char below_it[64];

    make_dir(name);
    snprintf(below_it, sizeof below_it, "%s/f", name);
    make_file(below_it);
    make_random_links(name);
    for (const char *c = "abc"; depth > 0 && *c; c++) {
        snprintf(below_it, sizeof below_it, "%s/%c", name, *c);
        make_tree(below_it, depth - 1);
    }
}

/** Where the kernel says that a descriptor is. */
static const char *place(int fd)
{
    static char to[2 * FILE_PATH_MAX];
    char name[64];

    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlinkat(AT_FDCWD, name, to, sizeof to - 1);
    to[n < 0 ? 0 : n] = '\0';
    return to;
}

static bool same_file(int a, int b)
{
    struct stat one, other;

    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static void report(const char *before, unsigned n)
{
    check_puts(before);
    check_putn(n);
}

static unsigned found, made, named, refused;

/** There is something: ours must be the same. */
static void compare_found(int theirs)
{
    int ours = path_open(&path, O_RDONLY | O_NONBLOCK, 0);

    found++;
    CHECK(!path.missing && same_file(ours, theirs));
    CHECK_STR(path.text, place(theirs));
    close(ours);
}

/** There is nothing: what is made through the path must be made by us where we said. */
static void compare_made(const char *given)
{
    CHECK(path.missing);
    if (strncmp(path.text, root, strlen(root)) != 0)
        return; /* further up nothing is made */
    int theirs = open(given, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (theirs < 0) {
        named++;
        CHECK(path_open(&path, O_RDWR | O_CREAT, 0600) < 0);
        return;
    }
    int ours = path_open(&path, O_RDWR | O_CREAT, 0600);
    made++;
    CHECK(same_file(ours, theirs));
    CHECK_STR(path.text, place(theirs));
    CHECK_INT(unlink(path.text), 0);
    close(ours);
    close(theirs);
}

/** Return: whether it is resolved. */
static bool compare(const char *given)
{
    int theirs = open(given, O_PATH | O_CLOEXEC);
    const int error = errno, err = path_resolve(&path, given), ours = errno;

    if (err < 0) {
        CHECK(err != NEFIA_ETOOBIG && err != NEFIA_EAGAIN);
        refused++;
        CHECK(theirs < 0);
        CHECK_INT(error, err == NEFIA_EINVAL ? ENOENT : err == NEFIA_EDEPTH ? ELOOP : ours);
        close(theirs);
        return false;
    }
    if (theirs >= 0)
        compare_found(theirs);
    else
        compare_made(given);
    CHECK(theirs >= 0 || error == ENOENT);
    close(theirs);
    path_close(&path);
    return true;
}

/** realpath -m of all in the file `given`, beside the file `ours`. Return: as of the shell; 77: there is no such program. */
static int ask_realpath(void)
{
    static const char script[] = "realpath -m / >/dev/null 2>&1 || exit 77\n"
                                 "xargs -0 realpath -m -z -- <\"$0/given\" >\"$0/theirs\" && cmp \"$0/ours\" \"$0/theirs\"";
    int status = -1;
    const pid_t child = fork();

    if (child == 0) {
        execl("/bin/sh", "sh", "-c", script, root, (char *)NULL);
        _exit(127);
    }
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(beside_the_kernel_and_realpath)
{
    char given[FILE_PATH_MAX], text[256];

    begin();
    make_tree("tree", 3);
    int asked = open(at("given"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int ours = open(at("ours"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(asked >= 0 && ours >= 0);
    for (unsigned i = 0; i < 6000 && check_failures < 10; i++) {
        make_path(text, sizeof text, 8);
        snprintf(given, sizeof given, "%s/tree/%s", root, text);
        const unsigned before = check_failures;
        if (compare(given)) {
            CHECK_INT(write(asked, given, strlen(given) + 1), strlen(given) + 1);
            CHECK_INT(write(ours, path.text, strlen(path.text) + 1), strlen(path.text) + 1);
        }
        if (check_failures > before) {
            check_puts(given);
            check_puts("\n");
        }
    }
    close(asked);
    close(ours);
    report("found ", found);
    report(", made ", made);
    report(", only named ", named);
    report(", refused ", refused);
    check_puts("\n");
    CHECK(found > 500 && made > 100 && named > 100 && refused > 500);
    if (check_failures > 0)
        return; /* which it may not come to an end of */
    const int status = ask_realpath();
    if (status == 77)
        check_puts("skip: comparing with realpath -m, which is not here\n");
    else
        CHECK_INT(status, 0);
}

/* ---- while somebody changes it ---- */

/* in, out, in/sub and out/sub are directories with a file f each. What stands at a name and at its other name is exchanged. */
static const char *one, *other;

static void swap(void)
{
    exchange(one, other);
}

static void go_or_come(void)
{
    CHECK(rename(at(one), at(other)) == 0 || rename(at(other), at(one)) == 0);
}

static void make_race(void)
{
    make_dir("race");
    make_dir("race/in");
    make_dir("race/in/sub");
    make_dir("race/out");
    make_dir("race/out/sub");
    make_file("race/in/f");
    make_file("race/out/f");
    make_file("race/in/sub/f");
    make_file("race/out/sub/f");
    make_link("out", "race/in.other");
    make_link("../out/sub", "race/in/sub.other");
    make_link("../out/f", "race/in/f.other");
    make_link("in", "race/l");
    make_link("out", "race/l.other");
}

/** What was opened is what the judged text names: its content is its name. */
static bool is_judged(int fd)
{
    return strcmp(content(fd), path.text + strlen(root) + 1) == 0;
}

/** Change the tree at every look, one at a time. Return: how many of them were noticed. */
static unsigned at_every_look(const char *given, void (*how)(void), const char *a, const char *b)
{
    unsigned noticed = 0;

    one = a;
    other = b;
    for (change_at = 1;; change_at++) {
        looks = 0;
        change = how;
        const int err = path_resolve(&path, at(given));
        const int fd = err == 0 ? path_open(&path, O_RDONLY, 0) : err;
        change = NULL;
        CHECK(fd < 0 || is_judged(fd));
        CHECK(fd >= 0 || ((fd == NEFIA_EAGAIN || (how == go_or_come && fd == NEFIA_ENOTFOUND)) && path.why));
        CHECK(err < 0 || path.missing || !strchr(path.text + path.name_at, '/'));
        noticed += fd < 0;
        if (fd >= 0)
            close(fd);
        path_close(&path);
        if (looks < change_at)
            return noticed;
        how();
    }
}

TEST(a_change_at_any_moment)
{
    begin();
    make_race();
    CHECK(at_every_look("race/in/f", swap, "race/in", "race/in.other") > 0);
    CHECK(at_every_look("race/in/f", swap, "race/in/f", "race/in/f.other") > 0);
    CHECK(at_every_look("race/in/sub/f", swap, "race/in/sub", "race/in/sub.other") > 0);
    (void)at_every_look("race/in/sub/../f", swap, "race/in/sub", "race/in/sub.other"); /* which no longer matters */
    CHECK(at_every_look("race/in/sub/../f", swap, "race/in", "race/in.other") > 0);
    (void)at_every_look("race/l/f", swap, "race/l", "race/l.other");
    CHECK(at_every_look("race/l/f", swap, "race/in", "race/in.other") > 0);
    CHECK(at_every_look("race/l/sub/f", swap, "race/in/sub", "race/in/sub.other") > 0);
    CHECK(at_every_look("race/in/sub/f", go_or_come, "race/in", "race/away") > 0);
    CHECK(at_every_look("race/in/sub/f", go_or_come, "race/in/sub", "race/in/away") > 0);
    CHECK(at_every_look("race/in/sub/f", go_or_come, "race/in/sub/f", "race/in/sub/away") > 0);
}

TEST(a_file_becomes_a_link)
{
    begin();
    make_dir("later");
    make_file("later/f");
    make_file("later/secret");
    make_link("secret", "later/l");
    CHECK_INT(path_resolve(&path, at("later/f")), 0);
    exchange("later/f", "later/l");
    CHECK_INT(path_open(&path, O_RDONLY, 0), NEFIA_EAGAIN);
    CHECK_STR(path.why, "the path changed while it was resolved");
    exchange("later/f", "later/l");
    int fd = path_open(&path, O_RDONLY, 0);
    CHECK_STR(content(fd), "later/f");
    close(fd);
    path_close(&path);
    /* What was missing comes as a link: nothing is made through it. */
    CHECK_INT(path_resolve(&path, at("later/new")), 0);
    make_link("made", "later/new");
    CHECK_INT(path_open(&path, O_WRONLY | O_CREAT, 0600), NEFIA_EAGAIN);
    path_close(&path);
    CHECK(access(at("later/made"), F_OK) < 0);
    /* Or as a directory's link. */
    CHECK_INT(path_resolve(&path, at("later/x/y")), 0);
    make_link(".", "later/x");
    CHECK_INT(path_open(&path, O_WRONLY | O_CREAT, 0600), NEFIA_ENOTFOUND);
    path_close(&path);
    CHECK(access(at("later/y"), F_OK) < 0);
}

/** Is plain open() after realpath(3) given something other than what was judged? */
static bool fools_realpath(const char *given)
{
    char judged[PATH_MAX];

    if (!realpath(given, judged))
        return false;
    const int fd = open(judged, O_RDONLY | O_CLOEXEC);
    const bool fooled = fd >= 0 && strcmp(content(fd), judged + strlen(root) + 1) != 0;
    if (fd >= 0)
        close(fd);
    return fooled;
}

static unsigned opened, gave_up, fooled;

static void race(const char *name)
{
    char given[FILE_PATH_MAX];

    snprintf(given, sizeof given, "%s", at(name));
    if (path_resolve(&path, given) == 0) {
        const int fd = path_open(&path, O_RDONLY, 0);
        CHECK(fd < 0 || is_judged(fd));
        opened += fd >= 0;
        gave_up += fd < 0;
        if (fd >= 0)
            close(fd);
    } else {
        gave_up++;
        CHECK(path.why != NULL);
    }
    path_close(&path);
    fooled += fools_realpath(given);
}

TEST(a_race)
{
    begin();
    make_dir("race");
    if (access(at("race/in"), F_OK) < 0)
        make_race();
    const pid_t child = fork();
    if (child == 0)
        for (;;) {
            exchange("race/in", "race/in.other");
            exchange("race/in", "race/in.other");
            exchange("race/out/f", "race/in/f.other"); /* a link to itself, for a moment */
            exchange("race/out/f", "race/in/f.other");
        }
    REQUIRE(child > 0);
    for (unsigned i = 0; (i < 5000 || (fooled == 0 && i < 40000)) && check_failures < 10; i++)
        race(i % 2 ? "race/in/f" : "race/in/sub/../f");
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    report("opened ", opened);
    report(", given up ", gave_up);
    report("; open() after realpath() was fooled ", fooled);
    check_puts(fooled ? " times\n" : " times: this machine does not show the race\n");
}

TEST(cleaned_up)
{
    CHECK(!root[0] || remove_tempdir(root));
}

TEST_MAIN(names, directories, symbolic_links, at_most_forty_links, missing_tails, bounds, links_that_are_too_long, any_bytes,
          links_of_proc, links_in_directories_that_all_write_to, links_of_proc_elsewhere, where_links_are_forbidden, in_another_root,
          without_search_permission, beside_the_kernel_and_realpath, a_change_at_any_moment, a_file_becomes_a_link, a_race,
          cleaned_up)
