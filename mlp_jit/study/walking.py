"""walk: one step of training, statement by statement: the loops engine's own source, run line by line."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from .. import validation
from ..engines.contract import FIGURES, Regularization
from ..engines.loops import passes, steps
from ..engines.loops.session import net_of, rules_of, state_of
from ..engines.loops.steps import Data, Steps, train_steps
from ..network import Network
from ..optimizers import OPTIMIZERS, Optimizer
from .document import factor, number
from .explanation import as_batch
from .places import Place, Places
from .stepping import Frame, Stepper

PRINTED = 400  # statements
DRIVERS = {passes.__name__, steps.__name__}  # they call the equations in turn, and compute none
ASIDE = {"coefficients"}  # what all parameters share in a step of an optimizer


def walk(
    network: Network,
    x: Any,
    y: Any,
    *,
    l2: float = 0.0,
    optimizer: str | Optimizer = "sgd",
    learning_rate: float = 0.1,
) -> "Walk":
    """One step of training on one sample or a small batch, one statement at a time.

    The statements are those of the loops engine's source, E1 to E10 as they stand in its files, run by Python in the
    engine's order: from the first weighted sum to the last updated weight the numbers are the engine's, to the last
    bit. Neither the network nor the optimizer is changed.

    Parameters
    ----------
    network : Network
    x : array (n_inputs,) or (n_samples, n_inputs)
    y : number or array
        The target of the one sample, or what `Network.gradient` takes for a batch.
    l2 : float
        λ of λ/2 ‖w‖² over weights, not biases.
    optimizer : str or Optimizer
        Whose step it is; an Optimizer object goes on from the moments it has.
    learning_rate : float
        η.

    Raises
    ------
    TypeError, ValueError
        For arguments that make no sense; the message names the argument.

    Examples
    --------
    >>> net = Network([2, 1], dtype="float64")
    >>> net.params[:] = 0.5, -1, 0.1
    >>> [step.numbers for step in walk(net, [3, 2], 1) if step.tag == "E1"]
    ['z[n, j] = 0.1', '0.1 += 0.5 * 3', '1.6 += (-1) * 2', 'a[n, j] = (-0.4)']
    """
    if not isinstance(network, Network):
        raise TypeError(f"network: expected a Network, got {network!r}")
    X, Y, _ = network.check(*as_batch(network, x, y), None)
    chosen: Optimizer = validation.instance("optimizer", optimizer, OPTIMIZERS, Optimizer)
    eta = validation.number("learning_rate", learning_rate, 0, open_minimum=True)
    return Walk(network.copy(), X, Y, copy.deepcopy(chosen), eta, validation.number("l2", l2, 0))


@dataclass(frozen=True)
class Operand:
    """A number that a statement reads: where it stands in the statement's text, its value and its place."""

    start: int
    stop: int
    value: float
    place: Place | None


@dataclass(frozen=True)
class Step:
    """One statement that has run: an assignment of a number in the loops of an equation.

    `text` is the source, at `line` of `file`; `indices` has the present n, l, i, j, k and p, from 0 as the source
    counts; `operands` are the numbers it reads, from left to right, the first of them what its target held before
    where it adds to that. `result` is what the target holds now, `target` where that stands in the text, and `place`
    which of the network's numbers it is (None for a number of the loop's own). `callers` are the lines of the same
    equation that called this function; `equation` and `loop` number the runs of the equation and of the innermost loop.
    """

    tag: str
    function: str
    file: str
    line: int
    text: str
    indices: dict[str, int]
    operands: tuple[Operand, ...]
    result: float
    place: Place | None
    target: tuple[int, int]
    callers: tuple[tuple[str, int], ...]
    equation: int
    loop: int

    @property
    def numbers(self) -> str:
        """The statement with numbers for the names that it reads: `0.1 += 0.5 * 3`."""
        text, end = "", 0
        for operand in self.operands:
            text += self.text[end : operand.start] + factor(operand.value)
            end = operand.stop
        return text + self.text[end:]

    def __str__(self) -> str:
        indices = "  ".join(f"{name} {index}" for name, index in self.indices.items())
        return f"{self.tag}  {indices:<18}  {self.text:<40}  {self.numbers}  →  {number(self.result)}"


