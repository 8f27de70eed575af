#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "check.h"

/* A daemon is the other end of a pair here; the only one there is has this path. */
static const char *served;
static int refusal, daemon_fd = -1;
static unsigned later_ms, looked; /* looks at paths */
static int missing = ENOENT;

int access(const char *path, int mode)
{
    CHECK_INT(mode, F_OK);
    looked++;
    errno = missing;
    return served && strcmp(path, served) == 0 ? 0 : -1;
}

int connect(int fd, const struct sockaddr *a, socklen_t len)
{
    const struct sockaddr_un *to = (const void *)a;
    int pair[2];

    CHECK(len == sizeof *to && to->sun_family == AF_UNIX);
    errno = strcmp(to->sun_path, served) ? ENOENT : refusal;
    if (errno)
        return -1;
    if (daemon_fd >= 0)
        close(daemon_fd);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0 || dup2(pair[0], fd) < 0)
        return -1;
    close(pair[0]);
    daemon_fd = pair[1];
    return 0;
}

static const char frr[] = "/var/run/frr/bgpd.vty", bird[] = "/var/run/bird/bird.ctl";

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

static void reload(const char *keys)
{
    char text[512];

    snprintf(text, sizeof text, "{\"sdwan_bgp_session_health\": {%s}}", keys);
    CHECK_INT(fix_start(text), 1);
}

static void begin(const char *path, const char *keys)
{
    served = path;
    refusal = 0;
    fix_init();
    fix.clock.now_ms += later_ms;
    fix_print_lines();
    reload(keys);
    fix_turn(0); /* the phase is 0: it asks */
}

static void turn(void)
{
    fix.count = 0;
    fix_turn(0);
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
    close(daemon_fd);
    daemon_fd = -1;
}

/** What it was asked, once. */
static void asked(const char *question, size_t len)
{
    char buf[64];

    CHECK_INT(read(daemon_fd, buf, sizeof buf), (int)len);
    CHECK(memcmp(buf, question, len) == 0);
}

/** The daemon says so, in pieces of so many bytes. */
static void answer_in(size_t piece, const char *bytes, size_t len)
{
    fix.count = 0;
    while (len > 0) {
        const size_t n = len < piece ? len : piece;
        REQUIRE(send(daemon_fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n || !fix.sensor_watches[0].owner);
        loop_turn(&fix.loop, 0);
        bytes += n;
        len -= n;
    }
}

static void minutes(unsigned n)
{
    for (; n > 0; n--)
        fix_turn(60000);
}

/* ---- FRR ---- */

enum { ANSWER = 4096 };
static char answer_text[ANSWER];

static void open_answer(void)
{
    strcpy(answer_text, "{\n\"default\":{\n\"ipv4Unicast\":{\n  \"routerId\":\"192.0.2.1\",\n  \"as\":65001,\n  \"peers\":{");
}

static void add_peer(const char *name, const char *state, const char *up_ms)
{
    const size_t at = strlen(answer_text);

    snprintf(answer_text + at, ANSWER - at,
             "%s\n    \"%s\":{\n      \"remoteAs\":65002,\n      \"peerUptimeMsec\":%s,\n      \"state\":\"%s\",\n"
             "      \"peerState\":\"OK\",\n      \"desc\":\"the \\\"other\\\" {one}\",\n      \"idType\":\"ipv4\"\n    }",
             answer_text[at - 1] == '}' ? "," : "", name, up_ms, state);
}

static void close_answer(void)
{
    static const char behind[] = "\n  },\n  \"failedPeers\":1,\n  \"bestPath\":{\n    \"multiPathRelax\":\"false\"\n  }\n}\n}\n}\n\0\0\0";
    const size_t at = strlen(answer_text);

    memcpy(answer_text + at, behind, sizeof behind);
    answer_in(100, answer_text, at + sizeof behind);
}

/** One look, in which two sessions are in these states. */
static void look(const char *a, const char *a_ms, const char *b)
{
    open_answer();
    add_peer("192.0.2.2", a, a_ms);
    add_peer("2001:db8::9", b, "0");
    close_answer();
}

/** Of two sessions the first is lost, for so many minutes. */
static void lost_for(unsigned n, const char *other)
{
    for (; n > 0; n--) {
        minutes(1);
        look("Active", "0", other);
    }
}

TEST(one_that_is_lost_is_a_warning_and_all_are_critical)
{
    static const char question[] = "show bgp vrf all summary json";

    begin(frr, "");
    asked(question, sizeof question);
    look("Established", "5000", "Established");
    CHECK_INT(sensor()->result, INSTANCE_OK);
    CHECK_INT(fix.count, 0);
    lost_for(10, "Established");
    CHECK_INT(fix.count, 0);
    lost_for(1, "Established");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"sdwan.bgp_unhealthy\",\"source\":\"sdwan_bgp_session_health-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"session\":\"192.0.2.2\",\"state\":\"Active\",\"down_ms\":600064}"));
    lost_for(11, "Idle");
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "\"severity\":\"critical\"") && fix_has(0, "\"session\":\"192.0.2.2\""));
    CHECK(fix_has(1, "\"severity\":\"critical\"") && fix_has(1, "\"session\":\"2001:db8::9\",\"state\":\"Idle\""));
    minutes(1);
    look("Established", "1000", "Idle");
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "\"type\":\"sdwan.bgp_recovered\"") && fix_has(0, "\"severity\":\"info\""));
    CHECK(fix_has(0, "\"data\":{\"state\":\"recovered\",\"session\":\"192.0.2.2\",\"down_ms\""));
    CHECK(fix_has(1, "\"severity\":\"warning\"") && fix_has(1, "\"session\":\"2001:db8::9\""));
    minutes(1);
    look("Established", "1000", "Established");
    CHECK(fix.count == 1 && fix_has(0, "\"type\":\"sdwan.bgp_recovered\""));
    minutes(1);
    look("Active", "0", "Established");
    CHECK_INT(fix.count, 0); /* its time begins anew */
    end();
}

