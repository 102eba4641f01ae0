/* Signal handlers: synchronous and asynchronous, masks, alternate stack, return from SIGSEGV, EINTR, restart. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t seen, on_alternate;
static void *page;
static char *alternate;
static sigjmp_buf back;

static void count(int number) { seen += number == SIGUSR1; }

static void with_info(int number, siginfo_t *info, void *context) {
    char here;
    (void)context;
    on_alternate = &here >= alternate && &here < alternate + 65536;
    seen = number == SIGUSR2 && info->si_code == SI_TKILL && info->si_pid == getpid();
}

static void fix_page(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    seen++;
    if (info->si_addr != (char *)page + 8 || info->si_code != SEGV_ACCERR) _exit(9);
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void leave(int number) { siglongjmp(back, number); }

static void handle(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(number, &action, NULL);
}

static void handle_info(int number, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    sigaction(number, &action, NULL);
}

int main(void) {
    setbuf(stdout, NULL);
    handle(SIGUSR1, count, 0);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    printf("handled %d\n", (int)seen);

    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    sigpending(&pending);
    printf("blocked %d pending %d\n", (int)seen, sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    printf("unblocked %d\n", (int)seen);

    alternate = malloc(65536);
    stack_t stack = {.ss_sp = alternate, .ss_size = 65536};
    sigaltstack(&stack, NULL);
    handle_info(SIGUSR2, with_info, SA_ONSTACK);
    raise(SIGUSR2);
    printf("info %d on alternate stack %d\n", (int)seen, (int)on_alternate);

    seen = 0;
    page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    handle_info(SIGSEGV, fix_page, 0);
    ((volatile char *)page)[8] = 42;
    printf("faults %d value %d\n", (int)seen, ((char *)page)[8]);

    handle(SIGSEGV, leave, SA_NODEFER);
    int number = sigsetjmp(back, 1);
    if (!number) *(volatile int *)16 = 1;
    printf("jumped out of %d\n", number);

    handle(SIGALRM, leave, 0);
    number = sigsetjmp(back, 1);
    if (!number) {
        alarm(1);
        for (volatile unsigned long turns = 0;; turns++) {}
    }
    printf("alarm ended an endless loop: %d\n", number == SIGALRM);

    seen = 0;
    handle(SIGUSR1, count, 0);
    int ends[2];
    char byte;
    if (pipe(ends)) return 1;
    pid_t child = fork();
    if (child == 0) {
        struct timespec moment = {0, 100000000};
        nanosleep(&moment, NULL);
        kill(getppid(), SIGUSR1);
        nanosleep(&moment, NULL);
        _exit(0);
    }
    long got = read(ends[0], &byte, 1);
    printf("read %ld %s handled %d\n", got, strerror(errno), (int)seen);

    signal(SIGPIPE, SIG_IGN);
    waitpid(child, NULL, 0); /* it holds the reading end too */
    close(ends[0]);
    got = write(ends[1], "x", 1);
    printf("write %ld %s\n", got, strerror(errno));
    return 0;
}
