"""Scores of a validation set, from outputs and encoded y."""

from typing import Any

import numpy as np


def r2(outputs: np.ndarray, y: np.ndarray, sample_weight: Any = None) -> float:
    """1 − Σ (y − ŷ)²/Σ (y − mean y)², the mean over outputs (n_samples, n_outputs); 0 or 1 where y is constant."""
    y = y.astype(np.float64)
    mean = np.average(y, axis=0, weights=sample_weight)
    return _explained((y - outputs) ** 2, (y - mean) ** 2, sample_weight)


def d2_pinball(outputs: np.ndarray, y: np.ndarray, levels: np.ndarray, sample_weight: Any = None) -> float:
    """How much of the pinball loss of the best constant each level's output takes away, the mean over the levels.

    outputs and y (n_samples, n_levels), levels (n_levels,).
    """
    constant = [_weighted_quantile(column, level, sample_weight) for column, level in zip(y.T, levels, strict=True)]

    def pinball(prediction: Any) -> np.ndarray:
        residual = y.astype(np.float64) - prediction
        return np.maximum(levels * residual, (levels - 1) * residual)

    return _explained(pinball(outputs), pinball(np.array(constant)), sample_weight)


def _explained(residual: np.ndarray, spread: np.ndarray, sample_weight: Any) -> float:
    residual, spread = (np.average(part, axis=0, weights=sample_weight) for part in (residual, spread))
    ratio = np.divide(residual, spread, out=(residual > 0).astype(float), where=spread > 0)
    return float(np.mean(1 - ratio))


def _weighted_quantile(y: np.ndarray, level: float, sample_weight: Any) -> float:
    order = np.argsort(y)
    share = np.cumsum(np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)[order])
    return float(y[order][np.searchsorted(share, level * share[-1])])
