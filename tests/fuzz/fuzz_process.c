/* Arbitrary bytes as /proc/PID/stat and what the process is called. */
#include "../unit/fake_root.h"
#include "beacon/sensors/process.c"
#include "beacon_fixture.h"

static int look(void *arg, const char *line, size_t len)
{
    static struct json_token tokens[64];
    char scratch[EVENT_SCRATCH];
    struct event e;

    (void)arg;
    if (event_decode(&e, line, len, tokens, ARRAY_SIZE(tokens), scratch, NULL) != 0)
        __builtin_trap();
    return PIPELINE_ACCEPTED;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct process p = {.common = {.name = "dropbear", .for_checks = 1}, .least = 1, .most = ANY, .most_kib = 1};
    struct emitter e = {.owner = &fix.sensor_runner, .class = &sensor_process, .common = &p.common, .output = -1};

    if (!fake_root_dir[0]) {
        check_name = "fuzz_process";
        fake_root_begin();
        atexit(fake_root_end);
        fake_root_put("/proc/1/stat", "1 (init) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 1000 10\n");
    }
    fix_init();
    fix.pipeline.print = look;
    fake_root_put_bytes("/proc/77/stat", data, size);
    fake_root_put_bytes("/proc/77/cmdline", data, size);
    process_poll(&p, &e, 0);
    process_poll(&p, &e, 0);
    return 0;
}
