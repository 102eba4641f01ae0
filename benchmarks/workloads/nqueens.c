/* N queens by bit masks, all solutions counted: recursion with bit tricks. argv[1]: n. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t place(uint32_t all, uint32_t columns, uint32_t left, uint32_t right)
{
    if (columns == all)
        return 1;
    uint64_t count = 0;
    for (uint32_t free = all & ~(columns | left | right); free;) {
        uint32_t bit = free & -free;
        free ^= bit;
        count += place(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 6;
    printf("checksum %llu\n", (unsigned long long)place((1u << n) - 1, 0, 0, 0));
    return 0;
}
