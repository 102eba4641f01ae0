/* y = a x + y in float over 32 KiB arrays: what a vectorising compiler likes best. argv[1]: thousands of passes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4096 };
static float x[N], y[N];

__attribute__((noinline)) static void saxpy(float a, const float *restrict p, float *restrict q)
{
    for (int i = 0; i < N; i++)
        q[i] = a * p[i] + q[i];
}

int main(int argc, char **argv)
{
    long passes = (argc > 1 ? atol(argv[1]) : 1) * 1000;
    uint32_t hash = 0, bits;
    for (int i = 0; i < N; i++)
        x[i] = (float)(i % 37) / 8, y[i] = (float)(i % 11);
    for (long n = 0; n < passes; n++)
        saxpy(n & 1 ? -0.37f : 0.36f, x, y);
    for (int i = 0; i < N; i++) {
        memcpy(&bits, &y[i], 4);
        hash = hash * 31 + bits;
    }
    printf("checksum %08x\n", hash);
    return 0;
}
