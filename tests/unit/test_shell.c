/* Command lines and what they are taken apart into. */
#include "nefia/guard/shell.h"

#include "check.h"
#include "readfile.h"

/* Nothing is read or written outside: what is around the line and the memory would be noticed by a sanitizer. */
static struct shell_work work;

static bool put(void *arg, const struct shell_command *c)
{
    static const char signs[] = "=>~@";
    struct text *t = arg;

    text_char(t, signs[c->origin]);
    text_char(t, ' ');
    text_bytes(t, c->text.ptr, c->text.len);
    text_char(t, '\n');
    CHECK(c->name_len <= c->text.len);
    return true;
}

/** What is found, a line each, behind `=` written, `>` wrapped, `~` guessed, `@` redirected; last, behind `?`, the doubt. */
static const char *split(const char *line, size_t len)
{
    static char buf[64 * 1024];
    struct text t;
    struct shell_doubt doubt;

    text_init(&t, buf, sizeof buf);
    const bool sure = shell_split(line, len, &work, put, &t, &doubt);
    CHECK(sure == (doubt.reason == NULL));
    CHECK(sure || doubt.at <= len);
    if (!sure) {
        text_str(&t, "? ");
        text_str(&t, doubt.reason);
    }
    return buf;
}

static const struct {
    const char *line, *found;
} cases[] = {
#include "shell_cases.h"
};

TEST(golden_lines)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = split(cases[i].line, strlen(cases[i].line));
        if (strcmp(found, cases[i].found) != 0) {
            check_puts(cases[i].line);
            check_puts("\n");
        }
        CHECK_STR(found, cases[i].found);
    }
}

/** A line of n times `piece`, after `before`. */
static const char *repeated(const char *before, const char *piece, unsigned n, const char *behind)
{
    static char line[2 * SHELL_LINE_MAX];
    struct text t;

    text_init(&t, line, sizeof line);
    text_str(&t, before);
    while (n-- > 0)
        text_str(&t, piece);
    text_str(&t, behind);
    return line;
}

static bool count(void *arg, const struct shell_command *c)
{
    (void)c;
    return --*(int *)arg > 0;
}

/** Why there is a doubt; null: there is none. */
static const char *doubt_of(const char *line)
{
    struct shell_doubt doubt;
    int most = 1 << 30;

    (void)shell_split(line, strlen(line), &work, count, &most, &doubt);
    return doubt.reason;
}

TEST(what_exceeds_a_bound_leaves_a_doubt)
{
    CHECK_STR(doubt_of(repeated("", "x", SHELL_LINE_MAX, "")), NULL);
    CHECK_STR(doubt_of(repeated("", "x", SHELL_LINE_MAX + 1, "")), "too long to be taken apart");
    CHECK_STR(doubt_of(repeated("a", " b", SHELL_WORDS - 1, "")), NULL);
    CHECK_STR(doubt_of(repeated("a", " b", SHELL_WORDS, "")), "too many words");
    CHECK_STR(doubt_of(repeated("", "( ", SHELL_OPEN, "a")), "not understood as shell syntax");
    CHECK_STR(doubt_of(repeated("", "( ", SHELL_OPEN + 1, "a")), "nested too deeply");
    CHECK_STR(doubt_of(repeated("", "sudo ", SHELL_CHAIN, "a")), NULL);
    CHECK_STR(doubt_of(repeated("", "sudo ", SHELL_CHAIN + 1, "a")), "too many wrappers");
    CHECK_STR(doubt_of(repeated("a", " <<E", SHELL_HERES, "\nE\nE\nE\nE\n")), NULL);
    CHECK_STR(doubt_of(repeated("a", " <<E", SHELL_HERES + 1, "\nE\nE\nE\nE\nE\n")), "too many here-documents");
    CHECK_STR(doubt_of("a $(b $(c $(d $(e $(f $(g $(h $(i))))))))"), NULL);
    CHECK_STR(doubt_of("a $(b $(c $(d $(e $(f $(g $(h $(i $(j)))))))))"), "nested too deeply");
    CHECK_STR(doubt_of(repeated("sh -c 'sh -c \"sh -c a", "b", 5000, "\"'")), "too long to be taken apart");
}

TEST(values_that_grow_without_end_are_left)
{
    CHECK_STR(doubt_of("a=$a$a$a; b $a"), NULL);
    CHECK_STR(doubt_of(repeated("a=xxxxxxxxxxxxxxxx;b=$a$a$a$a$a$a$a$a;c=$b$b$b$b$b$b$b$b;d=$c$c$c$c$c$c$c$c;e", " $d", 100, "")), NULL);
    CHECK_STR(doubt_of(repeated("a", " $x", 2000, "")), "too many words");
}

