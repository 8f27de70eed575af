#include "nefia/hub/hub.h"

#include <bearssl_hash.h>
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "nefia/sys/cli.h"
#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/sys/heap.h"
#include "nefia/sys/log.h"
#include "nefia/sys/random.h"
#include "nefia/sys/seccomp.h"
#include "nefia/event/settings.h"
#include "nefia/hub/devices.h"
#include "nefia/hub/silence_verbs.h"
#include "nefia/net/tcp.h"

#define POOL_PROGRAM_HUB
#include "nefia/base/pool.h"

#define BACKLOG 64
#define DRAIN_STEP_MS 20u
#define SEED_MS 500u
#define SEED_MOST_MS 5000u /* to wait at start-up for the kernel's random numbers */
#define LISTEN_STEP_MS 50
#define LISTEN_WAIT_MS 1000 /* at start-up, if the port is in use */
#define CLOSING_MS (CLOSING_TIMEOUT_MS + 500) /* for senders to finish */
#define FINISHING_MS 10000u                   /* for actions to finish */
#define HEAD_FIRST_MS 60000u                  /* of the audit's head after the start */
#define HEAD_AGAIN_MS 10000u                  /* when there was no room for its actions */

/* ---- Wiring ---- */

/** Each class gets its part of the pools. */
static void add_queues(struct hub *h)
{
    struct job *jobs = pool_jobs;
    char *outputs = pool_job_outputs;

    for (const struct action_class *const *at = action_classes(); *at; at++) {
        jobs_add_queue(&h->jobs, *at, jobs, outputs);
        jobs += (*at)->jobs;
        outputs += (size_t)(*at)->running * JOB_OUTPUT;
    }
}

static void recent_changed(void *arg)
{
    struct hub *h = arg;

    control_wake(&h->control);
}

static bool job_is_left(void *arg, uint64_t id)
{
    const struct hub *h = arg;
    const struct job *job = jobs_next(&h->jobs, id - 1);

    return job && job->id == id;
}

/** The journal has how their jobs ended: the positions of these runs are not needed any more. At the start this also finds those
 * that a power cut has left. */
static void forget_playbooks(struct hub *h)
{
    uint64_t ended = 0;

    for (unsigned i = 0; i < h->jobs.queue_count; i++)
        if (h->jobs.queues[i].class->resumes)
            ended += h->jobs.queues[i].done + h->jobs.queues[i].failed;
    if (h->journal.dir_fd < 0 || ended == h->playbooks_ended)
        return;
    playbook_file_sweep(h->journal.dir, job_is_left, h);
    h->playbooks_ended = ended;
}

static void all_safe(void *arg)
{
    struct hub *h = arg;

    if (IS_ENABLED(CONFIG_ACTION_PLAYBOOK))
        forget_playbooks(h);
    if (IS_ENABLED(CONFIG_HUB_IMPORT))
        control_wake(&h->control);
    listener_answer(&h->listener);
}

static void try_again(void *arg)
{
    struct hub *h = arg;

    listener_resume(&h->listener);
    pipeline_turn_end(&h->pipeline);
}

static void journal_refused(void *arg)
{
    struct hub *h = arg;

    timer_start(&h->loop, &h->again, PIPELINE_RETRY_MS, try_again, h);
}

/** From the loop, because the caller may be in the middle of a connection's lines. */
static void room_again(void *arg)
{
    struct hub *h = arg;

    if (h->listener.held > 0 && !h->pipeline.unsafe)
        timer_start(&h->loop, &h->again, 0, try_again, h);
}

static struct policy *policy_of(unsigned generation)
{
    return IS_ENABLED(CONFIG_HUB_GUARD) ? &pool_policies[generation].policy : NULL;
}

static void wire_playbooks(struct hub *h)
{
    if (!IS_ENABLED(CONFIG_HUB_PLAYBOOKS))
        return;
    h->playbooks = (struct playbook_room){
        .memory = pool_hub_work->playbook,
        .driver = pool_receive->run.driver,
        .work = pool_receive,
        .work_cap = sizeof pool_receive,
        .tree = &pool_receive->scratch.tree,
        .tokens = pool_receive->tokens,
        .line = (char *)pool_journal,
        .settings = h->ingress.settings,
        .helper = &h->helper,
    };
    if (IS_ENABLED(CONFIG_HUB_GUARD))
        h->playbooks.guard = (struct guard){policy_judge, &h->policy};
}

