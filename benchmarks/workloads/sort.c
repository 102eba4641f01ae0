/* Our own quicksort, heapsort and mergesort of 64-bit integers: unpredictable branches. argv[1]: rounds of 32,768. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 1 << 15 };
static int64_t source[COUNT], v[COUNT], spare[COUNT];

static void insertion(int64_t *a, long n)
{
    for (long i = 1; i < n; i++) {
        int64_t x = a[i];
        long j = i;
        for (; j > 0 && a[j - 1] > x; j--)
            a[j] = a[j - 1];
        a[j] = x;
    }
}

static void quick(int64_t *a, long n)
{
    while (n > 16) {
        int64_t lo = a[0], mid = a[n / 2], hi = a[n - 1];
        int64_t pivot = lo < mid ? (mid < hi ? mid : lo < hi ? hi : lo) : (lo < hi ? lo : mid < hi ? hi : mid);
        long i = 0, j = n - 1;
        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i <= j) {
                int64_t t = a[i];
                a[i++] = a[j], a[j--] = t;
            }
        }
        quick(a, j + 1);
        a += i, n -= i;
    }
    insertion(a, n);
}

static void sift(int64_t *a, long root, long n)
{
    int64_t x = a[root];
    for (long child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && a[child + 1] > a[child])
            child++;
        if (a[child] <= x)
            break;
        a[root] = a[child];
    }
    a[root] = x;
}

static void heap(int64_t *a, long n)
{
    for (long i = n / 2; i-- > 0;)
        sift(a, i, n);
    while (--n > 0) {
        int64_t t = a[0];
        a[0] = a[n], a[n] = t;
        sift(a, 0, n);
    }
}

static void merge(int64_t *a, int64_t *t, long n)
{
    if (n <= 12) {
        insertion(a, n);
        return;
    }
    long h = n / 2, i = 0, j = h, k = 0;
    merge(a, t, h);
    merge(a + h, t, n - h);
    memcpy(t, a, (size_t)h * sizeof *a);
    while (i < h && j < n)
        a[k++] = t[i] <= a[j] ? t[i++] : a[j++];
    while (i < h)
        a[k++] = t[i++];
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    uint64_t x = 88172645463325252u, hash = 0;
    for (long r = 0; r < rounds; r++) {
        for (long i = 0; i < COUNT; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            source[i] = (int64_t)(x >> (r & 31));
        }
        for (int way = 0; way < 3; way++) {
            memcpy(v, source, sizeof v);
            if (way == 0)
                quick(v, COUNT);
            else if (way == 1)
                heap(v, COUNT);
            else
                merge(v, spare, COUNT);
            for (long i = 0; i < COUNT; i += 64)
                hash = hash * 31 + (uint64_t)v[i];
        }
    }
    printf("checksum %016llx\n", (unsigned long long)hash);
    return 0;
}
