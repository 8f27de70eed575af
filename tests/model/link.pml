/* The delivery of link 2 (docs/wire.md) as a model for spin: one beacon, one or two hubs, crashes of either side at any point, links
 * that are cut, stall and are read late.  Lines are authentic here: wire.pml shows that they are.
 *
 * One process chooses among all steps that are possible; a step is atomic.  Every bound and every mutation is a -D (run.sh has
 * those that are checked); docs/model.md says what is left out.
 *
 *     step          who     clause of the protocol
 *     emit          beacon  a start's seq counts up from 1; the spool is on flash (events are synced before they are sent)
 *     connect       beacon  one connection is one session; hello with `boot`.  Old connections stay as they are: half open
 *     welcome       beacon  `starts`, with the names of windows; lower than what was acknowledged: unsure
 *     write         beacon  own start, one earlier start at a time, named ones first; nothing W above the lowest unsettled;
 *                           flash notes first; `unsure`
 *     chatter       beacon  a message that the hub does not know: ignored, but a line
 *     refusal, ack  beacon  only these settle an event; by line number
 *     restart       beacon  power cut: `boot` anew, events and notes from flash, settled ones may come back
 *     hello         hub     two windows for each host; ends the host's other sessions
 *     line          hub     seq window: duplicate, below the base, new; `unsure` acts only where the rule is idempotent
 *     commit        hub     turn's end: write journal    } in this order; a crash fits between any two
 *     answer        hub     turn's end: acknowledge      } (welcome after the hello is journaled, refusals before the ack)
 *     begin         hub     turn's end: begin jobs       }
 *     crash         hub     what is not in the journal is gone; what was about to begin: again if idempotent, else reported
 *     lose          hub     its memory is lost
 *     back_up, restore  hub an older journal takes the place of the newer
 *
 * Asserted: (a) what is acknowledged is in the synced journal; (b) no event acts twice unless idempotent; (c) what leaves the spool
 * has acted, will act, or is reported; (e), where a configuration says so: nothing is `unsure` or refused without need. */

/* ---- Bounds ---- */
#ifndef EVENTS
#define EVENTS 2
#endif
#ifndef STARTS
#define STARTS 2
#endif
#ifndef CONNECTIONS
#define CONNECTIONS 3
#endif
#ifndef HUBS
#define HUBS 1
#endif
#ifndef LINES
#define LINES 3         /* of a connection, after its hello */
#endif
#ifndef W
#define W 8             /* of the seq window: 256 */
#endif
#ifndef SPAN
#define SPAN W          /* what the beacon keeps to; more: one that does not */
#endif
#ifndef HUB_CRASHES
#define HUB_CRASHES 1
#endif
#ifndef LOSSES
#define LOSSES 0        /* of a hub's memory */
#endif
#ifndef IDEMPOTENT
#define IDEMPOTENT 0    /* a bit for each event: do all rules that match it say so? */
#endif
#ifndef MUTATION
#define MUTATION NONE
#endif

/* Mutations: what is left out of the protocol, each alone. */
#define NONE 0
#define ACK_BEFORE_JOURNAL 1
#define JOB_BEFORE_JOURNAL 2
#define WELCOME_BEFORE_JOURNAL 3
#define RERUN_ALL 4             /* after a crash, jobs whose rule is not idempotent, too */
#define NO_UNSURE 5
#define NO_NOTE 6               /* nothing on flash says what was written */
#define NOTE_OF_WRITER 7        /* the note is of the start that writes, not of the event's */
#define LAST_NAME_ONLY 8        /* a second name replaces the first */
#define ANY_NAME 9              /* the names are not compared */
#define MIXED_STARTS 10         /* several earlier starts at a time */
#define NAMED_LAST 11
#define ONE_WINDOW 12           /* of the hello's start only */
#define EVENT_TAKES_HELLOS 13   /* an earlier start's event takes the window of the hello's start */
#define SESSIONS_STAY 14        /* a welcome ends no other session */
#define COUNT_EVENTS 15         /* an ack counts messages on one side and events on the other */
#define ENDED_LATE 16           /* other sessions end with the welcome, not when the hello is read */
#define BELOW_IS_HAD 17
#define BELOW_IS_NEW 18
#define ACK_PASSES_REFUSAL 19
#define HIGHEST_IGNORED 20
#define WINDOWS_UNNAMED 21      /* the first draft: not a window has a name, but the hub's memory */
#define NOT_STICKY 22           /* a lower highest is forgotten with the session */
#define DUPLICATES_ACT 23
#define UNSURE_ACTS 24
#define UNSURE_NOTED 25         /* windows unnamed, but what was once unsure stays so (flash notes it) */

