"""An interpreter that stops at each statement: the kernels' own source, run as Python line by line.

Python evaluates every expression and makes every assignment itself; only `for`, `if`, `return` and calls of other
kernels are taken in hand here, so that what is walked is what is compiled. As in compiled code, a literal with a
point is a float64, and a function of `_math` is the compiled one.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from .._jit import Twins
from ..own import run_from_python

PACKAGE = Path(__file__).parents[2]
Stepping = Generator[str, None, Any]  # "before" and "after" each assignment; returns what was asked for


@dataclass(frozen=True)
class Source:
    """A kernel's source: its file's lines keep their numbers."""

    function: FunctionType
    tree: ast.FunctionDef
    text: str
    first: int

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def tag(self) -> str:
        """The equation that its docstring cites."""
        return (self.function.__doc__ or "").partition(":")[0]

    @property
    def file(self) -> str:
        """The file that it stands in, from the package's folder."""
        path = Path(inspect.getfile(self.function))
        return path.relative_to(PACKAGE).as_posix()

    def segment(self, node: ast.AST) -> str:
        """A node as it is written."""
        return ast.get_source_segment(self.text, node) or ""

    def span(self, node: ast.expr, statement: ast.stmt) -> tuple[int, int]:
        """Where in a statement's text an expression begins and ends."""
        begin = self._offset(statement.lineno, statement.col_offset)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, stop = self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)
        return start - begin, stop - begin

    def _offset(self, line: int, column: int) -> int:
        """Of a place in the text, in letters; the tree has columns in bytes."""
        lines = self.text.splitlines(keepends=True)
        return sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())

    def line(self, node: ast.stmt) -> int:
        """Where in its file a statement begins."""
        return self.first + node.lineno - 1


@dataclass
class Frame:
    """A kernel under way: its names, the statement at hand, and the indices of the loops that run."""

    source: Source
    names: dict[str, Any]
    call: int
    statement: ast.stmt = field(default_factory=ast.Pass)
    indices: dict[str, int] = field(default_factory=dict)
    loops: list[int] = field(default_factory=list)  # a number for each time that a loop began

    @property
    def assignment(self) -> ast.Assign | ast.AugAssign:
        """The statement at hand, where it is one."""
        assert isinstance(self.statement, ast.Assign | ast.AugAssign)
        return self.statement

    @property
    def target(self) -> ast.expr:
        """What the assignment at hand is to."""
        return target_of(self.assignment)

    def value(self, node: ast.expr) -> Any:
        """What an expression of this frame comes to."""
        with np.errstate(all="ignore"):
            return eval(_code(node), _globals(self.source.function), self.names)

    def run(self, statement: ast.stmt) -> None:
        """Have Python run one simple statement."""
        with np.errstate(all="ignore"):
            exec(_code(statement), _globals(self.source.function), self.names)