void hub_wire(struct hub *h, const char *path, void (*report)(void *arg, const char *message))
{
    union hub_work *work = pool_hub_work;

    h->path = path;
    h->report = report;
    heap_init(pool_heap, sizeof pool_heap);
    config_init(&h->config, "HUB", work->nodes, CONFIG_HUB_CONFIG_NODES, report, NULL);
    const size_t half = sizeof pool_config_text / 2;
    for (unsigned i = 0; i < 2; i++)
        h->arenas[i] = (struct config_arena){pool_config_text + i * half, half, 0};
    for (unsigned i = 0; IS_ENABLED(CONFIG_HUB_GUARD) && i < 2; i++)
        policy_memory_init(&pool_policies[i]);
    rules_init(&h->rules, pool_rules, pool_rules + CONFIG_RULES, pool_patterns,
               CONFIG_RULE_PATTERNS, work->run.types, CONFIG_RULE_TYPES, work->run.seen,
               CONFIG_RULE_HOSTS, &pool_receive->scratch);
    if (IS_ENABLED(CONFIG_HUB_RESTRAINT))
        rules_restraints(&h->rules, pool_restraints, pool_restraints + CONFIG_RESTRAINTS);
}

/* ---- The audit ---- */

static void audit_due(void *arg);

/** Wake when there is something to record or to say of the audit log. */
static void arm_audit(struct hub *h)
{
    const uint64_t now = clock_ms(h->loop.clock), tick = audit_log_due(&h->audit);
    const uint64_t next = h->head_ms > 0 && h->head_ms < tick ? h->head_ms : tick;

    if (next == UINT64_MAX)
        timer_stop(&h->audit_timer);
    else
        timer_start(&h->loop, &h->audit_timer, next > now ? next - now : 0, audit_due, h);
}

/** A record came outside of the turns of the pipeline. */
static void audit_wake(void *arg)
{
    struct hub *h = arg;

    timer_start(&h->loop, &h->audit_timer, 0, audit_due, h);
}

/** Emit the head of the chain, by which a log that was written anew can be told. */
static bool emit_head(struct hub *h)
{
    char data_buf[MAC_HEX + 96], head_buf[MAC_HEX + 24];
    struct audit_head last;
    struct text data, head;
    struct json_writer w;

    if (!audit_log_head(&h->audit, &last))
        return true;
    text_init(&head, head_buf, sizeof head_buf);
    audit_head_text(&head, &last);
    text_init(&data, data_buf, sizeof data_buf);
    json_begin(&w, &data);
    json_object(&w, NULL);
    json_put_u64(&w, "records", last.n);
    json_put_bytes(&w, "head", head.buf, head.len);
    json_end_object(&w);
    return pipeline_emit(&h->pipeline, "hub.audit_head", SEVERITY_INFO, (struct slice){data.buf, data.len});
}

static void audit_due(void *arg)
{
    struct hub *h = arg;
    const uint64_t now = clock_ms(h->loop.clock);

    audit_log_tick(&h->audit);
    audit_log_commit(&h->audit);
    if (h->head_ms > 0 && now >= h->head_ms) {
        const uint64_t interval = h->ingress.settings->audit.head_interval_ms;
        h->head_ms = now + (emit_head(h) || interval < HEAD_AGAIN_MS ? interval : HEAD_AGAIN_MS);
        pipeline_turn_end(&h->pipeline);
    }
    arm_audit(h);
}

/** The interval may have changed. */
static void schedule_head(struct hub *h)
{
    const uint64_t interval = h->audit.dir_fd < 0 ? 0 : h->ingress.settings->audit.head_interval_ms;

    h->head_ms = interval == 0 ? 0 : clock_ms(h->loop.clock) + (interval < HEAD_FIRST_MS ? interval : HEAD_FIRST_MS);
    arm_audit(h);
}

/** Before the journal, whose actions are resumed. */
static int open_audit(struct hub *h)
{
    const struct hub_settings *s = h->ingress.settings;
    char why_buf[320];
    struct text why;

    if (!IS_ENABLED(CONFIG_HUB_AUDIT))
        return 0;
    text_init(&why, why_buf, sizeof why_buf);
    int err = audit_log_open(&h->audit, s->state_dir, &s->audit, &why);
    if (err < 0 || why.len > 0)
        LOG_ERROR(why.buf, err < 0 ? HINTED("", "; `reactor.audit: {enabled: false}` starts without it") : "");
    audit_config(&h->audit, AUDIT_STARTED, h->path, h->config_hashed ? h->config_hash : NULL);
    if (err >= 0)
        schedule_head(h);
    return err;
}

