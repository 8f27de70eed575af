#include <setjmp.h>
#include <sys/stat.h>
#include <unistd.h>

/* The hub's fixture lets syncs fail on demand; the beacon's file notes besides what is on disk. */
#define fdatasync hub_fdatasync
#define fsync hub_fsync
int fdatasync(int fd);
int fsync(int fd);
#include "hub_wired.h"
#undef fdatasync
#undef fsync

#define session beacon_session /* the hub has one, too */
#include "nefia/beacon/session.h"
#undef session
#include "nefia/beacon/spool_file.h"

/* A beacon with its spool, file and session, and a hub with its journal, and between them connections
 * that are cut, stalled and read late; power cuts of the beacon, and crashes of the hub wherever it
 * calls its surroundings. After each history: no event acted twice, and each that the beacon took for
 * settled has acted, or is reported. */

enum { STARTS = 32, SEQS = 256, UP_ROOM = 64 * 1024, FILE_ROOM = 64 * 1024, LINE_ROOM = 16384 };

static uint32_t seed;

static unsigned below(unsigned n)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 16) % n;
}

/* ---- The account ---- */

static uint8_t acted[STARTS][SEQS], unknown[STARTS][SEQS], settled_at_beacon[STARTS][SEQS];

static unsigned long total_acted, total_unknown;

static unsigned start_of(uint64_t boot)
{
    return (unsigned)(boot >> 33);
}

/* ---- The beacon ---- */

static uint8_t spool_mem[32768], read_buf[FRAME_HEADER + SPOOL_FILE_HEAD + CONFIG_EVENT_BYTES];
static struct spool spool;
static struct spool_file file = {.fd = -1};
static struct beacon_session session;
static uint64_t starts, seqs;
static char up_line[LINE_ROOM], path[FILE_PATH_MAX], on_disk[FILE_ROOM];
static size_t on_disk_len;
static ino_t on_disk_inode;
static int current = -1; /* the connection */
static bool is_up;
static const struct mac_key *beacon_key;

/** What goes up, and the hub has not read. */
static struct wire {
    char bytes[UP_ROOM];
    size_t len;
} wires[WIRED_SESSIONS];

static void note_disk(void)
{
    struct stat st;

    if (file.fd < 0 || fstat(file.fd, &st) < 0)
        return;
    REQUIRE((size_t)st.st_size <= sizeof on_disk);
    on_disk_len = (size_t)pread(file.fd, on_disk, sizeof on_disk, 0);
    on_disk_inode = st.st_ino;
}

int fdatasync(int fd)
{
    if (fd == file.fd) {
        note_disk();
        return 0;
    }
    return hub_fdatasync(fd);
}

int fsync(int fd)
{
    return fd == file.fd ? fdatasync(fd) : disk_fails ? hub_fsync(fd) : 0;
}

/** A replaced file is on disk as a whole. */
static void watch_file(void)
{
    struct stat st;

    if (file.fd >= 0 && fstat(file.fd, &st) == 0 && st.st_ino != on_disk_inode)
        note_disk();
}

static void beacon_begins(void)
{
    spool_init(&spool, spool_mem, sizeof spool_mem);
    memset(&file, 0, sizeof file);
    file.fd = -1;
    file.least = below(4) ? SEVERITY_INFO : SEVERITY_CRITICAL;
    file.cap = 16384;
    file.daily = 1 << 28;
    CHECK_INT(spool_file_open(&file, &spool, &fake.clock, path, read_buf, sizeof read_buf), 0);
    note_disk();
    starts++;
    seqs = 0;
    spool.own = starts << 33 | (1 + below(1000));
    session_init(&session, &spool);
    current = -1;
    is_up = false;
}

static void hang_up(void)
{
    session_end(&session);
    spool_rewind(&spool);
    current = -1;
    is_up = false;
}

