/* The hub's pipeline and ingress wired up, with beacons' ends of the link as the other side; no sockets.
 * For the tests of both. */
#ifndef NEFIA_TESTS_HUB_WIRED_H
#define NEFIA_TESTS_HUB_WIRED_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub_fixture.h"
#include "nefia/hub/ingress.h"
#include "nefia/sys/log.h"
#include "tempdir.h"

enum { WIRED_SESSIONS = 4, WIRED_HOSTS = 8, WIRED_DOWN = 4 * CONNECTION_OUT + LINK_COMMAND_MAX };

static struct clock_fake fake;
static struct loop loop;
static struct epoll_event found[8];
static struct child child_slots[2];
static struct children children;
static struct action_scratch scratch;
static char line_buf[CONFIG_EVENT_BYTES], own_line[CONFIG_EVENT_BYTES + 1];
static struct job slots[16];
static struct job_block blocks[64];
static char outputs[2 * JOB_OUTPUT];
static struct action_class exec_class; /* with these places */
static struct jobs jobs;
static struct rules rules;
static struct recent recent;
static struct recent_row rows[64];
static uint64_t settled[64];
static char bytes[2 * (CONFIG_EVENT_BYTES + EVENT_TYPE_MAX + EVENT_HOST_MAX)];
static struct hub_settings settings;
static struct pipeline pipeline;
static struct ingress ingress;
static struct listener_hooks hooks;
static struct seen seen;
static struct host host_slots[WIRED_HOSTS];
static uint32_t host_chains[WIRED_HOSTS];
static struct journal journal;
static struct restraint_keeper keeper;
static struct restraint_mark restraint_marks[CONFIG_RESTRAINT_MARKS];
static unsigned mark_cap = CONFIG_RESTRAINT_MARKS;
static uint8_t journal_buf[CONFIG_EVENT_BYTES + 16384];
static unsigned changes, retries;
static struct mac_key shared_key, no_key;

/** A connection, and the beacon at its other end. */
struct peer {
    struct session session;
    struct link link; /* the beacon's */
    struct text down; /* what the hub has said and the beacon has not read */
    char down_buf[WIRED_DOWN];
    char up[CONFIG_EVENT_BYTES + MAC_HEX + 3];
    struct link_message got;
    bool open;
};
static struct peer peers[WIRED_SESSIONS];
static uint8_t random_byte;

/* ---- The disk fails on demand ---- */

static bool disk_fails;

static int sync_or_fail(int fd)
{
    errno = EIO;
    return fd < 0 || disk_fails ? -1 : 0;
}

int fdatasync(int fd)
{
    return sync_or_fail(fd);
}

int fsync(int fd)
{
    return sync_or_fail(fd);
}

static char memory_dir[] = "/dev/shm/nefia-hub-XXXXXX", disk_dir[] = "/tmp/nefia-hub-XXXXXX";
static const char *state_dir;

static void remove_state(void)
{
    static const char *const names[] = {"journal.0", "journal.1", "journal.lock"};
    char path[FILE_PATH_MAX];

    for (unsigned i = 0; state_dir && i < ARRAY_SIZE(names); i++)
        if (file_join(path, state_dir, names[i]) >= 0)
            unlink(path);
}

static void remove_dir(void)
{
    remove_state();
    rmdir(state_dir);
}

static inline void open_state(void)
{
    char why_buf[256];
    struct text why;

    if (!state_dir) {
        state_dir = make_tempdir(memory_dir, disk_dir);
        REQUIRE(state_dir);
        atexit(remove_dir);
    }
    text_init(&why, why_buf, sizeof why_buf);
    CHECK_INT(journal_open(&journal, state_dir, 1 << 20, true, &why), 0);
    CHECK_STR(why.buf, "");
}

/* ---- Wiring ---- */

static void changed(void *arg)
{
    (void)arg;
    changes++;
}

static void disk_refused(void *arg)
{
    (void)arg;
    retries++;
}

static int random_bytes(void *buf, size_t len)
{
    memset(buf, ++random_byte, len);
    return 0;
}

/** Have the hub say all that is due there. */
static void answer(struct peer *p)
{
    size_t before;

    do {
        before = p->down.len;
        if (p->session.due != SESSION_IDLE)
            hooks.answer(hooks.arg, &p->session, &p->down);
        CHECK(p->down.len - before <= CONNECTION_OUT);
    } while (p->down.len > before);
    if (p->session.command_due && p->session.due == SESSION_IDLE && p->session.link.state == LINK_OPEN)
        hooks.command(hooks.arg, &p->session, &p->down);
}

static void answer_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < WIRED_SESSIONS; i++)
        if (peers[i].open)
            answer(&peers[i]);
}

