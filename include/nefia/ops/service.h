#ifndef NEFIA_OPS_SERVICE_H
#define NEFIA_OPS_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nefia/base/text.h"
#include "nefia/json/json.h"
#include "nefia/ops/op.h"
#include "nefia/sys/command.h"

/** What a device's service manager says of services, in systemd's words, and what it is told to do with them: for the sensor
 * service_check, for operations and for the helper. OpenRC, runit and init scripts leave files from which the state can be read; systemd
 * and procd are asked by a command. */
enum service_state {
    SERVICE_UNSEEN, /* it cannot be read */
    SERVICE_ACTIVE,
    SERVICE_RELOADING,
    SERVICE_REFRESHING,
    SERVICE_ACTIVATING, /* up to here nothing is wrong */
    SERVICE_DEACTIVATING,
    SERVICE_INACTIVE,
    SERVICE_FAILED,
    SERVICE_MAINTENANCE,
    SERVICE_UNKNOWN,
};
extern const char service_state_words[]; /* for word_at, from SERVICE_ACTIVE on */

enum service_backend { SERVICE_AUTO, SERVICE_SYSTEMD, SERVICE_PROCD, SERVICE_OPENRC, SERVICE_RUNIT, SERVICE_SYSV };
extern const char service_backend_words[];
#define SERVICE_OPENRC_DIR "/run/openrc"
/** Which one runs here; it does not change while we do. Never AUTO: SYSV is what is left. */
enum service_backend service_backend(void);

#define SERVICE_PATH_BYTES (2 * OP_NAME_MAX + 64)

/** One look by files. */
struct service_look {
    char *buf; /* the caller's, for a file */
    size_t cap;
    const char *what; /* after SERVICE_UNSEEN: the file that could not be read, or whose content is not understood */
    int error;        /* errno; 0: it is not understood */
    pid_t pid;        /* after ACTIVE of SYSV: its process */
    char path[SERVICE_PATH_BYTES];
};
/** Of OPENRC, RUNIT and SYSV. UNKNOWN: there is none of this name. A few system calls. */
enum service_state service_look(struct service_look *l, enum service_backend b, const char *name);

/** systemd's answer is a word; to systemctl a unit that does not exist is inactive. Return: UNSEEN: it is no such word. */
enum service_state service_of_word(const char *name, struct slice word);
/** procd's answer, one JSON object; the service's part of it. */
enum service_state service_of_object(const struct json_doc *d, const char *name);
/** How SYSTEMD is asked for services (all that stand from argv[3] on), and PROCD for one, whose name is in quotes in buf. Ended by the
 * caller's null pointer. Return: how many of argv are set. */
#define SERVICE_ASK_ARGS 5
unsigned service_ask(enum service_backend b, const char *name, const char **argv, char buf[SERVICE_PATH_BYTES]);

/** How the backend is told: argv, ended by a null pointer; buf holds a path. Return: 0, or NEFIA_ENOTFOUND: there is no such service
 * (OPENRC, PROCD, RUNIT, SYSV). */
#define SERVICE_TELL_ARGS 6
int service_tell(enum service_backend b, const char *name, enum op_verb verb, const char *argv[SERVICE_TELL_ARGS],
                 char buf[SERVICE_PATH_BYTES]);
/** Tell the backend of this device, and wait until its command has ended. c: deadline and output are the caller's. Return: as
 * service_tell, or command_run. */
int service_run(const char *name, enum op_verb verb, struct command *c);

#endif
