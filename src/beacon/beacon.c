#include "nefia/beacon/beacon.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "nefia/beacon/sensor_table.h"
#include "nefia/beacon/spool_export.h"
#include "nefia/sys/cli.h"
#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/sys/file.h"
#include "nefia/base/kconfig.h"
#include "nefia/sys/log.h"
#include "nefia/sys/log_ring.h"
#include "nefia/sys/random.h"
#include "nefia/sys/seccomp.h"
#include "nefia/event/settings.h"

#define POOL_PROGRAM_BEACON
#include "nefia/base/pool.h"

#ifdef CONFIG_SENSOR_SERVICE
#define HELD_SERVICES CONFIG_SERVICES
#else
#define HELD_SERVICES 0
#endif

enum {
    DRAIN_MS = 5 * 1000,
    BOOT_RANDOM_BITS = 33,
    BOOT_COUNT_MASK = (1 << 20) - 1,
    SEED_MS = 5 * 1000, /* most to wait at start-up for the kernel's random numbers */
    /* Standard descriptors, epoll, the connection and its successor, a file or netlink that is read, syslog;
     * the control socket, its lock and its clients; state_dir, the file of the spool and its
     * successor; a large file whose digest is being computed; the helper for services; the log for the console; the pipes of children; files and
     * netlink that sensors keep, the processes of services; what they wait for. */
    DESCRIPTORS = 3 + 5 + IS_ENABLED(CONFIG_REMOTE_EXEC) + IS_ENABLED(CONFIG_BEACON_CONSOLE) + (IS_ENABLED(CONFIG_BEACON_CONTROL) ? 2 + CONFIG_BEACON_CONTROL_CLIENTS : 0) +
                  (IS_ENABLED(CONFIG_BEACON_STATE) ? 1 : 0) + (IS_ENABLED(CONFIG_SPOOL_FILE) ? 2 : 0) +
                  (IS_ENABLED(CONFIG_BEACON_DRIFT) ? 1 : 0) +
                  (IS_ENABLED(CONFIG_BEACON_KEPT_FILES) ? KEPT_FILES : 0) + (IS_ENABLED(CONFIG_BEACON_NETLINK) ? 1 : 0) +
                  (IS_ENABLED(CONFIG_SENSOR_SDWAN_VIP) ? 1 : 0) + (IS_ENABLED(CONFIG_SENSOR_PRESSURE) ? 3 : 0) + HELD_SERVICES + (BEACON_COMMANDS > 0 ? CHILD_DESCRIPTORS * BEACON_COMMANDS + CHILD_START_DESCRIPTORS : 0) +
                  CONFIG_BEACON_SENSOR_WATCHES,
    DESCRIPTORS_SURE = 8, /* as many nobody denies a daemon */
};

static const char boot_name[] = "boot";

/* ---- Wiring ---- */

static void event_queued(void *arg)
{
    struct beacon *b = arg;

    uplink_kick(&b->uplink);
}

static void events_delivered(void *arg, unsigned events)
{
    struct beacon *b = arg;

    if (IS_ENABLED(CONFIG_SPOOL_FILE) && b->pipeline.flash)
        spool_file_settle(b->pipeline.flash);
    /* A hub that only refuses would refuse the report. */
    if (!IS_ENABLED(CONFIG_BEACON_ACK) || events > 0)
        beacon_pipeline_report_lost(&b->pipeline);
    if (IS_ENABLED(CONFIG_REMOTE_EXEC) && uplink_drained(&b->uplink))
        undo_settled(pool_undo);
    if (b->stopping && uplink_drained(&b->uplink))
        loop_stop(&b->loop);
}

/** The only delivery attempt while stopping failed. */
static void uplink_waits(void *arg)
{
    struct beacon *b = arg;

    if (b->stopping)
        loop_stop(&b->loop);
}

static void wire_pipeline(struct beacon *b)
{
    struct beacon_pipeline *p = &b->pipeline;
    char *buffers = (char *)pool_work;

    beacon_pipeline_init(p, &b->loop, buffers, buffers + CONFIG_EVENT_BYTES + 1);
    dedup_init(&p->dedup, pool_dedup, CONFIG_DEDUP_SLOTS);
    rate_init(&p->rate, pool_rate, CONFIG_RATE_MAX);
    spool_init(&p->spool, pool_spool, sizeof pool_spool);
    p->queued = event_queued;
    p->arg = b;
}

