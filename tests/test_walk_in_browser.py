"""The loop, live, in a real browser: on the study page and in a notebook's frame."""

import json
import re

import numpy as np
import pytest

from mlp_jit import Network, fit
from mlp_jit.study import exercises, walk
from mlp_jit.study.page import build
from mlp_jit.study.page.program import key
from mlp_jit.study.page.record import _walk, record, xor_walk

pytestmark = pytest.mark.browser

# What is to be seen of the statement at hand, after one more press of the button and for so many of them.
SEEN = """(root, count) => {
    const one = () => ({
        values: [...root.querySelectorAll(".statement data")].map((data) => Number(data.value)),
        line: root.querySelector(".line.now").dataset.line,
        written: [...root.querySelectorAll("td.written")].map((cell) => cell.dataset.place),
        read: [...root.querySelectorAll("td.read")].map((cell) => cell.dataset.place),
        loops: [...root.querySelectorAll(".index")].map((index) => index.textContent).filter(Boolean),
        units: root.querySelectorAll(".unit.read, .unit.written, .wire.read, .wire.written").length,
    });
    const seen = [one()];
    for (let p = 1; p < count; p++) {
        root.querySelector("[data-walk=next]").click();
        seen.push(one());
    }
    return seen;
}"""


@pytest.fixture(scope="module")
def recorded():
    return record()


@pytest.fixture(params=["page", "notebook"])
def walked(request, browser, tmp_path):
    """The walk on the page or in a notebook's frame; at the end the console is silent and nothing was asked for."""
    path = tmp_path / "walk.html"
    made = build.page(request.getfixturevalue("recorded")) if request.param == "page" else xor_walk()._repr_html_()
    path.write_text(made, encoding="utf-8")
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    noise, requests = [], []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    frame = page if request.param == "page" else page.frame_locator("iframe")
    root = frame.locator(".walk")
    root.wait_for()
    yield root
    context.close()
    assert noise == []
    assert requests[:1] == [path.as_uri()]
    assert set(requests[1:]) <= {"about:srcdoc"}


def at(root):
    """Which statement is at hand, from 1."""
    return int(re.match(r"\d+", root.locator(".track output").inner_text())[0])


def test_every_statement_is_the_engines_with_what_it_reads_and_writes(walked):
    steps = [*xor_walk()]
    cells = set(walked.evaluate("root => [...root.querySelectorAll('td[data-place]')].map(e => e.dataset.place)"))
    for step, seen in zip(steps, walked.evaluate(SEEN, len(steps)), strict=True):
        adds = step.operands[:1] and step.operands[0].start == step.target[0]
        values = [*(each.value for each in step.operands), step.result]
        assert seen["values"] == pytest.approx(values if adds else [values[-1], *values[:-1]], rel=1e-9, abs=1e-15)
        assert seen["line"] == f"{step.function}:{step.line}"
        place = key(step.place)
        assert seen["written"] == [place] * (place in cells)
        assert set(seen["read"]) == {key(each.place) for each in step.operands} & cells - {place}
        assert {f"{name} = {step.indices[name]}" for name in "nijkp" if name in step.indices} <= set(seen["loops"])
        assert seen["units"] > 0 or step.place is None or step.place.letter == "ℓ"


def test_the_buttons_and_the_keys(walked):
    page = walked.page

    def press(name):
        walked.locator(f"[data-walk={name}]").click()
        return at(walked)

    assert [press("next"), press("loop"), press("loop")] == [2, 4, 6]  # z = b for two units, then a term for both
    assert press("back") == 5
    assert press("equation") == 32  # E1 of layer 1: eight statements for each of four samples
    assert walked.locator("[data-walk=end]").is_enabled()
    assert press("end") == 153
    assert walked.locator("[data-walk=next]").is_disabled()
    assert press("start") == 1
    walked.focus()
    for name, expected in (("ArrowRight", 2), ("l", 4), ("e", 32), ("ArrowLeft", 31), ("End", 153), ("Home", 1)):
        page.keyboard.press(name)
        assert at(walked) == expected, name
    assert walked.locator(".spoken").inner_text() == "E1: sets z_1 to b_1; z_1 of layer 1, sample 0 is 0.100"