#define MUTANT(m) (MUTATION == m)
#if MUTATION == WINDOWS_UNNAMED || MUTATION == UNSURE_NOTED
#define TAG_OF_WINDOWS 0
#else
#define TAG_OF_WINDOWS 1
#endif

#define NOBODY 15
#define SEVERAL 15
#define UNSURE_LINE 14
#define CHATTER_LINE 15
#define idempotent(e) (IDEMPOTENT >> (e) & 1)

/* ---- Beacon ---- */
byte boot = 1, last_seq, events;
byte start[EVENTS], seq[EVENTS];
byte spool[EVENTS];     /* 0: not yet, 1: in it, 2: settled */
byte written[EVENTS];   /* RAM: under which name; 0: never, or SEVERAL */
byte note[STARTS + 1];  /* flash: the same of all events of a start */
byte current = NOBODY, connections;
byte up_state;          /* 1: hello sent, 2: welcome read */
byte earlier;           /* the earlier start whose events it sends */
byte read_ack;
byte acked_seq, acked_name; /* highest of its own start, under that name */

/* ---- Connections; lines of the beacon on their way ---- */
byte hub_of[CONNECTIONS], boot_of[CONNECTIONS];
byte session[CONNECTIONS]; /* the hub's: 1: greeted, 2: hello read, 3: closed */
byte sent[CONNECTIONS], taken[CONNECTIONS], refused[CONNECTIONS];
byte line[CONNECTIONS * LINES]; /* event + 1, or *_LINE */
#define AT(c, n) line[(c) * LINES + (n)]

/* ---- The hub's answers to `current` ---- */
byte w_state;           /* 1: hello read, 2: it is in the journal, 3: welcome sent */
byte w_hub, w_there, w_high0, w_name0, w_start1, w_high1, w_name1;
bool w_lower;           /* its highest is lower than what it had acknowledged before this session */
byte committed, acked;  /* lines */

/* ---- Hubs: memory, and what of it is in the journal ---- */
#define WIN(h, k) ((h) * 2 + (k))
byte w_start[2 * HUBS], w_bits[2 * HUBS], w_high[2 * HUBS], w_name[2 * HUBS];
byte j_start[2 * HUBS], j_bits[2 * HUBS], j_high[2 * HUBS], j_name[2 * HUBS];
#define JOB(h, e) ((h) * EVENTS + (e))
byte job[HUBS * EVENTS];   /* 1: chosen, 2: begun or known, 3: unknown */
byte j_job[HUBS * EVENTS]; /* 1: about to begin, 2: ended or reported */
byte phase[HUBS];          /* of its turn; 0: reads, 1: committed, 2: answered */
bool dirty[HUBS];
byte name[HUBS], names = HUBS; /* of its memory: the first draft */
byte crashes = HUB_CRASHES, losses = LOSSES;
#ifdef BACKUP
byte b_state, b_start[2], b_bits[2], b_high[2], b_name[2];
#endif
#ifdef CHATTER
byte chatter = CHATTER;
#endif

/* ---- What the properties look at ---- */
byte acts[EVENTS];
bool reported[EVENTS];
bool journaled[HUBS * EVENTS];
#ifdef NEEDLESS
bool welcomed[STARTS + 1];
#endif

