#include "nefia/base/err.h"

#include "nefia/base/text.h"

const char *err_text(int err)
{
    /* In the order of enum nefia_err, from 0 down. */
    static const char words[] = "no error\0"
                                "invalid value\0"
                                "syntax error\0"
                                "too long\0"
                                "no space left\0"
                                "not found\0"
                                "duplicate\0"
                                "system error\0"
                                "try again\0"
                                "authentication failed\0"
                                "nested too deep\0"
                                "not UTF-8\0"
                                "timed out\0"
                                "not in this build\0"
                                "closed by peer\0"
                                "unknown error\0";

    if (err < NEFIA_ECLOSED)
        err = NEFIA_ECLOSED - 1;
    return word_at(words, err < 0 ? (unsigned)-err : 0);
}

struct errno_words errno_words(int error)
{
    struct errno_words w;
    struct text t;

    text_init(&t, w.text, sizeof w.text);
    text_str(&t, "errno ");
    text_i64(&t, error);
    return w; /* cppcheck-suppress uninitvar ; filled through t */
}
