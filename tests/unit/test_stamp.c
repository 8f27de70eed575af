#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/sys/stamp.h"

TEST(when_a_message_was_received)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    uint32_t stamp = 0;
    char byte = 1;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    REQUIRE(bind(fd, (struct sockaddr *)&a, len) == 0 && getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    int err = stamp_received(fd, &stamp);
    CHECK(err == NEFIA_ENOTFOUND || err == NEFIA_ENOTSUP); /* a kernel before 5.1, or one that is emulated */
    for (int i = 0; i < 3 && err == NEFIA_ENOTFOUND; i++) {
        const uint32_t before = stamp_now();
        REQUIRE(sendto(fd, &byte, 1, 0, (struct sockaddr *)&a, len) == 1);
        REQUIRE(recv(fd, &byte, 1, 0) == 1);
        CHECK_INT(stamp_received(fd, &stamp), 0);
        CHECK(stamp - before <= stamp_now() - before);
    }
    close(fd);
}

TEST(of_what_nothing_is_received)
{
    uint32_t stamp;
    int ends[2];

    REQUIRE(pipe(ends) == 0);
    CHECK_INT(stamp_received(ends[0], &stamp), NEFIA_ENOTSUP);
    close(ends[0]);
    close(ends[1]);
    CHECK_INT(stamp_received(-1, &stamp), NEFIA_ENOTSUP);
}

TEST_MAIN(when_a_message_was_received, of_what_nothing_is_received)
