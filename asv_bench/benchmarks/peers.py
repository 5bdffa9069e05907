"""How long an epoch takes beside other people's: NumPy, PyTorch, scikit-learn and JAX, on the same problems.

Both sides do the same mathematics: the same weights to begin with, the same samples in the same batches, in one dtype,
and each reports the epoch's mean loss. The setup trains both for an epoch and compares losses and parameters
(`assert_parity`). Where the peers have ways of their own:

- **NumPy**, with SGD: this package's own vectorised engine.
- **PyTorch**, with its fused Adam: a plain loop over `nn.Sequential`. Targets are class numbers, as its loss has them.
- **scikit-learn**, with Adam: `fit` always begins anew, so an epoch's time is that of `fit` with 1 + `EXTRA` epochs
  less that of `fit` with one, over `EXTRA`. Two classes get one logistic output, so ours have it here, too. Its
  regression minimises ½ Σ r² and reports ½ the mean over the outputs, ours Σ r²: Adam does not see the factor. It adds
  ε to √v before the bias correction, we after it: a tiny ε makes that the same.
- **JAX**, with Adam: the whole epoch is one jitted `lax.scan` over the batches, which lie in order already, where ours
  are gathered from all over X. Its state is donated, so nothing is copied.
"""

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from mlp_jit.optimizers import SGD, Adam

from .common import BASELINE, PROBLEMS, RATE, Epoch, Problem, assert_parity, median_ratio, turn

ENGINE = "lanes"
THREADS = [1, 2]
TURN, REST = 0.1, 0.05  # seconds; idle threads of OpenBLAS and OpenMP spin for some 30 ms, and have left after the rest
EPSILON = 1e-16  # of Adam beside scikit-learn
EXTRA = 3  # epochs by which scikit-learn's long run is longer than its short one


def rested_turn(function: Callable) -> float:
    """The median time of a call, when the other side's threads have left the cores."""
    time.sleep(REST)
    return turn(function, TURN)


class NumPy(Epoch):
    """The same `Epoch` by the vectorised engine, whose threads are BLAS's."""

    optimizer = SGD

    def __init__(self, ours: Epoch) -> None:
        super().__init__(ours.problem, ours.network.dtype.name, BASELINE, SGD())

    def seconds(self) -> float:
        return rested_turn(self)


class PyTorch:
    """The network of an `Epoch` as nn.Sequential. Calling it trains an epoch."""

    optimizer = Adam

    def __init__(self, ours: Epoch) -> None:
        try:
            import torch
        except ImportError:
            raise NotImplementedError("PyTorch is not installed") from None
        torch.set_num_threads(ours.n_threads)
        problem, network = ours.problem, ours.network
        self.linears = [torch.nn.Linear(*W.shape, dtype=getattr(torch, network.dtype.name)) for W in network.weights]
        with torch.no_grad():
            for linear, W, b in zip(self.linears, network.weights, network.biases, strict=True):
                linear.weight.copy_(torch.tensor(W.T))
                linear.bias.copy_(torch.tensor(b))
        hidden = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[problem.activation]
        layers = [layer for linear in self.linears for layer in (linear, hidden())]
        self.model = torch.nn.Sequential(*layers[:-1])
        X, y, _ = ours.data
        if problem.output == "softmax":
            self.criterion, y = torch.nn.CrossEntropyLoss(), y.argmax(axis=1)
        else:
            self.criterion = lambda z, y: torch.nn.functional.mse_loss(z, y, reduction="sum") / len(y)
        self.X, self.y, self.order = torch.tensor(X), torch.tensor(y), torch.tensor(ours.order)
        self.batch_size, self.steps = problem.batch_size, problem.steps
        self.adam = torch.optim.Adam(self.model.parameters(), lr=RATE, fused=True)

    @property
    def params(self) -> np.ndarray:
        arrays = [array for linear in self.linears for array in (linear.weight.T, linear.bias)]
        return np.concatenate([array.detach().numpy().ravel() for array in arrays])

    def __call__(self) -> float:
        X, y = self.X[self.order], self.y[self.order]
        total = X.new_zeros(())
        for x, target in zip(X.split(self.batch_size), y.split(self.batch_size), strict=True):
            self.adam.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(x), target)
            loss.backward()
            self.adam.step()
            total += loss.detach()
        return total.item() / self.steps

    def seconds(self) -> float:
        return rested_turn(self)


class ScikitLearn:
    """The network of an `Epoch` as scikit-learn's MLP. Calling it trains the first epoch, always."""

    optimizer = partial(Adam, epsilon=EPSILON)

    def __init__(self, ours: Epoch) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        warnings.simplefilter("ignore", ConvergenceWarning)
        problem = ours.problem
        self.X, y, _ = ours.data
        regression = problem.output == "identity"
        self.y = y if regression else problem.data()[1]
        self.loss_scale = 2 * y.shape[1] if regression else 1
        self.model = (MLPRegressor if regression else MLPClassifier)(
            hidden_layer_sizes=problem.sizes[1:-1],
            activation=problem.activation,
            batch_size=problem.batch_size,
            learning_rate_init=RATE,
            alpha=0,
            epsilon=EPSILON,
            tol=0,
            n_iter_no_change=10**9,
            random_state=0,
        )

    @property
    def params(self) -> np.ndarray:
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return np.concatenate([array.ravel() for pair in pairs for array in pair])

    def fit(self, epochs: int) -> None:
        self.model.set_params(max_iter=epochs).fit(self.X, self.y)

    def __call__(self) -> float:
        self.fit(1)
        return self.loss_scale * self.model.loss_

    def seconds(self) -> float:
        return (rested_turn(lambda: self.fit(1 + EXTRA)) - rested_turn(self)) / EXTRA


