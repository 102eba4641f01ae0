/* fault KIND: does one thing that kills a program, after a line of output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static volatile int forever = 1;
static void (*volatile nowhere)(void);

static int deeper(int n) {
    volatile char room[4096];
    room[0] = (char)n;
    return (forever ? deeper(n + 1) : 0) + room[0];
}

int main(int argc, char **argv) {
    const char *kind = argc > 1 ? argv[1] : "";
    setbuf(stdout, NULL);
    printf("before\n");
    if (!strcmp(kind, "null")) *(volatile int *)0 = 1;
    if (!strcmp(kind, "wild")) *(volatile int *)(1UL << 46) = 1;
    if (!strcmp(kind, "negative")) *(volatile char *)-1UL = 1;
    if (!strcmp(kind, "zero")) nowhere();
    if (!strcmp(kind, "stack")) return deeper(0);
    if (!strcmp(kind, "illegal")) __asm__ volatile(".4byte 0");
    if (!strcmp(kind, "data")) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        nowhere = (void (*)(void))page;
        nowhere();
    }
    if (!strcmp(kind, "text")) *(volatile int *)(void *)main = 0;
    if (!strcmp(kind, "memory"))
        for (;;) memset(malloc(1 << 24), 1, 1 << 24);
    printf("after\n");
    return 0;
}
