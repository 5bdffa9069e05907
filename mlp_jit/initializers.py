"""Initial weights: functions of (rng, n_in, n_out) that return W, float64 of shape (n_in, n_out), and their registry.

`rng` is a NumPy Generator or RandomState. Biases start at zero; a function that returns a pair gives b (n_out,) as
well. The scale of each is what keeps the variance of a (n_in) or of δ (n_out) the same from layer to layer.
"""

from collections.abc import Callable

import numpy as np

Rng = np.random.Generator | np.random.RandomState
Initializer = Callable[[Rng, int, int], np.ndarray | tuple[np.ndarray, np.ndarray]]


def glorot_uniform(rng: Rng, n_in: int, n_out: int) -> np.ndarray:
    """Uniform on ±√(6/(n_in + n_out)) (Glorot & Bengio 2010): for tanh and sigmoid."""
    return _uniform(rng, n_in, n_out, 6 / (n_in + n_out))


def glorot_normal(rng: Rng, n_in: int, n_out: int) -> np.ndarray:
    """Normal with variance 2/(n_in + n_out) (Glorot & Bengio 2010)."""
    return _normal(rng, n_in, n_out, 2 / (n_in + n_out))


def he_uniform(rng: Rng, n_in: int, n_out: int) -> np.ndarray:
    """Uniform on ±√(6/n_in) (He et al. 2015): for ReLU and its relatives."""
    return _uniform(rng, n_in, n_out, 6 / n_in)


def he_normal(rng: Rng, n_in: int, n_out: int) -> np.ndarray:
    """Normal with variance 2/n_in (He et al. 2015)."""
    return _normal(rng, n_in, n_out, 2 / n_in)


def lecun_uniform(rng: Rng, n_in: int, n_out: int) -> np.ndarray:
    """Uniform on ±√(3/n_in) (LeCun et al. 1998)."""
    return _uniform(rng, n_in, n_out, 3 / n_in)


def lecun_normal(rng: Rng, n_in: int, n_out: int) -> np.ndarray:
    """Normal with variance 1/n_in (LeCun et al. 1998): for selu."""
    return _normal(rng, n_in, n_out, 1 / n_in)


def orthogonal(rng: Rng, n_in: int, n_out: int) -> np.ndarray:
    """A random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2014)."""
    tall = rng.normal(size=(max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))  # without it, QR's choice of signs would favour some of them
    return q if n_in >= n_out else q.T


def _uniform(rng: Rng, n_in: int, n_out: int, bound_squared: float) -> np.ndarray:
    bound = np.sqrt(bound_squared)
    return rng.uniform(-bound, bound, (n_in, n_out))


def _normal(rng: Rng, n_in: int, n_out: int, variance: float) -> np.ndarray:
    return rng.normal(0.0, np.sqrt(variance), (n_in, n_out))


def scikit_learn(rng: Rng, n_in: int, n_out: int, factor: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """W and b as scikit-learn's MLP draws them, both uniform on ±√(factor/(n_in + n_out)).

    Its factor is 2 for a network of sigmoids and 6 for any other. From the same RandomState these are its very numbers.
    """
    bound = np.sqrt(factor / (n_in + n_out))
    return rng.uniform(-bound, bound, (n_in, n_out)), rng.uniform(-bound, bound, n_out)


INITIALIZERS: dict[str, Initializer] = {
    function.__name__: function
    for function in (
        glorot_uniform,
        glorot_normal,
        he_uniform,
        he_normal,
        lecun_uniform,
        lecun_normal,
        orthogonal,
        scikit_learn,
    )
}

_BY_ACTIVATION = {
    **dict.fromkeys(("relu", "leaky_relu", "elu", "silu", "gelu", "softplus", "hard_silu"), he_uniform),
    "selu": lecun_normal,
}


def default_initializer(activation: str) -> Initializer:
    """What suits the activation that follows: He for ReLU's family, LeCun for selu, Glorot for the rest."""
    return _BY_ACTIVATION.get(activation, glorot_uniform)
