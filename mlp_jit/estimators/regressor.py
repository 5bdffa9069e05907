"""MLPRegressor: numbers."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..activations import Activation
from ..engines import DEFAULT
from ..losses import LOSSES, Loss
from ..optimizers import Optimizer
from ..schedules import Schedule
from ..training import Callback, Checkpoint
from . import parameters
from .base import FLOATS, SPARSE, MultilayerPerceptron
from .metrics import d2, r2
from .parameters import REGRESSION_LOSSES
from .refusal import unchanged_if_refused
from .scikit_learn import RegressorMixin, available_if, column_or_1d, validate_data
from .weights import adopt, layers

SQUARED = ("squared_error", "half_squared_error", "poisson")  # losses that are judged by R², as scikit-learn does


class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    """Multilayer perceptron that predicts numbers, one output or several.

    Parameters
    ----------
    loss : str or Loss
        squared_error (half of it), poisson (of y >= 0; outputs are e^z), absolute_error, huber, quantile (the median);
        or an object such as `huber(2.0)` or `quantile((0.1, 0.5, 0.9))`, which predicts several quantiles of one y at
        once.
    scoring : None, "loss", str or callable
        What the validation set is judged by: what `score` says, its loss (negative, so that higher is better), or a
        scorer of scikit-learn's. `score` is R² for squared_error and poisson, as in scikit-learn, and for
        absolute_error, huber and quantile D²: 1 − loss/(loss of the best constant).

    The other parameters and all attributes are MLPClassifier's, but for `class_weight` and `classes_`.
    """

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Schedule = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        scoring: str | Callable | None = None,
        normalization: str | Sequence[str | None] | None = None,
        skip: bool = False,
        dropout: float | Sequence[float] = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        callbacks: Sequence[Callback] | None = None,
        engine: str = DEFAULT,
        n_threads: int | None = None,
        checkpoint: str | os.PathLike | Checkpoint | None = None,
    ) -> None:
        self._keep(locals())

    @classmethod
    def from_weights(cls, coefs: Sequence[Any], intercepts: Sequence[Any], **parameters: Any) -> "MLPRegressor":
        """A fitted regressor with these weights (n_in, n_out) and biases (n_out,) of each layer, copied.

        Other parameters are the constructor's. partial_fit and warm starts go on from there. Raises ValueError or
        TypeError where the shapes make no network.
        """
        return adopt(cls(**parameters), *layers(coefs, intercepts))

    # ----------------------------------------------------------------------------------- y

    def _validate(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, np.ndarray]:
        if reset or not self._need_no_check(X, y, "f"):
            X, y = validate_data(
                self, X, y, accept_sparse=SPARSE, multi_output=True, y_numeric=True, dtype=FLOATS, reset=reset
            )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        columns = y.reshape(len(y), -1)
        self._repeats = columns.shape[1] == 1 < len(self._levels())  # several quantiles of one y
        return X, np.repeat(columns, len(self._levels()), axis=1) if self._repeats else columns

    def _validate_held_out(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        return self._validate(X, y, incremental=True, reset=False)

    def _levels(self) -> np.ndarray:
        """The quantiles' levels; one for any other loss."""
        loss = self._loss()
        return np.atleast_1d(loss.parameter) if loss.name == "quantile" else np.zeros(1)

    def _output(self) -> str:
        return "exp" if self._loss().name == "poisson" else "identity"

    def _loss(self) -> Loss:
        return self.loss if isinstance(self.loss, Loss) else LOSSES[REGRESSION_LOSSES[self.loss]]

    def _decode(self, y: np.ndarray) -> np.ndarray:
        return y[:, 0] if y.shape[1] == 1 or self._repeats else y

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        loss = self._loss()
        return r2(outputs, y, sample_weight) if loss.name in SQUARED else d2(outputs, y, loss, sample_weight)

    # ----------------------------------------------------------------------------------- fitting bit by bit

    @available_if(lambda self: self._check_solver())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MLPRegressor":
        """One epoch on X and y, going on from the last one."""
        with unchanged_if_refused(self):
            parameters.check(self)
            train = self._prepare(X, y, sample_weight)
        return self._train(train)

    # ----------------------------------------------------------------------------------- predictions

    def predict(self, X: Any) -> np.ndarray:
        """Predictions (n_samples,), or (n_samples, n_outputs) where there are several."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² for squared errors and poisson, as in scikit-learn; otherwise D², the share of the trained loss that the
        best constant has and the predictions have not. The mean over the outputs; 1 is perfect.
        """
        if self._loss().name in SQUARED:
            return super().score(X, y, sample_weight)
        outputs = self.predict(X).reshape(len(X), -1)
        y = np.asarray(y, np.float64).reshape(len(y), -1)
        return d2(outputs, np.broadcast_to(y, outputs.shape), self._loss(), sample_weight)
