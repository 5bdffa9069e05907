"""Network: layer sizes, activations, a loss, and one flat parameter vector with views into it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import validation
from .activations import HIDDEN, IDENTITY, OUTPUTS, Activation, named
from .engines import DEFAULT, ENGINES, layout
from .engines.lanes.record import NetworkRecord, record_of
from .engines.layout import BATCH, KIND, LAYER, PLAIN, SKIPS
from .engines.loops.trace import Trace, trace
from .engines.plan import Plan
from .initializers import INITIALIZERS, Initializer, default_initializer
from .ledger import as_html, ledger
from .losses import DEFAULT_LOSS, LOSSES, Loss

NORMALIZATIONS = {"batch": BATCH, "layer": LAYER}


class Network(Plan):
    """A multilayer perceptron: layer 0 holds the inputs, layers 1..L have weights W^l (n_in, n_out) and biases b^l
    (n_out,).

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer, inputs first: `[64, 100, 10]`. Two sizes make a network without hidden layers.
    activation : str, Activation or sequence of these
        φ of the hidden layers, one name for all or one for each: identity, step, sigmoid, tanh, relu, leaky_relu, elu,
        selu, softplus, silu, gelu, hard_sigmoid, hard_tanh, hard_silu. Unused without hidden layers.
    output : {"identity", "softmax", "sigmoid", "exp", "step"}
        φ of the output layer.
    loss : str or Loss, optional
        ℓ, see `mlp_jit.losses`. By default what the output pairs with: squared_error (identity), cross_entropy
        (softmax), binary_cross_entropy (sigmoid), poisson (exp), perceptron (step).
    normalization : {"batch", "layer"} or a sequence of these and None, optional
        E7 in the hidden layers, one name for all or one for each: by batch (Ioffe & Szegedy 2015) or by layer (Ba,
        Kiros & Hinton 2016). By batch, training and `gradient` go by the statistics of their batch, `forward` and
        `loss` by running ones, which training gathers in `state`.
    skip : bool
        E10: every hidden layer after the first that is as wide as the one before it hands on h = a + h of that one.
    initializer : str or callable, optional
        A name from `mlp_jit.initializers`, or a function of (rng, n_in, n_out) that returns W or (W, b). By default
        what suits each layer's activation: He for ReLU and its relatives, LeCun for selu, Glorot for the others.
    dtype : {"float32", "float64"}
        Of the parameters and of all arithmetic.
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        Where the initial weights come from.

    Attributes
    ----------
    params : ndarray (n_params,)
        Every parameter in one C-contiguous vector: W^1, b^1, W^2, b^2, …, after b^l the gains γ^l where layer l
        is normalised. Write into it (`net.params[:] = …`) to set them.
    weights, biases, gains : tuple of ndarray
        Views of `params`: `weights[l-1]` is W^l, `biases[l-1]` is b^l, `gains[l-1]` γ^l, (0,) where there is none.
    state : ndarray
        The running mean and variance (2, n_out) of each batch-normalised layer, one after the other.
    table : ndarray of int64 (L + 1, 11)
        What kernels read, see `mlp_jit.engines.layout`; row l is layer l.

    Raises
    ------
    TypeError, ValueError
        For sizes, names or numbers that make no network; the message names the argument.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str | Activation | Sequence[str | Activation] = "relu",
        output: str = "identity",
        loss: str | Loss | None = None,
        normalization: str | Sequence[str | None] | None = None,
        skip: bool = False,
        initializer: str | Initializer | None = None,
        dtype: Any = "float32",
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        self.sizes = validation.sizes(sizes)
        self.activations = _activations(activation, len(self.sizes) - 2)
        self.output = validation.choice("output", output, OUTPUTS)
        self.normalizations = _normalization_names(normalization, len(self.sizes) - 2)
        self.dtype = validation.dtype(dtype)
        self.loss_function = _loss(loss, self.output).ready(self.dtype)
        self.loss_parameters = self.loss_function.parameters(self.sizes[-1], self.dtype)
        codes = [IDENTITY, *(named(phi).ready(self.dtype) for phi in self.activations), OUTPUTS[output].code]
        kinds = [PLAIN, *(NORMALIZATIONS[name] if name else PLAIN for name in self.normalizations), PLAIN]
        self.table = layout.make_table(self.sizes, codes, kinds, _skips(skip, self.sizes))
        self.state = np.zeros(layout.count_state(self.table), self.dtype)
        self.use(np.zeros(layout.count_params(self.table), self.dtype))
        self._initialize(initializer, random_state)

    def _initialize(self, initializer: str | Initializer | None, random_state: Any) -> None:
        rng = generator(random_state)
        for W, b, phi in zip(self.weights, self.biases, (*self.activations, self.output), strict=True):
            if initializer is None:
                draw = default_initializer(str(phi))
            elif callable(initializer):
                draw = initializer
            else:
                draw = validation.lookup("initializer", initializer, INITIALIZERS)
            drawn = draw(rng, *W.shape)
            for array, values in zip(
                (W, b), drawn if isinstance(drawn, tuple) else (drawn, np.zeros(b.shape)), strict=True
            ):
                if np.shape(values) != array.shape:
                    raise ValueError(f"initializer: expected an array of shape {array.shape}, got {np.shape(values)}")
                array[...] = values
        for gain in self.gains:
            gain[...] = 1
        for l in np.flatnonzero(self.table[:, KIND] == BATCH):
            layout.running_view(self.table, self.state, l)[1] = 1

    @property
    def n_params(self) -> int:
        """The number of parameters, weights and biases together."""
        return self.params.size

    @property
    def loss_name(self) -> str:
        """The name of ℓ."""
        return self.loss_function.name

    def forward(self, X: Any, *, engine: str = DEFAULT, n_threads: int | None = None) -> np.ndarray:
        """E1: the outputs (n_samples, n_outputs) for X (n_samples, n_inputs). NaN passes through.

        Of a sparse X, whose numbers have to be finite, only what is there is looked at. Raises ValueError or TypeError
        for an X that is not a matrix of numbers with n_inputs columns.
        """
        if validation.is_sparse(X):
            X = validation.sparse_matrix("X", X, self.sizes[0], self.dtype, minimum_rows=0)
        else:
            X = validation.for_engine(validation.matrix("X", X, self.sizes[0], minimum_rows=0), self.dtype)
        return _engine(engine).forward(self, X, n_threads=validation.n_threads(n_threads))

    def part(self, layer: int, output: str | None = None) -> "Network":
        """Layers 1 to `layer` of this network, on the same parameters: its outputs are a^layer.

        With `output` that is the φ of its last layer: `network.part(L, "identity")` gives the last z, the logits of a
        softmax. Raises ValueError unless 1 <= layer <= L.
        """
        last = len(self.sizes) - 1
        if not 1 <= validation.integer("layer", layer, 1) <= last:
            raise ValueError(f"layer: expected an integer from 1 to {last}, got {layer}")
        phi: Any = output or (*self.activations, self.output)[layer - 1]
        head = Network.__new__(Network)
        codes = [*self.table[:layer, layout.PHI].tolist(), named(phi).ready(self.dtype)]
        head.sizes, head.activations, head.output = self.sizes[: layer + 1], self.activations[: layer - 1], phi
        head.dtype, head.loss_function = self.dtype, LOSSES["squared_error"]
        head.loss_parameters = head.loss_function.parameters(head.sizes[-1], self.dtype)
        kinds, skips = self.table[: layer + 1, [KIND, SKIPS]].T.tolist()
        head.table = layout.make_table(head.sizes, codes, kinds, [*skips[:-1], False])
        head.normalizations = self.normalizations[:layer]
        head.state = self.state[: layout.count_state(head.table)]
        head.use(self.params[: layout.count_params(head.table)])
        return head

    def loss(
        self, X: Any, y: Any, *, sample_weight: Any = None, engine: str = DEFAULT, n_threads: int | None = None
    ) -> float:
        """L: the mean of ℓ over the samples, by their weights. Arguments as for `gradient`."""
        X, y, sample_weight = self.check(X, y, sample_weight)
        return _engine(engine).evaluate(self, X, y, sample_weight, n_threads=validation.n_threads(n_threads))[0]

    def gradient(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        l2: float = 0.0,
        engine: str = DEFAULT,
        n_threads: int | None = None,
    ) -> tuple[float, np.ndarray]:
        """E1-E5: (L, ∂L/∂θ), the gradient (n_params,) laid out like `params`.

        With batch normalisation both are those of a training step, by the statistics of this batch; `state` stays.

        X (n_samples, n_inputs); y (n_samples, n_outputs), or (n_samples,) for one output or for class labels
        0..n_outputs-1 of a softmax; sample_weight (n_samples,) not negative; L includes l2/2 ‖w‖² over the weights.
        Raises ValueError or TypeError for shapes that do not fit, NaN or infinity, labels out of range.
        """
        X, y, sample_weight = self.check(X, y, sample_weight)
        return _engine(engine).gradient(
            self,
            X,
            y,
            sample_weight,
            l2=validation.number("l2", l2, 0),
            n_threads=validation.n_threads(n_threads),
        )

    def input_gradient(
        self, X: Any, k: int | None = None, *, engine: str = DEFAULT, n_threads: int | None = None
    ) -> np.ndarray:
        """∂ŷ_k/∂x_i for X (n_samples, n_inputs): (n_samples, n_inputs) for an output k, negative ones from the last, or
        all of them, the Jacobian of each sample: (n_samples, n_outputs, n_inputs).

        ŷ is what `forward` gives, running statistics included: of a softmax the probabilities, whose logits are
        `network.part(L, "identity")`. NaN passes through. Raises as `forward`, and ValueError for an output that there
        is not.
        """
        X = X.toarray() if validation.is_sparse(X) else X
        X = validation.for_engine(validation.matrix("X", X, self.sizes[0], minimum_rows=0), self.dtype)
        outputs, n_threads = self.sizes[-1], validation.n_threads(n_threads)
        if k is None:
            return _engine(engine).jacobian(self, X, range(outputs), n_threads=n_threads)
        k = validation.integer("k", k, -outputs)
        if k >= outputs:
            raise ValueError(f"k: expected an output from {-outputs} to {outputs - 1}, got {k}")
        k %= outputs
        return _engine(engine).jacobian(self, X, range(k, k + 1), n_threads=n_threads)[:, 0]

    def record(self) -> NetworkRecord:
        """What compiled code needs for predictions and derivatives, see `mlp_jit.nopython`: one type for all networks
        of a dtype. It shares the parameters, and so follows them as they are trained.

        Raises NotImplementedError where nothing is compiled (NUMBA_DISABLE_JIT=1).
        """
        return record_of(self)

    def trace(self, X: Any, y: Any, *, sample_weight: Any = None) -> Trace:
        """Every z, a and δ of the loops engine for these samples, layer by layer, with the loss and the gradients."""
        return trace(self, *self.check(X.toarray() if validation.is_sparse(X) else X, y, sample_weight))

    def check(self, X: Any, y: Any, sample_weight: Any = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """X, y and sample_weight as engines take them (see `engines.contract`); ValueError or TypeError otherwise."""
        if validation.is_sparse(X):
            X = validation.sparse_matrix("X", X, self.sizes[0], self.dtype)
        else:
            X = validation.finite("X", validation.matrix("X", X, self.sizes[0]), self.dtype)
            X = validation.for_engine(X, self.dtype)
        rows = X.shape[0]
        return X, self.check_targets(y, rows), validation.weights("sample_weight", sample_weight, rows, self.dtype)

    def check_targets(self, y: Any, n_samples: int) -> np.ndarray:
        """y as engines take it, (n_samples, n_outputs); ValueError or TypeError otherwise."""
        return validation.targets("y", y, self.output, self.sizes[-1], n_samples, self.dtype)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for l, phi in enumerate(self.activations, start=1):  # of another process the code of a user's own is none
            self.table[l, layout.PHI] = named(phi).ready(self.dtype)
        self.loss_function.ready(self.dtype)

    def copy(self) -> "Network":
        """A network with its own parameters, equal to these."""
        twin = Network.__new__(Network)
        twin.__setstate__({**self.__getstate__(), "params": self.params.copy(), "state": self.state.copy()})
        return twin

    __copy__ = copy

    def __deepcopy__(self, memo: dict) -> "Network":
        return self.copy()

    @classmethod
    def from_sklearn(cls, estimator: Any) -> "Network":
        """A network with the parameters, copied, of a fitted MLPClassifier or MLPRegressor: scikit-learn's or ours.

        Raises TypeError for an estimator that is neither, or not fitted.
        """
        from .interop.scikit_learn import from_sklearn

        return from_sklearn(estimator)

    def to_sklearn(self, classes: Any = None) -> Any:
        """scikit-learn's own MLPClassifier or MLPRegressor, fitted, with these parameters, copied.

        A softmax or sigmoid makes a classifier of `classes` (0, 1, … by default; several sigmoids are several labels),
        identity or exp a regressor. `classes` names the outputs in their order; where they are not sorted, the
        estimator has its outputs in the order in which they are. Raises ValueError for classes that are no distinct
        labels, one for each output, and for what scikit-learn has not (other activations, several of them,
        normalisation, skip connections), and ImportError without scikit-learn.
        """
        from .interop.scikit_learn import to_sklearn

        return to_sklearn(self, classes)

    def summary(self, batch_size: int | str = "N") -> str:
        """The shape ledger: for each layer the shapes of W, b, z and a for a batch, and its parameters."""
        return ledger(self, batch_size)

    def __repr__(self) -> str:
        normalization = f", normalization={list(self.normalizations)}" if any(self.normalizations) else ""
        skip = ", skip=True" if self.skips else ""
        return (
            f"Network({list(self.sizes)}, activation={list(map(str, self.activations))}, output={self.output!r}, "
            f"loss={self.loss_name!r}{normalization}{skip}, dtype={self.dtype.name!r})"
        )

    def _repr_html_(self) -> str:
        """A picture and the ledger, for a notebook."""
        return as_html(self)


def generator(random_state: Any) -> np.random.Generator | np.random.RandomState:
    """The random generator that `random_state` stands for; one that is a generator already goes on from where it is."""
    if isinstance(random_state, np.random.Generator | np.random.RandomState):
        return random_state
    if random_state is not None:
        random_state = validation.integer("random_state", random_state, 0)
    return np.random.default_rng(random_state)


def _engine(name: str) -> Any:
    return validation.lookup("engine", name, ENGINES)


def _activations(activation: Any, n_hidden: int) -> tuple[str | Activation, ...]:
    if isinstance(activation, str | Activation):
        activation = (activation,) * n_hidden
    if not isinstance(activation, Sequence):
        raise TypeError(f"activation: expected a name, an Activation or a sequence of these, got {activation!r}")
    names = tuple(
        phi if isinstance(phi, Activation) and phi.is_own else validation.choice("activation", str(phi), HIDDEN)
        for phi in activation
    )
    if len(names) != n_hidden:
        raise ValueError(f"activation: expected one name or one for each of {n_hidden} hidden layers, got {len(names)}")
    return names


def _normalization_names(normalization: str | Sequence[str | None] | None, n_hidden: int) -> tuple[str | None, ...]:
    if normalization is None or isinstance(normalization, str):
        normalization = [normalization] * n_hidden
    if not isinstance(normalization, Sequence):
        raise TypeError(f"normalization: expected a name, None or a sequence of these, got {normalization!r}")
    if len(normalization) != n_hidden:
        raise ValueError(
            f"normalization: expected one name or one for each of {n_hidden} hidden layers, got {len(normalization)}"
        )
    return tuple(
        name if name is None else validation.choice("normalization", name, NORMALIZATIONS) for name in normalization
    )


def _skips(skip: bool, sizes: tuple[int, ...]) -> list[bool]:
    """For each layer whether h_j = a_j + h_i."""
    if not isinstance(skip, bool | np.bool_):
        raise TypeError(f"skip: expected True or False, got {skip!r}")
    alike = [1 < l < len(sizes) - 1 and sizes[l] == sizes[l - 1] for l in range(len(sizes))]
    if skip and not any(alike):
        raise ValueError(f"skip: expected two hidden layers of one width, one after the other, got sizes {list(sizes)}")
    return [bool(skip) and same for same in alike]


def _loss(loss: str | Loss | None, output: str) -> Loss:
    found = loss if isinstance(loss, Loss) else validation.lookup("loss", loss or DEFAULT_LOSS[output], LOSSES)
    if output not in found.outputs:
        fitting = [name for name, other in LOSSES.items() if output in other.outputs]
        raise ValueError(f"loss: expected one of {', '.join(fitting)} with output {output!r}, got {found.name!r}")
    return found
