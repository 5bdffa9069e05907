"""Network: one flat parameter vector, views of it, and what a network says about itself."""

import copy
import io
import pickle
from itertools import pairwise

import joblib
import numpy as np
import pytest

from mlp_jit import Network, fit, quantile
from mlp_jit.activations import HIDDEN, OUTPUTS
from mlp_jit.engines import ENGINES, layout
from mlp_jit.engines.loops import session as loops

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))
WEIGHTS = np.array([1, 2, 0.5, 0, 1])


def make(sizes=(3, 4, 2), **settings) -> Network:
    return Network(sizes, **{"random_state": 0, **settings})


def aliased(net: Network) -> bool:
    """Whether writing into a view shows in `params`, and the other way round."""
    net.weights[-1][0, 0], net.biases[0][0] = 7, 8
    W, b = net.table[-1, layout.WEIGHTS], net.table[1, layout.BIASES]
    there = net.params[W] == 7 and net.params[b] == 8
    net.params[:] = 9
    return there and all((part == 9).all() for part in (*net.weights, *net.biases))


# --------------------------------------------------------------------------------------- the flat vector


def test_params_lie_as_W1_b1_W2_b2():
    net = make([2, 3, 1])
    net.params[:] = range(13)
    np.testing.assert_array_equal(net.weights[0], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(net.biases[0], [6, 7, 8])
    np.testing.assert_array_equal(net.weights[1], [[9], [10], [11]])
    np.testing.assert_array_equal(net.biases[1], [12])


def test_the_table_says_where_things_lie():
    #          n_in, n_out, W, b, γ, end, state, units before, φ, normalisation, skips
    expected = [
        [0, 3, 0, 0, 0, 0, 0, 0, HIDDEN["identity"].code, 0, 0],
        [3, 4, 0, 12, 16, 20, 0, 3, HIDDEN["tanh"].code, 1, 0],
        [4, 4, 20, 36, 40, 44, 8, 7, HIDDEN["tanh"].code, 2, 1],
        [4, 4, 44, 60, 64, 68, 8, 11, HIDDEN["tanh"].code, 1, 1],
        [4, 2, 68, 76, 78, 78, 16, 15, OUTPUTS["softmax"].code, 0, 0],
    ]
    special = {"normalization": ["batch", "layer", "batch"], "skip": True}
    net = make([3, 4, 4, 4, 2], activation="tanh", output="softmax", **special)
    np.testing.assert_array_equal(net.table, expected)
    assert (net.n_params, net.state.size) == (78, 16)
    assert net.table.dtype == np.int64


@pytest.mark.parametrize("sizes", [[1, 1], [3, 2], [64, 100, 10], [2, 3, 4, 5, 6]])
def test_the_number_of_parameters(sizes):
    n_params = sum(n_in * n_out + n_out for n_in, n_out in pairwise(sizes))
    net = make(sizes)
    assert net.n_params == net.params.size == n_params
    assert net.params.flags.c_contiguous


def test_views_and_params_are_the_same_memory():
    assert aliased(make())


CLONES = {
    "copy()": Network.copy,
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda net, n=n: pickle.loads(pickle.dumps(net, n)) for n in (2, pickle.HIGHEST_PROTOCOL)},
}


def joblib_round_trip(net: Network, **settings) -> Network:
    file = io.BytesIO()
    joblib.dump(net, file)
    file.seek(0)
    return joblib.load(file, **settings)


@pytest.mark.parametrize("clone", [*CLONES.values(), joblib_round_trip], ids=[*CLONES, "joblib"])
def test_a_clone_is_equal_and_has_views_of_its_own(clone):
    net = make([3, 4, 4, 2], activation=["tanh", "elu"], output="exp", loss=quantile((0.1, 0.9)), dtype="float64")
    before = net.params.copy()
    twin = clone(net)
    np.testing.assert_array_equal(twin.params, before)
    assert repr(twin) == repr(net)
    np.testing.assert_array_equal(twin.forward(X), net.forward(X))
    assert twin.loss(X, abs(Y)) == net.loss(X, abs(Y))
    assert aliased(twin)
    np.testing.assert_array_equal(net.params, before)
    assert aliased(net)


