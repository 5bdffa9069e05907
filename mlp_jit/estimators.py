"""MLPClassifier and MLPRegressor: scikit-learn's face, with its names and defaults for what exists here.

With scikit-learn installed they are its estimators (clone, pipelines, searches work); without it they fit, predict
and score all the same. What is minimised is scikit-learn's objective: the mean loss (half the squared error for the
regressor) plus alpha/(2N) ‖w‖², N being the sum of the batch's sample weights. `random_state` starts one RandomState
that gives the initial weights, the validation split and the shuffles.
"""

import inspect
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from . import validation
from .callbacks import Callback, Progress
from .engines import DEFAULT
from .initializers import scikit_learn
from .network import Network
from .optimizers import OPTIMIZERS, SGD, Adam, Optimizer
from .schedules import Constant, InverseScaling, Schedule
from .training import History, Training, accuracy, fit

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning, NotFittedError
except ImportError:

    class BaseEstimator:  # type: ignore[no-redef]
        """get_params and set_params, as scikit-learn has them, where it is not installed."""

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

        def set_params(self, **params: Any) -> "BaseEstimator":
            known = self.get_params()
            for name, value in params.items():
                if name not in known:
                    raise ValueError(
                        f"Invalid parameter {name!r} for {self!r}. Valid parameters are: {sorted(known)!r}."
                    )
                setattr(self, name, value)
            return self

        def __repr__(self) -> str:
            return f"{type(self).__name__}()"

    class ClassifierMixin:  # type: ignore[no-redef]
        """Nothing: `score` is our own."""

    class RegressorMixin:  # type: ignore[no-redef]
        """Nothing: `score` is our own."""

    class NotFittedError(ValueError, AttributeError):  # type: ignore[no-redef]
        """Raised where a method needs a fitted estimator."""

    class ConvergenceWarning(UserWarning):  # type: ignore[no-redef]
        """The epochs ran out before the loss had settled."""


NAMES = {"logistic": "sigmoid"}  # scikit-learn's names for activations, where they differ from ours


@dataclass
class _Adaptive(Constant):
    """scikit-learn's "adaptive": η falls to a fifth each time the training stagnates, until it is below 1e-6."""

    present: float = 1.0

    def factors(self, epochs: np.ndarray) -> np.ndarray:
        return np.full_like(epochs, self.present)


class _Stagnation(Callback):
    """scikit-learn's stopping rule: more than n_iter_no_change epochs in a row without a gain of tol.

    The gain is in the training loss, or with a validation set in its score; then the best parameters are put back.
    """

    def __init__(self, estimator: "_MLP", validation_set: tuple | None, schedule: Schedule) -> None:
        self.tol, self.patience, self.score = estimator.tol, estimator.n_iter_no_change, estimator._score_outputs
        self.engine, self.n_threads = estimator.engine, estimator.n_threads
        self.validation_set, self.schedule = validation_set, schedule
        self.scores: list[float] = []
        self.best, self.waited = -np.inf, 0
        self.best_params: np.ndarray | None = None

    def on_epoch(self, training: Training) -> None:
        if self.validation_set is None:
            figure = -training.history.loss[-1]
        else:
            X, y = self.validation_set
            figure = self.score(training.network.forward(X, engine=self.engine, n_threads=self.n_threads), y)
            self.scores.append(figure)
        self.waited = 0 if figure >= self.best + self.tol else self.waited + 1
        if figure > self.best:
            self.best = figure
            if self.validation_set is not None:
                self.best_params = training.network.params.copy()
        if self.waited > self.patience:
            self._stagnant(training)

    def _stagnant(self, training: Training) -> None:
        if isinstance(self.schedule, _Adaptive) and training.history.learning_rate[-1] > 1e-6:
            self.schedule.present /= 5
            self.waited = 0
            return
        what = "Training loss" if self.validation_set is None else "Validation score"
        training.stop(f"{what} did not improve more than tol={self.tol:f} for {self.patience} consecutive epochs.")

    def on_end(self, training: Training) -> None:
        if self.best_params is not None:
            training.network.params[:] = self.best_params


