/* faults TURNS GROUP [FRAGMENT [WHERE]]: runs code that faults, and writes what its handler was told, as records.

Each scenario is a fragment of fragments.S and a place for its bad pointer. Before it counts, the fragment makes
TURNS turns with good pointers only, so that a compiler finds it hot. See test_faults.py for the records, and for what
the other commands are for. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096UL
#define ARENA 0x1000000000UL
/* Its pages; what is not named is not mapped. */
#define RW ARENA                      /* two of them */
#define HOLE (ARENA + 2 * PAGE)
#define RO (ARENA + 3 * PAGE)
#define NONE (ARENA + 4 * PAGE)
#define CODE (ARENA + 5 * PAGE)       /* executable; its last instruction is a c.nop */
#define AFTER (ARENA + 6 * PAGE)
#define HALF (ARENA + 7 * PAGE)       /* executable; ends in the middle of an instruction */
#define FILED (ARENA + 9 * PAGE)      /* a file of one page, */
#define PAST (ARENA + 10 * PAGE)      /* and what lies past its end */
#define XONLY (ARENA + 12 * PAGE)
#define WONLY (ARENA + 13 * PAGE)
#define HIGH (ARENA + 15 * PAGE)      /* writable, with nothing in front */
#define FLAG (ARENA + 18 * PAGE)      /* where a loop says that it has begun */
#define ARENA_PAGES 20
#define GOOD (RW + 0x800)
#define SPACE (1UL << 38)
#define OUTSIDE (SPACE + (1UL << 31)) /* where qemu has nothing either */

struct state { uint64_t x[32], f[32], fcsr; };
struct fragment { void *code; const char *name; };
struct home { uint64_t ra, sp, gp, tp, s[12], fs[12]; };

extern const struct fragment fragment_table[], fragment_table_end[];
extern char fragment_names[], fragment_names_end[], branch[], entering[];
extern char probe_ld[], probe_sb[], probe_amo[], probe_lr[], probe_fsd[], probe_jump[];
struct home home;
struct state after;
void enter(void);
void on_signal(int signo, siginfo_t *info, void *context);

/* -- records: a header, and as many bytes as it says */
static void record(char kind, const void *data, uint32_t size) {
    struct { char magic[3], kind; uint32_t size; } head = {{'F', 'L', 'T'}, kind, size};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, size}};
    if (writev(1, parts, 2) != (ssize_t)(sizeof head + size)) _exit(90);
}
static void text(char kind, const char *words) { record(kind, words, strlen(words)); }
static void value(uint64_t number) { record('V', &number, sizeof number); }

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000UL + time.tv_nsec;
}

/* -- the handler: tells everything, then does as planned */
enum plan { LEAP, SKIP, MEND, CHANGE, ROUND, AGAIN, NEST, BUS, INSIDE, STACK, QUIET };
static enum plan plan;
static int faults;
static struct state start;
static sigjmp_buf back;
static uint64_t told;

/* Not sigaction(): qemu 7.2 takes the word behind the mask, which C libraries leave as it is, for the mask. */
static void set(int signo, unsigned flags, void (*handler)(int, siginfo_t *, void *)) {
    uint64_t action[4] = {(uint64_t)handler, flags | SA_SIGINFO, 0, 0};
    if (syscall(SYS_rt_sigaction, signo, action, NULL, 8)) _exit(91);
}

