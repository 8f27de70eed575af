#include "hub_wired.h"

#include "readfile.h"

/* Lines through ingress's hooks as the listener calls them; a beacon's end of the link is the other
 * side. */

#define RULES_BOTH "{\"rules\":[" RULE_ONCE "," RULE_TWICE "]}"
#define RULE_REPORTS "{\"name\":\"reports\",\"event_pattern\":\"^hub\\\\.\"," EXEC "}"

static struct mac_key web_key, web_next, mail_key;

/** Hosts web and mail with keys of their own, and the shared key for all others. */
static void setup_hosts(const char *rules_json)
{
    setup_signed(rules_json);
    CHECK_INT(mac_key_set(&web_key, "the web host's key", 18), 0);
    CHECK_INT(mac_key_set(&web_next, "the web host's next", 19), 0);
    CHECK_INT(mac_key_set(&mail_key, "the mail host's key", 19), 0);
    settings.hosts[0] = (struct host_item){.host_id = "web", .keys = {web_key}};
    settings.hosts[1] = (struct host_item){.host_id = "mail", .keys = {mail_key}};
    settings.host_count = 2;
}

/* ---- The hello ---- */

static int no_random(void *buf, size_t len)
{
    (void)buf;
    (void)len;
    return NEFIA_EIO;
}

TEST(connections_are_greeted)
{
    setup("{}");
    struct peer *p = &peers[0];
    text_init(&p->down, p->down_buf, sizeof p->down_buf);
    hooks.opened(hooks.arg, &p->session, &p->down);
    CHECK_STR(p->down_buf, "{\"nefia\":2,\"nonce\":\"01010101010101010101010101010101\"}\n");
    text_reset(&p->down);
    ingress.random = no_random; /* a nonce that could be guessed is none */
    hooks.opened(hooks.arg, &p->session, &p->down);
    CHECK_INT(p->down.len, 0);
}

TEST(a_session_from_hello_to_acknowledgement)
{
    setup_signed(RULES_BOTH);
    struct peer *p = come(0);
    CHECK_INT(say_hello(p, (struct hello){.boot = 7}), 0);
    CHECK(p->session.proven);
    CHECK_INT(hear(p), NEFIA_ENOTFOUND); /* not before the turn's end */
    turn();
    CHECK_INT(hear(p), LINK_WELCOME);
    CHECK_INT(p->got.welcome.start_count, 0);
    CHECK_INT(p->got.welcome.window, INGRESS_WINDOW);
    CHECK_INT(p->got.welcome.bytes, CONFIG_EVENT_BYTES);
    CHECK_INT(say(p, event(7, 1)), 0);
    CHECK_INT(say(p, event(7, 2)), 0);
    CHECK_INT(hear(p), NEFIA_ENOTFOUND);
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, 3);
    CHECK_INT(hear(p), NEFIA_ENOTFOUND);
    CHECK_INT(recent.last_seq, 4); /* two rules each */
    CHECK_INT(jobs_left(&jobs), 4);
    turn();
    CHECK_INT(hear(p), NEFIA_ENOTFOUND);
    children_kill_all(&children);
}

TEST(without_keys_the_same_goes_unsigned)
{
    setup("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, event(7, 1)), 0);
    turn();
    CHECK_STR(p->down_buf, "{\"ack\":{\"line\":2},\"window\":32}\n");
}

static int try_key(const char *host, const struct mac_key *key)
{
    struct peer *p = come(0);
    int err = say_hello(p, (struct hello){.host = host, .boot = 1, .key = key});

    if (err == 0) {
        turn();
        CHECK_INT(hear(p), LINK_WELCOME);
        CHECK_INT(say(p, event_of(host, 1, 1)), 0);
    } else {
        CHECK(!p->session.proven);
        CHECK_INT(p->session.link.state, LINK_OVER);
        CHECK_STR(p->down_buf, "{\"error\":{\"reason\":\"wrong signature\"}}\n"); /* one line, unsigned */
        CHECK_INT(hear(p), NEFIA_EAUTH);
        CHECK_INT(p->got.kind, LINK_ERROR);
    }
    leave(p);
    return err;
}

TEST(the_host_of_the_hello_picks_the_key)
{
    setup_hosts("{}");
    CHECK_INT(try_key("web", &web_key), 0);
    CHECK_INT(try_key("web", &web_next), NEFIA_EAUTH);
    settings.hosts[0].keys[1] = web_next;
    CHECK_INT(try_key("web", &web_key), 0);
    CHECK_INT(try_key("web", &web_next), 0);
    CHECK_INT(try_key("web", &shared_key), NEFIA_EAUTH); /* it has its own */
    CHECK_INT(try_key("web", &mail_key), NEFIA_EAUTH);
    CHECK_INT(try_key("mail", &mail_key), 0);
    CHECK_INT(try_key("mail", &web_next), NEFIA_EAUTH);
    CHECK_INT(try_key("other", &shared_key), 0);
    CHECK_INT(try_key("other", &web_key), NEFIA_EAUTH);
    mac_key_wipe(&ingress.key);
    CHECK_INT(try_key("other", &shared_key), NEFIA_EAUTH); /* there is no key for it at all */
    CHECK_INT(ingress.rejected[REJECT_WRONG], 6);
}

TEST(a_hello_is_not_taken_unsigned_where_there_are_keys)
{
    static const char *const sigs[] = {"", "{", "-", "0123", "zz"};

    setup_signed("{}");
    for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
        struct peer *p = come(0);
        const char line[] = "{\"hello\":{\"host_id\":\"web\",\"nonce\":"
                            "\"00000000000000000000000000000000\",\"boot\":1,\"plain\":false}}";
        const struct link_unit u = {{line, sizeof line - 1}, {sigs[i], strlen(sigs[i])}};
        CHECK(hooks.unit(hooks.arg, &p->session, &u) < 0);
        CHECK(!p->session.proven);
        CHECK_INT(seen.used, 0);
    }
    CHECK_INT(ingress.rejected[REJECT_UNSIGNED], 2);
    CHECK_INT(ingress.rejected[REJECT_MALFORMED], 3);
}

