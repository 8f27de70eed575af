#include <string.h>

#include "check.h"
#include "nefia/beacon/console_edit.h"

/* The terminal is a line in which \b goes back and everything else is written over what is there. */
static struct console_edit edit;
static char echo_buf[CONSOLE_ECHO], screen[4096];
static size_t cursor;
static enum console_event event;

static void display(const struct text *t)
{
    CHECK(!t->truncated);
    for (size_t i = 0; i < t->len; i++) {
        const char c = t->buf[i];
        CHECK((unsigned char)c >= ' ' || c == '\b' || c == '\n');
        if (c == '\b')
            cursor -= cursor > 0;
        else if (c == '\n')
            memset(screen, 0, sizeof screen), cursor = 0;
        else
            screen[cursor++] = c;
    }
}

static void next(void)
{
    struct text t;

    text_init(&t, echo_buf, sizeof echo_buf);
    console_edit_next(&edit, &t);
    display(&t);
}

static void type_bytes(const char *s, size_t len)
{
    struct text t;

    for (size_t i = 0; i < len; i++) {
        text_init(&t, echo_buf, sizeof echo_buf);
        event = console_edit_feed(&edit, (uint8_t)s[i], &t);
        display(&t);
    }
}

static void type(const char *s)
{
    type_bytes(s, strlen(s));
}

static void setup(bool blind)
{
    memset(&edit, 0, sizeof edit);
    memset(screen, 0, sizeof screen);
    cursor = 0;
    edit.prompt = "> ";
    edit.blind = blind;
    next();
}

/** What is in the line, after Enter; and a new line. */
static const char *enter(void)
{
    static char line[CONSOLE_LINE + 1];

    type("\r");
    CHECK_INT(event, CONSOLE_ENTER);
    memcpy(line, edit.line, sizeof line);
    next();
    return line;
}

/** What stands on the screen, without what was blanked at its end. */
static const char *shown(void)
{
    screen[cursor] = '\0';
    return screen;
}

TEST(typed_bytes_are_echoed_and_entered)
{
    setup(false);
    CHECK_STR(shown(), "> ");
    type("status");
    CHECK_STR(shown(), "> status");
    CHECK_STR(enter(), "status");
    CHECK_STR(shown(), "> ");
}

TEST(either_end_of_line_and_both_are_one)
{
    setup(false);
    type("a\r\n");
    CHECK_INT(event, CONSOLE_MORE); /* of the \n; the \r was the end */
    next();
    type("b\n");
    CHECK_INT(event, CONSOLE_ENTER);
    next();
    type("\n");
    CHECK_INT(event, CONSOLE_ENTER);
}

TEST(editing)
{
    setup(false);
    type("statuss\b");
    CHECK_STR(shown(), "> status");
    type("\x7f\x7f");
    CHECK_STR(shown(), "> stat");
    type("\x15link tra\x17try");
    CHECK_STR(shown(), "> link try");
    CHECK_STR(enter(), "link try");
    type("\b\b\x17\x15");
    CHECK_STR(shown(), "> ");
    type("emit\x03");
    CHECK_STR(shown(), "> ");
    CHECK_INT(event, CONSOLE_MORE);
    type("lo\x0cg");
    CHECK_STR(shown(), "> log");
    CHECK_STR(enter(), "log");
}

TEST(end_of_file_is_on_an_empty_line_only)
{
    setup(false);
    type("a\x04");
    CHECK_INT(event, CONSOLE_MORE);
    type("\b\x04");
    CHECK_INT(event, CONSOLE_EOF);
}

TEST(history)
{
    setup(false);
    type("first");
    enter();
    type("second");
    enter();
    type("second"); /* once */
    enter();
    enter();        /* an empty line is none */
    type("\x10");
    CHECK_STR(shown(), "> second");
    type("\x10");
    CHECK_STR(shown(), "> first");
    type("\x10\x10");
    CHECK_STR(shown(), "> first");
    type("\x0e");
    CHECK_STR(shown(), "> second");
    type("\x0e\x0e");
    CHECK_STR(shown(), "> ");
    type("\033[A\033[A\033OB!");
    CHECK_STR(shown(), "> second!");
    CHECK_STR(enter(), "second!");
}

TEST(a_full_history_forgets_the_earliest)
{
    char line[CONSOLE_LINE + 1];

    setup(false);
    for (unsigned i = 0; i < 40; i++) {
        memset(line, 'a' + (int)(i % 26), sizeof line);
        line[1 + i * 7 % CONSOLE_LINE] = '\0';
        type(line);
        enter();
        CHECK_INT(edit.history[CONSOLE_HISTORY - 1], 0);
        for (unsigned back = 0; back < 600; back++)
            type("\x10");
        CHECK(edit.back > 0);
        type("\x15");
        enter();
    }
    type("\x10");
    CHECK_STR(shown() + 2, line);
}

TEST(escape_sequences_are_passed_over)
{
    setup(false);
    type("a\033[1;5Cb\033[3~c\033Od\033xe\033[200~f");
    CHECK_STR(shown(), "> abcef");
}

TEST(only_whole_characters_get_in)
{
    setup(false);
    type("gr\xC3\xBC\xC3\x9F");
    CHECK_STR(shown(), "> gr\xC3\xBC\xC3\x9F");
    CHECK_INT(edit.len, 6);
    type("\b\b");
    CHECK_INT(edit.len, 2);
    type("\xFF\xC0\xAF\x80\xE2\x82");
    CHECK_INT(edit.len, 2);
    type("x\xE2\x80\xAE\xC2\x9By"); /* right-to-left override, CSI of eight bits */
    CHECK_STR(enter(), "grxy");
    type_bytes("\0\1\2", 3);
    CHECK_INT(edit.len, 0);
}

TEST(a_line_is_bounded)
{
    setup(false);
    for (unsigned i = 0; i < 2 * CONSOLE_LINE; i++)
        type("x");
    CHECK_INT(edit.len, CONSOLE_LINE);
    type("\xC3\xBC");
    CHECK_INT(edit.len, CONSOLE_LINE);
    CHECK_INT(strlen(enter()), CONSOLE_LINE);
    type("\x10");
    CHECK_INT(edit.len, CONSOLE_LINE);
}

TEST(blind_shows_and_keeps_nothing)
{
    setup(true);
    type("secret\x10\x0c");
    CHECK(!strstr(shown(), "secret"));
    CHECK_STR(enter(), "secret");
    edit.blind = false;
    type("\x10");
    CHECK_INT(edit.len, 0);
}

TEST_MAIN(typed_bytes_are_echoed_and_entered, either_end_of_line_and_both_are_one, editing,
          end_of_file_is_on_an_empty_line_only, history, a_full_history_forgets_the_earliest,
          escape_sequences_are_passed_over, only_whole_characters_get_in, a_line_is_bounded,
          blind_shows_and_keeps_nothing)
