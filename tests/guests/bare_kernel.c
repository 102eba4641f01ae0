/* What a kernel gives a program, without a C library: signals and their frames, threads, processes, open flags, vDSO.
   argv[1]: a program to become in the end. Every line is the same on every machine. */
#include "bare.h"

#if defined(__riscv)
enum { O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000, O_DIRECT = 040000, O_LARGEFILE = 0100000 };
enum { PC = 176, ARGUMENT = 176 + 8 * 10, VALUE = 176 + 8 * 28 };
#define BREAK ".option push\n.option norvc\nebreak\n.option pop\n"
#define STORE(at, address) \
    __asm__ volatile("lla %0, 1f\n" : "=r"(at)); \
    __asm__ volatile(".option push\n.option norvc\n1: sd zero, 0(%0)\n.option pop" : : "r"(address) : "memory")
struct action { void *handler; ulong flags, mask; };
#elif defined(__aarch64__)
enum { O_DIRECTORY = 040000, O_NOFOLLOW = 0100000, O_DIRECT = 0200000, O_LARGEFILE = 0400000 };
enum { FAULT = 176, PC = 176 + 8 * 33, ARGUMENT = 176 + 8, VALUE = 176 + 8 * 10 };
#define BREAK "brk #7\n"
#define STORE(at, address) \
    __asm__ volatile("adr %0, 1f\n" : "=r"(at)); \
    __asm__ volatile("1: str xzr, [%0]" : : "r"(address) : "memory")
struct action { void *handler; ulong flags, restorer, mask; };
#endif

enum {
    SYS_fcntl = 25, SYS_openat = 56, SYS_close = 57, SYS_read = 63, SYS_exit = 93, SYS_set_tid_address = 96,
    SYS_futex = 98, SYS_clock_gettime = 113, SYS_tgkill = 131, SYS_sigaltstack = 132, SYS_rt_sigaction = 134,
    SYS_rt_sigprocmask = 135, SYS_uname = 160, SYS_getpid = 172, SYS_gettid = 178, SYS_munmap = 215, SYS_clone = 220,
    SYS_execve = 221, SYS_mmap = 222, SYS_wait4 = 260,
};
enum { SIGILL = 4, SIGTRAP = 5, SIGUSR1 = 10, SIGSEGV = 11, SIGUSR2 = 12, SIGCHLD = 17 };
enum { SA_SIGINFO = 4, SA_ONSTACK = 0x08000000, SA_NODEFER = 0x40000000 };
enum { AT_FDCWD = -100, AT_SYSINFO_EHDR = 33, AT_HWCAP = 16, F_GETFL = 3, FUTEX_WAIT = 0 };

static long call(long n, long a, long b, long c, long d) { return syscall6(n, a, b, c, d, 0, 0); }

static void say(const char *what, long value) {
    put(what);
    put(" ");
    put_int(value);
    put("\n");
}

/* -- signals */
static uchar *alternate;
static long on_alternate, count, pc_of_fault;

static void handler(int number, int *info, uchar *context) {
    uchar here;
    ulong *pc = (ulong *)(context + PC);
    count++;
    on_alternate = &here >= alternate && &here < alternate + 65536;
    if (number == SIGSEGV) {
        say("SIGSEGV code", info[2]);
        say("  address", *(long *)(info + 4));
        say("  at the store", *pc == (ulong)pc_of_fault);
#if defined(__aarch64__)
        if (*(ulong *)(context + FAULT) != *(ulong *)(info + 4)) put("fault_address differs\n");
#endif
        *pc += 4;
    } else if (number == SIGTRAP) {
        say("SIGTRAP code", info[2]);
        say("  argument", *(long *)(context + ARGUMENT));
        say("  value", *(long *)(context + VALUE));
        *(long *)(context + ARGUMENT) = 77;
        *pc += 4;
    } else if (number == SIGILL) {
        say("SIGILL at the instruction", *(ulong *)(info + 4) == *pc);
        *pc += 4;
    } else {
        say("signal", number);
        say("  code", info[2]);
    }
}

static void handle(int number, ulong flags) {
    struct action action = {.handler = handler, .flags = flags | SA_SIGINFO};
    if (call(SYS_rt_sigaction, number, (long)&action, 0, 8)) put("rt_sigaction failed\n");
    struct action told = {0};
    call(SYS_rt_sigaction, number, 0, (long)&told, 8);
    if (told.handler != (void *)handler || told.flags != (flags | SA_SIGINFO)) put("rt_sigaction tells another\n");
}

