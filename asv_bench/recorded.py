"""The recorded results, commit by commit: what the front page and the README's figures are made of."""

import ast
import math
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from asv.machine import iter_machine_files
from asv.results import Results, iter_results, iter_results_for_machine
from asv.util import load_json

FOLDER = Path(__file__).parent / "results"
EPOCH = "training.EpochRatio.track_ratio"
Values = dict[tuple, float | None]  # a benchmark's parameters: its value, None where it failed or could not run


@dataclass(frozen=True)
class Milestone:
    """A commit with results."""

    commit: str
    date: datetime
    subject: str
    benchmarks: dict[str, Values]

    @property
    def short(self) -> str:
        """As asv's pages show it."""
        return self.commit[:8]

    def values(self, benchmark: str) -> Values:
        return self.benchmarks.get(benchmark, {})

    def epoch_ratio(self, network: str) -> float | None:
        """An epoch of SGD over NumPy's in float32, by the fastest engine that there was."""
        values = self.values(EPOCH)
        ratios = (values.get((network, "float32", engine, "sgd")) for engine in ("lanes", "loops"))
        return next((ratio for ratio in ratios if ratio is not None), None)


def milestones(folder: Path = FOLDER, machine: str | None = None) -> list[Milestone]:
    """What was recorded on a machine, by default the one with most results, oldest first. LookupError without any."""
    machine = machine or main_machine(folder)["machine"]
    benchmarks = load_json(str(folder / "benchmarks.json"))
    by_commit: dict[str, Milestone] = {}
    for results in iter_results_for_machine(str(folder), machine):
        date = datetime.fromtimestamp(results.date / 1000, UTC)
        empty = Milestone(results.commit_hash, date, subject(results.commit_hash), {})
        by_commit.setdefault(results.commit_hash, empty).benchmarks.update(measured(results, benchmarks))
    return sorted(by_commit.values(), key=lambda milestone: milestone.date)


def latest(history: list[Milestone], benchmark: str) -> Milestone:
    """The newest commit with results of a benchmark. LookupError without any."""
    for milestone in reversed(history):
        if milestone.values(benchmark):
            return milestone
    raise LookupError(f"no results of {benchmark}: make bench records some")


def everywhere(benchmark: str, folder: Path = FOLDER) -> list[tuple[dict[str, str], Milestone]]:
    """Each machine with results of a benchmark, and the newest commit with them there; the newest machine first."""
    found = []
    for machine in machines(folder):
        with suppress(LookupError):
            found.append((machine, latest(milestones(folder, machine["machine"]), benchmark)))
    return sorted(found, key=lambda pair: pair[1].date, reverse=True)


def networks(history: list[Milestone]) -> list[str]:
    """The names of all networks whose epochs were timed, in the benchmark's order."""
    return list(dict.fromkeys(place[0] for milestone in history for place in milestone.values(EPOCH)))


def machines(folder: Path = FOLDER) -> list[dict[str, str]]:
    """What asv knows of each machine with results: its name, cpu, num_cpu, ram, os."""
    return [load_json(file) for file in iter_machine_files(str(folder))]


def main_machine(folder: Path = FOLDER) -> dict[str, str]:
    """The machine with the most results."""
    counts = Counter(results.params["machine"] for results in iter_results(str(folder)))
    if not counts:
        raise LookupError(f"no results in {folder}: make bench records some")
    name = counts.most_common(1)[0][0]
    return next(machine for machine in machines(folder) if machine["machine"] == name)


def described(machine: dict[str, str]) -> str:
    """A machine in words."""
    return f"{machine['machine']} ({machine['cpu']}, {machine['num_cpu']} cores, {machine['ram']})"


def measured(results: Results, benchmarks: dict) -> dict[str, Values]:
    """What a file of results has of the present versions of the benchmarks."""
    found = {}
    for name in results.get_result_keys(benchmarks):
        params = results.get_result_params(name)
        places = product(*([ast.literal_eval(value) for value in values] for values in params))
        figures = zip(places, results.get_result_value(name, params), strict=True)
        found[name] = {place: None if value is None or math.isnan(value) else value for place, value in figures}
    return found


def subject(commit: str) -> str:
    """The first line of a commit's message; none where the history has been cut off."""
    command = ["git", "log", "-1", "--format=%s", commit]
    return subprocess.run(command, cwd=FOLDER, capture_output=True, encoding="utf-8").stdout.strip()
