/* No include guard: this header is a template that expands src/budget.def for one program. Before
 * including it, define POOL_PROGRAM_BEACON or POOL_PROGRAM_HUB and include the headers of the
 * pools' element types. Define POOL_DEFINE as well to define the arrays (once per program, in its
 * pools.c) instead of declaring them. Also defines POOL_TOTAL_BYTES, and stops the build if the
 * pools alone exceed the budget. */
#if defined(POOL_DEFINE)
#define POOL_EMIT(name, count, type, what) type pool_##name[count];
#else
#define POOL_EMIT(name, count, type, what) extern type pool_##name[count];
#endif
#define POOL_NONE(name, count, type, what)
#define POOL_SUM(name, count, type, what) +sizeof(type) * (size_t)(count)

#define POOL_both POOL_USE
#if defined(POOL_PROGRAM_BEACON)
#define POOL_beacon POOL_USE
#define POOL_hub POOL_NONE
#define POOL_BUDGET_KB CONFIG_BEACON_RAM_KB
#elif defined(POOL_PROGRAM_HUB)
#define POOL_beacon POOL_NONE
#define POOL_hub POOL_USE
#define POOL_BUDGET_KB CONFIG_HUB_RAM_KB
#else
#error "define POOL_PROGRAM_BEACON or POOL_PROGRAM_HUB before including nefia/base/pool.h"
#endif
#define POOL(program, ...) POOL_##program(__VA_ARGS__)

#define POOL_USE POOL_EMIT
#include "budget.def"
#undef POOL_USE

#define POOL_USE POOL_SUM
enum { POOL_TOTAL_BYTES = 0
#include "budget.def"
};
#undef POOL_USE
#undef POOL
_Static_assert(POOL_TOTAL_BYTES <= POOL_BUDGET_KB * 1024,
               "the pools of src/budget.def exceed the program's RAM budget (CONFIG_BEACON_RAM_KB, CONFIG_HUB_RAM_KB)");
