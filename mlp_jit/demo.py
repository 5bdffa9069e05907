"""The main job end to end: 64-100-10 on 1,797 real handwritten digits, and each engine's time beside the baseline's."""

import statistics
import time

import numpy as np

from . import Network, Progress, fit
from ._jit import threading_layer, threads
from .engines import ENGINES
from .training.fit import accuracy

SIZES = [64, 100, 10]
BASELINE = "vectorized"


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits: X (1797, 64) float32 in [0, 1], y (1797,) of 0..9. ImportError without scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError("the digits come with scikit-learn: pip install 'mlp_jit[sklearn]'") from None
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype("float32"), y


def demo() -> None:
    """Train, report the accuracy on the held-out fifth, and time an epoch of every engine."""
    X, y = digits()
    order = np.random.default_rng(0).permutation(len(X))
    test, validation, train = np.split(order, [len(X) // 5, len(X) * 3 // 10])
    print(
        f"{len(X)} handwritten digits: {len(train)} to train on, {len(validation)} to validate, {len(test)} held out\n"
    )

    network = Network(SIZES, activation="relu", output="softmax", random_state=0)
    print(network.summary(batch_size=50), flush=True)
    print()
    fit(
        network,
        X[train],
        y[train],
        optimizer="adam",
        learning_rate=3e-3,
        batch_size=50,
        epochs=80,
        l2=1e-4,
        dropout=0.25,
        validation_data=(X[validation], y[validation]),
        callbacks=[Progress()],
        random_state=0,
    )
    right = accuracy(network.forward(X[test]), network.check_targets(y[test], len(test)), one_class=True)
    print(f"\ntest accuracy {right:.4f} on the {len(test)} held-out digits\n")
    print_times(X[train], y[train])


def print_times(X: np.ndarray, y: np.ndarray, rounds: int = 15) -> None:
    """The median time of an epoch (SGD, batches of 200), the engines taking turns, and the ratio to the baseline's."""
    networks = {name: Network(SIZES, output="softmax", random_state=0) for name in ENGINES}
    seconds: dict[str, list[float]] = {name: [] for name in ENGINES}
    for round_ in range(rounds + 1):  # the first one compiles
        for name, network in networks.items():
            start = time.perf_counter()
            fit(
                network, X, y, optimizer="sgd", learning_rate=0.1, batch_size=200, epochs=1, engine=name, random_state=0
            )
            if round_ > 0:
                seconds[name].append(time.perf_counter() - start)
    print(f"one epoch of {len(X)} samples, batches of 200, SGD, up to {threads(None)} threads ({threading_layer()})")
    for name in ENGINES:
        ratio = statistics.median(a / b for a, b in zip(seconds[name], seconds[BASELINE], strict=True))
        print(f"  {name:12} {statistics.median(seconds[name]) * 1e3:8.2f} ms   {ratio:5.2f} of {BASELINE}")
