"""Why ten sigmoid layers hardly learn: δ is multiplied by φ' at each layer on its way back.

    E3  δ_i = φ'(z_i) Σ_j w_ij δ_j

The weights here are orthogonal, so that the sum alone keeps the length of δ. What is left is φ'. Sigmoid's is at most
1/4, so ten layers leave at most (1/4)^10 of δ. ReLU's is 0 or 1: half its units are off, and weights larger by √2 make
up for those.
"""

import numpy as np

from mlp_jit import Network, fit
from mlp_jit.initializers import orthogonal
from mlp_jit.plots import GradientNormsDisplay

DEPTH, WIDTH = 10, 16


# 1. How much of δ arrives at each layer.
def orthogonal_larger(rng, n_in, n_out):
    """Orthogonal weights times √2: for ReLU."""
    return np.sqrt(2) * orthogonal(rng, n_in, n_out)


def deep(phi, initializer):
    """Two inputs, ten hidden layers, two classes."""
    sizes = [2, *[WIDTH] * DEPTH, 2]
    return Network(sizes, activation=phi, output="softmax", initializer=initializer, dtype="float64", random_state=0)


rng = np.random.default_rng(0)
X = rng.normal(size=(400, 2))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
nets = {"sigmoid": deep("sigmoid", "orthogonal"), "relu": deep("relu", orthogonal_larger)}

lengths = {}
for name, net in nets.items():
    delta = net.trace(X, y).delta
    lengths[name] = [np.linalg.norm(delta_l) / np.linalg.norm(delta[-1]) for delta_l in delta]

print("\n‖δ‖ at each layer, as a part of the output's; each # is a factor of 10 above 1e-8")
print("layer  sigmoid  at most              relu")
for l in range(DEPTH, 0, -1):
    sigmoid, relu = lengths["sigmoid"][l - 1], lengths["relu"][l - 1]
    bars = ["#" * round(8 + np.log10(part)) for part in (sigmoid, relu)]
    print(f"{l:5d}  {sigmoid:.1e}  {0.25 ** (DEPTH + 1 - l):.1e}  {bars[0]:9}  {relu:.1e}  {bars[1]}")

ax = None
for name, net in nets.items():
    ax = GradientNormsDisplay.from_network(net, X, y, name=name, ax=ax).ax_
ax.figure.savefig("10_gradient_norms.png")

# 2. What it means for learning: the same data, optimizer and number of steps. A pure guess has loss ln 2 = 0.6931.
print("\n300 epochs of mini-batches of 64")
for name, net in nets.items():
    history = fit(net, X, y, optimizer="sgd", learning_rate=0.05, batch_size=64, epochs=300, random_state=0)
    accuracy = np.mean(net.forward(X).argmax(axis=1) == y)
    print(f"  {name:8} loss {history.loss[0]:.4f} → {history.loss[-1]:.4f}   accuracy {accuracy:.3f}")
print("picture: 10_gradient_norms.png")
