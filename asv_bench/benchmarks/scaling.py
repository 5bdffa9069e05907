"""Where the fast engine pays: 64-width-10 networks over widths, batches and threads, SGD, float32.

From asv_bench, `python -m benchmarks.scaling ../docs/ours_over_numpy.svg` measures widths by batches and draws a chart.
"""

import argparse

import numba
import numpy as np

from mlp_jit.optimizers import SGD

from .common import BASELINE, Epoch, Problem, assert_parity, one_thread, ratio

ENGINE = "lanes"
WIDTHS = [8, 16, 32, 64, 128, 256, 512, 1024]
BATCHES = [8, 32, 100, 320, 1000]
SAMPLES = 2000  # an epoch, at the least two batches


def epoch(width: int, batch_size: int, engine: str, n_threads: int = 1) -> Epoch:
    problem = Problem((64, width, 10), batch_size, max(2, SAMPLES // batch_size))
    return Epoch(problem, "float32", engine, SGD(), n_threads)


class WidthByBatch:
    """An epoch's time over the vectorised baseline's, one thread each."""

    param_names = ("width", "batch")
    params = (WIDTHS, BATCHES)
    unit = "ours/baseline"
    version = "1"

    @one_thread
    def setup(self, width: int, batch_size: int) -> None:
        self.pair = epoch(width, batch_size, ENGINE), epoch(width, batch_size, BASELINE)
        assert_parity(*self.pair)

    @one_thread
    def track_ratio(self, width: int, batch_size: int) -> float:
        return ratio(*self.pair)


class Threads:
    """An epoch's time with several threads over its time with one: below 1 they pay."""

    param_names = ("width", "batch", "threads")
    params = (WIDTHS[::2], BATCHES[::2], [2, 4, 8])
    unit = "several threads/one thread"
    version = "1"

    def setup(self, width: int, batch_size: int, n_threads: int) -> None:
        if n_threads > numba.config.NUMBA_NUM_THREADS:
            raise NotImplementedError(f"Numba has no {n_threads} threads here")
        self.pair = epoch(width, batch_size, ENGINE, n_threads), epoch(width, batch_size, ENGINE)
        assert_parity(*self.pair)

    def track_ratio(self, width: int, batch_size: int, n_threads: int) -> float:
        return ratio(*self.pair)


@one_thread
def grid() -> np.ndarray:
    """The ratios of WidthByBatch, (widths, batches), each printed as it comes."""
    ratios = np.empty((len(WIDTHS), len(BATCHES)))
    benchmark = WidthByBatch()
    for (i, j), _ in np.ndenumerate(ratios):
        benchmark.setup(WIDTHS[i], BATCHES[j])
        ratios[i, j] = benchmark.track_ratio(WIDTHS[i], BATCHES[j])
        print(f"width {WIDTHS[i]}, batch {BATCHES[j]}: {ratios[i, j]:.2f}", flush=True)
    return ratios


def draw(ratios: np.ndarray, file: str) -> None:
    """A heat map of the ratios, blue below 1 and red above, that can be read on a light and on a dark page."""
    import matplotlib
    from matplotlib.figure import Figure

    grey = "#808890"  # stands out from white and from black
    style = dict.fromkeys(["text.color", "axes.labelcolor", "xtick.color", "ytick.color"], grey)
    with matplotlib.rc_context({**style, "svg.fonttype": "none"}):  # letters as text, not as outlines
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.add_subplot(
            xlabel="units in the hidden layer, between 64 inputs and 10 outputs",
            ylabel="batch size",
            xticks=range(len(WIDTHS)),
            yticks=range(len(BATCHES)),
            xticklabels=WIDTHS,
            yticklabels=BATCHES,
        )
        axes.set_title("Time of an SGD epoch, ours over NumPy's: below 1 (blue) ours is faster", fontsize="medium")
        image = axes.imshow(np.log2(ratios).T, cmap="RdBu_r", vmin=-3, vmax=3, origin="lower", aspect="auto")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (i, j), value in np.ndenumerate(ratios):
            cell = image.to_rgba(np.log2(value))
            light = np.dot(cell[:3], [0.3, 0.6, 0.1]) > 0.5
            axes.text(i, j, f"{value:.2f}", color="black" if light else "white", ha="center", va="center")
        figure.savefig(file, transparent=True, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description="Draw width by batch.")
    parser.add_argument("file", help="where the chart goes: .svg or .png")
    file = parser.parse_args().file
    draw(grid(), file)


if __name__ == "__main__":
    main()
