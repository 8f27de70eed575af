#!/bin/sh
# Adding a sensor is one C file and one Kconfig entry: do it in a copy of the tree, build, and see what it does. The sensor uses all
# that its class offers: a descriptor, a command that it follows, a file of the kernel, state that is carried over a reload.
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

copy=out/add-sensor/tree
log=$dir/build.log

# Its libraries are those of the host's build, so that only our own code is compiled.
rm -rf out/add-sensor
mkdir -p "$copy/out/host"
cp -Rp Makefile Kconfig board include src toolchain "$copy"
cp -Rp out/host/sysroot "$copy/out/host"
ln -s "$PWD/out/sources" "$PWD/out/.deps" "$copy/out"
set -- "$copy/out/host-toy/nefia-beacon"
. tests/beacon_lib.sh

cat >"$copy/src/beacon/sensors/toy.c" <<'C'
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/beacon/sensor.h"
#include "nefia/net/netlink.h"

/* toy: says a word and how many interfaces there are; what comes from a pipe; what a command prints; the
 * number in a file. */
struct toy {
    struct sensor_common common;
    const char *word, *pipe, *file, *late, *notes[10]; /* more fields than most sensors have */
    const char *follow[4];
    unsigned words;
    bool links;
    uint64_t interfaces;
    int fd;         /* of the pipe, 0: not open */
    uint64_t count; /* of what came from it */
};

static const struct field_list follow_list = {
    .count = offsetof(struct toy, words), .cap = 3, .remedy = "; there is no symbol for it"};

#define MEMBER(name) FIELD_AT(struct toy, name)
#define NOTE(i) {.name = "note" #i, .type = FIELD_STRING, MEMBER(notes[i])}
static const struct field toy_fields[] = {
    NOTE(0), NOTE(1), NOTE(2), NOTE(3), NOTE(4), NOTE(5), NOTE(6), NOTE(7), NOTE(8), NOTE(9),
    {.name = "pipe", .type = FIELD_STRING, MEMBER(pipe)},
    {FIELD_DEFAULT("links", "false"), .type = FIELD_BOOL, MEMBER(links)},
    {.name = "file", .type = FIELD_STRING, MEMBER(file)},
    {.name = "late", .type = FIELD_STRING, MEMBER(late)}, /* must be there, or its start fails after all else */
    {.name = "follow", .type = FIELD_LIST, MEMBER(follow), .list = &follow_list},
    {FIELD_REQUIRED("word", "what it says"), .type = FIELD_STRING, MEMBER(word)},
    {.name = NULL},
};

static void toy_line(void *state, struct emitter *out, const char *line, size_t len)
{
    (void)state;
    (void)len;
    json_put_string(emit_begin(out, "toy.line", line, SEVERITY_INFO), "line", line);
    emit_end(out);
}

static void toy_stop(void *state)
{
    struct toy *t = state;

    if (t->fd)
        close(t->fd);
}

