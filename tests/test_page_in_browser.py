"""The study page in a real browser, from the disk, with the network cut off: make test-browser."""

import json

import numpy as np
import pytest

from mlp_jit import Network, fit
from mlp_jit.activations import HIDDEN
from mlp_jit.study.page import build, notebook
from mlp_jit.study.page.data import dataset
from mlp_jit.study.page.record import RUNS, record

pytestmark = pytest.mark.browser

SIZES = {"desktop": (1280, 900), "phone": (360, 740)}


@pytest.fixture(scope="module")
def recorded():
    return record()


class Page:
    """The open page, in the words of its controls."""

    def __init__(self, page):
        self.page = page

    def preset(self, title):
        self.page.get_by_role("button", name=title, exact=True).click()

    def press(self, name):
        self.page.locator(f'[data-do="{name}"]').click()

    def choose(self, **setting):
        for name, value in setting.items():
            self.page.locator(f'.playground select[name="{name}"]').select_option(
                value if isinstance(value, str) else f"{value:g}"
            )

    def figure(self, name):
        return float(self.page.locator(f'[data-part="{name}"]').get_attribute("value"))

    def unit(self, l, j):
        self.page.locator(f'[data-unit="{l},{j}"]').click()

    def number(self, name):
        return float(self.page.locator(f'[data-part="unit"] [data-name="{name}"]').last.get_attribute("value"))

    def numbers(self, name):
        """A column of the weights' table."""
        found = self.page.locator(f'[data-part="unit"] [data-name="{name}"]').all()
        return np.array([float(number.get_attribute("value")) for number in found])

    def sample(self, n):
        self.page.get_by_label("sample n", exact=True).fill(str(n + 1))

    def every_unit(self):
        """The rows of "Every unit": (z, a, φ', δ)."""
        return np.array(
            self.page.eval_on_selector_all(
                '[data-part="units"] tbody tr',
                "rows => rows.map(row => [...row.querySelectorAll('data')].map(number => Number(number.value)))",
            )
        )

    def run_until(self, done):
        """Wait for what a run comes to; a string for the browser to evaluate is more than the page's policy allows."""
        for _ in range(600):
            if done():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("not done in 30 s")

    def run_to(self, epoch):
        self.press("run")
        self.run_until(lambda: self.figure("epoch") >= epoch)
        self.press("run")

    def running(self):
        return self.page.locator('[data-do="run"]').inner_text() == "Pause"

    def epochs(self, count):
        self.page.locator('[data-do="epoch"]').evaluate(
            "(button, count) => { for (let k = 0; k < count; k++) button.click(); }", count
        )


@pytest.fixture
def open_page(browser, recorded, tmp_path):
    """Opens the page (or one of another record) and, at the end of the test, wants a silent console and no request."""
    opened = []

    def open_it(size="desktop", data=recorded, **context_options):
        path = tmp_path / "page.html"
        path.write_text(build.page(data), encoding="utf-8")
        width, height = SIZES[size]
        context = browser.new_context(offline=True, viewport={"width": width, "height": height}, **context_options)
        page = context.new_page()
        noise, requests = [], []
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        opened.append((context, noise, requests, path.as_uri()))
        page.goto(path.as_uri())
        page.wait_for_selector("[data-agrees]")
        return Page(page)

    yield open_it
    for context, noise, requests, address in opened:
        context.close()
        assert noise == []
        assert requests == [address]


def trained(setting, epochs):
    """X, y and the network that the loops engine makes of a page's setting."""
    X, y = dataset(setting["dataset"])
    sizes = [2, *[setting["width"]] * setting["layers"], 1]
    seed = setting["seed"]
    network = Network(sizes, activation=setting["activation"], output="sigmoid", dtype="float64", random_state=seed)
    options = {name: setting[name] for name in ("learning_rate", "batch_size", "l2")}
    fit(network, X, y, optimizer="sgd", epochs=epochs, engine="loops", random_state=seed, **options)
    return X, y, network


