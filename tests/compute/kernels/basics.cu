// Element by element, and what the language can do: parameters, branches, calls, memory of every kind.
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}

extern "C" __global__ void axpby_double(double a, const double *x, double b, double *y, long long n) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
        y[i] = a * x[i] + b * y[i];
}

extern "C" __global__ void vector_types(const float4 *a, float4 *b, const int2 *c, double2 *d, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float4 v = __ldg(a + i);
    v.x += c[i].x;
    v.w *= c[i].y;
    b[i] = v;
    d[i] = make_double2(v.x, v.y);
}

extern "C" __global__ void bytes_and_shorts(unsigned char *d, short *e, const signed char *f, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    d[i] = (unsigned char)(d[i] * 3 + e[i]);
    e[i] = (short)(e[i] - f[i] * 7);
}

extern "C" __global__ void integers(const int *a, const unsigned *b, long long *c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int x = a[i], y = a[i + n];
    unsigned u = b[i], w = b[i + n];
    long long r = x / (y | 1) + x % (y | 1) + u / (w | 1) + u % (w | 1);
    r += __mulhi(x, y) ^ __umulhi(u, w);
    r += (unsigned)__funnelshift_l(u, w, x & 31) + (unsigned)__byte_perm(u, w, 0x5210 ^ (x & 0x7777));
    r += __popc(u) + __clz(x) + __ffs(y) + __brev(u) % 1000 + min(x, y) - max(u, w) % 17;
    r += __sad(x, y, 5u) % 1000003u + abs(x) / 3 + (x >> (u & 31)) + (u << (w & 31)) % 1009;
    r += (long long)x * y + __popcll(c[i]) + __clzll(c[i]) + c[i] / 9 + (c[i] >> 3);
    c[i] = r;
}

extern "C" __global__ void dot_bytes(const int *w, const int *x, int *y, int columns) {
    int a = 0;
    for (int i = threadIdx.x; i < columns; i += 32) a = __dp4a(w[blockIdx.x * columns + i], x[i], a);
    for (int o = 16; o; o >>= 1) a += __shfl_down_sync(~0u, a, o);
    if (!threadIdx.x) y[blockIdx.x] = a;
}

__device__ __noinline__ int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
extern "C" __global__ void recursion(int *y) { y[threadIdx.x] = fib(threadIdx.x % 13); }

struct Shape { float side[4]; int kind; };
__constant__ float weights[16] = {1, 2, 3, 5};
__device__ int counter = 5;
typedef int (*Operation)(int);
__device__ int plus_one(int a) { return a + 1; }
__device__ int square(int a) { return a * a; }
__device__ Operation operations[2] = {plus_one, square};
extern "C" __global__ void structures(int *y, Shape s, int n) {
    int i = threadIdx.x, kept[32];
    for (int k = 0; k < 32; k++) kept[k] = k * i;
    switch (n) {
        case 0: y[i] = 1; break;
        case 1: y[i] = 7; break;
        case 2: y[i] = i; break;
        case 3: y[i] = 2 * i + counter; break;
        case 4: y[i] = i * i; break;
        default: y[i] = kept[(n * i) & 31] + (int)s.side[i & 3] + (int)weights[i & 15] + operations[i & 1](i) + s.kind;
    }
}

extern "C" __global__ void mandelbrot(int *o, int w, int h, int limit) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
    if (x >= w) return;
    float cx = -2.f + 3.f * x / w, cy = -1.f + 2.f * y / h, a = 0, b = 0;
    int k = 0;
    while (k < limit && a * a + b * b < 4.f) {
        float t = a * a - b * b + cx;
        b = 2 * a * b + cy;
        a = t;
        k++;
    }
    o[y * w + x] = k;
}

extern "C" __global__ void collatz(const unsigned *x, int *steps, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned long long v = x[i];
    int k = 0;
    while (v != 1) {
        v = v & 1 ? 3 * v + 1 : v / 2;
        k++;
    }
    steps[i] = k;
}

extern "C" __global__ void early_exit(int *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i % 3 == 0) return;
    for (int k = 0; k < n; k++) {
        if ((i + k) % 7 == 0) continue;
        if (k > i % 11) break;
        y[i] += k;
    }
}

extern "C" __global__ void philox(unsigned seed, unsigned *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned c0 = i, c1 = 0, c2 = 0, c3 = 0, k0 = seed, k1 = seed ^ 0xdeadbeefu;
    for (int r = 0; r < 10; r++) {
        unsigned h0 = __umulhi(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
        unsigned h1 = __umulhi(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
        c0 = h1 ^ c1 ^ k0;
        c1 = l1;
        c2 = h0 ^ c3 ^ k1;
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[i] = c0 ^ c1 ^ c2 ^ c3;
}
