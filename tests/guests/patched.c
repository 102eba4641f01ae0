// Code that is written and written again while it is hot: in memory that can always be written, and in memory that is
// made writable for it. What makes a change visible is fence.i, or the system call for it. `patched TURNS`.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long Function(long);

enum { ADDI = 0x00050513, XORI = 0x00054513, SLLI = 0x00051513, RET = 0x8082 };  // rd and rs1 are a0; c.ret

// Three instructions on a0, a loop over them, and a return: 0: op; op; op; addi a1, a1, -1; bnez a1, 0; ret
static size_t write_code(unsigned char *at, uint32_t first, uint32_t second, uint32_t third) {
    uint32_t code[] = {first, second, third, 0xFFF58593, 0xFE0598E3};
    uint16_t back = RET;
    memcpy(at, code, sizeof code);
    memcpy(at + sizeof code, &back, sizeof back);
    return sizeof code + sizeof back;
}

static uint32_t op(uint32_t kind, uint32_t number) { return kind | (number & (kind == SLLI ? 3 : 0x7FF)) << 20; }

static long call(void *code, long value, long turns) {
    register long a0 __asm__("a0") = value, a1 __asm__("a1") = turns;
    __asm__ volatile("jalr ra, 0(%2)" : "+r"(a0), "+r"(a1) : "r"(code) : "ra", "memory");
    return a0;
}

int main(int argc, char **argv) {
    long turns = argc > 1 ? atol(argv[1]) : 500;
    static const uint32_t kinds[] = {ADDI, XORI, SLLI};
    unsigned char *open_page = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (open_page == MAP_FAILED || page == MAP_FAILED) return 1;
    long value = 1;
    for (uint32_t round = 0; round < 12; round++) {
        // Across the boundary of two pages, so that a change may be in one of them alone.
        unsigned char *at = open_page + 4096 - 2 * (round % 4) - 4;
        size_t size = write_code(at, op(kinds[round % 3], round), op(kinds[(round + 1) % 3], 3 * round), op(XORI, 77));
        if (round & 1) {
            __asm__ volatile("fence.i" : : : "memory");
        } else {
            syscall(259, at, at + size, 0);  // riscv_flush_icache
        }
        value = call(at, value, turns);
        if (round % 3 == 0) {
            // One instruction alone, in the middle of what is hot now.
            uint32_t other = op(ADDI, 5 + round);
            memcpy(at + 4, &other, 4);
            __asm__ volatile("fence.i" : : : "memory");
            value = call(at, value, turns);
        }
        mprotect(page, 8192, PROT_READ | PROT_WRITE);
        write_code(page, op(ADDI, round), op(XORI, 5 * round), op(kinds[round % 3], round));
        mprotect(page, 8192, PROT_READ | PROT_EXEC);
        __asm__ volatile("fence.i" : : : "memory");
        value = call(page, value, turns);
        printf("round %u: %lx\n", round, value);
    }
    return 0;
}
