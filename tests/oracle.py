"""E1-E6 in plain Python: lists, nested loops over n, l, j and i, and the math module. Nothing of the package's is used.

It is slow and literal on purpose, for the engines are compared with it. Lists by layer have one entry for each layer
0..L, so that `W[l][i][j]` reads as the equations do; entry 0 of W, b, z and delta is empty. δ at the output comes from
the chain rule, δ_k = Σ_m ∂ℓ/∂ŷ_m ∂ŷ_m/∂z_k, where the package uses ŷ − y.
"""

import math
from dataclasses import dataclass


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def normal_cdf(z):
    return (1 + math.erf(z / math.sqrt(2))) / 2


def normal_pdf(z):
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772  # selu's

PHI = {  # name: (φ(z), φ'(z))
    "identity": (lambda z: z, lambda z: 1.0),
    "step": (lambda z: 1.0 if z >= 0 else 0.0, lambda z: 0.0),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (math.tanh, lambda z: 1 - math.tanh(z) ** 2),
    "relu": (lambda z: z if z > 0 else 0.0, lambda z: 1.0 if z > 0 else 0.0),
    "leaky_relu": (lambda z: z if z > 0 else 0.01 * z, lambda z: 1.0 if z > 0 else 0.01),
    "elu": (lambda z: z if z > 0 else math.exp(z) - 1, lambda z: 1.0 if z > 0 else math.exp(z)),
    "selu": (
        lambda z: LAMBDA * (z if z > 0 else ALPHA * (math.exp(z) - 1)),
        lambda z: LAMBDA * (1.0 if z > 0 else ALPHA * math.exp(z)),
    ),
    "softplus": (lambda z: math.log(1 + math.exp(z)), sigmoid),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) + z * sigmoid(z) * (1 - sigmoid(z))),
    "gelu": (lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_pdf(z)),
    "hard_sigmoid": (lambda z: min(max((z + 3) / 6, 0.0), 1.0), lambda z: 1 / 6 if -3 < z < 3 else 0.0),
    "hard_tanh": (lambda z: min(max(z, -1.0), 1.0), lambda z: 1.0 if -1 < z < 1 else 0.0),
    "hard_silu": (
        lambda z: z * min(max((z + 3) / 6, 0.0), 1.0),
        lambda z: 0.0 if z <= -3 else 1.0 if z >= 3 else (2 * z + 3) / 6,
    ),
    "exp": (math.exp, math.exp),
}

LOSS = {  # name: (ℓ, ∂ℓ/∂ŷ) of one output, from ŷ, y and the loss's parameter
    "squared_error": (lambda a, y, p: (a - y) ** 2, lambda a, y, p: 2 * (a - y)),
    "half_squared_error": (lambda a, y, p: (a - y) ** 2 / 2, lambda a, y, p: a - y),
    "absolute_error": (lambda a, y, p: abs(a - y), lambda a, y, p: math.copysign(1, a - y)),
    "huber": (
        lambda a, y, p: (a - y) ** 2 / 2 if abs(a - y) <= p else p * (abs(a - y) - p / 2),
        lambda a, y, p: a - y if abs(a - y) <= p else math.copysign(p, a - y),
    ),
    "quantile": (
        lambda a, y, p: p * (y - a) if y > a else (1 - p) * (a - y),
        lambda a, y, p: -p if y > a else 1 - p,
    ),
    "poisson": (lambda a, y, p: a - y * math.log(a), lambda a, y, p: 1 - y / a),
    "binary_cross_entropy": (
        lambda a, y, p: -y * math.log(a) - (1 - y) * math.log(1 - a),
        lambda a, y, p: -y / a + (1 - y) / (1 - a),
    ),
    "cross_entropy": (lambda a, y, p: -y * math.log(a), lambda a, y, p: -y / a),
}


