/* bad KIND: one program in many that does what it should not. What ends it is Linux's affair, and the test's. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile int turns;
#define PAGE(address) ((char *)((uintptr_t)(address) & ~4095UL))
__attribute__((noinline)) static void *here(void) { return __builtin_return_address(0); }
static char *fresh(int prot) { return mmap(0, 8192, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
static void on(int number, void *handler, int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(number, &action, 0);
}
static void fault(void) { *(volatile int *)8 = 1; }
static void again(int number) { (void)number; turns++; fault(); }
static void leave(int number) { _exit(number); }
static void back(int number) { (void)number; turns++; }
static int deeper(int n) {
    volatile char room[1000];
    room[0] = (char)n;
    return deeper(n + 1) + room[0];
}
static void *faults(void *argument) { (void)argument; fault(); return 0; }
static void *spins(void *argument) { for (;;) (*(volatile char *)argument)++; return 0; }

#define ASM(...) __asm__ volatile(__VA_ARGS__)
#if defined(__riscv)
#define UNKNOWN_SHORT ASM(".2byte 0x8000")
#define PRIVILEGED ASM(".4byte 0x30200073")
#define CONTROL ASM("csrr t0, 0x300" ::: "t0")
#define COUNTER ASM("csrw 0xc00, zero")
#define VECTOR ASM(".4byte 0x0d007057")
#define RESERVED ASM("fsrm %0\n.4byte 0x02007053" : : "r"(5))
#define BREAKPOINT ASM("ebreak")
#define SP_IS(value) ASM("li sp, " value)
#define SP_IS_TEXT ASM("la sp, main")
#define PUSH ASM("sd zero, 8(sp)")
#define CALL(number, a, b) ASM("mv a0, %0\nli a1, " #b "\nli a7, " #number "\necall" : : "r"(a) : "a0", "a1", "a7")
#elif defined(__aarch64__)
#define UNKNOWN_SHORT ASM(".4byte 0x02000000") /* there are no short ones */
#define PRIVILEGED ASM("msr daifset, #2")
#define CONTROL ASM("mrs x0, sctlr_el1" ::: "x0")
#define COUNTER ASM(".4byte 0xd51be040") /* msr cntvct_el0, x0 */
#define VECTOR ASM(".4byte 0x2518e3e0") /* of SVE */
#define RESERVED ASM("hvc #0") /* every rounding mode exists */
#define BREAKPOINT ASM("brk #0")
#define SP_IS(value) ASM("ldr x9, =" value "\nmov sp, x9" ::: "x9")
#define SP_IS_TEXT ASM("adr x9, .\nand x9, x9, #-16\nmov sp, x9" ::: "x9")
#define PUSH ASM("str xzr, [sp, #8]")
#define CALL(number, a, b) \
    ASM("mov x0, %0\nmov x1, #" #b "\nmov x8, #" #number "\nsvc #0" : : "r"(a) : "x0", "x1", "x8")
#endif

/* Each kind in one line: a name, and what it does. */
#define KINDS \
    KIND("jump to zero", ((void (*)(void))(turns * 2L))()) \
    KIND("jump to a wild address", ((void (*)(void))(0x5555555555550000L + turns))()) \
    KIND("jump behind the space", ((void (*)(void))((1L << 38) + turns))()) \
    KIND("jump to -2", ((void (*)(void))(-2L + turns))()) \
    KIND("execute data", ((void (*)(void))fresh(PROT_READ | PROT_WRITE))()) \
    KIND("execute the stack", char b[64] = {0x13}; ((void (*)(void))((uintptr_t)b & ~3UL))()) \
    KIND("execute zeros", ((void (*)(void))fresh(PROT_READ | PROT_EXEC))()) \
    KIND("half an instruction at the end of a page", \
         char *p = fresh(PROT_READ | PROT_WRITE); p[4094] = 0x13; p[4095] = 5; mprotect(p, 4096, PROT_READ | PROT_EXEC); \
         munmap(p + 4096, 4096); ((void (*)(void))(p + 4094))()) \
    KIND("unknown instruction", __asm__ volatile(".4byte 0x0000000b")) \
    KIND("unknown compressed instruction", UNKNOWN_SHORT) \
    KIND("all ones", __asm__ volatile(".4byte 0xffffffff")) \
    KIND("privileged instruction", PRIVILEGED) \
    KIND("unknown control register", CONTROL) \
    KIND("write to a counter", COUNTER) \
    KIND("vector instruction", VECTOR) \
    KIND("reserved rounding mode", RESERVED) \
    KIND("breakpoint", BREAKPOINT) \
    KIND("overflow the stack", deeper(0)) \
    KIND("overflow the stack with a handler on it", on(SIGSEGV, leave, 0); deeper(0)) \
    KIND("overflow the stack with a handler elsewhere", \
         stack_t s = {.ss_sp = fresh(PROT_READ | PROT_WRITE), .ss_size = 8192}; sigaltstack(&s, 0); \
         on(SIGSEGV, leave, SA_ONSTACK); deeper(0)) \
    KIND("a handler that faults", on(SIGSEGV, again, 0); fault()) \
    KIND("a handler that faults for ever", on(SIGSEGV, again, SA_NODEFER); fault()) \
    KIND("a handler on an alternate stack that faults for ever", \
         stack_t s = {.ss_sp = fresh(PROT_READ | PROT_WRITE), .ss_size = 8192}; sigaltstack(&s, 0); \
         on(SIGSEGV, again, SA_NODEFER | SA_ONSTACK); fault()) \
    KIND("a handler that is not there", on(SIGSEGV, (void *)0x10, 0); fault()) \
    KIND("a handler that is data", on(SIGSEGV, fresh(PROT_READ), 0); fault()) \
    KIND("an ignored fault", on(SIGSEGV, SIG_IGN, 0); fault()) \
    KIND("a blocked fault", sigset_t m; sigfillset(&m); sigprocmask(SIG_BLOCK, &m, 0); fault()) \
    KIND("a stack pointer of zero", on(SIGSEGV, leave, 0); SP_IS("0"); PUSH) \
    KIND("a stack pointer of 2^63", on(SIGSEGV, leave, 0); SP_IS("0x8000000000000000"); PUSH) \
    KIND("a stack in the text", on(SIGSEGV, leave, 0); SP_IS_TEXT; PUSH) \
    KIND("a signal without a stack", on(SIGUSR1, leave, 0); \
         long pid = getpid(); SP_IS("0x4000"); CALL(129, pid, 10)) \
    KIND("return from no signal", CALL(139, 0L, 0)) \
    KIND("return from a signal with a bad frame", memset(__builtin_alloca(4096), 0xff, 4096); CALL(139, 0L, 0)) \
    KIND("return from a signal without a stack", SP_IS("-64"); CALL(139, 0L, 0)) \
    KIND("unmap everything", munmap((void *)0x10000, (1UL << 38) - 0x20000)) \
    KIND("unmap its own text", munmap(PAGE(here()), 4096)) \
    KIND("unmap its own stack", munmap(PAGE(__builtin_frame_address(0)) - 4096, 8192); fault()) \
    KIND("hide its own text", mprotect(PAGE(here()), 4096, PROT_NONE)) \
    KIND("write to its text", *(volatile int *)(uintptr_t)main = 0) \
    KIND("past the end of a file", int fd = memfd_create("x", 0); ftruncate(fd, 4096); \
         char *m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0); m[5000] = 1) \
    KIND("a file that became shorter", int fd = memfd_create("x", 0); ftruncate(fd, 8192); \
         char *m = mmap(0, 8192, PROT_READ, MAP_PRIVATE, fd, 0); turns += m[5000]; ftruncate(fd, 0); turns += m[100]) \
    KIND("all memory", for (;;) { char *volatile m = malloc(1 << 20); memset(m, 1, 1 << 20); }) \
    KIND("all memory by mapping", for (;;) { char *m = fresh(PROT_READ | PROT_WRITE); if (m == MAP_FAILED) abort(); *m = 1; }) \
    KIND("all memory by brk", for (;;) { char *m = sbrk(65536); if (m == (void *)-1) abort(); memset(m, 1, 65536); }) \
    KIND("all descriptors", while (open("/dev/null", O_RDONLY) >= 0) {} exit(errno)) \
    KIND("close everything", syscall(SYS_close_range, 0, ~0U, 0); for (int i = 0; i < 1024; i++) close(i); \
         exit(write(2, "x", 1) == -1 ? errno : 0)) \
    KIND("a fault in a thread", pthread_t t; pthread_create(&t, 0, faults, 0); for (;;) pause()) \
    KIND("memory that another thread takes away", pthread_t t; char *p = fresh(PROT_READ | PROT_WRITE); \
         pthread_create(&t, 0, spins, p); usleep(20000); munmap(p, 8192); for (;;) pause()) \
    KIND("too much processor time", struct rlimit l = {1, 2}; setrlimit(RLIMIT_CPU, &l); for (;;) turns++) \
    KIND("too long a file", struct rlimit l = {100, 100}; setrlimit(RLIMIT_FSIZE, &l); \
         int fd = memfd_create("x", 0); for (int i = 0; i < 9; i++) write(fd, "0123456789012345678901234567890123456789", 40)) \
    KIND("an ignored breakpoint", on(SIGTRAP, SIG_IGN, 0); BREAKPOINT) \
    KIND("abort with a handler", on(SIGABRT, back, 0); abort()) \
    KIND("stop and be killed", raise(SIGKILL)) \
    KIND("a system call that nobody knows", exit(syscall(9999, 1, 2, 3) == -1 ? errno : 0)) \
    KIND("a system call of all ones", exit(syscall(-1L) == -1 ? errno : 0)) \
    KIND("a thread on no stack", long r = syscall(SYS_clone, 0x10f00L, 0x10L, 0, 0, 0); if (r < 0) exit(errno); for (;;) pause()) \
    KIND("two processes on one memory", exit(syscall(SYS_clone, 0x100L | SIGCHLD, 0, 0, 0, 0) == -1 ? errno : 0))

int main(int argc, char **argv) {
    setbuf(stdout, NULL);
    if (argc < 2) {
#define KIND(name, ...) puts(name);
        KINDS
        return 0;
    }
#undef KIND
#define KIND(name, ...) if (!strcmp(argv[1], name)) { __VA_ARGS__; }
    KINDS
    return 99;
}
