/* What a decision of the policy costs, as rows of a table in Markdown.
 *
 *   policy decisions MS
 *       decisions a second with policies of 10, 100 and 1,000 patterns; each figure is measured for MS milliseconds
 *   policy worst MS
 *       patterns that are slow elsewhere, and the slowest of a search, on 8,192 bytes: their steps beside the bound, their time
 *       beside that of a plain loop over the same bytes, in turns
 *
 * Time is the process's CPU time; of several measurements, the median. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nefia/guard/policy.h"

enum { MOST_RULES = 1000, ROUNDS = 7, SEARCHED = 20000, SEARCH_BYTES = 64, PARTS = 16 };

static struct policy_rule rules[MOST_RULES];
static struct matcher_op ops[65535];
static struct pattern_range ranges[65535];
static struct policy policy;
static struct policy_work work;
static struct pattern_tree scratch;
static double ms; /* of one measurement */

static void die(const char *what)
{
    fprintf(stderr, "policy: %s\n", what);
    exit(1);
}

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/** How long one call takes. */
static double measure(void (*call)(void))
{
    const double began = now_ns(), until = began + ms * 1e6;
    double now = began;
    long calls = 0;

    while (now < until) {
        for (int i = 0; i < 4; i++)
            call();
        calls += 4;
        now = now_ns();
    }
    return (now - began) / (double)calls;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, ROUNDS, sizeof *v, by_size);
    return v[ROUNDS / 2];
}

/* ---- decisions ---- */

/* Like those of people; # is a number, so that all differ and none of the numbered ones matches. */
static const char *const denied[] = {
    "\\brm\\s+(-[a-zA-Z]+\\s+)*/data#\\b", "mkfs\\.[a-z]+#",       "\\b(shutdown|reboot|halt)\\b.*#", "\\bdd\\b.*of=/dev/sd#",
    "curl\\s.*mirror#.*\\|\\s*(ba)?sh",    "(?i)drop\\s+table\\s+t#", "chmod\\s+(-R\\s+)?777\\s+/srv#",  "^[^ ]*[$*?{].*#",
};
static const char *const allowed[] = {
    "^systemctl (status|restart) unit#$",
    "^/opt/app#/bin/[a-z-]+\\b",
    "^tail -n [0-9]+ /var/log/app#\\.log$",
    "^ip -s link show vlan#$",
};
/* Which the lines below need; they are the last ones. */
static const char *const needed[] = {"^systemctl restart [a-z]+$", "^(journalctl|grep|tail)\\b"};
#define MANY "tail;"
static char longest[PATTERN_SUBJECT_MAX + 1]; /* tail;tail;tail … */
static const char *const lines[] = {
    "systemctl restart nginx",
    "journalctl -u nginx --since today | grep -i error | tail -n 20",
    longest,
};

static void add(enum policy_list list, const char *pattern, unsigned number)
{
    struct policy_rule *r = &rules[policy.rule_count];
    char text[128], why_buf[128];
    const char *mark = strchr(pattern, '#');
    struct text why;

    if (mark)
        snprintf(text, sizeof text, "%.*s%u%s", (int)(mark - pattern), pattern, number, mark + 1);
    else
        snprintf(text, sizeof text, "%s", pattern);
    text_init(&why, why_buf, sizeof why_buf);
    *r = (struct policy_rule){.text = pattern, .list = (uint8_t)list};
    if (matcher_compile(&r->matcher, &policy.store, text, strlen(text), &scratch, &why) < 0)
        die(why_buf);
    policy.rule_count++;
}

static void make_policy(unsigned count)
{
    const struct matcher_store store = {.ops = ops, .ranges = ranges, .op_cap = 65535, .range_cap = 65535};
    const unsigned deny = count / 2;

    policy = (struct policy){.mode = POLICY_ENFORCE, .rules = rules, .rule_cap = MOST_RULES, .store = store};
    for (unsigned i = 0; i < deny; i++)
        add(POLICY_DENY_COMMANDS, denied[i % ARRAY_SIZE(denied)], 1000 + i);
    policy.first[0][POLICY_ALLOW_COMMANDS] = policy.rule_count;
    for (unsigned i = deny; i < count; i++)
        if (i < count - ARRAY_SIZE(needed))
            add(POLICY_ALLOW_COMMANDS, allowed[i % ARRAY_SIZE(allowed)], 1000 + i);
        else
            add(POLICY_ALLOW_COMMANDS, needed[i - (count - ARRAY_SIZE(needed))], 0);
    for (unsigned list = POLICY_ALLOW_COMMANDS + 1; list <= POLICY_LISTS; list++)
        policy.first[0][list] = policy.rule_count;
}

static const char *line;

static void decide(void)
{
    struct policy_use use = {&policy, &work};
    const struct verdict v = policy_judge(&use, &(struct policy_case){.command = line});

    if (v.kind != VERDICT_ALLOWED)
        die(v.reason);
}

