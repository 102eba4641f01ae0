// Calls that native code makes itself, many times each: results, errors, pointers, descriptors, signals and threads.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define TURNS 50
static int pipes[2];
static volatile int rang;

static long call(long number, long a, long b, long c) {
    long result = syscall(number, a, b, c);
    return result < 0 ? -errno : result;
}

static void ring(int signo) {
    (void)signo;
    rang++;
}

static void alarm_in(int usec, int flags) {
    struct sigaction action = {.sa_handler = ring, .sa_flags = flags};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {.it_value = {.tv_usec = usec}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void *reader(void *unused) {
    (void)unused;
    char byte = 0;
    long sum = 0;
    while (read(pipes[0], &byte, 1) == 1 && byte) sum += byte;
    return (void *)sum;
}

static void *writer(void *unused) {
    (void)unused;
    struct timespec pause = {.tv_nsec = 60000000};
    nanosleep(&pause, NULL);
    return (void *)(long)write(pipes[1], "x", 1);
}

int main(void) {
    char name[] = "natively.tmp", bytes[64];
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink(name);
    long sum = 0;
    for (int i = 0; i < TURNS; i++) {
        memset(bytes, 'a' + i % 26, sizeof bytes);
        sum += pwrite(fd, bytes, sizeof bytes, 64L * i);
    }
    for (int i = 0; i < TURNS; i++) {
        sum += pread(fd, bytes, sizeof bytes, 64L * i);
        sum += bytes[i % 64];
        sum += lseek(fd, i, SEEK_SET);
    }
    printf("file %ld\n", sum);

    long wrong[6] = {0};
    for (int i = 0; i < TURNS; i++) {
        wrong[0] += call(SYS_write, -1, (long)bytes, 1);          // EBADF
        wrong[1] += call(SYS_write, 9999999, (long)bytes, 1);     // EBADF
        wrong[2] += call(SYS_write, fd, 0, 1);                    // EFAULT
        wrong[3] += call(SYS_write, fd, 1L << 45, 1);             // EFAULT: outside of the space
        wrong[4] += call(SYS_write, fd, -8, 16);                  // EFAULT
        wrong[5] += call(SYS_read, fd, (long)main & ~4095L, 16);  // EFAULT: it may not be written
    }
    for (int i = 0; i < 6; i++) printf("wrong %ld\n", wrong[i] / TURNS);
    long ours = 0;
    for (int hidden = 3; hidden < 1200; hidden++)
        if (hidden != fd) ours += call(SYS_lseek, hidden, 0, SEEK_CUR) != -EBADF;
    printf("descriptors of others %ld\n", ours);

    pipe(pipes);
    for (int restart = 0; restart < 2; restart++) {
        pthread_t thread;
        alarm_in(20000, restart ? SA_RESTART : 0);
        if (restart) pthread_create(&thread, NULL, writer, NULL);
        long got = call(SYS_read, pipes[0], (long)bytes, 1);
        printf("interrupted %ld, rang %d\n", got, rang);
        if (restart) pthread_join(thread, NULL);
    }

    // While a thread waits in a call, others stop the world, again and again.
    pthread_t thread;
    pthread_create(&thread, NULL, reader, NULL);
    char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < TURNS; i++) {
        mprotect(code, 4096, PROT_READ | PROT_EXEC);
        mprotect(code, 4096, PROT_READ | PROT_WRITE);
        if (i % 10 == 0) write(pipes[1], "\1", 1);
    }
    write(pipes[1], "\0", 1);
    void *result;
    pthread_join(thread, &result);
    printf("read %ld\n", (long)result);
    return 0;
}
