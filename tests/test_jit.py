"""How the package compiles: lazily, with one set of flags, cached where the disk allows it; and which twin runs."""

import importlib
import os
import pkgutil
import re
import shutil
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from numba.core.registry import CPUDispatcher
from processes import ROOT, finish, run, start

import mlp_jit
from mlp_jit import _jit
from mlp_jit.engines.lanes.simd import at

compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="routines exist only compiled")
MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(mlp_jit.__path__, "mlp_jit.")
    if not module.name.endswith("__main__")
]
NAMED = {f"{module.__name__}.{name}": value for module in MODULES for name, value in vars(module).items()}
TWINS = {name: value for name, value in NAMED.items() if isinstance(value, _jit.Twins)}
ROUTINES = {name: value for name, value in NAMED.items() if isinstance(value, _jit.Routine)}
COMPILED = {name: value for name, value in NAMED.items() if isinstance(value, CPUDispatcher)} | {
    f"{name}.{kind}": getattr(twins, kind) for name, twins in TWINS.items() for kind in ("serial", "parallel")
}
COMPILED |= {name: routine.compiled for name, routine in ROUTINES.items() if routine.compiled}


# --------------------------------------------------------------------------------------- flags and twins


def test_every_function_is_compiled_with_the_flags_of_the_house():
    assert len(COMPILED) > 50
    for name, function in COMPILED.items():
        for flag, value in _jit.FLAGS.items():
            assert function.targetoptions[flag] == value, (name, flag)
        assert "_nrt" in function.targetoptions, name


def test_isnan_and_isinf_are_not_optimised_away():
    fastmath = _jit.FLAGS["fastmath"]
    assert fastmath is not True
    assert not {"nnan", "ninf", "fast"} & set(fastmath or ())


def test_a_twin_calls_twins_of_its_own_kind():
    """A serial driver that called a parallel twin would open a region."""
    for twins in TWINS.values():
        for kind in ("serial", "parallel"):
            function = getattr(twins, kind).py_func
            for name in function.__code__.co_names:
                original = twins.__wrapped__.__globals__.get(name)
                if isinstance(original, _jit.Twins):
                    assert function.__globals__[name] is getattr(original, kind), (function.__name__, name)


def test_only_parallel_twins_that_own_a_prange_are_parallel():
    for name, twins in TWINS.items():
        has_prange = "prange" in twins.__wrapped__.__code__.co_names
        assert twins.parallel.targetoptions.get("parallel", False) is has_prange, name
        assert twins.serial.targetoptions.get("parallel", False) is False, name


def test_a_routine_says_so_where_python_calls_it():
    assert len(ROUTINES) > 30
    for routine in ROUTINES.values():
        with pytest.raises(TypeError, match="compiled code only"):
            routine(1, 2)


def test_twins_are_cached_under_names_of_their_own():
    """Numba's cache tells functions apart by file, line and name, and not by flags."""
    for name, twins in TWINS.items():
        names = {twins.serial.py_func.__qualname__, twins.parallel.py_func.__qualname__}
        assert names == {f"{twins.__name__}_serial", f"{twins.__name__}_parallel"}, name


@_jit.twins
def inner(x):
    """layout: doubles x."""
    for n in numba.prange(x.size):
        x[n] *= 2


@_jit.twins
def outer(x):
    """layout: doubles x twice."""
    inner(x)
    inner(x)


@pytest.mark.python
@pytest.mark.threads
@pytest.mark.parametrize("parallel", [False, True])
def test_both_twins_do_the_same(parallel):
    x = np.ones(5)
    _jit.call(outer, x, n_threads=None, parallel=parallel)
    np.testing.assert_array_equal(x, np.full(5, 4.0))


@_jit.routine
def mark(x: _jit.Doubles, w: _jit.Size) -> None:
    """layout: worker w adds 2 to x[w]."""
    x[w] += 2


@_jit.kernel
def mark_alone(address, x, workers):
    """layout: `mark` as worker 0."""
    _jit.run(address, at(x, 0), 0)


@_jit.kernel
def mark_together(address, x, workers):
    """layout: `mark` as every worker."""
    _jit.run_by_all(address, at(x, 0), workers)


@compiled
@pytest.mark.threads
def test_each_worker_has_its_number():
    present = _jit.threads(None)
    crossing = _jit.Crossing(mark_alone, mark_together)
    for parallel, workers in ((False, 1), (True, present)):
        x = np.zeros(present + 1)
        _jit.call(crossing, mark.address(), x, workers, n_threads=None, parallel=parallel)
        np.testing.assert_array_equal(x, 2.0 * (np.arange(present + 1) < workers))


@_jit.routine
def note(x: _jit.Doubles, size: _jit.Size, truth: _jit.Size) -> None:
    """layout: what arrived."""
    x[0], x[1] = size, truth


@_jit.kernel
def hand_over(address, x, size, other):
    """layout: a whole number of any width, and whether it is less than another."""
    _jit.run(address, at(x, 0), size, size < other)


