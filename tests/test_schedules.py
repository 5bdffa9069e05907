"""The factor on η: every formula, what `fit` makes of it, and what is refused."""

import numpy as np
import pytest
from problems import problem

from mlp_jit import SGD, fit
from mlp_jit.schedules import SCHEDULES, Constant, Cosine, Exponential, InverseScaling, OnPlateau, Step

pytestmark = pytest.mark.python

HALVES = np.arange(0, 4, 0.5)
CASES = [  # a schedule, epochs, its factors there
    (Constant(), [0, 0.5, 7], [1, 1, 1]),
    (InverseScaling(), [0, 0.9, 3, 8.5], [1, 1, 4**-0.5, 9**-0.5]),
    (InverseScaling(power=2, rate=3), [0, 1, 2], [1, 1 / 16, 1 / 49]),
    (Exponential(), [0, 1, 2], [1, 0.95, 0.95**2]),
    (Exponential(0.25), [0.5, 1.5], [1 / 2, 1 / 8]),
    (Step(), [0, 9.9, 10, 25], [1, 1, 0.1, 0.01]),
    (Step(every=2, gamma=0.5), HALVES, [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]),
    (Cosine(epochs=4), [0, 1, 2, 3, 4, 9], [1, (1 + 0.5**0.5) / 2, 1 / 2, (1 - 0.5**0.5) / 2, 0, 0]),
    (Cosine(epochs=6, warmup=2), [0, 0.5, 1, 2, 4, 6], [0, 1 / 4, 1 / 2, 1, 1 / 2, 0]),
    (Cosine(epochs=4, floor=0.2), [0, 2, 4, 9], [1, 0.6, 0.2, 0.2]),
    (OnPlateau(), [0, 50], [1, 1]),
]
BAD = [
    (InverseScaling, "power", 0),
    (InverseScaling, "rate", -1),
    (Exponential, "gamma", 0),
    (Exponential, "gamma", np.nan),
    (Step, "every", 0),
    (Step, "gamma", -0.1),
    (Cosine, "epochs", 0),
    (Cosine, "warmup", -1),
    (Cosine, "warmup", 100),
    (Cosine, "floor", 1.5),
    (OnPlateau, "factor", 1),
    (OnPlateau, "factor", 0),
    (OnPlateau, "patience", 0),
]


@pytest.mark.parametrize(("schedule", "epochs", "factors"), CASES, ids=str)
def test_factors(schedule, epochs, factors):
    computed = schedule.factors(np.asarray(epochs, np.float64))
    assert computed.dtype == np.float64
    np.testing.assert_allclose(computed, factors, rtol=1e-14, atol=1e-16)


def test_every_schedule_has_its_factors_checked():
    assert {type(schedule) for schedule, *_ in CASES} == set(SCHEDULES.values())


def test_cosine_rises_in_its_warmup_and_falls_after_it():
    changes = np.diff(Cosine(epochs=10, warmup=3).factors(np.linspace(0, 10, 101)))
    assert (changes[:30] > 0).all()
    assert (changes[30:] < 0).all()


def test_on_plateau_waits_then_reduces():
    """Patience 2 and tolerance 0.1: only a fall of more than that starts the wait anew."""
    schedule, seen = OnPlateau(factor=0.5, patience=2, tol=0.1), []
    for loss in (3, 2, 1.95, 1.0, 1.0, 0.95, 0.9, 0.9, 0.9):
        schedule.observe(loss)
        seen.append(float(schedule.factors(np.zeros(1))[0]))
    assert seen == [1, 1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(("kind", "name", "value"), BAD)
def test_bad_settings_are_refused(kind, name, value):
    with pytest.raises((TypeError, ValueError), match=rf"{kind.__name__}.*{name}.*got"):
        kind(**{name: value})


@pytest.mark.parametrize("name", SCHEDULES)
def test_fit_asks_with_fractional_epochs(engine, name):
    """Two epochs of four batches: SGD's steps are η times the factor at 0, ¼, ½, ¾, 1 …; the history keeps the last."""
    network, X, y, _ = problem((2, 2), n=8)
    reference, schedule = network.copy(), Cosine(epochs=2) if name == "cosine" else SCHEDULES[name]()
    history = fit(
        network, X, y, optimizer="sgd", learning_rate=0.1, schedule=name, batch_size=2, epochs=2, shuffle=False,
        engine=engine,
    )  # fmt: skip
    rates = 0.1 * schedule.factors(np.arange(8) / 4)
    for step, rate in enumerate(rates):
        batch = slice(2 * step % 8, 2 * step % 8 + 2)
        reference.params -= rate * reference.gradient(X[batch], y[batch], engine=engine)[1]
    np.testing.assert_allclose(network.params, reference.params, rtol=1e-12)
    assert history.learning_rate == pytest.approx(rates[[3, 7]], rel=1e-15)


@pytest.mark.parametrize("validation", [False, True])
def test_fit_tells_on_plateau_the_loss_it_goes_by(engine, validation):
    """No step is large enough to lower the training loss by the tolerance: η falls after every epoch but the first."""
    network, X, y, _ = problem((2, 2), n=8)
    schedule = OnPlateau(factor=0.5, patience=1)
    history = fit(
        network, X, y, optimizer=SGD(), learning_rate=1e-9, schedule=schedule, epochs=4, engine=engine,
        validation_data=(X, y) if validation else None,
    )  # fmt: skip
    assert history.learning_rate == [1e-9, 1e-9, 0.5e-9, 0.25e-9]
    watched = history.validation_loss if validation else history.loss
    assert schedule.best == min(watched)
