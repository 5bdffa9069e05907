"""Why deep networks hardly learn, and two ways out: δ is multiplied by φ' and by W at each layer on its way back.

    E3   δ_i = φ'(z_i) Σ_j w_ij δ_j
    E7   ŝ_j = (s_j − μ)/√(v + ε)   z_j = b_j + γ_j ŝ_j    normalisation; s_j = Σ_i w_ij a_i
    E10  h_j = a_j + h_i, i = j                            skip connection

Orthogonal weights keep the length of a sum, so that what is left in E3 is φ'. Sigmoid's is at most 1/4: ten layers
leave at most (1/4)^10 of δ. ReLU's is 0 or 1: half its units are off, and weights larger by √2 make up for those.
Weights that are too small do as sigmoid does, unless each layer normalises its sums, or δ can go past it.
"""

import numpy as np
from matplotlib import pyplot as plt

from mlp_jit import Network, fit
from mlp_jit.initializers import orthogonal
from mlp_jit.plots import GradientNormsDisplay, LossCurveDisplay

WIDTH = 16
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 2))
y = (X[:, 0] * X[:, 1] > 0).astype(int)


def deep(depth, phi, scale, **options):
    """Two inputs, so many hidden layers, two classes; orthogonal weights times `scale`."""

    def initializer(rng, n_in, n_out):
        return scale * orthogonal(rng, n_in, n_out)

    options |= {"initializer": initializer, "dtype": "float64", "random_state": 0}
    return Network([2, *[WIDTH] * depth, 2], activation=phi, output="softmax", **options)


def train(nets, ax, eta):
    """The same data, optimizer and number of steps for each. A pure guess has loss ln 2 = 0.6931."""
    for name, net in nets.items():
        history = fit(net, X, y, optimizer="sgd", learning_rate=eta, batch_size=64, epochs=300, random_state=0)
        accuracy = np.mean(net.forward(X).argmax(axis=1) == y)
        print(f"  {name:8} loss {history.loss[0]:.4f} → {history.loss[-1]:.4f}   accuracy {accuracy:.3f}")
        LossCurveDisplay.from_history(history, name=name, ax=ax)


_, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")

# 1. How much of δ arrives at each of ten layers, and what it means for learning.
nets = {"sigmoid": deep(10, "sigmoid", 1), "relu": deep(10, "relu", np.sqrt(2))}
lengths = {}
for name, net in nets.items():
    norms = GradientNormsDisplay.from_network(net, X, y, name=name, ax=axes[0, 0]).norms
    lengths[name] = norms / norms[-1]
print("\n‖δ‖ at each layer, as a part of the output's; each # is a factor of 10 above 1e-8")
print("layer  sigmoid  at most              relu")
for l in range(10, 0, -1):
    sigmoid, relu = lengths["sigmoid"][l - 1], lengths["relu"][l - 1]
    bars = ["#" * round(8 + np.log10(part)) for part in (sigmoid, relu)]
    print(f"{l:5d}  {sigmoid:.1e}  {0.25 ** (11 - l):.1e}  {bars[0]:9}  {relu:.1e}  {bars[1]}")
print("\n300 epochs of mini-batches of 64, ten hidden layers")
train(nets, axes[0, 1], eta=0.05)

# 2. Twenty layers of tanh with weights that are too small, as they are, normalised, and with skips.
remedies = {"plain": {}, "skip": {"skip": True}, **{kind: {"normalization": kind} for kind in ("batch", "layer")}}
nets = {name: deep(20, "tanh", 0.6, **remedy) for name, remedy in remedies.items()}


def normalized(s):
    """ŝ_j of E7 with μ_j and v_j over the samples n, for every unit j of s (N, units)."""
    N, normal = len(s), np.zeros(s.shape)
    for j in range(s.shape[1]):
        mu = v = 0.0
        for n in range(N):
            mu += s[n, j] / N
        for n in range(N):
            v += (s[n, j] - mu) ** 2 / N
        for n in range(N):
            normal[n, j] = (s[n, j] - mu) / np.sqrt(v + 1e-5)
    return normal


batch, layer, skip = (nets[name].trace(X, y) for name in ("batch", "layer", "skip"))
h = skip.a[1].copy()  # what layer 2 reads; each a is added to it, so that ∂ℓ/∂h comes back whole
for a in skip.a[2:-1]:
    for n in range(len(X)):
        for j in range(WIDTH):
            h[n, j] += a[n, j]
print("\nby loops against engine, at the last hidden layer")
print(f"  batch normalisation: {np.abs(normalized(batch.s[-2]) - batch.normal[-2]).max():.1e}")
print(f"  layer normalisation: {np.abs(normalized(layer.s[-2].T).T - layer.normal[-2]).max():.1e}")
print(f"  skip connections:    {np.abs(h - skip.h[-2]).max():.1e}")
print("\n300 epochs of mini-batches of 64, twenty hidden layers")
for name, net in nets.items():
    GradientNormsDisplay.from_network(net, X, y, name=name, ax=axes[1, 0])
train(nets, axes[1, 1], eta=0.01)  # with 0.05 layer normalisation learns or not by the last bits
for ax, title in zip(axes[:, 0], ("ten layers", "twenty layers of tanh, weights too small"), strict=True):
    ax.set_title(title)
plt.savefig("10_gradient_norms.png")
print("picture: 10_gradient_norms.png")
