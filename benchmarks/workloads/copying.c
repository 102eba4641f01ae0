/* The C library's memcpy, memmove, memset, memcmp, strlen and memchr, from 8 bytes to 64 KiB. argv[1]: rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 16 };
static char a[SIZE + 64], b[SIZE + 64];

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    uint64_t hash = 1;
    for (int i = 0; i < SIZE; i++)
        a[i] = (char)(1 + (i * 7 + (i >> 5)) % 251);
    for (long r = 0; r < rounds; r++) {
        for (size_t n = 8; n <= SIZE; n *= 2) {
            size_t shift = (size_t)(r + (long)n) & 15;
            for (size_t done = 0; done < SIZE; done += n * 4 + 64) {
                memcpy(b + shift, a + (r & 7), n);
                b[shift + n] = 0;
                hash = hash * 31 + strlen(b + shift);
            }
            hash = hash * 31 + (uint64_t)(memcmp(a + (r & 7), b + shift, n) != 0);
            char *hit = memchr(b, 251, n);
            hash = hash * 31 + (hit ? (uint64_t)(hit - b) : 0);
            memmove(b + 3, b, n);
            memset(b, (int)(hash & 63) + 1, n / 2);
            hash += (unsigned char)b[n / 2 + 3];
        }
    }
    printf("checksum %016llx\n", (unsigned long long)hash);
    return 0;
}