#if MUTATION == ENDED_LATE
byte newest = NOBODY;
#else
#define newest e
#endif
byte i, k, h, e, x, y; /* scratch: zero between steps */
bool found, again;

inline act(ev)
{
    printf("hub: event %d acts\n", ev);
    assert(acts[ev] == 0 || idempotent(ev)); /* (b) */
    acts[ev] = (acts[ev] < 2 -> acts[ev] + 1 : 2);
}

/* ==== Beacon ==== */

#define may_emit (events < EVENTS && last_seq < EVENTS)
inline emit()
{
    printf("beacon: start %d: event %d, seq %d\n", boot, events, last_seq + 1);
    last_seq++;
    start[events] = boot;
    seq[events] = last_seq;
    spool[events] = 1;
    events++;
}

/* A connection that neither side will look at again. */
inline clear_lines(c)
{
    i = 0;
    do
    :: i < LINES -> AT(c, i) = 0; i++
    :: else -> break
    od;
    i = 0;
    sent[c] = 0; taken[c] = 0; refused[c] = 0; hub_of[c] = 0; boot_of[c] = 0;
}

inline leave()
{
    if
    :: current != NOBODY && session[current] == 3 -> clear_lines(current)
    :: else
    fi;
    current = NOBODY;
    up_state = 0; earlier = 0; read_ack = 0;
    w_state = 0; w_hub = 0; w_there = 0; w_high0 = 0; w_name0 = 0; w_start1 = 0; w_high1 = 0; w_name1 = 0; w_lower = false;
    committed = 0; acked = 0;
}

inline connect(to)
{
    printf("beacon: connection %d to hub %d, hello of start %d\n", connections, to, boot);
    leave();
    current = connections;
    connections++;
    hub_of[current] = to;
    boot_of[current] = boot;
    session[current] = 1;
    up_state = 1;
}

/* What `starts` says of a start. */
#define listed(s) ((s) == boot && w_there || (s) == w_start1)
#define listed_high(s) ((s) == boot -> w_high0 : w_high1)
#define session_name (current + 1)
/* Under which name a line of that start is written. */
#define window_name(s) ((s) == boot && w_there -> w_name0 : ((s) == w_start1 -> w_name1 : session_name))
#define tag(s) (TAG_OF_WINDOWS -> window_name(s) : w_hub)

inline read_welcome()
{
    printf("beacon: welcome; own start there %d, highest %d, name %d; other start %d, highest %d, name %d\n", w_there, w_high0,
           w_name0, w_start1, w_high1, w_name1);
    up_state = 2;
#ifdef NEEDLESS
    welcomed[boot] = true;
#endif
    x = tag(boot);
    if
    :: x != acked_name -> acked_seq = 0; acked_name = x
    :: else
    fi;
    x = 0;
    w_lower = w_there && w_high0 < acked_seq && !MUTANT(HIGHEST_IGNORED);
    e = 0;
    do
    :: e < EVENTS && MUTANT(UNSURE_NOTED) ->
        if
        :: spool[e] && written[e] && !listed(start[e]) -> written[e] = SEVERAL; note[start[e]] = SEVERAL
        :: else
        fi;
        e++
    :: else -> break
    od;
    e = 0;
    if
    :: w_lower && TAG_OF_WINDOWS && !MUTANT(NOT_STICKY) -> /* an older memory: what was written before stays unsure */
        e = 0;
        do
        :: e < EVENTS ->
            if
            :: spool[e] && start[e] == boot && written[e] -> written[e] = SEVERAL
            :: else
            fi;
            e++
        :: else -> break
        od;
        e = 0;
        note[boot] = SEVERAL;
        acked_seq = w_high0;
        w_lower = false
    :: else
    fi;
}

