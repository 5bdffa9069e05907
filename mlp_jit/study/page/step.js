// One step of training in the engine's order (engines/loops/passes.py): E1 for each layer, E2, back with E5, E4 and E3,
// then E6.

import { ACTIVATIONS, softplus } from "./activations.js";
import { Machine, View } from "./machine.js";

// The functions of numbers that the kernels of a walk call.
const FUNCTIONS = {
  sigmoid: ACTIVATIONS.sigmoid.phi,
  tanh: ACTIVATIONS.tanh.phi,
  hyperbolic_tangent_slope: ACTIVATIONS.tanh.slope,
  binary_cross_entropy: (z, a, y) => softplus(z) - y * z,
  error: (z, a, y) => a - y,
  type: () => Number,
};

const flat = (numbers, place) => ({ numbers: Float64Array.from(numbers), place });
const nowhere = (numbers) => flat(numbers, () => null);
const zeros = (count) => new Float64Array(count);

// Where each parameter stands: "w:l:i:j" or "b:l:j", with "∂" before it for its derivative.
function parameterPlaces(sizes, mark = "") {
  const places = [];
  for (let l = 1; l < sizes.length; l++) {
    for (let i = 0; i < sizes[l - 1]; i++) {
      for (let j = 0; j < sizes[l]; j++) places.push(`${mark}w:${l}:${i}:${j}`);
    }
    for (let j = 0; j < sizes[l]; j++) places.push(`${mark}b:${l}:${j}`);
  }
  return places;
}

// The steps, and θ after them. walk: { sizes, X, y, eta, phi, loss, programs }; θ is not changed.
export function trainStep(walk, theta) {
  const { sizes, X, y, phi } = walk;
  const [last, N] = [sizes.length - 1, y.length];
  const placed = (numbers, places) => flat(numbers, (p) => places[p]);
  const params = placed(theta, parameterPlaces(sizes));
  const gradient = placed(zeros(theta.length), parameterPlaces(sizes, "∂"));
  const starts = [0, 0];
  for (let l = 1; l < last; l++) starts.push(starts[l] + (sizes[l - 1] + 1) * sizes[l]);
  const W = (of, l) => new View(of, [sizes[l - 1], sizes[l]], [sizes[l], 1], starts[l]);
  const b = (of, l) => new View(of, [sizes[l]], [1], starts[l] + sizes[l - 1] * sizes[l]);
  const units = (letter) =>
    sizes.map((count, l) =>
      View.of(
        flat(zeros(N * count), (p) => `${letter}:${l}:${Math.floor(p / count)}:${p % count}`),
        N,
        count,
      ),
    );
  const [z, a, delta] = ["z", "a", "δ"].map(units);
  a[0].flat.numbers.set(X);
  const outputs = sizes[last];
  const target = View.of(
    flat(y, (p) => `y:${Math.floor(p / outputs)}:${p % outputs}`),
    N,
    outputs,
  );
  const samples = View.of(
    flat([...Array(N).fill(1), ...zeros(3 * N)], (p) => (p < 2 * N ? `${p < N ? "weight" : "ℓ"}:${p % N}` : null)),
    4,
    N,
  );
  const machine = new Machine(walk.programs, FUNCTIONS);

  function* run() {
    for (let l = 1; l <= last; l++) {
      yield* machine.equation("forward_layer", [W(params, l), b(params, l), phi[l], a[l - 1], z[l], a[l]], l);
    }
    const parameters = View.of(nowhere(zeros(outputs)), outputs);
    yield* machine.equation("output_deltas", [
      walk.loss,
      phi[last],
      parameters,
      z[last],
      a[last],
      target,
      samples,
      delta[last],
    ]);
    for (let l = last; l > 0; l--) {
      yield* machine.equation("bias_gradient", [delta[l], N, b(gradient, l)], l);
      yield* machine.equation("weight_gradient", [a[l - 1], delta[l], N, W(gradient, l)], l);
      if (l > 1) {
        const WT = W(params, l).T;
        yield* machine.equation("hidden_delta", [WT, phi[l - 1], z[l - 1], a[l - 1], delta[l], delta[l - 1]], l);
      }
    }
    const c = View.of(nowhere([0, walk.eta, ...zeros(8)]), 10);
    const all = (of) => View.of(of, theta.length);
    yield* machine.equation("sgd", [all(params), all(gradient), null, null, c]);
  }
  return { steps: [...run()], theta: params.numbers };
}