static void *fresh(uint64_t at, int prot) {
    void *made = mmap((void *)at, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (made != (void *)at) _exit(92);
    return made;
}

static void tell(int signo, siginfo_t *info, ucontext_t *context) {
    struct { int32_t signo, error, code, depth; uint64_t address; struct state state; } fault = {
        signo, info->si_errno, info->si_code, faults, (uint64_t)info->si_addr, {{0}}};
    memcpy(fault.state.x, context->uc_mcontext.__gregs, sizeof fault.state.x);
    memcpy(fault.state.f, context->uc_mcontext.__fpregs.__d.__f, sizeof fault.state.f);
    fault.state.fcsr = context->uc_mcontext.__fpregs.__d.__fcsr;
    record('F', &fault, sizeof fault);
}

void handle(int signo, siginfo_t *info, void *data) {
    ucontext_t *context = data;
    uint64_t *x = context->uc_mcontext.__gregs, address = (uint64_t)info->si_addr;
    if ((char *)x[0] == entering) { /* the way into a fragment */
        memcpy(x, start.x, sizeof start.x);
        memcpy(context->uc_mcontext.__fpregs.__d.__f, start.f, sizeof start.f);
        context->uc_mcontext.__fpregs.__d.__fcsr = 0;
        return;
    }
    if (signo == SIGALRM || signo == SIGINT) {
        told = now();
        siglongjmp(back, 1);
    }
    faults++;
    if (plan == QUIET) { /* the command "probe" */
        int jumped = x[0] == (x[13] & ~1UL); /* nothing of ours lies where these addresses are */
        uint64_t wanted = jumped ? x[0] : (char *)x[0] == probe_amo || (char *)x[0] == probe_lr ? x[14] : x[13];
        if (address != wanted || signo != SIGSEGV) value(x[0]), value(address), value(x[13]);
        x[0] = jumped ? x[1] : x[0] + 4;
        return;
    }
    tell(signo, info, context);
    switch (plan) {
    case SKIP:
        x[0] += (*(uint16_t *)x[0] & 3) == 3 ? 4 : 2;
        return;
    case MEND:
        if (faults > 2) _exit(93);
        if ((address & -PAGE) == HOLE && x[0] == HOLE) {
            *(uint32_t *)fresh(HOLE, PROT_READ | PROT_WRITE) = 0x00008067; /* ret */
            mprotect((void *)HOLE, PAGE, PROT_READ | PROT_EXEC);
            __asm__ volatile("fence.i");
        } else if (mprotect((void *)(address & -PAGE), PAGE, PROT_READ | PROT_WRITE))
            *(uint64_t *)(uintptr_t)(8 + (char *)fresh(address & -PAGE, PROT_READ | PROT_WRITE)) = 0x4008000000000000;
        return;
    case CHANGE:
    case ROUND: /* the pointer, and others that a compiler may have thought constant */
        x[13] = GOOD + 64;
        x[5] += 1000, x[11] = GOOD + 128, x[31] = 31;
        context->uc_mcontext.__fpregs.__d.__f[2] = 0x4059000000000000;
        context->uc_mcontext.__fpregs.__d.__fcsr = plan == CHANGE ? 0x11 : 0x51;
        return;
    case AGAIN: /* nothing is done about it, twice */
        if (faults < 3) return;
        siglongjmp(back, 1);
    case NEST: /* a fault of the handler's own, with the signal open */
        if (faults == 1) {
            after.x[31] = *(volatile uint64_t *)(NONE + 24);
            x[0] += 4;
        } else if (faults == 2)
            fresh(NONE, PROT_READ | PROT_WRITE); /* and it goes on */
        else
            _exit(94);
        return;
    case BUS: /* another signal inside */
        if (faults == 1) after.x[31] = *(volatile uint64_t *)(PAST + 40);
        x[0] += (*(uint16_t *)x[0] & 3) == 3 ? 4 : 2;
        return;
    case INSIDE: /* and the signal is blocked */
        after.x[31] = *(volatile uint64_t *)(NONE + 24);
        _exit(95);
    case STACK: /* the frame is right below the stack pointer, on a boundary of 16 */
        value((x[2] - (uint64_t)info) / 2048 * 16 + (uint64_t)info % 16);
        siglongjmp(back, 1);
    default:
        siglongjmp(back, 1);
    }
}

/* -- memory as every scenario finds it */
static int content = -1, one_page = -1, zeros = -1, scratch = -1;

static void create(void) {
    static uint64_t words[2 * PAGE / 8];
    for (unsigned i = 0; i < 2 * PAGE / 8; i++) words[i] = 0x3ff0000000000000 + ((uint64_t)i << 32) + i;
    content = memfd_create("content", 0);
    one_page = memfd_create("one page", 0);
    scratch = memfd_create("scratch", 0);
    zeros = open("/dev/zero", O_RDWR);
    if (write(content, words, sizeof words) != sizeof words || write(one_page, words, PAGE) != PAGE || zeros < 0)
        _exit(96);
}

static void fill(uint64_t at, uint64_t size) {
    if (pread(content, (void *)at, size, 0) != (ssize_t)size) _exit(97);
}

/* What a warm-up may have written. */
static void renew(void) {
    struct iovec *parts = (void *)(GOOD + 256);
    fill(RW, 2 * PAGE), fill(HIGH, PAGE);
    parts[0] = (struct iovec){(void *)GOOD, 8}, parts[1] = (struct iovec){(void *)(HOLE + 16), 8};
}

static void pages(void) {
    munmap((void *)(ARENA - PAGE), (ARENA_PAGES + 1) * PAGE);
    fresh(RW, PROT_READ | PROT_WRITE), fresh(RW + PAGE, PROT_READ | PROT_WRITE);
    fresh(RO, PROT_READ | PROT_WRITE), fresh(NONE, PROT_READ | PROT_WRITE), fresh(HIGH, PROT_READ | PROT_WRITE);
    fresh(FLAG, PROT_READ | PROT_WRITE);
    fresh(WONLY, PROT_WRITE);
    renew(), fill(RO, PAGE), fill(NONE, PAGE);
    mprotect((void *)RO, PAGE, PROT_READ), mprotect((void *)NONE, PAGE, PROT_NONE);
    for (int i = 0; i < 3; i++) {
        uint64_t at = i == 0 ? CODE : i == 1 ? HALF : XONLY;
        fresh(at, PROT_READ | PROT_WRITE);
        *(uint32_t *)at = 0x00008067, *(uint32_t *)(at + 64) = 0x0000006f; /* ret; j . */
        *(uint16_t *)(at + PAGE - 2) = at == HALF ? 0x0013 : 0x0001; /* half of a nop; c.nop */
        if (at == CODE) memcpy((void *)(at + PAGE - 128), branch, 32);
        mprotect((void *)at, PAGE, at == XONLY ? PROT_EXEC : PROT_READ | PROT_EXEC);
    }
    __asm__ volatile("fence.i");
    if (mmap((void *)FILED, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, one_page, 0) == MAP_FAILED) _exit(98);
}

/* -- scenarios */
struct where { const char *name; uint64_t bad; enum plan plan; };
struct scenario { const char *fragment; const struct where *wheres; uint64_t good; int turns; };
#define EVERY(...) (const struct where[]){__VA_ARGS__, {0}}
#define TURNS 20

static const struct where hole[] = {{"hole", HOLE + 8}, {"outside", OUTSIDE}, {0}};
static const struct where to_store[] = {{"hole", HOLE + 8}, {"read-only", RO + 16}, {"outside", OUTSIDE}, {0}};
static const struct where compressed[] = {{"hole", HOLE}, {"outside", OUTSIDE}, {0}};
static const struct where plain[] = {{"hole", HOLE + 8}, {0}};
static const struct where here[] = {{"hole", 0}, {0}};
static const struct where conditional[] = {{"hole", HOLE + 8}, {"read-only", RO + 16}, {0}};
#define WILD \
    {"0", 0}, {"8", 8}, {"page 15", 0xfff8}, {"2^38-8", SPACE - 8}, {"2^38", SPACE}, {"2^38+2^31", SPACE + (1UL << 31)}, \
    {"2^39", 1UL << 39}, {"2^46", 1UL << 46}, {"2^47-8", (1UL << 47) - 8}, {"2^47", 1UL << 47}, \
    {"0x555555554000", 0x555555554000}, {"0x7ffff7ff0000", 0x7ffff7ff0000}, {"2^62", 1UL << 62}, {"2^63-8", (1UL << 63) - 8}, \
    {"2^63", 1UL << 63}, {"-2^32", -(1UL << 32)}, {"-2^31", -(1UL << 31)}, {"-4096", -4096UL}, {"-8", -8UL}
#define UNEVEN {"straddling", HOLE - 1}, {"straddling from below", HIGH - 1}, {"straddling into read-only", HOLE + PAGE - 1}, \
    {"straddling a file's end", PAST - 1}, {"-1", -1UL}, {"2^38-1", SPACE - 1}
static const struct where anywhere[] = {WILD, {"no rights", NONE + 8}, {"past the end", PAST + 8}, {0}};
static const struct where uneven[] = {UNEVEN, {0}};
static const struct where misaligned[] = {{"misaligned", GOOD + 1}, {"misaligned in a hole", HOLE + 1}, {"misaligned outside", OUTSIDE + 1}, {0}};

static const struct scenario ops[] = {
    {"lb", hole}, {"lbu", hole}, {"lh", hole}, {"lhu", hole}, {"lw", hole}, {"lwu", hole}, {"ld", hole},
    {"ld itself", hole}, {"ld x0", hole}, {"flw", hole}, {"fld", hole}, {"flh", hole}, {"lr.w", hole}, {"lr.d", hole},
    {"sb", to_store}, {"sh", to_store}, {"sw", to_store}, {"sd", to_store}, {"sd x0", to_store}, {"fsw", to_store},
    {"fsd", to_store}, {"fsh", to_store}, {"amoswap.w", to_store}, {"amoadd.d", to_store}, {"amoadd.d itself", to_store},
    {"amoadd.w x0", to_store}, {"amoxor.w", to_store}, {"amoand.d", to_store}, {"amoor.w", to_store}, {"amomin.d", to_store},
    {"amomax.w", to_store}, {"amominu.d", to_store}, {"amomaxu.w", to_store}, {"c.lw", compressed}, {"c.ld", compressed},
    {"c.fld", compressed}, {"c.sw", compressed}, {"c.sd", compressed}, {"c.fsd", compressed}, {"c.lwsp", compressed},
    {"c.ldsp", compressed}, {"c.fldsp", compressed}, {"c.swsp", compressed}, {"c.sdsp", compressed}, {"c.fsdsp", compressed},
    {"sc.w", conditional}, {"sc.d", conditional}, {"sc elsewhere", plain}, {"ld", EVERY({"write-only", WONLY + 8}, {"executable", CODE})}, {0}};
static const struct scenario secret[] = {{"ld", EVERY({"only executable", XONLY + 8})}, {0}};

static const struct scenario wild[] = {
    {"ld", anywhere}, {"sd", anywhere}, {"amoadd.d", anywhere}, {"fld", anywhere}, {"lr.d", anywhere}, {"c.ldsp", anywhere},
    {"ld+2047", EVERY(WILD, {"-2047", -2047UL}, {"2^38-2047", SPACE - 2047}, {"2^38-2048", SPACE - 2048})},
    {"ld-2048", EVERY(WILD, {"2048", 2048}, {"2047", 2047}, {"2^38+2040", SPACE + 2040})},
    {"sd+2047", EVERY(WILD, {"-2047", -2047UL}, {"2^38-2047", SPACE - 2047}, {"2^38-2048", SPACE - 2048})},
    {"ld", uneven}, {"sd", uneven}, {"lw", uneven}, {"sh", uneven}, {"fld", uneven}, {"fsw", uneven}, {"lb", uneven},
    {"lr.d", misaligned}, {"sc.w", misaligned}, {"amoadd.d", misaligned}, {"amoswap.w", misaligned}, {0}};

static const struct where landings[] = {
    WILD, {"hole", HOLE}, {"odd", HOLE + 1}, {"no rights", NONE}, {"data", RW}, {"read-only", RO + 4}, {"past the end", PAST},
    {"half an instruction", HALF + PAGE - 2}, {"the end of a page", CODE + PAGE - 2}, {"-2", -2UL}, {"-1", -1UL},
    {"2^38-2", SPACE - 2}, {0}};
static const struct where few[] = {{"0", 0}, {"hole", HOLE + 2}, {"outside", OUTSIDE}, {"2^63", 1UL << 63}, {"data", RW + 8}, {0}};
static const struct scenario jumps[] = {
    {"jalr", landings}, {"jr", landings}, {"jr+2047", few}, {"jalr itself", few}, {"ret", few}, {"jalr t0", few},
    {"c.jr", few}, {"c.jalr", few}, {"a branch", EVERY({"behind a page", 0}), CODE + PAGE - 128},
    {"a jump", EVERY({"data", 0})}, {"a call", EVERY({"data", 0})},
    {"ebreak", here}, {"c.ebreak", here}, {"illegal", here}, {"c.illegal", here}, {"zeros", here}, {"all ones", here},
    {"mret", here}, {"csrr mstatus", here}, {"csrw cycle", here}, {"reserved rounding", here}, {0}};

static const struct scenario flow[] = {
    {"ld", EVERY({"first turn", HOLE + 8}), 0, -1}, {"sd", EVERY({"first turn", RO + 8}), 0, -1},
    {"amoadd.d", EVERY({"first turn, outside", OUTSIDE}), 0, -1}, {"ld", EVERY({"after long", HOLE + 8}), 0, 6000},
    {"sd", EVERY({"after long, outside", OUTSIDE + 8}), 0, 6000},
    {"at the head", conditional}, {"at the end", conditional}, {"first of three", hole},
    {"second of three", conditional}, {"third of three", conditional}, {"walk by 1", here, HOLE - 3000, 90000},
    {"walk by 8", here, RW, 90000}, {"walk by 8", EVERY({"straddling", 0}), RW + 4, 90000},
    {"walk by 8, storing", here, RW, 90000}, {"walk by 8, storing", EVERY({"straddling", 0}), RW + 5, 90000},
    {"walk by 8, floating", here, RW + 8, 90000}, {"walk down", here, HOLE - 8, 90000}, {"walk down, storing", here, HOLE - 16, 90000},
    {"walk by 2000", here, RW, 90000}, {"walk by an atomic", here, RW, 90000}, {"unrolled", here, RW + 16, 90000},
    {"unrolled", EVERY({"at the second", 0}), RW + 24, 90000}, {"unrolled copy", EVERY({"source ends", HIGH}), RW + 4096 + 8, 90000},
    {"unrolled copy", EVERY({"destination ends", RW + 4096 + 24}), RW, 90000}, {"a string's end", here, RW, 90000},
    {"a callee", conditional}, {"a callee's callee", conditional}, {"a callee by pointer", conditional}, {"a tail call", conditional},
    {"one callee of two", conditional}, {"recursion", here, RW + 0x400, 90000}, {"dirty on one way", conditional},
    {"dirty on one way", EVERY({"the other", HOLE + 8}), 0, TURNS + 1}, {"saved on one way", conditional},
    {"an inner loop", conditional}, {"a switch", conditional}, {"after a call of the system", conditional},
    {"between fences", conditional}, {"values that move", conditional}, {"constants", conditional}, {"dead values", conditional},
    {0}};

static const struct scenario floats[] = {
    {"flags before", hole}, {"flags behind", hole}, {"a NaN", hole}, {"a NaN that stays", to_store}, {"a small NaN", to_store}, {"sums", hole},
    {"flags are read", to_store}, {0}};
/* From the first of these on, regions take no rounding mode for granted. */
static const struct scenario rounding[] = {
    {"rounding up", hole}, {"rounding changes", hole}, {"sums", hole}, {"flags behind", hole}, {"ld", hole},
    {"rounding up", EVERY({"mended", HOLE + 8, MEND}, {"skipped", HOLE + 8, SKIP}, {"changed", RO + 8, ROUND})}, {0}};

static const struct where fixes[] = {{"mended", HOLE + 8, MEND}, {"mended, no rights", NONE + 16, MEND}, {"skipped", HOLE + 8, SKIP},
    {"skipped outside", OUTSIDE, SKIP}, {"changed", HOLE + 8, CHANGE}, {"changed outside", -8UL, CHANGE}, {"again", HOLE + 8, AGAIN},
    {"nested", HOLE + 8, NEST}, {"another inside", HOLE + 8, BUS}, {0}};
static const struct where fix[] = {{"mended", HOLE + 8, MEND}, {"skipped", HOLE + 8, SKIP}, {"changed", RO + 8, CHANGE}, {0}};
static const struct scenario handlers[] = {
    {"ld", fixes}, {"sd", fixes}, {"amoadd.d", fixes}, {"fld", fix}, {"fsd", fix}, {"lr.d", fix}, {"c.ldsp", fix}, {"sc.d", EVERY({"mended", RO + 8, MEND})},
    {"third of three", EVERY({"mended", HOLE + 8, MEND}, {"skipped", HOLE + 8, SKIP}, {"changed", RO + 8, CHANGE}, {"told on its own stack", HOLE + 8, STACK})}, {"a callee", fix}, {"a callee's callee", fix}, {"sums", fix}, {"a NaN", fix}, {"flags are read", fix},
    {"walk by 8", EVERY({"mended", 0, MEND}), RW + PAGE, 1000}, {"walk by 8", EVERY({"mended, straddling", 0, MEND}), RW + PAGE + 4, 1000},
    {"walk by 8, storing", EVERY({"mended, straddling", 0, MEND}), RW + PAGE + 3, 1000},
    {"jalr", EVERY({"mended", HOLE, MEND})}, {"jr", EVERY({"again", HOLE, AGAIN})}, {"ebreak", EVERY({"skipped", 0, SKIP})},
    {"illegal", EVERY({"skipped", 0, SKIP})}, {"c.illegal", EVERY({"skipped", 0, SKIP})}, {"dead values", fix}, {0}};

static const struct where pointers[] = {{"hole", HOLE + 8}, {"read-only", RO + 8}, {"no rights", NONE}, {"0", 0},
    {"2^38-4", SPACE - 4}, {"2^38", SPACE}, {"2^47", 1UL << 47}, {"2^63", 1UL << 63}, {"-8", -8UL}, {0}};
static const struct scenario calls[] = {
    {"read", pointers}, {"read, straddling", EVERY({"hole", HOLE - 8})}, {"pread64", pointers}, {"pwrite64", pointers},
    {"openat", pointers}, {"rt_sigprocmask", pointers}, {"nanosleep", pointers}, {"clock_getres", pointers},
    {"readv", EVERY({"hole", HOLE}, {"2^63", 1UL << 63}, {"a part", GOOD + 256 + 16}), GOOD + 256}, {"getrlimit", EVERY({"hole", HOLE + 8}, {"0", 0})}, {"getitimer", pointers}, {"futex", pointers}, {0}};

/* What another thread does meanwhile. */
struct outside { const char *fragment, *name; uint64_t good, bad; void (*act)(void); };
static void unmap_it(void) { munmap((void *)RW, PAGE); }
static void hide_it(void) { mprotect((void *)RW, PAGE, PROT_NONE); }
static void protect_it(void) { mprotect((void *)RW, PAGE, PROT_READ); }
static void replace_it(void) { fresh(RW, PROT_NONE); }
static void move_it(void) { if (mremap((void *)RW, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)AFTER) == MAP_FAILED) _exit(99); }
static void shorten_it(void) { if (ftruncate(one_page, 0)) _exit(99); }
static void unmap_high(void) { munmap((void *)HIGH, PAGE); }
static void unmap_code(void) { munmap((void *)CODE, PAGE); }
static void unmap_xonly(void) { munmap((void *)XONLY, PAGE); }
static void hide_code(void) { mprotect((void *)CODE, PAGE, PROT_READ); }
static const struct outside others[] = {
    {"spinning on ld", "munmap", RW, 0, unmap_it}, {"spinning on ld", "mprotect to nothing", RW, 0, hide_it},
    {"spinning on ld", "mmap over it", RW, 0, replace_it}, {"spinning on ld", "mremap", RW, 0, move_it},
    {"spinning on ld", "ftruncate", FILED, 0, shorten_it}, {"spinning on sd", "munmap", RW + 8, 0, unmap_it},
    {"spinning on sd", "mprotect to read-only", RW, 0, protect_it}, {"spinning on sd", "ftruncate", FILED, 0, shorten_it},
    {"spinning on fld", "munmap", RW + 8, 0, unmap_it}, {"spinning on an atomic", "munmap", RW, 0, unmap_it},
    {"spinning on an atomic", "mprotect to read-only", RW, 0, protect_it}, {"spinning on two", "munmap of one", RW, HIGH, unmap_high},
    {"spinning on two", "munmap of the other", RW, HIGH, unmap_it}, {"spinning on a call", "munmap", CODE, 0, unmap_code},
    {"spinning on a call", "mprotect to read-only", CODE, 0, hide_code}, {"spinning elsewhere", "munmap", CODE + 64, 0, unmap_code},
    {"spinning elsewhere", "mprotect to read-only", CODE + 64, 0, hide_code},
    {"spinning elsewhere", "munmap of what can only be executed", XONLY + 64, 0, unmap_xonly}, {0}};

