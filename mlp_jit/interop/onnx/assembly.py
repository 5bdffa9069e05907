"""Layers of a network from the values between an input and an output."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...activations import HIDDEN, OUTPUTS
from ...engines import layout
from ...engines.layout import SKIPS
from ...engines.statistics import EPSILON
from ...network import Network
from .file import Node
from .signals import Activated, Batch, Layer, Linear, Pair, Scaled, Skip, Value

WIDEST = 8192  # units of a layer that the graph does not have: its W is n_out times what the graph holds


@dataclass(eq=False)
class Hidden:
    """A layer under construction: E1, E7 and E10 as far as they have come.

    Attributes
    ----------
    below : Value
        What goes into it.
    W : ndarray (n_in, n_out)
        Or (n_out,) or (1,) for a diagonal one.
    b : ndarray (n_out,) or (1,)
    width : int or None
        n_out.
    kind, gain, running
        E7: "batch" or "layer", γ (n_out,), and μ and v (n_out,) by batch.
    phi, node
        φ, and the operator that it comes from.
    skip : bool
    """

    below: Value
    W: np.ndarray
    b: np.ndarray
    width: int | None
    kind: str | None = None
    gain: Any = None
    running: Any = None
    phi: str | None = None
    node: Node | None = None
    skip: bool = False

    @property
    def is_diagonal(self) -> bool:
        """Whether W is."""
        return self.W.ndim == 1

    @property
    def is_past_z(self) -> bool:
        """Whether it has its φ, or more."""
        return self.phi is not None or self.skip

    @property
    def is_sum(self) -> bool:
        """Whether it has E1's sums and nothing else yet."""
        return self.kind is None and not self.is_past_z

    @property
    def can_be_output(self) -> bool:
        """Whether a network may end with it."""
        return self.phi in (None, *OUTPUTS) and self.kind != "layer" and not self.skip


def network_of(output: Value, dtype: np.dtype) -> Network:
    """The network whose outputs are this value. ValueError that names the operator where there is none."""
    layers: list[Hidden] = []
    for value in _from_the_input(output):
        if isinstance(value, Pair) and value is not output:
            raise ValueError(f"{value.node}: expected at the output alone")
        STEPS[type(value)](layers, value)
    if all(layer.is_diagonal for layer in layers):
        raise ValueError("no Gemm and no MatMul")
    if not layers[-1].can_be_output:
        _identity(layers, output)
    last = layers[-1]
    if last.kind == "batch":  # outputs are not normalised: into the weights
        (mean, variance), last.kind = last.running, None
        scale = last.gain / np.sqrt(variance + EPSILON)
        last.W, last.b, last.gain = last.W * scale, last.b - scale * mean, None
    return _filled(layers, dtype)


def _filled(layers: list[Hidden], dtype: np.dtype) -> Network:
    *hidden, last = layers
    for layer in hidden:
        if layer.phi not in (None, *HIDDEN):
            raise ValueError(f"{layer.node}: expected at the output alone")
    weights = [_matrix(layer) for layer in layers]
    skip = any(layer.skip for layer in hidden)
    network = Network(
        [len(weights[0]), *(W.shape[1] for W in weights)],
        activation=[layer.phi or "identity" for layer in hidden],
        output=last.phi or "identity",
        normalization=[layer.kind for layer in hidden],
        skip=skip,
        initializer=lambda rng, n_in, n_out: np.zeros((n_in, n_out)),
        dtype=dtype,
    )
    for l, layer in enumerate(layers, 1):
        if network.table[l, SKIPS] != layer.skip:
            raise ValueError(
                f"{layer.node or 'a layer'}: expected residual Adds around all hidden layers as wide as the one "
                f"before, or around none, got hidden layers of {list(network.sizes[1:-1])} with some"
            )
        network.weights[l - 1][...], network.biases[l - 1][...] = weights[l - 1], layer.b
        if layer.kind is not None:
            network.gains[l - 1][...] = layer.gain
        if layer.kind == "batch":
            layout.running_view(network.table, network.state, l)[...] = layer.running
    return network


