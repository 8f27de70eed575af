/* The lines of link 2 (docs/wire.md) as a model for spin: who can make whom accept what.  The network is the attacker.  He cuts, drops,
 * repeats, reorders, reflects and injects recorded lines across sessions, opens connections to hubs, and writes any greeting; what he
 * cannot do is sign.  link.pml builds on what is shown here.
 *
 * A signature is what it covers: key, direction and number.  A key is the pair of nonces (the rest of greeting and hello hangs on them,
 * as long as each is fresh).  A delivery that does not verify ends the session, which he can do anyway; so only those that verify
 * are steps.  Connections of hubs are numbered through whichever hub they lead to.
 *
 *     step      who     clause of the protocol
 *     (none)    hub     greeting: a nonce, at once, unsigned.  The attacker has opened all connections to hubs beforehand
 *     connect   beacon  reads a greeting, any of those ever sent; hello with a nonce of its own
 *     write     beacon  events after the welcome
 *     hello     hub     verifies with its own greeting and the hello's bytes; welcome is line 1
 *     up        hub     n is the line's number in its direction; event: journaled or refused; others are ignored, but lines
 *     ack       hub     all lines up to it are journaled or were refused
 *     down      beacon  only a signed ack or refusal settles
 *
 * Asserted: (d) what is accepted was sent in this session, this direction, this place, and a session has two ends; (a) what is
 * acknowledged is journaled; (c) what is refused is known to be. */

#ifndef CONNECTIONS
#define CONNECTIONS 2   /* of the beacon */
#endif
#ifndef OPENED
#define OPENED 2        /* of hubs */
#endif
#define EVENTS 2
#ifndef LINES
#define LINES 4         /* in each direction: hello and up to three, welcome and up to three */
#endif
#ifndef MUTATION
#define MUTATION NONE
#endif

#define NONE 0
#define NO_BEACON_NONCE 1
#define NO_HUB_NONCE 2
#define NO_COUNTER 3
#define ONE_KEY 4               /* for both directions */
#define MUTANT(m) (MUTATION == m)

#ifdef EFFECTS_ONLY             /* shows what a line in the wrong place does */
#define in_place(what) skip
#else
#define in_place(what) assert(what)
#endif

#define NOBODY 15
#define WELCOME 32
#define HELLO 33
#define ACK 64                  /* + line */
#define REFUSED 128             /* + line */

/* ---- Beacon ---- */
byte current = NOBODY, connections;
byte greeting[CONNECTIONS];     /* which hub's connection it came from, as the beacon reads it */
byte wrote[CONNECTIONS];        /* lines, the hello counts */
byte up[CONNECTIONS * LINES];
byte read;                      /* lines accepted from the hub */
byte partner = NOBODY;          /* whose line was the first of them */
bool settled[EVENTS];

/* ---- Hubs ---- */
byte hello_of[OPENED];          /* connection of the beacon + 1 */
byte took[OPENED];              /* lines, the hello counts */
byte answered[OPENED];
byte down[OPENED * LINES];
byte acked[OPENED];
bool journaled[EVENTS];

byte i, e;
bool ok;

#define UP(c, n) up[(c) * LINES + (n)]
#define DOWN(u, n) down[(u) * LINES + (n)]

/* ---- Keys ---- */
#define hub_nonce(u) (MUTANT(NO_HUB_NONCE) -> 0 : (u))
#define beacon_nonce(c) (MUTANT(NO_BEACON_NONCE) -> 0 : (c))
#define same_key_cu(c, u) ((MUTANT(NO_HUB_NONCE) || greeting[c] == (u)) && \
                           beacon_nonce(c) == beacon_nonce(hello_of[u] - 1))
#define same_key_cc(c, d) ((MUTANT(NO_HUB_NONCE) || greeting[c] == greeting[d]) && beacon_nonce(c) == beacon_nonce(d))
#define same_key_uu(u, v) (hub_nonce(u) == hub_nonce(v) && beacon_nonce(hello_of[u] - 1) == beacon_nonce(hello_of[v] - 1))
#define right_number(have, want) (MUTANT(NO_COUNTER) || (have) == (want))

