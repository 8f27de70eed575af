#include <linux/rtnetlink.h>
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/net/netlink.h"
#include "nefia/sys/clock.h"
#include "nefia/sys/log.h"

/* data_budget: the bytes of a metered interface against a monthly allowance.
 * The kernel counts since the interface was made, so that what is kept is how much was used in this month
 * and what the counter said at that time: one number in one file, written at most once an hour and at
 * each percent of the allowance. Months are those of the wall clock in UTC, and only while it is set. */
struct period {
    unsigned month; /* in which it began, since 2020: January is 1; 0: the clock was never set */
    uint64_t bytes;
};

enum { RX, TX, INDEX, SEEN, NAME_BYTES = 15 };
struct tally {
    struct period now, other; /* the other one that the clock has shown: it may jump back */
    uint64_t counted;         /* both counters' sum at the last look, or as it was kept */
    uint64_t seen[SEEN];      /* the counters at the last look, and the interface's index */
    bool known, looked;       /* `counted`, `seen` */
    int64_t stored_percent; /* tenths, as below */
    uint64_t stored, agreed_ms; /* when the clock last showed `now` */
    uint32_t stored_ms;         /* its lower half: for an hour that is enough */
};

struct budget {
    struct sensor_common common;
    struct thresholds limits; /* tenths of a percent */
    const char *interface;
    int64_t allowance_mb, reset_day;
    struct tally t;
    char file[NAME_BYTES + 1]; /* of the state: the interface's name */
    struct emitter *self; /* for stop; null: another has taken over the tally */
};

#define MEMBER(name) FIELD_AT(struct budget, name)
static const struct field budget_fields[] = {
    THRESHOLD_FIELDS(struct budget, limits, "_percent", FIELD_TENTHS, 1, 1000, "80", "100", "0"),
    {FIELD_REQUIRED("interface", "such as wwan0"),
     .type = FIELD_STRING,
     MEMBER(interface),
     .min = 1,
     .max = NAME_BYTES},
    {FIELD_REQUIRED("allowance_mb", "megabytes a month"),
     .type = FIELD_INT,
     MEMBER(allowance_mb),
     .min = 1,
     .max = 4000000},
    {FIELD_DEFAULT("reset_day", "1"),
     .type = FIELD_INT,
     MEMBER(reset_day),
     .min = 1,
     .max = 31,
     FIELD_NOTE("the day of the month on which it begins anew")},
    {.name = NULL},
};

static int budget_open(void *state, struct config *c, const struct node *n, const char *where)
{
    struct budget *b = state;

    for (size_t i = 0; i < NAME_BYTES && b->interface && b->interface[i]; i++) /* wwan0.1 */
        b->file[i] = (char)(b->interface[i] == '.' ? '_' : b->interface[i]);
    return thresholds_check(state, budget_fields, ABOVE, c, n, where);
}

/* ---- what is kept: from the top 10 bits of month, 27 of used bytes and 27 of the counter, both in units of
 * 64 KiB ---- */

enum { UNIT_BITS = 16, COUNT_BITS = 27, MONTHS = 1 << 10 };
#define COUNTS ((UINT64_C(1) << COUNT_BITS) - 1)
#define KEPT (COUNTS << UNIT_BITS) /* what is kept of a number of bytes: 8 TiB */
enum { HOUR_MS = 3600 * 1000, DAY_S = 24 * 3600, DAY_MS = 1000 * DAY_S, YEAR = 2020 };

static void recall(struct budget *b)
{
    struct tally *t = &b->t;
    int err = emitter_state_load(b->self, b->file, &t->stored);
    if (err < 0 && err != NEFIA_ENOTFOUND && !emitter_once(b->self))
        LOG_WARN("data_budget: the count begins at 0: ",
                 err == NEFIA_ENOTSUP ? "no state_dir" : err_text(err));
    t->known = err == 0;
    t->now = (struct period){.month = (unsigned)(t->stored >> (2 * COUNT_BITS)),
                             .bytes = (t->stored >> COUNT_BITS & COUNTS) << UNIT_BITS};
    t->counted = (t->stored & COUNTS) << UNIT_BITS;
    t->agreed_ms = emitter_now(b->self);
    t->stored_ms = (uint32_t)t->agreed_ms;
}

static void keep(struct budget *b)
{
    struct tally *t = &b->t;
    const uint64_t used = t->now.bytes < KEPT ? t->now.bytes : KEPT;
    const uint64_t v = (uint64_t)t->now.month << (2 * COUNT_BITS) |
                       (used >> UNIT_BITS) << COUNT_BITS | (t->counted & KEPT) >> UNIT_BITS;

    if (v != t->stored && t->looked && emitter_state_store(b->self, b->file, v) == 0)
        t->stored = v;
}

static int budget_start(void *state, struct emitter *self, void *before)
{
    struct budget *b = state, *old = before;

    b->self = self;
    if (old && str_eq(old->interface, b->interface)) {
        b->t = old->t;
        old->self = NULL;
    } else {
        recall(b);
    }
    return 0;
}

static void budget_stop(void *state)
{
    struct budget *b = state;

    if (b->self)
        keep(b);
}

/* ---- counting ---- */

/** How much one counter has grown. Lower than before it was of 32 bits and has wrapped, or it began anew. */
static uint64_t growth(uint64_t before, uint64_t now)
{
    const uint64_t wrapped = (uint32_t)(now - before);

    if (now >= before)
        return now - before;
    return before <= UINT32_MAX && wrapped < UINT32_MAX / 2 ? wrapped : now;
}

