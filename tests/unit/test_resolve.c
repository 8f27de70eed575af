#include "check.h"
#include "nefia/base/err.h"
#include "nefia/sys/file.h"
#include "nefia/net/resolve.h"

static struct addr out[4];

/* The device's files: /etc/hosts is `hosts`, longer than what is read; no other files
 * exist. */
static const char *hosts;

long file_read(const char *path, void *buf, size_t cap)
{
    if (!hosts || strcmp(path, "/etc/hosts") != 0)
        return NEFIA_ENOTFOUND;
    size_t len = strlen(hosts);
    memset(buf, '#', cap);
    ((char *)buf)[cap - len - 1] = '\n';
    memcpy((char *)buf + cap - len, hosts, len);
    return NEFIA_ETOOBIG;
}

static const char *text_of(const struct addr *a)
{
    static struct addr_words words;

    words = addr_words(a);
    return words.text;
}

TEST(hosts_files)
{
    static const char text[] = "# a comment\n127.0.0.1 localhost\n\n::1\tlocalhost ip6-localhost\n"
                               "10.0.0.7   Hub.Lan hub # the hub\nnonsense hub\n10.0.0.8 other hub";

    CHECK_INT(resolve_hosts(text, sizeof text - 1, "localhost", out, 4), 2);
    CHECK_STR(text_of(&out[0]), "127.0.0.1:1");
    CHECK_INT(resolve_hosts(text, sizeof text - 1, "hub.lan", out, 4), 1);
    CHECK_INT(resolve_hosts(text, sizeof text - 1, "HUB", out, 4), 2);
    CHECK_STR(text_of(&out[1]), "10.0.0.8:1");
    CHECK_INT(resolve_hosts(text, sizeof text - 1, "HUB", out, 1), 1);
    CHECK_INT(resolve_hosts(text, sizeof text - 1, "hu", out, 4), 0);
    CHECK_INT(resolve_hosts(text, sizeof text - 1, "comment", out, 4), 0);
    CHECK_INT(resolve_hosts("", 0, "hub", out, 4), 0);
}

TEST(resolv_conf)
{
    static const char text[] = "search lan\nnameserver 192.0.2.1\nnameserver\n#nameserver "
                               "192.0.2.9\n nameserver 2001:db8::1 \n"
                               "options x\nnameserver bad\nnameserver 192.0.2.2";

    CHECK_INT(resolve_servers(text, sizeof text - 1, out, 4), 3);
    CHECK_STR(text_of(&out[0]), "192.0.2.1:53");
    CHECK_STR(text_of(&out[1]), "[2001:db8::1]:53");
    CHECK_STR(text_of(&out[2]), "192.0.2.2:53");
}

TEST(queries)
{
    static const uint8_t want[] = {0x12, 0x34, 1,   0, 0,   1,   0,   0, 0, 0, 0, 0, 3,
                                   'h',  'u',  'b', 3, 'l', 'a', 'n', 0, 0, 1, 0, 1};
    uint8_t msg[DNS_MESSAGE];
    char name[300];

    CHECK_INT(dns_query(msg, 0x1234, "hub.lan", DNS_A), sizeof want);
    CHECK_MEM(msg, want, sizeof want);
    CHECK_INT(dns_query(msg, 0x1234, "hub.lan.", DNS_A), sizeof want);
    CHECK_INT(dns_query(msg, 1, "", DNS_A), NEFIA_EINVAL);
    CHECK_INT(dns_query(msg, 1, ".", DNS_A), NEFIA_EINVAL);
    CHECK_INT(dns_query(msg, 1, "a..b", DNS_A), NEFIA_EINVAL);
    memset(name, 'a', sizeof name);
    name[64] = '\0';
    CHECK_INT(dns_query(msg, 1, name, DNS_A), NEFIA_EINVAL);
    name[63] = '\0';
    CHECK_INT(dns_query(msg, 1, name, DNS_A), 12 + 65 + 4);
    memset(name, 'a', sizeof name);
    for (int i = 50; i < 300; i += 50)
        name[i] = '.';
    name[254] = '\0';
    CHECK_INT(dns_query(msg, 1, name, DNS_A), NEFIA_EINVAL);
}

