// One unit's equations, in letters and in numbers: E1 forward, E2 or E3 backward, E4 to E6 for its weights.

import { h, letter, num, row, table, term, typeset } from "./html.js";

// pass: row 0 is the sample; gradient: ∂L/∂θ of the next step's batch, whose size is N.
export function unitPanel({ network, pass, gradient, setting, N, l, j }) {
  const heading = h("h3", {}, title(network, l, j));
  if (l === 0) {
    return [
      heading,
      h(
        "p.note",
        {},
        typeset(`An input has no z and no δ: a_${j + 1} = x_${j + 1} = `),
        num(pass.a[0][j], "a"),
        ". Choose a unit of a later layer to see equations.",
      ),
    ];
  }
  const backward = l === network.last ? outputDelta(pass, l) : hiddenDelta(network, pass, l, j);
  return [
    heading,
    h("div.equations", {}, forward(network, pass, l, j), backward),
    steps(network, pass, gradient, setting, N, l, j),
  ];
}

function title(network, l, j) {
  if (l === 0) return `Input ${j + 1}`;
  return l === network.last ? `Output, layer ${l}` : `Layer ${l}, unit ${j + 1}`;
}

function equation(tag, words, ...lines) {
  return h(
    "section.equation",
    {},
    h("h4", {}, h("span.tag", {}, tag), " ", words),
    ...lines.map((line) => h("p", {}, line)),
  );
}

const range = (count) => Array.from({ length: count }, (_, index) => index);
const pair = (i, j) => (`${i}${j}`.length > 2 ? `${i},${j}` : `${i}${j}`);
const product = (plus, left, right) => h("span.term", {}, plus, term(left), "·", term(right));

function forward(network, pass, l, j) {
  const { inputs, units, name } = network.layers[l];
  const { W, b } = network.views[l];
  const J = j + 1;
  const sum = range(inputs).map((i) => [" ", product("+ ", W[i * units + j], pass.a[l - 1][i])]);
  const phi = l === network.last ? "σ" : name;
  return equation(
    "E1",
    "forward",
    typeset(`z_${J} = b_${J} + Σ_i w_${pair("i", J)} a_i`),
    h("span.sum", {}, "= ", num(b[j]), sum, h("span.term", {}, " = ", h("strong", {}, num(pass.z[l][j], "z")))),
    [typeset(`a_${J} = φ(z_${J}) = `), phi, "(", num(pass.z[l][j]), ") = ", h("strong", {}, num(pass.a[l][j], "a"))],
  );
}

function outputDelta(pass, l) {
  const [a, y] = [pass.a[l][0], pass.y[0]];
  return equation(
    "E2",
    "output delta",
    typeset("δ_1 = ∂ℓ/∂z_1 = a_1 − y_1"),
    ["= ", num(a), " − ", num(y), " = ", h("strong", {}, num(pass.delta[l][0], "delta"))],
    h("span.note", {}, typeset("sigmoid with cross-entropy, ℓ = log(1 + eᶻ) − y z: φ' cancels")),
  );
}

function hiddenDelta(network, pass, l, i) {
  const { units } = network.layers[l + 1];
  const { W } = network.views[l + 1];
  const { slope } = network.layers[l];
  const I = i + 1;
  const slopeHere = slope(pass.z[l][i], pass.a[l][i]);
  const sum = range(units).map((j) => [
    j > 0 ? " " : "",
    product(j > 0 ? "+ " : "", W[i * units + j], pass.delta[l + 1][j]),
  ]);
  return equation(
    "E3",
    "hidden delta: this unit is an i, the next layer's are j",
    typeset(`δ_${I} = φ'(z_${I}) Σ_j w_${pair(I, "j")} δ_j`),
    h(
      "span.sum",
      {},
      "= ",
      num(slopeHere, "slope"),
      " · (",
      sum,
      ")",
      h("span.term", {}, " = ", h("strong", {}, num(pass.delta[l][i], "delta"))),
    ),
    h("span.note", {}, "φ'(", num(pass.z[l][i]), ") = ", num(slopeHere), ": what this unit lets through"),
  );
}

function steps(network, pass, gradient, setting, N, l, j) {
  const { inputs, units } = network.layers[l];
  const { W, b } = network.views[l];
  const { W: dW, b: db } = network.viewsOf(gradient)[l];
  const { learning_rate: eta, l2 } = setting;
  const J = j + 1;
  const delta = pass.delta[l][j];
  const now = (value, slope) => [num(value, "weight"), num(slope, "gradient"), num(value - eta * slope, "next")];
  const rows = range(inputs).map((i) => {
    const a = pass.a[l - 1][i];
    const [value, slope, next] = now(W[i * units + j], dW[i * units + j]);
    return row([letter("w", pair(i + 1, J)), num(a), value, num(W[i * units + j] * a), num(a * delta), slope, next]);
  });
  const [value, slope, next] = now(b[j], db[j]);
  rows.push(row([letter("b", J), "", value, "", num(delta), slope, next]));
  const mean = `∂L/∂w_ij is the mean of a_i δ_j, and ∂L/∂b_j that of δ_j, over the N = ${N} samples of the next step`;
  const penalty = l2 > 0 ? `, plus λ w_ij with λ = ${l2}` : "";
  return h(
    "section.equation.steps",
    {},
    h(
      "h4",
      {},
      ["E4", "E5", "E6"].map((tag) => h("span.tag", {}, tag)),
      " gradient and update",
    ),
    h(
      "div.scroll",
      { tabindex: 0, role: "region", "aria-label": "Weights of this unit" },
      table(["θ", "a_i", "now", "w_ij a_i", "a_i δ_j", "∂L/∂θ", "θ − η ∂L/∂θ"].map(typeset), rows),
    ),
    h("p.note", {}, typeset(`${mean}${penalty}; η = ${eta}.`)),
  );
}

// z, a, φ' and δ of every unit: the same numbers as a table.
export function unitsTable({ network, pass, chosen: [chosenLayer, chosenUnit], onselect }) {
  const rows = [];
  for (let l = 1; l <= network.last; l++) {
    const { units, slope } = network.layers[l];
    for (let j = 0; j < units; j++) {
      const [z, a, delta] = [pass.z[l][j], pass.a[l][j], pass.delta[l][j]];
      const here = l === chosenLayer && j === chosenUnit;
      const button = { type: "button", "aria-pressed": String(here), onclick: () => onselect(l, j) };
      const name = h("button.plain", button, `${l}, ${j + 1}`);
      rows.push(row([name, ...[z, a, slope(z, a), delta].map((x) => num(x))], here ? "tr.chosen" : "tr"));
    }
  }
  return table(["l, j", "z_j", "a_j", "φ'(z_j)", "δ_j"].map(typeset), rows);
}
