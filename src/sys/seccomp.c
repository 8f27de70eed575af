#include <asm/unistd.h>
#include <endian.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "nefia/base/err.h"
#include "nefia/sys/log.h"
#include "seccomp_int.h"

#if defined __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCH AUDIT_ARCH_AARCH64
#elif defined __arm__
#define ARCH AUDIT_ARCH_ARM
#elif defined __mips__ && __BYTE_ORDER == __BIG_ENDIAN
#define ARCH AUDIT_ARCH_MIPS
#elif defined __mips__
#define ARCH AUDIT_ARCH_MIPSEL
#elif defined __riscv && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined __i386__
#define ARCH AUDIT_ARCH_I386
#elif defined __powerpc__ && !defined __powerpc64__
#define ARCH AUDIT_ARCH_PPC
#else
#error "seccomp.c: say here what <linux/audit.h> calls this processor"
#endif

/** Numbers from here on belong to x32 on x86-64; no other ABI has numbers as large, except ARM's
 * private calls (from 0xf0000, below it). */
#define FIRST_FOREIGN 0x40000000u

#define REFUSE SECCOMP_RET_ERRNO | EPERM
/** Offset of the low half of the first argument. */
#define FLAGS_AT \
    (offsetof(struct seccomp_data, args) + (__BYTE_ORDER == __BIG_ENDIAN ? sizeof(uint32_t) : 0))

/** The namespace flags of clone(2); CLONE_NEWTIME exists for clone3 and unshare only. */
#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)

#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(at))
#define JUMP(how, k, yes, no) BPF_JUMP(BPF_JMP | (how) | BPF_K, (uint32_t)(k), yes, no)
#define RETURN(k) BPF_STMT(BPF_RET | BPF_K, k)

static const struct sock_filter head[] = {
    LOAD(offsetof(struct seccomp_data, arch)),
    JUMP(BPF_JEQ, ARCH, 1, 0),
    RETURN(REFUSE),
    LOAD(offsetof(struct seccomp_data, nr)),
    JUMP(BPF_JGE, FIRST_FOREIGN, 0, 1),
    RETURN(REFUSE),
    JUMP(BPF_JEQ, __NR_clone3, 0, 1),
    RETURN(SECCOMP_RET_ERRNO | ENOSYS),
    JUMP(BPF_JEQ, __NR_clone, 0, 4),
    LOAD(FLAGS_AT),
    JUMP(BPF_JSET, NAMESPACES, 0, 1),
    RETURN(REFUSE),
    RETURN(SECCOMP_RET_ALLOW),
};

int seccomp_install(const uint16_t *calls, size_t count, bool allowed)
{
    struct sock_filter filter[ARRAY_SIZE(head) + SECCOMP_CALLS_MAX + 2];
    struct sock_filter *f = filter;
    const uint32_t listed = allowed ? SECCOMP_RET_ALLOW : REFUSE;
    const uint32_t other = allowed ? REFUSE : SECCOMP_RET_ALLOW;

    if (count > SECCOMP_CALLS_MAX)
        return NEFIA_ENOTSUP;
    for (size_t i = 0; i < ARRAY_SIZE(head); i++)
        *f++ = head[i];
    for (size_t i = 0; i < count; i++)
        *f++ = (struct sock_filter)JUMP(BPF_JEQ, calls[i], (uint8_t)(count - i), 0);
    *f++ = (struct sock_filter)RETURN(other);
    *f++ = (struct sock_filter)RETURN(listed);
    struct sock_fprog program = {.len = (unsigned short)(f - filter), .filter = filter};
    /* Without the second flag, kernels before 5.16 slow down every memory access. Kernels without
     * seccomp(2) flags are asked through prctl(2). */
    const unsigned long flags = SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    if (syscall(__NR_seccomp, (unsigned long)SECCOMP_SET_MODE_FILTER, flags, &program) == 0)
        return 0;
    return prctl(PR_SET_SECCOMP, (unsigned long)SECCOMP_MODE_FILTER, &program, 0ul, 0ul) == 0
               ? 0
               : NEFIA_ENOTSUP;
}

const char *seccomp_missing(void)
{
    LOG_INFO("no system call filter: ", ERRNO(errno));
    return "off";
}
