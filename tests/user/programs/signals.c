/* Signals as a program can see them: frames, restarts, masks, waiting, timers, queues, threads. One line a check. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile int hits, depth, deepest;
static volatile siginfo_t last;
static volatile uintptr_t handler_sp;
static sigjmp_buf env;

static void count(int s) { (void)s; hits++; }
static void info(int s, siginfo_t *i, void *c) {
    (void)s; (void)c;
    int here;
    handler_sp = (uintptr_t)&here;
    last = *i;
    hits++;
}
static void nested(int s) {
    depth++;
    if (depth > deepest) deepest = depth;
    if (depth < 3) raise(s);
    depth--;
}
static void jump(int s) { siglongjmp(env, s); }
static void on(int s, void (*h)(int), int flags) {
    struct sigaction a = {.sa_handler = h, .sa_flags = flags};
    sigemptyset(&a.sa_mask);
    sigaction(s, &a, 0);
}
static void on_info(int s, void (*h)(int, siginfo_t *, void *), int flags) {
    struct sigaction a = {.sa_sigaction = h, .sa_flags = flags | SA_SIGINFO};
    sigemptyset(&a.sa_mask);
    sigaction(s, &a, 0);
}
static void say(const char *what, long value) { printf("%s: %ld\n", what, value); fflush(stdout); }

static void in_ms(int ms) {
    struct itimerval t = {.it_value = {.tv_sec = 0, .tv_usec = ms * 1000}};
    setitimer(ITIMER_REAL, &t, 0);
}

static void restarts(void) {
    int p[2];
    char c;
    pipe(p);
    hits = 0;
    on(SIGALRM, count, 0);
    in_ms(30);
    long n = read(p[0], &c, 1);
    say("read without SA_RESTART", n == -1 && errno == EINTR && hits == 1);
    on(SIGALRM, count, SA_RESTART);
    hits = 0;
    if (!fork()) {
        usleep(120000);
        write(p[1], "x", 1);
        _exit(0);
    }
    in_ms(30);
    n = read(p[0], &c, 1);
    say("read with SA_RESTART", n == 1 && c == 'x' && hits == 1);
    wait(0);
    struct pollfd f = {p[0], POLLIN, 0};
    hits = 0;
    in_ms(30);
    n = poll(&f, 1, 1000);
    say("poll is never restarted", n == -1 && errno == EINTR && hits == 1);
    struct timespec want = {0, 300000000}, left = {0, 0};
    hits = 0;
    in_ms(50);
    n = nanosleep(&want, &left);
    say("nanosleep tells what is left", n == -1 && errno == EINTR && left.tv_nsec > 100000000 && left.tv_nsec < 290000000);
    on(SIGALRM, SIG_IGN, 0);
    in_ms(20);
    want.tv_nsec = 60000000;
    say("nanosleep goes on over an ignored signal", nanosleep(&want, &left));
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 0x123456789abcdefULL};
    epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e);
    on(SIGALRM, count, SA_RESTART);
    in_ms(30);
    n = epoll_wait(ep, &e, 1, 1000);
    say("epoll_wait is never restarted", n == -1 && errno == EINTR);
    write(p[1], "y", 1);
    n = epoll_wait(ep, &e, 1, 1000);
    say("epoll event data", n == 1 && e.events == EPOLLIN && e.data.u64 == 0x123456789abcdefULL);
    close(ep); close(p[0]); close(p[1]);
    on(SIGALRM, SIG_DFL, 0);
}

static void masks(void) {
    sigset_t set, old, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 2);
    on(SIGUSR1, count, 0);
    on_info(SIGRTMIN + 2, info, 0);
    hits = 0;
    sigprocmask(SIG_BLOCK, &set, &old);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    union sigval v = {.sival_int = 77};
    sigqueue(getpid(), SIGRTMIN + 2, v);
    v.sival_int = 78;
    sigqueue(getpid(), SIGRTMIN + 2, v);
    sigpending(&pending);
    say("pending while blocked", hits == 0 && sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGRTMIN + 2));
    struct timespec none = {0, 0};
    siginfo_t si;
    int got = sigtimedwait(&set, &si, &none);
    say("sigtimedwait takes the lowest first", got == SIGUSR1 && si.si_code == SI_USER && si.si_pid == getpid());
    got = sigtimedwait(&set, &si, &none);
    say("queued value", got == SIGRTMIN + 2 && si.si_value.sival_int == 77 && si.si_code == SI_QUEUE);
    sigprocmask(SIG_SETMASK, &old, 0);
    say("delivered on unblocking", hits == 1 && last.si_value.sival_int == 78);
    sigprocmask(SIG_BLOCK, &set, 0);
    got = sigtimedwait(&set, &si, &(struct timespec){0, 20000000});
    say("sigtimedwait times out", got == -1 && errno == EAGAIN);
    hits = 0;
    raise(SIGUSR1);
    sigset_t open = old;
    got = sigsuspend(&open);
    say("sigsuspend", got == -1 && errno == EINTR && hits == 1);
    sigset_t now;
    sigprocmask(SIG_BLOCK, 0, &now);
    say("mask is back after sigsuspend", sigismember(&now, SIGUSR1));
    hits = 0;
    raise(SIGUSR1);
    struct timespec second = {1, 0};
    got = ppoll(0, 0, &second, &open);
    say("ppoll with a mask", got == -1 && errno == EINTR && hits == 1);
    int fd = signalfd(-1, &set, 0);
    raise(SIGUSR1);
    struct signalfd_siginfo fsi;
    say("signalfd", read(fd, &fsi, sizeof fsi) == sizeof fsi && fsi.ssi_signo == SIGUSR1);
    close(fd);
    sigprocmask(SIG_SETMASK, &old, 0);
    on(SIGUSR1, nested, SA_NODEFER);
    deepest = 0;
    raise(SIGUSR1);
    say("SA_NODEFER nests", deepest);
    on(SIGUSR1, count, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction a;
    sigaction(SIGUSR1, 0, &a);
    say("SA_RESETHAND resets", a.sa_handler == SIG_DFL);
}

#if defined(__riscv)
#define PC(uc) (uc)->uc_mcontext.__gregs[0]
#define RESULT(uc) (uc)->uc_mcontext.__gregs[10]
#define REGISTER "a0"
#define BREAKPOINT ".option push\n.option norvc\nebreak\n.option pop"
#define UNKNOWN ".word 0x0000000b" /* custom-0: nobody knows it */
#elif defined(__aarch64__)
#define PC(uc) (uc)->uc_mcontext.pc
#define RESULT(uc) (uc)->uc_mcontext.regs[0]
#define REGISTER "x0"
#define BREAKPOINT "brk #1"
#define UNKNOWN ".word 0" /* udf */
#endif

