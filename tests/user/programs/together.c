/* Threads that open at once what polyvm makes for them. A descriptor belongs to who got it, until that one closes it. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 400 };
static const char *const FILES[THREADS] = {"/proc/self/cmdline", "/proc/self/auxv", "/proc/self/cmdline", "/proc/self/auxv"};

/* How often a file was not what it had been, or its descriptor nobody's. */
static void *of_a_thread(void *argument) {
    const char *name = FILES[(long)argument];
    char first[1024], again[1024];
    ssize_t size = 0;
    long wrong = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int fd = open(name, O_RDONLY);
        ssize_t n = read(fd, again, sizeof again);
        if (i == 0) {
            size = n;
            memcpy(first, again, sizeof first);
        }
        wrong += n <= 0 || n != size || memcmp(first, again, n);
        wrong += close(fd) != 0;
    }
    return (void *)wrong;
}

int main(void) {
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, of_a_thread, (void *)i);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        printf("%s: %ld of %d wrong\n", FILES[i], (long)wrong, ROUNDS);
    }
}
