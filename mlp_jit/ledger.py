"""The shape ledger of a network."""

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
