/* What gets hot in a program in each its own way: recursion, a table of functions, and an interpreter's switch. */
#ifndef HOT_H
#define HOT_H

#include <stdint.h>

static uint64_t add(uint64_t a) { return a + 3; }
static uint64_t mix(uint64_t a) { return a ^ a << 7; }
static uint64_t turn(uint64_t a) { return a >> 9 | a << 55; }
static uint64_t (*volatile const table[])(uint64_t) = {add, mix, turn, mix};
__attribute__((noinline)) static uint64_t fib(uint64_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
__attribute__((noinline)) static uint64_t run(const uint8_t *code, uint64_t a) {
    for (;;)
        switch (*code++) {
        case 0: return a;
        case 1: a += 17; break;
        case 2: a ^= a >> 3; break;
        case 3: a = table[a & 3](a); break;
        case 4: if (a & 1) code++; break;
        case 5: a *= 5; break;
        case 6: a -= fib(a & 7); break;
        default: a = ~a;
        }
}
static const uint8_t code[] = {1, 4, 5, 2, 3, 6, 4, 7, 1, 3, 5, 4, 2, 3, 9, 0};

#endif
