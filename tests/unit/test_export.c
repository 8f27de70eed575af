#include "nefia/link/export.h"

#include "check.h"
#include "nefia/base/err.h"

#include "../golden/export.h"

enum { ROOM = 300 };

static struct export_reader reader;
static char buf[ROOM + 1];
static char said[4096];
static struct text said_text;

/** What the reader finds in a text that comes in pieces of so many bytes: "begun 1|mark sig line|damaged|". */
static const char *found_in(const char *s, size_t len, size_t piece)
{
    memset(buf, 0x5A, sizeof buf);
    export_reader_init(&reader, buf, ROOM);
    text_init(&said_text, said, sizeof said);
    while (len > 0) {
        size_t n = piece < len ? piece : len;
        len -= n;
        while (n > 0) {
            const enum export_item item = export_read(&reader, &s, &n);
            const struct export_unit *u = &reader.unit;
            if (item == EXPORT_BEGUN) {
                text_str(&said_text, "begun ");
                text_u64(&said_text, reader.version);
            } else if (item == EXPORT_DAMAGED) {
                text_str(&said_text, "damaged");
            } else if (item == EXPORT_UNIT) {
                text_bytes(&said_text, u->mark.ptr, u->mark.len);
                text_char(&said_text, ' ');
                text_bytes(&said_text, u->sig.ptr, u->sig.len);
                text_char(&said_text, ' ');
                text_bytes(&said_text, u->line.ptr, u->line.len);
            }
            if (item != EXPORT_NOTHING)
                text_char(&said_text, '|');
        }
    }
    CHECK_INT(buf[ROOM], 0x5A); /* it keeps to its room */
    return said;
}

/** The same whatever the pieces are. */
static void check_found(const char *text, const char *want)
{
    for (size_t piece = 1; piece < 70; piece += 4)
        CHECK_STR(found_in(text, strlen(text), piece), want);
}

static struct mac_key key_of(const char *secret, const char *host)
{
    struct mac_key shared, key;

    CHECK_INT(mac_key_set(&shared, secret, strlen(secret)), 0);
    export_key(&key, &shared, (struct slice){host, strlen(host)});
    return key;
}

TEST(is_written_as_the_documentation_has_it)
{
    const struct mac_key key = key_of(GOLDEN_EXPORT_KEY, GOLDEN_EXPORT_HOST);
    char line[512], end[512];
    struct text t;

    for (unsigned i = 0; i < sizeof golden_export / sizeof golden_export[0]; i++) {
        text_init(&t, line, sizeof line);
        export_sign(&key, golden_export[i].mark, golden_export[i].line, strlen(golden_export[i].line), &t);
        CHECK_STR(line, golden_export[i].signature);
        CHECK_INT(t.len, EXPORT_SIGNATURE);
    }
    text_init(&t, end, sizeof end);
    export_end(2, GOLDEN_EXPORT_HOST, GOLDEN_EXPORT_TIME, &t);
    CHECK_STR(end, golden_export[2].line);
    CHECK_STR(EXPORT_BEGIN GOLDEN_EXPORT_TIME " " GOLDEN_EXPORT_HOST, GOLDEN_EXPORT_FIRST);
}

TEST(a_key_is_of_one_host)
{
    const struct mac_key a = key_of(GOLDEN_EXPORT_KEY, "r1"), b = key_of(GOLDEN_EXPORT_KEY, "r2"), none = {0};
    char of_a[128], of_b[128];
    struct text t;

    text_init(&t, of_a, sizeof of_a);
    export_sign(&a, 0, "{}", 2, &t);
    text_init(&t, of_b, sizeof of_b);
    export_sign(&b, 0, "{}", 2, &t);
    CHECK(strcmp(of_a, of_b) != 0);
    text_reset(&t);
    export_sign(&none, 1, "{}", 2, &t);
    CHECK_STR(of_b, "#nefia-export 0000000000000001 -");
}

#define S "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define M "0000000000000000"

TEST(finds_what_was_exported)
{
    check_found("#nefia-export begin 1 2026-03-10T15:30:00Z r1\n{\"a\":1}\n#nefia-export " M " " S "\n", "begun 1|" M " " S " {\"a\":1}|");
    check_found("{\"a\":1}\n#nefia-export " M " -\n{\"b\":1}\n#nefia-export " M " -\n", M " - {\"a\":1}|" M " - {\"b\":1}|");
    check_found("#nefia-export begin 2 x\n#nefia-export begin x\n#nefia-export begin 99999999999999999999 x\n", "begun 2|begun 0|begun 0|");
}

TEST(a_terminal_may_show_what_it_likes)
{
    check_found("# prompt\r\n\r\n  {\"a\":1} \t\r\r\n[  1.2] usb\r\n\r\n #nefia-export " M " " S " \r\n$ ", M " " S " {\"a\":1}|");
    check_found("{\"x\":\n{\"a\":1}\n#nefia-export " M " -\n", M " - {\"a\":1}|");
    check_found("#nefia\n#nefia-exporter x\n#\n\n\r\nnothing", "");
    check_found("{\"a\":1}\n#nefia-export " M " -", ""); /* until its newline is there */
}

TEST(what_is_damaged_is_told)
{
    check_found("#nefia-export " M " -\n", "damaged|"); /* nothing is signed */
    check_found("{\"a\":1}\n#nefia-export " M " -\n#nefia-export " M " -\n", M " - {\"a\":1}|damaged|");
    check_found("{\"a\":1}\n#nefia-export " M " " S "0\n", "damaged|");
    check_found("{\"a\":1}\n#nefia-export " M " " S " more\n", "damaged|");
    check_found("{\"a\":1}\n#nefia-export 000000000000000 -\n", "damaged|");
    check_found("#nefia-export begin\n", "damaged|");
    check_found("{\"a\":1}\n#nefia-export begin 1 x\n#nefia-export " M " -\n", "begun 1|damaged|"); /* of another text */
}

TEST(the_longest_line_is_as_long_as_its_room)
{
    char text[ROOM + 128];
    struct text t;

    for (size_t len = ROOM - 1; len <= ROOM + 1; len++) {
        text_init(&t, text, sizeof text);
        text_char(&t, '{');
        while (t.len < len)
            text_char(&t, 'x');
        text_str(&t, "\r\n#nefia-export " M " -\n");
        found_in(text, t.len, 7);
        CHECK(str_eq(said, "damaged|") == (len > ROOM));
        CHECK(len > ROOM || reader.unit.line.len == len);
    }
    CHECK_INT(reader.unit.at, 2);
}

TEST_MAIN(is_written_as_the_documentation_has_it, a_key_is_of_one_host, finds_what_was_exported, a_terminal_may_show_what_it_likes,
          what_is_damaged_is_told, the_longest_line_is_as_long_as_its_room)
