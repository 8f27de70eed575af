#ifndef NEFIA_HUB_PLAYBOOK_FILE_H
#define NEFIA_HUB_PLAYBOOK_FILE_H

#include "nefia/base/text.h"
#include "nefia/crypto/mac.h"
#include "nefia/sys/file.h"

/** The position of a run of a playbook: one file in the hub's state_dir, playbook.NAME, replaced whole before an op begins and after
 * it has ended. Its first line is the SHA-256 of the second one, which is JSON. While somebody drives the run, he holds a lock on a
 * file beside it, playbook.NAME.lock. */
#define PLAYBOOK_FILE_NAME_MAX 32 /* letters, digits and - */
#define PLAYBOOK_FILE_HEAD (MAC_HEX + 1) /* bytes before the JSON */

struct playbook_file {
    char path[FILE_PATH_MAX]; /* empty: nothing is kept */
    int lock;                 /* -1: not open */
};

/** Lock the run of that name. dir null or "": nothing is kept, and every call here does nothing.
 * Return: 0; NEFIA_EEXIST: somebody else drives it; NEFIA_EIO, NEFIA_ETOOBIG; why then has a sentence. */
int playbook_file_open(struct playbook_file *f, const char *dir, const char *name, struct text *why);
/** Read it into buf, up to cap bytes. Return: the JSON's length, which begins at buf + PLAYBOOK_FILE_HEAD; NEFIA_ENOTFOUND: there is
 * none; NEFIA_ESYNTAX: damaged; NEFIA_ETOOBIG; NEFIA_EIO (errno). */
long playbook_file_load(const struct playbook_file *f, char *buf, size_t cap);
/** Write it: len bytes of JSON without a newline at buf + PLAYBOOK_FILE_HEAD, with a byte of room behind; its head is made here. It is on
 * disk when this returns. Return: 0, or NEFIA_EIO (errno): what it held before is still there. */
int playbook_file_store(const struct playbook_file *f, char *buf, size_t len);
/** The run is over: forget its position. */
void playbook_file_remove(const struct playbook_file *f);
/** The name of an action's: of the job of that id. buf: PLAYBOOK_FILE_NAME_MAX + 1 bytes. */
const char *playbook_file_name(char *buf, uint64_t job);
/** Remove those of actions of which `wanted` does not want the job. */
void playbook_file_sweep(const char *dir, bool (*wanted)(void *arg, uint64_t job), void *arg);
/** Let go of the lock. */
void playbook_file_close(struct playbook_file *f);

#endif
