"""`fit` and `predict` on Dask's collections."""

import dataclasses
import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import dask.array
import numpy as np
from distributed import Client

from .. import validation
from ..engines.layout import penalised
from ..network import Network
from ..optimizers import COEFFICIENTS, OPTIMIZERS, NAdam, Optimizer, coefficients, update
from ..schedules import Schedule
from ..training import Checkpoint, History
from ..training.checkpoint import Attributes, Keeper, Learnt, RunFile, Whole, in_words
from ..training.fit import schedule_of
from ..training.run import interrupted
from . import tasks
from .partitions import Partitions, client_of, split, whole_rows
from .tasks import Local, Spec

STRATEGIES = "average", "gradient"


def fit(
    network: Network,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    strategy: str = "average",
    optimizer: str | Optimizer = "adam",
    learning_rate: float = 1e-3,
    schedule: str | Schedule = "constant",
    batch_size: int = 200,
    epochs: int = 10,
    l2: float = 0.0,
    dropout: float | Sequence[float] = 0.0,
    random_state: int = 0,
    checkpoint: str | os.PathLike | Checkpoint | None = None,
    client: Client | None = None,
) -> History:
    """Train `network` in place on a Dask array or data frame, to the same bits for any number of workers.

    Parameters
    ----------
    network : Network
        Without batch normalisation and functions of your own.
    X, y, sample_weight : Dask array or data frame
        (n_samples, n_inputs), (n_samples,) or (n_samples, n_outputs), and (n_samples,), cut into the same partitions.
    strategy : "average" or "gradient"
        "average": in each epoch every partition trains by itself, from the same parameters and moments, on mini-batches
        of its own; then parameters and moments are averaged by the partitions' weights (local SGD: Stich 2019, McMahan
        et al. 2017). "gradient": an epoch is one step by the gradient over all samples; with optimizer="lbfgs" one
        iteration of SciPy's L-BFGS.
    optimizer, learning_rate, schedule, l2, dropout
        As in `mlp_jit.fit`; nadam only with "gradient", dropout only with "average".
    batch_size : int
        Of "average": samples a step, in a partition.
    epochs : int
        Rounds: each hands the parameters to the workers once, and brings sums back.
    random_state : int
        Shuffles and dropout's masks come from it.
    checkpoint : path or Checkpoint, optional
        On the client's machine, see `mlp_jit.fit`.
    client : distributed.Client, optional
        The present one by default.

    Returns
    -------
    History
        With "average" the loss is the mean over the epoch's batches, with "gradient" that before the step.

    Raises
    ------
    TypeError, ValueError
        For arguments and data that make no sense; what is wrong in a partition names it. Nothing has been changed then.
    RuntimeError
        Where a worker has another version of mlp_jit.

    Warns
    -----
    UserWarning
        On Ctrl-C: the fit stops, the network keeping what the last round came to.
    """
    return train(
        network, split(X, y, sample_weight), None, strategy=strategy, optimizer=optimizer, learning_rate=learning_rate,
        schedule=schedule, batch_size=batch_size, epochs=epochs, l2=l2, l2_per_sample=False, dropout=dropout,
        random_state=random_state, checkpoint=checkpoint, client=client,
    )  # fmt: skip


def train(
    network: Network,
    parts: list[tuple],
    classes: np.ndarray | None,
    *,
    strategy: str,
    optimizer: str | Optimizer,
    learning_rate: float,
    schedule: str | Schedule,
    batch_size: int,
    epochs: int,
    l2: float,
    l2_per_sample: bool,
    dropout: float | Sequence[float],
    random_state: int,
    checkpoint: str | os.PathLike | Checkpoint | None,
    client: Client | None,
) -> History:
    """`fit` on partitions, (X, y, sample_weight) each; y are labels where there are `classes`."""
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a Network, got {network!r}")
    validation.choice("strategy", strategy, STRATEGIES)
    by_scipy = optimizer == "lbfgs"
    if by_scipy and strategy != "gradient":
        raise ValueError("optimizer: expected one that takes steps, or strategy='gradient'; got 'lbfgs'")
    stepper = None if by_scipy else validation.instance("optimizer", optimizer, OPTIMIZERS, Optimizer)
    if strategy == "average" and isinstance(stepper, NAdam):
        raise ValueError(
            "optimizer: expected one whose state can be averaged, got nadam, whose product of momenta cannot"
        )
    drops = validation.dropout(dropout, len(network.sizes) - 2)
    if strategy == "gradient" and any(drops):
        raise ValueError("dropout: expected strategy='average', got 'gradient', which has no mini-batches")
    epochs = validation.integer("epochs", epochs, 0)
    pacer = schedule_of(schedule, epochs)
    settings = {
        "rate": validation.number("learning_rate", learning_rate, 0, open_minimum=True),
        "batch_size": validation.integer("batch_size", batch_size, 1), "l2": validation.number("l2", l2, 0),
        "per_sample": l2_per_sample, "dropout": drops, "seed": validation.integer("random_state", random_state, 0),
    }  # fmt: skip
    spread = Partitions(client_of(client), network, parts, classes, digests=checkpoint is not None)
    training = Rounds(network, spread, strategy, stepper, pacer, epochs, settings)
    with ExitStack() as held:
        keeper = None
        if checkpoint is not None:
            keeper = Keeper(held.enter_context(RunFile(checkpoint, training.words())))
            keeper.begin_at(np.random.default_rng(0))
        training.run(keeper)
    return training.history