void beacon_wire(struct beacon *b, const char *path, void (*report)(void *arg, const char *message))
{
    loop_init(&b->loop, &clock_system, pool_found, BEACON_WATCHED);
    b->started_ms = clock_ms(&clock_system);
    b->path = path;
    for (unsigned i = 0; i < ARRAY_SIZE(b->arenas); i++)
        b->arenas[i] =
            (struct config_arena){.strings = pool_config_text + i * (sizeof pool_config_text / 2),
                                  .strings_cap = sizeof pool_config_text / 2};
    config_init(&b->config, "BEACON", pool_config_nodes, CONFIG_BEACON_CONFIG_NODES, report, b);
    condition_init(&b->conditions, pool_conditions, CONFIG_CONDITIONS);
    if (BEACON_COMMANDS > 0)
        children_init(&b->children, &b->loop, pool_children, BEACON_COMMANDS);
    wire_pipeline(b);
    sensor_runner_init(&b->sensor_runner, &b->pipeline, &b->children, &b->conditions, pool_emitters,
                   pool_sensor_states, pool_child_output);
    b->sensor_runner.random_below = random_below;
    if (IS_ENABLED(CONFIG_BEACON_WATCHES))
        b->sensor_runner.watches = pool_sensor_watches;
    if (IS_ENABLED(CONFIG_BEACON_FOLLOWS))
        b->sensor_runner.followed = pool_followed;
#ifdef CONFIG_BEACON_DRIFT
    b->sensor_runner.drift = pool_drift;
#endif
    uplink_init(&b->uplink, &b->loop, &b->pipeline.spool, pool_session, pool_delivery_line);
    b->uplink.random_below = random_below;
    if (IS_ENABLED(CONFIG_BEACON_ACK))
        b->uplink.delivery.random = random_bytes;
    if (IS_ENABLED(CONFIG_REMOTE_EXEC))
        beacon_remote_wire(b);
    b->uplink.on_delivered = events_delivered;
    b->uplink.on_wait = uplink_waits;
    if (IS_ENABLED(CONFIG_BEACON_RESOLVE))
        b->uplink.resolve = beacon_resolve;
    b->uplink.arg = b;
}

/* ---- Configuration ---- */

int beacon_load(struct beacon *b, unsigned needs)
{
    struct config *c = &b->config;
    struct beacon_settings *s = &b->settings[!b->current];
    const bool for_run = needs & BEACON_NEEDS_KEY;
    int err;

    err = config_load(c, b->path, &b->arenas[!b->current], pool_work, sizeof pool_work);
    if (err < 0)
        return err;
    beacon_settings_bind(s, c, needs & BEACON_NEEDS_HUB);
    if (IS_ENABLED(CONFIG_BEACON_GUARD))
        beacon_policy_load(b);
    sensor_runner_load(&b->sensor_runner, c, node_child(c, c->nodes, "beacons"));
    if (IS_ENABLED(CONFIG_PRIVILEGES) && for_run)
        settings_bind_user(&s->user, c, "beacons", pool_work, sizeof pool_work);
    settings_load_key(for_run ? &b->next_key : NULL, c, "beacons", s->hmac_key_file, s->hmac_key);
    s->hmac_key = NULL;
    if (IS_ENABLED(CONFIG_REMOTE_EXEC) && for_run)
        beacon_remote_check(b);
    if (for_run && IS_ENABLED(CONFIG_CONFIG_HINTS))
        settings_warn(c, "beacons", &s->user);
    return config_done(c);
}

static void open_control(struct beacon *b, const struct beacon_settings *s, struct text *why,
                         int *err)
{
    *err = 0;
    if (IS_ENABLED(CONFIG_BEACON_CONTROL) && s->control_socket && s->control_socket[0])
        *err = control_open(&b->control, &b->loop, s->control_socket, pool_clients,
                            CONFIG_BEACON_CONTROL_CLIENTS, beacon_verbs, b, why);
}

/** What the log says is kept beside the control socket, where that is in RAM. */
static void keep_log(const struct beacon_settings *s)
{
    if (!IS_ENABLED(CONFIG_BEACON_CONSOLE))
        return;
    const bool other = IS_ENABLED(CONFIG_PRIVILEGES) && s->user.name;

    if (log_ring_open(s->control_socket, other ? s->user.uid : (uint32_t)-1, other ? s->user.gid : (uint32_t)-1) == NEFIA_EIO)
        LOG_WARN("cannot keep the log beside ", s->control_socket, ": ", ERRNO(errno));
}

