"""python -m mlp_jit"""

import re
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numba
import numpy as np
import pytest
from processes import finish, start

import mlp_jit
from mlp_jit import __main__, info, limit
from mlp_jit._jit import threads
from mlp_jit.engines import ENGINES
from mlp_jit.engines.lanes import peak, simd


def test_demo():
    out, err = finish(start("-m", "mlp_jit", "demo"), timeout=200)
    assert re.search(r"^1797 handwritten digits: 1258 to train on, 180 to validate, 359 held out$", out, re.MULTILINE)
    assert re.search(r"^2 +\(100, 10\) .* softmax +1000 \+ 10 = 1010$", out, re.MULTILINE)  # the shape ledger
    assert re.search(r"^epoch (\d+)/\1  loss \S+  validation loss \S+  accuracy 0\.9", err, re.MULTILINE)
    assert float(re.search(r"^test accuracy (\S+)", out, re.MULTILINE).group(1)) >= 0.97
    times = dict(re.findall(r"^ +(\w+) +\d+\.\d\d ms +(\d+\.\d\d) of vectorized$", out, re.MULTILINE))
    assert set(times) == set(ENGINES)
    assert times["vectorized"] == "1.00"


@pytest.fixture
def quick(monkeypatch):
    """Measuring a small network for a moment."""
    for name, value in {
        "NETWORKS": [((3, 5, 2), 8)],
        "MATRIX": 64,
        "COUNT": 100,
        "REST": 0,
        "TURN": 0,
        "SECONDS": 0,
    }.items():
        monkeypatch.setattr(limit, name, value)


def test_info(quick, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mlp_jit", "info"])
    __main__.main()
    out = capsys.readouterr().out
    facts = dict(re.findall(r"^(\w+) +(\S.*)$", out.partition("\n\n")[0], re.MULTILINE))
    assert set(facts) == {"versions", "CPU", "registers", "tile", "threads", "cache"}
    assert f"mlp_jit {mlp_jit.__version__}, numba {numba.__version__}, numpy {np.__version__}" in facts["versions"]
    tile = [int(number) for number in re.findall(r"(?<!float)\b\d+", facts["tile"])]
    samples = simd.VECTORS * simd.VECTOR_BYTES
    assert tile == [simd.NEURONS, simd.VECTORS, samples // 4, samples // 8]
    assert Path(facts["cache"]).is_dir()
    lines = re.findall(r"^3-5-2, 8" + r" +(\S+)" * 6 + "$", out, re.MULTILINE)
    assert [int(n_threads) for n_threads, *_ in lines] == sorted({1, threads(None)})


def test_a_line_of_info():
    words = info.line("3-5-2, 8", 2, 160e9, 100e9, 40e9).split()
    assert words == ["3-5-2,", "8", "2", "160", "100", "40", "0.25", "0.40"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_peak_multiplies_and_adds_as_often_as_it_says(dtype):
    x = np.zeros(peak.tile_numbers(dtype), dtype)
    x[: simd.NEURONS] = np.arange(simd.NEURONS)  # the factors of the rows; the lanes are the same numbers
    lanes = x[: simd.VECTORS * simd.lanes_of(x.dtype)].copy()
    peak.multiply_add(x, 3)
    np.testing.assert_array_equal(x.reshape(simd.NEURONS, -1), 3 * np.outer(np.arange(simd.NEURONS), lanes))


def test_the_arithmetic_of_a_step(quick):
    with ThreadPoolExecutor(2) as pool:
        assert limit.peak(pool, 2, "float32").operations == 2 * peak.tile_numbers("float32") * 100 * 2
    assert limit.product("float64").operations == 2 * 64**3
    # E1 and E4 of both layers and E3 of the second, a multiplication and an addition each
    assert limit.step([3, 5, 2], 8, 1, "float32").operations == 2 * limit.STEPS * 8 * (2 * 3 * 5 + 3 * 5 * 2)


def test_rates_are_operations_by_seconds(quick, monkeypatch):
    monkeypatch.setattr(limit, "medians", lambda functions: [1.0, 2.0, 4.0])
    rates = limit.rates([3, 5, 2], 8, 1)
    assert rates.product == 64**3
    assert rates.step == limit.STEPS * 8 * (2 * 3 * 5 + 3 * 5 * 2) / 2


def test_info_says_where_it_cannot_set_the_threads_of_blas(quick, monkeypatch, capsys):
    info.info()
    assert ("own number of threads" in capsys.readouterr().out) == (find_spec("threadpoolctl") is None)
    monkeypatch.setattr(limit, "PINS_BLAS", False)
    info.info()
    assert "own number of threads" in capsys.readouterr().out


def test_without_compiling_info_measures_nothing_and_warmup_says_why():
    plain = {"NUMBA_DISABLE_JIT": "1"}
    out, _ = finish(start("-m", "mlp_jit", "info", **plain))
    assert re.search(r"^cache +none: NUMBA_DISABLE_JIT is set$", out, re.MULTILINE)
    assert "unset NUMBA_DISABLE_JIT to have it measured" in out
    process = start("-m", "mlp_jit", "warmup", **plain)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (2, "")
    assert "nothing is ever compiled where NUMBA_DISABLE_JIT is set" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["fly"], []])
def test_an_unknown_command_is_refused(arguments):
    process = start("-m", "mlp_jit", *arguments)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 2
    assert out == ""
    assert "usage: python -m mlp_jit" in err
    assert "demo" in err


def test_help_lists_the_commands():
    out, _ = finish(start("-m", "mlp_jit", "--help"))
    assert set(re.findall(r"^ +(\w+) {2,}\w", out, re.MULTILINE)) == {"demo", "info", "study", "warmup"}
