/** Kconfig choices, for use inside functions.
 *
 * Configuration symbols are macros (CONFIG_X), from the generated autoconf.h, included on the
 * command line: 1 for a bool that is y, undefined for one that is n, a number or a string for the
 * others. */
#ifndef NEFIA_BASE_KCONFIG_H
#define NEFIA_BASE_KCONFIG_H

/** Is a bool symbol y?  A constant 1 or 0 for `if`, so that both branches compile everywhere:
 *
 *     if (IS_ENABLED(CONFIG_YAML)) …
 *
 * Works by pasting the symbol's value: only 1 makes NEFIA_KCONFIG_1, which inserts an argument
 * and thereby moves the 1 into second place. */
#define IS_ENABLED(symbol) NEFIA_KCONFIG_VALUE(symbol)

/** One of two macros, by the same means: `yes` where the symbol is y. For tables. */
#define KCONFIG_CHOOSE(symbol, yes, no) NEFIA_KCONFIG_WITH(symbol, yes, no)
#define NEFIA_KCONFIG_WITH(value, yes, no) NEFIA_KCONFIG_PICK(NEFIA_KCONFIG_##value, yes, no)
#define NEFIA_KCONFIG_PICK(inserted, yes, no) NEFIA_KCONFIG_EITHER(inserted yes, no, 0)
#define NEFIA_KCONFIG_EITHER(first, second, ...) second

#define NEFIA_KCONFIG_1 0,
#define NEFIA_KCONFIG_VALUE(value) NEFIA_KCONFIG_PASTE(value)
#define NEFIA_KCONFIG_PASTE(value) NEFIA_KCONFIG_CALL(NEFIA_KCONFIG_##value)
#define NEFIA_KCONFIG_CALL(inserted) NEFIA_KCONFIG_SECOND(inserted 1, 0, 0)
#define NEFIA_KCONFIG_SECOND(first, second, ...) (second)

/** The remedy at the end of a message; null, which terminates the argument list, without
 * CONFIG_CONFIG_HINTS. */
#define HINT(text) (IS_ENABLED(CONFIG_CONFIG_HINTS) ? (text) : (const char *)0)
/** A remedy that is part of a longer literal. */
#ifdef CONFIG_CONFIG_HINTS
#define REMEDY(text) text
#else
#define REMEDY(text)
#endif
/** Problem and remedy in one string; both arguments are literals. */
#define HINTED(text, remedy) (IS_ENABLED(CONFIG_CONFIG_HINTS) ? text remedy : text)

#endif
