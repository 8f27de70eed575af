#include "nefia/net/wireguard.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/wireguard.h>

#include "check.h"
#include "nefia/base/bytes.h"
#include "nefia/base/err.h"

enum { FAMILY = 31, SEQUENCE = 7 };

/* ---- datagrams as the kernel builds them, in host byte order ---- */

static _Alignas(4) uint8_t bytes[4096];
static size_t len;

static size_t open_message(uint16_t type, uint16_t flags, uint32_t sequence)
{
    const struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = sequence};
    size_t at = len;

    memcpy(bytes + len, &h, sizeof h);
    len += sizeof h;
    return at;
}

static void close_message(size_t at)
{
    uint32_t n = (uint32_t)(len - at);

    memcpy(bytes + at, &n, sizeof n);
}

static void put_generic(uint8_t command)
{
    const struct genlmsghdr h = {.cmd = command, .version = 1};

    memcpy(bytes + len, &h, sizeof h);
    len += sizeof h;
}

static size_t open_attribute(uint16_t type)
{
    size_t at = len;

    memset(bytes + len, 0, 4);
    memcpy(bytes + len + 2, &type, sizeof type);
    len += 4;
    return at;
}

static void close_attribute(size_t at)
{
    uint16_t n = (uint16_t)(len - at);

    memcpy(bytes + at, &n, sizeof n);
    while (len % 4 != 0)
        bytes[len++] = 0;
}

static void put(uint16_t type, const void *value, size_t n)
{
    size_t at = open_attribute(type);

    memcpy(bytes + len, value, n);
    len += n;
    close_attribute(at);
}

static void put_ip(uint16_t family, const void *ip, size_t n, uint8_t bits)
{
    size_t at = open_attribute(NLA_F_NESTED); /* lists have no types */

    put(WGALLOWEDIP_A_CIDR_MASK, &bits, 1);
    put(WGALLOWEDIP_A_FAMILY, &family, sizeof family);
    put(WGALLOWEDIP_A_IPADDR, ip, n);
    close_attribute(at);
}

static void put_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint8_t bits)
{
    put_ip(AF_INET, (uint8_t[]){a, b, c, d}, 4, bits);
}

/** An open peer, ready for its networks. */
struct opened {
    size_t message, peers, peer, ips;
};

static struct opened open_peer(uint16_t flags)
{
    static const uint8_t key[32] = {1, 2, 3};
    struct opened o = {.message = open_message(FAMILY, (uint16_t)(NLM_F_MULTI | flags), SEQUENCE)};

    put_generic(WG_CMD_GET_DEVICE);
    put(WGDEVICE_A_IFNAME, "wg0", 4);
    put(WGDEVICE_A_PRIVATE_KEY, key, sizeof key);
    o.peers = open_attribute(WGDEVICE_A_PEERS | NLA_F_NESTED);
    o.peer = open_attribute(NLA_F_NESTED);
    put(WGPEER_A_PUBLIC_KEY, key, sizeof key);
    o.ips = open_attribute(WGPEER_A_ALLOWEDIPS | NLA_F_NESTED);
    return o;
}

static void close_peer(struct opened o)
{
    close_attribute(o.ips);
    close_attribute(o.peer);
    close_attribute(o.peers);
    close_message(o.message);
}

static void put_end(uint16_t type, int32_t status)
{
    size_t at = open_message(type, NLM_F_MULTI, SEQUENCE);

    memcpy(bytes + len, &status, sizeof status);
    len += sizeof status;
    close_message(at);
}

/* ---- the reader ---- */

static struct addr_net nets[4];
static struct wireguard_reader reader;
static struct wireguard_dump dump;

static void begin(void)
{
    reader = (struct wireguard_reader){.nets = nets, .cap = ARRAY_SIZE(nets)};
    dump = (struct wireguard_dump){
        .on_peer = wireguard_take_nets, .arg = &reader, .answer.sequence = SEQUENCE, .family = FAMILY};
    len = 0;
}

static int feed(void)
{
    int result = wireguard_feed(&dump, bytes, len);

    len = 0;
    return result;
}

static bool has(unsigned i, const char *text)
{
    struct addr_net n;

    return i < reader.count && addr_net_parse(&n, text, strlen(text), NULL) == 0 &&
           addr_same_host(&n.base, &nets[i].base) && n.bits == nets[i].bits;
}

TEST(networks_of_peers)
{
    static const uint8_t ula[16] = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};

    begin();
    struct opened o = open_peer(0);
    put_ipv4(10, 99, 0, 2, 32);
    put_ip(AF_INET6, ula, sizeof ula, 128);
    put_ipv4(192, 168, 7, 0, 24);
    close_peer(o);
    CHECK_INT(feed(), 0);
    put_end(NLMSG_DONE, 0);
    CHECK_INT(feed(), 1);
    CHECK_INT(reader.count, 3);
    CHECK(has(0, "10.99.0.2"));
    CHECK(has(1, "fd00::2"));
    CHECK(has(2, "192.168.7.0/24"));
}

