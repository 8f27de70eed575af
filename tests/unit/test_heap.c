#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "nefia/sys/heap.h"
#include "nefia/sys/log.h"

enum { ARENA = 64 * 1024 };
static _Alignas(16) unsigned char arena[ARENA];

static void setup(void)
{
    memset(arena, 0xAA, sizeof arena);
    heap_init(arena, sizeof arena);
}

/** The heap is one free block again. */
static void check_whole(void)
{
    struct heap_stats s = heap_stats();
    CHECK_INT(s.used, 0);
    void *all = heap_alloc(s.size - 2 * sizeof(size_t));
    CHECK(all != NULL);
    heap_free(all);
}

TEST(before_init_nothing)
{
    heap_init(arena, 0);
    errno = 0;
    CHECK(heap_alloc(1) == NULL);
    CHECK_INT(errno, ENOMEM);
    CHECK_INT(heap_stats().failed, 1);
    heap_free(NULL);
}

TEST(gives_aligned_memory)
{
    void *p[64];

    setup();
    for (size_t i = 0; i < 64; i++) {
        p[i] = heap_alloc(i);
        REQUIRE(p[i] != NULL);
        CHECK_INT((uintptr_t)p[i] % 8, 0);
        CHECK_INT((uintptr_t)p[i] % (2 * sizeof(size_t)), 0);
        memset(p[i], (int)i, i);
    }
    for (size_t i = 0; i < 64; i += 2)
        heap_free(p[i]);
    for (size_t i = 1; i < 64; i += 2)
        heap_free(p[i]);
    check_whole();
}

TEST(takes_an_unaligned_array)
{
    heap_init(arena + 3, sizeof arena - 5);
    void *p = heap_alloc(100);
    REQUIRE(p != NULL);
    CHECK_INT((uintptr_t)p % (2 * sizeof(size_t)), 0);
    heap_free(p);
    check_whole();
}

TEST(exhaustion_is_refused_and_counted)
{
    setup();
    void *a = heap_alloc(ARENA / 2);
    CHECK(a != NULL);
    errno = 0;
    CHECK(heap_alloc(ARENA / 2) == NULL);
    CHECK_INT(errno, ENOMEM);
    CHECK(heap_alloc(ARENA) == NULL);
    CHECK(heap_alloc(SIZE_MAX) == NULL);
    CHECK(heap_alloc(SIZE_MAX - sizeof(size_t)) == NULL);
    CHECK_INT(heap_stats().failed, 4);
    heap_free(a);
    CHECK(heap_stats().high_water >= ARENA / 2);
    CHECK(heap_stats().high_water < ARENA);
    check_whole();
}

TEST(calloc_zeroes_and_refuses_overflow)
{
    setup();
    unsigned char *p = heap_calloc(10, 30);
    REQUIRE(p != NULL);
    for (int i = 0; i < 300; i++)
        CHECK_INT(p[i], 0);
    heap_free(p);
    CHECK(heap_calloc(SIZE_MAX / 2 + 1, 2) == NULL);
    CHECK(heap_calloc(SIZE_MAX / 8, 16) == NULL);
    p = heap_calloc(SIZE_MAX, 0);
    CHECK(p != NULL);
    heap_free(p);
    check_whole();
}

TEST(realloc_keeps_content)
{
    setup();
    char *p = heap_realloc(NULL, 20);
    REQUIRE(p != NULL);
    memcpy(p, "nineteen characters", 20);
    char *grown = heap_realloc(p, 2000);
    CHECK(grown == p); /* free memory follows it */
    void *wall = heap_alloc(1);
    char *moved = heap_realloc(grown, 4000);
    CHECK(moved != grown && moved != NULL);
    CHECK_STR(moved, "nineteen characters");
    CHECK(heap_realloc(moved, ARENA) == NULL);
    CHECK_STR(moved, "nineteen characters");
    size_t before = heap_stats().used;
    char *shrunk = heap_realloc(moved, 20);
    CHECK(shrunk == moved);
    CHECK(heap_stats().used < before - 3900);
    CHECK_STR(shrunk, "nineteen characters");
    shrunk = heap_realloc(shrunk, 0);
    CHECK(shrunk != NULL);
    heap_free(shrunk);
    heap_free(wall);
    check_whole();
}

enum { SLOTS = 200, STEPS = 60000 };
static unsigned char *slots[SLOTS];
static uint16_t sizes[SLOTS];

static uint32_t next_random(void)
{
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static int holds(size_t i, size_t len)
{
    for (size_t k = 0; k < len; k++)
        if (slots[i][k] != (unsigned char)i)
            return 0;
    return 1;
}

static void random_step(void)
{
    size_t i = next_random() % SLOTS;
    uint16_t size = (uint16_t)(next_random() % (next_random() % 8 ? 300 : 3000));

    if (!slots[i]) {
        slots[i] = heap_alloc(size);
    } else if (next_random() % 3 == 0) {
        unsigned char *p = heap_realloc(slots[i], size);
        if (!p)
            return;
        slots[i] = p;
        CHECK(holds(i, size < sizes[i] ? size : sizes[i]));
    } else {
        CHECK(holds(i, sizes[i]));
        heap_free(slots[i]);
        slots[i] = NULL;
    }
    if (!slots[i])
        return;
    sizes[i] = size;
    memset(slots[i], (int)i, size);
}

TEST(random_use_loses_nothing)
{
    setup();
    for (int step = 0; step < STEPS; step++)
        random_step();
    CHECK(heap_stats().high_water > ARENA / 2);
    for (size_t i = 0; i < SLOTS; i++) {
        if (!slots[i])
            continue;
        CHECK(holds(i, sizes[i]));
        heap_free(slots[i]);
        slots[i] = NULL;
    }
    check_whole();
}

static void *abuse_block;
static void free_twice(void)
{
    heap_free(abuse_block);
    heap_free(abuse_block);
}
static void free_inside(void)
{
    heap_free((char *)abuse_block + 2 * sizeof(size_t));
}
static void free_foreign(void)
{
    static _Alignas(16) char foreign[64];
    heap_free(foreign + 32);
}
static void free_overrun(void)
{
    memset(abuse_block, 0x55, 600);
    heap_free(abuse_block);
}

/** The process that does it ends with SIGABRT, after a line in the log. */
static void check_dies(void (*abuse)(void))
{
    int p[2], status = 0;
    char line[200] = "";

    REQUIRE(pipe(p) == 0);
    setup();
    abuse_block = heap_alloc(500);
    REQUIRE(abuse_block != NULL);
    memset(abuse_block, 0, 500);
    heap_free(heap_alloc(10));
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        log_to_fd(p[1]);
        abuse();
        _exit(0);
    }
    close(p[1]);
    CHECK(read(p[0], line, sizeof line - 1) > 0);
    close(p[0]);
    CHECK(strstr(line, "memory is corrupt") != NULL);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

TEST(misuse_ends_the_process)
{
    check_dies(free_twice);
    check_dies(free_inside);
    check_dies(free_foreign);
    check_dies(free_overrun);
}

TEST_MAIN(before_init_nothing, gives_aligned_memory, takes_an_unaligned_array,
          exhaustion_is_refused_and_counted, calloc_zeroes_and_refuses_overflow,
          realloc_keeps_content, random_use_loses_nothing, misuse_ends_the_process)