def test_the_port_agrees_with_the_engine_and_says_so(open_page):
    page = open_page().page
    assert page.locator("[data-agrees]").get_attribute("data-agrees") == "true"
    assert page.locator('[data-part="check"] tbody tr').count() == len(RUNS)
    assert "·10⁻" in page.locator(".verdict").inner_text()


@pytest.mark.parametrize("part", ["losses", "phi"])
def test_a_port_that_does_not_agree_is_an_alert(open_page, recorded, part):
    data = json.loads(json.dumps(recorded))
    if part == "losses":
        data["runs"][0]["losses"] = data["runs"][1]["losses"]
    else:
        data["activations"][3]["phi"][100] += 1e-8
    page = open_page(data=data).page
    assert page.locator("[data-agrees]").get_attribute("data-agrees") == "false"
    assert "Do not trust" in page.get_by_role("alert").inner_text()


def test_xor_is_learnt_by_running(open_page):
    page = open_page()
    assert page.figure("parameters") == 17
    start = page.figure("loss")
    page.run_to(100)
    epoch = page.figure("epoch")
    assert page.figure("accuracy") == 1
    assert page.figure("loss") < start / 3
    page.page.wait_for_timeout(200)
    assert page.figure("epoch") == epoch  # it stands still
    assert not page.running()
    assert page.page.locator('[data-part="spoken"]').inner_text().startswith(f"epoch {epoch:.0f}, loss ")


def test_two_units_fail_on_the_circles_and_four_do_not(open_page):
    page = open_page()
    page.preset("Circles, two units")
    assert page.figure("parameters") == 9
    page.run_to(600)
    assert page.figure("accuracy") < 0.9
    page.preset("Circles, four units")
    page.run_to(600)
    assert page.figure("accuracy") == 1


def test_a_rate_of_100_thrashes(open_page):
    page = open_page()
    page.preset("η = 100")
    losses = [page.figure("loss")]
    for _ in range(30):
        page.press("epoch")
        losses.append(page.figure("loss"))
    assert np.mean(np.diff(losses) > 0) > 0.4
    assert min(losses[1:]) > losses[0]


def test_the_recorded_losses_are_shown(open_page):
    page = open_page()
    title, _, setting, _ = RUNS[5]
    page.preset(title)
    page.epochs(4)
    X, y, network = trained(vars(setting), 4)
    assert page.figure("loss") == pytest.approx(network.gradient(X, y, l2=setting.l2, engine="loops")[0], abs=1e-12)
    assert float(page.page.locator('[data-name="difference"]').get_attribute("value")) < 1e-12


FREE = {"dataset": "moons", "layers": 3, "width": 5, "activation": "silu", "learning_rate": 0.03, "batch_size": 64,
        "l2": 0.001, "seed": 7}  # fmt: skip


@pytest.mark.parametrize("setting", [vars(RUNS[0][2]), FREE, {**FREE, "layers": 1, "activation": "gelu", "l2": 0}])
def test_a_units_numbers_are_the_engines(open_page, setting):
    page = open_page()
    page.choose(**setting)
    page.epochs(3)
    X, y, network = trained(setting, 3)
    n = 41
    page.sample(n)
    trace = network.trace(X[n : n + 1], y[n : n + 1])
    expected = []
    for l in range(1, len(network.sizes)):
        slope = HIDDEN[network.activations[l - 1] if l < len(network.sizes) - 1 else "sigmoid"].slope
        z, a, delta = trace.z[l - 1][0], trace.a[l][0], trace.delta[l - 1][0]
        expected.extend(zip(z, a, map(slope, z, a), delta, strict=True))
    np.testing.assert_allclose(page.every_unit(), expected, rtol=1e-9, atol=1e-9)

    last = len(network.sizes) - 1
    for l, j in [(1, 0), (1, setting["width"] - 1), (last, 0)]:
        page.unit(l, j)
        assert page.number("z") == pytest.approx(trace.z[l - 1][0, j], abs=1e-9)
        assert page.number("a") == pytest.approx(trace.a[l][0, j], abs=1e-9)
        assert page.number("delta") == pytest.approx(trace.delta[l - 1][0, j], abs=1e-9)
        np.testing.assert_allclose(
            page.numbers("weight"), [*network.weights[l - 1][:, j], network.biases[l - 1][j]], rtol=1e-9, atol=1e-9
        )


