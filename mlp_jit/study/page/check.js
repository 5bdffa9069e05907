// Is this page's port of the loops the engine? The same runs, from the same seeds, against the engine's records.

import { ACTIVATIONS } from "./activations.js";
import { h, row, show, table } from "./html.js";
import { Run, decode, largestDifference } from "./run.js";
import { trainStep } from "./step.js";

const STEPS = 50;
const AGREEMENT = 1e-9;

// For each recorded run: how far θ and L come apart in at least 50 steps on its own.
function checkRuns(record) {
  return record.runs.map((recording) => {
    const run = new Run(record, recording.setting, { follow: false });
    const P = run.network.theta.length;
    const params = decode(recording.params);
    const losses = decode(recording.losses);
    const perEpoch = Math.ceil(run.N / recording.setting.batch_size);
    let theta = largestDifference(run.network.theta, params.subarray(0, P));
    let loss = Math.abs(run.loss - losses[0]);
    while (run.epoch * perEpoch < STEPS) {
      run.finishEpoch();
      theta = Math.max(
        theta,
        largestDifference(run.network.theta, params.subarray(run.epoch * P, (run.epoch + 1) * P)),
      );
      loss = Math.max(loss, Math.abs(run.loss - losses[run.epoch]));
    }
    return {
      title: recording.title,
      steps: run.epoch * perEpoch,
      theta,
      loss,
      agrees: theta <= AGREEMENT && loss <= AGREEMENT,
    };
  });
}

// How far the port's φ and φ' are from the engine's, over the gallery's grids.
function checkActivations(record) {
  let largest = 0;
  for (const { name, limit, phi, slope } of record.activations) {
    const mine = ACTIVATIONS[name];
    phi.forEach((a, p) => {
      const z = -limit + (2 * limit * p) / (phi.length - 1);
      largest = Math.max(largest, Math.abs(mine.phi(z) - a), Math.abs(mine.slope(z, mine.phi(z)) - slope[p]));
    });
  }
  return largest;
}

// How far each result of the walk is from the engine's; infinite where another line runs.
function checkWalk({ walk }) {
  const { steps } = trainStep(walk, walk.theta);
  if (steps.length !== walk.lines.length || steps.some(({ line }, p) => line !== walk.lines[p])) return Infinity;
  return largestDifference(
    steps.map(({ result }) => result),
    walk.results,
  );
}

export function verdict(record) {
  const runs = checkRuns(record);
  const phi = checkActivations(record);
  const walked = checkWalk(record);
  const agrees = runs.every((run) => run.agrees) && phi <= AGREEMENT && walked <= AGREEMENT;
  const worst = Math.max(...runs.map((run) => Math.max(run.theta, run.loss)));
  const words = agrees
    ? ["In this browser, just now, the port agreed with the engine; the largest difference is ", show(worst), "."]
    : ["In this browser the port does not agree with the engine. Do not trust the numbers of runs not recorded."];
  const rows = runs.map(({ title, steps, theta, loss }) => row([title, String(steps), show(theta), show(loss)]));
  const attributes = { role: agrees ? null : "alert", "data-agrees": String(agrees) };
  return [
    h(agrees ? "p.verdict" : "p.verdict.wrong", attributes, words),
    h(
      "div.scroll",
      { tabindex: 0, role: "region", "aria-label": "The check, run by run" },
      table(["run", "steps", "largest |Δθ|", "largest |ΔL|"], rows),
    ),
    h("p.note", {}, `φ and φ' of all ${record.activations.length} activations: within ${show(phi)}.`),
    h(
      "p.note",
      { "data-walked": walked },
      `The ${record.walk.results.length} statements of the walk: within ${show(walked)}.`,
    ),
  ];
}