static void power_cut(void)
{
    if (starts + 1 >= STARTS)
        return;
    hang_up();
    if (below(2)) { /* what was not synced is gone */
        CHECK_INT(ftruncate(file.fd, 0), 0);
        CHECK_INT((long long)file_append(file.fd, on_disk, on_disk_len), 0);
    }
    close(file.fd);
    beacon_begins();
}

static void push(void)
{
    char line[512];
    struct text t;

    if (seqs + 1 >= SEQS)
        return;
    text_init(&t, line, sizeof line);
    text_str(&t, event(spool.own, ++seqs));
    const struct spool_event e = {.id = {spool.own, seqs},
                                  .severity = (enum severity)below(SEVERITY_COUNT),
                                  .line = t.buf,
                                  .len = t.len};
    CHECK_INT(spool_push(&spool, &e), 0);
    spool_file_keep(&file, &e);
    watch_file();
}

static void send_up(const char *sent, size_t len)
{
    struct wire *w = &wires[current];

    REQUIRE(w->len + len <= sizeof w->bytes);
    memcpy(w->bytes + w->len, sent, len);
    w->len += len;
}

static void send_events(void)
{
    size_t len;

    while (is_up && below(8) && (len = session_next(&session, 0, up_line)) > 0)
        send_up(up_line, len);
    watch_file();
}

static void note_settled(const bool before[STARTS][SEQS])
{
    static bool now[STARTS][SEQS];
    struct spool_item item;

    memset(now, 0, sizeof now);
    for (size_t at = 0; spool_walk(&spool, &at, &item);)
        now[start_of(item.event.id.boot)][item.event.id.seq] = true;
    for (unsigned i = 0; i < STARTS; i++)
        for (unsigned k = 0; k < SEQS; k++)
            settled_at_beacon[i][k] |= before[i][k] && !now[i][k];
}

/** Read what the hub has said. */
static void beacon_reads(void)
{
    static bool before[STARTS][SEQS];
    struct peer *p = &peers[current];
    struct spool_item item;
    enum session_result r = SESSION_NOTHING;

    memset(before, 0, sizeof before);
    for (size_t at = 0; spool_walk(&spool, &at, &item);)
        before[start_of(item.event.id.boot)][item.event.id.seq] = true;
    while (p->down.len > 0 && r != SESSION_OVER) {
        size_t room = SESSION_RECEIVE - session.received_len, n = p->down.len < room ? p->down.len : room;
        memcpy(session.received + session.received_len, p->down.buf, n);
        session.received_len += n;
        memmove(p->down.buf, p->down.buf + n, p->down.len - n);
        p->down.len -= n;
        while ((r = session_take(&session, 0)) != SESSION_NOTHING && r != SESSION_OVER) {
            if (r == SESSION_GREETED)
                send_up(up_line, session_hello(&session, beacon_key, "web", false, 0, up_line));
            is_up |= r == SESSION_WELCOMED;
        }
    }
    note_settled((const bool(*)[SEQS])before);
    spool_file_settle(&file);
    watch_file();
    if (r == SESSION_OVER)
        hang_up();
}

/* ---- The hub ---- */

static jmp_buf crash;
static unsigned crash_in; /* calls of the hub's surroundings until it crashes; 0: never */

static void may_crash(void)
{
    if (crash_in > 0 && --crash_in == 0)
        longjmp(crash, 1);
}

static void note_rows(void)
{
    struct recent_view v;
    struct event e;
    struct json_token tokens[128];
    char room[EVENT_SCRATCH];

    for (uint64_t i = recent.last_seq > 60 ? recent.last_seq - 60 : 1; i <= recent.last_seq; i++)
        if (recent_get(&recent, i, &v) && v.row->state == RECENT_FAILED &&
            (strstr(v.row->error, "may have acted") || strstr(v.row->error, "result unknown") ||
             strstr(v.row->error, "unknown whether")) &&
            event_decode(&e, v.line.ptr, v.line.len, tokens, ARRAY_SIZE(tokens), room, NULL) == 0 &&
            e.has_seq)
            unknown[start_of(e.boot)][e.seq] = 1;
}

