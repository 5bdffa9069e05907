"""XOR three ways: a perceptron that cannot, a network set by hand that does, and one that learns it.

    XOR(x_0, x_1) = 1 where exactly one of x_0 and x_1 is 1

It takes a hidden layer: no straight line parts (0, 0) and (1, 1) from (0, 1) and (1, 0).
"""

import numpy as np

from mlp_jit import Network, fit
from mlp_jit.plots import DecisionBoundaryDisplay, RepresentationDisplay

X = [[0, 0], [0, 1], [1, 0], [1, 1]]
AND, OR, XOR = [0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]


def row(values):
    return " ".join(f"{value:g}" for value in np.ravel(values))


# 1. The perceptron, no hidden layer: ŷ = step(b + w_0 x_0 + w_1 x_1). A mistake moves w_i by η (y − ŷ) x_i and b by
#    η (y − ŷ).
print("a perceptron, 100 passes      wanted   got")
for name, y in (("AND", AND), ("OR", OR), ("XOR", XOR)):
    net = Network([2, 1], output="step", dtype="float64", random_state=0)
    fit(net, X, y, optimizer="sgd", learning_rate=0.1, batch_size=1, epochs=100, random_state=0)
    got = net.forward(X)
    wrong = int(np.sum(got[:, 0] != y))
    print(f"  {name:27} {row(y)}  {row(got)}   {'learnt' if wrong == 0 else f'{wrong} wrong'}")

# Why. To be right on XOR, w and b would need             b < 0     for (0, 0)
#                                             w_0 + w_1 + b < 0     for (1, 1)
#                                                   w_1 + b ≥ 0     for (0, 1)
#                                                   w_0 + b ≥ 0     for (1, 0)
# The first two add up to w_0 + w_1 + 2b < 0, the last two to w_0 + w_1 + 2b ≥ 0. No numbers do both, so more training
# cannot help.
print("  no w and b can: XOR asks for w_0 + w_1 + 2b < 0 and for w_0 + w_1 + 2b ≥ 0\n")

# 2. A hidden layer bends the plane. Two ReLU units are enough: h_0 = ReLU(x_0 + x_1), h_1 = ReLU(x_0 + x_1 − 1),
#    and y = h_0 − 2 h_1. The other six of this 2-8-1 network stay idle.
net = Network([2, 8, 1], activation="relu", output="identity", dtype="float64")
net.params[:] = 0
net.weights[0][:, :2] = 1
net.biases[0][1] = -1
net.weights[1][:2, 0] = 1, -2
trace = net.trace(X, XOR)
print("2-8-1 set by hand   h_0 h_1   y")
for x, h, out in zip(X, trace.a[1], trace.a[2], strict=True):
    print(f"  x = {tuple(x)}          {h[0]:g}   {h[1]:g}   {out[0]:g}")
print("  (0, 1) and (1, 0) now lie on one point, and the line h_0 − 2 h_1 = 1/2 tells them from the rest\n")

# 3. Nobody has to set them: 4·4 + 1 = 17 parameters, found from a random start by full batches.
net = Network([2, 4, 1], activation="tanh", output="sigmoid", dtype="float64", random_state=0)
history = fit(net, X, XOR, optimizer="sgd", learning_rate=1.0, batch_size=4, epochs=1000, shuffle=False)
print(f"2-4-1 trained, {net.n_params} parameters")
for epoch in (1, 10, 100, 1000):
    print(f"  epoch {epoch:4d}   loss {history.loss[epoch - 1]:.4f}")
output = net.forward(X)[:, 0]
print("  ŷ =", " ".join(f"{p:.3f}" for p in output))
print(f"  accuracy {np.mean((output > 0.5) == XOR):g}")

# Pictures: where the trained network says 1, and what the network set by hand makes of the four points (its idle units
# left out).
DecisionBoundaryDisplay.from_network(net, X, XOR).figure_.savefig("06_boundary.png")
small = Network([2, 2, 1], activation="relu", output="identity")
small.params[:] = 1, 1, 1, 1, 0, -1, 1, -2, 0  # W¹ b¹ W² b²
RepresentationDisplay.from_network(small, X, XOR).figure_.savefig("06_what_layers_see.png")
print("pictures: 06_boundary.png, 06_what_layers_see.png")
