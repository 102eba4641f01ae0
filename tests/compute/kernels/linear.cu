// Matrices, stencils, transforms and images.
template <int T> __device__ void tiled(const float *A, const float *B, float *C, int n) {
    __shared__ float As[T][T], Bs[T][T];
    int tx = threadIdx.x, ty = threadIdx.y, row = blockIdx.y * T + ty, col = blockIdx.x * T + tx;
    float s = 0;
    for (int t = 0; t < n / T; t++) {
        As[ty][tx] = A[row * n + t * T + tx];
        Bs[ty][tx] = B[(t * T + ty) * n + col];
        __syncthreads();
        for (int k = 0; k < T; k++) s += As[ty][k] * Bs[k][tx];
        __syncthreads();
    }
    C[row * n + col] = s;
}
extern "C" __global__ void gemm16(const float *A, const float *B, float *C, int n) { tiled<16>(A, B, C, n); }
extern "C" __global__ void gemm32(const float *A, const float *B, float *C, int n) { tiled<32>(A, B, C, n); }

extern "C" __global__ void gemm_registers(const float *A, const float *B, float *C, int n) {
    const int BM = 64, BN = 64, BK = 16;
    __shared__ float As[BK][BM], Bs[BK][BN];
    int tx = threadIdx.x, ty = threadIdx.y, tid = ty * 16 + tx, r0 = blockIdx.y * BM, c0 = blockIdx.x * BN;
    float acc[4][4] = {};
    for (int t = 0; t < n; t += BK) {
        for (int i = 0; i < 4; i++) {
            int e = tid + i * 256;
            As[e % 16][e / 16] = A[(r0 + e / 16) * n + t + e % 16];
            Bs[e / 64][e % 64] = B[(t + e / 64) * n + c0 + e % 64];
        }
        __syncthreads();
        for (int k = 0; k < BK; k++) {
            float a[4], b[4];
            for (int i = 0; i < 4; i++) { a[i] = As[k][ty * 4 + i]; b[i] = Bs[k][tx + i * 16]; }
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++) acc[i][j] += a[i] * b[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) C[(r0 + ty * 4 + i) * n + c0 + tx + j * 16] = acc[i][j];
}

extern "C" __global__ void gemm_double(const double *A, const double *B, double *C, int n, double scale) {
    int r = blockIdx.y * blockDim.y + threadIdx.y, c = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= n || c >= n) return;
    double s = 0;
    for (int k = 0; k < n; k++) s += A[r * n + k] * B[k * n + c];
    C[r * n + c] = scale * s;
}

extern "C" __global__ void gemm_int8(const char *A, const char *B, int *C, int n) {
    int r = blockIdx.y * blockDim.y + threadIdx.y, c = blockIdx.x * blockDim.x + threadIdx.x;
    int s = 0;
    for (int k = 0; k < n; k += 4) s = __dp4a(*(const int *)(A + r * n + k), *(const int *)(B + c * n + k), s);
    C[r * n + c] = s;
}

extern "C" __global__ void transpose(const float *a, float *b, int w, int h) {
    __shared__ float tile[32][33];
    int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (x < w && y + j < h) tile[threadIdx.y + j][threadIdx.x] = a[(y + j) * w + x];
    __syncthreads();
    x = blockIdx.y * 32 + threadIdx.x;
    y = blockIdx.x * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (x < h && y + j < w) b[(y + j) * h + x] = tile[threadIdx.x][threadIdx.y + j];
}

extern "C" __global__ void matvec(const float *A, const float *x, float *y, int rows, int columns) {
    int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x & 31;
    if (row >= rows) return;
    float s = 0;
    for (int k = lane; k < columns; k += 32) s += A[row * columns + k] * x[k];
    for (int o = 16; o; o >>= 1) s += __shfl_xor_sync(~0u, s, o);
    if (!lane) y[row] = s;
}

extern "C" __global__ void matvec_quantised(const unsigned *w, const float *scales, const float *x, float *y, int columns) {
    float s = 0;  // four bits a weight, a scale for each 32
    for (int block = threadIdx.x; block < columns / 32; block += 32) {
        float part = 0;
        for (int k = 0; k < 4; k++) {
            unsigned v = w[(blockIdx.x * (columns / 32) + block) * 4 + k];
            for (int j = 0; j < 8; j++) part += ((int)(v >> (4 * j) & 15) - 8) * x[block * 32 + k * 8 + j];
        }
        s += part * scales[blockIdx.x * (columns / 32) + block];
    }
    for (int o = 16; o; o >>= 1) s += __shfl_xor_sync(~0u, s, o);
    if (!threadIdx.x) y[blockIdx.x] = s;
}

extern "C" __global__ void sparse_matvec(const int *start, const int *column, const float *value, const float *x, float *y, int rows) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    float s = 0;
    for (int k = start[r]; k < start[r + 1]; k++) s += value[k] * x[column[k]];
    y[r] = s;
}