class Rounds:
    """The client's side of a fit: round after round."""

    def __init__(
        self,
        network: Network,
        spread: Partitions,
        strategy: str,
        stepper: Any,
        schedule: Schedule,
        epochs: int,
        settings: dict[str, Any],
    ) -> None:
        self.network, self.spread, self.strategy, self.stepper = network, spread, strategy, stepper
        self.schedule, self.epochs, self.settings, self.history = schedule, epochs, settings, History()
        self.penalised = penalised(network.table)

    def words(self) -> dict[str, str]:
        """What the run is, for its checkpoint."""
        run = {
            "network": self.spread.spec, "strategy": self.strategy, "optimizer": self.stepper or "lbfgs",
            "schedule": self.schedule, "epochs": self.epochs, "partitions": self.spread.digests, **self.settings,
        }  # fmt: skip
        return {name: in_words(value) for name, value in run.items()}

    def run(self, keeper: Keeper | None) -> None:
        """All rounds, or those that are left."""
        try:
            if self.stepper is None:
                self._minimise(keeper)
                return
            self.stepper.start(self.network.params)
            if keeper:
                history = Attributes(self.history, vars(self.history))
                keeper.keep(
                    network=Learnt(self.network),
                    optimizer=Whole(self.stepper),
                    schedule=Whole(self.schedule),
                    history=history,
                )
                if keeper.found:
                    keeper.restore()
            while len(self.history.loss) < self.epochs:
                self._round(len(self.history.loss))
                if keeper:
                    keeper.write_if_due()
            if keeper:
                keeper.write(done=True)
        except KeyboardInterrupt:
            self.history.stopped = interrupted(len(self.history.loss))

    def _round(self, number: int) -> None:
        rate = float(self.settings["rate"] * self.schedule.factors(np.array([float(number)]))[0])
        loss = self._average(number, rate) if self.strategy == "average" else self._step(rate)
        self.history.loss.append(loss)
        self.history.learning_rate.append(rate)
        self.schedule.observe(loss)

    def _average(self, number: int, rate: float) -> float:
        stepper, settings = self.stepper, self.settings
        numbers = {field.name: getattr(stepper, field.name) for field in dataclasses.fields(stepper) if field.init}
        local = Local(
            (type(stepper).__name__, numbers), settings["batch_size"], settings["l2"],
            settings["per_sample"], settings["dropout"], settings["seed"], number, rate, stepper.t,
        )  # fmt: skip
        found = self.spread.sums(tasks.epoch, self.network.params, stepper.moments, local=local)
        self.network.params[:] = found.array / found.N
        stepper.moments[...], stepper.t = found.moments / found.N, found.t
        return found.loss / found.N

    def _step(self, rate: float) -> float:
        theta, stepper = self.network.params, self.stepper
        L, g = self._objective(theta)
        c = np.empty(COEFFICIENTS, theta.dtype)
        coefficients(stepper.code, stepper.settings, stepper.decoupled_decay, rate, stepper.t + 1, c)
        update.serial(stepper.code, theta, g.astype(theta.dtype), stepper.moments, c)
        stepper.t += 1
        return L

    def _objective(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """L with L2, and its gradient, in float64."""
        found = self.spread.sums(tasks.gradient, theta)
        pulled, l2 = self.penalised * theta, self.settings["l2"]
        l2 = l2 / found.N if self.settings["per_sample"] else l2
        L = found.loss / found.N + 0.5 * l2 * float(pulled @ pulled)
        return L, found.array / found.N + l2 * pulled

    def _minimise(self, keeper: Keeper | None) -> None:
        try:
            from scipy import optimize
        except ImportError:
            raise ImportError("optimizer='lbfgs' is SciPy's: pip install 'mlp_jit[lbfgs]'") from None
        from ..estimators.lbfgs import Remembered

        objective: Any = self._objective
        if keeper and keeper.done:
            keeper.keep(network=Learnt(self.network), history=Attributes(self.history, vars(self.history)))
            keeper.restore()
            return
        if keeper:
            objective = Remembered(self._objective, keeper)

        def after_iteration(intermediate_result: Any) -> None:
            self.network.params[:] = intermediate_result.x
            self.history.loss.append(float(intermediate_result.fun))
            if keeper and not objective.on_known_ground:
                keeper.write_if_due()

        result = optimize.minimize(
            objective, self.network.params.astype(np.float64), method="L-BFGS-B", jac=True, callback=after_iteration,
            options={"maxiter": self.epochs, "maxfun": 10 * self.epochs + 10},
        )  # fmt: skip
        self.network.params[:] = result.x
        if keeper:
            del keeper.parts["evaluations"]
            keeper.keep(network=Learnt(self.network), history=Attributes(self.history, vars(self.history)))
            keeper.write(done=True)


def predict(network: Network, X: Any) -> Any:
    """The outputs (n_samples, n_outputs) for a Dask array or data frame, as a Dask array, worked out when it is asked
    for. Raises TypeError for another X.
    """
    spec, params = Spec.of(network), network.params.copy()
    if hasattr(X, "to_dask_array"):
        X = X.to_dask_array()
    if not isinstance(X, dask.array.Array):
        raise TypeError(f"X: expected a Dask array or data frame, got {type(X).__name__}")
    X = whole_rows(X)
    return X.map_blocks(
        tasks.outputs,
        spec,
        params,
        dtype=network.dtype,
        chunks=(X.chunks[0], (network.sizes[-1],)),
        meta=np.empty((0, 0), network.dtype),
    )
