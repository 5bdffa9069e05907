// The network drawn: an edge for each w_ij, a circle for each unit with its a_j inside, its z_j and δ_j below.

import { css, shade, show, sign, svg } from "./html.js";

const HEAD = 44; // above the first unit
const FOOT = 30; // below the last one
const ROW = 34; // least distance between units

// As much of a as goes inside a circle.
const short = (a) => (Math.abs(a) < 10 ? a.toFixed(2).replace("-", "−").replace("−0.00", "0.00") : show(a, 2));

export class Diagram {
  // onselect(l, j) when a unit is chosen, onpoint(l, j) or onpoint(null) as the pointer comes and goes.
  constructor(box, network, { onselect, onpoint }) {
    this.box = box;
    this.network = network;
    this.onselect = onselect;
    this.onpoint = onpoint;
    this.build();
  }

  build() {
    const { sizes, layers, last } = this.network;
    const most = Math.max(...sizes);
    this.width = Math.max(260, this.box.clientWidth);
    this.height = HEAD + FOOT + Math.max(most * ROW, Math.min(440, this.width * 0.95));
    this.pitch = Math.min(110, (this.height - HEAD - FOOT) / most);
    this.radius = Math.max(9, Math.min(21, 0.36 * this.pitch, this.width / (3.2 * sizes.length)));
    this.edges = [];
    this.units = new Map();
    const edges = svg("g", { "aria-hidden": "true" });
    const units = svg("g", {});
    const heads = svg("g.heads", { "aria-hidden": "true" });
    layers.forEach((layer, l) => {
      heads.append(
        svg("text", { x: this.x(l), y: 14 }, l === 0 ? "inputs" : l === last ? "output" : `layer ${l}`),
        svg("text.phi", { x: this.x(l), y: 29 }, l === 0 ? "x" : layer.name),
      );
      for (let j = 0; j < layer.units; j++) {
        if (l > 0) for (let i = 0; i < layer.inputs; i++) edges.append(this.edge(l, i, j));
        units.append(this.unit(l, j));
      }
    });
    this.root = svg(
      "svg.network",
      {
        viewBox: `0 0 ${this.width} ${this.height}`,
        width: this.width,
        height: this.height,
        role: "group",
        "aria-label": "The network. Arrow keys go from unit to unit.",
        onpointerleave: () => this.onpoint(null),
        onkeydown: (event) => this.walk(event),
      },
      edges,
      units,
      heads,
    );
    this.box.replaceChildren(this.root);
  }

  x(l) {
    const margin = Math.max(this.radius + 6, 30);
    return margin + (l / this.network.last) * (this.width - 2 * margin);
  }

  y(l, j) {
    const { units } = this.network.layers[l];
    return HEAD + (this.height - HEAD - FOOT) / 2 + (j - (units - 1) / 2) * this.pitch;
  }

  edge(l, i, j) {
    const [x, u] = [this.x(l - 1) + this.radius, this.x(l) - this.radius];
    const [y, v] = [this.y(l - 1, i), this.y(l, j)];
    const bend = 0.45 * (u - x);
    const path = svg("path", { d: `M${x} ${y}C${x + bend} ${y} ${u - bend} ${v} ${u} ${v}` });
    this.edges.push({ l, i, j, path });
    return path;
  }

  unit(l, j) {
    const circle = svg("circle", { r: this.radius });
    const inside = svg("text.inside", { dy: "0.35em" });
    const below = [svg("text.below", { y: this.radius + 13 }), svg("text.below", { y: this.radius + 27 })];
    const group = svg(
      "g.unit",
      {
        transform: `translate(${this.x(l)} ${this.y(l, j)})`,
        role: "button",
        tabindex: -1,
        "data-unit": `${l},${j}`,
        onclick: () => this.onselect(l, j),
        onfocus: () => this.onselect(l, j),
        onpointerenter: () => this.onpoint(l, j),
      },
      svg("circle.reach", { r: Math.max(this.radius + 4, Math.min(16, this.pitch / 2)) }),
      circle,
      inside,
      below,
    );
    this.units.set(`${l},${j}`, { group, circle, inside, below });
    return group;
  }

  walk(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const here = event.target.closest("[data-unit]");
    if (!here) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      here.dispatchEvent(new MouseEvent("click"));
    }
    if (!move) return;
    event.preventDefault();
    const [l, j] = here.dataset.unit.split(",").map(Number);
    const layer = Math.max(0, Math.min(this.network.last, l + move[0]));
    const unit = Math.max(0, Math.min(this.network.layers[layer].units - 1, j + move[1]));
    this.units.get(`${layer},${unit}`).group.focus();
  }

  // The numbers of one sample, which is row 0 of `pass`.
  update(pass, [chosenLayer, chosenUnit], colours) {
    const { views, last } = this.network;
    const largest = views
      .slice(1)
      .reduce((most, { W }) => W.reduce((m, w) => (Math.abs(w) > m ? Math.abs(w) : m), most), 1e-9);
    for (const { l, i, j, path } of this.edges) {
      const w = views[l].W[i * this.network.layers[l].units + j];
      const touches = (l === chosenLayer && j === chosenUnit) || (l - 1 === chosenLayer && i === chosenUnit);
      path.setAttribute("class", `edge ${sign(w)}${touches ? " near" : ""}`);
      path.setAttribute("stroke-width", (0.4 + 3.4 * Math.min(1, Math.abs(w) / largest || 0)).toFixed(2));
    }
    const wide = this.radius >= 15;
    const lines = Math.floor((this.pitch - 2 * this.radius - 4) / 13); // that fit below a unit
    for (const [key, { group, circle, inside, below }] of this.units) {
      const [l, j] = key.split(",").map(Number);
      const a = pass.a[l][j];
      const scale = pass.a[l].slice(0, this.network.layers[l].units).reduce((m, v) => Math.max(m, Math.abs(v)), 1);
      const chosen = l === chosenLayer && j === chosenUnit;
      circle.setAttribute("fill", css(shade(colours, (0.55 * a) / scale)));
      group.classList.toggle("chosen", chosen);
      group.setAttribute("aria-pressed", chosen);
      group.setAttribute("tabindex", chosen ? 0 : -1);
      inside.textContent = wide ? short(a) : "";
      const labels = l === 0 ? [] : [`δ ${show(pass.delta[l][j])}`];
      if (l > 0 && lines > 1) labels.unshift(`z ${show(pass.z[l][j])}`);
      below.forEach((text, line) => {
        text.textContent = line < lines ? (labels[line] ?? "") : "";
      });
      const place = l === 0 ? `input ${j + 1}` : l === last ? "output" : `layer ${l}, unit ${j + 1}`;
      const numbers = l === 0 ? "" : `, z ${show(pass.z[l][j])}, δ ${show(pass.delta[l][j])}`;
      group.setAttribute("aria-label", `${place}: a ${show(a)}${numbers}`);
    }
  }
}
