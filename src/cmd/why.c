#include "nefia/cmd/why.h"

#include <string.h>

#include "nefia/cmd/reactor.h"
#include "nefia/event/event.h"

const struct show_section why_sections[] = {
    {.record = "event",
     .text = "event {id}: {type} from {host}, {severity}, {@time}[, boot {boot}, seq {seq}]\n"
             "[{reloaded=true}rules or policy were reloaded since: DECISION is of then, the comparisons are of now\n]",
     .json = SHOW_MEMBER,
     .open = "{\"event\":"},
    {.record = "rule",
     .columns = "RULE                 |{name}\n"
                "ACTION    |{action}\n"
                "DECISION    |{decision}\n"
                "WHY|{match}[; {detail}][, because: {silence_why} (user {silence_uid})][; own effect: {own_effect}]"
                "[; job {job} {job_state}, {attempts} begun][; policy: {policy}]\n",
     .open = ",\"rules\":["},
    {.open = "]}\n"},
};

int why_event(const struct cli_args *a)
{
    char request[EVENT_HOST_MAX + 64];
    struct text t;

    text_init(&t, request, sizeof request);
    text_str(&t, "why ");
    text_str(&t, a->operands[0]);
    if (t.truncated || strchr(request, '\n')) {
        CLI_ERR("nefia: why: an event is wanted: ID as `nefia reactor events` shows it, or HOST:BOOT:SEQ\n");
        return CLI_WRONG;
    }
    return reactor_ask(a, (struct show_question){.sections = why_sections, .request = request, .measure = request});
}
