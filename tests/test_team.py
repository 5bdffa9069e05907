"""A team's workers share each phase's tasks, each done once, and nobody waits for a worker that does not come."""

import threading

import numba
import numpy as np
import pytest

from mlp_jit._jit import kernel
from mlp_jit.engines.lanes import team
from mlp_jit.engines.lanes.simd import at

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="intrinsics exist only compiled")


def new_counters(workers):
    return np.zeros((1 + workers) * team.LINE, np.int64)


@kernel
def claim(counters, phase, tasks, workers, w):
    return team.next_task(at(counters, 0), phase, tasks, workers, w)


@kernel
def phases(counters, sizes, workers, values, doers, give_way, w):
    """Phase k adds one to each of its sizes[k] values, and 1000 for each of phase k − 1 that is not at one."""
    counters = at(counters, 0)
    done = np.int64(0)
    for phase in range(sizes.size):
        task = team.next_task(counters, done, sizes[phase], workers, w)
        while task >= 0:
            if phase > 0:
                for other in range(sizes[phase - 1]):
                    values[phase, task] += 1000 * (values[phase - 1, other] != 1)
            values[phase, task] += 1
            doers[phase, task] = w
            team.finish(counters)
            task = team.next_task(counters, done, sizes[phase], workers, w)
        done = team.wait(counters, done + sizes[phase], give_way)


def test_a_worker_claims_its_own_share_first():
    counters = new_counters(3)
    assert [claim(counters, 0, 7, 3, 1) for _ in range(8)] == [2, 3, 4, 5, 6, 0, 1, -1]


def test_a_late_worker_finds_nothing_in_a_phase_that_is_past():
    counters = new_counters(2)
    assert [claim(counters, 0, 2, 2, 0) for _ in range(3)] == [0, 1, -1]
    assert claim(counters, 2, 2, 2, 0) == 0  # the others have gone on
    assert claim(counters, 0, 2, 2, 1) == -1
    assert claim(counters, 2, 2, 2, 1) == 1


@pytest.mark.parametrize("present", [1, 2, 3, 4])
def test_every_task_is_done_once_and_in_its_phase(present):
    """By a team of four, of whom some never come."""
    sizes = np.random.default_rng(present).integers(1, 9, 3000)
    values, doers = np.zeros((sizes.size, 8), np.int64), np.full((sizes.size, 8), -1)
    counters = new_counters(4)
    arguments = counters, sizes, 4, values, doers, team.give_way()
    phases(counters, sizes[:0], 4, values, doers, team.give_way(), 0)  # compiles
    threads = [threading.Thread(target=phases, args=(*arguments, w)) for w in range(present)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    expected = np.arange(8) < sizes[:, None]
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(doers >= 0, expected)
    assert doers.max() < present