static void raise(int number) { call(SYS_tgkill, call(SYS_getpid, 0, 0, 0, 0), call(SYS_gettid, 0, 0, 0, 0), number, 0); }

/* A breakpoint among live registers and flags: (argument from the handler, a value that must survive, equality). */
static void live_registers(void) {
    long argument, value, equal;
#if defined(__riscv)
    __asm__ volatile("li a0, 5\nli t3, 6\n" BREAK "mv %0, a0\nmv %1, t3\nli %2, 1\n"
                     : "=r"(argument), "=r"(value), "=&r"(equal) : : "a0", "t3");
#else
    __asm__ volatile("mov x0, #5\nmov x9, #6\ncmp x9, #6\n" BREAK "mov %0, x0\nmov %1, x9\ncset %2, eq\n"
                     : "=r"(argument), "=r"(value), "=&r"(equal) : : "x0", "x9", "cc");
#endif
    say("argument", argument);
    say("value", value);
    say("flags", equal);
}

static void __attribute__((noinline)) faults(void) {
    static uchar *page;
    page = (uchar *)syscall6(SYS_mmap, 0x100000, 4096, 1, 0x32, -1, 0);
    say("page", (long)page);
    STORE(pc_of_fault, page + 24);
    call(SYS_munmap, (long)page, 4096, 0, 0);
    STORE(pc_of_fault, page + 32);
    __asm__ volatile(".4byte 0");
}

static void signals(void) {
    static uchar memory[65536];
    struct { void *sp; int flags; ulong size; } stack = {memory, 0, sizeof memory};
    ulong mask = 1UL << (SIGUSR1 - 1);
    alternate = memory;
    handle(SIGUSR1, 0);
    handle(SIGUSR2, SA_ONSTACK);
    handle(SIGTRAP, 0);
    handle(SIGSEGV, 0);
    handle(SIGILL, 0);
    raise(SIGUSR1);
    say("on the alternate stack", on_alternate);
    say("sigaltstack", call(SYS_sigaltstack, (long)&stack, 0, 0, 0));
    raise(SIGUSR2);
    say("on the alternate stack", on_alternate);
    call(SYS_rt_sigprocmask, 0, (long)&mask, 0, 8);
    raise(SIGUSR1);
    say("blocked", count);
    call(SYS_rt_sigprocmask, 1, (long)&mask, 0, 8);
    say("unblocked", count);
    live_registers();
    faults();
    say("handled", count);
}

/* -- threads */
static volatile int child_tid = 1, parent_tid;
static volatile long told, shared;
static char child_stack[65536] __attribute__((aligned(16)));

