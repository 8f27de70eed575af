/* toolchain/tre-ascii.h against the C library, for all that src/guard/pattern_tre.c hands to TRE. */
#include "../../toolchain/tre-ascii.h"

#include <stdbool.h>

#include "check.h"

/* Characters of words come as they are, newlines too, all else beyond Unicode. */
static bool same(wint_t c)
{
    return !tre_ascii_alnum(c) == !(iswalnum)(c) && !tre_ascii_lower(c) == !(iswlower)(c) &&
           !tre_ascii_upper(c) == !(iswupper)(c) && tre_ascii_to_lower(c) == (towlower)(c) &&
           tre_ascii_to_upper(c) == (towupper)(c);
}

TEST(answers_are_those_of_the_library)
{
    for (wint_t c = 0; c < 128; c++)
        CHECK(same(c));
    for (wint_t c = 0x110000; c < 0x220010; c++)
        if (!same(c))
            CHECK_INT(c, 0); /* shows the character that differs */
}

TEST(numbers_are_those_of_the_library)
{
    static const char *const digits[] = { "", "0", "9", "a", "F", "1f600", "10FFFF", "7fffffff", "41}", "g", "4G", "-" };

    for (size_t i = 0; i < sizeof digits / sizeof *digits; i++)
        CHECK(tre_ascii_hex(digits[i]) == (strtol)(digits[i], NULL, 16));
}

TEST_MAIN(answers_are_those_of_the_library, numbers_are_those_of_the_library)
