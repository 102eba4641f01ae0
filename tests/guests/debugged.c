/* What a debugger looks at: globals that change, calls, a signal to itself, a crash, threads, children, endless loops. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

volatile long counter, other, wide[4];
volatile int caught;
atomic_long shared;
atomic_int ready;
static long turns = 1000;

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

__attribute__((noinline)) void crash(volatile int *where) { *where = 1; }

static void *work(void *name) {
    prctl(PR_SET_NAME, name);
    atomic_fetch_add(&ready, 1);
    while (ready < 3)
        ;
    for (long i = 0; i < turns; i++) atomic_fetch_add(&shared, outer(i) & 1);
    return NULL;
}

static void threads(void) {
    pthread_t first, second;
    pthread_create(&first, NULL, work, "first");
    pthread_create(&second, NULL, work, "second");
    while (ready < 2)
        ;
    ready = 3;
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    printf("%ld\n", (long)shared);
}

static void children(void) {
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (!child) _exit((int)inner(20) + 2);
    waitpid(child, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    signal(SIGUSR1, handler);
    if (!strcmp(what, "loop")) forever();
    if (!strcmp(what, "crash")) crash((int *)16);
    if (!strcmp(what, "read")) {
        char byte;
        printf("read %zd\n", read(0, &byte, 1));
    }
    if (!strcmp(what, "spin")) printf("%ld\n", spin(argc > 2 ? atol(argv[2]) : 300000000));
    if (!strcmp(what, "raise")) raise(SIGUSR1);
    if (!strcmp(what, "threads")) {
        if (argc > 2) turns = atol(argv[2]);
        threads();
    }
    if (!strcmp(what, "fork")) children();
    if (!strcmp(what, "exec")) execv(argv[2], argv + 2);
    long sum = 0;
    for (long i = 0; i < 3; i++) sum += outer(i);
    atomic_fetch_add(&shared, 5);
    for (long i = 0; i < 1000; i++) sum += inner(i) & 1;
    printf("%ld %ld %ld %d\n", sum, counter, other, caught);
    return 7;
}
