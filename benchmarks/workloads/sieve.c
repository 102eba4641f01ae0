/* Sieve of Eratosthenes over bytes: strided stores and a predictable loop nest. argv[1]: rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1 << 20 };
static uint8_t composite[LIMIT];

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    uint64_t sum = 0;
    for (long r = 0; r < rounds; r++) {
        uint32_t limit = LIMIT - (uint32_t)(r & 1023);
        memset(composite, 0, sizeof composite);
        for (uint32_t i = 2; i < limit; i++) {
            if (composite[i])
                continue;
            sum = sum * 31 + i;
            for (uint64_t j = (uint64_t)i * i; j < limit; j += i)
                composite[j] = 1;
        }
    }
    printf("checksum %016llx\n", (unsigned long long)sum);
    return 0;
}
