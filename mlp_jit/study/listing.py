"""What is read of the kernels that a walk goes through: without the branches that it did not take."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module

from .stepping import Source, source_of
from .walking import Step


def kernels_of(walk: Iterable[Step]) -> "list[Kept]":
    """The kernels that compute something in a walk, in the order of E1 to E10, callers first."""
    steps = [*walk]
    lines: dict[str, set[int]] = {}
    for step in steps:
        for function, line in (*step.callers, (step.function, step.line)):
            lines.setdefault(function, set()).add(line)
    found = {step.function: step for step in steps}
    order = [*lines]
    kernels = sorted(found.values(), key=lambda step: (int(step.tag[1:]), order.index(step.function)))
    return [Kept(_source(step.file, step.function), frozenset(lines[step.function])) for step in kernels]


def _source(file: str, function: str) -> Source:
    module = import_module(file.removesuffix(".py").replace("/", "."))
    return source_of(getattr(module, function))


@dataclass(frozen=True)
class Kept:
    """A kernel's source without the branches in which none of these lines lies."""

    source: Source
    lines: frozenset[int]

    @property
    def says(self) -> str:
        """The first sentence of its docstring, after the tag."""
        text = " ".join((self.source.function.__doc__ or "").partition(": ")[2].split())
        return re.split(r"\.? ?$|[.;] ", text)[0]

    def statements(self, block: list[ast.stmt]) -> Iterator[ast.stmt]:
        """The statements of a block that are kept: of an `if` that is not taken, what is of its `else`."""
        for statement in block:
            if not isinstance(statement, ast.If) or self.has(statement.body):
                yield statement
            elif self.has(statement.orelse):
                yield from self.statements(statement.orelse)

    def has(self, block: list[ast.stmt]) -> bool:
        """Whether one of the lines is in a block."""
        if not block:
            return False
        last = self.source.first + (block[-1].end_lineno or 0) - 1
        return any(self.source.line(block[0]) <= line <= last for line in self.lines)

    def listing(self) -> Iterator[tuple[int, str]]:
        """(number, text) of each line that is kept; (0, "…") stands for what is left out."""
        source, tree = self.source.text.splitlines(), self.source.tree
        yield self.source.first + tree.lineno - 1, source[tree.lineno - 1]
        before = tree.body[0].end_lineno or 0  # of the docstring
        for line in self._rows(tree.body[1:]):
            text = source[line - 1]
            between = source[before : line - 1]
            if any(row.strip() and not row.strip().startswith(("#", "else:")) for row in between):
                yield 0, text[: len(text) - len(text.lstrip())] + "…"
            yield self.source.first + line - 1, text
            before = line

    def _rows(self, block: list[ast.stmt]) -> Iterator[int]:
        """The lines of a block in the text, from 1."""
        for statement in self.statements(block):
            yield statement.lineno
            if isinstance(statement, ast.For | ast.If):
                yield from self._rows(statement.body)
            if isinstance(statement, ast.If) and self.has(statement.orelse):
                yield from self._rows(statement.orelse)
