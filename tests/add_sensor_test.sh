#!/bin/sh
# Adding a sensor is one C file and one Kconfig entry: do it in a copy of the tree, build, and see its event.
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
program=$copy/out/host-toy/nefia-beacon

cat >"$copy/src/beacon/sensors/toy.c" <<'C'
#include "nefia/beacon/sensor.h"

/* toy: says a word. */
struct toy {
    struct sensor_common common;
    const char *word;
};

static const struct field toy_fields[] = {
    {.name = "word", .type = FIELD_STRING, .offset = offsetof(struct toy, word), .required = true, .help = "what it says"},
    {.name = NULL},
};

static int toy_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct toy *t = state;

    (void)now_ms;
    json_put_string(emit_begin(out, "toy.word", t->word, SEVERITY_INFO), "word", t->word);
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
C
cat >>"$copy/src/beacon/sensors/Kconfig" <<'K'

config SENSOR_TOY
	bool "Toy (toy)"
	default y
K
cp board/host/defconfig "$copy/board/host/toy.config"

make -C "$copy" "-j$(nproc)" BOARD=host CONFIG=toy out/host-toy/nefia-beacon >"$log" 2>&1
result "a tree with one more file and one more Kconfig entry builds" $?

printf 'beacons: {toy: {word: hello}}\n' >out/add-sensor/toy.yaml
"$program" once -c out/add-sensor/toy.yaml >"$log" 2>&1
result "the new sensor runs" $?
grep -q '"type":"toy.word","source":"toy-beacon".*"data":{"word":"hello"}' "$log"
result "its event is there" $?
"$program" --version >"$log" 2>&1
grep -q 'sensor-toy' "$log"
result "the build lists it" $?
printf 'beacons: {toy: {wrod: hello}}\n' >out/add-sensor/toy.yaml
! "$program" once -c out/add-sensor/toy.yaml >"$log" 2>&1 && grep -q 'beacons.toy.wrod' "$log"
result "a mistake in its configuration is named" $?

rm -rf out/add-sensor/tree
finish
