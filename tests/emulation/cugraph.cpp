// cuGraph's C library, which pylibcugraph calls, on the CPU: textbook algorithms. Where cuGraph's
// sources say how it scales, stops or refuses, so does this; vertices come in an order of their own.
#include <driver_types.h>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <queue>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))
extern "C" int cudaMalloc(void **, size_t);
extern "C" int cudaFree(void *);
extern "C" int cudaPointerGetAttributes(cudaPointerAttributes *, const void *);

namespace {
// As in cugraph_c/types.h and error.h.
enum Type { INT32 = 2, INT64 = 3, FLOAT32 = 8, FLOAT64 = 9, BOOL = 11 };
enum Code { SUCCESS, UNKNOWN_ERROR, INVALID_INPUT = 4, NOT_IMPLEMENTED = 5, UNSUPPORTED = 6 };
struct Properties { int is_symmetric, is_multigraph; };
struct Error { std::string message; };
struct Failure { Code code; std::string message; };

void expect(bool holds, const char *message, Code code = UNKNOWN_ERROR) {
    if (!holds) throw Failure{code, message};
}

struct View { void *data; size_t size; Type type; };
using Values = std::vector<long double>;  // holds int64 and float64 exactly

Values numbered(size_t n) {
    Values values(n);
    std::iota(values.begin(), values.end(), 0);
    return values;
}

size_t width(Type type) { return type == BOOL ? 1 : type == INT32 || type == FLOAT32 ? 4 : 8; }

Values read(const View *view) {
    cudaPointerAttributes where;
    cudaPointerGetAttributes(&where, view->data);
    if (view->size && where.type != cudaMemoryTypeDevice) {
        fprintf(stderr, "emulation: cuGraph was given a host pointer\n");
        abort();
    }
    Values values(view->size);
    for (size_t i = 0; i < view->size; ++i) values[i] = view->type == INT32 ? ((int32_t *)view->data)[i]
                  : view->type == INT64 ? ((int64_t *)view->data)[i]
                  : view->type == FLOAT32 ? ((float *)view->data)[i] : (long double)((double *)view->data)[i];
    return values;
}

struct Array {
    View view;
    Array(const Values &values, Type type) : view{nullptr, values.size(), type} {
        if (cudaMalloc(&view.data, values.size() * width(type)))
            throw Failure{UNKNOWN_ERROR, "std::bad_alloc: out_of_memory: CUDA error"};
        for (size_t i = 0; i < values.size(); ++i) if (type == BOOL) ((bool *)view.data)[i] = values[i];
            else if (type == INT32) ((int32_t *)view.data)[i] = values[i];
            else if (type == INT64) ((int64_t *)view.data)[i] = values[i];
            else if (type == FLOAT32) ((float *)view.data)[i] = values[i];
            else ((double *)view.data)[i] = values[i];
    }
    ~Array() { cudaFree(view.data); }
};

struct Graph {
    Type ids, number;
    bool is_weighted, is_transposed;
    Properties is;
    size_t n;
    std::vector<size_t> src, dst, first;  // edges by source; where each vertex's begin
    std::vector<double> weight;