static void close_control(struct beacon *b)
{
    if (IS_ENABLED(CONFIG_BEACON_CONTROL))
        control_close(&b->control);
}

/** Are both keys equal? */
static bool same_key(const struct mac_key *a, const struct mac_key *b)
{
    uint8_t of_a[MAC_BYTES], of_b[MAC_BYTES];

    if (!a->set || !b->set)
        return a->set == b->set;
    mac_sign(a, boot_name, sizeof boot_name, of_a);
    mac_sign(b, boot_name, sizeof boot_name, of_b);
    return memcmp(of_a, of_b, sizeof of_a) == 0;
}

static void limit_file(struct spool_file *f, const struct beacon_settings *s)
{
    f->least = s->spool_file_events == SPOOL_FILE_ALL ? SEVERITY_INFO : SEVERITY_CRITICAL;
    f->cap = s->spool_file_kb * 1024;
    f->daily = s->spool_file_daily_kb * 1024;
}

/** Does a connection with the running settings serve the loaded ones? */
static bool same_session(const struct beacon *b, const struct beacon_settings *s)
{
    const struct delivery *d = &b->uplink.delivery;

    return same_key(&b->key, &b->next_key) &&
           (!IS_ENABLED(CONFIG_REMOTE_EXEC) || pool_remote->remote.takes == s->remote.enabled) &&
           (!IS_ENABLED(CONFIG_BEACON_ACK) ||
            (d->host_id && str_eq(d->host_id, s->host_id) && d->require_ack == s->require_ack));
}

/** Activate the loaded settings. */
static void apply(struct beacon *b)
{
    const struct beacon_settings *s = beacon_loaded(b);
    const bool same = same_session(b, s);

    b->pipeline.host_id = s->host_id;
    b->pipeline.dedup.parts = s->dedup_parts;
    b->pipeline.dedup.window_ms = s->dedup_window_ms;
    rate_set_limit(&b->pipeline.rate, s->max_events_per_min);
    if (IS_ENABLED(CONFIG_BEACON_STATE))
        b->sensor_runner.state_dir = s->state_dir;
    sensor_runner_switch(&b->sensor_runner);
    if (IS_ENABLED(CONFIG_SPOOL_FILE) && b->pipeline.flash)
        limit_file(b->pipeline.flash, s);
    if (IS_ENABLED(CONFIG_BEACON_ACK)) {
        b->uplink.delivery.host_id = s->host_id;
        b->uplink.delivery.require_ack = s->require_ack;
    }
    b->key = b->next_key;
    mac_key_wipe(&b->next_key);
    uplink_start(&b->uplink, s->reactors, s->reactor_count, &b->key, same);
    b->current = !b->current;
    if (IS_ENABLED(CONFIG_REMOTE_EXEC))
        beacon_remote_apply(b);
}

static void reopen_control(struct beacon *b, const char *before)
{
    char buf[256];
    struct text why;
    int err;
    const char *now = beacon_settings(b)->control_socket;

    if (str_eq(before ? before : "", now ? now : ""))
        return;
    text_init(&why, buf, sizeof buf);
    close_control(b);
    open_control(b, beacon_settings(b), &why, &err);
    if (err < 0)
        LOG_ERROR("no control socket: ", why.buf);
    keep_log(beacon_settings(b));
}

static const char *file_of(const struct beacon_settings *s)
{
    return s->spool_file ? s->spool_file : "";
}

static void reload(struct beacon *b)
{
    const char *socket = beacon_settings(b)->control_socket;

    if (beacon_load(b, BEACON_NEEDS_HUB | BEACON_NEEDS_KEY) < 0) {
        b->failed_reloads++;
        mac_key_wipe(&b->next_key);
        config_drop(&b->config);
        LOG_ERROR("reload failed" REMEDY("; the running configuration stays in force"));
        return;
    }
    if (IS_ENABLED(CONFIG_PRIVILEGES) &&
        !privileges_same(&beacon_settings(b)->user, &beacon_loaded(b)->user))
        LOG_WARN("changing beacons.user requires a restart");
    if (IS_ENABLED(CONFIG_SPOOL_FILE) &&
        !str_eq(file_of(beacon_settings(b)), file_of(beacon_loaded(b))))
        LOG_WARN("changing beacons.spool_file requires a restart");
    apply(b);
    if (IS_ENABLED(CONFIG_REMOTE_EXEC))
        helper_reload(&b->helper);
    if (IS_ENABLED(CONFIG_BEACON_CONTROL))
        reopen_control(b, socket);
    b->reloads++;
    LOG_INFO("configuration reloaded; sensors: ", DEC(sensor_runner_current(&b->sensor_runner)->count));
}

