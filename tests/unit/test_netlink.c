#include "nefia/net/netlink.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/bytes.h"
#include "nefia/base/err.h"

/* The kernel's own list of interfaces; that answers are wiped is looked at with it. What attributes are is
 * looked at in test_wireguard.c: an emulator need not turn all of them into the board's byte order. */
static char work[NETLINK_WORK];
static bool in_work;
static unsigned links, loopbacks;
static int answer_with;

static bool is_wiped(void)
{
    size_t i = 0;

    while (i < sizeof work && work[i] == 0)
        i++;
    while (i < sizeof work && work[i] == 'x') /* never used */
        i++;
    return i == sizeof work;
}

static int take(void *arg, uint16_t type, struct netlink_part body)
{
    struct ifinfomsg link = {0};

    CHECK(arg == &links);
    CHECK_INT(type, RTM_NEWLINK);
    in_work = body.ptr >= (const uint8_t *)work && body.ptr < (const uint8_t *)work + sizeof work;
    CHECK(body.len > sizeof link);
    if (body.len > sizeof link)
        memcpy(&link, body.ptr, sizeof link);
    loopbacks += link.ifi_type == ARPHRD_LOOPBACK;
    links++;
    return answer_with;
}

static int ask(struct netlink_answer *a, uint16_t type, size_t cap)
{
    const struct {
        struct nlmsghdr netlink;
        struct ifinfomsg link;
    } question = {.netlink = {.nlmsg_len = sizeof question,
                              .nlmsg_type = type,
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                              .nlmsg_seq = 42}};
    int fd = netlink_open(NETLINK_ROUTE);

    *a = (struct netlink_answer){.take = take, .arg = &links};
    if (fd < 0)
        return fd;
    links = loopbacks = 0;
    in_work = false;
    memset(work, 'x', sizeof work);
    int err = netlink_ask(a, fd, &question, sizeof question, work, cap);
    close(fd);
    return err;
}

TEST(the_whole_answer_is_taken_and_wiped)
{
    struct netlink_answer a;

    answer_with = 0;
    CHECK_INT(ask(&a, RTM_GETLINK, sizeof work), 0);
    CHECK(links > 0);
    CHECK_INT(loopbacks, 1);
    CHECK_INT(a.sequence, 42);
    CHECK(in_work);
    CHECK(is_wiped());
}

TEST(an_answer_given_up_is_wiped)
{
    struct netlink_answer a;

    answer_with = NEFIA_EFULL;
    CHECK_INT(ask(&a, RTM_GETLINK, sizeof work), NEFIA_EFULL);
    CHECK_INT(links, 1);
    CHECK(is_wiped());
    answer_with = 1;
    CHECK_INT(ask(&a, RTM_GETLINK, sizeof work), 0);
    CHECK_INT(links, 1);
    CHECK(is_wiped());
}

TEST(one_that_does_not_fit_is_an_error_and_wiped)
{
    struct netlink_answer a;

    answer_with = 0;
    CHECK_INT(ask(&a, RTM_GETLINK, 64), NEFIA_ESYNTAX);
    CHECK_INT(links, 0);
    CHECK(is_wiped());
}

TEST(what_the_kernel_refuses_has_its_errno)
{
    struct netlink_answer a;

    CHECK_INT(ask(&a, 4000, sizeof work), NEFIA_EIO);
    CHECK_INT(a.error, EOPNOTSUPP);
    CHECK(is_wiped());
}

TEST_MAIN(the_whole_answer_is_taken_and_wiped, an_answer_given_up_is_wiped,
          one_that_does_not_fit_is_an_error_and_wiped, what_the_kernel_refuses_has_its_errno)
