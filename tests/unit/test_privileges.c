#include "nefia/sys/privileges.h"

#include "check.h"
#include "nefia/base/err.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "nefia:x:1200:1300:events,,,:/:/bin/false\n"
                             "nef:x:1:2::/:\n"
                             "broken:x:abc:5::/:\n"
                             "short:x\n"
                             "1500:x:7:8::/:\n"
                             "last:x:4000000000:9";
static const char group[] = "root:x:0:\nadm:x:4:nefia,root\nlast:x:99:";

static char said[200];

static int parse_in(struct privileges *p, const char *value, const char *users)
{
    struct text why;

    text_init(&why, said, sizeof said);
    return privileges_parse(p, value, (struct slice){users, strlen(users)},
                            (struct slice){group, sizeof group - 1}, &why);
}

static int parse(struct privileges *p, const char *value)
{
    return parse_in(p, value, passwd);
}

static void check_is(const char *value, uid_t uid, gid_t gid)
{
    struct privileges p;

    REQUIRE(parse(&p, value) == 0);
    CHECK_STR(p.name, value);
    CHECK_INT(p.uid, uid);
    CHECK_INT(p.gid, gid);
    CHECK_STR(said, "");
}

static void check_refused(const char *value, const char *why)
{
    struct privileges p;

    CHECK_INT(parse(&p, value), NEFIA_ENOTFOUND);
    CHECK_STR(said, why);
}

TEST(users_by_name_and_number)
{
    check_is("nefia", 1200, 1300);
    check_is("nef", 1, 2);
    check_is("root", 0, 0);
    check_is("last", 4000000000u, 9);
    check_is("1200", 1200, 1300);
    check_is("0", 0, 0);
}

TEST(groups_by_name_and_number)
{
    check_is("nefia:adm", 1200, 4);
    check_is("nefia:last", 1200, 99);
    check_is("1200:7", 1200, 7);
    check_is("55:66", 55, 66);
    check_is("55:adm", 55, 4);
}

TEST(missing_entries_are_named)
{
    check_refused("nobody", "no such user in /etc/passwd: nobody");
    check_refused("nefi", "no such user in /etc/passwd: nefi");
    check_refused("", "no such user in /etc/passwd: ");
    check_refused(":adm", "no such user in /etc/passwd: :adm");
    check_refused("broken", "no such user in /etc/passwd: broken");
    check_refused("short", "no such user in /etc/passwd: short");
    check_refused("55", "not in /etc/passwd; name its group as well: 55:GROUP");
    check_refused("1500", "not in /etc/passwd; name its group as well: 1500:GROUP");
    check_refused("nefia:", "no such group in /etc/group: ");
    check_refused("nefia:wheel", "no such group in /etc/group: wheel");
    check_refused("nefia:adm:x", "no such group in /etc/group: adm:x");
    check_refused("-1", "no such user in /etc/passwd: -1");
    /* The number that means "unchanged" to the kernel, and larger ones. */
    check_refused("4294967295", "no such user in /etc/passwd: 4294967295");
    check_refused("4294967296:0", "no such user in /etc/passwd: 4294967296:0");
    check_refused("5:4294967295", "no such group in /etc/group: 4294967295");
}

TEST(arbitrary_files_are_safe)
{
    static const char *const files[] = {"", "\n\n", ":", "::::::", "nefia", "nefia:", "nefia:x:5",
                                        "nefia:x::", "x\nnefia:x:5:6"};
    struct privileges p;

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        CHECK(parse_in(&p, "nefia", files[i]) == 0 || said[0] != '\0');
    REQUIRE(parse_in(&p, "nefia", "x\nnefia:x:5:6") == 0);
    CHECK_INT(p.gid, 6);
}

TEST(another_user_is_noticed)
{
    const struct privileges none = {0}, a = {"a", 1, 2}, same = {"1:2", 1, 2}, other = {"b", 1, 3};

    CHECK(privileges_same(&none, &none));
    CHECK(privileges_same(&a, &same));
    CHECK(!privileges_same(&a, &none));
    CHECK(!privileges_same(&none, &a));
    CHECK(!privileges_same(&a, &other));
}

TEST_MAIN(users_by_name_and_number, groups_by_name_and_number, missing_entries_are_named,
          arbitrary_files_are_safe, another_user_is_noticed)