static const struct { const char *name; const struct scenario *scenarios; } groups[] = {
    {"ops", ops}, {"wild", wild}, {"jumps", jumps}, {"flow", flow}, {"floats", floats}, {"handlers", handlers}, {"calls", calls},
    {"rounding", rounding}, {"secret", secret}};

/* -- running them */
static long rounds;

static void *code_of(const char *name) {
    static const struct fragment *at; /* the tables are in about the same order */
    const struct fragment *first = at ? at : fragment_table, *f = first;
    do {
        if (f->name == name || !strcmp(f->name, name)) return (at = f)->code;
        if (++f == fragment_table_end) f = fragment_table;
    } while (f != first);
    text('X', name);
    _exit(100);
}

/* last: 0 for what counts, 1 for a call that ends before anything goes wrong. */
static void run(const char *fragment, uint64_t good, uint64_t bad, int64_t turns, int last) {
    for (int i = 1; i < 32; i++) start.x[i] = 0x0101010101010101 * i;
    for (int i = 0; i < 32; i++) start.f[i] = 0x4000000000000000 + ((uint64_t)i << 48);
    start.x[10] = good, start.x[11] = bad, start.x[12] = turns, start.x[15] = last;
    start.x[13] = strncmp(fragment, "pwrite", 6) ? zeros : scratch;
    if (plan == STACK) start.x[2] = HOLE;
    start.x[0] = (uint64_t)code_of(fragment);
    enter();
}

