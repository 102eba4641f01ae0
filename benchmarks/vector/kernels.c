/* Float SAXPY, a copy and a search for a byte, for processors with RISC-V's vectors and without, from this one source.
 *
 * kernels WHICH ELEMENTS TIMES: does one of them so often, and prints a checksum and the nanoseconds it took.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __riscv_vector
#include <riscv_vector.h>

__attribute__((noinline)) static void saxpy(size_t n, float a, const float *x, float *y) {
    for (size_t vl; n; n -= vl, x += vl, y += vl) {
        vl = __riscv_vsetvl_e32m8(n);
        vfloat32m8_t sum = __riscv_vfmacc_vf_f32m8(__riscv_vle32_v_f32m8(y, vl), a, __riscv_vle32_v_f32m8(x, vl), vl);
        __riscv_vse32_v_f32m8(y, sum, vl);
    }
}

__attribute__((noinline)) static void copy(size_t n, uint8_t *to, const uint8_t *from) {
    for (size_t vl; n; n -= vl, to += vl, from += vl) {
        vl = __riscv_vsetvl_e8m8(n);
        __riscv_vse8_v_u8m8(to, __riscv_vle8_v_u8m8(from, vl), vl);
    }
}

__attribute__((noinline)) static size_t search(const uint8_t *text, uint8_t byte) {
    for (const uint8_t *at = text;;) {
        size_t vl = __riscv_vsetvlmax_e8m8();
        vuint8m8_t some = __riscv_vle8ff_v_u8m8(at, &vl, vl);
        long first = __riscv_vfirst_m_b1(__riscv_vmseq_vx_u8m8_b1(some, byte, vl), vl);
        if (first >= 0)
            return (size_t)(at - text) + (size_t)first;
        at += vl;
    }
}
#else
__attribute__((noinline)) static void saxpy(size_t n, float a, const float *restrict x, float *restrict y) {
    for (size_t i = 0; i < n; i++)
        y[i] = __builtin_fmaf(a, x[i], y[i]);
}

__attribute__((noinline)) static void copy(size_t n, uint8_t *restrict to, const uint8_t *restrict from) {
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
}

__attribute__((noinline)) static size_t search(const uint8_t *text, uint8_t byte) {
    size_t i = 0;
    while (text[i] != byte)
        i++;
    return i;
}
#endif

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int main(int count, char **arguments) {
    if (count != 4)
        return 2;
    size_t n = strtoul(arguments[2], 0, 10), times = strtoul(arguments[3], 0, 10), found = 0;
    float *x = malloc(4 * n), *y = malloc(4 * n);
    uint8_t *from = malloc(n + 1), *to = malloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)i * 0.5f;
        y[i] = (float)i;
        from[i] = (uint8_t)(i * 7 | 1);
        to[i] = 0;
    }
    from[n] = 0;
    uint64_t best = UINT64_MAX;
    /* In ten parts, the fastest of which counts: others may use the machine, and code that is hot is compiled. */
    for (int part = 0; part < 10; part++) {
        uint64_t began = now();
        for (size_t i = 0; i < times; i++)
            switch (arguments[1][0]) {
            case 's': saxpy(n, 0.25f, x, y); break;
            case 'c': copy(n, to, from); break;
            case 'f': found += search(from, 0); break;
            default: return 2;
            }
        uint64_t took = now() - began;
        best = took < best ? took : best;
    }
    double sum = (double)found;
    for (size_t i = 0; i < n; i++)
        sum += (double)y[i] + to[i];
    printf("checksum %.6e\n%llu\n", sum, (unsigned long long)best);
    return 0;
}
