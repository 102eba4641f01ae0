/* Hands hostile pointers to every system call that takes one: none may succeed, and none may touch the host. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const uint64_t BAD[] = {
    1, 0x8000, (1UL << 38) - 4096, (1UL << 38) - 8, 1UL << 38, 0x7fffffffe000, 0x555555554000, 1UL << 46, (1UL << 47) - 64,
    1UL << 47, 1UL << 63, -1UL, -8UL, -4096UL, -(1UL << 20), -(1UL << 32), -(1UL << 38), -(1UL << 46),
};
static char good[65536];
static int null, zero, ends[2], sockets[2], poller, full[2];

static int wrong, calls;
static void try(const char *name, long number, int place, int accepts, const long *fixed) {
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        long a[6];
        memcpy(a, fixed, sizeof a);
        a[place] = (long)BAD[i];
        long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        calls++;
        int fine = result == -1 && (errno == EFAULT || errno == accepts || (errno == EINVAL && (BAD[i] & 7)));
        if (!fine) {
            wrong++;
            printf("%s argument %d, %#lx: %ld, errno %d\n", name, place, (unsigned long)BAD[i], result, errno);
        }
    }
}
#define T(name, place, accepts, ...) try(#name, SYS_##name, place, accepts, (long[6]){__VA_ARGS__})

int main(void) {
    long g = (long)good;
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDONLY), poller = epoll_create1(0);
    pipe(ends), pipe(full), socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
    write(full[1], good, 4096), write(sockets[0], good, 100);
    int here = open(".", O_RDONLY | O_DIRECTORY);
    int file = memfd_create("x", 0);
    ftruncate(file, 65536);
    T(read, 1, 0, zero, 0, 64);
    T(write, 1, 0, ends[1], 0, 64);
    T(pread64, 1, 0, file, 0, 64, 0);
    T(pwrite64, 1, 0, file, 0, 64, 0);
    T(readv, 1, 0, zero, 0, 2);
    T(writev, 1, 0, ends[1], 0, 2);
    T(preadv, 1, 0, file, 0, 2, 0, 0);
    T(openat, 1, 0, AT_FDCWD, 0, O_RDONLY);
    T(getcwd, 0, 0, 0, 4096);
    T(fstat, 1, 0, null, 0);
    T(newfstatat, 1, 0, AT_FDCWD, 0, g, 0);
    T(newfstatat, 2, 0, null, (long)"", 0, AT_EMPTY_PATH);
    T(statx, 1, 0, AT_FDCWD, 0, 0, 0x7ff, g);
    T(statx, 4, 0, null, (long)"", AT_EMPTY_PATH, 0x7ff, 0);
    T(statfs, 0, 0, 0, g);
    T(statfs, 1, 0, (long)"/", 0);
    T(fstatfs, 1, 0, null, 0);
    T(faccessat, 1, 0, AT_FDCWD, 0, R_OK);
    T(readlinkat, 1, 0, AT_FDCWD, 0, g, 100);
    T(readlinkat, 2, 0, AT_FDCWD, (long)"/proc/self/exe", 0, 100);
    T(readlinkat, 2, 0, AT_FDCWD, (long)"/proc/self", 0, 100);
    T(getdents64, 1, 0, here, 0, 4096);
    T(mkdirat, 1, 0, AT_FDCWD, 0, 0755);
    T(unlinkat, 1, 0, AT_FDCWD, 0, 0);
    T(renameat2, 3, 0, AT_FDCWD, (long)"a", AT_FDCWD, 0, 0);
    T(symlinkat, 0, 0, 0, AT_FDCWD, (long)"never");
    T(utimensat, 2, 0, AT_FDCWD, (long)".", 0, 0);
    T(chdir, 0, 0, 0);
    T(pipe2, 0, 0, 0, 0);
    T(socketpair, 3, 0, AF_UNIX, SOCK_STREAM, 0, 0);
    T(sendfile, 2, 0, ends[1], file, 0, 10);
    T(clock_gettime, 1, 0, CLOCK_MONOTONIC, 0);
    T(clock_getres, 1, 0, CLOCK_MONOTONIC, 0);
    T(nanosleep, 0, 0, 0, 0);
    T(clock_nanosleep, 2, 0, CLOCK_MONOTONIC, 0, 0, 0);
    T(gettimeofday, 0, 0, 0, 0);
    T(getitimer, 1, 0, 0, 0);
    T(setitimer, 1, 0, 0, 0, 0);
    T(timer_create, 2, 0, CLOCK_MONOTONIC, (long)&event, 0);
    T(timer_create, 1, 0, CLOCK_MONOTONIC, 0, g);
    T(times, 0, 0, 0);
    T(getrusage, 1, 0, 0, 0);
    T(sysinfo, 0, 0, 0);
    T(uname, 0, 0, 0);
    T(prlimit64, 2, 0, 0, 7, 0, 0);
    T(prlimit64, 3, 0, 0, 7, 0, 0);
    T(prlimit64, 3, 0, 0, 3, 0, 0);
    T(getrandom, 0, 0, 0, 64, 0);
    T(getresuid, 1, 0, g, 0, g);
    T(sched_getaffinity, 2, 0, 0, 128, 0);
    T(rt_sigaction, 1, 0, SIGUSR1, 0, 0, 8);
    T(rt_sigaction, 2, 0, SIGUSR1, 0, 0, 8);
    T(rt_sigprocmask, 1, 0, SIG_BLOCK, 0, 0, 8);
    T(rt_sigprocmask, 2, 0, SIG_BLOCK, 0, 0, 8);
    T(rt_sigpending, 0, 0, 0, 8);
    T(rt_sigsuspend, 0, 0, 0, 8);
    T(rt_sigtimedwait, 0, 0, 0, 0, 0, 8);
    T(rt_sigqueueinfo, 2, EPERM, getpid(), SIGUSR1, 0);
    T(sigaltstack, 0, 0, 0, 0);
    T(sigaltstack, 1, 0, 0, 0);
    T(signalfd4, 1, 0, -1, 0, 8, 0);
    T(ppoll, 0, 0, 0, 1, 0, 0, 8);
    T(ppoll, 2, 0, 0, 0, 0, 0, 8);
    T(ppoll, 3, 0, 0, 0, g, 0, 8);
    T(pselect6, 1, 0, 10, 0, 0, 0, 0, 0);
    T(pselect6, 4, 0, 0, 0, 0, 0, 0, 0);
    T(epoll_ctl, 3, 0, poller, EPOLL_CTL_ADD, ends[0], 0);
    T(futex, 0, 0, 0, 0, 0, 0, 0, 0);
    T(futex, 3, 0, g, 0, 0, 0, 0, 0);
    T(execve, 0, 0, 0, 0, 0);
    T(execve, 1, 0, (long)"/proc/self/exe", 0, 0);
    T(execve, 2, 0, (long)"/proc/self/exe", 0, 0);
    T(clone3, 0, 0, 0, 88);
    T(wait4, 1, ECHILD, -1, 0, 0, 0);
    T(mincore, 2, ENOMEM, g & ~4095L, 4096, 0);
    T(bind, 1, 0, sockets[0], 0, 16);
    T(connect, 1, 0, sockets[0], 0, 16);
    T(getsockname, 1, 0, sockets[0], 0, (long)&(int){16});
    T(getsockname, 2, 0, sockets[0], g, 0);
    T(sendto, 1, 0, sockets[0], 0, 64, 0, 0, 0);
    T(recvfrom, 1, 0, sockets[1], 0, 64, 0, 0, 0);
    T(sendmsg, 1, 0, sockets[0], 0, 0);
    T(recvmsg, 1, 0, sockets[1], 0, 0);
    T(setsockopt, 3, 0, sockets[0], SOL_SOCKET, SO_SNDBUF, 0, 4);
    T(getsockopt, 3, 0, sockets[0], SOL_SOCKET, SO_SNDBUF, 0, (long)&(int){4});
    T(memfd_create, 0, 0, 0, 0);
    T(prctl, 1, 0, 15, 0, 0, 0, 0);
    T(prctl, 1, 0, 16, 0, 0, 0, 0);
    T(fcntl, 2, 0, file, F_GETLK, 0);
    T(getcpu, 0, 0, 0, 0, 0);
    T(timerfd_settime, 2, EINVAL, null, 0, 0, 0);
    T(getxattr, 1, ENODATA, (long)".", 0, g, 10);
    T(ioctl, 2, 0, ends[0], 0x541b /* FIONREAD */, 0);
#if defined(__riscv)
    try("riscv_hwprobe", 258, 0, 0, (long[6]){0, 1, 0, 0, 0});
#endif
    printf("%d calls, %d went wrong\n", calls, wrong);
    return wrong != 0;
}