TEST(a_peer_continues_in_the_next_part)
{
    begin();
    struct opened o = open_peer(0);
    put_ipv4(10, 0, 0, 1, 32);
    close_peer(o);
    CHECK_INT(feed(), 0);
    o = open_peer(0);
    put_ipv4(10, 0, 0, 2, 32);
    close_peer(o);
    put_end(NLMSG_DONE, 0); /* in the same datagram */
    CHECK_INT(feed(), 1);
    CHECK_INT(reader.count, 2);
    CHECK(has(1, "10.0.0.2"));
}

TEST(no_peers_is_not_an_error)
{
    begin();
    struct opened o = open_peer(0);
    close_peer(o);
    CHECK_INT(feed(), 0);
    put_end(NLMSG_DONE, 0);
    CHECK_INT(feed(), 1);
    CHECK_INT(reader.count, 0);
}

TEST(too_many_and_too_wide_are_counted)
{
    static const uint8_t any[16] = {0};

    begin();
    struct opened o = open_peer(0);
    put_ipv4(0, 0, 0, 0, 0);
    put_ipv4(128, 0, 0, 0, 1);
    put_ip(AF_INET6, any, sizeof any, 0);
    for (uint8_t i = 0; i < 7; i++)
        put_ipv4(10, 0, 0, i, 32);
    close_peer(o);
    CHECK_INT(feed(), 0);
    CHECK_INT(reader.too_wide, 3);
    CHECK_INT(reader.count, 4);
    CHECK_INT(reader.left_out, 3);
    CHECK(has(0, "10.0.0.0"));
}

TEST(kernel_errors)
{
    begin();
    put_end(NLMSG_ERROR, -ENODEV);
    CHECK_INT(feed(), NEFIA_EIO);
    CHECK_INT(dump.answer.error, ENODEV);
    begin();
    put_end(NLMSG_DONE, -EPERM);
    CHECK_INT(feed(), NEFIA_EIO);
    CHECK_INT(dump.answer.error, EPERM);
    begin();
    put_end(NLMSG_ERROR, 0); /* an acknowledgement */
    CHECK_INT(feed(), 1);
    begin();
    put_end(NLMSG_ERROR, INT32_MIN);
    CHECK_INT(feed(), NEFIA_EIO);
    CHECK_INT(dump.answer.error, EPROTO);
}

TEST(the_family_is_found)
{
    const uint16_t id = 42;

    begin();
    dump.family = 0;
    size_t m = open_message(GENL_ID_CTRL, 0, SEQUENCE);
    put_generic(CTRL_CMD_NEWFAMILY);
    put(CTRL_ATTR_FAMILY_NAME, "wireguard", 10);
    put(CTRL_ATTR_FAMILY_ID, &id, sizeof id);
    close_message(m);
    CHECK_INT(feed(), 1);
    CHECK_INT(dump.family, 42);
    begin();
    dump.family = 0;
    m = open_message(GENL_ID_CTRL, 0, SEQUENCE);
    put_generic(CTRL_CMD_NEWFAMILY);
    close_message(m);
    CHECK_INT(feed(), NEFIA_ESYNTAX);
}

TEST(foreign_responses_and_changes)
{
    begin();
    size_t m = open_message(FAMILY, 0, SEQUENCE + 1);
    put_generic(WG_CMD_GET_DEVICE);
    close_message(m);
    put_end(NLMSG_NOOP, 0);
    CHECK_INT(feed(), 0);
    CHECK(!dump.answer.interrupted);
    struct opened o = open_peer(NLM_F_DUMP_INTR);
    close_peer(o);
    CHECK_INT(feed(), 0);
    CHECK(dump.answer.interrupted);
}

TEST(wrong_addresses_are_refused)
{
    static const uint8_t ip[16] = {0};
    static const struct {
        uint16_t family;
        size_t n;
        uint8_t bits;
    } wrong[] = {{AF_INET, 4, 33},   {AF_INET, 3, 24},  {AF_INET, 16, 24}, {AF_INET6, 16, 129},
                 {AF_INET6, 4, 32},  {AF_UNIX, 4, 32},  {0, 0, 0},         {0x0202, 4, 32},
                 {AF_INET, 4, 0xff}};

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        begin();
        struct opened o = open_peer(0);
        put_ip(wrong[i].family, ip, wrong[i].n, wrong[i].bits);
        close_peer(o);
        CHECK_INT(feed(), NEFIA_ESYNTAX);
    }
}

