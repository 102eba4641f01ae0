/* Floating point: printf of doubles, libm, rounding modes, flags, conversions, NaN. */
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t bits(double value) {
    uint64_t result;
    memcpy(&result, &value, 8);
    return result;
}

int main(void) {
    volatile double one = 1, three = 3, zero = 0, huge = 1e308, tenth = 0.1;
    volatile float third = 1.0f / 3;
    printf("%.17g %g %.3f %a\n", one / three, huge * 1e-300, 2.0 / 3, tenth);
    printf("%.9g %.17g\n", (double)third, (double)(float)tenth);
    printf("sqrt %.17g fma %.17g\n", sqrt(2 * one), fma(tenth, tenth, -0.01));
    printf("sin %.12f exp %.12f log %.12f pow %.12f\n", sin(one), exp(one), log(three), pow(three, tenth));
    const struct {
        const char *name;
        int mode;
    } modes[] = {{"nearest", FE_TONEAREST}, {"zero", FE_TOWARDZERO}, {"down", FE_DOWNWARD}, {"up", FE_UPWARD}};
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i].mode);
        printf("%s %016llx %ld %ld\n", modes[i].name, (unsigned long long)bits(one / three), lrint(2.5 * one),
               lrint(-2.5 * one));
    }
    fesetround(FE_TONEAREST);
    feclearexcept(FE_ALL_EXCEPT);
    volatile double result = one / zero;
    printf("divide %d inf %d\n", fetestexcept(FE_DIVBYZERO) != 0, isinf(result));
    result = zero / zero;
    printf("invalid %d nan %d sign %d\n", fetestexcept(FE_INVALID) != 0, isnan(result), !!signbit(result));
    result = huge * huge;
    printf("overflow %d\n", fetestexcept(FE_OVERFLOW) != 0);
    result = 1e-308 * tenth * 1e-10;
    printf("underflow %d inexact %d\n", fetestexcept(FE_UNDERFLOW) != 0, fetestexcept(FE_INEXACT) != 0);
    printf("to long %ld\n", (long)(tenth * 12345));
    return 0;
}
