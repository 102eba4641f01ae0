/* Binary trees made and freed over and over: malloc, free, and a recursive walk. argv[1]: depth of the largest. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct tree {
    struct tree *left, *right;
};

static struct tree *make(int depth)
{
    struct tree *t = malloc(sizeof *t);
    if (!t)
        exit(1);
    t->left = depth ? make(depth - 1) : 0;
    t->right = depth ? make(depth - 1) : 0;
    return t;
}

static uint32_t drop(struct tree *t)
{
    uint32_t n = 1;
    if (t->left)
        n += drop(t->left) + drop(t->right);
    free(t);
    return n;
}

int main(int argc, char **argv)
{
    int depth = argc > 1 ? atoi(argv[1]) : 6;
    uint64_t hash = 0;
    struct tree *lasting = make(depth);
    for (int d = 4; d <= depth; d += 2)
        for (int i = 0; i < 1 << (depth - d + 4); i++)
            hash = hash * 31 + drop(make(d));
    hash += drop(lasting);
    printf("checksum %016llx\n", (unsigned long long)hash);
    return 0;
}
