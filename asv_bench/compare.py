"""How fast this tree is beside another commit: both at the same time on this machine, taking turns.

    python asv_bench/compare.py BASE      many cases, and a table of what changed by more than the noise
    python asv_bench/compare.py --guard   a few, beside the commit before the last change; fails where one is slower

Each side is a process with the package of its own tree. Both are warmed and stay, and run a case for a moment each, in
the order new, base, base, new and so on: what else the machine does falls on both. A turn's figure is its fastest
call, a round's the median over the pairs of turns of new/base. Where a process happens to put its code and its arrays
moves that, too: each turn has arrays of its own, each of several rounds its own processes, and a case has changed where
all rounds say so.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from turns import ALL, FEW

HERE = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("turns.py")
UNTIMED = ["estimators", "plots", "study", "__main__.py", "demo.py", "info.py", "warmup.py"]  # what no turn runs
TIMED = ["mlp_jit", *(f":(exclude)mlp_jit/{name}" for name in UNTIMED)]
TURN = 0.02  # seconds
PAIRS = 25  # of turns of each case, in a round
ROUNDS = 4
NOISE = 0.03  # in all rounds of an unchanged tree a case hardly ever lies so far on one side of 1,
MARGIN = 0.05  # and never so far


class NotComparable(Exception):
    """What one side says of a case that it cannot run."""


class Side:
    """A process that runs cases with the package of a tree. Compiled code lies in `cache`, or in the usual place."""

    def __init__(self, tree: Path, cache: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), str(tree)],
            env=os.environ | ({"NUMBA_CACHE_DIR": str(cache)} if cache else {}),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, case: str) -> None:
        """Begin a turn."""
        with suppress(BrokenPipeError):  # `answer` says so
            print(json.dumps([case, TURN]), file=self.process.stdin, flush=True)

    def answer(self) -> float:
        """The seconds of the turn's fastest call. Raises NotComparable."""
        line = self.process.stdout.readline()
        seconds, error = json.loads(line) if line else (None, "the process died")
        if error is not None:
            raise NotComparable(error)
        return seconds

    def turn(self, case: str) -> float:
        self.ask(case)
        return self.answer()


def comparable(new: Side, base: Side, cases: Sequence[str]) -> list[str]:
    """Let both sides compile, at the same time. The cases that the base can run.

    RuntimeError where the new one cannot.
    """
    found = []
    for case in cases:
        new.ask(case)
        base.ask(case)
        try:
            new.answer()
        except NotComparable as error:
            raise RuntimeError(f"{case}: {error}") from None
        try:
            base.answer()
            found.append(case)
        except NotComparable as error:
            print(f"not comparable: {case}: the base has {error}", flush=True)
    return found


def one_round(new: Side, base: Side, cases: Sequence[str]) -> dict[str, float]:
    """The median new/base of each case, over pairs of turns; the cases take turns, too."""
    ratios: dict[str, list[float]] = {case: [] for case in cases}
    for pair in range(PAIRS):
        for case in cases:
            seconds = {side: side.turn(case) for side in ((new, base) if pair % 2 else (base, new))}
            ratios[case].append(seconds[new] / seconds[base])
    return {case: statistics.median(values) for case, values in ratios.items()}


def verdict(rounds: Sequence[float], margin: float) -> str:
    """Whether every round says "slower", or "faster", by more than the margin; otherwise ""."""
    if min(rounds) > 1 + margin:
        return "slower"
    return "faster" if max(rounds) < 1 / (1 + margin) else ""


def compare(base_tree: Path, cases: Sequence[str], *, only_changed: bool) -> dict[str, list[float]]:
    """The rounds of each case that both sides can run. `only_changed`: no more of a case that a round cleared."""

    def sides() -> tuple[Side, Side]:
        return Side(HERE), Side(base_tree, base_tree / "cache")

    new, base = sides()  # not measured: a process that compiled runs up to 10 % slower than one that loads
    with new, base:
        left = comparable(new, base, cases)
    rounds: dict[str, list[float]] = {case: [] for case in left}
    for _ in range(ROUNDS):
        new, base = sides()
        with new, base:
            for case, ratio in one_round(new, base, left).items():
                rounds[case].append(ratio)
        if only_changed:
            left = [case for case in left if verdict(rounds[case], MARGIN)]
        if not left:
            break
    return rounds


def table(rounds: dict[str, list[float]], margin: float) -> str:
    """A line for each case, the slowest first."""
    lines = ["new/base    rounds                case"]
    for case, ratios in sorted(rounds.items(), key=lambda item: -statistics.median(item[1])):
        lowest, middle, highest = min(ratios), statistics.median(ratios), max(ratios)
        lines.append(f"{middle:8.2f}    {lowest:.2f} to {highest:.2f}  {verdict(ratios, margin):6}  {case}")
    return "\n".join(lines)


# --------------------------------------------------------------------------------------- the other commit


def git(*arguments: str) -> bytes:
    """What git prints here. Raises CalledProcessError."""
    return subprocess.run(["git", "-C", str(HERE), *arguments], check=True, capture_output=True).stdout


def fulfilled(*arguments: str) -> bool:
    """Whether git, asked so, says yes."""
    return subprocess.run(["git", "-C", str(HERE), *arguments], capture_output=True).returncode == 0


def same_package(commit: str) -> bool:
    """Whether what is timed is the same here and there."""
    return fulfilled("diff", "--quiet", commit, "--", *TIMED)


def before_the_change() -> str | None:
    """The newest commit whose package is another: from upstream's main, where that is behind, or from here, back."""
    behind = fulfilled("merge-base", "--is-ancestor", "origin/main", "HEAD")
    start = "origin/main" if behind else "HEAD"
    history = git("rev-list", "--first-parent", start).decode().split() if fulfilled("rev-parse", start) else []
    return next((commit for commit in history if not same_package(commit)), None)


def check_out(commit: str, folder: Path) -> Path:
    """The folder, with that commit's package in it."""
    with tarfile.open(fileobj=BytesIO(git("archive", commit, "mlp_jit"))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(prog="compare.py", description="This tree's speed beside another commit's.")
    parser.add_argument("base", nargs="?", help="the other commit; without it, the one before the last change")
    parser.add_argument("--guard", action="store_true", help=f"few cases; fail where one is {MARGIN:.0%} slower")
    arguments = parser.parse_args()
    base = arguments.base or before_the_change()
    if arguments.base and not fulfilled("rev-parse", "--verify", f"{base}^{{commit}}"):
        sys.exit(f"{base} is no commit that is known here")
    if base is None:
        print("No commit with another package is known here (a shallow clone?): nothing to compare with")
        return
    if same_package(base):
        print(f"The package is what it was in {base}: nothing to compare")
        return
    cases, margin = (FEW, MARGIN) if arguments.guard else (ALL, NOISE)
    print(git("log", "-1", "--format=Beside %h %s", base).decode(), end="", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rounds = compare(check_out(base, Path(folder)), [str(case) for case in cases], only_changed=arguments.guard)
    print(table(rounds, margin))
    slower = [case for case, ratios in rounds.items() if verdict(ratios, margin) == "slower"]
    if arguments.guard and slower:
        sys.exit(f"{len(slower)} slower by more than {margin:.0%}, in each of {ROUNDS} rounds")


if __name__ == "__main__":
    main()
