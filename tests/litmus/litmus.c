/* Litmus tests: small races on two to four threads, each thousands of times, and how often the outcome that the test is
   about was seen. "forbidden" outcomes must never be; "allowed" ones may, and a host that is weak enough shows them.

       litmus INSTANCES SEED [NAME]

   An instance has its variables in cache lines of its own. Its threads wait for each other before it, with some
   patience, and then a random moment more. Outcomes are those of the architectures' formal models (Arm: B2.3; RISC-V:
   chapter 17 and appendix A); names are as in the literature: what each thread has between its accesses. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 512, THREADS = 4, PATIENCE = 300, FIRST = 300000 };

struct instance {
    _Alignas(64) volatile uint32_t x;
    _Alignas(64) volatile uint32_t y;
    _Alignas(64) volatile uint32_t z;
};

/* What a thread found: its registers a and b. */
struct found {
    uint32_t a, b;
};

typedef void thread_code(struct instance *, struct found *);

/* -- The instructions: W writes a variable, R reads one to a register; then what orders them */
#if defined(__aarch64__)
#define SCRATCH "x9", "x10", "cc"
#define W(v, n) "mov w9, #" #n "\n str w9, [%[" #v "]]\n"
#define R(v, r) "ldr %w[" #r "], [%[" #v "]]\n"
#define W_REL(v, n) "mov w9, #" #n "\n stlr w9, [%[" #v "]]\n"
#define R_ACQ(v, r) "ldar %w[" #r "], [%[" #v "]]\n"
#define R_PC(v, r) ".arch_extension rcpc\n ldapr %w[" #r "], [%[" #v "]]\n"
#define FULL "dmb ish\n"
#define STORES "dmb ishst\n"
#define LOADS "dmb ishld\n"
#define R_ADDR(from, v, r) "eor w10, %w[" #from "], %w[" #from "]\n ldr %w[" #r "], [%[" #v "], w10, uxtw]\n"
#define W_DATA(from, v, n) "eor w10, %w[" #from "], %w[" #from "]\n add w9, w10, #" #n "\n str w9, [%[" #v "]]\n"
#define W_CTRL(from, v, n) "cbz %w[" #from "], 9f\n9: " W(v, n)
#define R_CTRL_ISB(from, v, r) "cbz %w[" #from "], 9f\n9: isb\n" R(v, r)
/* x + 1, and what x was; the store-exclusive may fail. */
#define ADD(v, r)                                                                                          \
    "1: ldxr %w[" #r "], [%[" #v "]]\n add w9, %w[" #r "], #1\n stxr w10, w9, [%[" #v "]]\n cbnz w10, 1b\n"
#define ADD_ACQ_REL(v, r)                                                                                  \
    "1: ldaxr %w[" #r "], [%[" #v "]]\n add w9, %w[" #r "], #1\n stlxr w10, w9, [%[" #v "]]\n cbnz w10, 1b\n"
#define TRY_ADD(v, r, failed)                                                                              \
    "ldxr %w[" #r "], [%[" #v "]]\n add w9, %w[" #r "], #1\n stxr %w[" #failed "], w9, [%[" #v "]]\n"
#define W_PLUS(from, v) "add w9, %w[" #from "], #1\n str w9, [%[" #v "]]\n"
#define LOCK "1: mov w10, #1\n ldaxr w9, [%[x]]\n cbnz w9, 1b\n stxr w9, w10, [%[x]]\n cbnz w9, 1b\n"
#define UNLOCK "stlr wzr, [%[x]]\n"
#elif defined(__riscv)
#define SCRATCH "t0", "t1"
#define W(v, n) "li t0, " #n "\n sw t0, 0(%[" #v "])\n"
#define R(v, r) "lw %[" #r "], 0(%[" #v "])\n"
#define W_REL(v, n) "fence rw, w\n" W(v, n)
#define R_ACQ(v, r) R(v, r) "fence r, rw\n"
#define FULL "fence rw, rw\n"
#define STORES "fence w, w\n"
#define LOADS "fence r, rw\n"
#define R_ADDR(from, v, r) "xor t1, %[" #from "], %[" #from "]\n add t1, t1, %[" #v "]\n lw %[" #r "], 0(t1)\n"
#define W_DATA(from, v, n) "xor t1, %[" #from "], %[" #from "]\n addi t0, t1, " #n "\n sw t0, 0(%[" #v "])\n"
#define W_CTRL(from, v, n) "beqz %[" #from "], 9f\n9: " W(v, n)
#define ADD(v, r)                                                                                          \
    "1: lr.w %[" #r "], (%[" #v "])\n addi t0, %[" #r "], 1\n sc.w t1, t0, (%[" #v "])\n bnez t1, 1b\n"
