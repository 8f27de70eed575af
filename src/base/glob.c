#include "nefia/base/glob.h"

/** On a mismatch the last gap takes one byte more. Where the text is at its end, that only leaves less for
 * what must follow. */
static bool match(const char *glob, const char *s, size_t len, bool whole)
{
    const char *gap = whole ? NULL : glob; /* what follows the last `*` … */
    size_t at = 0, resume = 0;             /* … and where in the text it was tried */

    for (;;) {
        if (!*glob && (!whole || at == len))
            return true;
        if (*glob == '*') {
            gap = ++glob;
            resume = at;
        } else if (at == len) {
            return false;
        } else if (*glob && (*glob == '?' || *glob == s[at])) {
            glob++;
            at++;
        } else if (gap) {
            glob = gap;
            at = ++resume;
        } else {
            return false;
        }
    }
}

bool glob_whole(const char *glob, const char *s, size_t len)
{
    return match(glob, s, len, true);
}

bool glob_within(const char *glob, const char *s, size_t len)
{
    return match(glob, s, len, false);
}