TEST(every_prefix_and_every_byte)
{
    static uint8_t whole[sizeof bytes];

    begin();
    struct opened o = open_peer(0);
    put_ipv4(10, 99, 0, 2, 32);
    close_peer(o);
    put_end(NLMSG_DONE, 0);
    const size_t n = len;
    memcpy(whole, bytes, n);
    for (size_t cut = 1; cut < n; cut++) {
        begin();
        /* At the end of the buffer, where the sanitizer detects an over-read. */
        memcpy(bytes + sizeof bytes - cut, whole, cut);
        int r = wireguard_feed(&dump, bytes + sizeof bytes - cut, cut);
        CHECK(r == NEFIA_ESYNTAX || r == 0);
    }
    for (size_t i = 0; i < n; i++)
        for (unsigned v = 0; v < 256; v += 5) {
            begin();
            memcpy(bytes, whole, n);
            bytes[i] = (uint8_t)v;
            (void)wireguard_feed(&dump, bytes, n);
            CHECK(reader.count <= 1);
        }
}

/** RFC 4648 by another's hand: of 0, 1, 2 … 31, and of 255 only. */
TEST(keys_in_base64)
{
    static const char counted[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    char text[WIREGUARD_KEY_TEXT];
    uint8_t key[WIREGUARD_KEY];

    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    wireguard_key_text(text, key);
    CHECK_STR(text, counted);
    CHECK(wireguard_is_key(text));
    memset(key, 0xff, sizeof key);
    wireguard_key_text(text, key);
    CHECK_STR(text, "//////////////////////////////////////////8=");
    CHECK(wireguard_is_key(text));
    CHECK(!wireguard_is_key(""));
    CHECK(!wireguard_is_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"));   /* no padding */
    CHECK(!wireguard_is_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=="));
    CHECK(!wireguard_is_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9="));  /* surplus bits */
    CHECK(!wireguard_is_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A"));
    CHECK(!wireguard_is_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg=="));  /* 31 bytes */
    CHECK(!wireguard_is_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka xwdHh8="));
    CHECK(!wireguard_is_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka-xwdHh8="));
}

static unsigned taken;

static int give_up(void *arg, const struct wireguard_peer *p)
{
    (void)arg;
    return p && ++taken == 2 ? NEFIA_EFULL : 0;
}

TEST(a_peer_has_its_attributes_and_may_be_refused)
{
    begin();
    dump.on_peer = give_up;
    taken = 0;
    for (int i = 0; i < 3; i++) {
        struct opened o = open_peer(0);
        close_peer(o);
    }
    CHECK_INT(feed(), NEFIA_EFULL);
    CHECK_INT(taken, 2);
    begin(); /* one without a key */
    size_t m = open_message(FAMILY, NLM_F_MULTI, SEQUENCE);
    put_generic(WG_CMD_GET_DEVICE);
    size_t peers = open_attribute(WGDEVICE_A_PEERS | NLA_F_NESTED), peer = open_attribute(NLA_F_NESTED);
    put(WGPEER_A_PUBLIC_KEY, "short", 5);
    close_attribute(peer);
    close_attribute(peers);
    close_message(m);
    CHECK_INT(feed(), NEFIA_ESYNTAX);
}

TEST(names_of_interfaces)
{
    CHECK_STR(wireguard_interface("wireguard:wg0"), "wg0");
    CHECK_STR(wireguard_interface("wireguard:123456789012345"), "123456789012345");
    CHECK(!wireguard_interface("wireguard:1234567890123456"));
    CHECK(!wireguard_interface("wireguard:"));
    CHECK(!wireguard_interface("wireguard"));
    CHECK(!wireguard_interface("wg0"));
    CHECK(!wireguard_interface("wireguard:a/b"));
    CHECK(!wireguard_interface("wireguard:a b"));
}

TEST(a_missing_interface_is_named_with_a_remedy)
{
    static char work[WIREGUARD_WORK], said[200];
    struct text why;

    text_init(&why, said, sizeof said);
    begin();
    memset(work, 'x', sizeof work);
    CHECK(wireguard_read(&reader, "nefia-none", work, &why) < 0);
    CHECK(why.len > 0);
    CHECK_INT(reader.count, 0);
    CHECK_INT(work[0] | work[sizeof work - 1], 0);
}

TEST_MAIN(networks_of_peers, a_peer_continues_in_the_next_part, no_peers_is_not_an_error,
          too_many_and_too_wide_are_counted, kernel_errors, the_family_is_found,
          foreign_responses_and_changes, wrong_addresses_are_refused, every_prefix_and_every_byte,
          keys_in_base64, a_peer_has_its_attributes_and_may_be_refused, names_of_interfaces, a_missing_interface_is_named_with_a_remedy)
