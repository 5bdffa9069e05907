r"""What the study tools write on: headings, equations and tables, as plain text, rich text, HTML or LaTeX.

An equation is written once, in a small part of LaTeX: `_{…}` and `^{…}`, the names in `SYMBOLS`, `\mathrm{…}`. The
other forms are made from it.
"""

import html
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SYMBOLS = {
    r" \cdot ": "·",
    r"\partial ": "∂",
    r"\langle ": "⟨",
    r" \rangle": "⟩",
    r"\hat{y}": "ŷ",
    r"\hat{s}": "ŝ",
    r"\leftarrow": "←",
    r"\varepsilon": "ε",
    r"\varphi": "φ",
    r"\lambda": "λ",
    r"\alpha": "α",
    r"\gamma": "γ",
    r"\delta": "δ",
    r"\theta": "θ",
    r"\sigma": "σ",
    r"\sqrt": "√",
    r"\sum": "Σ",
    r"\ell": "ℓ",
    r"\mu": "μ",
    r"\eta": "η",
    r"\Phi": "Φ",
    r"\dots": "…",
    r"\max": "max",
    r"\min": "min",
    r"\ln": "ln",
    r"\ge": "≥",
    r"\le": "≤",
    r"\_": "_",
}
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float) -> str:
    """A number to four digits."""
    return f"{float(value) + 0.0:.4g}"  # + 0.0, so that −0 is 0


def factor(value: float) -> str:
    """A number as it stands after a multiplication sign."""
    return f"({number(value)})" if value < 0 else number(value)


def math_to_text(source: str) -> str:
    """`z_{1} = b_{1} + \\sum_{i} w_{i1} a_{i}` as `z_1 = b_1 + Σ_i w_i1 a_i`."""
    text = _roots(re.sub(r"_\{([^{}]*)\}", r"_\1", _symbols(source)))
    text = re.sub(r"\^\{(\d+)\}", lambda power: power[1].translate(RAISED), text)
    return re.sub(r"\^\{([^{}]*)\}", lambda power: f"^{power[1]}" if len(power[1]) == 1 else f"^({power[1]})", text)


def math_to_html(source: str) -> str:
    """The same with <sub> and <sup>."""
    text = re.sub(r"_\{([^{}]*)\}", r"<sub>\1</sub>", html.escape(_symbols(source), quote=False))
    text = _roots(re.sub(r"\^\{([^{}]*)\}", r"<sup>\1</sup>", text))
    return re.sub(
        r"(\d)e([+−-]?)0*(\d+)\b", lambda e: f"{e[1]}·10<sup>{e[2].strip('+').replace('-', '−')}{e[3]}</sup>", text
    )


def math_to_latex(source: str) -> str:
    """LaTeX it is; only powers of ten are rewritten."""
    return re.sub(r"(\d)e([+-])0*(\d+)\b", lambda e: rf"{e[1]} \cdot 10^{{{e[2].strip('+')}{e[3]}}}", source)


def _roots(text: str) -> str:
    return re.sub(r"√\{([^{}]*)\}", r"√(\1)", text)


def _symbols(source: str) -> str:
    source = re.sub(r"\\mathrm\{([^{}]*)\}", r"\1", source)
    for name, symbol in SYMBOLS.items():
        source = source.replace(name, symbol)
    return re.sub(r"(?<!\de)-", "−", source)  # not the one of 1e-05


@dataclass(frozen=True)
class Equation:
    """`tag   name = letters = numbers = value`, each part in the LaTeX described above; empty parts are left out."""

    tag: str
    name: str
    letters: str
    numbers: str
    value: str
    relation: str = "="

    @property
    def parts(self) -> list[tuple[str, str]]:
        """(role, source) of each part after the tag, none twice in a row."""
        parts = [("name", self.name), ("letters", self.letters), ("numbers", self.numbers), ("value", self.value)]
        shown = [parts[0]]
        for role, source in parts[1:-1]:
            if source and source not in (shown[-1][1], self.value):
                shown.append((role, source))
        return [*shown, parts[-1]] if self.value else shown

    @property
    def signs(self) -> list[str]:
        """What stands before each part."""
        return ["", self.relation, *["="] * (len(self.parts) - 2)]


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; numbers are written into the cells as they shall appear."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass
class Section:
    """A heading, sentences, then equations and tables."""

    title: str
    notes: Sequence[str] = ()
    items: Sequence[Equation | Table] = ()


