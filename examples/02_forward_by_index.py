"""E1 by index: the forward pass of a spam filter with three inputs, two ReLU units and one sigmoid output.

    z_j = b_j + Σ_i w_ij a_i        a_j = φ(z_j)

Plain loops first, then the compiled ones, `forward_layer` in mlp_jit/engines/loops/equations.py, every number in sight.
"""

import math

from mlp_jit import Network
from mlp_jit.plots import WeightsDisplay
from mlp_jit.study import explain

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


z1, a1 = forward_layer(W1, b1, relu, x)
z2, a2 = forward_layer(W2, b2, sigmoid, a1)
print(f"by loops: spam with probability {a2[0]:.4f}\n")

# The same numbers in a Network. Its weights are views of one flat vector, so writing into them sets it.
net = Network([3, 2, 1], activation="relu", output="sigmoid", dtype="float64")
net.weights[0][:], net.biases[0][:] = W1, b1
net.weights[1][:], net.biases[1][:] = W2, b2
print("One vector holds every parameter, W¹ b¹ W² b²:")
print(net.params, "\n")

# Every equation with its numbers, forward and backward; here those of the three units, forward. X and y have a row for
# each sample; explain also takes one sample as it is.
explanation = explain(net, x, 1.0)
print("What the compiled loops computed")
print("\n".join(line for line in str(explanation).splitlines() if line.startswith(("  E1", "Forward"))))

# Check: the loops above against the engines.
print()
for engine in ("loops", "vectorized"):
    print(f"net.forward, {engine}: {net.forward([x], engine=engine)[0, 0]:.12f}")
trace = explanation.trace
by_loops = [*z1, *z2, *a1, *a2]
by_trace = [*trace.z[0][0], *trace.z[1][0], *trace.a[1][0], *trace.a[2][0]]
print(f"largest difference: {max(abs(p - q) for p, q in zip(by_loops, by_trace, strict=True)):.1e}\n")

# How many numbers there are: a layer has n_in · n_out weights and n_out biases. The shape ledger says it for a batch.
for sizes in ([10, 20, 15, 1], [3, 5, 2]):
    layers = [sizes[l - 1] * sizes[l] + sizes[l] for l in range(1, len(sizes))]
    counted = " + ".join(map(str, layers))
    print(
        f"{'-'.join(map(str, sizes))}: {counted} = {sum(layers)} parameters; the engine has {Network(sizes).n_params}"
    )
print("\n32 samples through 2-8-1")
print(Network([2, 8, 1], output="sigmoid").summary(batch_size=32))

# Picture: the weights into each hidden unit, red above 0 and blue below.
WeightsDisplay.from_network(net, shape=(3, 1)).figure_.savefig("02_weights.png")
print("\npicture: 02_weights.png")
