#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/json/json.h"

/* sdwan_bgp_session_health: which BGP sessions are not Established, and for how long. FRR's bgpd and BIRD are asked
 * through the local sockets by which their own command lines ask them, so that no process is started and nothing
 * waits for a daemon that hangs. Answers are read as they come, of any number of sessions; only those that are not
 * Established are remembered. */
enum { NAME_BYTES = 40, ANSWER_MOST = 4 << 20, READS = 16 };
enum backend { AUTO, FRR, BIRD };
static const char *const backend_words[] = {"auto", "frr", "bird", NULL};
/** FRR's, then BIRD's as Debian and as its authors place it. */
static const char sockets[] = "/var/run/frr/bgpd.vty\0/var/run/bird/bird.ctl\0/var/run/bird.ctl\0";
enum { SOCKETS = 3 };

/** RFC 4271, 8.2.2, and what else there is; from PASSIVE on not Established on purpose. */
enum state { ESTABLISHED, IDLE, CONNECT, ACTIVE, OPEN_SENT, OPEN_CONFIRM, UNKNOWN, ABSENT, PASSIVE, SHUT_DOWN };
static const char state_words[] = "Established\0Idle\0Connect\0Active\0OpenSent\0OpenConfirm\0"
                                  "unknown\0absent\0Passive\0shut down\0";

/** Times are in units of 1.024 s, which needs no division, from 1 on. */
struct session {
    char name[NAME_BYTES]; /* empty: free */
    uint32_t since;
    uint8_t state;
    bool seen; /* in this answer */
};

struct bgp {
    struct sensor_common common;
    int32_t after_ms;
    int backend;
    const char *socket, *peers[CONFIG_BGP_SESSIONS];
    unsigned peer_count;
    struct memory {
        struct session sessions[CONFIG_BGP_SESSIONS];
        uint32_t unreadable; /* since then; 0: it was readable */
        int error;           /* of the last look: an errno, or one of ours */
        unsigned untold;     /* sessions that there was no room for */
    } m;
    bool found[CONFIG_BGP_SESSIONS]; /* which peers are in this answer */
    int fd;                          /* 0: nothing is asked */
    const char *path;
    /* The answer so far, and the session that is being read. row: BIRD's line is one; FRR's answer has begun. */
    uint32_t bytes, count, established;
    uint64_t down_ms; /* not Established for so long, as the daemon says */
    bool bird, quoted, escaped, row, rows;
    uint8_t state, key, depth, peers_depth, column, field, zeros, len;
    char name[NAME_BYTES], token[NAME_BYTES];
};

static const struct field_list peer_list = {
    .count = offsetof(struct bgp, peer_count),
    .cap = CONFIG_BGP_SESSIONS,
    .remedy = FIELD_HELP("; raise CONFIG_BGP_SESSIONS"),
};

#define MEMBER(name) FIELD_AT(struct bgp, name)
static const struct field bgp_fields[] = {
    {FIELD_DEFAULT("unhealthy_after", "10m"), .type = FIELD_DURATION, MEMBER(after_ms), .min = 1000,
     .max = 604800000, FIELD_NOTE("how long a session may not be Established")},
    {FIELD_DEFAULT("backend", "auto"), .type = FIELD_WORD, MEMBER(backend), .words = backend_words,
     FIELD_NOTE("whose sessions; auto: of the first whose socket is there")},
    {.name = "socket", .type = FIELD_STRING, MEMBER(socket), .min = 1,
     .max = sizeof ((struct sockaddr_un *)0)->sun_path - 1, FIELD_NOTE("where it is asked")},
    {.name = "peers", .type = FIELD_LIST, MEMBER(peers), .list = &peer_list,
     FIELD_NOTE("sessions that must exist")},
    {.name = NULL},
};

static int bgp_open(void *state, struct config *c, const struct node *n, const char *where)
{
    const struct bgp *s = state;

    return config_distinct(c, node_child(c, n, "peers"), where, "peer", s->peers, s->peer_count);
}

static int bgp_start(void *state, struct emitter *self, void *before)
{
    (void)self;
    if (before)
        ((struct bgp *)state)->m = ((const struct bgp *)before)->m;
    return 0;
}

static void bgp_stop(void *state)
{
    const struct bgp *s = state;

    if (s->fd)
        close(s->fd);
}

/* ---- what is found out ---- */

static uint32_t stamp(const struct emitter *e)
{
    return (uint32_t)(emitter_now(e) >> 10) + 1;
}

