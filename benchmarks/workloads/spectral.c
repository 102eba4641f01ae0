/* Spectral norm of an infinite matrix by the power method: a division an element. argv[1]: size of the corner. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 8192 };
static double u[MAX], v[MAX], t[MAX];

static double element(int i, int j) { return 1.0 / (double)((i + j) * (i + j + 1) / 2 + i + 1); }

static void times(int n, const double *in, double *out)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++)
            sum += element(i, j) * in[j];
        out[i] = sum;
    }
}

static void times_transposed(int n, const double *in, double *out)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++)
            sum += element(j, i) * in[j];
        out[i] = sum;
    }
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 16;
    if (n < 1 || n > MAX)
        return 2;
    for (int i = 0; i < n; i++)
        u[i] = 1;
    for (int r = 0; r < 10; r++) {
        times(n, u, t), times_transposed(n, t, v);
        times(n, v, t), times_transposed(n, t, u);
    }
    double uv = 0, vv = 0;
    for (int i = 0; i < n; i++)
        uv += u[i] * v[i], vv += v[i] * v[i];
    double norm = sqrt(uv / vv);
    uint64_t bits;
    memcpy(&bits, &norm, 8);
    printf("checksum %016llx\n", (unsigned long long)bits);
    return 0;
}