/* found: e may be sent now. */
inline look(ev)
{
    found = true;
    i = 0;
    do
    :: i < LINES ->
        if
        :: AT(current, i) == (ev) + 1 -> found = false
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < EVENTS ->
        if
        :: spool[i] != 1 -> skip
        :: spool[i] == 1 && start[i] == start[ev] && seq[ev] >= seq[i] + SPAN -> found = false
        :: spool[i] == 1 && start[ev] != boot && earlier && earlier != start[ev] && start[i] == earlier &&
           !MUTANT(MIXED_STARTS) -> found = false
        :: spool[i] == 1 && start[ev] != boot && start[i] != boot && start[i] != start[ev] && start[i] == w_start1 &&
           !MUTANT(NAMED_LAST) && !MUTANT(MIXED_STARTS) -> found = false
        :: spool[i] == 1 && start[ev] != boot && start[i] != boot && start[i] != start[ev] && start[ev] == w_start1 &&
           MUTANT(NAMED_LAST) -> found = false
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
}

inline add_name(where, n)
{
    where = (where == 0 || where == (n) || MUTANT(LAST_NAME_ONLY) -> (n) : SEVERAL);
}

#define room (current != NOBODY && up_state == 2 && sent[current] + 1 < LINES)

inline write_line(what)
{
    printf("beacon: writes line %d: %d\n", sent[current], what);
    AT(current, sent[current]) = what;
    sent[current] = sent[current] + 1;
}

inline write(ev)
{
    look(ev);
    if
    :: found ->
        x = tag(start[ev]);
        found = written[ev] == 0 || listed(start[ev]) && (written[ev] == x || MUTANT(ANY_NAME) && written[ev]) &&
                !(start[ev] == boot && w_lower);
        if
        :: !found && !MUTANT(NO_UNSURE) ->
#ifdef NEEDLESS
            assert(!welcomed[start[ev]]); /* (e): nothing happened that could make it so */
#endif
            write_line(UNSURE_LINE)
        :: else
        fi;
        /* A note that is made and a line that is not written are the safe side: one step. */
        if
        :: MUTANT(NO_NOTE) -> skip
        :: MUTANT(NOTE_OF_WRITER) -> add_name(note[boot], x)
        :: else -> add_name(note[start[ev]], x)
        fi;
        add_name(written[ev], x);
        if
        :: start[ev] != boot -> earlier = start[ev]
        :: else
        fi;
        write_line(ev + 1);
        x = 0
    :: else
    fi;
    found = false;
}

#define may_settle(n) (AT(current, n) >= 1 && AT(current, n) <= EVENTS && spool[AT(current, n) - 1] == 1)

inline settle_refused(n)
{
    printf("beacon: line %d is refused\n", n);
    if
    :: may_settle(n) ->
        spool[AT(current, n) - 1] = 2;
        reported[AT(current, n) - 1] = true
    :: else
    fi;
}

inline settle_acked(n)
{
    if
    :: may_settle(n) ->
        e = AT(current, n) - 1;
        x = hub_of[current];
        assert(journaled[JOB(x, e)]);                                   /* (a) */
        assert(acts[e] || reported[e] || j_job[JOB(x, e)] == 1); /* (c) */
        spool[e] = 2;
        if
        :: start[e] == boot && seq[e] > acked_seq -> acked_seq = seq[e]
        :: else
        fi;
        e = 0;
        x = 0
    :: else
    fi;
}

#define may_read_ack (current != NOBODY && up_state == 2 && acked > read_ack)
inline ack()
{
    printf("beacon: ack up to line %d\n", acked);
    k = read_ack;
    if
    :: MUTANT(COUNT_EVENTS) -> /* the nth event, whatever lies between */
        k = 0; y = 0;
        do
        :: k < LINES && y < acked ->
            if
            :: AT(current, k) >= 1 && AT(current, k) <= EVENTS -> y++; settle_acked(k)
            :: else
            fi;
            k++
        :: else -> break
        od;
        y = 0
    :: else ->
        do
        :: k < acked ->
            if
            :: refused[current] >> k & 1 && !MUTANT(ACK_PASSES_REFUSAL) -> settle_refused(k)
            :: else -> settle_acked(k)
            fi;
            k++
        :: else -> break
        od
    fi;
    k = 0;
    read_ack = acked;
}

