/* What a debugger looks at: globals that change, a call chain, a signal to itself, a crash and an endless loop. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

volatile long counter, other, wide[4];
atomic_long shared;
volatile double number = 1.5;
volatile int caught;

static void handler(int signo) { caught = signo; }

__attribute__((noinline)) long inner(long value) {
    counter = value;
    other++;
    return value * 2;
}

__attribute__((noinline)) long outer(long value) { return inner(value + 1) + 1; }

__attribute__((noinline)) long spin(long turns) {
    long sum = 0;
    for (long i = 0; i < turns; i++) sum += i ^ wide[i & 3];
    return sum;
}

__attribute__((noinline)) void forever(void) {
    for (;;) other++;
}

__attribute__((noinline)) void crash(void) { *(volatile int *)16 = 1; }

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    signal(SIGUSR1, handler);
    if (!strcmp(what, "loop")) forever();
    if (!strcmp(what, "crash")) crash();
    if (!strcmp(what, "read")) {
        char byte;
        read(0, &byte, 1);
    }
    if (!strcmp(what, "spin")) printf("%ld\n", spin(300000000));
    if (!strcmp(what, "raise")) raise(SIGUSR1);
    long sum = 0;
    for (long i = 0; i < 3; i++) sum += outer(i);
    atomic_fetch_add(&shared, 5);
    for (long i = 0; i < 1000; i++) sum += inner(i) & 1;
    printf("%ld %ld %ld %d\n", sum, counter, other, caught);
    return 7;
}
