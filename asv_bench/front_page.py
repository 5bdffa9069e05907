"""What `asv publish` adds for us: a front page before asv's own, and the scripts that asv would load from elsewhere.

The page is made of the recorded results alone. asv's page becomes asv.html; everything works without a network.
"""

import re
import shutil
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from asv.publishing import OutputPublisher
from asv.util import UserError
from recorded import EPOCH, Milestone, main_machine, milestones, networks

DASHBOARD = Path(__file__).parent / "dashboard"
REMOTE = re.compile(r'(<(?:script|link)\b[^>]*?\b(?:src|href)=")https?://[^"]*/([^/"]+)"[^>]*>')


class FrontPage(OutputPublisher):
    name = "front page"

    @classmethod
    def publish(cls, conf: Any, repo: Any, benchmarks: Any, graphs: Any, revisions: Any) -> None:
        from charts import draw_history  # asv reads this file for every command, matplotlib is for this one

        site = Path(conf.html_dir)
        shutil.copytree(DASHBOARD / "vendor", site / "vendor")
        asv_page = (site / "index.html").read_text(encoding="utf-8")
        (site / "asv.html").write_text(REMOTE.sub(local, asv_page), encoding="utf-8")
        history = milestones(Path(conf.results_dir))
        draw_history(history, site / "history.svg")
        for name in set(benchmarks) - {name for milestone in history for name in milestone.benchmarks}:
            del benchmarks[name]  # asv's grid asks for every benchmark's graph, recorded or not
        (site / "index.html").write_text(page(history, main_machine(Path(conf.results_dir))), encoding="utf-8")


def local(tag: re.Match) -> str:
    """The same script or style sheet from vendor/, minified or not."""
    start, name = tag.groups()
    for file in (name, name.replace(".min.", ".")):
        if (DASHBOARD / "vendor" / file).exists():
            return f'{start}vendor/{file}">'
    raise UserError(f"this version of asv loads {name}, of which {DASHBOARD / 'vendor'} has no copy")


def page(history: list[Milestone], machine: dict[str, str]) -> str:
    names, newest = networks(history), history[-1]
    now = [ratio for ratio in map(newest.epoch_ratio, names) if ratio is not None]
    return Template((DASHBOARD / "front.html").read_text(encoding="utf-8")).substitute(
        commit=newest.short,
        date=f"{newest.date:%d %B %Y}",
        commits=len(history),
        least=f"{min(now):.2f}",
        most=f"{max(now):.2f}",
        machine=escape(f"{machine['machine']} ({machine['cpu']}, {machine['num_cpu']} cores, {machine['ram']})"),
        heads="\n".join(map(head, names)),
        rows="\n".join(row(milestone, names) for milestone in reversed(history)),
    )


def head(network: str) -> str:
    """The column's head, which leads to asv's graph of this network's ratios."""
    chosen = {"network": network, "dtype": "float32", "engine": "lanes", "optimizer": "sgd"}
    query = "&".join(f"p-{name}={quote(repr(value))}" for name, value in chosen.items())
    return f'<th scope="col"><a href="{escape(f"asv.html#{EPOCH}?{query}")}">{escape(network)}</a></th>'


def row(milestone: Milestone, names: list[str]) -> str:
    cells = "".join(map(cell, map(milestone.epoch_ratio, names)))
    title = f"<code>{milestone.short}</code> {escape(milestone.subject)}"
    return f'<tr id="{milestone.short}"><th scope="row">{title}</th>{cells}</tr>'


def cell(ratio: float | None) -> str:
    if ratio is None:
        return '<td class="none">–</td>'
    return f'<td class="{"faster" if ratio < 1 else "slower"}"><data value="{ratio:.4g}">{ratio:.2f}</data></td>'