/* ---- Start ---- */

static struct privileges_needs own_needs(const struct beacon *b, const struct beacon_settings *s)
{
    struct privileges_needs n = {.control_socket = s->control_socket,
                                 .state_dir = s->state_dir,
                                 .config = b->path,
                                 .key_file = s->hmac_key_file};

    const struct instance_set *loaded = &b->sensor_runner.sets[!b->sensor_runner.current];

    for (unsigned i = 0; IS_ENABLED(CONFIG_PRIVILEGES) && i < loaded->count; i++)
        if (loaded->items[i].class->capability)
            n.capabilities |= UINT64_C(1) << loaded->items[i].class->capability;
    return n;
}

/** The sockets are open: drop the rights that are no longer needed. */
static int restrict_self(struct beacon *b, const struct privileges_needs *needs, struct text *why)
{
    if (IS_ENABLED(CONFIG_PRIVILEGES) + IS_ENABLED(CONFIG_SECCOMP) == 0)
        return 0;
    int err = privileges_drop(&beacon_loaded(b)->user, needs, why);
    if (err == 0 && IS_ENABLED(CONFIG_SECCOMP))
        b->seccomp = IS_ENABLED(CONFIG_BEACON_RUNS_CHILDREN) ? seccomp_commands() : seccomp_strict();
    return err;
}

static int in_use(const char *path, const char *key)
{
    LOG_ERROR(path, ": in use by another beacon" REMEDY("; stop that one, or set another beacons."),
              IS_ENABLED(CONFIG_CONFIG_HINTS) ? key : "");
    return NEFIA_EEXIST;
}

/** Restore the events that the previous start kept on flash. Return: NEFIA_EEXIST if another beacon
 * has the file, which ends this one; else 0. */
static int open_file(struct beacon *b, const struct beacon_settings *s)
{
    struct spool_file *f = pool_spool_file;
    const struct spool *spool = &b->pipeline.spool;

    if (!s->spool_file || !s->spool_file[0])
        return 0;
    b->pipeline.flash = f;
    limit_file(f, s);
    int err = spool_file_open(f, &b->pipeline.spool, b->loop.clock, s->spool_file, (uint8_t *)pool_work,
                              FRAME_HEADER + SPOOL_FILE_HEAD + CONFIG_EVENT_BYTES);
    if (err == NEFIA_EEXIST)
        return in_use(s->spool_file, "spool_file");
    if (IS_ENABLED(CONFIG_SPOOL_EXPORT) && err == 0)
        spool_export_recall(&b->pipeline.spool, s->spool_file);
    if (err < 0)
        LOG_ERROR("cannot open ", s->spool_file, ": ", ERRNO(errno),
                  "; events will not survive a restart (beacons.spool_file)");
    else if (f->damaged || spool->events)
        LOG_INFO(s->spool_file, ": ", COUNT(spool->events, "event"), " restored, ",
                 COUNT(f->damaged, "damaged byte"), " skipped");
    return 0;
}

/** Two beacons would count one number of starts. The lock ends with the process. Return: as
 * open_file. */
static int lock_state(struct beacon *b, const char *dir)
{
    (void)mkdir(dir, 0700); /* if only that level is missing */
    b->state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->state_fd >= 0 && file_lock(b->state_fd) == NEFIA_EEXIST)
        return in_use(dir, "state_dir");
    return 0;
}

/** Count the starts, where that is kept; it orders them. Return: the count, 0: none. */
static uint64_t count_start(const char *dir)
{
    uint64_t count = 0;
    const int err = state_load_u64(dir, boot_name, &count);

    if (err < 0 && err != NEFIA_ENOTFOUND)
        LOG_WARN("boot counter in ", dir, " is ", err == NEFIA_ESYNTAX ? "damaged" : "unreadable",
                 "; starting over");
    count++;
    if (state_store_u64(dir, boot_name, count) == 0)
        return count;
    LOG_WARN("cannot store the boot counter in ", dir);
    return 0;
}

