#include <fcntl.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_rtnetlink.h"

#define ALL "{\"interface\": {\"interval\": \"1m\"}}"

/** eth0 is up and eth1 has no carrier; the first look is over. */
static void begin(const char *configuration)
{
    fix_init();
    fix_print_lines();
    kernel_begin();
    kernel_link(0, 1, "lo", KERNEL_UP);
    kernel_link(1, 2, "eth0", KERNEL_UP);
    kernel_link(2, 3, "eth1", IFF_UP);
    REQUIRE(fix_start(configuration) == 1);
    fix_turn(0);
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
    kernel_end();
}

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
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

/** Let a minute pass until all links are asked for, which is at each tenth look. */
static void whole_look(void)
{
    kernel.asked[0] = 0;
    for (int i = 0; i < 10 && kernel.asked[0] == 0; i++)
        fix_turn(60000);
    CHECK_INT(kernel.asked[0], 1);
}

#define STATE(severity, name, state, before) \
    "\"severity\":\"" severity "\",\"data\":{\"interface\":\"" name "\",\"state\":\"" state "\",\"previous_state\":\"" before "\"}"

TEST(changes_are_told_and_the_first_look_is_not)
{
    begin(ALL);
    CHECK_INT(fix.count, 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    kernel_link(1, 2, "eth0", IFF_UP);
    fix_turn(0);
    CHECK(fix_has(0, "\"type\":\"interface.state\",\"source\":\"interface-beacon\""));
    CHECK(told(STATE("warning", "eth0", "no carrier", "up")));
    kernel_link(1, 2, "eth0", 0);
    fix_turn(0);
    CHECK(told(STATE("info", "eth0", "down", "no carrier")));
    kernel_link(1, 2, "eth0", KERNEL_UP);
    fix_turn(0);
    CHECK(told(STATE("info", "eth0", "up", "down")));
    kernel_link(1, 2, "eth0", KERNEL_UP | IFF_PROMISC);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    kernel_link(1, 2, "eth0", IFF_UP); /* both of two at once */
    kernel_link(1, 2, "eth0", KERNEL_UP);
    fix_turn(0);
    CHECK_INT(fix.count, 2);
    end();
}

TEST(once_shows_what_there_is)
{
    fix_init();
    fix_print_lines();
    kernel_begin();
    kernel_link(0, 1, "lo", KERNEL_UP);
    kernel_link(1, 2, "eth0", KERNEL_UP);
    kernel.route4 = false;
    REQUIRE(fix_once(ALL) == 1);
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, STATE("info", "eth0", "up", "absent")));
    CHECK(fix_has(1, "\"type\":\"interface.default_route\"") && fix_has(1, "\"severity\":\"critical\",\"data\":{\"family\":\"ipv4\"}"));
    end();
}

TEST(which_are_watched)
{
    static const struct {
        const char *name;
        bool watched;
    } names[] = {{"lo", false}, {"veth12ab", false}, {"docker0", false}, {"br-0123456789ab", false}, {"br-lan", true},
                 {"virbr0", false}, {"lo1", true}, {"wlan0", true}, {"phy0-ap0", true}, {"xveth0", true}};

    begin(ALL);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        kernel_link(3 + i, 10 + (int)i, names[i].name, IFF_UP);
        fix_turn(0);
        kernel_link(3 + i, 10 + (int)i, names[i].name, KERNEL_UP);
        fix_turn(0);
        CHECK_INT(fix.count, names[i].watched);
        fix.count = 0;
    }
    end();
    begin("{\"interface\": {\"interval\": \"1m\", \"interfaces\": [\"eth1\", \"l?\"]}}");
    kernel_link(1, 2, "eth0", IFF_UP);
    kernel_link(2, 3, "eth1", KERNEL_UP);
    fix_turn(0);
    CHECK(told(STATE("info", "eth1", "up", "no carrier")));
    kernel_link(0, 1, "lo", 0);
    fix_turn(0);
    CHECK(told(STATE("warning", "lo", "down", "up")));
    end();
}