    void require(bool transposed) const {
        expect(is_transposed == transposed, "emulation: cuGraph would build the graph again, "
               "transposed", NOT_IMPLEMENTED);
    }
    void require_simple(const char *name) const {
        expect(is.is_symmetric, (name + std::string(" supports undirected graphs only.")).c_str());
        expect(!is.is_multigraph, (name + std::string(" does not support multi-graphs.")).c_str());
    }
    long double most_id() const {
        return ids == INT32 ? std::numeric_limits<int32_t>::max() : std::numeric_limits<int64_t>::max();
    }
};

struct Result {
    std::vector<std::unique_ptr<Array>> columns;
    double modularity = 0;
    int converged = 1;
    void add(const Values &values, Type type) { columns.emplace_back(new Array(values, type)); }
};

struct Column { Values values; Type type; };

Values permuted(Values values) {
    std::shuffle(values.begin(), values.end(), std::mt19937(1));
    return values;
}

Result *of_vertices(const Graph &g, const std::vector<Column> &columns) {
    auto result = std::make_unique<Result>();
    result->add(permuted(numbered(g.n)), g.ids);
    for (auto &column : columns) result->add(permuted(column.values), column.type);
    return result.release();
}

template <class R, class F> int run(R **result, Error **error, F compute) {
    *result = nullptr;
    *error = nullptr;
    try {
        *result = compute();
        return SUCCESS;
    } catch (const Failure &failure) {
        *error = new Error{failure.message};
        return failure.code;
    }
}

void require_ids(const Graph &g, const View *vertices) {
    expect(vertices->type == g.ids, "vertex type of graph and vertices must match", INVALID_INPUT);
}

Graph *build(const Properties &is, const View *vertices, const View *src, const View *dst,
             const View *weights, bool transposed, bool drop_multi, bool symmetrize) {
    expect(!symmetrize || is.is_symmetric, "Invalid input arguments: The graph property must be "
           "symmetric if 'symmetrize' is set to True.", INVALID_INPUT);
    expect(src->size == dst->size, "Invalid input arguments: src size != dst size.", INVALID_INPUT);
    expect(!weights || weights->size == src->size,
           "Invalid input arguments: src size != weights size.", INVALID_INPUT);
    bool wide = src->type != dst->type || (vertices && vertices->type != src->type);
    Type ids = wide ? INT64 : src->type, number = weights ? weights->type : FLOAT32;
    expect(ids == INT32 || ids == INT64, "ERROR: Data type not allowed for vertex type");
    expect(number == FLOAT32 || number == FLOAT64, "ERROR: Data type not allowed for weight type");
    Values from = read(src), to = read(dst), with = weights ? read(weights) : Values(from.size(), 1);
    struct Edge { size_t src, dst; double weight; };
    std::vector<Edge> edges;
    size_t n = vertices ? vertices->size : 0;
    for (size_t i = 0; i < from.size(); ++i) {
        expect(from[i] >= 0 && to[i] >= 0 && (!vertices || std::max(from[i], to[i]) < n),
               "emulation: an edge joins no vertices", INVALID_INPUT);
        edges.push_back({size_t(from[i]), size_t(to[i]), double(with[i])});
        n = std::max({n, edges.back().src + 1, edges.back().dst + 1});
    }
    expect(!vertices || read(vertices) == numbered(n),
           "Vertex list must be numbered consecutively from 0 when 'renumber' is 'false'", INVALID_INPUT);
    auto by_ends = [](const Edge &a, const Edge &b) {
        return std::tie(a.src, a.dst, a.weight) < std::tie(b.src, b.dst, b.weight);
    };
    auto same_ends = [](const Edge &a, const Edge &b) { return a.src == b.src && a.dst == b.dst; };
    std::sort(edges.begin(), edges.end(), by_ends);
    if (drop_multi) edges.erase(std::unique(edges.begin(), edges.end(), same_ends), edges.end());
    for (size_t i = 0, n_given = edges.size(); symmetrize && i < n_given; ++i)
        if (edges[i].src != edges[i].dst) edges.push_back({edges[i].dst, edges[i].src, edges[i].weight});
    std::sort(edges.begin(), edges.end(), by_ends);
    expect(is.is_multigraph || std::adjacent_find(edges.begin(), edges.end(), same_ends) == edges.end(),
           "emulation: parallel edges in a graph that is said to have none", INVALID_INPUT);
    auto g = std::make_unique<Graph>(Graph{ids, number, !!weights, transposed, is, n});
    g->first.assign(n + 1, 0);
    for (auto &edge : edges) {
        g->src.push_back(edge.src);
        g->dst.push_back(edge.dst);
        g->weight.push_back(edge.weight);
        ++g->first[edge.src + 1];
    }
    std::partial_sum(g->first.begin(), g->first.end(), g->first.begin());
    return g.release();
}

// T is the type of weights, and so of results.
template <class T> T change(const std::vector<T> &a, const std::vector<T> &b) {
    T sum = 0;
    for (size_t v = 0; v < a.size(); ++v) sum += std::abs(a[v] - b[v]);
    return sum;
}

template <class T> void divide(std::vector<T> &values, T by) {
    for (T &value : values) value /= by;
}

template <class T> Result *pagerank(const Graph &g, const View *who, const View *how_much, T alpha,
                                    T epsilon, size_t most) {
    g.require(true);
    expect(alpha >= 0 && alpha <= 1, "Invalid input argument: alpha should be in [0.0, 1.0].");
    std::vector<T> strength(g.n), jump(g.n, T(1) / g.n), rank(g.n, T(1) / g.n), before;
    for (size_t e = 0; e < g.src.size(); ++e) strength[g.src[e]] += g.weight[e];
    if (who) {
        require_ids(g, who);
        expect(how_much->type == g.number, "vertex type of graph and personalization_vector must match",
               INVALID_INPUT);
        Values vertices = read(who), values = read(how_much);
        T sum = std::accumulate(values.begin(), values.end(), 0.0L);
        expect(sum > 0, "Invalid input argument: sum of personalization valuese should be positive.");
        std::fill(jump.begin(), jump.end(), 0);
        for (size_t i = 0; i < values.size(); ++i) jump[vertices[i]] = T(values[i]) / sum;
    }
    size_t round = 0;
    for (bool done = false; !done; done = change(rank, before) < epsilon || ++round >= most) {
        before = rank;
        T dangling = 0;
        for (size_t v = 0; v < g.n; ++v) if (strength[v] == 0) dangling += before[v];
        for (size_t v = 0; v < g.n; ++v) rank[v] = (dangling * alpha + (1 - alpha)) * jump[v];
        for (size_t e = 0; e < g.src.size(); ++e)
            if (strength[g.src[e]] != 0)
                rank[g.dst[e]] += before[g.src[e]] / strength[g.src[e]] * T(g.weight[e]) * alpha;
    }
    Result *result = of_vertices(g, {{Values(rank.begin(), rank.end()), g.number}});
    result->converged = round + 1 < most;  // in the last round counts as never
    return result;
}

template <class T> Result *katz(const Graph &g, T alpha, T beta, T epsilon, size_t most) {
    g.require(true);
    expect(alpha >= 0 && alpha <= 1, "Invalid input argument: alpha should be in [0.0, 1.0].");
    std::vector<T> score(g.n), before;
    for (size_t round = 0;;) {
        before = score;
        std::fill(score.begin(), score.end(), beta);
        for (size_t e = 0; e < g.src.size(); ++e) score[g.dst[e]] += alpha * before[g.src[e]] * T(g.weight[e]);
        if (change(score, before) < epsilon) break;
        expect(++round < most, "Katz Centrality failed to converge.");
    }
    T norm = std::sqrt(std::inner_product(score.begin(), score.end(), score.begin(), T(0)));
    expect(norm > 0, "L2 norm of the computed Katz Centrality values should be positive.");
    divide(score, norm);
    return of_vertices(g, {{Values(score.begin(), score.end()), g.number}});
}

template <class T> Result *hits(const Graph &g, T epsilon, size_t most, bool normalize) {
    g.require(true);
    std::vector<T> hubs(g.n, T(1) / g.n), authorities, before;
    auto scale = [](std::vector<T> &values, T norm) {
        expect(norm > 0, "Norm is required to be a positive value.");
        divide(values, norm);
    };
    for (size_t round = 0;;) {
        before = hubs;
        authorities.assign(g.n, 0);
        hubs.assign(g.n, 0);
        for (size_t e = 0; e < g.src.size(); ++e) authorities[g.dst[e]] += before[g.src[e]];
        for (size_t e = 0; e < g.src.size(); ++e) hubs[g.src[e]] += authorities[g.dst[e]];
        scale(hubs, *std::max_element(hubs.begin(), hubs.end()));
        scale(authorities, *std::max_element(authorities.begin(), authorities.end()));
        if (change(hubs, before) < epsilon * g.n) break;
        expect(++round < most, "HITS failed to converge.");
    }
    for (auto values : {&hubs, &authorities})
        if (normalize) scale(*values, std::accumulate(values->begin(), values->end(), T(0)));
    return of_vertices(g, {{Values(hubs.begin(), hubs.end()), g.number},
                           {Values(authorities.begin(), authorities.end()), g.number}});
}

// Paths.

std::vector<size_t> chosen(const Graph &g, const View *vertices) {
    if (vertices) require_ids(g, vertices);
    Values given = vertices ? read(vertices) : numbered(g.n);
    for (auto v : given) expect(v >= 0 && v < g.n, "emulation: no such vertex", INVALID_INPUT);
    return std::vector<size_t>(given.begin(), given.end());
}

// Brandes' sums over some sources, per vertex and per edge. Parallel edges are as many paths.
void betweenness(const Graph &g, const std::vector<size_t> &sources, bool endpoints, Values &of_vertex,
                 Values &of_edge) {
    g.require(false);
    of_vertex.assign(g.n, 0);
    of_edge.assign(g.src.size(), 0);
    for (size_t source : sources) {
        std::vector<int64_t> paths(g.n), steps(g.n, -1);
        std::vector<double> behind(g.n);
        std::vector<size_t> order{source};
        paths[source] = 1;
        steps[source] = 0;
        for (size_t at = 0; at < order.size(); ++at)
            for (size_t v = order[at], e = g.first[v]; e < g.first[v + 1]; ++e) {
                size_t to = g.dst[e];
                if (steps[to] < 0) {
                    steps[to] = steps[v] + 1;
                    order.push_back(to);
                }
                if (steps[to] != steps[v] + 1) continue;
                paths[to] += paths[v];
                if (g.ids == INT32) paths[to] = int32_t(paths[to]);  // counted in the type of ids
            }
        for (size_t at = order.size(); at-- > 0;) {
            size_t v = order[at];
            for (size_t e = g.first[v]; e < g.first[v + 1]; ++e) {
                if (steps[g.dst[e]] != steps[v] + 1) continue;
                double share = double(paths[v]) / paths[g.dst[e]] * (1 + behind[g.dst[e]]);
                behind[v] += share;
                of_edge[e] += share;
            }
            if (v != source) of_vertex[v] += behind[v] + endpoints;
        }
        if (endpoints) of_vertex[source] += order.size() - 1;
    }
}

Result *bfs(const Graph &g, const View *from, size_t limit) {
    g.require(false);
    Values steps(g.n, g.most_id()), before(g.n, -1);
    std::queue<size_t> next;
    expect(from->size > 0, "Invalid input argument: input should have at least one source.");
    for (size_t v : chosen(g, from)) {
        steps[v] = 0;
        next.push(v);
    }
    for (; !next.empty(); next.pop())
        for (size_t v = next.front(), e = g.first[v]; e < g.first[v + 1] && steps[v] < limit; ++e)
            if (steps[g.dst[e]] == g.most_id()) {
                steps[g.dst[e]] = steps[v] + 1;
                before[g.dst[e]] = v;
                next.push(g.dst[e]);
            }
    return of_vertices(g, {{steps, g.ids}, {before, g.ids}});
}

template <class T> Result *sssp(const Graph &g, size_t source, T cutoff) {
    g.require(false);
    expect(g.is_weighted, "emulation: shortest paths need weights", INVALID_INPUT);
    expect(source < g.n, "Invalid input argument: source vertex out-of-range.");
    T sum = std::accumulate(g.weight.begin(), g.weight.end(), T(0));
    expect(g.src.empty() || (sum > 0 && std::isfinite(sum)),
           "emulation: cuGraph would not end, for it goes by steps of the mean length");
    std::vector<T> far(g.n, std::numeric_limits<T>::max());
    Values before(g.n, -1);
    using Item = std::pair<T, size_t>;
    std::priority_queue<Item, std::vector<Item>, std::greater<Item>> next;
    next.push({far[source] = 0, source});
    while (!next.empty()) {
        auto [length, v] = next.top();
        next.pop();
        if (length > far[v]) continue;
        for (size_t e = g.first[v]; e < g.first[v + 1]; ++e) {
            T through = length + T(g.weight[e]);
            if (through >= far[g.dst[e]] || through >= cutoff) continue;
            next.push({far[g.dst[e]] = through, g.dst[e]});
            before[g.dst[e]] = v;
        }
    }
    return of_vertices(g, {{Values(far.begin(), far.end()), g.number}, {before, g.ids}});
}

// Undirected graphs.

Result *components(const Graph &g) {
    g.require(false);
    expect(g.is.is_symmetric, "Invalid input argument: input graph should be symmetric for weakly "
           "connected components.");
    Values label = numbered(g.n);
    for (bool changes = true; changes;) {
        changes = false;
        for (size_t e = 0; e < g.src.size(); ++e) {
            if (label[g.src[e]] >= label[g.dst[e]]) continue;
            label[g.src[e]] = label[g.dst[e]];
            changes = true;
        }
    }
    return of_vertices(g, {{label, g.ids}});
}

Result *core_number(const Graph &g) {
    g.require(false);
    g.require_simple("core_number");
    Values core(g.n, -1), degree(g.n);
    for (size_t e = 0; e < g.src.size(); ++e) degree[g.src[e]] += g.src[e] != g.dst[e];
    long double k = 0;
    for (size_t done = 0; done < g.n; ++done) {
        size_t least = g.n;
        for (size_t v = 0; v < g.n; ++v)
            if (core[v] < 0 && (least == g.n || degree[v] < degree[least])) least = v;
        core[least] = k = std::max(k, degree[least]);
        for (size_t e = g.first[least]; e < g.first[least + 1]; ++e) --degree[g.dst[e]];
    }
    return of_vertices(g, {{core, g.ids}});
}

Result *triangles(const Graph &g) {
    g.require(false);
    g.require_simple("triangle_count");
    Values count(g.n);
    auto joined = [&](size_t v, size_t w) {
        return std::binary_search(g.dst.begin() + g.first[v], g.dst.begin() + g.first[v + 1], w);
    };
    for (size_t v = 0; v < g.n; ++v)
        for (size_t e = g.first[v]; e < g.first[v + 1]; ++e)
            for (size_t f = g.first[v]; f < e; ++f)
                count[v] += g.dst[e] != v && g.dst[f] != v && joined(g.dst[e], g.dst[f]);
    return of_vertices(g, {{count, g.ids}});
}

// One sweep of Louvain's method.
Result *communities(const Graph &g, double resolution) {
    g.require(false);
    std::vector<double> strength(g.n);
    for (size_t e = 0; e < g.src.size(); ++e) strength[g.src[e]] += g.weight[e];
    auto volume = strength;
    double total = std::accumulate(g.weight.begin(), g.weight.end(), 0.0), modularity = 0;
    std::vector<size_t> label = chosen(g, nullptr);
    for (size_t v = 0; v < g.n; ++v) {
        std::map<size_t, double> to{{label[v], 0}};
        for (size_t e = g.first[v]; e < g.first[v + 1]; ++e)
            if (g.dst[e] != v) to[label[g.dst[e]]] += g.weight[e];
        volume[label[v]] -= strength[v];
        auto gain = [&](size_t p) { return to[p] - resolution * strength[v] * volume[p] / total; };
        for (auto &[p, weight] : to) if (gain(p) > gain(label[v])) label[v] = p;
        volume[label[v]] += strength[v];
    }
    for (size_t e = 0; e < g.src.size(); ++e)
        if (label[g.src[e]] == label[g.dst[e]]) modularity += g.weight[e] / total;
    for (double v : volume) modularity -= resolution * v / total * v / total;
    Result *result = of_vertices(g, {{Values(label.begin(), label.end()), g.ids}});
    result->modularity = modularity;
    return result;
}

// Any clusters: which are good, it cannot tell.
Result *spectral(const Graph &g, size_t n_clusters, size_t n_eigenvectors) {
    g.require(false);
    expect(g.ids == INT32 && g.is.is_symmetric,
           "Type Dispatcher executing unsupported combination of types", UNSUPPORTED);
    expect(n_clusters > 1, "API error, must specify more than 1 cluster");
    expect(n_clusters < g.n, "API error, number of clusters must be smaller than number of vertices");
    expect(n_eigenvectors <= n_clusters, "API error, cannot specify more eigenvectors than clusters");
    Values cluster(g.n);
    for (size_t v = 0; v < g.n; ++v) cluster[v] = v % n_clusters;
    return of_vertices(g, {{cluster, g.ids}});
}

#define TYPED(function, ...) \
    (g->number == FLOAT32 ? function<float>(__VA_ARGS__) : function<double>(__VA_ARGS__))
#define RETURNS(type) int /* do_expensive_check */, type **result, Error **error
#define RUN(...) { return run(result, error, [=] { __VA_ARGS__ }); }
}  // namespace

