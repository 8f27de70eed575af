#include "nefia/cmd/silence.h"

#include <string.h>

#include "nefia/cmd/reactor.h"
#include "nefia/hub/silences.h"

const struct cli_option silence_add_options[] = {
    {"--host", "PATTERN", CLI_HELP("events of hosts that match, as host_pattern of a rule")},
    {"--type", "PATTERN", CLI_HELP("events of types that match, as event_pattern of a rule")},
    {"--label", "KEY=VALUE", CLI_HELP("events of devices with that label in reactor.hosts; several: KEY=VALUE,KEY=VALUE")},
    {"--rule", "NAME", CLI_HELP("only this rule")},
    {"--for", "DURATION", CLI_HELP("how long: 30m, 2h, 1d; at most 30d")},
    {"--why", "TEXT", CLI_HELP("the reason, for whoever sees that nothing acts")},
    {"--json", NULL, CLI_HELP("one JSON object, for programs")},
    {.name = NULL},
};

#define WHAT_FIRST "[host {host} ][type {type} ][label {labels} ][rule {rule} ]"
#define WHAT "[ host {host}][ type {type}][ label {labels}][ rule {rule}]"

const struct show_section silence_added_sections[] = {
    {.record = "silence",
     .text = "silence #{id}[ until {@until}] ({~left_ms}):" WHAT "\n",
     .json = SHOW_MEMBER,
     .open = "{\"silence\":"},
    {.record = "warning", .text = "warning: {warning}\n", .open = ",\"warnings\":["},
    {.open = "]}\n"},
};

const struct show_section silence_list_sections[] = {
    {.record = "silence",
     .columns = "ID  |{id}\n"
                "LEFT     |{~left_ms}\n"
                "UNTIL             |[{@until}]\n"
                "SILENCES         |" WHAT_FIRST "\n"
                "MATCHES  |{silenced}\n"
                "USER  |{uid}\n"
                "WHY|{why}\n",
     .open = "{\"silences\":["},
    {.open = "]}\n"},
};

const struct show_section silence_removed_sections[] = {
    {.record = "removed",
     .text = "silence #{id} removed; matches it silenced since the hub started: {silenced}\n",
     .json = SHOW_MEMBER,
     .open = "{\"removed\":"},
    {.open = "}\n"},
};

static int wrong(const char *what, const char *word, const char *remedy)
{
    CLI_ERR("nefia: silence add: ", what, word, remedy, "\n");
    return CLI_WRONG;
}

static void put_option(struct json_writer *w, const struct cli_args *a, const char *key, const char *option)
{
    const char *value = cli_option(a, option);

    if (value)
        json_put_string(w, key, value);
}

int silence_add(const struct cli_args *a)
{
    char request[SILENCE_TEXT * 6 + 256];
    const char *duration = cli_option(a, "--for");
    struct json_writer w;
    struct text t;
    uint64_t for_ms;

    if (!duration || !cli_option(a, "--why"))
        return wrong(duration ? "--why" : "--for", " is required", duration ? REMEDY(": the reason") "" : REMEDY(": how long, such as 2h") "");
    if (parse_duration_ms(duration, strlen(duration), &for_ms) < 0)
        return wrong("--for: \"", duration, "\" is not a duration" REMEDY(" such as 30m or 2h, at most 30d"));
    text_init(&t, request, sizeof request);
    text_str(&t, "silence ");
    json_begin(&w, &t);
    json_object(&w, NULL);
    put_option(&w, a, "host", "--host");
    put_option(&w, a, "type", "--type");
    put_option(&w, a, "labels", "--label");
    put_option(&w, a, "rule", "--rule");
    put_option(&w, a, "why", "--why");
    json_put_u64(&w, "for_ms", for_ms);
    json_end_object(&w);
    if (t.truncated)
        return wrong("its words have more than " LITERAL(SILENCE_TEXT) " bytes", "", "");
    return reactor_ask(a, (struct show_question){.sections = silence_added_sections, .request = request});
}

int silence_list(const struct cli_args *a)
{
    return reactor_ask(a, (struct show_question){.sections = silence_list_sections, .request = "silences", .measure = "silences"});
}

int silence_remove(const struct cli_args *a)
{
    char request[64];
    struct text t;

    text_init(&t, request, sizeof request);
    text_str(&t, "unsilence ");
    text_str(&t, a->operands[0] + (a->operands[0][0] == '#'));
    if (t.truncated || strchr(request, '\n')) {
        CLI_ERR("nefia: silence remove: the number of a silence is wanted" REMEDY(", as `nefia silence list` shows it") "\n");
        return CLI_WRONG;
    }
    return reactor_ask(a, (struct show_question){.sections = silence_removed_sections, .request = request});
}
