"""How long each equation takes by itself: the loops beside one NumPy expression for the same thing."""

from collections.abc import Callable

import numpy as np

from mlp_jit.activations import RELU
from mlp_jit.optimizers import Adam, update

from .common import DTYPES, one_thread, ratio

try:
    from mlp_jit.engines.loops import equations as loops
except ImportError:  # a module, at older commits
    from mlp_jit.engines import loops

LAYERS = {  # n_in, n_out, batch
    "8 to 8, batch 4": (8, 8, 4),
    "32 to 32, batch 16": (32, 32, 16),
    "64 to 100, batch 200": (64, 100, 200),
    "256 to 256, batch 128": (256, 256, 128),
}


def at_a_line(array: np.ndarray) -> np.ndarray:
    """A copy that starts at a cache line, as the engine's own scratch does, or half a line behind.

    A row that is summed into and straddles two lines at each vector takes up to 2.5 times as long.
    """
    room = np.empty(array.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class Layer:
    """Arrays of one layer, and each equation twice: `loops[tag]()` and `numpy[tag]()` return what they computed."""

    def __init__(self, layer: str, dtype: str) -> None:
        try:
            from mlp_jit.optimizers import COEFFICIENTS, coefficients
        except ImportError:
            raise NotImplementedError("E6 takes its numbers another way at this commit") from None
        n_in, n_out, batch = LAYERS[layer]
        rng = np.random.default_rng(0)
        W, b, a, z_in, delta = (
            at_a_line(rng.normal(size=shape).astype(dtype))
            for shape in ((n_in, n_out), (n_out,), (batch, n_in), (batch, n_in), (batch, n_out))
        )
        WT = at_a_line(W.T)  # as the engine makes it, once a step
        N = W.dtype.type(batch)
        z, a_out, delta_in, grad_W, grad_b = map(at_a_line, (delta, delta, a, W, b))
        theta, g = W.ravel().copy(), rng.normal(size=W.size).astype(dtype)
        theta_numpy, m, v = theta.copy(), np.zeros_like(theta), np.zeros_like(theta)
        adam = Adam()
        adam.start(theta)
        c = np.zeros(COEFFICIENTS, dtype)

        def forward() -> np.ndarray:
            loops.forward_layer.serial(W, b, RELU, a, z, a_out)
            return a_out

        def hidden_delta() -> np.ndarray:
            loops.hidden_delta.serial(WT, RELU, z_in, a, delta, delta_in)
            return delta_in

        def weight_gradient() -> np.ndarray:
            grad_W[:] = 0
            loops.weight_gradient.serial(a, delta, N, grad_W)
            return grad_W

        def bias_gradient() -> np.ndarray:
            grad_b[:] = 0
            loops.bias_gradient(delta, N, grad_b)
            return grad_b

        def adam_step() -> np.ndarray:
            coefficients(adam.code, adam.settings, 0.0, 1e-3, 1, c)
            update.serial(adam.code, theta, g, adam.moments, c)
            return theta

        def numpy_adam_step() -> np.ndarray:
            m[:] = 0.9 * m + 0.1 * g
            v[:] = 0.999 * v + 0.001 * g * g
            theta_numpy[:] -= 1e-3 * (m / 0.1) / (np.sqrt(v / 0.001) + 1e-8)
            return theta_numpy

        self.loops: dict[str, Callable[[], np.ndarray]] = {
            "E1": forward,
            "E3": hidden_delta,
            "E4": weight_gradient,
            "E5": bias_gradient,
            "E6 adam": adam_step,
        }
        self.numpy: dict[str, Callable[[], np.ndarray]] = {
            "E1": lambda: np.maximum(a @ W + b, 0),
            "E3": lambda: (delta @ W.T) * (z_in > 0),
            "E4": lambda: a.T @ delta / N,
            "E5": lambda: delta.sum(axis=0) / N,
            "E6 adam": numpy_adam_step,
        }


EQUATIONS = ["E1", "E3", "E4", "E5", "E6 adam"]


class EquationTime:
    """Seconds for a hundred evaluations of one equation by the loops."""

    param_names = ("equation", "layer", "dtype")
    params = (EQUATIONS, list(LAYERS), DTYPES)
    version = "2"

    def setup(self, equation: str, layer: str, dtype: str) -> None:
        self.evaluate = Layer(layer, dtype).loops[equation]
        self.evaluate()

    def time_hundred(self, equation: str, layer: str, dtype: str) -> None:
        for _ in range(100):
            self.evaluate()


class EquationRatio:
    """One equation's time by the loops over NumPy's, one thread each."""

    param_names = ("equation", "layer", "dtype")
    params = (EQUATIONS, list(LAYERS), DTYPES)
    unit = "ours/baseline"
    version = "2"

    @one_thread
    def setup(self, equation: str, layer: str, dtype: str) -> None:
        pair = Layer(layer, dtype)
        self.ours, self.baseline = pair.loops[equation], pair.numpy[equation]
        expected = self.baseline().copy()
        np.testing.assert_allclose(self.ours(), expected, atol=1e-4 * np.abs(expected).max())

    @one_thread
    def track_ratio(self, equation: str, layer: str, dtype: str) -> float:
        return ratio(self.ours, self.baseline, seconds=0.2)
