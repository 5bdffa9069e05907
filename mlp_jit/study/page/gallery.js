// The activation gallery: φ and φ' as the engine computed them, and one z for all of them.

import { ACTIVATIONS } from "./activations.js";
import { h, num, show, svg } from "./html.js";

const [WIDTH, HEIGHT, REACH] = [220, 132, 2.2]; // REACH: of the picture's vertical axis

export function gallery(box, activations) {
  const cards = activations.map(card);
  const { limit } = activations[0];
  const value = h("output", {}, "");
  const slider = h("input", {
    type: "range",
    min: -limit,
    max: limit,
    step: 0.05,
    value: 1,
    "aria-label": "z for all activations",
    oninput: () => move(Number(slider.value)),
  });
  const move = (z) => {
    slider.value = z;
    value.textContent = `z = ${show(z, 2)}`;
    slider.setAttribute("aria-valuetext", `z = ${show(z, 2)}`);
    for (const each of cards) each.move(z);
  };
  for (const { element } of cards) {
    const picture = element.querySelector("svg");
    picture.addEventListener("pointermove", (event) => {
      const place = picture.getBoundingClientRect();
      move(Math.round(20 * limit * ((2 * (event.clientX - place.left)) / place.width - 1)) / 20);
    });
  }
  box.replaceChildren(
    h("label.slide", {}, value, slider),
    h(
      "div.cards",
      {},
      cards.map(({ element }) => element),
    ),
  );
  move(1);
}

function card({ name, formulas, range, steepest, limit, phi, slope }) {
  const x = (z) => ((z / limit + 1) / 2) * WIDTH;
  const y = (value) => ((1 - value / REACH) / 2) * HEIGHT;
  const bounded = (value) => Math.max(-2 * REACH, Math.min(2 * REACH, value));
  const path = (values) => {
    const step = WIDTH / (values.length - 1);
    return `M${values.map((value, p) => `${(p * step).toFixed(1)} ${y(bounded(value)).toFixed(2)}`).join("L")}`;
  };
  const [line, onPhi, onSlope] = [
    svg("line.here", { y1: 0, y2: HEIGHT }),
    svg("circle.phi", { r: 4 }),
    svg("circle.slope", { r: 4 }),
  ];
  const values = h("dd", {});
  const element = h(
    "article.card",
    { "data-activation": name },
    h("h3", {}, name),
    svg(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        role: "img",
        "aria-label": `φ and φ' of ${name} for z from −${limit} to ${limit}`,
      },
      svg("line.axis", { x1: 0, x2: WIDTH, y1: y(0), y2: y(0) }),
      svg("line.axis", { x1: x(0), x2: x(0), y1: 0, y2: HEIGHT }),
      line,
      svg("path.slope", { d: path(slope) }),
      svg("path.phi", { d: path(phi) }),
      onSlope,
      onPhi,
    ),
    h("p.formula", {}, formulas[0]),
    h("p.formula.slope", {}, formulas[1]),
    h(
      "dl",
      {},
      h("div", {}, h("dt", {}, "range"), h("dd", {}, range)),
      h("div", {}, h("dt", {}, "max φ'"), h("dd", {}, h("data", { value: steepest }, show(steepest)))),
      h("div.values", {}, h("dt", {}, "φ(z), φ'(z)"), values),
    ),
  );
  const move = (z) => {
    const a = ACTIVATIONS[name].phi(z);
    const steep = ACTIVATIONS[name].slope(z, a);
    for (const [mark, value] of [
      [onPhi, a],
      [onSlope, steep],
    ]) {
      mark.setAttribute("cx", x(z));
      mark.setAttribute("cy", y(bounded(value)));
    }
    line.setAttribute("x1", x(z));
    line.setAttribute("x2", x(z));
    values.replaceChildren(num(a), ", ", num(steep));
  };
  return { element, move };
}
