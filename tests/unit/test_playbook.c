#include "playbook_fixture.h"

#define EVENT(data)                                                                                \
    "{\"type\":\"service.status\",\"source\":\"service-beacon\",\"host_id\":\"r1\",\"timestamp\":\"2026-03-10T15:30:00Z\"," \
    "\"severity\":\"critical\",\"data\":" data ",\"seq\":7,\"boot\":3}"

static struct json_token event_tokens[CONFIG_JSON_TOKENS];
static char event_scratch[EVENT_SCRATCH];
static struct event event;

static const struct event *decode(const char *line)
{
    const char *why;

    CHECK_INT(event_decode(&event, line, strlen(line), event_tokens, CONFIG_JSON_TOKENS, event_scratch, &why), 0);
    return &event;
}

static char text_buf[PLAYBOOK_TEXT_BYTES];
static struct text text;
static struct playbook_values values = {.host = "r1"};
static struct playbook_run run;
static struct playbook_todo todo;

static enum playbook_turn next(void)
{
    text_init(&text, text_buf, sizeof text_buf);
    return playbook_next(&run, &todo, &text);
}

static void start(void)
{
    playbook_begin(&run, book, &values, "0123456789abcdef");
}

static enum playbook_judgement done(int exit, const char *output)
{
    return playbook_result(&run, &(struct playbook_result){.outcome = LINK_DONE, .exit = exit, .output = {output, strlen(output)}});
}

static enum playbook_judgement not_done(enum link_outcome outcome)
{
    return playbook_result(&run, &(struct playbook_result){.outcome = outcome});
}

/** The op that comes next, as JSON; or why there is none. */
static const char *next_json(void)
{
    static char buf[PLAYBOOK_OP_BYTES + 64];
    struct json_writer w;
    struct text t;

    const enum playbook_turn turn = next();
    text_init(&t, buf, sizeof buf);
    if (turn == PLAYBOOK_OVER) {
        text_str(&t, word_at(playbook_state_words, run.state));
        text_str(&t, ": ");
        text_str(&t, run.why);
        return buf;
    }
    if (turn != PLAYBOOK_CARRY_OUT) {
        text_str(&t, turn == PLAYBOOK_SKIPPED ? "skipped: " : "refused: ");
        text_str(&t, todo.why);
        return buf;
    }
    json_begin(&w, &t);
    op_write(&todo.op, &w, NULL);
    return buf;
}

/* ---- files ---- */

static void expect_reports(const char *yaml, const char *want)
{
    load("p.yaml", yaml);
    CHECK_STR(reports, want);
}

TEST(a_playbook_is_bound)
{
    REQUIRE(load("p.yaml", "name: restart\n"
                           "description: as it says\n"
                           "hosts: ['^r[0-9]+$', gw]\n"
                           "vars: {wait: \"5\"}\n"
                           "on_restart: continue\n"
                           "commit_within: 60s\n"
                           "steps:\n"
                           "  - name: look\n"
                           "    check: pidof x\n"
                           "    register: look\n"
                           "    ignore_errors: true\n"
                           "  - name: restart\n"
                           "    service: {name: '{{event.data.service}}', verb: restart}\n"
                           "    when: '{{look.exit}} != 0 and {{vars.wait}} < 10'\n"
                           "    retries: 2\n"
                           "    delay: 1s\n"
                           "    timeout: 1m\n"
                           "    rollback:\n"
                           "      - argv: [/bin/true, '{{host}}']\n"
                           "  - name: write\n"
                           "    file: {path: /etc/x, content: 'a={{look.output}}', mode: 0600, backup: true}\n") == 0);
    CHECK_STR(reports, "");
    CHECK_STR(book->name, "restart");
    CHECK_INT(book->on_restart, PLAYBOOK_CONTINUE);
    CHECK_INT(book->commit_within_ms, 60000);
    CHECK_INT(book->step_count, 3);
    CHECK(book->steps[0].idempotent && book->steps[0].op.check && book->steps[0].ignore_errors);
    CHECK_INT(book->steps[0].reg, 0);
    CHECK_INT(book->steps[1].retries, 2);
    CHECK_INT(book->steps[1].delay_ms, 1000);
    CHECK_INT(book->steps[1].op.timeout_ms, 60000);
    CHECK_INT(book->steps[1].op.verb, OP_RESTART);
    CHECK(!book->steps[1].idempotent);
    CHECK_INT(book->steps[1].undo_count, 1);
    CHECK_INT(book->steps[2].op.mode, 0600);
    CHECK_INT(book->steps[2].undo_count, 1); /* by its backup */
    CHECK_INT(book->undos[1].kind, OP_RESTORE);
    static struct matcher_work work;
    CHECK(playbook_takes(book, "r17", &work));
    CHECK(playbook_takes(book, "gw-1", &work));
    CHECK(!playbook_takes(book, "r17x", &work));
}

