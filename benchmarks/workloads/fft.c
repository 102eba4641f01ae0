/* Radix-2 complex FFT in double, there and back, 4,096 points; the roots come from a recurrence of square roots, not
 * from the library's sine. argv[1]: rounds. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG = 12, N = 1 << LOG };
struct complex {
    double re, im;
};
static struct complex root[N / 2], data[N], first[N];

/* cos and sin of 2 pi i / N by halving angles (cos a/2 = sqrt((1 + cos a) / 2)), then by adding them up. */
static void make_roots(void)
{
    root[0] = (struct complex){1, 0};
    if (N / 4 < N / 2)
        root[N / 4] = (struct complex){0, -1};
    double c = 0;
    for (int step = N / 8; step >= 1; step /= 2) {
        double half = sqrt((1 + c) / 2);
        double s = sqrt((1 - c) / 2);
        struct complex w = {half, -s};
        for (int i = 0; i + step < N / 2; i += 2 * step) {
            struct complex r = root[i];
            root[i + step] = (struct complex){r.re * w.re - r.im * w.im, r.re * w.im + r.im * w.re};
        }
        c = half;
    }
}

static void transform(struct complex *x, int inverse)
{
    for (int i = 1, j = 0; i < N; i++) {
        int bit = N >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            struct complex t = x[i];
            x[i] = x[j], x[j] = t;
        }
    }
    for (int half = 1; half < N; half *= 2)
        for (int base = 0; base < N; base += 2 * half)
            for (int k = 0; k < half; k++) {
                struct complex w = root[k * (N / 2 / half)], *p = &x[base + k], *q = p + half;
                double wi = inverse ? -w.im : w.im;
                double re = q->re * w.re - q->im * wi, im = q->re * wi + q->im * w.re;
                *q = (struct complex){p->re - re, p->im - im};
                *p = (struct complex){p->re + re, p->im + im};
            }
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    uint64_t hash = 0, bits;
    uint32_t x = 9;
    make_roots();
    for (int i = 0; i < N; i++) {
        x = x * 1664525u + 1013904223u;
        first[i] = data[i] = (struct complex){(double)(x >> 8) / (1 << 24), (double)(i % 17) / 16};
    }
    for (long r = 0; r < rounds; r++) {
        transform(data, 0);
        memcpy(&bits, &data[r % N].re, 8);
        hash = hash * 31 + bits;
        transform(data, 1);
        for (int i = 0; i < N; i++)
            data[i].re *= 1.0 / N, data[i].im *= 1.0 / N;
    }
    double worst = 0;
    for (int i = 0; i < N; i++)
        worst = fmax(worst, fabs(data[i].re - first[i].re) + fabs(data[i].im - first[i].im));
    if (!(worst < 1e-6)) {
        printf("round trip is off by %g\n", worst);
        return 1;
    }
    memcpy(&bits, &worst, 8);
    printf("checksum %016llx\n", (unsigned long long)(hash ^ bits));
    return 0;
}
