/* An open-addressing hash table with deletion, 64-bit keys, 2 MiB: multiplies, masks and cache misses.
 * argv[1]: thousands of operations. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BITS = 17, SLOTS = 1 << BITS, MASK = SLOTS - 1 };
struct slot {
    uint64_t key, value;
};
static struct slot table[SLOTS];
static uint32_t used;

static uint32_t home(uint64_t key) { return (uint32_t)(key * 0x9e3779b97f4a7c15u >> (64 - BITS)); }

static struct slot *find(uint64_t key)
{
    uint32_t i = home(key);
    while (table[i].key && table[i].key != key)
        i = (i + 1) & MASK;
    return &table[i];
}

static void erase(struct slot *s) /* shift later members of the chain back: no tombstones */
{
    uint32_t hole = (uint32_t)(s - table), i = hole;
    for (;;) {
        i = (i + 1) & MASK;
        if (!table[i].key)
            break;
        if (((i - home(table[i].key)) & MASK) >= ((i - hole) & MASK)) {
            table[hole] = table[i];
            hole = i;
        }
    }
    table[hole].key = 0;
    used--;
}

int main(int argc, char **argv)
{
    long operations = (argc > 1 ? atol(argv[1]) : 1) * 1000;
    uint64_t x = 88172645463325252u, hash = 0;
    for (long n = 0; n < operations; n++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t key = (x >> 20 & 0x1ffff) + 1;
        struct slot *s = find(key);
        if (!s->key) {
            if ((x & 3) && used < SLOTS / 2) {
                s->key = key, s->value = x;
                used++;
            }
        } else if ((x & 7) == 0) {
            hash ^= s->value;
            erase(s);
        } else {
            hash = hash * 31 + s->value;
            s->value += key;
        }
    }
    printf("checksum %016llx\n", (unsigned long long)(hash + used));
    return 0;
}