TEST(it_knows_how_long_a_session_has_been_down)
{
    later_ms = 3600000; /* the beacon's first look, an hour after boot */
    begin(frr, "");
    later_ms = 0;
    look("Idle", "1800000", "Established");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"down_ms\":1799168}"));
    end();
    begin(frr, ""); /* 100 s after boot: nothing is older */
    look("Idle", "18446744073709551615", "Established");
    CHECK_INT(fix.count, 0);
    minutes(9);
    look("Idle", "-5", "Established");
    CHECK(fix.count == 1 && fix_has(0, "\"down_ms\":640000}"));
    end();
}

TEST(what_an_administrator_has_shut_down_counts_only_if_it_must_exist)
{
    begin(frr, "\"unhealthy_after\": \"1s\"");
    look("Idle (Admin)", "0", "Established");
    minutes(1);
    look("Idle (Admin)", "0", "Established");
    CHECK_INT(fix.count, 0);
    reload("\"unhealthy_after\": \"1s\", \"peers\": [\"192.0.2.2\", \"192.0.2.7\"]");
    for (int i = 0; i < 2; i++) {
        minutes(1);
        look("Idle (Admin)", "0", "Established");
    }
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "\"session\":\"192.0.2.2\",\"state\":\"shut down\""));
    CHECK(fix_has(1, "\"session\":\"192.0.2.7\",\"state\":\"absent\"") && fix_has(1, "\"severity\":\"warning\""));
    end();
}

TEST(the_worst_of_several_families_counts)
{
    begin(frr, "\"unhealthy_after\": \"1s\"");
    for (int i = 0; i < 3; i++) {
        open_answer();
        add_peer("192.0.2.2", "Established", "5000");
        add_peer("192.0.2.2", i < 2 ? "Idle (PfxCt)" : "Established", "0");
        add_peer("192.0.2.2", "Established", "5000");
        close_answer();
        CHECK_INT(fix.count, i > 0);
        minutes(1);
    }
    CHECK(fix_has(0, "sdwan.bgp_recovered"));
    end();
}