/** A bridge that loses a port says so in the same words, of its own family. */
TEST(ports_of_bridges_do_not_vanish)
{
    struct message m;

    begin(ALL);
    message_link(&m, RTM_DELLINK, 7 /* AF_BRIDGE */, &kernel.links[1], 0);
    kernel_send(kernel.news[1], &m);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    end();
}

TEST(interfaces_vanish_and_come_back)
{
    begin(ALL);
    kernel_unlink(1);
    fix_turn(0);
    CHECK(told(STATE("warning", "eth0", "absent", "up")));
    kernel_link(1, 9, "eth0", IFF_UP);
    fix_turn(0);
    CHECK(told(STATE("info", "eth0", "no carrier", "absent")));
    kernel_link(1, 9, "wan", IFF_UP); /* renamed: the name is what the operator knows */
    fix_turn(0);
    CHECK(told(STATE("info", "eth0", "absent", "no carrier")));
    kernel_link(1, 9, "wan", KERNEL_UP);
    fix_turn(0);
    CHECK(told(STATE("info", "wan", "up", "no carrier")));
    kernel_link(1, 9, "veth0", KERNEL_UP); /* to one that is not watched */
    fix_turn(0);
    CHECK(told(STATE("warning", "wan", "absent", "up")));
    kernel_unlink(1);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    end();
}

TEST(what_was_not_reported_is_found_by_looking)
{
    begin(ALL);
    kernel.links[1].flags = 0; /* without a word */
    kernel.links[2].index = 0;
    whole_look();
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, STATE("warning", "eth0", "down", "up")));
    CHECK(fix_has(1, STATE("info", "eth1", "absent", "no carrier")));
    end();
}

/** News that come with an answer are taken, and an answer of which the end was lost does no harm. */
TEST(news_may_come_among_answers)
{
    begin(ALL);
    for (int i = 0; i < 9; i++) /* until the next look is at all of it */
        fix_turn(60000);
    kernel_link(1, 2, "eth0", IFF_UP);
    kernel_route(RTM_DELROUTE, AF_INET, 0);
    kernel.links[1].flags = KERNEL_UP; /* what the answer says is newer */
    kernel.fails = EAGAIN; /* ready: there is nothing; then it is time to ask */
    kernel.asked[1] = 0;
    fix_turn(60000);
    CHECK_INT(fix.count, 0);
    CHECK(kernel.asked[1] >= 1);
    kernel.route4 = false;
    kernel.fails = ENOBUFS;
    fix_turn(60000); /* of the answer to the look, which asks what links count */
    fix_turn(0);
    fix_turn(0);
    CHECK(fix.count == 1 && fix_has(0, "interface.default_route"));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST(the_end_of_an_earlier_answer_ends_no_other)
{
    begin(ALL);
    kernel_done();
    sensor_runner_run(&sensor_runner_current(&fix.sensor_runner)->items[0]);
    fix_turn(0);
    CHECK_INT(fix.count, 0); /* no link is gone */
    end();
}

TEST(lost_news_are_made_up_for)
{
    begin(ALL);
    kernel.links[1].flags = IFF_UP;
    kernel_link(2, 3, "eth1", IFF_UP);
    kernel.fails = ENOBUFS;
    kernel.asked[0] = 0;
    fix_turn(0);
    CHECK_INT(kernel.asked[0], 1);
    CHECK(told(STATE("warning", "eth0", "no carrier", "up")));
    fix_turn(0);
    CHECK_INT(kernel.asked[0], 1);
    kernel.interrupted = true; /* a dump that is no whole makes none vanish, and is tried again */
    kernel.links[1].index = 0;
    fix_turn(60000);
    CHECK_INT(fix.count, 0);
    kernel.interrupted = false;
    kernel_link(2, 3, "eth1", IFF_UP);
    fix_turn(0);
    CHECK(told(STATE("info", "eth0", "absent", "no carrier")));
    end();
}

TEST(a_change_that_the_rate_held_back_is_told_later)
{
    begin(ALL);
    fix.pipeline.print = NULL;
    rate_set_limit(&fix.pipeline.rate, 1);
    kernel_link(2, 3, "eth1", KERNEL_UP);
    fix_turn(0);
    CHECK(fix_take());
    kernel_link(1, 2, "eth0", IFF_UP);
    fix_turn(0);
    CHECK(!fix_take());
    fix_turn(61000);
    REQUIRE(fix_take());
    while (!fix_has(0, "eth0") && fix_take())
        ;
    CHECK(fix_has(0, STATE("warning", "eth0", "no carrier", "up")));
    end();
}

#define FLAPS "{\"interface\": {\"interval\": \"1m\", \"flapping_changes\": 3}}"
TEST(flapping_is_a_condition_in_the_place_of_changes)
{
    begin(FLAPS);
    for (unsigned i = 0; i < 7; i++) {
        kernel_link(1, 2, "eth0", i % 2 ? KERNEL_UP : IFF_UP);
        fix_turn(1000);
    }
    CHECK(fix_has(0, STATE("warning", "eth0", "no carrier", "up")));
    CHECK(fix_has(1, STATE("info", "eth0", "up", "no carrier")));
    CHECK(fix_has(2, "\"type\":\"interface.flapping\"") &&
          fix_has(2, "\"severity\":\"warning\",\"data\":{\"interface\":\"eth0\",\"changes\":3}"));
    CHECK_INT(fix.count, 3);
    fix.count = 0;
    fix_turn(61000);
    CHECK(told("\"severity\":\"warning\",\"data\":{\"interface\":\"eth0\",\"changes\":7}")); /* it held */
    kernel_link(1, 2, "eth0", KERNEL_UP);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    kernel_link(1, 2, "eth0", IFF_UP);
    fix_turn(60000);
    REQUIRE(fix.count == 2);
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"interface\":\"eth0\",\"changes\":2}"));
    CHECK(fix_has(1, STATE("warning", "eth0", "no carrier", "up")));
    end();
}