static void close_audit(struct hub *h, unsigned unfinished)
{
    if (!IS_ENABLED(CONFIG_HUB_AUDIT))
        return;
    timer_stop(&h->audit_timer);
    audit_stopped(&h->audit, h->pipeline.events, unfinished);
    audit_log_close(&h->audit);
}

/* ---- Commands to devices ---- */

static void command_ended(void *arg)
{
    struct hub *h = arg;

    control_wake(&h->control);
}

/** Between journal_init and jobs_init. */
static void wire_dispatch(struct hub *h, union hub_work *work)
{
    dispatch_init(&h->dispatch, &h->pipeline, &h->ingress, &h->loop, &work->run.action, pool_commands, CONFIG_COMMAND_PLACES,
                  pool_command_texts, sizeof pool_command_texts, pool_command_kept, random_bytes);
    h->dispatch.wake = command_ended;
    h->dispatch.arg = h;
    const struct journal_keeper keeper = dispatch_keeper(&h->dispatch);
    journal_keeper(&h->journal, KEPT_COMMANDS, &keeper);
}

/* ---- Silences ---- */

static void silences_are_due(void *arg);

/** Wake when one is over. */
static void arm_silences(struct hub *h)
{
    const uint64_t now = clock_ms(h->loop.clock), due = silences_due(&h->silences);

    if (due == UINT64_MAX)
        timer_stop(&h->silence_timer);
    else
        timer_start(&h->loop, &h->silence_timer, due > now ? due - now : 0, silences_are_due, h);
}

static void silences_are_due(void *arg)
{
    struct hub *h = arg;

    if (silences_tick(&h->silences))
        pipeline_turn_end(&h->pipeline);
    arm_silences(h);
}

static void silence_added(void *arg)
{
    arm_silences(arg);
}

static void wire_silences(struct hub *h, union hub_work *work, const struct clock *clock)
{
    silences_init(&h->silences, clock, pool_silences, &pool_receive->scratch.tree, &work->run.matcher, &h->journal);
    const struct journal_keeper keeper = silences_keeper(&h->silences);
    journal_keeper(&h->journal, KEPT_SILENCES, &keeper);
    h->silences.ended = silence_verbs_ended;
    h->silences.arg = &h->pipeline;
    h->pipeline.silences = &h->silences;
    h->view.silence_added = silence_added;
    h->view.arg = h;
}

static void each_session(void *arg, void (*fn)(void *fn_arg, struct session *s), void *fn_arg)
{
    struct hub *h = arg;

    listener_each(&h->listener, fn, fn_arg);
}

static bool may_name(void *arg, const struct addr *peer)
{
    struct hub *h = arg;

    return admission_may_log(&h->listener.admission, peer, clock_ms(h->loop.clock));
}

static void peers_changed(void *arg)
{
    struct hub *h = arg;

    listener_recheck(&h->listener, h->listener.with_signatures);
}