TEST(a_session_that_is_gone_has_recovered)
{
    begin(frr, "\"unhealthy_after\": \"1s\"");
    look("Active", "0", "Established");
    minutes(1);
    look("Active", "0", "Established");
    CHECK(fix.count == 1 && fix_has(0, "sdwan.bgp_unhealthy"));
    minutes(1);
    answer_in(100, "{\n}\n\0\0\0", 8); /* it has none: not yet, perhaps */
    CHECK_INT(fix.count, 0);
    CHECK_STR(sensor()->why, "/var/run/frr/bgpd.vty: not found");
    minutes(1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED); /* still */
    open_answer();
    add_peer("2001:db8::9", "Established", "1");
    close_answer();
    CHECK(fix.count == 1 && fix_has(0, "sdwan.bgp_recovered") && fix_has(0, "192.0.2.2"));
    minutes(1);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(more_than_can_be_remembered_are_counted)
{
    char name[20];

    begin(frr, "\"unhealthy_after\": \"1s\"");
    open_answer();
    for (int i = 0; i < CONFIG_BGP_SESSIONS + 3; i++) {
        snprintf(name, sizeof name, "192.0.2.%d", i);
        add_peer(name, "Connect", "0");
    }
    close_answer();
    CHECK(strstr(sensor()->why, "CONFIG_BGP_SESSIONS") && strstr(sensor()->why, ": 3"));
    minutes(1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, ": 3"));
    look("Established", "1", "Established");
    minutes(1);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(a_reload_forgets_nothing)
{
    begin(frr, "");
    look("Active", "0", "Established");
    minutes(5);
    reload("\"interval\": \"1m\"");
    minutes(5);
    look("Active", "0", "Established");
    CHECK(fix.count == 1 && fix_has(0, "\"down_ms\":600064}"));
    end();
}

/* ---- states that cannot be read ---- */

TEST(what_cannot_be_read_is_a_finding_of_its_own)
{
    begin("/nothing", "");
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/var/run/bird.ctl: no socket of FRR or BIRD");
    minutes(9);
    CHECK_INT(fix.count, 0);
    minutes(1);
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"socket\":\"/var/run/bird.ctl\",\"state\":\"unreadable\","
                     "\"reason\":\"no socket of FRR or BIRD\",\"down_ms\":600064}"));
    served = frr;
    refusal = EACCES;
    turn();
    minutes(3);
    CHECK(fix_has(fix.count - 1, "\"socket\":\"/var/run/frr/bgpd.vty\",\"state\":\"unreadable\",\"reason\":\"Permission denied\""));
    refusal = 0;
    minutes(1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED); /* until it has answered */
    look("Established", "1", "Established");
    CHECK(fix.count == 1 && fix_has(0, "sdwan.bgp_recovered") && fix_has(0, "{\"state\":\"recovered\",\"socket\":"));
    end();
}

static void appears(const char *path, unsigned after)
{
    looked = 0;
    begin("/nothing", "");
    CHECK_INT(looked, 3);
    minutes(after);
    CHECK_INT(looked, 3 + after); /* one at each look */
    served = path;
    unsigned looks = 0;
    while (!fix.sensor_watches[0].owner && looks < 9) {
        minutes(1);
        looks++;
    }
    CHECK(looks <= 3);
    end();
}

TEST(a_daemon_that_appears_is_found_within_three_looks)
{
    for (unsigned after = 0; after < 4; after++) {
        appears(frr, after);
        appears(bird, after);
        appears("/var/run/bird.ctl", after);
    }
    begin("/nothing", "\"unhealthy_after\": \"1s\"");
    minutes(1);
    CHECK(fix.count == 1 && fix_has(0, "\"socket\":\"/var/run/bird.ctl\""));
    missing = EACCES; /* which is not absence, and the first of those in order is named */
    minutes(1);
    CHECK_STR(sensor()->why, "/var/run/bird.ctl: no socket of FRR or BIRD");
    minutes(1);
    CHECK_STR(sensor()->why, "/var/run/frr/bgpd.vty: Permission denied");
    missing = ENOENT;
    served = frr; /* and is looked at as one that is there */
    minutes(1);
    look("Established", "1", "Established");
    CHECK(fix_has(fix.count - 1, "sdwan.bgp_recovered"));
    served = "/nothing"; /* it ends, and the first look looks at all */
    looked = 0;
    minutes(1);
    CHECK_INT(looked, 3);
    minutes(3);
    CHECK_INT(looked, 6);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    end();
}