/* ---- Beacon ---- */

inline connect(to)
{
    printf("beacon: connection %d, reads the greeting of hub connection %d\n", connections, to);
    current = connections;
    connections++;
    greeting[current] = to;
    UP(current, 0) = HELLO;
    wrote[current] = 1;
    read = 0;
    partner = NOBODY;
}

inline was_written(ev)
{
    ok = false;
    i = 1;
    do
    :: i < LINES ->
        if
        :: UP(current, i) == (ev) + 1 -> ok = true
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
}

inline write(ev)
{
    was_written(ev);
    if
    :: !ok ->
        printf("beacon: connection %d, line %d: event %d\n", current, wrote[current] + 1, ev);
        UP(current, wrote[current]) = ev + 1;
        wrote[current] = wrote[current] + 1
    :: else
    fi;
    ok = false;
}

#define event_at(n) (UP(current, n) >= 1 && UP(current, n) <= EVENTS)

inline settle_to(n)
{
    i = 1;
    do
    :: n <= wrote[current] && i < n -> /* a line that it did not write: it closes */
        e = UP(current, i) - 1;
        assert(settled[e] || journaled[e]); /* (a); refused ones are settled before the ack passes them */
        settled[e] = true;
        i++
    :: else -> break
    od;
    e = 0;
    i = 0;
}

/* The number of a line is 1 + its index. */
inline settle_refused(n)
{
    if
    :: event_at(n - 1) ->
        e = UP(current, n - 1) - 1;
        settled[e] = true;
        e = 0
    :: else
    fi;
}

/* what: the line, whoever sent it; right: it was sent as what it is taken for. */
inline accept_down(what, right)
{
    printf("beacon: connection %d accepts %d as line %d\n", current, what, read + 1);
    in_place(right); /* (d) */
    read++;
    if
    :: what > REFUSED -> settle_refused(what - REFUSED)
    :: what > ACK && what < REFUSED -> settle_to(what - ACK)
    :: else
    fi;
}

/* ---- Hub ---- */

inline hello(u, c)
{
    printf("hub: connection %d accepts the hello of connection %d\n", u, c);
    i = 0;
    do
    :: i < OPENED -> in_place(hello_of[i] != (c) + 1); i++ /* (d) */
    :: else -> break
    od;
    i = 0;
    hello_of[u] = c + 1;
    took[u] = 1;
    acked[u] = 1;
    DOWN(u, 0) = WELCOME;
    answered[u] = 1;
}

/* An event is refused, or it is journaled and waits for an ack. */
inline accept_up(u, what, right)
{
    printf("hub: connection %d accepts %d as line %d\n", u, what, took[u] + 1);
    in_place(right); /* (d) */
    took[u] = took[u] + 1;
    if
    :: what >= 1 && what <= EVENTS -> journaled[what - 1] = true
    :: what >= 1 && what <= EVENTS && !journaled[what - 1] && answered[u] < LINES ->
        DOWN(u, answered[u]) = REFUSED + took[u];
        answered[u] = answered[u] + 1
    :: else
    fi;
}

inline ack(u)
{
    printf("hub: connection %d acks line %d\n", u, took[u]);
    DOWN(u, answered[u]) = ACK + took[u];
    answered[u] = answered[u] + 1;
    acked[u] = took[u];
}

/* ---- Deliveries ---- */

#define reads (current != NOBODY && read < LINES)
#define down_verifies(u, n)                                                                                            \
    (hello_of[u] && n < answered[u] && same_key_cu(current, u) && right_number(n, read) && (read || DOWN(u, n) == WELCOME))
#define DOWN_FROM(u, n)                                                                                                \
    :: d_step { reads && down_verifies(u, n) ->                                                                        \
                accept_down(DOWN(u, n),                                                                                \
                            n == read && hello_of[u] == current + 1 && (partner == NOBODY || partner == u));           \
                partner = u }