TEST(a_recorded_hello_proves_nothing)
{
    setup_signed("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7}), *q = come(1);
    const size_t len = strlen(p->up);
    memcpy(q->up, p->up, len);
    CHECK_INT(offer(q, len), NEFIA_EAUTH);
    CHECK(!q->session.proven);
    CHECK_INT(say(p, event(7, 1)), 0); /* and ends nothing */
}

TEST(a_malformed_hello_is_told_why)
{
    setup("{}");
    struct peer *p = come(0);
    strcpy(p->up, "{\"hello\":{\"host_id\":\"web\",\"nonce\":\"0\",\"boot\":1,\"plain\":false}}\n");
    CHECK(offer(p, strlen(p->up)) < 0);
    CHECK_STR(p->down_buf,
              "{\"error\":{\"reason\":\"hello: nonce is not 32 lower-case hex digits\"}}\n");
    CHECK_INT(ingress.rejected[REJECT_HELLO], 1);
}

TEST(a_host_speaks_from_its_addresses)
{
    setup_hosts("{}");
    CHECK_INT(addr_net_parse(&settings.hosts[0].nets[0], "192.0.2.10", 10, NULL), 0);
    settings.hosts[0].net_count = 1;
    struct peer *p = welcomed(0, (struct hello){.boot = 1, .key = &web_key}), *q = come(1);
    CHECK_INT(say_hello(q, (struct hello){.boot = 1, .key = &web_key}), NEFIA_EAUTH);
    CHECK_INT(ingress.rejected[REJECT_HOST], 1);
    CHECK_INT(hear(q), LINK_ERROR); /* signed: it has proved to have the key */
    CHECK(strstr(q->got.reason, "reactor.hosts") != NULL);
    CHECK_INT(say(p, event(1, 1)), 0); /* which does not end the session of the right address */
    settings.hosts[0].plain = true;
    q = come(1);
    CHECK_INT(say_plain(q, &web_key, event(1, 2)), NEFIA_EAUTH);
    CHECK_INT(ingress.rejected[REJECT_HOST], 2);
}

TEST(a_hello_ends_the_other_sessions_of_its_host)
{
    setup_signed("{}");
    struct peer *old = welcomed(0, (struct hello){.boot = 7}),
                *other = welcomed(1, (struct hello){.host = "mail", .boot = 1}), *greeted = come(3);
    CHECK_INT(say(old, event(7, 1)), 0);
    struct peer *p = come(2);
    CHECK_INT(say_hello(p, (struct hello){.boot = 7}), 0);
    /* From the hello on, not from the welcome on: nothing more of it is taken. */
    CHECK_INT(say(old, event(7, 2)), NEFIA_EAGAIN);
    CHECK_INT(pipeline.events, 1);
    turn();
    CHECK_INT(hear(old), LINK_ERROR); /* no acknowledgement any more */
    CHECK_STR(old->got.reason, "another session of this host");
    CHECK_INT(old->session.link.state, LINK_OVER);
    CHECK_INT(ingress.rejected[REJECT_REPLACED], 1);
    CHECK_INT(hear(p), LINK_WELCOME);
    CHECK_INT(p->got.welcome.start_count, 1); /* what the old session said before is in it */
    CHECK_INT(p->got.welcome.starts[0].highest, 1);
    CHECK_INT(say(other, event_of("mail", 1, 1)), 0);
    CHECK_INT(say_hello(greeted, (struct hello){.host = "ftp", .boot = 1}), 0);
}

TEST(two_devices_with_one_name_are_reported)
{
    setup_signed("{\"rules\":[" RULE_REPORTS "]}");
    welcomed(0, (struct hello){.boot = 7});
    welcomed(1, (struct hello){.boot = 8});
    CHECK_INT(pipeline.conflicts, 0);
    CHECK_INT(recent.last_seq, 0);
    welcomed(2, (struct hello){.boot = 7});
    CHECK_INT(pipeline.conflicts, 1);
    CHECK_STR(row(1)->rule, "reports");
    CHECK(strstr(row_line(1), "\"type\":\"hub.host_conflict\",\"source\":\"hub\",\"host_id\":\"hub\"") !=
          NULL);
    CHECK(strstr(row_line(1), "\"data\":{\"host\":\"web\",\"boot\":7,\"seq\":0,\"count\":1}") != NULL);
    children_kill_all(&children);
}

TEST(the_welcome_names_the_windows)
{
    uint8_t name[LINK_NAME];

    setup_signed("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    memcpy(name, p->session.name, LINK_NAME);
    CHECK_INT(say(p, event(7, 41)), 0);
    p = welcomed(1, (struct hello){.boot = 7}); /* a later session of that start */
    CHECK_INT(p->got.welcome.start_count, 1);
    CHECK(p->got.welcome.starts[0].boot == 7 && p->got.welcome.starts[0].highest == 41);
    CHECK_MEM(p->got.welcome.starts[0].name, name, LINK_NAME);
    CHECK(memcmp(p->session.name, name, LINK_NAME) != 0);
    p = welcomed(0, (struct hello){.boot = 8}); /* a new start is not named: nothing of it was received */
    CHECK_INT(p->got.welcome.start_count, 1);
    CHECK(p->got.welcome.starts[0].boot == 7);
    p = welcomed(1, (struct hello){.boot = 8});
    CHECK_INT(p->got.welcome.start_count, 2);
    CHECK(p->got.welcome.starts[0].boot == 8 && p->got.welcome.starts[1].boot == 7);
    CHECK_INT(say(p, event(6, 3)), 0); /* an event of an earlier start makes a window of this session's name */
    memcpy(name, p->session.name, LINK_NAME);
    p = welcomed(0, (struct hello){.boot = 8});
    CHECK(p->got.welcome.starts[1].boot == 6 && p->got.welcome.starts[1].highest == 3);
    CHECK_MEM(p->got.welcome.starts[1].name, name, LINK_NAME);
}

/** Plain events leave windows, too, but no beacon may rely on these. */
TEST(the_welcome_names_no_plain_window)
{
    setup_signed("{}");
    CHECK_INT(say_plain(come(0), &shared_key, event(6, 1)), 0);
    struct peer *p = welcomed(1, (struct hello){.boot = 7});
    CHECK_INT(p->got.welcome.start_count, 0);
}

TEST(nothing_is_taken_before_the_welcome)
{
    setup_signed("{}");
    struct peer *p = come(0);
    CHECK_INT(say_hello(p, (struct hello){.boot = 7}), 0);
    CHECK_INT(say(p, event(7, 1)), NEFIA_EAUTH);
    CHECK_INT(ingress.rejected[REJECT_WINDOW], 1);
    CHECK_INT(pipeline.events, 0);
}

/* ---- Events of a session ---- */

TEST(a_line_counts_in_its_place_only)
{
    setup_signed("{}");
    for (unsigned i = 0; i < 4; i++) {
        struct peer *p = welcomed(0, (struct hello){.boot = 7});
        CHECK_INT(say(p, event(7, 2 * i + 1)), 0);
        const size_t len = strlen(p->up);
        if (i == 0) { /* again */
            CHECK_INT(offer(p, len), NEFIA_EAUTH);
        } else if (i == 1) { /* one is missing */
            p->link.lines_out++;
            CHECK_INT(say(p, event(7, 20)), NEFIA_EAUTH);
        } else if (i == 2) { /* in another session */
            struct peer *q = welcomed(1, (struct hello){.host = "mail", .boot = 7});
            memcpy(q->up, p->up, len);
            CHECK_INT(offer(q, len), NEFIA_EAUTH);
        } else { /* with a bit changed */
            p->link.lines_out = p->session.link.lines_in;
            (void)link_beacon_end(&p->link, p->up, strcspn(p->up, "\n"));
            p->up[10] ^= 1;
            CHECK_INT(offer(p, len), NEFIA_EAUTH);
            CHECK_INT(hear(p), LINK_ERROR); /* signed: the session's keys are known */
            CHECK_STR(p->got.reason, "wrong signature");
        }
    }
    CHECK_INT(ingress.rejected[REJECT_WRONG], 4);
    CHECK_INT(pipeline.events, 4);
}

TEST(duplicates_are_acknowledged_and_act_once)
{
    setup_signed("{\"rules\":[" RULE_ONCE "]}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, event(7, 2)), 0);
    CHECK_INT(say(p, event(7, 2)), 0);
    CHECK_INT(say(p, event(7, 1)), 0); /* late, and new */
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, 4);
    CHECK_INT(pipeline.duplicates, 1);
    CHECK_INT(jobs_left(&jobs), 2);
    struct peer *q = welcomed(1, (struct hello){.host = "mail", .boot = 7});
    CHECK_INT(say(q, event_of("mail", 7, 2)), 0); /* another host's */
    CHECK_INT(pipeline.duplicates, 1);
    children_kill_all(&children);
}

TEST(another_hosts_events_are_refused)
{
    setup_signed(RULES_BOTH);
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, event_of("mail", 7, 1)), 0);
    turn();
    CHECK_INT(hear(p), LINK_REFUSED);
    CHECK_INT(p->got.line, 2);
    CHECK_STR(p->got.reason, "another host_id than the hello's");
    CHECK_INT(pipeline.events, 0);
    CHECK_INT(seen.used, 1);
}