extern "C" __global__ void stencil(const float *a, float *b, int w, int h) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x > 0 && y > 0 && x < w - 1 && y < h - 1)
        b[y * w + x] = 0.2f * (a[y * w + x] + a[y * w + x - 1] + a[y * w + x + 1] + a[(y - 1) * w + x] + a[(y + 1) * w + x]);
}

extern "C" __global__ void heat3d(const double *a, double *b, int n, double k) {
    int x = blockIdx.x * blockDim.x + threadIdx.x + 1, y = blockIdx.y * blockDim.y + threadIdx.y + 1, z = blockIdx.z * blockDim.z + threadIdx.z + 1;
    if (x >= n - 1 || y >= n - 1 || z >= n - 1) return;
    int i = (z * n + y) * n + x;
    b[i] = a[i] + k * (a[i - 1] + a[i + 1] + a[i - n] + a[i + n] + a[i - n * n] + a[i + n * n] - 6 * a[i]);
}

extern "C" __global__ void convolution(const float *a, const float *filter, float *b, int n, int half) {
    extern __shared__ float near[];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    for (int k = t; k < blockDim.x + 2 * half; k += blockDim.x) {
        int j = (int)(blockIdx.x * blockDim.x) + k - half;
        near[k] = j >= 0 && j < n ? a[j] : 0.f;
    }
    __syncthreads();
    float s = 0;
    for (int k = -half; k <= half; k++) s += near[t + half + k] * filter[half + k];
    if (i < n) b[i] = s;
}

extern "C" __global__ void fft(float2 *x, int logn) {
    extern __shared__ float2 s2[];
    int n = 1 << logn, t = threadIdx.x;
    for (int i = t; i < n; i += blockDim.x) s2[__brev(i) >> (32 - logn)] = x[blockIdx.x * n + i];
    __syncthreads();
    for (int l = 1; l <= logn; l++) {
        int h = 1 << (l - 1);
        for (int i = t; i < n / 2; i += blockDim.x) {
            int p = i & (h - 1), b = ((i >> (l - 1)) << l) + p;
            float sn, cs;
            sincospif(-(float)p / h, &sn, &cs);
            float2 u = s2[b], v = s2[b + h], w = make_float2(v.x * cs - v.y * sn, v.x * sn + v.y * cs);
            s2[b] = make_float2(u.x + w.x, u.y + w.y);
            s2[b + h] = make_float2(u.x - w.x, u.y - w.y);
        }
        __syncthreads();
    }
    for (int i = t; i < n; i += blockDim.x) x[blockIdx.x * n + i] = s2[i];
}

extern "C" __global__ void grey(const uchar4 *rgb, unsigned char *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    uchar4 p = rgb[i];
    out[i] = (unsigned char)((77 * p.x + 150 * p.y + 29 * p.z + 128) >> 8);
}

extern "C" __global__ void sobel(const unsigned char *a, int *b, int w, int h) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < 1 || y < 1 || x >= w - 1 || y >= h - 1) return;
    const unsigned char *p = a + y * w + x;
    int gx = p[1 - w] + 2 * p[1] + p[1 + w] - p[-1 - w] - 2 * p[-1] - p[-1 + w];
    int gy = p[w - 1] + 2 * p[w] + p[w + 1] - p[-w - 1] - 2 * p[-w] - p[-w + 1];
    b[y * w + x] = abs(gx) + abs(gy);
}

extern "C" __global__ void median3(const unsigned char *a, unsigned char *b, int w, int h) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < 1 || y < 1 || x >= w - 1 || y >= h - 1) return;
    unsigned char v[9];
    for (int k = 0; k < 9; k++) v[k] = a[(y + k / 3 - 1) * w + x + k % 3 - 1];
    for (int i = 0; i < 5; i++)
        for (int j = i + 1; j < 9; j++)
            if (v[j] < v[i]) { unsigned char t = v[i]; v[i] = v[j]; v[j] = t; }
    b[y * w + x] = v[4];
}

extern "C" __global__ void nbody(const float4 *p, float4 *force, int n) {
    __shared__ float4 near[64];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float4 me = p[i], f = make_float4(0, 0, 0, 0);
    for (int tile = 0; tile < n / 64; tile++) {
        near[threadIdx.x] = p[tile * 64 + threadIdx.x];
        __syncthreads();
        for (int j = 0; j < 64; j++) {
            float dx = near[j].x - me.x, dy = near[j].y - me.y, dz = near[j].z - me.z;
            float r = rsqrtf(dx * dx + dy * dy + dz * dz + 0.01f), s = near[j].w * r * r * r;
            f.x += dx * s;
            f.y += dy * s;
            f.z += dz * s;
        }
        __syncthreads();
    }
    force[i] = f;
}
