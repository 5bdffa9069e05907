"""The lanes engine where its tiles, blocks and tasks end: the numbers are right, and no buffer is left."""

import itertools
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from problems import assert_close, problem

from mlp_jit import SGD, Adam
from mlp_jit.engines import lanes, loops, workspace
from mlp_jit.engines.contract import Regularization
from mlp_jit.engines.simd import VECTORS, lanes_of

EVERYTHING = {"l2": 0.1, "l2_per_sample": True, "dropout": (0.3,), "seed": 7, "clip_value": 0.3, "clip_norm": 0.5}
RULES = [{}, {"l2": 0.1}, {"clip_norm": 0.05}, EVERYTHING]
EDGES = (7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 300, 520)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="intrinsics exist only compiled")


def everything(engine, network, X, y, weight, optimizer, rules, n_threads=None):
    """All that the contract's four functions make of a problem, in an epoch of two batches."""
    batch_size = 1 + 2 * len(X) // 3
    order = np.random.default_rng(0).permutation(len(X))
    rates = np.full(-(-len(X) // batch_size), 0.01)
    outputs = [
        engine.forward(network, X, n_threads=n_threads),
        *engine.evaluate(network, X, y, weight, n_threads=n_threads),
        *engine.gradient(network, X, y, weight, l2=rules.get("l2", 0), n_threads=n_threads),
    ]
    regularization = Regularization(**rules)
    loss = engine.train_epoch(
        network, X, y, weight, order, batch_size, optimizer, rates, regularization=regularization, n_threads=n_threads
    )
    return [*outputs, loss, network.params, optimizer.moments]


# --------------------------------------------------------------------------------------- the numbers


def assert_the_loops_numbers(network, *data, rules):
    """To 182 roundings of the largest number in float32, as measured, and 20 in float64, where it is 3000 with
    `clip_norm`, for which the loops add the squares of 150,000 numbers one by one.
    """
    ulps = {"float32": 500, "float64": 5000}[network.dtype.name]
    ours, theirs = (everything(engine, network.copy(), *data, SGD(0.9), rules) for engine in (lanes, loops))
    for lane, loop in zip(ours, theirs, strict=True):
        assert_close(lane, loop, network.dtype, ulps, f"{network.sizes}, {len(data[0])} samples, {rules}")


@compiled
@each_dtype
@pytest.mark.parametrize("n_in", EDGES)
def test_every_edge_gives_the_numbers_of_the_loops(n_in, dtype):
    """Layers n_in × n_out and n_out × n_in, on either side of every width that a tile, a panel or a task may have."""
    for k, n_out in enumerate(EDGES):
        network, *data = problem((n_in, n_out, n_in), activation="tanh", n=1 + 29 * k % 70, dtype=dtype, noise=0.02)
        assert_the_loops_numbers(network, *data, rules=RULES[k % 4])


@compiled
@each_dtype
def test_every_batch_gives_the_numbers_of_the_loops(dtype):
    for n in (*range(1, 71), 1000):
        network, *data = problem((11, 19, 5), activation="tanh", n=n, dtype=dtype)
        assert_the_loops_numbers(network, *data, rules=RULES[n % 4])


# --------------------------------------------------------------------------------------- the buffers


class Guards:
    """Hands out arrays that lie between guard words, all bits of which are set: NaN, and −1 among integers."""

    WORDS = 1024

    def __init__(self):
        self.rooms = []

    def empty(self, shape, dtype=float):
        size = int(np.prod(shape))
        room = np.empty(size + 2 * self.WORDS, dtype)
        room.view(np.uint8)[:] = 255
        self.rooms.append(room)
        return room[self.WORDS : self.WORDS + size].reshape(shape)

    def copy(self, array):
        inside = self.empty(array.shape, array.dtype)
        inside[...] = array
        inside.flags.writeable = array.flags.writeable  # part of the type that kernels are compiled for
        return inside

    def zeros(self, shape, dtype=float):
        return self.copy(np.zeros(shape, dtype))

    def stand_in(self, monkeypatch):
        """From now on the engine's own modules allocate here."""
        allocators = {
            "zeros": self.zeros,
            "empty": self.empty,
            "empty_like": lambda array: self.empty(array.shape, array.dtype),
            "arange": lambda stop: self.copy(np.arange(stop)),
        }
        for module in (lanes, workspace):
            monkeypatch.setattr(module, "np", SimpleNamespace(**vars(np) | allocators))
        monkeypatch.setattr(workspace, "_aligned", lambda dtype, *sizes: [self.zeros(size, dtype) for size in sizes])

    def surround(self, network, optimizer):
        """The same network and optimizer, their arrays between guard words."""
        network = network.copy()
        network.table, network.loss_parameters = self.copy(network.table), self.copy(network.loss_parameters)
        network._set_params(self.copy(network.params))
        optimizer.start(network.params)
        optimizer.moments = self.copy(optimizer.moments)
        return network, optimizer

    def assert_untouched(self, where):
        for room in self.rooms:
            words = np.concatenate([room[: self.WORDS], room[-self.WORDS :]])
            assert (words.view(np.uint8) == 255).all(), f"{where}: outside of {room.size - 2 * self.WORDS} numbers"


@compiled
@each_dtype
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("chunks", ["long", "short"])
def test_nothing_is_touched_outside_of_any_buffer(chunks, n_threads, dtype, monkeypatch, short_chunks):
    """No guard word is written; and with NaN around every array the numbers are finite, and the same."""
    monkeypatch.setattr(lanes, "PARALLEL_WORK", 0)
    if chunks == "short":
        short_chunks()
    L = lanes_of(np.dtype(dtype))
    S = VECTORS * L
    widths = sorted({*range(1, 19), L - 1, L + 1, S - 1, S, S + 1, 63, 64, 65})
    steps = (({}, Adam), ({"l2": 0.1}, SGD), (EVERYTHING, SGD))
    pairs = itertools.combinations_with_replacement(widths, 2)
    for k, ((n_in, n_out), (rules, optimizer)) in enumerate(itertools.product(pairs, steps)):
        n = 1 + 11 * k % 35
        where = f"{n_in}-{n_out}-{n_in}, {n} samples, {rules}"
        network, *data = problem((n_in, n_out, n_in), activation="tanh", n=n, dtype=dtype)
        with monkeypatch.context() as patched:
            expected = everything(lanes, network.copy(), *data, optimizer(), rules, n_threads)  # compiles, too
            guards = Guards()
            guarded, moving = guards.surround(network, optimizer())
            surrounded = [guards.copy(part) for part in data]
            guards.stand_in(patched)
            made = everything(lanes, guarded, *surrounded, moving, rules, n_threads)
        assert len(guards.rooms) > 40, "allocations have moved to where the guards do not see them"
        guards.assert_untouched(where)
        for ours, theirs in zip(made, expected, strict=True):
            assert np.isfinite(ours).all(), where
            np.testing.assert_array_equal(ours, theirs, where)


# --------------------------------------------------------------------------------------- plain Python


@pytest.mark.python
@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="only where nothing is compiled")
def test_as_plain_python_it_names_the_engine_to_use():
    network, X, y, weight = problem((2, 3, 1))
    for call in (
        lambda: network.forward(X, engine="lanes"),
        lambda: lanes.evaluate(network, X, y, weight),
        lambda: network.gradient(X, y, engine="lanes"),
        lambda: lanes.train_epoch(network, X, y, weight, np.arange(5), 5, SGD(), np.ones(1)),
    ):
        with pytest.raises(NotImplementedError, match='engine="loops"'):
            call()
