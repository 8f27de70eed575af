#ifndef NEFIA_CONTROL_SHOW_H
#define NEFIA_CONTROL_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/json/json.h"

/** What the command lines of both programs print of a running daemon's answer. The daemon sends JSON
 * records (control.h) and knows nothing of layout; each program has a const table of sections that
 * says what to show; this lays it out, as text for people or as JSON for programs.
 *
 * A record belongs to the first section whose `record` is a member of it. What the section shows is
 * the object in that member or, where the member is no object, the record itself. Records of no
 * section and members that no layout names are not shown in text.
 *
 * A layout is text with references to members of that object:
 *     {hits}              the value: a string, a number, yes or no; an object as "1 info, 2 warning",
 *                         or of strings as "site=north, tier=edge"; - where the member is missing or null
 *     {}                  the object itself
 *     {~uptime_ms}        milliseconds as a duration in whole seconds, 1m30s
 *     {@time}             an RFC 3339 time as "2026-03-10 15:30"
 *     [, at {address}]    shown only if no member named in it is missing or null; groups do not nest
 *     [{state=up}fine]    and if the text of `state` is that: such a reference shows nothing itself
 *     <uplink>            from here on the members are those of the object `uplink` of the record;
 *                         in a group: if there is one; <> goes back to the record itself
 *
 * Nothing a sender put into an event can move the cursor: and none of it is invisible: in text each
 * control and hidden character (utf8_is_control, utf8_is_hidden) becomes `?`, in JSON the \u escape
 * of the same character. */

#define SHOW_COLUMNS 8       /* of a table, at most */
#define SHOW_SECTIONS 4      /* of an answer, at most */
#define SHOW_LINE_BYTES 2048 /* longest line of text; what goes beyond is cut */
#define SHOW_LABEL 17        /* the column that a tab in a layout goes to */

enum show_json {
    SHOW_LIST,   /* elements of an array, any number */
    SHOW_MEMBER, /* a value, exactly one */
    SHOW_SPREAD, /* the same, its members are those of the document: it stays open at the end */
    SHOW_LINES,  /* lines of their own, any number; then all sections of the answer are shown so */
};

/** Records come in the order of their sections, but for lines, which may mix.
 * Columns are lines of `HEADING  |layout`. A heading's trailing spaces count as its width, which is
 * the least of the column; the longest cell makes it wider. The last column is not padded. A cell
 * that comes out empty is shown as -, and a table without rows still has its headings. */
struct show_section {
    const char *record;  /* "": every record is of this section; null: the end of the sections */
    const char *columns; /* of a table, in which each record is a row; see above */
    const char *text;    /* its title, or without columns a layout for the record; may be null */
    enum show_json json;
    const char *open; /* JSON: what stands before the section's records; of the end: after all */
};

enum show_form { SHOW_TEXT, SHOW_JSON, SHOW_MEASURE /* nothing, only find the columns' widths */ };

/** One answer on its way to the reader. The caller sets the first part; zero the rest. */
struct show {
    const struct show_section *sections;
    struct json_token *tokens; /* the caller's, room for one record */
    unsigned token_cap;
    enum show_form form;
    bool (*write)(void *arg, const char *s, size_t len); /* false: nobody reads any more */
    void *arg;

    uint32_t widths[SHOW_SECTIONS][SHOW_COLUMNS]; /* that the columns' cells take; kept by show_begin */
    unsigned entered; /* sections whose beginning is printed */
    unsigned records; /* of the last of them */
    int err;
    char line_buf[SHOW_LINE_BYTES];
};

/** Begin an answer in s->form; what was measured before gives the widths.
 * Return: 0, or NEFIA_ECLOSED when nobody reads. */
int show_begin(struct show *s);
/** One record, for control_request. Return: 0 to go on; NEFIA_ECLOSED; NEFIA_ESYNTAX when records
 * do not come as the sections say; as json_parse when it is not JSON or too large. */
int show_record(void *show, const char *json, size_t len);
/** After the last record of a complete answer. Return: as show_record. */
int show_end(struct show *s);

/** A question of a command line. */
struct show_question {
    const struct show_section *sections;
    const char *program; /* begins each message on stderr */
    const char *socket;  /* where the daemon is */
    const char *request;
    const char *measure; /* asked first for the widths of the tables; null: there are none */
    bool json;
    uint64_t timeout_ms; /* as control_request */
    struct json_token *tokens;
    unsigned token_cap;
    char *buf; /* as control_request */
    size_t cap;
};

/** Ask the daemon, print its answer on stdout and what went wrong on stderr. Blocks. Tables are asked
 * for twice, so that no memory has to hold a whole answer: a row that grew in between moves what
 * stands to its right.
 * Return: an exit status: the daemon's, or CLI_NO. A reader that went away is fine. */
int show_answer(const struct show_question *q);

#endif
