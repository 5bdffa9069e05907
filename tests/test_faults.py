"""Faults, tried on purpose: kills, full disks, little memory, signals, many threads, damaged files.

`make test-faults` tries each a few times; FAULTS=10 ten times as often.
"""

import gc
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from processes import finish, run, start

from mlp_jit import Callback, MLPClassifier, Network, fit, load, save

resource = pytest.importorskip("resource")

pytestmark = [pytest.mark.faults, pytest.mark.skipif(sys.platform != "linux", reason="signals and limits of Linux")]
TIMES = int(os.environ.get("FAULTS", "1"))
HERE = {"PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{Path(__file__).parents[1]}"}
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 8)).astype("float32")
Y = X[:, :2] * X[:, 2:4]


def digest_of(program, *arguments, **environment):
    return finish(start("-c", program, *map(str, arguments), **HERE | environment))[0]


# --------------------------------------------------------------------------------------- kill -9

FIT = """
import hashlib, sys, warnings
import test_checkpoint as t
warnings.simplefilter("ignore")
path, case, n_threads = sys.argv[1:]
every = t.Checkpoint(path, every=0)
if case in t.CASES:
    params, state, history = t.run(every, case=case, epochs=60, n_threads=int(n_threads))
    kept = params.tobytes(), state.tobytes(), history
else:
    kept = t.learnt(t.estimator(case.removeprefix("estimator: "), every, n_threads=int(n_threads), max_iter=40))
print(hashlib.sha256(repr(kept).encode()).hexdigest())
"""
CASES = [
    "sgd", "adam, dropout and cosine", "by batch, with early stopping", "estimator: early stopping, by batch",
    "estimator: lbfgs",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_fit_that_is_killed_again_and_again(case, tmp_path):
    """At moments of chance, on one thread and on two: the same bits in the end."""
    expected = digest_of(FIT, tmp_path / "whole", case, 1)
    chance, path = np.random.default_rng(len(case)), tmp_path / "cut"
    for kills in range(5 * TIMES):
        process = start("-c", FIT, str(path), case, str(1 + kills % 2), **HERE)
        wait_for_a_write(path, process)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.communicate()
        if kills % 5 == 4:  # to the end, and again from the beginning
            assert digest_of(FIT, path, case, 2) == expected
            path.unlink()


def wait_for_a_write(path, process):
    """Until something new is written there: importing takes most of the time."""
    before = path.exists() and path.stat().st_mtime_ns
    while process.poll() is None and (path.exists() and path.stat().st_mtime_ns) == before:
        time.sleep(0.002)


SAVE = """
import sys
from mlp_jit import Network, save
one, other = (Network([30, 300, 1], random_state=seed) for seed in (1, 2))
while True:
    save(one, sys.argv[1])
    save(other, sys.argv[1])
"""


def test_a_save_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path):
    path, chance = tmp_path / "model.mlp", np.random.default_rng(0)
    expected = {Network([30, 300, 1], random_state=seed).params.tobytes() for seed in (1, 2)}
    for _ in range(5 * TIMES):
        process = start("-c", SAVE, str(path))
        wait_for_a_write(path, process)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.communicate()
        assert load(path).params.tobytes() in expected


# --------------------------------------------------------------------------------------- full disks, little memory

FULL = """
import errno, os, resource, sys
from mlp_jit import Network, fit, load, save
import numpy as np
path = sys.argv[1]
save(Network([2, 2], random_state=0), path)
before = open(path, "rb").read()
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
X = np.ones((50, 200), "float32")
for attempt in (
    lambda: save(Network([200, 200]), path), lambda: fit(Network([200, 200]), X, X, epochs=2, checkpoint=path + ".run")
):
    try:
        attempt()
    except OSError as error:
        assert error.errno == errno.EFBIG, error
    else:
        raise AssertionError("written")
assert open(path, "rb").read() == before
net = Network([200, 200], random_state=0)
fit(net, X, X, epochs=2, random_state=0)  # and what it compiles for the first time is not kept
print(float(np.abs(net.params).sum()), os.listdir(os.path.dirname(path)))
"""


