"""The workers of a call are as many as were fastest when tried, and no bit depends on their number."""

import numpy as np
import pytest

from mlp_jit import Network, fit
from mlp_jit.engines.lanes import crew, session
from mlp_jit.engines.lanes.crew import AGAIN, PATIENCE, TRIES, Crew
from mlp_jit.optimizers import Adam

STEPS = 1000


def work(crew, step, seconds):
    """Calls of STEPS steps for so long, where a step by w workers takes step(w); how long each number worked."""
    worked = dict.fromkeys(crew.numbers, 0.0)
    while sum(worked.values()) < seconds:
        left = STEPS
        while left:
            workers, steps = crew.next(left)
            took = steps * step(workers)
            crew.took(workers, steps, took)
            worked[workers] += took
            left -= steps
    return worked


@pytest.mark.parametrize("guess", [1, 8])
@pytest.mark.parametrize("fastest", [1, 2, 8])
def test_the_fastest_number_does_nearly_all_of_the_work(guess, fastest):
    worked = work(Crew(8, guess), lambda w: 1e-5 if w == fastest else 2e-5, 30)
    assert worked[fastest] > 0.9 * sum(worked.values())


def test_the_guess_works_until_it_is_worth_trying():
    assert work(Crew(2, 2), lambda w: 1e-8, PATIENCE / 2)[1] == 0


def test_another_number_is_found_when_the_machine_changes():
    crew = Crew(2, 1)
    assert work(crew, lambda w: 1e-5 / w, 5)[2] > 4
    worked = work(crew, lambda w: 1e-5 * w, 10)
    assert worked[1] > 8


def test_trying_takes_a_small_part_of_the_time_also_where_a_step_is_long():
    long = work(Crew(2, 1), lambda w: 0.5 * w, 2000)
    assert long[2] < 2 * sum(long.values()) / AGAIN


def test_one_worker_is_never_doubted():
    alone = Crew(1, 1)
    work(alone, lambda w: 1e-5, 1)
    assert alone.next(STEPS) == (1, STEPS)
    assert not alone.best


def test_a_fit_that_tries_has_the_bits_of_one_that_does_not(monkeypatch):
    X, y = np.random.default_rng(0).normal(size=(600, 5)), np.arange(600) % 3

    def trained(n_threads):
        network, adam = Network([5, 40, 3], output="softmax", random_state=0), Adam()
        history = fit(network, X, y, optimizer=adam, batch_size=50, epochs=6, n_threads=n_threads, random_state=0)
        return network.params, history.loss, adam.t

    alone = trained(1)
    monkeypatch.setattr(session, "PARALLEL_WORK", 0)
    monkeypatch.setattr(crew, "PATIENCE", 1e-9)
    monkeypatch.setattr(crew, "TRIAL", 1e-9)
    numbers = []
    monkeypatch.setattr(Crew, "took", lambda self, *call, took=Crew.took: (numbers.append(call[0]), took(self, *call)))
    tried = trained(2)
    np.testing.assert_array_equal(tried[0], alone[0])
    assert tried[1:] == alone[1:]
    assert numbers.count(1) >= TRIES
    assert numbers.count(2) >= TRIES