TEST(faults_are_reported_all_at_once)
{
    expect_reports("name: x\nsteps:\n"
                   "  - {name: a, run: 'echo {{event.data.x}}'}\n"
                   "  - {name: a, argv: [ls]}\n"
                   "  - {name: b, argv: ['{{event.data.program}}']}\n"
                   "  - {name: c, file: {path: '/etc/{{event.data.file}}', content: x}}\n"
                   "  - {name: d, file: {path: /etc/x}}\n"
                   "  - {name: e}\n"
                   "  - {name: f, run: x, check: y}\n"
                   "  - {name: g, service: {name: -x, verb: restart}}\n"
                   "  - {name: h, service: {name: x, verb: kill}}\n"
                   "  - {name: i, wait_for: {port: here}}\n"
                   "  - {name: j, wait_for: {path: a/b}}\n"
                   "  - {name: k, run: x, env: {PATH: /tmp}}\n"
                   "  - {name: l, argv: [/bin/x, '{{later.exit}}', '{{vars.no}}', '{{event.hostid}}']}\n"
                   "  - {name: m, run: x, register: later, when: '{{later.exit}} = 1'}\n"
                   "  - {name: n, restore: /, retires: 3}\n"
                   "  - {name: o, argv: [/bin/busybox, ash, -ec, 'x {{event.data.x}}']}\n"
                   "  - {name: p, argv: [/bin/sh, -c, 'x \"$1\"', sh, '{{event.data.x}}']}\n",
                   "p.yaml:3: steps[0].run: no template may stand in a command line, whose text a shell would make of it; give it as `env: "
                   "{NEFIA_X: \"{{\xE2\x80\xA6}}\"}` and write \"$NEFIA_X\", or use argv\n"
                   "p.yaml:4: steps[1].name: is that of an earlier step\n"
                   "p.yaml:4: steps[1]: the program \"ls\" is not an absolute path\n"
                   "p.yaml:5: steps[2].argv[0]: {{event.data.program}} may not stand here: what an event or an output says chooses no file and "
                   "no program; use vars\n"
                   "p.yaml:6: steps[3].file.path: {{event.data.file}} may not stand here: what an event or an output says chooses no file and no "
                   "program; use vars\n"
                   "p.yaml:7: steps[4].file: has neither content nor from; one of them says what the file gets\n"
                   "p.yaml:8: steps[5]: says nothing to do; one of run, argv, service, file, restore, wait_for and check is wanted\n"
                   "p.yaml:9: steps[6]: says more than one thing to do; one of run, argv, service, file, restore, wait_for and check is wanted\n"
                   "p.yaml:10: steps[7]: the service \"-x\" is not the name of a service\n"
                   "p.yaml:11: steps[8].service.verb: \"kill\" is not one of start, stop, restart, reload\n"
                   "p.yaml:12: steps[9]: the port \"here\" is not an address and a port, such as 127.0.0.1:80\n"
                   "p.yaml:13: steps[10]: the path \"a/b\" is not an absolute path of a file: no \"//\", \".\" or \"..\", and no slash at its end\n"
                   "p.yaml:14: steps[11].env.PATH: is not the name of a variable that may be set; it is NEFIA_ and capital letters, digits and _, "
                   "and not NEFIA_CAUSE\n"
                   "p.yaml:15: steps[12].argv[1]: {{later.exit}} unknown name; there are host, event.KEY, vars.NAME, and NAME.exit and NAME.output "
                   "of an earlier step with `register: NAME`\n"
                   "p.yaml:15: steps[12].argv[2]: {{vars.no}} no such variable; write it down in `vars`\n"
                   "p.yaml:15: steps[12].argv[3]: {{event.hostid}} an event has no such member; it has type, source, host_id, severity, timestamp "
                   "and data.KEY\n"
                   "p.yaml:16: steps[13].when: a comparison is missing; there are ==, !=, <, >, <= and >=\n"
                   "p.yaml:17: steps[14].restore: \"/\" is not 2..511 bytes long\n"
                   "p.yaml:17: steps[14].retires: unknown key; did you mean retries?\n"
                   "p.yaml:18: steps[15].argv[3]: no template may stand in a command line, whose text a shell would make of it; give it as `env: "
                   "{NEFIA_X: \"{{\xE2\x80\xA6}}\"}` and write \"$NEFIA_X\", or use argv\n");
}

