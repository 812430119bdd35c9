// The kernel's body as plain C++: warp by warp, lane by lane.
#include "edges.cu"

template <typename Id, typename Offset, typename Real>
static void run(
    int n_axes, const Axis *axes, int n_columns, int first_column, const Id *pair_src,
    const Id *pair_dst, const Offset *pair_tap, const Real *gain, const Real *kernel,
    const Real *of_source, const Real *of_target, Id first_source, Id first_target, int view,
    long long first_row, int skip, long long n, Id *src, Id *dst, Real *weight,
    unsigned int n_warps
) {
    const Projection<Id, Offset, Real> p = {
        n_axes, axes, n_columns, first_column, pair_src, pair_dst, pair_tap, gain, kernel,
        of_source, of_target, first_source, first_target, view
    };
    for (unsigned int warp = 0; warp < n_warps; ++warp) {
        const Strip strip = strip_of(warp, n_columns);
        Sum<Id, Offset, Real> sums[ROWS];
        for (int lane = 0; lane < LANES; ++lane) {
            sums[lane] = row_sum(p, first_row + strip.row + lane);
        }
        for (int lane = 0; lane < LANES; ++lane) {
            const int column = strip.column + lane;
            const long long at = strip.row * n_columns + column - skip;
            write_column(p, sums, column, at, n, src, dst, weight);
        }
    }
}

#define INSTANCE(name, Id, Offset, Real)                                                          \
    extern "C" void name(                                                                         \
        int n_axes, const Axis *axes, int n_columns, int first_column, const Id *ps, const Id *pd, \
        const Offset *pt, const Real *g, const Real *k, const Real *fs, const Real *ft, Id s0,    \
        Id d0, int view, long long first_row, int skip, long long n, Id *src, Id *dst,            \
        Real *weight, unsigned int n_warps                                                        \
    ) {                                                                                           \
        run<Id, Offset, Real>(                                                                    \
            n_axes, axes, n_columns, first_column, ps, pd, pt, g, k, fs, ft, s0, d0, view,        \
            first_row, skip, n, src, dst, weight, n_warps                                         \
        );                                                                                        \
    }

INSTANCE(int32_int32_float32, int, int, float)
INSTANCE(int32_int32_float64, int, int, double)
INSTANCE(int64_int32_float32, long long, int, float)
INSTANCE(int64_int64_float64, long long, long long, double)
INSTANCE(int64_int32_float64, long long, int, double)
