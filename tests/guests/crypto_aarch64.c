/* Known answers of FIPS 197, 180-4 and 202 by aarch64's instructions for them: one line for each. */
#include <arm_neon.h>
#include <stdint.h>

#include "bare.h"

static void show(const char *name, const void *data, int size) {
    char text[130];
    for (int i = 0; i < 2 * size; i++)
        text[i] = "0123456789abcdef"[((const uint8_t *)data)[i / 2] >> (i % 2 ? 0 : 4) & 15];
    text[2 * size] = '\n', text[2 * size + 1] = 0;
    put(name);
    put(" ");
    put(text);
}

/* AES-128, FIPS 197, appendix C.1. */
static uint32_t substituted(uint32_t word) {
    /* Of four columns that are alike, shifted rows are the rows themselves. */
    uint8x16_t all = vreinterpretq_u8_u32(vdupq_n_u32(word));
    return vgetq_lane_u32(vreinterpretq_u32_u8(vaeseq_u8(all, vdupq_n_u8(0))), 0);
}

static void aes(void) {
    uint32_t words[44];
    uint8_t text[16], constant = 1;
    for (int i = 0; i < 16; i++)
        ((uint8_t *)words)[i] = (uint8_t)i, text[i] = (uint8_t)(0x11 * i);
    for (int i = 4; i < 44; i++) {
        uint32_t word = words[i - 1];
        if (i % 4 == 0) {
            word = substituted(word >> 8 | word << 24) ^ constant;
            constant = (uint8_t)(constant << 1 ^ (constant & 0x80 ? 0x1b : 0));
        }
        words[i] = words[i - 4] ^ word;
    }
    uint8x16_t keys[11], state = vld1q_u8(text);
    for (int i = 0; i < 11; i++)
        keys[i] = vreinterpretq_u8_u32(vld1q_u32(words + 4 * i));
    for (int i = 0; i < 9; i++)
        state = vaesmcq_u8(vaeseq_u8(state, keys[i]));
    state = veorq_u8(vaeseq_u8(state, keys[9]), keys[10]);
    vst1q_u8(text, state);
    show("aes-128", text, 16);
    state = vaesdq_u8(state, keys[10]);
    for (int i = 9; i > 0; i--)
        state = vaesdq_u8(vaesimcq_u8(state), vaesimcq_u8(keys[i]));
    vst1q_u8(text, veorq_u8(state, keys[0]));
    show("and back", text, 16);
}

/* The square of x^63 + ... + 1 has every other coefficient. */
static void pmull(void) {
    poly64x2_t ones = vreinterpretq_p64_u64(vdupq_n_u64(~0ull));
    poly128_t low = vmull_p64(vgetq_lane_p64(ones, 0), 3), high = vmull_high_p64(ones, ones);
    show("pmull", &low, 16);
    show("pmull2", &high, 16);
}

static void padded(uint8_t *block, int size) {
    for (int i = 0; i < size; i++)
        block[i] = i < 4 ? (uint8_t)"abc\x80"[i] : i == size - 1 ? 24 : 0;
}

static void sha1(void) {
    static const uint32_t constants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    static const uint32_t start[] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    uint8_t block[64];
    uint32_t digest[5];
    padded(block, 64);
    uint32x4_t w[4], state = vld1q_u32(start);
    uint32_t e = 0xc3d2e1f0;
    for (int i = 0; i < 4; i++)
        w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(block + 16 * i)));
    for (int i = 0; i < 20; i++) {
        uint32x4_t sums = vaddq_u32(w[0], vdupq_n_u32(constants[i / 5]));
        uint32_t next = vsha1h_u32(vgetq_lane_u32(state, 0));
        state = i < 5 ? vsha1cq_u32(state, e, sums)
                      : i / 5 == 2 ? vsha1mq_u32(state, e, sums) : vsha1pq_u32(state, e, sums);
        e = next;
        uint32x4_t made = vsha1su1q_u32(vsha1su0q_u32(w[0], w[1], w[2]), w[3]);
        w[0] = w[1], w[1] = w[2], w[2] = w[3], w[3] = made;
    }
    vst1q_u32(digest, vreinterpretq_u32_u8(vrev32q_u8(vreinterpretq_u8_u32(vaddq_u32(state, vld1q_u32(start))))));
    digest[4] = __builtin_bswap32(e + 0xc3d2e1f0);
    show("sha1", digest, 20);
}

