/* An LZ77 compressor with hash chains, its decompressor, and a check that the text came back. argv[1]: rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 18, HASH_BITS = 14, WINDOW = 1 << 15, DEPTH = 16, MIN_MATCH = 4, MAX_MATCH = 258 };
static uint8_t text[SIZE + 8], packed[SIZE * 2], back[SIZE + 8];
static int32_t head[1 << HASH_BITS], chain[WINDOW];

static uint32_t load32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static uint32_t slot(const uint8_t *p) { return load32(p) * 2654435761u >> (32 - HASH_BITS); }

static int match_length(const uint8_t *a, const uint8_t *b, int limit)
{
    int n = 0;
    while (n < limit && a[n] == b[n])
        n++;
    return n;
}

/* A token is 0 and a byte, or a length (4 to 258, less 3) and two bytes of distance. */
static size_t pack(const uint8_t *in, int size, uint8_t *out)
{
    uint8_t *o = out;
    for (int i = 0; i < 1 << HASH_BITS; i++)
        head[i] = -1;
    for (int i = 0; i < size;) {
        int best = 0, from = 0, limit = size - i < MAX_MATCH ? size - i : MAX_MATCH;
        if (limit >= MIN_MATCH) {
            int candidate = head[slot(in + i)];
            for (int d = 0; d < DEPTH && candidate >= 0 && i - candidate < WINDOW; d++) {
                int n = match_length(in + candidate, in + i, limit);
                if (n > best)
                    best = n, from = candidate;
                candidate = chain[candidate % WINDOW];
            }
        }
        int step = best >= MIN_MATCH ? best : 1;
        if (step > 1) {
            *o++ = (uint8_t)(best - 3);
            *o++ = (uint8_t)(i - from);
            *o++ = (uint8_t)((i - from) >> 8);
        } else {
            *o++ = 0;
            *o++ = in[i];
        }
        for (; step > 0; step--, i++)
            if (i + MIN_MATCH <= size) {
                uint32_t s = slot(in + i);
                chain[i % WINDOW] = head[s];
                head[s] = i;
            }
    }
    return (size_t)(o - out);
}

static int unpack(const uint8_t *in, size_t size, uint8_t *out)
{
    uint8_t *o = out;
    for (const uint8_t *end = in + size; in < end;) {
        int n = *in++;
        if (n == 0) {
            *o++ = *in++;
            continue;
        }
        const uint8_t *from = o - (in[0] | in[1] << 8);
        in += 2;
        for (n += 3; n > 0; n--)
            *o++ = *from++;
    }
    return (int)(o - out);
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    static const char *words[] = {"the ", "guest ", "host ", "region ", "loop ", "fault ", "of ", "a ",
                                  "register ", "memory ", "is ", "translated ", "and ", "runs ", "then ", "twice "};
    uint32_t x = 3, hash = 0;
    for (int i = 0; i < SIZE;) {
        x = x * 1664525u + 1013904223u;
        if ((x >> 28) == 0)
            text[i++] = (uint8_t)(x >> 16);
        else
            for (const char *w = words[x >> 24 & 15]; *w && i < SIZE; w++)
                text[i++] = (uint8_t)*w;
    }
    for (long r = 0; r < rounds; r++) {
        text[r % SIZE] ^= 1;
        size_t n = pack(text, SIZE, packed);
        if (unpack(packed, n, back) != SIZE || memcmp(text, back, SIZE)) {
            printf("round trip failed\n");
            return 1;
        }
        hash = hash * 31 + (uint32_t)n;
        for (size_t i = 0; i < n; i += 101)
            hash = hash * 31 + packed[i];
    }
    printf("checksum %08x\n", hash);
    return 0;
}
