"""The README's pictures and its table, made of the recorded results: make figures."""

import re
from pathlib import Path

from charts import draw_grid, draw_history
from recorded import Milestone, latest, milestones

ROOT = Path(__file__).parents[1]
GRID, PEERS = "scaling.WidthByBatch.track_ratio", "peers.PeerRatio.track_ratio"
MARKED = re.compile(r"(<!-- make figures -->\n).*?(<!-- /make figures -->)", re.DOTALL)


def peers_table(milestone: Milestone) -> str:
    """A row for each network, a column for each peer: an epoch's time over theirs on one thread / on two, and so on."""
    values = milestone.values(PEERS)
    networks, threads, peers = (list(dict.fromkeys(column)) for column in zip(*values, strict=True))
    lines = [["network, batch", *peers], ["---"] * (1 + len(peers))]
    for network in networks:
        cells = [" / ".join(figure(values[network, n_threads, peer]) for n_threads in threads) for peer in peers]
        lines.append([network.replace(" batch ", ", "), *cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def figure(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.{2 if ratio >= 0.01 else 3}f}"


def main() -> None:
    history = milestones()
    draw_history(history, ROOT / "docs" / "history.svg")
    draw_grid(latest(history, GRID).values(GRID), ROOT / "docs" / "ours_over_numpy.svg")
    try:
        write_table(peers_table(latest(history, PEERS)), ROOT / "README.md")
    except LookupError as error:
        print(f"The README's table stays as it is: {error}")


def write_table(table: str, readme: Path) -> None:
    """Put a table where the marks are. ValueError without exactly one pair of them."""
    text, count = MARKED.subn(lambda marks: f"{marks[1]}\n{table}\n\n{marks[2]}", readme.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{readme} wants one <!-- make figures --> with its <!-- /make figures -->, found {count}")
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
