#include "nefia/net/addr.h"

#include <net/if.h>
#include <netinet/in.h>

#include "check.h"
#include "nefia/base/err.h"

static char said[256];
static struct text why;

static int parse(struct addr *a, const char *s, uint16_t port)
{
    text_init(&why, said, sizeof said);
    return addr_parse(a, s, strlen(s), port, &why);
}

static void check_text(const char *s, uint16_t port, const char *want)
{
    struct addr a, again;

    CHECK_INT(parse(&a, s, port), 0);
    CHECK_STR(ADDR(&a), want);
    CHECK_STR(said, "");
    /* The printed form parses to the same address. */
    CHECK_INT(parse(&again, want, 1), 0);
    CHECK(addr_same_host(&a, &again) && a.port == again.port);
}

TEST(parses_and_prints)
{
    check_text("10.0.0.1:9500", 0, "10.0.0.1:9500");
    check_text("10.0.0.1", 9500, "10.0.0.1:9500");
    check_text("255.255.255.255:65535", 1, "255.255.255.255:65535");
    check_text("[::1]:9500", 0, "[::1]:9500");
    check_text("[::1]", 7, "[::1]:7");
    check_text("::1", 7, "[::1]:7");
    check_text("::", 7, "[::]:7");
    check_text("[::ffff:10.1.2.3]:5", 0, "10.1.2.3:5");
    check_text("::FFFF:a01:203", 5, "10.1.2.3:5");
}

/* RFC 5952, section 4. */
TEST(prints_ipv6_as_recommended)
{
    check_text("2001:0db8::0001", 1, "[2001:db8::1]:1");
    check_text("2001:db8:0:0:0:0:2:1", 1, "[2001:db8::2:1]:1");
    check_text("2001:db8:0:1:1:1:1:1", 1, "[2001:db8:0:1:1:1:1:1]:1");
    check_text("2001:0:0:1:0:0:0:1", 1, "[2001:0:0:1::1]:1");
    check_text("2001:db8:0:0:1:0:0:1", 1, "[2001:db8::1:0:0:1]:1");
    check_text("2001:DB8::AbCd", 1, "[2001:db8::abcd]:1");
    check_text("1:2:3:4:5:6:7::", 1, "[1:2:3:4:5:6:7:0]:1");
    check_text("::2:3:4:5:6:7:8", 1, "[0:2:3:4:5:6:7:8]:1");
    check_text("1:0:0:0:0:0:0:0", 1, "[1::]:1");
    check_text("1:2:3:4:5:6:1.2.3.4", 1, "[1:2:3:4:5:6:102:304]:1");
    check_text("64:ff9b::1.2.3.4", 1, "[64:ff9b::102:304]:1");
}

static void check_refused(const char *s, int err, const char *says)
{
    struct addr a;

    CHECK_INT(parse(&a, s, 9500), err);
    CHECK_INT(a.family, 0);
    if (!strstr(said, says))
        CHECK_STR(said, says);
}

