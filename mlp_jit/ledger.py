"""The shape ledger of a network, and its picture."""

from html import escape
from itertools import pairwise

from .engines.layout import KIND, PLAIN, SKIPS
from .engines.plan import Plan


def ledger(plan: Plan, batch_size: int | str = "N") -> str:
    """For each layer the shapes of W, b, z and a for a batch, φ, and its parameters."""
    rows = [
        ("layer", "W", "b", "z", "a", "φ", "parameters"),
        ("X", "", "", "", f"({batch_size}, {plan.sizes[0]})", "", ""),
    ]
    for l, arrays in enumerate(zip(plan.weights, plan.biases, plan.gains, strict=True), start=1):
        W, b, _ = arrays
        phi = str((*plan.activations, plan.output)[l - 1]) + " + h" * int(plan.table[l, SKIPS])
        phi += f", {plan.normalizations[l - 1]} normalisation" if plan.table[l, KIND] != PLAIN else ""
        shape = f"({batch_size}, {W.shape[1]})"
        counts = [array.size for array in arrays if array.size]
        total = f"{' + '.join(map(str, counts))} = {sum(counts)}"
        rows.append((str(l), str(W.shape), str(b.shape), shape, shape, phi, total))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, f"{plan.params.size} parameters, {plan.dtype.name}, loss {plan.loss_function.name}"])


MOST_UNITS, STEP, RADIUS, BETWEEN = 8, 18, 6, 90  # of a layer that are drawn; pixels


def picture(plan: Plan) -> str:
    """The network as SVG: a column of units for each layer, all joined; of a wide layer the first ones and the last."""
    height = STEP * (min(MOST_UNITS, max(plan.sizes)) + 2)
    columns = []
    for l, units in enumerate(plan.sizes):
        drawn = min(units, MOST_UNITS)
        top = (height - STEP * (drawn - 1)) / 2 - STEP / 2
        columns.append([(BETWEEN * l + 2 * RADIUS, top + STEP * k) for k in range(drawn)])
    edges = "".join(
        f'<line x1="{x}" y1="{y}" x2="{X}" y2="{Y}" stroke="currentColor" stroke-opacity="0.2"/>'
        for left, right in pairwise(columns)
        for x, y in left
        for X, Y in right
    )
    circle = f'r="{RADIUS}" fill="white" stroke="currentColor"'
    marks = "".join(
        f'<text x="{x}" y="{y + 4}" text-anchor="middle">⋮</text>'
        if plan.sizes[l] > MOST_UNITS and k == MOST_UNITS - 2
        else f'<circle cx="{x}" cy="{y}" {circle}/>'
        for l, column in enumerate(columns)
        for k, (x, y) in enumerate(column)
    )
    labels = "".join(
        f'<text x="{column[0][0]}" y="{height - 2}" text-anchor="middle" font-size="11" fill="currentColor">{n}</text>'
        for column, n in zip(columns, plan.sizes, strict=True)
    )
    width = BETWEEN * (len(columns) - 1) + 4 * RADIUS + 10
    return f'<svg width="{width}" height="{height}" role="img" aria-label="the network">{edges}{marks}{labels}</svg>'


def as_html(plan: Plan) -> str:
    """The picture and the ledger, for a notebook."""
    return f"{picture(plan)}<pre>{escape(ledger(plan))}</pre>"