static void warm(const struct scenario *s) {
    const char *name = s->fragment;
    uint64_t good = s->good ? s->good : GOOD, bad = GOOD;
    int turns = rounds;
    if (!strncmp(name, "walk", 4) || !strncmp(name, "unrolled", 8) || !strncmp(name, "a string", 8)) {
        good = strncmp(name, "walk down", 9) ? RW : HOLE - 64, bad = RW + PAGE;
        turns = strcmp(name, "walk by 2000") ? 100 : 3;
    } else if (!strcmp(name, "recursion"))
        good = HOLE, turns = 100;
    for (long done = 0; done < rounds; done += (turns + 1) / 2) run(name, good, bad, turns, 1);
}

static void go(const struct scenario *s, const struct where *where) {
    run(s->fragment, s->good ? s->good : GOOD, where->bad, s->turns == -1 ? 0 : s->turns ? s->turns : TURNS, 0);
}

static void one(const struct scenario *s, const struct where *where) {
    text('B', s->fragment), text('W', where->name);
    pages();
    plan = LEAP;
    if (rounds) warm(s), renew();
    plan = where->plan, faults = 0;
    set(SIGSEGV, (plan == STACK ? 0 : SA_ONSTACK) | (plan == NEST ? SA_NODEFER : 0), on_signal);
    if (!sigsetjmp(back, 1)) {
        go(s, where);
        record('A', &after, sizeof after);
    }
    if (plan != STACK) record('M', (void *)RW, 2 * PAGE);
}

