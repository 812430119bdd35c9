// The CUDA runtime and driver on the CPU: device memory is host memory, streams are in order,
// threads of a block take turns.
#include <dlfcn.h>
#include <unistd.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>
#include <chrono>
#include <driver_types.h>
#include <vector_types.h>

#define API extern "C" __attribute__((visibility("default")))

namespace {
std::mutex lock;
std::map<const char *, size_t> taken;  // device memory by its start
size_t n_taken = 0;

size_t memory() {
    static const char *set = getenv("EMU_MEMORY");
    return set ? strtoull(set, nullptr, 10) : size_t(16) << 30;
}

int take(void **pointer, size_t size) {
    std::lock_guard<std::mutex> hold(lock);
    if (n_taken + size > memory()) return cudaErrorMemoryAllocation;
    *pointer = size ? aligned_alloc(512, (size + 511) / 512 * 512) : nullptr;
    if (!*pointer) return size ? cudaErrorMemoryAllocation : 0;
    memset(*pointer, 0xff, size);  // NaN: what nobody wrote shows
    taken[(char *)*pointer] = size;
    n_taken += size;
    return 0;
}

int give(void *pointer) {
    std::lock_guard<std::mutex> hold(lock);
    if (!pointer) return 0;
    auto found = taken.find((char *)pointer);
    if (found == taken.end()) return cudaErrorInvalidValue;
    n_taken -= found->second;
    taken.erase(found);
    free(pointer);
    return 0;
}
}  // namespace

API const char *cudaGetErrorName(int e) { return e == 2 ? "cudaErrorMemoryAllocation" : e == 100 ? "cudaErrorNoDevice" : "cudaError"; }
API const char *cudaGetErrorString(int e) { return e == 2 ? "out of memory" : e == 801 ? "not emulated" : "emulated error"; }
API int cudaGetLastError() { return 0; }
API int cudaDriverGetVersion(int *v) { *v = 13000; return 0; }
API int cudaRuntimeGetVersion(int *v) { *v = 13000; return 0; }
API int cudaGetDevice(int *d) { *d = 0; return 0; }
API int cudaSetDevice(int) { return 0; }
API int cudaGetDeviceCount(int *n) { *n = 1; return 0; }
API int cudaDeviceSynchronize() { return 0; }
API int cudaDeviceGetAttribute(int *value, int attribute, int) {
    static const std::map<int, int> known = {
        {cudaDevAttrMaxThreadsPerBlock, 1024}, {cudaDevAttrMaxBlockDimX, 1024},
        {cudaDevAttrMaxSharedMemoryPerBlock, 49152}, {cudaDevAttrWarpSize, 32},
        {cudaDevAttrMultiProcessorCount, 4}, {cudaDevAttrComputeCapabilityMajor, 9},
        {cudaDevAttrComputeCapabilityMinor, 0}, {cudaDevAttrMaxThreadsPerMultiProcessor, 2048},
        {cudaDevAttrMaxRegistersPerBlock, 65536}, {cudaDevAttrMaxGridDimX, 0x7fffffff}};
    auto found = known.find(attribute);
    *value = found == known.end() ? 0 : found->second;
    return 0;
}
API int cudaGetDeviceProperties(cudaDeviceProp *p, int) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "Emulated GPU");
    p->totalGlobalMem = memory();
    p->sharedMemPerBlock = 49152;
    p->warpSize = 32;
    p->maxThreadsPerBlock = 1024;
    p->multiProcessorCount = 4;
    p->maxThreadsPerMultiProcessor = 2048;
    p->major = 9;
    return 0;
}
API int cudaDeviceCanAccessPeer(int *can, int, int) { *can = 0; return 0; }
API int cudaDeviceGetPCIBusId(char *id, int n, int) { snprintf(id, n, "0000:00:00.0"); return 0; }
API int cudaMalloc(void **p, size_t n) { return take(p, n); }
API int cudaMallocManaged(void **p, size_t n, unsigned) { return take(p, n); }
API int cudaMallocAsync(void **p, size_t n, void *) { return take(p, n); }
API int cudaHostAlloc(void **p, size_t n, unsigned) { *p = aligned_alloc(512, (n + 511) / 512 * 512); return 0; }
API int cudaFreeHost(void *p) { free(p); return 0; }
API int cudaFree(void *p) { return give(p); }
API int cudaFreeAsync(void *p, void *) { return give(p); }
API int cudaMemGetInfo(size_t *free, size_t *total) {
    std::lock_guard<std::mutex> hold(lock);
    *total = memory();
    *free = *total - n_taken;
    return 0;
}
API int cudaMemcpy(void *to, const void *from, size_t n, int) { memmove(to, from, n); return 0; }
API int cudaMemcpyAsync(void *to, const void *from, size_t n, int, void *) { memmove(to, from, n); return 0; }
API int cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, int) {
    for (size_t i = 0; i < height; ++i) memmove((char *)to + i * to_pitch, (char *)from + i * from_pitch, width);
    return 0;
}
API int cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, int kind, void *) {
    return cudaMemcpy2D(to, to_pitch, from, from_pitch, width, height, kind);
}
API int cudaMemset(void *to, int value, size_t n) { memset(to, value, n); return 0; }
API int cudaMemsetAsync(void *to, int value, size_t n, void *) { memset(to, value, n); return 0; }
API int cudaPointerGetAttributes(cudaPointerAttributes *a, const void *p) {
    std::lock_guard<std::mutex> hold(lock);
    auto after = taken.upper_bound((const char *)p);
    bool ours = after != taken.begin() && (const char *)p < std::prev(after)->first + std::prev(after)->second;
    memset(a, 0, sizeof *a);
    a->type = ours ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
    a->devicePointer = ours ? (void *)p : nullptr;
    return 0;
}

