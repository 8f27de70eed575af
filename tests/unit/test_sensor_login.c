#include <stdio.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

enum { SOURCES = 16 }; /* as the sensor remembers */

static struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

static void begin(const char *configuration)
{
    fix_init();
    fix_print_lines();
    CHECK_INT(fix_load(configuration), 0);
    sensor_runner_switch_once(&fix.sensor_runner);
    sensor_runner_run(sensor());
}

static void end(void)
{
    sensor_runner_stop(&fix.sensor_runner);
}

/** As if the command that it follows had printed the line. */
static void say(const char *line)
{
    fix.count = 0;
    fix.sensor_followed[0].line(sensor()->common, sensor(), line, strlen(line));
}

/** Its event's type and data. */
static int says(const char *line, const char *type, const char *data)
{
    char part[512];

    say(line);
    snprintf(part, sizeof part, "\"type\":\"login.%s\",\"source\":\"login-beacon\"", type);
    int fine = fix.count == 1 && fix_has(0, part) && fix_has(0, data);
    if (!fine)
        check_puts(fix.count ? fix.printed[0] : "no event"), check_puts("\n");
    return fine;
}

static int silent(const char *line)
{
    say(line);
    return fix.count == 0;
}

#define MANY "{\"login\": {\"log\": \"logread\", \"failures\": 100}}"
#define FILE_LINE "Nov 26 05:28:21 gw "
#define LOGREAD_LINE "Thu Nov 26 05:28:21 2026 authpriv.notice "

/* OpenSSH 9.2, as it wrote them. */
TEST(openssh)
{
    begin(MANY);
    CHECK(says(FILE_LINE "sshd[21222]: Failed password for root from 127.0.0.1 port 47686 ssh2", "failed",
               "\"data\":{\"user\":\"root\",\"address\":\"127.0.0.1\",\"service\":\"sshd\","
               "\"method\":\"password\",\"failures\":1}"));
    CHECK(fix_has(0, "\"severity\":\"warning\""));
    CHECK(silent(FILE_LINE "sshd[21222]: Connection closed by authenticating user root 127.0.0.1 port 47686 [preauth]"));
    CHECK(says(FILE_LINE "sshd[21292]: Accepted publickey for root from ::1 port 34236 ssh2: ED25519 "
                         "SHA256:/bET/kx4Jmdy2pQY06UVAnMIWnU7ghr9jXFUw1gsLh0",
               "succeeded", "\"data\":{\"user\":\"root\",\"address\":\"::1\",\"service\":\"sshd\","
                            "\"method\":\"publickey\",\"failures\":0}"));
    CHECK(fix_has(0, "\"severity\":\"info\""));
    CHECK(says(FILE_LINE "sshd[21222]: Accepted password for root from 127.0.0.1 port 47686 ssh2", "succeeded",
               "\"failures\":1}")); /* after one that failed */
    CHECK(silent(FILE_LINE "sshd[21292]: Received disconnect from ::1 port 34236:11: disconnected by user"));
    CHECK(says(FILE_LINE "sshd[21299]: Invalid user nobody9 from 127.0.0.1 port 47704", "failed",
               "\"data\":{\"user\":\"nobody9\",\"address\":\"127.0.0.1\",\"service\":\"sshd\",\"failures\":2}"));
    CHECK(silent(FILE_LINE "sshd[21299]: Failed password for invalid user nobody9 from 127.0.0.1 port 47704 ssh2"));
    CHECK(silent(FILE_LINE "sshd[21299]: Failed none for root from 127.0.0.1 port 47704 ssh2"));
    CHECK(says(FILE_LINE "sshd[21309]: Invalid user  from ::1 port 34250", "failed",
               "\"data\":{\"address\":\"::1\""));
    CHECK(says(FILE_LINE "sshd-session[9]: Failed keyboard-interactive/pam for root from 192.0.2.7 port 1 ssh2",
               "failed", "\"method\":\"keyboard-interactive/pam\"")); /* 9.8 and later */
    CHECK(says("2026-11-26T05:28:21.123456+00:00 gw sshd[1]: Failed password for root from 192.0.2.8 port 1 ssh2",
               "failed", "192.0.2.8"));
    CHECK(says(FILE_LINE "sshd[1]: Invalid user admin from 192.0.2.9", "failed",
               "\"user\":\"admin\",\"address\":\"192.0.2.9\"")); /* 7.2 and before */
    end();
}