API void *cugraph_create_resource_handle(void *) { return new int; }
API void cugraph_free_resource_handle(int *handle) { delete handle; }
API const char *cugraph_error_message(const Error *error) { return error->message.c_str(); }
API void cugraph_error_free(Error *error) { delete error; }
API int cugraph_rng_state_create(void *, uint64_t seed, uint64_t **state, Error **error) {
    return run(state, error, [=] { return new uint64_t(seed); });
}
API void cugraph_rng_state_free(uint64_t *state) { delete state; }

API View *cugraph_type_erased_device_array_view(Array *array) { return new View(array->view); }
API View *cugraph_type_erased_device_array_view_create(void *data, size_t size, Type type) {
    return new View{data, size, type};
}
API void cugraph_type_erased_device_array_view_free(View *view) { delete view; }
API size_t cugraph_type_erased_device_array_view_size(const View *view) { return view->size; }
API Type cugraph_type_erased_device_array_view_type(const View *view) { return view->type; }
API void *cugraph_type_erased_device_array_view_pointer(const View *view) { return view->data; }
API int cugraph_type_erased_device_array_view_copy(void *, View *to, const View *from, Error **error) {
    void *none;
    return run(&none, error, [=] {
        expect(to->size * width(to->type) == from->size * width(from->type),
               "source and destination arrays are different sizes", INVALID_INPUT);
        memcpy(to->data, from->data, to->size * width(to->type));
        return nullptr;
    });
}