static void skip(int s, siginfo_t *i, void *context) {
    ucontext_t *uc = context;
    (void)s;
    last = *i;
    hits++;
    PC(uc) += 4;
    RESULT(uc) = 4242;
}

static void frames(void) {
    on_info(SIGTRAP, skip, 0);
    on_info(SIGILL, skip, 0);
    hits = 0;
    register long a0 asm(REGISTER) = 1;
    asm volatile(BREAKPOINT : "+r"(a0));
    say("handler changes registers", a0);
    say("SIGTRAP code", last.si_code);
    a0 = 1;
    asm volatile(UNKNOWN : "+r"(a0));
    say("SIGILL", last.si_signo == SIGILL && last.si_code == ILL_ILLOPC && a0 == 4242);
    double d = 1.5;
#if defined(__aarch64__)
    asm volatile("fmov d9, %d0\n" UNKNOWN "\nfmov %d0, d9" : "+w"(d) : : "d9", "x0");
#else
    asm volatile("fmv.d fs3, %0\n" UNKNOWN "\nfmv.d %0, fs3" : "+f"(d) : : "fs3", "a0");
#endif
    say("floating point survives", d == 1.5);
    char *stack = malloc(65536);
    stack_t ss = {.ss_sp = stack, .ss_size = 65536}, told;
    sigaltstack(&ss, 0);
    sigaltstack(0, &told);
    say("sigaltstack tells", told.ss_sp == stack && told.ss_size == 65536 && told.ss_flags == 0);
    on_info(SIGUSR2, info, SA_ONSTACK);
    raise(SIGUSR2);
    say("handler ran on it", handler_sp > (uintptr_t)stack && handler_sp < (uintptr_t)stack + 65536);
    on(SIGSEGV, jump, SA_ONSTACK);
    int s = sigsetjmp(env, 1);
    if (!s) *(volatile int *)8 = 1;
    say("jump out of SIGSEGV", s);
    s = sigsetjmp(env, 1);
    if (!s) {
        char *p = mmap(0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        p[5000] = 1;
    }
    say("and again", s);
    on_info(SIGSEGV, info, 0);
    kill(getpid(), SIGSEGV);
    say("SIGSEGV from kill", last.si_signo == SIGSEGV && last.si_code == SI_USER);
    FILE *f = tmpfile();
    ftruncate(fileno(f), 4096);
    char *m = mmap(0, 8192, PROT_READ, MAP_PRIVATE, fileno(f), 0);
    on(SIGBUS, jump, 0);
    s = sigsetjmp(env, 1);
    if (!s) say("not reached", m[5000]);
    say("SIGBUS past the file's end", s);
    on(SIGSEGV, SIG_DFL, 0);
    ss.ss_flags = SS_DISABLE;
    sigaltstack(&ss, 0);
}

static void children(void) {
    on_info(SIGCHLD, info, SA_RESTART);
    hits = 0;
    pid_t pid = fork();
    if (!pid) _exit(5);
    int status;
    waitpid(pid, &status, 0);
    say("SIGCHLD", hits == 1 && last.si_code == CLD_EXITED && last.si_status == 5 && last.si_pid == pid);
    on(SIGCHLD, SIG_DFL, 0);
    int p[2];
    pipe(p);
    close(p[0]);
    pid = fork();
    if (!pid) {
        write(p[1], "x", 1);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    say("SIGPIPE kills", WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    on(SIGPIPE, SIG_IGN, 0);
    say("SIGPIPE ignored", write(p[1], "x", 1) == -1 && errno == EPIPE);
    pid = fork();
    if (!pid) {
        *(volatile int *)0 = 0;
        _exit(0);
    }
    waitpid(pid, &status, 0);
    say("SIGSEGV kills", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    pid = fork();
    if (!pid) abort();
    waitpid(pid, &status, 0);
    say("SIGABRT kills", WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    pid = fork();
    if (!pid) for (;;) pause();
    usleep(20000);
    kill(pid, SIGSTOP);
    waitpid(pid, &status, WUNTRACED);
    say("stopped", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    kill(pid, SIGCONT);
    waitpid(pid, &status, WCONTINUED);
    say("continued", WIFCONTINUED(status));
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    say("ended", WTERMSIG(status) == SIGTERM);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    pid = fork();
    if (!pid) {
        on(SIGSEGV, count, 0);
        sigprocmask(SIG_BLOCK, &set, 0);
        *(volatile int *)0 = 0;
        _exit(0);
    }
    waitpid(pid, &status, 0);
    say("a blocked SIGSEGV kills", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void timers(void) {
    on_info(SIGRTMIN + 3, info, 0);
    hits = 0;
    timer_t id;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3, .sigev_value.sival_int = 99};
    timer_create(CLOCK_MONOTONIC, &ev, &id);
    struct itimerspec spec = {.it_value.tv_nsec = 5000000, .it_interval.tv_nsec = 5000000};
    timer_settime(id, 0, &spec, 0);
    while (hits < 3) pause();
    timer_delete(id);
    say("timer", last.si_code == SI_TIMER && last.si_value.sival_int == 99);
    on(SIGALRM, count, 0);
    hits = 0;
    in_ms(10);
    while (!hits) ;
    say("a signal ends a busy loop", hits);
}

static volatile int stop_thread, thread_hits;
static volatile pid_t hit_tid;
static void where(int s) { (void)s; hit_tid = syscall(SYS_gettid); thread_hits++; }
static void *spin(void *arg) {
    (void)arg;
    while (!stop_thread) ;
    return (void *)(long)syscall(SYS_gettid);
}
static void *sleeper(void *arg) {
    (void)arg;
    for (;;) pause();
    return 0;
}
static void threads(void) {
    pthread_t t;
    void *result;
    on(SIGUSR1, where, 0);
    pthread_create(&t, 0, spin, 0);
    usleep(10000);
    pthread_kill(t, SIGUSR1);
    while (!thread_hits) usleep(1000);
    stop_thread = 1;
    pthread_join(t, &result);
    say("pthread_kill hits its thread", hit_tid == (pid_t)(long)result && hit_tid != getpid());
    pthread_create(&t, 0, sleeper, 0);
    usleep(10000);
    pthread_cancel(t);
    pthread_join(t, &result);
    say("pthread_cancel", result == PTHREAD_CANCELED);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_create(&t, 0, sleeper, 0);
    on(SIGUSR2, where, 0);
    pthread_sigmask(SIG_BLOCK, &set, 0);
    thread_hits = 0;
    kill(getpid(), SIGUSR2);
    while (!thread_hits) usleep(1000);
    say("a process's signal finds the thread that takes it", hit_tid != getpid());
    pthread_cancel(t);
    pthread_join(t, &result);
}

int main(void) {
    restarts();
    masks();
    frames();
    children();
    timers();
    threads();
    return 0;
}