/** As if each were named for the first time. */
static bool may_name(void *arg, const struct addr *peer)
{
    (void)arg;
    (void)peer;
    return true;
}

static void each_session(void *arg, void (*fn)(void *fn_arg, struct session *s), void *fn_arg)
{
    (void)arg;
    for (unsigned i = 0; i < WIRED_SESSIONS; i++)
        if (peers[i].open)
            fn(fn_arg, &peers[i].session);
}

/** Commands to devices, for the test that has them. */
static void (*wire_commands)(void);
static unsigned features; /* of the hellos */

static inline void wire(void)
{
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &fake.clock, found, 8);
    children_init(&children, &loop, child_slots, 2);
    recent_init(&recent, rows, settled, ARRAY_SIZE(rows), bytes, sizeof bytes);
    seen_init(&seen, host_slots, host_chains, ARRAY_SIZE(host_slots));
    pipeline_init(&pipeline, &fake.clock, &rules, &recent, &jobs, &seen, &journal, fixture_tokens);
    pipeline.host_id = "hub";
    pipeline.own_line = own_line;
    pipeline.devices = &settings;
    pipeline.changed = changed;
    pipeline.acknowledge = answer_all;
    pipeline.refused = disk_refused;
    const struct journal_hooks journal_hooks = pipeline_journal_hooks(&pipeline);
    journal_close(&journal);
    journal_init(&journal, journal_buf, sizeof journal_buf, &seen, &journal_hooks);
    memset(restraint_marks, 0, sizeof restraint_marks);
    restraint_keeper_init(&keeper, &fake.clock, &rules, &journal, restraint_marks, mark_cap);
    pipeline.restraint = &keeper;
    if (wire_commands)
        wire_commands();
    const struct job_hooks job_hooks = pipeline_job_hooks(&pipeline);
    jobs_init(&jobs, &loop, &children, &scratch, line_buf, &job_hooks);
    jobs_store(&jobs, blocks, ARRAY_SIZE(blocks));
    jobs_add_queue(&jobs, &exec_class, slots, outputs);
    ingress_init(&ingress, &fake.clock, &pipeline);
    ingress.settings = &settings;
    ingress.random = random_bytes;
    ingress.each = each_session;
    ingress.may_name = may_name;
    hooks = ingress_listener_hooks(&ingress);
    memset(peers, 0, sizeof peers);
    changes = retries = 0;
    disk_fails = false;
}

/** The rules' commands go to the test's queue. */
static inline void use_exec_class(void)
{
    struct rule_set *set = &rules.sets[rules.active];

    for (unsigned i = 0; i < set->count; i++)
        if (set->rules[i].action.class && str_eq(set->rules[i].action.class->name, "exec")) {
            exec_class = *set->rules[i].action.class;
            exec_class.jobs = ARRAY_SIZE(slots);
            exec_class.running = 2;
            set->rules[i].action.class = &exec_class;
        }
}

/** A hub with these rules, without keys, without a state_dir. */
static inline void setup(const char *rules_json)
{
    static bool once;

    if (!once) {
        journal.fd = journal.dir_fd = journal.lock_fd = -1;
        log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    }
    once = true;
    fixture_init(&rules);
    CHECK(fixture_load(&rules, rules_json, NULL) >= 0);
    use_exec_class();
    clock_fake_init(&fake, 1000, 5000);
    memset(&settings, 0, sizeof settings);
    wire();
    remove_state();
}

/** The same with the shared key. */
static inline void setup_signed(const char *rules_json)
{
    setup(rules_json);
    CHECK_INT(mac_key_set(&shared_key, "0123456789abcdef", 16), 0);
    ingress.key = shared_key;
}

/** Restart: the same configuration and clock, what was not stored is gone. */
static inline void restart(void)
{
    const struct mac_key key = ingress.key;

    children_kill_all(&children);
    wire();
    ingress.key = key;
    open_state();
}

static inline void turn(void)
{
    hooks.turn_end(hooks.arg);
}

/* ---- A beacon ---- */

/** A new connection, from 192.0.2.(10 + i). */
static inline struct peer *come(unsigned i)
{
    struct peer *p = &peers[i];

    memset(p, 0, sizeof *p);
    p->open = true;
    p->session.peer = (struct addr){.family = AF_INET, .ip = {192, 0, 2, (uint8_t)(10 + i)}, .port = 4711};
    text_init(&p->down, p->down_buf, sizeof p->down_buf);
    hooks.opened(hooks.arg, &p->session, &p->down);
    link_init(&p->link, p->session.link.is_signed, 0);
    if (p->down.len > 0)
        CHECK_INT(link_beacon_greeting(&p->link, (struct slice){p->down.buf, p->down.len - 1}), 0);
    text_reset(&p->down);
    return p;
}

