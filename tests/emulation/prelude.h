// What CUDA C++ has beyond C++, for kernels that g++ compiles for the CPU.
#pragma once
#include <cassert>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <math.h>
#include <type_traits>
#include <utility>
#include <cuda_fp16.h>

#define __CUDACC__ 1
#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0
#define __CUDA_ARCH__ 900
#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __restrict__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __shared__ static  // blocks run one after another
#define __constant__
#define __restrict__ __restrict
#define __launch_bounds__(...)

// Kept by the library that launches.
extern "C" {
extern dim3 emu_grid, emu_block;
extern uint3 emu_block_id, emu_thread_id;
extern char emu_dynamic_shared[];
extern unsigned long long emu_lanes[];
void emu_sync_block();
void emu_sync_warp();
void emu_check_pointer(const void *pointer);
}
#define gridDim emu_grid
#define blockDim emu_block
#define blockIdx emu_block_id
#define threadIdx emu_thread_id
#define warpSize 32
#define __syncthreads emu_sync_block
inline void __syncwarp(unsigned = 0) { emu_sync_warp(); }
inline void __threadfence() {}
inline void __threadfence_block() {}

inline unsigned emu_thread() {
    return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}
template <typename T> T emu_exchange(T value, unsigned lane) {
    unsigned long long *lanes = emu_lanes + (emu_thread() & ~31u);
    memcpy(lanes + (emu_thread() & 31), &value, sizeof(T));
    emu_sync_warp();
    memcpy(&value, lanes + (lane & 31), sizeof(T));
    emu_sync_warp();
    return value;
}
template <typename T> T __shfl_sync(unsigned, T v, int lane, int width = 32) {
    return emu_exchange(v, (emu_thread() & 31 & ~(width - 1)) + (lane & (width - 1)));
}
template <typename T> T __shfl_up_sync(unsigned, T v, unsigned by, int width = 32) {
    unsigned me = emu_thread() & 31;
    return emu_exchange(v, (me & (width - 1)) >= by ? me - by : me);
}
template <typename T> T __shfl_down_sync(unsigned, T v, unsigned by, int width = 32) {
    unsigned me = emu_thread() & 31;
    return emu_exchange(v, (me & (width - 1)) + by < (unsigned)width ? me + by : me);
}
template <typename T> T __shfl_xor_sync(unsigned, T v, int mask, int = 32) {
    return emu_exchange(v, (emu_thread() & 31) ^ mask);
}

// Threads do not run at the same time: plain operations are atomic.
template <typename T> T emu_put(T *at, T value) { T old = *at; *at = value; return old; }
#define EMU_ATOMIC(T) \
    inline T atomicAdd(T *at, T v) { return emu_put<T>(at, *at + v); } \
    inline T atomicExch(T *at, T v) { return emu_put<T>(at, v); }
#define EMU_ATOMIC_INTEGER(T) \
    inline T atomicSub(T *at, T v) { return emu_put<T>(at, *at - v); } \
    inline T atomicMax(T *at, T v) { return emu_put<T>(at, *at > v ? *at : v); } \
    inline T atomicMin(T *at, T v) { return emu_put<T>(at, *at < v ? *at : v); } \
    inline T atomicAnd(T *at, T v) { return emu_put<T>(at, *at & v); } \
    inline T atomicOr(T *at, T v) { return emu_put<T>(at, *at | v); } \
    inline T atomicXor(T *at, T v) { return emu_put<T>(at, *at ^ v); } \
    inline T atomicCAS(T *at, T old, T v) { return emu_put<T>(at, *at == old ? v : *at); }
EMU_ATOMIC(int) EMU_ATOMIC(unsigned) EMU_ATOMIC(unsigned long long) EMU_ATOMIC(float) EMU_ATOMIC(double)
EMU_ATOMIC_INTEGER(int) EMU_ATOMIC_INTEGER(unsigned) EMU_ATOMIC_INTEGER(unsigned long long)
inline long long atomicMax(long long *at, long long v) { return emu_put(at, *at > v ? *at : v); }
inline long long atomicMin(long long *at, long long v) { return emu_put(at, *at < v ? *at : v); }

template <typename To, typename From> To emu_bits(From v) { To to; memcpy(&to, &v, sizeof to); return to; }
inline int __float_as_int(float v) { return emu_bits<int>(v); }
inline unsigned __float_as_uint(float v) { return emu_bits<unsigned>(v); }
inline float __int_as_float(int v) { return emu_bits<float>(v); }
inline float __uint_as_float(unsigned v) { return emu_bits<float>(v); }
inline long long __double_as_longlong(double v) { return emu_bits<long long>(v); }
inline double __longlong_as_double(long long v) { return emu_bits<double>(v); }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll(v) : 64; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
inline int __mulhi(int a, int b) { return (long long)a * b >> 32; }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}
template <typename T> T __ldg(const T *at) { return *at; }
template <typename T> T __ldcs(const T *at) { return *at; }
template <typename T> T __ldcg(const T *at) { return *at; }
template <typename T> void __stcs(T *at, T v) { *at = v; }
template <typename T> void __stcg(T *at, T v) { *at = v; }
template <typename T> void __stwt(T *at, T v) { *at = v; }

#define EMU_BOTH std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>, int> = 0
template <typename A, typename B, EMU_BOTH> std::common_type_t<A, B> min(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return fmin(T(a), T(b));
    else return T(b) < T(a) ? T(b) : T(a);
}
template <typename A, typename B, EMU_BOTH> std::common_type_t<A, B> max(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return fmax(T(a), T(b));
    else return T(a) < T(b) ? T(b) : T(a);
}
inline double rsqrt(double v) { return 1 / sqrt(v); }
inline float rsqrtf(float v) { return 1 / sqrtf(v); }
inline float __fdividef(float a, float b) { return a / b; }

#include <cupy/complex.cuh>
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#include <cupy/math_constants.h>

// A kernel, called with the addresses of its arguments.
template <typename T> void emu_check(const T &) {}
template <typename T> void emu_check(T *const &pointer) { emu_check_pointer((const void *)pointer); }
template <typename... A, std::size_t... I>
void emu_call(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) {
    kernel(*(std::remove_const_t<A> *)arguments[I]...);
}
template <typename... A> void emu_check_all(void (*)(A...), void **arguments) {
    std::size_t i = 0;
    (emu_check(*(std::remove_const_t<A> *)arguments[i++]), ...);
}
template <typename... A> void emu_call(void (*kernel)(A...), void **arguments) {
    emu_call(kernel, arguments, std::index_sequence_for<A...>());
}
#define EMU_KERNEL(name, ...) \
    extern "C" void emu_call_##name(void **arguments) { emu_call(&__VA_ARGS__, arguments); } \
    extern "C" void emu_check_##name(void **arguments) { emu_check_all(&__VA_ARGS__, arguments); }
