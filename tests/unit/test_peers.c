#include "nefia/hub/peers.h"

#include <fcntl.h>
#include <stdlib.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/sys/log.h"

/* ---- a fake kernel ---- */

static const char *reported[4]; /* its peers; null-terminated */
static int refusal;
static unsigned questions;
static char asked[WIREGUARD_NAME];

int wireguard_read(struct wireguard_reader *r, const char *interface, void *work, struct text *why)
{
    struct text t;

    (void)work;
    questions++;
    text_init(&t, asked, sizeof asked);
    text_str(&t, interface);
    r->count = r->left_out = r->too_wide = 0;
    if (refusal < 0) {
        text_str(why, refusal == NEFIA_EAUTH ? "another reason" : "the reason");
        return refusal;
    }
    for (unsigned i = 0; reported[i]; i++)
        if (r->count < r->cap)
            (void)addr_net_parse(&r->nets[r->count++], reported[i], strlen(reported[i]), NULL);
        else
            r->left_out++;
    return 0;
}

/* ---- callbacks ---- */

static struct clock_fake fake;
static struct loop loop;
static struct epoll_event found[1];
static struct addr_net nets[2];
static struct peers peers;
static unsigned changes;
static int log_fd = -1;

static void changed(void *arg)
{
    (void)arg;
    changes++;
}

static void begin(void)
{
    static const char file[] = "/tmp/nefia-test-peers-XXXXXX";
    char path[sizeof file];

    memcpy(path, file, sizeof file);
    if (log_fd < 0) {
        log_fd = mkostemp(path, O_CLOEXEC);
        (void)unlink(path);
    }
    (void)!ftruncate(log_fd, 0);
    (void)lseek(log_fd, 0, SEEK_SET);
    log_init("t", LOG_LEVEL_INFO);
    log_to_fd(log_fd);
    LOG_INFO("begin"); /* otherwise the first line might be counted as a repetition */
    clock_fake_init(&fake, 1000, 0);
    if (loop.clock)
        loop_end(&loop);
    loop_init(&loop, &fake.clock, found, 1);
    peers_init(&peers, &loop, nets, 2, NULL, changed, NULL);
    memset(reported, 0, sizeof reported);
    refusal = 0;
    questions = changes = 0;
}

/** Number of occurrences in the log. */
static unsigned logged(const char *text)
{
    static char buf[4096];
    unsigned n = 0;
    ssize_t len = pread(log_fd, buf, sizeof buf - 1, 0);

    buf[len > 0 ? len : 0] = '\0';
    for (const char *at = strstr(buf, text); at; at = strstr(at + 1, text))
        n++;
    return n;
}

static void half_a_minute(void)
{
    fake.now_ms += PEERS_AGAIN_MS;
    (void)loop_turn(&loop, 0);
}

static bool has(const char *s)
{
    struct addr a;

    return addr_parse(&a, s, strlen(s), 1, NULL) == 0 && peers_have(&peers, &a);
}

TEST(peers_come_and_go)
{
    begin();
    reported[0] = "10.77.0.2";
    peers_follow(&peers, "wg0");
    CHECK_STR(asked, "wg0");
    CHECK_INT(changes, 1);
    CHECK(has("10.77.0.2"));
    CHECK(!has("10.77.0.3"));
    reported[0] = "10.77.0.3";
    fake.now_ms += PEERS_AGAIN_MS - 1;
    (void)loop_turn(&loop, 0);
    CHECK_INT(questions, 1);
    half_a_minute();
    CHECK_INT(questions, 2);
    CHECK_INT(changes, 2);
    CHECK(!has("10.77.0.2"));
    CHECK(has("10.77.0.3"));
    CHECK_INT(logged("has 1 peer network"), 1);
}

TEST(unreadable_list_is_empty_and_logged_once)
{
    begin();
    reported[0] = "10.77.0.2";
    peers_follow(&peers, "wg0");
    refusal = NEFIA_ENOTFOUND;
    for (int i = 0; i < 3; i++)
        half_a_minute();
    CHECK(!has("10.77.0.2"));
    CHECK_INT(changes, 4);
    CHECK_INT(logged("no connections accepted from wg0: the reason"), 1);
    refusal = NEFIA_EAUTH; /* another reason is logged */
    half_a_minute();
    CHECK_INT(logged("no connections accepted from wg0"), 2);
    refusal = 0;
    half_a_minute();
    CHECK(has("10.77.0.2"));
    CHECK_INT(logged("wg0 has 1 peer network"), 2);
}

TEST(overflow_is_logged_once)
{
    begin();
    reported[0] = "10.0.0.1";
    reported[1] = "10.0.0.2";
    reported[2] = "10.0.0.3";
    peers_follow(&peers, "wg0");
    half_a_minute();
    CHECK(has("10.0.0.2"));
    CHECK(!has("10.0.0.3"));
    CHECK_INT(logged("networks of wg0 that do not fit: 1; raise CONFIG_WIREGUARD_NETS"), 1);
}

TEST(a_reload_follows_another_or_none)
{
    begin();
    reported[0] = "10.77.0.2";
    peers_follow(&peers, "wg0");
    peers_follow(&peers, "wg1");
    CHECK_STR(asked, "wg1");
    peers_follow(&peers, NULL);
    CHECK(!has("10.77.0.2"));
    CHECK_INT(changes, 3);
    half_a_minute();
    CHECK_INT(questions, 2);
}

TEST_MAIN(peers_come_and_go, unreadable_list_is_empty_and_logged_once,
          overflow_is_logged_once, a_reload_follows_another_or_none)
