#ifndef NEFIA_CMD_SHOW_H
#define NEFIA_CMD_SHOW_H

#include <stdbool.h>

#include "nefia/json/json.h"
#include "nefia/base/text.h"

/** What `nefia reactor status` and `events` print, made from the records of a running daemon as
 * they come. Pure but for the writer it is given. Nothing a sender put into an event can move the
 * cursor: control bytes become `?`. */

#define SHOW_COLUMNS 7

struct show {
    struct json_token *tokens; /* the caller's */
    unsigned token_cap;
    bool json;
    bool (*write)(void *arg, const char *s, size_t len); /* false: nobody reads any more */
    void *arg;
    unsigned section;    /* 0: nothing printed yet; see show.c */
    unsigned in_section; /* records so far */
    uint32_t rule_widths[SHOW_COLUMNS], recent_widths[SHOW_COLUMNS];
};

/** One record of `status`. For control_request: 0 to go on, negative to stop. */
int show_status_record(void *show, const char *json, size_t len);
/** After the last one: closes what is open, prints headings of empty tables. */
int show_status_end(struct show *s);
/** One record of `events`. */
int show_events_record(void *show, const char *json, size_t len);

#endif