/* dropbear 2022.83, as it wrote them, and what others write. */
TEST(dropbear)
{
    begin(MANY);
    CHECK(says(FILE_LINE "dropbear[21320]: Bad password attempt for 'root' from 127.0.0.1:58438", "failed",
               "\"data\":{\"user\":\"root\",\"address\":\"127.0.0.1\",\"service\":\"dropbear\","
               "\"method\":\"password\",\"failures\":1}"));
    CHECK(silent(FILE_LINE "dropbear[21320]: Exit before auth from <127.0.0.1:58438>: (user 'root', 1 fails): Exited normally"));
    CHECK(says(FILE_LINE "dropbear[21328]: Pubkey auth succeeded for 'root' with ssh-ed25519 key "
                         "SHA256:/bET/kx4Jmdy2pQY06UVAnMIWnU7ghr9jXFUw1gsLh0 from ::1:53332",
               "succeeded", "\"data\":{\"user\":\"root\",\"address\":\"::1\",\"service\":\"dropbear\","
                            "\"method\":\"publickey\""));
    CHECK(says(LOGREAD_LINE "dropbear[54]: Password auth succeeded for 'root' from 192.168.1.7:54096",
               "succeeded", "\"user\":\"root\",\"address\":\"192.168.1.7\",\"service\":\"dropbear\",\"method\":\"password\""));
    CHECK(says(LOGREAD_LINE "dropbear[54]: Auth succeeded with blank password for 'root' from ::ffff:10.0.0.1:51944",
               "succeeded", "\"address\":\"10.0.0.1\""));
    CHECK(says("Wed Jan  1 00:00:00 2027 [1800000000.123] authpriv.notice dropbear[321]: Pubkey auth succeeded for "
               "'alice' with key sha1!! d4:04:1f:f8:08:bc:03:c4:79:7b:38:bb:f2:e9:ff:f6:bb:39:bf:d9 from 192.0.2.4:50123",
               "succeeded", "\"user\":\"alice\",\"address\":\"192.0.2.4\""));
    CHECK(says(LOGREAD_LINE "dropbear[54]: Login attempt for nonexistent user from 192.0.2.1:4444", "failed",
               "\"data\":{\"address\":\"192.0.2.1\",\"service\":\"dropbear\",\"failures\":1}"));
    end();
}

TEST(dropbear_says_later_from_where)
{
    begin(MANY);
    CHECK(silent(FILE_LINE "dropbear[21332]: Login attempt for nonexistent user"));
    CHECK(silent(FILE_LINE "dropbear[21331]: Exit before auth from <192.0.2.1:1>: Exited normally")); /* another one */
    CHECK(says(FILE_LINE "dropbear[21332]: Exit before auth from <127.0.0.1:58478>: Exited normally", "failed",
               "\"data\":{\"address\":\"127.0.0.1\",\"service\":\"dropbear\",\"failures\":1}"));
    CHECK(silent(FILE_LINE "dropbear[21332]: Exit before auth from <127.0.0.1:58478>: Exited normally"));
    for (int i = 0; i < 9; i++) { /* more than are remembered */
        char line[128];
        snprintf(line, sizeof line, FILE_LINE "dropbear[%d]: Login attempt for nonexistent user", i);
        CHECK(silent(line));
    }
    CHECK(silent(FILE_LINE "dropbear[0]: Exit before auth from <2001:db8::1:1>: Exited normally"));
    CHECK(says(FILE_LINE "dropbear[1]: Exit before auth from <2001:db8::1:1>: Exited normally", "failed",
               "\"address\":\"2001:db8::1\""));
    end();
}

TEST(luci)
{
    begin(MANY);
    CHECK(says("Thu Nov 26 05:28:21 2026 daemon.err uhttpd[11561]: [info] luci: failed login on / for root from 192.168.9.204",
               "failed", "\"data\":{\"user\":\"root\",\"address\":\"192.168.9.204\",\"service\":\"luci\","
                         "\"method\":\"password\",\"failures\":1}"));
    CHECK(says("Thu Nov 26 05:28:21 2026 daemon.info uhttpd[1612]: [info] luci: accepted login on /admin/status for "
               "root from fd00::2",
               "succeeded", "\"user\":\"root\",\"address\":\"fd00::2\""));
    CHECK(says("Thu Nov 26 05:28:21 2026 authpriv.info uhttpd[1]: luci: failed login on /admin for a for b from 192.0.2.3",
               "failed", "\"user\":\"a for b\",\"address\":\"192.0.2.3\""));
    CHECK(says("Thu Nov 26 05:28:21 2026 authpriv.info luci: failed login on / for  from 192.0.2.3", "failed",
               "\"data\":{\"address\":\"192.0.2.3\""));
    CHECK(silent("Thu Nov 26 05:28:21 2026 daemon.err uhttpd[1]: [info] luci: failed login on / for root from ?"));
    CHECK(silent("Thu Nov 26 05:28:21 2026 daemon.err uhttpd[1]: [info] lucy: failed login on / for root from 192.0.2.3"));
    end();
}

