"""No hidden layer: linear, logistic and softmax regression are networks of one layer, and one formula trains all three.

    linear      ŷ = z                     ℓ = (ŷ − y)²/2                    δ = ŷ − y
    logistic    ŷ = 1/(1 + e^(−z))        ℓ = −y ln ŷ − (1 − y) ln(1 − ŷ)   δ = ŷ − y
    softmax     ŷ_k = e^(z_k)/Σ_m e^(z_m) ℓ = −Σ_k y_k ln ŷ_k               δ_k = ŷ_k − y_k

(The fourth of the kind, the perceptron, comes with XOR, which it cannot learn.)
"""

import numpy as np

from mlp_jit import Network, fit
from mlp_jit.plots import DecisionBoundaryDisplay

rng = np.random.default_rng(0)


def train(net, X, y, eta, steps, weight=None):
    """Full batches, plain gradient descent."""
    whole = {"optimizer": "sgd", "batch_size": len(X), "shuffle": False}
    fit(net, X, y, learning_rate=eta, epochs=steps, sample_weight=weight, **whole)


def train_by_loops(X, y, eta, steps):
    """Logistic regression as loops: E1, E2, E4, E5 and E6 for one unit."""
    w, b, N = [0.0] * len(X[0]), 0.0, len(X)
    for _ in range(steps):
        dw, db = [0.0] * len(w), 0.0
        for n in range(N):
            z = b
            for i in range(len(w)):
                z += w[i] * X[n][i]
            delta = 1 / (1 + np.exp(-z)) - y[n]
            for i in range(len(w)):
                dw[i] += X[n][i] * delta / N
            db += delta / N
        w, b = [w[i] - eta * dw[i] for i in range(len(w))], b - eta * db
    return [*w, b]


# 1. Linear regression: gradient descent arrives where least squares is.
X = rng.normal(size=(40, 2))
y = 1.5 * X[:, 0] - 2 * X[:, 1] + 3 + rng.normal(size=40)
net = Network([2, 1], output="identity", loss="half_squared_error", dtype="float64", random_state=0)
train(net, X, y, eta=0.3, steps=400)
best = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), y, rcond=None)[0]
print(f"linear    (w_1, w_2, b) = {net.params.round(6)}")
print(f"          against least squares: {np.abs(net.params - best).max():.1e}")

# 2. Logistic regression: the loops above, and the engine, step for step.
y = (X[:, 0] - X[:, 1] + rng.normal(size=40) > 0).astype(int)
net = Network([2, 1], output="sigmoid", dtype="float64")
net.params[:] = 0
train(net, X, y, eta=1.0, steps=50)
by_loops = train_by_loops(X.tolist(), y.tolist(), eta=1.0, steps=50)
print(f"logistic  (w_1, w_2, b) = {net.params.round(6)} after 50 steps")
print(f"          against the loops: {np.abs(net.params - by_loops).max():.1e}")

# Where the inputs say nothing, ŷ learns the odds: 3 of 10 positive, so b = ln(3/7).
net = Network([1, 1], output="sigmoid", dtype="float64")
train(net, [[0.0], [0.0]], [1, 0], eta=4, steps=200, weight=[3, 7])
odds = net.params[1] - np.log(3 / 7)
print(f"          3 of 10 positive: ŷ = {net.forward([[0.0]])[0, 0]:.6f}, b − ln(3/7) = {odds:.1e}")

# 3. Softmax regression: three heaps of points, three straight borders.
centres = np.array([[0, 1.5], [-1.5, -1], [1.5, -1]])
y = rng.integers(0, 3, 300)
X = centres[y] + rng.normal(0, 0.7, (300, 2))
net = Network([2, 3], output="softmax", dtype="float64", random_state=0)
print(f"softmax   {net.n_params} parameters, ℓ before: {net.loss(X, y):.4f}", end="")
train(net, X, y, eta=0.5, steps=300)
print(f", after: {net.loss(X, y):.4f}, accuracy {np.mean(net.forward(X).argmax(axis=1) == y):.3f}")

# Picture: where ŷ_k = ŷ_m, z_k = z_m, which is a line.
DecisionBoundaryDisplay.from_network(net, X, y).figure_.savefig("05_softmax.png")
print("picture: 05_softmax.png")