static void check_refused(const char *line, const char *reason)
{
    setup_signed(RULES_BOTH);
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, line), 0);
    turn();
    CHECK_INT(hear(p), LINK_REFUSED);
    CHECK_INT(p->got.line, 2);
    CHECK_STR(p->got.reason, reason);
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, 2);
    CHECK_INT(say(p, event(7, 1)), 0); /* the session goes on */
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, 3);
    children_kill_all(&children);
}

TEST(what_is_no_event_is_refused)
{
    check_refused("{", "not JSON");
    check_refused("", "not JSON");
    check_refused("{\"type\":\"t\",\"type\":\"t\"}", "not an event");
    check_refused("{\"type\":\"\xff\"}", "not UTF-8");
    check_refused("[]", "neither an event nor a message");
    check_refused("{\"type\":\"t\"}", "not an event");
    check_refused("{\"ack\":1}", "neither an event nor a message");
    check_refused(fixture_line("t", "web", "info"), "no boot and seq");
    check_refused(fixture_line("t", "web", "loud"), "not an event");
    /* An event, whatever stands before its type: it must not pass for a message, and be acknowledged. */
    check_refused("{\"severity\":\"loud\",\"type\":\"t\"}", "not an event");
    check_refused("{\"data\":[],\"unsure\":{},\"type\":\"t\"}", "not an event");
}

TEST(unknown_messages_count_as_lines_only)
{
    setup_signed("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    for (unsigned i = 0; i < 3 * INGRESS_WINDOW; i++)
        CHECK_INT(say(p, "{\"later\":{\"x\":[1,2]}}"), 0);
    CHECK_INT(say(p, "{\"hello\":{}}"), 0); /* not a hello any more */
    turn();
    CHECK_INT(hear(p), NEFIA_ENOTFOUND);
    CHECK_INT(say(p, event(7, 1)), 0);
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, 3 * INGRESS_WINDOW + 3);
    CHECK_INT(pipeline.events, 1);
}

TEST(a_refusal_is_said_before_an_acknowledgement_passes_it)
{
    setup_signed("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, event(7, 1)), 0);
    CHECK_INT(say(p, "{"), 0);
    CHECK_INT(say(p, event(7, 2)), NEFIA_EAGAIN); /* first that has to be said */
    CHECK_INT(p->session.link.lines_in, 3);
    turn();
    CHECK_INT(hear(p), LINK_REFUSED);
    CHECK_INT(p->got.line, 3);
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, 3);
    CHECK_INT(say(p, event(7, 2)), 0);
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, 4);
}