API int cugraph_graph_create_with_times_sg(
    void *, const Properties *is, View *vertices, View *src, View *dst, View *weights, View *ids, View *types,
    View *starts, View *ends, int transposed, int renumber, int drop_loops, int drop_multi, int symmetrize,
    RETURNS(Graph)) RUN(
    expect(!renumber && !drop_loops && !ids && !types && !starts && !ends,
           "emulation: plain edges only", NOT_IMPLEMENTED);
    return build(*is, vertices, src, dst, weights, transposed, drop_multi, symmetrize);
)
API void cugraph_graph_free(Graph *graph) { delete graph; }
API int cugraph_has_vertex(void *, const Graph *g, View *vertices, RETURNS(Array)) RUN(
    require_ids(*g, vertices);
    Values values = read(vertices);
    for (auto &v : values) v = v >= 0 && v < g->n;
    return new Array(values, BOOL);
)

API int cugraph_personalized_pagerank_allow_nonconvergence(
    void *, Graph *g, View *sum_vertices, View *sums, View *guess_vertices, View *guess, View *who, View *how_much,
    double alpha, double epsilon, size_t most, RETURNS(Result)) RUN(
    expect(!sum_vertices && !sums && !guess_vertices && !guess, "emulation: no guesses", NOT_IMPLEMENTED);
    return TYPED(pagerank, *g, who, how_much, alpha, epsilon, most);
)
API int cugraph_pagerank_allow_nonconvergence(
    void *handle, Graph *g, View *sum_vertices, View *sums, View *guess_vertices, View *guess, double alpha,
    double epsilon, size_t most, int check, Result **result, Error **error) {
    return cugraph_personalized_pagerank_allow_nonconvergence(handle, g, sum_vertices, sums, guess_vertices, guess,
        nullptr, nullptr, alpha, epsilon, most, check, result, error);
}
API int cugraph_katz_centrality(void *, Graph *g, View *betas, double alpha, double beta, double epsilon,
                                size_t most, RETURNS(Result)) RUN(
    expect(!betas, "emulation: cuGraph does not pass betas on", NOT_IMPLEMENTED);
    return TYPED(katz, *g, alpha, beta, epsilon, most);
)
API int cugraph_hits(void *, Graph *g, double epsilon, size_t most, View *guess_vertices, View *guess,
                     int normalize, RETURNS(Result)) RUN(
    expect(!guess_vertices && !guess, "emulation: no guesses", NOT_IMPLEMENTED);
    return TYPED(hits, *g, epsilon, most, normalize);
)
API int cugraph_betweenness_centrality(void *, Graph *g, View *vertices, int normalized, int endpoints,
                                       RETURNS(Result)) RUN(
    Values values; Values of_edges;
    auto sources = chosen(*g, vertices);
    betweenness(*g, sources, endpoints, values, of_edges);
    double k = sources.size(); double others = double(g->n) - !endpoints;
    double pairs = normalized ? others - 1 : (1 + g->is.is_symmetric) / others;
    bool all = k == others || endpoints;
    for (size_t v = 0; v < g->n; ++v) {
        bool is_source = std::count(sources.begin(), sources.end(), v);
        values[v] /= (all || !is_source ? k : k - 1) * pairs;
    }
    return of_vertices(*g, {{values, g->number}});
)
API int cugraph_edge_betweenness_centrality(void *, Graph *g, View *vertices, int normalized, RETURNS(Result)) RUN(
    Values of_vertices; Values values;
    auto sources = chosen(*g, vertices);
    betweenness(*g, sources, false, of_vertices, values);
    double n = g->n; double scale = normalized ? n * (n - 1) : 1 + g->is.is_symmetric;
    if (normalized || g->is.is_symmetric) scale *= sources.size() / n;
    for (auto &value : values) value /= scale;
    auto found = std::make_unique<Result>();
    found->add(permuted(Values(g->src.begin(), g->src.end())), g->ids);
    found->add(permuted(Values(g->dst.begin(), g->dst.end())), g->ids);
    found->add(permuted(values), g->number);
    return found.release();
)
API int cugraph_bfs(void *, Graph *g, View *sources, int optimizing, size_t limit, int, RETURNS(Result)) RUN(
    expect(!optimizing || g->is.is_symmetric,
           "Invalid input argument: input graph should be symmetric for direction optimizing BFS.");
    return bfs(*g, sources, limit);
)
API int cugraph_sssp(void *, Graph *g, size_t source, double cutoff, int, RETURNS(Result))
    RUN(return TYPED(sssp, *g, source, cutoff);)
