/* The stack pointer as a base, aligned and not, in loops that get hot: which accesses are refused, and what a handler is
   told of it. A line for each kind of access: how often it went well, the signal, its code, the address and ESR. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static long went_well, refused;
static int signo, code;
static uint64_t address, stack, pc, fault_address, esr;

static void handler(int number, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    signo = number;
    code = info->si_code;
    address = (uint64_t)info->si_addr;
    stack = uc->uc_mcontext.sp;
    pc = uc->uc_mcontext.pc;
    fault_address = uc->uc_mcontext.fault_address;
    esr = 0;
    for (char *at = (char *)uc->uc_mcontext.__reserved;;) {
        uint32_t head[2];
        memcpy(head, at, sizeof head);
        if (!head[0]) break;
        if (head[0] == 0x45535201) memcpy(&esr, at + 8, 8);
        at += head[1];
    }
    refused++;
    uc->uc_mcontext.pc += 4; /* over it */
}

/* Moves the stack pointer down by x1, does one access through it, and puts it back. */
#define FRAGMENT(name, access)                                                                            \
    __attribute__((naked, noinline)) static void name(uint64_t *data, long by) {                          \
        __asm__("mov x9, sp\n sub sp, sp, #256\n sub sp, sp, x1\n mov x2, #1\n" access                    \
                "\n mov sp, x9\n ret");                                                                   \
    }

FRAGMENT(load, "ldr x3, [sp, #64]")
FRAGMENT(store, "str x2, [sp, #64]")
FRAGMENT(byte, "ldrb w3, [sp]")
FRAGMENT(indexed, "ldr x3, [sp, x2]")
FRAGMENT(pair, "stp x2, x2, [sp, #-32]!")
FRAGMENT(after, "ldp x3, x4, [sp], #16")
FRAGMENT(unscaled, "ldur x3, [sp, #-3]")
FRAGMENT(vector, "str q0, [sp]")
FRAGMENT(structure, "ld1 {v0.16b, v1.16b}, [sp]")
FRAGMENT(exclusive, "ldxr x3, [sp]")
FRAGMENT(acquired, "ldar x3, [sp]")
FRAGMENT(prefetch, "prfm pldl1keep, [sp]")
FRAGMENT(elsewhere, "add x3, sp, #8\n ldr x4, [x3]")

#define KIND(name) {#name, name}
static const struct {
    const char *name;
    void (*access)(uint64_t *, long);
} kinds[] = {KIND(load),     KIND(store),     KIND(byte),      KIND(indexed),  KIND(pair),
             KIND(after),    KIND(unscaled),  KIND(vector),    KIND(structure), KIND(exclusive),
             KIND(acquired), KIND(prefetch), KIND(elsewhere)};

/* A recursive function whose frames are aligned, but for the deepest. */
__attribute__((naked, noinline)) static long deep(long n, long by) {
    __asm__("stp x29, x30, [sp, #-32]!\n mov x29, sp\n str x0, [sp, #16]\n cbz x0, 1f\n sub x0, x0, #1\n"
            "bl deep\n ldr x1, [sp, #16]\n add x0, x0, x1\n 2: mov sp, x29\n ldp x29, x30, [sp], #32\n ret\n"
            "1: sub sp, sp, x1\n ldr x0, [sp]\n mov x0, #0\n b 2b");
}

int main(int argc, char **argv) {
    long turns = argc > 1 ? atol(argv[1]) : 40000;
    static uint64_t alternate[4096];
    stack_t other = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&other, 0);
    sigaction(SIGBUS, &action, 0);
    for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        signo = code = 0, refused = went_well = 0, address = stack = fault_address = esr = 0;
        for (long turn = 0; turn < turns; turn++) kinds[kind].access(0, 0);
        printf("%s: %ld refused while aligned;", kinds[kind].name, refused);
        for (long by = 8; by >= 1; by /= 2)
            for (long turn = 0; turn < 3; turn++) kinds[kind].access(0, by);
        printf(" %ld refused, signal %d code %d, address is sp %d, off by %d, fault_address %d, esr %#lx\n", refused,
               signo, code, address == stack, (int)(-stack & 15), fault_address != 0, (unsigned long)esr);
    }
    refused = 0;
    long sum = 0;
    for (long turn = 0; turn < turns / 40; turn++) sum += deep(40, 0);
    long odd = deep(40, 8);
    printf("deep: %ld, then %ld, %ld refused\n", sum, odd, refused);
    return 0;
}
