#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "beacon_fixture.h"
#include "check.h"
#include "fake_root.h"

#define CONFIG(names, backend) \
    "{\"service_check\": {\"services\": [" names "], \"backend\": \"" backend "\"}}"

static const struct emitter *sensor(void)
{
    return &sensor_runner_current(&fix.sensor_runner)->items[0];
}

/** Without memory of its own: the heap is our programs'. */
static void set_path(const char *before)
{
    static char path[256];

    snprintf(path, sizeof path, "PATH=%s/run/bin:%s", fake_root_dir, before);
    CHECK(putenv(path) == 0);
}

/** A program that is found first in PATH: what it prints is in the file `answer` beside it, and its arguments
 * go, one call a line, into `calls`. */
static void fake_program(const char *name, const char *more)
{
    char path[256], script[512];

    snprintf(path, sizeof path, "%s/run/bin/%s", fake_root_dir, name);
    snprintf(script, sizeof script, "#!/bin/sh\necho \"$*\" >>%s/run/bin/calls\n%s\n", fake_root_dir, more);
    snprintf(path, sizeof path, "/run/bin/%s", name);
    fake_root_put(path, script);
    snprintf(path, sizeof path, "%s/run/bin/%s", fake_root_dir, name);
    CHECK(chmod(path, 0755) == 0);
    set_path("/usr/bin:/bin");
}

static void begin(void)
{
    fix_init();
    loop_on_signal(&fix.loop, fix_signal, &fix);
    fake_root_begin();
    fake_root_put("/dev/null", ""); /* the commands' standard input */
}

static void configure(const char *configuration)
{
    if (fix_load(configuration) < 0)
        check_puts(fix.reports);
    sensor_runner_switch(&fix.sensor_runner);
}

/** One look. Return: the events it made, in fix.printed. */
static unsigned look(void)
{
    struct emitter *e = &fix.sensor_runner.sets[fix.sensor_runner.current].items[0];

    timer_stop(&e->timer); /* one look, however long its commands take */
    sensor_runner_run(e);
    while (fix.sensor_runner.running > 0)
        loop_turn(&fix.loop, 100);
    unsigned n = (unsigned)fix_take();
    CHECK(!fix_take() || (fprintf(stderr, "several events: %s\n", fix.printed[0]), false));
    return n;
}

#define DATA(service, state, previous) \
    "\"data\":{\"service\":\"" service "\",\"state\":\"" state "\",\"previous_state\":\"" previous "\"}"

/** The next look makes one event with this severity and data, and no other member in data. */
#define CHANGES(severity_, data)                                                                   \
    do {                                                                                           \
        CHECK_INT(look(), 1);                                                                      \
        CHECK(fix_has(0, "\"type\":\"service.status\",\"source\":\"service-beacon\""));            \
        CHECK(fix_has(0, "\"severity\":\"" severity_ "\""));                                       \
        CHECK(fix_has(0, data));                                                                   \
        if (!fix_has(0, data))                                                                     \
            check_puts(fix.printed[0]);                                                            \
    } while (0)

/** A process that has ended, whose number nobody has taken yet. */
static int dead_pid(void)
{
    int pid = fork();

    if (pid == 0)
        _exit(0);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return pid;
}

/** A process that runs until end_process. */
static int a_process(void)
{
    int pid = fork();

    if (pid != 0)
        return pid;
    alarm(600);
    for (;;)
        pause();
}

