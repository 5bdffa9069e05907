// The loss curve: L after each epoch, over the engine's record of the whole run where there is one.

import { h, show, svg } from "./html.js";

const [WIDTH, HEIGHT] = [340, 150];
const [LEFT, RIGHT, TOP, BOTTOM] = [40, 8, 10, 22];
const POINTS = 400;

export function curve(run) {
  const line = run.curve.filter(({ loss }) => Number.isFinite(loss));
  const recorded = run.recording ? Array.from(run.recording.losses, (loss, epoch) => ({ epoch, loss })) : [];
  const end = Math.max(10, run.time, recorded.length - 1);
  const top = [...line, ...recorded].reduce((most, { loss }) => Math.max(most, loss), 0);
  const scale = niceAbove(top);
  const x = (epoch) => LEFT + (epoch / end) * (WIDTH - LEFT - RIGHT);
  const y = (loss) => TOP + (1 - loss / scale) * (HEIGHT - TOP - BOTTOM);
  const path = (points) =>
    `M${thin(points)
      .map(({ epoch, loss }) => `${x(epoch).toFixed(1)} ${y(loss).toFixed(1)}`)
      .join("L")}`;
  const last = line.at(-1);
  return svg(
    "svg.curve",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      "aria-label": `Loss by epoch: now ${show(run.loss)} at epoch ${run.epoch}`,
    },
    [0, scale / 2, scale].map((loss) => [
      svg("line.grid", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(loss), y2: y(loss) }),
      svg("text.tick", { x: LEFT - 6, y: y(loss) + 3.5, "text-anchor": "end" }, String(loss)),
    ]),
    svg("text.tick", { x: LEFT, y: HEIGHT - 6 }, "epoch 0"),
    svg("text.tick", { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, String(Math.ceil(end))),
    recorded.length > 0 && svg("path.recorded", { d: path(recorded) }),
    svg("path.line", { d: path(line) }),
    svg("circle.now", { cx: x(last.epoch), cy: y(last.loss), r: 3.5 }),
  );
}

export const curveLegend = (run) => h("p.note", {}, run.recording ? "Pale: the engine's record of this run." : "");

// 1, 2 or 5 times a power of ten, not below x.
function niceAbove(x) {
  const power = 10 ** Math.floor(Math.log10(Math.max(x, 1e-6)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((bound) => bound >= x);
}

// No more points than the curve has pixels.
function thin(points) {
  const every = Math.ceil(points.length / POINTS);
  return points.filter((_, p) => p % every === 0 || p === points.length - 1);
}
