#!/bin/sh
# Adding an action is one C file and one Kconfig entry: do it in a copy of the tree, build, and see it act.
# shellcheck disable=SC2034 # $processes names some variables
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

copy=out/add-action/tree
log=$dir/build.log
hub_pid=
processes='hub_pid'

# Its libraries are those of the host's build, so that only our own code is compiled.
rm -rf out/add-action
mkdir -p "$copy/out/host"
cp -Rp Makefile Kconfig board include src toolchain "$copy"
cp -Rp out/host/sysroot "$copy/out/host"
ln -s "$PWD/out/sources" "$PWD/out/.deps" "$copy/out"
program=$copy/out/host-toy/nefia

cat >"$copy/src/hub/actions/toy.c" <<'C'
#include <fcntl.h>

#include "nefia/base/err.h"
#include "nefia/hub/action.h"
#include "nefia/sys/cli.h"

/* toy: appends a word and the event's type to a file, in its child. */
struct toy {
    const char *word, *file;
    uint32_t lane;
};

static const struct field fields[] = {
    {FIELD_REQUIRED("word", "what it says"), .type = FIELD_STRING, FIELD_AT(struct toy, word)},
    {FIELD_REQUIRED("file", "where"), .type = FIELD_STRING, FIELD_AT(struct toy, file)},
    {FIELD_DEFAULT("lane", "0"), .type = FIELD_INT, FIELD_AT(struct toy, lane), .max = 7},
    {.name = NULL},
};

static int check(struct action *a, struct config *c, const struct node *n, const char *where, const struct hub_settings *s)
{
    const struct toy *toy = (const struct toy *)a->own;

    (void)s;
    a->lane = (uint16_t)toy->lane;
    if (str_eq(toy->word, "never"))
        return NEFIA_ENOTSUP;
    if (!str_eq(toy->word, "silence"))
        return 0;
    config_error(c, n, where, "a toy is never silent", (char *)0);
    return NEFIA_EINVAL;
}

static int write_word(void *arg)
{
    const struct action_request *r = arg;
    const struct toy *toy = (const struct toy *)r->action->own;
    char buf[256];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, toy->word);
    text_char(&t, ' ');
    text_bytes(&t, r->event->type.ptr, r->event->type.len);
    text_char(&t, '\n');
    int fd = open(toy->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return fd < 0 || cli_write(fd, t.buf, t.len) < 0;
}

static int start(const struct action_request *r, struct action_scratch *scratch, struct child_spec *spec, struct text *why)
{
    if (str_eq(((const struct toy *)r->action->own)->word, "broken")) {
        text_str(why, "the toy is broken");
        return NEFIA_EINVAL;
    }
    scratch->request = *r;
    spec->run = write_word;
    spec->run_arg = &scratch->request;
    spec->deadline_ms = 10000;
    return ACTION_CHILD;
}

static enum action_outcome judge(const struct child_result *r, const char *output, uint64_t timeout_ms, struct text *error)
{
    (void)output, (void)timeout_ms;
    if (r->exit_code == 0)
        return ACTION_DONE;
    text_str(error, "no paper");
    return ACTION_FAILED;
}

const struct action_class action_toy = {
    .name = "toy",
    .fields = fields,
    .size = ACTION_SIZE(struct toy),
    .jobs = 8,
    .running = 1,
    .idempotent = true,
    .bind = check,
    .start = start,
    .judge = judge,
};
C
cat >>"$copy/src/hub/actions/Kconfig" <<'K'

config ACTION_TOY
	bool "Toy (toy)"
	default y
K
cp board/host/defconfig "$copy/board/host/toy.config"
echo '# CONFIG_ACTION_PLAYBOOK is not set' >>"$copy/board/host/toy.config"

make -C "$copy" "-j$(nproc)" BOARD=host CONFIG=toy out/host-toy/nefia >"$log" 2>&1
result "a tree with one more file and one more Kconfig entry builds" $?
"$program" --version >"$log" 2>&1
grep -q 'action-toy' "$log"
result "the build lists it" $?

port=$(free_port)
# config_of WORD [MEMBER]: two rules of it, and one of an action that this build lacks.
config_of()
{
    cat <<YAML
reactor:
  listen_address: 127.0.0.1
  listen_port: $port
  peers: [127.0.0.1]
  control_socket: $dir/hub.sock
  rules:
    - {name: first, event_pattern: ^t\\., action: {type: toy, word: $1, file: $dir/words${2-}}}
    - {name: second, event_pattern: ^t\\., action: {type: toy, word: broken, file: $dir/words, lane: 1}}
    - {name: third, event_pattern: ^t\\., action: {type: playbook, playbook_path: /x}}
YAML
}

# refused NAME WORD PATTERN [MEMBER]
refused()
{
    config_of "$2" "${4-}" >"$dir/hub.yaml"
    expect "$1" 2 "$program" reactor check -c "$dir/hub.yaml"
    says "$1: it says so" "$3" err
}
refused "a mistake in its configuration is named" hello 'reactor.rules\[0\].action.wrod: unknown key; did you mean word' ', wrod: x'
refused "what no table can express is checked" silence 'reactor.rules\[0\].action: a toy is never silent'
config_of hello | sed 's/type: toy, word: hello/type: tyo, word: hello/' >"$dir/hub.yaml"
expect "an unknown action is refused" 2 "$program" reactor check -c "$dir/hub.yaml"
says "the words are those of this build, and those of others" '"tyo" is not one of exec, alert, toy, playbook' err

config_of hello >"$dir/hub.yaml"
background hub.log "$program" reactor run -c "$dir/hub.yaml"
hub_pid=$!
within "$program" reactor status -c "$dir/hub.yaml"
echo '{"type":"t.x","source":"s","host_id":"h","timestamp":"2026-03-10T15:30:00Z","severity":"info","data":{}}' |
    socat -u - "TCP:127.0.0.1:$port"
within grep -qx 'hello t.x' "$dir/words"
result "it acts on an event" $?

# counted PYTHON: of the hub's counters `c`.
counted()
{
    "$program" reactor status --json -c "$dir/hub.yaml" | python3 -c "
import json, sys
c = [r['counters'] for r in map(json.loads, sys.stdin) if 'counters' in r][0]
sys.exit(not ($1))"
}
within counted "c['actions']['toy']['done'] == 1 and c['actions']['toy']['failed'] == 1"
result "its queue counts what has been done, and what could not begin" $?
counted "c['not_in_this_build'] == 1"
result "an action of another build has no effect, and is counted" $?
"$program" reactor events -c "$dir/hub.yaml" >"$dir/events.log"
grep -q 'first .*toy .*-' "$dir/events.log" && grep -q 'second .*toy .*the toy is broken' "$dir/events.log" &&
    grep -q 'third .*playbook .*not in this build' "$dir/events.log"
result "the events say what became of each" $?

sed -i 's/^    uint32_t lane;/&\n    char large[8 * CONFIG_ACTION_WORDS];/' "$copy/src/hub/actions/toy.c"
! make -C "$copy" BOARD=host CONFIG=toy out/host-toy/nefia >"$log" 2>&1 && grep -q 'raise CONFIG_ACTION_WORDS' "$log"
result "one that wants more memory for each rule than there is does not compile" $?
sed -i -e '/char large/d' -e '/^    \.jobs = /d' "$copy/src/hub/actions/toy.c"
! make -C "$copy" BOARD=host CONFIG=toy out/host-toy/nefia >"$log" 2>&1 && grep -q 'toy.c: no struct action_class with its .jobs' "$log"
result "one without a queue does not build" $?

rm -rf out/add-action
finish
