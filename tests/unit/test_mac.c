#include "nefia/crypto/mac.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "nefia/base/err.h"

/* The read of the program under test: after `fails_after` calls (0: never) it fails. */
static unsigned fails_after;
static const volatile char *read_into;

ssize_t read(int fd, void *buf, size_t count)
{
    if (fails_after > 0 && --fails_after == 0) {
        errno = EIO;
        return -1;
    }
    if (fails_after > 0)
        read_into = buf;
    return syscall(SYS_read, fd, buf, count);
}

static char dir[] = "/tmp/nefia-mac-XXXXXX";
static char path[64], link_path[64];

static void make_dir(void)
{
    struct text t;

    if (path[0])
        return;
    REQUIRE(mkdtemp(dir));
    text_init(&t, path, sizeof path);
    text_str(&t, dir);
    text_str(&t, "/key");
    text_init(&t, link_path, sizeof link_path);
    text_str(&t, dir);
    text_str(&t, "/link");
}

static void put_file(const char *p, const char *bytes, size_t len, mode_t mode)
{
    int fd;

    unlink(p);
    fd = open(p, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, len), len);
    fchmod(fd, mode);
    close(fd);
}

/* The vectors come from RFC 4231; their keys that are shorter than 16 bytes cannot be used here. */
static void check_vector(const void *key, size_t key_len, const void *data, size_t len,
                         const char *want)
{
    struct mac_key k = {0};
    char hex[MAC_HEX + 1] = "";

    REQUIRE(mac_key_set(&k, key, key_len) == 0);
    mac_sign_hex(&k, data, len, hex);
    CHECK_STR(hex, want);
    CHECK_INT(mac_verify_hex(&k, data, len, want, MAC_HEX), 0);
    /* A key is used again and again. */
    mac_sign_hex(&k, data, len, hex);
    CHECK_STR(hex, want);
}

