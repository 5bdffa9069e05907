"""Early stopping and the progress bar, as `fit` calls them."""

import io
import sys
import threading

import numpy as np
import pytest

from mlp_jit import Callback, EarlyStopping, Network, Progress, fit
from mlp_jit.training import History, Training

X = np.random.default_rng(0).normal(size=(12, 2))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(callback, losses, validation_losses=None) -> Training:
    """A fit whose losses are known beforehand; its one parameter is the number of the epoch."""
    training = Training(Network([1, 1]), History(), len(losses))
    callback.on_start(training)
    for epoch, loss in enumerate(losses, start=1):
        training.network.params[:] = epoch
        training.history.loss.append(loss)
        if validation_losses is not None:
            training.history.validation_loss.append(validation_losses[epoch - 1])
        callback.on_epoch(training)
        if training.history.stopped:
            break
    callback.on_end(training)
    return training


NAN = np.nan


@pytest.mark.parametrize(
    ("settings", "losses", "epochs", "best"),
    [
        ({"patience": 1}, [3, 2, 2, 1], 3, 2),
        ({"patience": 2}, [3, 2, 2.5, 1, 4, 5, 0], 6, 4),
        ({"patience": 2}, [3, 2, 1], 3, 3),  # not stopped
        ({"patience": 2}, [3, 2, 4], 3, 2),  # not stopped, the best put back all the same
        ({"patience": 2, "tol": 0.5}, [3, 2.8, 2.6, 2.4], 3, 3),  # too little a fall does not count, but is kept
        ({"patience": 2, "tol": 0.5}, [3, 2.8, 2.2, 1.9, 1.8], 5, 5),
        ({"patience": 2}, [3, NAN, NAN, 1], 3, 1),
        ({"patience": 3}, [NAN, NAN, 1, 2], 4, 3),
    ],
)
def test_early_stopping(settings, losses, epochs, best):
    training = run(EarlyStopping(**settings), losses)
    assert len(training.history.loss) == epochs
    assert (training.network.params == best).all()


def test_early_stopping_says_why():
    training = run(EarlyStopping(patience=2), [3, 1, 2, 2])
    assert training.history.stopped == "no better loss for 2 epochs; best 1 in epoch 2"


def test_early_stopping_watches_the_validation_loss_where_there_is_one():
    assert len(run(EarlyStopping(patience=1), [4, 3, 2, 1], [1, 2, 3, 4]).history.loss) == 2


def test_early_stopping_begins_anew_with_each_fit():
    callback = EarlyStopping(patience=1)
    run(callback, [1, 2])
    assert len(run(callback, [5, 4, 3]).history.loss) == 3


# --------------------------------------------------------------------------------------- progress


def shown(epochs, out, **settings) -> str:
    net = Network([2, 1], output="sigmoid", random_state=0)
    fit(net, X, X[:, :1] > 0, epochs=epochs, callbacks=[Progress(out)], random_state=0, **settings)
    return out.getvalue()


@pytest.mark.parametrize(("epochs", "lines"), [(1, 1), (3, 3), (10, 10), (100, 11), (1000, 11)])
def test_plain_lines_come_about_ten_times(epochs, lines):
    text = shown(epochs, io.StringIO()).splitlines()
    assert len(text) == lines
    assert text[0].startswith(f"epoch 1/{epochs}  loss ")
    assert text[-1].startswith(f"epoch {epochs}/{epochs}  loss ")


def test_a_line_has_the_validation_figures_too():
    lines = shown(1, io.StringIO(), validation_data=(X, X[:, :1] > 0))
    history = fit(
        Network([2, 1], output="sigmoid", random_state=0), X, X[:, :1] > 0, epochs=1, random_state=0,
        validation_data=(X, X[:, :1] > 0),
    )  # fmt: skip
    assert lines == (
        f"epoch 1/1  loss {history.loss[0]:.4f}  validation loss {history.validation_loss[0]:.4f}"
        f"  accuracy {history.validation_accuracy[0]:.4f}\n"
    )


def test_progress_goes_to_standard_error(capsys):
    fit(Network([2, 1]), X, X[:, 0], epochs=1, callbacks=[Progress()])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("epoch 1/1  loss ")


def test_a_terminal_gets_a_bar(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    text = shown(5, Terminal())
    assert "5/5" in text
    assert "━" in text
    assert "loss 0." in text
    assert text.count("\n") <= 5  # redrawn in place


def test_a_terminal_gets_plain_lines_without_rich(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert len(shown(5, Terminal()).splitlines()) == 5


def test_a_bar_is_taken_down_after_an_error(monkeypatch):
    """Otherwise its thread goes on drawing."""
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")

    class Failing(Callback):
        def on_epoch(self, training):
            drawing.extend(set(threading.enumerate()) - before)
            raise ZeroDivisionError

    before, drawing = set(threading.enumerate()), []
    with pytest.raises(ZeroDivisionError):
        fit(Network([2, 1]), X, X[:, 0], callbacks=[Progress(Terminal()), Failing()])
    for thread in drawing:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert drawing
