"""The lanes engine where its tiles, blocks and tasks end: the numbers are right, and no buffer is left."""

import itertools
import os
import sys

import numba
import numpy as np
import pytest
from guards import Guarded
from problems import COMPILED, assert_close, problem, train_epoch, works_in_parallel
from processes import run
from scipy import sparse

from mlp_jit import SGD, Adam
from mlp_jit.engines import ENGINES
from mlp_jit.engines.contract import Regularization
from mlp_jit.engines.lanes.simd import VECTORS, lanes_of

EVERYTHING = {"l2": 0.1, "l2_per_sample": True, "dropout": (0.3,), "seed": 7, "clip_value": 0.3, "clip_norm": 0.5}
RULES = [{}, {"l2": 0.1}, {"clip_norm": 0.05}, EVERYTHING]
EDGES = (7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 300, 520)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="intrinsics exist only compiled")


def everything(engine, network, X, y, weight, optimizer, rules, n_threads=None):
    """All that the contract's four functions make of a problem, in an epoch of two batches."""
    batch_size = 1 + 2 * len(y) // 3
    order = np.random.default_rng(0).permutation(len(y))
    rates = np.full(-(-len(y) // batch_size), 0.01)
    outputs = [
        engine.forward(network, X, n_threads=n_threads),
        *engine.evaluate(network, X, y, weight, n_threads=n_threads),
        *engine.gradient(network, X, y, weight, l2=rules.get("l2", 0), n_threads=n_threads),
    ]
    regularization = Regularization(**rules)
    loss = train_epoch(
        engine,
        network,
        X,
        y,
        weight,
        order,
        batch_size,
        optimizer,
        rates,
        regularization=regularization,
        n_threads=n_threads,
    )
    return [*outputs, loss, network.params, network.state, optimizer.moments]


# --------------------------------------------------------------------------------------- the numbers


def assert_the_loops_numbers(network, *data, rules):
    """To 182 roundings of the largest number in float32, as measured, and 20 in float64, where it is 3000 with
    `clip_norm`, for which the loops add the squares of 150,000 numbers one by one.
    """
    ulps = {"float32": 500, "float64": 5000}[network.dtype.name]
    ours, theirs = (everything(engine, network.copy(), *data, SGD(0.9), rules) for engine in COMPILED.values())
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


def walk_the_edges(Memory, dtype, n_threads, monkeypatch, thin=False):
    """Layers on either side of every width that counts, all that a call allocates and is given coming from a `Memory`.

    The numbers are finite, and what they are in ordinary memory. A `thin` X is sparse.
    """
    L = lanes_of(np.dtype(dtype))
    S = VECTORS * L
    widths = sorted({*range(1, 19), L - 1, L + 1, S - 1, S, S + 1, 63, 64, 65})
    steps = (({}, SGD if thin else Adam), ({"l2": 0.1}, SGD), (EVERYTHING, SGD))
    pairs = itertools.combinations_with_replacement(widths, 2)
    for k, ((n_in, n_out), (rules, optimizer)) in enumerate(itertools.product(pairs, steps)):
        n = 1 + 11 * k % 35
        where = f"{n_in}-{n_out}-{n_in}, {n} samples, {rules}"
        network, *data = problem((n_in, n_out, n_in), activation="tanh", n=n, dtype=dtype)
        if thin:
            data[0] = sparse.csr_array(np.where(data[0] > 0.5, data[0], 0))
        expected = everything(ENGINES["lanes"], network.copy(), *data, optimizer(), rules, n_threads)  # compiles, too
        with monkeypatch.context() as patched:
            memory = Memory()
            guarded, moving = memory.surround(network, optimizer())
            surrounded = [memory.copy(part) for part in data]
            memory.stand_in(patched)
            made = everything(ENGINES["lanes"], guarded, *surrounded, moving, rules, n_threads)
        assert memory.count() > 40, "allocations have moved to where the guards do not see them"
        memory.assert_untouched(where)
        for ours, theirs in zip(made, expected, strict=True):
            assert np.isfinite(ours).all(), where
            np.testing.assert_array_equal(ours, theirs, where)


@compiled
@each_dtype
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("chunks", ["long", "short"])
def test_nothing_is_written_outside_of_any_buffer(chunks, n_threads, dtype, monkeypatch, short_chunks):
    """No guard word changes; and what is read of them, all NaN, changes nothing."""
    works_in_parallel(monkeypatch, ENGINES["lanes"], 0)
    if chunks == "short":
        short_chunks()
    walk_the_edges(Guarded, dtype, n_threads, monkeypatch)


@compiled
@pytest.mark.parametrize(("dtype", "n_threads"), [("float64", 2)])
def test_a_sparse_X_makes_nothing_be_written_outside(dtype, n_threads, monkeypatch):
    works_in_parallel(monkeypatch, ENGINES["lanes"], 0)
    walk_the_edges(Guarded, dtype, n_threads, monkeypatch, thin=True)


@compiled
@each_dtype
@pytest.mark.skipif(sys.platform != "linux", reason="another platform protects pages in another way")
def test_nothing_is_read_behind_any_buffer(dtype):
    """In a process of its own, which would die of it: as X may be a memory-mapped file that ends where a page does."""
    code = f"test_lanes.walk_the_edges(guards.EndingPages, {dtype!r}, 1, pytest.MonkeyPatch())"
    run(f"import guards, pytest, test_lanes; {code}", PYTHONPATH=os.pathsep.join(sys.path))


# --------------------------------------------------------------------------------------- plain Python


@pytest.mark.python
@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="only where nothing is compiled")
def test_as_plain_python_it_names_the_engine_to_use():
    network, X, y, weight = problem((2, 3, 1))
    for call in (
        lambda: network.forward(X, engine="lanes"),
        lambda: ENGINES["lanes"].evaluate(network, X, y, weight),
        lambda: network.gradient(X, y, engine="lanes"),
        lambda: train_epoch(ENGINES["lanes"], network, X, y, weight, np.arange(5), 5, SGD(), np.ones(1)),
    ):
        with pytest.raises(NotImplementedError, match='engine="loops"'):
            call()
