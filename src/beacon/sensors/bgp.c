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
enum { NAME_BYTES = 40, CODE_BYTES = 5, ANSWER_MOST = 4 << 20, READS = 16 };
enum backend { AUTO, FRR, BIRD };
static const char backend_words[] = "auto\0frr\0bird\0";
/** FRR's, then BIRD's as Debian and as its authors place it. */
static const char sockets[] = "/var/run/frr/bgpd.vty\0/var/run/bird/bird.ctl\0/var/run/bird.ctl\0";
enum { SOCKETS = 3 };

/** RFC 4271, 8.2.2, and what else there is; from PASSIVE on not Established on purpose. */
enum state {
    ESTABLISHED, IDLE, CONNECT, ACTIVE, OPEN_SENT, OPEN_CONFIRM, UNKNOWN, ABSENT, UNREADABLE, PASSIVE, SHUT_DOWN, NO_SESSION
};
static const char state_words[] = "Established\0Idle\0Connect\0Active\0OpenSent\0OpenConfirm\0"
                                  "unknown\0absent\0unreadable\0Passive\0shut down\0";

/** Times are in units of 1.024 s, which needs no division, from 1 on. */
struct session {
    char name[NAME_BYTES]; /* empty: free; the daemon itself */
    uint32_t since;        /* not Established; 0: it is */
    uint8_t state;
    bool seen; /* in this answer */
};

/** An answer so far, and the session that is being read. */
struct answer {
    bool quoted, escaped, rows;
    uint8_t state, key, field, zeros, len;
    uint32_t down; /* it is not Established for so long, as the daemon says */
    char name[NAME_BYTES], token[CODE_BYTES + NAME_BYTES];
};

