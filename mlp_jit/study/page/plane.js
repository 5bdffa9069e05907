// The plane of the inputs: what the network answers at each point, where it changes its mind, and the samples.

import { Pass } from "./loops.js";
import { css, shade, sharpen } from "./html.js";

const G = 64; // points of the grid along each side

// Every a^l on a grid over the square ±reach, from E1.
export class Field {
  constructor(network, reach) {
    this.reach = reach;
    this.pass = new Pass(network, G * G);
    this.coordinates = Float64Array.from({ length: G }, (_, g) => reach * ((2 * g) / (G - 1) - 1));
    for (let row = 0; row < G; row++) {
      for (let column = 0; column < G; column++) {
        this.pass.a[0][2 * (row * G + column)] = this.coordinates[column];
        this.pass.a[0][2 * (row * G + column) + 1] = -this.coordinates[row];
      }
    }
  }

  update() {
    this.pass.forward(G * G);
  }

  // a_j of layer l as a picture of G × G points, scaled by the largest |a_j|; the output around ½.
  picture(l, j, colours) {
    const { layers, last } = this.pass.network;
    const { units } = layers[l];
    const values = this.pass.a[l];
    const value = (p) => (l === last ? 2 * values[p] - 1 : values[p * units + j]);
    let largest = l === last ? 1 : 1e-9;
    if (l < last) for (let p = 0; p < G * G; p++) largest = Math.max(largest, Math.abs(value(p)));
    const image = new ImageData(G, G);
    for (let p = 0; p < G * G; p++) {
      image.data.set([...shade(colours, (0.62 * value(p)) / largest), 255], 4 * p);
    }
    const picture = new OffscreenCanvas(G, G);
    picture.getContext("2d").putImageData(image, 0, 0);
    return picture;
  }

  // Short lines, in units of the grid, along which ŷ = ½: marching squares.
  boundary() {
    const z = this.pass.z[this.pass.network.last];
    const lines = [];
    const crossing = (p, q) => z[p] / (z[p] - z[q]);
    for (let row = 0; row < G - 1; row++) {
      for (let column = 0; column < G - 1; column++) {
        const p = row * G + column;
        const points = [];
        if (z[p] < 0 !== z[p + 1] < 0) points.push([column + crossing(p, p + 1), row]);
        if (z[p + 1] < 0 !== z[p + 1 + G] < 0) points.push([column + 1, row + crossing(p + 1, p + 1 + G)]);
        if (z[p + G] < 0 !== z[p + G + 1] < 0) points.push([column + crossing(p + G, p + G + 1), row + 1]);
        if (z[p] < 0 !== z[p + G] < 0) points.push([column, row + crossing(p, p + G)]);
        for (let k = 0; k + 1 < points.length; k += 2) lines.push([points[k], points[k + 1]]);
      }
    }
    return lines;
  }
}

export function reachOf(data) {
  return 1.08 * data.X.reduce((reach, x) => Math.max(reach, Math.abs(x)), 0);
}

export function drawPlane(canvas, field, data, selected, colours) {
  const { context, width, height } = sharpen(canvas);
  const { last } = field.pass.network;
  context.imageSmoothingQuality = "high";
  context.drawImage(field.picture(last, 0, colours), 0, 0, width, height);
  context.strokeStyle = css(colours.ink, 0.8);
  context.lineWidth = 1.5;
  context.beginPath();
  for (const [[x, y], [u, v]] of field.boundary()) {
    context.moveTo((x / (G - 1)) * width, (y / (G - 1)) * height);
    context.lineTo((u / (G - 1)) * width, (v / (G - 1)) * height);
  }
  context.stroke();
  const place = (x, size) => ((x / field.reach + 1) / 2) * size;
  drawSamples(context, data, selected, colours, (n) => [
    place(data.X[2 * n], width),
    place(-data.X[2 * n + 1], height),
  ]);
}

// Class 1 as discs in the positive colour, class 0 as diamonds in the negative one; the selected sample ringed.
export function drawSamples(context, data, selected, colours, placeOf, size = 3.4) {
  context.lineWidth = 1;
  data.y.forEach((y_n, n) => {
    const [x, y] = placeOf(n);
    mark(context, y_n, x, y, size);
    context.fillStyle = css(y_n === 1 ? colours.positive : colours.negative);
    context.fill();
    context.strokeStyle = css(colours.panel);
    context.stroke();
  });
  const [x, y] = placeOf(selected);
  context.beginPath();
  context.arc(x, y, size + 4.5, 0, 2 * Math.PI);
  context.strokeStyle = css(colours.ink);
  context.lineWidth = 2;
  context.stroke();
}

function mark(context, y_n, x, y, size) {
  context.beginPath();
  if (y_n === 1) {
    context.arc(x, y, size, 0, 2 * Math.PI);
  } else {
    const half = 1.3 * size;
    context.moveTo(x - half, y);
    context.lineTo(x, y - half);
    context.lineTo(x + half, y);
    context.lineTo(x, y + half);
    context.closePath();
  }
}

// The sample nearest to a pointer over the plane.
export function sampleAt(canvas, event, data, reach) {
  const box = canvas.getBoundingClientRect();
  const x = reach * ((2 * (event.clientX - box.left)) / box.width - 1);
  const y = -reach * ((2 * (event.clientY - box.top)) / box.height - 1);
  let nearest = 0;
  let least = Infinity;
  data.y.forEach((_, n) => {
    const distance = (data.X[2 * n] - x) ** 2 + (data.X[2 * n + 1] - y) ** 2;
    if (distance < least) [nearest, least] = [n, distance];
  });
  return nearest;
}
