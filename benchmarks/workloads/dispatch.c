/* Objects of eight kinds behind tables of function pointers: unpredictable indirect calls. argv[1]: thousands. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct object;
struct methods {
    uint64_t (*visit)(struct object *, uint64_t);
    void (*age)(struct object *);
};
struct object {
    const struct methods *methods;
    uint64_t state;
};
enum { COUNT = 1024 };
static struct object objects[COUNT];

#define KIND(name, visited, aged)                                                             \
    static uint64_t name##_visit(struct object *o, uint64_t x) { (void)o; return visited; }   \
    static void name##_age(struct object *o) { o->state = aged; }                             \
    static const struct methods name = {name##_visit, name##_age};

KIND(adder, x + o->state, o->state + 1)
KIND(mixer, (x ^ o->state) * 31, o->state * 3 + 1)
KIND(shifter, x << 1 ^ o->state, o->state >> 1 | o->state << 63)
KIND(counter, x + (o->state & 7), o->state + 17)
KIND(turner, x << 7 | x >> 57, ~o->state)
KIND(masker, x - (o->state & 0xffff), o->state ^ o->state << 5)
KIND(folder, (x >> 32) + (x & 0xffffffff) * 5, o->state - 3)
KIND(keeper, x, o->state)

static const struct methods *const kinds[8] = {&adder, &mixer, &shifter, &counter, &turner, &masker, &folder, &keeper};

int main(int argc, char **argv)
{
    long calls = (argc > 1 ? atol(argv[1]) : 1) * 1000;
    uint64_t x = 88172645463325252u, value = 1;
    for (int i = 0; i < COUNT; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        objects[i] = (struct object){kinds[x >> 61], x};
    }
    for (long n = 0; n < calls; n++) {
        struct object *o = &objects[(n * 7 + (long)(value & 15)) & (COUNT - 1)];
        value = o->methods->visit(o, value);
        if ((n & 3) == 0)
            o->methods->age(o);
    }
    printf("checksum %016llx\n", (unsigned long long)value);
    return 0;
}