TEST(many_guesses_are_bounded)
{
    struct shell_doubt doubt;
    const char *line = repeated("strace -f", " strace -f", 200, "");
    int most = 1000;

    CHECK(!shell_split(line, strlen(line), &work, count, &most, &doubt));
    CHECK_INT(most, 1000 - 1 - (int)SHELL_CHAIN);
}

TEST(the_callers_word_ends_it)
{
    struct shell_doubt doubt;
    int most = 3;

    (void)shell_split("a; b; c; d; e", 13, &work, count, &most, &doubt);
    CHECK_INT(most, 0);
}

static bool place(void *arg, const struct shell_command *c)
{
    *(uint32_t *)arg = c->at;
    return true;
}

TEST(places_are_bytes_of_the_line)
{
    struct shell_doubt doubt;
    uint32_t at = 0;

    CHECK(shell_split("a | X=1 b", 9, &work, place, &at, &doubt));
    CHECK_INT(at, 8);
    CHECK(shell_split("a; sh -c 'b; c'", 15, &work, place, &at, &doubt));
    CHECK_INT(at, 3);
    CHECK(!shell_split("a; $x", 5, &work, place, &at, &doubt));
    CHECK_INT(doubt.at, 3);
    CHECK(!shell_split("a; b \"c", 7, &work, place, &at, &doubt));
    CHECK_INT(doubt.at, 7);
    CHECK(!shell_split("a\0b", 3, &work, place, &at, &doubt));
    CHECK_STR(doubt.reason, "a NUL byte");
    CHECK_INT(doubt.at, 1);
}

/* ---- lines of administrators ---- */

static char admin[32 * 1024];

/** Put the next entry of the file together: lines that begin with `|` belong to the one before. */
static const char *next_entry(char **at, size_t *len)
{
    static char entry[SHELL_LINE_MAX];
    struct text t;
    char *line;

    text_init(&t, entry, sizeof entry);
    while ((line = next_line(at)) != NULL) {
        if (*line == '#')
            continue;
        if (*line == '|')
            text_char(&t, '\n');
        text_str(&t, *line != '|' ? line : line[1] ? line + 2 : "");
        if (**at != '|')
            break;
    }
    *len = t.len;
    return line != NULL ? entry : NULL;
}

TEST(lines_of_administrators_are_taken_apart)
{
    char *at = admin;
    const char *entry;
    unsigned entries = 0, sure = 0;
    size_t len;

    REQUIRE(read_file("tests/golden/admin_lines.txt", admin, sizeof admin) > 0);
    for (; (entry = next_entry(&at, &len)) != NULL; entries++) {
        struct shell_doubt doubt;
        int most = 1 << 30;
        if (shell_split(entry, len, &work, count, &most, &doubt)) {
            sure++;
            continue;
        }
        check_puts(doubt.reason);
        check_puts(": ");
        check_puts(entry);
        check_puts("\n");
    }
    check_putn(sure);
    check_puts(" of ");
    check_putn(entries);
    check_puts(" lines are taken apart without a doubt\n");
    CHECK(entries >= 300);
    CHECK(sure * 100 >= entries * 95);
}

/** An expansion within a word may be nothing: what the word comes to is not known. */
TEST(a_part_of_an_option_that_is_computed)
{
    static const char *const unsure[] = {
        "nice -n\"$x\" 1 reboot",     "watch -n\"$(a)\" 1 reboot", "find . -ex\"$x\"ec reboot \\;",  "find . \"$x\"-exec reboot \\;",
        "ip netns ex\"$x\"ec n reboot", "ip net\"$x\"ns exec n reboot", "xargs -I \"$x\" sh -c 'echo a'", "xargs -I\"$x\" a sh -c a",
    };
    static const char *const sure[] = {
        "find \"$dir/a-b\" -name \"*.$x\" -exec ls {} \\;", "ip addr add \"$a\" dev \"$d\"", "nice -n \"$x\" ls", "xargs -I {} ls \"{}$x\"",
    };
    struct shell_doubt doubt;
    int most = 100;

    for (unsigned i = 0; i < ARRAY_SIZE(unsure); i++)
        CHECK(!shell_split(unsure[i], strlen(unsure[i]), &work, count, &most, &doubt));
    for (unsigned i = 0; i < ARRAY_SIZE(sure); i++)
        CHECK(shell_split(sure[i], strlen(sure[i]), &work, count, &most, &doubt));
}

TEST_MAIN(a_part_of_an_option_that_is_computed, golden_lines, what_exceeds_a_bound_leaves_a_doubt, values_that_grow_without_end_are_left, many_guesses_are_bounded,
          the_callers_word_ends_it, places_are_bytes_of_the_line, lines_of_administrators_are_taken_apart)