class Walk:
    """What `walk` returns. Iterate over it: each statement runs when you ask for it, and gives a `Step`. Every
    iteration starts anew.

    It prints as text, and shows in a notebook as source, network and numbers with a cursor to play, pause, and move.
    """

    def __init__(
        self, network: Network, X: np.ndarray, y: np.ndarray, optimizer: Optimizer, learning_rate: float, l2: float
    ) -> None:
        self.network, self.X, self.y = network, X, y
        self.optimizer, self.learning_rate, self.l2 = optimizer, learning_rate, l2

    def __iter__(self) -> Iterator[Step]:
        network, optimizer, N = self.network.copy(), copy.deepcopy(self.optimizer), len(self.X)
        optimizer.start(network.params)
        order, rates = np.arange(N), np.array([self.learning_rate])
        data = Data(self.X, self.y, np.ones(N, network.dtype), order, order)
        how = Steps(
            optimizer.code, optimizer.moments, optimizer.settings, optimizer.decoupled_decay, N, rates, optimizer.t
        )  # fmt: skip
        rules, figures = rules_of(network, Regularization(l2=self.l2)), np.empty((1, FIGURES))
        stepper = Stepper()
        run = stepper.call(train_steps, net_of(network), state_of(network), None, data, rules, how, N, figures)
        for _ in run:
            frame = stepper.frames[-1]
            if not self._is_shown(frame):
                next(run)
                continue
            places = _places(stepper.frames[0])
            operands = [*_operands(frame, places)]
            next(run)  # the statement runs
            if isinstance(frame.value(frame.target), float | np.floating):
                yield _step(stepper.frames, operands, places)

    def _is_shown(self, frame: Frame) -> bool:
        """Whether the statement at hand computes a number in the loops of an equation."""
        source, target, statement = frame.source, frame.target, frame.assignment
        if not source.tag.startswith("E") or source.function.__module__ in DRIVERS or not frame.indices:
            return False
        if source.name in ASIDE or (source.name == "start_gradient" and not self.l2):  # else it writes zeros
            return False
        computes = isinstance(statement, ast.AugAssign) or isinstance(statement.value, ast.BinOp)
        return isinstance(target, ast.Subscript) or (isinstance(target, ast.Name) and computes)

    def __str__(self) -> str:
        sizes, N = "-".join(map(str, self.network.sizes)), len(self.X)
        lines = [f"A step of training, {sizes}, {'one sample' if N == 1 else f'{N} samples'}, statement by statement"]
        walked, equation = iter(self), None
        for step in islice(walked, PRINTED):
            if step.equation != equation:
                lines += ["", f"  {step.function}, line {step.line} of {step.file}"]
                equation = step.equation
            lines.append(f"  {step}")
        if next(walked, None):
            lines += ["", f"  … {PRINTED} statements are printed; iterate over the walk for all of them."]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .page.notebook import walk_html

        return walk_html(self)


def _places(driver: Frame) -> Places:
    """The arrays that `train_steps` made."""
    names = driver.names
    net, work, gradient = names["net"], names["work"], names["gradient"]
    return Places(net.table, net.params, gradient, work, work.samples.shape[1])


def _operands(frame: Frame, places: Places) -> Iterator[Operand]:
    """The numbers that the statement at hand reads, from left to right."""
    statement = frame.assignment
    read = [frame.target] if isinstance(statement, ast.AugAssign) else []
    for node in [*read, *names(statement.value)]:
        value = frame.value(node)
        if isinstance(value, float | np.floating):
            yield Operand(*frame.source.span(node, statement), float(value), _place(frame, node, places))


def names(node: ast.expr) -> Iterator[ast.expr]:
    """What is named in an expression, but for functions and indices."""
    if isinstance(node, ast.Name | ast.Subscript):
        yield node
    else:
        inside = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
        for child in inside:
            if isinstance(child, ast.expr):
                yield from names(child)


def _place(frame: Frame, node: ast.expr, places: Places) -> Place | None:
    if not isinstance(node, ast.Subscript):
        return None
    return places.of(frame.value(node.value), frame.value(node.slice))


def _step(frames: list[Frame], operands: list[Operand], places: Places) -> Step:
    """The statement that has just run."""
    inside = [frame for frame in frames if frame.source.function.__module__ not in DRIVERS]
    frame, source, statement, target = inside[-1], inside[-1].source, inside[-1].statement, inside[-1].target
    place = _place(frame, target, places)
    indices = {name: int(index) for each in frames for name, index in each.indices.items() if len(name) == 1}
    layers = [each.l for each in (place, *(operand.place for operand in operands)) if each and each.l is not None]
    if layers:
        indices.setdefault("l", layers[0])
    return Step(
        tag=source.tag,
        function=source.name,
        file=source.file,
        line=source.line(statement),
        text=source.segment(statement),
        indices={name: indices[name] for name in "nlijkp" if name in indices},
        operands=tuple(operands),
        result=float(frame.value(target)),
        place=place,
        target=source.span(target, statement),
        callers=tuple((each.source.name, each.source.line(each.statement)) for each in inside[:-1]),
        equation=inside[0].call,
        loop=frame.loops[-1],
    )
