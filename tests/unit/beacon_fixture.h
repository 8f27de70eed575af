/* A beacon's pipeline and sensors in the test's memory, with a fake clock. */
#ifndef NEFIA_TESTS_BEACON_FIXTURE_H
#define NEFIA_TESTS_BEACON_FIXTURE_H

#include <string.h>

#include "check.h"
#include "nefia/beacon/drift.h"
#include "nefia/beacon/sensor_runner.h"
#include "nefia/beacon/pipeline.h"
#include "nefia/beacon/sensor_table.h"
#include "nefia/sys/loop.h"

enum { FIX_WATCHES = 16, FIX_SPOOL = 4096, FIX_CHILDREN = 2, FIX_LINES = 16 };

static struct fixture {
    struct clock_fake clock;
    struct loop loop;
    struct epoll_event found[FIX_WATCHES];
    struct beacon_pipeline pipeline;
    struct sensor_runner sensor_runner;
    struct children children;
    struct child child_slots[FIX_CHILDREN];
    struct condition_table conditions;
    struct condition condition_slots[8];
    struct dedup_slot dedup_slots[8];
    uint64_t times[8];
    uint8_t spool[FIX_SPOOL];
    char data[CONFIG_EVENT_BYTES + 1], line[PIPELINE_LINE_BYTES];
    struct emitter items[2 * CONFIG_BEACON_SENSORS];
    max_align_t states[2 * CONFIG_BEACON_SENSOR_STATE_BYTES / sizeof(max_align_t) + 1];
    char outputs[(CONFIG_BEACON_CHILDREN + 1) * CONFIG_SCRIPT_OUTPUT_BYTES];
    struct sensor_watch sensor_watches[CONFIG_BEACON_SENSOR_WATCHES + 1];
    struct drift_memory drift;
    struct sensor_follow sensor_followed[CONFIG_BEACON_FOLLOWED + 1];
    char printed[FIX_LINES][CONFIG_EVENT_BYTES + 1];
    unsigned count, queued;
    struct config config;
    struct node nodes[192];
    struct config_arena arena;
    char strings[2][4096]; /* what runs keeps its texts */
    max_align_t work[1024];
    char reports[2048];
    struct text report;
} fix;

static inline void fix_queued(void *arg)
{
    struct fixture *f = arg;

    f->queued++;
}

static inline int fix_print(void *arg, const char *line, size_t len)
{
    struct fixture *f = arg;

    if (f->count < FIX_LINES) {
        memcpy(f->printed[f->count], line, len);
        f->printed[f->count++][len] = '\0';
    }
    return PIPELINE_ACCEPTED;
}

/** Everything empty at 100 s after boot, in the year 2026. */
static inline void fix_init(void)
{
    struct beacon_pipeline *p = &fix.pipeline;

    if (fix.loop.clock)
        loop_end(&fix.loop);
    memset(&fix, 0, sizeof fix);
    clock_fake_init(&fix.clock, 100000, 1773156600);
    loop_init(&fix.loop, &fix.clock.clock, fix.found, FIX_WATCHES);
    beacon_pipeline_init(p, &fix.loop, fix.data, fix.line);
    dedup_init(&p->dedup, fix.dedup_slots, 8);
    rate_init(&p->rate, fix.times, 8);
    spool_init(&p->spool, fix.spool, FIX_SPOOL);
    p->host_id = "web-01";
    p->boot = 7;
    p->queued = fix_queued;
    p->arg = &fix;
    condition_init(&fix.conditions, fix.condition_slots, 8);
    children_init(&fix.children, &fix.loop, fix.child_slots, FIX_CHILDREN);
    sensor_runner_init(&fix.sensor_runner, p, &fix.children, &fix.conditions, fix.items, fix.states,
                   fix.outputs);
    fix.sensor_runner.watches = fix.sensor_watches;
    fix.sensor_runner.followed = fix.sensor_followed;
#ifdef CONFIG_BEACON_DRIFT
    fix.sensor_runner.drift = &fix.drift;
#endif
}