struct bgp {
    struct sensor_common common;
    int32_t after_ms;
    int backend;
    const char *socket, *peers[CONFIG_BGP_SESSIONS];
    unsigned peer_count;
    int error; /* of the last look: an errno, NO_SOCKET, or one of ours */
    unsigned turn; /* which of `sockets` is looked at while none is there */
    struct session daemon, sessions[CONFIG_BGP_SESSIONS]; /* the peers, then others that are not Established */
    int fd; /* 0: nothing is asked */
    const char *path;
    int (*take)(struct answer *a, char c);
    unsigned left_out; /* sessions that there is no room for */
    uint32_t bytes, count, established;
    struct answer a;
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

/** What is behind the first of a name's characters is not kept. */
static bool is_same(const char *a, const char *b)
{
    return strncmp(a, b, NAME_BYTES - 1) == 0;
}

static int bgp_open(void *state, struct config *c, const struct node *n, const char *where)
{
    const struct bgp *s = state;

    for (unsigned i = 0; i < s->peer_count; i++) {
        unsigned k = 0;
        while (k < i && !is_same(s->peers[k], s->peers[i]))
            k++;
        if (k < i || !s->peers[i][0])
            config_error(c, n, where, "peers: empty, or there twice: \"", s->peers[i], "\"", NULL);
    }
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

enum { NO_SOCKET = 4096 }; /* none of `sockets`; above any errno */
/** Why nothing can be said; of a number of the system the text lives as long as the caller's block. */
#define REASON(s)                                                                                  \
    ((s)->error == NO_SOCKET ? "no socket of FRR or BIRD"                                          \
     : (s)->error > 0        ? ERRNO((s)->error)                                                   \
                             : err_text((s)->error))

/** Return: is there nothing more to say about it? */
static bool report(const struct bgp *s, struct emitter *out, const struct session *t, enum level level)
{
    const uint32_t down = stamp(out) - t->since;
    const bool daemon = t == &s->daemon;

    if (level != LEVEL_OK && !emitter_once(out) && down <= (uint32_t)s->after_ms >> 10)
        return false;
    struct json_writer *w = emit_condition_pair(out, "sdwan.bgp_unhealthy", "sdwan.bgp_recovered", t->name, level);
    if (!w)
        return true;
    json_put_string(w, daemon ? "socket" : "session", daemon ? s->path : t->name);
    if (level != LEVEL_OK)
        json_put_string(w, "state", word_at(state_words, t->state));
    if (level != LEVEL_OK && daemon)
        json_put_string(w, "reason", REASON(s));
    json_put_u64(w, "down_ms", (uint64_t)down << 10);
    return emit_end(out) == 1;
}

/** What the last look said holds until the next one has its answer. */
static void repeat(const struct bgp *s, struct emitter *out)
{
    if (s->error)
        emitter_not_measured(out, s->path, REASON(s));
    else if (s->left_out)
        emitter_not_measured(out, "sessions beyond CONFIG_BGP_SESSIONS", DEC(s->left_out));
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
    s->error = error;
    s->daemon.state = UNREADABLE;
    if (!s->daemon.since)
        s->daemon.since = stamp(out);
    repeat(s, out);
    (void)report(s, out, &s->daemon, LEVEL_WARNING);
}

/** Its place, or the first that is free; null: there is none. */
static struct session *find(struct bgp *s, const char *name)
{
    struct session *t = NULL;

    for (unsigned i = CONFIG_BGP_SESSIONS; i-- > 0;) {
        if (is_same(s->sessions[i].name, name))
            return &s->sessions[i];
        if (!s->sessions[i].name[0])
            t = &s->sessions[i];
    }
    return t;
}

/** A session has been read. It counts once for each address family; the worst is its state. */
static void observe(struct bgp *s, const struct emitter *out)
{
    struct answer *a = &s->a;
    struct session *t = find(s, a->name);
    const uint8_t state = a->state;
    const bool well = state == ESTABLISHED || (state >= PASSIVE && (!t || t >= s->sessions + s->peer_count));

    a->state = NO_SESSION;
    s->count++;
    s->established += state == ESTABLISHED;
    if (!t)
        s->left_out += !well;
    if (!t || (well && (t->seen || !t->name[0])))
        return;
    memcpy(t->name, a->name, NAME_BYTES);
    t->seen = true;
    t->state = well ? ESTABLISHED : state;
    const uint32_t now = stamp(out), since = a->down < now ? now - a->down : 1;
    if (!well && since - 1 < t->since - 1)
        t->since = since;
}

static void conclude(struct bgp *s, struct emitter *out)
{
    hang_up(s, out);
    s->error = s->count || s->peer_count ? 0 : NEFIA_ENOTFOUND;
    if (s->daemon.since && report(s, out, &s->daemon, LEVEL_OK))
        s->daemon.since = 0;
    repeat(s, out);
    for (unsigned i = 0; !s->error && i < CONFIG_BGP_SESSIONS; i++) {
        struct session *t = &s->sessions[i];
        const bool peer = i < s->peer_count, well = t->seen ? t->state == ESTABLISHED : !peer;
        if (!t->seen && peer)
            t->state = ABSENT;
        if (!well && !t->since)
            t->since = stamp(out);
        if (t->since && report(s, out, t,
                               well             ? LEVEL_OK
                               : s->established ? LEVEL_WARNING
                                                : LEVEL_CRITICAL) && well)
            t->since = 0;
        t->seen = false;
        if (!peer && !t->since)
            t->name[0] = '\0';
    }
}

static int bgp_start(void *state, struct emitter *self, void *before)
{
    struct bgp *s = state;
    const struct bgp *old = before;

    (void)self;
    for (unsigned i = 0; i < s->peer_count; i++)
        memcpy(s->sessions[i].name, s->peers[i], strnlen(s->peers[i], NAME_BYTES - 1));
    for (unsigned i = 0; old && i < CONFIG_BGP_SESSIONS; i++) {
        struct session *t = find(s, old->sessions[i].name);
        if (t && old->sessions[i].since)
            *t = old->sessions[i];
    }
    if (old)
        s->daemon = old->daemon;
    return 0;
}

/* ---- answers, a character at a time ---- */

/** Return of those that take one; negative: this is no answer. */
enum verdict { MORE, END, SESSION };

static void add(struct answer *a, char c)
{
    if (a->len < sizeof a->token - 1)
        a->token[a->len++] = c;
    a->token[a->len] = '\0';
}

/** The state that the token begins with, if it is none of those that are ours. */
static void set_state(struct answer *a)
{
    const int word = word_index(state_words, (struct slice){a->token, strcspn(a->token, " ")});

    a->state = (uint8_t)(word < 0 ? UNKNOWN : word);
}

enum { CODE, PROTOCOL, STATE_FIELD = 3 };
/** A row of BIRD's table: name, protocol, table, state of the protocol, since when (in one or two words, as
 * configured), state of BGP and its last error. A protocol that was disabled is down and has neither. Lines begin with a
 * code and `-`, or in the last one a blank: 1002 are rows, 0000 is the end, 8 and 9 are errors (BIRD's
 * doc/reply_codes). A blank alone is the code of the line before, and is kept in its place. */
static int take_field(struct answer *a)
{
    a->len = 0;
    if (a->field == CODE) {
        if ((a->token[0] | 1) == '9')
            return NEFIA_ESYNTAX;
        if (str_eq(a->token, "0000"))
            return END;
        if (a->token[0] != ' ')
            a->rows = strncmp(a->token, "1002-", CODE_BYTES) == 0;
        memcpy(a->name, a->token + CODE_BYTES, NAME_BYTES - 1);
    } else if (a->field == PROTOCOL) {
        a->key = a->rows && str_eq(a->token, "BGP");
    } else if (a->field == STATE_FIELD) {
        a->state = str_eq(a->token, "down") ? SHUT_DOWN : UNKNOWN;
    } else if (a->state == UNKNOWN) {
        set_state(a);
    } else if (a->state == SHUT_DOWN && (uint8_t)a->token[0] >= 'A') {
        a->state = IDLE; /* after an error */
    }
    if (a->field <= STATE_FIELD)
        a->field++;
    return MORE;
}

static int take_bird(struct answer *a, char c)
{
    if (c != ' ' && c != '\n') {
        add(a, c);
        return MORE;
    }
    if (a->field == CODE && a->len == 0 && c == ' ') {
        while (a->len < CODE_BYTES)
            add(a, c);
        return MORE;
    }
    int verdict = a->len > 0 ? take_field(a) : MORE;
    if (c != '\n')
        return verdict;
    if (a->key && a->field > STATE_FIELD)
        verdict = SESSION;
    a->field = a->key = 0;
    return verdict;
}

enum key { STATE = 1, UPTIME };

/** FRR's JSON: for each address family (and VRF) objects of sessions, which alone have "state"; and "peerUptimeMsec", how
 * long it is Established, or not (0 if it never was). One that an administrator has shut down is "Idle (Admin)". An
 * object inside a session's would give it another name; there is none. */
static int take_structure(struct answer *a, char c)
{
    const struct slice token = {a->token, a->len};
    uint64_t ms;

    a->len = 0;
    if (c == ':') {
        a->key = (uint8_t)(word_index("state\0peerUptimeMsec\0", token) + 1); /* NEFIA_EINVAL is -1 */
        return MORE;
    }
    if (c == '{') {
        memcpy(a->name, token.ptr, NAME_BYTES - 1);
        a->state = NO_SESSION;
        a->down = 0;
    } else if (a->key == STATE) {
        set_state(a);
        if (str_find(token.ptr, "Admin"))
            a->state = SHUT_DOWN;
    } else if (a->key == UPTIME && parse_u64(token.ptr, token.len, &ms) == 0) {
        a->down = ms >> 42 ? UINT32_MAX : (uint32_t)(ms >> 10);
    }
    a->key = 0;
    return c == '}' && a->state != NO_SESSION ? SESSION : MORE;
}

/** Behind the text three zeros and a status, which is 0 (vtysh's protocol, FRR's lib/vty.c). */
static int take_frr(struct answer *a, char c)
{
    if (a->zeros == 3)
        return c == 0 && !a->quoted ? END : NEFIA_ESYNTAX;
    a->zeros = c ? 0 : a->zeros + 1;
    const bool escaped = a->escaped;
    a->escaped = c == '\\' && !escaped;
    if (c == '"' && !escaped) {
        a->quoted = !a->quoted;
        a->token[a->len] = '\0'; /* it may be an empty one */
    } else if (!a->quoted && c && strchr("{:,}", c)) {
        return take_structure(a, c);
    } else if (a->quoted || c > ' ') {
        add(a, c);
    }
    return MORE;
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
            verdict = s->take(&s->a, buf[j]);
            if (verdict == END) {
                conclude(s, out);
                return;
            }
            if (verdict == SESSION) {
                verdict = s->a.name[0] ? MORE : NEFIA_ESYNTAX;
                if (verdict == MORE)
                    observe(s, out);
            }
        }
    }
    if (verdict != 0)
        fail(s, out, verdict);
}

