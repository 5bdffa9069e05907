"""An ODE whose right-hand side is a trained network, integrated by compiled code and by SciPy.

    dx/dt = ŷ(x),  learnt from samples of a pendulum with friction: dθ/dt = ω, dω/dt = −sin θ − ω/10

Compiled code runs the network by `predict_row`: no Python, nothing allocated. Its Jacobian says whether the learnt
pendulum comes to rest, and gives the implicit method the matrix that it asks for.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from numba import njit

from mlp_jit import Network, fit
from mlp_jit.nopython import jacobian_row, predict_row

# 1. Learn the right-hand side.
rng = np.random.default_rng(0)
X = rng.uniform((-2, -2), (2, 2), (4000, 2))
Y = np.column_stack([X[:, 1], -np.sin(X[:, 0]) - X[:, 1] / 10])
net = Network([2, 20, 20, 2], activation="tanh", dtype="float64", random_state=0)
fit(net, X, Y, optimizer="adam", learning_rate=3e-3, schedule="cosine", batch_size=100, epochs=100, random_state=0)
record = net.record()


# 2. Runge and Kutta's method, compiled: every step asks the network four times.
@njit(cache=True)
def right_hand_side(record, x, h, k, out, point):
    """ŷ(x + h k) into out."""
    for i in range(x.size):
        point[i] = x[i] + h * k[i]
    predict_row(record, point, out)


@njit(cache=True)
def rk4(record, path, h):
    """path[t + 1] from path[t], by steps of h."""
    n = path.shape[1]
    k, point = np.zeros((4, n)), np.empty(n)
    for t in range(path.shape[0] - 1):
        right_hand_side(record, path[t], 0.0, k[0], k[0], point)
        right_hand_side(record, path[t], h / 2, k[0], k[1], point)
        right_hand_side(record, path[t], h / 2, k[1], k[2], point)
        right_hand_side(record, path[t], h, k[2], k[3], point)
        for i in range(n):
            path[t + 1, i] = path[t, i] + h / 6 * (k[0, i] + 2 * k[1, i] + 2 * k[2, i] + k[3, i])


def solve(steps, seconds=20.0):
    path = np.empty((steps + 1, 2))
    path[0] = 1.5, 0.0
    rk4(record, path, seconds / steps)
    return path


path = solve(2000)
start = time.perf_counter()
solve(2000)
print(f"RK4, compiled: 8000 networks in {1e3 * (time.perf_counter() - start):.1f} ms")

# 3. The order of the method: half the step, a sixteenth of the error.
errors = [np.abs(solve(steps)[-1] - solve(8000)[-1]).max() for steps in (50, 100, 200)]
print("error for 50, 100, 200 steps", " ".join(f"{error:.1e}" for error in errors))
print(f"  ratios {errors[0] / errors[1]:.1f} {errors[1] / errors[2]:.1f}")


# 4. SciPy calls it as a plain function, and the implicit methods ask for ∂ŷ/∂x.
def f(t, x):
    predict_row(record, x, out := np.empty(2))
    return out


def jacobian(t, x):
    jacobian_row(record, x, np.empty(2), J := np.empty((2, 2)))
    return J


try:
    from scipy.integrate import solve_ivp
except ImportError:
    print("SciPy is not installed: pip install scipy")
else:
    for method, options in (("RK45", {}), ("Radau", {"jac": jacobian})):
        done = solve_ivp(f, (0, 20), [1.5, 0], method, rtol=1e-9, atol=1e-9, **options)
        print(f"{method} of SciPy: {done.nfev} calls, apart from RK4 by {np.abs(done.y[:, -1] - path[-1]).max():.1e}")

J = jacobian(0, np.zeros(2))
print("∂ŷ/∂x at rest", np.round(J, 2).tolist(), " wanted [[0, 1], [-1, -0.1]]")
print("its eigenvalues' real parts", np.round(np.linalg.eigvals(J).real, 3), " below 0: it comes to rest")

figure, axes = plt.subplots(figsize=(5, 4))
axes.plot(*path.T)
axes.set(xlabel="θ", ylabel="ω", title="the learnt pendulum")
figure.savefig("ode.png")
print("picture: ode.png")
