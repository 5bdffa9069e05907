// Why E3 is what it is: the chain rule line by line, each symbol lit in the network that stands beside it.

import { h, typeset } from "./html.js";
import { nameOf } from "./listing.js";
import { Picture } from "./picture.js";
import { knownAfter } from "./walk.js";

let lists = 0; // on a page that may have this twice

export class Why {
  // setting and steps: of the walk, up to E5; whys: what why.py wrote.
  constructor(box, setting, steps, whys) {
    lists += 1;
    Object.assign(this, { whys, at: 0, id: `why-${lists}` });
    const before = steps.filter(({ tag }) => tag !== "E6");
    this.known = knownAfter(setting, before);
    this.picture = new Picture(setting, {
      onunit: () => {},
      onedge: (l, i, j) => this.choose(`w:${l}:${i}:${j}`),
    });
    const weights = Object.keys(whys.weights);
    this.select = h(
      "select",
      { "aria-label": "Weight", onchange: () => this.choose(this.select.value) },
      weights.map((place) => {
        const name = nameOf(place);
        return h("option", { value: place }, `${name} of layer ${place.split(":")[1]}`);
      }),
    );
    this.list = h("div.chain", {
      role: "listbox",
      tabindex: 0,
      "aria-label": "The chain rule, line by line",
      onkeydown: (event) => this.key(event),
      onclick: (event) => this.goTo(event.target.closest("[role=option]")),
      onpointerover: (event) => this.point(event.target.closest(".symbol")),
      onpointerleave: () => this.point(null),
    });
    box.replaceChildren(
      h("label.pick", {}, typeset("from L back to"), this.select, typeset(`, sample n = ${whys.sample}`)),
      h("div.desk", {}, this.list, h("div.drawn", {}, this.picture.element)),
      ...Object.entries(whys.aside).map(([title, steps]) =>
        h("details", {}, h("summary", {}, `The same for ${title}`), h("div.chain", {}, this.lines(steps, "p"))),
      ),
    );
    this.choose(weights[0]);
  }

  // What record.py wrote is HTML of its own making.
  lines(steps, tag = "div") {
    return steps.map(({ words, lines }) => [
      h("p.because", {}, words),
      lines.map(([equation, html]) => {
        const line = h("span.equation-line");
        line.innerHTML = html;
        const role = tag === "div" ? { role: "option", "aria-selected": "false" } : {};
        return h(`${tag}.link-line`, role, h("span.tag", {}, equation), line);
      }),
    ]);
  }

  choose(place) {
    this.select.value = place;
    this.list.replaceChildren(...this.lines(this.whys.weights[place]).flat(Infinity));
    this.options = [...this.list.querySelectorAll("[role=option]")];
    this.options.forEach((option, p) => {
      option.id = `${this.id}-${p}`;
    });
    this.go(0);
  }

  goTo(option) {
    if (option) this.go(this.options.indexOf(option));
  }

  go(at) {
    this.options[this.at]?.setAttribute("aria-selected", "false");
    this.at = Math.max(0, Math.min(this.options.length - 1, at));
    const here = this.options[this.at];
    here.setAttribute("aria-selected", "true");
    this.list.setAttribute("aria-activedescendant", here.id);
    const box = this.list;
    const [top, bottom] = [here.offsetTop, here.offsetTop + here.offsetHeight];
    if (top < box.scrollTop || bottom > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 3;
    this.point(null);
  }

  key(event) {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -1e9, End: 1e9 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    this.go(this.at + by);
  }

  // Lights a symbol, or all of the chosen line; the first is what the line is about.
  point(symbol) {
    this.picture.update(this.known, this.whys.sample, { operands: [], place: null });
    for (const lit of this.list.querySelectorAll(".lit")) lit.classList.remove("lit");
    const symbols = symbol ? [symbol] : [...this.options[this.at].querySelectorAll(".symbol")];
    symbols.forEach((each) => {
      each.classList.add("lit");
      this.picture.light(each.dataset.place, symbol ? "written" : "read");
    });
  }
}
