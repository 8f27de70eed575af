#include "check.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/hub/action.h"
#include "nefia/hub/settings.h"

extern const struct action_class action_alert; /* as in action_table.c */

static struct action_scratch scratch;
static char output[256], error_buf[ACTION_ERROR_MAX + 1];
static struct text error;
static struct child_result result;

/** Post to a server that answers with these bytes, in a child as the hub's. Return: what is judged;
 * `error` and `output` are left for the caller. */
static enum action_outcome alert(const char *answer)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    struct addr at = {.family = AF_INET, .ip = {127, 0, 0, 1}};
    int server = socket(AF_INET, SOCK_STREAM, 0), out[2] = {-1, -1}, status;
    char url[ADDR_TEXT + 16], request[2048], why_buf[128];
    struct text t, why;

    CHECK(bind(server, (struct sockaddr *)&ss, addr_to_sockaddr(&at, &ss)) == 0);
    CHECK(listen(server, 1) == 0 && pipe(out) == 0);
    CHECK(getsockname(server, (struct sockaddr *)&ss, &len) == 0);
    CHECK(addr_from_sockaddr(&at, &ss) == 0);
    text_init(&t, url, sizeof url);
    text_init(&why, why_buf, sizeof why_buf);
    text_str(&t, "http://");
    addr_text(&t, &at);

    const struct event event = {.line = {"{}", 2}};
    static struct hub_settings settings = {.hooks = {{.name = "w", .timeout_ms = 60000}}, .hook_count = 1};
    struct action action = {.class = &action_alert};
    const char *const name = "w";
    CHECK(http_url_parse(&settings.hooks[0].url, url, &why) == 0);
    memcpy((char *)action.own + action_alert.fields->offset, &name, sizeof name);
    CHECK_INT(action_alert.bind(&action, NULL, NULL, "", &settings), 0);
    const struct action_request r = {
        .action = &action, .rule = "rule", .event = &event, .attempt = 1};
    struct child_spec spec = {0};
    CHECK_INT(action_alert.start(&r, &scratch, &spec, &why), ACTION_CHILD);
    CHECK_INT(spec.deadline_ms, 60000);

    pid_t pid = fork();
    if (pid == 0) {
        close(server);
        dup2(out[1], STDOUT_FILENO);
        _exit(spec.run(spec.run_arg));
    }
    close(out[1]);
    int fd = accept(server, NULL, NULL);
    size_t got = 0;
    for (ssize_t n; got < sizeof request - 1 && !(got >= 6 && memcmp(request + got - 6, "\r\n\r\n{}", 6) == 0);
         got += (size_t)n)
        if ((n = read(fd, request + got, sizeof request - 1 - got)) <= 0)
            break;
    CHECK(got > 6 && memcmp(request, "POST / HTTP/1.1\r\n", 17) == 0);
    CHECK(send(fd, answer, strlen(answer), MSG_NOSIGNAL) == (ssize_t)strlen(answer));
    close(fd);
    close(server);

    ssize_t n = read(out[0], output, sizeof output - 1);
    close(out[0]);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    result = (struct child_result){.exit_code = WEXITSTATUS(status),
                                   .output_len = n > 0 ? (size_t)n : 0};
    output[result.output_len] = '\0';
    text_init(&error, error_buf, sizeof error_buf);
    return action_alert.judge(&result, output, 60000, &error);
}

static uint64_t wait_ms(void)
{
    return action_alert.delay_ms(output, result.output_len, 0);
}

TEST(a_status_is_judged)
{
    static const struct {
        const char *status, *error;
        enum action_outcome outcome;
    } cases[] = {
        {"200 OK", "", ACTION_DONE},
        {"299 x", "", ACTION_DONE},
        {"301 x", "HTTP 301: redirections are not followed", ACTION_FAILED},
        {"304 x", "HTTP 304: redirections are not followed", ACTION_FAILED},
        {"400 x", "HTTP 400", ACTION_FAILED},
        {"404 x", "HTTP 404", ACTION_FAILED},
        {"408 x", "HTTP 408", ACTION_AGAIN},
        {"425 x", "HTTP 425", ACTION_AGAIN},
        {"429 x", "HTTP 429", ACTION_AGAIN},
        {"500 x", "HTTP 500", ACTION_AGAIN},
        {"599 x", "HTTP 599", ACTION_AGAIN},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char head[64];
        struct text t;

        text_init(&t, head, sizeof head);
        text_str(&t, "HTTP/1.1 ");
        text_str(&t, cases[i].status);
        text_str(&t, "\r\n\r\n");
        CHECK_INT(alert(head), cases[i].outcome);
        CHECK_STR(error_buf, cases[i].error);
        CHECK_INT(wait_ms(), 0);
    }
}

TEST(the_status_decides_however_the_answer_goes_on)
{
    static char endless[HTTP_HEAD_MAX + 2];

    CHECK_INT(alert("HTTP/1.1 200 OK\r\nX: the connection ends in the he"), ACTION_DONE);
    CHECK_INT(alert("HTTP/1.1 200 OK\n folded\n\n"), ACTION_DONE);
    CHECK_INT(alert("HTTP/1.1 200 OK\r\n"), ACTION_DONE);
    CHECK_INT(alert("HTTP/1.1 404 gone\r\nX"), ACTION_FAILED);
    CHECK_INT(alert("HTTP/1.1 100 Continue\r\n\r\n"), ACTION_AGAIN);
    CHECK_STR(error_buf, "connection closed without a response");
    CHECK_INT(alert("SSH-2.0\r\n"), ACTION_AGAIN);
    CHECK_STR(error_buf, "response is not HTTP");
    memset(endless, 'x', sizeof endless - 1);
    memcpy(endless, "HTTP/1.1 102 Processing\r\n", 25);
    CHECK_INT(alert(endless), ACTION_AGAIN);
    CHECK_STR(error_buf, "no final status in the first 16 KiB of the response");
}

TEST(retry_after_is_honoured_up_to_a_bound)
{
    CHECK_INT(alert("HTTP/1.1 503 x\r\nRetry-After: 30\r\n\r\n"), ACTION_AGAIN);
    CHECK_STR(error_buf, "HTTP 503");
    CHECK_INT(wait_ms(), 30000);
    CHECK_INT(action_alert.delay_ms(output, result.output_len, 60000), 60000);
    CHECK_INT(alert("HTTP/1.1 429 x\r\nRetry-After: 86400\r\n\r\n"), ACTION_AGAIN);
    CHECK_INT(wait_ms(), 300000);
}

TEST(a_child_without_a_result_is_tried_again)
{
    static const char *const outputs[] = {"", "+", "~;", "x0;", "+0", "Segmentation fault", "-12", "~1x;"};

    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
        const struct child_result r = {.exit_code = 1, .output_len = strlen(outputs[i])};

        text_init(&error, error_buf, sizeof error_buf);
        CHECK_INT(action_alert.judge(&r, outputs[i], 1000, &error), ACTION_AGAIN);
        CHECK_STR(error_buf, "the child produced no result");
        CHECK_INT(action_alert.delay_ms(outputs[i], r.output_len, 0), 0);
    }
}

TEST_MAIN(a_status_is_judged, the_status_decides_however_the_answer_goes_on,
          retry_after_is_honoured_up_to_a_bound, a_child_without_a_result_is_tried_again)
