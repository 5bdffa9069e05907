"""A sparse X: the numbers, and in compiled engines the bits, of a dense one, whatever its form. None reads outside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import COMPILED, RUNNABLE, assert_close, problem, train_epoch, works_in_parallel
from scipy import sparse

from mlp_jit import Network, fit
from mlp_jit.engines import ENGINES
from mlp_jit.engines.contract import Regularization
from mlp_jit.engines.lanes.sparse import most_numbers
from mlp_jit.optimizers import OPTIMIZERS, SGD, Adagrad
from mlp_jit.study import check_gradients

RULES = [
    {}, {"l2": 0.1}, {"l2": 0.1, "l2_per_sample": True, "clip_value": 0.01}, {"clip_value": 0.01}, {"clip_norm": 0.1},
]  # fmt: skip
plain = pytest.mark.skipif("lanes" in RUNNABLE, reason="as plain Python: the loops would compile for half a minute")
compiled = pytest.mark.skipif("lanes" not in RUNNABLE, reason="the lanes engine exists only compiled")


def thin(X, seed=0):
    """X with a fifth of its numbers, some of them given as zeros, some rows and columns without any."""
    rng = np.random.default_rng(seed)
    kept = np.where(rng.random(X.shape) < 0.2, X, 0)
    kept[rng.random(len(X)) < 0.1] = 0
    matrix = sparse.csr_array(kept)
    matrix.data[rng.random(matrix.nnz) < 0.1] = 0
    return matrix


def epoch(engine, network, X, y, weight, optimizer, rules, batch_size, n_threads=None):
    """All that an engine makes of these samples: outputs, loss, gradient, and an epoch's parameters, state and loss."""
    order = np.random.default_rng(1).permutation(len(y))
    rates = np.full(-(-len(y) // batch_size), 0.05)
    made = [engine.forward(network, X, n_threads=n_threads), *engine.evaluate(network, X, y, weight)]
    made += engine.gradient(network, X, y, weight, l2=0.1, n_threads=n_threads)
    loss = train_epoch(
        engine, network, X, y, weight, order, batch_size, optimizer, rates, regularization=rules, n_threads=n_threads
    )
    return [*made, loss, network.params, network.state, optimizer.moments]


@st.composite
def problems(draw, plain=False):
    depth, wide = draw(st.integers(0, 3)), draw(st.sampled_from([1, 7, 16, 33, 130]))
    return problem(
        (draw(st.sampled_from([1, 5, 40])), *[wide] * depth, draw(st.sampled_from([1, 3, 20]))),
        n=draw(st.sampled_from([3, 16, 33, 70])),
        dtype=draw(st.sampled_from(["float32", "float64"])),
        seed=draw(st.integers(0, 99)),
        activation="tanh",
        normalization=None if plain else draw(st.sampled_from([None, "batch", "layer"])),
        skip=depth > 1 and not plain and draw(st.booleans()),
    )


# --------------------------------------------------------------------------------------- the numbers of a dense X


@compiled
@settings(max_examples=80)
@given(
    problems(),
    st.sampled_from(sorted(OPTIMIZERS)),
    st.sampled_from(RULES),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([3, 17, 70]),
    st.sampled_from([np.int32, np.int64]),
    st.sampled_from([1, 2]),
)
def test_lanes_give_the_bits_of_a_dense_X(problem, optimizer, rules, p, batch_size, index, n_threads):
    network, X, y, weight = problem
    rows = thin(X)
    rows.indices, rows.indptr = rows.indices.astype(index), rows.indptr.astype(index)
    rules = Regularization(**rules, dropout=(p,) * (len(network.sizes) - 2), seed=5)
    batch_size = max(2, min(batch_size, len(y))) if network.state.size else batch_size
    with pytest.MonkeyPatch.context() as patched:
        works_in_parallel(patched, ENGINES["lanes"], 0)
        of_sparse, of_dense = (
            epoch(
                ENGINES["lanes"], network.copy(), given, y, weight, OPTIMIZERS[optimizer](), rules, batch_size, threads
            )
            for given, threads in ((network.check(rows, y)[0], n_threads), (network.check(rows.toarray(), y)[0], 1))
        )
    for ours, theirs in zip(of_sparse, of_dense, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.python
@pytest.mark.parametrize("kind", [None, pytest.param("batch", marks=plain)])
def test_engines_agree(kind):
    network, X, y, weight = problem((9, 6, 6, 3), n=12, activation="tanh", normalization=kind, skip=kind is not None)
    rows, rules = thin(X), Regularization(l2=0.1, dropout=(0.2, 0.2), seed=3)
    made = {}
    for name, engine in RUNNABLE.items():
        of_sparse, of_dense = (
            epoch(engine, network.copy(), network.check(given, y)[0], y, weight, SGD(0.9), rules, 5)
            for given in (rows, rows.toarray())
        )
        made[name] = of_sparse
        for ours, theirs in zip(of_sparse, of_dense, strict=True):
            assert_close(ours, theirs)
            assert name not in COMPILED or np.array_equal(ours, theirs)
    for ours, theirs in zip(made["loops"], made["vectorized"], strict=True):
        assert_close(ours, theirs)


@compiled
def test_a_batch_in_chunks(short_chunks):
    network, X, y, weight = problem((40, 17, 3), n=99, activation="tanh")
    rows = network.check(thin(X), y)[0]

    def made():
        return epoch(ENGINES["lanes"], network.copy(), rows, y, weight, SGD(), Regularization(), 90)

    whole = made()
    short_chunks()
    for ours, theirs in zip(made(), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@compiled
@pytest.mark.filterwarnings("ignore:fit stopped")
@pytest.mark.parametrize("optimizer", [SGD(), Adagrad(), Adagrad(epsilon=0)], ids=str)
def test_weights_that_no_sample_touches(optimizer):
    """They stay, and so do their moments; where a step would make them NaN, as it does for a dense X, it does."""
    rows, y = sparse.csr_array(([1.0, 2.0], ([0, 1], [3, 5])), shape=(4, 50)), np.arange(4) % 2
    network = Network([50, 20, 2], output="softmax", random_state=0)
    before = network.weights[0].copy()
    fit(network, rows, y, optimizer=optimizer, epochs=1, batch_size=2, random_state=0)
    untouched = np.setdiff1d(np.arange(50), [3, 5])
    if optimizer.rests:
        np.testing.assert_array_equal(network.weights[0][untouched], before[untouched])
        assert (network.weights[0][[3, 5]] != before[[3, 5]]).any(axis=1).all()
    else:
        assert np.isnan(network.weights[0][untouched]).all()


@compiled
def test_gradients_are_those_of_differences():
    network, X, y, _ = problem((9, 6, 3), n=12, activation="tanh")
    assert check_gradients(network, thin(X), y, engine="lanes").ok


def test_a_trace_shows_a_sparse_X_as_dense():
    network, X, y, _ = problem((9, 6, 3), n=12)
    rows = thin(X)
    np.testing.assert_array_equal(network.trace(rows, y).a[0], rows.toarray())


# --------------------------------------------------------------------------------------- its form

FORMS = ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"]


@compiled
@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_as_good(form, kind):
    network, X, y, _ = problem((9, 6, 3), n=12)
    dense = thin(X).toarray()
    given = getattr(sparse, f"{form}_{kind}")(dense)
    before = given.copy()
    np.testing.assert_array_equal(network.forward(given), network.forward(dense))
    np.testing.assert_array_equal(network.gradient(given, y)[1], network.gradient(dense, y)[1])
    assert (given != before).nnz == 0


def by_hand(data, indices, indptr, shape, *, kind=np.int32, form=sparse.csr_matrix):
    """A matrix of these arrays, whatever they say: SciPy looks at what its constructor is given."""
    matrix = form(shape)
    matrix.data = np.asarray(data, np.float64)
    matrix.indices, matrix.indptr = np.asarray(indices, kind), np.asarray(indptr, kind)
    return matrix


@compiled
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_duplicates_are_summed_and_order_does_not_matter(kind):
    network = Network([4, 5, 2], random_state=0)
    given = by_hand([1, 2, 3, 4, 0], [3, 0, 3, 1, 2], [0, 3, 3, 5], (3, 4), kind=kind)
    arrays = [array.copy() for array in (given.data, given.indices, given.indptr)]
    dense = np.array([[2, 0, 0, 4], [0, 0, 0, 0], [0, 4, 0, 0]])
    np.testing.assert_array_equal(network.forward(given), network.forward(dense))
    for array, before in zip((given.data, given.indices, given.indptr), arrays, strict=True):
        np.testing.assert_array_equal(array, before)
        assert array.dtype == before.dtype


@compiled
def test_arrays_that_are_read_only_or_mapped_from_a_file(tmp_path):
    network, X, y, _ = problem((9, 6, 3), n=12)
    rows = thin(X)
    expected = network.gradient(rows, y)[1]
    for name in ("data", "indices", "indptr"):
        array = getattr(rows, name)
        mapped = np.memmap(tmp_path / name, array.dtype, "w+", shape=array.shape)
        mapped[:] = array
        mapped.flags.writeable = False
        setattr(rows, name, mapped)
    np.testing.assert_array_equal(network.gradient(rows, y)[1], expected)


@compiled
@pytest.mark.parametrize("shape", [(0, 4), (3, 4)])
def test_no_rows_or_nothing_in_them(shape):
    network = Network([4, 5, 2], random_state=0)
    empty = sparse.csr_matrix(shape)
    np.testing.assert_array_equal(network.forward(empty), network.forward(np.zeros(shape)))
    if shape[0] == 0:
        with pytest.raises(ValueError, match="X: expected at least 1 row, got 0"):
            fit(network, empty, np.zeros((0, 2)))
    else:
        np.testing.assert_array_equal(
            network.gradient(empty, np.ones((3, 2)))[1], network.gradient(np.zeros(shape), np.ones((3, 2)))[1]
        )


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (by_hand([1, 1], [0, 1], [0, 2, 1, 2], (3, 4)), r"an indptr of 4 integers that rise from 0, got \[0 2 1 2\]"),
        (by_hand([1, 1], [0, 1], [1, 1, 1, 2], (3, 4)), "rise from 0"),
        (by_hand([1, 1], [0, 1], [0, 1, 2], (3, 4)), "an indptr of 4 integers"),
        (by_hand([1, 1], [0, 1], [0, 1, 1, 3], (3, 4)), "3 column indices, as indptr says, got 2"),
        (by_hand([1, 1], [0, 4], [0, 1, 1, 2], (3, 4)), "column indices from 0 to 3, got 0 to 4"),
        (by_hand([1, 1], [-1, 2], [0, 1, 1, 2], (3, 4)), "column indices from 0 to 3, got -1 to 2"),
        (by_hand([1], [0, 1], [0, 1, 1, 2], (3, 4)), "2 numbers for as many column indices, got 1"),
        (by_hand([1, 1], [0, 2**62], [0, 1, 1, 2], (3, 4), kind=np.int64), "got 0 to 4611686018427387904"),
        (by_hand([1, np.nan], [0, 1], [0, 1, 1, 2], (3, 4)), "got NaN"),
        (by_hand([1, np.inf], [0, 1], [0, 1, 1, 2], (3, 4)), "infinity"),
        (
            by_hand([1, 1], [0, 9], [0, 1, 1, 1, 2], (3, 4), form=sparse.csc_matrix),
            "a well-formed sparse matrix, got CSC",
        ),
    ],
)
def test_a_matrix_that_points_outside_is_refused(matrix, words):
    network, y = Network([4, 5, 2], random_state=0), np.ones((3, 2))
    for call in (network.forward, lambda X: network.loss(X, y), lambda X: fit(network, X, y)):
        with pytest.raises(ValueError, match=f"X: expected .*{words}"):
            call(matrix)


def test_coordinates_outside_are_refused():
    matrix = sparse.coo_array(([1.0], ([0], [1])), shape=(3, 4))
    matrix.coords = np.array([7]), np.array([1])
    with pytest.raises(ValueError, match="X: expected a well-formed sparse matrix, got COO"):
        Network([4, 2]).forward(matrix)


def test_the_most_numbers_that_some_rows_have():
    indptr = np.array([0, 3, 3, 10, 11])
    assert [most_numbers(indptr, rows) for rows in (1, 2, 3, 4, 9)] == [7, 10, 11, 11, 11]
