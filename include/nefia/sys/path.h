#ifndef NEFIA_SYS_PATH_H
#define NEFIA_SYS_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "nefia/sys/file.h"

/** Resolves a path as the kernel would, says where it leads, and then opens that and nothing else: between the judgement of
 * the text and the opening no symbolic link can get in.
 *
 *     struct path p;
 *     if (path_resolve(&p, given) == 0 && may_open(p.text))
 *         fd = path_open(&p, O_RDONLY, 0);
 *     path_close(&p);
 *
 * Resolved by name first, symbolic links as text; then walked from / down the name that came of it, without following a link.
 * What changed in between is an error: what is held lies where the text says, or lay there during the call.
 *
 * Refused although the kernel may follow it:
 * - the links of /proc/PID (cwd, root, exe, fd/N, and so /dev/stdin), which lead past all names; /proc/self and /proc/net
 *   only stand for names, and are followed;
 * - symbolic links in a directory with the sticky bit that all may write to, unless they are this process's or the
 *   directory's owner's, whatever the sysctl fs.protected_symlinks says;
 * - `..` behind something that does not exist: what it means depends on what comes to be there.
 *
 * Not seen: other names of the same file, which are hard links and bind mounts (of what is mounted, the names below the mount
 * count). A directory moved elsewhere after it was walked is opened there; a mount placed over it after that is not entered.
 * All names are those of this process's root: after chroot(2), of the new one. An automount is not set off, and its names
 * count as missing. */

#define PATH_LINKS 40 /* followed in one path; the kernel's bound (MAXSYMLINKS) */

struct path {
    char text[FILE_PATH_MAX]; /* absolute, without `.`, `..`, symbolic links, repeated and final slashes; any bytes */
    const char *why;          /* after an error: a phrase for the reason, constant */
    int dir;                  /* O_PATH: the deepest directory that exists above the last component; -1: nothing is held */
    uint16_t name_at;         /* in text: what stands below dir; empty of / */
    bool directory;           /* it must be one: there was a final slash, `.` or `..` */
    bool missing;             /* nothing has that name */
};

/** Resolve given, at most FILE_PATH_MAX - 1 bytes (the text of a link, with what stands behind it, may have twice that). Several
 * missing components at the end are kept as text.
 * Return: 0, and p is to be closed; or an error, after which nothing is held and text is not to be used, and p->why says more:
 * NEFIA_EINVAL (not absolute, or refused as above), NEFIA_ETOOBIG, NEFIA_EDEPTH (PATH_LINKS), NEFIA_EAGAIN (changed
 * meanwhile; trying again is safe), NEFIA_EIO (errno: EACCES, ENOTDIR …).
 * Bounds: three system calls for each component and five for each link; 1.5 KiB of stack; no allocation. */
int path_resolve(struct path *p, const char *given);
/** Open what was resolved, as often as wanted. flags: those of open(2) but for O_PATH; O_CLOEXEC, O_NOCTTY and O_NOFOLLOW
 * are added. mode: of what O_CREAT makes. A pipe without a writer waits, unless flags has O_NONBLOCK.
 * Return: a descriptor; or NEFIA_ENOTFOUND (with O_CREAT: its directory does not exist), NEFIA_EAGAIN (it has become a symbolic
 * link since), NEFIA_EINVAL (O_PATH), NEFIA_EIO (errno); p->why says more. */
int path_open(struct path *p, int flags, mode_t mode);
/** Let go of the directory; also after an error, and twice. text stays. */
void path_close(struct path *p);

#endif
