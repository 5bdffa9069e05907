"""Which units are dropped: a counter-based generator, so that every engine and every thread drops the same ones.

A unit's fate is a hash of (seed, step, layer, unit, row of the data set): nothing is drawn in sequence, so no order of
execution changes it, and the backward pass asks again instead of remembering. The hash is a 32-bit finaliser
(two multiplications, three xor-shifts), kept in uint64 arithmetic where no product overflows.
"""

import numpy as np

from ._jit import inlined, kernel

_MASK = np.uint64(0xFFFFFFFF)
_GOLDEN = np.uint64(0x9E3779B9)
_M1, _M2 = np.uint64(0x7FEB352D), np.uint64(0x846CA68B)
_15, _16, _32 = np.uint64(15), np.uint64(16), np.uint64(32)


def _mix(x):
    """math: a 32-bit number (as uint64, scalar or array) to another that looks unrelated."""
    x = ((x ^ (x >> _16)) * _M1) & _MASK
    x = ((x ^ (x >> _15)) * _M2) & _MASK
    return x ^ (x >> _16)


mix = inlined(_mix)


@kernel
def dropout_key(seed, step, layer):
    """math: the key of one layer at one step; seed uint64, step and layer int64."""
    key = mix((seed & _MASK) ^ _GOLDEN)
    key = mix(key ^ (seed >> _32))
    key = mix(key ^ (np.uint64(step) & _MASK))
    return mix(key ^ np.uint64(layer))


@inlined
def sample_fate(key, row):
    """math: a layer's key and a row of the data set, hashed."""
    return mix(key ^ (np.uint64(row) & _MASK))


@inlined
def is_kept(fate, unit, bound):
    """math: whether a unit (uint64) of a sample with this fate stays: where its hash is no less than p · 2³²."""
    return mix((fate + np.uint64(unit) * _GOLDEN) & _MASK) >= bound


@kernel
def drop(p, key, ids, a, h):
    """E1: inverted dropout: h_j = 0 with probability p, else a_j / (1 − p), for every unit j of every sample n.

    a and h (units, N) have a sample in each column, ids (N,) are its rows in the data set; h is written. E3 calls it
    with δ for both a and h: the same units, the same scale.
    """
    number = type(a[0, 0])
    scale = number(1 / (1 - p))
    bound = np.uint64(p * 4294967296.0)
    for j in range(a.shape[0]):
        for n in range(a.shape[1]):
            h[j, n] = a[j, n] * scale if is_kept(sample_fate(key, ids[n]), j, bound) else number(0)


def dropout_mask(p: float, key: int, rows: np.ndarray, n_units: int, dtype: np.dtype) -> np.ndarray:
    """The factors of `drop` as an array (rows, units) of 0 and 1/(1 − p), for the vectorised engine."""
    samples = _mix(np.uint64(key) ^ (rows.astype(np.uint64) & _MASK))
    units = np.arange(n_units, dtype=np.uint64) * _GOLDEN
    kept = _mix((samples[:, None] + units) & _MASK) >= np.uint64(p * 4294967296.0)
    return kept.astype(dtype) * dtype.type(1 / (1 - p))