/** Initialise what only a running hub needs. */
static void wire_daemon(struct hub *h)
{
    union hub_work *work = pool_hub_work;

    loop_init(&h->loop, &clock_system, pool_found, HUB_WATCHES);
    children_init(&h->children, &h->loop, pool_children, HUB_CHILDREN);
    recent_init(&h->recent, pool_recent_rows, pool_recent_settled, CONFIG_RECENT_EVENTS,
                 pool_recent_bytes, sizeof pool_recent_bytes);
    seen_init(&h->seen, pool_seen, pool_host_chains, CONFIG_HOSTS);
    pipeline_init(&h->pipeline, &clock_system, &h->rules, &h->recent, &h->jobs, &h->seen,
                  &h->journal, pool_receive->tokens);
    h->pipeline.audit = &h->audit;
    h->pipeline.changed = recent_changed;
    h->pipeline.acknowledge = all_safe;
    h->pipeline.refused = journal_refused;
    h->pipeline.room = room_again;
    h->pipeline.own_line = work->run.own_line;
    h->pipeline.playbooks = IS_ENABLED(CONFIG_HUB_PLAYBOOKS) ? &h->playbooks : NULL;
    h->playbooks_ended = UINT64_MAX; /* look at the first turn */
    if (IS_ENABLED(CONFIG_HUB_GUARD))
        h->pipeline.guard = (struct guard){policy_judge, &h->policy};
    h->pipeline.arg = h;
    audit_log_init(&h->audit, &clock_system, pool_audit);
    h->audit.wake = audit_wake;
    h->audit.arg = h;
    ingress_init(&h->ingress, &clock_system, &h->pipeline);
    h->ingress.random = random_bytes;
    h->ingress.each = each_session;
    h->ingress.may_name = may_name;
    h->ingress.arg = h;
    const struct journal_hooks journal_hooks = pipeline_journal_hooks(&h->pipeline);
    journal_init(&h->journal, pool_journal, sizeof pool_journal, &h->seen, &journal_hooks);
    if (IS_ENABLED(CONFIG_HUB_COMMANDS))
        wire_dispatch(h, work);
    const struct job_hooks job_hooks = pipeline_job_hooks(&h->pipeline);
    jobs_init(&h->jobs, &h->loop, &h->children, &work->run.action, work->run.line, &job_hooks);
    jobs_store(&h->jobs, pool_job_blocks, HUB_JOB_BLOCKS);
    add_queues(h);
    const struct listener_hooks listener_hooks = ingress_listener_hooks(&h->ingress);
    listener_init(&h->listener, &h->loop, pool_connections, CONFIG_CONNECTIONS, pool_admission,
                  CONFIG_ADMISSION, &listener_hooks);
    h->listener.random_below = random_below;
    h->listener.longer = work->run.action.text;
    h->listener.longer_cap = sizeof work->run.action.text;
    peers_init(&h->peers, &h->loop, pool_wireguard_nets, CONFIG_WIREGUARD_NETS, pool_receive,
               peers_changed, h);
    h->ingress.peers = IS_ENABLED(CONFIG_WIREGUARD_PEERS) ? &h->peers : NULL;
    h->view = (struct status_view){
        .pipeline = &h->pipeline, .ingress = &h->ingress, .listener = &h->listener};
    if (IS_ENABLED(CONFIG_HUB_SILENCES))
        wire_silences(h, work, &clock_system);
    if (IS_ENABLED(CONFIG_HUB_RESTRAINT)) {
        restraint_keeper_init(&h->restraint, &clock_system, &h->rules, &h->journal, pool_restraint_marks, CONFIG_RESTRAINT_MARKS);
        h->pipeline.restraint = &h->restraint;
    }
}

/* ---- Configuration ---- */

static struct hub_settings *staged(const struct hub *h)
{
    return &pool_settings[!h->active];
}

const struct hub_settings *hub_loaded(const struct hub *h)
{
    return staged(h);
}

const struct policy *hub_loaded_policy(const struct hub *h)
{
    return policy_of(!h->active);
}

static int load_policy(struct hub *h)
{
    return policy_bind(policy_of(!h->active), &h->config, node_child(&h->config, h->config.nodes, "policy"),
                       &pool_receive->scratch.tree);
}

const struct policy_use *hub_policy(struct hub *h)
{
    int err = config_load(&h->config, h->path, &h->arenas[!h->active], pool_receive, sizeof pool_receive);

    if (err < 0 || load_policy(h) < 0 || config_done(&h->config) < 0)
        return NULL;
    h->policy = (struct policy_use){policy_of(!h->active), pool_policy_work};
    return &h->policy;
}

const struct playbook_room *hub_playbooks(struct hub *h)
{
    if (IS_ENABLED(CONFIG_HUB_GUARD))
        h->policy = (struct policy_use){policy_of(!h->active), pool_policy_work};
    wire_playbooks(h);
    h->playbooks.settings = staged(h);
    return &h->playbooks;
}

const char *hub_socket(struct hub *h)
{
    if (config_load(&h->config, h->path, &h->arenas[!h->active], pool_receive,
                    sizeof pool_receive) < 0)
        return NULL;
    return hub_settings_socket(&h->config);
}

const char *hub_audit_place(struct hub *h, const char **key_file)
{
    struct config *c = &h->config;

    if (config_load(c, h->path, &h->arenas[!h->active], pool_receive, sizeof pool_receive) < 0)
        return NULL;
    const struct node *reactor = node_child(c, c->nodes, "reactor"), *state_dir = node_child(c, reactor, "state_dir");
    const struct node *key = node_child(c, node_child(c, reactor, "audit"), "key_file");
    *key_file = key && key->type == NODE_SCALAR && *key->value ? key->value : NULL;
    return state_dir && state_dir->type == NODE_SCALAR ? state_dir->value : "";
}

/** Of the file that is about to be read; fd may be negative. */
static void hash_config(struct hub *h, int fd)
{
    char chunk[512];
    br_sha256_context sha;
    uint64_t at = 0;
    long n;

    br_sha256_init(&sha);
    while ((n = file_fill_at(fd, at, chunk, sizeof chunk)) > 0) {
        br_sha256_update(&sha, chunk, (size_t)n);
        at += (uint64_t)n;
    }
    br_sha256_out(&sha, h->config_hash);
    wipe(chunk, sizeof chunk);
    h->config_hashed = n == 0;
}