def test_the_gradients_are_the_next_steps_and_the_step_is_as_announced(open_page):
    setting = {**FREE, "dataset": "xor", "batch_size": 200, "activation": "tanh"}
    page = open_page()
    page.choose(**setting)
    page.epochs(2)
    X, y, network = trained(setting, 2)
    gradient = Network(network.sizes, activation="tanh", output="sigmoid", dtype="float64")
    gradient.params[:] = network.gradient(X, y, l2=setting["l2"])[1]
    page.unit(2, 3)
    expected = [*gradient.weights[1][:, 3], gradient.biases[1][3]]
    np.testing.assert_allclose(page.numbers("gradient"), expected, rtol=1e-9, atol=1e-12)
    announced = page.numbers("next")
    page.press("step")
    assert np.array_equal(page.numbers("weight"), announced)


def test_stepping_back_undoes_each_kind_of_step(open_page):
    page = open_page()
    page.choose(dataset="moons", batch_size=64)
    assert page.page.locator('[data-do="back"]').is_disabled()
    seen = []
    for _ in range(6):  # four batches an epoch
        seen.append((page.figure("epoch"), page.figure("loss"), page.every_unit().tolist()))
        page.press("step")
    assert page.figure("epoch") == 1
    assert "+ 128/200" in page.page.locator('[data-part="epoch"]').inner_text()
    forward = (page.figure("loss"), page.every_unit().tolist())
    for expected in reversed(seen):
        page.press("back")
        assert (page.figure("epoch"), page.figure("loss"), page.every_unit().tolist()) == expected
    assert page.page.locator('[data-do="back"]').is_disabled()
    for _ in range(6):
        page.press("step")
    assert (page.figure("loss"), page.every_unit().tolist()) == forward  # the same shuffles again
    page.press("again")
    assert (page.figure("epoch"), page.figure("loss"), page.every_unit().tolist()) == seen[0]


def test_each_control_of_the_setting(open_page):
    page = open_page()
    page.choose(layers=2)
    assert page.figure("parameters") == 3 * 4 + 4 * 5 + 5
    page.choose(width=6)
    assert page.figure("parameters") == 3 * 6 + 6 * 7 + 7
    page.choose(layers=0)
    assert page.figure("parameters") == 3
    assert page.page.locator('select[name="width"]').is_disabled()
    page.choose(layers=1)
    heads = page.page.locator(".heads").text_content
    assert "tanh" in heads()
    page.choose(activation="gelu")
    assert "gelu" in heads()
    before = page.figure("loss")
    page.choose(seed=4)
    assert page.figure("loss") != before
    before = page.figure("loss")
    page.choose(l2=0.1)
    assert page.figure("loss") > before
    page.choose(l2=0)
    page.choose(dataset="spirals")
    x = f"({', '.join(f'{value:g}' for value in dataset('spirals')[0][0])})".replace("-", "−")
    assert x in page.page.locator('[data-part="x"]').inner_text()
    page.choose(batch_size=16)
    page.press("step")
    assert "+ 16/200" in page.page.locator('[data-part="epoch"]').inner_text()
    page.choose(learning_rate=3, batch_size=4)  # in mid-run, without a new start
    page.press("step")
    assert "+ 20/200" in page.page.locator('[data-part="epoch"]').inner_text()
    snippet = page.page.locator('[data-part="snippet"]').inner_text()
    assert "learning_rate=3, batch_size=4" in snippet
    assert "changes on the way" in snippet