def test_it_plays_at_the_speed_of_its_slider_until_it_is_paused(walked):
    walked.get_by_label("Speed").fill("6")
    walked.focus()
    walked.page.keyboard.press(" ")
    assert "Pause" in walked.locator("[data-walk=play]").inner_text()
    for _ in range(400):  # 10 s on a busy machine
        if at(walked) > 5:
            break
        walked.page.wait_for_timeout(25)
    walked.page.keyboard.press(" ")
    here = at(walked)
    assert 5 < here < 153
    assert "60 a second" in walked.locator(".rate").inner_text()
    walked.page.wait_for_timeout(100)
    assert at(walked) == here
    assert "Play" in walked.locator("[data-walk=play]").inner_text()


def test_a_unit_a_weight_a_number_and_a_line_are_run_to(walked):
    steps = [*xor_walk()]

    def here():
        return steps[at(walked) - 1]

    walked.locator('[data-unit="2:0"] circle').click()
    assert (here().tag, here().place.letter, here().place.l) == ("E1", "z", 2)
    first = at(walked)
    walked.locator('[data-unit="2:0"] circle').click()
    assert at(walked) == first + 1
    walked.locator('td[data-place="δ:1:3:1"]').click()
    assert (here().text, key(here().place)) == ("delta[n, i] = 0", "δ:1:3:1")
    walked.locator('td[data-place="w:1:0:1"]').click()
    assert (here().tag, key(here().place)) == ("E6", "w:1:0:1")
    line = next(step.line for step in steps if step.text == "gradient[j] += delta[n, j] / N")
    walked.locator(f'[data-line="bias_gradient:{line}"]').click()  # from the start again
    assert (here().tag, here().indices["l"]) == ("E5", 2)
    walked.get_by_label("Run to where it is next computed").select_option("place ∂w:2:1:0")
    assert (here().tag, key(here().place)) == ("E4", "∂w:2:1:0")


def test_what_is_not_yet_computed_is_not_shown(walked):
    unknown = walked.locator('td[data-sign="unknown"]')
    assert unknown.count() == 4 * 10 - 1 + 9  # z, a, δ of three units and ℓ for each sample, less one z; ∂L/∂θ
    walked.locator("[data-walk=end]").click()
    assert unknown.count() == 0


