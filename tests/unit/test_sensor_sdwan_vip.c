#include "beacon_fixture.h"
#include "fake_wireguard.h"

#define ITEM(vip) "{\"sdwan_vip_reachability\": [{\"name\": \"gateway\", \"interface\": \"wg0\", \"vip\": \"" vip "\", \"holders\": [" \
    "{\"public_key\": \"" WG_KEY_1 "\", \"name\": \"berlin\"}, {\"public_key\": \"" WG_KEY_2 "\"}]}]}"
#define VIP ITEM("10.77.0.9")
enum { MINUTE = 60 * 1000 };

/** The first peer holds the address, by the longer prefix, and both are alive. */
static void begin(const char *configuration)
{
    fix_init();
    fix_print_lines();
    wg_init();
    wg.ours[0] = "10.77.0.1";
    wg.ours[1] = "fd00::1";
    wg.peers[0] = (struct wg_peer){.key = 1, .keepalive = 25, .nets = {"10.0.0.0/8", "10.77.0.9/32", "fd00::9/128"}};
    wg.peers[1] = (struct wg_peer){.key = 2, .keepalive = 25, .nets = {"10.77.0.0/24", "fd00::/64"}};
    wg.peers[2] = (struct wg_peer){.key = 3, .keepalive = 25, .nets = {"10.78.0.0/24"}};
    REQUIRE(fix_start(configuration) == 1);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

/** So many minutes, each with a look; the peers of these bits make handshakes. */
static void minutes(unsigned n, unsigned alive)
{
    fix.count = 0;
    for (unsigned i = 0; i < n; i++) {
        fix.clock.now_s += 60;
        for (unsigned peer = 0; peer < 2; peer++)
            if (alive & 1u << peer)
                wg.peers[peer].handshake = fix.clock.now_s;
        fix_turn(MINUTE);
    }
}

static bool told(const char *part)
{
    const bool is = fix.count == 1 && fix_has(0, part);

    if (!is)
        check_puts(fix.count ? fix.printed[0] : "nothing\n");
    return is;
}

#define BAD(problem) "\"severity\":\"critical\",\"data\":{\"interface\":\"wg0\",\"problem\":\"" problem "\""
#define WELL "\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"interface\":\"wg0\""

static void silence_and_return(const char *vip)
{
    minutes(3, 3);
    minutes(4, 2);
    CHECK_INT(fix.count, 0);
    minutes(1, 2);
    CHECK(fix_has(0, "\"type\":\"sdwan.vip_holder_silent\",\"source\":\"sdwan_vip_reachability-beacon\""));
    CHECK(fix_has(0, BAD("silent") ",\"public_key\":\"" WG_KEY_1 "\",\"name\":\"berlin\",\"silent_s\":300,"));
    CHECK(told(vip));
    minutes(1, 3);
    CHECK(fix_has(0, "\"type\":\"sdwan.vip_holder_recovered\""));
    CHECK(fix_has(0, WELL ",\"public_key\":\"" WG_KEY_1 "\""));
    CHECK(told(vip));
}

TEST(a_silent_holder)
{
    begin(VIP);
    silence_and_return("\"vip\":\"10.77.0.9\"");
    begin(ITEM("fd00:0::9"));
    silence_and_return("\"vip\":\"fd00::9\"");
}

/** The networks of a peer may come in two messages. */
TEST(a_holder_of_two_messages)
{
    begin(VIP);
    wg.peers[0].split = 1;
    minutes(3, 3);
    minutes(5, 2);
    CHECK(told(WG_KEY_1));
}

TEST(another_takes_over)
{
    begin(VIP);
    minutes(3, 3);
    minutes(5, 2);
    CHECK(told(BAD("silent")));
    wg.peers[0].nets[1] = NULL; /* the network of the second contains it, in a longer prefix than 10.0.0.0/8 */
    minutes(1, 2);
    CHECK(told(WELL ",\"public_key\":\"" WG_KEY_2 "\",\"silent_s\":0,"));
    wg_ours(0, "10.77.0.9");
    minutes(10, 0);
    CHECK_INT(fix.count, 0); /* it is ours: nobody else has to answer */
}

TEST(this_device_takes_over)
{
    begin(VIP);
    minutes(6, 0);
    CHECK_INT(fix.count, 2);
    wg_ours(0, "10.77.0.9");
    minutes(1, 0);
    CHECK(told(WELL ",\"vip\":\"10.77.0.9\"}"));
    wg_ours(0, "10.77.0.1"); /* the other end of a point-to-point link is no address of ours */
    minutes(1, 0);
    CHECK(told(BAD("silent")));
    begin(ITEM("10.77.0.200"));
    wg.peers[1].key = wg.peers[0].key = 0;
    minutes(1, 0);
    CHECK(told(BAD("no_holder")));
}

TEST(addresses_are_asked_for_when_they_may_have_changed)
{
    begin(VIP);
    minutes(1, 3);
    CHECK_INT(wg.addresses, 1);
    minutes(6, 3);
    CHECK_INT(wg.addresses, 1);
    minutes(1, 3);
    CHECK_INT(wg.addresses, 2); /* all the same */
    wg_ours(1, "fd00::2");
    wg_ours(1, "fd00::3"); /* of many only the last one counts: none is left for the next look */
    minutes(3, 3);
    CHECK_INT(wg.addresses, 3);
    minutes(3, 0);
    wg.lost = ENOBUFS;
    wg.ours[0] = "10.77.0.9"; /* not a word of it */
    minutes(10, 0);
    CHECK_INT(fix.count, 0);
    wg.ours[0] = "10.77.0.1"; /* nor of this, which should not be */
    minutes(8, 0);
    CHECK(fix.count > 0 && fix_has(0, BAD("silent")));
    CHECK_INT(fix_start(VIP), 1);
    const unsigned asked = wg.addresses;
    minutes(2, 0);
    CHECK_INT(wg.addresses, asked + 1); /* after a reload, once */
}

TEST(an_address_whose_duplicates_are_looked_for)
{
    begin(ITEM("fd00::9"));
    minutes(6, 0);
    CHECK_INT(fix.count, 2);
    wg_ours(1, "fd00::9");
    wg.flags = IFA_F_PERMANENT | IFA_F_TENTATIVE;
    minutes(2, 0);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "fd00::9: tentative");
    wg_ours(1, "fd00::9");
    wg.flags |= IFA_F_DADFAILED; /* another has it: it is no better than none */
    minutes(1, 0);
    CHECK(told(BAD("silent")));
    wg.flags = IFA_F_PERMANENT;
    wg_ours(1, "fd00::9");
    minutes(1, 0);
    CHECK(told(WELL ",\"vip\":\"fd00::9\"}"));
}

