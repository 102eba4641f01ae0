/* Vectors where Linux comes in: what AT_HWCAP, hwprobe and prctl say, what a signal handler sees and may change, what a
 * thread and a child get, and loops that a compiler made vectors of. Prints what any kernel with vectors would.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define LANES 8
static volatile sig_atomic_t signals;
static uint64_t seen_vl, seen_vtype, seen_vstart, seen_element, at, fault;

struct header {
    uint32_t magic, size;
};
struct vector_state {
    struct header head;
    uint64_t vstart, vl, vtype, vcsr, vlenb;
    void *data;
};

static struct vector_state *saved(ucontext_t *context) {
    /* struct sigcontext: 32 registers, then 528 bytes whose last eight are the first header. */
    struct header *head = (struct header *)((char *)&context->uc_mcontext + 256 + 520);
    return head->magic == 0x53465457 ? (struct vector_state *)head : 0;
}

static void handler(int signal, siginfo_t *info, void *data) {
    struct vector_state *state = saved(data);
    signals++;
    fault = (uint64_t)info->si_addr;
    if (!state)
        return;
    seen_vl = state->vl, seen_vtype = state->vtype, seen_vstart = state->vstart;
    uint32_t *v8 = (uint32_t *)((char *)state->data + 8 * state->vlenb);
    seen_element = v8[0];
    v8[0] = 4242; /* which the interrupted code finds */
    if (signal == SIGSEGV)
        mprotect((void *)at, 4096, PROT_READ | PROT_WRITE);
    __asm__ volatile(".option push\n.option arch, +v\nvsetvli zero, zero, e8, m8, ta, ma\nvmv.v.i v8, -1\n.option pop");
}

static void raised(void) {
    uint32_t element;
    uint64_t vl, pid = (uint64_t)getpid();
    __asm__ volatile(
        ".option push\n.option arch, +v\nvsetivli zero, 3, e32, m1, ta, ma\nvmv.v.i v8, 7\n"
        "mv a0, %2\nli a1, 10\nli a7, 129\necall\n" /* kill(pid, SIGUSR1) */
        "vsetivli zero, 3, e32, m1, ta, ma\nvmv.x.s %0, v8\ncsrr %1, vl\n.option pop"
        : "=r"(element), "=r"(vl)
        : "r"(pid)
        : "a0", "a1", "a7", "memory");
    printf("after a signal: %d of them, element %u, vl %llu\n", (int)signals, element, (unsigned long long)vl);
}

static void faulted(void) {
    unsigned char *pages = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), out[16];
    for (int i = 0; i < 16; i++)
        pages[4096 - 11 + i] = (unsigned char)(i + 1);
    at = (uint64_t)(pages + 4096);
    for (int round = 0; round < 50; round++) {
        mprotect(pages + 4096, 4096, PROT_NONE);
        memset(out, 0, sizeof out);
        seen_vstart = 99;
        __asm__ volatile(".option push\n.option arch, +v\nvsetivli zero, 16, e8, m1, ta, ma\nvle8.v v9, (%0)\n"
                         "vse8.v v9, (%1)\n.option pop"
                         :
                         : "r"(pages + 4096 - 11), "r"(out)
                         : "memory");
        int right = 1;
        for (int i = 0; i < 16; i++)
            right &= out[i] == i + 1;
        if (!right || seen_vstart != 11 || fault != at || seen_vl != 16)
            printf("round %d: right %d, vstart %llu\n", round, right, (unsigned long long)seen_vstart);
    }
    printf("a load went on at element %llu of %llu\n", (unsigned long long)seen_vstart, (unsigned long long)seen_vl);
}

static void *thread(void *argument) {
    float x[100], sum = 0;
    for (int i = 0; i < 100; i++)
        x[i] = (float)i;
    for (int round = 0; round < 200; round++)
        for (int i = 0; i < 100; i++)
            x[i] = x[i] * 0.5f + (float)(intptr_t)argument;
    for (int i = 0; i < 100; i++)
        sum += x[i];
    return (void *)(intptr_t)sum;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    struct pair {
        int64_t key;
        uint64_t value;
    } pair = {.key = 4};
    sigaction(SIGUSR1, &action, 0);
    sigaction(SIGSEGV, &action, 0);
    printf("hwcap has V: %d\n", (int)(getauxval(AT_HWCAP) >> ('V' - 'A') & 1));
    syscall(258, &pair, 1, 0, 0, 0);
    printf("hwprobe has V: %d\n", (int)(pair.value >> 2 & 1));
    printf("prctl: %d\n", prctl(70, 0, 0, 0, 0));
    raised();
    faulted();
    pthread_t threads[2];
    for (intptr_t i = 0; i < 2; i++)
        pthread_create(&threads[i], 0, thread, (void *)(i + 1));
    for (int i = 0; i < 2; i++) {
        void *result;
        pthread_join(threads[i], &result);
        printf("thread %d: %d\n", i, (int)(intptr_t)result);
    }
    fflush(stdout);
    if (!fork())
        _exit((int)(intptr_t)thread((void *)1) & 127);
    int status;
    wait(&status);
    printf("child: %d\n", WEXITSTATUS(status));
    return 0;
}
