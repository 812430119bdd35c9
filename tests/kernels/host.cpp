// The kernel's body as plain C++: block by block, thread by thread.
#include "edges.cu"

template <typename Id, typename Offset, typename Real>
static void run(
    int n_axes, const Axis *axes, const Id *pair_src, const Id *pair_dst, const Offset *pair_tap,
    const Real *gain, const Real *kernel, const Real *of_source, const Real *of_target,
    Id first_source, Id first_target, int view, long long start, long long n, unsigned int threads,
    Id *src, Id *dst, Real *weight
) {
    const Projection<Id, Offset, Real> p = {
        n_axes, axes, pair_src, pair_dst, pair_tap, gain, kernel, of_source, of_target,
        first_source, first_target, view
    };
    for (long long first = 0; first < n; first += TILE) {
        Odometer<Id, Offset, Real> at;
        set(at, p, start + first);
        for (unsigned int thread = 0; thread < threads; ++thread) {
            write_tile(at, p, first, n, thread, threads, src, dst, weight);
        }
    }
}

#define INSTANCE(name, Id, Offset, Real)                                                          \
    extern "C" void name(                                                                         \
        int n_axes, const Axis *axes, const Id *ps, const Id *pd, const Offset *pt, const Real *g, \
        const Real *k, const Real *fs, const Real *ft, Id s0, Id d0, int view, long long start,   \
        long long n, unsigned int threads, Id *src, Id *dst, Real *weight                         \
    ) {                                                                                           \
        run<Id, Offset, Real>(                                                                    \
            n_axes, axes, ps, pd, pt, g, k, fs, ft, s0, d0, view, start, n, threads, src, dst, weight \
        );                                                                                        \
    }

INSTANCE(int32_int32_float32, int, int, float)
INSTANCE(int32_int32_float64, int, int, double)
INSTANCE(int64_int32_float32, long long, int, float)
INSTANCE(int64_int64_float64, long long, long long, double)
INSTANCE(int64_int32_float64, long long, int, double)
