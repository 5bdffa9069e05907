"""What the page carries: data sets, runs, activations and vanishing gradients, each number from the loops engine."""

import base64
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...activations import HIDDEN
from ...engines.layout import PHI
from ...initializers import default_initializer
from ...network import Network
from ...training import Callback, Training, fit
from ..exercise import exercises
from ..listing import kernels_of
from ..walking import Walk, walk
from .data import DATASETS, dataset
from .practice import practice_of
from .program import program, setting_of
from .why import whys

ENGINE = "loops"
SEEDS = 10
DEPTHS, WIDTH = 20, 16  # of the vanishing gradient's networks
LIMIT, POINTS = 6.0, 241  # of the gallery's curves

# The values that φ takes, for z from −∞ to ∞.
RANGES = {
    "identity": "(−∞, ∞)",
    "step": "{0, 1}",
    "sigmoid": "(0, 1)",
    "tanh": "(−1, 1)",
    "relu": "[0, ∞)",
    "leaky_relu": "(−∞, ∞)",
    "elu": "(−1, ∞)",
    "selu": "(−1.758, ∞)",
    "softplus": "(0, ∞)",
    "silu": "[−0.278, ∞)",
    "gelu": "[−0.170, ∞)",
    "hard_sigmoid": "[0, 1]",
    "hard_tanh": "[−1, 1]",
    "hard_silu": "[−0.375, ∞)",
}
SHOWN_VANISHING = ("sigmoid", "tanh", "relu", "leaky_relu", "gelu", "selu")
WEIGHTS = {"default": None, "orthogonal": "orthogonal"}


@dataclass(frozen=True)
class Setting:
    """The playground's controls: a network 2-H-…-H-1 with a sigmoid output and cross-entropy, trained by SGD."""

    dataset: str
    layers: int
    width: int
    activation: str
    learning_rate: float
    batch_size: int
    l2: float = 0.0
    seed: int = 0

    def network(self) -> Network:
        """The network before its first step, float64."""
        sizes = [2, *[self.width] * self.layers, 1]
        return Network(sizes, activation=self.activation, output="sigmoid", dtype="float64", random_state=self.seed)


# title, what to look for, setting, epochs
RUNS = [
    ("XOR, four units", "A hidden layer of four bends the plane enough: accuracy 1.",
     Setting("xor", 1, 4, "tanh", 0.3, 200), 300),
    ("Circles, two units", "Two tanh units make a band, never a ring: accuracy stays below 0.9, however long it runs.",
     Setting("circles", 1, 2, "tanh", 0.3, 200), 600),
    ("Circles, four units", "With four, the boundary closes around the inner circle.",
     Setting("circles", 1, 4, "tanh", 0.3, 200), 600),
    ("η = 100", "A learning rate far too large: every step overshoots, and the loss leaps about instead of falling.",
     Setting("xor", 1, 4, "tanh", 100.0, 200, seed=1), 300),
    ("Moons, batches of 16", "Thirteen steps an epoch, each on another sixteen points.",
     Setting("moons", 1, 8, "relu", 0.1, 16), 60),
    ("Quadrants, two layers", "ReLU makes the boundary of straight pieces; L2 keeps the weights small.",
     Setting("quadrants", 2, 8, "relu", 0.1, 16, 1e-4), 100),
    ("Spirals, two layers", "The hardest of the five, and the slowest to come right.",
     Setting("spirals", 2, 12, "relu", 0.1, 16, seed=2), 200),
]  # fmt: skip


def record() -> dict[str, Any]:
    """Everything the page carries, ready for `json.dumps`. Trains seven small networks: seconds, once compiled."""
    from ... import __version__

    return {
        "versions": {"mlp_jit": __version__, "numpy": np.__version__},
        "datasets": {name: _dataset(name) for name in DATASETS},
        "generators": [_generator(seed) for seed in range(SEEDS)],
        "activations": [_activation(name) for name in HIDDEN],
        "runs": [_run(*run) for run in RUNS],
        "walk": _walk(xor_walk()),
        "why": whys(xor_walk()),
        "exercises": [practice_of(exercises(seed)) for seed in range(SEEDS)],
        "vanishing": {weights: _vanishing(initializer) for weights, initializer in WEIGHTS.items()},
    }


