"""A posterior by Metropolis and by Hamiltonian Monte Carlo, with a network in the likelihood.

    data y_t = A e^(−λ t) + noise,  log p(A, λ | y) = −½ Σ_t (y_t − ŷ_t(A, λ))²/σ² + constant,  in a box

The network ŷ stands in for a simulator that is too slow to be asked a million times. HMC wants the gradient as well,
Σ_t (y_t − ŷ_t) ∂ŷ_t/∂(A, λ) / σ², and `jacobian_row` has it. The chains run as compiled code.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from numba import njit

from mlp_jit import Network, fit
from mlp_jit.nopython import jacobian_row, predict_row

TIMES, SIGMA = np.linspace(0, 3, 8), 0.05
LOW, HIGH = np.array([0.5, 0.2]), np.array([2.0, 2.0])  # the box: A and λ


def simulate(theta):
    return theta[:, :1] * np.exp(-theta[:, 1:] * TIMES)


# 1. The network learns the simulator, from a thousand calls of it.
rng = np.random.default_rng(0)
theta = rng.uniform(LOW, HIGH, (1000, 2))
net = Network([2, 32, 32, len(TIMES)], activation="tanh", dtype="float64", random_state=0)
fit(net, theta, simulate(theta), learning_rate=5e-3, schedule="cosine", batch_size=50, epochs=200, random_state=0)
print(f"network and simulator apart by {np.abs(net.forward(theta) - simulate(theta)).mean():.4f}, σ = {SIGMA}")
y = simulate(np.array([[1.2, 0.8]]))[0] + rng.normal(0, SIGMA, len(TIMES))


# 2. log p, and its gradient.
@njit(cache=True)
def log_posterior(record, x, y, out):
    if np.any(x < LOW) or np.any(x > HIGH):
        return -np.inf
    predict_row(record, x, out)
    return -0.5 * np.sum((y - out) ** 2) / SIGMA**2


@njit(cache=True)
def slope(record, x, y, out, jacobian):
    jacobian_row(record, x, out, jacobian)
    return (y - out) @ jacobian / SIGMA**2


# 3. Metropolis: a random step, taken with probability p(new)/p(old). HMC, with rolls: a ball with a random momentum
#    rolls for a while, and what it gains in p it loses in speed.
@njit(cache=True)
def walk(record, y, samples, normals, chances, step, rolls):
    out, jacobian, x, accepted = np.empty(y.size), np.empty((y.size, 2)), (LOW + HIGH) / 2, 0
    log_p = log_posterior(record, x, y, out)
    for n in range(samples.shape[0]):
        momentum, new = normals[n].copy(), x.copy()
        before = log_p - 0.5 * np.sum(momentum**2)
        if rolls == 0:
            new += step * momentum
        else:
            momentum += step / 2 * slope(record, new, y, out, jacobian)
            for roll in range(rolls):
                new += step * momentum
                momentum += (step if roll < rolls - 1 else step / 2) * slope(record, new, y, out, jacobian)
        log_new = log_posterior(record, new, y, out)
        if np.log(chances[n]) < log_new - 0.5 * np.sum(momentum**2) - before:
            x, log_p, accepted = new, log_new, accepted + 1
        samples[n] = x
    return accepted / samples.shape[0]


def report(name, samples, weight):
    mean = np.average(samples, axis=0, weights=weight)
    deviation = np.sqrt(np.average((samples - mean) ** 2, axis=0, weights=weight))
    print(f"{name:10} mean {mean.round(3).tolist()}, deviation {deviation.round(3).tolist()}")


record = net.record()
for name, n, step, rolls in (("Metropolis", 40_000, 0.05, 0), ("HMC", 5_000, 0.02, 7)):
    samples, normals, chances = np.empty((n, 2)), rng.normal(size=(n, 2)), rng.uniform(size=n)
    walk(record, y, samples[:1], normals, chances, step, rolls)  # compiles
    start = time.perf_counter()
    accepted = walk(record, y, samples, normals, chances, step, rolls)
    seconds = time.perf_counter() - start
    print(f"{name:10} accepted {accepted:.2f} of {n}, in {1e3 * seconds:.0f} ms")
    report(name, samples[500:], np.ones(n - 500))

# 4. Two parameters are few enough for a grid, and the simulator itself.
grid = np.stack(np.meshgrid(*np.linspace(LOW, HIGH, 400).T, indexing="ij"), axis=-1).reshape(-1, 2)
posterior = np.exp(-0.5 * np.sum((y - simulate(grid)) ** 2, axis=1) / SIGMA**2)
report("simulator", grid, posterior)

figure, axes = plt.subplots(figsize=(5, 4))
axes.plot(*samples.T, ".", markersize=2)
axes.contour(*np.linspace(LOW, HIGH, 400).T, posterior.reshape(400, 400).T, levels=4, colors="black")
axes.set(xlabel="A", ylabel="λ", title="HMC, and the simulator's posterior", xlim=(1, 1.5), ylim=(0.5, 1.2))
figure.savefig("sampler.png")
print("picture: sampler.png")
