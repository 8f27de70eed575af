#ifndef NEFIA_BASE_ERR_H
#define NEFIA_BASE_ERR_H

#include <string.h>

#include "nefia/base/kconfig.h"

/** Error codes shared by all modules. A result >= 0 is success or a count. */
enum nefia_err {
    NEFIA_EINVAL = -1,    /* argument or value out of range */
    NEFIA_ESYNTAX = -2,   /* text does not follow its grammar */
    NEFIA_ETOOBIG = -3,   /* longer than its limit */
    NEFIA_EFULL = -4,     /* fixed pool exhausted */
    NEFIA_ENOTFOUND = -5, /* no such name */
    NEFIA_EEXIST = -6,    /* duplicate */
    NEFIA_EIO = -7,       /* system call failed; see errno */
    NEFIA_EAGAIN = -8,    /* would block, or more input is needed */
    NEFIA_EAUTH = -9,     /* signature missing, malformed or wrong */
    NEFIA_EDEPTH = -10,   /* nested too deep */
    NEFIA_EUTF8 = -11,    /* not valid UTF-8 (RFC 3629) */
    NEFIA_ETIMEOUT = -12, /* deadline passed */
    NEFIA_ENOTSUP = -13,  /* known, but not in this build */
    NEFIA_ECLOSED = -14,  /* closed by the peer */
};

/** Two or three words for a log line; never null. */
const char *err_text(int err);
/** Text of an errno, for argument lists: LOG_WARN("cannot read: ", ERRNO(errno)).
 * Without CONFIG_ERRNO_TEXT it is "errno 111", valid until the end of the full expression. */
struct errno_words {
    char text[20];
};
struct errno_words errno_words(int error);
#define ERRNO(error) \
    (IS_ENABLED(CONFIG_ERRNO_TEXT) ? strerror(error) : (const char *)errno_words(error).text)

#endif
