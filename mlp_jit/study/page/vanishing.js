// The vanishing-gradient instrument: what is left of the output's δ at each layer, as the engine measured it.

import { h, row, show, svg, table } from "./html.js";

const HEIGHT = 330;
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 82, 16, 48];
const DECADES = [-13, 1.3]; // of the vertical axis

export function vanishing(box, measured) {
  const names = Object.keys(measured.default);
  const state = { phi: "sigmoid", depth: 10, weights: "default" };
  const [picture, words, table] = [
    h("div.chart"),
    h("p.finding", { "aria-live": "polite" }),
    h("div.scroll", { tabindex: 0, role: "region", "aria-label": "The parts as a table" }),
  ];
  const depthShown = h("output", {}, "");
  const select = (label, key, options) =>
    h(
      "label",
      {},
      h("span", {}, label),
      h(
        "select",
        {
          name: key,
          onchange: (event) => {
            state[key] = event.target.value;
            draw();
          },
        },
        options.map(([value, text]) => h("option", { value, selected: state[key] === value ? "" : null }, text)),
      ),
    );
  const depth = h("input", {
    type: "range",
    min: 1,
    max: measured.default.sigmoid.length,
    value: state.depth,
    name: "depth",
    oninput: () => {
      state.depth = Number(depth.value);
      draw();
    },
  });

  function draw() {
    const at = (name) => measured[state.weights][name][state.depth - 1];
    depthShown.textContent = `${state.depth} hidden layers`;
    depth.setAttribute("aria-valuetext", depthShown.textContent);
    picture.replaceChildren(chart(names, at, state, Math.max(280, picture.clientWidth)));
    const bound = 0.25 ** state.depth;
    words.replaceChildren(
      `Through ${state.depth} layers of ${state.phi}, `,
      h("data.share", { value: at(state.phi)[0] }, show(at(state.phi)[0])),
      " of the output's ‖δ‖ arrives at layer 1. ",
      state.phi === "sigmoid"
        ? `φ' is at most ¼, which alone leaves at most (¼)${superscript(state.depth)} = ${show(bound)}.`
        : "",
    );
    table.replaceChildren(partsTable(names, at, state.depth));
  }

  box.replaceChildren(
    h(
      "div.controls",
      {},
      select(
        "activation",
        "phi",
        names.map((name) => [name, name]),
      ),
      h("label", {}, depthShown, depth),
      select("weights", "weights", [
        ["default", "the engine's default: Glorot, He, LeCun"],
        ["orthogonal", "orthogonal: the sum keeps ‖δ‖"],
      ]),
    ),
    words,
    picture,
    h("details", {}, h("summary", {}, "The numbers as a table"), table),
  );
  draw();
  return draw;
}

const superscript = (n) => [...String(n)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");

function chart(names, at, { phi, depth }, width) {
  const x = (l) => LEFT + ((depth + 1 - l) / depth) * (width - LEFT - RIGHT); // as δ goes: from the output back
  const y = (part) => {
    const decade = Math.max(DECADES[0], Math.log10(part));
    return TOP + ((DECADES[1] - decade) / (DECADES[1] - DECADES[0])) * (HEIGHT - TOP - BOTTOM);
  };
  const path = (parts) =>
    `M${[...parts, 1].map((part, p) => `${x(p + 1).toFixed(1)} ${y(part).toFixed(1)}`).join("L")}`;
  const bound = Array.from({ length: depth }, (_, p) => 0.25 ** (depth - p));
  const every = Math.ceil((36 * depth) / (width - LEFT - RIGHT));
  const layers = Array.from({ length: depth }, (_, p) => p + 1).filter(
    (l) => (l - 1) % every === 0 && l + every / 2 < depth + 1,
  );
  const others = names.filter((name) => name !== phi);
  return svg(
    "svg.vanishing",
    {
      viewBox: `0 0 ${width} ${HEIGHT}`,
      role: "img",
      "aria-label": `‖δ‖ at each layer as a part of the output's: ${phi} comes to ${show(at(phi)[0])} at layer 1`,
    },
    [0, -3, -6, -9, -12].map((decade) => [
      svg("line.grid", { x1: LEFT, x2: width - RIGHT, y1: y(10 ** decade), y2: y(10 ** decade) }),
      svg(
        "text.tick",
        { x: LEFT - 8, y: y(10 ** decade) + 4, "text-anchor": "end" },
        decade === 0 ? "1" : `10⁻${superscript(-decade)}`,
      ),
    ]),
    layers.map((l) => svg("text.tick", { x: x(l), y: HEIGHT - 26, "text-anchor": "middle" }, String(l))),
    svg("text.tick", { x: x(depth + 1), y: HEIGHT - 26, "text-anchor": "middle" }, "output"),
    svg("text.tick", { x: LEFT, y: HEIGHT - 6 }, "δ goes this way: from the output back to layer 1"),
    others.map((name) => svg("path.other", { d: path(at(name)) }, svg("title", {}, name))),
    phi === "sigmoid" && svg("path.bound", { d: path(bound) }),
    svg("path.line", { d: path(at(phi)) }),
    at(phi).map((part, p) => svg("circle.now", { cx: x(p + 1), cy: y(part), r: 3.5 })),
    labels(names, at, phi, y, width),
  );
}

// Each line's name at its end, kept apart.
function labels(names, at, phi, y, width) {
  const wanted = names.map((name) => ({ name, place: y(at(name)[0]) })).sort((one, other) => one.place - other.place);
  let free = TOP;
  return wanted.map(({ name, place }) => {
    const here = Math.max(free, place);
    free = here + 14;
    return svg(`text.label${name === phi ? ".chosen" : ""}`, { x: width - RIGHT + 14, y: here }, name);
  });
}

function partsTable(names, at, depth) {
  const layers = Array.from({ length: depth }, (_, p) => p + 1);
  return table(
    ["layer", ...names],
    layers.map((l) => row([l, ...names.map((name) => show(at(name)[l - 1]))])),
  );
}
