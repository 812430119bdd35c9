// Edges of a projection, any range of them, straight from its axes.
//
// Edge e takes one pair of each axis, the last axis fastest; source, target and place in the kernel
// are sums of what the pairs contribute, the gain is a product. The inner axes come multiplied out,
// as one: the edge stands in row e / n_columns, which the outer axes number, at column
// e % n_columns. A warp writes a strip of ROWS rows, each lane its own column: what columns and rows
// add up to is looked up once per strip, and an edge costs few more instructions than its stores.
//
// Compiled by CuPy at run time, by nvcc where that is at hand, and as plain C++ for the tests, which
// call the functions of a warp for one lane after another. Types: Id (int or long long) of node ids,
// Offset (likewise) of places in the kernel, Real (float or double) of weights.

#ifdef __CUDACC__
#define ON_DEVICE __device__ __forceinline__
#else
#define ON_DEVICE static inline
#endif

#define LANES 32
#define ROWS LANES  // each lane looks up one
#define WARPS 8     // of a block

// Views of the weights, as gpugraph/views.py names them; without weights there is no kernel.
enum View { SIGNED = 0, MAGNITUDE = 1, POSITIVE = 2, NEGATIVE = 3 };

// How many pairs an axis has, and where they start among those of all axes.
struct Axis {
    int length;
    int start;
};

// Everything about a projection that does not depend on the range.
template <typename Id, typename Offset, typename Real>
struct Projection {
    int n_axes;             // outer ones
    const Axis *axes;
    int n_columns;          // pairs of the inner one
    int first_column;       // where they start among those of all axes
    const Id *src;          // per pair of each axis: what it adds to the source's id,
    const Id *dst;          // the target's id,
    const Offset *tap;      // and the place in the kernel
    const Real *gain;       // null: 1
    const Real *kernel;     // null: every weight is 1
    const Real *of_source;  // a factor per source node; null: 1
    const Real *of_target;
    Id first_source;
    Id first_target;
    int view;
};

// What some pairs add up to; gains are multiplied.
template <typename Id, typename Offset, typename Real>
struct alignas(16) Sum {
    Id src;
    Id dst;
    Offset tap;
    Real gain;
};

template <typename Id, typename Offset, typename Real>
ON_DEVICE void add(Sum<Id, Offset, Real> &sum, const Projection<Id, Offset, Real> &p, int pair) {
    sum.src += p.src[pair];
    sum.dst += p.dst[pair];
    sum.tap += p.tap[pair];
    if (p.gain) sum.gain *= p.gain[pair];
}

// What the outer axes add up to in a row, and where the nodes begin.
template <typename Id, typename Offset, typename Real>
ON_DEVICE Sum<Id, Offset, Real> row_sum(
    const Projection<Id, Offset, Real> &p, unsigned long long row
) {
    Sum<Id, Offset, Real> sum = {p.first_source, p.first_target, 0, 1};
#ifdef __CUDACC__
#pragma unroll 1
#endif
    for (int a = p.n_axes - 1; a >= 0; --a) {
        const Axis axis = p.axes[a];
        add(sum, p, axis.start + (int)(row % axis.length));
        row /= axis.length;
    }
    return sum;
}

template <typename Real>
ON_DEVICE Real viewed(Real weight, int view) {
    if (view == SIGNED) return weight;
    const Real opposite = -weight;
    if (view == POSITIVE) return weight < 0 ? Real(0) : weight;
    if (view == NEGATIVE) return opposite < 0 ? Real(0) : opposite;
    return weight < 0 ? opposite : weight;
}

// What the nodes at an edge's ends multiply it by.
template <typename Id, typename Offset, typename Real>
ON_DEVICE Real factor(const Projection<Id, Offset, Real> &p, Id source, Id target) {
    const Real before = p.of_source ? p.of_source[source - p.first_source] : Real(1);
    return p.of_target ? before * p.of_target[target - p.first_target] : before;
}

// Write one column of a strip: the edges at `at`, and every n_columns further on, that lie within
// columns of length n. `rows` are the sums of the strip's rows.
template <typename Id, typename Offset, typename Real>
ON_DEVICE void write_column(
    const Projection<Id, Offset, Real> &p, const Sum<Id, Offset, Real> *rows, int column,
    long long at, long long n, Id *src, Id *dst, Real *weight
) {
    if (column >= p.n_columns) return;
    const bool is_scaled = p.of_source || p.of_target;
    Sum<Id, Offset, Real> own = {0, 0, 0, 1};
    add(own, p, p.first_column + column);
    int r = at < 0;  // the range's first row need not be whole
    if (r) at += p.n_columns;
    for (; r < ROWS && at < n; ++r, at += p.n_columns) {
        const Sum<Id, Offset, Real> row = rows[r];
        const Id source = row.src + own.src, target = row.dst + own.dst;
        Real w = row.gain * own.gain;
        if (p.kernel) w *= p.kernel[row.tap + own.tap];
        if (is_scaled) w *= factor(p, source, target);
        src[at] = source;
        dst[at] = target;
        weight[at] = viewed(w, p.view);
    }
}

// The first row, and the first column, of a warp's strip.
struct Strip {
    long long row;
    int column;
};

ON_DEVICE Strip strip_of(unsigned int warp, int n_columns) {
    const unsigned int n_strips = (n_columns + LANES - 1) / LANES;
    return {(long long)(warp / n_strips) * ROWS, (int)(warp % n_strips) * LANES};
}

#ifdef __CUDACC__
// n edges of a projection, from column `skip` of row `first_row` on, to columns of length n.
template <typename Id, typename Offset, typename Real>
__global__ void write_edges(
    int n_axes, const Axis *axes, int n_columns, int first_column, const Id *pair_src,
    const Id *pair_dst, const Offset *pair_tap, const Real *pair_gain, const Real *kernel,
    const Real *of_source, const Real *of_target, Id first_source, Id first_target, int view,
    long long first_row, int skip, long long n, Id *src, Id *dst, Real *weight
) {
    const Projection<Id, Offset, Real> p = {
        n_axes, axes, n_columns, first_column, pair_src, pair_dst, pair_tap, pair_gain, kernel,
        of_source, of_target, first_source, first_target, view
    };
    __shared__ Sum<Id, Offset, Real> sums[WARPS][ROWS];
    const int warp = threadIdx.x / LANES, lane = threadIdx.x % LANES;
    const Strip strip = strip_of(blockIdx.x * WARPS + warp, n_columns);
    sums[warp][lane] = row_sum(p, first_row + strip.row + lane);
    __syncwarp();
    const int column = strip.column + lane;
    const long long at = strip.row * n_columns + column - skip;
    write_column(p, sums[warp], column, at, n, src, dst, weight);
}
#endif
