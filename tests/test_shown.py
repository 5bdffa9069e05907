"""How networks and histories show themselves."""

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mlp_jit import History, Network, fit


def svg_of(html):
    start, stop = html.index("<svg"), html.index("</svg>") + len("</svg>")
    return ET.fromstring(html[start:stop])


def test_a_history_is_one_line():
    assert repr(History()) == "History(no epochs)"
    assert repr(History(loss=[2.0, 0.5])) == "History(loss 0.5000 after 2 epochs)"
    stopped = History(loss=[1.0], validation_loss=[3.0], stopped="no better loss")
    assert repr(stopped) == "History(loss 1.0000  validation loss 3.0000 after 1 epochs, stopped: no better loss)"


def test_a_history_is_a_curve_in_a_notebook():
    net, rng = Network([3, 4, 1], random_state=0), np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    history = fit(net, X, y, epochs=7, validation_data=(X, y), random_state=0)
    html = history._repr_html_()
    training, validation = svg_of(html).findall("polyline")
    assert len(training.get("points").split()) == len(validation.get("points").split()) == 7
    heights = [float(point.split(",")[1]) for point in training.get("points").split()]
    assert np.array_equal(np.argsort(heights), np.argsort(history.loss)[::-1])  # up is more
    assert repr(history) in html


@pytest.mark.parametrize("losses", [[], [1.0], [math.nan, math.inf]])
def test_too_few_losses_for_a_curve(losses):
    assert History(loss=losses)._repr_html_() == f"<code>{History(loss=losses)!r}</code>"


def test_a_scale_over_decades_is_logarithmic_and_gaps_stay_out():
    assert "logarithmic" in History(loss=[100.0, 10.0, 1.0])._repr_html_()
    assert "logarithmic" not in History(loss=[2.0, 1.0])._repr_html_()
    assert "logarithmic" not in History(loss=[2.0, 0.0])._repr_html_()
    (line,) = svg_of(History(loss=[3.0, math.inf, 2.0, 2.0])._repr_html_()).findall("polyline")
    assert len(line.get("points").split()) == 3


def test_a_network_is_a_picture_and_its_ledger():
    net = Network([3, 5, 100, 2], output="softmax", random_state=0)
    html = net._repr_html_()
    svg = svg_of(html)
    assert len(svg.findall("circle")) == 3 + 5 + 7 + 2  # of the wide layer seven and a mark for the others
    assert [text.text for text in svg.findall("text")] == ["⋮", "3", "5", "100", "2"]
    assert len(svg.findall("line")) == 3 * 5 + 5 * 8 + 8 * 2
    assert net.summary().splitlines()[-1] in html