def test_a_full_disk_leaves_what_was_there_and_compiles_without_keeping(tmp_path):
    """A limit on the size of files stands for it: both end in an OSError within `write`."""
    net, ones = Network([200, 200], random_state=0), np.ones((50, 200), "float32")
    fit(net, ones, ones, epochs=2, random_state=0)
    for folder in ("files", "cache"):
        (tmp_path / folder).mkdir()
    said = run(
        f"import sys; sys.argv.append({str(tmp_path / 'files' / 'model.mlp')!r})" + FULL,
        NUMBA_CACHE_DIR=tmp_path / "cache",
    )
    assert said.startswith(f"{np.abs(net.params).sum()} ['model.mlp']")


LITTLE = """
import resource
import numpy as np
from mlp_jit import Network, fit
X = np.ones((50, 8), "float32")
def trained():
    net = Network([8, 16, 2], random_state=0)
    fit(net, X, X[:, :2], epochs=2, random_state=0)
    return net.params.tobytes()
expected = trained()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20),) * 2)
for attempt in (lambda: Network([10_000, 10_000]), lambda: Network([8, 2_000_000, 4])):
    try:
        fit(attempt(), np.ones((9, 8), "float32"), np.ones((9, 4)))
    except MemoryError:
        pass
    else:
        raise AssertionError("there was memory")
assert trained() == expected
print("same")
"""


def test_too_little_memory_is_a_memory_error_and_nothing_else():
    assert run(LITTLE) == "same\n"


# --------------------------------------------------------------------------------------- signals

WORK = """
import hashlib
import numpy as np
from mlp_jit import Network, fit
net = Network([8, 64, 2], random_state=0)
X = np.random.default_rng(0).normal(size=(2000, 8)).astype("float32")
fit(net, X, X[:, :2], epochs=400, batch_size=20, random_state=0)
print(hashlib.sha256(net.params.tobytes()).hexdigest())
"""


def test_a_process_that_is_stopped_and_goes_on():
    expected = digest_of(WORK)
    process, chance = start("-c", WORK), np.random.default_rng(0)
    while process.poll() is None:
        for number in (signal.SIGSTOP, signal.SIGCONT):
            process.send_signal(number)
            time.sleep(chance.uniform(0, 0.05))
    assert finish(process)[0] == expected


def test_ctrl_c_while_importing_and_compiling(tmp_path):
    """However far it came: what is in the cache then is right."""
    quick, chance = WORK.replace("epochs=400", "epochs=1"), np.random.default_rng(0)
    expected = digest_of(quick)
    for _ in range(4 * TIMES):
        process = start("-c", quick, NUMBA_CACHE_DIR=str(tmp_path))
        time.sleep(chance.uniform(0.1, 4))
        process.send_signal(signal.SIGINT)
        said, error = process.communicate(timeout=100)
        assert said == expected or "KeyboardInterrupt" in error or "Training interrupted by user" in error, error
    assert digest_of(quick, NUMBA_CACHE_DIR=str(tmp_path)) == expected


# --------------------------------------------------------------------------------------- many threads

MANY = """
import sys, threading, os
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from mlp_jit import Network, fit
from mlp_jit.engines.lanes import session as lanes
from mlp_jit._jit import threading_layer
lanes.PARALLEL_WORK = 0
assert threading_layer() == os.environ["NUMBA_THREADING_LAYER"]
X = np.random.default_rng(0).normal(size=(300, 8)).astype("float32")
shared = Network([8, 16, 2], random_state=9)

def work(seed):
    if seed % 4:
        return shared.forward(X[: 1 + 7 * seed]).tobytes()
    net = Network([8, 16, 2], random_state=seed)
    fit(net, X, X[:, :2], epochs=1, batch_size=50, random_state=seed)
    return net.params.tobytes()

expected = [work(seed) for seed in range(16)]
with ThreadPoolExecutor(16) as pool:
    assert list(pool.map(work, [*range(16)] * (int(sys.argv[1]) // 16))) == expected * (int(sys.argv[1]) // 16)
print("same")
"""


@pytest.mark.parametrize("layer", ["tbb", "omp", "workqueue"])
def test_predictions_and_fits_from_sixteen_threads(layer):
    assert digest_of(MANY, 1600 * TIMES, NUMBA_THREADING_LAYER=layer) == "same\n"


