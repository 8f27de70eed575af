#ifndef NEFIA_SYS_FILE_H
#define NEFIA_SYS_FILE_H

#include <stddef.h>
#include <stdint.h>

/** Small files, read and written whole. All calls block on the disk: for start-up, reload and rare
 * state. */

/** Longest path built here, including its NUL. */
#define FILE_PATH_MAX 512

/** "dir/name" into out, separated by one slash; an empty dir gives just name. Return: 0,
 * NEFIA_ETOOBIG (out is "" then). */
int file_join(char out[FILE_PATH_MAX], const char *dir, const char *name);
/** The name of a file beside another: path and suffix. Return: 0; NEFIA_ETOOBIG (out has its beginning then). */
int file_beside(char out[FILE_PATH_MAX], const char *path, const char *suffix);
/** Open to read, close-on-exec; flags: more of open(2)'s. Return: as open(2). */
int file_open(const char *path, int flags);
/** The same of a regular file, without waiting for a pipe's other end: a device may have no end. Return: the descriptor;
 * NEFIA_EIO (errno); NEFIA_EINVAL: it is something else (errno: EINVAL). */
int file_open_regular(const char *path, int flags);
/** Read at most cap bytes. Return: bytes; NEFIA_ENOTFOUND; NEFIA_EIO (errno); NEFIA_ETOOBIG if the
 * file is longer; NEFIA_EINVAL if it is not a regular file. */
long file_read(const char *path, void *buf, size_t cap);
/** The same with flags of open(2): O_NOFOLLOW where somebody else can write to the directory. To open a device
 * may do something: a watchdog starts. */
long file_read_as(const char *path, void *buf, size_t cap, int flags);
/** Read cap bytes, fewer only where the file ends: from the descriptor's position, or from byte `at`,
 * which leaves that position alone. Return: bytes, or NEFIA_EIO (errno). */
long file_fill(int fd, void *buf, size_t cap);
long file_fill_at(int fd, uint64_t at, void *buf, size_t cap);
/** A number that is another one, but for one chance in 2^31, when the file is: by its device, inode, size and
 * ctime, which tells changes of content and of rights alike and cannot be set back. Never 0. */
struct stat;
uint32_t file_print(const struct stat *s);
/** Replace a file atomically, mode 0600: temporary file beside it, fsync, rename, fsync of the
 * directory. After a power cut either the old or the new content is there. On error the old file
 * stays and the temporary one is removed (if only the last fsync failed with NEFIA_EIO, the new
 * content is there but may not survive a power cut).
 * Return: 0, NEFIA_EIO (errno), NEFIA_ETOOBIG (path). One writer at a time per path. */
int file_write_atomic(const char *path, const void *data, size_t len);

/** The same in steps, for content that is not in memory as a whole. Begin: create an empty
 * temporary file for reading and appending. Return: its descriptor, NEFIA_EIO (errno),
 * NEFIA_ETOOBIG (path). */
int file_replace_begin(const char *path);
/** Append all of it. Return: 0; NEFIA_EIO (errno), after which part of it may have been written. */
int file_append(int fd, const void *data, size_t len);
/** fsync, rename, fsync of the directory; or, with an err (negative, returned), only remove it. The
 * descriptor stays the caller's.
 * Return: 0; NEFIA_EIO (errno): the old file stays; NEFIA_EAGAIN: the new one is there, but may not
 * survive a power cut. */
int file_replace_end(const char *path, int fd, int err);

/** Take an exclusive flock(2) lock on the open file, held until the process ends or closes the
 * descriptor. A command being forked when its daemon was killed keeps the daemon's lock until it
 * execs, so this retries for up to FILE_LOCK_MS.
 * Return: 0; NEFIA_EEXIST: another process holds it; NEFIA_EIO (errno). */
#define FILE_LOCK_MS 1000
int file_lock(int fd);
/** Open (flags of open(2); O_CREAT: mode 0600; symbolic links are not followed) and lock. What another
 * process removed or replaced before it let go of the lock is opened anew.
 * Return: the descriptor; NEFIA_EEXIST: another process holds it; NEFIA_EIO (errno). */
int file_open_locked(const char *path, int flags);

/** A number that survives restarts, in dir/name: one line of text with a checksum.
 * Load: a missing file reads as 0 with NEFIA_ENOTFOUND, a damaged one as 0 with NEFIA_ESYNTAX, an
 * unreadable one as 0 with NEFIA_EIO; 0 is returned if *v is the stored value. The caller logs.
 * name: letters, digits, `_`, `-`, at most 32. */
int state_load_u64(const char *dir, const char *name, uint64_t *v);
/** Return: 0, or as file_write_atomic. */
int state_store_u64(const char *dir, const char *name, uint64_t v);

#endif