/* The user's name, or what another program repeats, looks like what it is not. */
TEST(forged)
{
    begin(MANY);
    CHECK(says(FILE_LINE "sshd[21303]: Invalid user x from 6.6.6.6 port 22 from 127.0.0.1 port 47720", "failed",
               "\"user\":\"x from 6.6.6.6 port 22\",\"address\":\"127.0.0.1\"")); /* a real one */
    CHECK(silent(FILE_LINE "sshd[21303]: Failed password for invalid user x from 6.6.6.6 port 22 from 127.0.0.1 port 47720 ssh2"));
    CHECK(says(FILE_LINE "sshd[1]: Invalid user root from 6.6.6.6 port 1 ssh2 from 127.0.0.1", "failed",
               "\"address\":\"127.0.0.1\""));
    CHECK(says(FILE_LINE "sshd[1]: Accepted publickey for bob from 192.0.2.1 port 5 ssh2: RSA-CERT ID a from 6.6.6.6 "
                         "port 1 ssh2 (serial 0) CA RSA SHA256:x",
               "succeeded", "\"user\":\"bob\",\"address\":\"192.0.2.1\""));
    CHECK(silent(FILE_LINE "sshd[1]: Failed password for invalid user invalid from 6.6.6.6 port 1 ssh2 from 127.0.0.1 port 1 ssh2"));
    CHECK(silent(FILE_LINE "sshd[1]: Connection closed by invalid user Accepted password for root from 6.6.6.6 port 1 ssh2 127.0.0.1 port 1 [preauth]"));
    CHECK(silent(FILE_LINE "dnsmasq-dhcp[9]: DHCPACK(br-lan) 10.0.0.2 sshd[1]: Accepted password for root from 6.6.6.6 port 1 ssh2"));
    CHECK(silent(FILE_LINE "nginx: sshd[1]: Accepted password for root from 6.6.6.6 port 1 ssh2"));
    CHECK(silent("                   sshd[1]: Accepted password for root from 6.6.6.6 port 1 ssh2"));
    CHECK(says(FILE_LINE "dropbear[7]: Login attempt for nonexistent user 'x' from 6.6.6.6:22' from 127.0.0.1:5", "failed",
               "\"address\":\"127.0.0.1\""));
    CHECK(silent(FILE_LINE "dropbear[7]: Login attempt with wrong user Password auth succeeded for 'root' from 6.6.6.6:1 from 127.0.0.1:5"));
    CHECK(says("Thu Nov 26 05:28:21 2026 daemon.err uhttpd[1]: [info] luci: failed login on / for root from 6.6.6.6 from 192.0.2.3",
               "failed", "\"user\":\"root from 6.6.6.6\",\"address\":\"192.0.2.3\""));
    /* One that was cut where it looks whole. */
    static char line[CONFIG_FOLLOW_LINE_BYTES + 1];
    memset(line, 'x', CONFIG_FOLLOW_LINE_BYTES);
    memcpy(line, FILE_LINE "sshd[1]: Invalid user ", sizeof FILE_LINE - 1 + 22);
    memcpy(line + CONFIG_FOLLOW_LINE_BYTES - 21, " from 6.6.6.6 port 22", 21);
    CHECK(silent(line));
    end();
}

TEST(names_of_any_bytes)
{
    begin(MANY);
    CHECK(says(FILE_LINE "sshd[1]: Invalid user \xff\"\\\t from 192.0.2.1 port 5", "failed",
               "\"user\":\"\xef\xbf\xbd\\\"\\\\\\t\""));
    char line[512], name[301] = {0};
    memset(name, 'u', sizeof name - 1);
    snprintf(line, sizeof line, FILE_LINE "sshd[1]: Invalid user %s from 192.0.2.1 port 5", name);
    CHECK(says(line, "failed", "\"truncated\":true"));
    CHECK(silent(""));
    CHECK(silent(":"));
    CHECK(silent("sshd:"));
    CHECK(silent("sshd: "));
    CHECK(silent("sshd: Failed "));
    CHECK(silent("sshd: Failed password for"));
    CHECK(silent("sshd: Failed password for root from"));
    CHECK(silent("sshd: Failed password for root from UNKNOWN port 65535"));
    CHECK(silent("sshd: Invalid user"));
    CHECK(silent("sshd: Invalid user from port 5"));
    CHECK(silent("uhttpd: [info]"));
    CHECK(silent("dropbear: Exit before auth from <"));
    end();
}

static const char *failed_from(int host)
{
    static char line[128];

    snprintf(line, sizeof line, FILE_LINE "sshd[1]: Failed password for root from 192.0.2.%d port 5 ssh2", host);
    return line;
}

