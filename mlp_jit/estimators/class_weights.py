"""What each class weighs, from class_weight."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np


def named(index: np.ndarray, given: Mapping[Any, Any], classes: Sequence[Any]) -> np.ndarray:
    """The weight of each of `classes` by {class: weight}, 1 where it is not given; `index` has each sample's class.

    A class that is unknown does not matter: a fold may lack it. Raises ValueError for what is no weight, and where no
    sample is left with one.
    """
    weights, place = np.ones(len(classes)), {label: k for k, label in enumerate(classes)}
    for label, weight in given.items():
        if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
            raise ValueError(f"class_weight: expected a number >= 0 for class {label!r}, got {weight!r}")
        if label in place:
            weights[place[label]] = weight
    if not weights[index].any():
        raise ValueError(f"class_weight: expected a weight > 0 for a class of y, got {given!r}")
    return weights


def balanced(index: np.ndarray, sample_weight: np.ndarray | None, n_classes: int) -> np.ndarray:
    """Weights by which all classes that there are count the same, and all samples together as before."""
    counts = np.bincount(index, sample_weight, n_classes)
    return np.divide(counts.sum(), counts * np.count_nonzero(counts), out=np.ones(n_classes), where=counts > 0)