static void end_process(int pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void put_pid(const char *path, int pid)
{
    char buf[16];

    snprintf(buf, sizeof buf, "%d\n", pid);
    fake_root_put(path, buf);
}

/* ---- pid files ---- */

TEST(pid_files_tell_what_runs)
{
    begin();
    configure(CONFIG("\"dropbear\"", "sysv"));
    int pid = a_process();
    put_pid("/var/run/dropbear.pid", pid);
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    CHECK_INT(look(), 0);
    end_process(pid);
    CHANGES("critical", DATA("dropbear", "failed", "active"));
    CHECK_INT(look(), 0);
    put_pid("/var/run/dropbear.pid", pid = a_process());
    CHANGES("info", DATA("dropbear", "active", "failed"));
    CHECK_INT(look(), 0);
    fake_root_remove("/var/run/dropbear.pid");
    end_process(pid);
    CHANGES("warning", DATA("dropbear", "inactive", "active"));
    put_pid("/var/run/dropbear.pid", pid = a_process());
    CHANGES("info", DATA("dropbear", "active", "inactive"));
    CHECK_INT(look(), 0);
    end_process(pid); /* it was restarted between two looks */
    const int next = a_process();
    put_pid("/var/run/dropbear.pid", next);
    CHECK_INT(look(), 0);
    end_process(next);
    CHANGES("critical", DATA("dropbear", "failed", "active"));
    fake_root_end();
}

TEST(pid_files_may_stand_in_a_directory_and_have_more_lines)
{
    begin();
    configure(CONFIG("\"sql\"", "sysv"));
    fake_root_put("/run/sql.pid", "999999999\n");
    CHECK_INT(look(), 0);
    char lines[64];
    snprintf(lines, sizeof lines, " %d\n/var/lib/sql\n5432\n", (int)getpid());
    fake_root_put("/run/sql/sql.pid", lines);
    CHANGES("info", DATA("sql", "active", "failed"));
    put_pid("/run/sql/sql.pid", 1); /* somebody else's process counts, too */
    CHECK_INT(look(), 0);
    fake_root_end();
}

TEST(hostile_pid_files)
{
    static const char *const contents[] = {"", "x", "-1", "99999999999999999999", "\n1"};

    begin();
    configure(CONFIG("\"a\"", "sysv"));
    for (unsigned i = 0; i < ARRAY_SIZE(contents); i++) {
        fake_root_put("/run/a.pid", contents[i]);
        CHECK_INT(look(), 0);
        CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
        CHECK_STR(sensor()->why, "a: unexpected answer");
    }
    fake_root_put("/run/a.pid", "0\n"); /* kill(2) would take it for our own group */
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    fake_root_put("/run/a.pid", "4294967297\n");
    CHECK_INT(look(), 0);
    fake_root_end();
}

/** The service's own user may make it one, to a device that does something when it is opened. */
TEST(a_pid_file_that_is_a_link_is_not_opened)
{
    begin();
    configure(CONFIG("\"a\"", "sysv"));
    put_pid("/run/elsewhere", getpid());
    fake_root_link("/run/a/a.pid", "../elsewhere");
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strncmp(sensor()->why, "/run/a/a.pid: ", 14) == 0); /* libraries differ in the words */
    fake_root_end();
}

TEST(unknown_services_are_not_measured_until_they_are_there)
{
    begin();
    configure(CONFIG("\"htttpd\"", "sysv"));
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "htttpd: unknown service");
    fake_root_put("/etc/init.d/S5htttpd", "");
    CHECK_INT(look(), 0);
    fake_root_put("/etc/init.d/S50htttpd", "");
    CHANGES("warning", DATA("htttpd", "inactive", "unknown"));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    fake_root_end();
}

TEST(a_service_that_is_off_at_first_is_inactive)
{
    begin();
    configure(CONFIG("\"a\"", "sysv"));
    fake_root_put("/etc/init.d/a", "");
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    put_pid("/run/a.pid", getpid());
    CHANGES("info", DATA("a", "active", "inactive"));
    fake_root_end();
}

/* ---- changes ---- */

TEST(what_the_rate_held_back_is_told_later)
{
    begin();
    configure(CONFIG("\"a\", \"b\"", "sysv"));
    rate_set_limit(&fix.pipeline.rate, 1);
    const int a = a_process(), b = a_process();
    put_pid("/run/a.pid", a);
    put_pid("/run/b.pid", b);
    CHECK_INT(look(), 0);
    fake_root_remove("/run/a.pid");
    fake_root_remove("/run/b.pid");
    end_process(a);
    end_process(b);
    CHANGES("warning", DATA("a", "inactive", "active"));
    CHECK_INT(look(), 0);
    fix.clock.now_ms += 61 * 1000;
    CHANGES("warning", DATA("b", "inactive", "active"));
    fix.clock.now_ms += 61 * 1000;
    CHECK_INT(look(), 0);
    fake_root_end();
}

TEST(a_reload_carries_states)
{
    begin();
    configure(CONFIG("\"a\", \"b\"", "sysv"));
    put_pid("/run/a.pid", getpid());
    put_pid("/run/b.pid", getpid());
    put_pid("/run/c.pid", getpid());
    CHECK_INT(look(), 0);
    fake_root_remove("/run/b.pid");
    fake_root_remove("/run/c.pid");
    configure(CONFIG("\"c\", \"b\"", "sysv"));
    CHANGES("warning", DATA("b", "inactive", "active"));
    configure(CONFIG("\"a\"", "sysv"));
    fake_root_remove("/run/a.pid");
    CHECK_INT(look(), 0); /* a was not watched meanwhile: this is its first look */
    fake_root_end();
}