__attribute__((used)) static void thread(void) {
    long pointer;
#if defined(__riscv)
    __asm__ volatile("mv %0, tp" : "=r"(pointer));
#else
    __asm__ volatile("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
    told = pointer;
    for (int i = 0; i < 100; i++) __atomic_fetch_add(&shared, 1, __ATOMIC_SEQ_CST);
    call(SYS_exit, 0, 0, 0, 0);
}

static long start_thread(void) {
    const long flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x80000 | 0x100000 | 0x200000;
    void *top = child_stack + sizeof child_stack;
#if defined(__riscv)
    register long n __asm__("a7") = SYS_clone, a __asm__("a0") = flags, b __asm__("a1") = (long)top,
             c __asm__("a2") = (long)&parent_tid, d __asm__("a3") = 0x1234560, e __asm__("a4") = (long)&child_tid;
    __asm__ volatile("ecall\nbnez a0, 1f\ntail thread\n1:" : "+r"(a) : "r"(n), "r"(b), "r"(c), "r"(d), "r"(e) : "memory", "t1");
#else
    register long n __asm__("x8") = SYS_clone, a __asm__("x0") = flags, b __asm__("x1") = (long)top,
             c __asm__("x2") = (long)&parent_tid, d __asm__("x3") = 0x1234560, e __asm__("x4") = (long)&child_tid;
    __asm__ volatile("svc #0\ncbnz x0, 1f\nb thread\n1:" : "+r"(a) : "r"(n), "r"(b), "r"(c), "r"(d), "r"(e) : "memory");
#endif
    return a;
}

static void threads(void) {
    long tid = start_thread();
    for (int seen; (seen = child_tid) != 0;) call(SYS_futex, (long)&child_tid, FUTEX_WAIT, seen, 0);
    for (int i = 0; i < 100; i++) __atomic_fetch_add(&shared, 1, __ATOMIC_SEQ_CST);
    say("thread told", told);
    say("shared", shared);
    say("its number", tid > 0 && parent_tid == tid);
}

/* -- processes */
static void processes(void) {
    int status = 0;
    long child = call(SYS_clone, SIGCHLD, 0, 0, 0);
    if (!child) {
        shared = 1;
        sys_exit(42);
    }
    say("waited", call(SYS_wait4, child, (long)&status, 0, 0) == child);
    say("status", status);
    say("own memory", shared);
    child = call(SYS_clone, SIGCHLD, 0, 0, 0);
    if (!child) raise(SIGCHLD), raise(9);
    call(SYS_wait4, child, (long)&status, 0, 0);
    say("status", status);
}

/* -- files */
static long open(const char *name, long flags) { return call(SYS_openat, AT_FDCWD, (long)name, flags, 0); }

static void files(void) {
    long fd = open("/proc/self", O_DIRECTORY);
    long flags = call(SYS_fcntl, fd, F_GETFL, 0, 0);
    say("a directory", fd >= 0);
    say("O_DIRECTORY told", (flags & O_DIRECTORY) != 0);
    say("others told", (flags & (O_NOFOLLOW | O_DIRECT)) != 0);
    call(SYS_close, fd, 0, 0, 0);
    say("no directory", open("/dev/null", O_DIRECTORY));
    say("a link", open("/proc/self/cwd", O_NOFOLLOW));
    say("nothing", open("/nowhere/at/all", O_LARGEFILE));
    say("a bad pointer", open((char *)8, 0));
}

/* -- the vDSO: clock_gettime by name, from its dynamic symbols. Not every emulator has one. */
struct symbol { unsigned name; uchar info, other; unsigned short section; ulong value, size; };

static int same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static void vdso(uchar *image) {
    const ulong *program = (ulong *)(image + *(ulong *)(image + 32)), *dynamic = 0;
    const struct symbol *symbols = 0;
    const char *names = 0;
    const unsigned *hash = 0;
    for (int i = 0; i < *(unsigned short *)(image + 56); i++, program += 7)
        if ((unsigned)*program == 2) dynamic = (ulong *)(image + program[2]);
    for (; dynamic && *dynamic; dynamic += 2) {
        if (*dynamic == 4) hash = (unsigned *)(image + dynamic[1]);
        if (*dynamic == 5) names = (char *)(image + dynamic[1]);
        if (*dynamic == 6) symbols = (struct symbol *)(image + dynamic[1]);
    }
    for (unsigned i = 0; i < hash[1]; i++) {
        const char *name = names + symbols[i].name;
        if (!same(name, "__vdso_clock_gettime") && !same(name, "__kernel_clock_gettime")) continue;
        long (*get)(int, long *) = (long (*)(int, long *))(void *)(image + symbols[i].value), first[2], second[2];
        long result = get(1, first);
        call(SYS_clock_gettime, 1, (long)second, 0, 0);
        if (result || second[0] - first[0] > 10 || second[0] < first[0]) put("the vDSO has another time\n");
        return;
    }
    put("the vDSO has no clock_gettime\n");
}

int main(int argc, char **argv) {
    ulong *auxv = (ulong *)argv + argc + 1, hwcap = 0;
    char name[6 * 65];
    while (*auxv++) {}
    for (; *auxv; auxv += 2) {
        if (*auxv == AT_SYSINFO_EHDR) vdso((uchar *)auxv[1]);
        if (*auxv == AT_HWCAP) hwcap = auxv[1];
    }
    say("uname", call(SYS_uname, (long)name, 0, 0, 0));
    if (argc > 1) {
        put(name + 4 * 65);
        put(hwcap ? "\n" : " without hwcap\n");
    }
    signals();
    threads();
    processes();
    files();
    if (argc > 1) {
        char *arguments[] = {argv[1], argc > 2 ? argv[2] : 0, 0}, *environment[] = {0};
        say("execve", call(SYS_execve, (long)argv[1], (long)arguments, (long)environment, 0));
    }
    return 0;
}
