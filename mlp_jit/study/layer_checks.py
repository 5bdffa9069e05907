"""The part of a diagnosis that looks at one forward and backward pass through the network as it is."""

from collections.abc import Iterator

import numpy as np

from ..activations import Activation, named
from ..engines.layout import SKIPS
from ..engines.loops.trace import Trace
from ..network import Network
from .finding import FAULT, NOTE, OK, Finding

# With the usual initial weights ‖δ‖ stays within a factor of ten from layer to layer; a sigmoid takes at least a factor
# of 4. A thousandth is five sigmoid layers at their best: the first layer then moves a thousand times less than the
# last one.
VANISHING = 1e-3
IDLE_SLOPE = 0.01  # of the activation's largest: z beyond ±6 of a sigmoid, below 0 of ReLU
IDLE_SAMPLES = 0.99  # a unit is idle when its slope is that small for so many of the samples
IDLE_UNITS = 0.9  # a layer with fewer working units is a fault; half of them off is common with inputs of one sign
LARGEST_SLOPE = {"sigmoid": 0.25, "hard_sigmoid": 1 / 6}  # others: about 1


def layers(network: Network, trace: Trace, has_learnt: bool) -> Iterator[Finding]:
    """Units that are alike, gradient norms by layer, and units that do not answer.

    `has_learnt`: what is small then is so by right. Where all weights are 0 everything else is small because of them.
    """
    idle = [_idle_share(phi, z, a) for phi, z, a in zip(network.activations, trace.z, trace.a[1:], strict=False)]
    explained = has_learnt or _all_zero(network)
    if idle:
        yield _alike(network, has_learnt)
    yield _gradient_norms(trace, explained, idle)
    yield from _units(network, idle, explained)


def _all_zero(network: Network) -> bool:
    return not any(W.any() for W in network.weights)


def _alike(network: Network, has_learnt: bool) -> Finding:
    """Units with the same weights in and out get the same gradient: without dropout no training tells them apart."""
    remedy = "Draw the weights at random, as Network does by default."
    if _all_zero(network):
        text = "All weights are 0: the units of a layer are alike and learn the same."
        return Finding("equal units", FAULT, float(sum(network.sizes[1:-1])), text, remedy)
    copies, layer = max((_copies(network, layers), layers[0]) for layers in _linked(network))
    if copies == 0:
        return Finding("equal units", OK, 0, "No two units of a layer are alike.")
    text = (
        f"Copies among the {network.sizes[layer]} units of layer {layer}, equal to another one in all weights in and "
        f"out, so that they learn the same: {copies}."
    )
    return Finding("equal units", NOTE if has_learnt else FAULT, copies, text, remedy)


def _linked(network: Network) -> list[list[int]]:
    """The hidden layers, those together that skip connections link unit by unit."""
    groups: list[list[int]] = []
    for l in range(1, len(network.sizes) - 1):
        if network.table[l, SKIPS]:
            groups[-1].append(l)
        else:
            groups.append([l])
    return groups


def _copies(network: Network, layers: list[int]) -> int:
    """How many units have the parameters of an earlier one, in all of these layers."""
    ways = [(network.weights[l - 1].T, network.biases[l - 1], network.gains[l - 1], network.weights[l]) for l in layers]
    units = np.column_stack([part for parts in ways for part in parts if part.size])
    return len(units) - len(np.unique(units, axis=0))


def delta_norms(trace: Trace) -> np.ndarray:
    """‖δ‖ of each layer 1..L: the root mean square over the samples of the length of δ."""
    return np.array([np.sqrt(np.mean(np.sum(np.square(delta, dtype=np.float64), axis=1))) for delta in trace.delta])


def _gradient_norms(trace: Trace, explained: bool, idle: list[float]) -> Finding:
    norms = delta_norms(trace)
    if len(norms) == 1 or norms[-1] == 0:
        return Finding("gradient norms", OK, float(norms[-1]), f"‖δ‖ at the output is {norms[-1]:.2g}.")
    ratio = float(norms[0] / norms[-1])
    text = f"‖δ‖ of the first layer is {ratio:.2g} times that of the output."
    if explained or max(idle, default=0) == 1:  # a layer without a single working unit has a finding of its own
        return Finding("gradient norms", OK, ratio, text)
    if ratio < VANISHING:
        remedy = (
            "The gradient vanishes: use ReLU or its relatives with He's weights, normalization='batch', "
            "skip=True, or fewer layers."
        )
        return Finding("gradient norms", FAULT, ratio, text, remedy)
    if not ratio <= 1 / VANISHING:
        remedy = "The gradient explodes: use smaller initial weights (He, Glorot), normalization='layer', or clip_norm."
        return Finding("gradient norms", FAULT, ratio, text, remedy)
    return Finding("gradient norms", OK, ratio, text)


def _idle_share(phi: str | Activation, z: np.ndarray, a: np.ndarray) -> float:
    """The share of a layer's units whose φ' is next to nothing for next to all samples."""
    slope = np.abs(np.frompyfunc(named(phi).slope, 2, 1)(z, a).astype(float))  # type: ignore[arg-type]
    idle = slope < IDLE_SLOPE * LARGEST_SLOPE.get(str(phi), 1)
    return float(np.mean(idle.mean(axis=0) >= IDLE_SAMPLES))


def _units(network: Network, idle: list[float], explained: bool) -> Iterator[Finding]:
    if not idle:
        return
    worst = int(np.argmax(idle))
    phi = network.activations[worst]
    kind = "saturated" if phi in ("sigmoid", "tanh") else "dead"
    text = f"{100 * idle[worst]:.0f} % of the units of layer {worst + 1} are {kind}: φ' is about 0 for all samples."
    if idle[worst] >= IDLE_UNITS and not explained:
        remedy = {
            "saturated": "Standardise the inputs and use smaller initial weights (Glorot), or normalization='batch'.",
            "dead": "Start from new weights with biases of 0, standardise the inputs, lower the learning rate, or use "
            "leaky_relu or normalization='batch'.",
        }[kind]
        if phi == "step":
            remedy = "Nothing is learnt through a step: use sigmoid or ReLU."
        yield Finding("idle units", FAULT, idle[worst], text, remedy)
    elif idle[worst] > 0:
        yield Finding("idle units", NOTE if idle[worst] >= 0.5 else OK, idle[worst], text)
    else:
        yield Finding("idle units", OK, 0, "All hidden units answer to some of the samples.")
