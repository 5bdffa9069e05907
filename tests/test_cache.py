"""The disk cache: what a changed source, two writers at once, an unwritable disk and `warmup` do to it."""

import errno
import io
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from processes import ROOT, finish, run, start

from mlp_jit import __main__, _cache, warmup
from mlp_jit._jit import kernel

CALLER = """
from numba.core import event
with event.install_recorder("numba:run_pass") as passes:
    from mlp_jit._jit import kernel
    from mlp_jit.activations import relu

    @kernel
    def caller(z):
        "math: calls a kernel of another file."
        return relu(z)

    print(caller(-2.0), len(passes.buffer) > 0)
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package, and what starts a process with it."""
    shutil.copytree(ROOT / "mlp_jit", tmp_path / "mlp_jit", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "mlp_jit", {"root": tmp_path, "cwd": tmp_path, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}


def kept_in(folder):
    """The folders of a package beside whose files compiled code is kept."""
    return folder, *(folder / "engines" / name for name in ("", "loops", "vectorized", "lanes"))


def test_a_changed_callee_in_another_file_is_compiled_anew(package, tmp_path):
    """Also where its file's time and length are as before, as in wheels built with SOURCE_DATE_EPOCH."""
    folder, settings = package
    settings |= {"PYTHONDONTWRITEBYTECODE": "1"}  # Python itself would go by time and length
    (tmp_path / "caller.py").write_text(CALLER, encoding="utf-8")
    callee = folder / "activations.py"
    times = callee.stat()
    outputs = [finish(start("caller.py", **settings))[0].split() for _ in range(2)]
    text = callee.read_text(encoding="utf-8")
    assert text.count("return np.maximum(z, number_of") == 1
    callee.write_text(
        text.replace("return np.maximum(z, number_of", "return np.minimum(z, number_of"), encoding="utf-8"
    )
    os.utime(callee, ns=(times.st_atime_ns, times.st_mtime_ns))
    outputs += [finish(start("caller.py", **settings))[0].split() for _ in range(2)]
    assert outputs == [["0.0", "True"], ["0.0", "False"], ["-2.0", "True"], ["-2.0", "False"]]
    assert len(list((tmp_path / "cache").rglob("caller.caller-*.nbc"))) == 1  # what cannot be used any more is gone


def test_two_writers_at_once_do_not_mix_up_their_keys(tmp_path):
    """Numba's own files do: each writer finds no index, and takes the first number for its data."""
    together = Barrier(2, timeout=20)

    class Writer(_cache._Files):
        def _dump(self, data):
            together.wait()  # neither has written anything yet
            return super()._dump(data)

    writers = {name: Writer(str(tmp_path), "kernel", "stamp") for name in ("relu", "tanh")}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: writers[name].save(name, f"code of {name}"), writers))
    reader = _cache._Files(str(tmp_path), "kernel", "stamp")
    found = {name: reader.load(name) for name in ("relu", "tanh", "elu")}
    assert found == {"relu": "code of relu", "tanh": "code of tanh", "elu": None}


def test_a_file_of_another_key_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(_cache, "_digest", lambda *parts: "the same")
    files = _cache._Files(str(tmp_path), "kernel", "stamp")
    files.save("relu", 1)
    assert [files.load("relu"), files.load("tanh")] == [1, None]


def test_what_another_version_of_numba_wrote_is_not_taken_and_stays(tmp_path, monkeypatch):
    files = _cache._Files(str(tmp_path), "kernel", "stamp")
    ours = _cache.numba.__version__
    for version in ("0.1", ours):
        monkeypatch.setattr(_cache.numba, "__version__", version)
        assert files.load("relu") is None
        files.save("relu", f"code by {version}")
    for version in ("0.1", ours):  # two environments may share a cache
        monkeypatch.setattr(_cache.numba, "__version__", version)
        assert files.load("relu") == f"code by {version}"