TEST(refuses_with_a_sentence)
{
    static const char *const bad[] = {
        "10.0.0",
        "10.0.0.256",
        "10.0.0.01",
        "10.0.0.1.1",
        "10.0.0.",
        ".1.2.3",
        "1..2.3",
        "1.2.3.4x",
        "0x1.2.3.4",
        "1 ",
        ":::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        "12345::",
        "g::",
        "::1.2.3",
        "1.2.3.4::",
        ":1::2",
        "1:",
        "[1.2.3.4]",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1:",
        "1:2:3:4:5:6:7:8::",
        "-a.b",
        "a..b",
        "a b",
        "\x01",
        "[hub]:1",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct addr a;
        int err = parse(&a, bad[i], 9500);

        if (err >= 0 || a.family || said[0] != '"')
            CHECK_STR(bad[i], "refused");
    }
    check_refused("", NEFIA_ESYNTAX, "has no address");
    check_refused(":9500", NEFIA_ESYNTAX, "has no address");
    check_refused("[]:9500", NEFIA_ESYNTAX, "has no address");
    check_refused("[::1", NEFIA_ESYNTAX, "[IPv6 address]:port");
    check_refused("[::1]9500", NEFIA_ESYNTAX, "[IPv6 address]:port");
    check_refused("10.0.0.1:0", NEFIA_EINVAL, "from 1 to 65535");
    check_refused("10.0.0.1:65536", NEFIA_EINVAL, "from 1 to 65535");
    check_refused("10.0.0.1:", NEFIA_EINVAL, "from 1 to 65535");
    check_refused("[::1]:x", NEFIA_EINVAL, "from 1 to 65535");
    check_refused("hub.example.org:9500", NEFIA_ENOTSUP, "is a host name");
    check_refused("hub", NEFIA_ENOTSUP, "is a host name");
    check_refused("10.0.0.300", NEFIA_ESYNTAX, "is not an address");
    check_refused("[fe80::1%no-such-if]:1", NEFIA_ENOTFOUND, "no such interface");
    check_refused("[fe80::1%]:1", NEFIA_ENOTFOUND, "no such interface");
    struct addr a;
    CHECK_INT(parse(&a, "10.0.0.1", 0), NEFIA_ESYNTAX);
    CHECK(strstr(said, "lacks a port"));
    CHECK_INT(addr_parse(&a, "x y", 3, 1, NULL), NEFIA_ESYNTAX);
}

TEST(scope_is_an_interface)
{
    struct addr a;

    CHECK_INT(parse(&a, "[fe80::1%7]:9500", 0), 0);
    CHECK_INT(a.scope, 7);
    CHECK_STR(ADDR(&a), "[fe80::1%7]:9500");
    if (if_nametoindex("lo") > 0) {
        CHECK_INT(parse(&a, "fe80::1%lo", 9500), 0);
        CHECK_INT(a.scope, if_nametoindex("lo"));
    }
}

static void check_split(const char *s, const char *want_host, uint16_t want_port)
{
    char host[ADDR_HOST];
    uint16_t port = 0;

    text_init(&why, said, sizeof said);
    CHECK_INT(addr_parse_hostport(s, strlen(s), 80, host, &port, &why),
              want_host[0] ? 0 : NEFIA_ESYNTAX);
    CHECK_STR(host, want_host);
    CHECK_INT(port, want_port);
}

TEST(splits_host_and_port)
{
    check_split("hub.example.org:9500", "hub.example.org", 9500);
    check_split("hub_1", "hub_1", 80);
    check_split("10.0.0.1:1", "10.0.0.1", 1);
    check_split("[fd00::1]:1", "fd00::1", 1);
    check_split("fd00::1", "fd00::1", 80);
    check_split("a..b", "", 0);
    check_split("a b:1", "", 0);
    check_split("[hub]:1", "", 0);
    check_split("10.0.0.256", "", 0);
    check_split("-x", "", 0);
    char longest[300];
    struct text t;

    text_init(&t, longest, sizeof longest);
    for (int i = 0; i < 126; i++)
        text_str(&t, "a.");
    text_str(&t, "b");
    check_split(longest, longest, 80);
    text_str(&t, "b");
    check_split(longest, "", 0);
}

static void check_net(const char *net, const char *ip, bool match)
{
    struct addr_net n;
    struct addr a;

    text_init(&why, said, sizeof said);
    CHECK_INT(addr_net_parse(&n, net, strlen(net), &why), 0);
    CHECK_STR(said, "");
    CHECK_INT(parse(&a, ip, 1), 0);
    if (addr_net_match(&n, &a) != match) {
        CHECK_STR(net, ip);
        CHECK_INT(!match, match);
    }
}

