"""Full batch against mini-batches: 400 points of the plane, their class the sign of x_0 · x_1, a 2-64-64-2 network.

    full batch     one step an epoch     θ ← θ − η (1/400) Σ_n ∂ℓ_n/∂θ
    mini-batches   seven steps           θ ← θ − η (1/64)  Σ_n ∂ℓ_n/∂θ over 64 of the points, then the next 64, …

Both passes over the data cost the same sums; the second makes seven steps of them.
"""

import math

import numpy as np

from mlp_jit import Network, fit
from mlp_jit.plots import DecisionBoundaryDisplay

SEED, EPOCHS = 4, 300
SGD = {"optimizer": "sgd", "learning_rate": 0.01, "l2": 1e-4}  # weight decay is the gradient of l2/2 ‖w‖²
rng = np.random.default_rng(SEED)
X = rng.normal(size=(400, 2))
y = (X[:, 0] * X[:, 1] > 0).astype(int)


def small_normal(rng, n_in, n_out):
    """W for a layer: 0.1 times normal numbers. Small enough that learning starts slowly."""
    return 0.1 * rng.normal(size=(n_in, n_out))


def accuracy(net):
    return np.mean(net.forward(X).argmax(axis=1) == y)


def train(net, batch_size, epochs):
    """Train, and say what it came to."""
    loss = fit(net, X, y, batch_size=batch_size, epochs=epochs, random_state=SEED, **SGD).loss[-1]
    steps = epochs * math.ceil(len(X) / batch_size)
    done = f"{epochs:4d} epochs of batches of {batch_size:3d}, {steps:4d} steps:"
    print(f"{done}   loss {loss:.4f}   accuracy {accuracy(net):.4f}")


def picture(net, width=49, height=17, reach=2.5):
    """The class that the network gives to each point of the plane, as a map of characters."""
    across, down = np.linspace(-reach, reach, width), np.linspace(reach, -reach, height)
    points = np.array([(x_0, x_1) for x_1 in down for x_0 in across])
    classes = net.forward(points).argmax(axis=1).reshape(height, width)
    return "\n".join("    " + "".join(".#"[k] for k in line) for line in classes)


start = Network([2, 64, 64, 2], activation="relu", output="softmax", initializer=small_normal, random_state=SEED)
print(start.summary(batch_size=64), "\n")

net = start.copy()
train(net, len(X), EPOCHS)
print(picture(net))
train(net, 64, EPOCHS)
print(picture(net))

# Is it the noise of small batches, or the number of steps? As many full-batch steps, from the same start:
print("\nfrom the same start, with as many full-batch steps")
train(start, len(X), 8 * EPOCHS)

DecisionBoundaryDisplay.from_network(net, X, y).figure_.savefig("08_quadrants.png")
print("picture: 08_quadrants.png")
