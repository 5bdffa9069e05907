"""What the two estimators share: from parameters and data to a trained network, and from X to its outputs."""

from collections.abc import Callable
from contextlib import ExitStack
from operator import is_
from typing import Any

import numpy as np

from .. import validation
from ..activations import Activation
from ..engines import ENGINES
from ..initializers import scikit_learn
from ..losses import Loss
from ..network import Network
from . import checkpoints, lbfgs, parameters, stochastic
from .held_out import HeldOut
from .refusal import unchanged_if_refused
from .scikit_learn import BaseEstimator, check_is_fitted, check_random_state, check_sample_weight, validate_data

SPARSE = ["csr", "csc"]
FLOATS = (np.float64, np.float32)
OURS = {"logistic": "sigmoid"}  # scikit-learn's names of outputs, where they differ
THEIRS = {"sigmoid": "logistic"}


class MultilayerPerceptron(BaseEstimator):
    """Fitting and the network. A subclass knows about y: the methods down to `fit`."""

    def _keep(self, values: dict[str, Any]) -> None:
        """The constructor's parameters as attributes, none of them looked at."""
        for name, value in values.items():
            if name != "self":
                setattr(self, name, value)

    def _validate(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, np.ndarray]:
        """X, and y as targets (n_samples, n_outputs); learns the classes."""
        raise NotImplementedError

    def _validate_held_out(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        """The same, of a validation set."""
        raise NotImplementedError

    def _output(self) -> str:
        """φ of the output layer."""
        raise NotImplementedError

    def _loss(self) -> Loss:
        """ℓ."""
        raise NotImplementedError

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """What keeps its proportions where a validation set is set aside."""
        return None

    def _decode(self, y: np.ndarray) -> Any:
        """Targets (n_samples, n_outputs) as the user has them."""
        raise NotImplementedError

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """What `score` would say of outputs, from targets."""
        raise NotImplementedError

    def _learn_class_weights(self, y: np.ndarray, sample_weight: np.ndarray | None, incremental: bool) -> None:
        """From y and sample_weight, what each class weighs."""

    def _weigh(self, y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """sample_weight times the weight of each sample's class."""
        return sample_weight

    # ----------------------------------------------------------------------------------- fitting

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train on X (n_samples, n_features), dense or sparse, and y, weighted by sample_weight (n_samples,).

        `X_val` and `y_val` are a validation set of your own, under the names that scikit-learn's
        HistGradientBoostingClassifier and a Pipeline's `transform_input` use: its scores and losses are recorded after
        each epoch, and with early_stopping it stands in for the part of X that would be set aside.

        The network's dtype follows X: float32 for float32, float64 for all else. Raises ValueError or TypeError for
        data or parameters that make no sense, and ValueError where the weights diverge or `checkpoint` is of another
        run, BlockingIOError where another process writes there. Warns ConvergenceWarning when
        max_iter iterations were not enough, UserWarning on Ctrl-C, what was learnt until then being kept.
        """
        with ExitStack() as held:
            with unchanged_if_refused(self):
                parameters.check(self)
                train = self._prepare(X, y, sample_weight, (X_val, y_val, sample_weight_val), held)
            return self._train(train)

    def _prepare(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        held_out: tuple = (None, None, None),
        held: ExitStack | None = None,
    ) -> Callable[[], None]:
        """All checks of the data and all that training starts from; what trains. A whole fit comes with a context, in
        which it holds its checkpoint; without one it is an epoch of a `partial_fit`.
        """
        incremental = held is None
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._validate(X, y, incremental=incremental, reset=first)
        sample_weight = self._weights(sample_weight, X)
        self._learn_class_weights(y, sample_weight, incremental)
        sample_weight, given = self._weigh(y, sample_weight), self._held_out(*held_out)
        self._random_state, keeper = check_random_state(self.random_state), None
        if held and self.checkpoint is not None:
            keeper = checkpoints.keeper(self, X, y, sample_weight, given, held, first=first)
        if first:
            self._initialize(X, y, self._random_state)
        network = self.network_
        if self._has_changed(network):  # set_params since the last fit
            network = self._network_of(self.coefs_, self.intercepts_)
            self._use(network)
        if self.solver == "lbfgs":
            return lbfgs.prepare(self, network, X, y, sample_weight, given, keeper, first=first)
        return stochastic.prepare(
            self, network, X, y, sample_weight, given, keeper, first=first, incremental=incremental
        )

    def _has_changed(self, network: Network) -> bool:
        """Whether the parameters now ask for another network of these sizes."""
        n_hidden, kinds = len(network.sizes) - 2, self.normalization
        wanted = (kinds,) * n_hidden if kinds is None or isinstance(kinds, str) else tuple(kinds)
        return (
            network.activations != self._activations(n_hidden)
            or network.loss_function != self._loss()
            or network.normalizations != wanted
            or network.skips != self.skip
        )

    def _train(self, train: Callable[[], None]) -> Any:
        """Train as prepared. ValueError where the weights diverge."""
        train()
        if not np.isfinite(self._network_.params).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be"
                " preprocessed."
            )
        return self

    @staticmethod
    def _weights(sample_weight: Any, X: Any) -> np.ndarray | None:
        if sample_weight is None:
            return None
        return check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)

    def _held_out(self, X: Any, y: Any, sample_weight: Any) -> HeldOut | None:
        """The validation set that the user gave."""
        if (X is None) != (y is None):
            raise ValueError("X_val and y_val: expected both or neither")
        if X is None:
            return None
        X, y = self._validate_held_out(X, y)
        return HeldOut(X, y, self._weigh(y, self._weights(sample_weight, X)))

    def _initialize(self, X: Any, y: np.ndarray, rng: np.random.RandomState) -> None:
        output = self._output()
        self.n_iter_, self.t_ = 0, 0
        self.n_outputs_ = y.shape[1]
        self.out_activation_ = THEIRS.get(output, output)
        sizes = [X.shape[1], *parameters.hidden_sizes(self), self.n_outputs_]
        self.n_layers_ = len(sizes)
        self._use(self._network(sizes, X.dtype, lambda rng, n_in, n_out: self._init_coef(n_in, n_out, X.dtype), rng))

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
        """The initial W (fan_in, fan_out) and b (fan_out,) of a layer: scikit-learn's hook for subclasses."""
        factor = 2.0 if self.activation in ("logistic", "sigmoid") else 6.0
        return scikit_learn(self._random_state, fan_in, fan_out, factor=factor)

    def _network(self, sizes: list[int], dtype: Any, initializer: Any, rng: Any = None) -> Network:
        return Network(
            sizes,
            activation=self._activations(len(sizes) - 2),
            output=OURS.get(self.out_activation_, self.out_activation_),
            loss=self._loss(),
            normalization=self.normalization,
            skip=self.skip,
            initializer=initializer,
            dtype=dtype,
            random_state=rng,
        )

    def _activations(self, n_hidden: int) -> tuple[str | Activation, ...]:
        """φ of each hidden layer by our names, or the user's own."""
        given = (self.activation,) * n_hidden if isinstance(self.activation, str | Activation) else self.activation
        return tuple(phi if isinstance(phi, Activation) else parameters.ACTIVATIONS[phi] for phi in given)

    # ----------------------------------------------------------------------------------- the network

    def _use(self, network: Network) -> None:
        """Make its parameters this estimator's."""
        self._network_ = network
        self.coefs_, self.intercepts_ = list(network.weights), list(network.biases)

    @property
    def network_(self) -> Network:
        """The trained Network. coefs_ and intercepts_ are views of its parameters; where someone has put other arrays
        into these, it is made again from them.
        """
        coefs, intercepts, network = self.coefs_, self.intercepts_, vars(self).get("_network_")
        if (
            network is None
            or len(coefs) != len(network.weights)
            or not all(map(is_, coefs, network.weights))
            or not all(map(is_, intercepts, network.biases))
        ):
            network = self._network_of(coefs, intercepts)
            self._use(network)
        return network

    def _network_of(self, coefs: list[np.ndarray], intercepts: list[np.ndarray]) -> Network:
        weights, biases = ([np.asarray(array) for array in arrays] for arrays in (coefs, intercepts))
        dtype = np.result_type(np.float32, *weights, *biases)
        network = self._network([len(weights[0]), *(W.shape[1] for W in weights)], dtype, _zeros)
        for view, array in zip((*network.weights, *network.biases), (*weights, *biases), strict=True):
            view[...] = array
        known = vars(self).get("_network_")
        if known is not None and np.array_equal(known.table, network.table):  # γ and running statistics are no coefs_
            for gain, learnt in zip(network.gains, known.gains, strict=True):
                gain[...] = learnt
            network.state[...] = known.state
        return network

    def __getstate__(self) -> dict[str, Any]:
        """Everything but coefs_ and intercepts_, which are views: pickled, they would come back as copies; and a
        session.
        """
        if hasattr(self, "coefs_"):
            self._use(self.network_)
        state = dict(super().__getstate__())
        state.pop("coefs_", None)
        state.pop("intercepts_", None)
        state.pop("_session", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "_network_" in state:
            self._use(state["_network_"])

    # ----------------------------------------------------------------------------------- from X to outputs

    def _outputs(self, X: Any, layer: int | None = None, output: str | None = None) -> np.ndarray:
        """E1 for X up to a layer, the last by default, whose φ may be another `output`."""
        if "coefs_" not in vars(self):
            check_is_fitted(self)
        network = self.network_
        if not self._needs_no_check(X, network):
            X = validate_data(self, X, accept_sparse=SPARSE, reset=False)
        if layer is not None or output is not None:
            network = network.part(len(network.sizes) - 1 if layer is None else layer, output)
        if validation.is_sparse(X):
            return network.forward(X, engine=self.engine, n_threads=self.n_threads)
        return validation.lookup("engine", self.engine, ENGINES).forward(
            network, validation.for_engine(X, network.dtype), n_threads=self.n_threads
        )

    def _needs_no_check(self, X: Any, network: Network) -> bool:
        """Whether X is an array that nothing needs to be said about: all else is scikit-learn's to check."""
        return (
            type(X) is np.ndarray
            and X.dtype == network.dtype
            and X.ndim == 2
            and X.shape[1] == network.sizes[0]
            and len(X) > 0
            and "feature_names_in_" not in vars(self)
            and validation.is_finite(X)
        )

    def _need_no_check(self, X: Any, y: Any, kinds: str) -> bool:
        """The same of X and y (n_samples,) whose dtype is of one of these kinds, for a network that goes on."""
        return (
            type(y) is np.ndarray
            and y.dtype.kind in kinds
            and "coefs_" in vars(self)
            and self._needs_no_check(X, self.network_)
            and X.shape == (len(y), self.n_features_in_)
            and y.ndim == 1
            and (y.dtype.kind != "f" or validation.is_finite(y))
        )

    def hidden_activations(self, X: Any, layer: int = -1) -> np.ndarray:
        """a of a hidden layer, (n_samples, units): 1 is the first one, -1 the last.

        Raises ValueError or TypeError for an X that `predict` refuses, or a layer that there is not.
        """
        check_is_fitted(self)
        last = len(self.coefs_) - 1
        l = last + 1 + layer if -last <= layer < 0 else layer
        if not 1 <= l <= last:
            raise ValueError(f"layer: expected one of {last} hidden layers, from 1 or, backwards, from -1, got {layer}")
        return self._outputs(X, l)

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _zeros(rng: Any, n_in: int, n_out: int) -> np.ndarray:
    return np.zeros((n_in, n_out))
