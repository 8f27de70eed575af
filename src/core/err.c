#include "nefia/err.h"

#include "nefia/text.h"

const char *err_text(int err)
{
    static const char *const words[] = {
        [0] = "no error",
        [-NEFIA_EINVAL] = "invalid value",
        [-NEFIA_ESYNTAX] = "syntax error",
        [-NEFIA_ETOOBIG] = "too long",
        [-NEFIA_EFULL] = "no room left",
        [-NEFIA_ENOTFOUND] = "not found",
        [-NEFIA_EEXIST] = "given twice",
        [-NEFIA_EIO] = "system error",
        [-NEFIA_EAGAIN] = "not now",
        [-NEFIA_EAUTH] = "not authentic",
        [-NEFIA_EDEPTH] = "nested too deep",
        [-NEFIA_EUTF8] = "not UTF-8",
        [-NEFIA_ETIMEOUT] = "timed out",
        [-NEFIA_ENOTSUP] = "not in this build",
        [-NEFIA_ECLOSED] = "closed by peer",
    };

    if (err >= 0)
        return words[0];
    if (err <= -(int)ARRAY_SIZE(words))
        return "unknown error";
    return words[-err];
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
