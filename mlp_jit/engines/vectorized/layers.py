"""The layer language of the vectorised baseline: Dense, a layer for each φ, Dropout, normalisations, Skip, Sequential.

E1-E5 as matrix products. Every layer has `forward(a)`, `backward(delta)`, `params`, `grads` and `zero_grads()`, and
keeps from `forward` what its `backward` needs. Arrays that a layer makes are handed on, so the layer after it works
in place; nothing ever writes the X that comes in first. `backward` writes `grads` for the sum over the samples: E4's
1/N goes into δ at the output, where it is cheapest.
"""

from collections.abc import Callable, Iterable

import numpy as np

from ..._jit import kernel
from ..._math import erf
from ...activations import (
    INVERSE_SQRT_TAU,
    LEAK,
    SELU_ALPHA,
    SELU_SCALE,
    SQRT_HALF,
    Activation,
    activate,
    scale_by_slope,
)
from ...dropout import dropout_key, dropout_mask
from ...validation import is_sparse
from ..statistics import EPSILON, MOMENTUM


class Layer:
    """What every layer offers; this one has no parameters."""

    params: tuple[np.ndarray, ...] = ()
    grads: tuple[np.ndarray, ...] = ()

    def forward(self, a: np.ndarray) -> np.ndarray:
        """(N, n_in) → (N, n_out)."""
        raise NotImplementedError

    def backward(self, delta: np.ndarray) -> np.ndarray:
        """δ of the layer's output (N, n_out) → δ of its input (N, n_in), writing `grads` on the way."""
        raise NotImplementedError

    def zero_grads(self) -> None:
        """Set every gradient to zero."""
        for grad in self.grads:
            grad[...] = 0


class Dense(Layer):
    """E1, E3 to E5 of one layer: z = a W + b. `params` and `grads` are (W, b), arrays (n_in, n_out) and (n_out,).

    The first layer's a may be SciPy's CSR, and the products then are SciPy's. A `frozen` one leaves out E4 and E5.
    """

    frozen = False

    def __init__(self, W: np.ndarray, b: np.ndarray, grad_W: np.ndarray, grad_b: np.ndarray) -> None:
        self.params, self.grads = (W, b), (grad_W, grad_b)
        self.W, self.b, self.grad_W, self.grad_b = W, b, grad_W, grad_b

    def forward(self, a: np.ndarray) -> np.ndarray:
        self.a = a
        z = a @ self.W
        z += self.b
        return z

    def backward(self, delta: np.ndarray) -> np.ndarray:
        if not self.frozen:
            self.gradients(delta)
        return delta @ self.W.T

    def gradients(self, delta: np.ndarray) -> None:
        """E4 and E5 alone: the first layer has no one to hand δ to."""
        self.weight_gradient(delta)
        np.add.reduce(delta, axis=0, out=self.grad_b)

    def weight_gradient(self, delta: np.ndarray) -> None:
        """E4."""
        if is_sparse(self.a):
            self.grad_W[...] = self.a.T @ delta
        else:
            np.matmul(self.a.T, delta, out=self.grad_W)


class Sums(Dense):
    """s = a W of a normalised layer, whose b comes later: `params` and `grads` are (W,)."""

    def __init__(self, W: np.ndarray, grad_W: np.ndarray) -> None:
        self.params, self.grads = (W,), (grad_W,)
        self.W, self.grad_W = W, grad_W

    def forward(self, a: np.ndarray) -> np.ndarray:
        self.a = a
        return a @ self.W

    def gradients(self, delta: np.ndarray) -> None:
        self.weight_gradient(delta)


class Identity(Layer):
    """φ(z) = z"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        return z

    def backward(self, delta: np.ndarray) -> np.ndarray:
        return delta


class Step(Layer):
    """φ(z) = 1 where z ≥ 0, else 0"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        return np.greater_equal(z, 0, out=z, casting="unsafe")

    def backward(self, delta: np.ndarray) -> np.ndarray:
        delta *= 0
        return delta


class Sigmoid(Layer):
    """φ(z) = ½ (1 + tanh(z/2)), which cannot overflow"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.a = sigmoid(z, z)
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        delta *= self.a * (1 - self.a)
        return delta


class Tanh(Layer):
    """φ(z) = tanh z"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.a = np.tanh(z, out=z)
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        slope = self.a * self.a
        np.subtract(1, slope, out=slope)
        delta *= slope
        return delta


class ReLU(Layer):
    """φ(z) = max(z, 0)"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.a = np.maximum(z, 0, out=z)
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        delta *= self.a > 0
        return delta


class Own(Layer):
    """A user's own φ, run on all of z at once as on one row."""

    def __init__(self, phi: Activation) -> None:
        self.code = phi.code

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.z, self.a = z, np.empty_like(z)
        activate(self.code, z.reshape(1, -1), self.a.reshape(1, -1), 0)
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        scale_by_slope(self.code, self.z.reshape(1, -1), self.a.reshape(1, -1), delta.reshape(1, -1), 0)
        return delta