def test_a_network_that_joblib_maps_from_a_file_can_be_trained(tmp_path):
    """joblib hands a large network to its workers as a read-only memory map."""
    joblib.dump(make(), tmp_path / "net")
    net = joblib.load(tmp_path / "net", mmap_mode="r")
    fit(net, X, Y, epochs=1)
    assert aliased(net)


# --------------------------------------------------------------------------------------- how it is made


@pytest.mark.parametrize("dtype", ["float32", np.float64, np.dtype("float64")])
def test_dtype_is_that_of_the_parameters_and_of_all_results(dtype):
    net = make(dtype=dtype)
    loss, gradient = net.gradient(X, Y)
    assert {net.dtype, net.params.dtype, net.forward(X).dtype, gradient.dtype} == {np.dtype(dtype)}
    assert type(loss) is type(net.loss(X, Y)) is float


@pytest.mark.python
def test_each_hidden_layer_has_its_own_activation(engine):
    net = make([3, 4, 4, 2], activation=["tanh", "relu"], dtype="float64")
    a1 = np.tanh(X @ net.weights[0] + net.biases[0])
    a2 = np.maximum(a1 @ net.weights[1] + net.biases[1], 0)
    expected = a2 @ net.weights[2] + net.biases[2]
    np.testing.assert_allclose(net.forward(X, engine=engine), expected, rtol=1e-12)


def test_activation_is_unused_without_hidden_layers():
    net = make([3, 2], activation="tanh")
    assert net.activations == ()
    np.testing.assert_array_equal(net.params, make([3, 2]).params)


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("identity", "squared_error"),
        ("softmax", "cross_entropy"),
        ("sigmoid", "binary_cross_entropy"),
        ("exp", "poisson"),
        ("step", "perceptron"),
    ],
)
def test_an_output_pairs_with_a_loss(output, loss):
    assert make(output=output).loss_name == loss


@pytest.mark.parametrize("with_biases", [False, True])
def test_an_initializer_of_ones_own(with_biases):
    asked = []

    def initializer(rng, n_in, n_out):
        asked.append((n_in, n_out))
        W = np.full((n_in, n_out), len(asked))
        return (W, np.full(n_out, -len(asked))) if with_biases else W

    net = make(initializer=initializer)
    assert asked == [(3, 4), (4, 2)]
    for l, (W, b) in enumerate(zip(net.weights, net.biases, strict=True), start=1):
        assert (l == W).all()
        assert (b == (-l if with_biases else 0)).all()


def test_random_state_may_be_a_number_or_a_generator():
    expected = make(random_state=3).params
    rng = np.random.default_rng(3)
    for random_state in (np.int64(3), rng):
        np.testing.assert_array_equal(make(random_state=random_state).params, expected)
    others = [rng, 4, None, None, np.random.RandomState(3)]  # rng goes on from where it is
    drawn = [expected, *(make(random_state=random_state).params for random_state in others)]
    assert len({params.tobytes() for params in drawn}) == len(drawn)
    again = make(random_state=np.random.RandomState(3)).params
    np.testing.assert_array_equal(again, drawn[-1])


# --------------------------------------------------------------------------------------- what it computes


