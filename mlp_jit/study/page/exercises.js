// Exercises that check themselves, with hints and a score that the page keeps for each seed.

import { h } from "./html.js";

const made = (tag, html) => {
  const element = h(tag); // HTML of practice.py's making
  element.innerHTML = html;
  return element;
};

let groups = 0; // of radio buttons, on a page that may have this twice

// The number that was written, with a point or a comma.
export function read(text) {
  const plain = text.trim().replace("−", "-").replace(",", ".");
  return plain === "" ? NaN : Number(plain);
}

export function isRight({ answer, whole, choices }, given, near) {
  if (whole || choices.length) return given === answer;
  return Math.abs(given - answer) <= near * Math.abs(answer);
}

// sets: what practice.py wrote, one for each seed.
export function exercises(box, sets) {
  const right = sets.map(() => new Set());
  const score = h("output.score", { "aria-live": "polite" });
  const body = h("div");
  const select = h(
    "select",
    { "aria-label": "Seed of the exercises", onchange: () => show(Number(select.value)) },
    sets.map(({ seed }, at) => h("option", { value: at }, `seed ${seed}`)),
  );
  const fresh = h(
    "button",
    { type: "button", "data-exercises": "fresh", onclick: () => show((Number(select.value) + 1) % sets.length) },
    "Fresh numbers",
  );
  const say = (at) => {
    const all = right.reduce((sum, each) => sum + each.size, 0);
    const inAll = all > right[at].size ? `, ${all} in all seeds` : "";
    score.textContent = `${right[at].size} of ${sets[at].exercises.length} right${inAll}`;
  };

  function show(at) {
    select.value = at;
    const { given, exercises: asked, near } = sets[at];
    body.replaceChildren(
      h(
        "div.given",
        {},
        given.map((line) => made("p", line)),
      ),
      h(
        "ol.questions",
        {},
        asked.map((exercise, p) =>
          question(exercise, p + 1, near, right[at].has(p), () => {
            right[at].add(p);
            say(at);
          }),
        ),
      ),
    );
    say(at);
  }

  box.replaceChildren(h("div.practice-head", {}, select, sets.length > 1 && fresh, score), body);
  show(0);
}

function question(exercise, n, near, done, onright) {
  const { question: words, hints, choices, answer } = exercise;
  const said = h("span.said", { role: "status" });
  const item = h("li", { "data-exercise": n });
  groups += 1;
  const group = `exercise-${groups}`;
  const shown = h("div.hints", { hidden: "" });
  const settle = () => {
    item.classList.add("right");
    said.textContent = "✓ right";
  };
  const check = (given) => {
    if (Number.isNaN(given)) said.textContent = "A number, please.";
    else if (isRight(exercise, given, near)) {
      settle();
      onright();
    } else said.textContent = "Not yet. A hint shows the next step.";
  };
  const label = `Answer to exercise ${n}`;
  const field = h("input", {
    type: "text",
    inputmode: "text",
    autocomplete: "off",
    "aria-label": label,
    onkeydown: (event) => event.key === "Enter" && check(read(field.value)),
  });
  const radios = choices.map((choice, c) => {
    const radio = h("input", { type: "radio", name: group, value: c + 1 });
    return h("label.choice", {}, radio, " ", made("span", choice));
  });
  const chosen = () => Number(item.querySelector("input:checked")?.value ?? NaN);
  const hint = h(
    "button",
    {
      type: "button",
      "data-do": "hint",
      onclick: () => {
        shown.hidden = false;
        shown.append(made("p", hints[shown.children.length]));
        hint.disabled = shown.children.length === hints.length;
      },
    },
    "Hint",
  );
  item.append(
    h("div.question", {}, `${n}. `, made("span", words)),
    h(
      "div.answer",
      choices.length ? { role: "radiogroup", "aria-label": label } : {},
      choices.length ? radios : field,
      h(
        "button",
        { type: "button", "data-do": "check", onclick: () => check(choices.length ? chosen() : read(field.value)) },
        "Check",
      ),
      hint,
      said,
    ),
    shown,
  );
  if (done) {
    settle();
    if (!choices.length) field.value = String(Number(answer.toPrecision(4)));
  }
  return item;
}
