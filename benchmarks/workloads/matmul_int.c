/* Textbook product of 32-bit integer matrices, row by column. argv[1]: products. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 160 };
static uint32_t a[N][N], b[N][N], c[N][N];

static void multiply(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            uint32_t sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    uint32_t x = 7, hash = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            x = x * 1664525u + 1013904223u;
            a[i][j] = x >> 8;
            b[i][j] = x >> 3;
        }
    for (long r = 0; r < rounds; r++) {
        multiply();
        uint32_t *row = c[r % N];
        for (int j = 0; j < N; j++) {
            hash = hash * 16777619u ^ row[j];
            a[(int)(r % N)][j] ^= row[j];
        }
    }
    printf("checksum %08x\n", hash);
    return 0;
}
