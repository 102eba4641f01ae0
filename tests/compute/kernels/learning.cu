// What inference is made of: normalisation, attention, activations, halves and brain floats, functions.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

extern "C" __global__ void softmax(const float *x, float *y, int c) {
    const float *r = x + (size_t)blockIdx.x * c;
    float *o = y + (size_t)blockIdx.x * c;
    __shared__ float sm[32];
    float m = -__int_as_float(0x7f800000);
    for (int i = threadIdx.x; i < c; i += blockDim.x) m = fmaxf(m, r[i]);
    for (int k = 16; k; k >>= 1) m = fmaxf(m, __shfl_xor_sync(~0u, m, k));
    if ((threadIdx.x & 31) == 0) sm[threadIdx.x >> 5] = m;
    __syncthreads();
    m = sm[0];
    for (int i = 1; i < blockDim.x / 32; i++) m = fmaxf(m, sm[i]);
    __syncthreads();
    float s = 0;
    for (int i = threadIdx.x; i < c; i += blockDim.x) {
        float e = expf(r[i] - m);
        o[i] = e;
        s += e;
    }
    for (int k = 16; k; k >>= 1) s += __shfl_xor_sync(~0u, s, k);
    if ((threadIdx.x & 31) == 0) sm[threadIdx.x >> 5] = s;
    __syncthreads();
    s = 0;
    for (int i = 0; i < blockDim.x / 32; i++) s += sm[i];
    for (int i = threadIdx.x; i < c; i += blockDim.x) o[i] /= s;
}

extern "C" __global__ void layer_norm(const float *x, const float *g, const float *b, float *y, int c) {
    int row = blockIdx.x;
    float s = 0, q = 0;
    for (int i = threadIdx.x; i < c; i += 32) { float v = x[row * c + i]; s += v; q += v * v; }
    for (int k = 16; k; k >>= 1) { s += __shfl_xor_sync(~0u, s, k); q += __shfl_xor_sync(~0u, q, k); }
    float mu = s / c, r = rsqrtf(q / c - mu * mu + 1e-5f);
    for (int i = threadIdx.x; i < c; i += 32) y[row * c + i] = (x[row * c + i] - mu) * r * g[i] + b[i];
}

extern "C" __global__ void rms_norm(const float *x, const float *g, float *y, int c) {
    __shared__ float total;
    if (!threadIdx.x) total = 0;
    __syncthreads();
    float q = 0;
    for (int i = threadIdx.x; i < c; i += blockDim.x) q += x[blockIdx.x * c + i] * x[blockIdx.x * c + i];
    atomicAdd(&total, q);
    __syncthreads();
    float r = rsqrtf(total / c + 1e-6f);
    for (int i = threadIdx.x; i < c; i += blockDim.x) y[blockIdx.x * c + i] = x[blockIdx.x * c + i] * r * g[i];
}

extern "C" __global__ void attention(const float *Q, const float *K, const float *V, float *O, int n, int d) {
    int q = blockIdx.x;
    extern __shared__ float p[];
    __shared__ float red[2];
    for (int j = threadIdx.x; j < n; j += blockDim.x) {
        float s = 0;
        for (int k = 0; k < d; k++) s += Q[q * d + k] * K[j * d + k];
        p[j] = j <= q ? s * rsqrtf((float)d) : -1e30f;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        float m = p[0];
        for (int j = 1; j < n; j++) m = max(m, p[j]);
        float z = 0;
        for (int j = 0; j < n; j++) { p[j] = __expf(p[j] - m); z += p[j]; }
        red[0] = 1.f / z;
    }
    __syncthreads();
    for (int k = threadIdx.x; k < d; k += blockDim.x) {
        float a = 0;
        for (int j = 0; j < n; j++) a += p[j] * V[j * d + k];
        O[q * d + k] = a * red[0];
    }
}

extern "C" __global__ void gelu(const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 0.5f * x[i] * (1.f + tanhf(0.7978845608f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
}

extern "C" __global__ void silu_gate(const float *a, const float *b, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a[i] / (1.f + expf(-a[i])) * b[i];
}

extern "C" __global__ void rotary(float2 *x, int heads, int half) {
    int position = blockIdx.x, i = threadIdx.x % half, head = threadIdx.x / half;
    float s, c, angle = position * powf(10000.f, -(float)i / half);
    sincosf(angle, &s, &c);
    float2 *v = x + (position * heads + head) * half + i, u = *v;
    *v = make_float2(u.x * c - u.y * s, u.x * s + u.y * c);
}

extern "C" __global__ void embedding(const int *tokens, const float *table, float *y, int d) {
    y[blockIdx.x * d + threadIdx.x] = table[tokens[blockIdx.x] * d + threadIdx.x];
}

extern "C" __global__ void halves(const __half2 *a, const __half2 *b, __half2 *c, const __half *d, float *e, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    c[i] = __hfma2(a[i], b[i], c[i]);
    e[i] = __half2float(__hadd(d[i], __hmul(d[i], d[i]))) + (__hgt(d[i], __float2half(1.f)) ? 1.f : 0.f);
}

extern "C" __global__ void gemm_half(const __half *A, const __half *B, float *C, int n) {
    int r = blockIdx.y * blockDim.y + threadIdx.y, c = blockIdx.x * blockDim.x + threadIdx.x;
    float s = 0;
    for (int k = 0; k < n; k++) s += __half2float(A[r * n + k]) * __half2float(B[k * n + c]);
    C[r * n + c] = s;
}

extern "C" __global__ void brain_floats(const __nv_bfloat16 *f, __nv_bfloat16 *g, const float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) g[i] = __hadd(f[i], __float2bfloat16(x[i]));
}

extern "C" __global__ void functions(const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float a = x[i];
    y[i] = sinf(a);
    y[i + n] = cosf(a);
    y[i + 2 * n] = expf(a);
    y[i + 3 * n] = logf(a);
    y[i + 4 * n] = powf(a, 1.7f);
    y[i + 5 * n] = tanhf(a);
    y[i + 6 * n] = erff(a);
    y[i + 7 * n] = cbrtf(a);
    y[i + 8 * n] = atan2f(a, 2.f);
    y[i + 9 * n] = log1pf(a);
    y[i + 10 * n] = sqrtf(a) + floorf(a) + rintf(a) + fmodf(a, 3.f);
}

extern "C" __global__ void functions_double(const double *x, double *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double a = x[i];
    y[i] = sin(a);
    y[i + n] = exp(a);
    y[i + 2 * n] = log(a);
    y[i + 3 * n] = pow(a, 2.5);
    y[i + 4 * n] = tanh(a);
    y[i + 5 * n] = sqrt(a) + a / 3.1 + floor(a) + fma(a, a, a);
}
