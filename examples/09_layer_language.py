"""The same equations in the other language: layers as objects, sums as matrix products, beside the loops.

    Dense.forward     Z = A W + b                       E1: Σ_i is inside the product
    Dense.backward    ∂W = Aᵀ Δ     ∂b = Σ_n Δ_n        E4, E5: Σ_n is inside the product
                      Δ_before = Δ Wᵀ                   E3: Σ_j is inside the product
    ReLU.backward     Δ_before = Δ where A > 0, else 0  E3: times φ'(Z)

Here A, Z and Δ are matrices with a row for each sample n. The 1/N of E4 and E5 goes into Δ at the output, once.
"""

import numpy as np

from mlp_jit import Network, fit
from mlp_jit.engines.vectorized.layers import Dense, ReLU, Sequential
from mlp_jit.plots import DecisionBoundaryDisplay

ETA, DECAY, STEPS = 0.5, 1e-3, 200
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 2))
y = (X[:, 0] ** 2 + X[:, 1] ** 2 > 1.4).astype(int)  # outside a circle, or inside


def dense(n_in, n_out):
    """A Dense layer with He's weights and room for its gradients."""
    W, b = rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out)), np.zeros(n_out)
    return Dense(W, b, np.empty_like(W), np.empty_like(b))


def softmax_cross_entropy(Z, labels):
    """From the logits Z and the classes: L, and Δ = (softmax(Z) − onehot) / N."""
    rows = np.arange(len(Z))
    shifted = Z - Z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    delta = np.exp(log_p)
    delta[rows, labels] -= 1
    return -log_p[rows, labels].mean(), delta / len(Z)


model = Sequential([dense(2, 16), ReLU(), dense(16, 16), ReLU(), dense(16, 2)])
print("params:", "  ".join(str(param.shape) for param in model.params))

# The same network for the loops engine, with the same numbers to start from. Both keep W¹, b¹, W², b², …
net = Network([2, 16, 16, 2], activation="relu", output="softmax", dtype="float64")
net.params[:] = np.concatenate([param.ravel() for param in model.params])

# One gradient.
model.zero_grads()
loss, delta = softmax_cross_entropy(model.forward(X), y)
model.backward(delta)
by_layers = np.concatenate([grad.ravel() for grad in model.grads])
loss_of_loops, by_loops = net.gradient(X, y, engine="loops")
print(f"\none gradient    loss by layers {loss:.12f}, by loops {loss_of_loops:.12f}")
print(f"                largest difference in ∂L/∂θ: {np.abs(by_layers - by_loops).max():.1e}")

# Training by hand, E6 with weight decay: w ← w − η (∂L/∂w + λ w), where the loss has λ/2 ‖w‖² added. Biases are spared.
losses = []
for _ in range(STEPS):
    model.zero_grads()
    loss, delta = softmax_cross_entropy(model.forward(X), y)
    model.backward(delta)
    for param, grad in zip(model.params, model.grads, strict=True):
        decay = DECAY if param.ndim == 2 else 0.0
        loss += decay / 2 * np.sum(param**2)
        param -= ETA * (grad + decay * param)
    losses.append(loss)

# The same with fit: batches of all 200 samples, so that an epoch is a step.
whole = {"batch_size": len(X), "shuffle": False, "engine": "loops"}
history = fit(net, X, y, optimizer="sgd", learning_rate=ETA, l2=DECAY, epochs=STEPS, **whole)

print("\nstep   loss by layers   loss by loops")
for step in (1, 10, 100, STEPS):
    print(f"{step:4d} {losses[step - 1]:16.12f} {history.loss[step - 1]:15.12f}")
params = np.concatenate([param.ravel() for param in model.params])
print(f"\nafter {STEPS} steps, largest difference in θ: {np.abs(params - net.params).max():.1e}")
for name, outputs in (("layers", model.forward(X)), ("loops", net.forward(X))):
    print(f"accuracy by {name}: {np.mean(outputs.argmax(axis=1) == y):.3f}")

DecisionBoundaryDisplay.from_network(net, X, y).figure_.savefig("09_circle.png")
print("picture: 09_circle.png")