static int start(const struct action_request *r, struct action_scratch *s, struct child_spec *spec,
                 struct text *why)
{
    (void)s;
    (void)spec;
    (void)why;
    if (r->event->has_seq)
        acted[start_of(r->event->boot)][r->event->seq]++;
    may_crash();
    return NEFIA_EINVAL; /* it has ended */
}

static void acknowledge(void *arg)
{
    may_crash();
    answer_all(arg);
    may_crash();
}

static void dress_hub(void)
{
    exec_class.start = start;
    pipeline.acknowledge = acknowledge;
}

/** With the hub's memory goes what it had not begun, and nobody is left to report that. */
static void excuse_all(void)
{
    struct json_token tokens[128];
    char room[EVENT_SCRATCH];
    struct event e;

    for (const struct job *job = NULL; (job = jobs_next(&jobs, job ? job->id : 0)) != NULL;)
        if (event_decode(&e, jobs_line(&jobs, job), job->len, tokens, ARRAY_SIZE(tokens), room, NULL) == 0 &&
            e.has_seq)
            unknown[start_of(e.boot)][e.seq] = 1;
}

static void hub_restarts(bool forgets)
{
    if (forgets)
        excuse_all();
    crash_in = 0;
    disk_fails = false;
    const struct mac_key key = ingress.key;
    if (forgets)
        remove_state();
    wire();
    ingress.key = key;
    dress_hub();
    open_state();
    note_rows();
    turn();
    if (current >= 0)
        hang_up();
}

static void close_at_hub(unsigned i)
{
    leave(&peers[i]);
    wires[i].len = 0;
    if (current == (int)i)
        hang_up();
}

/** The hub reads some units of a connection. */
static void hub_reads(unsigned i)
{
    struct peer *p = &peers[i];
    struct wire *w = &wires[i];

    for (unsigned n = below(6); n > 0 && p->open; n--) {
        struct link_unit u;
        long len = link_cut(w->bytes, w->len, CONFIG_EVENT_BYTES, p->session.link.is_signed, &u);

        if (len <= 0 || (p->session.due != SESSION_IDLE && p->session.due != SESSION_ACK))
            return;
        int err = hooks.unit(hooks.arg, &p->session, &u);
        note_rows();
        if (err == NEFIA_EAGAIN)
            return;
        memmove(w->bytes, w->bytes + len, w->len - (size_t)len);
        w->len -= (size_t)len;
        if (err < 0) {
            answer(p);
            if (current == (int)i)
                beacon_reads();
            close_at_hub(i);
        }
    }
}

static void call_hub(void)
{
    unsigned i = 0;

    if (current >= 0)
        hang_up();
    while (i < WIRED_SESSIONS && peers[i].open)
        i++;
    if (i == WIRED_SESSIONS)
        close_at_hub(i = below(WIRED_SESSIONS));
    struct peer *p = &peers[i];
    memset(p, 0, sizeof *p);
    p->open = true;
    wires[i].len = 0;
    text_init(&p->down, p->down_buf, sizeof p->down_buf);
    p->session.peer = (struct addr){.family = AF_INET, .ip = {192, 0, 2, 1}, .port = 1};
    hooks.opened(hooks.arg, &p->session, &p->down);
    for (unsigned k = 0; k < LINK_NONCE; k++)
        session.nonce[k] = (uint8_t)below(256);
    session_begin(&session, beacon_key->set);
    current = (int)i;
    beacon_reads();
}

/** Hellos of others until the host is forgotten. */
static void crowd(void)
{
    char name[] = "host-a";

    for (unsigned i = 0; i < WIRED_HOSTS; i++, name[5]++) {
        const struct slice host_id = {name, 6};
        struct link_hello h = {.boot = 1};
        memcpy(h.host_id, name, sizeof name);
        (void)host_id;
        pipeline_hello(&pipeline, &h);
    }
}

