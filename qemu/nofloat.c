/* A userland without an FPU has no floating point: Debian's libgcc cannot be used (it is built for one),
 * and nothing that BusyBox is asked to do here needs it.  musl's printf and strtod refer to these
 * helpers of a soft-float compiler; whoever calls one ends at once. */
#define ABSENT(name) \
    void name(void); \
    void name(void) { __builtin_trap(); }

ABSENT(__adddf3)
ABSENT(__subdf3)
ABSENT(__muldf3)
ABSENT(__divdf3)
ABSENT(__negdf2)
ABSENT(__eqdf2)
ABSENT(__nedf2)
ABSENT(__ltdf2)
ABSENT(__ledf2)
ABSENT(__gtdf2)
ABSENT(__gedf2)
ABSENT(__unorddf2)
ABSENT(__fixdfsi)
ABSENT(__fixdfdi)
ABSENT(__fixunsdfsi)
ABSENT(__fixunsdfdi)
ABSENT(__floatsidf)
ABSENT(__floatdidf)
ABSENT(__floatunsidf)
ABSENT(__floatundidf)
ABSENT(__truncdfsf2)
ABSENT(__extendsfdf2)
ABSENT(__addsf3)
ABSENT(__subsf3)
ABSENT(__mulsf3)
ABSENT(__divsf3)
ABSENT(__ltsf2)
ABSENT(__gtsf2)
ABSENT(__floatsisf)
ABSENT(__fixsfsi)
