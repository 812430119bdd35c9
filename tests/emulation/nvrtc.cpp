// NVRTC by way of g++: the "cubin" is a shared library, headed by its length.
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace {
enum Kind { PLAIN, STRIDED, MEETING };  // as in cuda.cpp
struct Program {
    std::string source, log, binary;
    std::map<std::string, std::string> names;  // lowered, by expression
};

std::string read(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
bool has(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

Kind kind_of(const std::string &source) {
    if (has(source, "__sync") || has(source, "_sync(")) return MEETING;
    bool strided = has(source, "CUPY_FOR(") && !has(source, "blockIdx") && !has(source, "threadIdx");
    return strided ? STRIDED : PLAIN;
}

std::string for_cpu(const Program &program) {
    static const std::regex dynamic(R"(extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;)");
    static const std::regex kernel(R"(extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\()");
    std::string source = std::regex_replace(program.source, dynamic, "$1 *$2 = ($1 *)emu_dynamic_shared;");
    std::string calls = "\nextern \"C\" int emu_kind = " + std::to_string(kind_of(program.source)) + ";\n";
    for (std::sregex_iterator found(source.begin(), source.end(), kernel), end; found != end; ++found)
        calls += "EMU_KERNEL(" + found->str(1) + ", " + found->str(1) + ")\n";
    for (auto &[expression, lowered] : program.names)
        calls += "EMU_KERNEL(" + lowered + ", " + expression + ")\n";
    return source + calls;
}
}  // namespace

API const char *nvrtcGetErrorString(int e) { return e == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR"; }
API int nvrtcVersion(int *major, int *minor) { *major = 13; *minor = 0; return 0; }
API int nvrtcGetNumSupportedArchs(int *n) { *n = 1; return 0; }
API int nvrtcGetSupportedArchs(int *archs) { *archs = 90; return 0; }
API int nvrtcCreateProgram(Program **p, const char *source, const char *, int, const char **, const char **) {
    *p = new Program{source, "", "", {}};
    return 0;
}
API int nvrtcDestroyProgram(Program **p) { delete *p; return 0; }
API int nvrtcAddNameExpression(Program *p, const char *name) {
    p->names.emplace(name, "named" + std::to_string(p->names.size()));
    return 0;
}
API int nvrtcGetLoweredName(Program *p, const char *name, const char **lowered) {
    *lowered = p->names.at(name).c_str();
    return 0;
}
API int nvrtcCompileProgram(Program *p, int n, const char **options) {
    if (p->source.empty()) {  // CuPy asks for the compiler's version like this
        p->binary = "// emulation 1";
        return 0;
    }
    char folder[] = "/tmp/emu_compile_XXXXXX";
    if (!mkdtemp(folder)) return 1;
    std::string at = folder, home = getenv("EMU_HOME");
    std::ofstream(at + "/kernel.cpp") << for_cpu(*p);
    std::string command = "g++ " + read(home + "/build/flags") + " -shared -Wl,-Bsymbolic -include " + home + "/build/prelude.h";
    for (int i = 0; i < n; ++i)
        if (!strncmp(options[i], "-D", 2)) command += std::string(" '") + options[i] + "'";
    // Linked to the emulation, which need not be among the libraries that all others see.
    command += " -o " + at + "/kernel.so " + at + "/kernel.cpp " + home + "/build/lib/libcuda.so.1 2> " + at + "/log";
    int failed = system(command.c_str());
    p->log = read(at + "/log");
    std::string library = read(at + "/kernel.so");
    size_t size = library.size();
    p->binary = std::string((char *)&size, sizeof size) + library;
    system(("rm -r " + at).c_str());
    return failed ? 6 : 0;
}
API int nvrtcGetPTXSize(Program *p, size_t *n) { *n = p->binary.size() + 1; return 0; }
API int nvrtcGetPTX(Program *p, char *to) { memcpy(to, p->binary.data(), p->binary.size() + 1); return 0; }
API int nvrtcGetCUBINSize(Program *p, size_t *n) { return nvrtcGetPTXSize(p, n); }
API int nvrtcGetCUBIN(Program *p, char *to) { return nvrtcGetPTX(p, to); }
API int nvrtcGetProgramLogSize(Program *p, size_t *n) { *n = p->log.size() + 1; return 0; }
API int nvrtcGetProgramLog(Program *p, char *to) { memcpy(to, p->log.c_str(), p->log.size() + 1); return 0; }