/** Events are stored in fix.printed, bypassing dedup, rate and spool. */
static inline void fix_print_lines(void)
{
    fix.pipeline.print = fix_print;
}

/** Take the oldest unsent event of the spool into fix.printed[0]. Return: whether there was one. */
static inline int fix_take(void)
{
    struct spool_item item = {0}, next;

    if (fix.pipeline.spool.unsent == 0)
        return 0;
    spool_delivered(&fix.pipeline.spool);
    item.event.id.seq = UINT64_MAX;
    for (size_t at = 0; spool_walk(&fix.pipeline.spool, &at, &next);)
        if (next.event.id.seq < item.event.id.seq)
            item = next;
    memcpy(fix.printed[0], item.event.line, item.event.len);
    fix.printed[0][item.event.len] = '\0';
    spool_mark_sent(&fix.pipeline.spool, &item, 0, NULL);
    return 1;
}

static inline int fix_has(unsigned i, const char *part)
{
    return strstr(fix.printed[i], part) != NULL;
}

static inline void fix_report(void *arg, const char *message)
{
    struct fixture *f = arg;

    text_str(&f->report, message);
    text_char(&f->report, '\n');
}

/** The members of `beacons`, or a map with that key, in JSON, into the inactive set; errors are in
 * fix.reports. */
static inline int fix_load(const char *beacons)
{
    text_init(&fix.report, fix.reports, sizeof fix.reports);
    char *strings = fix.strings[fix.sensor_runner.current];
    fix.arena = (struct config_arena){.strings = strings, .strings_cap = sizeof fix.strings[0]};
    config_init(&fix.config, "BEACON", fix.nodes, ARRAY_SIZE(fix.nodes), fix_report, &fix);
    int err = config_load_text(&fix.config, "t.json", beacons, strlen(beacons), &fix.arena,
                               fix.work, sizeof fix.work);
    if (err < 0)
        return err;
    const struct node *beacons_node = node_child(&fix.config, fix.config.nodes, "beacons");
    return sensor_runner_load(&fix.sensor_runner, &fix.config,
                              beacons_node ? beacons_node : fix.config.nodes);
}

/** Load, and run each sensor once as `once` does, including its command. Return: sensors;
 * -1: refused. */
static inline int fix_once(const char *beacons)
{
    const struct instance_set *set;

    if (fix_load(beacons) < 0)
        return -1;
    sensor_runner_switch_once(&fix.sensor_runner);
    set = sensor_runner_current(&fix.sensor_runner);
    for (unsigned i = 0; i < set->count; i++) {
        sensor_runner_run(&set->items[i]);
        while (fix.sensor_runner.running > 0)
            loop_turn(&fix.loop, 100);
    }
    return (int)set->count;
}

/** Load, and start the sensors as the daemon does, or reload; none is due yet. Return: sensors; -1: refused. */
static inline int fix_start(const char *beacons)
{
    if (fix_load(beacons) < 0)
        return -1;
    sensor_runner_switch(&fix.sensor_runner);
    return (int)sensor_runner_current(&fix.sensor_runner)->count;
}

/** What is ready, and the timers that are due after so long. */
static inline void fix_turn(uint64_t ms)
{
    fix.clock.now_ms += ms;
    loop_turn(&fix.loop, 0);
}

/** Check that a configuration is refused, with this among the reports. */
static inline void fix_refused(const char *beacons, const char *why)
{
    fix_init();
    CHECK_INT(fix_once(beacons), -1);
    CHECK(strstr(fix.reports, why) != NULL);
    if (strstr(fix.reports, why) == NULL)
        check_puts(fix.reports);
}

/** SIGCHLD for the sensors' commands. */
static inline void fix_signal(void *arg, int signo)
{
    struct fixture *f = arg;

    if (signo == SIGCHLD)
        children_reap(&f->children);
}

#endif
