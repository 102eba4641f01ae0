/* What it costs to get from one compiled region into another: transitions MODE ROUNDS.

   A loop calls a small function, or one of four. polyvm compiles small callees together with their callers; those that
   are large only by code that runs once get a region of their own, and each call is then two transitions. The modes
   ending in -near and -far differ in nothing else. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE __asm__ volatile(".rept 300\n\tnop\n\t.endr")
#define SMALL __asm__ volatile("nop")
#define STEP(name, number, once)                                            \
    __attribute__((noinline)) static uint64_t name##number(uint64_t x) {    \
        static int done;                                                    \
        if (!done) {                                                        \
            once;                                                           \
            done = 1;                                                       \
        }                                                                   \
        return x ^ number;                                                  \
    }
#define FOUR(name, once) STEP(name, 0, once) STEP(name, 1, once) STEP(name, 2, once) STEP(name, 3, once)

FOUR(near, SMALL)
FOUR(far, LARGE)

typedef uint64_t step(uint64_t);
static step *const nears[] = {near0, near1, near2, near3}, *const fars[] = {far0, far1, far2, far3};

/* A call whose target is in the code. */
static uint64_t direct_near(uint64_t rounds) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rounds; i++) sum += near0(i);
    return sum;
}

static uint64_t direct_far(uint64_t rounds) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rounds; i++) sum += far0(i);
    return sum;
}

/* A call through a pointer, to one function or to four in turn. */
__attribute__((noinline)) static uint64_t indirect(step *const *steps, uint64_t mask, uint64_t rounds) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rounds; i++) sum += steps[i & mask](i);
    return sum;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    uint64_t rounds = argc > 2 ? strtoull(argv[2], 0, 10) : 1000, sum = 0;
    int is_far = strstr(mode, "-far") != 0;
    if (!strncmp(mode, "direct", 6)) sum = is_far ? direct_far(rounds) : direct_near(rounds);
    else if (!strncmp(mode, "indirect", 8)) sum = indirect(is_far ? fars : nears, 0, rounds);
    else if (!strncmp(mode, "polymorphic", 11)) sum = indirect(is_far ? fars : nears, 3, rounds);
    else return 2;
    printf("%llu\n", (unsigned long long)sum);
    return 0;
}