static const char *reason(const struct bgp *s)
{
    return s->m.error > 0 ? ERRNO(s->m.error) : err_text(s->m.error);
}

/** session: its name, or null: all of the daemon's. Return: is there nothing more to say about it? */
static bool report(const struct bgp *s, struct emitter *out, const char *session, uint32_t since, const char *state,
                   enum level level)
{
    const uint32_t down = stamp(out) - since;

    if (level != LEVEL_OK && !emitter_once(out) && down <= (uint32_t)s->after_ms >> 10)
        return false;
    struct json_writer *w =
        emit_condition_pair(out, "sdwan.bgp_unhealthy", "sdwan.bgp_recovered", session, level);
    if (!w)
        return true;
    if (session)
        json_put_string(w, "session", session);
    if (level != LEVEL_OK)
        json_put_string(w, "state", state);
    if (level != LEVEL_OK && s->m.error)
        json_put_string(w, "reason", reason(s));
    json_put_string(w, "socket", s->path);
    json_put_u64(w, "down_ms", (uint64_t)down << 10);
    return emit_end(out) == 1;
}

/** What the last look said holds until the next one has its answer. */
static void repeat(const struct bgp *s, struct emitter *out)
{
    if (s->m.error)
        emitter_not_measured(out, s->path, reason(s));
    else if (s->m.untold)
        emitter_not_measured(out, HINTED("sessions beyond the limit", " (CONFIG_BGP_SESSIONS)"), DEC(s->m.untold));
}

static void hang_up(struct bgp *s, struct emitter *out)
{
    if (!s->fd)
        return;
    emitter_unwatch(out, s->fd);
    close(s->fd);
    s->fd = 0;
}

static void fail(struct bgp *s, struct emitter *out, int error)
{
    hang_up(s, out);
    s->m.error = error;
    if (!s->m.unreadable)
        s->m.unreadable = stamp(out);
    repeat(s, out);
    (void)report(s, out, NULL, s->m.unreadable, "unreadable", LEVEL_WARNING);
}

static bool same(const char *a, const char *b)
{
    return strncmp(a, b, NAME_BYTES - 1) == 0;
}

/** A session has been read, or is missing. It counts once for each address family; the worst is its state. */
static void observe(struct bgp *s, const struct emitter *out, const char *name)
{
    struct session *t = NULL;
    bool declared = false;

    for (unsigned i = 0; i < s->peer_count; i++)
        if (same(s->peers[i], name))
            s->found[i] = declared = true;
    const bool well = s->state == ESTABLISHED || (s->state >= PASSIVE && !declared);
    s->established += s->state == ESTABLISHED;
    for (unsigned i = 0; i < CONFIG_BGP_SESSIONS && !(t && same(t->name, name)); i++)
        if (same(s->m.sessions[i].name, name) || (!well && !t && !s->m.sessions[i].name[0]))
            t = &s->m.sessions[i];
    if (!t) {
        s->m.untold += !well;
        return;
    }
    if (!t->name[0]) {
        t->since = stamp(out);
        memcpy(t->name, name, strnlen(name, NAME_BYTES - 1));
    }
    const uint64_t now = emitter_now(out), began = s->down_ms < now ? (now - s->down_ms) >> 10 : 0;
    if (!well && began < t->since)
        t->since = (uint32_t)began + 1;
    if (!t->seen || !well)
        t->state = well ? ESTABLISHED : s->state;
    t->seen = true;
}

static void conclude(struct bgp *s, struct emitter *out)
{
    hang_up(s, out);
    s->m.error = s->count || s->peer_count ? 0 : NEFIA_ENOTFOUND;
    if (s->m.unreadable && report(s, out, NULL, s->m.unreadable, NULL, LEVEL_OK))
        s->m.unreadable = 0;
    repeat(s, out);
    if (s->m.error)
        return; /* it has no session: perhaps not yet */
    s->state = ABSENT;
    s->down_ms = 0;
    for (unsigned i = 0; i < s->peer_count; i++)
        if (!s->found[i])
            observe(s, out, s->peers[i]);
    for (unsigned i = 0; i < CONFIG_BGP_SESSIONS; i++) {
        struct session *t = &s->m.sessions[i];
        const bool well = !t->seen || t->state == ESTABLISHED;
        if (t->name[0] && report(s, out, t->name, t->since, word_at(state_words, t->state),
                                 well             ? LEVEL_OK
                                 : s->established ? LEVEL_WARNING
                                                  : LEVEL_CRITICAL) && well)
            *t = (struct session){.since = 0};
        t->seen = false;
    }
}

