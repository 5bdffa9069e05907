// The loop, live: a cursor over the statements of a step of training, with the source, the network and the numbers.

import { Grids } from "./grids.js";
import { brief, h, show, typeset } from "./html.js";
import { Listing, inWords, nameOf, statement } from "./listing.js";
import { Picture, legend } from "./picture.js";

const SPEEDS = [1, 2, 4, 8, 15, 30, 60]; // statements a second
const WORDS = {
  E1: "forward",
  E2: "output delta",
  E3: "hidden delta",
  E4: "weight gradient",
  E5: "bias gradient",
  E6: "update",
  E7: "normalisation",
  E8: "delta of a normalised layer",
  E9: "gain gradient",
  E10: "skip connection",
};

// The last of the steps from `from` on that have what that one has.
function lastAlike(steps, from, name) {
  let at = from;
  while (at + 1 < steps.length && steps[at + 1][name] === steps[from][name]) at += 1;
  return at;
}

// place → number after these steps.
export function knownAfter({ sizes, X, y, theta, gains }, steps) {
  const known = new Map();
  X.forEach((x, p) => known.set(`a:0:${Math.floor(p / sizes[0])}:${p % sizes[0]}`, x));
  const outputs = sizes.at(-1);
  y.forEach((y_k, p) => known.set(`y:${Math.floor(p / outputs)}:${p % outputs}`, y_k));
  let p = 0;
  for (let l = 1; l < sizes.length; l++) {
    for (let i = 0; i < sizes[l - 1]; i++) for (let j = 0; j < sizes[l]; j++) known.set(`w:${l}:${i}:${j}`, theta[p++]);
    for (let j = 0; j < sizes[l]; j++) known.set(`b:${l}:${j}`, theta[p++]);
    for (let j = 0; gains[l] && j < sizes[l]; j++) known.set(`γ:${l}:${j}`, theta[p++]);
  }
  for (const { place, result } of steps) if (place) known.set(place, result);
  return known;
}

export class Walk {
  // again(): what takes the next step of training, or null.
  constructor(box, setting, steps, again = null) {
    Object.assign(this, { box, setting, steps, again });
    this.at = 0;
    this.n = 0;
    this.timer = null;
    const lines = new Set(steps.map((step) => `${step.function}:${step.line}`));
    const run = (wanted) => this.runTo(wanted);
    this.listing = new Listing(setting.programs, lines, (name, line) =>
      run((step) => step.function === name && step.line === line),
    );
    this.picture = new Picture(setting, {
      onunit: (l, j) => run(({ place }) => new RegExp(`^(z|a|δ):${l}:\\d+:${j}$`).test(place)),
      onedge: (l, i, j) => run(({ place }) => place === `w:${l}:${i}:${j}` || place === `∂w:${l}:${i}:${j}`),
    });
    this.grids = new Grids(setting, steps, (place) => run((step) => step.place === place));
    this.build();
    this.reserve();
    this.show();
    let width = box.clientWidth;
    this.sizes = new ResizeObserver(() => {
      if (box.clientWidth === width) return;
      width = box.clientWidth;
      this.reserve();
      this.show();
    });
    this.sizes.observe(box);
  }

  // Ends what goes on by itself.
  end() {
    this.sizes.disconnect();
    this.pause();
  }

