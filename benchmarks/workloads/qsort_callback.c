/* The C library's qsort with a comparison by pointer: an indirect call a comparison. argv[1]: rounds of 20,000. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 20000 };
struct item {
    uint32_t key, id;
};
static struct item items[COUNT];

static int by_key(const void *a, const void *b)
{
    const struct item *p = a, *q = b;
    if (p->key != q->key)
        return p->key < q->key ? -1 : 1;
    return (p->id > q->id) - (p->id < q->id);
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    uint32_t x = 1;
    uint64_t hash = 0;
    for (long r = 0; r < rounds; r++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            x = x * 1664525u + 1013904223u;
            items[i] = (struct item){(x >> 12) + (uint32_t)(hash & 7), i};
        }
        qsort(items, COUNT, sizeof *items, by_key);
        for (uint32_t i = 0; i < COUNT; i++)
            hash = hash * 31 + (items[i].key ^ items[i].id);
    }
    printf("checksum %016llx\n", (unsigned long long)hash);
    return 0;
}
