// cuBLAS, cuSOLVER and cuRAND in plain loops: what products, norms and eigh of real arrays need.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace {
template <typename T> void gemm(
    int ta, int tb, int m, int n, int k, T alpha, const T *a, int lda, const T *b, int ldb, T beta, T *c, int ldc
) {
    std::vector<T> column(m);
    for (int j = 0; j < n; ++j) {
        for (int i = 0; i < m; ++i) column[i] = 0;
        for (int l = 0; l < k; ++l) {
            T by = tb ? b[j + (size_t)l * ldb] : b[l + (size_t)j * ldb];
            if (ta) for (int i = 0; i < m; ++i) column[i] += a[l + (size_t)i * lda] * by;
            else for (int i = 0; i < m; ++i) column[i] += a[i + (size_t)l * lda] * by;
        }
        T *out = c + (size_t)j * ldc;
        for (int i = 0; i < m; ++i) out[i] = alpha * column[i] + (beta == 0 ? T(0) : beta * out[i]);
    }
}

// Eigenvalues in ascending order, and eigenvectors in the columns of a: Jacobi's rotations.
template <typename T> void eigh(int n, T *a_out, int lda, T *w) {
    std::vector<double> a(n * n), v(n * n, 0.0);
    for (int j = 0; j < n; ++j) for (int i = j; i < n; ++i) a[i * n + j] = a[j * n + i] = a_out[i + (size_t)j * lda];
    for (int i = 0; i < n; ++i) v[i * n + i] = 1;
    for (int round = 0; round < 60; ++round) {
        double off = 0;
        for (int p = 0; p < n; ++p) for (int q = 0; q < p; ++q) off += a[p * n + q] * a[p * n + q];
        if (off < 1e-300) break;
        for (int p = 0; p < n; ++p) for (int q = p + 1; q < n; ++q) {
            if (a[p * n + q] == 0) continue;
            double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
            double t = (theta < 0 ? -1 : 1) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
            double c = 1 / std::sqrt(t * t + 1), s = t * c;
            for (int i = 0; i < n; ++i) {
                double x = a[i * n + p], y = a[i * n + q];
                a[i * n + p] = c * x - s * y, a[i * n + q] = s * x + c * y;
            }
            for (int i = 0; i < n; ++i) {
                double x = a[p * n + i], y = a[q * n + i];
                a[p * n + i] = c * x - s * y, a[q * n + i] = s * x + c * y;
                x = v[i * n + p], y = v[i * n + q];
                v[i * n + p] = c * x - s * y, v[i * n + q] = s * x + c * y;
            }
        }
    }
    for (int j = 0; j < n; ++j) {  // selection by value
        int least = -1;
        for (int i = 0; i < n; ++i)
            if (!std::isnan(a[i * n + i]) && (least < 0 || a[i * n + i] < a[least * n + least])) least = i;
        if (least < 0) least = j;
        w[j] = a[least * n + least];
        for (int i = 0; i < n; ++i) a_out[i + (size_t)j * lda] = v[i * n + least];
        a[least * n + least] = NAN;
    }
}

void unsupported(const char *what) {
    fprintf(stderr, "emulation: %s of this type\n", what);
    abort();
}
}  // namespace

#define FOR_TYPE(L, T) \
API int cublas##L##gemm_v2(void *, int ta, int tb, int m, int n, int k, T *alpha, T *a, int lda, T *b, int ldb, T *beta, T *c, int ldc) { \
    gemm(ta, tb, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc); return 0; } \
API int cublas##L##gemmBatched(void *, int ta, int tb, int m, int n, int k, T *alpha, T **a, int lda, T **b, int ldb, T *beta, T **c, int ldc, int batch) { \
    for (int i = 0; i < batch; ++i) gemm(ta, tb, m, n, k, *alpha, a[i], lda, b[i], ldb, *beta, c[i], ldc); return 0; } \
API int cublas##L##gemmStridedBatched(void *, int ta, int tb, int m, int n, int k, T *alpha, T *a, int lda, long long sa, T *b, int ldb, long long sb, T *beta, T *c, int ldc, long long sc, int batch) { \
    for (int i = 0; i < batch; ++i) gemm(ta, tb, m, n, k, *alpha, a + i * sa, lda, b + i * sb, ldb, *beta, c + i * sc, ldc); return 0; } \
API int cublas##L##gemv_v2(void *, int t, int m, int n, T *alpha, T *a, int lda, T *x, int ix, T *beta, T *y, int iy) { \
    for (int i = 0; i < (t ? n : m); ++i) { T sum = 0; \
        for (int j = 0; j < (t ? m : n); ++j) sum += (t ? a[j + (size_t)i * lda] : a[i + (size_t)j * lda]) * x[(size_t)j * ix]; \
        T &out = y[(size_t)i * iy]; out = *alpha * sum + (*beta == 0 ? T(0) : *beta * out); } return 0; } \
API int cublas##L##ger_v2(void *, int m, int n, T *alpha, T *x, int ix, T *y, int iy, T *a, int lda) { \
    for (int j = 0; j < n; ++j) for (int i = 0; i < m; ++i) a[i + (size_t)j * lda] += *alpha * x[(size_t)i * ix] * y[(size_t)j * iy]; return 0; } \
API int cublas##L##dot_v2(void *, int n, T *x, int ix, T *y, int iy, T *out) { \
    T sum = 0; for (int i = 0; i < n; ++i) sum += x[(size_t)i * ix] * y[(size_t)i * iy]; *out = sum; return 0; } \
API int cublas##L##nrm2_v2(void *, int n, T *x, int ix, T *out) { \
    double sum = 0; for (int i = 0; i < n; ++i) sum += double(x[(size_t)i * ix]) * x[(size_t)i * ix]; *out = std::sqrt(sum); return 0; } \
