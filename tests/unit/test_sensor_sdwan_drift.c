#include "beacon_fixture.h"
#include "fake_wireguard.h"

#define PEER(key, more) "{\"public_key\": \"" key "\"" more "}"
#define ITEM(peers) "{\"sdwan_drift\": [{\"name\": \"wg0\", \"interface\": \"wg0\", \"peers\": [" peers "]}]}"
#define BERLIN PEER(WG_KEY_1, ", \"name\": \"berlin\", \"allowed_ips\": [\"10.1.0.0/16\", \"fd00:0:0::7/48\", \"10.77.0.1\"]")
#define ROME PEER(WG_KEY_2, ", \"allowed_ips\": [\"10.2.0.0/16\"]")
#define BOTH ITEM(BERLIN ", " ROME)
enum { MINUTE = 60 * 1000 };

static void kernel(void)
{
    wg_init();
    wg.peers[0] = (struct wg_peer){.key = 1, .nets = {"10.77.0.1/32", "10.1.0.0/16", "fd00::/48"}};
    wg.peers[1] = (struct wg_peer){.key = 2, .nets = {"10.2.0.0/16"}};
}

/** All is as declared, and the first look is over. */
static void begin(const char *configuration)
{
    fix_init();
    fix_print_lines();
    kernel();
    REQUIRE(fix_start(configuration) == 1);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

static void look(void)
{
    fix.count = 0;
    fix_turn(MINUTE);
}

static bool told(const char *part)
{
    const bool is = fix.count == 1 && fix_has(0, part);

    if (!is)
        check_puts(fix.count ? fix.printed[0] : "nothing\n");
    return is;
}

#define DETECTED "\"type\":\"sdwan.peer_drift_detected\",\"source\":\"sdwan_drift-beacon\""
#define RESOLVED "\"type\":\"sdwan.peer_drift_resolved\",\"source\":\"sdwan_drift-beacon\""
#define DATA(severity, state, problem, more) \
    "\"severity\":\"" severity "\",\"data\":{" state "\"interface\":\"wg0\"" problem more "}"
#define PROBLEM(what, more) DATA("warning", "", ",\"problem\":\"" what "\"", more)
#define WELL(more) DATA("info", "\"state\":\"recovered\",", "", more)
#define IS_BERLIN ",\"public_key\":\"" WG_KEY_1 "\",\"name\":\"berlin\""
#define IS_ROME ",\"public_key\":\"" WG_KEY_2 "\""
#define IS_STRANGER ",\"public_key\":\"" WG_KEY_3 "\""

TEST(order_and_writing_do_not_matter)
{
    begin(BOTH);
    look();
    CHECK_INT(fix.count, 0);
    wg.peers[2] = wg.peers[0];
    wg.peers[0].key = 0;
    wg.peers[2].nets[0] = "fd00::/48";
    wg.peers[2].nets[2] = "10.77.0.1/32";
    look();
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
}

TEST(a_peer_in_two_messages)
{
    begin(BOTH);
    for (wg.peers[0].split = 1; wg.peers[0].split < 3; wg.peers[0].split++) {
        look();
        CHECK_INT(fix.count, 0);
    }
    wg.peers[0].split = 1;
    wg.peers[0].nets[2] = "fd00::/47";
    look();
    CHECK(told(PROBLEM("allowed_ips", IS_BERLIN ",\"missing\":\"fd00:0:0::7/48\",\"unexpected\":\"fd00::/47\"")));
}

TEST(allowed_ips_change)
{
    begin(BOTH);
    wg.peers[1].nets[1] = "10.3.0.0/16";
    look();
    CHECK(fix_has(0, DETECTED));
    CHECK(told(PROBLEM("allowed_ips", IS_ROME ",\"unexpected\":\"10.3.0.0/16\"")));
    wg.peers[1].nets[1] = NULL;
    look();
    CHECK(fix_has(0, RESOLVED));
    CHECK(told(WELL(IS_ROME)));
    wg.peers[0].nets[1] = NULL; /* of three one is left */
    look();
    CHECK(told(PROBLEM("allowed_ips", IS_BERLIN ",\"missing\":\"fd00:0:0::7/48\"")));
    wg.peers[0].nets[1] = "10.1.0.0/17"; /* not the same */
    wg.peers[0].nets[2] = "fd00::/48";
    look();
    CHECK(told(PROBLEM("allowed_ips", IS_BERLIN ",\"missing\":\"10.1.0.0/16\",\"unexpected\":\"10.1.0.0/17\"")));
    /* One peer has what another should have. */
    wg.peers[0].nets[1] = "10.2.0.0/16";
    wg.peers[1].nets[0] = NULL;
    look();
    CHECK_INT(fix.count, 2);
    CHECK(fix_has(0, "\"unexpected\":\"10.2.0.0/16\""));
    CHECK(fix_has(1, PROBLEM("allowed_ips", IS_ROME ",\"missing\":\"10.2.0.0/16\"")));
}

TEST(peers_come_and_go)
{
    begin(BOTH);
    wg.peers[1].key = 3;
    look();
    CHECK_INT(fix.count, 2);
    CHECK(fix_has(0, PROBLEM("peer_missing", IS_ROME ",\"missing\":\"10.2.0.0/16\"")));
    CHECK(fix_has(1, PROBLEM("unknown_peer", IS_STRANGER ",\"unexpected\":\"10.2.0.0/16\"")));
    look();
    CHECK(fix_has(0, "peer_missing")); /* a repetition */
    wg.peers[1].key = 2;
    look();
    CHECK_INT(fix.count, 2);
    CHECK(fix_has(0, WELL(IS_ROME)));
    CHECK(fix_has(1, WELL(IS_STRANGER)));
    look();
    CHECK_INT(fix.count, 0);
}

TEST(many_strangers)
{
    begin(BOTH);
    for (uint8_t i = 2; i < 7; i++)
        wg.peers[i].key = i + 1;
    look();
    CHECK_INT(fix.count, 4);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, "wg0: too many unknown peers") != NULL);
    wg.peers[2].key = 0;
    look(); /* its place is free at the next */
    CHECK_INT(fix.count, 4);
    CHECK(fix_has(3, WELL(IS_STRANGER)) || fix_has(0, WELL(IS_STRANGER)));
    look();
    CHECK_INT(fix.count, 4);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    for (uint8_t i = 2; i < 7; i++)
        wg.peers[i].key = 0;
    look();
    CHECK_INT(fix.count, 4);
    look();
    CHECK_INT(fix.count, 0);
}

