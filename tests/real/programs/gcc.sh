# GCC compiles, archives, links statically and dynamically; what it made runs.
set -eu
export LC_ALL=C
cd "$(mktemp -d)"
section() { printf -- '-- %s\n' "$1"; }
cat > prime.c <<'C'
#include "prime.h"
int is_prime(unsigned n) {
    if (n < 2) return 0;
    for (unsigned d = 2; d * d <= n; d++)
        if (n % d == 0) return 0;
    return 1;
}
C
cat > prime.h <<'C'
int is_prime(unsigned n);
C
cat > main.c <<'C'
#include <complex.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "prime.h"
static void *count(void *limit) {
    long found = 0;
    for (unsigned n = 0; n < *(unsigned *)limit; n++) found += is_prime(n);
    return (void *)found;
}
int main(int argc, char **argv) {
    unsigned limit = argc > 1 ? strtoul(argv[1], 0, 10) : 1000;
    pthread_t thread;
    void *found;
    pthread_create(&thread, 0, count, &limit);
    pthread_join(thread, &found);
    double complex z = cexp(I * 1.0);
    printf("%ld primes below %u, %.12f, %.12f, %.9Lf, %s\n", (long)found, limit, sqrt(2) * tgamma(4.5), cimag(z),
           sinl(1.0L), strerror(2));
    return 3;
}
C
section dynamic
gcc -O2 -Wall -c prime.c main.c
gcc prime.o main.o -lm -pthread -o dynamic
./dynamic 5000 || echo $?
section archive
ar rcs libprime.a prime.o && ar t libprime.a && nm -g --defined-only libprime.a | cut -d' ' -f2-
gcc -O1 -static main.c -L. -lprime -lm -o static && ./static || echo $?
section shared
gcc -shared -fPIC -O2 prime.c -o libshared.so && gcc main.c ./libshared.so -lm -o linked && ./linked 100 || echo $?
strip linked && ./linked 10 || echo $?
section stages
gcc -E -P prime.h; gcc -S -O0 prime.c -o - | grep -c is_prime; echo '#error wrong' | gcc -fsyntax-only -xc - 2>&1 | head -n 1; echo 'int f(void) { return x; }' | gcc -fsyntax-only -xc - 2> /dev/null || echo refused; gcc -O2 -g -flto main.c prime.c -lm -o lto && ./lto 50 || echo $?
printf '.globl g\ng: .quad 0x1234\n' | as - -o g.o && objdump -s -j .text g.o | tail -n 1
