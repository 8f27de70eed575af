#include <stdarg.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/config/config.h"

void config_init(struct config *c, const char *program, struct node *nodes, unsigned nodes_cap,
                 void (*report)(void *, const char *), void *report_arg)
{
    *c = (struct config){
        .program = program,
        .nodes = nodes,
        .nodes_cap = nodes_cap,
        .report = report,
        .report_arg = report_arg,
    };
}

static void put_report(struct config *c, bool warning, const struct node *n, const char *where,
                   va_list parts)
{
    char buf[CONFIG_MESSAGE_BYTES];
    bool apart = warning && c->warn != NULL; /* it is said what they are */
    struct text message;

    text_init(&message, buf, sizeof buf);
    text_printable(&message, c->path, strlen(c->path));
    if (n != NULL && n->line > 0) {
        text_char(&message, ':');
        text_u64(&message, n->line);
    }
    text_str(&message, warning && !apart ? ": warning: " : ": ");
    if (where != NULL && where[0] != '\0') {
        text_printable(&message, where, strlen(where));
        text_str(&message, ": ");
    }
    for (const char *part; (part = va_arg(parts, const char *)) != NULL;)
        text_printable(&message, part, strlen(part));
    if (message.truncated) {
        text_rewind(&message, utf8_cut(message.buf, message.len, CONFIG_MESSAGE_BYTES - 4));
        text_str(&message, "...");
    }
    (apart ? c->warn : c->report)(c->report_arg, message.buf);
}

void config_error(struct config *c, const struct node *n, const char *where, ...)
{
    va_list parts;

    if (++c->errors > CONFIG_MOST_REPORTS)
        return;
    va_start(parts, where);
    put_report(c, false, n, where, parts);
    va_end(parts);
}

void config_warn(struct config *c, const struct node *n, const char *where, ...)
{
    va_list parts;

    va_start(parts, where);
    put_report(c, true, n, where, parts);
    va_end(parts);
}

void config_where_key(struct text *t, const char *where, const char *key)
{
    text_str(t, where);
    if (where[0] != '\0')
        text_char(t, '.');
    text_str(t, key);
}

void config_where_item(struct text *t, const char *where, unsigned index)
{
    text_str(t, where);
    text_char(t, '[');
    text_u64(t, index);
    text_char(t, ']');
}

int config_distinct(struct config *c, const struct node *n, const char *where, const char *what,
                    const char *const *texts, unsigned count)
{
    const unsigned errors = c->errors;

    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < i; j++)
            if (str_eq(texts[j], texts[i]))
                config_error(c, n, where, "duplicate ", what, " \"", texts[i], "\"", NULL);
    return c->errors == errors ? 0 : NEFIA_EINVAL;
}
