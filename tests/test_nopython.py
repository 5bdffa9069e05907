"""A network inside other people's compiled code (`mlp_jit.nopython`), and derivatives by the inputs from Python."""

import copy
import pickle
import re
import runpy
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit
from numba.core.errors import TypingError
from numba.core.runtime import _nrt_python, rtsys
from problems import RUNNABLE, assert_close
from processes import ROOT, finish, run, start

from mlp_jit import Network, _jit, fit
from mlp_jit.activations import HIDDEN, OUTPUTS
from mlp_jit.engines.lanes import derivatives, nopython, record
from mlp_jit.nopython import NetworkRecord, jacobian_row, predict, predict_row

COMPILED = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compiled code has no plain form")


@njit
def rows(record, X, out):
    for n in range(X.shape[0]):
        predict_row(record, X[n], out[n])


@njit
def jacobians(record, X, out, jacobian):
    for n in range(X.shape[0]):
        jacobian_row(record, X[n], out[n], jacobian[n])


@njit(nogil=True)
def without_gil(record, X, out, jacobian):
    predict(record, X, out)
    for n in range(X.shape[0]):
        jacobian_row(record, X[n], out[n], jacobian[n])


@njit
def nothing(record, X, out, jacobian):
    pass


@njit
def one_array(record, X, out, jacobian):
    out[0, 0] = np.zeros(X.shape[0])[2]


def network(sizes, seed=0, noise=0.3, **options):
    """A network with biases, gains and running statistics unlike those it would start with."""
    net, rng = Network(sizes, random_state=seed, **options), np.random.default_rng(seed)
    net.params += rng.normal(0, noise, net.n_params).astype(net.dtype)
    net.state += rng.uniform(0, noise, net.state.size).astype(net.dtype)
    return net


def inputs(net, n=5, seed=1):
    return np.random.default_rng(seed).normal(size=(n, net.sizes[0])).astype(net.dtype)


def room(net, n):
    """out and jacobian for n rows, NaN before they are written."""
    outputs, n_inputs = net.sizes[-1], net.sizes[0]
    return np.full((n, outputs), np.nan, net.dtype), np.full((n, outputs, n_inputs), np.nan, net.dtype)


def differences(net, X, step=1e-6):
    """∂ŷ_k/∂x_i by central differences, float64."""
    jacobian = np.empty((len(X), net.sizes[-1], X.shape[1]))
    for i in range(X.shape[1]):
        shift = np.zeros(X.shape[1])
        shift[i] = step
        up, down = (net.forward(X + sign * shift, engine="vectorized") for sign in (1, -1))
        jacobian[:, :, i] = (up - down) / (2 * step)
    return jacobian


def part(net, layer, output):
    """The first layers, the last of which may then be normalised and skip at once."""
    return net.part(layer, output) if layer else net


@st.composite
def networks(draw, dtypes=("float32", "float64")):
    hidden = draw(st.lists(st.sampled_from([1, 7, 16, 33]), max_size=3))
    hidden += hidden[-1:] * draw(st.integers(0, 1))
    names = [draw(st.sampled_from([*HIDDEN])) for _ in hidden]
    kinds = [draw(st.sampled_from([None, "batch", "layer"])) for _ in hidden]
    net = network(
        [draw(st.integers(1, 20)), *hidden, draw(st.integers(1, 20))],
        activation=names, normalization=kinds, output=draw(st.sampled_from([*OUTPUTS])),
        skip=any(a == b for a, b in pairwise(hidden)), dtype=draw(st.sampled_from(dtypes)),
        seed=draw(st.integers(0, 9)),
    )  # fmt: skip
    layer = draw(st.integers(0, len(hidden)))
    return part(net, layer, draw(st.sampled_from([*OUTPUTS])))


EVERY_PHI = [
    network([3, *[5] * len(HIDDEN), 2], activation=[*HIDDEN], normalization="layer", dtype=dtype, skip=True)
    for dtype in ("float32", "float64")
]


# --------------------------------------------------------------------------------------- the numbers


@COMPILED
@given(networks())
@example(EVERY_PHI[0])
@example(EVERY_PHI[1])
@settings(max_examples=40)
def test_the_bits_are_those_of_forward(net):
    X, handed = inputs(net), net.record()
    expected = net.forward(X)
    (one, jacobian), (other, _), (all_at_once, _) = (room(net, len(X)) for _ in range(3))
    rows(handed, X, one)
    jacobians(handed, X, other, jacobian)
    predict(handed, X, all_at_once)
    for outputs in (one, other, all_at_once):
        assert outputs.tobytes() == expected.tobytes()
    assert_close(jacobian, net.input_gradient(X, engine="vectorized"), net.dtype, ulps=2000)


