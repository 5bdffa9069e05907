"""The kernels that a walk goes through as the page has them: lines to be read, and a syntax tree to be run there."""

import ast
from dataclasses import dataclass
from typing import Any

from ...engines.layout import PLAIN
from ..listing import Kept
from ..places import Place
from ..walking import Step, Walk, names

OPERATORS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Lt: "<", ast.Gt: ">", ast.Eq: "=="
}  # fmt: skip


def listing(kept: Kept) -> dict[str, Any]:
    """A kernel to be read."""
    source = kept.source
    return {
        "tag": source.tag,
        "name": source.name,
        "file": source.file,
        "says": kept.says,
        "lines": [[*line] for line in kept.listing()],
    }


def program(kept: Kept) -> dict[str, Any]:
    """A kernel to be read and run. NotImplementedError for what the page's machine does not know."""
    tree = kept.source.tree
    parameters = [argument.arg for argument in tree.args.args]
    return {**listing(kept), "parameters": parameters, "body": Tree(kept).block(tree.body)}


def setting_of(walk: Walk) -> dict[str, Any]:
    """The network and the samples of a walk."""
    network = walk.network
    return {
        "sizes": list(network.sizes),
        "names": ["x", *network.activations, network.output],
        "X": walk.X.ravel().tolist(),
        "y": walk.y.ravel().tolist(),
        "theta": network.params.tolist(),
        "gains": [kind != PLAIN for kind in network.kinds],
    }


def step_of(step: Step) -> dict[str, Any]:
    """A step as the page's machine makes them."""
    return {
        "tag": step.tag,
        "function": step.function,
        "line": step.line,
        "text": step.text,
        "indices": step.indices,
        "operands": [[each.start, each.stop, float(each.value), key(each.place)] for each in step.operands],
        "result": float(step.result),
        "place": key(step.place),
        "target": step.target,
        "callers": step.callers,
        "equation": step.equation,
        "loop": step.loop,
    }


def key(place: Place | None) -> str | None:
    """`w:1:0:1`: a place's letter and numbers."""
    return place and ":".join(str(part) for part in place if part is not None)


@dataclass(frozen=True)
class Tree:
    """A kernel's syntax tree as lists and objects for JSON."""

    kept: Kept

    def block(self, block: list[ast.stmt]) -> list[Any]:
        """The statements that are kept of a block."""
        return [self._statement(each) for each in self.kept.statements(block) if not _is_docstring(each)]

    def _statement(self, statement: ast.stmt) -> dict[str, Any]:
        match statement:
            case ast.For(target=ast.Name(id=name), iter=ast.Call(args=bounds), body=body):
                return {"for": name, "bounds": [*map(self._expression, bounds)], "body": self.block(body)}
            case ast.If(test=test, body=body, orelse=orelse):
                chosen = self.block(orelse) if self.kept.has(orelse) else []
                return {"if": self._expression(test), "body": self.block(body), "else": chosen}
            case ast.Return(value=ast.expr() as value):
                return {"return": self._expression(value)}
            case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=arguments)):
                where = self.kept.source.line(statement)
                return {"call": name, "arguments": [*map(self._expression, arguments)], "line": where}
            case ast.Assign(targets=[target], value=value):
                return self._assignment(statement, "", target, value)
            case ast.AugAssign(target=target, op=operator, value=value):
                return self._assignment(statement, OPERATORS[type(operator)], target, value)
        raise NotImplementedError(f"{self.kept.source.name}: the page cannot run {ast.unparse(statement)!r}")

    def _assignment(self, statement: ast.stmt, operator: str, target: ast.expr, value: ast.expr) -> dict[str, Any]:
        """With the line, if it is a step, and in its text the places of the target and of what is read."""
        made = {"set": self._expression(target), "with": operator, "value": self._expression(value)}
        if self.kept.source.line(statement) not in self.kept.lines:
            return made
        read = [target] * bool(operator) + [*names(value)]
        return {
            **made,
            "line": self.kept.source.line(statement),
            "text": self.kept.source.segment(statement),
            "target": [*self.kept.source.span(target, statement)],
            "reads": [[*self.kept.source.span(node, statement), self._expression(node)] for node in read],
        }

    def _expression(self, node: ast.expr) -> Any:
        """A number, a name, or a list that starts with what is to be done."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                value = self.kept.source.function.__globals__.get(name)
                return value if isinstance(value, int) else name  # a code
            case ast.Attribute(value=value, attr=attribute):
                return [attribute, self._expression(value)]
            case ast.Subscript(value=ast.expr() as array, slice=ast.Tuple(elts=indices)):
                return ["at", self._expression(array), *map(self._expression, indices)]
            case ast.Subscript(value=array, slice=index):
                return ["at", self._expression(array), self._expression(index)]
            case ast.Tuple(elts=parts):
                return ["tuple", *map(self._expression, parts)]
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return ["call", name, *map(self._expression, arguments)]
            case ast.BinOp(left=left, op=operator, right=right):
                return [OPERATORS[type(operator)], self._expression(left), self._expression(right)]
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return [OPERATORS[type(operator)], self._expression(left), self._expression(right)]
        raise NotImplementedError(f"{self.kept.source.name}: the page cannot run {ast.unparse(node)!r}")


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
