// The page: the playground and its instruments around one run. render({ model, el }) is anywidget's contract; the model
// holds "record", what mlp_jit.study.page.record wrote.

import { verdict } from "./check.js";
import { curve, curveLegend } from "./curve.js";
import { exercises } from "./exercises.js";
import { gallery } from "./gallery.js";
import { h, letter, readColours, show, typeset } from "./html.js";
import { Pass } from "./loops.js";
import { Diagram } from "./network.js";
import { Field, drawPlane, reachOf, sampleAt } from "./plane.js";
import { representation } from "./representation.js";
import { Run, canStart } from "./run.js";
import { SHELL } from "./shell.js";
import { snippet } from "./snippet.js";
import { trainStep } from "./step.js";
import { unitPanel, unitsTable } from "./unit.js";
import { vanishing } from "./vanishing.js";
import { walk } from "./walk.js";
import { Why } from "./why.js";

const NAMES = { xor: "XOR", circles: "Two circles", moons: "Moons", quadrants: "Quadrants", spirals: "Spirals" };
const RATES = [0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 100];
const BATCHES = [1, 4, 16, 64];
const PENALTIES = [0, 1e-4, 1e-3, 1e-2, 0.1];
const IN_MID_RUN = ["learning_rate", "batch_size", "l2"]; // the others start again
const FRAME = 8; // ms of training between two pictures
const SLOWLY = 150; // ms between two pictures of what is read rather than watched
const CALM = 500; // ms between pictures for who asked for less motion

class Playground {
  constructor(record, root) {
    this.record = record;
    this.root = root;
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.colours = readColours(root);
    this.running = null;
    this.drawnSlowly = 0;
    this.sample = 0;
    this.pointed = null;
    this.presets();
    this.controls();
    this.buttons();
    this.start(record.runs[0].setting);
  }

  // ------------------------------------------------------------------------------------------- settings

  presets() {
    this.part("presets").replaceChildren(
      ...this.record.runs.map((run) =>
        h(
          "button.preset",
          { type: "button", "aria-pressed": "false", onclick: () => this.start(run.setting) },
          run.title,
        ),
      ),
    );
  }

  controls() {
    const count = (from, to) =>
      Array.from({ length: to - from + 1 }, (_, index) => [from + index, String(from + index)]);
    const { datasets, activations, generators } = this.record;
    const N = Object.values(datasets)[0].y.length;
    const options = {
      dataset: ["Data", Object.keys(datasets).map((name) => [name, NAMES[name]])],
      layers: ["Hidden layers", count(0, 4)],
      width: ["Units in each", count(1, 12)],
      activation: ["Activation φ", activations.filter(canStart).map(({ name }) => [name, name])],
      learning_rate: ["Learning rate η", RATES.map((rate) => [rate, String(rate)])],
      batch_size: ["Batch size", [...BATCHES.map((size) => [size, String(size)]), [N, `${N} (all)`]]],
      l2: ["L2 penalty λ", PENALTIES.map((l2) => [l2, String(l2)])],
      seed: ["Seed", count(0, generators.length - 1)],
    };
    this.selects = Object.fromEntries(
      Object.entries(options).map(([key, [label, choices]]) => [
        key,
        h(
          "select",
          { name: key, "aria-label": label, onchange: () => this.change(key) },
          choices.map(([value, text]) => h("option", { value }, text)),
        ),
      ]),
    );
    this.part("controls").replaceChildren(
      ...Object.entries(options).map(([key, [label]]) =>
        h("label", {}, h("span", { "aria-hidden": "true" }, label), this.selects[key]),
      ),
    );
  }

  change(key) {
    const { value } = this.selects[key];
    const changes = { [key]: key === "dataset" || key === "activation" ? value : Number(value) };
    if (!IN_MID_RUN.includes(key)) return this.start({ ...this.run.setting, ...changes });
    if (this.run.past.length === 0) return this.start({ ...this.run.setting, ...changes });
    this.run.alter(changes);
    this.draw();
  }

  // A fresh network.
  start(setting) {
    this.pause();
    this.run = new Run(this.record, setting);
    const { network, data } = this.run;
    this.one = new Pass(network, 1);
    this.oneGradient = new Float64Array(network.theta.length);
    this.field = new Field(network, reachOf(data));
    this.chosen = [1, 0];
    this.buildDiagram();
    this.represent = representation(this.part("representation"), network);
    this.draw();
    this.say();
  }

