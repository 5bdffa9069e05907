// What the hidden layers make of the samples: each layer's a as points, each hidden unit's a_j over the plane.

import { css, h, sharpen } from "./html.js";
import { drawSamples } from "./plane.js";

// Makes the canvases for a network; the returned function draws them from a pass over all samples and a field.
export function representation(box, network) {
  const layers = Array.from({ length: network.last }, (_, l) =>
    h("canvas", { role: "img", "aria-label": describe(network, l) }),
  );
  const units = [];
  for (let l = 1; l < network.last; l++) {
    for (let j = 0; j < network.layers[l].units; j++) {
      const label = `a of layer ${l}, unit ${j + 1}, over the plane of the inputs`;
      units.push({ l, j, canvas: h("canvas", { role: "img", "aria-label": label }) });
    }
  }
  box.replaceChildren(
    h(
      "div.layers",
      {},
      layers.map((canvas, l) => h("figure", {}, canvas, h("figcaption", {}, caption(network, l)))),
    ),
    units.length > 0 &&
      h(
        "div.fields",
        {},
        units.map(({ l, j, canvas }) => h("figure", {}, canvas, h("figcaption", {}, `${l}, ${j + 1}`))),
      ),
  );
  return (pass, field, data, selected, colours) => {
    layers.forEach((canvas, l) => drawLayer(canvas, network, l, pass, data, selected, colours));
    for (const { l, j, canvas } of units) {
      const { context, width, height } = sharpen(canvas);
      context.drawImage(field.picture(l, j, colours), 0, 0, width, height);
    }
  };
}

function caption(network, l) {
  if (l === 0) return "inputs: x₁ and x₂";
  const where = `layer ${l}`;
  const { units } = network.layers[l];
  if (units < 3) return `${where}: ${units === 1 ? "a₁" : "a₁ and a₂"}`;
  return `${where}: ${units} units, seen in two directions`;
}

function describe(network, l) {
  const line = l === network.last - 1 ? ", with the line on which the output is one half" : "";
  return `The samples as ${l === 0 ? "the inputs" : `layer ${l}`} shows them${line}`;
}

function drawLayer(canvas, network, l, pass, data, selected, colours) {
  const { context, width, height } = sharpen(canvas);
  const N = data.y.length;
  const final = l === network.last - 1;
  const view = final ? network.views[network.last] : null;
  const axes = directions(pass.a[l], N, network.layers[l].units, final ? view.W : null);
  const points = axes.map((axis) => project(pass.a[l], N, axis));
  const [reachX, reachY] = points.map(spread);
  const x = (value) => ((value - reachX.middle) / reachX.half) * 0.44 * width + width / 2;
  const y = (value) => height / 2 - ((value - reachY.middle) / reachY.half) * 0.44 * height;
  if (final) drawLine(context, view, axes, x, y, width, height, [reachX, reachY], colours);
  drawSamples(context, data, selected, colours, (n) => [x(points[0][n]), y(points[1][n])], 2.6);
}

// Two directions to look in: the axes themselves for one or two units; otherwise the output's weights, or the widest
// spread, and the widest spread across that.
function directions(a, N, units, w) {
  if (units === 1) return [[1], [0]];
  if (units === 2)
    return [
      [1, 0],
      [0, 1],
    ];
  const first = w ? unitLength([...w]) : widest(a, N, units, null);
  return [first, widest(a, N, units, first)];
}

const dot = (u, v) => u.reduce((sum, value, index) => sum + value * v[index], 0);
const without = (v, along) => (along ? v.map((value, j) => value - dot(v, along) * along[j]) : v);

function unitLength(v) {
  const length = Math.sqrt(dot(v, v));
  return length > 0 ? v.map((value) => value / length) : v.map((_, j) => (j === 0 ? 1 : 0));
}

// The principal direction of a across `along`, by power iteration on its covariance, pointing to its largest entry.
function widest(a, N, units, along) {
  const mean = Array.from(
    { length: units },
    (_, j) => project(a, N, basis(units, j)).reduce((sum, v) => sum + v, 0) / N,
  );
  let axis = unitLength(
    without(
      Array.from({ length: units }, (_, j) => 1 + 0.1 * j),
      along,
    ),
  );
  for (let turn = 0; turn < 30; turn++) {
    const next = Array(units).fill(0);
    for (let n = 0; n < N; n++) {
      let along_n = 0;
      for (let j = 0; j < units; j++) along_n += (a[n * units + j] - mean[j]) * axis[j];
      for (let j = 0; j < units; j++) next[j] += along_n * (a[n * units + j] - mean[j]);
    }
    axis = unitLength(without(next, along));
  }
  const largest = axis.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return largest < 0 ? axis.map((value) => -value) : axis;
}

const basis = (units, j) => Array.from({ length: units }, (_, index) => (index === j ? 1 : 0));

function project(a, N, axis) {
  const units = axis.length;
  return Array.from({ length: N }, (_, n) => axis.reduce((sum, part, j) => sum + part * a[n * units + j], 0));
}

function spread(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return { middle: (low + high) / 2, half: Math.max((high - low) / 2, 1e-6) };
}

// Where b + Σ_i w_i a_i = 0. With more than two units the first direction is w itself, and the line stands upright.
function drawLine(context, { W, b }, axes, x, y, width, height, [reachX, reachY], colours) {
  const along = axes.map((axis) => dot([...W], axis));
  context.strokeStyle = css(colours.ink, 0.8);
  context.lineWidth = 1.5;
  context.beginPath();
  if (Math.abs(along[1]) > Math.abs(along[0]) * 1e-9) {
    for (const end of [-1.3, 1.3]) {
      const at = reachX.middle + end * reachX.half;
      context.lineTo(x(at), y(-(b[0] + along[0] * at) / along[1]));
    }
  } else {
    context.moveTo(x(-b[0] / along[0]), 0);
    context.lineTo(x(-b[0] / along[0]), height);
  }
  context.stroke();
}
