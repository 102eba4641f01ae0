// The layers of a small transformer block. The last parameter is where the result goes.
extern "C" __global__ void embedding(const int *tokens, const float *table, int width, float *out) {
    out[blockIdx.x * width + threadIdx.x] = table[tokens[blockIdx.x] * width + threadIdx.x];
}

extern "C" __global__ void layer_norm(const float *x, const float *gain, const float *bias, int width, float *out) {
    x += blockIdx.x * width;
    float sum = 0, squares = 0;
    for (int i = threadIdx.x; i < width; i += 32) sum += x[i];
    for (int k = 16; k; k >>= 1) sum += __shfl_xor_sync(~0u, sum, k);
    float mean = sum / width;
    for (int i = threadIdx.x; i < width; i += 32) squares += (x[i] - mean) * (x[i] - mean);
    for (int k = 16; k; k >>= 1) squares += __shfl_xor_sync(~0u, squares, k);
    float scale = rsqrtf(squares / width + 1e-5f);
    for (int i = threadIdx.x; i < width; i += 32) out[blockIdx.x * width + i] = (x[i] - mean) * scale * gain[i] + bias[i];
}

// out = a @ b, plus `add` where it is wanted; a has `inner` columns, b has `columns`.
extern "C" __global__ void product(const float *a, const float *b, const float *add, int wanted, int columns, int inner, float *out) {
    const int T = 16;
    __shared__ float As[T][T], Bs[T][T];
    int tx = threadIdx.x, ty = threadIdx.y, row = blockIdx.y * T + ty, column = blockIdx.x * T + tx;
    float sum = 0;
    for (int t = 0; t < inner; t += T) {
        As[ty][tx] = a[row * inner + t + tx];
        Bs[ty][tx] = b[(t + ty) * columns + column];
        __syncthreads();
        for (int k = 0; k < T; k++) sum += As[ty][k] * Bs[k][tx];
        __syncthreads();
    }
    out[row * columns + column] = sum + (wanted ? add[row * columns + column] : 0.f);
}

// One warp for a query and a head; the scores of all earlier tokens in shared memory.
extern "C" __global__ void attention(const float *q, const float *k, const float *v, int width, int size, float *out) {
    extern __shared__ float score[];
    int token = blockIdx.x, offset = blockIdx.y * size, lane = threadIdx.x;
    float most = -1e30f, total = 0;
    for (int j = lane; j <= token; j += 32) {
        float s = 0;
        for (int i = 0; i < size; i++) s += q[token * width + offset + i] * k[j * width + offset + i];
        score[j] = s * rsqrtf((float)size);
        most = fmaxf(most, score[j]);
    }
    for (int o = 16; o; o >>= 1) most = fmaxf(most, __shfl_xor_sync(~0u, most, o));
    for (int j = lane; j <= token; j += 32) total += score[j] = expf(score[j] - most);
    for (int o = 16; o; o >>= 1) total += __shfl_xor_sync(~0u, total, o);
    __syncwarp();
    for (int i = lane; i < size; i += 32) {
        float sum = 0;
        for (int j = 0; j <= token; j++) sum += score[j] * v[j * width + offset + i];
        out[token * width + offset + i] = sum / total;
    }
}

extern "C" __global__ void gelu(const float *x, int n, float *out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = 0.5f * x[i] * (1.f + tanhf(0.7978845608f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
}