int hub_load(struct hub *h, void (*notice)(void *arg, const char *rule, const char *action))
{
    struct config *c = &h->config;
    struct hub_settings *s = staged(h);
    const struct node *rules;
    const int fd = config_open(h->path), opened = errno;
    if (IS_ENABLED(CONFIG_HUB_AUDIT))
        hash_config(h, fd);
    errno = opened;
    int err = config_load_fd(c, h->path, fd, &h->arenas[!h->active], pool_receive, sizeof pool_receive);
    if (err < 0)
        return err;
    hub_settings_bind(s, c, &rules);
    if (IS_ENABLED(CONFIG_HUB_GUARD))
        load_policy(h);
    if (IS_ENABLED(CONFIG_PRIVILEGES))
        settings_bind_user(&s->user, c, "reactor", pool_receive, sizeof pool_receive);
    rules_stage(&h->rules, c, rules, s, notice, NULL);
    settings_load_key(&h->staged_key, c, "reactor", s->hmac_key_file, s->hmac_key);
    s->hmac_key = NULL;
    hub_settings_warn(s, c, rules_staged_able(&h->rules));
    err = config_done(c);
    /* The tree is not needed any more: playbooks are read in its place. */
    wire_playbooks(h);
    if (IS_ENABLED(CONFIG_HUB_PLAYBOOKS) && rules_staged_check(&h->rules, &h->playbooks, h->report, NULL) < 0)
        err = NEFIA_EINVAL;
    if (err < 0)
        rules_abort(&h->rules);
    return err;
}

static uint16_t rule_now(void *arg, uint16_t rule)
{
    const struct hub *h = arg;
    /* The previous generation is inactive, but its names stay valid until the next load. */
    int i = rules_find(&h->rules, h->rules.sets[!h->rules.active].rules[rule].name);

    return i < 0 ? JOB_NO_RULE : (uint16_t)i;
}

/** What decides: rules, policy, and what is known of devices. */
static void put_in_force(struct hub *h)
{
    rules_commit(&h->rules);
    pipeline_reloaded(&h->pipeline, rule_now, h);
    h->active = !h->active;
    if (IS_ENABLED(CONFIG_HUB_GUARD))
        h->policy = (struct policy_use){policy_of(h->active), pool_policy_work};
    h->pipeline.generation++;
    if (IS_ENABLED(CONFIG_HUB_DEVICES))
        devices_carry(&pool_settings[h->active], &pool_settings[!h->active]);
    hub_settings_wipe(&pool_settings[!h->active]);
    h->pipeline.host_id = pool_settings[h->active].host_id;
    if (IS_ENABLED(CONFIG_HUB_DEVICES))
        pipeline_know(&h->pipeline, &pool_settings[h->active]);
}

/** Activate what hub_load read. */
static void commit(struct hub *h)
{
    put_in_force(h);
    const struct hub_settings *s = &pool_settings[h->active];
    h->ingress.settings = s;
    h->playbooks.settings = s;
    h->listener.per_peer = s->max_connections_per_peer;
    h->listener.reserved = s->reserved_connections;
    h->ingress.key = h->staged_key;
    mac_key_wipe(&h->staged_key);
    jobs_rebind(&h->jobs, rule_now, h);
    dispatch_rebind(h->pipeline.dispatch);
}

/* ---- Running ---- */

void hub_log_notice(void *arg, const char *rule, const char *action)
{
    (void)arg;
    LOG_WARN("rule ", rule, ": action ", action,
             " is not in this build" REMEDY("; the rule matches without effect"));
}

static void log_serving(const struct hub *h, const char *what)
{
    const struct hub_settings *s = h->ingress.settings;

    LOG_INFO(what, ADDR(&s->listen), ", ", COUNT(rules_active(&h->rules)->count, "rule"), ", ",
             COUNT(s->hook_count, "webhook"), ", ",
             ingress_signed(&h->ingress)
                 ? "events are signed"
                 : "events are unsigned" REMEDY(": every address in reactor.peers is trusted"));
}

/** A command being forked when the previous daemon was killed may hold the port for a moment: retry
 * for up to wait_ms. Return: a descriptor, or negative, logged. */
static int listen_on(const struct hub_settings *s, int wait_ms)
{
    char why_buf[256];
    struct text why;

    for (;; wait_ms -= LISTEN_STEP_MS) {
        text_init(&why, why_buf, sizeof why_buf);
        int fd = tcp_listen(&s->listen, BACKLOG, "reactor.listen_port", &why);
        if (fd >= 0)
            return fd;
        if (errno != EADDRINUSE || wait_ms <= 0) {
            LOG_ERROR(why.buf);
            return fd;
        }
        poll(NULL, 0, LISTEN_STEP_MS);
    }
}

