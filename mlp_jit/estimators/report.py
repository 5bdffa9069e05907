"""What verbose=True shows: a progress bar where one can be drawn, scikit-learn's lines otherwise."""

import sys
from typing import Any

from ..training import Progress, Training


class Report(Progress):
    """On standard output: rich's bar in a terminal or a notebook, where rich is installed, and plain lines in a log."""

    def __init__(self, *, bar: bool) -> None:
        super().__init__(sys.stdout)
        self.bar = bar

    def open_bar(self) -> Any:
        return super().open_bar() if self.bar else None

    def print_line(self, training: Training) -> None:
        history = training.history
        print(f"Iteration {len(history.loss)}, loss = {history.loss[-1]:.8f}", file=self.out)
        if history.validation_score:
            print(f"Validation score: {history.validation_score[-1]:f}", file=self.out)
