"""What all displays share: axes to draw on, and colours."""

from typing import Any

import numpy as np

from ..network import Network

# Okabe & Ito's colours, which people with colour blindness can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F", "#666666", "#B0A800", "#000000")


def pyplot() -> Any:
    """matplotlib.pyplot. ImportError with the command to install it."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install 'mlp_jit[plot]'") from None
    return pyplot


def one_axes(ax: Any, size: tuple[float, float] = (5.6, 3.8)) -> Any:
    """`ax`, or the axes of a new figure."""
    plt = pyplot()
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def grid_of_axes(ax: Any, count: int, columns: int, size: tuple[float, float]) -> np.ndarray:
    """`count` axes (count,): in a new figure with `size` inches for each, in place of one `ax`, or the ones given."""
    plt = pyplot()
    if ax is not None and not hasattr(ax, "plot"):
        given = np.asarray(ax, dtype=object).ravel()
        if len(given) < count:
            raise ValueError(f"ax: expected one axes or {count} of them, got {len(given)}")
        return given[:count]
    columns = min(columns, count)
    rows = -(-count // columns)
    if ax is None:
        figure = plt.figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
        cells = figure.add_gridspec(rows, columns)
    else:
        figure = ax.figure
        ax.set_axis_off()
        cells = ax.get_subplotspec().subgridspec(rows, columns)
    return np.array([figure.add_subplot(cells[n // columns, n % columns]) for n in range(count)], dtype=object)


def plain(ax: Any) -> None:
    """A light frame: no lines at the top and on the right, a thin grid behind."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def colour_numbers(network: Network, y: np.ndarray) -> np.ndarray:
    """A number for the colour of each sample: its class (n_samples,), or its first target where there is none.

    A few small whole numbers count as classes whatever the output is.
    """
    if network.output == "softmax":
        return y.argmax(axis=1)
    if network.output in ("sigmoid", "step") and y.shape[1] == 1:
        return (y[:, 0] >= 0.5).astype(int)
    first = y[:, 0]
    return first.astype(int) if np.isin(first, range(len(COLOURS))).all() else first


def scatter(ax: Any, x: np.ndarray, y: np.ndarray, numbers: np.ndarray, names: Any = None) -> None:
    """Points in the colours of their classes, or of a scale where `numbers` are no classes."""
    style = {"s": 18 if len(x) > 50 else 50, "edgecolors": "white", "linewidths": 0.5}
    if numbers.dtype.kind not in "iu":
        ax.scatter(x, y, c=numbers, cmap="viridis", **style)
        return
    for k in np.unique(numbers):
        label = str(k if names is None else names[k])
        ax.scatter(x[numbers == k], y[numbers == k], color=COLOURS[k % len(COLOURS)], label=label, **style)
