/* Memory tagging where no memory has tags: what each instruction leaves in registers and memory, and what it faults on.
   Instructions are words, so that any compiler makes them. x0 is what is named first, x1 the base, x2 the third. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

static sigjmp_buf back;
static volatile int signo, code;
static volatile uintptr_t where;
static uint8_t *pages; /* two; behind the first nothing may be written, and behind the second there is nothing */

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    signo = number, code = info->si_code, where = (uintptr_t)info->si_addr;
    siglongjmp(back, 1);
}

static uint64_t sum(void) {
    uint64_t found = 14695981039346656037u;
    for (int n = 0; n < 4096; n++) found = (found ^ pages[n]) * 1099511628211u;
    return found;
}

#define TRY(text, word, first, base, third)                                                                \
    do {                                                                                                   \
        for (int n = 0; n < 4096; n++) pages[n] = (uint8_t)(n * 7 + 1);                                    \
        volatile uint64_t x0 = (first), x1 = (uint64_t)(base), x2 = (third);                               \
        signo = 0;                                                                                         \
        if (!sigsetjmp(back, 1)) {                                                                         \
            register uint64_t a __asm__("x0") = x0;                                                        \
            register uint64_t b __asm__("x1") = x1;                                                        \
            register uint64_t c __asm__("x2") = x2;                                                        \
            __asm__ volatile(".inst " #word : "+r"(a), "+r"(b) : "r"(c) : "memory");                       \
            x0 = a, x1 = b;                                                                                \
        }                                                                                                  \
        if (signo)                                                                                         \
            printf(text ": signal %d code %d at %ld, ", signo, code, (long)(where - (uintptr_t)pages));    \
        else                                                                                               \
            printf(text ": x0 %lx x1 %ld, ", (long)x0, (long)(x1 - (uint64_t)pages));                      \
        printf("memory %lx\n", (long)sum());                                                               \
    } while (0)

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    uint64_t features;
    __asm__("mrs %0, s3_0_c0_c4_1" : "=r"(features));
    pages = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + 4096, 4096, PROT_READ), munmap(pages + 8192, 4096);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, 0), sigaction(SIGBUS, &action, 0), sigaction(SIGILL, &action, 0);

    TRY("ldg", 0xd9600020, 0x0f00123456789abcu, pages + 5, 0);
    TRY("ldg, offset -16", 0xd97ff020, 0xff00123456789abcu, pages + 32, 0);
    TRY("ldg of a page that may be read", 0xd9600020, 0x0f00000000000001u, pages + 4096, 0);
    TRY("ldg of nothing", 0xd9600020, 0x0f00000000000001u, pages + 8192, 0);
    TRY("stg", 0xd9200820, 0x0f00000000000001u, pages + 32, 0);
    TRY("stg, after", 0xd9201420, 0x0f00000000000001u, pages + 32, 0);
    TRY("stg, before", 0xd93ffc20, 0x0f00000000000001u, pages + 32, 0);
    TRY("stg, not aligned", 0xd9200820, 1, pages + 40, 0);
    TRY("stg where nothing may be written", 0xd9200820, 1, pages + 4096, 0);
    TRY("stzg", 0xd9600820, 1, pages + 64, 0);
    TRY("stzg, after", 0xd9601420, 1, pages + 64, 0);
    TRY("stzg where nothing may be written", 0xd9601420, 1, pages + 4096, 0);
    TRY("st2g", 0xd9a00820, 1, pages + 64, 0);
    TRY("st2g, at the end", 0xd9a00820, 1, pages + 4080, 0);
    TRY("stz2g", 0xd9e00820, 1, pages + 64, 0);
    TRY("stz2g, before", 0xd9e01c20, 1, pages + 64, 0);
    TRY("stz2g, at the end", 0xd9e00820, 1, pages + 4080, 0);
    TRY("stgp", 0x69000820, 0x1111, pages + 64, 0x2222);
    TRY("stgp, after", 0x68808820, 0x1111, pages + 64, 0x2222);
    TRY("stgp, before", 0x69bf8820, 0x1111, pages + 64, 0x2222);
    TRY("stgp, not aligned", 0x69000820, 0x1111, pages + 72, 0x2222);
    printf("told: %lu\n", getauxval(AT_HWCAP2) >> 18 & 1);
    return features >> 8 & 15 ? 0 : 1;
}