inline refusal()
{
    k = 0;
    do
    :: k < LINES ->
        if
        :: refused[current] >> k & 1 -> settle_refused(k)
        :: else
        fi;
        k++
    :: else -> break
    od;
    k = 0;
}

/* GONEs are not synced: settled events may come back. */
inline restart()
{
    printf("beacon: power cut; start %d\n", boot + 1);
    leave();
    boot++;
    last_seq = 0; acked_seq = 0; acked_name = 0;
    e = 0;
    do
    :: e < events ->
        written[e] = note[start[e]];
        if
        :: spool[e] == 2 -> spool[e] = 1
        :: true
        fi;
        e++
    :: else -> break
    od;
    e = 0;
}

/* ==== Hub ==== */

#define reads(c) (session[c] && session[c] < 3 && phase[hub_of[c]] == 0)

inline close_session(c)
{
    session[c] = 3;
    if
    :: c != current -> clear_lines(c)
    :: w_state < 3 -> w_state = 0
    :: else
    fi;
}

inline move(to, from)
{
    w_start[to] = w_start[from]; w_bits[to] = w_bits[from]; w_high[to] = w_high[from]; w_name[to] = w_name[from];
}

inline make_window(slot, s, n)
{
    w_start[slot] = s; w_bits[slot] = 0; w_high[slot] = 0; w_name[slot] = n;
}

inline end_others(c)
{
    e = 0;
    do
    :: e < CONNECTIONS ->
        if
        :: e != c && session[e] == 2 && hub_of[e] == h -> close_session(e)
        :: else
        fi;
        e++
    :: else -> break
    od;
    e = 0;
}

/* keep: which of its two windows stays beside that of a new start. */
inline hello(c, keep)
{
    printf("hub %d: hello of start %d on connection %d (keep %d)\n", hub_of[c], boot_of[c], c, keep);
    h = hub_of[c];
    found = w_start[WIN(h, 0)] == boot_of[c] || w_start[WIN(h, 1)] == boot_of[c];
    if
    :: w_start[WIN(h, 0)] == boot_of[c] -> skip
    :: w_start[WIN(h, 1)] == boot_of[c] ->
        x = w_bits[WIN(h, 1)]; y = w_high[WIN(h, 1)]; k = w_name[WIN(h, 1)];
        move(WIN(h, 1), WIN(h, 0));
        make_window(WIN(h, 0), boot_of[c], k);
        w_bits[WIN(h, 0)] = x; w_high[WIN(h, 0)] = y;
        x = 0; y = 0; k = 0
    :: else ->
        if
        :: keep == 0 -> move(WIN(h, 1), WIN(h, 0))
        :: else
        fi;
        make_window(WIN(h, 0), boot_of[c], c + 1)
    fi;
    if
    :: MUTANT(ONE_WINDOW) -> make_window(WIN(h, 1), 0, 0)
    :: else
    fi;
    session[c] = 2;
    dirty[h] = true;
    if
    :: MUTANT(SESSIONS_STAY) -> skip
    :: MUTANT(ENDED_LATE) -> newest = c
    :: else -> end_others(c)
    fi;
    if
    :: c == current ->
        w_state = 1;
        w_hub = (TAG_OF_WINDOWS -> 0 : name[h]);
        w_there = found;
        w_high0 = (found -> w_high[WIN(h, 0)] : 0);
        w_name0 = (found -> w_name[WIN(h, 0)] : 0);
        w_start1 = w_start[WIN(h, 1)];
        w_high1 = w_high[WIN(h, 1)];
        w_name1 = w_name[WIN(h, 1)]
    :: else
    fi;
    found = false;
    h = 0;
}