TEST(a_reload_ends_no_flapping)
{
    begin(FLAPS);
    fix_turn(60000);
    for (unsigned i = 0; i < 3; i++) {
        kernel_link(1, 2, "eth0", i % 2 ? KERNEL_UP : IFF_UP);
        fix_turn(1000);
    }
    CHECK(fix.count == 3 && fix_has(2, "interface.flapping"));
    fix_turn(57100);
    fix.count = 0;
    REQUIRE(fix_start(FLAPS) == 1); /* 2 seconds after a look */
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    kernel_link(1, 2, "eth0", KERNEL_UP);
    fix_turn(60000);
    CHECK(fix.count > 0 && fix_has(0, "recovered"));
    end();
}

TEST(slow_changes_are_no_flapping)
{
    begin(FLAPS);
    for (unsigned i = 0; i < 8; i++) {
        kernel_link(1, 2, "eth0", i % 2 ? KERNEL_UP : IFF_UP);
        fix_turn(31000);
    }
    CHECK_INT(fix.count, 8);
    for (unsigned i = 0; i < fix.count; i++)
        CHECK(fix_has(i, "interface.state"));
    end();
}

TEST(errors_and_drops_are_counted_by_the_minute)
{
    begin("{\"interface\": {\"interval\": \"2m\"}}");
    kernel.links[1].errors = UINT64_C(0xFFFFFFF0);
    fix_turn(120000); /* 2^32 - 16 in two minutes are too many */
    CHECK(told("\"severity\":\"critical\",\"data\":{\"interface\":\"eth0\",\"errors_per_minute\":2147483640,"));
    kernel.links[1].errors += 100; /* only 32 bits are kept: as one that has begun anew */
    kernel.links[1].drops += 31;
    fix_turn(120000);
    CHECK(told("\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"interface\":\"eth0\",\"errors_per_minute\":0,"
               "\"drops_per_minute\":15}"));
    end();
    begin("{\"interface\": {\"interval\": \"2m\"}}");
    kernel.links[1].errors = 90;
    kernel.links[1].drops = 31;
    fix_turn(120000);
    CHECK(fix_has(0, "\"type\":\"interface.errors\""));
    CHECK(told("\"severity\":\"warning\",\"data\":{\"interface\":\"eth0\",\"errors_per_minute\":45,\"drops_per_minute\":15}"));
    kernel.links[1].errors += 90;
    kernel.links[1].drops += 10;
    fix_turn(120000); /* 50 is not yet below 60 - 10 */
    CHECK(told("\"severity\":\"warning\""));
    fix_turn(120000);
    CHECK(told("\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"interface\":\"eth0\",\"errors_per_minute\":0"));
    kernel.links[1].errors = 0; /* they begin anew */
    fix_turn(120000);
    CHECK_INT(fix.count, 0);
    end();
}

