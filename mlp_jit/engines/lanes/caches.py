"""What has to fit into this machine's caches, and what does, as the operating system says."""

import os
from contextlib import suppress
from itertools import pairwise

from ..plan import Plan

L1_BYTES, L2_BYTES = 2**15, 2**20  # of a core's data, where the system does not say


def first_cache() -> int:
    """The bytes of a core's first cache for data."""
    return _said("SC_LEVEL1_DCACHE_SIZE") or L1_BYTES


def second_cache() -> int:
    """The bytes of a core's second cache."""
    return _said("SC_LEVEL2_CACHE_SIZE") or L2_BYTES


def _said(name: str) -> int:
    with suppress(OSError, ValueError, AttributeError):  # no such call, or no such name
        return max(0, os.sysconf(name))
    return 0


def few_inputs(row: int) -> int:
    """How many rows of so many bytes take two thirds of the first cache, in whole lines of eight; at least 64."""
    return max(64, 2 * first_cache() // 3 // row // 8 * 8)


def largest_weights(plan: Plan) -> int:
    """The bytes of a network's largest W."""
    return max(n_in * n_out for n_in, n_out in pairwise(plan.sizes)) * plan.dtype.itemsize


def is_large(weights: int) -> bool:
    """Whether a W of so many bytes, an eighth of the second cache, hardly stays there while a block goes by it."""
    return weights >= second_cache() // 8


def chunk_bytes() -> int:
    """What all layers' numbers of a chunk of samples may take: half of the second cache."""
    return second_cache() // 2
