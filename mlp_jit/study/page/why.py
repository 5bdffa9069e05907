"""The chain rule on the page: `Explanation.why` as HTML in which every symbol knows its place in the network."""

import re
from typing import Any

from ...network import Network
from ..document import Document, Equation, math_to_html
from ..explanation import explain
from ..walking import Walk

SAMPLE = 2  # of the walk's, from 1
ASIDE: dict[str, dict[str, Any]] = {
    "softmax with cross-entropy": {"sizes": [2, 2, 3], "output": "softmax"},
    "batch normalisation": {"sizes": [2, 2, 1], "normalization": "batch"},
}


def whys(walk: Walk) -> dict[str, Any]:
    """The derivation for every weight of a walk's network, and those of what that network has not."""
    explanation, sizes = explain(walk.network, walk.X, walk.y), walk.network.sizes
    places = [
        (l, i, j) for l in range(1, len(sizes)) for i in range(1, sizes[l - 1] + 1) for j in range(1, sizes[l] + 1)
    ]
    return {
        "sample": SAMPLE - 1,
        "weights": {
            f"w:{l}:{i - 1}:{j - 1}": _steps(explanation.why(l, i, j, SAMPLE), l, len(sizes) - 1) for l, i, j in places
        },
        "aside": {title: _aside(**options) for title, options in ASIDE.items()},
    }


def _aside(sizes: list[int], **options: Any) -> list[dict[str, Any]]:
    """The derivation for w_11 of the last layer but for the output's, where softmax is, or of the normalised one."""
    network = Network(sizes, activation="tanh", dtype="float64", random_state=0, **options)
    y = [0, 2, 1, 1] if sizes[-1] == 3 else [0, 1, 1, 0]
    layer = 2 if "output" in options else 1
    return _steps(explain(network, [[-1, -1], [-1, 1], [1, -1], [1, 1]], y).why(layer, sample=SAMPLE), layer, 2)


def _steps(document: Document, l: int, last: int) -> list[dict[str, Any]]:
    """Each step: why, and the tag and HTML of each line. Of its letters without a layer, those in E1 and E2 are the
    output's, and the others those of a weight of layer l.
    """

    def line(equation: Equation) -> list[str]:
        of_weight = {"a": l - 1, "w": l, "δ": l}
        return [equation.tag, _placed(_line(equation), {} if equation.tag in ("E1", "E2") else of_weight, last)]

    return [
        {
            "words": " ".join(section.notes),
            "lines": [line(item) for item in section.items if isinstance(item, Equation)],
        }
        for section in document.sections
    ]


def _line(equation: Equation) -> str:
    parts = [
        f"{math_to_html(sign)} {math_to_html(source)}".strip()
        for sign, (_, source) in zip(equation.signs, equation.parts, strict=True)
    ]
    return " ".join(parts)


def _placed(line: str, layers: dict[str, int], last: int) -> str:
    """The symbols of a line in elements with their places; a running index is a star."""

    def place(found: re.Match[str]) -> str:
        letter = {"ŷ": "a"}.get(found["letter"], found["letter"])
        l = 0 if letter == "y" else int(found["l"] or layers.get(letter, last))
        units = [str(int(unit) - 1) if unit.isdigit() else "*" for unit in found["index"]]
        return f'<span class="symbol" data-place="{":".join([letter, str(l), *units])}">{found[0]}</span>'

    symbol = r"(?P<letter>[zabwyδŷ])(?:<sup>(?P<l>\d)</sup>)?<sub>(?P<index>[\dijk]+)</sub>"
    return re.sub(symbol, place, line)
