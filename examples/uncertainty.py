"""How sure a network is: an ensemble's probabilities and intervals, beside those of one of its members.

    p(y | x) = mean over members of p_m(y | x);  for numbers ŷ(x) ± z s(x),  s² = σ² + the variance of the members

σ², the noise, is the mean square of what is left over on samples that members have not drawn, less the part of it that
is the members' own variance. Where there are no samples the members part, and the interval widens. (Lakshminarayanan,
Pritzel & Blundell 2017.)
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlp_jit import MLPClassifier, MLPEnsembleClassifier, MLPEnsembleRegressor, MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # epochs that run out are no matter here

# 1. Classes: the mean of ten networks' probabilities has the lower log loss on what none of them has seen.
for name, data in {"digits": load_digits, "wine": load_wine}.items():
    X, X_test, y, y_test = train_test_split(*data(return_X_y=True), test_size=0.3, random_state=0)
    model = make_pipeline(StandardScaler(), MLPEnsembleClassifier(MLPClassifier((50,), max_iter=100), random_state=0))
    model.fit(X, y)
    scaled = model[0].transform(X_test)
    single = np.mean([log_loss(y_test, member.predict_proba(scaled)) for member in model[1].estimators_])
    print(f"{name}: log loss of one {single:.4f}, of ten together {log_loss(y_test, model.predict_proba(X_test)):.4f}")

# 2. Numbers: noisy samples of a curve, with a gap.
rng = np.random.default_rng(0)
NOISE = 0.1


def curve(x):
    return np.sin(3 * x) + 0.5 * x


x = np.concatenate([rng.uniform(-2, -0.5, 150), rng.uniform(0.5, 2, 150)])
y = curve(x) + rng.normal(0, NOISE, x.size)
member = MLPRegressor(hidden_layer_sizes=(30, 30), activation="tanh", learning_rate_init=0.01, max_iter=300, tol=0)
model = MLPEnsembleRegressor(member, 20, bootstrap=True, oob_score=True, random_state=0).fit(x[:, None], y)
_, apart = model.predict(x[:, None], return_std=True)
sigma = np.sqrt(np.nanmean((y - model.oob_prediction_) ** 2) - np.mean(apart**2))


def interval(x, z):
    mean, apart = model.predict(x[:, None], return_std=True)
    half = z * np.hypot(sigma, apart)
    return mean, half


fresh = np.concatenate([rng.uniform(-2, -0.5, 2000), rng.uniform(0.5, 2, 2000)])
truth = curve(fresh) + rng.normal(0, NOISE, fresh.size)
print(f"σ {sigma:.3f} (the noise is {NOISE}), R² out of bag {model.oob_score_:.3f}")
for level, z in {50: 0.674, 80: 1.282, 90: 1.645, 95: 1.960}.items():
    mean, half = interval(fresh, z)
    print(f"{level} % intervals hold {100 * np.mean(np.abs(truth - mean) <= half):.1f} % of 4000 new samples")
_, inside = model.predict(np.array([[1.0], [0.0]]), return_std=True)
print(f"members apart by {inside[0]:.3f} among samples, by {inside[1]:.3f} in the gap")

# 3. The picture.
grid = np.linspace(-2.2, 2.2, 400)
mean, half = interval(grid, 1.96)
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.fill_between(grid, mean - half, mean + half, alpha=0.25, label="95 % interval")
axes.plot(grid, mean, label="mean of 20 networks")
axes.plot(grid, curve(grid), "k:", label="the curve")
axes.plot(x, y, ".", markersize=3, color="grey", label="samples")
axes.set_ylim(-3.5, 3.5)
axes.legend(fontsize="small")
figure.savefig("uncertainty.png", dpi=120)
print("picture: uncertainty.png")