class _MLP(BaseEstimator):
    """What the two estimators share. Parameters are documented on `MLPClassifier`."""

    _loss: str | None = None  # what the output pairs with

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        engine: str = DEFAULT,
        n_threads: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.engine = engine
        self.n_threads = n_threads

    def _encode(self, y: Any) -> np.ndarray:
        """y as `fit` takes it; learns the classes."""
        raise NotImplementedError

    def _output(self) -> tuple[str, int]:
        """The output's φ and the number of outputs, from what `_encode` learnt."""
        raise NotImplementedError

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray) -> float:
        """The validation score: of the network's outputs against encoded y."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "_MLP":
        """Train a new network on X (n_samples, n_features) and y, weighted by sample_weight (n_samples,).

        The network's dtype follows X: float32 for float32, float64 for all else. Raises ValueError or TypeError for
        input or parameters that make no sense, warns ConvergenceWarning when max_iter epochs were not enough.
        """
        self._check_parameters()
        X = validation.matrix("X", X, None)
        dtype = np.dtype("float32" if X.dtype == np.float32 else "float64")
        X = validation.for_engine(validation.finite("X", X, dtype), dtype)
        y = self._encode(y)
        if len(y) != len(X):
            raise ValueError(f"y: expected {len(X)} rows, one for each row of X, got {len(y)}")
        weight = validation.weights("sample_weight", sample_weight, len(X), dtype)
        rng = _random_state(self.random_state)
        network = self._network(X.shape[1], dtype, rng)
        y = network.check_targets(y, len(X))
        X, y, weight, validation_set = self._split(X, y, weight, rng)
        schedule = self._schedule(len(X))
        stagnation = _Stagnation(self, validation_set, schedule)
        history = fit(
            network,
            X,
            y,
            optimizer=self._optimizer(),
            learning_rate=self.learning_rate_init,
            schedule=schedule,
            batch_size=200 if isinstance(self.batch_size, str) else self.batch_size,
            epochs=self.max_iter,
            shuffle=self.shuffle,
            l2=self.alpha,
            l2_per_sample=True,
            sample_weight=weight,
            n_threads=self.n_threads,
            callbacks=[stagnation, Progress()] if self.verbose else [stagnation],
            random_state=rng,
            engine=self.engine,
        )
        self._learnt(network, history, stagnation)
        return self

    def _check_parameters(self) -> None:
        """TypeError or ValueError that names the parameter. (`fit` has its own names for some of them.)"""
        for size in np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist():
            validation.integer("hidden_layer_sizes", size, 1)
        if isinstance(self.batch_size, str):
            validation.choice("batch_size", self.batch_size, ("auto",))
        validation.number("alpha", self.alpha, 0)
        validation.number("tol", self.tol, 0)
        validation.number("learning_rate_init", self.learning_rate_init, 0, open_minimum=True)
        validation.number("power_t", self.power_t, 0, open_minimum=True)
        validation.number("validation_fraction", self.validation_fraction, 0, below=1, open_minimum=True)
        validation.integer("max_iter", self.max_iter, 1)
        validation.integer("n_iter_no_change", self.n_iter_no_change, 1)

    def _network(self, n_features: int, dtype: np.dtype, rng: np.random.RandomState) -> Network:
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist()
        activation: str | tuple[str, ...]
        if isinstance(self.activation, str):
            activation = NAMES.get(self.activation, self.activation)
        else:
            activation = tuple(NAMES.get(name, name) for name in self.activation)
        output, n_outputs = self._output()
        return Network(
            [n_features, *hidden, n_outputs],
            activation=activation,
            output=output,
            loss=self._loss,
            initializer=partial(scikit_learn, factor=2.0 if activation == "sigmoid" else 6.0),
            dtype=dtype,
            random_state=rng,
        )

    def _optimizer(self) -> Optimizer:
        kind = validation.lookup("solver", self.solver, OPTIMIZERS)
        if kind is SGD:
            return SGD(self.momentum, self.nesterovs_momentum)
        return kind(self.beta_1, self.beta_2, self.epsilon) if issubclass(kind, Adam) else kind()

    def _schedule(self, n_samples: int) -> Schedule:
        name = validation.choice("learning_rate", self.learning_rate, ("constant", "invscaling", "adaptive"))
        if name == "invscaling" and self.solver == "sgd":
            return InverseScaling(self.power_t, n_samples)
        return _Adaptive() if name == "adaptive" and self.solver == "sgd" else Constant()

    def _split(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, rng: np.random.RandomState) -> tuple:
        """The training part of X, y and weight, and for early_stopping a stratified validation set (X, y)."""
        if not self.early_stopping:
            return X, y, weight, None
        order = rng.permutation(len(X))
        order = order[np.argsort(self._strata(y)[order], kind="stable")]
        chosen = np.zeros(len(X), bool)
        count = round(self.validation_fraction * len(X))
        if count < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        chosen[order[((np.arange(count) + 0.5) * len(X) / count).astype(int)]] = True  # evenly through the strata
        return X[~chosen], y[~chosen], weight[~chosen], (X[chosen], y[chosen])

    def _strata(self, y: np.ndarray) -> np.ndarray:
        """A number for each row of encoded y; rows of one number are split in one proportion."""
        return np.zeros(len(y))

    def _learnt(self, network: Network, history: History, stagnation: _Stagnation) -> None:
        if not np.isfinite(network.params).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be"
                " preprocessed."
            )
        self.network_ = network
        self.n_features_in_ = network.sizes[0]
        self.n_layers_ = len(network.sizes)
        self.n_outputs_ = network.sizes[-1]
        self.loss_curve_ = history.loss
        self.n_iter_ = len(history.loss)
        self.loss_ = history.loss[-1] if history.loss else np.nan
        self.best_loss_ = None if self.early_stopping else min(history.loss, default=np.inf)
        self.validation_scores_ = stagnation.scores if self.early_stopping else None
        self.best_validation_score_ = max(stagnation.scores, default=None) if self.early_stopping else None
        if history.stopped is None:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=3,
            )

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of each layer, (n_in, n_out): views of `network_.params`."""
        return list(self.network_.weights)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of each layer, (n_out,): views of `network_.params`."""
        return list(self.network_.biases)

    def _outputs(self, X: Any) -> np.ndarray:
        if not hasattr(self, "network_"):
            name = type(self).__name__
            raise NotFittedError(
                f"This {name} instance is not fitted yet. Call 'fit' with appropriate arguments before using this "
                "estimator."
            )
        X = validation.matrix("X", X, self.n_features_in_)
        X = validation.finite("X", X, self.network_.dtype)
        return self.network_.forward(X, engine=self.engine, n_threads=self.n_threads)


_PARAMETERS = """

    Parameters are scikit-learn's: hidden_layer_sizes (units of each hidden layer), activation (scikit-learn's names
    and ours, one for all hidden layers or one for each), solver (sgd, adam, adamw, rmsprop, adagrad, nadam, lion),
    alpha (L2, divided by the batch's samples), batch_size ("auto" is min(200, n_samples)), learning_rate (constant,
    invscaling, adaptive; the last two with sgd), learning_rate_init, power_t, max_iter (epochs), shuffle,
    random_state, tol, n_iter_no_change, verbose, momentum, nesterovs_momentum, early_stopping, validation_fraction,
    beta_1, beta_2, epsilon. Ours: engine (a name of `mlp_jit.engines`) and n_threads
    (None for Numba's number).

    After `fit`: coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_,
    n_iter_, n_features_in_, n_layers_, n_outputs_, and network_, the trained `Network`.
    """


class MLPClassifier(ClassifierMixin, _MLP):
    __doc__ = (
        "Multilayer perceptron that predicts classes: binary, multiclass, or several labels at once." + _PARAMETERS
    )

    def _encode(self, y: Any) -> np.ndarray:
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:  # an indicator column for each label
            if not np.isin(y, (0, 1)).all():
                raise ValueError("y: expected 0 and 1 in a matrix of labels, got other values")
            self.classes_, self._multilabel = np.arange(y.shape[1]), True
            return y
        if y.ndim not in (1, 2):
            raise ValueError(f"y: expected shape (n_samples,) or (n_samples, n_labels), got {y.shape}")
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise ValueError("y: expected class labels, got NaN or infinity")
        self.classes_, encoded = np.unique(y.reshape(-1), return_inverse=True)
        self._multilabel = False
        return encoded

    def _output(self) -> tuple[str, int]:
        n_classes = len(self.classes_)
        if self._multilabel:
            return "sigmoid", n_classes
        return ("softmax", n_classes) if n_classes > 2 else ("sigmoid", 1)

    def _strata(self, y: np.ndarray) -> np.ndarray:
        if self._multilabel:
            return np.zeros(len(y))
        return y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0]

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray) -> float:
        return accuracy(outputs, y, one_class=outputs.shape[1] > 1 and not self._multilabel)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n_samples, n_classes); of several labels, each label's own."""
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class (n_samples,), or for several labels 0 and 1 (n_samples, n_labels)."""
        outputs = self._outputs(X)
        if self._multilabel:
            return (outputs >= 0.5).astype(int)
        index = outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] >= 0.5).astype(int)
        return self.classes_[index % len(self.classes_)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The (weighted) fraction of rows predicted right; of several labels, all of them right."""
        y = np.asarray(y)
        right = (y.reshape(-1) if y.shape[1:] == (1,) else y) == self.predict(X)
        return float(np.average(right.all(axis=1) if right.ndim == 2 else right, weights=sample_weight))


class MLPRegressor(RegressorMixin, _MLP):
    __doc__ = (
        "Multilayer perceptron that predicts numbers, by half the squared error; one output or several." + _PARAMETERS
    )

    _loss = "half_squared_error"

    def _encode(self, y: Any) -> np.ndarray:
        y = validation.as_array("y", y)
        if y.ndim not in (1, 2):
            raise ValueError(f"y: expected shape (n_samples,) or (n_samples, n_outputs), got {y.shape}")
        self._flat = y.ndim == 1
        self._n_outputs = 1 if y.ndim == 1 else y.shape[1]
        return y

    def _output(self) -> tuple[str, int]:
        return "identity", self._n_outputs

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray) -> float:
        return r2(outputs, y)

    def predict(self, X: Any) -> np.ndarray:
        """Predictions (n_samples,) or (n_samples, n_outputs), as y was when fitted."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat or outputs.shape[1] == 1 else outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R², the mean over the outputs."""
        y = validation.as_array("y", y)
        predicted = self.predict(X)
        return r2(predicted.reshape(len(predicted), -1), y.reshape(len(y), -1), sample_weight)


def r2(outputs: np.ndarray, y: np.ndarray, sample_weight: Any = None) -> float:
    """1 − Σ (y − ŷ)²/Σ (y − mean y)², the mean over outputs (n_samples, n_outputs); 0 or 1 where y is constant."""
    residual = np.average((y - outputs) ** 2, axis=0, weights=sample_weight)
    spread = np.average((y - np.average(y, axis=0, weights=sample_weight)) ** 2, axis=0, weights=sample_weight)
    ratio = np.divide(residual, spread, out=(residual > 0).astype(float), where=spread > 0)
    return float(np.mean(1 - ratio))


def _random_state(random_state: Any) -> np.random.RandomState:
    if random_state is None:
        return np.random.mtrand._rand  # NumPy's own global one, as scikit-learn uses
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(validation.integer("random_state", random_state, 0))