@pytest.mark.python
@pytest.mark.bounds
@pytest.mark.parametrize("sample_weight", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_trace_loss_and_gradient_agree(sample_weight):
    net = make(activation="tanh", dtype="float64")
    trace = net.trace(X, Y, sample_weight=sample_weight)
    loss, gradient = net.gradient(X, Y, sample_weight=sample_weight, engine="loops")
    parts = [part for pair in zip(trace.weight_gradients, trace.bias_gradients, strict=True) for part in pair]
    np.testing.assert_allclose(np.concatenate([part.ravel() for part in parts]), gradient, rtol=1e-12, atol=1e-15)
    assert trace.loss == pytest.approx(loss, rel=1e-14)

    np.testing.assert_array_equal(trace.a[0], X)
    np.testing.assert_allclose(trace.z[0], X @ net.weights[0] + net.biases[0], rtol=1e-12)
    np.testing.assert_allclose(trace.a[1], np.tanh(trace.z[0]), rtol=1e-12)
    np.testing.assert_allclose(trace.a[2], net.forward(X, engine="loops"), rtol=1e-14)
    weight = np.ones(5) if sample_weight is None else sample_weight
    output_delta = 2 * (trace.a[2] - Y)
    np.testing.assert_allclose(trace.a[1].T @ (output_delta * weight[:, None]) / weight.sum(), parts[2], rtol=1e-12)
    np.testing.assert_allclose(
        trace.delta[0], (trace.delta[1] @ net.weights[1].T) * (1 - trace.a[1] ** 2), rtol=1e-12, atol=1e-15
    )


def test_the_delta_of_a_trace_is_that_of_each_sample():
    """δ = ∂ℓ/∂z of a sample does not depend on how much the sample counts."""
    net = make(dtype="float64")
    plain, weighted = net.trace(X, Y), net.trace(X, Y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(weighted.delta[-1], plain.delta[-1], rtol=1e-12)


@pytest.mark.python
@pytest.mark.parametrize("sample_weight", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_loss_is_the_weighted_mean_that_evaluate_and_gradient_give(engine, sample_weight):
    net = make(dtype="float64")
    expected = np.average(((net.forward(X, engine=engine) - Y) ** 2).sum(axis=1), weights=sample_weight)
    loss = net.loss(X, Y, sample_weight=sample_weight, engine=engine)
    assert loss == pytest.approx(expected, rel=1e-14)
    assert loss == ENGINES[engine].evaluate(net, *net.check(X, Y, sample_weight))[0]
    assert loss == pytest.approx(net.gradient(X, Y, sample_weight=sample_weight, engine=engine)[0], rel=1e-14)


@pytest.mark.python
def test_l2_counts_weights_and_not_biases(engine):
    net = make(dtype="float64", initializer="scikit_learn")
    plain, penalised = net.gradient(X, Y, engine=engine), net.gradient(X, Y, l2=0.3, engine=engine)
    only_weights = net.copy()
    for b in only_weights.biases:
        b[:] = 0
    assert penalised[0] - plain[0] == pytest.approx(0.15 * (only_weights.params**2).sum(), rel=1e-12)
    np.testing.assert_allclose(penalised[1] - plain[1], 0.3 * only_weights.params, rtol=1e-9, atol=1e-15)


def test_forward_takes_no_rows_and_lets_nan_through(engine):
    net = make()
    assert net.forward(np.empty((0, 3)), engine=engine).shape == (0, 2)
    rows = np.array([[1, 2, 3], [1, np.nan, 3]])
    assert np.isnan(net.forward(rows, engine=engine)).any(axis=1).tolist() == [False, True]


def test_a_row_alone_gives_what_it_gives_among_many(engine):
    net, rows = make(dtype="float64"), RNG.normal(size=(loops.ROWS + 3, 3))
    alone = np.vstack([net.forward(row[None], engine=engine) for row in rows[::100]])
    np.testing.assert_allclose(net.forward(rows, engine=engine)[::100], alone, rtol=1e-12)


# --------------------------------------------------------------------------------------- what it says

LEDGER = """\
layer  W          b       z         a         φ        parameters
X                                   (50, 64)
1      (64, 100)  (100,)  (50, 100)  (50, 100)  relu     6400 + 100 = 6500
2      (100, 10)  (10,)   (50, 10)  (50, 10)  softmax  1000 + 10 = 1010
7510 parameters, float32, loss cross_entropy"""


def test_summary_is_the_shape_ledger():
    summary = make([64, 100, 10], output="softmax").summary(batch_size=50)
    assert [line.split() for line in summary.splitlines()] == [line.split() for line in LEDGER.splitlines()]
    columns = {line.index(cell) for line, cell in zip(summary.splitlines()[2:4], ("relu", "softmax"), strict=True)}
    assert len(columns) == 1  # they stand under each other
    assert "(N, 64)" in make([64, 2]).summary()


def test_repr_says_what_it_is():
    assert repr(make(activation="tanh", output="exp")) == (
        "Network([3, 4, 2], activation=['tanh'], output='exp', loss='poisson', dtype='float32')"
    )