/* ---- answers, a character at a time: 0 to go on, 1 at the end, or negative ---- */

static void add(struct bgp *s, char c)
{
    if (s->len < sizeof s->token - 1)
        s->token[s->len++] = c;
}

static void end_token(struct bgp *s)
{
    s->token[s->len] = '\0';
    s->len = 0;
}

/** The state that the token begins with. */
static void set_state(struct bgp *s)
{
    const int word = word_index(state_words, (struct slice){s->token, strcspn(s->token, " ")});

    s->state = (uint8_t)(word < 0 ? UNKNOWN : word);
}

enum { LEAST_FIELDS = 4 };
/** A row of BIRD's table: name, protocol, table, state of the protocol, since when (in one or two words, as
 * configured), state of BGP and its last error. A protocol that was disabled is down and has neither. */
static void take_field(struct bgp *s)
{
    end_token(s);
    if (s->field < UINT8_MAX)
        s->field++;
    if (s->field == 1)
        memcpy(s->name, s->token, NAME_BYTES);
    else if (s->field == 2)
        s->row = str_eq(s->token, "BGP");
    else if (s->field == LEAST_FIELDS)
        s->state = str_eq(s->token, "down") ? SHUT_DOWN : UNKNOWN;
    else if (s->field > LEAST_FIELDS && s->state == UNKNOWN)
        set_state(s);
    else if (s->field > LEAST_FIELDS && s->state == SHUT_DOWN && s->token[0] >= 'A')
        s->state = IDLE; /* after an error */
}

static void end_session(struct bgp *s, const struct emitter *out)
{
    s->count++;
    observe(s, out, s->name);
}

/** Lines begin with a code of four digits and `-`, or in the last one a blank; or with a blank only: of the same code.
 * 1002 are the rows, 0000 is the end, 8 and 9 are errors (BIRD's doc/reply_codes). */
static int take_bird(struct bgp *s, const struct emitter *out, char c)
{
    enum { CODE = 4, TEXT };

    if (c == '\n') {
        if (s->rows && s->len)
            take_field(s);
        if (s->row && s->field >= LEAST_FIELDS)
            end_session(s, out);
        s->column = s->field = s->len = 0;
        s->row = false;
    } else if (s->column < CODE && (s->column > 0 || c != ' ')) {
        add(s, c);
        s->column++;
    } else if (s->column == CODE) {
        end_token(s);
        s->column = TEXT;
        s->rows = str_eq(s->token, "1002");
        if (s->token[0] >= '8')
            return NEFIA_ESYNTAX;
        return str_eq(s->token, "0000");
    } else if (s->column == 0) {
        s->column = TEXT;
    } else if (s->rows && c != ' ') {
        add(s, c);
    } else if (s->rows && s->len) {
        take_field(s);
    }
    return 0;
}

enum key { NO_KEY, PEERS, STATE, UPTIME };

static void take_key(struct bgp *s)
{
    const bool of_session = s->peers_depth && s->depth == s->peers_depth + 1;

    end_token(s);
    if (s->peers_depth && s->depth == s->peers_depth) {
        memcpy(s->name, s->token, NAME_BYTES);
        s->state = UNKNOWN;
        s->down_ms = 0;
    } else {
        s->key = (uint8_t)(word_index("peers\0state\0peerUptimeMsec\0", (struct slice){s->token, strlen(s->token)}) + 1);
        if ((s->key == PEERS) == of_session)
            s->key = NO_KEY;
    }
}

/** FRR's JSON: objects "peers", one for each address family (and VRF), with an object for each session, which has
 * "state" and "peerUptimeMsec" (how long it is Established, or not; 0 if it never was). An administrator's is "Idle
 * (Admin)". */
static void take_value(struct bgp *s)
{
    end_token(s);
    if (s->key == STATE && strstr(s->token, "Admin"))
        s->state = SHUT_DOWN;
    else if (s->key == STATE)
        set_state(s);
    else if (s->key == UPTIME)
        (void)parse_u64(s->token, strlen(s->token), &s->down_ms);
    s->key = NO_KEY;
}

static int take_structure(struct bgp *s, const struct emitter *out, char c)
{
    if (c == ':') {
        take_key(s);
    } else if (c == '{' || c == '[') {
        if (s->key == PEERS && !s->peers_depth)
            s->peers_depth = s->depth + 1;
        s->key = NO_KEY;
        return ++s->depth < UINT8_MAX ? 0 : NEFIA_EDEPTH;
    } else {
        take_value(s);
        if (c == ',')
            return 0;
        if (s->depth == 0)
            return NEFIA_ESYNTAX;
        if (s->peers_depth && s->depth == s->peers_depth + 1)
            end_session(s, out);
        else if (s->depth == s->peers_depth)
            s->peers_depth = 0;
        s->depth--;
    }
    return 0;
}