/** Where what links count is no question, their list has it. */
TEST(an_old_kernel_is_asked_for_its_links)
{
    for (unsigned old = 0; old < 2; old++) {
        begin(ALL);
        kernel.old = old;
        kernel.asked[0] = kernel.asked[1] = kernel.asked[2] = 0;
        kernel.links[1].errors = 700;
        fix_turn(60000);
        CHECK_INT(kernel.asked[2], 1);
        CHECK_INT(kernel.asked[0], old);
        CHECK_INT(kernel.asked[1], 0);
        CHECK(told("\"data\":{\"interface\":\"eth0\",\"errors_per_minute\":700,\"drops_per_minute\":0}"));
        CHECK_INT(sensor()->result, INSTANCE_OK);
        end();
    }
}

/** A reload looks at once: what came since the look before is no minute's worth. */
TEST(a_reload_makes_no_alarm_of_one_error)
{
    begin(ALL);
    fix_turn(60000);
    kernel.links[1].drops += 1;
    fix_turn(20);
    REQUIRE(fix_start(ALL) == 1);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    kernel.links[1].drops += 89; /* neither is it forgotten */
    fix_turn(60000);
    CHECK(told("\"errors_per_minute\":0,\"drops_per_minute\":89}"));
    end();
}

#define LOST(family) "\"type\":\"interface.default_route\",\"source\":\"interface-beacon\"", \
                     "\"severity\":\"critical\",\"data\":{\"family\":\"" family "\"}"
static bool route(const char *type, const char *data)
{
    return fix.count > 0 && fix_has(0, type) && told(data);
}

