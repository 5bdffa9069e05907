"""Random networks with data that fits them, and what "equal to rounding" means here."""

import numpy as np

from mlp_jit import Network
from mlp_jit.losses import LOSSES

PAIRS = [(loss.name, output) for loss in LOSSES.values() for output in loss.outputs]  # every loss with its every output


def problem(sizes, *, n=5, seed=0, dtype="float64", **options):
    """(network, X, y, sample_weight) as engines take them; biases are not zero and samples weigh differently."""
    rng = np.random.default_rng(seed)
    network = Network(sizes, dtype=dtype, random_state=seed, **options)
    network.params += rng.normal(0, 0.3, network.n_params).astype(dtype)
    X = rng.normal(size=(n, sizes[0]))
    y = targets(rng, network.output, (n, sizes[-1]))
    return network, *network.check(X, y, rng.uniform(0.5, 2, n))


def targets(rng, output, shape):
    """Targets of every kind that the output allows."""
    if output == "softmax":
        shares = rng.uniform(size=shape)
        return shares / shares.sum(axis=1, keepdims=True)
    if output == "step":
        return rng.integers(0, 2, shape)
    if output == "identity":
        return rng.normal(0, 2, shape)
    return rng.uniform(0, 1 if output == "sigmoid" else 3, shape)


def assert_close(actual, expected, dtype="float64", ulps=100):
    """Every entry within `ulps` roundings of the largest one."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    bound = ulps * np.finfo(dtype).eps
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound * np.abs(expected).max(initial=1e-30))