def xor_walk() -> Walk:
    """A step of training that can be followed by hand: XOR, 2-2-1, round numbers."""
    network = Network([2, 2, 1], activation="tanh", output="sigmoid", dtype="float64")
    network.params[:] = 0.5, -0.4, 0.3, 0.8, 0.1, -0.2, 0.7, -0.6, 0.2
    return walk(network, [[-1, -1], [-1, 1], [1, -1], [1, 1]], [0, 1, 1, 0], learning_rate=0.5)


def _walk(walked: Walk) -> dict[str, Any]:
    """What the page's machine needs to take the same step, and what each statement came to."""
    network, steps = walked.network, [*walked]
    return {
        **setting_of(walked),
        "phi": network.table[:, PHI].tolist(),
        "loss": network.loss_function.code,
        "eta": walked.learning_rate,
        "programs": [program(kept) for kept in kernels_of(steps)],
        "lines": [step.line for step in steps],
        "results": [step.result for step in steps],
    }


class _Keep(Callback):
    """Keeps θ and L (with L2, over all samples) before the first epoch and after each."""

    def __init__(self, X: np.ndarray, y: np.ndarray, l2: float) -> None:
        self.X, self.y, self.l2 = X, y, l2
        self.params: list[np.ndarray] = []
        self.losses: list[float] = []

    def on_start(self, training: Training) -> None:
        self.on_epoch(training)

    def on_epoch(self, training: Training) -> None:
        network = training.network
        self.params.append(network.params.copy())
        self.losses.append(network.gradient(self.X, self.y, l2=self.l2, engine=ENGINE)[0])


def _run(title: str, says: str, setting: Setting, epochs: int) -> dict[str, Any]:
    X, y = dataset(setting.dataset)
    keep = _Keep(X, y, setting.l2)
    fit(
        setting.network(), X, y, optimizer="sgd", learning_rate=setting.learning_rate, batch_size=setting.batch_size,
        l2=setting.l2, epochs=epochs, engine=ENGINE, random_state=setting.seed, callbacks=[keep],
    )  # fmt: skip
    return {
        "title": title,
        "says": says,
        "setting": asdict(setting),
        "epochs": epochs,
        "params": _base64(np.stack(keep.params)),
        "losses": _base64(np.array(keep.losses)),
    }


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.astype("<f8").tobytes()).decode()


def _dataset(name: str) -> dict[str, list]:
    X, y = dataset(name)
    return {"X": X.ravel().tolist(), "y": y.tolist()}


def _generator(seed: int) -> dict[str, str]:
    """PCG64 as `np.random.default_rng(seed)` starts, in hexadecimal: 128 bits are too many for JSON's numbers."""
    state = np.random.default_rng(seed).bit_generator.state["state"]
    return {"state": f"{state['state']:x}", "increment": f"{state['inc']:x}"}


def _activation(name: str) -> dict[str, Any]:
    """φ and φ' on a grid, with their formulas as the kernels' docstrings have them."""
    phi, slope = HIDDEN[name].phi, HIDDEN[name].slope
    assert phi is not None
    assert slope is not None
    z = np.linspace(-LIMIT, LIMIT, POINTS)
    far = np.arange(-40, 40, 1 / 512)
    slopes = [slope(z_j, phi(z_j)) for z_j in far]
    return {
        "name": name,
        "formulas": [(pair.__doc__ or "").removeprefix("math: ").partition(";")[0] for pair in (phi, slope)],
        "range": RANGES[name],
        "steepest": float(max(slopes)),
        "initializer": default_initializer(name).__name__,
        "limit": LIMIT,
        "phi": [float(phi(z_j)) for z_j in z],
        "slope": [float(slope(z_j, phi(z_j))) for z_j in z],
    }


def _vanishing(initializer: str | None) -> dict[str, list[list[float]]]:
    """‖δ^l‖ as a part of the output's, for l = 1..depth, in networks of 1..20 hidden layers of sixteen units."""
    X, y = dataset("quadrants")
    parts: dict[str, list[list[float]]] = {}
    for name in SHOWN_VANISHING:
        parts[name] = []
        for depth in range(1, DEPTHS + 1):
            sizes = [2, *[WIDTH] * depth, 1]
            network = Network(
                sizes, activation=name, output="sigmoid", initializer=initializer, dtype="float64", random_state=0
            )
            lengths = [float(np.linalg.norm(delta)) for delta in network.trace(X, y).delta]
            parts[name].append([float(f"{length / lengths[-1]:.4g}") for length in lengths[:-1]])
    return parts
