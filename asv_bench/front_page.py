"""What `asv publish` adds for us: a front page before asv's own, and the scripts that asv would load from elsewhere.

The page is made of the recorded results alone. asv's page becomes asv.html; everything works without a network.
"""

import json
import math
import re
import shutil
import statistics
from html import escape
from itertools import product
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from asv.graph import Graph
from asv.publishing import OutputPublisher
from asv.util import UserError
from recorded import EPOCH, Milestone, described, everywhere, machines, main_machine, milestones, networks

DROP_IN, SLOWEST = "drop_in.DropIn.track_ratio", 10
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
        results = Path(conf.results_dir)
        everything = [
            milestone for machine in machines(results) for milestone in milestones(results, machine["machine"])
        ]
        for name in set(benchmarks) - {name for milestone in everything for name in milestone.benchmarks}:
            del benchmarks[name]  # asv's grid asks for every benchmark's graph, recorded or not
        fill_gaps(site, benchmarks, [json.loads(entry) for entry in {json.dumps(g.params) for _, g in graphs}])
        (site / "index.html").write_text(page(history, results), encoding="utf-8")


def fill_gaps(site: Path, benchmarks: Any, machines: list[dict[str, str]]) -> None:
    """A graph without points for each benchmark and each machine that has no results of it: asv's page asks for all."""
    for name, machine in product(benchmarks, machines):
        path = site / f"{Graph.get_file_path(machine, name)}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("[]", encoding="utf-8")


def local(tag: re.Match) -> str:
    """The same script or style sheet from vendor/, minified or not."""
    start, name = tag.groups()
    for file in (name, name.replace(".min.", ".")):
        if (DASHBOARD / "vendor" / file).exists():
            return f'{start}vendor/{file}">'
    raise UserError(f"this version of asv loads {name}, of which {DASHBOARD / 'vendor'} has no copy")


def page(history: list[Milestone], results: Path) -> str:
    names, newest = networks(history), history[-1]
    now = [ratio for ratio in map(newest.epoch_ratio, names) if ratio is not None]
    return Template((DASHBOARD / "front.html").read_text(encoding="utf-8")).substitute(
        commit=newest.short,
        date=f"{newest.date:%d %B %Y}",
        commits=len(history),
        least=f"{min(now):.2f}",
        most=f"{max(now):.2f}",
        machine=escape(described(main_machine(results))),
        drop_in=drop_in(results),
        heads="\n".join(map(head, names)),
        rows="\n".join(row(milestone, names) for milestone in reversed(history)),
    )


def drop_in(results: Path) -> str:
    """The slowest of what people do with scikit-learn's MLP, where that was recorded last."""
    for machine, newest in everywhere(DROP_IN, results):
        values = {place: ratio for place, ratio in newest.values(DROP_IN).items() if ratio is not None}
        threads = sorted({n_threads for _, n_threads in values})
        workloads = sorted({workload for workload, _ in values}, key=lambda w: -max(values[w, n] for n in threads))
        return Template((DASHBOARD / "drop_in.html").read_text(encoding="utf-8")).substitute(
            slowest=SLOWEST,
            count=len(workloads),
            commit=newest.short,
            machine=escape(described(machine)),
            mean=f"{math.exp(statistics.mean(map(math.log, values.values()))):.2f}",
            heads="".join(f'<th scope="col">{n} thread{"s" * (n > 1)}</th>' for n in threads),
            rows="\n".join(
                f'<tr><th scope="row">{escape(workload)}</th>{"".join(cell(values[workload, n]) for n in threads)}</tr>'
                for workload in workloads[:SLOWEST]
            ),
        )
    return ""


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