TEST(a_lost_default_route_is_a_condition)
{
    begin(ALL);
    CHECK_INT(kernel.groups, RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
    kernel.asked[1] = 0;
    kernel_route(RTM_DELROUTE, AF_INET, 24);
    fix_turn(0);
    CHECK_INT(kernel.asked[1], 0); /* of others nothing is asked */
    kernel.route4 = false;
    kernel_route(RTM_DELROUTE, AF_INET, 0);
    fix_turn(0);
    CHECK(route(LOST("ipv4")));
    kernel.route4 = true;
    kernel_route(RTM_NEWROUTE, AF_INET, 0);
    fix_turn(0);
    CHECK(told("\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"family\":\"ipv4\"}"));
    kernel.route4 = false; /* those of IPv4 go with their interface, without a word */
    kernel_link(2, 3, "eth1", 0);
    fix_turn(0);
    CHECK(fix.count == 2 && fix_has(1, "\"severity\":\"critical\",\"data\":{\"family\":\"ipv4\"}"));
    end();
}

TEST(one_of_ipv6_is_missed_only_where_there_was_one)
{
    begin(ALL);
    kernel_route(RTM_DELROUTE, AF_INET6, 0);
    fix_turn(0);
    fix_turn(60000);
    CHECK_INT(fix.count, 0);
    kernel.route6 = true;
    kernel_route(RTM_NEWROUTE, AF_INET6, 0);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    kernel.route6 = false; /* the kernel does not say so: all are looked at in ten minutes at most */
    for (int i = 0; i < 10 && fix.count == 0; i++)
        fix_turn(60000);
    CHECK(route(LOST("ipv6")));
    kernel.asked[1] = 0;
    fix_turn(60000);
    CHECK_INT(kernel.asked[1], 1); /* for the one that is missing */
    kernel_link(2, 3, "eth1", 0); /* what was over it is looked at once */
    fix_turn(0);
    CHECK_INT(kernel.asked[1], 3);
    fix_turn(60000);
    CHECK_INT(kernel.asked[1], 4);
    end();
}

TEST(a_device_that_starts_has_time_to_get_one)
{
    fix_init();
    fix_print_lines();
    kernel_begin();
    kernel.route4 = false;
    REQUIRE(fix_start(ALL) == 1);
    fix_turn(0);
    CHECK_INT(fix.count, 0);
    fix_turn(60000);
    CHECK(route(LOST("ipv4")));
    end();
    begin("{\"interface\": {\"interval\": \"1m\", \"default_route\": false}}");
    CHECK_INT(kernel.groups, RTMGRP_LINK);
    CHECK_INT(kernel.asked[1], 0);
    end();
}

TEST(a_reload_loses_nothing)
{
    begin(ALL);
    kernel_link(1, 2, "eth0", IFF_UP); /* not yet read */
    kernel.links[2].flags = 0;
    REQUIRE(fix_start("{\"interface\": {\"interfaces\": [\"eth0\", \"lo\"]}}") == 1);
    fix_turn(0);
    CHECK(told(STATE("warning", "eth0", "no carrier", "up")));
    kernel.route4 = false;
    kernel_route(RTM_DELROUTE, AF_INET, 0);
    fix_turn(0);
    CHECK(route(LOST("ipv4")));
    kernel_link(0, 1, "lo", 0);
    fix_turn(0);
    CHECK(fix_has(0, STATE("warning", "lo", "down", "up")));
    end();
}

TEST(more_than_there_is_room_for_are_not_measured)
{
    char names[CONFIG_INTERFACES][8];

    begin(ALL);
    for (unsigned i = 0; i < CONFIG_INTERFACES; i++) {
        memcpy(names[i], "p0", 3);
        names[i][1] = (char)('A' + i);
        if (i < CONFIG_INTERFACES - 2)
            kernel_link(3 + i, 10 + (int)i, names[i], IFF_UP);
    }
    fix_turn(0);
    fix_turn(60000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    kernel_link(23, 60, "late", IFF_UP);
    fix_turn(0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "late: too many interfaces (CONFIG_INTERFACES)");
    kernel_unlink(1); /* the place of one that is gone, once that is told, is another's */
    fix_turn(0);
    fix_turn(60000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    fix.count = 0;
    kernel_link(23, 60, "late", KERNEL_UP);
    fix_turn(0);
    CHECK(told(STATE("info", "late", "up", "no carrier")));
    end();
}

static unsigned descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/** Those that there is room for are watched from the start on, by one socket. */
TEST(too_many_from_the_start_on)
{
    char names[CONFIG_INTERFACES + 1][4];

    fix_init();
    fix_print_lines();
    kernel_begin();
    for (unsigned i = 0; i <= CONFIG_INTERFACES; i++) {
        memcpy(names[i], "p0", 3);
        names[i][1] = (char)('A' + i);
        kernel_link(i, 10 + (int)i, names[i], KERNEL_UP);
    }
    REQUIRE(fix_start(ALL) == 1);
    const unsigned open = descriptors();
    for (int i = 0; i < 4; i++) {
        fix_turn(60000);
        CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    }
    CHECK_INT(descriptors(), open);
    kernel_link(0, 10, "pA", IFF_UP);
    fix_turn(0);
    CHECK(told(STATE("warning", "pA", "no carrier", "up")));
    end();
}

/** Also where routes are looked at more often. */
TEST(looks_at_routes_put_off_no_look_at_links)
{
    begin(ALL);
    kernel.asked[0] = 0;
    for (int i = 0; i < 10; i++) {
        kernel_route(RTM_DELROUTE, AF_INET, 0);
        kernel_route(RTM_DELROUTE, AF_INET6, 0);
        fix_turn(60000);
        fix_turn(0);
    }
    CHECK_INT(kernel.asked[0], 1);
    end();
}

TEST(a_flood_does_not_hold_up_the_loop)
{
    begin(ALL);
    for (unsigned i = 0; i < 40; i++)
        kernel_route(RTM_NEWROUTE, AF_INET, 24);
    kernel.taken = 0;
    fix_turn(0);
    CHECK_INT(kernel.taken, 32);
    fix_turn(0);
    CHECK_INT(kernel.taken, 41);
    end();
}

TEST(what_does_not_work_is_not_measured)
{
    fix_init();
    fix_print_lines();
    kernel_begin();
    kernel.refuses = EPROTONOSUPPORT;
    REQUIRE(fix_start(ALL) == 1);
    CHECK_STR(sensor()->why, "netlink: Protocol not supported");
    kernel.refuses = 0;
    kernel_link(1, 2, "eth0", KERNEL_UP);
    fix_turn(60000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    kernel_link(1, 2, "eth0", KERNEL_UP);
    kernel.fails = ENOMEM; /* whatever it is: it is asked */
    kernel.asked[0] = 0;
    fix_turn(0);
    CHECK_INT(kernel.asked[0], 1);
    kernel.fails = ENOMEM; /* while it is asked what links count: it is asked for the links */
    fix_turn(60000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    CHECK_INT(kernel.asked[0], 2);
    for (int i = 0; i < 10 && sensor()->result == INSTANCE_OK; i++) {
        kernel.fails = ENOMEM; /* and once for those alone */
        fix_turn(60000);
    }
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strncmp(sensor()->why, "netlink: ", 9) == 0); /* libraries differ in the words */
    kernel_link(1, 2, "eth0", IFF_UP);
    fix.count = 0;
    fix_turn(0);
    fix_turn(60000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    CHECK(told("\"state\":\"no carrier\""));
    end();
    fix_refused("{\"interface\": {\"warning_errors\": 9, \"critical_errors\": 9}}", "must be below critical_errors");
}

/** Every beginning of a message, and one with every byte changed, is taken for what it is. */
TEST(broken_messages_do_no_harm)
{
    struct message m, changed;
    struct kernel_link l = {.index = 7, .name = "new0", .flags = KERNEL_UP};

    begin(ALL);
    message_link(&m, RTM_NEWLINK, AF_UNSPEC, &l, 0);
    for (size_t i = 1; i <= m.len; i++) {
        changed = m;
        changed.len = i;
        kernel_send(kernel.news[1], &changed);
        changed = m;
        changed.bytes[i - 1] ^= 0xFF;
        kernel_send(kernel.news[1], &changed);
        fix_turn(0);
    }
    fix_turn(60000);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    end();
}

TEST_MAIN(changes_are_told_and_the_first_look_is_not, once_shows_what_there_is, which_are_watched,
          ports_of_bridges_do_not_vanish, interfaces_vanish_and_come_back, what_was_not_reported_is_found_by_looking,
          news_may_come_among_answers, the_end_of_an_earlier_answer_ends_no_other, lost_news_are_made_up_for, a_change_that_the_rate_held_back_is_told_later,
          flapping_is_a_condition_in_the_place_of_changes, a_reload_ends_no_flapping, slow_changes_are_no_flapping,
          errors_and_drops_are_counted_by_the_minute, an_old_kernel_is_asked_for_its_links, a_reload_makes_no_alarm_of_one_error, a_lost_default_route_is_a_condition,
          one_of_ipv6_is_missed_only_where_there_was_one, a_device_that_starts_has_time_to_get_one,
          a_reload_loses_nothing, more_than_there_is_room_for_are_not_measured, too_many_from_the_start_on,
          looks_at_routes_put_off_no_look_at_links, a_flood_does_not_hold_up_the_loop,
          what_does_not_work_is_not_measured, broken_messages_do_no_harm)