TEST(more_than_the_window_ends_the_session)
{
    setup_signed("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    for (unsigned i = 1; i <= INGRESS_WINDOW; i++)
        CHECK_INT(say(p, event(7, i)), 0);
    CHECK_INT(say_unsure(p), 0); /* no event */
    CHECK_INT(say(p, event(7, 1)), NEFIA_EAUTH); /* also if it is a duplicate */
    CHECK_INT(ingress.rejected[REJECT_WINDOW], 1);
    CHECK_INT(pipeline.events, INGRESS_WINDOW);
    p = welcomed(1, (struct hello){.boot = 7});
    for (unsigned turns = 0; turns < 3; turns++) {
        for (unsigned i = 0; i < INGRESS_WINDOW; i++)
            CHECK_INT(say(p, event(7, 100 + turns * INGRESS_WINDOW + i)), 0);
        turn();
        CHECK_INT(hear(p), LINK_ACK);
    }
}

TEST(below_the_window_is_refused_and_reported)
{
    setup_signed("{\"rules\":[" RULE_TWICE "," RULE_REPORTS "]}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, event(7, 1000)), 0);
    CHECK_INT(say(p, event(7, 1000 - LINK_SPAN + 1)), 0);
    CHECK_INT(jobs_left(&jobs), 2);
    CHECK_INT(say(p, event(7, 1000 - LINK_SPAN)), 0);
    CHECK_INT(jobs_left(&jobs), 2); /* not even where twice is harmless: it may be a replay */
    CHECK_INT(pipeline.unknown, 1);
    turn();
    CHECK_INT(hear(p), LINK_REFUSED);
    CHECK_INT(p->got.line, 4);
    CHECK_STR(p->got.reason, LINK_BELOW);
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_STR(row(3)->error, "below the window: unknown whether it acted");
    CHECK_STR(row(4)->rule, "reports");
    CHECK(strstr(row_line(4), "{\"host\":\"web\",\"boot\":7,\"seq\":744,\"count\":1}") != NULL);
    children_kill_all(&children);
}

/* ---- Unsure ---- */

TEST(unsure_events_act_where_it_is_harmless)
{
    setup_signed("{\"rules\":[" RULE_ONCE "," RULE_TWICE "," RULE_REPORTS "]}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say_unsure(p), 0);
    CHECK_INT(say(p, event(7, 1)), 0);
    CHECK_INT(jobs_left(&jobs), 1);
    CHECK_STR(row(1)->rule, "once");
    CHECK_INT(row(1)->state, RECENT_FAILED);
    CHECK_STR(row(1)->error, "may have acted before: not run again");
    CHECK_STR(row(2)->rule, "twice");
    CHECK_INT(row(2)->state, RECENT_PENDING);
    CHECK_INT(pipeline.unknown, 1);
    CHECK_INT(say(p, event(7, 2)), 0); /* unsure is for one event */
    CHECK_INT(row(3)->state, RECENT_PENDING);
    turn();
    CHECK_INT(hear(p), LINK_ACK); /* taken, not refused */
    CHECK_INT(p->got.line, 4);
    CHECK(strstr(row_line(5), "\"type\":\"hub.unknown\"") != NULL);
    CHECK(strstr(row_line(5), "{\"host\":\"web\",\"boot\":7,\"seq\":1,\"count\":1}") != NULL);
    CHECK_STR(row(5)->rule, "reports");
    children_kill_all(&children);
}

TEST(unsure_is_harmless_where_nothing_acts)
{
    setup_signed("{\"rules\":[" RULE_TWICE "]}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say_unsure(p), 0);
    CHECK_INT(say(p, event(7, 1)), 0);
    CHECK_INT(say_unsure(p), 0);
    CHECK_INT(say(p, event(7, 1)), 0); /* a duplicate: its outcome is known */
    CHECK_INT(pipeline.unknown, 0);
    CHECK_INT(pipeline.duplicates, 1);
}

TEST(unsure_ends_with_the_event_that_it_was_said_of)
{
    static const char *const refused[] = {"{\"type\":\"t\"}", NULL, NULL, NULL};

    for (unsigned i = 0; i < 4; i++) {
        setup_signed("{\"rules\":[" RULE_ONCE "]}");
        struct peer *p = welcomed(0, (struct hello){.boot = 7});
        CHECK_INT(say(p, event(7, 1000)), 0);
        CHECK_INT(say_unsure(p), 0);
        CHECK_INT(say(p, "{\"later\":1}"), 0); /* a message is no event */
        CHECK_INT(say(p, i == 0   ? refused[0]
                         : i == 1 ? event_of("mail", 7, 1)
                         : i == 2 ? fixture_line("t", "web", "info")
                                  : event(7, 1)),
                  0);
        turn();
        CHECK_INT(hear(p), LINK_REFUSED);
        CHECK_INT(say(p, event(7, 1001)), 0);
        CHECK_INT(row(recent.last_seq)->state, RECENT_PENDING);
        children_kill_all(&children);
    }
}

/* ---- Not now ---- */

TEST(a_full_queue_defers_the_line)
{
    setup_signed("{\"rules\":[" RULE_ONCE "]}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    unsigned n = 0;
    int err;
    while ((err = say(p, event(7, n + 1))) == 0)
        n++;
    CHECK_INT(err, NEFIA_EAGAIN);
    CHECK_INT(n, 6); /* half of a lane's three quarters of 16 */
    CHECK_INT(p->session.link.lines_in, n + 1); /* the line was not counted */
    CHECK_INT(p->session.unsettled, n);
    CHECK_INT(pipeline.held, 1);
    CHECK(!p->session.unsure);
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, n + 1);
    struct peer *q = welcomed(1, (struct hello){.host = "mail", .boot = 1});
    CHECK_INT(say(q, event_of("mail", 1, 1)), 0); /* another host has a share of its own */
    p->session.overdue = true; /* but not for ever */
    CHECK_INT(say(p, event(7, n + 1)), 0);
    CHECK_STR(row(recent.last_seq)->error, "queue full");
    children_kill_all(&children);
}

TEST(a_deferred_line_stays_unsure)
{
    setup_signed("{\"rules\":[" RULE_ONCE "]}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    for (unsigned i = 1; i <= 6; i++)
        CHECK_INT(say(p, event(7, i)), 0);
    CHECK_INT(say_unsure(p), 0);
    CHECK_INT(say(p, event(7, 7)), NEFIA_EAGAIN);
    p->session.overdue = true;
    CHECK_INT(say(p, event(7, 7)), 0);
    CHECK_STR(row(7)->error, "may have acted before: not run again");
    children_kill_all(&children);
}

/* ---- The journal ---- */

TEST(nothing_is_said_while_the_journal_cannot_be_written)
{
    setup_signed(RULES_BOTH);
    open_state();
    struct peer *p = welcomed(0, (struct hello){.boot = 7}), *q = come(1), *r = come(2);
    disk_fails = true;
    CHECK_INT(say(p, event(7, 1)), 0);
    CHECK_INT(say_hello(q, (struct hello){.host = "mail", .boot = 1}), 0);
    turn();
    CHECK_INT(retries, 1);
    CHECK_INT(p->down.len + q->down.len, 0);
    CHECK_INT(job_queue_running(&jobs.queues[0]), 0);
    /* Nor when the peer has read, which is not a turn's end. */
    answer(p);
    answer(q);
    CHECK_INT(p->down.len + q->down.len, 0);
    CHECK_INT(say(p, event(7, 1)), 0); /* a duplicate: its first copy is not written either */
    CHECK_INT(say(p, event(7, 1000)), 0);
    CHECK_INT(say(p, "{"), 0);
    turn();
    answer(p);
    CHECK_INT(p->down.len, 0);
    strcpy(r->up, "{\"hello\":1}\n0\n"); /* an error settles nothing, and needs no disk */
    CHECK(offer(r, strlen(r->up)) < 0);
    CHECK(r->down.len > 0);
    disk_fails = false;
    fake.now_ms += PIPELINE_RETRY_MS;
    turn();
    CHECK_INT(hear(p), LINK_REFUSED);
    CHECK_INT(p->got.line, 5);
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, 5);
    CHECK_INT(hear(q), LINK_WELCOME);
    CHECK(job_queue_running(&jobs.queues[0]) > 0);
    children_kill_all(&children);
}

/** No action begins then: a queue that is full says nothing of who fills it, and what is not
 * acknowledged is not lost in the meantime. */
TEST(nothing_is_overdue_while_the_journal_cannot_be_written)
{
    setup_signed("{\"rules\":[" RULE_ONCE "]}");
    open_state();
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    disk_fails = true;
    for (unsigned i = 1; i <= 6; i++)
        CHECK_INT(say(p, event(7, i)), 0);
    turn();
    p->session.overdue = true;
    CHECK_INT(say(p, event(7, 7)), NEFIA_EAGAIN);
    CHECK_INT(recent.last_seq, 6);
    disk_fails = false;
    fake.now_ms += PIPELINE_RETRY_MS;
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, 7);
    CHECK_INT(say(p, event(7, 7)), NEFIA_EAGAIN); /* the first actions have just begun */
    fake.now_ms += PIPELINE_RECOVER_MS;
    CHECK_INT(say(p, event(7, 7)), 0);
    CHECK_STR(row(7)->error, "queue full");
    children_kill_all(&children);
}

TEST(what_came_after_the_commit_is_not_acknowledged_with_it)
{
    setup_signed("{}");
    open_state();
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, event(7, 1)), 0);
    pipeline.acknowledge = NULL; /* the peer does not read: its answer waits */
    turn();
    CHECK_INT(say(p, event(7, 2)), 0);
    answer(p);
    CHECK_INT(p->down.len, 0);
    pipeline.acknowledge = answer_all;
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(p->got.line, 3);
}

/** A late hello's window, and that the host is pinned, outlive the hub. */
TEST(a_welcome_outlives_the_hub)
{
    uint8_t name[LINK_NAME];

    setup_signed("{}");
    open_state();
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    memcpy(name, p->session.name, LINK_NAME);
    restart();
    p = welcomed(0, (struct hello){.boot = 8});
    CHECK_INT(p->got.welcome.start_count, 1);
    CHECK(p->got.welcome.starts[0].boot == 7 && p->got.welcome.starts[0].highest == 0);
    CHECK_MEM(p->got.welcome.starts[0].name, name, LINK_NAME);
    CHECK(seen_find(&seen, pipeline_host(&pipeline, (struct slice){"web", 3}))->pinned);
    CHECK_INT(say(p, event(8, 5)), 0);
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    restart();
    p = welcomed(0, (struct hello){.boot = 8});
    CHECK_INT(p->got.welcome.start_count, 2);
    CHECK(p->got.welcome.starts[0].boot == 8 && p->got.welcome.starts[0].highest == 5);
    CHECK_INT(say(p, event(8, 5)), 0);
    CHECK_INT(pipeline.duplicates, 1);
    journal_close(&journal);
}

/* ---- Hosts that are forgotten ---- */

TEST(a_forgotten_host_connects_again)
{
    setup_signed("{\"rules\":[" RULE_ONCE "]}");
    open_state();
    struct peer *p = welcomed(0, (struct hello){.boot = 7}),
                *q = welcomed(1, (struct hello){.host = "mail", .boot = 1});
    CHECK_INT(say(p, event(7, 1)), 0);
    turn();
    CHECK_INT(hear(p), LINK_ACK);
    CHECK(!ingress_forget(&ingress, (struct slice){"nobody", 6}));
    CHECK(ingress_forget(&ingress, (struct slice){"web", 3}));
    CHECK_INT(say(p, event(7, 1)), NEFIA_EAGAIN);
    turn();
    CHECK_INT(hear(p), LINK_ERROR);
    CHECK_INT(say(q, event_of("mail", 1, 1)), 0);
    leave(p);
    p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(p->got.welcome.start_count, 0);
    restart();
    CHECK(seen_find(&seen, pipeline_host(&pipeline, (struct slice){"web", 3})) != NULL);
    p = welcomed(0, (struct hello){.boot = 9});
    CHECK_INT(p->got.welcome.start_count, 1);
    CHECK(p->got.welcome.starts[0].boot == 7 && p->got.welcome.starts[0].highest == 0);
    journal_close(&journal);
}

/** A session whose windows were evicted would make them anew under the same name: the beacon would
 * take what it sends again for safe, and it would act twice. */
TEST(an_evicted_host_connects_again)
{
    char name[] = "a0";

    setup_signed("{\"rules\":[" RULE_ONCE "," RULE_REPORTS "]}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, event(7, 1)), 0);
    turn();
    for (unsigned i = 0; i < WIRED_HOSTS; i++, name[1]++) { /* an insider invents as many as there are */
        struct peer *q = welcomed(1, (struct hello){.host = name, .boot = 1});
        leave(q);
    }
    CHECK(!seen_find(&seen, pipeline_host(&pipeline, (struct slice){"web", 3})));
    CHECK_INT(seen.forgotten, 1);
    CHECK(strstr(row_line(recent.last_seq), "\"type\":\"hub.hosts_evicted\"") != NULL);
    CHECK_INT(hear(p), LINK_ACK);
    CHECK_INT(say(p, event(7, 2)), NEFIA_EAUTH);
    CHECK_INT(hear(p), LINK_ERROR);
    CHECK_INT(pipeline.events, 1);
    /* A plain event does not bring the window back. */
    leave(p);
    p = welcomed(0, (struct hello){.boot = 7, .plain = true});
    CHECK_INT(say(p, event(7, 3)), 0);
    turn();
    CHECK(seen_forget(&seen, p->session.host));
    CHECK_INT(say_plain(come(2), &shared_key, event(7, 4)), 0);
    CHECK_INT(say(p, event(7, 5)), NEFIA_EAUTH);
    children_kill_all(&children);
}

/* ---- Plain senders ---- */

TEST(plain_events_are_taken)
{
    setup_signed("{\"rules\":[" RULE_ONCE "]}");
    struct peer *p = come(0);
    CHECK_INT(say_plain(p, &shared_key, fixture_line("t", "web", "info")), 0);
    CHECK_INT(say_plain(p, &shared_key, event(7, 1)), 0);
    CHECK_INT(say_plain(p, &shared_key, event(7, 1)), 0);
    CHECK_INT(pipeline.duplicates, 1);
    CHECK_INT(jobs_left(&jobs), 2);
    turn();
    CHECK_INT(p->down.len, 0); /* nothing is said to a plain sender */
    children_kill_all(&children);
}

/** An outage of more than a window: unknown, which is reported, not "had". */
TEST(plain_events_below_the_window_are_unknown)
{
    setup_signed("{\"rules\":[" RULE_REPORTS "]}");
    struct peer *p = come(0);
    CHECK_INT(say_plain(p, &shared_key, event(7, 1000)), 0);
    for (uint64_t seq = 1; seq <= 3; seq++)
        CHECK_INT(say_plain(p, &shared_key, event(7, seq)), 0);
    CHECK_INT(pipeline.unknown, 3);
    CHECK_INT(pipeline.duplicates, 0);
    turn();
    CHECK(strstr(row_line(recent.last_seq), "{\"host\":\"web\",\"boot\":7,\"seq\":1,\"count\":3}") !=
          NULL);
    children_kill_all(&children);
}

TEST(nothing_is_parsed_before_it_is_verified)
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    static const char *const lines[] = {"not JSON", "\xff", "{}", NULL};

    setup_signed("{}");
    struct peer *p = come(0);
    for (unsigned i = 0; i < 4; i++) {
        const char *line = lines[i] ? lines[i] : fixture_line("t", "web", "info");
        const struct link_unit u = {{line, strlen(line)}, {zeros, 64}};
        CHECK_INT(hooks.unit(hooks.arg, &p->session, &u), NEFIA_EAUTH);
    }
    CHECK_INT(ingress.rejected[REJECT_WRONG], 4);
    CHECK_INT(recent.last_seq, 0);
    CHECK_INT(p->session.due, SESSION_IDLE); /* a plain sender is not told anything */
}

TEST(invalid_plain_events_are_counted_by_reason)
{
    static const struct {
        const char *line;
        enum reject why;
    } cases[] = {
        {"", REJECT_JSON},
        {"{", REJECT_JSON},
        {"{}{}", REJECT_JSON},
        {"{\"a\":\"\xff\"}", REJECT_UTF8},
        {"[]", REJECT_EVENT},
        {"{}", REJECT_EVENT},
        {"{\"a\":1,\"a\":2}", REJECT_EVENT},
        {"{\"unsure\":{}}", REJECT_EVENT}, /* messages are for sessions */
        {"{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"h\",\"timestamp\":\"2026-03-10T15:30:"
         "00Z\",\"severity\":\"loud\",\"data\":{}}",
         REJECT_EVENT},
        {"{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"h\",\"timestamp\":\"yesterday\","
         "\"severity\":\"info\",\"data\":{}}",
         REJECT_EVENT},
        {"{\"type\":\"t\",\"source\":\"s\",\"host_id\":\"h\",\"timestamp\":\"2026-03-10T15:30:"
         "00Z\",\"severity\":\"info\",\"data\":[]}",
         REJECT_EVENT},
    };

    setup_signed("{}");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const uint64_t before = ingress.rejected[cases[i].why];
        CHECK(say_plain(come(0), &shared_key, cases[i].line) < 0);
        CHECK_INT(ingress.rejected[cases[i].why], before + 1);
    }
    CHECK_INT(recent.last_seq, 0);
}

