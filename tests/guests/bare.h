/* For programs without a C library: raw syscalls, and a main() that is called with the initial stack. */
#ifndef BARE_H
#define BARE_H

typedef unsigned long ulong;
typedef unsigned char uchar;

#if defined(__riscv)
static inline long syscall6(long n, long a, long b, long c, long d, long e, long f) {
    register long a7 __asm__("a7") = n;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a5 __asm__("a5") = f;
    __asm__ volatile("ecall"
                     : "+r"(a0)
                     : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
                     : "memory");
    return a0;
}
__asm__(".globl _start\n_start:\n.option push\n.option norelax\nlla gp, __global_pointer$\n.option pop\n"
        "mv a0, sp\nandi sp, sp, -16\nj bare_start\n");
#elif defined(__aarch64__)
static inline long syscall6(long n, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\nmov x0, sp\nb bare_start\n");
#else
static inline long syscall6(long n, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start:\nmovq %rsp, %rdi\nandq $-16, %rsp\ncall bare_start\n");
#endif

#if defined(__x86_64__)
enum { SYS_write = 1, SYS_exit_group = 231 };
#else
enum { SYS_write = 64, SYS_exit_group = 94 };
#endif

static inline long sys_write(int fd, const void *data, ulong size) {
    return syscall6(SYS_write, fd, (long)data, (long)size, 0, 0, 0);
}

__attribute__((noreturn)) static inline void sys_exit(int status) {
    for (;;) syscall6(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

static inline ulong text_length(const char *text) {
    ulong n = 0;
    while (text[n]) n++;
    return n;
}

static inline void put(const char *text) { sys_write(1, text, text_length(text)); }

static inline void put_hex(ulong value) {
    char text[19] = "0x";
    for (int i = 0; i < 16; i++) text[2 + i] = "0123456789abcdef"[(value >> (60 - 4 * i)) & 15];
    text[18] = 0;
    put(text);
}

static inline void put_int(long value) {
    char text[24];
    int at = 23;
    ulong rest = value < 0 ? -(ulong)value : (ulong)value;
    text[at] = 0;
    do text[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0) text[--at] = '-';
    put(text + at);
}

int main(int argc, char **argv);

__attribute__((used, noreturn)) static void bare_start(long *stack) {
    sys_exit(main((int)stack[0], (char **)(stack + 1)));
}

#endif