#define ADD_ACQ_REL(v, r)                                                                                  \
    "1: lr.w.aqrl %[" #r "], (%[" #v "])\n addi t0, %[" #r "], 1\n sc.w.rl t1, t0, (%[" #v "])\n bnez t1, 1b\n"
#define TRY_ADD(v, r, failed)                                                                              \
    "lr.w %[" #r "], (%[" #v "])\n addi t0, %[" #r "], 1\n sc.w %[" #failed "], t0, (%[" #v "])\n"
#define W_PLUS(from, v) "addi t0, %[" #from "], 1\n sw t0, 0(%[" #v "])\n"
#define LOCK "1: li t1, 1\n lr.w.aq t0, (%[x])\n bnez t0, 1b\n sc.w t0, t1, (%[x])\n bnez t0, 1b\n"
#define UNLOCK "fence rw, w\n sw zero, 0(%[x])\n"
#define AMO_ADD(v, r) "li t0, 1\n amoadd.w %[" #r "], t0, (%[" #v "])\n"
#define SWAP_REL(v, n) "li t0, " #n "\n amoswap.w.rl zero, t0, (%[" #v "])\n"
#define READ_AQ(v, r) "lr.w.aq %[" #r "], (%[" #v "])\n"
#endif

#define CODE(name, text)                                                                                   \
    static void name(struct instance *i, struct found *f) {                                               \
        uint32_t a = 0, b = 0;                                                                             \
        __asm__ volatile(text                                                                              \
                         : [a] "+&r"(a), [b] "+&r"(b)                                                      \
                         : [x] "r"(&i->x), [y] "r"(&i->y), [z] "r"(&i->z)                                  \
                         : SCRATCH, "memory");                                                       \
        f->a = a, f->b = b;                                                                                \
    }
/* -- The tests. The outcome is a question about p[thread] and the variables at the end. */
#define OUTCOME(name, question)                                                                            \
    static int name(const struct instance *i, const struct found *p) {                                    \
        uint32_t x = i->x, y = i->y, z = i->z;                                                             \
        (void)x, (void)y, (void)z, (void)p;                                                                \
        return question;                                                                                   \
    }