  build() {
    const button = (name, text, title, act) =>
      h("button", { type: "button", "data-walk": name, title, onclick: () => this.act(act) }, text);
    this.buttons = {
      start: button("start", "« Start", "Home", () => this.go(0)),
      back: button("back", "‹ Back", "left arrow", () => this.go(this.at - 1)),
      play: h("button.play", { type: "button", "data-walk": "play", title: "space", onclick: () => this.toggle() }),
      next: button("next", "Statement ›", "right arrow", () => this.go(this.at + 1)),
      loop: button("loop", "Inner loop ›", "L", () => this.finish("loop")),
      equation: button("equation", "Equation ›", "E", () => this.finish("equation")),
      end: button("end", "End »", "End", () => this.go(this.steps.length - 1)),
    };
    this.speed = h("input", {
      type: "range",
      min: 0,
      max: SPEEDS.length - 1,
      value: 1,
      "aria-label": "Speed",
      oninput: () => this.sayRate(),
    });
    this.rate = h("output");
    this.position = h("input.position", {
      type: "range",
      min: 0,
      max: this.steps.length - 1,
      "aria-label": "Statement",
      oninput: () => this.act(() => this.go(Number(this.position.value))),
    });
    this.count = h("output");
    this.heading = h("p.where");
    this.line = h("div.statement");
    this.panel = h("div.now-running", {}, this.heading, this.line);
    this.spoken = h("p.spoken", { "aria-live": "polite" });
    this.caption = h("p.caption");
    this.more = h("p.more");
    this.root = h(
      "div.walk",
      { role: "group", tabindex: 0, "aria-label": "The walk", onkeydown: (event) => this.key(event) },
      h("div.bar", {}, Object.values(this.buttons), h("label.rate", {}, this.speed, this.rate)),
      h("label.track", {}, this.position, this.count),
      this.panel,
      h(
        "div.desk",
        {},
        this.listing.element,
        h("div.drawn", {}, this.caption, this.picture.element, legend(), this.grids.weights),
      ),
      this.grids.samples,
      h(
        "div.foot",
        {},
        this.chooser(),
        h("span", {}, "Keys: space plays; → one statement, ← back; L inner loop, E equation; Home, End."),
        this.more,
      ),
      this.spoken,
    );
    this.box.replaceChildren(this.root);
    this.sayRate();
  }

  // What a click on a unit, a weight or a line does, for the keyboard.
  chooser() {
    const places = [...new Set(this.steps.map(({ place }) => place))].filter(Boolean);
    const lines = [...new Set(this.steps.map((step) => `${step.function}:${step.line}`))];
    const option = (value, text) => h("option", { value }, text);
    const select = h(
      "select",
      {
        onchange: () => {
          const [kind, ...rest] = select.value.split(" ");
          const wanted = rest.join(" ");
          if (kind === "place") this.runTo((step) => step.place === wanted);
          if (kind === "line") this.runTo((step) => `${step.function}:${step.line}` === wanted);
          select.value = "";
        },
      },
      option("", "choose a number or a line"),
      h(
        "optgroup",
        { label: "numbers" },
        places.map((place) => option(`place ${place}`, placeInWords(place))),
      ),
      h(
        "optgroup",
        { label: "lines" },
        lines.map((line) => option(`line ${line}`, line.replace(":", ", line "))),
      ),
    );
    return h("label.chooser", {}, "Run to where it is next computed: ", select);
  }

  // Room for the tallest statement, so that nothing below moves from one to the next.
  reserve() {
    const one = new Map(this.steps.map((step) => [`${step.function}:${step.line}`, step]));
    this.panel.style.minHeight = "";
    const heights = [...one.values()].map((step) => {
      this.write(step);
      return this.panel.offsetHeight;
    });
    this.panel.style.minHeight = `${Math.max(...heights)}px`;
  }

  // ------------------------------------------------------------------------------------------ the cursor

  act(what) {
    this.pause();
    what();
  }

  go(at) {
    this.at = Math.max(0, Math.min(this.steps.length - 1, at));
    this.show();
  }

  // To the end of this run of the innermost loop, or of the equation.
  finish(name) {
    if (this.at + 1 < this.steps.length) this.go(lastAlike(this.steps, this.at + 1, name));
  }

  // To the next step that is wanted, from the start again after the last.
  runTo(wanted) {
    const after = this.steps.findIndex((step, at) => at > this.at && wanted(step));
    const at = after >= 0 ? after : this.steps.findIndex(wanted);
    if (at >= 0) this.act(() => this.go(at));
  }

  toggle() {
    if (this.timer !== null) return this.pause();
    if (this.at === this.steps.length - 1) this.go(0);
    const tick = () => {
      this.go(this.at + 1);
      if (this.at === this.steps.length - 1) return this.pause();
      this.timer = setTimeout(tick, 1000 / SPEEDS[this.speed.value]);
    };
    this.timer = setTimeout(tick, 1000 / SPEEDS[this.speed.value]);
    this.drawButtons();
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    this.drawButtons();
    this.say();
  }

