#!/bin/sh
# Run a command, such as pytest, where CuPy finds the emulated GPU.
home=$(cd "$(dirname "$0")" && pwd)
export EMU_HOME="$home"
export LD_LIBRARY_PATH="$home/build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PYTHONPATH="$home/build/site${PYTHONPATH:+:$PYTHONPATH}"
export CUPY_CACHE_DIR="$home/build/kernels" CUPY_ACCELERATORS= CUDA_PATH="$home/build/tools/nvidia/cu13"
exec "$@"
