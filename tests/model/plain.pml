/* Plain senders beside link 2 (docs/wire.md) as a model for spin: one beacon whose configuration may change with each
 * start, one hub that crashes, and an attacker who has every plain line ever written, brings it when he likes, and holds back hellos.
 * What the other two models show is taken as given: lines of a session are authentic, and the hub journals before it answers.
 *
 *     step       who       clause of the protocol
 *     connect    beacon    hello with `plain`: what its configuration says
 *     hello      hub       the start and `plain` are journaled before the welcome; ends other sessions
 *     link       beacon    an event in a session; `unsure` if it was written plainly, or under another name of the window
 *     plain      beacon    with `plain` only; the attacker has the line from now on
 *     replay     attacker  a plain line; taken unless the hello that counts said "plain":false
 *     crash      hub
 *
 * Asserted: once a beacon has a welcome to "plain":false, no plain line of its host is taken until it is configured otherwise; nothing
 * acts that comes by the link and acted before. */

#ifndef EVENTS
#define EVENTS 2
#endif
#ifndef STARTS
#define STARTS 3
#endif
#ifndef CONNECTIONS
#define CONNECTIONS 3
#endif
#ifndef MUTATION
#define MUTATION NONE
#endif

#define NONE 0
#define NO_PIN 1
#define PIN_NOT_JOURNALED 2
#define PIN_ENDS_AT_HELLO 3     /* a hello with "plain":true ends it by itself; not only the line after it */
#define PLAIN_DISPLACES 4       /* plain lines use the windows of the link */
#define PLAIN_IS_SURE 5         /* what was written plainly is not unsure */
#define MUTANT(m) (MUTATION == m)

#define NOBODY 15
#define SEVERAL 15

/* ---- Beacon ---- */
byte boot = 1, events;
bool plain = true;
byte start[EVENTS], spool[EVENTS], written[EVENTS], note[STARTS + 1];
byte current = NOBODY, connections;
bool up;                        /* welcome read */
byte tag;                       /* the name of its own start's window */
bool listed;

/* ---- Hellos ---- */
byte boot_of[CONNECTIONS], session[CONNECTIONS]; /* 1: on its way, 2: read, 3: closed */
bool plain_of[CONNECTIONS];

/* ---- Hub; an event's bit is its number ---- */
byte w_start[2], w_bits[2], w_name[2];
byte p_start, p_bits;           /* of plain lines */
bool pinned, j_pinned;
byte crashes = 1;

/* ---- Attacker ---- */
bool has[EVENTS];

byte acts[EVENTS];
bool vowed;
byte i, k;
bool sure;

inline act(ev)
{
    printf("hub: event %d acts\n", ev);
    acts[ev] = (acts[ev] < 2 -> acts[ev] + 1 : 2);
}

inline emit()
{
    printf("beacon: start %d: event %d\n", boot, events);
    start[events] = boot;
    spool[events] = 1;
    events++;
}

inline leave()
{
    current = NOBODY;
    up = false; tag = 0; listed = false;
}

inline connect()
{
    printf("beacon: connection %d, hello of start %d, plain %d\n", connections, boot, plain);
    leave();
    current = connections;
    connections++;
    boot_of[current] = boot;
    plain_of[current] = plain;
    session[current] = 1;
}

inline restart(with)
{
    printf("beacon: start %d, plain %d\n", boot + 1, with);
    leave();
    boot++;
    plain = with;
    vowed = vowed && !with;
    i = 0;
    do
    :: i < events -> written[i] = note[start[i]]; i++
    :: else -> break
    od;
    i = 0;
}

inline hello(c)
{
    printf("hub: hello of start %d, plain %d\n", boot_of[c], plain_of[c]);
    i = 0;
    do
    :: i < CONNECTIONS ->
        if
        :: session[i] == 2 -> session[i] = 3; boot_of[i] = 0; plain_of[i] = false
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
    session[c] = 2;
    listed = (c == current && (w_start[0] == boot || w_start[1] == boot));
    if
    :: w_start[0] == boot_of[c] -> skip
    :: w_start[0] != boot_of[c] && w_start[1] == boot_of[c] ->
        i = w_start[0]; w_start[0] = w_start[1]; w_start[1] = i;
        i = w_bits[0]; w_bits[0] = w_bits[1]; w_bits[1] = i;
        i = w_name[0]; w_name[0] = w_name[1]; w_name[1] = i;
        i = 0
    :: else ->
        w_start[1] = w_start[0]; w_bits[1] = w_bits[0]; w_name[1] = w_name[0];
        w_start[0] = boot_of[c]; w_bits[0] = 0; w_name[0] = c + 1
    fi;
    if
    :: !plain_of[c] ->
        pinned = !MUTANT(NO_PIN);
        j_pinned = (MUTANT(PIN_NOT_JOURNALED) -> j_pinned : pinned)
    :: plain_of[c] && MUTANT(PIN_ENDS_AT_HELLO) -> pinned = false; j_pinned = false
    :: else
    fi;
    if
    :: c == current -> up = true; tag = w_name[0]; vowed = !plain
    :: else
    fi;
}