/** The number of this start, 1 to 2^53 - 1: a count of 20 bits above 33 random ones. The hub takes
 * events of two starts with the same number for those of one, and a restored backup counts twice the
 * same. */
static uint64_t take_boot(uint64_t count)
{
    const uint64_t chance = random_number() >> (64 - BOOT_RANDOM_BITS);

    return (count & BOOT_COUNT_MASK) << BOOT_RANDOM_BITS | (chance ? chance : 1);
}

/** Return: negative, after a report, if another beacon has what this one is to write. */
static int begin_state(struct beacon *b, const struct beacon_settings *s)
{
    const bool kept = IS_ENABLED(CONFIG_BEACON_STATE) && s->state_dir && s->state_dir[0];
    int err = kept ? lock_state(b, s->state_dir) : 0;

    if (IS_ENABLED(CONFIG_SPOOL_FILE) && err == 0)
        err = open_file(b, s);
    if (err < 0)
        return err;
    b->pipeline.boot = take_boot(kept ? count_start(s->state_dir) : 0);
    b->pipeline.spool.own = b->pipeline.boot;
    if (IS_ENABLED(CONFIG_REMOTE_EXEC))
        beacon_remote_open(b, s->state_dir);
    return 0;
}

static void say_started(struct beacon *b)
{
    static const struct pipeline_event e = {
        .type = "beacon.started", .source = "beacon", .severity = SEVERITY_INFO, .own = true};
    struct json_writer *w = beacon_pipeline_begin(&b->pipeline);

    json_put_string(w, "version", cli_version());
    json_put_string(w, "board", cli_board());
    json_put_u64(w, "sensors", sensor_runner_current(&b->sensor_runner)->count);
    beacon_pipeline_end(&b->pipeline, &e);
}

/* ---- Stop ---- */

static void drain_over(void *arg)
{
    struct beacon *b = arg;

    loop_stop(&b->loop);
}

static void begin_stop(struct beacon *b)
{
    bool again = b->stopping;

    b->stopping = true;
    if (IS_ENABLED(CONFIG_REMOTE_EXEC))
        pool_remote->remote.stopping = true;
    sensor_runner_stop(&b->sensor_runner);
    beacon_pipeline_report_suppressed(&b->pipeline);
    if (again || b->uplink.hub_count == 0 || uplink_drained(&b->uplink)) {
        loop_stop(&b->loop);
        return;
    }
    timer_start(&b->loop, &b->drain, DRAIN_MS, drain_over, b);
    uplink_retry(&b->uplink);
}

static void on_signal(void *arg, int signo)
{
    struct beacon *b = arg;

    if (signo == SIGCHLD && BEACON_COMMANDS > 0)
        children_reap(&b->children);
    else if (signo == SIGHUP && !b->stopping) {
        reload(b);
        if (IS_ENABLED(CONFIG_BEACON_CONSOLE))
            control_wake(&b->control); /* `reload` waits for it */
    } else if (signo == SIGTERM || signo == SIGINT)
        begin_stop(b);
}

static void say_stopped(const struct beacon *b)
{
    unsigned left = b->pipeline.spool.events;

    if (left)
        LOG_WARN("stopped; undelivered events: ", DEC(left));
    else
        LOG_INFO("stopped: all events delivered");
}