/* hub.lan is an alias of box.lan, which has 10.0.0.7; then an address of another kind. */
static const uint8_t answer[] = {
    0x12, 0x34, 0x81, 0x80, 0, 1,   0,   3,   0, 0,  0, 0,    /* header */
    3,    'H',  'u',  'b',  3, 'l', 'a', 'n', 0, 0,  1, 0, 1, /* question */
    0xC0, 12,   0,    5,    0, 1,   0,   0,   0, 60, 0, 6, 3,  'b', 'o', 'x', 0xC0, 16, /* CNAME */
    0xC0, 37,   0,    1,    0, 1,   0,   0,   0, 60, 0, 4, 10, 0,   0,   7,             /* A */
    0xC0, 37,   0,    28,   0, 1,   0,   0,   0, 60, 0, 4, 1,  2,   3,   4, /* AAAA, of a wrong
                                                                               length */
};

TEST(answers)
{
    uint8_t msg[sizeof answer];

    CHECK_INT(dns_answer(answer, sizeof answer, 0x1234, "hub.lan", DNS_A, out, 4), 1);
    CHECK_STR(text_of(&out[0]), "10.0.0.7");
    CHECK_INT(dns_answer(answer, sizeof answer, 0x1235, "hub.lan", DNS_A, out, 4), NEFIA_EAGAIN);
    CHECK_INT(dns_answer(answer, sizeof answer, 0x1234, "hub.lam", DNS_A, out, 4), NEFIA_EAGAIN);
    CHECK_INT(dns_answer(answer, sizeof answer, 0x1234, "hub.lan", DNS_AAAA, out, 4), NEFIA_EAGAIN);
    memcpy(msg, answer, sizeof msg);
    msg[3] = 0x83;
    CHECK_INT(dns_answer(msg, sizeof msg, 0x1234, "hub.lan", DNS_A, out, 4), NEFIA_ENOTFOUND);
    msg[3] = 0x82;
    CHECK_INT(dns_answer(msg, sizeof msg, 0x1234, "hub.lan", DNS_A, out, 4), NEFIA_EIO);
    msg[2] = 0x01;
    CHECK_INT(dns_answer(msg, sizeof msg, 0x1234, "hub.lan", DNS_A, out, 4), NEFIA_EAGAIN);
}

TEST(truncated_and_corrupted_responses)
{
    for (size_t len = 0; len < sizeof answer; len++) {
        uint8_t msg[sizeof answer];
        uint8_t *end = msg + sizeof msg - len; /* reads past the end are past the array */
        memcpy(end, answer, len);
        CHECK(dns_answer(end, len, 0x1234, "hub.lan", DNS_A, out, 4) <= 1);
    }
    for (size_t i = 0; i < sizeof answer; i++)
        for (unsigned v = 0; v < 256; v++) {
            uint8_t msg[sizeof answer];
            memcpy(msg, answer, sizeof msg);
            msg[i] = (uint8_t)v;
            CHECK(dns_answer(msg, sizeof msg, 0x1234, "hub.lan", DNS_A, out, 4) <= 4);
        }
}

TEST(numbers_need_no_server)
{
    CHECK_INT(resolve("192.0.2.7", 8080, out, 4), 1);
    CHECK_STR(text_of(&out[0]), "192.0.2.7:8080");
    CHECK_INT(resolve("2001:db8::7", 80, out, 4), 1);
    CHECK_STR(text_of(&out[0]), "[2001:db8::7]:80");
}

TEST(incomplete_last_line_is_ignored)
{
    hosts = "192.0.2.1 hub.example\n192.0.2.2 hub.exam";
    CHECK_INT(resolve("hub.example", 9500, out, 4), 1);
    CHECK_STR(text_of(&out[0]), "192.0.2.1:9500");
    CHECK(resolve("hub.exam", 9500, out, 4) < 0); /* it may be the start of a longer name */
    hosts = NULL;
}

TEST_MAIN(hosts_files, incomplete_last_line_is_ignored, resolv_conf, queries, answers, truncated_and_corrupted_responses,
          numbers_need_no_server)