/* 64 bits of the fractions of cube roots and of square roots of the first primes (FIPS 180-4, 4.2.3, 5.3.5). */
static const uint64_t constants[] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};
static const uint64_t start[] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
    0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static void sha256(void) {
    uint8_t block[64];
    uint32_t digest[8], first[8], k[64];
    padded(block, 64);
    for (int i = 0; i < 64; i++)
        k[i] = (uint32_t)(constants[i] >> 32);
    for (int i = 0; i < 8; i++)
        first[i] = (uint32_t)(start[i] >> 32);
    uint32x4_t w[4], low = vld1q_u32(first), high = vld1q_u32(first + 4);
    for (int i = 0; i < 4; i++)
        w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(block + 16 * i)));
    for (int i = 0; i < 16; i++) {
        uint32x4_t sums = vaddq_u32(w[0], vld1q_u32(k + 4 * i)), before = low;
        low = vsha256hq_u32(low, high, sums);
        high = vsha256h2q_u32(high, before, sums);
        uint32x4_t made = vsha256su1q_u32(vsha256su0q_u32(w[0], w[1]), w[2], w[3]);
        w[0] = w[1], w[1] = w[2], w[2] = w[3], w[3] = made;
    }
    vst1q_u32(digest, vaddq_u32(low, vld1q_u32(first)));
    vst1q_u32(digest + 4, vaddq_u32(high, vld1q_u32(first + 4)));
    for (int i = 0; i < 8; i++)
        digest[i] = __builtin_bswap32(digest[i]);
    show("sha256", digest, 32);
}

static void sha512(void) {
    uint8_t block[128];
    uint64_t digest[8];
    padded(block, 128);
    uint64x2_t w[8], ab = vld1q_u64(start), cd = vld1q_u64(start + 2), ef = vld1q_u64(start + 4),
                     gh = vld1q_u64(start + 6);
    for (int i = 0; i < 8; i++)
        w[i] = vreinterpretq_u64_u8(vrev64q_u8(vld1q_u8(block + 16 * i)));
    for (int i = 0; i < 40; i++) {
        uint64x2_t sums = vaddq_u64(w[0], vld1q_u64(constants + 2 * i));
        sums = vaddq_u64(vextq_u64(sums, sums, 1), gh);
        uint64x2_t t = vsha512hq_u64(sums, vextq_u64(ef, gh, 1), vextq_u64(cd, ef, 1));
        gh = ef, ef = vaddq_u64(cd, t);
        t = vsha512h2q_u64(t, cd, ab);
        cd = ab, ab = t;
        uint64x2_t made = vsha512su1q_u64(vsha512su0q_u64(w[0], w[1]), w[7], vextq_u64(w[4], w[5], 1));
        for (int j = 0; j < 7; j++)
            w[j] = w[j + 1];
        w[7] = made;
    }
    uint64x2_t state[] = {ab, cd, ef, gh};
    for (int i = 0; i < 4; i++)
        vst1q_u64(digest + 2 * i, vaddq_u64(state[i], vld1q_u64(start + 2 * i)));
    for (int i = 0; i < 8; i++)
        digest[i] = __builtin_bswap64(digest[i]);
    show("sha512", digest, 64);
}

/* SHA3-256 of nothing, FIPS 202: a lane in both halves of a vector. */
#define RHO_PI(M)                                                                                                     \
    M(0, 0, 0) M(1, 6, 44) M(2, 12, 43) M(3, 18, 21) M(4, 24, 14) M(5, 3, 28) M(6, 9, 20) M(7, 10, 3) M(8, 16, 45)      \
    M(9, 22, 61) M(10, 1, 1) M(11, 7, 6) M(12, 13, 25) M(13, 19, 8) M(14, 20, 18) M(15, 4, 27) M(16, 5, 36)           \
    M(17, 11, 10) M(18, 17, 15) M(19, 23, 56) M(20, 2, 62) M(21, 8, 55) M(22, 14, 39) M(23, 15, 41) M(24, 21, 2)
#define MOVE(to, from, by) b[to] = vxarq_u64(a[from], d[from % 5], (64 - by) % 64);

static void sha3(void) {
    uint64x2_t a[25], b[25], c[5], d[5];
    uint8_t lfsr = 1;
    for (int i = 0; i < 25; i++)
        a[i] = vdupq_n_u64(i == 0 ? 6 : i == 16 ? 1ull << 63 : 0);
    for (int round = 0; round < 24; round++) {
        for (int x = 0; x < 5; x++)
            c[x] = veor3q_u64(veor3q_u64(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20]);
        for (int x = 0; x < 5; x++)
            d[x] = vrax1q_u64(c[(x + 4) % 5], c[(x + 1) % 5]);
        RHO_PI(MOVE)
        for (int y = 0; y < 25; y += 5)
            for (int x = 0; x < 5; x++)
                a[y + x] = vbcaxq_u64(b[y + x], b[y + (x + 2) % 5], b[y + (x + 1) % 5]);
        uint64_t iota = 0;
        for (int bit = 0; bit < 7; bit++) {
            if (lfsr & 1)
                iota |= 1ull << ((1 << bit) - 1);
            lfsr = (uint8_t)(lfsr << 1 ^ (lfsr & 0x80 ? 0x71 : 0));
        }
        a[0] = veorq_u64(a[0], vdupq_n_u64(iota));
    }
    uint64_t digest[4];
    for (int i = 0; i < 4; i++)
        digest[i] = vgetq_lane_u64(a[i], 0) & vgetq_lane_u64(a[i], 1);
    show("sha3-256", digest, 32);
}

int main(int argc, char **argv) {
    (void)argc, (void)argv;
    aes();
    pmull();
    sha1();
    sha256();
    sha512();
    sha3();
    return 0;
}
