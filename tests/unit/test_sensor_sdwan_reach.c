#include "beacon_fixture.h"
#include "fake_wireguard.h"

#define ONE "{\"sdwan_reachability\": [{\"name\": \"hub\", \"interface\": \"wg0\", \"hubs\": [{\"public_key\": \"" WG_KEY_1 \
    "\", \"name\": \"berlin\"}]}]}"
#define TWO "{\"sdwan_reachability\": [{\"name\": \"hub\", \"interface\": \"wg0\", \"hubs\": [{\"public_key\": \"" WG_KEY_1 \
    "\", \"name\": \"berlin\"}, {\"public_key\": \"" WG_KEY_2 "\"}]}]}"
enum { MINUTE = 60 * 1000 };

/** Two peers with a keepalive, whose handshakes were a minute ago; the first look is over. */
static void begin(const char *configuration)
{
    fix_init();
    fix_print_lines();
    wg_init();
    wg.peers[0] = (struct wg_peer){.key = 1, .handshake = fix.clock.now_s - 60, .keepalive = 25, .nets = {"10.0.0.0/8"}};
    wg.peers[1] = (struct wg_peer){.key = 2, .handshake = fix.clock.now_s - 60, .keepalive = 25, .nets = {"0.0.0.0/0"}};
    wg.peers[2] = (struct wg_peer){.key = 3, .nets = {"10.0.0.3/32"}};
    REQUIRE(fix_start(configuration) == 1);
    fix_turn(0);
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

/** So many minutes, each with a look. */
static void minutes(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fix.clock.now_s += 60;
        fix_turn(MINUTE);
    }
}

static void shake(unsigned i)
{
    wg.peers[i].handshake = fix.clock.now_s;
}

/** The only event since the last call has this. */
static bool told(const char *part)
{
    const bool is = fix.count == 1 && fix_has(0, part);

    if (!is)
        check_puts(fix.count ? fix.printed[0] : "nothing\n");
    fix.count = 0;
    return is;
}

TEST(a_silent_hub_and_its_return)
{
    begin(ONE);
    shake(0);
    minutes(1);
    minutes(4);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    minutes(1);
    CHECK(fix_has(0, "\"type\":\"sdwan.hub_unreachable\",\"source\":\"sdwan_reachability-beacon\""));
    CHECK(fix_has(0, "\"last_handshake\":\"2026-03-10T15:30:00Z\""));
    CHECK(told("\"severity\":\"critical\",\"data\":{\"interface\":\"wg0\",\"problem\":\"silent\",\"public_key\":\"" WG_KEY_1
               "\",\"name\":\"berlin\",\"silent_s\":300,"));
    fix.count = 0;
    shake(0);
    minutes(1);
    CHECK(fix_has(0, "\"type\":\"sdwan.hub_recovered\""));
    CHECK(told("\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"interface\":\"wg0\",\"public_key\":\"" WG_KEY_1
               "\",\"name\":\"berlin\",\"silent_s\":0,"));
    minutes(4);
    CHECK_INT(fix.count, 0);
}

/** What the wall clock does is of no account: stamps of 1970, of the future, of long ago. */
TEST(clocks_that_jump)
{
    fix_init();
    fix.clock.now_s = 30;
    begin(ONE);
    fix.clock.now_s = 30;
    wg.peers[0].handshake = 20; /* was the first look's, from 2026: a handshake */
    minutes(1);
    fix.clock.now_s = 1773156600;
    minutes(4);
    CHECK_INT(fix.count, 0);
    minutes(1);
    CHECK(told("\"silent_s\":300"));
    wg.peers[0].handshake = 4000000000;
    minutes(1);
    CHECK(told("\"sdwan.hub_recovered\""));
    wg.peers[0].handshake = 500; /* it has jumped back */
    minutes(5);
    CHECK_INT(fix.count, 0);
    minutes(1);
    CHECK(told("\"silent_s\":300"));
}