/* A line of a beacon comes back. */
#define REFLECTED_DOWN(c, n)                                                                                           \
    :: d_step { reads && read && c < connections && n < wrote[c] && same_key_cc(current, c) && right_number(n, read) -> \
                accept_down(UP(c, n), false) }

#define HELLO_FROM(u, c)                                                                                               \
    :: d_step { c < connections && hello_of[u] == 0 && (MUTANT(NO_HUB_NONCE) || greeting[c] == u) -> hello(u, c) }

#define takes(u) (hello_of[u] && took[u] < LINES)
#define UP_FROM(u, c, n)                                                                                               \
    :: atomic { takes(u) && c < connections && n < wrote[c] && same_key_cu(c, u) && right_number(n, took[u]) ->        \
                accept_up(u, UP(c, n), n == took[u] && hello_of[u] == c + 1) }

#define REFLECTED_UP(u, v, n)                                                                                          \
    :: d_step { takes(u) && hello_of[v] && n < answered[v] && same_key_uu(u, v) && right_number(n, took[u]) ->         \
                accept_up(u, DOWN(v, n), false) }

#if LINES == 2
#define EACH_LINE(STEP, a) STEP(a, 1)
#define EACH_UP(u, c) UP_FROM(u, c, 1)
#define EACH_BACK(u, v) REFLECTED_UP(u, v, 1)
#elif LINES == 3
#define EACH_LINE(STEP, a) STEP(a, 1) STEP(a, 2)
#define EACH_UP(u, c) UP_FROM(u, c, 1) UP_FROM(u, c, 2)
#define EACH_BACK(u, v) REFLECTED_UP(u, v, 1) REFLECTED_UP(u, v, 2)
#else
#define EACH_LINE(STEP, a) STEP(a, 1) STEP(a, 2) STEP(a, 3)
#define EACH_UP(u, c) UP_FROM(u, c, 1) UP_FROM(u, c, 2) UP_FROM(u, c, 3)
#define EACH_BACK(u, v) REFLECTED_UP(u, v, 1) REFLECTED_UP(u, v, 2) REFLECTED_UP(u, v, 3)
#endif

#if MUTATION == ONE_KEY
#define BACK_DOWN(c) EACH_LINE(REFLECTED_DOWN, c)
#define BACK_UP(u, v) EACH_BACK(u, v)
#else
#define BACK_DOWN(c)
#define BACK_UP(u, v)
#endif

#if CONNECTIONS == 2
#define EACH_BEACON(u) HELLO_FROM(u, 0) HELLO_FROM(u, 1) EACH_UP(u, 0) EACH_UP(u, 1)
#else
#define EACH_BEACON(u) HELLO_FROM(u, 0) HELLO_FROM(u, 1) HELLO_FROM(u, 2) EACH_UP(u, 0) EACH_UP(u, 1) EACH_UP(u, 2)
#endif
#if OPENED == 2
#define EACH_OTHER(u) BACK_UP(u, 0) BACK_UP(u, 1)
#else
#define EACH_OTHER(u) BACK_UP(u, 0) BACK_UP(u, 1) BACK_UP(u, 2)
#endif

#define EACH_OPENED(u)                                                                                                 \
    :: d_step { connections < CONNECTIONS -> connect(u) }                                                              \
    :: d_step { takes(u) && acked[u] < took[u] && answered[u] < LINES -> ack(u) }                                      \
    DOWN_FROM(u, 0)                                                                                                    \
    EACH_LINE(DOWN_FROM, u)                                                                                            \
    EACH_BEACON(u)                                                                                                     \
    EACH_OTHER(u)

#define EACH_EVENT(ev) \
    :: d_step { reads && read && wrote[current] < LINES && !settled[ev] -> write(ev) }

init {
end:
    do
    EACH_EVENT(0)
    EACH_EVENT(1)
    BACK_DOWN(0)
    BACK_DOWN(1)
#if CONNECTIONS > 2
    BACK_DOWN(2)
#endif
    EACH_OPENED(0)
    EACH_OPENED(1)
#if OPENED > 2
    EACH_OPENED(2)
#endif
    od
}
