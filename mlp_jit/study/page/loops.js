// E1 to E6 as mlp_jit's textbook engine has them (engines/loops): the same loops, the same order of every sum.
// Arrays are flat: a[n * inputs + i] is a_i of sample n, W[i * units + j] is w_ij.

import { ACTIVATIONS, softplus } from "./activations.js";

// E1: z_j = b_j + Σ_i w_ij a_i and a_j = φ(z_j), for every sample n
export function forwardLayer(N, inputs, units, W, b, phi, a, z, aOut) {
  for (let n = 0; n < N; n++) {
    for (let j = 0; j < units; j++) z[n * units + j] = b[j];
    for (let i = 0; i < inputs; i++) {
      for (let j = 0; j < units; j++) z[n * units + j] += W[i * units + j] * a[n * inputs + i];
    }
    for (let j = 0; j < units; j++) aOut[n * units + j] = phi(z[n * units + j]);
  }
}

// E2: δ = ∂ℓ/∂z = ŷ − y for one sigmoid output and ℓ = log(1 + eᶻ) − y z; returns Σ_n ℓ
export function outputDelta(N, z, a, y, delta) {
  let total = 0;
  for (let n = 0; n < N; n++) {
    delta[n] = a[n] - y[n];
    total += softplus(z[n]) - y[n] * z[n];
  }
  return total;
}

// E3: δ_i = φ'(z_i) Σ_j w_ij δ_j, for every sample n
export function hiddenDelta(N, inputs, units, W, slope, z, a, deltaOut, delta) {
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < inputs; i++) {
      let sum = 0;
      for (let j = 0; j < units; j++) sum += W[i * units + j] * deltaOut[n * units + j];
      delta[n * inputs + i] = slope(z[n * inputs + i], a[n * inputs + i]) * sum;
    }
  }
}

// E4: ∂L/∂w_ij += (1/N) Σ_n a_i δ_j
export function weightGradient(N, inputs, units, a, delta, gradient) {
  for (let i = 0; i < inputs; i++) {
    for (let n = 0; n < N; n++) {
      for (let j = 0; j < units; j++) gradient[i * units + j] += (a[n * inputs + i] / N) * delta[n * units + j];
    }
  }
}

// E5: ∂L/∂b_j += (1/N) Σ_n δ_j
export function biasGradient(N, units, delta, gradient) {
  for (let n = 0; n < N; n++) {
    for (let j = 0; j < units; j++) gradient[j] += delta[n * units + j] / N;
  }
}

// E6: θ ← θ − η ∂L/∂θ
export function update(theta, gradient, eta) {
  for (let p = 0; p < theta.length; p++) theta[p] -= eta * gradient[p];
}

// Layer sizes, one flat θ laid out W¹, b¹, W², b², …, and views of it. layers[0] are the inputs.
export class Network {
  constructor(sizes, activation) {
    this.sizes = sizes;
    this.last = sizes.length - 1;
    const sizeOf = (l) => (sizes[l - 1] + 1) * sizes[l];
    this.theta = new Float64Array(sizes.slice(1).reduce((sum, _, index) => sum + sizeOf(index + 1), 0));
    this.layers = [{ units: sizes[0] }];
    for (let l = 1, offset = 0; l <= this.last; offset += sizeOf(l), l++) {
      const name = l < this.last ? activation : "sigmoid";
      this.layers.push({ inputs: sizes[l - 1], units: sizes[l], offset, name, ...ACTIVATIONS[name] });
    }
    this.views = this.viewsOf(this.theta);
  }

  // W and b of every layer in a vector laid out like θ.
  viewsOf(vector) {
    return this.layers.map(({ inputs, units, offset }, l) => {
      if (l === 0) return null;
      const biases = offset + inputs * units;
      return { W: vector.subarray(offset, biases), b: vector.subarray(biases, biases + units) };
    });
  }
}

// z, a and δ of every layer for up to `rows` samples; the inputs are a[0].
export class Pass {
  constructor(network, rows) {
    const scratch = () => network.sizes.map((units) => new Float64Array(rows * units));
    this.network = network;
    this.z = scratch();
    this.a = scratch();
    this.delta = scratch();
    this.y = new Float64Array(rows);
  }

  // Makes order[0], order[1], … the samples of this pass; returns how many they are.
  gather(X, y, order) {
    order.forEach((sample, n) => {
      this.a[0][2 * n] = X[2 * sample];
      this.a[0][2 * n + 1] = X[2 * sample + 1];
      this.y[n] = y[sample];
    });
    return order.length;
  }

  forward(N) {
    const { layers, views, last } = this.network;
    for (let l = 1; l <= last; l++) {
      const { inputs, units, phi } = layers[l];
      forwardLayer(N, inputs, units, views[l].W, views[l].b, phi, this.a[l - 1], this.z[l], this.a[l]);
    }
    return this.a[last];
  }

  // E2 and E3, E4 and E5 after `forward`: writes the gradient of L = (1/N) Σ_n ℓ + λ/2 ‖w‖², and returns L.
  backward(N, l2, gradient) {
    const { layers, views, last } = this.network;
    const gradients = this.network.viewsOf(gradient);
    const penalty = startGradient(this.network, l2, gradients);
    const total = outputDelta(N, this.z[last], this.a[last], this.y, this.delta[last]);
    for (let l = last; l > 0; l--) {
      const { inputs, units } = layers[l];
      weightGradient(N, inputs, units, this.a[l - 1], this.delta[l], gradients[l].W);
      biasGradient(N, units, this.delta[l], gradients[l].b);
      if (l > 1) {
        const { slope } = layers[l - 1];
        hiddenDelta(
          N,
          inputs,
          units,
          views[l].W,
          slope,
          this.z[l - 1],
          this.a[l - 1],
          this.delta[l],
          this.delta[l - 1],
        );
      }
    }
    return total / N + penalty;
  }
}

// E4: the part of ∂L/∂w_ij that needs no sample, λ w_ij; zero for b. Returns λ/2 ‖w‖².
function startGradient(network, l2, gradients) {
  let squares = 0;
  for (let l = 1; l <= network.last; l++) {
    const { W } = network.views[l];
    for (let p = 0; p < W.length; p++) {
      gradients[l].W[p] = l2 * W[p];
      squares += W[p] * W[p];
    }
    gradients[l].b.fill(0);
  }
  return 0.5 * l2 * squares;
}