TEST(what_is_outside_of_its_bounds_is_reported)
{
    expect_reports("name: x\nsteps: []\n", "p.yaml:2: steps: is not a list of 1 to 64 steps\n");
    expect_reports("name: x\n", "p.yaml:1: steps: missing: a list of what is done\n");
    expect_reports("name: x\nsteps: [{name: a, run: x, when: 'a'}]\n", "p.yaml:2: steps[0].when: a comparison is missing; there are ==, !=, <, >, <= and >=\n");
    expect_reports("name: x\nsteps: [{name: a, run: x, when: '1 == 1 or 2 == 2'}]\n",
                   "p.yaml:2: steps[0].when: `and` or the end is missing; there are no `or`, no `not` and no brackets\n");
    expect_reports("name: x\nsteps: [{name: a, argv: [/x, '{{event.type']}]\n",
                   "p.yaml:2: steps[0].argv[1]: {{ without a name and }}; {{\"{{\"}} stands for the braces themselves\n");
    expect_reports("name: x\nvars: {a: '{{host}}', b-c: 1}\nsteps: [{name: a, run: x}]\n",
                   "p.yaml:2: vars.a: no template may stand in a variable; write it where the variable is used\n"
                   "p.yaml:2: vars.b-c: is no name; letters, digits and _ make one\n");
    expect_reports("name: x\nhosts: ['(']\nsteps: [{name: a, run: x, register: event}]\n",
                   "p.yaml:2: hosts: \"(\": offset 0, \"(\": missing closing ); write \\( for a literal (\n"
                   "p.yaml:3: steps[0].register: is no name; letters, digits and _ make one that is not event, vars or host\n");
    expect_reports("name: x\ncommit_within: 10s\ntarget: hub\nsteps: [{name: a, run: x}]\n",
                   "p.yaml:2: commit_within: is for steps on a device; remove it\n");
    expect_reports("name: x\ncommit_within: 10s\nsteps:\n  - {name: a, run: x, register: r, rollback: [{argv: [/x, '{{r.output}}']}]}\n",
                   "p.yaml:4: steps[0].rollback[0].argv[1]: {{r.output}} cannot be known: by commit_within the device has the rollbacks before the "
                   "first step\n");
    expect_reports("name: x\ncommit_within: 10s\nsteps:\n  - {name: a, run: x, target: hub, rollback: [{run: y}]}\n  - {name: b, run: x}\n",
                   "p.yaml:4: steps[0].rollback: the device cannot undo by commit_within what is done on the hub; leave it out\n"
                   "p.yaml:5: warning: steps[1]: has no rollback: commit_within cannot undo it\n");
}

TEST(what_is_probably_not_meant_is_a_warning)
{
    expect_reports("name: x\nvars: {a: 1}\ncommit_within: 10s\nsteps:\n  - {name: a, run: x, register: r}\n  - {name: b, check: y}\n",
                   "p.yaml:5: warning: steps[0]: has no rollback: commit_within cannot undo it\n"
                   "p.yaml:2: warning: vars: a is not used\n"
                   "p.yaml: warning: steps: register r is not used\n");
    CHECK_INT(book->step_count, 2);
}

/** A playbook with so many rollbacks of so many bytes. */
static void load_large(unsigned steps, unsigned bytes, const char *tail)
{
    static char yaml[32768];
    struct text t;

    text_init(&t, yaml, sizeof yaml);
    text_str(&t, "name: x\ncommit_within: 10s\nsteps:\n");
    for (unsigned i = 0; i < steps; i++) {
        text_str(&t, "  - name: s");
        text_u64(&t, i);
        text_str(&t, "\n    run: x\n    rollback: [{argv: [/bin/x, '");
        for (unsigned k = 0; k < bytes; k++)
            text_char(&t, 'x');
        text_str(&t, tail);
        text_str(&t, "']}]\n");
    }
    load("p.yaml", yaml);
}

TEST(rollbacks_that_do_not_fit_the_wire_are_refused)
{
    load_large(4, 500, "");
    CHECK_STR(reports, "");
    load_large(4, 900, "");
    CHECK_STR(reports, "p.yaml:2: commit_within: the rollbacks of all steps are too much for one command to a device (3336 bytes)\n");
    load_large(4, 900, "{{host}}");
    CHECK_STR(reports, "p.yaml:2: warning: commit_within: the rollbacks of all steps are too much for one command to a device (3336 bytes) "
                       "unless the values of templates are short\n");
    load_large(15, 10, "");
    CHECK_STR(reports, "");
    load_large(30, 10, ""); /* more values than are taken apart at once */
    CHECK_STR(reports, "p.yaml:2: commit_within: the rollbacks of all steps are too much for one command to a device (3336 bytes)\n");
}

/* ---- templates ---- */

/** The first step's op, or why it cannot begin. */
static const char *first_op(const char *step)
{
    char yaml[2048];
    struct text t;

    text_init(&t, yaml, sizeof yaml);
    text_str(&t, "name: x\nvars: {v: one, dir: /tmp}\nsteps:\n  - ");
    text_str(&t, step);
    text_str(&t, "\n");
    if (load("p.yaml", yaml) < 0)
        return reports;
    start();
    return next_json();
}