class JAX:
    """The network of an `Epoch` as a pure function of its parameters. Calling it trains an epoch, compiled as one."""

    optimizer = Adam

    def __init__(self, ours: Epoch) -> None:
        os.environ["NPROC"] = str(ours.n_threads)  # how many threads it makes, when it is first used
        try:
            import jax
        except ImportError:
            raise NotImplementedError("JAX is not installed") from None
        problem, network = ours.problem, ours.network
        X, y, _ = (array[ours.order] for array in ours.data)
        if problem.output == "softmax":
            y = y.argmax(axis=1)
        self.batches = [
            jax.device_put(array.reshape(problem.steps, problem.batch_size, *array.shape[1:])) for array in (X, y)
        ]
        copy = jax.numpy.array  # else they would be views of ours
        theta = [(copy(W), copy(b)) for W, b in zip(network.weights, network.biases, strict=True)]
        zeros = jax.tree.map(jax.numpy.zeros_like, theta)
        self.state = theta, zeros, jax.tree.map(jax.numpy.copy, zeros), 0
        loss = self.loss(jax, problem)

        def step(state: tuple, batch: list) -> tuple:
            theta, m, v, t = state
            L, g = jax.value_and_grad(loss)(theta, *batch)
            return self.adam(jax, theta, g, m, v, t + 1, RATE), L

        self.epoch = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches), donate_argnums=0)

    @staticmethod
    def loss(jax: Any, problem: Any) -> Callable:
        """The mean loss of a batch (θ, x, y)."""
        hidden = {"relu": jax.nn.relu, "tanh": jax.numpy.tanh}[problem.activation]

        def loss(theta: list, x: Any, y: Any) -> Any:
            for W, b in theta[:-1]:
                x = hidden(x @ W + b)
            z = x @ theta[-1][0] + theta[-1][1]
            if problem.output == "softmax":
                return -jax.numpy.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1).mean()
            return ((z - y) ** 2).sum(axis=1).mean()

        return loss

    @staticmethod
    def adam(jax: Any, theta: list, g: list, m: list, v: list, t: Any, rate: Any) -> tuple:
        """(θ, m, v, t) after Adam's step t. One rate, or one for each of the networks that are stacked."""
        adam = Adam()
        m = jax.tree.map(lambda m, g: adam.beta_1 * m + (1 - adam.beta_1) * g, m, g)
        v = jax.tree.map(lambda v, g: adam.beta_2 * v + (1 - adam.beta_2) * g * g, v, g)
        eta, root = rate / (1 - adam.beta_1**t), (1 - adam.beta_2**t) ** -0.5

        def update(p: Any, m: Any, v: Any) -> Any:
            of_each = eta if np.ndim(rate) == 0 else eta.reshape(-1, *[1] * (p.ndim - 1))
            return p - of_each * m / (jax.numpy.sqrt(v) * root + adam.epsilon)

        return jax.tree.map(update, theta, m, v), m, v, t

    @property
    def params(self) -> np.ndarray:
        return np.concatenate([np.asarray(array).ravel() for pair in self.state[0] for array in pair])

    def __call__(self) -> float:
        self.state, losses = self.epoch(self.state, self.batches)
        return float(losses.mean())

    def seconds(self) -> float:
        return rested_turn(self)


Peer = NumPy | PyTorch | ScikitLearn | JAX
PEERS = {"NumPy, SGD": NumPy, "PyTorch, Adam": PyTorch, "scikit-learn, Adam": ScikitLearn, "JAX, Adam": JAX}


def sides(peer: str, problem: Problem, dtype: str, n_threads: int) -> tuple[Epoch, Peer]:
    """Ours and theirs, compared and warm. NotImplementedError where the peer or the threads are missing."""
    if n_threads > numba.config.NUMBA_NUM_THREADS:
        raise NotImplementedError(f"Numba has no {n_threads} threads here")
    kind = PEERS[peer]
    if kind is ScikitLearn and problem.output == "softmax" and problem.sizes[-1] == 2:
        problem = replace(problem, sizes=(*problem.sizes[:-1], 1), output="sigmoid")
    ours = Epoch(problem, dtype, ENGINE, kind.optimizer(), n_threads)
    theirs = kind(ours)
    assert_parity(ours, theirs)
    return ours, theirs


def ratio(ours: Epoch, theirs: Peer) -> float:
    return median_ratio(lambda: rested_turn(ours), theirs.seconds)


class PeerRatio:
    """An epoch's time over a peer's, with the same number of threads each, float32."""

    param_names = ("network", "threads", "peer")
    params = (list(PROBLEMS), THREADS, list(PEERS))
    unit = "ours/theirs"
    version = "1"

    def setup(self, problem: str, n_threads: int, peer: str) -> None:
        with threadpool_limits(n_threads):
            self.ours, self.theirs = sides(peer, PROBLEMS[problem], "float32", n_threads)

    def track_ratio(self, problem: str, n_threads: int, peer: str) -> float:
        with threadpool_limits(n_threads):
            return ratio(self.ours, self.theirs)