class Report:
    """What the study tools return: a `document()` that prints, shows in a notebook, and comes as LaTeX."""

    def document(self) -> "Document":
        raise NotImplementedError

    def show(self) -> None:
        """Print to the terminal: in colour where rich is installed (pip install 'mlp_jit[progress]')."""
        try:
            from rich.console import Console
        except ImportError:
            print(self)
        else:
            Console(file=sys.stdout, soft_wrap=True).print(self)

    def to_latex(self) -> str:
        """The whole of it as one LaTeX `aligned` block, for math mode."""
        return self.document().latex()

    def __str__(self) -> str:
        return self.document().text()

    __repr__ = __str__

    def __rich__(self) -> Any:
        from rich.text import Text

        styles = {"title": "bold", "heading": "bold cyan", "note": "italic", "tag": "dim", "sign": "dim",
                  "name": "bold", "letters": "", "numbers": "green", "value": "bold yellow"}  # fmt: skip
        lines = [Text.assemble(*((text, styles[role]) for role, text in line)) for line in self.document().lines()]
        return Text("\n").join(lines)

    def _repr_html_(self) -> str:
        return self.document().html()

    def _repr_latex_(self) -> str:
        return f"$$\n{self.to_latex()}\n$$"


@dataclass(repr=False)
class Document(Report):
    """A title and sections."""

    title: str
    sections: list[Section]

    def document(self) -> "Document":
        return self

    def lines(self) -> list[list[tuple[str, str]]]:
        """Every line as (role, text) pairs, for plain and for rich text."""
        lines = [[("title", self.title)]]
        for section in self.sections:
            lines += [[], [("heading", section.title)]] if section.title else [[]]
            lines += [[("note", f"  {note}")] for note in section.notes]
            for item in section.items:
                lines += [_equation_line(item)] if isinstance(item, Equation) else _table_lines(item)
        return lines

    def text(self) -> str:
        return "\n".join("".join(text for _, text in line).rstrip() for line in self.lines())

    def html(self) -> str:
        parts = [f"<p><strong>{html.escape(self.title)}</strong></p>"]
        for section in self.sections:
            parts += [f"<p><strong>{html.escape(section.title)}</strong></p>"] if section.title else []
            parts += [f"<p><em>{html.escape(note)}</em></p>" for note in section.notes]
            for item in section.items:
                parts.append(_equation_html(item) if isinstance(item, Equation) else _table_html(item))
        return '<div style="line-height: 1.6; overflow-x: auto">' + "\n".join(parts) + "</div>"

    def latex(self) -> str:
        rows = [rf"&\textbf{{{_latex_text(self.title)}}}"]
        for section in self.sections:
            rows += [rf"&\textbf{{{_latex_text(section.title)}}}"] if section.title else []
            rows += [rf"&\textit{{{_latex_text(note)}}}" for note in section.notes]
            for item in section.items:
                rows.append(_equation_latex(item) if isinstance(item, Equation) else _table_latex(item))
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _equation_line(equation: Equation) -> list[tuple[str, str]]:
    line = [("tag", f"  {equation.tag:<4}")]
    for sign, (role, source) in zip(equation.signs, equation.parts, strict=True):
        line += [("sign", f" {math_to_text(sign)} ")] if sign else []
        line.append((role, math_to_text(source)))
    return line


def _table_lines(table: Table) -> list[list[tuple[str, str]]]:
    rows = [[math_to_text(cell) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [[("tag" if n == 0 else "numbers", f"  {line}".rstrip())] for n, line in enumerate(padded)]


def _equation_html(equation: Equation) -> str:
    weights = {"name": "600", "value": "600"}
    parts = [
        f'{math_to_html(sign)} <span style="font-weight: {weights.get(role, "400")}">{math_to_html(source)}</span>'
        for sign, (role, source) in zip(equation.signs, equation.parts, strict=True)
    ]
    tag = f'<span style="opacity: 0.6; display: inline-block; width: 2.5em">{equation.tag}</span>'
    return f'<div style="white-space: nowrap">{tag}{" ".join(parts)}</div>'


def _table_html(table: Table) -> str:
    def row(cells: Sequence[str], kind: str) -> str:
        style = f'<{kind} style="text-align: left; padding-right: 1.5em">'
        return "<tr>" + "".join(f"{style}{math_to_html(cell)}</{kind}>" for cell in cells) + "</tr>"

    return "<table>" + row(table.header, "th") + "".join(row(cells, "td") for cells in table.rows) + "</table>"


def _equation_latex(equation: Equation) -> str:
    parts = [
        f"{sign} {math_to_latex(source)}" for sign, (_, source) in zip(equation.signs, equation.parts, strict=True)
    ]
    return rf"&\text{{{equation.tag}}}\quad {' '.join(parts)}"


def _table_latex(table: Table) -> str:
    header = " & ".join(rf"\text{{{_latex_text(math_to_text(cell))}}}" for cell in table.header)
    rows = [" & ".join(rf"\text{{{_latex_text(math_to_text(cell))}}}" for cell in row) for row in table.rows]
    return rf"&\begin{{array}}{{{'l' * len(table.header)}}} {header} \\ " + r" \\ ".join(rows) + r" \end{array}"


def _latex_text(text: str) -> str:
    return re.sub(r"([_%#&$])", r"\\\1", text)
