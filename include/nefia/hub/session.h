#ifndef NEFIA_HUB_SESSION_H
#define NEFIA_HUB_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "nefia/link/link.h"
#include "nefia/net/addr.h"

#define SESSION_HOST 16 /* bytes that identify a host: of the SHA-256 of its host_id (seen.h) */

/** What a connection has to do at the end of the turn, once the journal is written. */
enum session_due {
    SESSION_IDLE,    /* nothing */
    SESSION_WELCOME, /* its hello is accepted */
    SESSION_ACK,     /* events, or a window */
    SESSION_REFUSE, /* the last line was refused: that is said before an acknowledgement passes it */
    SESSION_ERROR,   /* `reason`, and the end */
};

/** One connection as the pipeline sees it. Zeroed on accept, except peer and link. */
struct session {
    struct addr peer;
    struct link link;          /* state NEW: plain, or nothing was said yet */
    enum session_due due;
    const char *reason;        /* SESSION_REFUSE, SESSION_ERROR: a constant phrase */
    unsigned unsettled;        /* events since the last acknowledgement, which count in the window */
    uint8_t host[SESSION_HOST]; /* of the hello; zero before */
    uint8_t name[LINK_NAME];   /* of the windows that it makes: the beginning of the hello's nonce */
    bool known;                /* the hello's start had a window before */
    bool plain;                /* the hello said so, and is to unpin the host with the next line */
    bool unsure;               /* the next event may have acted */
    bool proven;               /* a verified hello, or a valid event that was new */
    bool overdue;              /* the listener's: the unit was deferred for HOLD_MOST_MS, take it now */
    bool takes_commands;       /* the hello's features have it, and it is signed */
    bool command_due;          /* `command` is to be sent, once that is in the journal */
    uint64_t command;          /* number of the command whose result it owes (commands.h); 0: of none */
    uint64_t boot, hello_ms;   /* of the hello; when that was received */
    uint32_t key;              /* tells the key that signed the hello from others */
    uint32_t tokens;           /* of max_events_per_sec */
    uint64_t tokens_ms, over_ms;
};

#endif