/** Behind the text three zeros and a status, which is 0 (vtysh's protocol, FRR's lib/vty.c). */
static int take_frr(struct bgp *s, const struct emitter *out, char c)
{
    if (s->zeros == 3)
        return c == 0 && s->row && !s->depth && !s->quoted ? 1 : NEFIA_ESYNTAX;
    s->zeros = c ? 0 : s->zeros + 1;
    if (s->escaped) {
        s->escaped = false;
        add(s, c);
    } else if (s->quoted && c == '\\') {
        s->escaped = true;
    } else if (c == '"') {
        s->quoted = !s->quoted;
    } else if (!s->quoted && c && strchr(":{[,]}", c)) {
        s->row = true;
        return take_structure(s, out, c);
    } else if (s->quoted || c > ' ') {
        add(s, c);
    }
    return 0;
}

/* ---- the socket ---- */

static void bgp_ready(void *state, struct emitter *out, int fd, short events)
{
    struct bgp *s = state;
    size_t cap;
    char *buf = emitter_buffer(out, &cap);
    int verdict = 0;

    (void)events;
    for (int i = 0; verdict == 0 && i < READS; i++) {
        const ssize_t n = read(fd, buf, cap);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        s->bytes += (uint32_t)(n > 0 ? n : 0);
        verdict = n < 0 ? errno : n == 0 ? NEFIA_ECLOSED : s->bytes > ANSWER_MOST ? NEFIA_ETOOBIG : 0;
        for (ssize_t j = 0; verdict == 0 && j < n; j++) {
            const int took = s->bird ? take_bird(s, out, buf[j]) : take_frr(s, out, buf[j]);
            if (took > 0) {
                conclude(s, out);
                return;
            }
            verdict = took;
        }
    }
    if (verdict != 0)
        fail(s, out, verdict);
}

/** Return: 0, or an errno. A local socket connects at once or not at all. */
static int ask(struct bgp *s, const char *path)
{
    static const char of_bird[] = "show protocols\n", of_frr[] = "show bgp vrf all summary json";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t len = strlen(path);

    s->path = path;
    s->bird = s->socket && s->backend != AUTO ? s->backend == BIRD : path[len - 1] != 'y'; /* bgpd.vty */
    memcpy(address.sun_path, path, len);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        s->fd = 0;
    else if (connect(s->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
             send(s->fd, s->bird ? of_bird : of_frr, s->bird ? sizeof of_bird - 1 : sizeof of_frr, MSG_NOSIGNAL) > 0)
        return 0;
    return errno;
}

static void begin(struct bgp *s)
{
    memset(s->found, 0, sizeof *s - offsetof(struct bgp, found));
    s->m.untold = 0;
}

/** For `once`. */
static void await(struct bgp *s, struct emitter *out)
{
    enum { WAIT_MS = 3000, TURNS = 1024 };
    struct pollfd p = {.fd = s->fd, .events = POLLIN};

    for (int i = 0; s->fd && i < TURNS && poll(&p, 1, WAIT_MS) > 0; i++)
        bgp_ready(s, out, s->fd, p.revents);
    if (s->fd)
        fail(s, out, NEFIA_ETIMEOUT);
}

static int bgp_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct bgp *s = state;
    int error = ENOENT;

    (void)now_ms;
    if (s->fd)
        fail(s, out, NEFIA_ETIMEOUT);
    else
        repeat(s, out);
    begin(s);
    if (s->socket)
        error = ask(s, s->socket);
    else
        for (unsigned i = s->backend == BIRD; error == ENOENT && i < (s->backend == FRR ? 1 : SOCKETS); i++) {
            hang_up(s, out);
            error = ask(s, word_at(sockets, i));
        }
    if (error)
        fail(s, out, error);
    else if (emitter_once(out))
        await(s, out);
    else
        return emitter_watch(out, s->fd, POLLIN);
    return 0;
}

const struct sensor_class sensor_bgp = {
    SENSOR_NAME("sdwan_bgp_session_health", "1m"),
    .watches = 1,
    .fields = bgp_fields,
    .state_size = sizeof(struct bgp),
    .open = bgp_open,
    .start = bgp_start,
    .poll = bgp_poll,
    .ready = bgp_ready,
    .stop = bgp_stop,
};
