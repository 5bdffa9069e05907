"""The house rules of CONTRIBUTING.md, read from the source."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import mlp_jit
from mlp_jit import _cache

PACKAGE = Path(mlp_jit.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
EVERY_MODULE = pytest.mark.parametrize("module", sorted(MODULES))
TAGS = {f"E{n}" for n in range(1, 11)}
COMPILING = {"kernel", "owner", "inlined", "template", "routine", "twins", "rare_twins", "straight_line"}

# From the bottom up: a module may import what stands on its own line or above it.
LAYERS = [
    {"_cache", "_jit", "_notice", "_straight", "_math", "own", "validation"},
    {"activations", "losses", "optimizers", "initializers", "schedules", "dropout"},
    {"engines", "engines.*", "nopython"},
    {"network", "ledger"},
    {"files", "files.container", "files.values"},
    {"training", "training.*"},
    {"interop", "interop.*"},
    {"estimators", "estimators.*", "files.attributes", "files.estimators", "study.*", "plots.*"},
    {"many", "many.*", "files.ensembles", "files.models"},
    {"__init__", "demo", "limit", "info", "warmup"},
    {"__main__", "dask", "dask.*"},
]


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def calls_compiler(node: ast.expr) -> bool:
    """Whether an expression is one of COMPILING, or a call of one."""
    return getattr(node.func if isinstance(node, ast.Call) else node, "id", None) in COMPILING


def kernels(module: str) -> list[ast.FunctionDef]:
    """The functions that are compiled, by a decorator or by `name = kernel(function)`."""
    called = {
        call.args[0].id
        for call in ast.walk(tree(module))
        if isinstance(call, ast.Call) and calls_compiler(call) and call.args and isinstance(call.args[0], ast.Name)
    }
    return [
        function
        for function in ast.walk(tree(module))
        if isinstance(function, ast.FunctionDef)
        and (function.name in called or any(calls_compiler(decorator) for decorator in function.decorator_list))
    ]


def layer(module: str) -> int:
    for number, names in enumerate(LAYERS):
        if module in names or f"{module.partition('.')[0]}.*" in names:
            return number
    raise AssertionError(f"{module} has no place in LAYERS")


def imports(module: str) -> list[tuple[int, str]]:
    """(line, module of the package or name of another) for each import of `module` but those inside its functions."""
    found = []
    path = MODULES[module].relative_to(PACKAGE.parent)
    folder = list(path.parent.parts)  # what one dot means

    def visit(nodes):
        for node in nodes:
            if isinstance(node, ast.Import):
                found.extend((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = folder[: len(folder) + 1 - node.level] if node.level else []
                base = ".".join([*base, *([node.module] if node.module else [])])
                modules = [f"{base}.{alias.name}" for alias in node.names]
                inside = [name for name in modules if name.removeprefix("mlp_jit.") in MODULES]
                found.extend((node.lineno, name) for name in inside or [base])
            elif not isinstance(node, ast.FunctionDef | ast.Lambda):
                visit(ast.iter_child_nodes(node))

    visit(tree(module).body)
    return found


def own(name: str) -> str:
    """The key in MODULES of a module of the package."""
    return name.removeprefix("mlp_jit").removeprefix(".") or "__init__"


@EVERY_MODULE
def test_imports_run_one_way(module):
    for line, name in imports(module):
        if name.startswith("mlp_jit"):
            imported = own(name)
            assert layer(imported) <= layer(module), f"{module}:{line} imports {name}, which stands above it"


def test_no_import_goes_round_in_a_circle():
    done, present = set(), []

    def visit(module):
        assert module not in present, " → ".join([*present, module])
        if module not in done:
            present.append(module)
            for _, name in imports(module):
                if name.startswith("mlp_jit"):
                    visit(own(name))
            done.add(present.pop())

    for module in MODULES:
        visit(module)


@EVERY_MODULE
def test_only_numpy_and_numba_are_needed(module):
    optional = {
        "sklearn",
        "rich",
        "scipy",
        "matplotlib",
        "pandas",
        "joblib",
        "anywidget",
        "traitlets",
        "onnx",
        "skl2onnx",
    }
    allowed = (
        {"sklearn"} if module in ("estimators.scikit_learn", "many.searches", "many.halving") else set()
    )  # inside a try
    assert {name.partition(".")[0] for _, name in imports(module)} & optional <= allowed
    if module == "estimators.scikit_learn":
        outside = [node for node in tree(module).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not any("sklearn" in ast.unparse(node) for node in outside)


@EVERY_MODULE
def test_only_jit_compiles(module):
    """Elsewhere a flag could be left out, which then comes from whichever caller compiled first."""
    compilers = {"jit", "njit", "vectorize", "guvectorize", "generated_jit", "cfunc", "stencil", "jitclass"}
    for node in ast.walk(tree(module)):
        names = {alias.name for alias in node.names} if isinstance(node, ast.Import | ast.ImportFrom) else set()
        if isinstance(node, ast.Attribute | ast.Name):
            names = {getattr(node, "attr", getattr(node, "id", None))}
        assert module == "_jit" or not names & compilers, f"{module}:{node.lineno}"


def test_each_compilation_says_all_flags():
    calls = [
        call
        for call in ast.walk(tree("_jit"))
        if isinstance(call, ast.Call) and getattr(call.func, "id", None) in ("njit", "jit", "overload")
    ]
    assert calls
    for call in calls:
        assert "FLAGS" in ast.unparse(call)
        assert "_nrt" in ast.unparse(call)
        assert call.func.id == "overload" or "cache" in {keyword.arg for keyword in call.keywords}
    assert {"fastmath", "error_model", "nogil"} <= set(mlp_jit._jit.FLAGS)


def test_the_cache_goes_by_every_module_that_may_be_compiled():
    """A kernel's callees and constants stand on its own line of LAYERS or above it (`test_imports_run_one_way`)."""
    digested = {
        path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for name in _cache.SOURCES
        for path in PACKAGE.glob(f"{name}.py")
    }
    assert digested == {module for module in MODULES if layer(module) < LAYERS.index({"network", "ledger"})}
    assert {module for module in MODULES if kernels(module)} <= digested