TEST(a_key_is_valid_for_its_host_only)
{
    setup_hosts("{}");
    settings.hosts[0].plain = settings.hosts[1].plain = true;
    settings.hosts[0].keys[1] = web_next;
    CHECK_INT(say_plain(come(0), &web_key, event_of("web", 1, 1)), 0);
    CHECK_INT(say_plain(come(0), &web_next, event_of("web", 1, 2)), 0);
    CHECK_INT(say_plain(come(0), &mail_key, event_of("mail", 1, 1)), 0);
    CHECK_INT(say_plain(come(0), &shared_key, event_of("other", 1, 1)), 0);
    CHECK_INT(say_plain(come(0), &mail_key, event_of("web", 1, 3)), NEFIA_EAUTH);
    CHECK_INT(say_plain(come(0), &shared_key, event_of("web", 1, 3)), NEFIA_EAUTH);
    CHECK_INT(say_plain(come(0), &web_key, event_of("other", 1, 3)), NEFIA_EAUTH);
    CHECK_INT(ingress.rejected[REJECT_WRONG], 3);
    CHECK_INT(pipeline.events, 4);
}

/** The raw line's first "host_id" is only a hint: what is decoded counts. */
TEST(the_key_hint_cannot_be_used_to_speak_for_another)
{
    char line[512];

    setup_hosts("{}");
    settings.hosts[0].plain = settings.hosts[1].plain = true;
    /* mail's key signs; the hint names mail; the event says web. */
    strcpy(line, "{\"data\":{\"host_id\":\"mail\"},\"type\":\"t\",\"source\":\"s\",\"host_id\":\"web\","
                 "\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\"}");
    CHECK_INT(say_plain(come(0), &mail_key, line), NEFIA_EAUTH);
    /* The shared key signs; there is no hint that the search finds. */
    strcpy(line, "{\"data\":{},\"type\":\"t\",\"source\":\"s\",\"host\\u005fid\":\"web\","
                 "\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\"}");
    CHECK_INT(say_plain(come(0), &shared_key, line), NEFIA_EAUTH);
    strcpy(line, "{\"data\":{},\"type\":\"t\",\"source\":\"s\",\"host_id\":\"w\\u0065b\","
                 "\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\"}");
    CHECK_INT(say_plain(come(0), &shared_key, line), NEFIA_EAUTH);
    /* A host with its own key in place of one that has the shared one. */
    strcpy(line, "{\"data\":{\"host_id\":\"mail\"},\"type\":\"t\",\"source\":\"s\",\"host_id\":\"free\","
                 "\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\"}");
    CHECK_INT(say_plain(come(0), &mail_key, line), NEFIA_EAUTH);
    CHECK_INT(ingress.rejected[REJECT_HOST], 4);
    CHECK_INT(pipeline.events, 0);
    /* Ends of the line in odd places. */
    static const char *const odd[] = {"\"host_id\"", "\"host_id\":", "\"host_id\" : \"web",
                                      "\"host_id\":\"", "{\"host_id\":7}"};
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
        CHECK(say_plain(come(0), &shared_key, odd[i]) < 0);
}

