// A network being trained: steps, epochs, the way back, and the engine's record of the same run where there is one.

import { Generator } from "./random.js";
import { Network, Pass, update } from "./loops.js";

const STEPS_BACK = 4000;

// Where each initialiser of mlp_jit.initializers draws: uniform on ±bound.
const BOUNDS = {
  glorot_uniform: (inputs, units) => Math.sqrt(6 / (inputs + units)),
  he_uniform: (inputs) => Math.sqrt(6 / inputs),
};

export const canStart = (activation) => activation.initializer in BOUNDS;

// Float64Array from base64, as the record holds it.
export function decode(text) {
  return new Float64Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

export function largestDifference(x, y) {
  let largest = 0;
  for (let p = 0; p < x.length; p++) largest = Math.max(largest, Math.abs(x[p] - y[p]));
  return largest;
}

const same = (one, other) => Object.keys(other).every((key) => one[key] === other[key]);

export class Run {
  // setting: dataset, layers, width, activation, learning_rate, batch_size, l2, seed, as record.Setting names them.
  constructor(record, setting, { follow = true } = {}) {
    this.setting = { ...setting };
    this.data = record.datasets[setting.dataset];
    this.N = this.data.y.length;
    this.network = new Network([2, ...Array(setting.layers).fill(setting.width), 1], setting.activation);
    this.gradient = new Float64Array(this.network.theta.length);
    this.pass = new Pass(this.network, this.N);
    this.everyone = Int32Array.from({ length: this.N }, (_, n) => n);
    this.initialize(record);
    this.shuffler = new Generator(record.generators[setting.seed]);
    this.epoch = 0;
    this.at = 0; // how many samples of this epoch have been used
    this.order = this.everyone;
    this.shuffle();
    this.past = [];
    this.altered = false;
    this.follow(follow ? record.runs.find((run) => same(run.setting, setting)) : undefined);
    this.curve = [];
    this.measure();
  }

  initialize(record) {
    const rng = new Generator(record.generators[this.setting.seed]);
    for (let l = 1; l <= this.network.last; l++) {
      const { inputs, units, name } = this.network.layers[l];
      const { initializer } = record.activations.find((activation) => activation.name === name);
      const bound = BOUNDS[initializer](inputs, units);
      const { W } = this.network.views[l];
      for (let p = 0; p < W.length; p++) W[p] = rng.uniform(bound);
    }
  }

  follow(recording) {
    this.recording = recording && { ...recording, params: decode(recording.params), losses: decode(recording.losses) };
    this.difference = null;
    if (this.recording) this.takeRecorded();
  }

  // How far this θ is from the engine's after the same epoch; then the engine's it is.
  takeRecorded() {
    const P = this.network.theta.length;
    const theirs = this.recording.params.subarray(this.epoch * P, (this.epoch + 1) * P);
    this.difference = theirs.length ? largestDifference(this.network.theta, theirs) : null;
    if (theirs.length) this.network.theta.set(theirs);
  }

  // As `fit` does it: each epoch shuffles the order of the last.
  shuffle() {
    const last = this.order;
    this.order = this.shuffler.permutation(this.N).map((place) => last[place]);
  }

  // What may change in mid-run; from then on there is no record of it.
  alter(changes) {
    Object.assign(this.setting, changes);
    this.recording = undefined;
    this.difference = null;
    this.altered = true;
  }

  // In epochs.
  get time() {
    return this.epoch + this.at / this.N;
  }

  // The samples of the next step.
  get batch() {
    return this.order.subarray(this.at, Math.min(this.at + this.setting.batch_size, this.N));
  }

  // E1 to E5 for the next step's samples: ∂L/∂θ in this.gradient.
  look() {
    const N = this.pass.gather(this.data.X, this.data.y, this.batch);
    this.pass.forward(N);
    this.pass.backward(N, this.setting.l2, this.gradient);
  }

  // One mini-batch.
  step() {
    this.advance();
    this.measure();
  }

  // To the end of this epoch.
  finishEpoch() {
    do this.advance();
    while (this.at > 0);
    this.measure();
  }

  // E1 to E6 once.
  advance() {
    this.remember();
    this.look();
    const used = this.batch.length;
    update(this.network.theta, this.gradient, this.setting.learning_rate);
    this.at += used;
    if (this.at === this.N) {
      this.at = 0;
      this.epoch += 1;
      this.shuffle();
      if (this.recording) this.takeRecorded();
    }
  }

  remember() {
    const { epoch, at, order, shuffler, difference, setting, recording, altered } = this;
    this.past.push({
      epoch,
      at,
      order,
      difference,
      recording,
      altered,
      setting: { ...setting },
      theta: this.network.theta.slice(),
      shuffler: [shuffler.state, shuffler.half],
    });
    if (this.past.length > STEPS_BACK) this.past.shift();
  }

  // Undoes one step.
  back() {
    const { theta, shuffler, ...rest } = this.past.pop();
    this.network.theta.set(theta);
    [this.shuffler.state, this.shuffler.half] = shuffler;
    Object.assign(this, rest);
    while (this.curve.length && this.curve.at(-1).epoch >= this.time) this.curve.pop();
    this.measure();
  }

  // L over all samples, with L2, and the accuracy; a point of the loss curve.
  measure() {
    const { X, y } = this.data;
    const N = this.pass.gather(X, y, this.everyone);
    const output = this.pass.forward(N);
    this.loss = this.pass.backward(N, this.setting.l2, this.gradient);
    this.accuracy = y.reduce((right, y_n, n) => right + (output[n] >= 0.5 === (y_n === 1)), 0) / N;
    this.curve.push({ epoch: this.time, loss: this.loss });
  }
}