def test_a_network_that_is_dropped_while_another_thread_predicts():
    expected = Network([8, 16, 2], random_state=0).forward(X).tobytes()
    held = [Network([8, 16, 2], random_state=0)]

    def predict(_):
        return held[0].forward(X).tobytes()

    done = threading.Event()

    def drop():
        while not done.is_set():
            held[0] = Network([8, 16, 2], random_state=0)
            gc.collect(0)

    dropper = threading.Thread(target=drop)
    dropper.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(predict, range(1000 * TIMES))) == {expected}
    finally:
        done.set()
        dropper.join()


# --------------------------------------------------------------------------------------- callbacks


class Meddling(Callback):
    """Does something to the very model that is being trained."""

    def __init__(self, meddle):
        self.meddle = meddle

    def on_epoch(self, training):
        self.meddle(training.network)


def trained(meddle=None):
    net = Network([8, 16, 2], random_state=0)
    fit(net, X, Y, epochs=4, random_state=0, callbacks=[Meddling(meddle)] if meddle else ())
    return net.params.tobytes()


def test_a_callback_may_predict_and_measure_with_the_model():
    assert trained(lambda net: (net.forward(X), net.gradient(X, Y), net.copy(), fit(net.copy(), X, Y))) == trained()


def test_a_callback_may_train_the_model_itself():
    once = Network([8, 16, 2], random_state=0)
    for epoch in range(2):
        fit(once, X, Y, epochs=1, shuffle=False, optimizer="sgd")
        if epoch == 0:
            fit(once, X, Y, epochs=1, shuffle=False, optimizer="sgd", learning_rate=0.1)
    twice, first = Network([8, 16, 2], random_state=0), []

    def train(net):
        if not first:
            first.append(fit(net, X, Y, epochs=1, shuffle=False, optimizer="sgd", learning_rate=0.1))

    fit(twice, X, Y, epochs=2, shuffle=False, optimizer="sgd", callbacks=[Meddling(train)])
    np.testing.assert_array_equal(twice.params, once.params)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_callback_that_raises_leaves_an_estimator_that_predicts_and_trains():
    def fail(net):
        raise ZeroDivisionError

    classes = (Y[:, 0] > 0).astype(int)
    estimator = MLPClassifier(max_iter=3, callbacks=[Meddling(fail)], random_state=0)
    with pytest.raises(ZeroDivisionError):
        estimator.fit(X, classes)
    assert estimator.predict(X).shape == (300,)
    estimator.set_params(callbacks=None).fit(X, classes)
    again = MLPClassifier(max_iter=3, random_state=0).fit(X, classes)
    np.testing.assert_array_equal(estimator.network_.params, again.network_.params)


# --------------------------------------------------------------------------------------- damaged files


def test_damaged_files(tmp_path):
    """Bits, bytes, cuts, doubled and moved pieces: each is a ValueError, soon, in little memory."""
    path = tmp_path / "model.mlp"
    save(
        MLPClassifier((3,), random_state=0, max_iter=1, warm_start=True).partial_fit(X, Y[:, 0] > 0, classes=[0, 1]),
        path,
    )
    whole, chance, slowest = path.read_bytes(), np.random.default_rng(0), 0.0
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10_000 * TIMES):
        damaged = DAMAGES[chance.integers(len(DAMAGES))](bytearray(whole), chance)
        if damaged == whole:
            continue
        path.write_bytes(damaged)
        started = time.perf_counter()
        with pytest.raises(ValueError, match="expected a model that was saved, got"):
            load(path)
        slowest = max(slowest, time.perf_counter() - started)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    print(f"slowest {slowest * 1e3:.1f} ms, {grown / 1024:.1f} MB more")
    assert grown < 50 * 1024


def flip(data, chance):
    for place in chance.integers(0, 8 * len(data), chance.integers(1, 4)):
        data[place // 8] ^= 1 << place % 8
    return bytes(data)


def overwrite(data, chance):
    start, length = chance.integers(len(data)), chance.integers(1, 50)
    data[start : start + length] = chance.bytes(len(data[start : start + length]))
    return bytes(data)


def cut(data, chance):
    start, length = chance.integers(len(data)), chance.integers(1, len(data))
    return bytes(data[:start] + data[start + length :])


def double(data, chance):
    start, length = chance.integers(len(data)), chance.integers(1, 100)
    return bytes(data[: start + length] + data[start:])


def length_of_the_header(data, chance):
    return int(chance.integers(0, 1 << int(chance.integers(1, 63)))).to_bytes(8, "little") + bytes(data[8:])


DAMAGES = [flip, overwrite, cut, double, length_of_the_header]
