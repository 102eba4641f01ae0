/* C strings by hand-written loops, byte at a time as most programs have them: split, compare, search, reverse,
 * case, decimal. argv[1]: rounds over 64 KiB of words. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 1 << 16, WORDS = SIZE / 2 };
static char text[SIZE + 1], copy[SIZE + 1];
static char *word[WORDS];

static size_t length(const char *s) { const char *p = s; while (*p) p++; return (size_t)(p - s); }

static int compare(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}

static int contains(const char *s, const char *needle)
{
    for (; *s; s++) {
        const char *p = s, *q = needle;
        while (*q && *p == *q)
            p++, q++;
        if (!*q)
            return 1;
    }
    return 0;
}

static int split(char *s, char **out)
{
    int n = 0;
    while (*s) {
        while (*s == ' ')
            *s++ = 0;
        if (!*s)
            break;
        out[n++] = s;
        while (*s && *s != ' ')
            s++;
    }
    return n;
}

static char *decimal(uint64_t v, char *end)
{
    *end = 0;
    do
        *--end = (char)('0' + v % 10);
    while (v /= 10);
    return end;
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    uint32_t x = 99;
    for (int i = 0; i < SIZE; i++) {
        x = x * 1664525u + 1013904223u;
        text[i] = (x >> 24) % 6 == 0 ? ' ' : (char)('a' + (x >> 20) % 7);
    }
    uint64_t hash = 14695981039346656037u;
    for (long r = 0; r < rounds; r++) {
        for (int i = 0; i <= SIZE; i++) {
            copy[i] = text[i];
            __asm__ volatile("" ::: "memory"); /* keep this a byte loop: the library's memcpy is `copying` */
        }
        int n = split(copy, word);
        for (int i = 1; i < n; i++) {
            char *w = word[i], number[24];
            size_t len = length(w);
            int order = compare(word[i - 1], w);
            hash = (hash ^ len) * 1099511628211u;
            hash += (uint64_t)(order < 0) + 2u * (uint64_t)contains(w, "bad");
            for (size_t a = 0, b = len - 1; a < b; a++, b--) {
                char t = w[a];
                w[a] = w[b], w[b] = t;
            }
            for (char *p = w; *p; p++)
                if (*p >= 'a' && *p <= 'z' && (i & 1))
                    *p = (char)(*p - 32);
            for (char *p = decimal(hash >> 40, number + 23); *p; p++)
                hash = hash * 33 + (unsigned char)*p;
        }
        text[hash % SIZE] = (char)('a' + r % 7);
    }
    printf("checksum %016llx\n", (unsigned long long)hash);
    return 0;
}