@COMPILED
def test_many_rows_at_once_have_the_bits_of_forward_too():
    for net in (network([6, 9, 4], output="softmax"), network([5, 700, 3], normalization="batch", dtype="float64")):
        X = inputs(net, 150)
        out, _ = room(net, len(X))
        predict(net.record(), X, out)
        assert out.tobytes() == net.forward(X).tobytes()


@pytest.mark.python
@pytest.mark.parametrize("sizes", [(2, 5, 5, 9), (9, 5, 5, 2), (4, 3)], ids=str)
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
@pytest.mark.parametrize("output", [*OUTPUTS])
def test_the_input_gradient_is_that_of_differences(engine, sizes, normalization, output):
    deep = len(sizes) > 2
    net = network(
        sizes, activation=("gelu", "softplus") if deep else (), output=output, dtype="float64",
        normalization=normalization if deep else None, skip=deep,
    )  # fmt: skip
    X = inputs(net, 3)
    expected, jacobian = differences(net, X), net.input_gradient(X, engine=engine)
    assert jacobian.shape == (3, sizes[-1], sizes[0])
    np.testing.assert_allclose(jacobian, expected, rtol=1e-6, atol=1e-7)
    for k in (0, sizes[-1] - 1, -1):
        np.testing.assert_allclose(net.input_gradient(X, k, engine=engine), jacobian[:, k], rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", [*HIDDEN])
def test_the_input_gradient_through_every_phi(engine, name):
    net = network([3, 6, 2], activation=name, dtype="float64")
    X = inputs(net)
    np.testing.assert_allclose(net.input_gradient(X, engine=engine), differences(net, X), rtol=1e-6, atol=1e-7)


def test_the_input_gradient_takes_what_forward_takes(engine):
    net = network([3, 6, 2], activation="tanh", dtype="float64")
    X = inputs(net)
    expected = net.input_gradient(X, engine=engine)
    assert net.input_gradient(X.tolist(), engine=engine).tobytes() == expected.tobytes()
    assert net.input_gradient(X[:0], engine=engine).shape == (0, 2, 3)
    sparse = pytest.importorskip("scipy.sparse")
    assert net.input_gradient(sparse.csr_array(X), engine=engine).tobytes() == expected.tobytes()
    for k in (2, -3):
        with pytest.raises(ValueError, match=f"^k: .*got {k}"):
            net.input_gradient(X, k, engine=engine)
    with pytest.raises(TypeError, match=r"^k: "):
        net.input_gradient(X, 0.5, engine=engine)
    with pytest.raises(ValueError, match=r"^X: "):
        net.input_gradient(X[:, :2], engine=engine)


@COMPILED
@pytest.mark.threads
def test_the_input_gradient_by_many_threads(monkeypatch):
    net = network([4, 9, 9, 3], activation="tanh", normalization="layer", skip=True)
    X = inputs(net, 70)
    expected = net.input_gradient(X, n_threads=1)
    monkeypatch.setattr(derivatives, "PARALLEL_WORK", 0)
    for n_threads in (None, 2, 100):
        assert net.input_gradient(X, n_threads=n_threads).tobytes() == expected.tobytes()
    monkeypatch.setattr(_jit, "_serial_since_fork", True)  # where one thread has to do all
    assert net.input_gradient(X, n_threads=2).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", [name for name in RUNNABLE if name != "vectorized"])
def test_the_input_gradient_a_chunk_at_a_time(short_chunks, name):
    net = network([2, 5, 5, 3], activation="tanh", dtype="float64", skip=True)
    X = inputs(net, 70)
    expected = net.input_gradient(X, engine=name)
    short_chunks()
    assert net.input_gradient(X, engine=name).tobytes() == expected.tobytes()


# --------------------------------------------------------------------------------------- scratch, threads, memory


@COMPILED
@pytest.mark.parametrize("sizes", [(4, 9, 9, 30), (30, 9, 9, 4)], ids=str)
def test_little_scratch_changes_no_bit(monkeypatch, sizes):
    net = network(sizes, activation="tanh", output="softmax", normalization="layer", skip=True, dtype="float64")
    X = inputs(net)
    expected, ample = room(net, len(X)), net.record()
    jacobians(ample, X, *expected)
    monkeypatch.setattr(nopython, "STACK", 8 * 330)  # says the job; the compiled code has more
    small = net.record()
    out = room(net, len(X))
    assert small.scratch == 0 == ample.scratch
    jacobians(small, X, *out)
    assert out[1].tobytes() == expected[1].tobytes()
    assert_close(out[1], net.input_gradient(X, engine="vectorized"))


@COMPILED
def test_a_network_too_wide_for_the_stack_takes_scratch_of_the_callers():
    net = network([3, 4000, 2], activation="tanh", output="sigmoid", dtype="float64", noise=0.01)
    X, handed = inputs(net, 2), net.record()
    out, jacobian = room(net, 2)
    for call in (lambda: rows(handed, X, out), lambda: predict(handed, X, out)):
        with pytest.raises(ValueError, match="scratch"):
            call()
    with pytest.raises(ValueError, match=f"scratch: expected {handed.scratch} numbers"):
        predict_row(handed, X[0], out[0], np.empty(handed.scratch - 1))
    scratch = np.full(handed.scratch, np.nan)
    predict(handed, X, out, scratch)
    assert out.tobytes() == net.forward(X).tobytes()
    for n in range(2):
        predict_row(handed, X[n], out[n], scratch)
        jacobian_row(handed, X[n], out[n], jacobian[n], scratch=scratch)
    assert out.tobytes() == net.forward(X).tobytes()
    assert_close(jacobian, net.input_gradient(X, engine="vectorized"))


@COMPILED
def test_nothing_is_allocated():
    net = network([5, 40, 40, 3], activation="gelu", normalization=["batch", "layer"], skip=True, output="softmax")
    X, handed = inputs(net, 50), net.record()
    out, jacobian = room(net, 50)
    for function in (without_gil, nothing, one_array):
        function(handed, X, out, jacobian)

    def allocations(function):
        before = rtsys.get_allocation_stats()
        function(handed, X, out, jacobian)
        after = rtsys.get_allocation_stats()
        return after.alloc - before.alloc, after.mi_alloc - before.mi_alloc

    _nrt_python.memsys_enable_stats()
    try:
        assert allocations(without_gil) == allocations(nothing) != allocations(one_array)  # Python's, for arguments
    finally:
        _nrt_python.memsys_disable_stats()


@COMPILED
def test_many_threads_share_a_record():
    net = network([8, 32, 32, 4], activation="tanh", output="softmax", normalization="layer", skip=True)
    X, handed = inputs(net, 200), net.record()
    expected, _ = net.forward(X).tobytes(), without_gil(handed, X, *room(net, 200))

    def work(_):
        out, jacobian = room(net, 200)
        without_gil(handed, X, out, jacobian)
        return out.tobytes(), jacobian.tobytes()

    with ThreadPoolExecutor(16) as pool:
        results = set(pool.map(work, range(64)))
    assert len(results) == 1
    assert results.pop()[0] == expected


PARALLEL = """
import numba, numpy as np
from numba import njit, prange
from mlp_jit import Network
from mlp_jit.nopython import jacobian_row

@njit(parallel=True)
def rows(record, X, out, jacobian):
    for n in prange(X.shape[0]):
        jacobian_row(record, X[n], out[n], jacobian[n])

net = Network([8, 32, 32, 4], activation="tanh", output="softmax", normalization="layer", skip=True, random_state=0)
X = np.random.default_rng(0).normal(size=(400, 8)).astype("float32")
record, expected = net.record(), net.input_gradient(X, n_threads=1)
for threads in (1, 16):
    numba.set_num_threads(threads)
    out, jacobian = np.empty((400, 4), "float32"), np.empty((400, 4, 8), "float32")
    rows(record, X, out, jacobian)
    print(out.tobytes() == net.forward(X).tobytes(), jacobian.tobytes() == expected.tobytes())
"""


@COMPILED
def test_sixteen_threads_of_prange_share_a_record():
    assert run(PARALLEL, NUMBA_NUM_THREADS="16").split() == ["True"] * 4


# --------------------------------------------------------------------------------------- compiling


@COMPILED
def test_all_networks_of_a_dtype_have_one_type():
    made = [
        network([3, 4, 2]), network([5, 1], output="exp"), network([8, 4, 4, 2], skip=True, normalization="batch"),
        network([3, 3000, 3000, 2], noise=0),
    ]  # fmt: skip
    assert len({numba.typeof(net.record()) for net in made}) == 1
    net = made[0].copy()
    net.params.flags.writeable = False
    assert numba.typeof(net.record()) == numba.typeof(made[0].record())
    assert numba.typeof(network([3, 4, 2], dtype="float64").record()) != numba.typeof(made[0].record())


@COMPILED
def test_the_type_is_another_in_another_version(monkeypatch):
    before = record.RecordType(numba.float32)
    monkeypatch.setattr(record, "sources_digest", lambda: "other sources")
    assert record.RecordType(numba.float32) != before
    assert pickle.loads(pickle.dumps(before)) == before


USER = """
import numpy as np
from numba import njit
from mlp_jit import Network
from mlp_jit.nopython import jacobian_row, predict_row

@njit(cache=True)
def walk(record, x, out, jacobian):
    for _ in range(3):
        predict_row(record, x, out)
        jacobian_row(record, x, out, jacobian)
    return out.sum()

rng = np.random.default_rng(0)
for width in range(1, 11):
    net = Network([width, 3 * width, 3 * width, 2], activation="tanh", output="softmax", random_state=0,
                  normalization=("batch", "layer", None)[width % 3], skip=width > 5)
    X = rng.normal(size=(1, width)).astype("float32")
    out, jacobian = np.empty(2, "float32"), np.empty((2, width), "float32")
    walk(net.record(), X[0], out, jacobian)
    assert out.tobytes() == net.forward(X).tobytes()
print(len(walk.signatures), sum(walk.stats.cache_misses.values()), sum(walk.stats.cache_hits.values()))
"""


@COMPILED
def test_a_users_cached_function_compiles_once_for_all_networks_and_processes(tmp_path):
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    printed = [finish(start("user.py", cwd=tmp_path))[0].split() for _ in range(2)]
    assert printed == [["1", "1", "0"], ["1", "0", "1"]]


@COMPILED
def test_a_record_goes_through_other_functions_and_back():
    net = network([3, 4, 2])

    @njit
    def inner(record, x):
        out = np.empty(record.n_out, x.dtype)
        predict_row(record, x, out)
        return out

    @njit
    def outer(record, x):
        return record, inner(record, x), record.n_in

    X = inputs(net, 1)
    back, out, n_in = outer(net.record(), X[0])
    assert out.tobytes() == net.forward(X).tobytes()
    assert n_in == 3
    assert isinstance(back, NetworkRecord)
    predict_row(back, X[0], out)


@COMPILED
def test_a_record_has_to_be_an_argument():
    net = network([3, 4, 2])
    captured = net.record()

    @njit
    def closure(x, out):
        predict_row(captured, x, out)

    with pytest.raises(TypingError, match="a record has to be an argument"):
        closure(inputs(net)[0], np.empty(2, "float32"))


@COMPILED
def test_compiled_code_refuses_what_it_could_only_misread():
    net = network([3, 4, 2])
    handed, X, (out, jacobian) = net.record(), inputs(net), room(net, 5)
    wide = np.zeros((5, 6), "float32")
    for arguments, message in {
        (0, 1): r"x: expected a C-contiguous array\(float32, 1d\), got array\(float64, 1d, C\)",
        (0, 2): r"x: expected a C-contiguous array\(float32, 1d\), got array\(float32, 1d, A\)",
        (0, 3): r"x: .*, got array\(float32, 2d, C\)",
        (1, 1): r"out: expected a C-contiguous array\(float32, 1d\) that can be written, got array\(float64, 1d, C\)",
        (1, 4): r"out: .* that can be written, got Array\(float32, 1, 'C', False, readonly|out: .* got readonly",
        (2, 1): r"jacobian: expected a C-contiguous array\(float32, 2d\)",
    }.items():
        place, kind = arguments
        locked = out[0].copy()
        locked.flags.writeable = False
        bad = {1: np.zeros(3), 2: wide[0, ::2], 3: X, 4: locked}[kind]
        given = [X[0], out[0], jacobian[0]]
        given[place] = bad
        with pytest.raises(TypingError, match=message):
            call_jacobian(handed, *given)
    with pytest.raises(TypingError, match=r"record: expected what net.record\(\) returns"):
        call_jacobian(1.0, X[0], out[0], jacobian[0])


@njit
def call_jacobian(record, x, out, jacobian):
    jacobian_row(record, x, out, jacobian)


@njit(boundscheck=True)
def checked(record, X, out, jacobian, which):
    if which == 0:
        predict_row(record, X[0], out[0])
    elif which == 1:
        jacobian_row(record, X[0], out[0], jacobian)
    else:
        predict(record, X, out)


@COMPILED
@pytest.mark.bounds
def test_wrong_sizes_raise_where_bounds_are_checked():
    net = network([3, 4, 2])
    handed, number = net.record(), np.float32

    def call(which, x=3, outputs=2, out_rows=4, of=(2, 3)):
        checked(handed, np.zeros((4, x), number), np.zeros((out_rows, outputs), number), np.zeros(of, number), which)

    for which in range(3):
        call(which)
        for wrong in (dict(x=4), dict(x=2), dict(outputs=3), dict(outputs=1)):
            with pytest.raises(IndexError, match="another size"):
                call(which, **wrong)
    for of in ((3, 3), (2, 2)):
        with pytest.raises(IndexError, match="another size"):
            call(1, of=of)
    with pytest.raises(IndexError, match="another size"):
        call(2, out_rows=3)


# --------------------------------------------------------------------------------------- in Python


@COMPILED
def test_check_says_what_was_expected_and_what_came():
    handed = network([3, 4, 2]).record()
    x, out, jacobian = np.zeros(3, "f4"), np.zeros(2, "f4"), np.zeros((2, 3), "f4")
    handed.check(x, out)
    handed.check(x, out, jacobian, np.zeros(5, "f4"))
    handed.check(np.zeros((7, 3), "f4"), np.zeros((7, 2), "f4"))
    locked = out.copy()
    locked.flags.writeable = False
    for arguments, error, message in (
        ((np.zeros(4, "f4"), out), ValueError, r"x: expected shape (3,), got (4,)"),
        ((x, np.zeros(3, "f4")), ValueError, r"out: expected shape (2,), got (3,)"),
        ((np.zeros((7, 3), "f4"), np.zeros((6, 2), "f4")), ValueError, r"out: expected shape (7, 2), got (6, 2)"),
        ((x, out, jacobian.T), ValueError, r"jacobian: expected shape (2, 3), got (3, 2)"),
        ((np.zeros(3), out), TypeError, r"x: expected an array of float32, got one of float64"),
        (([0, 0, 0], out), TypeError, r"x: expected an array of float32, got [0, 0, 0]"),
        ((np.zeros(6, "f4")[::2], out), ValueError, r"x: expected a C-contiguous array"),
        ((x, locked), ValueError, r"out: expected a C-contiguous array that can be written"),
        ((x, out, jacobian, np.zeros(5)), TypeError, r"scratch: expected an array of float32, got one of float64"),
    ):
        with pytest.raises(error, match=f"^{re.escape(message)}$"):
            handed.check(*arguments)
    with pytest.raises(ValueError, match="x: expected 1 dimension, got 2"):
        predict_row(handed, np.zeros((7, 3), "f4"), np.zeros((7, 2), "f4"))
    with pytest.raises(ValueError, match="X: expected 2 dimensions, got 1"):
        predict(handed, x, out)


@COMPILED
def test_it_follows_the_network_as_that_is_trained():
    net = network([3, 8, 8, 2], activation="tanh", normalization="batch", skip=True)
    X, handed = inputs(net, 40), net.record()
    before, after = room(net, 40)[0], room(net, 40)[0]
    rows(handed, X, before)
    fit(net, X, X[:, :2], epochs=2, random_state=0)
    rows(handed, X, after)
    assert after.tobytes() == net.forward(X).tobytes() != before.tobytes()


@COMPILED
def test_it_outlives_its_network():
    net = network([3, 4, 2])
    X, handed, expected = inputs(net), net.record(), net.forward(inputs(net))
    del net
    filler = [np.full(22, np.nan, "float32") for _ in range(1000)]  # where the parameters would have been
    out = np.empty((5, 2), "float32")
    rows(handed, X, out)
    assert out.tobytes() == expected.tobytes()
    assert len(filler) == 1000


@COMPILED
def test_it_belongs_to_its_process():
    handed = network([3, 4, 2]).record()
    for send in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="holds addresses"):
            send(handed)


@COMPILED
def test_the_readme_shows_what_works(tmp_path):
    """Its function goes down ŷ_0 along the gradient."""
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/guide/deployment.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (block,) = (block for block in blocks if "mlp_jit.nopython" in block)
    (tmp_path / "readme.py").write_text(block, encoding="utf-8")
    net = network([3, 8, 2], activation="tanh")
    x, out, jacobian = inputs(net)[0], *room(net, 1)
    before = net.forward(x[None])[0, 0]
    known = runpy.run_path(str(tmp_path / "readme.py"), {"net": net, "x": x, "out": out[0], "jacobian": jacobian[0]})
    assert known["out"].tobytes() == net.forward(x[None]).tobytes()
    assert known["out"][0] < before - 0.1


@pytest.mark.python
@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="where nothing is compiled")
def test_a_record_needs_compiled_code():
    with pytest.raises(NotImplementedError, match="NUMBA_DISABLE_JIT"):
        network([3, 4, 2]).record()
