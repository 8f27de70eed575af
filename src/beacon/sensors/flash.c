#include <string.h>

#include "nefia/beacon/sensor.h"
#include "nefia/sys/dir.h"

/* flash: how much of its life flash memory has used up, and how much of its spare blocks. UBI counts both for
 * raw NAND and NOR (Linux, Documentation/ABI/stable/sysfs-class-ubi); eMMC 5.0 estimates both in steps
 * (JESD84-B50, DEVICE_LIFE_TIME_EST_TYP_A and _B, PRE_EOL_INFO). */
struct flash {
    struct sensor_common common;
    struct thresholds limits; /* tenths of a percent, for both */
    int64_t erase_cycles;
};

static const struct field flash_fields[] = {
    THRESHOLD_FIELDS(struct flash, limits, "_percent", FIELD_TENTHS, 1, 1000, "80", "90", "2"),
    {FIELD_DEFAULT("erase_cycles", "100000"),
     .type = FIELD_INT,
     FIELD_AT(struct flash, erase_cycles),
     .min = 100,
     .max = 10000000,
     FIELD_NOTE("erasures that a block of raw flash is made for")},
    {.name = NULL},
};

static int flash_open(void *state, struct config *c, const struct node *n, const char *where)
{
    return thresholds_check(state, flash_fields, ABOVE, c, n, where);
}

/** used and whole are a count and what it may become, named `count` in the event; null: steps, which the percentage
 * tells. */
static void judge(const struct flash *f, struct emitter *out, const char *type, const char *device,
                  int64_t used, int64_t whole, const char *count)
{
    const int64_t percent = percent_tenths((uint64_t)used, (uint64_t)whole);
    struct json_writer *w = emit_level(out, type, device, percent, &f->limits, ABOVE);

    if (!w)
        return;
    json_put_string(w, "device", device);
    put_tenths(w, "used_percent", percent);
    if (count) {
        json_put_i64(w, count, used);
        json_put_i64(w, "of", whole);
    }
    emit_end(out);
}

static const char wear[] = "flash.wear", spare[] = "flash.bad_blocks";

/** The kernel's counts are ints. */
static bool count_of(struct emitter *out, const char *dir, const char *device, const char *leaf,
                     int64_t *v)
{
    return emitter_number_in(out, dir, device, leaf, v) == 0 && *v >= 0 && *v <= INT32_MAX;
}

/** A device, not one of its volumes, which are in the same directory. What it still has reserved and what it
 * has lost is what it began with. */
static bool look_ubi(const struct flash *f, struct emitter *out, const char *dir,
                     const char *device)
{
    int64_t erased, bad, reserved;

    if (!count_of(out, dir, device, "max_ec", &erased) ||
        !count_of(out, dir, device, "bad_peb_count", &bad) ||
        !count_of(out, dir, device, "reserved_for_bad", &reserved))
        return false;
    judge(f, out, wear, device, erased, f->erase_cycles, "erasures");
    judge(f, out, spare, device, bad, bad + reserved, "bad_blocks");
    return true;
}

/** One byte of what a card says, "0x0a 0x02". Return: 0 (it does not know) to 255, or less. */
static int card_byte(struct emitter *out, const char *dir, const char *device, const char *leaf, size_t at)
{
    size_t len = 0;
    const char *text = emitter_file_in(out, dir, device, leaf, &len);

    return text && len >= at + 4 ? hex_digit(text[at + 2]) * 16 + hex_digit(text[at + 3]) : -1;
}

/** Two kinds of memory, "0x02 0x01": 1 is up to 10 % used, 10 up to 100, 11 more. What counts is what is used up
 * for sure. */
static bool look_emmc(const struct flash *f, struct emitter *out, const char *dir,
                      const char *device)
{
    static const uint8_t spare_used[] = {0, 0, 80, 90}; /* unknown, normal, warning, urgent */
    const int a = card_byte(out, dir, device, "life_time", 0), b = card_byte(out, dir, device, "life_time", 5);
    const int life = a > b ? a : b, end = card_byte(out, dir, device, "pre_eol_info", 0);
    const bool lives = life >= 1 && life <= 11, ends = end >= 1 && end <= 3;

    if (lives)
        judge(f, out, wear, device, life - 1, 10, NULL);
    if (ends)
        judge(f, out, spare, device, spare_used[end], 100, NULL);
    return lives || ends;
}

/** Return: how many were measured. */
static unsigned look_in(const struct flash *f, struct emitter *out, const char *path,
                        bool (*look)(const struct flash *, struct emitter *, const char *,
                                     const char *))
{
    struct dir d;
    const char *name;
    unsigned n = 0;

    if (dir_open(&d, path) < 0)
        return 0;
    while ((name = dir_next(&d)))
        n += look(f, out, path, name);
    return n;
}

static int flash_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    const struct flash *f = state;

    (void)now_ms;
    if (look_in(f, out, "/sys/class/ubi", look_ubi) +
            look_in(f, out, "/sys/bus/mmc/devices", look_emmc) ==
        0)
        return emitter_not_measured(out, NULL,
                                    "no UBI device, and no eMMC that tells its life time");
    return 0;
}

const struct sensor_class sensor_flash = {
    .name = "flash",
    .source = "flash-beacon",
    .interval = "6h",
    .fields = flash_fields,
    .state_size = sizeof(struct flash),
    .open = flash_open,
    .poll = flash_poll,
};