  buildDiagram() {
    this.diagram = new Diagram(this.part("network"), this.run.network, {
      onselect: (l, j) => this.choose(l, j),
      onpoint: (l, j) => this.point(l, j),
    });
  }

  // -------------------------------------------------------------------------------------------- buttons

  buttons() {
    const button = (name, text, act) => h("button", { type: "button", "data-do": name, onclick: act }, text);
    this.part("buttons").replaceChildren(
      button("run", "Run", () => (this.running === null ? this.play() : this.pause())),
      button("epoch", "One epoch", () => this.move(() => this.run.finishEpoch())),
      button("step", "One batch", () => this.move(() => this.run.step())),
      button("back", "Step back", () => this.move(() => this.run.back())),
      button("again", "Restart", () => this.start(this.run.setting)),
    );
    const plane = this.part("plane");
    plane.addEventListener("click", (event) => this.show(sampleAt(plane, event, this.run.data, this.field.reach)));
    this.part("sample").addEventListener("input", (event) => {
      const n = Math.round(Number(event.target.value)) - 1;
      if (n >= 0 && n < this.run.N) this.show(n);
    });
  }

  move(act) {
    this.pause();
    act();
    this.draw();
    this.say();
  }

  play() {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const frame = () => {
      const began = performance.now();
      const most = Math.min(10, 1 + Math.floor(this.run.epoch / 60)); // slow at first, where most happens
      for (let epochs = 0; epochs < most && performance.now() - began < FRAME; epochs++) this.run.finishEpoch();
      if (!Number.isFinite(this.run.loss)) return this.pause();
      this.drawRunning();
      this.running = calm ? setTimeout(frame, CALM) : requestAnimationFrame(frame);
    };
    this.running = requestAnimationFrame(frame);
    this.drawButtons();
    this.part("spoken").textContent = "running";
  }

  pause() {
    if (this.running === null) return;
    cancelAnimationFrame(this.running);
    clearTimeout(this.running);
    this.running = null;
    this.draw();
    this.say();
  }

  // ------------------------------------------------------------------------------------------- selection

  show(n) {
    this.sample = n;
    this.draw();
  }

  choose(l, j) {
    this.chosen = [l, j];
    this.pointed = null;
    this.drawUnit();
  }

  // The unit under the pointer, shown while it is there.
  point(l, j) {
    this.pointed = l === null ? null : [l, j];
    this.drawUnit();
  }

  // ---------------------------------------------------------------------------------------------- drawing

  draw() {
    this.drawWatched();
    this.drawRead();
    this.drawButtons();
  }

  drawRunning() {
    this.drawWatched();
    if (performance.now() - this.drawnSlowly < SLOWLY) return;
    this.drawRead();
    this.drawnSlowly = performance.now();
  }

  drawWatched() {
    const { run } = this;
    this.passOne();
    this.field.update();
    drawPlane(this.part("plane"), this.field, run.data, this.sample, this.colours);
    this.diagram.update(this.one, this.unit, this.colours);
    this.part("curve").replaceChildren(curve(run));
    const fraction = run.at > 0 ? ` + ${run.at}/${run.N}` : "";
    const figures = {
      epoch: [run.epoch, `${run.epoch}${fraction}`],
      loss: [run.loss, show(run.loss, 4)],
      accuracy: [run.accuracy, show(run.accuracy, 3)],
      parameters: [run.network.theta.length, String(run.network.theta.length)],
    };
    for (const [name, [value, text]] of Object.entries(figures)) {
      const element = this.part(name);
      element.value = value;
      element.textContent = text;
    }
  }

  // What is read rather than watched.
  drawRead() {
    const { run } = this;
    this.drawUnit();
    const N = run.pass.gather(run.data.X, run.data.y, run.everyone);
    run.pass.forward(N);
    this.represent(run.pass, this.field, run.data, this.sample, this.colours);
    this.part("legend").replaceChildren(curveLegend(run));
    this.part("source").replaceChildren(...this.source());
    this.part("snippet").textContent = snippet(run);
    this.part("sample").value = this.sample + 1;
    this.part("says").textContent = run.recording?.says ?? "A setting of your own.";
    for (const [key, select] of Object.entries(this.selects)) select.value = run.setting[key];
    this.selects.width.disabled = run.setting.layers === 0;
    for (const button of this.part("presets").children) {
      button.setAttribute("aria-pressed", button.textContent === run.recording?.title);
    }
  }

  get unit() {
    return this.pointed ?? this.chosen;
  }

