// Threads of a block and lanes of a warp together: reductions, scans, histograms, sorts, primitives, atomics.
extern "C" __global__ void reduce(const float *x, float *out, int n) {
    __shared__ float ws[32];
    float s = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) s += x[i];
    for (int o = 16; o; o >>= 1) s += __shfl_down_sync(0xffffffff, s, o);
    int lane = threadIdx.x & 31, w = threadIdx.x >> 5;
    if (!lane) ws[w] = s;
    __syncthreads();
    if (w == 0) {
        s = lane < blockDim.x / 32 ? ws[lane] : 0.f;
        for (int o = 16; o; o >>= 1) s += __shfl_xor_sync(0xffffffff, s, o);
        if (!lane) out[blockIdx.x] = s;
    }
}

extern "C" __global__ void reduce_tree(const int *x, int *out) {
    extern __shared__ int tree[];
    int t = threadIdx.x;
    tree[t] = x[blockIdx.x * blockDim.x + t];
    __syncthreads();
    for (int half = blockDim.x / 2; half; half >>= 1) {
        if (t < half) tree[t] += tree[t + half];
        __syncthreads();
    }
    if (!t) out[blockIdx.x] = tree[0];
}

extern "C" __global__ void argmax(const float *x, int *out, int n) {
    float best = -1e30f;
    int at = -1;
    for (int i = threadIdx.x; i < n; i += 32)
        if (x[i] > best) { best = x[i]; at = i; }
    for (int o = 16; o; o >>= 1) {
        float other = __shfl_down_sync(~0u, best, o);
        int where = __shfl_down_sync(~0u, at, o);
        if (other > best || (other == best && where < at)) { best = other; at = where; }
    }
    if (!threadIdx.x) *out = at;
}

extern "C" __global__ void scan(const int *x, int *y, int n) {
    extern __shared__ int sm[];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    sm[t] = i < n ? x[i] : 0;
    __syncthreads();
    for (int o = 1; o < blockDim.x; o <<= 1) {
        int v = t >= o ? sm[t - o] : 0;
        __syncthreads();
        sm[t] += v;
        __syncthreads();
    }
    if (i < n) y[i] = sm[t];
}

extern "C" __global__ void scan_warp(const int *x, int *y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x & 31, v = x[i];
    for (int o = 1; o < 32; o <<= 1) {
        int u = __shfl_up_sync(~0u, v, o);
        if (lane >= o) v += u;
    }
    y[i] = v;
}

extern "C" __global__ void histogram(const unsigned char *d, unsigned *h, int n) {
    __shared__ unsigned s[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) s[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&s[d[i]], 1u);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x)
        if (s[i]) atomicAdd(&h[i], s[i]);
}

extern "C" __global__ void bitonic_sort(unsigned *x) {
    __shared__ unsigned s[512];
    int t = threadIdx.x;
    s[t] = x[blockIdx.x * 512 + t];
    s[t + 256] = x[blockIdx.x * 512 + t + 256];
    __syncthreads();
    for (int k = 2; k <= 512; k <<= 1)
        for (int j = k >> 1; j; j >>= 1) {
            for (int u = t; u < 512; u += 256) {
                int l = u ^ j;
                if (l > u) {
                    bool up = !(u & k);
                    unsigned a = s[u], b = s[l];
                    if ((a > b) == up) { s[u] = b; s[l] = a; }
                }
            }
            __syncthreads();
        }
    x[blockIdx.x * 512 + t] = s[t];
    x[blockIdx.x * 512 + t + 256] = s[t + 256];
}

extern "C" __global__ void odd_even_sort(int *x, int n) {
    for (int round = 0; round < n; round++) {
        int i = 2 * threadIdx.x + (round & 1);
        if (i + 1 < n) {
            int a = x[i], b = x[i + 1];
            if (a > b) { x[i] = b; x[i + 1] = a; }
        }
        __syncthreads();
    }
}