static bool same_place(const struct addr *a, const struct addr *b)
{
    return addr_same_host(a, b) && a->port == b->port;
}

static void follow_peers(struct hub *h)
{
    if (IS_ENABLED(CONFIG_WIREGUARD_PEERS))
        peers_follow(&h->peers, h->ingress.settings->peers_from);
}

/** Discard what was loaded. */
static void drop_staged(struct hub *h)
{
    config_drop(&h->config);
    rules_abort(&h->rules);
    mac_key_wipe(&h->staged_key);
    hub_settings_wipe(staged(h));
}

/** Listen on fd, or, while the kernel's random numbers are waited for, remember it. */
static void listen_instead(struct hub *h, int fd)
{
    if (h->listen_fd < 0) {
        listener_open(&h->listener, fd, ingress_signed(&h->ingress));
        return;
    }
    close(h->listen_fd);
    h->listen_fd = fd;
}

static void record_config(struct hub *h, enum audit_kind kind)
{
    audit_config(&h->audit, kind, h->path, h->config_hashed ? h->config_hash : NULL);
    audit_log_commit(&h->audit);
}

/** But for the head's interval, which is followed at once. */
static bool same_audit(const struct audit_settings *a, const struct audit_settings *b)
{
    return a->enabled == b->enabled && a->sync == b->sync && a->max_kb == b->max_kb && a->files == b->files &&
           !a->key_file == !b->key_file && (!a->key_file || str_eq(a->key_file, b->key_file));
}

static void reload(struct hub *h)
{
    const struct hub_settings *now = h->ingress.settings, *next = staged(h);
    const size_t failed = IS_ENABLED(CONFIG_CONFIG_HINTS) ? heap_stats().failed : 0;
    int fd = -1;

    if (hub_load(h, hub_log_notice) < 0) {
        drop_staged(h);
        if (IS_ENABLED(CONFIG_CONFIG_HINTS) && heap_stats().failed != failed)
            LOG_ERROR("reload: no room for new patterns beside those in force; if `nefia reactor check` "
                      "accepts the file, a restart fits");
        LOG_ERROR("reload: ", h->path, " has errors" REMEDY("; the running configuration stays in force"));
        record_config(h, AUDIT_REFUSED);
        return;
    }
    if (!same_place(&now->listen, &next->listen)) {
        fd = listen_on(next, 0);
        if (fd < 0) {
            drop_staged(h);
            LOG_ERROR("reload: listen failed" REMEDY("; the running configuration stays in force"));
            record_config(h, AUDIT_REFUSED);
            return;
        }
    }
    if (!str_eq(now->control_socket, next->control_socket))
        LOG_WARN("reload: changing reactor.control_socket requires a restart");
    if (!privileges_same(&now->user, &next->user))
        LOG_WARN("reload: changing reactor.user requires a restart");
    if (IS_ENABLED(CONFIG_HUB_STATE) &&
        (!str_eq(now->state_dir, next->state_dir) || now->journal_kb != next->journal_kb ||
         now->journal_sync != next->journal_sync))
        LOG_WARN("reload: changing the journal requires a restart");
    if (IS_ENABLED(CONFIG_HUB_AUDIT) && !same_audit(&now->audit, &next->audit))
        LOG_WARN("reload: changing the audit requires a restart");
    if (!next->enabled)
        LOG_WARN("reload: setting reactor.enabled to false requires a restart");
    commit(h);
    if (IS_ENABLED(CONFIG_HUB_COMMANDS))
        helper_reload(&h->helper);
    record_config(h, AUDIT_RELOADED);
    if (IS_ENABLED(CONFIG_HUB_AUDIT))
        schedule_head(h);
    if (fd >= 0)
        listen_instead(h, fd);
    listener_recheck(&h->listener, ingress_signed(&h->ingress));
    ingress_recheck(&h->ingress);
    pipeline_turn_end(&h->pipeline);
    follow_peers(h);
    log_serving(h, "reloaded: ");
}

