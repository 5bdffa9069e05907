"""How many workers the calls of a session get: what was fastest when it was tried.

No bit depends on their number, so a session may try. What two threads gain depends on the machine, and on what else it
does just now. A session begins with a guess; once its calls have taken a while, it times a few with each number, keeps
the best one, and some time later looks again.
"""

PATIENCE = 0.02  # seconds of calls before anything is tried
TRIES = 3  # calls with each number, of which the fastest counts
TRIAL = 0.002  # seconds that such a call takes, or a step if that is longer
AGAIN = 30  # times what trying took is how long its answer holds, and a second at least


class Crew:
    """The workers for calls of one kind: at most so many, and a first guess."""

    def __init__(self, most: int, guess: int) -> None:
        self.most, self.workers = most, guess
        self.numbers = sorted({1, min(2, most), most})
        self.wait, self.tries = PATIENCE, 0
        self.best: dict[int, float] = {}
        self.step = 0.0  # seconds of a step, when last timed

    def next(self, steps: int) -> tuple[int, int]:
        """The workers of the next call, and how many of the steps that are left it takes."""
        if self.wait > 0 or len(self.numbers) == 1:
            return self.workers, steps
        return self.numbers[self.tries // TRIES], min(steps, max(1, int(TRIAL / self.step)))

    def took(self, workers: int, steps: int, seconds: float) -> None:
        """What the call that `next` spoke of has taken."""
        self.step = max(seconds, 1e-9) / steps  # a clock may not have moved
        if self.wait > 0 or len(self.numbers) == 1:
            self.wait -= seconds
            return
        self.best[workers] = min(self.step, self.best.get(workers, self.step))
        self.tries += 1
        if self.tries == TRIES * len(self.numbers):
            self.workers = min(self.best, key=lambda number: self.best[number])
            self.wait = max(1.0, AGAIN * TRIES * sum(self.best.values()) * max(1.0, TRIAL / self.best[self.workers]))
            self.best, self.tries = {}, 0
