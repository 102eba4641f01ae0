/* Pointer authentication as a program sees it: what holds whatever the keys and the algorithm are. Hints are written as
   numbers, so that any compiler for Armv8.0 makes them.

       pauth [again SIGNED]

   It says what the processor has, then a line a property. "again" is how it calls itself by execve: whether a pointer
   that was signed before is good still. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESET_KEYS = 54, SET_ENABLED = 60, GET_ENABLED = 61, MANY = 64 };

#define X17(name, number)                                                                                  \
    static uint64_t name(uint64_t pointer, uint64_t modifier) {                                            \
        register uint64_t x17 __asm__("x17") = pointer;                                                    \
        register uint64_t x16 __asm__("x16") = modifier;                                                   \
        __asm__ volatile("hint #" #number : "+r"(x17) : "r"(x16));                                         \
        return x17;                                                                                        \
    }
X17(pacia1716, 8)
X17(pacib1716, 10)
X17(autia1716, 12)
X17(autib1716, 14)

/* Those without a number as a hint, as words: x0 and x1 are pointer and modifier. */
#define WORD(name, word)                                                                                   \
    static uint64_t name(uint64_t pointer, uint64_t modifier) {                                            \
        register uint64_t x0 __asm__("x0") = pointer;                                                      \
        register uint64_t x1 __asm__("x1") = modifier;                                                     \
        __asm__ volatile(".inst " #word : "+r"(x0) : "r"(x1) : "memory");                                  \
        return x0;                                                                                         \
    }
WORD(pacda, 0xdac10820)
WORD(autda, 0xdac11820)
WORD(autdb, 0xdac11c20)
WORD(pacdza, 0xdac12be0)
WORD(xpaci, 0xdac143e0)
WORD(xpacd, 0xdac147e0)
WORD(pacga, 0x9ac13000)
WORD(ldraa, 0xf8200400)

static sigjmp_buf back;
static volatile int signo;
static volatile uintptr_t where;

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    signo = number, where = (uintptr_t)info->si_addr;
    siglongjmp(back, 1);
}

static uint64_t secret[2] = {0x1122334455667788, 99};
static uint64_t called(uint64_t x) { return x + 1; }

/* BLRAA x8, x9; then a function that signs its return address and returns with RETAA. */
static uint64_t through(uint64_t pointer, uint64_t modifier, uint64_t argument) {
    register uint64_t x0 __asm__("x0") = argument;
    register uint64_t x8 __asm__("x8") = pointer;
    register uint64_t x9 __asm__("x9") = modifier;
    __asm__ volatile(".inst 0xd73f0909" : "+r"(x0) : "r"(x8), "r"(x9)
                     : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
                       "x17", "x30", "cc", "memory");
    return x0;
}
uint64_t signing(uint64_t);
/* The return address has another code when it comes back. */
void smashed(void);
__asm__(".text\nsigning: hint #25\n stp x29, x30, [sp, #-16]!\n add x0, x0, #5\n ldp x29, x30, [sp], #16\n"
        ".inst 0xd65f0bff\n"
        "smashed: hint #25\n eor x30, x30, #1 << 50\n hint #29\n ret\n");

static void *in_thread(void *signed_pointer) {
    return (void *)(uintptr_t)(autia1716((uintptr_t)signed_pointer, 7) == (uintptr_t)secret);
}

/* Properties of one key by many pointers: what must be for each, and how often codes differ. */
static void check(const char *name, uint64_t (*sign)(uint64_t, uint64_t), uint64_t (*auth)(uint64_t, uint64_t)) {
    int good = 0, kept = 0, poisoned = 0, changed = 0;
    uint64_t error = 0, state = 88172645463325252u;
    for (int n = 0; n < MANY; n++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        uint64_t pointer = state & 0xff00ffffffffffff, modifier = state * 0x9e3779b97f4a7c15;
        uint64_t made = sign(pointer, modifier);
        good += auth(made, modifier) == pointer;
        kept += (made & 0xff80ffffffffffff) == pointer;
        uint64_t wrong = auth(made ^ 1, modifier); /* one bit of the pointer: another code, mostly */
        if (wrong != (pointer ^ 1)) {
            poisoned += (wrong & ~(3ull << 53)) == (pointer ^ 1);
            error = wrong >> 53 & 3;
        }
        changed += sign(pointer, modifier ^ 1ull << n) != made;
    }
    printf("%s: good %d, address and tag kept %d, error %d, others fail %d, codes change %d\n", name, good, kept,
           (int)error, poisoned > MANY * 3 / 4, changed > MANY * 3 / 4);
}