def test_the_next_step_goes_on_from_there(browser, recorded, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(build.page(recorded), encoding="utf-8")
    page = browser.new_context(offline=True).new_page()
    page.goto(path.as_uri())
    page.locator("[data-walk=end]").click()
    page.locator("[data-walk=again]").click()
    assert at(page.locator(".walk")) == 1
    biases = {key(step.place): step.result for step in xor_walk() if step.tag == "E6"}
    value = page.locator(".statement data").last.get_attribute("value")
    assert float(value) == pytest.approx(biases["b:1:0"], rel=1e-9)
    page.context.close()


@pytest.mark.parametrize("change", ["results", "lines"])
def test_a_machine_that_does_not_agree_is_an_alert(browser, recorded, tmp_path, change):
    data = {**recorded, "walk": json.loads(json.dumps(_walk(xor_walk())))}
    data["walk"][change][50] += 1
    path = tmp_path / "page.html"
    path.write_text(build.page(data), encoding="utf-8")
    page = browser.new_context(offline=True).new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("[data-agrees=false]")
    assert "Do not trust" in page.get_by_role("alert").inner_text()
    page.context.close()


IN_SIGHT = """root => {
    const box = root.querySelector(".listing").getBoundingClientRect();
    const next = root.querySelector("[data-walk=next]");
    let hidden = 0;
    for (; !next.disabled; next.click()) {
        const line = root.querySelector(".line.now").getBoundingClientRect();
        hidden += line.top < box.top || line.bottom > box.bottom;
    }
    return hidden;
}"""


@pytest.mark.parametrize("width", [375, 768])
def test_a_narrow_screen_scrolls_only_down_and_shows_the_line_that_runs(browser, recorded, tmp_path, width):
    path = tmp_path / "page.html"
    path.write_text(build.page(recorded), encoding="utf-8")
    page = browser.new_context(offline=True, viewport={"width": width, "height": 740}).new_page()
    page.goto(path.as_uri())
    for _ in range(6):
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.locator("[data-walk=equation]").click()
    page.locator("[data-walk=start]").click()
    assert page.locator(".walk").evaluate(IN_SIGHT) == 0
    page.context.close()


@pytest.fixture
def why(browser, recorded, tmp_path):
    """The section of the chain rule."""
    path = tmp_path / "page.html"
    path.write_text(build.page(recorded), encoding="utf-8")
    page = browser.new_context(offline=True, viewport={"width": 375, "height": 740}).new_page()
    noise = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.goto(path.as_uri())
    yield page.locator(".why")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    page.context.close()
    assert noise == []


LIT = """root => [...root.querySelectorAll(".unit.read, .wire.read, .unit.written, .wire.written")].map(
    (each) => each.dataset.unit ?? each.dataset.edge
)"""


def test_each_symbol_of_the_chain_rule_is_lit_in_the_network(why):
    chain = why.get_by_role("listbox")
    chain.get_by_text("δ11 = φ'(z11)").click()  # E3: δ_1 = φ'(z_1) Σ_j w_1j δ_j
    assert chain.locator("[aria-selected=true] .tag").inner_text() == "E3"
    assert set(why.evaluate(LIT)) == {"1:0", "2:0:0", "2:0"}
    chain.get_by_text("1/N Σn a1 δ1").click()  # over all samples: of layer 1, though it says no layer
    assert set(why.evaluate(LIT)) == {"1:0:0", "0:0", "1:0"}
    chain.locator("[aria-selected=true] .symbol").nth(1).hover()
    assert why.evaluate(LIT) == ["0:0"]


def test_the_chain_rule_of_another_weight_by_the_keyboard_and_by_its_edge(why):
    weight, chain = why.get_by_label("Weight"), why.get_by_role("listbox")
    weight.select_option("w:2:1:0")
    assert "w221" in chain.inner_text().replace("\n", "")
    chain.focus()
    for _ in range(40):
        chain.page.keyboard.press("ArrowDown")
    last = chain.locator("[aria-selected=true]")
    gradient = {key(step.place): step.result for step in xor_walk() if step.tag == "E4"}["∂w:2:1:0"]
    assert float(last.inner_text().split("= ")[-1].replace("−", "-")) == pytest.approx(gradient, rel=1e-3)
    chain.page.keyboard.press("Home")
    assert chain.locator("[role=option]").first.get_attribute("aria-selected") == "true"
    why.locator('[data-edge="1:1:1"] .reach').dispatch_event("click")
    assert weight.input_value() == "w:1:1:1"


def test_softmax_and_batch_normalisation_are_derived_beside_it(why):
    for title, words in (("softmax with cross-entropy", "quotient rule"), ("batch normalisation", "product rule")):
        why.get_by_text(f"The same for {title}").click()
        assert words in why.locator("details[open]").last.inner_text()


@pytest.fixture(params=["page", "notebook"])
def practice(request, browser, tmp_path):
    """The exercises of seed 0, on the page or in a notebook's frame."""
    path = tmp_path / "exercises.html"
    made = build.page(request.getfixturevalue("recorded")) if request.param == "page" else exercises(0)._repr_html_()
    path.write_text(made, encoding="utf-8")
    page = browser.new_context(offline=True, viewport={"width": 375, "height": 740}).new_page()
    noise = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.goto(path.as_uri())
    yield page if request.param == "page" else page.frame_locator("iframe")
    page.context.close()
    assert noise == []


def test_the_exercises_check_themselves_and_keep_a_score(practice):
    score = practice.locator(".score")
    for n, exercise in enumerate(exercises(0), start=1):
        item = practice.locator(f'[data-exercise="{n}"]')
        wrong = exercise.answer % 4 + 1 if exercise.choices else exercise.answer + 1
        for answer, says in ((wrong, "Not yet"), (exercise.answer, "right")):
            if exercise.choices:
                item.locator(f'input[value="{answer:g}"]').check()
            else:
                item.get_by_label(f"Answer to exercise {n}").fill(f"{answer:.3g}".replace(".", ",").replace("-", "−"))
            item.get_by_role("button", name="Check").click()
            assert says in item.get_by_role("status").inner_text()
        assert score.inner_text() == f"{n} of 12 right"


def test_hints_of_an_exercise_come_one_by_one(practice):
    item = practice.locator('[data-exercise="7"]')
    hints = exercises(0)[6].hints
    for shown in range(1, len(hints) + 1):
        item.get_by_role("button", name="Hint").click()
        assert item.locator(".hints p").count() == shown
    assert item.get_by_role("button", name="Hint").is_disabled()
    field = item.get_by_label("Answer to exercise 7")
    field.fill("much")
    field.press("Enter")
    assert "A number, please." in item.get_by_role("status").inner_text()


def test_fresh_numbers_keep_the_score_of_the_others(browser, recorded, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(build.page(recorded), encoding="utf-8")
    page = browser.new_context(offline=True).new_page()
    page.goto(path.as_uri())
    field = page.get_by_label("Answer to exercise 1", exact=True)
    field.fill(str(exercises(0)[0].answer))
    field.press("Enter")
    page.get_by_role("button", name="Fresh numbers").click()
    assert page.locator(".score").inner_text() == "0 of 12 right, 1 in all seeds"
    field.fill(str(exercises(1)[0].answer))
    field.press("Enter")
    page.get_by_label("Seed of the exercises").select_option("0")
    assert page.locator(".score").inner_text() == "1 of 12 right, 2 in all seeds"
    assert "right" in page.locator('[data-exercise="1"] [role=status]').inner_text()
    page.context.close()


def test_a_walk_through_normalised_layers_skips_softmax_and_adam(browser, tmp_path):
    """Every number of the tables after the last statement is the engine's."""
    net = Network([2, 3, 3, 3], normalization=["batch", "layer"], skip=True, output="softmax", dtype="float64",
                  random_state=0)  # fmt: skip
    net.params += np.random.default_rng(0).normal(0, 0.3, net.n_params)
    X, y = np.array([[0.3, -1], [1, 0.2], [-0.4, 0.9]]), [0, 2, 1]
    path = tmp_path / "walk.html"
    path.write_text(walk(net, X, y, optimizer="adam", learning_rate=0.01, l2=0.1)._repr_html_(), encoding="utf-8")
    page = browser.new_context(offline=True).new_page()
    noise = []
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.goto(path.as_uri())
    root = page.frame_locator("iframe").locator(".walk")
    for _ in range(3):
        root.locator("[data-walk=equation]").click()
    root.locator("[data-walk=end]").click()
    cells = "root => [...root.querySelectorAll('td[data-place]')].map(e => [e.dataset.place, Number(e.dataset.value)])"
    shown = dict(root.evaluate(cells))
    trace, trained = net.trace(X, y), net.copy()
    fit(
        trained,
        X,
        y,
        optimizer="adam",
        learning_rate=0.01,
        l2=0.1,
        batch_size=3,
        epochs=1,
        shuffle=False,
        engine="loops",
    )
    for l in (1, 2, 3):
        for j in range(3):
            expected = {f"b:{l}:{j}": trained.biases[l - 1][j], f"w:{l}:1:{j}": trained.weights[l - 1][1, j]}
            expected |= {f"z:{l}:2:{j}": trace.z[l - 1][2, j], f"δ:{l}:2:{j}": trace.delta[l - 1][2, j]}
            if l < 3:
                expected |= {f"γ:{l}:{j}": trained.gains[l - 1][j], f"∂s:{l}:2:{j}": trace.delta_s[l - 1][2, j]}
            for place, value in expected.items():
                assert shown[place] == pytest.approx(value, rel=1e-9, abs=1e-12), place
    assert noise == []
    page.context.close()