TEST(templates_are_filled_in)
{
    values.event = decode(EVENT("{\"service\":\"nginx\",\"n\":-1.5,\"on\":true,\"none\":null,\"deep\":{\"a\":{\"b\":\"c\"}},\"q\":\"a\\\"b\\nc\"}"));
    CHECK_STR(first_op("{name: a, argv: [/bin/x, '{{event.data.service}}', 'a{{ vars.v }}b{{host}}', '{{event.data.deep.a.b}}']}"),
              "{\"argv\":[\"/bin/x\",\"nginx\",\"aonebr1\",\"c\"],\"timeout_ms\":30000}");
    CHECK_STR(first_op("{name: a, argv: ['{{vars.dir}}/x', '{{event.type}} {{event.severity}} {{event.seq}}', '{{\"{{\"}}x}}']}"),
              "{\"argv\":[\"/tmp/x\",\"service.status critical 7\",\"{{x}}\"],\"timeout_ms\":30000}");
    CHECK_STR(first_op("{name: a, run: 'echo \"$NEFIA_Q\" {{.Names}}', env: {NEFIA_Q: '{{event.data.q}}', NEFIA_N: 'n={{event.data.n}}'}}"),
              "{\"run\":\"echo \\\"$NEFIA_Q\\\" {{.Names}}\",\"timeout_ms\":30000,\"env\":{\"NEFIA_Q\":\"a\\\"b\\nc\",\"NEFIA_N\":\"n=-1.5\"}}");
    CHECK_STR(first_op("{name: a, argv: [/x, '{{event.data.no | default \"d e\"}}', '{{event.data.none|default \"\"}}.']}"),
              "{\"argv\":[\"/x\",\"d e\",\".\"],\"timeout_ms\":30000}");
    CHECK_STR(first_op("{name: a, argv: [/x, '{{event.data.no | default vars.v}}', '{{event.data.service | default vars.v}}']}"),
              "{\"argv\":[\"/x\",\"one\",\"nginx\"],\"timeout_ms\":30000}");
    CHECK_STR(first_op("{name: a, argv: [/x, '{{event.data.no | default host}}', '{{event.data.no | default vars.w}}']}"),
              "p.yaml:4: steps[0].argv[1]: behind | only default and a \"text\" or vars.NAME may stand\n"
              "p.yaml:4: steps[0].argv[2]: {{event.data.no}} no such variable; write it down in `vars`\n");
    CHECK_STR(first_op("{name: a, service: {name: '{{event.data.service}}', verb: reload}, timeout: 5s}"),
              "{\"service\":{\"name\":\"nginx\",\"verb\":\"reload\"},\"timeout_ms\":5000}");
    CHECK_STR(first_op("{name: a, file: {path: '{{vars.dir}}/f', content: 'x={{event.data.on}}', mode: 640, backup: yes}}"),
              "{\"file\":{\"path\":\"/tmp/f\",\"content\":\"x=true\",\"mode\":\"0640\",\"backup\":true},\"timeout_ms\":30000}");
    CHECK_STR(first_op("{name: a, wait_for: {service: x}}"), "{\"wait_for\":{\"service\":\"x\"},\"timeout_ms\":30000}");
    CHECK_STR(first_op("{name: a, wait_for: {service: x, state: failed}}"),
              "{\"wait_for\":{\"service\":\"x\",\"state\":\"failed\"},\"timeout_ms\":30000}");
    CHECK_STR(first_op("{name: a, wait_for: {port: '{{event.data.service}}:80'}}"), "{\"wait_for\":{\"port\":\"nginx:80\"},\"timeout_ms\":30000}");
}

TEST(a_variable_may_be_set_for_one_run)
{
    static const char *const sets[] = {"v=two", "dir=/var"}, *const unknown[] = {"w=x"}, *const odd[] = {"v"};
    static char why_buf[200];
    struct text why;

    values.sets = sets;
    values.set_count = 2;
    CHECK_STR(first_op("{name: a, argv: ['{{vars.dir}}/x', '{{vars.v}}']}"), "{\"argv\":[\"/var/x\",\"two\"],\"timeout_ms\":30000}");
    text_init(&why, why_buf, sizeof why_buf);
    CHECK_INT(playbook_values_check(book, &values, &why), 0);
    values.set_count = 1;
    values.sets = unknown;
    CHECK_INT(playbook_values_check(book, &values, &why), NEFIA_EINVAL);
    CHECK_STR(why_buf, "\"w\" is no variable of the playbook");
    text_reset(&why);
    values.sets = odd;
    CHECK_INT(playbook_values_check(book, &values, &why), NEFIA_EINVAL);
    CHECK_STR(why_buf, "\"v\" is not NAME=VALUE");
    values.set_count = 0;
}

