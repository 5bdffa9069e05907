// φ and φ' of mlp_jit.activations, in pairs: phi(z), and slope(z, a) with a = φ(z).

const LEAK = 0.01;
const SELU_SCALE = 1.0507009873554805;
const SELU_ALPHA = 1.6732632423543772;
const INVERSE_SQRT_TAU = 0.3989422804014327; // 1/√(2π)

const sigmoid = (z) => 1 / (1 + Math.exp(-z));
const normalDensity = (z) => INVERSE_SQRT_TAU * Math.exp(-0.5 * z * z);

// log(1 + eᶻ), without overflow
export const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));

// Φ(z) = ½ + N(z) (z + z³/3 + z⁵/15 + …): every term has the sign of z, so nothing cancels.
function normalBelow(z) {
  if (Math.abs(z) > 9) return z > 0 ? 1 : 0;
  let term = z;
  let sum = z;
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
    term *= (z * z) / k;
    sum += term;
  }
  return 0.5 + sum * normalDensity(z);
}

const pair = (phi, slope) => ({ phi, slope });

export const ACTIVATIONS = {
  identity: pair(
    (z) => z,
    () => 1,
  ),
  step: pair(
    (z) => (z >= 0 ? 1 : 0),
    () => 0,
  ),
  sigmoid: pair(sigmoid, (z, a) => a * (1 - a)),
  tanh: pair(Math.tanh, (z, a) => 1 - a * a),
  relu: pair(
    (z) => Math.max(z, 0),
    (z) => (z > 0 ? 1 : 0),
  ),
  leaky_relu: pair(
    (z) => (z > 0 ? z : LEAK * z),
    (z) => (z > 0 ? 1 : LEAK),
  ),
  elu: pair(
    (z) => (z > 0 ? z : Math.expm1(z)),
    (z, a) => Math.min(a, 0) + 1,
  ),
  selu: pair(
    (z) => SELU_SCALE * (z > 0 ? z : SELU_ALPHA * Math.expm1(z)),
    (z, a) => (z > 0 ? SELU_SCALE : a + SELU_SCALE * SELU_ALPHA),
  ),
  softplus: pair(softplus, sigmoid),
  silu: pair(
    (z) => z * sigmoid(z),
    (z) => sigmoid(z) + z * sigmoid(z) * (1 - sigmoid(z)),
  ),
  gelu: pair(
    (z) => z * normalBelow(z),
    (z) => normalBelow(z) + z * normalDensity(z),
  ),
  hard_sigmoid: pair(
    (z) => clamp(z / 6 + 0.5, 0, 1),
    (z) => (Math.abs(z) < 3 ? 1 / 6 : 0),
  ),
  hard_tanh: pair(
    (z) => clamp(z, -1, 1),
    (z) => (Math.abs(z) < 1 ? 1 : 0),
  ),
  hard_silu: pair(
    (z) => z * clamp(z / 6 + 0.5, 0, 1),
    (z) => (Math.abs(z) >= 3 ? clamp(z, 0, 1) : z / 3 + 0.5),
  ),
};

function clamp(z, low, high) {
  return Math.min(Math.max(z, low), high);
}