/** Return: 0, or an errno. A local socket connects at once or not at all. */
static int ask(struct bgp *s, const char *path)
{
    static const char questions[] = "show bgp vrf all summary json\0show protocols\n\0";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t len = strlen(path);

    s->path = path;
    const bool bird = s->backend != AUTO ? s->backend == BIRD : path[len - 1] != 'y'; /* bgpd.vty */
    const char *question = word_at(questions, bird);
    s->take = bird ? take_bird : take_frr;
    if (access(path, F_OK) < 0)
        return errno;
    memcpy(address.sun_path, path, len);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        s->fd = 0;
    else if (connect(s->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
             send(s->fd, question, strlen(question) + !bird, MSG_NOSIGNAL) > 0)
        return 0;
    return errno;
}

/** One of them at each look, as a path costs more than all else: what appears is found within three. */
static bool is_still_absent(struct bgp *s)
{
    if (s->error != NO_SOCKET)
        return false;
    s->turn = s->turn ? s->turn - 1 : SOCKETS - 1;
    return access(word_at(sockets, s->turn), F_OK) < 0 && errno == ENOENT;
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
    unsigned i = s->backend == BIRD;
    int error;

    (void)now_ms;
    if (s->fd)
        fail(s, out, NEFIA_ETIMEOUT);
    else
        repeat(s, out);
    if (is_still_absent(s)) {
        fail(s, out, NO_SOCKET);
        return 0;
    }
    memset(&s->fd, 0, sizeof *s - offsetof(struct bgp, fd));
    do {
        hang_up(s, out);
        error = ask(s, s->socket ? s->socket : word_at(sockets, i));
    } while (error == ENOENT && !s->socket && s->backend != FRR && ++i < SOCKETS);
    if (s->backend == AUTO && i == SOCKETS)
        error = NO_SOCKET;
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
