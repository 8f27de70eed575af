#ifndef NEFIA_KCONFIG_H
#define NEFIA_KCONFIG_H
/** IS_ENABLED(CONFIG_X): 1 where the symbol is y, 0 where it is not; an expression, so both branches are compiled. */
#define NEFIA_ARG_PLACEHOLDER_1 0,
#define NEFIA_TAKE_SECOND(ignored, value, ...) value
#define NEFIA_IS_ONE(x) NEFIA_IS_ONE_(x)
#define NEFIA_IS_ONE_(x) NEFIA_IS_ONE__(NEFIA_ARG_PLACEHOLDER_##x)
#define NEFIA_IS_ONE__(arg) NEFIA_TAKE_SECOND(arg 1, 0, 0)
#define IS_ENABLED(option) NEFIA_IS_ONE(option)
#endif
