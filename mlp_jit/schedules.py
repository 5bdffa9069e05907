"""Learning-rate schedules: the factor on η at each step, and their registry.

A schedule is asked with fractional epochs, `epoch = step / steps per epoch` counted from 0 within one `fit`, and
answers with a factor for each: η_step = learning_rate · factor. One that follows the loss also hears each epoch's
figure.
"""

from dataclasses import dataclass, field

import numpy as np


def _positive(name: str, **values: float) -> None:
    """ValueError unless every value is a finite number above zero."""
    for key, value in values.items():
        if not np.isfinite(value) or value <= 0:
            raise ValueError(f"{name}: expected {key} > 0, got {value!r}")


@dataclass
class Constant:
    """η stays."""

    def factors(self, epochs: np.ndarray) -> np.ndarray:
        """The factor at each of `epochs`, a float64 array."""
        return np.ones_like(epochs)

    def observe(self, loss: float) -> None:
        """Hear the loss of the epoch just done (the validation loss where there is one)."""


@dataclass
class InverseScaling(Constant):
    """factor = (1 + rate · ⌊epoch⌋)^(−power); with rate = n_samples this is scikit-learn's invscaling."""

    power: float = 0.5
    rate: float = 1.0

    def __post_init__(self) -> None:
        _positive("InverseScaling", power=self.power, rate=self.rate)

    def factors(self, epochs: np.ndarray) -> np.ndarray:
        return (1 + self.rate * np.floor(epochs)) ** -self.power


@dataclass
class Exponential(Constant):
    """factor = gamma^epoch."""

    gamma: float = 0.95

    def __post_init__(self) -> None:
        _positive("Exponential", gamma=self.gamma)

    def factors(self, epochs: np.ndarray) -> np.ndarray:
        return self.gamma**epochs


@dataclass
class Step(Constant):
    """factor = gamma^⌊epoch / every⌋."""

    every: int = 10
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _positive("Step", every=self.every, gamma=self.gamma)

    def factors(self, epochs: np.ndarray) -> np.ndarray:
        return self.gamma ** np.floor(epochs / self.every)


@dataclass
class Cosine(Constant):
    """Rises in a line over `warmup` epochs, then falls as half a cosine to `floor` at `epochs`."""

    epochs: float = 100
    warmup: float = 0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _positive("Cosine", epochs=self.epochs)
        if not 0 <= self.warmup < self.epochs:
            raise ValueError(f"Cosine: expected 0 <= warmup < epochs = {self.epochs}, got {self.warmup!r}")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"Cosine: expected 0 <= floor <= 1, got {self.floor!r}")

    def factors(self, epochs: np.ndarray) -> np.ndarray:
        fallen = np.clip((epochs - self.warmup) / (self.epochs - self.warmup), 0, 1)
        fall = self.floor + (1 - self.floor) * 0.5 * (1 + np.cos(np.pi * fallen))
        if self.warmup == 0:
            return fall
        return np.where(epochs < self.warmup, epochs / self.warmup, fall)


@dataclass
class OnPlateau(Constant):
    """Multiplies η by `factor` when the loss has not fallen by more than `tol` for `patience` epochs."""

    factor: float = 0.2
    patience: int = 10
    tol: float = 1e-4
    present: float = field(default=1.0, init=False)
    best: float = field(default=np.inf, init=False)
    waited: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        _positive("OnPlateau", factor=self.factor, patience=self.patience)
        if self.factor >= 1:
            raise ValueError(f"OnPlateau: expected factor < 1, got {self.factor!r}")

    def factors(self, epochs: np.ndarray) -> np.ndarray:
        return np.full_like(epochs, self.present)

    def observe(self, loss: float) -> None:
        self.waited = 0 if loss < self.best - self.tol else self.waited + 1
        self.best = min(self.best, loss)
        if self.waited >= self.patience:
            self.present *= self.factor
            self.waited = 0


Schedule = Constant

SCHEDULES: dict[str, type[Constant]] = {
    "constant": Constant,
    "inverse_scaling": InverseScaling,
    "exponential": Exponential,
    "step": Step,
    "cosine": Cosine,
    "on_plateau": OnPlateau,
}