TEST(what_an_event_says_is_never_more_than_a_value)
{
    values.event = decode(EVENT("{\"template\":\"{{vars.v}}\",\"option\":\"-rf\",\"empty\":\"\",\"service\":\"../x\",\"list\":[1],\"nul\":\"a\\u0000b\"}"));
    CHECK_STR(first_op("{name: a, argv: [/x, '{{event.data.template}}']}"), "{\"argv\":[\"/x\",\"{{vars.v}}\"],\"timeout_ms\":30000}");
    CHECK_STR(first_op("{name: a, argv: [/x, '{{event.data.option}}']}"),
              "refused: the argument \"-rf\" would be an option; an argument \"--\" before it says that no option follows");
    CHECK_STR(first_op("{name: a, argv: [/x, '--', '{{event.data.option}}', 'o={{event.data.option}}']}"),
              "{\"argv\":[\"/x\",\"--\",\"-rf\",\"o=-rf\"],\"timeout_ms\":30000}");
    CHECK_STR(first_op("{name: a, argv: [/x, '{{\"\"}}{{event.data.empty}}{{event.data.option}}']}"),
              "refused: the argument \"-rf\" would be an option; an argument \"--\" before it says that no option follows");
    CHECK_STR(first_op("{name: a, argv: [/x, '{{\"-\"}}{{event.data.option}}', '{{event.data.empty}}-x']}"),
              "{\"argv\":[\"/x\",\"--rf\",\"-x\"],\"timeout_ms\":30000}");
    CHECK_STR(first_op("{name: a, service: {name: '{{event.data.service}}', verb: stop}}"),
              "refused: the service \"../x\" is not the name of a service");
    CHECK_STR(first_op("{name: a, argv: [/x, '{{event.data.list}}']}"), "refused: {{event.data.list}}: is no single value");
    CHECK_STR(first_op("{name: a, argv: [/x, '{{event.data.nul}}']}"), "refused: {{event.data.nul}}: has a NUL character");
    CHECK_STR(first_op("{name: a, argv: [/x, '{{event.data.gone}}']}"), "refused: {{event.data.gone}}: the event does not have it");
    CHECK_INT(run.state, PLAYBOOK_RUNS);
    CHECK_STR(next_json(), "failed: step \"a\": {{event.data.gone}}: the event does not have it");
    values.event = NULL;
    CHECK_STR(first_op("{name: a, argv: [/x, '{{event.data.gone}}']}"), "refused: {{event.data.gone}}: no event has set it off");
    CHECK_STR(first_op("{name: a, argv: [/x, '{{event.data.gone | default \"x\"}}']}"), "{\"argv\":[\"/x\",\"x\"],\"timeout_ms\":30000}");
}

/** Is it true, in the words of the engine? */
static const char *when(const char *condition)
{
    char step[512];
    struct text t;

    text_init(&t, step, sizeof step);
    text_str(&t, "{name: a, run: 'true', when: '");
    text_str(&t, condition);
    text_str(&t, "'}");
    const char *said = first_op(step);
    return strncmp(said, "{", 1) == 0 ? "true" : strncmp(said, "skipped", 7) == 0 ? "false" : said;
}

TEST(conditions_compare)
{
    values.event = decode(EVENT("{\"p\":\"92.5\",\"n\":\"-3\",\"s\":\"a == a and b\",\"big\":\"123456789012345678901234567890.5\",\"e\":\"\"}"));
    CHECK_STR(when("{{event.data.p}} > 90"), "true");
    CHECK_STR(when("{{event.data.p}} > 92.5"), "false");
    CHECK_STR(when("{{event.data.p}} >= 92.50"), "true");
    CHECK_STR(when("{{event.data.p}} == 92.50"), "false"); /* as texts */
    CHECK_STR(when("{{event.data.p}} != 92.50"), "true");
    CHECK_STR(when("{{event.data.p}}<92.51"), "true");
    CHECK_STR(when("{{event.data.n}} < -2.9"), "true");
    CHECK_STR(when("{{event.data.n}} < -3.0"), "false");
    CHECK_STR(when("-0.0 < 0"), "false");
    CHECK_STR(when("007 <= 7"), "true");
    CHECK_STR(when("{{event.data.big}} > 123456789012345678901234567890.49"), "true");
    CHECK_STR(when("{{event.data.s}} == \"a == a and b\""), "true");
    CHECK_STR(when("{{event.data.s}} == a"), "false");
    CHECK_STR(when("{{event.data.e}} == \"\""), "true");
    CHECK_STR(when("{{host}} == r1 and 2 > 1 and {{vars.v}} == one"), "true");
    CHECK_STR(when("{{host}} == r1 and 1 > 2 and {{event.data.gone}} == one"), "false"); /* the rest is not looked at */
    CHECK_STR(when("{{event.data.gone}} == one"), "refused: {{event.data.gone}}: the event does not have it");
    CHECK_STR(when("{{event.data.gone | default \"1\"}} == 1"), "true");
    CHECK_STR(when("{{event.data.s}} > 1"), "refused: \"a == a and b\" is no number");
    CHECK_STR(when("1. > 1"), "refused: \"1.\" is no number");
    CHECK_STR(when("1 == 1 and"), "p.yaml:4: steps[0].when: `and` or the end is missing; there are no `or`, no `not` and no brackets\n");
}

