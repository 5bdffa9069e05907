// The source that a walk goes through, and the statement that runs written out with its numbers.

import { brief, h, sign, typeset } from "./html.js";

const indent = (text) => text.length - text.trimStart().length;
const loopOf = (text) => /^\s*for (\w+) in /.exec(text)?.[1];

// Keywords apart from the rest, for the eye.
function coloured(text) {
  return text
    .split(/\b(def|for|in|if|elif|return)\b/)
    .map((piece, p) => (p % 2 === 1 ? h("span.keyword", {}, piece) : piece));
}

export class Listing {
  // onrun(name, line) when a line is chosen; lines: those at which something is computed, as "name:line".
  constructor(programs, lines, onrun) {
    this.rows = new Map();
    this.heads = new Map();
    this.lit = [];
    this.element = h(
      "div.listing",
      { role: "region", tabindex: 0, "aria-label": "The source of E1 to E6" },
      programs.map((program) => this.kernel(program, lines, onrun)),
    );
  }

  kernel({ tag, name, file, says, lines: rows }, lines, onrun) {
    const made = rows.map(([line, text]) => {
      const runs = lines.has(`${name}:${line}`);
      const index = h("span.index");
      const row = h(
        `div.line${runs ? ".runs" : ""}`,
        { "data-line": `${name}:${line}`, ...(runs && { onclick: () => onrun(name, line), title: "run to here" }) },
        h("span.place", { "aria-hidden": "true" }, line || ""),
        h("code", {}, coloured(text)),
        index,
      );
      if (line) this.rows.set(`${name}:${line}`, { row, index, text });
      return row;
    });
    const head = h(
      "section.kernel",
      { "data-kernel": name },
      h("h4", {}, h("span.tag", {}, tag), h("span.meaning", {}, typeset(says)), h("span.file", {}, file)),
      made,
    );
    this.heads.set(name, { head, numbers: rows.map(([line]) => line) });
    return head;
  }

  // Lights the line that runs and what leads to it, with the present indices at the loops.
  light({ function: name, line, callers, indices }) {
    for (const { row, index } of this.lit) {
      row.classList.remove("now", "leads");
      index.textContent = "";
    }
    this.lit = [];
    for (const [kernel, at] of [...callers, [name, line]]) this.lead(kernel, at, indices);
    const { row } = this.rows.get(`${name}:${line}`);
    row.classList.add("now");
    const outer = callers.map(([kernel]) => kernel).find((kernel) => this.heads.has(kernel)) ?? name;
    this.scroll(this.heads.get(outer).head, this.heads.get(name).head, row);
  }

  // A line, and the loops around it.
  lead(kernel, at, indices) {
    const here = this.rows.get(`${kernel}:${at}`);
    if (!here) return;
    this.mark(here, "");
    let least = indent(here.text);
    const { numbers } = this.heads.get(kernel);
    for (const number of numbers.slice(0, numbers.indexOf(at)).reverse()) {
      const above = this.rows.get(`${kernel}:${number}`);
      if (!above || indent(above.text) >= least) continue;
      least = indent(above.text);
      const name = loopOf(above.text);
      if (name) this.mark(above, `${name} = ${indices[name]}`);
      else if (least === 0 && "l" in indices) this.mark(above, `l = ${indices.l}`);
    }
  }

  mark(row, text) {
    row.row.classList.add("leads");
    row.index.textContent = text;
    this.lit.push(row);
  }

  // Both kernels in sight, or else the one that runs, or else its line; nothing moves while it is.
  scroll(outer, current, line) {
    const box = this.element;
    const spans = [
      [outer.offsetTop, current.offsetTop + current.offsetHeight],
      [current.offsetTop, current.offsetTop + current.offsetHeight],
      [line.offsetTop - box.clientHeight / 2, line.offsetTop + box.clientHeight / 2],
    ];
    const [top, bottom] = spans.find(([from, to]) => to - from <= box.clientHeight);
    if (top < box.scrollTop || bottom > box.scrollTop + box.clientHeight) box.scrollTop = top - 6;
  }
}

// "w:1:0:1" as equations have it: w_12.
export function nameOf(place) {
  const [letter, ...numbers] = place.split(":");
  if (letter === "weight" || letter === "ℓ") return letter;
  const units = numbers.map((number) => Number(number) + 1);
  const by = letter === "∂s" || letter === "∂h" ? "ℓ" : "L"; // of one sample, or of all
  const name = letter.startsWith("∂") ? `∂${by}/${letter}` : letter;
  if (!letter.endsWith("w")) return `${name}_${units.at(-1)}`;
  return `${name}_${units[1]}${units[1] > 9 || units[2] > 9 ? "," : ""}${units[2]}`;
}

// The statement in pieces: under each name its number, and which of the network's numbers that is.
export function statement({ text, tag, operands, target, result, place }) {
  const adds = operands.length > 0 && operands[0][0] === target[0];
  const reads = adds ? operands.slice(1) : operands;
  const named = (where) => (where ? typeset(nameOf(where)) : "");
  const piece = (kind, code, value, ...name) =>
    h(
      `span.operand.${kind}`,
      {},
      h("code", {}, code),
      h(`data.${sign(value)}`, { value }, brief(value)),
      h("span.name", {}, name),
    );
  const stands = adds ? [named(place), tag === "E6" ? " before" : " so far"] : [named(place)];
  const pieces = [piece("written", text.slice(...target), adds ? operands[0][2] : result, stands)];
  let end = target[1];
  for (const [start, stop, value, where] of reads) {
    pieces.push(h("span.glue", {}, text.slice(end, start)));
    pieces.push(piece("read", text.slice(start, stop), value, named(where)));
    end = stop;
  }
  if (end < text.length) pieces.push(h("span.glue", {}, text.slice(end)));
  if (adds) pieces.push(piece("outcome", "→", result, named(place), " now"));
  return h("span.written-out", {}, pieces);
}

const VERBS = { "=": ["sets", "to"], "+=": ["adds", "to"], "-=": ["takes", "from"], "*=": ["multiplies", "by"] };

// The same in words: "adds w_12 · a_1 to z_2".
export function inWords({ text, operands, target, place }) {
  const name = (start, stop, where) => (where ? nameOf(where) : text.slice(start, stop));
  let named = "";
  let end = target[1];
  for (const [start, stop, , where] of operands) {
    if (start === target[0]) continue; // what its target held before
    named += text.slice(end, start) + name(start, stop, where);
    end = stop;
  }
  const [, assigns, what] = /^ (\S+) (.*)$/.exec((named + text.slice(end)).replaceAll(" * ", " · "));
  const written = name(...target, place);
  return {
    "=": `sets ${written} to ${what}`,
    "+=": `adds ${what} to ${written}`,
    "-=": `takes ${what} from ${written}`,
    "*=": `multiplies ${written} by ${what}`,
    "/=": `divides ${written} by ${what}`,
  }[assigns];
}