TEST(one_of_two_is_a_warning)
{
    begin(TWO);
    for (int i = 0; i < 4; i++) {
        minutes(1);
        shake(1);
    }
    CHECK_INT(fix.count, 0);
    minutes(1);
    CHECK(told("\"severity\":\"warning\",\"data\":{\"interface\":\"wg0\",\"problem\":\"silent\",\"public_key\":\"" WG_KEY_1));
    minutes(4);
    fix.count = 0; /* repetitions */
    minutes(1);
    CHECK_INT(fix.count, 2);
    CHECK(fix_has(0, "\"severity\":\"critical\"") && fix_has(0, WG_KEY_1));
    CHECK(fix_has(1, "\"severity\":\"critical\"") && fix_has(1, WG_KEY_2));
    fix.count = 0;
    shake(1);
    minutes(1);
    CHECK_INT(fix.count, 2);
    CHECK(fix_has(0, "\"severity\":\"warning\"") && fix_has(0, WG_KEY_1));
    CHECK(fix_has(1, "\"sdwan.hub_recovered\"") && fix_has(1, WG_KEY_2));
}

/** It is not a hub's silence if nobody has spoken to it. */
TEST(without_traffic_and_keepalive)
{
    begin(ONE);
    wg.peers[0].keepalive = 0;
    wg.peers[0].sent = 1000;
    minutes(1);
    wg.peers[0].sent = 2000; /* in the session of the handshake */
    minutes(3);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    minutes(10);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, "berlin: no traffic") != NULL);
    wg.peers[0].sent = 2148; /* something is sent: a handshake, which is answered */
    minutes(1);
    CHECK_INT(fix.count, 0);
    shake(0);
    minutes(1);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    minutes(6);
    wg.peers[0].sent = 2296; /* and one that is not */
    minutes(1);
    CHECK_INT(fix.count, 0);
    minutes(1);
    CHECK(told("\"problem\":\"silent\""));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    shake(0);
    minutes(1);
    CHECK(told("\"sdwan.hub_recovered\""));
}

TEST(an_interface_without_hubs)
{
    begin(TWO);
    wg.peers[0].key = wg.peers[1].key = 0;
    minutes(1);
    CHECK(told("\"severity\":\"critical\",\"data\":{\"interface\":\"wg0\",\"problem\":\"no_hub\"}"));
    wg.peers[0].key = 1;
    shake(0);
    minutes(1);
    CHECK_INT(fix.count, 2);
    CHECK(fix_has(0, "\"sdwan.hub_recovered\""));
    CHECK(fix_has(1, "\"severity\":\"warning\",\"data\":{\"interface\":\"wg0\",\"problem\":\"peer_missing\",\"public_key\":\"" WG_KEY_2));
    fix.count = 0;
    wg.peers[1].key = 2;
    wg.peers[1].handshake = 0; /* back, but that is no handshake */
    minutes(1);
    CHECK_INT(fix.count, 0);
    shake(1);
    minutes(1);
    CHECK(told("\"sdwan.hub_recovered\""));
}

TEST(an_interface_that_is_gone)
{
    static const int errors[] = {ENODEV, EOPNOTSUPP};

    for (unsigned i = 0; i < 2; i++) {
        begin(ONE);
        wg.error = errors[i];
        minutes(1);
        CHECK(told("\"severity\":\"critical\",\"data\":{\"interface\":\"wg0\",\"problem\":\"interface_missing\"}"));
        CHECK_INT(sensor()->result, INSTANCE_OK);
        wg.error = 0;
        shake(0);
        minutes(1);
        CHECK(told("\"data\":{\"state\":\"recovered\",\"interface\":\"wg0\"}"));
    }
}

TEST(what_cannot_be_measured)
{
    begin(ONE);
    wg.error = EPERM;
    minutes(10);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, "wg0: Operation not permitted") != NULL);
    wg.error = 0;
    wg.family_error = ENOENT;
    minutes(10);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, "wg0: no WireGuard in this kernel") != NULL);
    wg.family_error = 0;
    wg.interrupted = 3;
    minutes(1);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_INT(fix.count, 0);
}

