// Tables of a walk: W and ∂L/∂W of each layer as grids, and every sample's numbers. A cell has the place of its number.

import { brief, h, letter, sign, typeset } from "./html.js";

const LETTERS = ["s", "ŝ", "z", "a", "h", "δ", "∂h", "∂s"]; // of a unit, in the order of their columns

const range = (count) => Array.from({ length: count }, (_, p) => p);

export class Grids {
  // onrun(place) when a cell is chosen.
  constructor(walk, steps, onrun) {
    this.cells = new Map();
    this.lit = [];
    this.onrun = onrun;
    const { sizes, gains } = walk;
    const layers = range(sizes.length - 1).map((l) => l + 1);
    this.weights = h(
      "div.grids",
      {},
      layers.map((l) => [
        this.grid(l, sizes, gains[l], "", ["W", `, b of layer ${l}`]),
        this.grid(l, sizes, gains[l], "∂", ["∂L/∂W", `, ∂L/∂b of layer ${l}`]),
      ]),
    );
    this.samples = this.table(walk, steps);
  }

  cell(place, tag = "td") {
    const cell = h(tag, {
      "data-place": place,
      onclick: () => this.onrun(place),
      title: "run to where it is computed",
    });
    this.cells.set(place, cell);
    return cell;
  }

  grid(l, sizes, hasGains, mark, caption) {
    const [inputs, units] = [sizes[l - 1], sizes[l]];
    const columns = range(units);
    return h(
      "table.grid",
      {},
      h("caption", {}, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("td"),
          columns.map((j) => h("th", { scope: "col" }, typeset(`j = ${j}`))),
        ),
      ),
      h(
        "tbody",
        {},
        range(inputs).map((i) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, typeset(`i = ${i}`)),
            columns.map((j) => this.cell(`${mark}w:${l}:${i}:${j}`)),
          ),
        ),
        ["b", ...(hasGains ? ["γ"] : [])].map((name) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, letter(name)),
            columns.map((j) => this.cell(`${mark}${name}:${l}:${j}`)),
          ),
        ),
      ),
    );
  }

  // A row for each sample; a unit has a column for each letter that the steps write in its layer.
  table({ sizes, y }, steps) {
    const written = new Set(steps.map(({ place }) => place?.split(":").slice(0, 2).join(":")));
    const lettersOf = (l) => LETTERS.filter((name) => written.has(`${name}:${l}`));
    const [last, N] = [sizes.length - 1, y.length / sizes.at(-1)];
    const groups = sizes.map((units, l) =>
      range(units).flatMap((j) => (l === 0 ? [["a", l, j]] : lettersOf(l).map((name) => [name, l, j]))),
    );
    const titles = sizes.map((_, l) => (l === 0 ? "inputs" : l === last ? "output" : `layer ${l}`));
    const targets = range(sizes[last]).map((k) => ["y", last, k]);
    const columns = [...groups.flat(), ...targets, ["ℓ", last, 0]];
    const edge = new Set();
    groups.reduce((sum, group) => {
      edge.add(sum);
      return sum + group.length;
    }, 0);
    const first = (p) => (edge.has(p) ? "first" : null);
    return h(
      "div.scroll",
      { tabindex: 0, role: "region", "aria-label": "Every number of the walk" },
      h(
        "table.all-numbers",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("td"),
            groups.map((group, l) => h("th.group.first", { scope: "colgroup", colspan: group.length }, titles[l])),
            h("th.group", { colspan: targets.length + 1 }, "target, loss"),
          ),
          h(
            "tr",
            {},
            h("th", { scope: "col" }, letter("n")),
            columns.map(([name, l, j], p) =>
              h(
                "th",
                { scope: "col", class: first(p) },
                name === "ℓ" ? letter("ℓ") : letter(name === "a" && l === 0 ? "x" : name, j + 1),
              ),
            ),
          ),
        ),
        h(
          "tbody",
          {},
          range(N).map((n) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, String(n)),
              columns.map(([name, l, j], p) => {
                const place = name === "ℓ" ? `ℓ:${n}` : name === "y" ? `y:${n}:${j}` : `${name}:${l}:${n}:${j}`;
                const cell = this.cell(place);
                if (edge.has(p)) cell.classList.add("first");
                return cell;
              }),
            ),
          ),
        ),
      ),
    );
  }

  update(known, { operands, place }) {
    for (const cell of this.lit) cell.classList.remove("read", "written");
    for (const [where, cell] of this.cells) {
      const value = known.get(where);
      if (cell.dataset.value === String(value)) continue;
      cell.dataset.value = value;
      cell.dataset.sign = value === undefined ? "unknown" : sign(value);
      cell.textContent = value === undefined ? "·" : brief(value);
    }
    this.lit = [];
    for (const [, , , where] of operands) if (where !== place) this.light(where, "read");
    this.light(place, "written");
  }

  light(where, how) {
    const cell = this.cells.get(where);
    if (!cell) return;
    cell.classList.add(how);
    this.lit.push(cell);
  }
}