class LeakyReLU(Layer):
    """φ(z) = z where z > 0, else 0.01 z"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.a = np.maximum(z, LEAK * z, out=z)
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        np.multiply(delta, LEAK, out=delta, where=self.a <= 0)
        return delta


class ELU(Layer):
    """φ(z) = z where z > 0, else eᶻ − 1"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        below = np.expm1(np.minimum(z, 0))
        self.a = np.maximum(z, 0, out=z)
        self.a += below
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        slope = np.minimum(self.a, 0)
        slope += 1
        delta *= slope
        return delta


class SELU(Layer):
    """φ(z) = λ z where z > 0, else λ α (eᶻ − 1)"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        below = np.expm1(np.minimum(z, 0))
        below *= SELU_ALPHA
        self.a = np.maximum(z, 0, out=z)
        self.a += below
        self.a *= SELU_SCALE
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        delta *= np.where(self.a > 0, delta.dtype.type(SELU_SCALE), self.a + SELU_SCALE * SELU_ALPHA)
        return delta


class Softplus(Layer):
    """φ(z) = log(1 + eᶻ)"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.z = z
        return softplus(z)

    def backward(self, delta: np.ndarray) -> np.ndarray:
        delta *= sigmoid(self.z, np.empty_like(self.z))
        return delta


class SiLU(Layer):
    """φ(z) = z σ(z)"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.s = sigmoid(z, np.empty_like(z))
        self.a = np.multiply(z, self.s, out=z)
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        slope = 1 - self.s  # φ' = σ + a (1 − σ)
        slope *= self.a
        slope += self.s
        delta *= slope
        return delta


class GELU(Layer):
    """φ(z) = z Φ(z), with Φ(z) = ½ (1 + erf(z/√2)); NumPy has no erf, so it is this package's"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.z = z
        self.below = z * SQRT_HALF
        erf_of(self.below.reshape(-1))
        self.below += 1
        self.below *= 0.5
        return z * self.below

    def backward(self, delta: np.ndarray) -> np.ndarray:
        slope = self.z * self.z
        slope *= -0.5
        np.exp(slope, out=slope)
        slope *= INVERSE_SQRT_TAU
        slope *= self.z
        slope += self.below
        delta *= slope
        return delta


class HardSigmoid(Layer):
    """φ(z) = (z + 3)/6, kept in [0, 1]"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        z *= 1 / 6
        z += 0.5
        self.a = np.clip(z, 0, 1, out=z)
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        delta *= (self.a > 0) & (self.a < 1)
        delta *= 1 / 6
        return delta


class HardTanh(Layer):
    """φ(z) = z, kept in [−1, 1]"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.a = np.clip(z, -1, 1, out=z)
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        delta *= np.abs(self.a) < 1
        return delta


class HardSiLU(Layer):
    """φ(z) = z hard_sigmoid(z)"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.z = z
        gate = z * (1 / 6)
        gate += 0.5
        np.clip(gate, 0, 1, out=gate)
        gate *= z
        return gate

    def backward(self, delta: np.ndarray) -> np.ndarray:
        slope = self.z * (1 / 3)
        slope += 0.5
        slope[self.z <= -3] = 0
        slope[self.z >= 3] = 1
        delta *= slope
        return delta


class Exp(Layer):
    """φ(z) = eᶻ"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        self.a = np.exp(z, out=z)
        return self.a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        delta *= self.a
        return delta


class Softmax(Layer):
    """a_k = e^(z_k) / Σ_m e^(z_m), shifted by max z"""

    def forward(self, z: np.ndarray) -> np.ndarray:
        z -= np.maximum.reduce(z, axis=1, keepdims=True)
        np.exp(z, out=z)
        z /= np.add.reduce(z, axis=1, keepdims=True)
        self.a = z
        return z

    def backward(self, delta: np.ndarray) -> np.ndarray:
        delta -= np.add.reduce(delta * self.a, axis=1, keepdims=True)
        delta *= self.a
        return delta


class Dropout(Layer):
    """Inverted dropout with the masks of `mlp_jit.dropout`; set `step` and `rows` before each forward."""

    def __init__(self, p: float, seed: int, layer: int) -> None:
        self.p, self.seed, self.layer = p, seed, layer
        self.step, self.rows = 0, np.zeros(0, np.int64)

    def forward(self, a: np.ndarray) -> np.ndarray:
        key = dropout_key(np.uint64(self.seed), self.step, self.layer)
        self.mask = dropout_mask(self.p, key, self.rows, a.shape[1], a.dtype)
        return a * self.mask  # not in place: φ' of the layer before may be made from a

    def backward(self, delta: np.ndarray) -> np.ndarray:
        delta *= self.mask
        return delta


