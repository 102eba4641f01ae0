/* Regular expressions, two ways: a backtracking matcher, and a lazy DFA over sets of NFA states.
 * Patterns have . * + ? | ( ). argv[1]: rounds over 32 KiB of text. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 15, MAX_NODES = 64, MAX_DFA = 512 };
static char text[SIZE + 1];

/* --- backtracking: literals, dot and star only, as in the classic demonstration --- */
static int here(const char *re, const char *s)
{
    while (1) {
        if (!re[0])
            return 1;
        if (re[1] == '*') {
            const char *t = s;
            while (*t && (*t == re[0] || re[0] == '.'))
                t++;
            do
                if (here(re + 2, t))
                    return 1;
            while (t-- > s);
            return 0;
        }
        if (!*s || (re[0] != '.' && re[0] != *s))
            return 0;
        re++, s++;
    }
}

/* --- Thompson's construction; a set of states is a 64-bit mask --- */
enum { CHAR, ANY, SPLIT, MATCH };
struct node {
    uint8_t kind;
    char c;
    int8_t a, b;
};
static struct node nodes[MAX_NODES];
static int count;
static const char *re;

struct fragment {
    int start, out[8], outs; /* out: node * 2 + which edge */
};

static int node(int kind, char c)
{
    nodes[count] = (struct node){(uint8_t)kind, c, -1, -1};
    return count++;
}

static void patch(struct fragment *f, int to)
{
    for (int i = 0; i < f->outs; i++)
        *(f->out[i] & 1 ? &nodes[f->out[i] / 2].b : &nodes[f->out[i] / 2].a) = (int8_t)to;
    f->outs = 0;
}

static struct fragment alternation(void);

static struct fragment atom(void)
{
    if (*re == '(') {
        re++;
        struct fragment f = alternation();
        re++;
        return f;
    }
    int n = node(*re == '.' ? ANY : CHAR, *re);
    re++;
    return (struct fragment){n, {n * 2}, 1};
}

static struct fragment repeat(void)
{
    struct fragment f = atom();
    while (*re == '*' || *re == '+' || *re == '?') {
        int s = node(SPLIT, 0), start = *re == '+' ? f.start : s;
        nodes[s].a = (int8_t)f.start;
        if (*re == '?') {
            f.out[f.outs++] = s * 2 + 1;
            f.start = start;
        } else {
            patch(&f, s);
            f = (struct fragment){start, {s * 2 + 1}, 1};
        }
        re++;
    }
    return f;
}

static struct fragment sequence(void)
{
    struct fragment f = repeat();
    while (*re && *re != '|' && *re != ')') {
        struct fragment g = repeat();
        patch(&f, g.start);
        memcpy(f.out, g.out, sizeof f.out);
        f.outs = g.outs;
    }
    return f;
}

static struct fragment alternation(void)
{
    struct fragment f = sequence();
    while (*re == '|') {
        re++;
        struct fragment g = sequence();
        int s = node(SPLIT, 0);
        nodes[s].a = (int8_t)f.start, nodes[s].b = (int8_t)g.start;
        f.start = s;
        for (int i = 0; i < g.outs; i++)
            f.out[f.outs++] = g.out[i];
    }
    return f;
}

static uint64_t closure(uint64_t set)
{
    uint64_t done = 0;
    while (set & ~done) {
        int i = __builtin_ctzll(set & ~done);
        done |= 1ull << i;
        if (nodes[i].kind == SPLIT)
            set |= 1ull << nodes[i].a | 1ull << nodes[i].b;
    }
    return set;
}

static uint64_t dfa_set[MAX_DFA];
static int16_t dfa_next[MAX_DFA][128];
static int dfa_count;

static int dfa_state(uint64_t set)
{
    for (int i = 0; i < dfa_count; i++)
        if (dfa_set[i] == set)
            return i;
    if (dfa_count == MAX_DFA)
        dfa_count = 1; /* start over; state 0 is the initial one */
    dfa_set[dfa_count] = set;
    memset(dfa_next[dfa_count], -1, sizeof dfa_next[0]);
    return dfa_count++;
}

static uint32_t scan(const char *pattern, const char *s)
{
    count = dfa_count = 0;
    re = pattern;
    struct fragment f = alternation();
    int match = node(MATCH, 0);
    patch(&f, match);
    uint64_t initial = closure(1ull << f.start);
    int state = dfa_state(initial);
    uint32_t hits = 0;
    for (; *s; s++) {
        int c = *s & 127, next = dfa_next[state][c];
        if (next < 0) {
            uint64_t to = 0;
            for (uint64_t set = dfa_set[state]; set; set &= set - 1) {
                struct node *n = &nodes[__builtin_ctzll(set)];
                if (n->kind == ANY || (n->kind == CHAR && n->c == c))
                    to |= 1ull << n->a;
            }
            next = dfa_state(closure(to) | initial);
            dfa_next[state][c] = (int16_t)next;
        }
        state = next;
        hits += dfa_set[state] >> match & 1;
    }
    return hits;
}

int main(int argc, char **argv)
{
    static const char *simple[] = {"ab*c", "a.*d.e", "f*e*d*c", "gab"};
    static const char *rich[] = {"(ab|cd)+e", "a(b|c)*d?f", "(a.b|b.a)(c|d)+", "(aa|bb|cc)+(de?f)*g"};
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    uint32_t x = 5, hash = 0;
    for (int i = 0; i < SIZE; i++) {
        x = x * 1664525u + 1013904223u;
        text[i] = i % 61 == 60 ? '\n' : (char)('a' + (x >> 24) % 7);
    }
    for (long r = 0; r < rounds; r++) {
        for (int p = 0; p < 4; p++)
            hash = hash * 31 + scan(rich[p], text);
        for (int start = (int)(r * 64 % SIZE), i = start; i < start + 64 && i < SIZE; i++)
            for (int p = 0; p < 4; p++) {
                char line[65];
                int n = 0;
                for (const char *s = text + i; n < 64 && *s && *s != '\n'; s++)
                    line[n++] = *s;
                line[n] = 0;
                hash = hash * 31 + (uint32_t)here(simple[p], line);
            }
        text[x = (x * 1664525u + 1013904223u) % SIZE] = (char)('a' + r % 7);
    }
    printf("checksum %08x\n", hash);
    return 0;
}