/* Only where the choice is one. */
#define both_full(c) (w_start[WIN(hub_of[c], 0)] && w_start[WIN(hub_of[c], 1)] && \
                      w_start[WIN(hub_of[c], 0)] != boot_of[c] && w_start[WIN(hub_of[c], 1)] != boot_of[c])

#define has_bit(slot, s) (w_bits[slot] >> (s) & 1)

/* k: the window's slot. */
inline find_window(c, s)
{
    if
    :: w_start[WIN(h, 0)] == (s) -> k = WIN(h, 0)
    :: w_start[WIN(h, 0)] != (s) && w_start[WIN(h, 1)] == (s) -> k = WIN(h, 1)
    :: else ->
        k = (MUTANT(EVENT_TAKES_HELLOS) -> WIN(h, 0) : WIN(h, 1));
        make_window(k, s, c + 1)
    fi;
}

/* e: the event; again: it is unsure. */
inline accept()
{
    w_bits[k] = w_bits[k] | 1 << seq[e];
    w_high[k] = (seq[e] > w_high[k] -> seq[e] : w_high[k]);
    if
    :: w_high[k] >= W -> w_bits[k] = w_bits[k] >> (w_high[k] - W + 1) << (w_high[k] - W + 1)
    :: else
    fi;
    if
    :: again && !idempotent(e) && !MUTANT(UNSURE_ACTS) ->
        if
        :: job[JOB(h, e)] == 1 -> reported[e] = true
        :: else -> job[JOB(h, e)] = 3
        fi
    :: MUTANT(JOB_BEFORE_JOURNAL) -> job[JOB(h, e)] = 2; act(e)
    :: else -> job[JOB(h, e)] = 1
    fi;
}

inline event(c)
{
    e = x - 1;
    find_window(c, start[e]);
    if
    :: has_bit(k, seq[e]) && !MUTANT(DUPLICATES_ACT) -> skip
    :: (!has_bit(k, seq[e]) || MUTANT(DUPLICATES_ACT)) && seq[e] + W <= w_high[k] && !MUTANT(BELOW_IS_NEW) ->
#ifdef NEEDLESS
        assert(false); /* (e): the beacon keeps to the span */
#endif
        if
        :: MUTANT(BELOW_IS_HAD) -> skip
        :: else -> refused[c] = refused[c] | 1 << (taken[c] - 1)
        fi
    :: else -> accept()
    fi;
    e = 0;
    k = 0;
}

inline take(c)
{
    printf("hub %d: connection %d: line %d: %d\n", hub_of[c], c, taken[c], AT(c, taken[c]));
    h = hub_of[c];
    dirty[h] = true;
    again = false;
    x = AT(c, taken[c]);
    taken[c] = taken[c] + 1;
    if
    :: x == UNSURE_LINE -> /* the beacon writes both at once; what is cut off between them says nothing */
        again = true;
        x = AT(c, taken[c]);
        taken[c] = taken[c] + 1
    :: else
    fi;
    if
    :: x == CHATTER_LINE -> skip
    :: else -> event(c)
    fi;
    again = false;
    x = 0;
    h = 0;
}

inline save(to)
{
    j_start[to] = w_start[to]; j_bits[to] = w_bits[to]; j_high[to] = w_high[to]; j_name[to] = w_name[to];
}

inline load(to)
{
    w_start[to] = j_start[to]; w_bits[to] = j_bits[to]; w_high[to] = j_high[to]; w_name[to] = j_name[to];
}

#define answers(hub) (current != NOBODY && hub_of[current] == hub && session[current] == 2)

