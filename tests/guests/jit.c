// A small compiler in the guest, in several threads: `jit MODE THREADS ROUNDS TURNS`.
//   fresh    each round's code goes into memory that was never code, and is unmapped afterwards
//   rewrite  each thread writes its rounds over one another, in the same page
//   shared   one thread compiles, all threads call
// Each round makes a loop of random operations and runs it for TURNS; the same is interpreted, in C, and must agree.
// Built for another machine it only interprets: what it prints is the same.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OPS 12
#define MOST 64

typedef struct { int kind; uint32_t number; } Op;
typedef uint64_t Function(uint64_t, uint64_t);

static const char *mode;
static long rounds, turns, threads;
static uint64_t results[MOST];

static uint64_t next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void invent(Op *ops, uint64_t *seed) {
    for (int i = 0; i < OPS; i++) {
        ops[i].kind = next(seed) % 6;
        ops[i].number = next(seed) & 0x7FF;
    }
}

static uint64_t interpret(const Op *ops, uint64_t value, uint64_t left) {
    for (; left; left--)
        for (int i = 0; i < OPS; i++) switch (ops[i].kind) {
            case 0: value += ops[i].number; break;
            case 1: value += left; break;
            case 2: value ^= left; break;
            case 3: value ^= value << (ops[i].number & 31); break;
            case 4: value *= left | 1; break;
            case 5: value -= ops[i].number; break;
        }
    return value;
}

#ifdef __riscv
// a0 is the value, a1 what is left, t0 a temporary.
static uint32_t immediate(uint32_t op, int32_t number, int rs1, int rd) {
    return (uint32_t)number << 20 | rs1 << 15 | op << 12 | rd << 7 | 0x13;
}

static uint32_t both(uint32_t funct7, uint32_t op, int rs2, int rs1, int rd) {
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | op << 12 | rd << 7 | 0x33;
}

static size_t compile(const Op *ops, uint32_t *code) {
    enum { A0 = 10, A1 = 11, T0 = 5 };
    uint32_t *at = code;
    for (int i = 0; i < OPS; i++) switch (ops[i].kind) {
        case 0: *at++ = immediate(0, ops[i].number, A0, A0); break;
        case 1: *at++ = both(0, 0, A1, A0, A0); break;
        case 2: *at++ = both(0, 4, A1, A0, A0); break;
        case 3:
            *at++ = immediate(1, ops[i].number & 31, A0, T0);  // slli
            *at++ = both(0, 4, T0, A0, A0);
            break;
        case 4:
            *at++ = immediate(6, 1, A1, T0);  // ori
            *at++ = both(1, 0, T0, A0, A0);   // mul
            break;
        case 5: *at++ = immediate(0, -(int32_t)ops[i].number, A0, A0); break;
    }
    *at++ = immediate(0, -1, A1, A1);
    int32_t back = (int32_t)(code - at) * 4;
    *at = (uint32_t)(back >> 12 & 1) << 31 | (uint32_t)(back >> 5 & 63) << 25 | A1 << 15 | 1 << 12
        | (uint32_t)(back >> 1 & 15) << 8 | (uint32_t)(back >> 11 & 1) << 7 | 0x63;  // bnez a1, code
    at++;
    *at++ = 0x00008067;  // ret
    return (at - code) * 4;
}

static void *memory(void) {
    void *at = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) abort();
    return at;
}
#endif

static uint64_t call(const Op *ops, uint64_t value, void *code) {
#ifdef __riscv
    uint64_t found = ((Function *)code)(value, turns);
    if (found != interpret(ops, value, turns)) {
        printf("wrong: %llx\n", (unsigned long long)found);
        exit(1);
    }
    return found;
#else
    return interpret(ops, value, turns);
#endif
}

static void *work(void *argument) {
    long number = (long)argument;
    uint64_t seed = number, value = number;
    Op ops[OPS];
    void *code = 0;
    for (long round = 0; round < rounds; round++) {
        invent(ops, &seed);
#ifdef __riscv
        if (!code) code = memory();
        size_t size = compile(ops, code);
        if (round & 1)
            __asm__ volatile("fence.i" : : : "memory");  // enough for the thread itself
        else
            __builtin___clear_cache(code, (char *)code + size);
#endif
        value = call(ops, value, code);
#ifdef __riscv
        if (!strcmp(mode, "fresh")) {
            munmap(code, 4096);
            code = 0;
        }
#endif
    }
    results[number] = value;
    return 0;
}

static pthread_barrier_t before, after;
static Op common[OPS];
static void *shared;

static void *follow(void *argument) {
    long number = (long)argument;
    uint64_t seed = 1, value = number;
    for (long round = 0; round < rounds; round++) {
        if (number == 0) {
            invent(common, &seed);
#ifdef __riscv
            if (!shared) shared = memory();
            size_t size = compile(common, shared);
            __builtin___clear_cache(shared, (char *)shared + size);
#endif
        }
        pthread_barrier_wait(&before);
        value = call(common, value, shared);
        pthread_barrier_wait(&after);
    }
    results[number] = value;
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    mode = argv[1], threads = atol(argv[2]), rounds = atol(argv[3]), turns = atol(argv[4]);
    if (threads < 1 || threads > MOST) return 2;
    pthread_barrier_init(&before, 0, threads);
    pthread_barrier_init(&after, 0, threads);
    pthread_t all[MOST];
    for (long i = 0; i < threads; i++)
        if (pthread_create(&all[i], 0, strcmp(mode, "shared") ? work : follow, (void *)i)) abort();
    uint64_t sum = 0;
    for (long i = 0; i < threads; i++) {
        pthread_join(all[i], 0);
        sum = sum * 31 + results[i];
    }
    printf("%016llx\n", (unsigned long long)sum);
    return 0;
}
