"""E2 to E6 by index: the gradient of a 2-3-2-1 network on the four rows of XOR, and a check that it is one.

    E2  δ_k = ∂ℓ/∂z_k = ŷ_k − y_k           sigmoid output with binary cross-entropy
    E3  δ_i = φ'(z_i) Σ_j w_ij δ_j          tanh: φ' = 1 − a²
    E4  ∂L/∂w_ij = (1/N) Σ_n a_i δ_j
    E5  ∂L/∂b_j  = (1/N) Σ_n δ_j
    E6  θ ← θ − η ∂L/∂θ

The same loops, compiled: `hidden_delta`, `weight_gradient` and `bias_gradient` in mlp_jit/engines/loops/equations.py.
"""

import math

import numpy as np

from mlp_jit import Network, fit
from mlp_jit.plots import GradientNormsDisplay
from mlp_jit.study import check_gradients

X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
y = [0.0, 1.0, 1.0, 0.0]
sizes = [2, 3, 2, 1]
N, L = len(X), len(sizes) - 1

net = Network(sizes, activation="tanh", output="sigmoid", dtype="float64", random_state=0)
W = [None] + [W_l.tolist() for W_l in net.weights]  # the place 0 stays empty, so that W[l] is W^l
b = [None] + [b_l.tolist() for b_l in net.biases]
dW = [None] + [np.zeros_like(W_l) for W_l in net.weights]
db = [None] + [np.zeros_like(b_l) for b_l in net.biases]


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


for n in range(N):
    z, a, delta = ([np.zeros(size) for size in sizes] for _ in range(3))
    a[0][:] = X[n]

    for l in range(1, L + 1):  # E1
        for j in range(sizes[l]):
            z[l][j] = b[l][j]
            for i in range(sizes[l - 1]):
                z[l][j] += W[l][i][j] * a[l - 1][i]
            a[l][j] = sigmoid(z[l][j]) if l == L else math.tanh(z[l][j])

    for k in range(sizes[L]):  # E2
        delta[L][k] = a[L][k] - y[n]

    for l in range(L - 1, 0, -1):  # E3: the units i of layer l hear from the units j of layer l + 1
        for i in range(sizes[l]):
            for j in range(sizes[l + 1]):
                delta[l][i] += W[l + 1][i][j] * delta[l + 1][j]
            delta[l][i] *= 1 - a[l][i] ** 2

    for l in range(1, L + 1):
        for j in range(sizes[l]):
            for i in range(sizes[l - 1]):
                dW[l][i, j] += a[l - 1][i] * delta[l][j] / N  # E4
            db[l][j] += delta[l][j] / N  # E5

by_loops = np.concatenate([part.ravel() for l in range(1, L + 1) for part in (dW[l], db[l])])

# Check 1: the engines.
loss, by_engine = net.gradient(X, y, engine="loops")
_, by_matrices = net.gradient(X, y, engine="vectorized")

# Check 2: no calculus at all. Move one parameter a little both ways and see what the loss does.
check = check_gradients(net, X, y, engine="loops")
by_difference = check.numeric

print(f"∂L/∂θ of the {net.n_params} parameters\n\n  p      by loops   by the engine   by difference")
for p in range(net.n_params):
    print(f"{p:3d} {by_loops[p]:13.9f} {by_engine[p]:15.9f} {by_difference[p]:15.9f}")
print(f"\nloops against engine:      {np.abs(by_loops - by_engine).max():.1e}")
print(f"loops against matrices:    {np.abs(by_loops - by_matrices).max():.1e}")
print(f"loops against differences: {np.abs(by_loops - by_difference).max():.1e}\n")
print("\n".join(str(check).splitlines()[:8]))  # the entries that agree the least come first

# E6, by hand and by fit: one epoch of one batch is one step.
eta = 0.5
by_hand = net.params - eta * by_loops
fit(net, X, y, optimizer="sgd", learning_rate=eta, batch_size=N, epochs=1, shuffle=False)
print(f"\none step with η = {eta}: L falls from {loss:.6f} to {net.loss(X, y):.6f}")
print(f"θ by hand against fit:     {np.abs(by_hand - net.params).max():.1e}")

# Picture: how long δ is at each layer.
GradientNormsDisplay.from_network(net, X, y).figure_.savefig("03_gradient_norms.png")
print("picture: 03_gradient_norms.png")