extern "C" __global__ void radix_split(const unsigned *x, unsigned *y, int bit) {
    __shared__ unsigned counts[8], zeros;
    int t = threadIdx.x, lane = t & 31, w = t >> 5;
    unsigned v = x[t], one = v >> bit & 1, set = __ballot_sync(~0u, !one);
    if (!lane) counts[w] = __popc(set);
    __syncthreads();
    if (!t) {
        unsigned total = 0;
        for (int i = 0; i < blockDim.x / 32; i++) { unsigned c = counts[i]; counts[i] = total; total += c; }
        zeros = total;
    }
    __syncthreads();
    unsigned before = counts[w] + __popc(set & ((1u << lane) - 1));
    y[one ? zeros + t - before : before] = v;
}

extern "C" __global__ void warp_primitives(const int *x, int *y, unsigned *z) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, v = x[i];
    unsigned b = __ballot_sync(~0u, v > 3), m;
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(m));
    z[i] = b ^ __match_any_sync(~0u, v) ^ m;
    y[i] = __any_sync(~0u, v > 100) + 2 * __all_sync(~0u, v > -1) + 10 * __shfl_sync(~0u, v, (i * 7) & 31) +
           1000 * __shfl_up_sync(~0u, v, 1, 8) + 100000 * __reduce_add_sync(~0u, v) + __reduce_max_sync(~0u, v);
}

extern "C" __global__ void stream_compaction(const int *x, int *out, int *count, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || x[i] % 3) return;
    unsigned here = __activemask();
    int lane = threadIdx.x & 31, first = __ffs(here) - 1, base = 0;
    if (lane == first) base = atomicAdd(count, __popc(here));
    base = __shfl_sync(here, base, first);
    out[base + __popc(here & ((1u << lane) - 1))] = x[i];
}

extern "C" __global__ void atomics(int *a, unsigned *b, float *f, double *d, unsigned long long *q) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(a, i);
    atomicMax(a + 1, i);
    atomicMin(a + 2, -i);
    atomicSub(a + 3, 2);
    atomicAnd(b, ~(1u << (i & 15)));
    atomicOr(b + 1, 1u << (i & 31));
    atomicXor(b + 2, i);
    atomicInc(b + 3, 9u);
    atomicDec(b + 4, 9u);
    atomicAdd(f, 1.5f);
    atomicAdd(d, 0.25);
    atomicAdd(q, 1ull << 33);
    atomicCAS(b + 5, 0u, 77u);
    atomicExch(b + 6, 5u);
}

extern "C" __global__ void lock_free_max(const float *x, float *best, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int *place = (int *)best, old = *place;
    while (__int_as_float(old) < x[i]) {
        int seen = atomicCAS(place, old, __float_as_int(x[i]));
        if (seen == old) break;
        old = seen;
    }
}

extern "C" __global__ void block_votes(const int *x, int *y) {
    int v = x[blockIdx.x * blockDim.x + threadIdx.x];
    int count = __syncthreads_count(v > 0), all = __syncthreads_and(v > -5), any = __syncthreads_or(v > 95);
    if (!threadIdx.x) { y[3 * blockIdx.x] = count; y[3 * blockIdx.x + 1] = all; y[3 * blockIdx.x + 2] = any; }
}

extern "C" __global__ void divergent_barriers(const int *x, int *y) {
    __shared__ int s[256];
    int t = threadIdx.x;
    s[t] = x[t];
    if (t < 100) {
        s[t] += 1;
        __syncthreads();
        y[t] = s[255 - t];
    } else {
        s[t] *= 2;
        __syncthreads();
        y[t] = s[t - 100];
    }
}

extern "C" __global__ void game_of_life(const unsigned char *a, unsigned char *b, int w, int h) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= w || y >= h) return;
    int n = 0;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            if (dx || dy) n += a[(y + dy + h) % h * w + (x + dx + w) % w];
    b[y * w + x] = n == 3 || (n == 2 && a[y * w + x]);
}
