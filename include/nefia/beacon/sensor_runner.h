#ifndef NEFIA_BEACON_SENSOR_RUNNER_H
#define NEFIA_BEACON_SENSOR_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/beacon/follow.h"
#include "nefia/beacon/pipeline.h"
#include "nefia/sys/child.h"
#include "nefia/event/condition.h"
#include "nefia/beacon/sensor.h"

/** The configured sensors, their timers, and their interface to the beacon (struct
 * emitter). */
enum instance_result {
    INSTANCE_NOT_RUN,
    INSTANCE_RUNNING,
    INSTANCE_OK,
    INSTANCE_FAILED,       /* an error, which `why` names */
    INSTANCE_NOT_MEASURED, /* `why` says what could not be looked at */
};

/** Longest reason of a result, with its NUL. */
#define SENSOR_WHY_BYTES 96

/** Constant paths that emitter_kept_file and emitter_mounts are asked for. */
#define KEPT_FILES 8

/** A running sensor; its handle for calls into the beacon. */
struct emitter {
    /* What is looked at of all in each wake-up, together: */
    struct timer timer;
    int output;   /* index of the output buffer in use, -1: none */
    bool joined;  /* its last wake-up was that of others, too, or it is not spread */
    bool samples; /* as its class says */
    struct sensor_runner *owner;
    const struct sensor_class *class;
    struct sensor_common *common; /* the state begins with it */
    struct pipeline_event event; /* the event being built */
    struct condition *condition; /* the condition it reports, or null */
    bool recovered;
    void (*done)(void *state, struct emitter *e, const struct child_result *r, const char *output);
    enum instance_result result; /* of the last run */
    enum instance_result settled; /* of the last one that has ended, if that ran a command */
    bool started;
    uint32_t sampled; /* 1 + the value of the last check's emitter_sample; 0: there is none */
    const struct emitter *before; /* during start: the same one until this reload, or null */
    uint64_t runs, failures, not_measured, events, last_run_ms;
    char why[SENSOR_WHY_BYTES]; /* the last run could not measure, or failed; "": neither */
};

/** A descriptor that a sensor watches. */
struct sensor_watch {
    struct watch watch;
    struct emitter *owner; /* null: free */
};

/** A command that a sensor follows; a sensor follows one at most. */
struct sensor_follow {
    struct follow follow;
    struct emitter *owner; /* null: free */
    uint32_t key;          /* of the command */
    void (*line)(void *state, struct emitter *e, const char *line, size_t len);
};

/** The sensors of one configuration; there are two, so that a failed reload changes nothing. */
struct instance_set {
    struct emitter *items; /* CONFIG_BEACON_SENSORS */
    unsigned count;
    uint8_t *states; /* CONFIG_BEACON_SENSOR_STATE_BYTES, aligned for any type */
    size_t states_used;
    unsigned watches, follows; /* what they may use of the pools */
};

/** What `nefia-beacon manifest` is doing. */
struct manifest_run {
    enum manifest_task task;
    bool json;
    int fd, err;          /* where the lines go; negative: they could not be written */
    int error;            /* and this errno says why */
    unsigned differences; /* found by MANIFEST_CHECK */
    char *buf;            /* room for a line */
    size_t cap;
};

struct sensor_runner {
    struct beacon_pipeline *pipeline;
    struct children *children;
    struct condition_table *conditions;
    char *outputs; /* CONFIG_BEACON_CHILDREN of CONFIG_SCRIPT_OUTPUT_BYTES */
    bool output_used[CONFIG_BEACON_CHILDREN + 1];
    bool once;        /* for `once`: conditions fire at the first check */
    char source[40];    /* of the event being built, where its class has none */
    unsigned running; /* running commands */
    unsigned current;
    struct instance_set sets[2];
    struct sensor_watch *watches;   /* CONFIG_BEACON_SENSOR_WATCHES */
    struct sensor_follow *followed; /* CONFIG_BEACON_FOLLOWED */
    uint64_t (*random_below)(uint64_t n);
    const char *state_dir; /* the settings'; null or "": none */
#ifdef CONFIG_BEACON_KEPT_FILES
    struct kept_file {
        const char *path; /* null: a free place */
        int fd;           /* not above 0: it could not be opened */
    } kept[KEPT_FILES];
    uint32_t mounts; /* emitter_mounts */
#endif
#ifdef CONFIG_BEACON_NETLINK
    int netlink; /* emitter_netlink's socket; not above 0: none */
    int address_news; /* emitter_addresses's */
    uint32_t addresses;
#endif
#ifdef CONFIG_BEACON_TUNNELS
    uint16_t wireguard;    /* the kernel's number for the family; 0: not known; below 16: there is none */
    uint32_t wireguard_ms; /* when that was asked */
#endif
#ifdef CONFIG_BEACON_MANIFEST /* a smaller beacon's offsets stay as short as they are */
    struct manifest_run *manifest; /* null: not that verb */
    struct drift_memory *drift;    /* what the sensors of drift.h share */
#endif
};

/** items: 2 * CONFIG_BEACON_SENSORS; states: 2 * CONFIG_BEACON_SENSOR_STATE_BYTES; all is the
 * caller's and stays. */
void sensor_runner_init(struct sensor_runner *in, struct beacon_pipeline *p, struct children *children,
                    struct condition_table *conditions, struct emitter *items, max_align_t *states,
                    char *outputs);
/** Open the sensors of the section `beacons:` (null: nothing) asks for, in the inactive set.
 * Return: 0, or NEFIA_EINVAL after reports. */
int sensor_runner_load(struct sensor_runner *in, struct config *c, const struct node *section);
/** Start those of the loaded set whose class is `early`, before the beacon gives up rights; a start that fails is
 * tried again by sensor_runner_switch, and reported then. */
void sensor_runner_start_early(struct sensor_runner *in);
/** Activate the loaded set: its sensors start, those of the previous one stop, their commands are
 * killed. Sensors present in both keep their schedule and counters, and take over what their class
 * carries; new ones check first at a random phase within their interval (30 s at most). */
void sensor_runner_switch(struct sensor_runner *in);
/** For `once`: activate the loaded set without timers; then each sensor of it is run by hand, and
 * in->running tells whether a command is still running. */
void sensor_runner_switch_once(struct sensor_runner *in);
void sensor_runner_run(struct emitter *e);
/** Its result has changed between two runs (e->why, sensor_follow_why). */
void sensor_runner_settle(struct emitter *e);
/** Release its watches; the descriptors stay open. (sensor_watch.c) */
void sensor_watch_release(struct sensor_runner *in, const struct emitter *e);
/** End the command that it follows, if any; and why that is not running, or null. (sensor_follow.c) */
void sensor_follow_release(struct sensor_runner *in, const struct emitter *e);
const char *sensor_follow_why(const struct emitter *e);
/** Where it assembles lines, after emitter_follow. */
struct follow *sensor_follow_lines(const struct emitter *e);
/** Stop all timers and commands. */
void sensor_runner_stop(struct sensor_runner *in);
static inline const struct instance_set *sensor_runner_current(const struct sensor_runner *in)
{
    return &in->sets[in->current];
}

#endif
