"""A word to whoever waits while code is compiled: one line on standard error, once a process, after a second of it.

Only where somebody reads it: in a terminal or a notebook, not in a log, a test, a worker process, or under `-W error`.
"""

import multiprocessing
import sys
import time

PATIENCE, PAUSE = 1.0, 0.2  # seconds: of compiling before the word, and that end one wait and begin another
WORD = "mlp_jit compiles what is used for the first time; `python -m mlp_jit warmup` does it ahead, once."


class Wait:
    """Compilations, one soon after the other, as somebody waits for them."""

    def __init__(self) -> None:
        self.since = self.until = -PAUSE
        self.said = False

    def begin(self) -> None:
        """Before a compilation."""
        now = time.perf_counter()
        if now - self.until > PAUSE:
            self.since = now
        if not self.said and now - self.since > PATIENCE:
            self.said = True
            if is_read():
                print(WORD, file=sys.stderr, flush=True)

    def end(self) -> None:
        """After it."""
        self.until = time.perf_counter()


def is_read() -> bool:
    """Whether somebody looks at standard error."""
    shown = (sys.stderr is not None and sys.stderr.isatty()) or "ipykernel" in sys.modules
    alone = multiprocessing.parent_process() is None and "pytest" not in sys.modules
    return shown and alone and not any(option.startswith("error") for option in sys.warnoptions)
