#!/bin/sh
# Fetch CuPy and pylibcugraph and build what stands in for CUDA and cuGraph, into build/: about two
# minutes.
# PYTHON names the Python that will run the tests.
set -eu
home=$(cd "$(dirname "$0")" && pwd)
build=$home/build
python=${PYTHON:-python3}
cupy=14.2.0
pylibcugraph=26.10.0
cuda_headers="nvidia-cuda-runtime~=13.0 nvidia-cuda-crt~=13.0 nvidia-cuda-profiler-api~=13.0 nvidia-cuda-cccl~=13.0"
rm -rf "$build" && mkdir -p "$build/lib"
cd "$build"

# CuPy and pylibcugraph as their users get them, CuPy's source, and CUDA's headers.
fetch="$python -m pip --disable-pip-version-check --quiet"
$fetch install --no-deps --target site "cupy-cuda13x==$cupy" "cuda-pathfinder~=1.3" \
    "pylibcugraph-cu13==$pylibcugraph"
$fetch install --no-deps --target tools "cython~=3.2" $cuda_headers
CUPY_INSTALL_USE_STUB=1 $fetch download --no-deps --no-binary cupy "cupy==$cupy"
tar xzf "cupy-$cupy.tar.gz"
cuda=$build/tools/nvidia/cu13/include

# CuPy's wrapper of the runtime has the true runtime linked in: build that one module again.
(
    cd "cupy-$cupy"
    PYTHONPATH="$build/tools" "$python" - <<'PYTHON'
from Cython.Build import cythonize

names = {"CUPY_USE_CUDA_PYTHON": False, "CUPY_CUFFT_STATIC": False, "CUPY_CYTHON_VERSION": "3.2"}
versions = {"CUPY_CUDA_VERSION": 13000, "CUPY_HIP_VERSION": 0}
directives = {"embedsignature": True, "c_api_binop_methods": True, "binding": False}
cythonize(
    ["cupy_backends/cuda/api/runtime.pyx"],
    language="c++",
    compile_time_env=names | versions,
    compiler_directives=directives | {"warn.deprecated.IF": False, "freethreading_compatible": True},
    language_level=3,
    quiet=True,
)
PYTHON
    include=$("$python" -c "import sysconfig; print(sysconfig.get_paths()['include'])")
    suffix=$("$python" -c "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))")
    g++ -O0 -w -fPIC -I"$include" -I"$cuda" -c -o "$build/runtime.o" cupy_backends/cuda/api/runtime.cpp
)
rm site/cupy/cuda/thrust.*.so
cp "$home/thrust.py" site/cupy/cuda/
rm -r site/pylibcugraph/comms/*  # of many GPUs; needs RAFT and RMM
touch site/pylibcugraph/comms/__init__.py

# One library under many names, that module's among them: TensorFlow has functions named as CUDA's.
# Every function that CuPy and pylibcugraph link to is there; most only say so.
g++ -O3 -w -fPIC -std=c++17 -I"$cuda" -c "$home/cuda.cpp" "$home/nvrtc.cpp" "$home/blas.cpp" \
    "$home/cugraph.cpp"
nm ./*.o | awk '$2 == "T" {print $3}' | sort -u > defined
find site -name '*.so' -exec nm -D --undefined-only {} + | awk '{print $2}' |
    grep -E '^(cuda|cublas|cusolver|cusparse|curand|cufft|cugraph)[A-Z_]?' | sed 's/@.*//' > wanted
nm --undefined-only runtime.o | awk '$2 ~ /^cuda[A-Z]/ {print $2}' >> wanted
sort -u wanted | comm -13 defined - | awk '
    BEGIN {print "#include <cstdio>\n"}
    {print "extern \"C\" int " $1 "() { fprintf(stderr, \"emulation: no " $1 "\\n\"); return 801; }"}
' > missing.cpp
{
    echo "EMU {global: PyInit_runtime; emu_*; nvrtc*; cuda*; cuGet*; cuInit; cuD*; cuCtx*; cuM*;"
    echo "cuF*; cuO*; cuL*; cuS*; cugraph_*;};"
    for library in cublas:13 cusolver:12 cusparse:12 curand:10 cufft:12; do
        echo "lib${library%:*}.so.${library#*:} {global: ${library%:*}*;};"
    done
} > versions
rm site/cupy_backends/cuda/api/runtime.*.so
suffix=$("$python" -c "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))")
module=$build/site/cupy_backends/cuda/api/runtime$suffix
g++ -O3 -w -fPIC -shared -std=c++17 -Wl,-Bsymbolic -Wl,--version-script=versions -o "$module" \
    ./*.o missing.cpp -ldl
for library in cuda.so.1 nvrtc.so.13 cudart.so.13 cublas.so.13 cublasLt.so.13 cusolver.so.12 \
    cusparse.so.12 curand.so.10 cufft.so.12 nvJitLink.so.13 cugraph_c.so cugraph.so cugraph_mg.so \
    cugraph_common.so rmm.so rapids_logger.so; do
    ln -s "$module" "lib/lib$library"
done

# Kernels are compiled with these flags, and this header before them.
cp "$home/prelude.h" .
printf "%s " "-std=c++17 -O1 -w -fPIC -mfma -fno-gnu-unique -fno-strict-aliasing" \
    "-I$home/include -I$build/site/cupy/_core/include -I$cuda" > flags
g++ $(cat flags) -x c++-header prelude.h -o prelude.h.gch
rm -rf "cupy-$cupy" "cupy-$cupy.tar.gz" ./*.o
touch ready