  key(event) {
    const at = event.target.closest("button, input, select");
    if (event.ctrlKey || event.metaKey || event.altKey || (at && at.localName !== "button")) return;
    if (at && (event.key === " " || event.key === "Enter")) return; // its own
    const press = { " ": "play", ArrowRight: "next", ArrowLeft: "back", l: "loop", e: "equation" };
    const name = { ...press, Home: "start", End: "end" }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!name) return;
    event.preventDefault();
    this.buttons[name].click();
  }

  // ------------------------------------------------------------------------------------------- the sight

  show() {
    const step = this.steps[this.at];
    const known = knownAfter(this.setting, this.steps.slice(0, this.at + 1));
    const { indices } = step;
    if ("n" in indices) this.n = indices.n;
    this.listing.light(step);
    this.picture.update(known, this.n, step);
    this.grids.update(known, step);
    this.write(step);
    const { X, y, sizes } = this.setting;
    const x = X.slice(this.n * sizes[0], (this.n + 1) * sizes[0]);
    this.caption.replaceChildren(
      ...typeset(
        `sample n = ${this.n}: x = (${x.map((x_i) => brief(x_i)).join(", ")}), y = ${y
          .slice(this.n * sizes.at(-1), (this.n + 1) * sizes.at(-1))
          .map((y_k) => brief(y_k))
          .join(", ")}`,
      ).flat(),
    );
    this.position.value = this.at;
    this.count.textContent = `${this.at + 1} of ${this.steps.length}`;
    this.position.setAttribute("aria-valuetext", `statement ${this.count.textContent}`);
    this.drawButtons();
    if (this.timer === null) this.say();
  }

  // The statement, its indices and its numbers.
  write(step) {
    const { tag, indices } = step;
    const present = ["n", "l", "i", "j", "k", "p"].filter((name) => name in indices);
    this.heading.replaceChildren(
      h("span.tag", {}, tag),
      ` ${WORDS[tag]}`,
      ...present.map((name) => h("span.present", {}, typeset(`${name} = ${indices[name]}`))),
      h("span.in-words", {}, typeset(inWords(step))),
    );
    this.line.replaceChildren(statement(step));
  }

  drawButtons() {
    const [first, last] = [this.at === 0, this.at === this.steps.length - 1];
    this.buttons.play.textContent = this.timer === null ? "▶ Play" : "❚❚ Pause";
    for (const name of ["start", "back"]) this.buttons[name].disabled = first;
    for (const name of ["next", "loop", "equation", "end"]) this.buttons[name].disabled = last;
    const again = { type: "button", "data-walk": "again", onclick: () => this.again() };
    this.more.replaceChildren(
      ...(last && this.again ? ["θ is updated. ", h("button", again, "Walk the next step")] : []),
      ...(last && this.setting.cut ? [`These were the first ${this.steps.length} statements; there are more.`] : []),
    );
  }

  sayRate() {
    this.rate.textContent = `${SPEEDS[this.speed.value]} a second`;
    this.speed.setAttribute("aria-valuetext", `${SPEEDS[this.speed.value]} statements a second`);
  }

  // For a screen reader, when the cursor comes to rest.
  say() {
    const step = this.steps[this.at];
    const { result, place } = step;
    const what = place ? placeInWords(place) : "it";
    this.spoken.textContent = `${step.tag}: ${inWords(step)}; ${what} is ${show(result)}`;
  }
}

// "δ_1 of layer 2, sample 0"
function placeInWords(place) {
  const [letter, ...numbers] = place.split(":");
  const name = nameOf(place);
  if (letter === "ℓ") return `ℓ of sample ${numbers[0]}`;
  const l = ` of layer ${numbers[0]}`;
  return numbers.length === 3 && !letter.endsWith("w") ? `${name}${l}, sample ${numbers[1]}` : `${name}${l}`;
}

export function walk(box, setting, steps, again = null) {
  return new Walk(box, setting, steps, again);
}
