#include <string.h>

#include "nefia/hub/action.h"
#include "nefia/hub/settings.h"
#include "nefia/sys/cli.h"
#include "nefia/base/err.h"

/* alert: POST the event to a webhook. The child reports its result as output: a first character,
 * `+` delivered, `-` failed permanently, `~` worth a retry; the seconds to wait before that, `;`, and
 * a few words. */

#define WAIT_MAX_S 300 /* longest Retry-After that is honoured */

struct alert {
    const char *name;
    const struct webhook *hook;
    uint32_t timeout_ms;
};

static const struct field fields[] = {
    {FIELD_REQUIRED("webhook_name", "a name in reactor.webhooks"),
     .type = FIELD_STRING,
     FIELD_AT(struct alert, name),
     .min = 1,
     .max = WEBHOOK_NAME_MAX},
    {FIELD_DEFAULT("timeout", "0"),
     .type = FIELD_DURATION,
     FIELD_AT(struct alert, timeout_ms),
     .min = 0,
     .max = 3600000, FIELD_NOTE("time limit of one attempt; 0: the webhook's")},
    {.name = NULL},
};

/** Each webhook is a lane. */
static int find_webhook(struct action *a, struct config *c, const struct node *n, const char *where,
                const struct hub_settings *s)
{
    struct alert *alert = (struct alert *)a->own;
    char path_buf[112];
    struct text path;

    for (unsigned i = 0; i < s->hook_count; i++) {
        const struct webhook *hook = &s->hooks[i];

        if (!str_eq(hook->name, alert->name))
            continue;
        alert->hook = hook;
        a->lane = (uint16_t)i;
        a->retries = (uint8_t)hook->retries;
        if (alert->timeout_ms == 0)
            alert->timeout_ms = hook->timeout_ms;
        return 0;
    }
    text_init(&path, path_buf, sizeof path_buf);
    config_where_key(&path, where, "webhook_name");
    config_error(c, node_child(c, n, "webhook_name"), path.buf, "no webhook \"", alert->name,
                 "\" in reactor.webhooks", (char *)0);
    return NEFIA_EINVAL;
}

static char verdict_of(int status)
{
    if (status >= 200 && status < 300)
        return '+';
    /* RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4: it may be sent again. */
    bool again = status < 0 || status == 408 || status == 425 || status == 429 || status >= 500;
    return again ? '~' : '-';
}

/** Runs in the child. */
static int post(void *arg)
{
    const struct action_request *r = arg;
    const struct alert *alert = (const struct alert *)r->action->own;
    const struct webhook *hook = alert->hook;
    const struct http_request request = {
        .url = &hook->url,
        .secret = hook->secret ? hook->secret : "",
        .rule = r->rule,
        .body = r->event->line.ptr,
        .body_len = r->event->line.len,
        .timeout_ms = alert->timeout_ms,
        .version = cli_version(),
    };
    char why_buf[ACTION_ERROR_MAX + 1], said_buf[ACTION_ERROR_MAX + 8];
    struct text why, said;
    struct http_answer answer;

    text_init(&why, why_buf, sizeof why_buf);
    text_init(&said, said_buf, sizeof said_buf);
    int status = http_post(&request, &answer, &why);
    char verdict = verdict_of(status);
    text_char(&said, verdict);
    text_u64(&said, answer.retry_after_s < WAIT_MAX_S ? answer.retry_after_s : WAIT_MAX_S);
    text_char(&said, ';');
    if (status > 0) {
        text_str(&said, "HTTP ");
        text_u64(&said, (uint64_t)status);
        text_str(&said, status >= 300 && status < 400 ? ": redirections are not followed" : "");
    } else {
        text_str(&said, why.len > 0 ? why.buf : err_text(status));
    }
    cli_write(STDOUT_FILENO, said.buf, said.len);
    return verdict != '+';
}

static int start(const struct action_request *r, struct action_scratch *scratch,
                 struct child_spec *spec, struct text *why)
{
    (void)why;
    /* The forked process has its own copy of everything r points to. */
    scratch->request = *r;
    spec->run = post;
    spec->run_arg = &scratch->request;
    spec->deadline_ms = ((const struct alert *)r->action->own)->timeout_ms;
    return ACTION_CHILD;
}

/** Where the words begin in the child's output; 0 if it is not of its form. */
static size_t words_at(const char *output, size_t len)
{
    size_t at = 1;

    if (len < 1 || (output[0] != '+' && output[0] != '-' && output[0] != '~'))
        return 0;
    while (at < len && output[at] >= '0' && output[at] <= '9')
        at++;
    return at > 1 && at < len && output[at] == ';' ? at + 1 : 0;
}

static uint64_t delay_ms(const char *output, size_t len, uint64_t backoff_ms)
{
    size_t at = words_at(output, len);
    uint64_t seconds = 0;

    if (at > 0)
        (void)parse_u64(output + 1, at - 2, &seconds);
    return seconds * 1000 > backoff_ms ? seconds * 1000 : backoff_ms;
}

static enum action_outcome judge(const struct child_result *r, const char *output,
                                 uint64_t timeout_ms, struct text *error)
{
    if (r->timed_out) {
        text_str(error, "timed out after ");
        text_duration(error, timeout_ms);
        return ACTION_AGAIN;
    }
    if (r->signal) {
        text_str(error, "signal ");
        text_u64(error, (uint64_t)r->signal);
        return ACTION_AGAIN;
    }
    size_t at = words_at(output, r->output_len);
    if (at == 0) {
        text_str(error, "the child produced no result");
        return ACTION_AGAIN;
    }
    if (output[0] == '+' && r->exit_code == 0)
        return ACTION_DONE;
    text_printable(error, output + at, r->output_len - at);
    return output[0] == '~' ? ACTION_AGAIN : ACTION_FAILED;
}

const struct action_class action_alert = {
    .name = "alert",
    .fields = fields,
    .size = ACTION_SIZE(struct alert),
    .jobs = CONFIG_ALERT_JOBS,
    .running = CONFIG_ALERT_RUNNING,
    .idempotent = true,
    .bind = find_webhook,
    .start = start,
    .judge = judge,
    .delay_ms = delay_ms,
};
