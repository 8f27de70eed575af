#ifndef NEFIA_SYS_FILE_H
#define NEFIA_SYS_FILE_H

#include <stddef.h>
#include <stdint.h>

/** Small files, read and written whole. These block on the disk: for start-up, reload and rare
 * state. */

/** Longest path built here, with its NUL. */
#define FILE_PATH_MAX 512

/** "dir/name" into out, one slash between them; an empty dir gives just name. Return: 0,
 * NEFIA_ETOOBIG (out is "" then). */
int file_join(char out[FILE_PATH_MAX], const char *dir, const char *name);
/** Read at most cap bytes. Return: bytes; NEFIA_ENOTFOUND; NEFIA_EIO (errno); NEFIA_ETOOBIG when
 * there are more; NEFIA_EINVAL for what is no regular file. */
long file_read(const char *path, void *buf, size_t cap);
/** Replace the file as a whole, mode 0600: a temporary one beside it, fsync, rename, fsync of the
 * directory. After a power cut there is the old content or the new one. On error the old file stays
 * and the temporary one is removed (after NEFIA_EIO of the last fsync the new content is there, but
 * may not outlast a power cut).
 * Return: 0, NEFIA_EIO (errno), NEFIA_ETOOBIG (path). One writer at a time for a path. */
int file_write_atomic(const char *path, const void *data, size_t len);

/** The same in steps, for what is not in memory as a whole. Begin: the temporary file, empty, for
 * reading and appending. Return: its descriptor, NEFIA_EIO (errno), NEFIA_ETOOBIG (path). */
int file_replace_begin(const char *path);
/** Append all of it. Return: 0; NEFIA_EIO (errno), some of it may be there. */
int file_append(int fd, const void *data, size_t len);
/** fsync, rename, fsync of the directory; or, with an err (negative, returned), only remove it. The
 * descriptor stays the caller's.
 * Return: 0; NEFIA_EIO (errno): the old file stays; NEFIA_EAGAIN: the new one is there, but may not
 * outlast a power cut. */
int file_replace_end(const char *path, int fd, int err);

/** Lock the open file for this process, with flock(2), until it ends or closes the descriptor. A
 * command that was just being started when its daemon was killed holds the daemon's lock for a moment
 * longer: so up to FILE_LOCK_MS are waited.
 * Return: 0; NEFIA_EEXIST: another process has it; NEFIA_EIO (errno). */
#define FILE_LOCK_MS 1000
int file_lock(int fd);

/** A number kept over restarts in dir/name: one line of text with a checksum.
 * Load: what is missing reads as 0 with NEFIA_ENOTFOUND; what is damaged in any way reads as 0 with
 * NEFIA_ESYNTAX; unreadable: 0 with NEFIA_EIO. Return: 0 when *v is what was stored. The caller
 * logs. name: letters, digits, `_`, `-`, up to 32. */
int state_load_u64(const char *dir, const char *name, uint64_t *v);
/** Return: 0, or as file_write_atomic. */
int state_store_u64(const char *dir, const char *name, uint64_t v);

#endif
