"""Scores of a validation set, from outputs and encoded y."""

from typing import Any

import numpy as np

from ..losses import Loss


def r2(outputs: np.ndarray, y: np.ndarray, sample_weight: Any = None) -> float:
    """1 − Σ (y − ŷ)²/Σ (y − mean y)², the mean over outputs (n_samples, n_outputs); 0 or 1 where y is constant."""
    y = y.astype(np.float64)
    mean = np.average(y, axis=0, weights=sample_weight)
    return _explained((y - outputs) ** 2, (y - mean) ** 2, sample_weight)


def d2(outputs: np.ndarray, y: np.ndarray, loss: Loss, sample_weight: Any = None) -> float:
    """1 − ℓ/ℓ of the best constant, the mean over outputs (n_samples, n_outputs), for absolute_error, huber, quantile.

    As scikit-learn's D² scores: 1 is perfect, 0 as good as a constant; 0 or 1 where y is constant.
    """
    y, parameters = y.astype(np.float64), np.broadcast_to(np.atleast_1d(loss.parameter), y.shape[1])
    columns = zip(y.T, parameters, strict=True)
    constant = np.array([_best_constant(column, loss.name, c, sample_weight) for column, c in columns])
    error, best = (_errors(loss.name, guess - y, parameters) for guess in (outputs, constant))
    return _explained(error, best, sample_weight)


def _errors(name: str, r: np.ndarray, c: Any) -> np.ndarray:
    """ℓ by output for ŷ − y = r."""
    if name == "quantile":
        return np.maximum(-c * r, (1 - c) * r)
    if name == "huber":
        near = np.clip(r, -c, c)
        return near * (r - 0.5 * near)
    return np.abs(r)


def _best_constant(y: np.ndarray, name: str, c: float, sample_weight: Any) -> float:
    """The constant with the least ℓ over y (n_samples,)."""
    if name == "huber":
        return _huber_centre(y, c, sample_weight)
    return _weighted_quantile(y, c if name == "quantile" else 0.5, sample_weight)


def _huber_centre(y: np.ndarray, delta: float, sample_weight: Any) -> float:
    """Where the weighted sum of residuals, each kept in ±delta, is zero: it falls in lines, so between two of its kinks
    it is found exactly.
    """
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    kinks = np.unique(np.concatenate([y - delta, y + delta]))

    def pull(constant: float) -> float:
        return float(weight @ np.clip(y - constant, -delta, delta))

    low, high = 0, len(kinks) - 1  # pull is >= 0 at the first and <= 0 at the last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if pull(kinks[middle]) > 0 else (low, middle)
    before, after = pull(kinks[low]), pull(kinks[high])
    share = before / (before - after) if before > after else 0.5
    return float(kinks[low] + share * (kinks[high] - kinks[low]))


def _explained(residual: np.ndarray, spread: np.ndarray, sample_weight: Any) -> float:
    residual, spread = (np.average(part, axis=0, weights=sample_weight) for part in (residual, spread))
    ratio = np.divide(residual, spread, out=(residual > 0).astype(float), where=spread > 0)
    return float(np.mean(1 - ratio))


def _weighted_quantile(y: np.ndarray, level: float, sample_weight: Any) -> float:
    order = np.argsort(y)
    share = np.cumsum(np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)[order])
    return float(y[order][np.searchsorted(share, level * share[-1])])