API int cugraph_weakly_connected_components(void *, Graph *g, RETURNS(Result)) RUN(return components(*g);)
API int cugraph_core_number(void *, Graph *g, int, RETURNS(Result)) RUN(return core_number(*g);)
API int cugraph_triangle_count(void *, Graph *g, View *start, RETURNS(Result)) RUN(
    expect(!start, "emulation: all vertices only", NOT_IMPLEMENTED);
    return triangles(*g);
)
API int cugraph_louvain(void *, Graph *g, size_t, double, double resolution, RETURNS(Result))
    RUN(return communities(*g, resolution);)
API int cugraph_leiden(void *, void *, Graph *g, size_t, double resolution, double, RETURNS(Result))
    RUN(return communities(*g, resolution);)
API int cugraph_ecg(void *, void *, Graph *g, double least, size_t ensemble_size, size_t, double threshold,
                    double resolution, RETURNS(Result)) RUN(
    expect(least >= 0 && ensemble_size >= 1 && threshold > 0 && threshold <= 1 && resolution > 0 && resolution <= 1,
           "Invalid input arguments: must be in range (0.0, 1.0]");
    return communities(*g, resolution);
)
API int cugraph_spectral_modularity_maximization(
    void *, void *, Graph *g, size_t n_clusters, size_t n_eigenvectors, double, int, double, int,
    RETURNS(Result)) RUN(return spectral(*g, n_clusters, n_eigenvectors);)

// What results are asked for.
#define COLUMN(result, name, i) \
    API View *cugraph_##result##_result_get_##name(Result *r) { return new View(r->columns.at(i)->view); }
#define RESULT(result, zero, one) \
    COLUMN(result, zero, 0) \
    COLUMN(result, one, 1) \
    API void cugraph_##result##_result_free(Result *r) { delete r; }
RESULT(centrality, vertices, values)
API int cugraph_centrality_result_converged(Result *r) { return r->converged; }
RESULT(edge_centrality, src_vertices, dst_vertices)
COLUMN(edge_centrality, values, 2)
RESULT(hits, vertices, hubs)
COLUMN(hits, authorities, 2)
RESULT(paths, vertices, distances)
COLUMN(paths, predecessors, 2)
RESULT(labeling, vertices, labels)
RESULT(core, vertices, core_numbers)
RESULT(triangle_count, vertices, counts)
RESULT(hierarchical_clustering, vertices, clusters)
API double cugraph_hierarchical_clustering_result_get_modularity(Result *r) { return r->modularity; }
RESULT(clustering, vertices, clusters)
