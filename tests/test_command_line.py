"""python -m mlp_jit"""

import re

import pytest
from processes import finish, start

from mlp_jit.engines import ENGINES


def test_demo():
    out, err = finish(start("-m", "mlp_jit", "demo"), timeout=200)
    assert re.search(r"^1797 handwritten digits: 1258 to train on, 180 to validate, 359 held out$", out, re.MULTILINE)
    assert re.search(r"^2 +\(100, 10\) .* softmax +1000 \+ 10 = 1010$", out, re.MULTILINE)  # the shape ledger
    assert re.search(r"^epoch (\d+)/\1  loss \S+  validation loss \S+  accuracy 0\.9", err, re.MULTILINE)
    assert float(re.search(r"^test accuracy (\S+)", out, re.MULTILINE).group(1)) >= 0.97
    times = dict(re.findall(r"^ +(\w+) +\d+\.\d\d ms +(\d+\.\d\d) of vectorized$", out, re.MULTILINE))
    assert set(times) == set(ENGINES)
    assert times["vectorized"] == "1.00"


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
    assert re.search(r"^ +demo +\w", out, re.MULTILINE)
