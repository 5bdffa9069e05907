"""MLPClassifier: classes."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..activations import Activation
from ..engines import DEFAULT
from ..interop.scikit_learn import in_order
from ..losses import LOSSES, Loss
from ..optimizers import Optimizer
from ..schedules import Schedule
from ..training import Callback, Checkpoint
from . import parameters
from .base import FLOATS, SPARSE, MultilayerPerceptron
from .class_weights import balanced, named
from .labels import Labels
from .refusal import unchanged_if_refused
from .scikit_learn import ClassifierMixin, available_if, column_or_1d, unique_labels, validate_data
from .weights import adopt, layers


def probabilities(outputs: np.ndarray) -> np.ndarray:
    """Of outputs (n_samples, n_outputs) those of both classes where there is one output."""
    if outputs.shape[1] > 1:
        return outputs
    both = np.empty((len(outputs), 2), outputs.dtype)
    both[:, 1] = outputs[:, 0]
    np.subtract(1, both[:, 1], out=both[:, 0])
    return both


class MLPClassifier(ClassifierMixin, MultilayerPerceptron):
    """Multilayer perceptron that predicts classes: two, more, or several labels at once.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, or int
        Units of each hidden layer; () for none.
    activation : str or sequence of str
        φ of the hidden layers: scikit-learn's names (identity, logistic, tanh, relu) and ours, one for all or one for
        each.
    solver : str or Optimizer
        sgd, adam, lbfgs (SciPy's, on all samples at once), adamw, rmsprop, adagrad, nadam, lion; or an object such as
        `Lion(weight_decay=0.1)`.
    alpha : float
        L2: alpha/(2N) ‖w‖² over the weights is added to the loss, N the sum of the batch's sample weights.
    batch_size : int or "auto"
        "auto" is min(200, n_samples).
    learning_rate : str or Schedule
        constant; invscaling and adaptive, with sgd alone; or with any stochastic solver one of ours: inverse_scaling,
        exponential, step, cosine, on_plateau, or an object such as `Cosine(epochs=50, warmup=5)`.
    learning_rate_init : float
    power_t : float
        Of invscaling.
    max_iter : int
        Epochs, or L-BFGS's iterations.
    shuffle : bool
    random_state : int, RandomState or None
        Initial weights, validation split, shuffles and dropout come from it.
    tol, n_iter_no_change : float, int
        Stop after more than n_iter_no_change epochs in a row without a gain of tol. For L-BFGS tol bounds the gradient.
    verbose : bool or int
        A progress bar in a terminal or a notebook where rich is installed, lines otherwise.
    warm_start : bool
        Go on from the last fit.
    momentum, nesterovs_momentum : float, bool
        Of sgd.
    early_stopping, validation_fraction : bool, float
        Stop by the score of a validation set, keeping the best weights.
    beta_1, beta_2, epsilon : float
        Of adam, adamw and nadam; ε is added to √v before its bias is corrected, as scikit-learn does.
    max_fun : int
        L-BFGS's evaluations of the loss.
    class_weight : dict, list of dict, "balanced" or None
        Multiplies the sample weights, of the validation set, too: by {class: weight}, where a class that y lacks does
        not matter, or so that all classes of y weigh the same. With several labels "balanced", or a list with a dict
        {0: …, 1: …} for each; a sample's weight is the product over its labels, as in scikit-learn's forests.
    scoring : None, "loss", str or callable
        What the validation set is judged by: the accuracy, its loss (negative, so that higher is better), or a scorer
        of scikit-learn's.
    normalization : {"batch", "layer"}, a sequence of these and None, or None
        Of the hidden layers' sums, one for all or one for each, see `Network`. lbfgs has no batches to go by.
    skip : bool
        Every hidden layer that is as wide as the one before it hands on h = a + h of that one.
    dropout : float or sequence of float
        Probability of dropping a hidden unit, one for all hidden layers or one for each.
    clip_norm, clip_value : float or None
        Bounds on the gradient's norm and on its entries.
    callbacks : list of Callback or None
    engine : {"lanes", "loops", "vectorized"}
    n_threads : int or None
        At most this many threads; the result is the same for any. None for Numba's number.
    checkpoint : path, Checkpoint or None
        A file that `fit` writes as it goes: the same call goes on from it after a crash, to the same bits, see
        `mlp_jit.fit`. It is refused where data or other parameters differ. lbfgs, which SciPy cannot halt, runs once
        more over the gradients that it has asked for: all of them lie in memory and in the file.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer: views of `network_.params`.
    network_ : Network
    loss_, best_loss_ : float
        The last and the lowest figure of loss_curve_.
    loss_curve_ : list of float
        The loss of each epoch, or iteration of lbfgs, L2 included, as scikit-learn reports it.
    validation_scores_, validation_loss_curve_ : list of float or None
        The validation set's score and its loss (without L2) after each epoch; NaN for a loss of epochs of an earlier
        fit that had no validation set.
    best_validation_score_ : float or None
    n_iter_, t_ : int
        Epochs of the last fit, and samples seen.
    n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_
        As scikit-learn has them.
    """

    loss = "log_loss"

    def __init__(
        self,
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
        class_weight: dict | Sequence[dict] | str | None = None,
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
    def from_weights(
        cls,
        coefs: Sequence[Any],
        intercepts: Sequence[Any],
        *,
        classes: Any = None,
        multilabel: bool = False,
        **parameters: Any,
    ) -> "MLPClassifier":
        """A fitted classifier with these weights (n_in, n_out) and biases (n_out,) of each layer, copied.

        `classes` are 0, 1, … by default: two for one output, as many as outputs otherwise, named in the order of the
        outputs; where they are not sorted, the estimator has its outputs in the order in which they are. With
        `multilabel` each output is a label of its own. Other parameters are the constructor's. partial_fit and warm
        starts go on from there. Raises ValueError or TypeError where the shapes make no network.
        """
        weights, biases = layers(coefs, intercepts)
        ordered, weights[-1], biases[-1] = in_order(classes, weights[-1], biases[-1], several=multilabel)
        estimator = cls(**parameters)
        estimator._labels = Labels.of(ordered, one_hot=len(biases[-1]) > 1 and not multilabel, multilabel=multilabel)
        estimator.classes_ = estimator._labels.classes
        return adopt(estimator, weights, biases)

    # ----------------------------------------------------------------------------------- y

    def _validate(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, np.ndarray]:
        plain = not reset and self._need_no_check(X, y, "biuU")
        X, y = (X, y) if plain else self._checked(X, y, reset)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._labels = Labels(y)
            self.classes_ = self._labels.classes
        else:
            self._check_classes(np.unique(y) if plain else unique_labels(y))
        return X, self._labels.encode(y)

    def _validate_held_out(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        X, y = self._checked(X, y, False)
        self._check_known(unique_labels(y))
        return X, self._labels.encode(y)

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(self, X, y, accept_sparse=SPARSE, multi_output=True, dtype=FLOATS, reset=reset)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _check_classes(self, classes: np.ndarray) -> None:
        if not self.warm_start:
            self._check_known(classes)
        elif set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )

    def _check_known(self, classes: np.ndarray) -> None:
        if not set(classes) <= set(self.classes_):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _output(self) -> str:
        return self._labels.output

    def _loss(self) -> Loss:
        return LOSSES["cross_entropy" if self.out_activation_ == "softmax" else "binary_cross_entropy"]

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return y if y.shape[1] == 1 else None

    def _decode(self, y: np.ndarray) -> Any:
        return self._labels.decode(y)

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        return float(np.average(self._labels.right(outputs, y), weights=sample_weight))

    def _learn_class_weights(self, y: np.ndarray, sample_weight: np.ndarray | None, incremental: bool) -> None:
        self._of_classes = None
        if self.class_weight is None:
            return
        if self.class_weight == "balanced" and incremental:
            raise ValueError('class_weight: "balanced" needs all of y; give partial_fit a dict {class: weight}')
        of_labels, given = self._labels.indices_by_label(y), self.class_weight
        if not self._labels.multilabel:
            if not isinstance(given, dict | str):
                raise ValueError(f"class_weight: expected a dict {{class: weight}} or 'balanced', got {given!r}")
            given = [given]
        elif isinstance(given, str):
            given = [given] * len(of_labels)
        elif isinstance(given, dict) or len(given) != len(of_labels):
            raise ValueError(f"class_weight: expected a list of {len(of_labels)} dicts, one a label, got {given!r}")
        classes = [0, 1] if self._labels.multilabel else self.classes_.tolist()
        self._of_classes = [
            balanced(index, sample_weight, len(classes)) if weights == "balanced" else named(index, weights, classes)
            for index, weights in zip(of_labels, given, strict=True)
        ]

    def _weigh(self, y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        if self._of_classes is None:
            return sample_weight
        of_labels = zip(self._of_classes, self._labels.indices_by_label(y), strict=True)
        weights: np.ndarray = np.prod([weights[index] for weights, index in of_labels], axis=0)
        return weights if sample_weight is None else weights * sample_weight

    # ----------------------------------------------------------------------------------- fitting bit by bit

    @available_if(lambda self: self._check_solver())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> "MLPClassifier":
        """One epoch on X and y, going on from the last one. The first call needs all `classes` there will ever be."""
        with unchanged_if_refused(self):
            parameters.check(self)
            self._learn_classes(y, classes)
            train = self._prepare(X, y, sample_weight)
        return self._train(train)

    def _learn_classes(self, y: Any, classes: Any) -> None:
        """The classes of a first call of partial_fit; those of a later one have to be the same."""
        known = getattr(self, "classes_", None)
        if known is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            labels = Labels(classes)
            if (np.ndim(y) == 2 or hasattr(y, "toarray")) and np.shape(y)[1] > 1:
                labels = Labels(y)
            self._labels, self.classes_ = labels, unique_labels(classes)
        elif classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}")

    # ----------------------------------------------------------------------------------- predictions

    def predict(self, X: Any) -> Any:
        """The most probable class (n_samples,), or for several labels 0 and 1 (n_samples, n_labels)."""
        outputs = self._outputs(X)
        return self._labels.decode(outputs)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n_samples, n_classes) in the order of classes_; of several labels, each label's own."""
        return probabilities(self._outputs(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of `predict_proba`."""
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def decision_function(self, X: Any) -> np.ndarray:
        """z of the output layer: (n_samples,), the logit of the second class of two, or (n_samples, n_outputs)."""
        z = self._outputs(X, output="identity")
        return z[:, 0] if z.shape[1] == 1 else z

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
