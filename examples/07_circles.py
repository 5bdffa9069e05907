"""The playground in numbers: two circles, a 2-H-1 network of tanh, and what H and η do.

H hidden units draw H straight lines, and the output bends a border out of them: it takes three to go around a point.
θ ← θ − η ∂L/∂θ        too small an η arrives late, too large a one never
"""

import numpy as np

from mlp_jit import Network, fit
from mlp_jit.plots import DecisionBoundaryDisplay, RepresentationDisplay

rng = np.random.default_rng(0)
y = np.arange(200) % 2
angle, radius = rng.uniform(0, 2 * np.pi, 200), np.where(y == 1, 0.5, 1.0) + rng.normal(0, 0.06, 200)
X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def train(hidden, eta, epochs=3000, seed=0):
    """Full batches from a seeded start; the loss history and the network."""
    net = Network([2, hidden, 1], activation="tanh", output="sigmoid", dtype="float64", random_state=seed)
    history = fit(net, X, y, optimizer="sgd", learning_rate=eta, batch_size=len(X), epochs=epochs, shuffle=False)
    return net, history


def accuracy(net):
    return np.mean((net.forward(X)[:, 0] > 0.5) == y)


print(" H   parameters   loss     accuracy")
nets = {}
for hidden in (1, 2, 3, 4, 8):
    tries = [train(hidden, eta=1.0, seed=seed) for seed in range(3)]  # the best of three starts
    nets[hidden], history = min(tries, key=lambda one: one[1].loss[-1])
    n_params = nets[hidden].n_params
    assert n_params == 4 * hidden + 1  # 2H weights and H biases, then H weights and a bias
    print(f"{hidden:2d}   {n_params:10d}   {history.loss[-1]:.4f}   {accuracy(nets[hidden]):.3f}")

# Why two are too few: two lines cut the plane into four parts at most, and all four go out to infinity. The inner
# circle needs a part that is closed.

print("\n  η     loss after 10, 100, 1000 epochs       epochs in which the loss rose")
for eta in (0.01, 0.1, 1.0, 100.0):
    loss = train(8, eta, epochs=1000)[1].loss
    rises = int(np.sum(np.diff(loss) > 0))
    print(f"{eta:6g}  {loss[9]:10.4f} {loss[99]:10.4f} {loss[999]:10.4f}   {rises:5d}")

# What the hidden layer did: to its three units the circles lie so that one plane parts them.
trace = nets[3].trace(X, y)
margin = (2 * y - 1) * trace.z[1][:, 0]
print(f"\nH = 3: the plane b + Σ_i w_i a_i = 0 leaves {np.sum(margin > 0)} of {len(X)} points on their side")

DecisionBoundaryDisplay.from_network(nets[2], X, y).figure_.savefig("07_two_units.png")
DecisionBoundaryDisplay.from_network(nets[3], X, y).figure_.savefig("07_three_units.png")
RepresentationDisplay.from_network(nets[3], X, y).figure_.savefig("07_what_layers_see.png")
print("pictures: 07_two_units.png, 07_three_units.png, 07_what_layers_see.png")