class Normalization(Layer):
    """E7 to E9: z = b + γ ŝ. `params` and `grads` are (b, γ), arrays (units,); `axis` is that of μ and v."""

    axis: int

    def __init__(self, b: np.ndarray, gain: np.ndarray, grad_b: np.ndarray, grad_gain: np.ndarray) -> None:
        self.params, self.grads = (b, gain), (grad_b, grad_gain)
        self.b, self.gain, self.grad_b, self.grad_gain = b, gain, grad_b, grad_gain

    def forward(self, s: np.ndarray) -> np.ndarray:
        self.mean = s.mean(axis=self.axis, keepdims=True)
        s -= self.mean
        self.variance = np.square(s).mean(axis=self.axis, keepdims=True)
        return self.scale(s, self.variance)

    def scale(self, s: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """z from s − μ, which becomes ŝ."""
        self.inv_std = 1 / np.sqrt(variance + EPSILON)
        s *= self.inv_std
        self.normal = s
        return s * self.gain + self.b

    def backward(self, delta: np.ndarray) -> np.ndarray:
        np.add.reduce(delta, axis=0, out=self.grad_b)
        product = delta * self.normal
        np.add.reduce(product, axis=0, out=self.grad_gain)
        product *= self.gain
        delta *= self.gain
        delta -= delta.mean(axis=self.axis, keepdims=True)
        delta -= self.normal * product.mean(axis=self.axis, keepdims=True)
        delta *= self.inv_std
        return delta


class LayerNormalization(Normalization):
    """E7 to E9 over the units of each sample."""

    axis = 1


class BatchNormalization(Normalization):
    """E7 to E9 over the samples of the batch, or by `running` (2, units), μ and v, where it no longer `trains`."""

    axis = 0

    def __init__(self, *arrays: np.ndarray, running: np.ndarray, trains: bool) -> None:
        super().__init__(*arrays)
        self.running, self.trains = running, trains

    def forward(self, s: np.ndarray) -> np.ndarray:
        if self.trains:
            return super().forward(s)
        s -= self.running[0]
        return self.scale(s, self.running[1])

    def backward(self, delta: np.ndarray) -> np.ndarray:
        if self.trains:
            return super().backward(delta)
        delta *= self.gain * self.inv_std
        return delta

    def run_on(self) -> None:
        """A step of `running` towards the last batch's μ and v; a batch of one sample says nothing of v."""
        n_samples = len(self.normal)
        if n_samples > 1:
            v = self.variance * (n_samples / (n_samples - 1))
            self.running += MOMENTUM * (np.concatenate([self.mean, v]) - self.running)


class Skip(Layer):
    """E10: h = a + h_in around some layers, of which the first is a Dense."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.layers = list(layers)
        self.params = tuple(param for layer in self.layers for param in layer.params)
        self.grads = tuple(grad for layer in self.layers for grad in layer.grads)

    def forward(self, h: np.ndarray) -> np.ndarray:
        a = h
        for layer in self.layers:
            a = layer.forward(a)
        return a + h

    def backward(self, delta: np.ndarray) -> np.ndarray:
        inside = delta.copy()
        for layer in self.layers[::-1]:
            inside = layer.backward(inside)
        inside += delta
        return inside


class Sequential(Layer):
    """Layers one after the other. The first must be a `Dense`: nothing is handed back before it."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.layers = list(layers)
        if not self.layers or not isinstance(self.layers[0], Dense):
            raise TypeError(f"layers: expected a Dense first, got {self.layers[:1]!r}")
        self.first: Dense = self.layers[0]
        self.params = tuple(param for layer in self.layers for param in layer.params)
        self.grads = tuple(grad for layer in self.layers for grad in layer.grads)
        self._rest = self.layers[:0:-1]

    def forward(self, a: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            a = layer.forward(a)
        return a

    def of_kind(self, kind: type) -> list:
        """The layers of one class, those around which a skip goes included."""
        all_layers = [inner for layer in self.layers for inner in getattr(layer, "layers", [layer])]
        return [layer for layer in all_layers if isinstance(layer, kind)]

    def backward(self, delta: np.ndarray) -> np.ndarray:
        """δ of the output → δ of the first Dense's output; every layer's `grads` are written."""
        for layer in self._rest:
            delta = layer.backward(delta)
        self.first.gradients(delta)
        return delta

    def input_delta(self, delta: np.ndarray) -> np.ndarray:
        """δ of the output → δ of what came in."""
        for layer in self.layers[::-1]:
            delta = layer.backward(delta)
        return delta


def sigmoid(z: np.ndarray, out: np.ndarray) -> np.ndarray:
    """½ (1 + tanh(z/2)) into out, which may be z."""
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    out += 1
    out *= 0.5
    return out


def softplus(z: np.ndarray) -> np.ndarray:
    """log(1 + eᶻ) = max(z, 0) + log(1 + e^(−abs z)), a new array."""
    a = np.abs(z)
    np.negative(a, out=a)
    np.exp(a, out=a)
    np.log1p(a, out=a)
    a += np.maximum(z, 0)
    return a


@kernel
def erf_of(x):
    """math: x ← erf(x), x (N,)."""
    for n in range(x.size):
        x[n] = erf(x[n])


LAYERS: dict[str, Callable[[], Layer]] = {
    "identity": Identity,
    "step": Step,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "softplus": Softplus,
    "silu": SiLU,
    "gelu": GELU,
    "hard_sigmoid": HardSigmoid,
    "hard_tanh": HardTanh,
    "hard_silu": HardSiLU,
    "exp": Exp,
    "softmax": Softmax,
}
