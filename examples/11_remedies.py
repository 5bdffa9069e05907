"""When it does not learn, and when it learns too much: the checklist, then the remedies, each measured.

standardised inputs     x ← (x − mean)/deviation
L2                      L + λ/2 ‖w‖²
dropout                 a_j ← 0 with probability p, else a_j/(1 − p)
early stopping          keep the θ with the least validation loss
clipping                g ← g · min(1, c/‖g‖)
"""

import numpy as np

from mlp_jit import SGD, Network, fit
from mlp_jit.optimizers import OPTIMIZERS
from mlp_jit.plots import LossCurveDisplay
from mlp_jit.schedules import SCHEDULES
from mlp_jit.study import diagnose


def moons(n, seed):
    """Two half circles that reach into each other, one feature in metres and one in millimetres."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    angle = np.pi * (rng.uniform(size=n) + y)
    X = np.column_stack([np.cos(angle) + y, np.sin(angle) + 0.5 * y]) + rng.normal(0, 0.35, (n, 2))
    return X * [1, 1000], y


X, y = moons(80, seed=0)
X_val, y_val = moons(500, seed=1)

# 1. The checklist finds what is wrong; standardising mends it.
print(diagnose(Network([2, 100, 1], output="sigmoid", random_state=0), X, y, learning_rate=0.01), "\n")
mean, deviation = X.mean(axis=0), X.std(axis=0)
X, X_val = (X - mean) / deviation, (X_val - mean) / deviation
report = diagnose(Network([2, 100, 1], output="sigmoid", random_state=0), X, y, learning_rate=0.01)
print("standardised:", report.findings or "no findings", "\n")


# 2. Now it learns its 80 samples by heart. What keeps it from doing so?
def train(optimizer="adam", learning_rate=0.003, epochs=300, **options):
    net = Network([2, 100, 100, 1], output="sigmoid", random_state=0)
    data = {"validation_data": (X_val, y_val), "random_state": 0, "batch_size": 20}
    return fit(net, X, y, optimizer=optimizer, learning_rate=learning_rate, epochs=epochs, **data, **options)


print("                  loss of the training   validation   least validation")
remedies = {"none": {}, "L2": {"l2": 0.02}, "dropout": {"dropout": 0.5}, "early stopping": {"early_stopping": 20}}
histories = {name: train(**options) for name, options in remedies.items()}
for name, history in histories.items():
    validation = min(history.validation_loss) if name == "early stopping" else history.validation_loss[-1]
    print(f"{name:16} {history.loss[-1]:12.4f} {validation:18.4f} {min(history.validation_loss):13.4f}")

# 3. A rate that is too high throws θ far away in the first steps; a bound on the gradient's norm holds it.
print("\nSGD with momentum at η = 1     loss after 30 epochs")
for clip_norm in (None, 0.05):
    loss = train(SGD(momentum=0.9), learning_rate=1.0, epochs=30, clip_norm=clip_norm).loss[-1]
    print(f"  clip_norm={clip_norm!s:5} {loss:30.4f}")

# 4. The other settings, 30 epochs each.
print("\nloss after 30 epochs")
for name in OPTIMIZERS:
    print(f"  {name:16} {train(name, epochs=30).loss[-1]:.4f}")
for name in SCHEDULES:
    print(f"  adam, {name:16} {train(epochs=30, schedule=name).loss[-1]:.4f}")

ax = None
for name in ("none", "L2"):
    ax = LossCurveDisplay.from_history(histories[name], name=name, ax=ax).ax_
ax.figure.savefig("11_remedies.png")
print("\npicture: 11_remedies.png")
