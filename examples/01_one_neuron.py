"""One neuron: weigh the inputs, add a bias, bend the sum.

    z = b + Σ_i w_i a_i        a = φ(z)

What φ does, and what its slope φ' lets through on the way back, is all that tells one kind of neuron from another.
"""

import math

import numpy as np

from mlp_jit import Network
from mlp_jit.activations import HIDDEN
from mlp_jit.plots import ActivationDisplay


def neuron(x, w, b):
    """z of one neuron."""
    z = b
    for i in range(len(x)):
        z += w[i] * x[i]
    return z


# 1. Two neurons with ReLU, φ(z) = max(z, 0): the first is off, the second is on.
print("ReLU")
for x, w, b in (((1, 2), (0.5, -1), 0.2), ((2, 1), (1, 2), -1)):
    z = neuron(x, w, b)
    terms = " ".join(f"+ {w_i:g}·{x_i:g}" for w_i, x_i in zip(w, x, strict=True))
    print(f"  z = {b:g} {terms} = {z:g}   a = {max(z, 0):g}   φ' = {1 if z > 0 else 0}")

    # The same as a Network: one layer, one unit. Its trace has z, a and δ as the compiled loops computed them.
    net = Network([2, 1, 1], activation="relu", dtype="float64")
    net.params[:] = [*w, b, 1, 0]  # w_11, w_21, b_1; then an output that hands a on
    trace = net.trace([x], [1])
    slope = trace.delta[0][0, 0] / trace.delta[1][0, 0]  # E3 with weight 1: all that happens to δ is φ'
    print(f"  engine: z = {trace.z[0][0, 0]:g}   a = {trace.a[1][0, 0]:g}   φ' = {slope + 0:g}")

# 2. A sigmoid's slope needs no e^z: φ' = a (1 − a). Where a = 0.9, nine tenths of δ are lost.
a = 1 / (1 + math.exp(-math.log(9)))
print(f"\nsigmoid at a = {a:g}: φ' = {a:g} · {1 - a:g} = {a * (1 - a):.2g}")

# 3. The largest φ' of each: what a layer can let through at the very best.
z = np.linspace(-6, 6, 12001)
print("\nlargest φ'")
for name in ("sigmoid", "tanh", "relu", "gelu"):
    phi = HIDDEN[name]
    slopes = [phi.slope(z_j, phi.phi(z_j)) for z_j in z]
    print(f"  {name:8} {max(slopes):.4f}, first at z = {z[np.argmax(slopes)]:.3f}")

# Check: φ' is the slope of φ, whatever formula it was written with.
h = 1e-6
worst = 0.0
for phi in HIDDEN.values():
    for z_j in (-4.3, -1.7, -0.4, 0.6, 2.2, 3.9):  # away from the corners of the piecewise ones
        difference = (phi.phi(z_j + h) - phi.phi(z_j - h)) / (2 * h)
        worst = max(worst, abs(difference - phi.slope(z_j, phi.phi(z_j))))
print(f"\nφ' against differences of φ, all {len(HIDDEN)} of them: {worst:.1e}")

# Picture: the gallery, each with its range and its largest slope.
ActivationDisplay.from_names().figure_.savefig("01_activations.png")
print("picture: 01_activations.png")