// Streams and events: everything is done when it is asked for.
using Clock = std::chrono::steady_clock;
API int cudaStreamCreate(void **s) { *s = malloc(1); return 0; }
API int cudaStreamCreateWithFlags(void **s, unsigned) { *s = malloc(1); return 0; }
API int cudaStreamCreateWithPriority(void **s, unsigned, int) { *s = malloc(1); return 0; }
API int cudaStreamDestroy(void *s) { free(s); return 0; }
API int cudaStreamSynchronize(void *) { return 0; }
API int cudaStreamQuery(void *) { return 0; }
API int cudaStreamWaitEvent(void *, void *, unsigned) { return 0; }
API int cudaStreamIsCapturing(void *, int *status) { *status = 0; return 0; }
API int cudaStreamAddCallback(void *s, void (*f)(void *, int, void *), void *data, unsigned) { f(s, 0, data); return 0; }
API int cudaLaunchHostFunc(void *, void (*f)(void *), void *data) { f(data); return 0; }
API int cudaEventCreate(void **e) { *e = new Clock::time_point; return 0; }
API int cudaEventCreateWithFlags(void **e, unsigned) { return cudaEventCreate(e); }
API int cudaEventDestroy(void *e) { delete (Clock::time_point *)e; return 0; }
API int cudaEventRecord(void *e, void *) { *(Clock::time_point *)e = Clock::now(); return 0; }
API int cudaEventQuery(void *) { return 0; }
API int cudaEventSynchronize(void *) { return 0; }
API int cudaEventElapsedTime(float *ms, void *start, void *end) {
    *ms = std::chrono::duration<float, std::milli>(*(Clock::time_point *)end - *(Clock::time_point *)start).count();
    return 0;
}
API int cudaProfilerStart() { return 0; }
API int cudaProfilerStop() { return 0; }

// Kernels.
API dim3 emu_grid, emu_block;
API uint3 emu_block_id, emu_thread_id;
dim3 emu_grid, emu_block;
uint3 emu_block_id, emu_thread_id;
API char emu_dynamic_shared[1 << 18] __attribute__((aligned(64)));
char emu_dynamic_shared[1 << 18];
API unsigned long long emu_lanes[1024];
unsigned long long emu_lanes[1024];

namespace {
struct Kernel {
    void (*call)(void **);
    void (*check)(void **);
    int kind;
    std::string name;
};
enum Kind { PLAIN, STRIDED, MEETING };  // as in nvrtc.cpp

enum Wait { RUNS, AT_WARP, AT_BLOCK, DONE };
struct Fiber {
    void *stack_pointer;
    char *stack;
    Wait wait;
};
const size_t STACK = 1 << 17;
std::vector<Fiber> fibers(1024);
void *scheduler;
unsigned running;
const Kernel *kernel;
void **arguments;

extern "C" void emu_switch(void **from, void *to);
asm(".globl emu_switch\n.hidden emu_switch\nemu_switch:\n"
    "push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
    "mov %rsp, (%rdi); mov %rsi, %rsp\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret\n");

void wait(Wait kind) {
    fibers[running].wait = kind;
    emu_switch(&fibers[running].stack_pointer, scheduler);
}

void fiber_main() {
    kernel->call(arguments);
    wait(DONE);
}

void set_thread(unsigned i) {
    emu_thread_id = {i % emu_block.x, i / emu_block.x % emu_block.y, i / emu_block.x / emu_block.y};
}

void fail(const char *what) {
    fprintf(stderr, "emulation: %s in %s\n", what, kernel ? kernel->name.c_str() : "no kernel");
    abort();
}

void run_meeting_block(unsigned n) {
    for (unsigned i = 0; i < n; ++i) {
        Fiber &f = fibers[i];
        if (!f.stack) f.stack = (char *)aligned_alloc(4096, STACK);
        void **top = (void **)(f.stack + STACK - 64);
        *--top = nullptr;              // keeps the stack aligned as after a call
        *--top = (void *)fiber_main;   // where the first switch returns to
        f.stack_pointer = top - 6;     // six registers
        f.wait = RUNS;
    }
    for (unsigned n_done = 0; n_done < n;) {
        for (unsigned i = 0; i < n; ++i) {
            if (fibers[i].wait != RUNS) continue;
            running = i;
            set_thread(i);
            emu_switch(&scheduler, fibers[i].stack_pointer);
            if (fibers[i].wait == DONE) ++n_done;
        }
        bool any = false, all = true;
        for (unsigned i = 0; i < n; ++i) {
            if (fibers[i].wait == AT_WARP) { fibers[i].wait = RUNS; any = true; }
            if (fibers[i].wait == RUNS) all = false;
        }
        if (any) continue;
        for (unsigned i = 0; all && i < n; ++i) if (fibers[i].wait == AT_BLOCK) fibers[i].wait = RUNS;
    }
}

void launch() {
    static const bool reversed = getenv("EMU_REVERSED");
    if (kernel->kind == STRIDED && !reversed) {
        emu_grid = emu_block = dim3{1, 1, 1};
        emu_block_id = emu_thread_id = {0, 0, 0};
        kernel->call(arguments);
        return;
    }
    unsigned n = emu_block.x * emu_block.y * emu_block.z;
    if (n > 1024) fail("more than 1024 threads per block");
    size_t n_blocks = size_t(emu_grid.x) * emu_grid.y * emu_grid.z;
    for (size_t step = 0; step < n_blocks; ++step) {
        size_t b = reversed ? n_blocks - 1 - step : step;
        emu_block_id = {unsigned(b % emu_grid.x), unsigned(b / emu_grid.x % emu_grid.y), unsigned(b / emu_grid.x / emu_grid.y)};
        if (kernel->kind == MEETING) {
            run_meeting_block(n);
            continue;
        }
        for (unsigned i = 0; i < n; ++i) {
            set_thread(reversed ? n - 1 - i : i);
            kernel->call(arguments);
        }
    }
}
}  // namespace