OUTCOME(store_buffering, p[0].a == 0 && p[1].a == 0)
#define SB(name, between0, between1)                                                                       \
    CODE(name##_0, W(x, 1) between0 R(y, a))                                                               \
    CODE(name##_1, W(y, 1) between1 R(x, a))
SB(sb, "", "")
SB(sb_full, FULL, FULL)
SB(sb_one, FULL, "")
SB(sb_stores, STORES, STORES)
CODE(sb_rel_0, W_REL(x, 1) R(y, a))
CODE(sb_rel_1, W_REL(y, 1) R(x, a))
#ifdef __aarch64__
CODE(sb_sc_0, W_REL(x, 1) R_ACQ(y, a)) /* RCsc: a release comes before a later acquire (B2.3.8) */
CODE(sb_sc_1, W_REL(y, 1) R_ACQ(x, a))
#endif

OUTCOME(message_passing, p[1].a == 1 && p[1].b == 0)
#define MP(name, between0, between1)                                                                       \
    CODE(name##_0, W(x, 1) between0 W(y, 1))                                                               \
    CODE(name##_1, R(y, a) between1 R(x, b))
MP(mp, "", "")
MP(mp_full, FULL, FULL)
MP(mp_half, STORES, LOADS)
CODE(mp_acq_0, W(x, 1) W_REL(y, 1))
CODE(mp_acq_1, R_ACQ(y, a) R(x, b))
CODE(mp_addr_0, W(x, 1) STORES W(y, 1))
CODE(mp_addr_1, R(y, a) R_ADDR(a, x, b))
#ifdef __aarch64__
CODE(mp_pc_1, R_PC(y, a) R(x, b))
CODE(mp_isb_1, R(y, a) R_CTRL_ISB(a, x, b))
#else
CODE(mp_amo_0, W(x, 1) SWAP_REL(y, 1))
CODE(mp_amo_1, READ_AQ(y, a) R(x, b))
#endif

OUTCOME(load_buffering, p[0].a == 1 && p[1].a == 1)
#define LB(name, between0, between1)                                                                       \
    CODE(name##_0, R(x, a) between0 W(y, 1))                                                               \
    CODE(name##_1, R(y, a) between1 W(x, 1))
LB(lb, "", "")
LB(lb_full, FULL, FULL)
LB(lb_loads, LOADS, LOADS)
CODE(lb_data_0, R(x, a) W_DATA(a, y, 1))
CODE(lb_data_1, R(y, a) W_DATA(a, x, 1))
CODE(lb_ctrl_0, R(x, a) W_CTRL(a, y, 1))
CODE(lb_ctrl_1, R(y, a) W_CTRL(a, x, 1))
CODE(lb_rel_0, R(x, a) W_REL(y, 1))
CODE(lb_rel_1, R(y, a) W_REL(x, 1))

OUTCOME(independent_reads, p[2].a == 1 && p[2].b == 0 && p[3].a == 1 && p[3].b == 0)
CODE(write_x, W(x, 1))
CODE(write_y, W(y, 1))
#define IRIW(name, between)                                                                                \
    CODE(name##_2, R(x, a) between R(y, b))                                                                \
    CODE(name##_3, R(y, a) between R(x, b))
IRIW(iriw, "")
IRIW(iriw_full, FULL)
IRIW(iriw_loads, LOADS)
CODE(iriw_addr_2, R(x, a) R_ADDR(a, y, b))
CODE(iriw_addr_3, R(y, a) R_ADDR(a, x, b))
CODE(iriw_acq_2, R_ACQ(x, a) R_ACQ(y, b))
CODE(iriw_acq_3, R_ACQ(y, a) R_ACQ(x, b))

OUTCOME(causality, p[1].a == 1 && p[2].a == 1 && p[2].b == 0) /* WRC */
CODE(wrc_1, R(x, a) W_DATA(a, y, 1))
CODE(wrc_2, R(y, a) R_ADDR(a, x, b))

/* 2+2W: both variables end with the first write of a thread. */
OUTCOME(two_writes, x == 1 && y == 1)
#define WW(name, between)                                                                                  \
    CODE(name##_0, W(x, 1) between W(y, 2))                                                                \
    CODE(name##_1, W(y, 1) between W(x, 2))
WW(ww, "")
WW(ww_full, FULL)
WW(ww_stores, STORES)

/* Coherence: one variable. */
OUTCOME(read_read, p[1].a == 1 && p[1].b == 0)
CODE(corr_1, R(x, a) R(x, b))
OUTCOME(write_write, x == 1)
CODE(coww_0, W(x, 1) W(x, 2))
CODE(nothing, "")
OUTCOME(read_write, p[0].a == 1 || (p[0].a == 2 && x == 2)) /* CoRW: what was read came before what is written */
CODE(corw_0, R(x, a) W(x, 1))
CODE(corw_1, W(x, 2))
OUTCOME(write_read, p[0].a == 0 || (p[0].a == 2 && x == 1)) /* CoWR: what is read is not older than the own write */
CODE(cowr_0, W(x, 1) R(x, a))
OUTCOME(read_read_twice, (p[2].a == 1 && p[2].b == 2 && p[3].a == 2 && p[3].b == 1))
CODE(write_1, W(x, 1))
CODE(write_2, W(x, 2))

/* Exclusives, and against plain stores: 1 + what was read is written only if nothing came between. */
OUTCOME(lost_add, x != 2)
CODE(add, ADD(x, a))
CODE(add_acq_rel, ADD_ACQ_REL(x, a))
OUTCOME(between, !(p[0].b == 0 ? (p[0].a == 0 ? x == 7 : x == 8) : x == 7))
CODE(try_add, TRY_ADD(x, a, b))
CODE(plain_7, W(x, 7))
OUTCOME(not_one_by_one, p[0].a == p[1].a)
OUTCOME(lost_in_lock, y != 2 || x != 0)
CODE(locked, LOCK R(y, a) W_PLUS(a, y) UNLOCK)
#ifdef __riscv
CODE(amo_add, AMO_ADD(x, a))
#endif

static const struct test {
    const char *name;
    int forbidden, threads;
    thread_code *code[THREADS];
    int (*outcome)(const struct instance *, const struct found *);
} tests[] = {
    {"SB", 0, 2, {sb_0, sb_1}, store_buffering},
    {"SB+full+po", 0, 2, {sb_one_0, sb_one_1}, store_buffering},
    {"SB+stores", 0, 2, {sb_stores_0, sb_stores_1}, store_buffering},
    {"SB+rel-po", 0, 2, {sb_rel_0, sb_rel_1}, store_buffering},
    {"SB+fulls", 1, 2, {sb_full_0, sb_full_1}, store_buffering},
#ifdef __aarch64__
    {"SB+rel-acqs", 1, 2, {sb_sc_0, sb_sc_1}, store_buffering},
#endif
    {"MP", 0, 2, {mp_0, mp_1}, message_passing},
    {"MP+fulls", 1, 2, {mp_full_0, mp_full_1}, message_passing},
    {"MP+stores+loads", 1, 2, {mp_half_0, mp_half_1}, message_passing},
    {"MP+rel+acq", 1, 2, {mp_acq_0, mp_acq_1}, message_passing},
    {"MP+stores+addr", 1, 2, {mp_addr_0, mp_addr_1}, message_passing},
#ifdef __aarch64__
    {"MP+rel+acqpc", 1, 2, {mp_acq_0, mp_pc_1}, message_passing},
    {"MP+stores+ctrlisb", 1, 2, {mp_addr_0, mp_isb_1}, message_passing},
#else
    {"MP+amo.rl+lr.aq", 1, 2, {mp_amo_0, mp_amo_1}, message_passing},
#endif
    {"LB", 0, 2, {lb_0, lb_1}, load_buffering},
    {"LB+fulls", 1, 2, {lb_full_0, lb_full_1}, load_buffering},
    {"LB+loads", 1, 2, {lb_loads_0, lb_loads_1}, load_buffering},
    {"LB+datas", 1, 2, {lb_data_0, lb_data_1}, load_buffering},
    {"LB+ctrls", 1, 2, {lb_ctrl_0, lb_ctrl_1}, load_buffering},
    {"LB+rels", 1, 2, {lb_rel_0, lb_rel_1}, load_buffering},
    {"IRIW", 0, 4, {write_x, write_y, iriw_2, iriw_3}, independent_reads},
    {"IRIW+fulls", 1, 4, {write_x, write_y, iriw_full_2, iriw_full_3}, independent_reads},
    {"IRIW+loads", 1, 4, {write_x, write_y, iriw_loads_2, iriw_loads_3}, independent_reads},
    {"IRIW+addrs", 1, 4, {write_x, write_y, iriw_addr_2, iriw_addr_3}, independent_reads},
    {"IRIW+acqs", 1, 4, {write_x, write_y, iriw_acq_2, iriw_acq_3}, independent_reads},
    {"WRC+data+addr", 1, 3, {write_x, wrc_1, wrc_2}, causality},
    {"2+2W", 0, 2, {ww_0, ww_1}, two_writes},
    {"2+2W+fulls", 1, 2, {ww_full_0, ww_full_1}, two_writes},
    {"2+2W+stores", 1, 2, {ww_stores_0, ww_stores_1}, two_writes},
    {"CoRR", 1, 2, {write_x, corr_1}, read_read},
    {"CoWW", 1, 2, {coww_0, nothing}, write_write},
    {"CoRW", 1, 2, {corw_0, corw_1}, read_write},
    {"CoWR", 1, 2, {cowr_0, write_2}, write_read},
    {"CoRR2", 1, 4, {write_1, write_2, corr_1, corr_1}, read_read_twice},
    {"exclusive adds", 1, 2, {add, add}, lost_add},
    {"exclusive adds, ordered", 1, 2, {add_acq_rel, add_acq_rel}, lost_add},
    {"exclusive adds, one by one", 1, 2, {add, add}, not_one_by_one},
    {"exclusive add + plain store", 1, 2, {try_add, plain_7}, between},
    {"exclusive lock", 1, 2, {locked, locked}, lost_in_lock},
#ifdef __riscv
    {"exclusive add + amoadd", 1, 2, {add, amo_add}, lost_add},
#endif
};

/* -- Running them */
static struct instance instances[BATCH];
static struct found found[BATCH][THREADS];
static _Atomic uint32_t arrived[BATCH][THREADS];
static const struct test *current;
static long batches;
static uint32_t seed;
static pthread_barrier_t begin, end;

static uint32_t next(uint32_t *state) { /* Marsaglia's xorshift */
    *state ^= *state << 13, *state ^= *state >> 17, *state ^= *state << 5;
    return *state;
}

/* Wait a little for the others, so that all begin at the same time where there are processors enough; longer for the
   first time, as they come from the kernel. */
static void meet(long n, int me, int threads) {
    atomic_store_explicit(&arrived[n][me], 1, memory_order_relaxed);
    for (int patience = n ? PATIENCE : FIRST; patience; patience--) {
        int here = 0;
        for (int t = 0; t < threads; t++) here += atomic_load_explicit(&arrived[n][t], memory_order_relaxed);
        if (here == threads) return;
    }
}

/* Take a processor of one's own, where there are enough: the kernel wakes threads that meet on the same one. */
static void settle(int me) {
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) || CPU_COUNT(&all) < 2) return;
    int place = me % CPU_COUNT(&all);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all) || place--) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

static void *run(void *number) {
    int me = (int)(long)number;
    settle(me);
    uint32_t state = (seed + 1) * 2654435761u + (uint32_t)me * 40503u + 1;
    for (long batch = 0; batch < batches; batch++) {
        pthread_barrier_wait(&begin);
        thread_code *code = current->code[me];
        for (long n = 0; n < BATCH; n++) {
            meet(n, me, current->threads);
            for (uint32_t wait = next(&state) & 7; wait; wait--) __asm__ volatile("");
            code(&instances[n], &found[n][me]);
        }
        pthread_barrier_wait(&end);
    }
    return NULL;
}

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 10000;
    seed = argc > 2 ? (uint32_t)atol(argv[2]) : 1;
    batches = (count + BATCH - 1) / BATCH;
    int bad = 0;
    for (unsigned t = 0; t < sizeof tests / sizeof *tests; t++) {
        current = &tests[t];
        if (argc > 3 && strcmp(argv[3], current->name)) continue;
        pthread_t threads[THREADS];
        pthread_barrier_init(&begin, NULL, (unsigned)current->threads + 1);
        pthread_barrier_init(&end, NULL, (unsigned)current->threads + 1);
        for (long n = 0; n < current->threads; n++) pthread_create(&threads[n], NULL, run, (void *)n);
        long seen = 0;
        for (long batch = 0; batch < batches; batch++) {
            memset(instances, 0, sizeof instances);
            memset(found, 0, sizeof found);
            memset(arrived, 0, sizeof arrived);
            pthread_barrier_wait(&begin);
            pthread_barrier_wait(&end);
            for (long n = 0; n < BATCH; n++) seen += current->outcome(&instances[n], found[n]);
        }
        for (long n = 0; n < current->threads; n++) pthread_join(threads[n], NULL);
        printf("%s: %ld of %ld, %s\n", current->name, seen, batches * BATCH,
               current->forbidden ? "forbidden" : "allowed");
        fflush(stdout);
        bad |= current->forbidden && seen;
    }
    return bad;
}
