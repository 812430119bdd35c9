// Edges of a projection, any range of them, straight from its axes.
//
// Edge e takes one pair of each axis, the last axis fastest; source, target and parameter are sums
// of what the axes contribute, the gain is a product. One block writes TILE edges in a row: it
// finds the pairs of the first one with 64-bit divisions, once, and every further edge counts up
// from there with 32-bit multiplications, like an odometer whose slow wheels seldom turn.
//
// Compiled by CuPy at run time, by nvcc where that is at hand, and as plain C++ for the tests, which
// call `write_tile` for each block and thread. Types: Id (int or long long) of node ids, Offset
// (likewise) of places in the kernel, Real (float or double) of weights.

#ifdef __CUDACC__
#define ON_DEVICE __device__ __forceinline__
#else
#define ON_DEVICE static inline
#endif

#define MOST_AXES 16
#define TILE 4096

// Views of the weights, as gpugraph/views.py names them.
enum View { SIGNED = 0, MAGNITUDE = 1, POSITIVE = 2, NEGATIVE = 3, COUNT = 4 };

// One axis: how many pairs it has, how to divide by that, and where its columns start.
struct Axis {
    int length;
    unsigned int magic;
    int shift;
    int start;
};

// Everything about a projection that does not depend on the range.
template <typename Id, typename Offset, typename Real>
struct Projection {
    int n_axes;
    const Axis *axes;
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

// n / axis.length for n below 2^31, without a division (Granlund, Montgomery 1994).
ON_DEVICE unsigned int quotient(unsigned int n, const Axis &axis) {
#ifdef __CUDACC__
    unsigned int high = __umulhi(n, axis.magic);
#else
    unsigned int high = (unsigned int)(((unsigned long long)n * axis.magic) >> 32);
#endif
    return (high + n) >> axis.shift;
}

template <typename Real>
ON_DEVICE Real viewed(Real weight, int view) {
    switch (view) {
        case MAGNITUDE: return weight < 0 ? -weight : weight;
        case POSITIVE: return weight < 0 ? Real(0) : weight;
        case NEGATIVE: return weight < 0 ? -weight : Real(0);
        default: return weight;
    }
}

// The pairs that an edge takes, and what those of the axes up to each one add up to.
template <typename Id, typename Offset, typename Real>
struct Odometer {
    int digit[MOST_AXES];
    Id src[MOST_AXES + 1];
    Id dst[MOST_AXES + 1];
    Offset tap[MOST_AXES + 1];
    Real gain[MOST_AXES + 1];
};

template <typename Id, typename Offset, typename Real>
ON_DEVICE void set(Odometer<Id, Offset, Real> &at, const Projection<Id, Offset, Real> &p, long long edge) {
    for (int a = p.n_axes - 1; a >= 0; --a) {
        at.digit[a] = (int)(edge % p.axes[a].length);
        edge /= p.axes[a].length;
    }
    at.src[0] = p.first_source;
    at.dst[0] = p.first_target;
    at.tap[0] = 0;
    at.gain[0] = 1;
    for (int a = 0; a < p.n_axes; ++a) {
        int pair = p.axes[a].start + at.digit[a];
        at.src[a + 1] = at.src[a] + p.src[pair];
        at.dst[a + 1] = at.dst[a] + p.dst[pair];
        at.tap[a + 1] = at.tap[a] + p.tap[pair];
        at.gain[a + 1] = p.gain ? at.gain[a] * p.gain[pair] : at.gain[a];
    }
}

// Write the edge that comes `ahead` after the odometer's.
template <typename Id, typename Offset, typename Real>
ON_DEVICE void write_edge(
    const Odometer<Id, Offset, Real> &at, const Projection<Id, Offset, Real> &p, unsigned int ahead,
    Id *src, Id *dst, Real *weight
) {
    Id source = 0, target = 0;
    Offset place = 0;
    Real w = 1;
    int a = p.n_axes;
    while (ahead && a > 0) {
        const Axis axis = p.axes[--a];
        unsigned int digit = at.digit[a] + ahead;
        ahead = quotient(digit, axis);
        int pair = axis.start + (int)(digit - ahead * axis.length);
        source += p.src[pair];
        target += p.dst[pair];
        place += p.tap[pair];
        if (p.gain) w *= p.gain[pair];
    }
    source += at.src[a];  // the axes that did not turn
    target += at.dst[a];
    *src = source;
    *dst = target;
    if (p.view == COUNT) {
        *weight = 1;
        return;
    }
    w *= at.gain[a];
    if (p.kernel) w *= p.kernel[place + at.tap[a]];
    if (p.of_source) w *= p.of_source[source - p.first_source];
    if (p.of_target) w *= p.of_target[target - p.first_target];
    *weight = viewed(w, p.view);
}

// What one thread of a block writes: every `step`-th edge of the tile, from `thread` on.
template <typename Id, typename Offset, typename Real>
ON_DEVICE void write_tile(
    const Odometer<Id, Offset, Real> &at, const Projection<Id, Offset, Real> &p, long long first,
    long long n, unsigned int thread, unsigned int step, Id *src, Id *dst, Real *weight
) {
    for (unsigned int ahead = thread; ahead < TILE && first + ahead < n; ahead += step) {
        write_edge(at, p, ahead, src + first + ahead, dst + first + ahead, weight + first + ahead);
    }
}

#ifdef __CUDACC__
// Edges start : start + n of a projection, to columns of length n; a block per TILE edges.
template <typename Id, typename Offset, typename Real>
__global__ void write_edges(
    int n_axes, const Axis *axes, const Id *pair_src, const Id *pair_dst, const Offset *pair_tap,
    const Real *pair_gain, const Real *kernel, const Real *of_source, const Real *of_target,
    Id first_source, Id first_target, int view, long long start, long long n,
    Id *src, Id *dst, Real *weight
) {
    __shared__ Axis shared_axes[MOST_AXES];
    __shared__ Odometer<Id, Offset, Real> at;
    if (threadIdx.x < n_axes) shared_axes[threadIdx.x] = axes[threadIdx.x];
    __syncthreads();
    const Projection<Id, Offset, Real> p = {
        n_axes, shared_axes, pair_src, pair_dst, pair_tap, pair_gain, kernel, of_source, of_target,
        first_source, first_target, view
    };
    long long first = (long long)blockIdx.x * TILE;
    if (threadIdx.x == 0) set(at, p, start + first);
    __syncthreads();
    write_tile(at, p, first, n, threadIdx.x, blockDim.x, src, dst, weight);
}
#endif
