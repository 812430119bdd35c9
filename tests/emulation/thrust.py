"""CuPy's Thrust functions in numpy, on the same memory."""

import ctypes

import numpy as np

available = True


def get_build_version():
    return 300000


def _array(pointer, dtype, shape):
    dtype = np.dtype(dtype)
    n = int(np.prod(shape, dtype=np.int64))
    buffer = (ctypes.c_char * (n * dtype.itemsize)).from_address(pointer)
    return np.frombuffer(buffer, dtype).reshape(tuple(shape))


def sort(dtype, data_start, keys_start, shape):
    _array(data_start, dtype, shape).sort(axis=-1)


def argsort(dtype, idx_start, data_start, keys_start, shape):
    data = _array(data_start, dtype, shape)
    order = np.argsort(data, axis=-1, kind="stable")
    data[...] = np.take_along_axis(data, order, -1)
    _array(idx_start, np.intp, shape)[...] = order


def lexsort(dtype, idx_start, keys_start, k, n):
    _array(idx_start, np.intp, (n,))[...] = np.lexsort(_array(keys_start, dtype, (k, n)))