/** Nothing is noted twice. */
TEST(a_dump_that_is_interrupted)
{
    begin(ONE);
    wg.peers[0].keepalive = 0;
    minutes(4);
    wg.peers[0].sent = 148;
    wg.interrupted = 2;
    wg.asked = 0;
    minutes(1);
    CHECK_INT(wg.asked, 3);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    minutes(1);
    CHECK(told("\"problem\":\"silent\""));
}

TEST(a_reload_keeps_the_silence)
{
    begin(ONE);
    minutes(3);
    REQUIRE(fix_start(TWO) == 1);
    minutes(2);
    CHECK(told(WG_KEY_1));
    REQUIRE(fix_start(ONE) == 1);
    minutes(1);
    REQUIRE(fix_start(ONE) == 1);
    fix.count = 0;
    shake(0);
    minutes(1);
    CHECK(told("\"sdwan.hub_recovered\""));
}

TEST(once_believes_the_wall_clock)
{
    fix_init();
    fix_print_lines();
    wg_init();
    wg.peers[0] = (struct wg_peer){.key = 1, .handshake = fix.clock.now_s - 299, .keepalive = 25};
    wg.peers[1] = (struct wg_peer){.key = 2, .handshake = fix.clock.now_s + 1000, .keepalive = 25};
    REQUIRE(fix_once(TWO) == 1);
    CHECK_INT(fix.count, 0);
    fix_init();
    fix_print_lines();
    wg.peers[0].handshake = fix.clock.now_s - 301;
    wg.peers[1].handshake = 0; /* never */
    REQUIRE(fix_once(TWO) == 1);
    CHECK_INT(fix.count, 2);
    CHECK(fix_has(0, "\"silent_s\":301,\"last_handshake\":\"2026-03-10T15:24:59Z\""));
    CHECK(fix_has(1, "\"silent_s\":1728000}"));
}

#define ITEM(more) "{\"sdwan_reachability\": [{\"name\": \"hub\", " more "}]}"
#define HUBS "\"hubs\": [{\"public_key\": \"" WG_KEY_1 "\"}]"
TEST(refused)
{
    fix_refused(ITEM(HUBS), "interface: missing");
    fix_refused(ITEM("\"interface\": \"wg0\""), "hubs: missing");
    fix_refused(ITEM("\"interface\": \"a234567890123456\", " HUBS), "interface");
    fix_refused(ITEM("\"interface\": \"wg0\", \"hubs\": [{\"public_key\": \"AAAA\"}]"), "not a key in base64");
    fix_refused(ITEM("\"interface\": \"wg0\", \"hubs\": [{\"name\": \"x\"}]"), "public_key: missing");
    fix_refused(ITEM("\"interface\": \"wg0\", \"hubs\": [{\"public_key\": \"" WG_KEY_1 "\"}, {\"public_key\": \"" WG_KEY_1 "\"}]"),
                "duplicate public_key " WG_KEY_1);
    fix_refused(ITEM("\"interface\": \"wg0\", \"silent_after\": \"10ms\", " HUBS), "silent_after");
}

/** Nobody watches anything then. */
TEST(a_list_of_nothing_is_warned_of)
{
    fix_init();
    CHECK_INT(fix_start("{\"sdwan_reachability\": []}"), 0);
    CHECK(strstr(fix.reports, "beacons.sdwan_reachability: is empty") != NULL);
    fix_init();
    CHECK_INT(fix_start("{\"sdwan_reachability\": null}"), 0);
    CHECK(strstr(fix.reports, "beacons.sdwan_reachability: is empty") != NULL);
    fix_init();
    CHECK_INT(fix_start("{}"), 0);
    CHECK_STR(fix.reports, "");
}

TEST_MAIN(a_silent_hub_and_its_return, clocks_that_jump, one_of_two_is_a_warning, without_traffic_and_keepalive,
          an_interface_without_hubs, an_interface_that_is_gone, what_cannot_be_measured, a_dump_that_is_interrupted,
          a_reload_keeps_the_silence, once_believes_the_wall_clock, refused, a_list_of_nothing_is_warned_of)