TEST(strangers_over_a_reload)
{
    fix_init();
    fix_print_lines();
    kernel();
    REQUIRE(fix_start(ITEM(BERLIN)) == 1);
    fix_turn(0);
    CHECK(told(PROBLEM("unknown_peer", IS_ROME ",\"unexpected\":\"10.2.0.0/16\"")));
    wg.peers[1].key = 0;
    REQUIRE(fix_start(ITEM(BERLIN)) == 1);
    look();
    CHECK(told(WELL(IS_ROME)));
    wg.peers[1].key = 2;
    look();
    CHECK(told(DETECTED));
    REQUIRE(fix_start(BOTH) == 1); /* now it is declared */
    look();
    CHECK(told(WELL(IS_ROME)));
    wg.peers[1].nets[0] = NULL;
    look();
    CHECK(told(PROBLEM("allowed_ips", IS_ROME ",\"missing\":\"10.2.0.0/16\"")));
    look();
    CHECK(told(DETECTED)); /* a repetition */
}

TEST(the_interface_goes)
{
    begin(BOTH);
    wg.error = ENODEV;
    look();
    CHECK(told(DATA("critical", "", ",\"problem\":\"interface_missing\"", "")));
    wg.error = EPERM;
    look();
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    wg.error = 0;
    look();
    CHECK(told(WELL("")));
}

TEST(interrupted_dumps_count_once)
{
    begin(BOTH);
    wg.interrupted = 2;
    wg.peers[1].nets[1] = "10.3.0.0/16";
    look();
    CHECK(told("\"unexpected\":\"10.3.0.0/16\""));
}

TEST(refused)
{
    fix_refused(ITEM(PEER(WG_KEY_1, ", \"allowed_ips\": [\"10.0.0.0/33\"]")), "not a network: 10.0.0.0/33");
    fix_refused(ITEM(PEER(WG_KEY_1, ", \"allowed_ips\": [\"here\"]")), "not a network: here");
    fix_refused(ITEM(PEER(WG_KEY_1, ", \"allowed_ips\": [\"10.0.0.0:80/8\"]")), "not a network");
    fix_refused(ITEM(PEER(WG_KEY_1, ", \"allowed_ips\": [\"10.0.0.0/\"]")), "not a network");
    fix_refused(ITEM(PEER(WG_KEY_1, ", \"allowed_ips\": [\"fe80::1%1\"]")), "not a network");
    fix_refused(ITEM(PEER(WG_KEY_1, ", \"allowed_ips\": [{}]")), "not a network");
    fix_refused(ITEM(PEER(WG_KEY_1, ", \"allowed_ips\": 3")), "list");
    fix_refused(ITEM(BERLIN ", " PEER(WG_KEY_2, ", \"allowed_ips\": [\"10.2.0.0/16\", \"10.1.2.3/16\"]")),
                "duplicate network 10.1.2.3/16");
    fix_refused(ITEM(PEER(WG_KEY_1, ", \"allowed_ips\": [\"fd00::1\", \"fd00:0::1/128\"]")), "duplicate network fd00:0::1/128");
    fix_refused(ITEM(PEER(WG_KEY_1, "") ", " PEER(WG_KEY_1, "")), "duplicate public_key");
    fix_refused("{\"sdwan_drift\": [{\"name\": \"wg0\", \"interface\": \"wg0\"}]}", "peers: missing");
}

TEST_MAIN(order_and_writing_do_not_matter, a_peer_in_two_messages, allowed_ips_change, peers_come_and_go, many_strangers,
          strangers_over_a_reload, the_interface_goes, interrupted_dumps_count_once, refused)