/* ---- runs ---- */

static void load_three(const char *head)
{
    char yaml[2048];
    struct text t;

    text_init(&t, yaml, sizeof yaml);
    text_str(&t, "name: x\n");
    text_str(&t, head);
    text_str(&t, "steps:\n"
                 "  - {name: one, run: do1, retries: 1, delay: 2s, rollback: [{run: undo1a}, {run: undo1b}]}\n"
                 "  - {name: two, run: do2, register: two, rollback: [{run: undo2}]}\n"
                 "  - {name: three, argv: [/do3, '{{two.output}}', '{{two.exit}}'], idempotent: true, rollback: [{run: undo3}]}\n");
    CHECK_INT(load("p.yaml", yaml), 0);
    start();
}

TEST(steps_come_one_after_the_other)
{
    load_three("");
    CHECK_STR(next_json(), "{\"run\":\"do1\",\"timeout_ms\":30000}");
    CHECK_INT(todo.part, PLAYBOOK_STEP);
    CHECK_INT(todo.delay_ms, 2000);
    CHECK_INT(todo.attempt, 1);
    CHECK_INT(todo.attempts, 2);
    CHECK_STR(next_json(), "{\"run\":\"do1\",\"timeout_ms\":30000}"); /* the same until its end is known */
    CHECK_INT(todo.attempt, 1);
    CHECK_INT(done(1, ""), PLAYBOOK_AGAIN);
    CHECK_STR(next_json(), "{\"run\":\"do1\",\"timeout_ms\":30000}");
    CHECK_INT(todo.attempt, 2);
    CHECK_INT(done(0, ""), PLAYBOOK_GOOD);
    CHECK_STR(next_json(), "{\"run\":\"do2\",\"timeout_ms\":30000}");
    CHECK_INT(done(0, "a\x1B[2Jb\xFF\nc\n\n"), PLAYBOOK_GOOD);
    CHECK_STR(next_json(), "{\"argv\":[\"/do3\",\"a?[2Jb\xEF\xBF\xBD\\nc\",\"0\"],\"timeout_ms\":30000}");
    CHECK(todo.idempotent);
    CHECK_INT(done(0, ""), PLAYBOOK_GOOD);
    CHECK_STR(next_json(), "done: ");
    CHECK_STR(next_json(), "done: ");
    CHECK_INT(run.begun, 7);
}

TEST(what_has_begun_is_undone_backwards)
{
    load_three("");
    next();
    done(0, "");
    next();
    done(0, "");
    next();
    CHECK_INT(done(3, ""), PLAYBOOK_BAD);
    CHECK_STR(next_json(), "{\"run\":\"undo3\",\"timeout_ms\":30000}");
    CHECK_INT(todo.part, PLAYBOOK_UNDO);
    CHECK_INT(done(0, ""), PLAYBOOK_GOOD);
    CHECK_STR(next_json(), "{\"run\":\"undo2\",\"timeout_ms\":30000}");
    CHECK_STR(todo.name, "two");
    CHECK_INT(done(1, ""), PLAYBOOK_BAD); /* the others are undone all the same */
    CHECK_STR(next_json(), "{\"run\":\"undo1a\",\"timeout_ms\":30000}");
    CHECK_INT(not_done(LINK_END_UNKNOWN), PLAYBOOK_AGAIN); /* twice is better than not at all */
    CHECK_STR(next_json(), "{\"run\":\"undo1a\",\"timeout_ms\":30000}");
    CHECK_INT(done(0, ""), PLAYBOOK_GOOD);
    CHECK_STR(next_json(), "{\"run\":\"undo1b\",\"timeout_ms\":30000}");
    done(0, "");
    CHECK_STR(next_json(), "rollback failed: step \"three\": exit 3");
    CHECK_INT(run.undone, 3);
    CHECK_INT(run.not_undone, 1);
}

TEST(what_has_not_begun_is_not_undone)
{
    load_three("");
    next();
    done(0, "");
    next();
    CHECK_INT(playbook_result(&run, &(struct playbook_result){.outcome = LINK_DENIED, .reason = "matches deny_commands"}), PLAYBOOK_BAD);
    CHECK_STR(next_json(), "{\"run\":\"undo1a\",\"timeout_ms\":30000}");
    done(0, "");
    next();
    done(0, "");
    CHECK_STR(next_json(), "failed: step \"two\": denied: matches deny_commands");
}

