"""What has to fit into this machine's caches, and what does, as the operating system says."""

import os
from contextlib import suppress
from itertools import pairwise

from ..plan import Plan

L1_BYTES = 2**15  # of data, where the system does not say


def first_cache() -> int:
    """The bytes of a core's first cache for data."""
    with suppress(OSError, ValueError, AttributeError):  # no such call, or no such name
        return os.sysconf("SC_LEVEL1_DCACHE_SIZE") or L1_BYTES
    return L1_BYTES


def few_inputs(row: int) -> int:
    """How many rows of so many bytes take two thirds of the first cache, in whole lines of eight; at least 64."""
    return max(64, 2 * first_cache() // 3 // row // 8 * 8)


def largest_weights(plan: Plan) -> int:
    """The bytes of a network's largest W."""
    return max(n_in * n_out for n_in, n_out in pairwise(plan.sizes)) * plan.dtype.itemsize