TEST(many_from_one_address)
{
    begin("{\"login\": {\"log\": \"logread\", \"failures\": 3, \"window\": \"1m\"}}");
    CHECK(says(failed_from(1), "failed", "\"failures\":1"));
    CHECK(says(failed_from(2), "failed", "\"failures\":1"));
    CHECK(says(failed_from(1), "failed", "\"failures\":2"));
    CHECK(says(failed_from(1), "brute_force", "\"user\":\"root\",\"address\":\"192.0.2.1\""));
    CHECK(fix_has(0, "\"severity\":\"critical\"") && fix_has(0, "\"failures\":3}"));
    CHECK(says(failed_from(1), "failed", "\"failures\":1")); /* and so many again */
    fix.clock.now_ms += 61000;
    CHECK(says(failed_from(2), "failed", "\"failures\":1"));
    CHECK(says(failed_from(2), "failed", "\"failures\":2"));
    for (int i = 10; i < 10 + SOURCES; i++) {
        fix.clock.now_ms++;
        CHECK(says(failed_from(i), "failed", "\"failures\":1"));
    }
    CHECK(says(failed_from(2), "failed", "\"failures\":1")); /* the oldest had to go */
    CHECK(says(failed_from(10 + SOURCES - 1), "failed", "\"failures\":2"));
    /* One host has all addresses of a /64. */
    CHECK(says(FILE_LINE "sshd[1]: Failed password for root from 2001:db8::1 port 5 ssh2", "failed", "\"failures\":1"));
    CHECK(says(FILE_LINE "sshd[1]: Failed password for root from 2001:db8::2 port 5 ssh2", "failed", "\"failures\":2"));
    CHECK(says(FILE_LINE "sshd[1]: Failed password for root from 2001:db8::3 port 5 ssh2", "brute_force", "2001:db8::3"));
    end();
}

/** Through dedup and rate: one of a kind in its window. */
TEST(repetitions)
{
    begin(MANY);
    fix.pipeline.print = NULL;
    fix.pipeline.dedup.window_ms = 300000;
    say(FILE_LINE "sshd[1]: Invalid user a from 192.0.2.1 port 5");
    say(FILE_LINE "sshd[1]: Invalid user b from 192.0.2.1 port 5"); /* names do not make others */
    say(FILE_LINE "sshd[1]: Accepted password for a from 192.0.2.1 port 5 ssh2");
    say(FILE_LINE "sshd[1]: Accepted password for a from 192.0.2.1 port 5 ssh2");
    say(FILE_LINE "sshd[1]: Accepted password for b from 192.0.2.1 port 5 ssh2"); /* but here they do */
    CHECK_INT(fix.queued, 3);
    end();
}

TEST(configuration)
{
    fix_refused("{\"login\": {\"log\": \"syslog\"}}", "log must be logread, journald or a path");
    fix_refused("{\"login\": {\"log\": \"var/log/auth.log\"}}", "log must be logread");
    fix_refused("{\"login\": {\"failures\": 1}}", "failures");
}

/** What it follows: its first and last argument. */
static int follows(const char *configuration, const char *first, const char *last)
{
    begin(configuration);
    const char *const *argv = fix.sensor_followed[0].follow.argv;
    unsigned n = 0;
    while (argv[n])
        n++;
    int fine = n >= 2 && str_eq(argv[0], first) && str_eq(argv[n - 1], last);
    end();
    return fine;
}

/** The file that it reads, with no command. */
static int reads(const char *configuration, const char *path)
{
    begin(configuration);
    bool fine = fix.sensor_followed[0].follow.slot < 0 && sensor()->result == INSTANCE_OK;
    fake_root_remove(path);
    sensor_runner_run(sensor());
    fine = fine && sensor()->result == INSTANCE_NOT_MEASURED && strstr(sensor()->why, path) == sensor()->why;
    end();
    fake_root_put(path, "");
    return fine;
}

TEST(logs)
{
    CHECK(follows("{\"login\": {\"log\": \"logread\"}}", "/sbin/logread", "-f"));
    CHECK(follows("{\"login\": {\"log\": \"journald\"}}", "/usr/bin/journalctl", "-tdropbear"));
}

/** Without `log` it is the first that is there; with none of them the sensor says so. */
TEST(log_that_is_there)
{
    fake_root_begin();
    begin("{\"login\": {}}");
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "no system log found");
    end();
    fake_root_put("/var/log/messages", "");
    CHECK(reads("{\"login\": {}}", "/var/log/messages"));
    fake_root_put("/var/log/auth.log", "");
    CHECK(reads("{\"login\": {}}", "/var/log/auth.log"));
    fake_root_put("/run/systemd/journal/socket", "");
    CHECK(follows("{\"login\": {}}", "/usr/bin/journalctl", "-tdropbear"));
    fake_root_put("/sbin/logread", "");
    CHECK(follows("{\"login\": {}}", "/sbin/logread", "-f"));
    fake_root_end();
}

TEST_MAIN(openssh, dropbear, dropbear_says_later_from_where, luci, forged, names_of_any_bytes,
          many_from_one_address, repetitions, configuration, logs, log_that_is_there)
