/* A walk along a random cycle of nodes, a cache line each, 8 MiB in all: latency of dependent loads.
 * argv[1]: thousands of steps. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODES = 1 << 17 };
struct node {
    struct node *next;
    uint64_t value, pad[6];
};
static struct node nodes[NODES];
static uint32_t order[NODES];

int main(int argc, char **argv)
{
    long steps = (argc > 1 ? atol(argv[1]) : 1) * 1000;
    uint64_t x = 88172645463325252u, sum = 0;
    for (uint32_t i = 0; i < NODES; i++)
        order[i] = i;
    for (uint32_t i = NODES - 1; i > 0; i--) { /* Sattolo: one cycle through all */
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint32_t j = (uint32_t)(x % i), t = order[i];
        order[i] = order[j], order[j] = t;
    }
    for (uint32_t i = 0; i < NODES; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
        nodes[order[i]].value = i;
    }
    struct node *p = nodes;
    for (long i = 0; i < steps; i++) {
        sum = sum * 5 + p->value;
        p->value ^= sum & 0xff;
        p = p->next;
    }
    printf("checksum %016llx\n", (unsigned long long)sum);
    return 0;
}