@compiled
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("other", [-7, 7])
def test_whole_numbers_and_truths_fill_their_register(kind, other):
    """A caller that sets 8 bits of 64 leaves the others as they were: aarch64 got wrong gradients, x86 was lucky."""
    x = np.empty(2)
    hand_over(note.address(), x, kind(5), other)
    assert x.tolist() == [5, other > 5]
    for code in hand_over.inspect_llvm().values():
        assert re.search(r"call i32 %\S+\(([^,()]+, ){3}i64 [^,]+, i64 [^,]+\)", code)


# --------------------------------------------------------------------------------------- call: which twin runs

EITHER = SimpleNamespace(serial=lambda: "serial", parallel=lambda: "parallel")


@pytest.fixture
def layer(monkeypatch):
    """Sets the threading layer that `call` sees, and two threads to run on."""

    def choose(name):
        monkeypatch.setattr(_jit, "threading_layer", lambda: name)
        monkeypatch.setattr(_jit, "threads", lambda n_threads: min(n_threads or 2, 2))

    monkeypatch.setattr(_jit.numba, "set_num_threads", lambda n_threads: None)
    return choose


@pytest.mark.parametrize("name", ["tbb", "omp", "workqueue"])
@pytest.mark.parametrize(
    ("n_threads", "parallel", "twin"),
    [
        (None, True, "parallel"),
        (2, True, "parallel"),
        (1, True, "serial"),
        (None, False, "serial"),
    ],
)
def test_a_twin_is_chosen_by_work_and_threads(layer, name, n_threads, parallel, twin):
    layer(name)
    for _ in range(2):  # the second call finds everything as the first did
        assert _jit.call(EITHER, n_threads=n_threads, parallel=parallel) == twin


@pytest.mark.parametrize(("name", "twin"), [("tbb", "parallel"), ("omp", "parallel"), ("workqueue", "serial")])
def test_two_at_once_share_no_workqueue(layer, name, twin):
    layer(name)
    nested = SimpleNamespace(parallel=lambda: _jit.call(EITHER, n_threads=None, parallel=True))
    assert _jit.call(nested, n_threads=None, parallel=True) == twin


def test_an_error_leaves_the_workqueue_free(layer):
    def fail():
        raise ZeroDivisionError

    layer("workqueue")
    with pytest.raises(ZeroDivisionError):
        _jit.call(SimpleNamespace(parallel=fail), n_threads=None, parallel=True)
    assert _jit.call(EITHER, n_threads=None, parallel=True) == "parallel"


def test_an_error_leaves_the_number_of_threads():
    def fail():
        assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
        raise ZeroDivisionError

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with pytest.raises(ZeroDivisionError):
            _jit.call(SimpleNamespace(parallel=fail, serial=fail), n_threads=10_000, parallel=True)
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(before)


# --------------------------------------------------------------------------------------- import, cache


IMPORT = """
import sys
from numba.core import event
with event.install_recorder("numba:compile") as recorder:
    import mlp_jit, mlp_jit.estimators, mlp_jit.demo
    print(len(recorder.buffer), len({"rich", "matplotlib"} & set(sys.modules)))
"""
IMPORT_ALONE = """
import gc, sys
import numba
others = set(sys.modules)  # Numba looks for SciPy itself
import mlp_jit
print(sorted({"sklearn", "scipy", "rich", "matplotlib", "pandas"} & (set(sys.modules) - others)))
from numba.core.registry import CPUDispatcher
compiled = [x for x in gc.get_objects() if isinstance(x, CPUDispatcher) and x.__module__.startswith("mlp_jit")]
print(len(compiled) > 50, sum(len(x.signatures) for x in compiled))
"""


def test_importing_compiles_nothing_and_loads_nothing_else():
    assert run(IMPORT) == "0 0\n"
    assert run(IMPORT_ALONE) == "[]\nTrue 0\n"


def test_an_uninstalled_copy_compiles_in_two_processes_at_once(tmp_path):
    """Into one empty cache; and what is loaded from it gives the same bits, on one thread and on two."""
    shutil.copytree(ROOT / "mlp_jit", tmp_path / "copy" / "mlp_jit", ignore=shutil.ignore_patterns("__pycache__"))
    code = """
import numpy as np
import mlp_jit
from mlp_jit.engines.loops import session as loops
loops.PARALLEL_WORK = 0
net = mlp_jit.Network([8, 16, 2], random_state=0)
X = np.random.default_rng(0).normal(size=(300, 8))
print(mlp_jit.__file__, *(net.forward(X, n_threads=n).tobytes().hex() for n in (1, 2)))
"""
    settings = {"root": tmp_path / "copy", "cwd": tmp_path, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    at_once = [start("-c", code, **settings) for _ in range(2)]
    outputs = [finish(process)[0].split() for process in at_once]
    assert list((tmp_path / "cache").rglob("*.nbc"))
    outputs.append(run(code, **settings).split())
    assert {file for file, *_ in outputs} == {os.path.join(tmp_path, "copy", "mlp_jit", "__init__.py")}
    assert len({forward for _, *forwards in outputs for forward in forwards}) == 1