API int cublas##L##asum_v2(void *, int n, T *x, int ix, T *out) { \
    double sum = 0; for (int i = 0; i < n; ++i) sum += std::fabs(x[(size_t)i * ix]); *out = sum; return 0; } \
API int cublas##L##axpy_v2(void *, int n, T *alpha, T *x, int ix, T *y, int iy) { \
    if (*alpha == 0) return 0; \
    for (int i = 0; i < n; ++i) y[(size_t)i * iy] += *alpha * x[(size_t)i * ix]; return 0; } \
API int cublas##L##scal_v2(void *, int n, T *alpha, T *x, int ix) { \
    for (int i = 0; i < n; ++i) x[(size_t)i * ix] *= *alpha; return 0; }
FOR_TYPE(S, float)
FOR_TYPE(D, double)

API int cublasCreate_v2(void **handle) { *handle = malloc(sizeof(int)); *(int *)*handle = 0; return 0; }
API int cublasDestroy_v2(void *handle) { free(handle); return 0; }
API int cublasGetVersion_v2(void *, int *v) { *v = 130000; return 0; }
API int cublasSetStream_v2(void *, void *) { return 0; }
API int cublasGetStream_v2(void *, void **s) { *s = nullptr; return 0; }
API int cublasGetPointerMode_v2(void *handle, int *mode) { *mode = *(int *)handle; return 0; }
API int cublasSetPointerMode_v2(void *handle, int mode) { *(int *)handle = mode; return 0; }
API int cublasSetMathMode(void *, int) { return 0; }
API int cublasGetMathMode(void *, int *mode) { *mode = 0; return 0; }
API int cublasGemmStridedBatchedEx(
    void *, int ta, int tb, int m, int n, int k, void *alpha, void *a, int type_a, int lda, long long sa, void *b,
    int type_b, int ldb, long long sb, void *beta, void *c, int type_c, int ldc, long long sc, int batch, int, int
) {
    if (type_a != type_b || type_b != type_c || type_a > 1) unsupported("GemmEx");
    if (type_a == 0) return cublasSgemmStridedBatched(nullptr, ta, tb, m, n, k, (float *)alpha, (float *)a, lda, sa, (float *)b, ldb, sb, (float *)beta, (float *)c, ldc, sc, batch);
    return cublasDgemmStridedBatched(nullptr, ta, tb, m, n, k, (double *)alpha, (double *)a, lda, sa, (double *)b, ldb, sb, (double *)beta, (double *)c, ldc, sc, batch);
}
API int cublasGemmEx(
    void *h, int ta, int tb, int m, int n, int k, void *alpha, void *a, int type_a, int lda, void *b, int type_b,
    int ldb, void *beta, void *c, int type_c, int ldc, int compute, int algorithm
) {
    return cublasGemmStridedBatchedEx(h, ta, tb, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0, beta, c, type_c, ldc, 0, 1, compute, algorithm);
}
API int cublasSgemmEx(
    void *h, int ta, int tb, int m, int n, int k, float *alpha, void *a, int type_a, int lda, void *b, int type_b,
    int ldb, float *beta, void *c, int type_c, int ldc
) {
    return cublasGemmEx(h, ta, tb, m, n, k, alpha, a, type_a, lda, b, type_b, ldb, beta, c, type_c, ldc, 0, 0);
}

API int cusolverDnCreate(void **handle) { *handle = malloc(1); return 0; }
API int cusolverDnDestroy(void *handle) { free(handle); return 0; }
API int cusolverDnSetStream(void *, void *) { return 0; }
API int cusolverDnCreateParams(void **p) { *p = malloc(1); return 0; }
API int cusolverDnDestroyParams(void *p) { free(p); return 0; }
API int cusolverDnXsyevd_bufferSize(void *, void *, int, int, long, int, void *, long, int, void *, int, size_t *device, size_t *host) {
    *device = *host = 8;
    return 0;
}
API int cusolverDnXsyevd(
    void *, void *, int, int uplo, long n, int type, void *a, long lda, int, void *w, int, void *, size_t, void *, size_t, int *info
) {
    if (type > 1 || uplo != 0) unsupported("syevd");  // of the lower triangle
    if (type == 0) eigh((int)n, (float *)a, (int)lda, (float *)w);
    else eigh((int)n, (double *)a, (int)lda, (double *)w);
    *info = 0;
    return 0;
}

// cuRAND.
API int curandCreateGenerator(void **g, int) { *g = new std::mt19937_64; return 0; }
API int curandDestroyGenerator(void *g) { delete (std::mt19937_64 *)g; return 0; }
API int curandSetStream(void *, void *) { return 0; }
API int curandSetPseudoRandomGeneratorSeed(void *g, unsigned long long seed) { ((std::mt19937_64 *)g)->seed(seed); return 0; }
API int curandSetGeneratorOffset(void *, unsigned long long) { return 0; }
#define FOR_REAL(ENDING, T) \
API int curandGenerateUniform##ENDING(void *g, T *out, size_t n) { \
    std::uniform_real_distribution<T> draw; \
    for (size_t i = 0; i < n; ++i) out[i] = T(1) - draw(*(std::mt19937_64 *)g); return 0; } \
API int curandGenerateNormal##ENDING(void *g, T *out, size_t n, T mean, T sd) { \
    std::normal_distribution<T> draw(mean, sd); \
    for (size_t i = 0; i < n; ++i) out[i] = draw(*(std::mt19937_64 *)g); return 0; }
FOR_REAL(, float)
FOR_REAL(Double, double)
