#include <string.h>

#include "nefia/beacon/sensor.h"
#include "nefia/sys/dir.h"

/* flash: how much of its life flash memory has used up, and how much of its spare blocks. UBI counts both for
 * raw NAND and NOR (Linux, Documentation/ABI/stable/sysfs-class-ubi); eMMC 5.0 estimates both in steps
 * (JESD84-B50, DEVICE_LIFE_TIME_EST_TYP_A and _B, PRE_EOL_INFO). */
struct flash {
    struct sensor_common common;
    struct thresholds limits; /* tenths of a percent, for both */
    int32_t erase_cycles;
};

/** One look. */
struct look {
    const struct flash *f;
    struct emitter *out;
    const char *dir, *device;
    unsigned found;
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

/** used below 0: this device does not say. */
static void judge(struct look *l, const char *type, int32_t used, int32_t of)
{
    if (used < 0)
        return;
    l->found++;
    const int64_t percent = percent_tenths((uint32_t)used, (uint32_t)of);
    struct json_writer *w = emit_level(l->out, type, l->device, percent, &l->f->limits, ABOVE);
    if (!w)
        return;
    json_put_string(w, "device", l->device);
    put_tenths(w, "used_percent", percent);
    json_put_i64(w, "used", used);
    json_put_i64(w, "of", of);
    emit_end(l->out);
}

/** Return: the number that is there, or negative. The kernel's are ints. */
static int32_t count_of(struct look *l, const char *leaf)
{
    int64_t v;

    if (emitter_number_in(l->out, l->dir, l->device, leaf, &v) < 0 || v < 0 || v > INT32_MAX / 2)
        return -1;
    return (int32_t)v;
}

/** One byte of what a card says, "0x0a 0x02". Return: 0 (it does not know) to 255, or less. */
static int card_byte(struct look *l, const char *leaf, size_t at)
{
    size_t len = 0;
    const char *text = emitter_file_in(l->out, l->dir, l->device, leaf, &len);

    return text && len >= at + 4 ? hex_digit(text[at + 2]) * 16 + hex_digit(text[at + 3]) : -1;
}

/** Volumes of UBI, which are in the directory of its devices, have none of this, and neither have SD cards. What
 * UBI has lost and what it still has reserved is what it began with. A card has two kinds of memory, each with a
 * life of 1 (less than 10 % used) to 11 (more than 100 %); what is certainly used counts. Of its spare blocks it says
 * 1 (normal), 2 (80 % used) or 3 (90 %). */
static void look_at(struct look *l)
{
    const int32_t bad = count_of(l, "bad_peb_count"), reserved = count_of(l, "reserved_for_bad");
    const int a = card_byte(l, "life_time", 0), b = card_byte(l, "life_time", 5), life = a > b ? a : b;
    const int end = card_byte(l, "pre_eol_info", 0);
    static const char wear[] = "flash.wear", spare[] = "flash.bad_blocks";

    judge(l, wear, count_of(l, "max_ec"), l->f->erase_cycles);
    if (reserved >= 0)
        judge(l, spare, bad, bad + reserved);
    if (life <= 11)
        judge(l, wear, life - 1, 10);
    if (end > 0 && end <= 3)
        judge(l, spare, end == 1 ? 0 : 60 + 10 * end, 100);
}

static void look_in(struct look *l, const char *path)
{
    struct dir d;

    l->dir = path;
    if (dir_open(&d, path) < 0)
        return;
    while ((l->device = dir_next(&d)))
        look_at(l);
}

static int flash_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct look l = {.f = state, .out = out};

    (void)now_ms;
    look_in(&l, "/sys/class/ubi");
    look_in(&l, "/sys/bus/mmc/devices");
    return l.found ? 0 : emitter_not_measured(out, NULL, "no UBI and no eMMC that reports wear");
}

const struct sensor_class sensor_flash = {
    SENSOR_NAME("flash", "6h"),
    .fields = flash_fields,
    .state_size = sizeof(struct flash),
    .open = flash_open,
    .poll = flash_poll,
};