static pthread_barrier_t ready;
static void *acts(void *argument) {
    const struct outside *what = argument;
    pthread_barrier_wait(&ready);
    while (!*(volatile uint64_t *)FLAG) usleep(1000);
    usleep(30000); /* so that the loop is in compiled code by then */
    what->act();
    return NULL;
}

static void by_another(const struct outside *what) {
    pthread_t thread;
    text('B', what->fragment), text('W', what->name);
    pages();
    plan = LEAP, faults = 0;
    pthread_create(&thread, NULL, acts, (void *)what);
    pthread_barrier_wait(&ready);
    if (!sigsetjmp(back, 1)) run(what->fragment, what->good, what->bad, 1, 0);
    pthread_join(thread, NULL);
    if (ftruncate(one_page, PAGE)) _exit(99);
}

static void alternate(void) {
    static __thread char stack[65536];
    stack_t given = {.ss_sp = stack, .ss_size = sizeof stack};
    if (sigaltstack(&given, NULL)) _exit(91);
}

static void listen(void) {
    alternate();
    for (const int *signo = (const int[]){SIGSEGV, SIGBUS, SIGILL, SIGTRAP, 0}; *signo; signo++)
        set(*signo, SA_ONSTACK, on_signal);
}

static const struct scenario *find(const char *fragment, const char *where, const struct where **found) {
    for (unsigned g = 0; g < sizeof groups / sizeof *groups; g++)
        for (const struct scenario *s = groups[g].scenarios; s->fragment; s++)
            for (*found = s->wheres; (*found)->name; ++*found)
                if (!strcmp(s->fragment, fragment) && !strcmp((*found)->name, where)) return s;
    _exit(101);
}