class Stepper:
    """Runs a kernel and hands over its frames, innermost last, before and after each simple statement."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._calls = self._loops = 0

    def call(self, kernel: Any, *arguments: Any) -> Stepping:
        """Yields "before" and "after" around each assignment, with `frames` as they are then; returns the result."""
        source = source_of(kernel)
        bound = inspect.signature(source.function).bind(*arguments).arguments
        self._calls += 1
        self.frames.append(Frame(source, dict(bound), self._calls))
        done, result = yield from self._block(source.tree.body)
        self.frames.pop()
        return result if done else None

    def _block(self, statements: list[ast.stmt]) -> Stepping:
        """Runs them; returns whether a `return` was among them, and what it returned."""
        for statement in statements:
            done, result = yield from self._statement(statement)
            if done:
                return True, result
        return False, None

    def _statement(self, statement: ast.stmt) -> Stepping:
        frame = self.frames[-1]
        frame.statement = statement
        match statement:
            case ast.For():
                return (yield from self._loop(frame, statement))
            case ast.If(test=test, body=body, orelse=orelse):
                return (yield from self._block(body if frame.value(test) else orelse))
            case ast.Return(value=value):
                return True, (yield from self._value(frame, value)) if value else None
            case ast.Expr(value=ast.Constant()):  # the docstring
                return False, None
            case ast.Expr(value=value):
                yield from self._value(frame, value)
            case ast.Assign() | ast.AugAssign() if self._kernel(frame, statement.value):
                frame.names["called"] = yield from self._value(frame, statement.value)
                frame.run(_with_value(statement))
            case ast.Assign() | ast.AugAssign():
                yield "before"
                frame.run(statement)
                yield "after"
            case _:
                raise NotImplementedError(f"{frame.source.name}: no way to step through {ast.unparse(statement)!r}")
        return False, None

    def _loop(self, frame: Frame, statement: ast.For) -> Stepping:
        name = ast.unparse(statement.target)
        self._loops += 1
        frame.loops.append(self._loops)
        for index in frame.value(statement.iter):
            frame.names[name] = frame.indices[name] = index
            done, result = yield from self._block(statement.body)
            if done:
                return True, result
        frame.indices.pop(name, None)
        frame.loops.pop()
        return False, None

    def _value(self, frame: Frame, node: ast.expr) -> Stepping:
        """An expression; where it is the call of a kernel, that is stepped through."""
        kernel = self._kernel(frame, node)
        if kernel is None:
            return frame.value(node)
        assert isinstance(node, ast.Call)
        return (yield from self.call(kernel, *map(frame.value, node.args)))

    def _kernel(self, frame: Frame, node: ast.expr) -> Any:
        """The kernel that an expression calls, or None."""
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            return None
        called = _globals(frame.source.function).get(node.func.id)
        return called.kernel if isinstance(called, AtOnce) else None


@dataclass(frozen=True)
class AtOnce:
    """A kernel inside an expression: run to its end."""

    kernel: Any

    def __call__(self, *arguments: Any) -> Any:
        steps = Stepper().call(self.kernel, *arguments)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value


def is_kernel(value: Any) -> bool:
    """Whether it is one of the functions with loops, which cite an equation or `layout`."""
    return bool(re.match(r"(E\d+|layout): ", getattr(value, "__doc__", None) or ""))


def source_of(kernel: Any) -> Source:
    """The source that a kernel is compiled from."""
    wrapped = "__wrapped__" if isinstance(kernel, Twins) else "py_func"
    return _source(getattr(kernel, wrapped, kernel))  # with NUMBA_DISABLE_JIT a kernel is the function itself


@cache
def _source(function: FunctionType) -> Source:
    lines, first = inspect.getsourcelines(function)
    text = textwrap.dedent("".join(lines))
    tree = ast.parse(text).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return Source(function, tree, text, first)


@cache
def _globals(function: FunctionType) -> dict[str, Any]:
    """The names that a kernel's source sees, its kernels as `AtOnce`."""
    names = {name: AtOnce(value) if is_kernel(value) else value for name, value in function.__globals__.items()}
    return {**names, "float64": np.float64, "run_own": run_from_python}


class _Float64(ast.NodeTransformer):
    """Literals with a point as NumPy's numbers, which do not give way to float32."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, float):
            return node
        return ast.Call(ast.Name("float64", ast.Load()), [node], [])


@cache
def _code(node: ast.expr | ast.stmt) -> CodeType:
    mode = "eval" if isinstance(node, ast.expr) else "exec"
    copy = _Float64().visit(ast.parse(ast.unparse(node), mode=mode))
    return compile(ast.fix_missing_locations(copy), "<kernel>", mode)


def target_of(statement: ast.Assign | ast.AugAssign) -> ast.expr:
    """What is assigned to."""
    return statement.targets[0] if isinstance(statement, ast.Assign) else statement.target


@cache
def _with_value(statement: ast.Assign | ast.AugAssign) -> ast.stmt:
    """The assignment of what a kernel returned."""
    sign = "=" if isinstance(statement, ast.Assign) else "+="
    return ast.parse(f"{ast.unparse(target_of(statement))} {sign} called").body[0]
