"""E1 by index: the forward pass of a spam filter with three inputs, two ReLU units and one sigmoid output.

    z_j = b_j + Σ_i w_ij a_i        a_j = φ(z_j)

Plain loops first, every number in sight; then the compiled ones, `forward_layer` in mlp_jit/engines/loops.py.
"""

import math

from mlp_jit import Network

x = [3.0, 1.0, 0.8]  # one message, described by three numbers: a_i of layer 0

W1 = [[0.5, -0.2], [0.8, 0.6], [-0.3, 0.4]]  # W1[i][j] joins input i to hidden unit j
b1 = [0.1, -0.5]
W2 = [[0.7], [1.2]]
b2 = [-0.3]


def relu(z):
    return max(z, 0.0)


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def forward_layer(W, b, phi, a):
    """E1 for one sample: a_i of the layer before goes in, z_j and a_j of this layer come out."""
    z, a_out = [], []
    for j in range(len(b)):
        z_j = b[j]
        for i in range(len(a)):
            z_j += W[i][j] * a[i]
        z.append(z_j)
        a_out.append(phi(z_j))
    return z, a_out


def show(l, W, b, a, z, a_out):
    for j in range(len(b)):
        products = "".join(f" + {W[i][j]:g}·{a[i]:.4g}" for i in range(len(a)))
        print(f"layer {l}, unit {j}:  z = {b[j]:g}{products} = {z[j]:.4f}   a = {a_out[j]:.4f}")


z1, a1 = forward_layer(W1, b1, relu, x)
z2, a2 = forward_layer(W2, b2, sigmoid, a1)

print("The loops, term by term")
show(1, W1, b1, x, z1, a1)
show(2, W2, b2, a1, z2, a2)
print(f"spam with probability {a2[0]:.4f}\n")

# The same numbers in a Network. Its weights are views of one flat vector, so writing into them sets it.
net = Network([3, 2, 1], activation="relu", output="sigmoid", dtype="float64")
net.weights[0][:], net.biases[0][:] = W1, b1
net.weights[1][:], net.biases[1][:] = W2, b2

print("One vector holds every parameter, W¹ b¹ W² b²:")
print(net.params, "\n")
print(net.summary(batch_size=1), "\n")

# X and y have a row for each sample, here one. The trace has every z and a (and, since we say y = 1, every δ).
trace = net.trace([x], [1.0])
print("The compiled loops")
for l in (1, 2):
    print(f"layer {l}:  z = {trace.z[l - 1][0]}   a = {trace.a[l][0]}")
for engine in ("loops", "vectorized"):
    print(f"net.forward, {engine}: {net.forward([x], engine=engine)[0, 0]:.12f}")

by_loops = [*z1, *z2, *a1, *a2]
by_trace = [*trace.z[0][0], *trace.z[1][0], *trace.a[1][0], *trace.a[2][0]]
print(f"largest difference: {max(abs(p - q) for p, q in zip(by_loops, by_trace, strict=True)):.1e}")
