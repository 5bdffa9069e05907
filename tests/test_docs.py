"""README and the guide: links that lead somewhere, and code that runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from numba import config

from mlp_jit import MLPClassifier, Network

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link.partition("#")[0]).exists()]


def test_the_readme_is_short_and_leads_to_every_page():
    readme = PAGES[0].read_text(encoding="utf-8")
    assert readme.count("\n") <= 140
    assert all(f"(docs/guide/{page.name})" in readme for page in PAGES[1:])


def blocks(name):
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.skipif(config.DISABLE_JIT, reason="the lanes engine exists only compiled")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*were drawn by all members")
@pytest.mark.parametrize("name", ["README.md", "docs/guide/many.md", "docs/guide/streams.md"])
def test_its_code_runs(name, tmp_path, monkeypatch):
    """Block after block, each with what those before have left."""
    monkeypatch.chdir(tmp_path)
    columns = 64 if name == "README.md" else 4
    classes = 10 if name == "README.md" else 3
    X, y = RNG.normal(size=(60, columns)), np.arange(60) % classes
    known = {
        "X": X, "y": y, "X_train": X, "y_train": y, "X_test": X, "y_test": y, "X_val": X, "y_val": y, "X_new": X[:5],
        "x": X[0], "t": X[:, 0], "Network": Network, "MLPClassifier": MLPClassifier,
    }  # fmt: skip
    for block in blocks(name):
        if block.startswith("for n in prange"):  # E1, an extract
            continue
        exec(block.replace("print(explain(net, x, y))", "print(explain(net, x, y[0]))"), known)


def test_e1_in_the_readme_is_the_source():
    (extract,) = (block for block in blocks("README.md") if block.startswith("for n in prange"))
    source = (ROOT / "mlp_jit" / "engines" / "loops" / "equations.py").read_text(encoding="utf-8")
    assert "".join(f"    {line}\n" for line in extract.splitlines()) in source