static void decisions(void)
{
    static const unsigned counts[] = {10, 100, 1000};
    double ns[ARRAY_SIZE(lines)], v[ROUNDS];

    while (strlen(longest) + strlen(MANY) <= PATTERN_SUBJECT_MAX)
        strcat(longest, MANY);
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        make_policy(counts[i]);
        for (unsigned l = 0; l < ARRAY_SIZE(lines); l++) {
            line = lines[l];
            for (unsigned round = 0; round < ROUNDS; round++)
                v[round] = measure(decide);
            ns[l] = median(v);
        }
        printf("| %u | %u | %.0f | %.1f µs | %.0f | %.1f µs | %.2f ms |\n", counts[i], policy.store.ops_used, 1e9 / ns[0],
               ns[0] / 1e3, 1e9 / ns[1], ns[1] / 1e3, ns[2] / 1e6);
    }
}

/* ---- the worst pattern ---- */

struct bad {
    char re[64];
    const char *unit; /* repeated, it is the subject */
};

/* Each takes time that grows with a power of the subject, or doubles with each byte, where matching is done by trial. */
static const struct bad known[] = {
    {"(a*)*b", "a"},       {"(a|aa|aaa)*b", "a"},      {"(a?){40}a{40}$", "a"},     {"(.*)(.*)(.*)(.*)=", "a"},
    {"^(([a-z])+.)+[A-Z]", "a"}, {"([a-z]*[0-9]?){60}$", "ab1"}, {"(x+x+)+y", "x"}, {"(?:(?:a?){22}){11}b", "a"},
};

static struct matcher matcher;
static char subject[PATTERN_SUBJECT_MAX];
static size_t subject_len;
static volatile uint32_t kept;

static bool compile(const char *re)
{
    policy.store = (struct matcher_store){.ops = ops, .ranges = ranges, .op_cap = 65535, .range_cap = 65535};
    return matcher_compile(&matcher, &policy.store, re, strlen(re), &scratch, NULL) == 0;
}

static void fill(const char *unit, size_t len)
{
    const size_t n = strlen(unit);

    subject_len = len;
    for (size_t i = 0; i < len; i++)
        subject[i] = unit[i % n];
}

static void find(void)
{
    kept = matcher_find(&matcher, &policy.store, &work.matcher, subject, subject_len, NULL);
}

static void plain_loop(void)
{
    kept = hash_bytes(HASH_START, subject, subject_len);
}

static uint64_t seed = 20260310;

static unsigned below(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static const char *const parts[] = {"",  "a", "b", ".", "[ab]", "[^b]",  "(",    "(?:", ")",
                                    "|", "*", "+", "?", "{0,9}", "{20}", "\\b", "\\s"};

struct genes {
    uint8_t part[PARTS], unit;
};

/** Return: how many steps it takes; 0: it is none. */
static uint32_t try(const struct genes *g, struct bad *b)
{
    static const char *const units[] = {"a", "ab", "a b", "aab"};
    size_t len = 0;

    for (unsigned i = 0; i < PARTS && len < sizeof b->re; i++)
        len += (size_t)snprintf(b->re + len, sizeof b->re - len, "%s", parts[g->part[i]]);
    b->unit = units[g->unit % ARRAY_SIZE(units)];
    if (len >= sizeof b->re || !compile(b->re))
        return 0;
    fill(b->unit, SEARCH_BYTES);
    find();
    return work.matcher.steps;
}

/** A search that goes on from the best so far: for the pattern that takes most steps a byte. */
static struct bad search(void)
{
    struct genes best = {{0}, 0};
    struct bad worst = {"", "a"}, b;
    uint32_t most = 0;

    for (unsigned n = 0; n < SEARCHED; n++) {
        struct genes g = best;
        for (unsigned count = 1 + below(4); count > 0; count--)
            g.part[below(PARTS)] = (uint8_t)below(ARRAY_SIZE(parts));
        if (below(8) == 0)
            g.unit = (uint8_t)below(4);
        const uint32_t steps = try(&g, &b);
        if (steps < most || steps == 0)
            continue;
        most = steps;
        best = g;
        worst = b;
    }
    return worst;
}

/** In a cell of a table. */
static void put_pattern(const char *re)
{
    printf("| `");
    for (; *re; re++)
        printf(*re == '|' ? "\\|" : "%c", *re);
    printf("`");
}

static void row(const struct bad *b)
{
    double ours[ROUNDS], plain[ROUNDS];

    if (!compile(b->re))
        die(b->re);
    fill(b->unit, sizeof subject);
    for (unsigned round = 0; round < ROUNDS; round++) {
        ours[round] = measure(find);
        plain[round] = measure(plain_loop);
    }
    find();
    const double bytes = (double)subject_len, steps = (double)work.matcher.steps, bound = matcher.count * (bytes + 1);
    const double ns = median(ours) / bytes, loop = median(plain) / bytes;
    if (steps > bound)
        die("more steps than the bound");
    put_pattern(b->re);
    printf(" | %u | %.1f | %.0f %% | %.1f ns | %.2f ns | %.1f | %.2f ms |\n", matcher.count, steps / bytes, 100 * steps / bound, ns,
           loop, ns / loop / (steps / bytes), ns * bytes / 1e6);
}

static void worst(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        row(&known[i]);
    const struct bad b = search();
    row(&b);
}

int main(int argc, char **argv)
{
    ms = argc == 3 ? atof(argv[2]) : 0;
    if (ms > 0 && strcmp(argv[1], "decisions") == 0)
        decisions();
    else if (ms > 0 && strcmp(argv[1], "worst") == 0)
        worst();
    else
        die("usage: policy decisions|worst MS");
    return 0;
}