TEST(nobody_holds_it)
{
    begin(VIP);
    minutes(1, 3);
    wg.peers[0].nets[0] = wg.peers[1].nets[0] = NULL;
    minutes(1, 3);
    CHECK(told(BAD("no_holder") ",\"vip\":\"10.77.0.9\"}"));
    wg.peers[2].nets[0] = "10.77.0.9/32"; /* one that should not */
    wg.peers[1].nets[0] = "10.77.0.0/24";
    minutes(1, 3);
    CHECK(told(BAD("no_holder")));
    wg.peers[2].key = 0;
    minutes(1, 3);
    CHECK(told(WELL ",\"public_key\":\"" WG_KEY_2 "\""));
}

TEST(no_interface_and_no_answer)
{
    begin(VIP);
    wg.error = ENODEV;
    minutes(1, 3);
    CHECK(told(BAD("interface_missing") ",\"vip\":\"10.77.0.9\"}"));
    wg.error = EPERM;
    minutes(1, 3);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    wg_ours(0, "10.77.0.9"); /* that is known all the same */
    minutes(1, 3);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    CHECK(told(WELL));
}

TEST(refused)
{
    fix_refused(ITEM("here"), "vip: is not an address");
    fix_refused(ITEM("10.0.0.0/8"), "vip: is not an address");
    fix_refused(ITEM("10.0.0.1:9500"), "vip: is not an address, without a port");
    fix_refused("{\"sdwan_vip_reachability\": [{\"name\": \"x\", \"interface\": \"wg0\", \"vip\": \"10.0.0.1\"}]}", "holders: missing");
}

TEST_MAIN(a_silent_holder, a_holder_of_two_messages, another_takes_over, this_device_takes_over,
          addresses_are_asked_for_when_they_may_have_changed,
          an_address_whose_duplicates_are_looked_for, nobody_holds_it,
          no_interface_and_no_answer, refused)
