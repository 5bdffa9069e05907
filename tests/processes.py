"""Fresh Python processes, for what a test cannot do to the one it runs in."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def start(*arguments: str, root: Path = ROOT, cwd: Path | None = None, **environment: str | None) -> subprocess.Popen:
    """Start `python arguments` with the package of `root`; None takes a variable out of the environment."""
    if "EMULATED" in os.environ:
        pytest.skip("a process that an emulated one starts is not emulated")
    changed = {**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1", **environment}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={name: value for name, value in changed.items() if value is not None},
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that `finish` can end its children, too
        preexec_fn=_hear_interrupts if os.name == "posix" else None,
    )


def _hear_interrupts() -> None:
    """What a shell starts in the background ignores SIGINT, and so would its children; Python hears it by default."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen, timeout: float = 180) -> tuple[str, str]:
    """Its standard output and error, once it has ended well. One that hangs is ended, with its children."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"not done in {timeout} s\n{out}\n{err}") from None
    assert process.returncode == 0, f"exit status {process.returncode}\n{out}\n{err}"
    return out, err


def run(code: str, **settings: str | Path | None) -> str:
    """What the program `code` prints, in a process of its own."""
    return finish(start("-c", code, **settings))[0]
