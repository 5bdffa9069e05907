"""The README's picture and table, and those of the guide, made of the recorded results: make figures."""

import re
from pathlib import Path

from charts import draw_grid, draw_history
from recorded import Milestone, described, everywhere, latest, milestones

ROOT = Path(__file__).parents[1]
GRID, PEERS = "scaling.WidthByBatch.track_ratio", "peers.PeerRatio.track_ratio"
LIMIT = "limit.StepOverLimit.track_ratio"
MARKED = re.compile(r"(<!-- make figures -->\n).*?(<!-- /make figures -->)", re.DOTALL)


def tables() -> list[str]:
    """For each machine where the peers were recorded a table, under its name."""
    return [
        f"On {described(machine)}, commit {milestone.short}:\n\n{peers_table(milestone)}"
        for machine, milestone in everywhere(PEERS)
    ]


def peers_table(milestone: Milestone) -> str:
    """A row for each network, a column for each peer: an epoch's time over theirs on one thread / on two, and so on.

    Where that was recorded, one more: what part of the processor's peak and of BLAS's rate a step of SGD reaches.
    """
    values, limits = milestone.values(PEERS), milestone.values(LIMIT)
    networks, threads, peers = (list(dict.fromkeys(column)) for column in zip(*values, strict=True))
    peers = [peer for peer in peers if any(ratio for place, ratio in values.items() if place[2] == peer)]
    lines = [["network, batch", *peers], ["---"] * (1 + len(peers))]
    for network in networks:
        cells = [" / ".join(figure(values[network, n_threads, peer]) for n_threads in threads) for peer in peers]
        lines.append([network.replace(" batch ", ", "), *cells])
    if limits:
        lines[0].append("of the peak / of BLAS")
        lines[1].append("---")
        for network, line in zip(networks, lines[2:], strict=True):
            over = [limits.get((network, "float32", of)) for of in ("peak", "product")]
            line.append(" / ".join(figure(1 / ratio if ratio else None) for ratio in over))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def figure(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.{2 if ratio >= 0.01 else 3}f}"


def main() -> None:
    history = milestones()
    draw_history(history, ROOT / "docs" / "history.svg")
    draw_grid(latest(history, GRID).values(GRID), ROOT / "docs" / "ours_over_numpy.svg")
    made = tables()
    write_tables(made[0], ROOT / "README.md")
    write_tables("\n\n".join(made), ROOT / "docs" / "guide" / "performance.md")


def write_tables(tables: str, readme: Path) -> None:
    """Put the tables where the marks are. ValueError without exactly one pair of them."""
    text, count = MARKED.subn(lambda marks: f"{marks[1]}\n{tables}\n\n{marks[2]}", readme.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{readme} wants one <!-- make figures --> with its <!-- /make figures -->, found {count}")
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
