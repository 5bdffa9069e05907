"""Pictures of recorded results as SVG, which can be read on a light and on a dark page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from recorded import Milestone, Values, networks

GREY = "#808890"  # stands out from white and from black, as do the colours
COLOURS = ["#d9534f", "#dd8a2e", "#a58f1a", "#4f9d4f", "#1f9e9e", "#3f8fd9", "#8f7ae0", "#d065b0"]
MARKERS = "osD^vPX*"


@contextmanager
def drawing(file: Path, size: tuple[float, float]) -> Iterator[Figure]:
    """A figure that is saved at the end, the same to the byte for the same numbers."""
    style = dict.fromkeys(["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], GREY)
    with matplotlib.rc_context({**style, "svg.fonttype": "none", "svg.hashsalt": "mlp_jit"}):  # letters stay text
        figure = Figure(figsize=size, layout="constrained")
        yield figure
        figure.savefig(file, transparent=True, metadata={"Date": None})


def draw_history(history: list[Milestone], file: Path) -> None:
    """A line for each network: an epoch's time over NumPy's, from the oldest commit to the newest."""
    with drawing(file, (8.4, 4.8)) as figure:
        axes = figure.add_subplot(yscale="log", ylabel="epoch's time, ours over NumPy's")
        axes.set_title("Below 1 ours is faster. One thread each, float32, SGD", fontsize="medium")
        for network, colour, marker in zip(networks(history), COLOURS, MARKERS, strict=False):
            ratios = [milestone.epoch_ratio(network) for milestone in history]
            ratios = np.array([np.nan if ratio is None else ratio for ratio in ratios])
            axes.plot(ratios, color=colour, marker=marker, markersize=5, linewidth=1.6, label=network)
        axes.axhline(1, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_xticks(range(len(history)), [milestone.short for milestone in history], rotation=55, ha="right")
        axes.yaxis.set_major_locator(FixedLocator([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
        axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small")


def draw_grid(values: Values, file: Path) -> None:
    """A heat map of ratios by width and batch, blue below 1 and red above."""
    widths, batches = (sorted(set(column)) for column in zip(*values, strict=True))
    ratios = np.array([[values[width, batch] for batch in batches] for width in widths], dtype=float)
    with drawing(file, (6.4, 4.2)) as figure:
        axes = figure.add_subplot(
            xlabel="units in the hidden layer, between 64 inputs and 10 outputs",
            ylabel="batch size",
            xticks=range(len(widths)),
            yticks=range(len(batches)),
            xticklabels=widths,
            yticklabels=batches,
        )
        axes.set_title("Time of an SGD epoch, ours over NumPy's: below 1 (blue) ours is faster", fontsize="medium")
        image = axes.imshow(np.log2(ratios).T, cmap="RdBu_r", vmin=-3, vmax=3, origin="lower", aspect="auto")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (i, j), value in np.ndenumerate(ratios):
            cell = image.to_rgba(np.log2(value))
            light = np.dot(cell[:3], [0.3, 0.6, 0.1]) > 0.5
            axes.text(i, j, f"{value:.2f}", color="black" if light else "white", ha="center", va="center")