TEST(a_host_with_its_own_key_is_not_plain)
{
    setup_hosts("{}");
    CHECK_INT(say_plain(come(0), &web_key, event(1, 1)), NEFIA_EAUTH);
    CHECK_INT(ingress.rejected[REJECT_PLAIN], 1);
    settings.hosts[0].plain = true;
    CHECK_INT(say_plain(come(0), &web_key, event(1, 1)), 0);
    settings.require_nonce = true;
    CHECK_INT(say_plain(come(0), &web_key, event(1, 2)), NEFIA_EAUTH);
    CHECK_INT(say_plain(come(0), &shared_key, event_of("free", 1, 1)), NEFIA_EAUTH);
    CHECK_INT(ingress.rejected[REJECT_PLAIN], 3);
    CHECK_INT(pipeline.events, 1);
}

static int plain_again(void)
{
    static uint64_t seq;

    return say_plain(come(3), &shared_key, event(70, ++seq));
}

TEST(a_host_that_spoke_the_link_is_not_plain_any_more)
{
    setup_signed("{}");
    open_state();
    CHECK_INT(plain_again(), 0);
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(plain_again(), NEFIA_EAUTH);
    leave(p);
    CHECK_INT(plain_again(), NEFIA_EAUTH);
    restart();
    CHECK_INT(plain_again(), NEFIA_EAUTH); /* also after a restart */
    CHECK_INT(ingress.rejected[REJECT_PLAIN], 1);
    settings.plain_hosts[0] = "mail";
    settings.plain_hosts[1] = "web";
    settings.plain_host_count = 1;
    CHECK_INT(plain_again(), NEFIA_EAUTH);
    settings.plain_host_count = 2;
    CHECK_INT(plain_again(), 0);
    settings.plain_host_count = 0;
    CHECK(ingress_forget(&ingress, (struct slice){"web", 3}));
    CHECK_INT(plain_again(), 0);
    journal_close(&journal);
}

/** A hello with `plain` that somebody held back unpins nothing until the session goes on, which only the
 * beacon of that session can make happen. */
TEST(a_host_is_plain_again_with_the_second_line_only)
{
    setup_signed("{}");
    open_state();
    leave(welcomed(0, (struct hello){.boot = 7}));
    struct peer *p = welcomed(0, (struct hello){.boot = 7, .plain = true});
    CHECK_INT(plain_again(), NEFIA_EAUTH);
    CHECK_INT(say(p, "{\"later\":1}"), 0);
    CHECK_INT(plain_again(), 0);
    turn();
    restart();
    CHECK_INT(plain_again(), 0);
    leave(welcomed(0, (struct hello){.boot = 8}));
    CHECK_INT(plain_again(), NEFIA_EAUTH);
    journal_close(&journal);
}

