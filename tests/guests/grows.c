// A loop walks down into a mapping that grows when it is touched below: each growth is a fault after which the guest goes
// on with the registers that it had. `grows TURNS`: how often it walks through usual memory first, so that it is hot.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static char usual[512 * 1024];

__attribute__((noinline)) static uint64_t walk(char *p, long count) {
    uint64_t sum = 1;
    for (long i = 0; i < count; i++) {
        p -= 8;
        *(volatile uint64_t *)p += sum;
        sum = sum * 6364136223846793005u + i;
    }
    return sum;
}

int main(int argc, char **argv) {
    long count = sizeof usual / 8;
    char *p = mmap((char *)0x2000000000, 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == MAP_FAILED) return 1;
    uint64_t sum = 0;
    for (long i = argc > 1 ? atol(argv[1]) : 0; i > 0; i--) sum += walk(usual + sizeof usual, count);
    uint64_t walked = walk(p + 4096, count), all = 0;
    for (long i = 1; i <= count; i++) all += ((uint64_t *)(p + 4096))[-i];
    printf("usual %llx walked %llx memory %llx\n", (unsigned long long)sum, (unsigned long long)walked,
           (unsigned long long)all);
    return 0;
}