static void *in_a_thread(void *argument) {
    alternate();
    one(((void **)argument)[0], ((void **)argument)[1]);
    return NULL;
}

/* -- ends of the process */
static void die(const char *how, const struct scenario *s, const struct where *where) {
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    sigset_t all;
    pages();
    if (!strcmp(how, "ignored")) sigaction(SIGSEGV, &ignored, NULL);
    else if (!strcmp(how, "another handled")) set(SIGILL, SA_ONSTACK, on_signal);
    else if (strcmp(how, "no handler")) listen();
    if (!strcmp(how, "blocked")) sigfillset(&all), sigdelset(&all, SIGTRAP), sigprocmask(SIG_BLOCK, &all, NULL);
    if (!strcmp(how, "reset")) set(SIGSEGV, SA_ONSTACK | SA_RESETHAND, on_signal);
    if (!strcmp(how, "no stack")) set(SIGSEGV, 0, on_signal);
    warm(s), renew();
    plan = !strcmp(how, "inside") ? INSIDE : AGAIN;
    text('B', s->fragment), text('W', where->name);
    go(s, where);
}

/* -- the handler comes only when compiled code that may be careless about registers is running */
static void late(const struct scenario *s, const struct where *where) {
    pages();
    warm(s), renew();
    listen();
    plan = LEAP;
    text('B', s->fragment), text('W', where->name);
    if (!sigsetjmp(back, 1)) go(s, where);
}

