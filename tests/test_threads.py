"""Many threads, forks and worker processes: nothing hangs, nothing dies, and the bits are the same."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from problems import COMPILED, works_in_parallel
from processes import run

from mlp_jit import Network, fit

X = np.random.default_rng(0).normal(size=(300, 8)).astype("float32")
Y = X[:, :2] * X[:, 2:4]


@pytest.fixture(autouse=True)
def always_parallel(monkeypatch):
    """However small the work is."""
    for engine in COMPILED.values():
        works_in_parallel(monkeypatch, engine, 0)


def make(seed=0) -> Network:
    return Network([8, 16, 2], activation="tanh", random_state=seed)


def trained(seed=0, **settings) -> list[float]:
    net = make(seed)
    history = fit(net, X, Y, epochs=2, batch_size=50, random_state=seed, **settings)
    return [*net.params.tolist(), *history.loss]


# --------------------------------------------------------------------------------------- threads


def at_once(function, arguments) -> list:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, arguments, timeout=100))


@pytest.mark.threads
@pytest.mark.parametrize("n_threads", [None, 1, 2])
def test_forward_from_many_threads(engine, n_threads):
    net = make()
    expected = net.forward(X, engine=engine).tobytes()
    outputs = at_once(lambda _: net.forward(X, engine=engine, n_threads=n_threads).tobytes(), range(64))
    assert set(outputs) == {expected}


@pytest.mark.threads
def test_training_in_many_threads(engine):
    expected = [trained(seed, engine=engine) for seed in range(4)]
    assert at_once(lambda seed: trained(seed, engine=engine), [0, 1, 2, 3] * 4) == expected * 4


@pytest.mark.threads
@pytest.mark.parametrize("n_threads", [1, 2, 3, 10_000])
def test_any_number_of_threads_gives_the_same_bits(engine, n_threads):
    """A number above what Numba was started with is clamped."""
    assert trained(engine=engine, n_threads=n_threads, dropout=0.2) == trained(engine=engine, dropout=0.2)
    parallel, other = (make().gradient(X, Y, engine=engine, n_threads=n) for n in (None, n_threads))
    assert (other[0], other[1].tobytes()) == (parallel[0], parallel[1].tobytes())


@pytest.mark.threads
@pytest.mark.parametrize("n_threads", [None, 1, 10_000])
def test_numba_keeps_its_number_of_threads(engine, n_threads):
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        make().forward(X, engine=engine, n_threads=n_threads)
        trained(engine=engine, n_threads=n_threads)
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(before)


# --------------------------------------------------------------------------------------- layers, forks, workers

PRELUDE = """
import os, sys, threading
import numba, numpy as np
from mlp_jit import Network, fit
from mlp_jit.engines.lanes import session as lanes
from mlp_jit.engines.loops import session as loops
from mlp_jit._jit import threading_layer

lanes.PARALLEL_WORK = loops.PARALLEL_WORK = 0
try:
    layer = threading_layer()
except ValueError:  # this machine does not have it
    print("skip")
    sys.exit()
assert layer == os.environ.get("NUMBA_THREADING_LAYER", layer)
X = np.random.default_rng(0).normal(size=(300, 8)).astype("float32")

def work(seed):
    made = b""
    for engine in ("loops", "lanes"):
        net = Network([8, 16, 2], random_state=seed)
        fit(net, X, X[:, :2], epochs=3, batch_size=50, engine=engine, random_state=seed)
        made += net.params.tobytes() + net.forward(X, engine=engine).tobytes()
    return made

expected = [work(seed) for seed in range(4)]
"""
THREADS = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    assert list(pool.map(work, [0, 1, 2, 3] * 8)) == expected * 8
print("same")
"""
FORK = """
def child(seed):
    try:
        os._exit(0 if work(seed) == expected[seed] else 3)
    except BaseException:
        os._exit(4)

busy = True
def train():
    while busy:
        work(0)

background = threading.Thread(target=train)
if MEANWHILE:
    background.start()
children = []
for seed in [0, 1, 2, 3] * 2:
    pid = os.fork()
    if pid == 0:
        child(seed)
    children.append(pid)
statuses = [os.waitpid(pid, 0)[1] for pid in children]
busy = False
if MEANWHILE:
    background.join()
assert statuses == [0] * 8, statuses
assert work(1) == expected[1]  # and the parent goes on
print("same")
"""
LOKY = """
import joblib
assert joblib.Parallel(2, backend="loky")(joblib.delayed(work)(seed) for seed in range(4)) == expected
print("same")
"""
LOKY_MAPPED = """
import joblib

def large(net, X):
    fit(net, X, X[:, :2], epochs=1, batch_size=100, random_state=0, n_threads=1)
    return net

net, X = Network([8, 40_000, 2], random_state=0), np.ones((40_000, 8), "float32")[:200]
here = large(net.copy(), X)
there, = joblib.Parallel(2, backend="loky")([joblib.delayed(large)(net, X)])
assert (there.params == here.params).all()
print("same")
"""
LAYERS = pytest.mark.parametrize("layer", [None, "omp", "workqueue"])
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's own libraries can be trusted to fork")


def same(code: str, layer: str | None) -> None:
    layers = {} if layer is None else {"NUMBA_THREADING_LAYER": layer}
    said = run(PRELUDE + code, **layers).split()
    if said == ["skip"]:
        pytest.skip(f"there is no {layer} here")
    assert said[-1:] == ["same"]


@LAYERS
def test_many_threads_at_once_on_each_layer(layer):
    """On workqueue two threads that enter parallel code at once abort the process."""
    same(THREADS, layer)


@linux
@LAYERS
@pytest.mark.parametrize("meanwhile", [False, True])
def test_training_after_a_fork(layer, meanwhile):
    """On omp a child that opens a parallel region is killed."""
    same(FORK.replace("MEANWHILE", str(meanwhile)), layer)


COMPILING = """
import os, signal, threading, time
from numba.core.compiler_lock import global_compiler_lock
import mlp_jit

held = threading.Event()

def compile_long():
    with global_compiler_lock:
        held.set()
        time.sleep(0.3)

threading.Thread(target=compile_long).start()
held.wait()
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    with global_compiler_lock:
        os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
with global_compiler_lock:
    print("same")
"""


@linux
def test_a_fork_while_another_thread_compiles():
    """The child would inherit Numba's lock, which nobody there could give back."""
    assert run(COMPILING) == "same\n"


def test_training_in_a_joblib_worker():
    pytest.importorskip("joblib")
    same(LOKY, None)


def test_a_joblib_worker_can_train_a_large_network():
    """joblib hands arrays of more than a megabyte to its workers as read-only memory maps."""
    pytest.importorskip("joblib")
    same(LOKY_MAPPED, None)
