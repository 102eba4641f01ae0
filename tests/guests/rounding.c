// Loops over numbers in every rounding mode, changed inside of loops too; NaNs and infinities among them, which come from
// memory as they are, are copied, and are results; and the exceptions that all of it leaves. `rounding TURNS`.
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t bits(double x) {
    uint64_t pattern;
    memcpy(&pattern, &x, sizeof pattern);
    return pattern;
}

static uint32_t bits32(float x) {
    uint32_t pattern;
    memcpy(&pattern, &x, sizeof pattern);
    return pattern;
}

static void set_mode(unsigned mode) { __asm__ volatile("fsrm %0" : : "r"(mode) : "memory"); }

static unsigned take_flags(void) {
    unsigned flags;
    __asm__ volatile("fsflags %0, zero" : "=r"(flags) : : "memory");
    return flags;
}

static double table[64];
static float small[64];

__attribute__((noinline)) static double sums(long turns, float *narrow) {
    double sum = 0.1, other = 1;
    float single = 0.1f;
    for (long i = 0; i < turns; i++) {
        sum += table[i & 63] * other;
        other = i & 7 ? sum / 3 : copysign(other, table[(i + 5) & 63]);
        single = single * 0.75f + small[i & 63];
        if (sum != sum) sum = i;
        if (!(other > -1e200 && other < 1e200)) other = 1;
    }
    *narrow = single;
    return sum + other;
}

__attribute__((noinline)) static double changing(long turns) {
    double sum = 0;
    for (long i = 0; i < turns; i++) {
        set_mode(i % 5);
        sum += 1.0 / (i + 3);
        sum = sum * 0.999;
    }
    set_mode(0);
    return sum;
}

__attribute__((noinline)) static uint64_t patterns(long turns) {
    uint64_t hash = 0;
    double kept = table[3];
    for (long i = 0; i < turns; i++) {
        double x = table[i & 63], y = -x, z = x - x;
        kept = i % 3 ? kept : x;
        table[(i + 7) & 63] = i % 11 ? x : z + y;
        hash = hash * 31 + (bits(kept) ^ bits(z) ^ bits32((float)x)) + (long)(i % 5 ? 3 : isfinite(x) ? x : 2);
    }
    return hash;
}

int main(int argc, char **argv) {
    long turns = argc > 1 ? atol(argv[1]) : 1000;
    for (int i = 0; i < 64; i++) {
        table[i] = (i - 20) * 0.37 + 1.0 / (i + 1);
        small[i] = (float)(i - 31) * 0.11f;
    }
    const uint64_t odd[] = {0x7FF8000000000123, 0xFFF4000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 1, 0};
    for (unsigned mode = 0; mode < 5; mode++) {
        set_mode(mode);
        take_flags();
        float narrow;
        double sum = sums(turns, &narrow);
        unsigned flags = take_flags();
        set_mode(0);
        printf("mode %u: %016llx %08x flags %02x\n", mode, (unsigned long long)bits(sum), bits32(narrow), flags);
        if (mode == 2) memcpy(table + 40, odd, sizeof odd);
    }
    take_flags();
    double sum = changing(turns);
    printf("changing: %016llx flags %02x\n", (unsigned long long)bits(sum), take_flags());
    uint64_t hash = patterns(turns);
    printf("patterns: %016llx flags %02x\n", (unsigned long long)hash, take_flags());
    return 0;
}