static void listen_and_unmap(void) { listen(), unmap_it(); }

/* -- endless loops */
static void endless(const char *kind, long count) {
    struct itimerval timer = {.it_value = {0, 3000}};
    int timed = !strcmp(kind, "alarm");
    run("ld", GOOD, GOOD, 1, 1); /* from now on a handler finds its way home */
    set(SIGALRM, SA_ONSTACK, on_signal), set(SIGINT, SA_ONSTACK, on_signal);
    for (volatile long i = 0; i < count; i++) {
        volatile uint64_t began = now();
        if (!sigsetjmp(back, 1)) {
            if (timed) setitimer(ITIMER_REAL, &timer, NULL);
            else text('R', "");
            run("endless", 0, 0, 0, 0);
        }
        value(timed ? told - began - 3000000 : told);
    }
}

/* -- every fragment of a group again and again, until somebody outside has seen that it is compiled and says so */
static int answered(void) {
    struct pollfd input = {0, POLLIN, 0};
    return poll(&input, 1, 0) == 1;
}

static void until_answered(const char *name, void (*once)(const void *), const void *argument) {
    char byte;
    text('B', name), text('R', "");
    do once(argument);
    while (!answered());
    if (read(0, &byte, 1) != 1) _exit(103);
}

static int among(const char *name, char **names) {
    char **at = names;
    while (*at && strcmp(*at, name)) at++;
    return *at || !*names;
}

static void once_warm(const void *scenario) { renew(), warm(scenario); }
static void once_spun(const void *what) {
    const struct outside *outside = what;
    struct itimerval timer = {.it_value = {0, 20000}};
    if (sigsetjmp(back, 1)) return;
    setitimer(ITIMER_REAL, &timer, NULL);
    run(outside->fragment, outside->good, outside->bad, 1, 0);
}