TEST(an_unknown_end_is_an_end_but_for_what_may_be_done_twice)
{
    load_three("");
    next();
    CHECK_INT(not_done(LINK_END_UNKNOWN), PLAYBOOK_BAD); /* no matter how many retries there are */
    CHECK_STR(next_json(), "{\"run\":\"undo1a\",\"timeout_ms\":30000}"); /* it may have begun */
    load_three("");
    next();
    done(0, "");
    next();
    done(0, "");
    for (unsigned i = 0; i < 3; i++) {
        CHECK_STR(next_json(), "{\"argv\":[\"/do3\",\"\",\"0\"],\"timeout_ms\":30000}");
        CHECK_INT(todo.attempt, 1);
        CHECK_INT(not_done(LINK_END_UNKNOWN), PLAYBOOK_AGAIN);
    }
    next();
    CHECK_INT(not_done(LINK_END_UNKNOWN), PLAYBOOK_BAD);
    CHECK_STR(run.why, "step \"three\": whether and how it ended is not known");
}

TEST(a_device_gets_the_rollbacks_first_and_a_commit_at_the_end)
{
    load_three("commit_within: 1m\non_restart: continue\n");
    CHECK_STR(next_json(), "{\"undo\":{\"begin\":\"0123456789abcdef\",\"within_ms\":60000,\"restart\":\"continue\",\"ops\":["
                           "[0,{\"run\":\"undo1a\",\"timeout_ms\":30000}],[0,{\"run\":\"undo1b\",\"timeout_ms\":30000}],"
                           "[1,{\"run\":\"undo2\",\"timeout_ms\":30000}],[2,{\"run\":\"undo3\",\"timeout_ms\":30000}]]},\"timeout_ms\":30000}");
    CHECK_INT(todo.part, PLAYBOOK_ARM);
    done(0, "");
    CHECK_STR(next_json(), "{\"run\":\"do1\",\"timeout_ms\":30000,\"of\":[\"0123456789abcdef\",0]}");
    done(0, "");
    next();
    done(0, "");
    next();
    done(0, "");
    CHECK_STR(next_json(), "{\"undo\":{\"commit\":\"0123456789abcdef\"},\"timeout_ms\":30000}");
    CHECK_INT(todo.delay_ms, 0);
    CHECK_INT(not_done(LINK_EXPIRED), PLAYBOOK_AGAIN);
    CHECK_STR(next_json(), "{\"undo\":{\"commit\":\"0123456789abcdef\"},\"timeout_ms\":30000}");
    CHECK_INT(todo.delay_ms, 1000);
    done(0, "");
    CHECK_STR(next_json(), "done: ");
}

TEST(a_device_undoes_by_itself_what_fails)
{
    load_three("commit_within: 1m\n");
    next();
    CHECK_INT(not_done(LINK_UNSUPPORTED), PLAYBOOK_BAD);
    CHECK_STR(next_json(), "failed: the device did not take the rollbacks: not supported there");
    start();
    next();
    done(0, "");
    next();
    CHECK_INT(playbook_result(&run, &(struct playbook_result){.outcome = LINK_DONE, .timed_out = true}), PLAYBOOK_AGAIN);
    next();
    CHECK_INT(playbook_result(&run, &(struct playbook_result){.outcome = LINK_DONE, .timed_out = true}), PLAYBOOK_BAD);
    CHECK_STR(next_json(), "{\"undo\":{\"rollback\":\"0123456789abcdef\"},\"timeout_ms\":30000}");
    CHECK_STR(todo.name, "commit_within");
    done(0, "");
    CHECK_STR(next_json(), "failed: step \"one\": timed out after 30s");
    CHECK_INT(run.undone, 2);
    start();
    next();
    done(0, "");
    next();
    CHECK_INT(not_done(LINK_EXPIRED), PLAYBOOK_AGAIN);
    next();
    CHECK_INT(not_done(LINK_DENIED), PLAYBOOK_BAD);
    next();
    not_done(LINK_EXPIRED);
    next();
    not_done(LINK_EXPIRED);
    next();
    CHECK_INT(not_done(LINK_EXPIRED), PLAYBOOK_BAD);
    CHECK_STR(next_json(), "rollback failed: step \"one\": denied");
}

/* ---- positions ---- */

static char saved[PLAYBOOK_SAVED_BYTES];

static void save(void)
{
    struct json_writer w;
    struct text t;

    text_init(&t, saved, sizeof saved);
    json_begin(&w, &t);
    playbook_save(&run, &w, NULL);
    CHECK(!t.truncated);
}

static int restore(const char **why)
{
    struct json_token tokens[PLAYBOOK_SAVED_TOKENS];

    memset(&run, 0xA5, sizeof run);
    return playbook_restore(&run, book, &values, (struct slice){saved, strlen(saved)}, tokens, ARRAY_SIZE(tokens), why);
}

static void interrupt(void)
{
    const char *why;

    save();
    CHECK_INT(restore(&why), 0);
    playbook_resume(&run);
}