inline commit(hub)
{
    printf("hub %d: journal\n", hub);
    save(WIN(hub, 0));
    save(WIN(hub, 1));
    e = 0;
    do
    :: e < EVENTS ->
        x = JOB(hub, e);
        if
        :: job[x] == 1 -> j_job[x] = 1; journaled[x] = true
        :: job[x] == 2 -> j_job[x] = 2; journaled[x] = true
        :: job[x] == 3 -> job[x] = 2; j_job[x] = 2; journaled[x] = true; reported[e] = true
        :: else
        fi;
        e++
    :: else -> break
    od;
    e = 0;
    x = 0;
    if
    :: answers(hub) ->
        w_state = (w_state == 1 -> 2 : w_state);
        committed = taken[current]
    :: else
    fi;
    dirty[hub] = false;
    phase[hub] = 1;
}

inline answer(hub)
{
    printf("hub %d: answers\n", hub);
#if MUTATION == ENDED_LATE
    if
    :: newest != NOBODY -> h = hub; end_others(newest); h = 0; newest = NOBODY
    :: else
    fi;
#endif
    if
    :: answers(hub) ->
        w_state = (w_state == 2 -> 3 : w_state);
        acked = committed
    :: else
    fi;
    phase[hub] = 0;
    e = 0;
    do
    :: e < EVENTS ->
        if
        :: job[JOB(hub, e)] == 1 -> phase[hub] = 2
        :: else
        fi;
        e++
    :: else -> break
    od;
    e = 0;
}

inline begin(hub)
{
    printf("hub %d: begins jobs\n", hub);
    e = 0;
    do
    :: e < EVENTS ->
        if
        :: job[JOB(hub, e)] == 1 -> act(e); job[JOB(hub, e)] = 2
        :: else
        fi;
        e++
    :: else -> break
    od;
    e = 0;
    phase[hub] = 0;
}

inline close_all(hub)
{
    y = 0;
    do
    :: y < CONNECTIONS ->
        if
        :: session[y] && session[y] < 3 && hub_of[y] == hub -> close_session(y)
        :: else
        fi;
        y++
    :: else -> break
    od;
    y = 0;
    phase[hub] = 0;
    dirty[hub] = false;
}

inline crash(hub)
{
    printf("hub %d: crash\n", hub);
    crashes--;
    load(WIN(hub, 0));
    load(WIN(hub, 1));
    close_all(hub);
    e = 0;
    do
    :: e < EVENTS ->
        x = JOB(hub, e);
        if
        :: j_job[x] == 1 && (idempotent(e) || MUTANT(RERUN_ALL)) -> act(e)
        :: j_job[x] == 1 && !(idempotent(e) || MUTANT(RERUN_ALL)) -> reported[e] = true
        :: else
        fi;
        j_job[x] = (j_job[x] -> 2 : 0);
        job[x] = j_job[x];
        e++
    :: else -> break
    od;
    e = 0;
    x = 0;
}

/* What had not begun is gone with the memory; the other name is all that says so. */
inline forget_jobs(hub)
{
    e = 0;
    do
    :: e < EVENTS ->
        x = JOB(hub, e);
        if
        :: j_job[x] == 1 && !acts[e] -> reported[e] = true
        :: else
        fi;
        j_job[x] = 0;
        job[x] = 0;
        e++
    :: else -> break
    od;
    e = 0;
    x = 0;
}

inline lose(hub)
{
    printf("hub %d: loses its memory\n", hub);
    losses--;
    make_window(WIN(hub, 0), 0, 0);
    make_window(WIN(hub, 1), 0, 0);
    save(WIN(hub, 0));
    save(WIN(hub, 1));
    close_all(hub);
    forget_jobs(hub);
    names++;
    name[hub] = names;
}

#ifdef BACKUP
inline copy_window(k)
{
    b_start[k] = j_start[k]; b_bits[k] = j_bits[k]; b_high[k] = j_high[k]; b_name[k] = j_name[k];
}

inline back_up()
{
    printf("hub 0: backup\n");
    copy_window(0);
    copy_window(1);
    b_state = 1;
}