@dataclass
class Oracle:
    """A network as lists: W[l][i][j], b[l][j], the name phi[l] of each layer's φ, the loss's name and parameters."""

    W: list
    b: list
    phi: list
    loss: str
    parameter: list

    @classmethod
    def of(cls, network):
        return cls(
            W=[[], *(W.tolist() for W in network.weights)],
            b=[[], *(b.tolist() for b in network.biases)],
            phi=["", *network.activations, network.output],
            loss=network.loss_name,
            parameter=network.loss_parameters.tolist(),
        )

    def forward(self, X, mask=None):
        """E1: z[l][n][j] and a[l][n][j]. `mask[l][n][j]`, for hidden layers, is what dropout multiplies a_j by."""
        L, N = len(self.W) - 1, len(X)
        z = [[[] for n in range(N)] for l in range(L + 1)]
        a = [[[] for n in range(N)] for l in range(L + 1)]
        for n in range(N):
            a[0][n] = list(X[n])
            for l in range(1, L + 1):
                for j in range(len(self.b[l])):
                    z_j = self.b[l][j]
                    for i in range(len(a[l - 1][n])):
                        z_j += self.W[l][i][j] * a[l - 1][n][i]
                    z[l][n].append(z_j)
                if self.phi[l] == "softmax":
                    total = sum(math.exp(z_m) for z_m in z[l][n])
                    a[l][n] = [math.exp(z_j) / total for z_j in z[l][n]]
                else:
                    a[l][n] = [PHI[self.phi[l]][0](z_j) for z_j in z[l][n]]
                if mask and l < L:
                    a[l][n] = [a[l][n][j] * mask[l][n][j] for j in range(len(a[l][n]))]
        return z, a

    def output_delta(self, z, a, y):
        """E2: ℓ of one sample and δ_k for each of its outputs."""
        K = len(z)
        if self.loss == "perceptron":
            return sum(max(0.0, -(2 * y[k] - 1) * z[k]) for k in range(K)), [a[k] - y[k] for k in range(K)]
        ell, slope = LOSS[self.loss]
        delta = []
        for k in range(K):
            delta_k = 0.0
            for m in range(K):
                if self.phi[-1] == "softmax":
                    da_m = a[m] * ((m == k) - a[k])
                else:
                    da_m = PHI[self.phi[-1]][1](z[k]) if m == k else 0.0
                delta_k += slope(a[m], y[m], self.parameter[m]) * da_m
            delta.append(delta_k)
        return sum(ell(a[k], y[k], self.parameter[k]) for k in range(K)), delta

    def gradient(self, X, y, weight, l2=0.0, mask=None):
        """E1-E5: L, dW[l][i][j] and db[l][j], with l2/2 ‖w‖² in L."""
        last = len(self.W) - 1
        z, a = self.forward(X, mask)
        dW = [[[l2 * w for w in row] for row in W] for W in self.W]
        db = [[0.0 for _ in b] for b in self.b]
        loss = l2 / 2 * sum(w * w for W in self.W for row in W for w in row)
        N = sum(weight)
        for n in range(len(X)):
            delta = [[] for _ in self.W]
            ell, delta[last] = self.output_delta(z[last][n], a[last][n], y[n])
            loss += weight[n] * ell / N
            for l in range(last - 1, 0, -1):
                for i in range(len(self.b[l])):
                    total = 0.0
                    for j in range(len(self.b[l + 1])):
                        total += self.W[l + 1][i][j] * delta[l + 1][j]
                    dropped = mask[l][n][i] if mask else 1.0
                    delta[l].append(PHI[self.phi[l]][1](z[l][n][i]) * total * dropped)
            for l in range(1, last + 1):
                for j in range(len(self.b[l])):
                    for i in range(len(a[l - 1][n])):
                        dW[l][i][j] += weight[n] * a[l - 1][n][i] * delta[l][j] / N
                    db[l][j] += weight[n] * delta[l][j] / N
        return loss, dW, db

    def step(self, eta, X, y, weight, l2=0.0, mask=None):
        """E6 with the plain step: θ ← θ − η ∂L/∂θ, every gradient being of the parameters before it. Returns L."""
        loss, dW, db = self.gradient(X, y, weight, l2, mask)
        for l in range(1, len(self.W)):
            for j in range(len(self.b[l])):
                for i in range(len(self.W[l])):
                    self.W[l][i][j] -= eta * dW[l][i][j]
                self.b[l][j] -= eta * db[l][j]
        return loss

    @property
    def params(self):
        return flat(self.W, self.b)


def flat(W, b):
    """W and b by layer in the order of a network's `params`: W^1, b^1, W^2, b^2, …"""
    return [number for l in range(1, len(W)) for row in [*W[l], b[l]] for number in row]