static void hub_turn(void)
{
    fake.now_ms += 300;
    turn();
    note_rows();
    for (unsigned i = 0; i < WIRED_SESSIONS; i++)
        if (peers[i].open && peers[i].session.link.state == LINK_OVER) {
            if (current == (int)i)
                beacon_reads();
            close_at_hub(i);
        }
}

static void step(bool calm)
{
    switch (below(calm ? 5 : 14)) {
    case 0:
        if (current < 0)
            call_hub();
        break;
    case 1:
        send_events();
        break;
    case 2:
        hub_reads(below(WIRED_SESSIONS));
        break;
    case 3:
        hub_turn();
        break;
    case 4:
        if (current >= 0)
            beacon_reads();
        break;
    case 5:
    case 6:
        push();
        break;
    case 7:
        if (below(4) == 0)
            call_hub(); /* the old one stays half open */
        break;
    case 8:
        if (below(8) == 0)
            close_at_hub(below(WIRED_SESSIONS));
        break;
    case 9:
        if (below(8) == 0)
            power_cut();
        break;
    case 10:
        if (below(6) == 0 && crash_in == 0)
            crash_in = 1 + below(12);
        break;
    case 11:
        if (below(10) == 0)
            disk_fails = !disk_fails;
        break;
    case 12:
        if (below(8) == 0)
            crowd();
        break;
    default:
        if (below(40) == 0)
            hub_restarts(below(3) == 0);
    }
}

static void complain(uint32_t s, const char *what, unsigned start, unsigned seq)
{
    check_puts("history ");
    check_putn(s);
    check_puts(what);
    check_putn(start);
    check_puts(" seq ");
    check_putn(seq);
    check_puts("\n");
}

static void check_account(uint32_t s)
{
    for (unsigned k = 0; k < STARTS; k++)
        for (unsigned q = 0; q < SEQS; q++) {
            const bool lost = settled_at_beacon[k][q] && !acted[k][q] && !unknown[k][q];

            if (acted[k][q] > 1)
                complain(s, ": acted twice: start ", k, q);
            if (lost)
                complain(s, ": lost: start ", k, q);
            CHECK(acted[k][q] <= 1 && !lost);
            total_acted += acted[k][q];
            total_unknown += unknown[k][q] && !acted[k][q];
        }
}

static void run_history(uint32_t s)
{
    volatile unsigned i = 0;
    static volatile bool signed_too;

    seed = s;
    signed_too = s % 16 == 0;
    if (signed_too)
        setup_signed("{\"rules\":[" RULE_ONCE "]}");
    else
        setup("{\"rules\":[" RULE_ONCE "]}");
    memset(acted, 0, sizeof acted);
    memset(unknown, 0, sizeof unknown);
    memset(settled_at_beacon, 0, sizeof settled_at_beacon);
    memset(wires, 0, sizeof wires);
    beacon_key = signed_too ? &shared_key : &no_key;
    crash_in = 0;
    starts = 0;
    current = -1;
    dress_hub();
    open_state();
    unlink(path);
    beacon_begins();
    if (setjmp(crash))
        hub_restarts(false);
    while (i < 1500) {
        i++;
        step(i > 1100);
        if (i == 1100)
            crash_in = 0, disk_fails = false;
    }
    crash_in = 0;
    fake.now_ms += 20000;
    for (unsigned k = 0; k < 20; k++)
        hub_turn();
    close(file.fd);
    file.fd = -1;
    check_account(s);
}

/** HISTORIES=5000 in the environment: more of them. */
TEST(every_history_has_an_account)
{
    const char *more = getenv("HISTORIES");
    const uint32_t most = more ? (uint32_t)strtoul(more, NULL, 10) : 200;

    setup("{}");
    open_state();
    CHECK_INT(file_join(path, state_dir, "spool"), 0);
    for (uint32_t s = 1; s <= most; s++)
        run_history(s);
    /* They are not empty. */
    CHECK(total_acted > 10ul * most);
    CHECK(total_unknown > most);
    unlink(path);
}

TEST_MAIN(every_history_has_an_account)