  // E1 to E3 for the selected sample alone.
  passOne() {
    const { X, y } = this.run.data;
    this.one.gather(X, y, [this.sample]);
    this.one.forward(1);
    this.one.backward(1, 0, this.oneGradient);
  }

  drawUnit() {
    const { run } = this;
    const [l, j] = this.unit;
    this.passOne();
    run.look();
    this.part("unit").replaceChildren(
      ...unitPanel({
        network: run.network,
        pass: this.one,
        gradient: run.gradient,
        setting: run.setting,
        N: run.batch.length,
        l,
        j,
      }),
    );
    const focused = this.part("units").contains(document.activeElement);
    this.part("units").replaceChildren(
      unitsTable({
        network: run.network,
        pass: this.one,
        chosen: this.unit,
        onselect: (...unit) => this.choose(...unit),
      }),
    );
    if (focused) this.part("units").querySelector("[aria-pressed=true]")?.focus();
    this.diagram.update(this.one, this.unit, this.colours);
    const { X, y } = run.data;
    this.part("x").replaceChildren(
      letter("x"),
      ` = (${plain(X[2 * this.sample])}, ${plain(X[2 * this.sample + 1])}), `,
      letter("y"),
      ` = ${y[this.sample]}`,
    );
  }

  source() {
    const { run } = this;
    if (!Number.isFinite(run.loss)) {
      return ["The loss is no longer finite: the steps were too long. Step back, or restart with a smaller η."];
    }
    if (!run.recording) {
      return [
        "Computed here, by the port of the engine's loops. ",
        h(
          "button.link",
          { type: "button", onclick: () => this.part("check").scrollIntoView({ block: "center" }) },
          "How it is checked",
        ),
        ".",
      ];
    }
    if (run.difference === null) {
      return [`The record ends at epoch ${run.recording.epochs}; from there on the port goes alone.`];
    }
    return [
      "θ is the engine's own, recorded after this epoch. From the record of the epoch before, the port comes to ",
      run.difference === 0 ? "the same bits" : "within ",
      h("data", { value: run.difference, "data-name": "difference" }, run.difference === 0 ? "" : show(run.difference)),
      ".",
    ];
  }

  drawButtons() {
    const [run, , , back] = this.part("buttons").children;
    run.textContent = this.running === null ? "Run" : "Pause";
    back.disabled = this.run.past.length === 0;
  }

  // For a screen reader, when things come to rest.
  say() {
    const { epoch, loss, accuracy } = this.run;
    this.part("spoken").textContent = `epoch ${epoch}, loss ${show(loss, 4)}, accuracy ${show(accuracy)}`;
  }

  recolour() {
    this.colours = readColours(this.root);
    this.draw();
  }
}

// The walk and, on request, that of the next step; returns what ends it.
function walkOn(box, setting) {
  let shown = null;
  const start = (theta) => {
    shown?.end();
    const next = trainStep(setting, theta);
    const again = () => start([...next.theta]).root.focus();
    shown = walk(box, { ...setting, theta }, next.steps, again);
    return shown;
  };
  start(setting.theta);
  return () => shown.end();
}

// A coordinate as the data have it.
const plain = (x) => String(x).replace("-", "−");

export function render({ model, el }) {
  const record = model.get("record");
  const root = h("main.mlp-study");
  root.innerHTML = SHELL;
  for (const math of root.querySelectorAll(".math")) math.replaceChildren(...typeset(math.textContent).flat());
  el.replaceChildren(root);
  const playground = new Playground(record, root);
  const endWalk = walkOn(playground.part("walk"), record.walk);
  new Why(playground.part("why"), record.walk, trainStep(record.walk, record.walk.theta).steps, record.why);
  exercises(playground.part("exercises"), record.exercises);
  gallery(playground.part("gallery"), record.activations);
  const drawVanishing = vanishing(playground.part("vanishing"), record.vanishing);
  const { mlp_jit, numpy } = record.versions;
  playground.part("versions").textContent = `Recorded by mlp_jit ${mlp_jit} with NumPy ${numpy}, in float64.`;
  const checking = setTimeout(() => playground.part("check").replaceChildren(...verdict(record)), 50);

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const recolour = () => playground.recolour();
  dark.addEventListener("change", recolour);
  let width = root.clientWidth;
  const sizes = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    playground.buildDiagram();
    playground.draw();
    drawVanishing();
  });
  sizes.observe(root);
  return () => {
    clearTimeout(checking);
    dark.removeEventListener("change", recolour);
    sizes.disconnect();
    playground.pause();
    endWalk();
  };
}
