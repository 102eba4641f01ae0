/* Prefetches of addresses that are anywhere: nobody may see one. Prints a sum. */
#include <stdint.h>
#include <stdio.h>
int main(void) {
    uint64_t at = 1, sum = 0;
    static uint64_t here[64];
    for (int i = 0; i < 3000000; i++) {
        at = at * 6364136223846793005u + 1442695040888963407u;
        __builtin_prefetch((void *)at, 0, 3);
        __builtin_prefetch((void *)(at >> 20), 1, 3);
        __builtin_prefetch(&here[at >> 58], 0, 0);
        here[at >> 58] += at;
    }
    for (int i = 0; i < 64; i++) sum = sum * 31 + here[i];
    printf("%llx\n", (unsigned long long)sum);
}
