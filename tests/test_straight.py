"""Straight-line functions: the same from Python and inside compiled code, and nothing compiled for them there."""

import numpy as np
import pytest
from numba import types
from numba.core import event

from mlp_jit._jit import kernel
from mlp_jit._straight import fma, number_of, straight_line, where


@straight_line
def half(x):
    """math: x/2"""
    return x * number_of(x)(0.5)


@straight_line
def bent(x, y):
    """math: y + x/2, or 3 where x < 0: calls another one, and chooses"""
    number = number_of(x)
    return where(x < number(0), number(3), fma(half(x), number(1), y))


@straight_line
def seven(x):
    """math: 7, whatever x"""
    return number_of(x)(7)


@kernel
def all_of_them(x, y, out):
    """math: calls the three above."""
    for n in range(out.size):
        out[n] = bent(x[n], y[n]) + seven(x[n])


@pytest.mark.python
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_python_and_compiled_code_get_the_same(dtype):
    x, y, out = np.array([[-2, 4, 1.5], [1, 2, 0.25], [0, 0, 0]], dtype)
    all_of_them(x, y, out)
    assert out.tolist() == [10, 11, 8]
    assert [bent(*pair) + seven(pair[0]) for pair in zip(x, y, strict=True)] == out.tolist()
    assert (half(3.0), half.__doc__) == (1.5, "math: x/2")


@pytest.mark.python
def test_a_float_of_pythons_is_float64():
    assert [number_of(x) for x in (1.0, np.float64(1), np.float32(1))] == [np.float64, np.float64, np.float32]


def test_nothing_is_compiled_for_it():
    numbers = types.Array(types.float64, 1, "C")
    with event.install_recorder("numba:compile") as compiled:
        kernel(all_of_them.py_func).compile((numbers, numbers, numbers))
    names = {str(entry.data["dispatcher"]) for _, entry in compiled.buffer}
    assert len(names) <= 1, names


def test_what_has_no_instruction_is_an_error():
    @straight_line
    def sine(x):
        return np.sin(x)

    with pytest.raises(Exception, match="sin"):
        sine(0.5)
