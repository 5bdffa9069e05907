"""The word while compiling: said once, after a second, and only where somebody reads it."""

import io
import sys

import pytest
from processes import run

from mlp_jit import _notice


class Screen(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def clock(monkeypatch):
    """Sets the seconds that have passed."""
    now = [0.0]
    monkeypatch.setattr(_notice.time, "perf_counter", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def compile_for(wait, clock, *seconds, pause=0.0):
    for length in seconds:
        wait.begin()
        clock(length)
        wait.end()
        clock(pause)


def test_it_is_said_once_after_a_second(monkeypatch, clock):
    monkeypatch.setattr(_notice, "is_read", lambda: True)
    monkeypatch.setattr(sys, "stderr", Screen(True))
    wait = _notice.Wait()
    compile_for(wait, clock, 0.4, 0.4)
    assert sys.stderr.getvalue() == ""
    compile_for(wait, clock, 0.4, 0.4, 0.4, 9.0)
    assert sys.stderr.getvalue() == _notice.WORD + "\n"
    assert "python -m mlp_jit warmup" in _notice.WORD


def test_short_compilations_now_and_then_are_no_wait(monkeypatch, clock):
    monkeypatch.setattr(_notice, "is_read", lambda: True)
    monkeypatch.setattr(sys, "stderr", Screen(True))
    compile_for(_notice.Wait(), clock, *[0.5] * 9, pause=0.3)
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize(
    ("terminal", "hidden", "options", "read"),
    [(True, True, [], True), (False, True, [], False), (True, False, [], False), (True, True, ["error"], False)],
)
def test_only_where_somebody_reads_it(monkeypatch, terminal, hidden, options, read):
    monkeypatch.setattr(sys, "stderr", Screen(terminal))
    monkeypatch.setattr(sys, "warnoptions", options)
    if hidden:
        monkeypatch.delitem(sys.modules, "pytest")
    assert _notice.is_read() is read


def test_not_in_a_worker_process():
    code = """
import multiprocessing, sys
from mlp_jit import _notice
sys.stderr.isatty = lambda: True
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(_notice.is_read(), pool.apply(_notice.is_read))
"""
    assert run(code) == "True False\n"