PREDICTIONS = """
import sys
import numpy as np
from numba.core import event
with event.install_recorder("numba:run_pass") as passes:
    from mlp_jit import Network
    X = np.linspace(-2, 2, 12, dtype="float32").reshape(3, 4)
    for activation in sys.argv[1:]:
        network = Network([4, 5, 2], activation=activation, random_state=0)
        assert np.allclose(network.forward(X), network.forward(X, engine="vectorized"), atol=1e-6), activation
    print(len(passes.buffer) > 0)
"""


def test_two_processes_that_compile_at_once_both_work_and_a_third_compiles_nothing(tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    both = [start("-c", PREDICTIONS, *names, **cache) for names in (["relu", "tanh"], ["tanh", "relu"])]
    assert [finish(process, timeout=100)[0] for process in both] == ["True\n", "True\n"]
    assert finish(start("-c", PREDICTIONS, "tanh", "relu", **cache))[0] == "False\n"


def cut(content):
    return content[: len(content) // 2]


def emptied(content):
    return b""


def flipped(content):
    """Another bit in each file."""
    place = len(content) * 7 // 11
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A cache for PREDICTIONS of relu."""
    folder = tmp_path_factory.mktemp("kept")
    assert finish(start("-c", PREDICTIONS, "relu", NUMBA_CACHE_DIR=str(folder)))[0] == "True\n"
    return folder


@pytest.mark.parametrize("damage", [cut, emptied, flipped])
def test_a_damaged_cache_heals(damage, kept, tmp_path):
    """Every file of it: the same answers, and what is right again is used."""
    cache = shutil.copytree(kept, tmp_path / "cache")
    files = list(cache.rglob("*.nbc"))
    assert len(files) >= 5
    for file in files:
        file.write_bytes(damage(file.read_bytes()))
    code = "import logging\nlogging.basicConfig()\nlogging.getLogger('mlp_jit').setLevel('DEBUG')\n" + PREDICTIONS
    printed = [finish(start("-c", code, "relu", NUMBA_CACHE_DIR=str(cache))) for _ in range(2)]
    assert [out for out, _ in printed] == ["True\n", "False\n"]
    lines = [err.splitlines() for _, err in printed]
    assert len(lines[0]) == len(files)
    assert all(line.startswith("DEBUG:mlp_jit.cache:") and "compiling anew" in line for line in lines[0])
    assert lines[1] == []


def test_a_cache_that_cannot_be_written_keeps_nothing_and_raises_nothing(tmp_path, monkeypatch, caplog):
    """A full disk, or a folder that turned read-only."""

    @kernel
    def double(x):
        """math: twice x."""
        return 2 * x

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_cache._Files, "_open_for_write", full)
    with caplog.at_level("DEBUG", "mlp_jit.cache"):
        assert double(21) == 42
    assert ["No space left on device" in record.message for record in caplog.records] == [True]


def test_a_file_that_cannot_be_read_is_as_none(tmp_path, caplog):
    files = _cache._Files(str(tmp_path), "kernel", "stamp")
    (tmp_path / files._name("relu")).mkdir()
    with caplog.at_level("DEBUG", "mlp_jit.cache"):
        assert files.load("relu") is None
    assert "not usable" in caplog.text


def test_a_read_only_installation_compiles_once_into_the_users_own_folder(package, tmp_path):
    folder, settings = package
    for place in kept_in(folder):
        (place / "__pycache__").write_text("")  # a file where a folder should be, since nothing stops root
    home = tmp_path / "home"
    home.mkdir()
    settings |= {"NUMBA_CACHE_DIR": None, "PYTHONDONTWRITEBYTECODE": "1"}
    settings |= dict.fromkeys(("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"), str(home))
    outputs = [finish(start("-c", PREDICTIONS, "relu", **settings), timeout=100)[0] for _ in range(2)]
    assert outputs == ["True\n", "False\n"]
    assert list(home.rglob("*.nbc"))


FIRST_FIT = """
import numpy as np
from numba.core import event
with event.install_recorder("numba:run_pass") as passes:
    from mlp_jit import Network, fit, MLPClassifier
    X, y = np.random.default_rng(0).normal(size=(3000, 8)).astype("float32"), np.arange(3000) % 3
    for n_threads in (1, None):
        network = Network([8, 500, 3], activation="tanh", output="softmax", random_state=0)
        settings = {"dropout": 0.2, "l2": 0.1, "clip_norm": 1.0, "batch_size": 1500, "epochs": 1}
        fit(network, X, y, n_threads=n_threads, validation_data=(X, y), **settings)
        network.forward(X, n_threads=n_threads)
        network.forward(X[:1])
    MLPClassifier(max_iter=1, early_stopping=True).fit(X, y).predict(X)
    print(len(passes.buffer))
    Network([8, 3], output="step").forward(X)
    print(len(passes.buffer) > 0)
"""


def test_after_warmup_the_first_fit_compiles_nothing(tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    out, err = finish(start("-m", "mlp_jit", "warmup", **cache), timeout=200)
    assert out.count(str(tmp_path)) == 4  # the package, engines, and the houses of two
    assert "1/" in err
    assert run("import warnings; warnings.simplefilter('ignore')" + FIRST_FIT, **cache) == "0\nTrue\n"


def test_it_works_where_no_folder_can_be_written_and_warmup_says_so(package, tmp_path):
    """A read-only installation and no home: each folder for a cache is a file here, since nothing stops root."""
    folder, settings = package
    for place in [tmp_path / "home", *(path / "__pycache__" for path in kept_in(folder))]:
        place.write_text("")
    settings |= {"NUMBA_CACHE_DIR": None, "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home")}
    settings |= {"LOCALAPPDATA": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    kernels = """
import numpy as np
from mlp_jit.activations import RELU, relu
from mlp_jit.engines.lanes import routines
print(relu(-2.0), relu.compiled.stats.cache_path, routines.activation(RELU).address(np.dtype("float32")) != 0)
"""
    assert run(kernels, **settings) == "0.0 None True\n"
    process = start("-m", "mlp_jit", "warmup", **settings)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert "compiled code cannot be kept" in err
    assert "NUMBA_CACHE_DIR" in err


@pytest.mark.parametrize("terminal", [False, True])
def test_warmup_shows_its_progress(monkeypatch, terminal):
    class Screen(io.StringIO):
        def isatty(self):
            return terminal

    monkeypatch.setattr(sys, "stderr", Screen())
    if terminal:
        pytest.importorskip("rich")
        monkeypatch.setenv("TERM", "xterm")
    done = []
    for job in warmup.progress([("one", lambda: done.append(1)), ("two", lambda: done.append(2))]):
        job()
    assert done == [1, 2]
    shown = sys.stderr.getvalue()
    assert "2/2" in shown
    assert "two" in shown
    if not terminal:
        assert shown == "1/2  one\n2/2  two\n"


def test_warmup_takes_dtypes_and_engines(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mlp_jit", "warmup", "--dtype", "float64", "--engine", "vectorized"])
    __main__.main()
    out, err = capsys.readouterr()
    assert re.search(r"^\d+\.\d s\. The cache is in \S", out)
    named = re.findall(r"^(\d+)/(\d+)  vectorized, float64: \S", err, re.MULTILINE)
    assert [int(number) for number, _ in named] == list(range(1, int(named[0][1]) + 1))
    assert len(named) == len(err.splitlines())


@pytest.mark.parametrize("arguments", [["--dtype", "float16"], ["--engine", "steam"]])
def test_warmup_refuses_what_there_is_not(monkeypatch, capsys, arguments):
    monkeypatch.setattr("sys.argv", ["mlp_jit", "warmup", *arguments])
    with pytest.raises(SystemExit, match="2"):
        __main__.main()
    assert f"invalid choice: '{arguments[1]}'" in capsys.readouterr().err
