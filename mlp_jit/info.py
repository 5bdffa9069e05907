"""What this machine is to the package: versions, CPU, register tile, threads, cache, and where the limit is."""

import os
import platform

import numba
import numpy as np
from numba.core.registry import cpu_target

from . import __version__, limit
from ._jit import threading_layer, threads
from .engines.lanes import simd, tiles


def info() -> None:
    """Print it all. Measuring takes some seconds for each network and number of threads, and longer once, where the
    engine is not compiled yet.
    """
    for name, value in machine().items():
        print(f"{name:10} {value}")
    if numba.config.DISABLE_JIT:
        print("\nThe lanes engine exists only compiled: unset NUMBA_DISABLE_JIT to have it measured.")
        return
    print("\nGFLOP/s in float32: multiply-adds in registers (the peak), NumPy's product of two matrices of")
    print(f"{limit.MATRIX} × {limit.MATRIX}, and a step of SGD by the lanes engine, which is so much of the two\n")
    print(f"{'network, batch':32} threads   peak  product    step  of peak  of product")
    for sizes, batch_size in limit.NETWORKS:
        for n_threads in sorted({1, threads(None)}):
            rates = limit.rates(sizes, batch_size, n_threads)
            print(line(f"{'-'.join(map(str, sizes))}, {batch_size}", n_threads, *rates), flush=True)
    if not limit.PINS_BLAS:
        print("The products used BLAS's own number of threads; threadpoolctl, if installed, sets it.")


def line(network: str, n_threads: int, peak: float, product: float, step: float) -> str:
    """A line of the table."""
    giga = f"{peak / 1e9:6.0f} {product / 1e9:8.0f} {step / 1e9:7.0f}"
    return f"{network:32} {n_threads:7} {giga} {step / peak:8.2f} {step / product:11.2f}"


def machine() -> dict[str, str]:
    """What there is to know without measuring."""
    _, cpu, _ = cpu_target.target_context.codegen().magic_tuple()
    samples = {name: simd.VECTORS * simd.lanes_of(np.dtype(name)) for name in ("float32", "float64")}
    return {
        "versions": f"mlp_jit {__version__}, numba {numba.__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}",
        "CPU": f"{cpu}, {platform.machine()}, {os.cpu_count()} cores",
        "registers": f"{simd.REGISTERS} vectors of {simd.VECTOR_BYTES} bytes",
        "tile": f"{simd.NEURONS} neurons × {simd.VECTORS} vectors of samples, "
        + " or ".join(f"{count} {name}" for name, count in samples.items()),
        "threads": f"{threads(None)}, by {threading_layer()}",
        "cache": cache(),
    }


def cache() -> str:
    """Where compiled code is kept."""
    if numba.config.DISABLE_JIT:
        return "none: NUMBA_DISABLE_JIT is set"
    return tiles.forward_layer.cache_path() or "none: each process compiles anew"