static inline void leave(struct peer *p)
{
    hooks.closed(hooks.arg, &p->session);
    p->open = false;
}

/** Offer the bytes at p->up. Return: as the hook. */
static inline int offer(struct peer *p, size_t len)
{
    struct link_unit u;

    CHECK(link_cut(p->up, len, CONFIG_EVENT_BYTES, p->session.link.is_signed, &u) == (long)len);
    int err = hooks.unit(hooks.arg, &p->session, &u);
    if (err < 0 && p->session.due == SESSION_ERROR)
        answer(p);
    return err;
}

struct hello {
    const struct mac_key *key; /* null: as the connection, shared or none */
    const char *host;          /* null: web */
    uint64_t boot;
    bool plain;
};

static inline int say_hello(struct peer *p, struct hello h)
{
    struct link_hello hello = {.boot = h.boot, .plain = h.plain, .features = features};
    struct text up;

    text_init(&up, hello.host_id, sizeof hello.host_id);
    text_str(&up, h.host ? h.host : "web");
    random_bytes(hello.nonce, sizeof hello.nonce);
    text_init(&up, p->up, sizeof p->up);
    link_beacon_hello(&p->link, h.key ? h.key : p->link.is_signed ? &shared_key : &no_key, &hello, 0,
                      &up);
    return offer(p, up.len);
}

/** A line of the session. */
static inline int say(struct peer *p, const char *line)
{
    const size_t len = strlen(line);
    const struct link before = p->link;

    memcpy(p->up, line, len);
    int err = offer(p, link_beacon_end(&p->link, p->up, len));
    if (err == NEFIA_EAGAIN)
        p->link = before;
    return err;
}

static inline int say_unsure(struct peer *p)
{
    return offer(p, link_beacon_unsure(&p->link, p->up));
}

/** A plain line, signed with key (null: unsigned). */
static inline int say_plain(struct peer *p, const struct mac_key *key, const char *line)
{
    size_t len = strlen(line);

    memcpy(p->up, line, len);
    if (key)
        mac_sign_hex(key, line, len, p->up + len + 1);
    p->up[len++] = '\n';
    if (key) {
        len += MAC_HEX;
        p->up[len++] = '\n';
    }
    return offer(p, len);
}

/** The next message of the hub. Return: its kind; negative: it does not verify, or there is none. */
static inline int hear(struct peer *p)
{
    struct link_unit u;
    const char *why = NULL;
    const bool is_signed = p->link.is_signed && p->session.link.out.set;
    long n = link_cut(p->down.buf, p->down.len, LINK_LINE_MAX, is_signed, &u);

    if (n <= 0)
        return NEFIA_ENOTFOUND;
    int err = link_beacon_line(&p->link, &u, &p->got, link_read_command, &why);
    memmove(p->down.buf, p->down.buf + n, p->down.len - (size_t)n + 1);
    p->down.len -= (size_t)n;
    return err < 0 ? err : (int)p->got.kind;
}

/** A connection, welcomed. */
static inline struct peer *welcomed(unsigned i, struct hello h)
{
    struct peer *p = come(i);

    CHECK_INT(say_hello(p, h), 0);
    turn();
    CHECK_INT(hear(p), LINK_WELCOME);
    return p;
}

/** An event of host web, or another. */
static inline const char *event_of(const char *host, uint64_t boot, uint64_t seq)
{
    static char buf[1024];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, fixture_line("t", host, "info"));
    text_rewind(&t, t.len - 1);
    text_str(&t, ",\"boot\":");
    text_u64(&t, boot);
    text_str(&t, ",\"seq\":");
    text_u64(&t, seq);
    text_char(&t, '}');
    return buf;
}

static inline const char *event(uint64_t boot, uint64_t seq)
{
    return event_of("web", boot, seq);
}

static inline const struct recent_row *row(uint64_t seq)
{
    static struct recent_view v;

    CHECK(recent_get(&recent, seq, &v));
    return v.row;
}

/** The line of a row's event. */
static inline const char *row_line(uint64_t seq)
{
    static char buf[CONFIG_EVENT_BYTES + 1];
    struct recent_view v;

    buf[0] = '\0';
    CHECK(recent_get(&recent, seq, &v));
    memcpy(buf, v.line.ptr, v.line.len);
    buf[v.line.len] = '\0';
    return buf;
}

#define EXEC "\"action\":{\"type\":\"exec\",\"command\":\"true\",\"target\":\"hub\"}"
#define RULE_ONCE "{\"name\":\"once\",\"event_pattern\":\"^t$\"," EXEC "}"
#define RULE_TWICE "{\"name\":\"twice\",\"event_pattern\":\"^t$\",\"idempotent\":true," EXEC "}"

#endif
