// Elements, numbers and sums as text. Numbers are <data>: what is read is short, value="…" is all of it.

const SVG = "http://www.w3.org/2000/svg";

// h("p.note", { title: "…" }, "text", child): an element; on… attributes are listeners, false and null leave out.
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag.split(".")[0]), tag, attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag.split(".")[0]), tag, attributes, children);
}

function fill(element, tag, attributes, children) {
  const classes = tag.split(".").slice(1).join(" ");
  if (classes) element.setAttribute("class", classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== false));
  return element;
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

// At least three digits that count: 0.124, 0.0124, −12.35, 1.2·10⁻⁷
export function show(x, decimals = 3) {
  if (Number.isNaN(x)) return "not a number";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  if (size >= 10 ** -decimals && size < 1e5) {
    const exponent = Math.floor(Math.log10(size));
    const digits = exponent < 0 ? Math.min(decimals - 1 - exponent, decimals + 2) : Math.max(0, decimals - exponent);
    return x.toFixed(digits).replace("-", "−");
  }
  if (size === 0) return "0";
  const [mantissa, exponent] = x.toExponential(1).split("e");
  const power = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPTS[digit]).join("");
  return `${mantissa.replace("-", "−")}·10${exponent < 0 ? "⁻" : ""}${power}`;
}

// At most so many digits that count, and no zeros after the last: −0.6, 0.0997
export function brief(x, digits = 4) {
  const size = Math.abs(x);
  const short = size >= 1e-3 && size < 1e5 ? String(Number(x.toPrecision(digits))) : show(x);
  return short.replace("-", "−");
}

export const sign = (x) => (x < 0 ? "negative" : x > 0 ? "positive" : "zero");

// A number in the colour of its sign.
export function num(x, name = null) {
  return h(`data.${sign(x)}`, { value: x, "data-name": name }, show(x));
}

// In a sum or product: negative numbers in parentheses.
export function term(x) {
  return x < 0 ? h("span.term", {}, "(", num(x), ")") : num(x);
}

// A letter with its indices: letter("w", "ij")
export function letter(name, indices = "") {
  return h("span.letter", {}, h("i", {}, name), indices === "" ? "" : h("sub", {}, String(indices)));
}

// Rows are what row() makes; the first cell of each is its head.
export function table(heads, rows) {
  const head = heads.map((content) => h("th", { scope: "col" }, content));
  return h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
}

export function row(cells, tag = "tr") {
  return h(
    tag,
    {},
    cells.map((cell, place) => (place === 0 ? h("th", { scope: "row" }, cell) : h("td", {}, cell))),
  );
}

// "∂L/∂w_ij" as letters with their indices; a name of more than one letter stays upright.
export function typeset(text) {
  return text.split(/(\p{L}+(?:_\w+(?:,\w+)?)?)/u).map((piece) => {
    const [name, indices = ""] = piece.split("_");
    if (name === "Σ") return ["Σ", h("sub", {}, indices)];
    return /^\p{L}$/u.test(name) ? letter(name, indices) : piece;
  });
}

// The canvas as large as its box and as sharp as the screen; returns its context and size in CSS pixels.
export function sharpen(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return { context, width, height };
}

// The style's colours as [r, g, b], read again when light turns to dark.
export function readColours(root) {
  const probe = h("span", { hidden: "" });
  root.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe)
      .color.match(/[\d.]+/g)
      .slice(0, 3)
      .map(Number);
  };
  const names = ["ink", "muted", "rule", "panel", "positive", "negative"];
  const colours = Object.fromEntries(names.map((name) => [name, read(name)]));
  probe.remove();
  return colours;
}

export const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

// From −1 (negative's colour) over 0 (the panel) to 1 (positive's colour).
export function shade(colours, value) {
  const end = value < 0 ? colours.negative : colours.positive;
  const part = Math.min(1, Math.abs(value)) || 0; // 0 for what is no number
  return colours.panel.map((from, channel) => Math.round(from + part * (end[channel] - from)));
}