def test_the_python_on_the_page_gives_the_pages_numbers(open_page):
    page = open_page()
    page.choose(**FREE)
    page.epochs(2)
    scope = {}
    exec(page.page.locator('[data-part="snippet"]').inner_text(), scope)
    loss = scope["net"].gradient(scope["X"], scope["y"], l2=FREE["l2"])[0]
    assert page.figure("loss") == pytest.approx(loss, abs=1e-12)


def test_every_setting_of_the_activation_trains(open_page):
    page = open_page()
    select = page.page.locator('select[name="activation"]')
    names = select.locator("option").evaluate_all("options => options.map(option => option.value)")
    assert set(names) == set(HIDDEN) - {"selu"}  # whose weights start from normal numbers
    for name in names:
        page.choose(activation=name)
        page.epochs(3)
        assert page.figure("loss") < 3


def test_a_loss_without_end_stops_the_run_and_is_said(open_page):
    page = open_page()
    page.choose(activation="identity", layers=4, learning_rate=100)
    page.press("run")
    page.run_until(lambda: not page.running())
    assert "no longer finite" in page.page.locator('[data-part="source"]').inner_text()
    page.press("again")
    assert np.isfinite(page.figure("loss"))


def test_pointing_at_a_unit_shows_it_while_the_pointer_is_there(open_page):
    page = open_page()
    heading = page.page.locator('[data-part="unit"] h3')
    page.unit(1, 2)
    assert heading.inner_text() == "Layer 1, unit 3"
    page.page.locator('[data-unit="2,0"]').hover()
    assert heading.inner_text() == "Output, layer 2"
    assert "E2" in page.page.locator('[data-part="unit"]').inner_text()
    page.page.mouse.move(5, 5)
    assert heading.inner_text() == "Layer 1, unit 3"
    assert "E3" in page.page.locator('[data-part="unit"]').inner_text()


def test_a_click_on_the_plane_chooses_the_nearest_sample(open_page):
    page = open_page()
    plane = page.page.locator('[data-part="plane"]')
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    X, _ = dataset("xor")
    reach = 1.08 * np.abs(X).max()
    n = 57
    page.page.mouse.click(
        box["x"] + box["width"] * (X[n, 0] / reach + 1) / 2, box["y"] + box["height"] * (1 - X[n, 1] / reach) / 2
    )
    assert page.page.get_by_label("sample n", exact=True).input_value() == str(n + 1)


def test_the_keyboard_reaches_everything_and_everything_has_a_name(open_page):
    page = open_page()
    page.page.evaluate("document.body.focus()")
    seen = []
    for _ in range(120):
        page.page.keyboard.press("Tab")
        name = page.page.evaluate(
            """() => {
                const element = document.activeElement;
                if (element === document.body) return null;
                const label = element.getAttribute("aria-label") || element.closest("label")?.innerText;
                return [element.localName, (label || element.textContent).trim()];
            }"""
        )
        if name is None:
            break
        seen.append(tuple(name))
    assert all(text for _, text in seen)
    names = [text for _, text in seen]
    for wanted in (
        "XOR, four units",
        "Data",
        "Learning rate η",
        "Run",
        "One epoch",
        "One batch",
        "Restart",
        "sample n",
    ):
        assert wanted in names
    assert sum(text.startswith("layer 1, unit 1: a ") for text in names) == 1  # one stop for the whole network
    assert {"z for all activations", "Weights of this unit"} <= set(names)
    assert any(kind == "summary" for kind, _ in seen)

    page.page.locator('[data-unit="1,0"]').focus()
    page.page.keyboard.press("ArrowDown")
    heading = page.page.locator('[data-part="unit"] h3')
    assert heading.inner_text() == "Layer 1, unit 2"
    page.page.keyboard.press("ArrowRight")
    assert heading.inner_text() == "Output, layer 2"
    page.page.locator('[data-do="epoch"]').focus()
    page.page.keyboard.press("Enter")
    assert page.figure("epoch") == 1