/* ---- OpenRC ---- */

TEST(openrc)
{
    char daemon[256];

    begin();
    configure(CONFIG("\"sshd\"", "auto"));
    fake_root_put("/run/openrc/softlevel", "default\n");
    fake_root_put("/etc/init.d/sshd", "");
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    fake_root_put("/run/openrc/starting/sshd", "");
    CHANGES("info", DATA("sshd", "activating", "inactive"));
    fake_root_remove("/run/openrc/starting/sshd");
    fake_root_put("/run/openrc/started/sshd", "");
    CHANGES("info", DATA("sshd", "active", "activating"));
    snprintf(daemon, sizeof daemon, "exec=/usr/sbin/sshd\nargv_0=-f\nname=\npidfile=/run/sshd.pid\n");
    fake_root_put("/run/openrc/daemons/sshd/001", daemon);
    put_pid("/run/sshd.pid", getpid());
    CHECK_INT(look(), 0);
    put_pid("/run/sshd.pid", dead_pid());
    CHANGES("critical", DATA("sshd", "failed", "active"));
    fake_root_put("/run/openrc/daemons/sshd/001", "exec=/usr/sbin/sshd\npidfile=\n");
    CHANGES("info", DATA("sshd", "active", "failed"));
    fake_root_put("/run/openrc/daemons/sshd/001", "exec=/usr/sbin/sshd\npidfile=/run/gone.pid");
    CHANGES("critical", DATA("sshd", "failed", "active"));
    fake_root_remove("/run/openrc/started/sshd");
    fake_root_put("/run/openrc/stopping/sshd", "");
    CHANGES("warning", DATA("sshd", "deactivating", "failed"));
    fake_root_remove("/run/openrc/stopping/sshd");
    fake_root_put("/run/openrc/failed/sshd", "");
    CHANGES("critical", DATA("sshd", "failed", "deactivating"));
    fake_root_remove("/run/openrc/failed/sshd");
    CHANGES("warning", DATA("sshd", "inactive", "failed"));
    fake_root_end();
}

TEST(openrc_that_is_not_there_is_not_measured)
{
    begin();
    configure(CONFIG("\"sshd\"", "openrc"));
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "/run/openrc: No such file or directory");
    fake_root_end();
}

/** OpenRC starts after so many looks. Return: the events of the next one. */
static unsigned openrc_after(unsigned looks)
{
    begin();
    configure(CONFIG("\"sshd\"", "auto"));
    fake_root_put("/etc/init.d/sshd", "");
    while (looks-- > 0)
        CHECK_INT(look(), 0);
    fake_root_put("/run/openrc/softlevel", "default\n");
    fake_root_put("/run/openrc/started/sshd", "");
    return look();
}

TEST(a_service_manager_may_start_later)
{
    CHECK_INT(openrc_after(9), 1);
    fake_root_end();
}

TEST(a_service_manager_is_not_looked_for_for_ever)
{
    CHECK_INT(openrc_after(10), 0);
    configure(CONFIG("\"sshd\"", "auto")); /* a reload is a beginning */
    CHECK_INT(look(), 1);
    fake_root_end();
}

/* ---- runit ---- */

static void put_runit(int pid, char want, int term, int state)
{
    uint8_t s[20] = {0x40, [17] = (uint8_t)want, [18] = (uint8_t)term, [19] = (uint8_t)state};

    for (unsigned i = 0; i < 4; i++)
        s[12 + i] = (uint8_t)((unsigned)pid >> (8 * i));
    fake_root_put_bytes("/etc/service/ntp/supervise/status", s, sizeof s);
}

TEST(runit)
{
    begin();
    configure(CONFIG("\"ntp\"", "auto"));
    fake_root_put("/run/runit/stopit", "");
    CHECK_INT(look(), 0);
    CHECK_STR(sensor()->why, "ntp: unknown service");
    put_runit(getpid(), 'u', 0, 1);
    CHANGES("info", DATA("ntp", "active", "unknown"));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    put_runit(getpid(), 'd', 1, 1);
    CHANGES("warning", DATA("ntp", "deactivating", "active"));
    put_runit(0, 'd', 0, 0);
    CHANGES("warning", DATA("ntp", "inactive", "deactivating"));
    put_runit(0, 'u', 0, 0); /* ended by itself, and to be started again */
    CHANGES("critical", DATA("ntp", "failed", "inactive"));
    put_runit(getpid(), 'u', 0, 1);
    CHANGES("info", DATA("ntp", "active", "failed"));
    put_runit(getpid(), 'u', 0, 2);
    CHANGES("critical", DATA("ntp", "failed", "active"));
    put_runit(getpid(), 'd', 1, 2);
    CHANGES("warning", DATA("ntp", "deactivating", "failed"));
    put_runit(dead_pid(), 'u', 0, 1); /* runsv was killed, then the service ended */
    fix.clock.now_ms += 61 * 1000;    /* the test's rate */
    CHANGES("critical", DATA("ntp", "failed", "deactivating"));
    fake_root_put("/etc/service/ntp/supervise/status", "short");
    CHECK_INT(look(), 0);
    CHECK_STR(sensor()->why, "ntp: unexpected answer");
    fake_root_end();
}