/** Advance the shutdown: first the senders, then the actions. */
static void drain_step(void *arg)
{
    struct hub *h = arg;
    uint64_t waited = clock_ms(h->loop.clock) - h->drain_began_ms;

    if (h->state == HUB_CLOSING && (h->listener.open == 0 || waited > CLOSING_MS)) {
        listener_close(&h->listener);
        pipeline_turn_end(&h->pipeline);
        h->state = HUB_FINISHING;
        h->drain_began_ms += waited;
        waited = 0;
        jobs_drain(&h->jobs);
    }
    if (h->state == HUB_FINISHING && (jobs_left(&h->jobs) == 0 || waited > FINISHING_MS)) {
        loop_stop(&h->loop);
        return;
    }
    timer_start(&h->loop, &h->drain, DRAIN_STEP_MS, drain_step, h);
}

static void begin_end(struct hub *h)
{
    if (h->state != HUB_RUNNING) {
        loop_stop(&h->loop);
        return;
    }
    jobs_interrupt(&h->jobs); /* while the senders end, which may take a while, none begins anything more */
    LOG_INFO("stopping" REMEDY(": draining connections and finishing actions"));
    h->state = HUB_CLOSING;
    h->drain_began_ms = clock_ms(h->loop.clock);
    timer_stop(&h->seed);
    listener_drain(&h->listener);
    pipeline_turn_end(&h->pipeline);
    timer_start(&h->loop, &h->drain, 0, drain_step, h);
}

static void on_signal(void *arg, int signo)
{
    struct hub *h = arg;

    if (signo == SIGCHLD)
        children_reap(&h->children);
    else if (signo == SIGTERM || signo == SIGINT)
        begin_end(h);
    else if (signo == SIGHUP && h->state == HUB_RUNNING)
        reload(h);
}

/** Recover the previous run's state, before accepting connections. */
static int open_journal(struct hub *h)
{
    const struct hub_settings *s = h->ingress.settings;
    char why_buf[320];
    struct text why;

    if (!IS_ENABLED(CONFIG_HUB_STATE))
        return 0;
    text_init(&why, why_buf, sizeof why_buf);
    int err = journal_open(&h->journal, s->state_dir, (uint64_t)s->journal_kb * 1024, s->journal_sync,
                           &why);
    if (err < 0 || why.len > 0)
        LOG_ERROR(why.buf);
    if (h->journal.stats.damaged + h->journal.stats.torn > 0)
        LOG_WARN("journal in ", s->state_dir, ": ", COUNT(h->journal.stats.torn, "byte"),
                 " of an incomplete last turn and ", COUNT(h->journal.stats.damaged, "damaged byte"),
                 " skipped; their contents are lost");
    return err;
}

static int open_control(struct hub *h)
{
    char why_buf[256];
    struct text why;
    const char *path = h->ingress.settings->control_socket;

    text_init(&why, why_buf, sizeof why_buf);
    if (!path || !*path)
        return 0;
    int err = control_open(&h->control, &h->loop, path, pool_clients, CONFIG_CONTROL_CLIENTS,
                           status_verbs, &h->view, &why);
    if (err < 0)
        LOG_ERROR(why.buf);
    return err;
}

/** Open the control socket, and with it everything that needs more rights than the rest; then drop
 * the rights no longer needed. */
static int open_and_restrict(struct hub *h)
{
    const struct hub_settings *s = h->ingress.settings;
    const struct privileges_needs needs = {
        .control_socket = s->control_socket,
        .state_dir = s->state_dir,
        .config = h->path,
        .key_file = s->hmac_key_file,
        .capabilities = s->peers_from ? (uint64_t)1 << CAP_NET_ADMIN : 0,
    };
    char why_buf[256];
    struct text why;

    text_init(&why, why_buf, sizeof why_buf);
    privileges_prepare(&s->user, &needs);
    int err = open_control(h);
    if (err < 0)
        return err;
    err = privileges_drop(&s->user, &needs, &why);
    if (err < 0)
        LOG_ERROR(why.buf, " (reactor.user)");
    else if (IS_ENABLED(CONFIG_SECCOMP))
        h->view.seccomp = IS_ENABLED(CONFIG_HUB_RUNS_COMMANDS) ? seccomp_commands() : seccomp_strict();
    return err;
}

static void end(struct hub *h)
{
    unsigned left = jobs_left(&h->jobs);

    listener_close(&h->listener);
    children_kill_all(&h->children);
    control_close(&h->control);
    mac_key_wipe(&h->ingress.key);
    hub_settings_wipe(&pool_settings[h->active]);
    if (IS_ENABLED(CONFIG_HUB_SILENCES))
        silences_stop(&h->silences);
    pipeline_stop(&h->pipeline);
    close_audit(h, left);
    journal_close(&h->journal);
    if (left > 0)
        LOG_WARN("stopped with ", COUNT(left, "unfinished action"));
    LOG_INFO("stopped after ", COUNT(h->pipeline.events, "event"));
    log_flush();
}

