"""The peak that the tiles are measured against: multiply-adds that wait for nothing and never leave the registers."""

from typing import Any

import numpy as np

from ..._jit import kernel
from .simd import NEURONS, VECTORS, lanes, lanes_of, tile_fma, tile_store, tile_zero


def tile_numbers(dtype: Any) -> int:
    """The numbers of a tile."""
    return NEURONS * VECTORS * lanes_of(np.dtype(dtype))


@kernel
def multiply_add(x, count):
    """math: `count` times a tile, from zero on, plus x_m times the first VECTORS · lanes of x in its row m; into x."""
    total = tile_zero(NEURONS, VECTORS, x)
    for _ in range(count):
        total = tile_fma(total, x, 0, 1, x, 0)
    tile_store(total, x, 0, VECTORS * lanes(x))