/* names: only these fragments, if there are any. */
static void compile(const char *group, char **names) {
    static const struct outside loop = {"endless", "", 0, 0, NULL};
    int all = !strcmp(group, "all");
    pages();
    run("ld", GOOD, GOOD, 1, 1); /* from now on a handler finds its way home */
    set(SIGALRM, SA_ONSTACK, on_signal);
    for (unsigned g = 0; g < sizeof groups / sizeof *groups; g++)
        for (const struct scenario *s = groups[g].scenarios; s->fragment; s++)
            if (all ? groups[g].scenarios != rounding && groups[g].scenarios != secret : !strcmp(group, groups[g].name))
                if (among(s->fragment, names)) until_answered(s->fragment, once_warm, s);
    for (const struct outside *what = others; all && what->fragment; what++)
        if (among(what->fragment, names)) until_answered(what->fragment, once_spun, what);
    if (all) until_answered("endless", once_spun, &loop);
}

/* -- addresses that only somebody outside knows: a count, and so many of them, from standard input */
static uint64_t addresses[8192];
static long receive(void) {
    uint64_t wanted = 0, size = 0;
    if (read(0, &wanted, 8) != 8 || wanted > 8192) _exit(102);
    while (size < wanted * 8) {
        long got = read(0, (char *)addresses + size, wanted * 8 - size);
        if (got <= 0) _exit(102);
        size += got;
    }
    return wanted;
}

static void probe(void) {
    long count = receive();
    plan = QUIET;
    for (int i = 0; i < 3; i++) run("probe", (uint64_t)addresses, 0, count, 0);
    uint64_t total = faults;
    record('P', &total, sizeof total);
}

/* Without a handler. */
static void touch(const char *fragment) {
    struct scenario s = {fragment, hole, 0, 0};
    pages(), warm(&s);
    text('R', ""), receive();
    run(fragment, GOOD, addresses[0], TURNS, 0);
}

int main(int argc, char **argv) {
    const char *command = argc > 2 ? argv[2] : "", *first = argc > 3 ? argv[3] : NULL;
    const char *second = argc > 4 ? argv[4] : NULL, *third = argc > 5 ? argv[5] : NULL;
    const struct where *where = NULL;
    const struct scenario *s;
    rounds = argc > 1 ? atol(argv[1]) : 0;
    record('T', fragment_table, (char *)fragment_table_end - (char *)fragment_table);
    record('S', fragment_names, fragment_names_end - fragment_names);
    create();
    pthread_barrier_init(&ready, NULL, 2);
    alternate(), set(SIGTRAP, SA_ONSTACK, on_signal); /* which is no reason to be careful about registers at a fault */
    if (!strcmp(command, "die")) return s = find(second, third, &where), die(first, s, where), 0;
    if (!strcmp(command, "touch")) return touch(first), 0;
    if (!strcmp(command, "late")) return s = find(first, second, &where), late(s, where), 0;
    if (!strcmp(command, "late, by another")) {
        static const struct outside what = {"spinning on ld", "munmap by who installs the handler", RW, 0, listen_and_unmap};
        return by_another(&what), 0;
    }
    if (strcmp(command, "endless") && !(second && !strcmp(second, "fast"))) listen();
    if (!strcmp(command, "fill")) return compile(first, argv + 4 + (second && !strcmp(second, "fast"))), 0;
    if (!strcmp(command, "endless") || !strcmp(command, "endless, precise")) pages(), endless(first, atol(second));
    if (!strcmp(command, "probe")) pages(), text('R', ""), probe();
    if (!strcmp(command, "thread")) {
        pthread_t thread;
        void *both[2];
        s = find(first, second, &where);
        both[0] = (void *)s, both[1] = (void *)where;
        pthread_create(&thread, NULL, in_a_thread, both), pthread_join(thread, NULL);
    }
    if (!strcmp(command, "fork")) {
        int status = 0;
        s = find(first, second, &where);
        one(s, where);
        if (!fork()) one(s, where), _exit(0);
        wait(&status);
        one(s, where);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    const char *words = getenv("EVERY"); /* "N M": of every N only the one with number M */
    int every = words ? atoi(words) : 1, pick = words ? atoi(strchr(words, ' ')) : 0, number = 0;
    for (unsigned g = 0; g < sizeof groups / sizeof *groups; g++)
        for (s = groups[g].scenarios; s->fragment && !strcmp(command, groups[g].name); s++)
            for (where = s->wheres; where->name; where++)
                if ((!first || !strcmp(first, s->fragment)) && (!second || !strcmp(second, where->name)) && number++ % every == pick)
                    one(s, where);
    number = 0;
    for (const struct outside *what = others; what->fragment; what++)
        if (!strcmp(command, "others") && (!first || !strcmp(first, what->fragment)) &&
            (!second || !strcmp(second, what->name)) && number++ % every == pick)
            by_another(what);
    return 0;
}