int main(int argc, char **argv) {
    setvbuf(stdout, 0, _IONBF, 0);
    unsigned long capabilities = getauxval(AT_HWCAP);
    if (argc > 2) {
        uint64_t made = strtoull(argv[2], 0, 16);
        int same = 0;
        for (int n = 0; n < 8; n++) same += pacia1716(0x12340000 + n * 64, n) == strtoull(argv[2 + n], 0, 16);
        printf("after execve: keys are new %d\n", made && same < 8);
        return 0;
    }
    printf("paca %lu pacg %lu\n", capabilities >> 30 & 1, capabilities >> 31 & 1);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, 0), sigaction(SIGILL, &action, 0), sigaction(SIGBUS, &action, 0);

    if (!(capabilities >> 30 & 1)) {
        printf("hints do nothing %d\n", pacia1716(0x7712345678, 5) == 0x7712345678 && autib1716(77, 5) == 77);
        if (!sigsetjmp(back, 1)) printf("xpaci %lx\n", (long)xpaci(0x77000012345678, 0));
        printf("xpaci: signal %d\n", signo);
        signo = 0;
        if (!sigsetjmp(back, 1)) printf("pacga %lx\n", (long)pacga(1, 2));
        printf("pacga: signal %d\n", signo);
        printf("prctl %d\n", prctl(RESET_KEYS, 0, 0, 0, 0));
        return 0;
    }
    check("ia", pacia1716, autia1716);
    check("ib", pacib1716, autib1716);
    check("da", pacda, autda);
    printf("not canonical: fails %d\n", autda(pacda(0x0012345678, 1) | 0, 1) == 0x0012345678 &&
                                            autda(pacda(0x0040000012345678, 1), 1) == 0x0020000012345678);
    printf("xpac %lx %lx\n", (long)xpaci(0xab7f012345678900, 0), (long)xpacd(0xabff012345678900, 0));
    printf("another key fails %d\n", (pacda(0x12345678, 3) == pacdza(0x12345678, 3)) + (autdb(pacda(64, 1), 1) == 64) +
                                         (autdb(pacda(128, 1), 1) == 128) + (autdb(pacda(256, 1), 1) == 256) < 3);
    printf("pacga: low half %lx, by modifier %d\n", (long)(pacga(1, 2) & 0xffffffff), pacga(1, 2) != pacga(1, 3));
    printf("ldraa %lx\n", (long)ldraa(pacdza((uintptr_t)secret, 0), 0));
    printf("blraa %ld, retaa %ld\n", (long)through(pacia1716((uintptr_t)called, 42), 42, 1),
           (long)through(pacia1716((uintptr_t)signing, 3), 3, 1));
    signo = 0;
    if (!sigsetjmp(back, 1)) smashed();
    printf("a smashed return: signal %d, poisoned %d\n", signo, (int)(where >> 53 & 3));

    uint64_t made = pacia1716((uintptr_t)secret, 7);
    pthread_t thread;
    void *same = 0;
    pthread_create(&thread, 0, in_thread, (void *)made), pthread_join(thread, &same);
    printf("a thread has the same keys %d\n", (int)(uintptr_t)same);
    pid_t child = fork();
    if (!child) _exit(autia1716(made, 7) == (uintptr_t)secret ? 1 : 2);
    int status = 0;
    waitpid(child, &status, 0);
    printf("a child has the same keys %d\n", WEXITSTATUS(status));

    uint64_t before[8];
    int equal = 0;
    for (int n = 0; n < 8; n++) before[n] = pacia1716(0x12340000 + n * 64, n);
    printf("prctl %d %d %d\n", prctl(RESET_KEYS, 2, 0, 0, 0), prctl(RESET_KEYS, 64, 0, 0, 0), prctl(RESET_KEYS, 1, 1, 0, 0));
    for (int n = 0; n < 8; n++) equal += pacia1716(0x12340000 + n * 64, n) == before[n];
    printf("another key was made anew, this one not %d\n", equal == 8);
    prctl(RESET_KEYS, 1, 0, 0, 0), equal = 0;
    for (int n = 0; n < 8; n++) equal += pacia1716(0x12340000 + n * 64, n) == before[n];
    printf("this one was %d\n", equal < 8);
    if (prctl(GET_ENABLED, 0, 0, 0, 0) >= 0) { /* since Linux 5.13 */
        printf("enabled %d %d", prctl(GET_ENABLED, 0, 0, 0, 0), prctl(SET_ENABLED, 5, 4, 0, 0));
        printf(" %d, then", prctl(GET_ENABLED, 0, 0, 0, 0));
        printf(" ia does nothing %d, ib does %d", pacia1716(0x12340000, 1) == 0x12340000,
               pacib1716(0x12340000, 1) + pacib1716(0x12340000, 2) != 0x24680000);
        printf(", wrong %d %d\n", prctl(SET_ENABLED, 1, 3, 0, 0), prctl(SET_ENABLED, 16, 0, 0, 0));
        prctl(SET_ENABLED, 15, 15, 0, 0);
    }
    char text[8][20], *words[12] = {argv[0], "again"};
    for (int n = 0; n < 8; n++) {
        snprintf(text[n], sizeof text[n], "%lx", (long)pacia1716(0x12340000 + n * 64, n));
        words[2 + n] = text[n];
    }
    execv("/proc/self/exe", words);
    return 1;
}