@EVERY_MODULE
def test_each_kernel_cites_the_equation_it_computes(module):
    for kernel in kernels(module):
        docstring = ast.get_docstring(kernel) or ""
        where = f"{module}.{kernel.name}: {docstring[:60]!r}"
        assert re.match(rf"({'|'.join(TAGS)}|layout|math): \S", docstring), where
        assert set(re.findall(r"\bE\d+\b", docstring)) <= TAGS, where


def test_every_equation_has_a_kernel():
    cited = {ast.get_docstring(kernel).partition(":")[0] for module in MODULES for kernel in kernels(module)}
    assert cited >= TAGS
    assert set(re.findall(r"^\| (E\d+) \|", mlp_jit.__doc__, re.MULTILINE)) == TAGS


def names_compiled_by(compiler: str) -> set[str]:
    """What stands below a decorator `@compiler`, or left of `compiler(function)`, anywhere in the package."""
    found = set()
    for node in (node for module in MODULES for node in ast.walk(tree(module))):
        if isinstance(node, ast.FunctionDef) and compiler in map(ast.unparse, node.decorator_list):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            names, values = (getattr(side, "elts", [side]) for side in (node.targets[0], node.value))
            found |= {
                name.id for name, value in zip(names, values, strict=False)
                if isinstance(value, ast.Call) and ast.unparse(value.func) == compiler
            }  # fmt: skip
    return found


def test_only_owners_call_owners():
    """What else is compiled counts no references: an array that it were handed would never be freed."""
    owners, borrowers = names_compiled_by("owner"), {"kernel", "inlined", "routine", "template"}
    assert {"new_scratch", "weights_of", "inputs_of"} <= owners
    for module in MODULES:
        for function in kernels(module):
            called = {getattr(node.func, "id", None) for node in ast.walk(function) if isinstance(node, ast.Call)}
            if any(ast.unparse(decorator) in borrowers for decorator in function.decorator_list):
                assert not called & owners, f"{module}.{function.name}"


@EVERY_MODULE
def test_kernels_never_validate(module):
    forbidden = ast.Try | ast.Raise | ast.Assert | ast.With | ast.Import | ast.ImportFrom | ast.ClassDef
    for kernel in kernels(module):
        for node in ast.walk(kernel):
            where = f"{module}.{kernel.name}:{getattr(node, 'lineno', '')}"
            assert not isinstance(node, forbidden), where
            names = {getattr(node, "id", None), getattr(node, "attr", None)}
            assert not names & {"validation", "isinstance", "hasattr", "getattr", "network", "self", "random"}, where


@EVERY_MODULE
def test_a_module_can_be_read_in_one_sitting(module):
    assert MODULES[module].stat().st_size < 24_000


def test_the_parts_that_are_checked_are_there():
    assert {
        "activations",
        "losses",
        "optimizers",
        "engines.lanes.tiles",
        "engines.loops.equations",
        "engines.layout",
        "_math",
    } <= {module for module in MODULES if kernels(module)}