TEST(a_daemon_that_never_answers_holds_nothing_up)
{
    begin(frr, "\"unhealthy_after\": \"50s\"");
    CHECK_INT(sensor()->result, INSTANCE_OK);
    minutes(1);
    CHECK_STR(sensor()->why, "/var/run/frr/bgpd.vty: timed out");
    answer_in(100, "{\"default\":", 11);
    CHECK_INT(fix.count, 0);
    minutes(1);
    CHECK(fix.count == 1 && fix_has(0, "\"reason\":\"timed out\""));
    look("Established", "1", "Established"); /* nothing is left of the half answer */
    CHECK(fix.count == 1 && fix_has(0, "sdwan.bgp_recovered"));
    end();
}

/** What is no answer: the reason. */
static void refused(const char *path, const char *bytes, size_t len, const char *why)
{
    begin(path, "");
    answer_in(50, bytes, len);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, why) != NULL);
    CHECK(!fix.sensor_watches[0].owner);
    end();
}

#define REFUSED(path, bytes, why) refused(path, bytes, sizeof bytes - 1, why)

TEST(answers_that_are_none)
{
    REFUSED(frr, "% [BGP] Unknown command: show\n\0\0\0\2", ": syntax error");
    REFUSED(frr, "\0\0\0\0", ": not found");
    REFUSED(frr, "{\"a}\0\0\0\0", ": syntax error");
    REFUSED(frr, "{}\0\0\0\1", ": syntax error");
    REFUSED(frr, "{\"default\":{\"ipv4Unicast\":{\"peers\":{\"\":{\"state\":\"Idle\"}}}}}\0\0\0\0", ": syntax error");
    REFUSED(frr, "{\"state\":\"Idle\"}\0\0\0\0", ": syntax error");
    REFUSED(bird, "0001 BIRD 2.0.12 ready.\n9001 syntax error\n", ": syntax error");
    REFUSED(bird, "0001 BIRD 2.0.12 ready.\n8007 Access denied\n", ": syntax error");
    begin(frr, "");
    asked("show bgp vrf all summary json", 30); /* or it would be reset */
    close(daemon_fd);
    daemon_fd = -1;
    turn();
    CHECK_STR(sensor()->why, "/var/run/frr/bgpd.vty: closed by peer");
    end();
}

TEST(an_answer_has_an_end)
{
    static char much[16384];
    const long most = (4L << 20) / (long)sizeof much + 2;
    long sent = 0;

    begin(frr, "");
    memset(much, ' ', sizeof much);
    while (fix.sensor_watches[0].owner && sent <= most) {
        sent += write(daemon_fd, much, sizeof much) == (ssize_t)sizeof much;
        loop_turn(&fix.loop, 0);
    }
    CHECK(sent <= most);
    CHECK_STR(sensor()->why, "/var/run/frr/bgpd.vty: too long");
    end();
}

/* ---- BIRD ---- */

#define GREETING "0001 BIRD 2.0.12 ready.\n2002-Name       Proto      Table      State  Since         Info\n"
#define ROWS_2                                                          \
    "1002-device1    Device     ---        up     08:50:38.298  \n"      \
    " upstream   BGP        ---        up     08:50:39.218  Established   \n" \
    " another    BGP        ---        start  08:50:38.298  Active        Socket: No route to host\n" \
    " off        BGP        ---        down   08:50:38.298  \n"          \
    " range      BGP        ---        start  08:50:38.298  Passive       \n" \
    " Active     Static     master4    up     08:50:38.298  \n"
/** 1.6.8, with dates of two words. */
#define ROWS_1                                                          \
    "1002-device1  Device   master   up     2026-11-26 08:50:38  \n"     \
    " upstream BGP      master   up     2026-11-26 08:50:39  Established   \n" \
    " another  BGP      master   start  2026-11-26 08:50:38  Active        Socket: No route to host\n" \
    " off      BGP      master   down   2026-11-26 08:50:38  \n"         \
    " broken   BGP      master   down   2026-11-26 08:50:38  Automatic shutdown: Route limit exceeded\n"

static void birds(const char *text)
{
    answer_in(7, text, strlen(text));
}

