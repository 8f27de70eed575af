/* No include guard: this header expands src/budget.def for one program, in one of three ways.
 * The includer defines POOL_PROGRAM_BEACON or POOL_PROGRAM_HUB, has included the headers of the types that its
 * pools are made of, and may define POOL_DEFINE to get the arrays themselves (done once for each program, in its pools.c)
 * instead of their declarations. Either way it gets POOL_TOTAL_BYTES, and the build stops when the pools alone pass the budget. */
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