def test_the_gallery_moves_with_its_slider(open_page):
    page = open_page().page
    slider = page.get_by_label("z for all activations")
    slider.fill("-0.75")
    for name, activation in HIDDEN.items():
        card = page.locator(f'[data-activation="{name}"]')
        found = [float(number.get_attribute("value")) for number in card.locator(".values data").all()]
        a = activation.phi(-0.75)
        assert found == pytest.approx([a, activation.slope(-0.75, a)], abs=1e-12), name
    assert "1.129" in page.locator('[data-activation="gelu"]').inner_text()


def test_the_vanishing_gradient_is_the_recorded_one(open_page, recorded):
    page = open_page().page
    share = page.locator('[data-part="vanishing"] .share')
    assert float(share.get_attribute("value")) == recorded["vanishing"]["default"]["sigmoid"][9][0]
    page.locator('[data-part="vanishing"] input[name="depth"]').fill("4")
    page.locator('[data-part="vanishing"] select[name="phi"]').select_option("relu")
    page.locator('[data-part="vanishing"] select[name="weights"]').select_option("orthogonal")
    assert float(share.get_attribute("value")) == recorded["vanishing"]["orthogonal"]["relu"][3][0]
    assert page.locator('[data-part="vanishing"] tbody tr').count() == 4


def test_the_hidden_layers_have_a_picture_each(open_page):
    page = open_page()
    page.choose(layers=3, width=5)
    assert page.page.locator(".representation .layers canvas").count() == 4  # the inputs too
    assert page.page.locator(".representation .fields canvas").count() == 15
    blank = """canvas => new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size"""
    for canvas in page.page.locator("canvas").all():
        assert canvas.evaluate(blank) > 3


@pytest.mark.parametrize("layers", [1, 4])
def test_a_phone_scrolls_only_down(open_page, layers):
    page = open_page("phone", device_scale_factor=2, has_touch=True)
    page.choose(layers=layers, width=12)
    page.unit(1, 5)
    assert page.page.evaluate("document.documentElement.scrollWidth") == 360
    small = page.page.eval_on_selector_all(
        ".playground button:not(.link), .playground select",
        "all => all.filter(e => e.getBoundingClientRect().height < 40).length",
    )
    assert small == 0


def luminance(rgb):
    channels = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return np.dot(channels, (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(open_page, scheme):
    page = open_page(color_scheme=scheme).page
    read = """name => {
        const probe = document.querySelector(".mlp-study").appendChild(document.createElement("i"));
        probe.style.color = `var(--${name})`;
        const found = getComputedStyle(probe).color.match(/[\\d.]+/g).map(Number);
        probe.remove();
        return found;
    }"""
    paper = luminance(page.evaluate(read, "paper"))
    assert (paper > 0.5) == (scheme == "light")
    for name in ("ink", "muted", "positive", "negative"):
        low, high = sorted((paper, luminance(page.evaluate(read, name))))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name  # WCAG's AA for text


def test_with_less_motion_it_still_runs(open_page):
    page = open_page(reduced_motion="reduce")
    page.run_to(2)
    assert page.figure("epoch") >= 2


def test_the_widget_is_the_same_module(browser, recorded):
    """As anywidget calls it: the default export renders a model into an element, here into two."""
    widget = notebook.widget()
    assert widget._css == build.style()
    page = browser.new_context(offline=True).new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    found = page.evaluate(
        """async ([script, style, record]) => {
            document.head.append(Object.assign(document.createElement("style"), { textContent: style }));
            const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
            const { default: study } = await import(address);
            const cells = [1, 2].map(() => document.body.appendChild(document.createElement("div")));
            const ends = cells.map((el) => study.render({ model: { get: (name) => ({ record })[name] }, el }));
            cells[1].querySelector("[data-do=epoch]").click();
            for (const end of ends) end();
            return cells.map((el) => el.querySelector("[data-part=epoch]").value);
        }""",
        [widget._esm, widget._css, widget.record],
    )
    assert found == ["0", "1"]
    assert errors == []
    page.context.close()
