"""What a network chooses by code (φ, φ', ℓ, the optimizer), compiled for that code alone and called by its address.

One compiled engine serves all choices, yet nobody waits for fourteen activations and seven optimizers to compile: the
branches on a code that is an int in a closure are cut off before anything is typed, and what is called by address is
compiled once and not again as a part of every caller. Each entry takes places (`simd.at`) and sizes, and lives as
long as the process does.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numba import carray, from_dtype, types

from .._jit import as_template, c_function
from ..activations import HIDDEN, OUTPUTS, SOFTMAX, softmax
from ..losses import output_delta
from ..optimizers import COEFFICIENTS, update_stretch
from .layout import BATCH, PHI, PLAIN
from .normal_blocks import normalize_samples, normalize_units, sample_deltas, unit_deltas

if TYPE_CHECKING:
    from ..network import Network

ACTIVATION, SLOPE = range(2)  # columns of a network's entries
BY_CODE = {activation.code: activation for activation in (*HIDDEN.values(), *OUTPUTS.values())}

_output_delta, _update_stretch = as_template(output_delta), as_template(update_stretch)


def _signature(dtype: np.dtype, places: int, sizes: int) -> types.Type:
    return types.void(*[types.CPointer(from_dtype(dtype))] * places, *[types.intp] * sizes)


@cache
def activation(phi: int, dtype: np.dtype) -> int:
    """E1, a = φ(z): the entry (z, a; count), for softmax (z, a, top, total; outputs, N) as in `activations.softmax`."""
    if phi == SOFTMAX:

        def softmax_entry(z, a, top, total, outputs, N):
            softmax(carray(z, (outputs, N)), carray(a, (outputs, N)), carray(top, (N,)), carray(total, (N,)))

        return c_function(_signature(dtype, 4, 2), softmax_entry)

    phi_of = BY_CODE[phi].phi

    def entry(z, a, count):
        z, a = carray(z, (count,)), carray(a, (count,))
        for j in range(count):
            a[j] = phi_of(z[j])

    return c_function(_signature(dtype, 2, 1), entry)


@cache
def slope(phi: int, dtype: np.dtype) -> int:
    """E3, δ ← φ'(z) δ: the entry (z, a, delta; count)."""
    slope_of = BY_CODE[phi].slope

    def entry(z, a, delta, count):
        z, a, delta = carray(z, (count,)), carray(a, (count,)), carray(delta, (count,))
        for i in range(count):
            delta[i] *= slope_of(z[i], a[i])

    return c_function(_signature(dtype, 3, 1), entry)


@cache
def loss(code: int, phi: int, dtype: np.dtype) -> int:
    """E2, see `losses.output_delta`: the entry (parameters, z, a, y, weight, top, total, delta, ell; outputs, N)."""

    def entry(parameters, z, a, y, weight, top, total, delta, ell, outputs, N):
        shape = outputs, N
        _output_delta(
            code, phi, carray(parameters, (outputs,)), carray(z, shape), carray(a, shape), carray(y, shape),
            carray(weight, (N,)), carray(top, (N,)), carray(total, (N,)), carray(delta, shape), carray(ell, (N,)),
        )  # fmt: skip

    return c_function(_signature(dtype, 9, 2), entry)


@cache
def normalization(kind: int, dtype: np.dtype) -> int:
    """E7 of a block: the entry (z, normal, mean, inv_std, gain, b, mean of samples; units, N), z holding s before."""

    def entry(z, normal, mean, inv_std, gain, b, sample_mean, units, N):
        z, normal = carray(z, (units, N)), carray(normal, (units + 1, N))
        gain, b = carray(gain, (units,)), carray(b, (units,))
        if kind == BATCH:
            normalize_units(z, normal, carray(mean, (units,)), carray(inv_std, (units,)), gain, b)
        else:
            normalize_samples(z, normal, carray(sample_mean, (N,)), gain, b)

    return c_function(_signature(dtype, 7, 2), entry)


@cache
def normalization_delta(kind: int, dtype: np.dtype) -> int:
    """E8 of a block: the entry (delta, normal, product, product_normal, inv_std, gain, and the products of samples;
    units, N).
    """

    def entry(delta, normal, product, product_normal, inv_std, gain, of_samples, of_samples_normal, units, N):
        delta, normal, gain = carray(delta, (units, N)), carray(normal, (units + 1, N)), carray(gain, (units,))
        if kind == BATCH:
            products = carray(product, (units,)), carray(product_normal, (units,))
            unit_deltas(delta, normal, *products, carray(inv_std, (units,)), gain)
        else:
            sample_deltas(delta, normal, carray(of_samples, (N,)), carray(of_samples_normal, (N,)), gain)

    return c_function(_signature(dtype, 8, 2), entry)


@cache
def optimizer_step(code: int, dtype: np.dtype) -> int:
    """E6, see `optimizers.update_stretch`: the entry (theta, g, m, v, c; count)."""

    def entry(theta, g, m, v, c, count):
        size = (count,)
        _update_stretch(
            code, carray(theta, size), carray(g, size), carray(m, size), carray(v, size), carray(c, (COEFFICIENTS,))
        )

    return c_function(_signature(dtype, 5, 1), entry)


def of_layers(network: "Network", *, trains: bool) -> np.ndarray:
    """The addresses of φ and φ' of layers 0..L of a network, (L + 1, 2) int64; 0 where none is called."""
    codes, dtype = network.table[:, PHI].tolist(), network.dtype
    found = np.zeros((len(codes), 2), np.int64)
    for l in range(1, len(codes)):
        found[l, ACTIVATION] = activation(codes[l], dtype)
        if trains and l < len(codes) - 1:
            found[l, SLOPE] = slope(codes[l], dtype)
    return found


def of_normalizations(network: "Network") -> np.ndarray:
    """The addresses of E7 and E8 of layers 0..L, (L + 1, 2) int64; 0 where a layer is not normalised."""
    found = np.zeros((len(network.sizes), 2), np.int64)
    for l, kind in enumerate(network.kinds):
        if kind != PLAIN:
            found[l] = normalization(kind, network.dtype), normalization_delta(kind, network.dtype)
    return found


def of_loss(network: "Network") -> int:
    """The address of a network's loss."""
    return loss(network.loss_function.code, int(network.table[-1, PHI]), network.dtype)