def _matrix(layer: Hidden) -> np.ndarray:
    """W (n_in, n_out). ValueError for a diagonal one that were larger than the graph."""
    if not layer.is_diagonal:
        return layer.W
    if layer.width is None or layer.width > WIDEST:
        raise ValueError(
            f"{layer.node or 'a layer'}: expected at most {WIDEST} units where no Gemm or MatMul stands before it, "
            f"got {layer.width or 'an unknown number'}"
        )
    return np.diag(np.broadcast_to(layer.W, (layer.width,)))


def _from_the_input(output: Value) -> Iterator[Value]:
    """The values after the input, in order."""
    found = []
    while output.source is not None:
        found.append(output)
        output = output.source
    return reversed(found)


# --------------------------------------------------------------------------------------- a step


def _linear(layers: list[Hidden], value: Any) -> None:
    last = layers[-1] if layers else None
    if last is not None and last.is_diagonal and last.is_sum:
        s, t = (np.broadcast_to(x, value.W.shape[:1]) for x in (last.W, last.b))
        layers[-1] = Hidden(last.below, s[:, None] * value.W, value.b + t @ value.W, value.width)
    else:
        layers.append(Hidden(value.source, value.W, value.b, value.width))


def _scaled(layers: list[Hidden], value: Any) -> None:
    last = layers[-1] if layers else None
    if last is None or last.is_past_z:
        layers.append(Hidden(value.source, value.s, value.t, value.width, node=value.node))
    elif last.kind is not None:
        last.gain, last.b = last.gain * value.s, last.b * value.s + value.t
    else:
        last.W, last.b = last.W * value.s, last.b * value.s + value.t


def _batch(layers: list[Hidden], value: Any) -> None:
    last = layers[-1] if layers else None
    if last is None or not last.is_sum or last.is_diagonal:
        scale = value.gain / np.sqrt(value.variance + value.epsilon)
        _scaled(layers, Scaled(value.width, value.source, value.node, scale, value.b - scale * value.mean))
        return
    variance = np.maximum(value.variance + value.epsilon - EPSILON, 0)
    last.kind, last.running = "batch", (value.mean - last.b, variance)
    last.gain = value.gain * np.sqrt((variance + EPSILON) / (value.variance + value.epsilon))
    last.b = value.b


def _layer(layers: list[Hidden], value: Any) -> None:
    last = layers[-1] if layers else None
    if last is None or not last.is_sum or last.is_diagonal or np.ptp(last.b) != 0:
        last = _identity(layers, value)
    last.W = last.W * np.sqrt(EPSILON / value.epsilon)
    last.kind, last.gain, last.b = "layer", value.gain, value.b


def _identity(layers: list[Hidden], value: Any) -> Hidden:
    """One more layer, with the identity for W."""
    layers.append(Hidden(value.source, np.ones(1), np.zeros(1), value.width, node=value.node))
    return layers[-1]


def _activated(layers: list[Hidden], value: Any) -> None:
    last = layers[-1] if layers else None
    if last is None or last.is_past_z:
        last = _identity(layers, value)
    last.phi, last.node = value.phi, value.node


def _skip(layers: list[Hidden], value: Any) -> None:
    if len(layers) < 2 or layers[-1].skip or layers[-1].below is not value.other:
        raise ValueError(f"{value.node}: expected what the hidden layer before takes in, got a residual of another one")
    layers[-1].skip, layers[-1].node = True, value.node


def _pair(layers: list[Hidden], value: Any) -> None:
    if not layers or layers[-1].phi != "sigmoid":
        raise ValueError(f"{value.node}: expected a Sigmoid before it")


STEPS = {
    Linear: _linear,
    Scaled: _scaled,
    Batch: _batch,
    Layer: _layer,
    Activated: _activated,
    Skip: _skip,
    Pair: _pair,
}
