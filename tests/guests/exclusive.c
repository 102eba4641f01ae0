/* Load-exclusive and store-exclusive, and what other threads store in between: by value, or whenever it was.

       exclusive aba TURNS      a value that changes and changes back, in plain sight
       exclusive stack TURNS    a stack whose pop is a load- and a store-exclusive, nodes coming back at once
       exclusive add TURNS      additions of four threads */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long turns;
static _Alignas(64) volatile uint64_t variable;
static _Alignas(64) volatile uint64_t flag;

/* Load `variable`, tell the other thread, wait until it has answered, and store what was loaded plus two; 0 where the
   store-exclusive succeeded. The way the architectures want it is shorter; what happens is theirs to say all the same. */
static int load_wait_store(void) {
    uint32_t failed;
#if defined(__aarch64__)
    __asm__ volatile(
        "ldaxr x9, [%1]\n mov x10, #1\n str x10, [%2]\n dmb ish\n"
        "1: ldr x10, [%2]\n cmp x10, #2\n b.ne 1b\n dmb ish\n add x9, x9, #2\n stlxr %w0, x9, [%1]\n"
        : "=&r"(failed)
        : "r"(&variable), "r"(&flag)
        : "x9", "x10", "cc", "memory");
#else
    __asm__ volatile(
        "lr.d.aqrl t0, (%1)\n li t1, 1\n sd t1, (%2)\n fence\n"
        "1: ld t1, (%2)\n addi t1, t1, -2\n bnez t1, 1b\n fence\n addi t0, t0, 2\n sc.d.rl %0, t0, (%1)\n"
        : "=&r"(failed)
        : "r"(&variable), "r"(&flag)
        : "t0", "t1", "memory");
#endif
    return (int)failed;
}

static void *change_and_back(void *nothing) {
    for (long turn = 0; turn < turns; turn++) {
        while (flag != 1) {}
        uint64_t before = variable;
        variable = before + 1;
        atomic_thread_fence(memory_order_seq_cst);
        variable = before;
        atomic_thread_fence(memory_order_seq_cst);
        flag = 2;
        while (flag == 2) {}
    }
    return nothing;
}

static void aba(void) {
    pthread_t other;
    long succeeded = 0;
    pthread_create(&other, NULL, change_and_back, NULL);
    for (long turn = 0; turn < turns; turn++) {
        succeeded += !load_wait_store();
        flag = 0;
    }
    pthread_join(other, NULL);
    printf("%ld of %ld stores succeeded although another came between\n", succeeded, turns);
}

/* -- A stack of nodes */
struct node {
    struct node *volatile next;
    volatile long taken;
};

enum { NODES = 6 };
static struct node nodes[NODES];
static struct node *volatile top;
static atomic_long twice;

static struct node *pop(void) {
    struct node *node, *next;
    uint32_t failed;
    do {
#if defined(__aarch64__)
        __asm__ volatile(
            "mov %w2, #0\n ldaxr %0, [%3]\n cbz %0, 1f\n ldr %1, [%0]\n stlxr %w2, %1, [%3]\n1:\n"
            : "=&r"(node), "=&r"(next), "=&r"(failed)
            : "r"(&top)
            : "memory");
#else
        __asm__ volatile(
            "li %2, 0\n lr.d.aqrl %0, (%3)\n beqz %0, 1f\n ld %1, (%0)\n sc.d.rl %2, %1, (%3)\n1:\n"
            : "=&r"(node), "=&r"(next), "=&r"(failed)
            : "r"(&top)
            : "memory");
#endif
    } while (failed);
    return node;
}

static void push(struct node *node) {
    struct node *head;
    uint32_t failed;
    do {
#if defined(__aarch64__)
        __asm__ volatile("ldaxr %0, [%3]\n str %0, [%2]\n stlxr %w1, %2, [%3]\n"
                         : "=&r"(head), "=&r"(failed)
                         : "r"(node), "r"(&top)
                         : "memory");
#else
        __asm__ volatile("lr.d.aqrl %0, (%3)\n sd %0, (%2)\n sc.d.rl %1, %2, (%3)\n"
                         : "=&r"(head), "=&r"(failed)
                         : "r"(node), "r"(&top)
                         : "memory");
#endif
    } while (failed);
}

static void *shuffle(void *nothing) {
    for (long turn = 0; turn < turns; turn++) {
        struct node *first = pop(), *second = pop();
        if (first && first->taken++) twice++;
        if (second && second->taken++) twice++;
        if (first) first->taken--, push(first);
        if (second) second->taken--, push(second);
    }
    return nothing;
}

static void stack(void) {
    pthread_t threads[3];
    for (int n = 0; n < NODES; n++) push(&nodes[n]);
    for (int n = 0; n < 3; n++) pthread_create(&threads[n], NULL, shuffle, NULL);
    for (int n = 0; n < 3; n++) pthread_join(threads[n], NULL);
    long left = 0;
    for (struct node *node = top; node && left <= NODES; node = node->next) left++;
    printf("%ld of %d nodes are left, %ld taken twice\n", left, NODES, (long)twice);
}

static void *add(void *nothing) {
    for (long turn = 0; turn < turns; turn++) {
#if defined(__aarch64__)
        __asm__ volatile("1: ldxr x9, [%0]\n add x9, x9, #1\n stxr w10, x9, [%0]\n cbnz w10, 1b\n" ::"r"(&variable)
                         : "x9", "x10", "memory");
#else
        __asm__ volatile("1: lr.d t0, (%0)\n addi t0, t0, 1\n sc.d t1, t0, (%0)\n bnez t1, 1b\n" ::"r"(&variable)
                         : "t0", "t1", "memory");
#endif
    }
    return nothing;
}

int main(int argc, char **argv) {
    turns = argc > 2 ? atol(argv[2]) : 100;
    if (argc > 1 && !strcmp(argv[1], "aba")) aba();
    if (argc > 1 && !strcmp(argv[1], "stack")) stack();
    if (argc > 1 && !strcmp(argv[1], "add")) {
        pthread_t threads[4];
        for (int n = 0; n < 4; n++) pthread_create(&threads[n], NULL, add, NULL);
        for (int n = 0; n < 4; n++) pthread_join(threads[n], NULL);
        printf("%ld of %ld\n", (long)variable, 4 * turns);
    }
    if (argc > 1 && !strcmp(argv[1], "alone")) {
        add(NULL);
        printf("%ld of %ld\n", (long)variable, turns);
    }
    return 0;
}