static void count(struct tally *t, const uint64_t seen[SEEN])
{
    const uint64_t sum = seen[RX] + seen[TX];

    if (t->looked && seen[INDEX] == t->seen[INDEX])
        t->now.bytes += growth(t->seen[RX], seen[RX]) + growth(t->seen[TX], seen[TX]);
    else if (t->looked || (t->known && sum < t->counted))
        t->now.bytes += sum; /* the interface is a new one, or the system has restarted */
    else if (t->known)
        t->now.bytes += (sum - t->counted) & KEPT;
    t->counted = sum;
    memcpy(t->seen, seen, sizeof t->seen);
    t->looked = true;
}

/** The month in which the period of that time began. */
static unsigned month_at(int64_t unix_s, int64_t reset_day)
{
    const struct civil today = civil_from_unix(unix_s), tomorrow = civil_from_unix(unix_s + DAY_S);
    const bool begun = today.day >= reset_day || today.month != tomorrow.month;

    return (today.year - YEAR) * 12 + today.month - !begun;
}

/** Has another month begun? A clock that shows an earlier one may be one that is not right yet, and is
 * believed after a day; one that returns to the month before finds what was counted then. */
static void turn(struct tally *t, unsigned month, uint64_t now_ms)
{
    if (month == 0 || month >= MONTHS)
        return;
    if (t->now.month == 0)
        t->now.month = month;
    if (month == t->now.month) {
        t->agreed_ms = now_ms;
        return;
    }
    const bool returns = month == t->other.month;
    if (month < t->now.month && !returns && now_ms - t->agreed_ms < DAY_MS)
        return;
    const struct period left = t->now;
    t->now = returns ? t->other : (struct period){.month = month};
    t->other = left;
}

/** What the kernel says of the interface. */
static int take(void *arg, uint16_t type, struct netlink_part body)
{
    uint64_t *seen = arg;
    struct ifinfomsg link;
    struct netlink_attribute a;

    if (type != RTM_NEWLINK || body.len < sizeof link)
        return 0;
    memcpy(&link, body.ptr, sizeof link);
    seen[INDEX] = (uint32_t)link.ifi_index;
    struct netlink_part rest = netlink_after(body, netlink_aligned(sizeof link));
    while (netlink_next(&rest, &a))
        if (a.type == IFLA_STATS64 && a.value.len >= offsetof(struct rtnl_link_stats64, rx_errors)) {
            memcpy(seen, a.value.ptr + offsetof(struct rtnl_link_stats64, rx_bytes), INDEX * sizeof *seen);
            return 1;
        }
    return NEFIA_ENOTFOUND;
}

static int look(const struct budget *b, struct emitter *out, uint64_t seen[SEEN])
{
    struct {
        struct nlmsghdr netlink;
        struct ifinfomsg link;
        struct nlattr attribute;
        char name[NAME_BYTES + 1];
    } question = {.netlink = {.nlmsg_len = sizeof question,
                              .nlmsg_type = RTM_GETLINK,
                              .nlmsg_flags = NLM_F_REQUEST,
                              .nlmsg_seq = 1},
                  .attribute = {.nla_len = sizeof question.attribute + sizeof question.name, .nla_type = IFLA_IFNAME}};
    struct netlink_answer answer = {.take = take, .arg = seen};

    memcpy(question.name, b->interface, strlen(b->interface));
    return emitter_netlink(out, &answer, &question, sizeof question);
}

static void put_period(struct json_writer *w, const struct period *p)
{
    unsigned year = YEAR, month = p->month;
    char buf[8];
    struct text t;

    for (; month > 12; month -= 12)
        year++;
    text_init(&t, buf, sizeof buf);
    text_u64(&t, year);
    text_char(&t, '-');
    text_u64_pad(&t, month, 2);
    if (month)
        json_put_string(w, "period", buf);
}

static int budget_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct budget *b = state;
    struct tally *t = &b->t;
    const struct clock *clock = emitter_clock(out);
    const uint64_t allowance_kb = (uint64_t)b->allowance_mb * 1000;
    uint64_t seen[SEEN];

    if (look(b, out, seen) < 0)
        return 0;
    turn(t, clock_synced(clock) ? month_at(clock_unix(clock), b->reset_day) : 0, now_ms);
    count(t, seen);
    emitter_sample(out, true, (uint32_t)(t->now.bytes / (1000 * 1000)));
    /* Rounded down: the allowance is used up when it is. */
    const int64_t percent = (int64_t)(t->now.bytes / allowance_kb);
    if ((percent >= t->stored_percent + 10 && t->stored_percent < 1000) || (uint32_t)now_ms - t->stored_ms >= HOUR_MS) {
        keep(b);
        t->stored_percent = percent;
        t->stored_ms = (uint32_t)now_ms;
    }
    struct json_writer *w = emit_level(out, "data.budget", b->interface, percent, &b->limits, ABOVE);
    if (!w)
        return 0;
    json_put_string(w, "interface", b->interface);
    json_put_u64(w, "used_bytes", t->now.bytes);
    json_put_u64(w, "allowance_bytes", allowance_kb * 1000);
    put_tenths(w, "used_percent", percent);
    put_period(w, &t->now);
    emit_end(out);
    return 0;
}

const struct sensor_class sensor_data_budget = {
    SENSOR_NAME_OF("data_budget", "5m", "data-beacon"),
    .fields = budget_fields,
    .state_size = sizeof(struct budget),
    .open = budget_open,
    .start = budget_start,
    .poll = budget_poll,
    .stop = budget_stop,
};
