/* A JSON reader: tokens by switch, nesting by recursion, a tree from a bump allocator, the tree printed again.
 * argv[1]: rounds over a generated document of about 128 KiB. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 17, POOL = 1 << 16 };
static char document[SIZE * 2], printed[SIZE * 2];
static uint32_t seed = 17;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static char *generate(char *o, int depth)
{
    static const char *names[] = {"id", "name", "registers", "tier", "a\\nb", "cycles", "\\u0041", "ok"};
    uint32_t kind = depth > 5 ? 2 + rnd(4) : rnd(6), n = 2 + rnd(6);
    switch (kind) {
    case 0:
    case 1:
        *o++ = kind ? '{' : '[';
        for (uint32_t i = 0; i < n; i++) {
            if (i)
                *o++ = ',';
            if (kind)
                o += sprintf(o, "\"%s%u\":", names[rnd(8)], i);
            o = generate(o, depth + 1);
        }
        *o++ = kind ? '}' : ']';
        return o;
    case 2:
        return o + sprintf(o, "\"%s %s\"", names[rnd(8)], names[rnd(8)]);
    case 3:
        return o + sprintf(o, "%d", (int)rnd(1 << 24) - (1 << 23));
    case 4:
        return o + sprintf(o, rnd(2) ? "true" : "false");
    default:
        return o + sprintf(o, "null");
    }
}

struct value {
    char kind; /* { [ s n t f 0 */
    int64_t number;
    char *key, *string;
    struct value *child, *next;
};
static struct value pool[POOL];
static char heap[SIZE * 2], *heap_at;
static int pool_at;
static const char *in;

static void fail(const char *why) { printf("%s at %ld\n", why, (long)(in - document)); exit(1); }
static void space(void) { while (*in == ' ' || *in == '\n') in++; }

static char *string(void)
{
    char *s = heap_at;
    if (*in++ != '"')
        fail("string expected");
    while (*in != '"') {
        char c = *in++;
        if (c == '\\') {
            c = *in++;
            if (c == 'n') {
                c = '\n';
            } else if (c == 'u') {
                int code = 0;
                for (int i = 0; i < 4; i++, in++)
                    code = code * 16 + (*in <= '9' ? *in - '0' : (*in | 32) - 'a' + 10);
                c = (char)code;
            }
        }
        *heap_at++ = c;
    }
    in++;
    *heap_at++ = 0;
    return s;
}

static struct value *parse(void)
{
    if (pool_at == POOL)
        fail("pool exhausted");
    struct value *v = &pool[pool_at++], **link = &v->child;
    *v = (struct value){0};
    space();
    switch (v->kind = *in) {
    case '{':
    case '[':
        in++;
        for (char close = v->kind == '{' ? '}' : ']';;) {
            char *key = 0;
            space();
            if (v->kind == '{') {
                key = string();
                space();
                if (*in++ != ':')
                    fail("colon expected");
            }
            *link = parse();
            (*link)->key = key;
            link = &(*link)->next;
            space();
            if (*in == close) {
                in++;
                return v;
            }
            if (*in++ != ',')
                fail("comma expected");
        }
    case '"':
        v->string = string();
        return v;
    case 't':
    case 'n':
        in += 4;
        return v;
    case 'f':
        in += 5;
        return v;
    default: {
        int minus = *in == '-';
        in += minus;
        while (*in >= '0' && *in <= '9')
            v->number = v->number * 10 + (*in++ - '0');
        v->kind = '0';
        v->number = minus ? -v->number : v->number;
        return v;
    }
    }
}

static char *quote(char *o, const char *s)
{
    *o++ = '"';
    for (; *s; s++) {
        if (*s == '\n')
            *o++ = '\\', *o++ = 'n';
        else
            *o++ = *s;
    }
    *o++ = '"';
    return o;
}

static char *print(char *o, const struct value *v)
{
    char digits[24], *d = digits;
    switch (v->kind) {
    case '{':
    case '[':
        *o++ = v->kind;
        for (const struct value *c = v->child; c; c = c->next) {
            if (c->key) {
                o = quote(o, c->key);
                *o++ = ':';
            }
            o = print(o, c);
            if (c->next)
                *o++ = ',';
        }
        *o++ = (char)(v->kind + 2); /* ASCII: the closing bracket is two on */
        return o;
    case '"':
        return quote(o, v->string);
    case '0': {
        uint64_t n = v->number < 0 ? -(uint64_t)v->number : (uint64_t)v->number;
        if (v->number < 0)
            *o++ = '-';
        do
            *d++ = (char)('0' + n % 10);
        while (n /= 10);
        while (d > digits)
            *o++ = *--d;
        return o;
    }
    default:
        for (const char *w = v->kind == 't' ? "true" : v->kind == 'f' ? "false" : "null"; *w;)
            *o++ = *w++;
        return o;
    }
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    char *o = document;
    uint64_t hash = 0;
    *o++ = '[';
    while (o < document + SIZE) {
        if (o[-1] != '[')
            *o++ = ',';
        o = generate(o, 2);
    }
    *o++ = ']', *o = 0;
    for (long r = 0; r < rounds; r++) {
        in = document;
        pool_at = 0;
        heap_at = heap;
        char *end = print(printed, parse());
        for (char *p = printed; p < end; p += 7)
            hash = hash * 31 + (unsigned char)*p;
        hash = hash * 31 + (uint64_t)(end - printed) + (uint64_t)pool_at;
    }
    printf("checksum %016llx\n", (unsigned long long)hash);
    return 0;
}