int beacon_run(struct beacon *b)
{
    char buf[256];
    struct text why;
    int err;

    text_init(&why, buf, sizeof buf);
    if (DESCRIPTORS > DESCRIPTORS_SURE && descriptors_allow(DESCRIPTORS) < DESCRIPTORS) {
        LOG_ERROR("open files: ", DEC(DESCRIPTORS), " needed, ", DEC(descriptors_allow(DESCRIPTORS)),
                  " permitted" REMEDY("; raise the limit (ulimit -n)"));
        return CLI_NO;
    }
    if (IS_ENABLED(CONFIG_REMOTE_EXEC) && beacon_start_helper(b) < 0) {
        LOG_ERROR("cannot start the helper for services: ", ERRNO(errno));
        return CLI_NO;
    }
    if (IS_ENABLED(CONFIG_BEACON_ACK))
        random_wait(SEED_MS);
    const struct privileges_needs needs = own_needs(b, beacon_loaded(b));
    if (IS_ENABLED(CONFIG_PRIVILEGES))
        privileges_prepare(&beacon_loaded(b)->user, &needs);
    open_control(b, beacon_loaded(b), &why, &err);
    if (err < 0) {
        LOG_ERROR(why.buf, " (beacons.control_socket)");
        return CLI_NO;
    }
    keep_log(beacon_loaded(b));
    if (IS_ENABLED(CONFIG_BEACON_SENSOR_EARLY))
        sensor_runner_start_early(&b->sensor_runner);
    if (restrict_self(b, &needs, &why) < 0) {
        LOG_ERROR(why.buf, " (beacons.user)");
        close_control(b);
        return CLI_NO;
    }
    if (begin_state(b, beacon_loaded(b)) < 0) {
        close_control(b);
        return CLI_NO;
    }
    loop_on_signal(&b->loop, on_signal, b);
    if (IS_ENABLED(CONFIG_REMOTE_EXEC))
        helper_watch(&b->helper, &b->loop);
    apply(b);
    LOG_INFO("version ", cli_version(), ", host ", b->pipeline.host_id, ", boot ",
             DEC(b->pipeline.boot), ", sensors: ", DEC(sensor_runner_current(&b->sensor_runner)->count),
             b->key.set ? "" : ", events are unsigned");
    say_started(b);
    err = loop_run(&b->loop);
    if (err < 0)
        LOG_ERROR("epoll: ", ERRNO(errno));
    uplink_stop(&b->uplink);
    if (IS_ENABLED(CONFIG_SPOOL_FILE) && b->pipeline.flash)
        spool_file_settle(b->pipeline.flash);
    if (IS_ENABLED(CONFIG_REMOTE_EXEC))
        beacon_remote_close(b);
    close_control(b);
    mac_key_wipe(&b->key);
    say_stopped(b);
    log_flush();
    return err < 0 ? CLI_NO : CLI_FINE;
}

/* ---- Once ---- */

static int print_event(void *arg, const char *line, size_t len)
{
    (void)arg;
    if (cli_write(STDOUT_FILENO, line, len) < 0)
        return NEFIA_EIO;
    return cli_write(STDOUT_FILENO, "\n", 1) < 0 ? NEFIA_EIO : PIPELINE_ACCEPTED;
}

static void stop_once(void *arg, int signo)
{
    struct beacon *b = arg;

    if (signo == SIGCHLD && BEACON_COMMANDS > 0)
        children_reap(&b->children);
    else if (signo == SIGTERM || signo == SIGINT)
        b->stopping = true;
}

static void run_one(struct beacon *b, struct emitter *e)
{
    sensor_runner_run(e);
    while (b->sensor_runner.running > 0 && !b->stopping)
        loop_turn(&b->loop, -1); /* bounded: commands have deadlines */
    CLI_ERR(e->class->name, sensor_is_list(e->class) ? " " : "",
            sensor_is_list(e->class) ? e->common->name : "", ": ",
            e->result == INSTANCE_FAILED         ? "failed: "
            : e->result == INSTANCE_NOT_MEASURED ? "not measured: "
                                                 : "",
            e->why, e->why[0] ? ", " : "",
            e->events ? DEC(e->events) : "no",
            e->events == 1 ? " event\n" : " events\n");
}

int beacon_once(struct beacon *b)
{
    const struct instance_set *set;
    int status = CLI_FINE;

    b->pipeline.host_id = beacon_loaded(b)->host_id;
    b->pipeline.print = print_event;
    if (IS_ENABLED(CONFIG_BEACON_STATE))
        b->sensor_runner.state_dir = beacon_loaded(b)->state_dir;
    loop_on_signal(&b->loop, stop_once, b);
    sensor_runner_switch_once(&b->sensor_runner);
    set = sensor_runner_current(&b->sensor_runner);
    for (unsigned i = 0; i < set->count && !b->stopping; i++) {
        run_one(b, &set->items[i]);
        if (set->items[i].result != INSTANCE_OK)
            status = CLI_NO;
    }
    if (set->count == 0)
        CLI_ERR("no sensor is enabled in ", b->path,
                HINTED("", "; start with `beacons: {disk_usage: {}}`"), "\n");
    sensor_runner_stop(&b->sensor_runner);
    return b->stopping ? CLI_NO : status;
}