/* ---- systemd ---- */

static void answer(const char *text)
{
    fake_root_put("/run/bin/answer", text);
}

static void with_systemd(const char *more)
{
    char script[256];

    fake_root_put("/run/systemd/system/empty", "");
    snprintf(script, sizeof script, "cat %s/run/bin/answer; %s", fake_root_dir, more);
    fake_program("systemctl", script);
}

/** What was called since the last time. */
static const char *calls(void)
{
    static char text[1024];
    int fd = open("/run/bin/calls", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    fake_root_remove("/run/bin/calls");
    return text;
}

TEST(systemd_is_asked_once_for_all)
{
    begin();
    with_systemd("exit 3");
    fake_root_put("/lib/systemd/system/b.service", "");
    configure(CONFIG("\"a\", \"b\", \"c@x\"", "auto"));
    answer("active\ninactive\nactive\n");
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    CHECK_STR(calls(), "is-active a b c@x\n");
    answer("active\ninactive\nfailed\n");
    CHANGES("critical", DATA("c@x", "failed", "active"));
    answer("active\nactivating\nfailed\n");
    CHANGES("info", DATA("b", "activating", "inactive"));
    answer("active\nactive\nfailed\n");
    CHANGES("info", DATA("b", "active", "activating"));
    answer("reloading\nactive\nfailed\n");
    CHANGES("info", DATA("a", "reloading", "active"));
    answer("deactivating\nactive\nfailed");
    CHANGES("warning", DATA("a", "deactivating", "reloading"));
    answer("inactive\nactive\nfailed\n"); /* its unit file has been removed with it */
    CHANGES("warning", DATA("a", "inactive", "deactivating"));
    answer("maintenance\nactive\nfailed\n");
    CHANGES("warning", DATA("a", "maintenance", "inactive"));
    fake_root_end();
}

TEST(systemd_calls_what_does_not_exist_inactive)
{
    begin();
    with_systemd("exit 3");
    configure(CONFIG("\"ngninx\"", "systemd"));
    answer("inactive\n");
    CHECK_INT(look(), 0);
    CHECK_STR(sensor()->why, "ngninx: unknown service");
    fake_root_put("/etc/systemd/system/ngninx.service", "");
    CHANGES("warning", DATA("ngninx", "inactive", "unknown"));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    fake_root_end();
}

TEST(systemd_that_cannot_be_asked_is_not_measured)
{
    static const struct {
        const char *said, *why;
    } cases[] = {
        {"", "systemctl: no answer"},
        {"Failed to connect to bus: No such file or directory\n",
         "systemctl: Failed to connect to bus: No such file or directory"},
        {"active\n", "systemctl: no answer"},                       /* one is missing */
        {"active\nwarning: \033[1m\377\n", "systemctl: warning: ?[1m?"},
        {"active\nactiv\n", "systemctl: activ"},
    };

    begin();
    with_systemd("exit 1");
    configure(CONFIG("\"a\", \"b\"", "auto"));
    answer("active\nactive\n");
    CHECK_INT(look(), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        answer(cases[i].said);
        CHECK_INT(look(), 0);
        CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
        CHECK_STR(sensor()->why, cases[i].why);
    }
    answer("active\nfailed\n");
    CHANGES("critical", DATA("b", "failed", "active"));
    CHECK_INT(sensor()->result, INSTANCE_OK);
    answer("active\nwarning: a\n"); /* what comes before is believed */
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    fake_root_remove("/run/bin/systemctl");
    set_path("/nowhere");
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK(strstr(sensor()->why, "systemctl: ") == sensor()->why);
    set_path("/usr/bin:/bin");
    fake_root_end();
}

/* ---- procd ---- */

/** As `ubus call` prints it: instance_dump of procd's service/instance.c. */
#define PROCD(name, instances) "{\n\t\"" name "\": {\n" instances "\t}\n}\n"
#define RUNNING(instance)                                                                          \
    "\t\t\t\"" instance "\": {\n\t\t\t\t\"running\": true,\n\t\t\t\t\"pid\": 1453,\n"               \
    "\t\t\t\t\"command\": [\n\t\t\t\t\t\"/usr/sbin/dropbear\",\n\t\t\t\t\t\"-F\"\n\t\t\t\t],\n"      \
    "\t\t\t\t\"term_timeout\": 5,\n\t\t\t\t\"data\": {\n\t\t\t\t\t\"running\": false,\n"           \
    "\t\t\t\t\t\"exit_code\": 9\n\t\t\t\t},\n\t\t\t\t\"respawn\": {\n"                             \
    "\t\t\t\t\t\"threshold\": 3600,\n\t\t\t\t\t\"timeout\": 5,\n\t\t\t\t\t\"retry\": 5\n\t\t\t\t}\n\t\t\t}"
#define ENDED(instance, code)                                                                      \
    "\t\t\t\"" instance "\": {\n\t\t\t\t\"running\": false,\n\t\t\t\t\"command\": [\n"              \
    "\t\t\t\t\t\"/usr/sbin/dropbear\"\n\t\t\t\t],\n\t\t\t\t\"term_timeout\": 5,\n"                 \
    "\t\t\t\t\"exit_code\": " code "\n\t\t\t}"
#define INSTANCES(list) "\t\t\"instances\": {\n" list "\n\t\t}\n"

/** Prints the file named as the service that it is asked about. */
static void with_procd(void)
{
    char script[256];

    fake_root_put("/sbin/procd", "");
    snprintf(script, sizeof script,
             "cat \"%s/run/bin/$(echo \"$4\" | sed 's/{\"name\":\"\\(.*\\)\"}/\\1/')\"", fake_root_dir);
    fake_program("ubus", script);
}

TEST(procd_is_asked_for_each)
{
    begin();
    with_procd();
    configure(CONFIG("\"dropbear\", \"odhcpd\"", "auto"));
    fake_root_put("/run/bin/dropbear", PROCD("dropbear", INSTANCES(RUNNING("instance1"))));
    fake_root_put("/run/bin/odhcpd", PROCD("odhcpd", INSTANCES(ENDED("instance1", "0"))));
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    CHECK_STR(calls(), "call service list {\"name\":\"dropbear\"}\ncall service list {\"name\":\"odhcpd\"}\n");
    fake_root_put("/run/bin/dropbear", PROCD("dropbear", INSTANCES(ENDED("instance1", "139"))));
    CHANGES("critical", DATA("dropbear", "failed", "active"));
    fake_root_put("/run/bin/odhcpd",
                  PROCD("odhcpd", INSTANCES(RUNNING("instance1") ",\n" ENDED("instance2", "0"))));
    CHANGES("info", DATA("odhcpd", "active", "inactive"));
    fake_root_put("/run/bin/odhcpd",
                  PROCD("odhcpd", INSTANCES(RUNNING("instance1") ",\n" ENDED("instance2", "1"))));
    CHANGES("critical", DATA("odhcpd", "failed", "active"));
    fake_root_put("/run/bin/odhcpd", "{\n\t\n}\n"); /* it has been stopped */
    CHANGES("warning", DATA("odhcpd", "inactive", "failed"));
    fake_root_put("/run/bin/odhcpd", PROCD("odhcpd", "\t\t\"data\": {\n\t\t}\n"));
    CHANGES("info", DATA("odhcpd", "active", "inactive")); /* a service without processes */
    fake_root_end();
}

TEST(procd_does_not_have_it)
{
    begin();
    with_procd();
    configure(CONFIG("\"lighttpd\"", "procd"));
    fake_root_put("/run/bin/lighttpd", "{\n\t\n}\n");
    CHECK_INT(look(), 0);
    CHECK_STR(sensor()->why, "lighttpd: unknown service");
    fake_root_put("/etc/init.d/lighttpd", "");
    CHANGES("warning", DATA("lighttpd", "inactive", "unknown"));
    fake_root_end();
}

TEST(procd_answers_nonsense)
{
    static char long_one[6000];

    begin();
    with_procd();
    configure(CONFIG("\"a\", \"b\"", "auto"));
    fake_root_put("/run/bin/b", PROCD("b", INSTANCES(RUNNING("i"))));
    static const char *const nonsense[] = {
        "", "[]", "{", "null", "{\"a\":1,\"a\":1}",
        "{\"a\":{\"instances\":{\"i\":{\"running\":true}}}} x",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(nonsense); i++) {
        fake_root_put("/run/bin/a", nonsense[i]);
        CHECK_INT(look(), 0);
        CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
        CHECK_STR(sensor()->why, "a: unexpected answer");
    }
    static const char *const odd[] = {
        "{\"a\":null}", "{\"a\":{\"instances\":[{\"running\":false,\"exit_code\":1}]}}",
        "{\"a\":{\"instances\":{\"i\":{\"running\":true}, \"j\":7}}}",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
        fake_root_put("/run/bin/a", odd[i]);
        CHECK_INT(look(), 0);
        CHECK_INT(sensor()->result, INSTANCE_OK);
    }
    memset(long_one, ' ', sizeof long_one - 1);
    fake_root_put("/run/bin/a", long_one);
    fake_root_put("/run/bin/b", PROCD("b", INSTANCES(ENDED("i", "1"))));
    CHANGES("critical", DATA("b", "failed", "active")); /* the next one is asked nevertheless */
    CHECK(strstr(sensor()->why, "a: unexpected") == sensor()->why);
    fake_root_end();
}

TEST(ubus_without_permission_is_not_measured)
{
    begin();
    with_procd();
    fake_program("ubus", "echo 'Command failed: Permission denied' >&2; exit 6");
    configure(CONFIG("\"a\", \"b\"", "auto"));
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_NOT_MEASURED);
    CHECK_STR(sensor()->why, "ubus: Command failed: Permission denied");
    CHECK_STR(calls(), "call service list {\"name\":\"a\"}\n"); /* and b is not asked */
    fake_root_end();
}

