/* Arbitrary bytes as what the kernel says of a WireGuard interface and of this device's addresses, to the sensors that ask:
 * datagrams, each with a byte of its length in words before it; that of 0 ends an answer. What comes of them must be events. */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beacon_fixture.h"
#include "nefia/sys/log.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

enum { FAMILY = 31, SOCKET = 1000000, LOOKS = 4 };
#define KEY1 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define KEY2 "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
static const char configuration[] =
    "{\"sdwan_reachability\": [{\"name\": \"a\", \"interface\": \"wg0\", \"silent_after\": \"1m\", \"hubs\": ["
    "{\"public_key\": \"" KEY1 "\"}, {\"public_key\": \"" KEY2 "\", \"name\": \"b\"}]}],"
    "\"sdwan_drift\": [{\"name\": \"a\", \"interface\": \"wg0\", \"peers\": ["
    "{\"public_key\": \"" KEY1 "\", \"allowed_ips\": [\"10.1.0.0/16\", \"fd00::1\"]}, {\"public_key\": \"" KEY2 "\"}]}],"
    "\"sdwan_vip_reachability\": [{\"name\": \"a\", \"interface\": \"wg0\", \"vip\": \"10.1.0.9\", \"silent_after\": \"1m\", \"holders\": ["
    "{\"public_key\": \"" KEY1 "\"}]}]}";

/* ---- the kernel ---- */

static const unsigned char *input;
static size_t left;
static struct nlmsghdr question;

int socket(int domain, int type, int protocol)
{
    (void)type;
    (void)protocol;
    MUST(domain == AF_NETLINK);
    return SOCKET;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    (void)level;
    (void)name;
    (void)value;
    (void)len;
    MUST(fd == SOCKET);
    return 0;
}

int close(int fd)
{
    return fd == SOCKET ? 0 : (int)syscall(SYS_close, fd);
}

ssize_t sendto(int fd, const void *message, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
    (void)flags;
    (void)to;
    (void)to_len;
    MUST(fd == SOCKET && len >= sizeof question);
    memcpy(&question, message, sizeof question);
    return (ssize_t)len;
}

static size_t family(unsigned char *out)
{
    static const struct {
        struct nlmsghdr h;
        struct genlmsghdr g;
        struct nlattr a;
        uint16_t id[2];
    } answer = {.h = {.nlmsg_len = sizeof answer, .nlmsg_type = GENL_ID_CTRL},
                .g.cmd = CTRL_CMD_NEWFAMILY,
                .a = {.nla_len = 6, .nla_type = CTRL_ATTR_FAMILY_ID},
                .id = {FAMILY}};

    memcpy(out, &answer, sizeof answer);
    return sizeof answer;
}

/** The number of the question is the kernel's to say, and so is the length where one message is all. */
ssize_t recvfrom(int fd, void *restrict out, size_t cap, int flags, struct sockaddr *restrict from, socklen_t *restrict from_len)
{
    size_t len = left ? *input * (size_t)4 : 0;
    struct nlmsghdr h = {.nlmsg_len = sizeof h, .nlmsg_type = NLMSG_DONE, .nlmsg_seq = question.nlmsg_seq};

    (void)flags;
    (void)from;
    (void)from_len;
    MUST(fd == SOCKET && cap >= NETLINK_WORK);
    if (question.nlmsg_type == GENL_ID_CTRL) {
        len = family(out);
        memcpy((char *)out + offsetof(struct nlmsghdr, nlmsg_seq), &h.nlmsg_seq, sizeof h.nlmsg_seq);
        return (ssize_t)len;
    }
    if (left) {
        input++;
        left--;
    }
    len = len < left ? len : left;
    memcpy(out, input, len);
    input += len;
    left -= len;
    if (len < sizeof h) {
        memcpy(out, &h, sizeof h);
        return sizeof h;
    }
    memcpy((char *)out + offsetof(struct nlmsghdr, nlmsg_seq), &h.nlmsg_seq, sizeof h.nlmsg_seq);
    return (ssize_t)len;
}

/* ---- what comes of it ---- */

static int look_at(void *arg, const char *line, size_t len)
{
    static struct json_token tokens[64];
    char scratch[EVENT_SCRATCH];
    struct event e;

    (void)arg;
    MUST(event_decode(&e, line, len, tokens, ARRAY_SIZE(tokens), scratch, NULL) == 0);
    MUST(e.type.len > 6 && memcmp(e.type.ptr, "sdwan.", 6) == 0);
    return PIPELINE_ACCEPTED;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    log_init("fuzz", LOG_LEVEL_ERROR);
    fix_init();
    fix.pipeline.print = look_at;
    input = data;
    left = size;
    MUST(fix_start(configuration) == 3);
    const struct instance_set *set = sensor_runner_current(&fix.sensor_runner);
    for (unsigned i = 0; i < LOOKS; i++) {
        for (unsigned j = 0; j < set->count; j++)
            sensor_runner_run(&set->items[j]);
        fix.clock.now_ms += 60000;
    }
    return 0;
}
