"""python -m mlp_jit"""

import re
from importlib.util import find_spec
from pathlib import Path

import numba
import numpy as np
import pytest
from processes import finish, start

import mlp_jit
from mlp_jit import __main__, info
from mlp_jit._jit import threads
from mlp_jit.engines import ENGINES
from mlp_jit.engines.lanes import simd


def test_demo():
    out, err = finish(start("-m", "mlp_jit", "demo"), timeout=200)
    assert re.search(r"^1797 handwritten digits: 1258 to train on, 180 to validate, 359 held out$", out, re.MULTILINE)
    assert re.search(r"^2 +\(100, 10\) .* softmax +1000 \+ 10 = 1010$", out, re.MULTILINE)  # the shape ledger
    assert re.search(r"^epoch (\d+)/\1  loss \S+  validation loss \S+  accuracy 0\.9", err, re.MULTILINE)
    assert float(re.search(r"^test accuracy (\S+)", out, re.MULTILINE).group(1)) >= 0.97
    times = dict(re.findall(r"^ +(\w+) +\d+\.\d\d ms +(\d+\.\d\d) of vectorized$", out, re.MULTILINE))
    assert set(times) == set(ENGINES)
    assert times["vectorized"] == "1.00"


def test_info(monkeypatch, capsys):
    monkeypatch.setattr(info, "SECONDS", 0.1)
    monkeypatch.setattr(info, "TURN", 0.02)
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
    rates = re.findall(r"^ +(\d+) threads? +training +(\S+) +product +(\S+)$", out, re.MULTILINE)
    assert [int(n_threads) for n_threads, _, _ in rates] == sorted({1, threads(None)})
    assert all(1e-3 < float(rate) < 1e6 for _, *pair in rates for rate in pair)  # GFLOP/s


def test_info_counts_the_arithmetic_of_a_step(monkeypatch):
    monkeypatch.setattr(info, "SIZES", [3, 5, 2])
    monkeypatch.setattr(info, "medians", lambda *functions: [1e-9, 1e-9])
    training, product = info.rates(1)
    # E1 and E4 of both layers and E3 of the second, a multiplication and an addition each
    assert training == pytest.approx(2 * info.STEPS * info.BATCH * (2 * 3 * 5 + 3 * 5 * 2))
    assert product == pytest.approx(2 * 512**3)


def test_info_says_where_it_cannot_set_the_threads_of_blas(monkeypatch, capsys):
    monkeypatch.setattr(info, "rates", lambda n_threads: (1.0, 1.0))
    info.info()
    assert ("own number of threads" in capsys.readouterr().out) == (find_spec("threadpoolctl") is None)
    monkeypatch.setattr(info, "PINS_BLAS", False)
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