TEST(sessions_of_bird)
{
    static const char question[] = "show protocols\n";

    begin(bird, "\"unhealthy_after\": \"1s\", \"peers\": [\"upstream\"]");
    asked(question, sizeof question - 1);
    birds(GREETING ROWS_2 "0000 \n");
    CHECK_INT(sensor()->result, INSTANCE_OK);
    minutes(1);
    birds(GREETING ROWS_2 "0000 \n");
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"session\":\"another\",\"state\":\"Active\","));
    reload("\"unhealthy_after\": \"1s\", \"peers\": [\"off\", \"range\"]");
    for (int i = 0; i < 2; i++) {
        minutes(1);
        birds(GREETING ROWS_2 "0000 \n");
    }
    REQUIRE(fix.count == 3);
    CHECK(fix_has(0, "\"session\":\"off\",\"state\":\"shut down\""));
    CHECK(fix_has(1, "\"session\":\"range\",\"state\":\"Passive\""));
    end();
}

TEST(sessions_of_bird_1_6)
{
    begin(bird, "\"unhealthy_after\": \"1s\", \"backend\": \"bird\"");
    birds(GREETING ROWS_1 "0000 \n");
    minutes(1);
    birds(GREETING ROWS_1 "0000 \n");
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "\"session\":\"another\",\"state\":\"Active\""));
    CHECK(fix_has(1, "\"session\":\"broken\",\"state\":\"Idle\""));
    minutes(1);
    birds(GREETING "1002-upstream BGP      master   up     2026-11-26  Established   \n"
                   "1002-another  BGP      master   up     2026-11-26  Established   \n0000 \n");
    CHECK_INT(fix.count, 2); /* recovered: the other one is gone */
    end();
}

/* ---- configuration ---- */

TEST(whose_socket_is_asked)
{
    begin(bird, "\"backend\": \"frr\"");
    CHECK_STR(sensor()->why, "/var/run/frr/bgpd.vty: No such file or directory");
    end();
    begin("/var/run/bird.ctl", "\"backend\": \"bird\"");
    asked("show protocols\n", 15);
    end();
    begin("/tmp/bgpd.vty", "\"socket\": \"/tmp/bgpd.vty\"");
    asked("show bgp vrf all summary json", 30);
    end();
    begin("/tmp/b", "\"socket\": \"/tmp/b\"");
    asked("show protocols\n", 15);
    end();
    begin("/tmp/b", "\"socket\": \"/tmp/b\", \"backend\": \"frr\"");
    asked("show bgp vrf all summary json", 30);
    end();
}

TEST(configurations_that_are_refused)
{
    char path[108], text[200];

    fix_refused("{\"sdwan_bgp_session_health\": {\"backend\": \"quagga\"}}", "\"quagga\" is not one of auto, frr, bird");
    memset(path, 'x', sizeof path);
    path[0] = '/';
    snprintf(text, sizeof text, "{\"sdwan_bgp_session_health\": {\"socket\": \"%.108s\"}}", path);
    fix_refused(text, "socket");
    fix_refused("{\"sdwan_bgp_session_health\": {\"peers\": [\"a\", \"b\", \"a\"]}}", "peers: empty, or there twice: \"a\"");
    fix_refused("{\"sdwan_bgp_session_health\": {\"peers\": [\"a\", \"\"]}}", "peers: empty, or there twice: \"\"");
    /* So much of a name is kept. */
    fix_refused("{\"sdwan_bgp_session_health\": {\"peers\": [\"a12345678901234567890123456789012345678b\","
                " \"a12345678901234567890123456789012345678c\"]}}", "there twice");
}

TEST_MAIN(one_that_is_lost_is_a_warning_and_all_are_critical, it_knows_how_long_a_session_has_been_down,
          what_an_administrator_has_shut_down_counts_only_if_it_must_exist, the_worst_of_several_families_counts,
          a_session_that_is_gone_has_recovered, more_than_can_be_remembered_are_counted, a_reload_forgets_nothing,
          what_cannot_be_read_is_a_finding_of_its_own, a_daemon_that_never_answers_holds_nothing_up, answers_that_are_none,
          a_daemon_that_appears_is_found_within_three_looks,
          an_answer_has_an_end, sessions_of_bird, sessions_of_bird_1_6, whose_socket_is_asked,
          configurations_that_are_refused)
