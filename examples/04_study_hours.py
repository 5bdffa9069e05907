"""One step of learning, small enough for pencil and paper: a score predicted from two numbers, x = (2, 3), y = 10.

    ŷ = b + w_0 x_0 + w_1 x_1        ℓ = (ŷ − y)²        δ = ∂ℓ/∂ŷ = 2 (ŷ − y)
    ∂ℓ/∂w_i = x_i δ                  ∂ℓ/∂b = δ           θ ← θ − η ∂ℓ/∂θ

By hand, then by a network with no hidden layer, then further steps with other η.
"""

from mlp_jit import Network, fit
from mlp_jit.plots import LossCurveDisplay
from mlp_jit.study import explain

x, y, eta = [2.0, 3.0], 10.0, 0.01

# By hand, from zero.
w, b = [0.0, 0.0], 0.0
guess = b + w[0] * x[0] + w[1] * x[1]
loss = (guess - y) ** 2
delta = 2 * (guess - y)
dw, db = [x[0] * delta, x[1] * delta], delta
print("by hand")
print(f"  ŷ = {guess:g}   ℓ = {loss:g}   ∂ℓ/∂w = ({dw[0]:g}, {dw[1]:g})   ∂ℓ/∂b = {db:g}")

w, b = [w[0] - eta * dw[0], w[1] - eta * dw[1]], b - eta * db
guess = b + w[0] * x[0] + w[1] * x[1]
print(f"  one step: w = ({w[0]:g}, {w[1]:g})   b = {b:g}   ŷ = {guess:g}   ℓ = {(guess - y) ** 2:g}")


def from_zero():
    """The same model: a network with no hidden layer, its parameters (w_0, w_1, b) zero."""
    net = Network([2, 1], output="identity", loss="squared_error", dtype="float64")
    net.params[:] = 0
    return net


def train(net, eta, steps):
    """One sample is one batch, so an epoch is a step; history.loss has ℓ before each."""
    return fit(net, [x], [y], optimizer="sgd", learning_rate=eta, epochs=steps, shuffle=False)


print("by the engine")
net = from_zero()
loss, gradient = net.gradient([x], [y])
print(f"  ŷ = {net.forward([x])[0, 0]:g}   ℓ = {loss:g}   ∂ℓ/∂(w_0, w_1, b) = {gradient}")
train(net, eta, steps=1)
print(f"  one step: (w_0, w_1, b) = {net.params}   ŷ = {net.forward([x])[0, 0]:g}   ℓ = {net.loss([x], [y]):g}")

# The engine's own account of the step.
print("\nwith every equation\n")
print(explain(from_zero(), x, y, learning_rate=eta))

# How it goes on. A step takes ŷ − y to ŷ − y − η δ (x_0² + x_1² + 1) = (1 − 2 η · 14) (ŷ − y): with η = 0.01 the error
# shrinks to 0.72 of itself every time, ℓ to 0.72². Past η = 1/14 the factor is below −1 and every step makes it worse.
squares = x[0] ** 2 + x[1] ** 2 + 1
ax = None
for eta in (0.01, 0.05, 0.1):
    factor = 1 - 2 * eta * squares
    history = train(from_zero(), eta, steps=6)
    print(f"\nη = {eta}: each step leaves {factor:g} of the error")
    print("  ℓ measured  ", "  ".join(f"{ell:9.4g}" for ell in history.loss))
    print("  ℓ foretold  ", "  ".join(f"{100 * factor ** (2 * t):9.4g}" for t in range(6)))
    ax = LossCurveDisplay.from_history(history, name=f"η = {eta}", ax=ax).ax_
ax.figure.savefig("04_learning_rates.png")
print("\npicture: 04_learning_rates.png")