/** Accept connections once nonces can be made: early after boot the kernel may have no random
 * numbers yet, and a predictable nonce would let recorded sessions be replayed. */
static void begin_serving(void *arg)
{
    struct hub *h = arg;
    uint8_t probe[LINK_NONCE];

    if (random_bytes(probe, sizeof probe) < 0) {
        if (h->seed.fire == NULL)
            LOG_WARN("waiting for the kernel's random number generator"
                     REMEDY("; no connection is accepted before"));
        timer_start(&h->loop, &h->seed, SEED_MS, begin_serving, h);
        return;
    }
    if (listener_open(&h->listener, h->listen_fd, ingress_signed(&h->ingress)) < 0)
        LOG_ERROR("out of loop watches");
    h->listen_fd = -1;
    log_serving(h, "listening on ");
}

/** Keep the descriptors for everything but connections; those share what is left. */
static int reserve_descriptors(struct hub *h)
{
    enum { SURE = 64 }; /* as many every system permits, unless somebody means it: not checked in a small hub */
    const unsigned wanted = HUB_DESCRIPTORS + CONFIG_CONNECTIONS;
    const unsigned have = wanted > SURE ? descriptors_allow(wanted) : wanted;

    if (have == wanted)
        return 0;
    h->listener.count = have > HUB_DESCRIPTORS ? have - HUB_DESCRIPTORS : 0;
    LOG_WARN("open files: ", DEC(wanted), " needed, ", DEC(have), " permitted" REMEDY(" (ulimit -n)"),
             ", connections: ", DEC(h->listener.count));
    return h->listener.count > 0 ? 0 : NEFIA_EFULL;
}

void hub_rehearse(struct hub *h, const struct clock *clock)
{
    const struct journal_hooks none = {0};
    union hub_work *work = pool_hub_work;

    pipeline_init(&h->pipeline, clock, &h->rules, &h->recent, &h->jobs, &h->seen, &h->journal, pool_receive->tokens);
    journal_init(&h->journal, pool_journal, sizeof pool_journal, &h->seen, &none);
    if (IS_ENABLED(CONFIG_HUB_GUARD))
        h->pipeline.guard = (struct guard){policy_judge, &h->policy};
    if (IS_ENABLED(CONFIG_HUB_SILENCES))
        wire_silences(h, work, clock);
    if (IS_ENABLED(CONFIG_HUB_RESTRAINT)) {
        restraint_keeper_init(&h->restraint, clock, &h->rules, &h->journal, pool_restraint_marks, CONFIG_RESTRAINT_MARKS);
        h->pipeline.restraint = &h->restraint;
    }
    put_in_force(h);
    mac_key_wipe(&h->staged_key);
}

int hub_run(struct hub *h)
{
    wire_daemon(h);
    if (reserve_descriptors(h) < 0)
        return CLI_NO;
    random_wait(SEED_MOST_MS);
    if (!staged(h)->enabled) {
        LOG_ERROR("reactor.enabled is false in ", h->path);
        return CLI_WRONG;
    }
    if (IS_ENABLED(CONFIG_HUB_COMMANDS) && hub_start_helper(h) < 0) {
        LOG_ERROR("cannot start the helper for services: ", ERRNO(errno));
        return CLI_NO;
    }
    int fd = listen_on(staged(h), LISTEN_WAIT_MS);
    if (fd < 0)
        return CLI_NO;
    commit(h);
    loop_on_signal(&h->loop, on_signal, h);
    if (IS_ENABLED(CONFIG_HUB_COMMANDS))
        helper_watch(&h->helper, &h->loop);
    if (open_and_restrict(h) < 0) {
        close(fd);
        end(h);
        return CLI_NO;
    }
    h->listen_fd = fd;
    if (open_audit(h) < 0 || open_journal(h) < 0) {
        close(fd);
        end(h);
        return CLI_NO;
    }
    if (IS_ENABLED(CONFIG_HUB_COMMANDS))
        dispatch_resume(&h->dispatch);
    if (IS_ENABLED(CONFIG_HUB_SILENCES)) {
        silences_resume(&h->silences);
        silences_are_due(h);
    }
    follow_peers(h);
    begin_serving(h);
    pipeline_turn_end(&h->pipeline);
    int err = loop_run(&h->loop);
    if (err < 0)
        LOG_ERROR("epoll: ", ERRNO(errno));
    end(h);
    return err < 0 ? CLI_NO : CLI_FINE;
}