API void emu_sync_block() { if (kernel->kind != MEETING) fail("unforeseen __syncthreads"); wait(AT_BLOCK); }
API void emu_sync_warp() { if (kernel->kind != MEETING) fail("unforeseen __syncwarp"); wait(AT_WARP); }
API void emu_check_pointer(const void *p) {
    cudaPointerAttributes a;
    cudaPointerGetAttributes(&a, p);
    if (p && a.type != cudaMemoryTypeDevice) fail("a host pointer was passed");
}

API int cuGetErrorName(int, const char **s) { *s = "CUDA_ERROR"; return 0; }
API int cuGetErrorString(int, const char **s) { *s = "emulated error"; return 0; }
API int cuInit(unsigned) { return 0; }
API int cuDriverGetVersion(int *v) { *v = 13000; return 0; }
API int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
API int cuCtxGetCurrent(void **c) { *c = (void *)1; return 0; }
API int cuCtxSetCurrent(void *) { return 0; }
API int cuCtxGetDevice(int *d) { *d = 0; return 0; }
API int cuStreamGetCtx(void *, void **c) { *c = (void *)1; return 0; }
API int cuModuleLoadData(void **module, const char *image) {
    size_t n;  // as nvrtc.cpp lays it out
    memcpy(&n, image, sizeof n);
    char path[] = "/tmp/emu_module_XXXXXX";
    int file = mkstemp(path);
    bool written = write(file, image + sizeof n, n) == (ssize_t)n;
    close(file);
    *module = written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (!*module) fprintf(stderr, "emulation: %s\n", dlerror());
    unlink(path);
    return *module ? 0 : 200;
}
API int cuModuleUnload(void *) { return 0; }
API int cuModuleGetFunction(void **function, void *module, const char *name) {
    void *call = dlsym(module, (std::string("emu_call_") + name).c_str());
    if (!call) return 500;
    void *check = dlsym(module, (std::string("emu_check_") + name).c_str());
    int kind = *(int *)dlsym(module, "emu_kind");
    *function = new Kernel{(void (*)(void **))call, (void (*)(void **))check, kind, name};
    return 0;
}
API int cuModuleGetGlobal_v2(void **pointer, size_t *n, void *module, const char *name) {
    *pointer = dlsym(module, name);
    *n = 0;
    return *pointer ? 0 : 500;
}
API int cuFuncGetAttribute(int *value, int, void *) { *value = 1024; return 0; }
API int cuFuncSetAttribute(void *, int, int) { return 0; }
API int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, void *, int, size_t) { *n = 2; return 0; }
API int cuOccupancyMaxPotentialBlockSize(int *grid, int *block, void *, void *, size_t, int) { *grid = 8; *block = 256; return 0; }
API int cuLaunchKernel(Kernel *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, void *, void **parameters, void **) {
    static std::mutex launching;
    std::lock_guard<std::mutex> hold(launching);
    kernel = f;
    arguments = parameters;
    emu_grid = dim3{gx, gy, gz};
    emu_block = dim3{bx, by, bz};
    f->check(parameters);
    launch();
    return 0;
}