static int toy_start(void *state, struct emitter *self, void *before)
{
    struct toy *t = state, *old = before;

    if (old && old->fd) {
        t->fd = old->fd;
        t->count = old->count;
        old->fd = 0;
    } else if (t->pipe) {
        t->fd = open(t->pipe, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    if (t->fd < 0) {
        t->fd = 0;
        return emitter_not_measured(self, t->pipe, ERRNO(errno));
    }
    int err = t->fd ? emitter_watch(self, t->fd, POLLIN) : 0;
    if (err == 0 && emitter_watch(self, 0, POLLIN) != NEFIA_EFULL)
        err = t->fd ? NEFIA_EINVAL : 0; /* its class has one descriptor */
    if (err == 0 && t->words)
        err = emitter_follow(self, t->follow, toy_line);
    if (err == 0 && t->late && access(t->late, F_OK) < 0) {
        toy_stop(t);
        return emitter_not_measured(self, t->late, ERRNO(errno));
    }
    return err;
}

static void toy_ready(void *state, struct emitter *out, int fd, short events)
{
    struct toy *t = state;
    char buf[64];
    ssize_t n = read(fd, buf, sizeof buf - 1);

    (void)events;
    if (n <= 0)
        return;
    buf[n] = '\0';
    struct json_writer *w = emit_begin(out, "toy.ready", buf, SEVERITY_INFO);
    json_put_string(w, "text", buf);
    json_put_u64(w, "count", ++t->count);
    emit_end(out);
}

static int take_link(void *arg, uint16_t type, struct netlink_part body)
{
    struct toy *t = arg;

    (void)body;
    t->interfaces += type == RTM_NEWLINK;
    return 0;
}

static int count_links(struct toy *t, struct emitter *out)
{
    const struct {
        struct nlmsghdr netlink;
        struct ifinfomsg link;
    } question = {.netlink = {.nlmsg_len = sizeof question,
                              .nlmsg_type = RTM_GETLINK,
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    struct netlink_answer answer = {.take = take_link, .arg = t};

    t->interfaces = 0;
    if (emitter_netlink(out, &answer, &question, sizeof question) < 0)
        return 0;
    json_put_u64(emit_begin(out, "toy.links", NULL, SEVERITY_INFO), "interfaces", t->interfaces);
    return emit_end(out);
}

static int toy_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct toy *t = state;
    int64_t number;

    (void)now_ms;
    if (t->links)
        return count_links(t, out);
    if (t->file && emitter_file_number(out, t->file, &number) < 0)
        return 0;
    json_put_string(emit_begin(out, "toy.word", t->word, SEVERITY_INFO), "word", t->word);
    return emit_end(out) < 0 ? -1 : 0;
}

#ifndef TOY_NAME
#define TOY_NAME "toy"
#endif
const struct sensor_class sensor_toy = {
    SENSOR_NAME_OF(TOY_NAME, "1m", "toy-beacon"),
    .fields = toy_fields,
    .state_size = sizeof(struct toy),
    .watches = 1,
    .follows = true,
    .start = toy_start,
    .poll = toy_poll,
    .ready = toy_ready,
    .stop = toy_stop,
};
C
cat >"$copy/src/beacon/sensors/twin.c" <<'C'
#define TOY_NAME "twin"
#define sensor_toy sensor_twin
#include "toy.c"
C
cat >>"$copy/src/beacon/sensors/Kconfig" <<'K'

config SENSOR_TOY
	bool "Toy (toy)"
	default y
	select BEACON_NETLINK
	select BEACON_WATCHES
	select BEACON_FOLLOWS

config SENSOR_TWIN
	bool "Another one (twin)"
	default y
K
# There is room for one of them.
{
    cat board/host/defconfig
    echo CONFIG_BEACON_SENSOR_WATCHES=1
    echo CONFIG_BEACON_FOLLOWED=1
} >"$copy/board/host/toy.config"

make -C "$copy" "-j$(nproc)" BOARD=host CONFIG=toy out/host-toy/nefia-beacon >"$log" 2>&1
result "a tree with one more file and one more Kconfig entry builds" $?

# ---- once ----
once()
{
    echo "beacons: {toy: {$2}}" >"$dir/toy.yaml"
    expect "$1" "$3" "$beacon" once -c "$dir/toy.yaml"
}

once "the new sensor runs" "word: hello" 0
says "its event is there" '"type":"toy.word","source":"toy-beacon".*"data":{"word":"hello"}' out
says "and what it did" '^toy: 1 event$' err
"$beacon" --version >"$dir/out" 2>&1
says "the build lists it" '^sensors: .*toy' out
once "a mistake in its configuration is refused" "wrod: hello" 2
says "and named" 'beacons.toy.wrod' err
once "more than a list holds is refused" "word: a, follow: [/a, b, c, d]" 2
says "with what to do" 'toy.yaml:1: beacons.toy.follow: .*there is no symbol for it' err
once "what cannot be measured is no success" "word: hello, file: $dir/none" 1
says "and no silence" "^toy: not measured: $dir/none: No such file or directory, no events\$" err
echo "beacons: {toy: {word: a}, twin: {word: b}}" >"$dir/both.yaml"
expect "more than there is room for is refused" 2 "$beacon" once -c "$dir/both.yaml"
says "descriptors, with the symbol to raise" 'both.yaml:1: beacons.twin: no descriptors left.*(CONFIG_BEACON_SENSOR_WATCHES)' err
says "commands, with the symbol to raise" 'both.yaml:1: beacons.twin: too many commands to follow (CONFIG_BEACON_FOLLOWED)' err
echo 12 >"$dir/number"
once "what can is one" "word: hello, file: $dir/number" 0
once "the kernel answers by netlink" "word: hello, links: true" 0
says "with its interfaces" '"type":"toy.links".*"data":{"interfaces":[1-9][0-9]*}' out

# ---- run ----
toy()
{
    config toy "  require_ack: false
  toy: {word: hello, interval: 1s, pipe: $dir/pipe, $1}"
}
shell()
{
    printf 'follow: [/bin/sh, -c, "%s"]' "$1"
}
toy_is()
{
    status_has "^  toy  *toy  *1s .* $1\$"
}
reload()
{
    reloads=$((reloads + 1))
    kill -HUP "$beacon_pid"
    within status_has ", $reloads reloads,"
}
reloads=0

toy "$(shell "echo first; while :; do sleep 1000; done")"
start_hub plain
start_beacon
within toy_is "not measured: $dir/pipe: No such file or directory"
result "a start that fails shows in status" $?
"$beacon" status --json -c "$dir/nefia.yaml" >"$dir/out"
says "and in its JSON" "\"result\":\"not measured\",\"reason\":\"$dir/pipe: No such file or directory\"" out
says "and in the log" "warning: toy: not measured: $dir/pipe: No such file" run.log
mkfifo "$dir/pipe"
within toy_is ok
result "it is tried again at the next interval" $?

echo one >"$dir/pipe"
within heard '"type":"toy.ready".*"data":{"text":"one\\n","count":1}'
result "a descriptor that becomes ready is an event" $?
within heard '"type":"toy.line".*"data":{"line":"first"}'
result "so is a line of a command that goes on" $?

# What it prints later comes from the same process.
followed()
{
    pgrep -P "$beacon_pid" -f 'echo first'
}
before=$(followed)
reload
result "reload" $?
echo two >"$dir/pipe"
within heard '"type":"toy.ready".*"data":{"text":"two\\n","count":2}'
result "the descriptor and the count are carried over" $?
[ "$before" ] && [ "$(followed)" = "$before" ]
result "and the command runs on" $?

toy "$(shell "echo second; exit 7")"
reload
within heard '"type":"toy.line".*"data":{"line":"second"}'
result "another command takes its place" $?
not_followed() { [ -z "$(followed)" ]; }
within not_followed
result "and it has ended" $?
within toy_is "not measured: /bin/sh: ended with exit status 7"
result "a command that ended shows in status" $?
echo three >"$dir/pipe"
within heard '"type":"toy.ready".*"data":{"text":"three\\n","count":3}'
result "its descriptor is watched nevertheless" $?
restarted()
{
    [ "$(grep -c '"line":"second"' "$dir/hub.log")" -ge 1 ] && emitted_again
}
emitted_again()
{
    status_has '^  Suppressed  *[1-9][0-9]* info'
}
within restarted
result "it is started again" $?

late()
{
    config toy "  require_ack: false
  toy: {word: hello, interval: 1h, late: $dir/late, $(shell "echo first; while :; do sleep 1000; done")}"
}
late
reload
late_is()
{
    status_has "^  toy  *toy  *1h .* $1\$"
}
late_is "not measured: $dir/late: No such file or directory" && sleep 1 && within not_followed # 1 s: it may not have begun
result "a start that fails after it has begun to follow a command ends that" $?
: >"$dir/late"
reload
within followed
result "which runs when it has succeeded" $?

config toy "  require_ack: false"
reload
: >"$dir/empty"
fds()
{
    for fd in "/proc/$beacon_pid/fd/"*; do readlink "$fd"; done
}
! fds | grep -q "$dir/pipe"
result "a reload without the sensor closes its descriptor" $?

toy "$(shell "echo first; while :; do sleep 1000; done")"
reload
within followed
before=$(followed)
stop_beacon
result "stop" $?
gone()
{
    ! kill -0 "$before"
}
[ "$before" ] && within gone
result "the command ends with the beacon" $?

rm -rf out/add-sensor/tree
finish
