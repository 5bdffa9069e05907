"""The page's five data sets: 200 points of the plane in two classes, rounded to two decimals to be easy to read."""

from collections.abc import Callable

import numpy as np

from ...validation import lookup

N = 200


def xor(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Fifty points around each corner (±1, ±1); class 1 where the signs differ."""
    corners = np.tile([(-1, -1), (-1, 1), (1, -1), (1, 1)], (N // 4, 1))
    return corners + 0.2 * rng.normal(size=(N, 2)), (corners[:, 0] != corners[:, 1]).astype(int)


def circles(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two circles around the origin: class 1 has radius 0.5, class 0 radius 1.2."""
    y = np.arange(N) % 2
    radius = np.where(y == 1, 0.5, 1.2) + 0.1 * rng.normal(size=N)
    return _polar(radius, rng.uniform(0, 2 * np.pi, N)), y


def moons(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles, one hooked into the other."""
    y = np.arange(N) % 2
    angle = rng.uniform(0, np.pi, N)
    x_1 = np.where(y == 1, 1 - np.cos(angle), np.cos(angle)) - 0.5
    x_2 = np.where(y == 1, 0.5 - np.sin(angle), np.sin(angle)) - 0.25
    return np.column_stack([x_1, x_2]) + 0.1 * rng.normal(size=(N, 2)), y


def quadrants(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Normal points; class 1 where x_1 x_2 > 0. The classes touch along both axes."""
    X = rng.normal(size=(N, 2))
    return X, (X[:, 0] * X[:, 1] > 0).astype(int)


def spirals(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two spirals of one and a quarter turns, half a turn apart."""
    y = np.arange(N) % 2
    along = np.sqrt(rng.uniform(0.02, 1, N))
    return _polar(1.6 * along, 2.5 * np.pi * along + np.pi * y) + 0.04 * rng.normal(size=(N, 2)), y


def _polar(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


DATASETS: dict[str, Callable] = {function.__name__: function for function in (xor, circles, moons, quadrants, spirals)}


def dataset(name: str) -> tuple[np.ndarray, np.ndarray]:
    """X (200, 2) float64 and y (200,) of 0 and 1, always the same for a name of `DATASETS`.

    ValueError for another name.
    """
    X, y = lookup("name", name, DATASETS)(np.random.default_rng(0))
    return X.round(2), y