/** A chain of commands needs no second place for output. */
TEST(procd_is_asked_with_one_output_buffer)
{
    begin();
    with_procd();
    configure(CONFIG("\"a\", \"b\"", "auto"));
    fake_root_put("/run/bin/a", PROCD("a", INSTANCES(RUNNING("i"))));
    fake_root_put("/run/bin/b", PROCD("b", INSTANCES(RUNNING("i"))));
    for (unsigned i = 1; i < CONFIG_BEACON_CHILDREN; i++)
        fix.sensor_runner.output_used[i] = true;
    CHECK_INT(look(), 0);
    CHECK_INT(sensor()->result, INSTANCE_OK);
    fake_root_end();
}

/* ---- configuration ---- */

TEST(mistakes_are_named)
{
    fix_refused("{\"service_check\": {}}", "beacons.service_check.services: ");
    fix_refused("{\"service_check\": {\"services\": []}}", "beacons.service_check.services");
    fix_refused(CONFIG("\"-q\"", "auto"), "-q is no service name");
    fix_refused(CONFIG("\"..\"", "auto"), ".. is no service name");
    fix_refused(CONFIG("\"a/b\"", "auto"), "a/b is no service name");
    fix_refused(CONFIG("\"a b\"", "auto"), "a b is no service name");
    fix_refused(CONFIG("\"a'$(x)\"", "auto"), "is no service name");
    fix_refused(CONFIG("\"12345678901234567890123456789012345678901234567890123456789012345\"", "auto"),
                "is no service name");
    fix_refused(CONFIG("\"a\", \"b\", \"a\"", "auto"), "duplicate service \"a\"");
    fix_refused(CONFIG("\"a\"", "upstart"), "is not one of auto, systemd, procd, openrc, runit, sysv");
}

TEST_MAIN(pid_files_tell_what_runs, pid_files_may_stand_in_a_directory_and_have_more_lines,
          hostile_pid_files, a_pid_file_that_is_a_link_is_not_opened, unknown_services_are_not_measured_until_they_are_there,
          a_service_that_is_off_at_first_is_inactive, what_the_rate_held_back_is_told_later,
          a_reload_carries_states, openrc, openrc_that_is_not_there_is_not_measured, a_service_manager_may_start_later,
          a_service_manager_is_not_looked_for_for_ever, runit,
          systemd_is_asked_once_for_all, systemd_calls_what_does_not_exist_inactive,
          systemd_that_cannot_be_asked_is_not_measured, procd_is_asked_for_each, procd_does_not_have_it,
          procd_answers_nonsense, ubus_without_permission_is_not_measured,
          procd_is_asked_with_one_output_buffer, mistakes_are_named)
