#ifndef NEFIA_BASE_ERR_H
#define NEFIA_BASE_ERR_H

#include <string.h>

#include "nefia/base/kconfig.h"

/** What can go wrong, the same in every module. A result >= 0 is a success or a count. */
enum nefia_err {
    NEFIA_EINVAL = -1,    /* an argument or a value out of its range */
    NEFIA_ESYNTAX = -2,   /* the text does not follow its grammar */
    NEFIA_ETOOBIG = -3,   /* longer than its bound */
    NEFIA_EFULL = -4,     /* the fixed pool has no room */
    NEFIA_ENOTFOUND = -5, /* nothing by that name */
    NEFIA_EEXIST = -6,    /* given twice */
    NEFIA_EIO = -7,       /* the system refused; errno says why */
    NEFIA_EAGAIN = -8,    /* not now: would block, or more bytes are needed */
    NEFIA_EAUTH = -9,     /* signature missing, malformed or wrong */
    NEFIA_EDEPTH = -10,   /* nested deeper than the bound */
    NEFIA_EUTF8 = -11,    /* bytes that are not UTF-8 (RFC 3629) */
    NEFIA_ETIMEOUT = -12, /* the deadline passed */
    NEFIA_ENOTSUP = -13,  /* known, but not in this build */
    NEFIA_ECLOSED = -14,  /* the other side ended */
};

/** Two or three words for a log line; never null.  Lives in src/base/err.c. */
const char *err_text(int err);
/** What the system says of an errno, for argument lists: LOG_WARN("cannot read: ", ERRNO(errno)).
 * Without CONFIG_ERRNO_TEXT "errno 111", which lives until the end of the whole expression. */
struct errno_words {
    char text[20];
};
struct errno_words errno_words(int error);
#define ERRNO(error) \
    (IS_ENABLED(CONFIG_ERRNO_TEXT) ? strerror(error) : (const char *)errno_words(error).text)

#endif