inline restore_window(k)
{
    j_start[k] = b_start[k]; j_bits[k] = b_bits[k]; j_high[k] = b_high[k]; j_name[k] = b_name[k];
    load(k);
    b_start[k] = 0; b_bits[k] = 0; b_high[k] = 0; b_name[k] = 0;
}

inline restore()
{
    printf("hub 0: backup restored\n");
    b_state = 2;
    restore_window(0);
    restore_window(1);
    close_all(0);
    forget_jobs(0);
}

/* Only with what the beacon can know: something of its start was acknowledged after the backup, or its start is not in it. */
#define may_restore (b_state == 1 && phase[0] == 0 && j_start[WIN(0, 0)] == boot && \
                     (b_start[0] != boot && b_start[1] != boot || b_start[0] == boot && b_high[0] < acked_seq))
#endif

#ifdef IN_ORDER                 /* no hello is read late */
#define on_time(c) ((c) == current)
#else
#define on_time(c) true
#endif

#define EACH_CONNECTION(c)                                                                                             \
    :: d_step { c < CONNECTIONS && session[c] == 1 && reads(c) && on_time(c) -> hello(c, 0) }                                        \
    :: d_step { c < CONNECTIONS && session[c] == 1 && reads(c) && on_time(c) && both_full(c) -> hello(c, 1) }                        \
    :: d_step { c < CONNECTIONS && session[c] == 2 && reads(c) && taken[c] < sent[c] -> take(c) }

#define EACH_EVENT(ev) \
    :: d_step { room && spool[ev] == 1 -> write(ev) }

#define EACH_HUB(hub)                                                                                                  \
    :: d_step { connections < CONNECTIONS -> connect(hub) }                                                            \
    :: d_step { phase[hub] == 0 && dirty[hub] -> commit(hub) }                                                         \
    :: d_step { phase[hub] == 1 -> answer(hub) }                                                                       \
    :: d_step { phase[hub] == 2 -> begin(hub) }                                                                        \
    :: d_step { crashes -> crash(hub) }                                                                                \
    :: d_step { losses -> lose(hub) }                                                                                  \
    :: d_step { MUTANT(ACK_BEFORE_JOURNAL) && phase[hub] == 0 && answers(hub) && w_state == 3 && acked < taken[current] -> \
                acked = taken[current] }                                                                               \
    :: d_step { MUTANT(WELCOME_BEFORE_JOURNAL) && answers(hub) && w_state == 1 -> w_state = 3 }

init {
    d_step {
        name[0] = 1;
#if HUBS > 1
        name[1] = 2;
#endif
    }
end:
    do
    :: d_step { may_emit -> emit() }
    :: d_step { up_state == 1 && w_state == 3 -> read_welcome() }
    :: d_step { may_read_ack -> ack() }
    :: d_step { current != NOBODY && up_state == 2 && refused[current] && session[current] == 2 -> refusal() }
    :: atomic { boot < STARTS -> restart() }
#ifdef CHATTER
    :: d_step { room && chatter -> chatter--; write_line(CHATTER_LINE) }
#endif
    EACH_EVENT(0)
#if EVENTS > 1
    EACH_EVENT(1)
#endif
#if EVENTS > 2
    EACH_EVENT(2)
#endif
#if EVENTS > 3
    EACH_EVENT(3)
#endif
    EACH_CONNECTION(0)
    EACH_CONNECTION(1)
#if CONNECTIONS > 2
    EACH_CONNECTION(2)
#endif
#if CONNECTIONS > 3
    EACH_CONNECTION(3)
#endif
#if CONNECTIONS > 4
    EACH_CONNECTION(4)
#endif
#if CONNECTIONS > 5
    EACH_CONNECTION(5)
#endif
    EACH_HUB(0)
#if HUBS > 1
    EACH_HUB(1)
#endif
#ifdef BACKUP
    :: d_step { b_state == 0 && phase[0] == 0 && !dirty[0] -> back_up() }
    :: d_step { may_restore -> restore() }
#endif
    od
}