TEST(rfc4231_vectors)
{
    unsigned char key[131], data[50];

    memset(key, 0x0b, 20);
    check_vector(key, 20, "Hi There", 8,
                 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    check_vector(key, 20, data, 50,
                 "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    check_vector(key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
                 "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(refuses_malformed_signatures)
{
    struct mac_key k = {0};
    char hex[MAC_HEX + 1] = "", bad[MAC_HEX + 2];

    REQUIRE(mac_key_set(&k, "0123456789abcdef", 16) == 0);
    mac_sign_hex(&k, "line", 4, hex);
    CHECK_INT(mac_verify_hex(&k, "line", 4, hex, MAC_HEX), 0);
    CHECK_INT(mac_verify_hex(&k, "linf", 4, hex, MAC_HEX), NEFIA_EAUTH);
    CHECK_INT(mac_verify_hex(&k, "line", 3, hex, MAC_HEX), NEFIA_EAUTH);
    CHECK_INT(mac_verify_hex(&k, "line", 4, hex, MAC_HEX - 1), NEFIA_EINVAL);
    CHECK_INT(mac_verify_hex(&k, "line", 4, hex, MAC_HEX + 1), NEFIA_EINVAL);
    CHECK_INT(mac_verify_hex(&k, "line", 4, hex, 0), NEFIA_EINVAL);
    for (size_t i = 0; i < MAC_HEX; i++) {
        memcpy(bad, hex, sizeof hex);
        bad[i] = bad[i] == '0' ? '1' : '0';
        CHECK_INT(mac_verify_hex(&k, "line", 4, bad, MAC_HEX), NEFIA_EAUTH);
        bad[i] = 'A'; /* upper case is malformed, not wrong */
        CHECK_INT(mac_verify_hex(&k, "line", 4, bad, MAC_HEX), NEFIA_EINVAL);
    }
}

TEST(key_length_is_bounded)
{
    struct mac_key k = {0};
    char key[MAC_KEY_MAX + 1] = "";

    CHECK_INT(mac_key_set(&k, key, MAC_KEY_MIN - 1), NEFIA_EINVAL);
    CHECK_INT(mac_key_set(&k, key, MAC_KEY_MAX + 1), NEFIA_EINVAL);
    CHECK(!k.set);
    CHECK_INT(mac_key_set(&k, key, MAC_KEY_MIN), 0);
    CHECK_INT(mac_key_set(&k, key, MAC_KEY_MAX), 0);
    CHECK(k.set);
    mac_key_wipe(&k);
    CHECK(!k.set);
    for (size_t i = 0; i < sizeof k; i++)
        CHECK_INT(((const unsigned char *)&k)[i], 0);
}

static void check_load(const char *bytes, size_t len, mode_t mode, int want, const char *says)
{
    struct mac_key k = {0};
    char buf[200];
    struct text why;

    text_init(&why, buf, sizeof buf);
    put_file(path, bytes, len, mode);
    CHECK_INT(mac_key_load(&k, path, &why), want);
    CHECK_INT(k.set, want == 0);
    if (says) {
        CHECK(strstr(buf, path) == buf);
        CHECK(strstr(buf, says));
    } else {
        CHECK_STR(buf, "");
    }
}

TEST(loads_a_key_from_a_file)
{
    static const char long_key[MAC_KEY_MAX + 3] = "k";
    struct mac_key a = {0}, b = {0};
    char hex[2][MAC_HEX];

    make_dir();
    check_load("0123456789abcdef", 16, 0600, 0, NULL);
    check_load("0123456789abcdef\n", 17, 0400, 0, NULL);
    check_load("0123456789abcdef\r\n", 18, 0640, 0, NULL);
    check_load("0123456789abcde\n", 16, 0600, NEFIA_EINVAL, "not 16 to 256 bytes");
    check_load("", 0, 0600, NEFIA_EINVAL, "not 16 to 256 bytes");
    check_load(long_key, MAC_KEY_MAX, 0600, 0, NULL);
    check_load(long_key, MAC_KEY_MAX + 1, 0600, NEFIA_EINVAL, "not 16 to 256 bytes");
    check_load("0123456789abcdef", 16, 0644, NEFIA_EAUTH, "chmod 600 /tmp/nefia-mac-");
    check_load("0123456789abcdef", 16, 0601, NEFIA_EAUTH, "chmod 600");

    /* Exactly one newline is left out. */
    put_file(path, "0123456789abcdef\n\n", 18, 0600);
    CHECK_INT(mac_key_load(&a, path, NULL), 0);
    CHECK_INT(mac_key_set(&b, "0123456789abcdef\n", 17), 0);
    mac_sign_hex(&a, "x", 1, hex[0]);
    mac_sign_hex(&b, "x", 1, hex[1]);
    CHECK_MEM(hex[0], hex[1], MAC_HEX);
}

TEST(follows_links_and_refuses_other_file_types)
{
    struct mac_key k = {0};
    char buf[200];
    struct text why;

    make_dir();
    text_init(&why, buf, sizeof buf);
    put_file(path, "0123456789abcdef", 16, 0600);
    unlink(link_path);
    REQUIRE(symlink(path, link_path) == 0);
    CHECK_INT(mac_key_load(&k, link_path, NULL), 0);
    chmod(path, 0604);
    CHECK_INT(mac_key_load(&k, link_path, NULL), NEFIA_EAUTH);
    CHECK_INT(mac_key_load(&k, dir, &why), NEFIA_EINVAL);
    CHECK(strstr(buf, "not a regular file"));
    unlink(path);
    REQUIRE(mkfifo(path, 0600) == 0);
    CHECK_INT(mac_key_load(&k, path, NULL), NEFIA_EINVAL);
    unlink(path);
    text_reset(&why);
    CHECK_INT(mac_key_load(&k, path, &why), NEFIA_EIO);
    CHECK(strstr(buf, "No such file"));
    unlink(link_path);
}

TEST(partially_read_key_is_wiped)
{
    struct mac_key k = {0};
    char left[16];
    char buf[200];
    struct text why;

    make_dir();
    text_init(&why, buf, sizeof buf);
    put_file(path, "0123456789abcdef", sizeof left, 0600);
    fails_after = 2;
    int err = mac_key_load(&k, path, &why);
    for (size_t i = 0; i < sizeof left; i++)
        left[i] = read_into[i];
    CHECK_INT(err, NEFIA_EIO);
    CHECK_INT(fails_after, 0);
    CHECK(!k.set);
    CHECK(strstr(buf, "cannot read the key file"));
    CHECK(memcmp(left, "0123456789abcdef", sizeof left) != 0);
    unlink(path);
}

TEST(cleaned_up)
{
    if (path[0]) {
        unlink(path);
        CHECK_INT(rmdir(dir), 0);
    }
    CHECK(true);
}

TEST_MAIN(rfc4231_vectors, refuses_malformed_signatures, key_length_is_bounded,
          loads_a_key_from_a_file, follows_links_and_refuses_other_file_types,
          partially_read_key_is_wiped, cleaned_up)
