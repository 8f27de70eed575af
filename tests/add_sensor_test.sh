#!/bin/sh
# A third sensor is one file and one Kconfig entry: add one to a copy of the tree, build it, run it.
set -u
cd "$(dirname "$0")/.." || exit 1

log=$(mktemp)
copy=out/add-sensor
trap 'rm -f "$log"' EXIT
passed=0
failed=0

ok()
{
    if [ "$1" -eq 0 ]; then
        echo "ok $2"
        passed=$((passed + 1))
    else
        cat "$log"
        echo "FAIL $2"
        failed=$((failed + 1))
    fi
}

# The copy shares the libraries and whatever else is not ours to build.
make "-j$(nproc)" BOARD=host >"$log" 2>&1
ok $? "the tree builds"
rm -rf "$copy"
mkdir -p "$copy/out/host"
cp -a .clang-tidy Kconfig Makefile board include src tests toolchain "$copy/"
ln -s "$PWD/out/sources" "$PWD/out/.deps" "$copy/out/"
ln -s "$PWD/out/host/sysroot" "$copy/out/host/sysroot"
cd "$copy" || exit 1

cat >>src/beacon/sensors/Kconfig <<'KCONFIG'

config SENSOR_TOY
	bool "A toy (toy)"
	default y
	help
	  Says hello.
KCONFIG

cat >src/beacon/sensors/toy.c <<'SENSOR'
#include "nefia/sensor.h"

struct toy {
    struct sensor_common common;
    const char *greeting;
};

static const struct field toy_fields[] = {
    {.name = "greeting", .type = FIELD_STRING, .offset = offsetof(struct toy, greeting),
     .def = "hello", .help = "what it says"},
    {.name = NULL},
};

static int toy_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct toy *t = state;
    struct json_writer *w = emit_begin(out, "toy.hello", t->greeting, SEVERITY_INFO);

    (void)now_ms;
    json_put_string(w, "greeting", t->greeting);
    return emit_end(out) < 0 ? -1 : 0;
}

const struct sensor_class sensor_toy = {
    .name = "toy",
    .source = "toy-beacon",
    .interval = "1m",
    .fields = toy_fields,
    .state_size = sizeof(struct toy),
    .poll = toy_poll,
};
SENSOR

cat >toy.yaml <<'YAML'
host_id: here
beacons:
  reactor: "127.0.0.1:9500"
  toy: {greeting: "good morning"}
YAML

make "-j$(nproc)" BOARD=host out/host/nefia-beacon >"$log" 2>&1
ok $? "one file and one Kconfig entry build"

grep -q '^CONFIG_SENSOR_TOY=y' out/host/.config && grep -qx 'SENSOR(toy)' out/host/gen/sensors.inc
ok $? "the sensor is in the configuration and in the table"

out/host/nefia-beacon check -c toy.yaml >"$log" 2>&1
ok $? "its configuration is known"

out/host/nefia-beacon once -c toy.yaml >"$log" 2>&1 &&
    grep -q '"type":"toy.hello"' "$log" && grep -q '"greeting":"good morning"' "$log"
ok $? "its event comes out of \`once\`"

sed -i 's/greeting:/greting:/' toy.yaml
if out/host/nefia-beacon check -c toy.yaml >"$log" 2>&1; then false; else grep -q 'greting' "$log"; fi
ok $? "a misspelt key of it is refused by name"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