TEST(an_interrupted_run_does_what_the_playbook_says)
{
    load_three("on_restart: continue\n");
    interrupt();
    CHECK_STR(next_json(), "{\"run\":\"do1\",\"timeout_ms\":30000}");
    done(0, "");
    interrupt();
    next();
    done(0, "out");
    interrupt();
    CHECK_STR(next_json(), "{\"argv\":[\"/do3\",\"out\",\"0\"],\"timeout_ms\":30000}");
    interrupt(); /* it may be done twice */
    CHECK_STR(next_json(), "{\"argv\":[\"/do3\",\"out\",\"0\"],\"timeout_ms\":30000}");
    done(0, "");
    CHECK_STR(next_json(), "done: ");

    load_three("on_restart: continue\n");
    next();
    interrupt(); /* it may not */
    CHECK_STR(next_json(), "{\"run\":\"undo1a\",\"timeout_ms\":30000}");
    interrupt();
    CHECK_STR(next_json(), "{\"run\":\"undo1a\",\"timeout_ms\":30000}");
    done(0, "");
    next();
    done(0, "");
    CHECK_STR(next_json(), "failed: step \"one\": whether and how it ended is not known");

    load_three(""); /* rollback */
    next();
    done(0, "");
    interrupt();
    CHECK_STR(next_json(), "{\"run\":\"undo1a\",\"timeout_ms\":30000}");
    CHECK_STR(run.why, "interrupted");

    load_three("");
    interrupt(); /* nothing had begun */
    CHECK_STR(next_json(), "{\"run\":\"do1\",\"timeout_ms\":30000}");

    load_three("on_restart: stop\n");
    next();
    interrupt();
    CHECK_STR(next_json(), "stopped: step \"one\": interrupted");
}

TEST(a_position_is_only_good_for_its_run)
{
    const char *why;

    load_three("");
    next();
    done(0, "");
    next();
    done(0, "output \"x\"\n");
    save();
    const struct playbook_run before = run;
    CHECK_INT(restore(&why), 0);
    CHECK(memcmp(&before, &run, offsetof(struct playbook_run, registers)) == 0);
    CHECK_STR(run.registers[0].output, "output \"x\"");
    values.on_hub = true;
    CHECK_INT(restore(&why), NEFIA_EINVAL);
    values.on_hub = false;
    values.host = "r2";
    CHECK_INT(restore(&why), NEFIA_EINVAL);
    CHECK_STR(why, "the position is not one of this run");
    values.host = "r1";
    load_three("on_restart: stop\n");
    CHECK_INT(restore(&why), NEFIA_EINVAL);
    CHECK_STR(why, "the playbook has changed since the run began");
    load_three("");
    memcpy(strstr(saved, "\"step\":2"), "\"step\":9", 8);
    CHECK_INT(restore(&why), NEFIA_EINVAL);
    saved[10] = '\0';
    CHECK_INT(restore(&why), NEFIA_ESYNTAX);
}

TEST(the_longest_position_fits)
{
    static char yaml[4096], output[PLAYBOOK_OUTPUT_MAX];
    struct text t;

    text_init(&t, yaml, sizeof yaml);
    text_str(&t, "name: x\nsteps:\n");
    for (unsigned i = 0; i < PLAYBOOK_REGISTERS; i++) {
        text_str(&t, "  - {run: x, ignore_errors: yes, name: n");
        text_u64(&t, i);
        text_str(&t, ", register: r");
        text_u64(&t, i);
        text_str(&t, "}\n");
    }
    CHECK_INT(load("p.yaml", yaml), 0);
    memset(output, '"', sizeof output);
    start();
    for (unsigned i = 0; i < PLAYBOOK_REGISTERS; i++) {
        CHECK_INT(next(), PLAYBOOK_CARRY_OUT);
        CHECK_INT(playbook_result(&run, &(struct playbook_result){.outcome = LINK_DONE, .exit = 255, .output = {output, sizeof output}}),
                  PLAYBOOK_IGNORED);
    }
    memset(run.why, '"', PLAYBOOK_WHY_MAX);
    interrupt();
    CHECK_INT(run.registers[7].len, PLAYBOOK_OUTPUT_MAX);
}

TEST_MAIN(a_playbook_is_bound, faults_are_reported_all_at_once, what_is_outside_of_its_bounds_is_reported,
          what_is_probably_not_meant_is_a_warning, rollbacks_that_do_not_fit_the_wire_are_refused, templates_are_filled_in,
          a_variable_may_be_set_for_one_run, what_an_event_says_is_never_more_than_a_value, conditions_compare,
          steps_come_one_after_the_other, what_has_begun_is_undone_backwards, what_has_not_begun_is_not_undone,
          an_unknown_end_is_an_end_but_for_what_may_be_done_twice, a_device_gets_the_rollbacks_first_and_a_commit_at_the_end,
          a_device_undoes_by_itself_what_fails, an_interrupted_run_does_what_the_playbook_says, a_position_is_only_good_for_its_run,
          the_longest_position_fits)