TEST(a_line_that_does_not_verify_unpins_nothing)
{
    setup_signed("{}");
    leave(welcomed(0, (struct hello){.boot = 7}));
    struct peer *p = welcomed(0, (struct hello){.boot = 7, .plain = true});
    p->link.lines_out++;
    CHECK_INT(say(p, event(7, 1)), NEFIA_EAUTH);
    CHECK_INT(plain_again(), NEFIA_EAUTH);
}

/** Without a key everyone can say everything: a pin would only be a way to lock senders out. */
TEST(without_keys_nothing_is_pinned)
{
    setup("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say_plain(come(1), NULL, event(8, 1)), 0);
    CHECK(!seen_find(&seen, pipeline_host(&pipeline, (struct slice){"web", 3}))->pinned);
    /* And a pin from when there was a key is neither ended nor in the way. */
    seen_get(&seen, p->session.host)->pinned = true;
    CHECK_INT(say_plain(come(1), NULL, event(8, 2)), 0);
    p = welcomed(0, (struct hello){.boot = 7, .plain = true});
    CHECK_INT(say(p, event(7, 1)), 0);
    CHECK(seen_find(&seen, pipeline_host(&pipeline, (struct slice){"web", 3}))->pinned);
}

TEST(a_late_hello_upgrades)
{
    setup_signed("{}");
    struct peer *p = come(0);
    CHECK_INT(say_plain(p, &shared_key, event(7, 1)), 0);
    CHECK_INT(say_hello(p, (struct hello){.boot = 7, .plain = true}), 0);
    turn();
    CHECK_INT(hear(p), LINK_WELCOME);
    CHECK_INT(p->got.welcome.start_count, 0); /* what came plainly is no window to rely on */
    CHECK_INT(say(p, event(7, 1)), 0);
    CHECK_INT(pipeline.duplicates, 1); /* but it is remembered */
    CHECK_INT(say_plain(p, &shared_key, event(7, 2)), NEFIA_EAUTH); /* none are plain after that */
    CHECK_INT(ingress.rejected[REJECT_WRONG], 1);
}

/* ---- What proves a connection ---- */

static bool proves(const char *line)
{
    struct peer *p = come(2);

    CHECK_INT(say_plain(p, &shared_key, line), 0);
    return p->session.proven;
}

TEST(only_new_events_prove_a_connection)
{
    char first[512], second[512];

    setup_signed("{}");
    CHECK(proves(event(7, 1000)));
    CHECK(!proves(event(7, 1000)));
    CHECK(!proves(event(7, 1)));
    CHECK(proves(event(7, 1001)));
    snprintf(first, sizeof first, "%s", fixture_line("one", "web", "info"));
    snprintf(second, sizeof second, "%s", fixture_line("two", "web", "info"));
    struct peer *p = come(0);
    CHECK_INT(say_plain(p, &shared_key, first), 0);
    CHECK(p->session.proven);
    CHECK_INT(say_plain(p, &shared_key, second), 0); /* had nothing to prove any more */
    CHECK(!proves(first));
    CHECK(!proves(second));
    CHECK(proves(fixture_line("three", "web", "info")));
}

/* ---- Reload ---- */

TEST(a_reload_ends_the_sessions_whose_key_is_gone)
{
    setup_hosts("{}");
    settings.hosts[0].keys[1] = web_next;
    struct peer *web = welcomed(0, (struct hello){.boot = 7, .key = &web_next}),
                *mail = welcomed(1, (struct hello){.host = "mail", .boot = 7, .key = &mail_key}),
                *free = welcomed(2, (struct hello){.host = "free", .boot = 7});
    ingress_recheck(&ingress);
    turn();
    CHECK_INT(web->down.len + mail->down.len + free->down.len, 0);
    settings.hosts[0].keys[0] = web_next; /* rotated */
    mac_key_wipe(&settings.hosts[0].keys[1]);
    settings.hosts[1].keys[0] = web_key; /* changed */
    ingress_recheck(&ingress);
    CHECK_INT(say(mail, event_of("mail", 7, 1)), NEFIA_EAGAIN);
    turn();
    CHECK_INT(hear(mail), LINK_ERROR);
    CHECK_STR(mail->got.reason, "the key of this session was removed");
    CHECK_INT(web->down.len + free->down.len, 0);
    CHECK_INT(say(web, event(7, 1)), 0);
    CHECK_INT(ingress.rejected[REJECT_HOST], 1);
    settings.host_count = 0; /* web has the shared key now */
    ingress_recheck(&ingress);
    turn();
    CHECK_INT(hear(web), LINK_ERROR);
    CHECK_INT(free->down.len, 0);
    mac_key_wipe(&ingress.key); /* and now there are none */
    ingress_recheck(&ingress);
    turn();
    CHECK_INT(hear(free), LINK_ERROR);
    CHECK_INT(ingress.rejected[REJECT_HOST], 3);
}

TEST(a_reload_ends_the_sessions_of_addresses_that_are_gone)
{
    setup_hosts("{}");
    struct peer *web = welcomed(0, (struct hello){.boot = 7, .key = &web_key});
    CHECK_INT(addr_net_parse(&settings.hosts[0].nets[0], "192.0.2.99", 10, NULL), 0);
    settings.hosts[0].net_count = 1;
    ingress_recheck(&ingress);
    turn();
    CHECK_INT(hear(web), LINK_ERROR);
}

TEST(keys_apply_to_connections_that_wait)
{
    setup("{}");
    struct peer *p = come(0), *q = come(1);
    CHECK_INT(say_plain(q, NULL, event(7, 1)), 0);
    CHECK_INT(mac_key_set(&shared_key, "0123456789abcdef", 16), 0);
    ingress.key = shared_key;
    ingress_recheck(&ingress);
    p->link.is_signed = true;
    CHECK_INT(say_hello(p, (struct hello){.boot = 7}), 0);
    turn();
    CHECK_INT(hear(p), LINK_WELCOME);
    struct link_unit u = {{event(7, 2), strlen(event(7, 2))}, {"", 0}};
    CHECK(hooks.unit(hooks.arg, &q->session, &u) < 0);
    CHECK_INT(ingress.rejected[REJECT_UNSIGNED], 1);
}

/* ---- Rate, log ---- */

TEST(senders_over_the_rate_are_slowed_then_rejected)
{
    unsigned taken = 0;

    setup("{}");
    settings.max_events_per_sec = 10;
    struct peer *p = come(0);
    int err = 0;
    for (int ms = 0; ms < 70000 && (err == 0 || err == NEFIA_EAGAIN); ms += 10) {
        fake.now_ms += 10;
        for (int i = 0; i < 3; i++)
            taken += (err = say_plain(p, NULL, fixture_line("t", "web", "info"))) == 0;
    }
    CHECK_INT(err, NEFIA_EAUTH);
    CHECK(ingress.rejected[REJECT_RATE] > 0);
    CHECK(taken >= 590 && taken <= 640);
    p = come(0);
    for (int i = 0; i < 2000; i++) { /* within its rate: for ever */
        fake.now_ms += 110;
        CHECK_INT(say_plain(p, NULL, fixture_line("t", "web", "info")), 0);
    }
}

TEST(every_line_of_a_session_counts_in_its_rate)
{
    setup_signed("{}");
    settings.max_events_per_sec = 10;
    fake.now_ms += 10000;
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    unsigned taken = 0;
    for (unsigned i = 0; i < 100; i++)
        taken += say(p, "{\"later\":1}") == 0;
    CHECK_INT(taken, 20); /* two seconds' worth */
}

TEST(a_lower_rate_applies_at_once)
{
    unsigned taken = 0;

    setup("{}");
    settings.max_events_per_sec = 1000;
    fake.now_ms += 10000;
    struct peer *p = come(0);
    CHECK_INT(say_plain(p, NULL, fixture_line("t", "web", "info")), 0);
    settings.max_events_per_sec = 10;
    for (int i = 0; i < 100; i++)
        taken += say_plain(p, NULL, fixture_line("t", "web", "info")) == 0;
    CHECK_INT(taken, 20);
}

static char last_line[160];
static int log_end;

/** Return: lines logged since. */
static unsigned read_log(void)
{
    static char got[16384];
    struct text last;
    char *at = got;
    unsigned n = 0;

    ssize_t len = read(log_end, got, sizeof got - 1);
    got[len > 0 ? len : 0] = '\0';
    for (char *line = next_line(&at); line; line = next_line(&at), n++) {
        text_init(&last, last_line, sizeof last_line);
        text_str(&last, line);
    }
    return n;
}

static void begin_log(void)
{
    int ends[2];

    CHECK_INT(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    log_to_fd(ends[1]);
    log_end = ends[0];
    LOG_WARN("here it begins"); /* what was repeated before is said now */
    (void)read_log();
}

/** From another port each time. */
static void refuse_times(int times)
{
    while (times-- > 0) {
        struct peer *p = come(0);
        p->session.peer.port = (uint16_t)(times + 1);
        CHECK(say_plain(p, NULL, "x") < 0);
    }
}

TEST(rejected_senders_do_not_flood_the_log)
{
    setup("{}");
    begin_log();
    refuse_times(INGRESS_CLOSED_LINES);
    CHECK_INT(read_log(), INGRESS_CLOSED_LINES);
    CHECK(strstr(last_line, "connection from 192.0.2.10:1 closed: not JSON") != NULL);
    refuse_times(1);
    CHECK_INT(read_log(), 1);
    CHECK(strstr(last_line, "more than 60 connections closed within a minute") != NULL);
    refuse_times(1000);
    CHECK_INT(read_log(), 0);
    CHECK_INT(ingress.rejected[REJECT_JSON], INGRESS_CLOSED_LINES + 1001);
    fake.now_ms += 60 * 1000;
    refuse_times(1);
    CHECK_INT(read_log(), 2); /* one of them reports those not logged before */
}

/** Nor do devices that have a key. */
TEST(refused_events_do_not_flood_the_log)
{
    setup_signed("{}");
    struct peer *p = welcomed(0, (struct hello){.boot = 7});
    CHECK_INT(say(p, event(7, 1000)), 0);
    turn();
    begin_log();
    for (unsigned i = 0; i < 500; i++) {
        CHECK_INT(say(p, i % 2 ? "{\"type\":\"t\"}" : "{\"type\":5}"), 0);
        turn();
        CHECK_INT(say(p, event(7, 1)), 0);
        turn();
        text_reset(&p->down);
        fake.now_ms += 1;
    }
    const unsigned lines = read_log();
    CHECK(lines > INGRESS_CLOSED_LINES && lines <= INGRESS_CLOSED_LINES + 2);
    CHECK_INT(ingress.rejected[REJECT_EVENT], 500);
    CHECK_INT(pipeline.unknown, 500);
}

TEST_MAIN(connections_are_greeted, a_session_from_hello_to_acknowledgement,
          without_keys_the_same_goes_unsigned, the_host_of_the_hello_picks_the_key,
          a_hello_is_not_taken_unsigned_where_there_are_keys, a_recorded_hello_proves_nothing,
          a_malformed_hello_is_told_why, a_host_speaks_from_its_addresses,
          a_hello_ends_the_other_sessions_of_its_host, two_devices_with_one_name_are_reported,
          the_welcome_names_the_windows, the_welcome_names_no_plain_window,
          nothing_is_taken_before_the_welcome, a_line_counts_in_its_place_only,
          duplicates_are_acknowledged_and_act_once, another_hosts_events_are_refused,
          what_is_no_event_is_refused, unknown_messages_count_as_lines_only,
          a_refusal_is_said_before_an_acknowledgement_passes_it,
          more_than_the_window_ends_the_session, below_the_window_is_refused_and_reported,
          unsure_events_act_where_it_is_harmless, unsure_is_harmless_where_nothing_acts,
          unsure_ends_with_the_event_that_it_was_said_of, a_full_queue_defers_the_line,
          a_deferred_line_stays_unsure, nothing_is_said_while_the_journal_cannot_be_written,
          nothing_is_overdue_while_the_journal_cannot_be_written,
          what_came_after_the_commit_is_not_acknowledged_with_it, a_welcome_outlives_the_hub,
          a_forgotten_host_connects_again, an_evicted_host_connects_again, plain_events_are_taken,
          plain_events_below_the_window_are_unknown, nothing_is_parsed_before_it_is_verified,
          invalid_plain_events_are_counted_by_reason, a_key_is_valid_for_its_host_only,
          the_key_hint_cannot_be_used_to_speak_for_another, a_host_with_its_own_key_is_not_plain,
          a_host_that_spoke_the_link_is_not_plain_any_more,
          a_host_is_plain_again_with_the_second_line_only,
          a_line_that_does_not_verify_unpins_nothing, without_keys_nothing_is_pinned,
          a_late_hello_upgrades, only_new_events_prove_a_connection,
          a_reload_ends_the_sessions_whose_key_is_gone,
          a_reload_ends_the_sessions_of_addresses_that_are_gone, keys_apply_to_connections_that_wait,
          senders_over_the_rate_are_slowed_then_rejected, every_line_of_a_session_counts_in_its_rate,
          a_lower_rate_applies_at_once, rejected_senders_do_not_flood_the_log,
          refused_events_do_not_flood_the_log)
