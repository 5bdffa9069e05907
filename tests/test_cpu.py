"""The lanes engine as other CPUs run it: tiles of other shapes, the same numbers to rounding, in vector instructions.

Each variant is compiled in a process and a cache of its own, for that is when Numba chooses its target.
"""

import os
import platform
import re
import shutil
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from problems import assert_close, problem
from processes import ROOT, finish, start
from test_lanes import EVERYTHING, everything

from mlp_jit import SGD
from mlp_jit.engines import ENGINES
from mlp_jit.engines.lanes import simd, tiles

pytestmark = pytest.mark.cpu
X86 = platform.machine() in ("x86_64", "AMD64")
DTYPES = ("float32", "float64")
VARIANTS = {  # Numba's name of the CPU: what it needs, [bytes in a vector register, registers], a multiply-add
    "haswell": ({"avx2", "fma"}, [32, 16], r"vfmadd\d+p[sd].*%ymm"),
    "nehalem": ({"sse4.2"}, [16, 16], r"mulp[sd].*%xmm"),
}
SHAPES = [((1, 1), 5), ((7, 1, 2), 1), ((11, 19, 5), 3), ((33, 70, 9, 3), 20), ((18, 17, 16), 33), ((4, 66, 130), 70)]


def numbers(dtype):
    """What lanes make of a few networks, on one thread, each array by a name."""
    made = []
    for k, (sizes, n) in enumerate(SHAPES):
        rules = {**EVERYTHING, "dropout": (0.3,) * (len(sizes) - 2)} if k % 2 else {}
        network, *data = problem(sizes, activation="tanh", n=n, dtype=dtype)
        made += everything(ENGINES["lanes"], network, *data, SGD(0.9), rules, n_threads=1)
    return {f"{dtype}_{k}": np.asarray(part) for k, part in enumerate(made)}


def save(file, *dtypes):
    """`numbers`, the shape of the registers and the assembly of E1: all that a variant is asked for."""
    made = {name: part for dtype in dtypes for name, part in numbers(dtype).items()}
    assembly = "\n".join(tiles.forward_layer.compiled.inspect_asm().values())
    np.savez(file, registers=(simd.VECTOR_BYTES, simd.REGISTERS), assembly=assembly, **made)


def variant(folder, *dtypes, root=ROOT, **environment):
    """What a process with this environment saves; it compiles, or loads what another one compiled in this folder."""
    paths = os.pathsep.join((str(root), str(Path(__file__).parent)))
    process = start(
        "-c", f"import test_cpu; test_cpu.save('variant.npz', *{dtypes})",
        cwd=folder, PYTHONPATH=paths, NUMBA_CACHE_DIR=str(folder / "cache"), **environment,
    )  # fmt: skip
    finish(process, timeout=280)
    with np.load(folder / "variant.npz") as saved:
        return dict(saved)


def assert_same_numbers(made, dtype):
    """To 20 roundings of an array's largest number, as measured."""
    for name, ours in numbers(dtype).items():
        assert_close(made[name], ours, dtype, message=name)


def assert_tiles_stay_in_registers(assembly, multiply, neurons):
    """E1's inner loops are whole tiles of multiply-adds, perhaps unrolled: no call, no vector register on the stack."""
    stretches = re.split(r"^\S+:|^\s+j\w+\s", str(assembly), flags=re.MULTILINE)  # between labels and jumps
    tiles = [(len(re.findall(multiply, stretch)), stretch) for stretch in stretches if re.search(multiply, stretch)]
    assert max(count for count, _ in tiles) >= simd.VECTORS * neurons
    for count, stretch in tiles:
        assert count % neurons == 0, stretch
        assert not re.search(r"\bcall", stretch), stretch
        assert not re.search(r"%[xyz]mm\d+, *-?\d*\(%r[sb]p\)", stretch), stretch


@pytest.mark.skipif(not X86, reason="these are names of x86-64 CPUs")
@pytest.mark.parametrize("cpu", VARIANTS)
def test_another_cpu_gives_the_same_numbers(cpu, tmp_path):
    needs, shape, multiply = VARIANTS[cpu]
    features = llvm.get_host_cpu_features()
    if not all(features.get(name) for name in needs):
        pytest.skip(f"this machine cannot run what is compiled for {cpu}")
    made = variant(tmp_path, *DTYPES, NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES="")
    assert made["registers"].tolist() == shape
    for dtype in DTYPES:
        assert_same_numbers(made, dtype)
    assert_tiles_stay_in_registers(made["assembly"], multiply, neurons=4)


def test_tiles_of_arm_give_the_same_numbers(tmp_path):
    """32 registers of 16 bytes: more neurons in a tile than lanes in a vector, in a copy that is told so."""
    shutil.copytree(ROOT / "mlp_jit", tmp_path / "mlp_jit", ignore=shutil.ignore_patterns("__pycache__"))
    source = tmp_path / "mlp_jit" / "engines" / "lanes" / "simd.py"
    asked, told = "VECTOR_BYTES, REGISTERS = _registers()", "VECTOR_BYTES, REGISTERS = 16, 32"
    text = source.read_text(encoding="utf-8")
    assert asked in text
    source.write_text(text.replace(asked, told), encoding="utf-8")
    made = variant(tmp_path, "float32", root=tmp_path)
    assert made["registers"].tolist() == [16, 32]
    assert_same_numbers(made, "float32")


def test_same_bits_cold_and_warm(tmp_path):
    """Compiled in one process, loaded in the next, and as it is here; this CPU's registers are used where it is x86."""
    cold = variant(tmp_path, "float32")
    assert list((tmp_path / "cache").rglob("tiles.*.nbc"))
    warm = variant(tmp_path, "float32")
    for name, here in numbers("float32").items():
        assert cold[name].tobytes() == warm[name].tobytes() == here.tobytes()
    assert cold["registers"].tolist() == [simd.VECTOR_BYTES, simd.REGISTERS]
    if X86 and llvm.get_host_cpu_features().get("fma"):
        name = {64: "zmm", 32: "ymm", 16: "xmm"}[simd.VECTOR_BYTES]
        assert_tiles_stay_in_registers(cold["assembly"], rf"vfmadd\d+p[sd].*%{name}", simd.NEURONS)