TEST(networks_match)
{
    check_net("10.99.0.0/24", "10.99.0.255", true);
    check_net("10.99.0.0/24", "10.99.1.0", false);
    check_net("10.99.0.0/24", "::ffff:10.99.0.7", true);
    check_net("::ffff:10.99.0.0/120", "10.99.0.7", true);
    check_net("::ffff:10.99.0.0/120", "10.99.1.7", false);
    check_net("10.99.0.8/29", "10.99.0.15", true);
    check_net("10.99.0.8/29", "10.99.0.16", false);
    check_net("192.0.2.1", "192.0.2.1", true);
    check_net("192.0.2.1/32", "192.0.2.2", false);
    check_net("0.0.0.0/0", "1.2.3.4", true);
    check_net("0.0.0.0/0", "::1", false);
    check_net("::/0", "1.2.3.4", false);
    check_net("::/0", "fd00::1", true);
    check_net("fd00::/8", "fdff::1", true);
    check_net("fd00::/8", "fe00::1", false);
    check_net("fe80::/10", "fe80::1%3", true);
    check_net("2001:db8::1", "2001:db8::1", true);
    check_net("2001:db8::1", "2001:db8::2", false);
    check_net("2001:db8::/127", "2001:db8::1", true);
}

/* Against the definition: the first `bits` bits are equal. */
TEST(every_prefix_length_matches_by_its_bits)
{
    for (unsigned bits = 0; bits <= 128; bits++) {
        struct addr_net n = {.base = {.family = AF_INET6}, .bits = (uint8_t)bits};

        for (unsigned flip = 0; flip < 128; flip++) {
            struct addr a = {.family = AF_INET6};

            a.ip[flip / 8] = (uint8_t)(0x80 >> flip % 8);
            REQUIRE(addr_net_match(&n, &a) == (flip >= bits));
        }
    }
}

static void check_net_refused(const char *net, int err, const char *says)
{
    struct addr_net n;

    text_init(&why, said, sizeof said);
    CHECK_INT(addr_net_parse(&n, net, strlen(net), &why), err);
    if (!strstr(said, says))
        CHECK_STR(said, says);
}

TEST(networks_are_refused_with_a_remedy)
{
    check_net_refused("10.99.0.1/24", NEFIA_EINVAL,
                      "the network is 10.99.0.0/24, the single host 10.99.0.1");
    check_net_refused("fd00::1/8", NEFIA_EINVAL, "the network is fd00::/8, the single host fd00::1");
    check_net_refused("10.0.0.0/33", NEFIA_EINVAL, "up to 32");
    check_net_refused("fd00::/129", NEFIA_EINVAL, "up to 128");
    check_net_refused("10.0.0.0/", NEFIA_EINVAL, "prefix length");
    check_net_refused("10.0.0.0/-1", NEFIA_EINVAL, "prefix length");
    check_net_refused("::ffff:10.0.0.0/95", NEFIA_EINVAL, "prefix length");
    check_net_refused("10.0.0/8", NEFIA_ESYNTAX, "is not a network");
    check_net_refused("hub/8", NEFIA_ESYNTAX, "is not a network");
    check_net_refused("fe80::%1/10", NEFIA_ESYNTAX, "is not a network");
    check_net_refused("", NEFIA_ESYNTAX, "is not a network");
}

TEST(converts_to_and_from_sockaddr)
{
    static const char *const all[] = {"10.1.2.3:9500", "[2001:db8::1]:443", "[fe80::1%9]:1"};
    struct sockaddr_storage ss;
    struct addr a, b;

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        CHECK_INT(parse(&a, all[i], 0), 0);
        CHECK_INT(addr_to_sockaddr(&a, &ss),
                  i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
        CHECK_INT(addr_from_sockaddr(&b, &ss), 0);
        CHECK_STR(ADDR(&b), all[i]);
    }
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(5)};
    memcpy(&v6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\x0A\x01\x02\x03", 16);
    memcpy(&ss, &v6, sizeof v6);
    CHECK_INT(addr_from_sockaddr(&b, &ss), 0);
    CHECK_STR(ADDR(&b), "10.1.2.3:5");
    ss.ss_family = AF_UNIX;
    CHECK_INT(addr_from_sockaddr(&b, &ss), NEFIA_EINVAL);
    CHECK_STR(ADDR(&b), "(none)");
}

TEST_MAIN(parses_and_prints, prints_ipv6_as_recommended, refuses_with_a_sentence,
          scope_is_an_interface, splits_host_and_port, networks_match,
          every_prefix_length_matches_by_its_bits, networks_are_refused_with_a_remedy,
          converts_to_and_from_sockaddr)