/* An event of the own start; arrives: 0 or 1. */
inline link(ev, arrives)
{
    printf("beacon: event %d in the session, arrives: %d\n", ev, arrives);
    sure = written[ev] == 0 || listed && written[ev] == tag;
    written[ev] = (written[ev] == 0 || written[ev] == tag -> tag : SEVERAL);
    note[boot] = (note[boot] == 0 || note[boot] == tag -> tag : SEVERAL);
    if
    :: arrives && session[current] == 2 ->
        if
        :: plain -> pinned = false; j_pinned = false
        :: else
        fi;
        if
        :: w_start[0] != boot && w_start[1] != boot -> w_start[1] = boot; w_bits[1] = 0; w_name[1] = current + 1
        :: else
        fi;
        k = (w_start[0] == boot -> 0 : 1);
        if
        :: w_bits[k] >> (ev) & 1 || p_start == boot && (p_bits >> (ev) & 1) -> skip
        :: else ->
            w_bits[k] = w_bits[k] | 1 << (ev);
            if
            :: sure ->
                assert(acts[ev] == 0); /* (b) */
                act(ev)
            :: else
            fi
        fi;
        k = 0
    :: else
    fi;
    sure = false;
}

/* guess: it takes it as delivered. */
inline write_plain(ev, guess)
{
    printf("beacon: event %d plainly\n", ev);
    has[ev] = true;
    written[ev] = (MUTANT(PLAIN_IS_SURE) -> written[ev] : SEVERAL);
    note[start[ev]] = (MUTANT(PLAIN_IS_SURE) -> note[start[ev]] : SEVERAL);
    spool[ev] = (guess -> 2 : spool[ev]);
}

#define had(ev, s, bits) (s == start[ev] && (bits >> (ev) & 1))
inline replay(ev)
{
    printf("attacker: plain event %d (pinned %d)\n", ev, pinned);
    if
    :: pinned -> skip
    :: !pinned && (had(ev, w_start[0], w_bits[0]) || had(ev, w_start[1], w_bits[1]) || had(ev, p_start, p_bits)) -> skip
    :: else ->
        assert(!vowed); /* (d) */
        act(ev);
        if
        :: MUTANT(PLAIN_DISPLACES) ->
            w_start[1] = w_start[0]; w_bits[1] = w_bits[0]; w_name[1] = w_name[0];
            w_start[0] = start[ev]; w_bits[0] = 1 << (ev); w_name[0] = NOBODY
        :: !MUTANT(PLAIN_DISPLACES) && p_start == start[ev] -> p_bits = p_bits | 1 << (ev)
        :: else -> p_start = start[ev]; p_bits = 1 << (ev)
        fi
    fi;
}

#define EACH_EVENT(ev)                                                                                                 \
    :: d_step { spool[ev] == 1 && start[ev] == boot && up -> link(ev, 0) }                                             \
    :: d_step { spool[ev] == 1 && start[ev] == boot && up -> link(ev, 1) }                                             \
    :: d_step { spool[ev] == 1 && plain && !up -> write_plain(ev, 0) }                                                 \
    :: d_step { spool[ev] == 1 && plain && !up -> write_plain(ev, 1) }                                                 \
    :: d_step { has[ev] -> replay(ev) }

#define EACH_CONNECTION(c) \
    :: d_step { c < CONNECTIONS && session[c] == 1 -> hello(c) }

init {
end:
    do
    :: d_step { events < EVENTS -> emit() }
    :: d_step { connections < CONNECTIONS -> connect() }
    :: d_step { boot < STARTS -> restart(true) }
    :: d_step { boot < STARTS -> restart(false) }
    :: d_step { crashes ->
                printf("hub: crash\n");
                crashes--;
                pinned = j_pinned;
                i = 0;
                do
                :: i < CONNECTIONS ->
                    if
                    :: session[i] == 1 || session[i] == 2 -> session[i] = 3; boot_of[i] = 0; plain_of[i] = false
                    :: else
                    fi;
                    i++
                :: else -> break
                od;
                i = 0 }
    EACH_EVENT(0)
#if EVENTS > 1
    EACH_EVENT(1)
#endif
#if EVENTS > 2
    EACH_EVENT(2)
#endif
    EACH_CONNECTION(0)
    EACH_CONNECTION(1)
    EACH_CONNECTION(2)
    od
}
