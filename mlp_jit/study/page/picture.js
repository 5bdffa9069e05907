// The network of a walk: units with their a, z and δ as far as they are computed, edges with their weights.

import { brief, h, sign, svg } from "./html.js";

const LABELLED = 12; // edges that have their weight beside them
const ROW = 104; // between units
const [TOP, BOTTOM, MARGIN] = [62, 58, 44];

const short = (x) => brief(x, 2);

export class Picture {
  // onunit(l, j) and onedge(l, i, j) when one is chosen.
  constructor({ sizes, names }, { onunit, onedge }) {
    this.sizes = sizes;
    this.last = sizes.length - 1;
    const most = Math.max(...sizes);
    this.pitch = Math.min(ROW, 520 / most);
    this.radius = Math.min(24, 0.36 * this.pitch);
    this.width = Math.max(420, 150 * sizes.length);
    this.height = TOP + BOTTOM + (most - 1) * this.pitch + 2 * this.radius;
    this.units = new Map();
    this.edges = new Map();
    this.lit = [];
    const count = sizes.slice(1).reduce((sum, units, l) => sum + units * sizes[l], 0);
    const [edges, labels, units, heads] = [svg("g"), svg("g"), svg("g"), svg("g.titles")];
    sizes.forEach((of, l) => {
      const head = l === 0 ? "inputs" : l === this.last ? "output" : `layer ${l}`;
      heads.append(
        svg("text", { x: this.x(l), y: 14 }, head),
        svg("text.phi", { x: this.x(l), y: 29 }, l === 0 ? "x" : `φ = ${names[l]}`),
      );
      for (let j = 0; j < of; j++) {
        if (l > 0)
          for (let i = 0; i < sizes[l - 1]; i++) this.edge(l, i, j, edges, count <= LABELLED && labels, onedge);
        units.append(this.unit(l, j, onunit));
      }
    });
    this.element = svg(
      "svg.network.walked",
      { viewBox: `0 0 ${this.width} ${this.height}`, role: "img", "aria-label": "The network" },
      edges,
      units,
      labels,
      heads,
    );
  }

  x(l) {
    return MARGIN + this.radius + (l / this.last) * (this.width - 2 * (MARGIN + this.radius));
  }

  y(l, j) {
    const middle = TOP + (this.height - TOP - BOTTOM) / 2;
    return middle + (j - (this.sizes[l] - 1) / 2) * this.pitch;
  }

  edge(l, i, j, edges, labels, onedge) {
    const [x, y, u, v] = [this.x(l - 1) + this.radius, this.y(l - 1, i), this.x(l) - this.radius, this.y(l, j)];
    const path = svg("path.edge", { d: `M${x} ${y}L${u} ${v}` });
    const reach = svg("path.reach", { d: `M${x} ${y}L${u} ${v}`, onclick: () => onedge(l, i, j) });
    const group = svg("g.wire", { "data-edge": `${l}:${i}:${j}` }, path, reach);
    edges.append(group);
    const part = this.sizes[l] > 1 ? 0.28 : 0.42; // where edges do not cross
    const text = svg("text.weight", { x: x + part * (u - x), y: y + part * (v - y) + 4 });
    if (labels) labels.append(text);
    this.edges.set(`${l}:${i}:${j}`, { group, path, text });
  }

  unit(l, j, onunit) {
    const [inside, bias, z, delta] = [
      svg("text.inside", { dy: "0.35em" }),
      svg("text.below", { y: -this.radius - 6 }),
      svg("text.below", { y: this.radius + 14 }),
      svg("text.below", { y: this.radius + 28 }),
    ];
    const circle = svg("circle", { r: this.radius });
    const room = this.pitch - 2 * this.radius;
    const texts = room > 52 ? [bias, z, delta] : room > 36 ? [z, delta] : [];
    const group = svg(
      "g.unit",
      { transform: `translate(${this.x(l)} ${this.y(l, j)})`, "data-unit": `${l}:${j}`, onclick: () => onunit(l, j) },
      circle,
      inside,
      texts,
    );
    this.units.set(`${l}:${j}`, { group, inside, bias, z, delta });
    return group;
  }

  // known: place → number, as far as they are computed; n: the sample that is shown.
  update(known, n, { operands, place }) {
    const text = (where) => (known.has(where) ? brief(known.get(where)) : "·");
    const largest = Math.max(1e-9, ...[...this.edges.keys()].map((key) => Math.abs(known.get(`w:${key}`))));
    for (const [key, { group, path, text: label }] of this.edges) {
      const w = known.get(`w:${key}`);
      group.setAttribute("class", `wire ${sign(w)}`);
      path.setAttribute("stroke-width", (0.6 + (2.4 * Math.abs(w)) / largest).toFixed(2));
      label.textContent = short(w);
    }
    for (const [key, { group, inside, bias, z, delta }] of this.units) {
      const [l, j] = key.split(":").map(Number);
      const unit = `${l}:${n}:${j}`;
      group.setAttribute("class", "unit");
      for (const label of [inside, bias, z, delta]) label.classList.remove("meant");
      inside.textContent = known.has(`a:${unit}`) ? short(known.get(`a:${unit}`)) : "·";
      if (l === 0) continue;
      bias.textContent = `b ${text(`b:${l}:${j}`)}`;
      z.textContent = `z ${text(`z:${unit}`)}`;
      delta.textContent = `δ ${text(`δ:${unit}`)}`;
    }
    for (const [, , , where] of operands) if (where !== place) this.light(where, "read");
    this.light(place, "written");
  }

  // where: a place, or one with a star for every unit.
  light(where, how) {
    if (!where) return;
    const [letter, l, ...rest] = where.split(":");
    const edge = letter.endsWith("w");
    const key = edge ? `${l}:${rest.join(":")}` : letter === "y" ? `${this.last}:${rest[0]}` : `${l}:${rest.at(-1)}`;
    const wanted = new RegExp(`^${key.replaceAll("*", "\\d+")}$`);
    for (const [name, lit] of edge ? this.edges : this.units) {
      if (!wanted.test(name)) continue;
      lit.group.classList.add(how);
      ({ a: lit.inside, z: lit.z, δ: lit.delta, b: lit.bias })[letter]?.classList.add("meant");
    }
  }
}

// What the colours mean.
export function legend() {
  return h(
    "p.note.legend",
    {},
    h("span.swatch.read"),
    " read by the line that runs  ",
    h("span.swatch.written"),
    " written by it",
  );
}
