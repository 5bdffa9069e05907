"""The published dashboard in a real browser that reaches nothing but this machine: make test-browser."""

import json
import math
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product

import pytest
from processes import ROOT, finish, start

pytestmark = pytest.mark.browser

BENCH = ROOT / "asv_bench"
DROP_IN = "drop_in.DropIn.track_ratio"
EPOCH = "training.EpochRatio.track_ratio"


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of what asv publishes of the recorded results."""
    folder = tmp_path_factory.mktemp("dashboard") / "html"
    finish(start("-m", "asv", "publish", "--no-pull", "--html-dir", str(folder), cwd=BENCH))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def open_page(browser, site):
    """Opens a page of the site; at the end of the test nothing else was asked for, and the console is empty."""
    contexts, noise, elsewhere = [], [], []

    def keep_here(route):
        if route.request.url.startswith(site):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    def open_it(address="", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        context.route("**/*", keep_here)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.goto(site + address)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert elsewhere == []
    assert noise == []


@pytest.fixture
def whole_history():
    """asv's graphs show the commits that the repository has."""
    command = ["git", "rev-parse", "--is-shallow-repository"]
    if subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8").stdout.strip() == "true":
        pytest.skip("a shallow clone: git fetch --unshallow")


def recorded():
    """{(commit, network, engine): ratio} of SGD in float32, straight from the files."""
    found = {}
    for file in BENCH.glob("results/*/*-*.json"):
        results = json.loads(file.read_text(encoding="utf-8"))
        ratios, params = results["results"].get(EPOCH, [[], []])[:2]
        for place, ratio in zip(product(*params), ratios or [], strict=False):
            network, dtype, engine, optimizer = (value.strip("'") for value in place)
            if (dtype, optimizer) == ("float32", "sgd") and ratio is not None and not math.isnan(ratio):
                found[results["commit_hash"][:8], network, engine] = ratio
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_front_page_has_the_recorded_ratios(open_page, scheme):
    page = open_page(color_scheme=scheme)
    networks = page.locator("#history thead th a").all_inner_texts()
    commits = page.locator("#history tbody tr").evaluate_all("rows => rows.map(row => row.id)")
    shown = page.locator("#history tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].slice(1).map(cell => cell.querySelector('data')?.value))"
    )
    found = {
        (commit, network): float(ratio)
        for commit, row in zip(commits, shown, strict=True)
        for network, ratio in zip(networks, row, strict=True)
        if ratio is not None
    }
    by_engine = recorded()
    ratios = {place[:2]: ratio for place, ratio in by_engine.items() if place[2] == "loops"}
    ratios |= {place[:2]: ratio for place, ratio in by_engine.items() if place[2] == "lanes"}
    assert len(commits) >= 10
    assert found == pytest.approx(ratios, rel=1e-3)
    picture = page.locator("img")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    assert "The table below" in picture.get_attribute("alt")


def test_the_front_page_has_the_ten_slowest_workloads(open_page):
    table = open_page().locator("#drop-in")
    workloads = table.locator("tbody th").all_inner_texts()
    shown = [float(value) for value in table.locator("data").evaluate_all("cells => cells.map(cell => cell.value)")]
    files = (json.loads(file.read_text(encoding="utf-8"))["results"] for file in BENCH.glob("results/*/*-*.json"))
    ((values, params, *_),) = (results[DROP_IN] for results in files if DROP_IN in results)
    ratios = dict(zip(product(*params), values, strict=True))
    assert len(workloads) == 10
    assert shown == pytest.approx([ratios[repr(workload), n] for workload in workloads for n in "12"], rel=1e-3)
    assert max(shown) == pytest.approx(max(ratios.values()), rel=1e-3)


def test_asvs_links_to_a_commit_lead_to_its_row(open_page):
    page = open_page(f"index.html#{next(iter(recorded()))[0]}")
    assert page.locator("tr:target").count() == 1


def test_a_phone_scrolls_the_front_page_only_down(open_page):
    page = open_page(viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.usefixtures("whole_history")
def test_a_networks_graph_is_a_line(open_page):
    page = open_page()
    page.get_by_role("link", name="64-100-10 batch 200").click()
    page.wait_for_selector("#main-graph canvas")
    lines = page.evaluate("$('#main-graph').data('plot').getData().map(line => line.data.map(point => point[1]))")
    lines = [sorted(ratio for ratio in line if ratio is not None) for line in lines]
    ratios = [ratio for place, ratio in recorded().items() if place[1:] == ("64-100-10 batch 200", "lanes")]
    assert len(ratios) > 5
    assert pytest.approx(sorted(ratios)) in lines


@pytest.mark.usefixtures("whole_history")
@pytest.mark.parametrize("address", ["asv.html#/", "asv.html#/summarylist", "asv.html#/regressions", f"#{EPOCH}"])
def test_asvs_own_pages_open(open_page, address):
    page = open_page(address)
    page.wait_for_load_state("networkidle")
    assert "/asv.html#" in page.url
    assert page.locator("#nav").is_visible()
