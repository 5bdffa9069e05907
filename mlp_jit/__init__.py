r"""A multilayer perceptron engine for the CPU whose source is the index form of the equations.

Letters never change meaning: $n$ is a sample, $l$ a layer, $i$ a unit of layer $l-1$, $j$ a unit of layer $l$, $k$ an
output. $w_{ij}$ joins $i$ to $j$, so `W[i, j]` has shape (n_in, n_out). $z$ is a pre-activation, $a$ an activation,
$\delta$ always $\partial L/\partial z$. $\varphi$ is the activation function, $\ell$ the loss of one sample, $L$ its
(weighted) mean, and $N$ the sum of the sample weights.

| tag | equation | in words |
|-----|----------|----------|
| E1 | $z_j = b_j + \sum_i w_{ij} a_i, \qquad a_j = \varphi(z_j)$ | forward |
| E2 | $\delta_k = \partial \ell / \partial z_k$ at the output layer | output delta |
| E3 | $\delta_i = \varphi'(z_i) \sum_j w_{ij} \delta_j$ | hidden delta |
| E4 | $\partial L / \partial w_{ij} = \frac{1}{N} \sum_n a_i \delta_j$ | weight gradient |
| E5 | $\partial L / \partial b_j = \frac{1}{N} \sum_n \delta_j$ | bias gradient |
| E6 | $\theta \leftarrow \theta - \eta \, \mathrm{step}(\partial L / \partial \theta)$ | update |

A hidden layer may also be normalised, with a gain $\gamma_j$ for each unit, and its inputs may skip it. Then $s_j =
\sum_i w_{ij} a_i$, $\mu$ and $v$ are the mean and the variance of $s$ over the samples of the batch (for predictions:
running ones) or over the units of the layer, $r = 1/\sqrt{v + \varepsilon}$, and $\langle\cdot\rangle$ is the mean over
the same.

| tag | equation | in words |
|-----|----------|----------|
| E7 | $\hat s_j = r \, (s_j - \mu), \qquad z_j = b_j + \gamma_j \hat s_j$ | normalisation |
| E8 | $\partial \ell / \partial s_j = r \, (e_j - \langle e \rangle - \hat s_j \langle e \hat s \rangle)$ | its delta |
| E9 | $\partial L / \partial \gamma_j = \frac{1}{N} \sum_n \hat s_j \delta_j$ | gain gradient |
| E10 | $h_j = a_j + h_i, \qquad i = j$ | skip connection |

Here $e_j = \gamma_j \delta_j$; E3 and E4 read $\partial \ell / \partial s_j$ for $\delta_j$, and E1 and E4 read $h_i$
for $a_i$.

Every kernel's docstring cites its tag. `mlp_jit.engines.loops` is where to read them.
"""

from typing import TYPE_CHECKING, Any

from .activations import Activation
from .losses import Loss, huber, quantile
from .network import Network
from .optimizers import SGD, Adagrad, Adam, AdamW, Lion, NAdam, RMSprop
from .training import Callback, Checkpoint, EarlyStopping, History, Progress, Rows, fit, fit_stream

if TYPE_CHECKING:
    from .estimators import MLPClassifier, MLPRegressor
    from .files.models import load, save
    from .many.ensembles import MLPEnsembleClassifier, MLPEnsembleRegressor
    from .many.fit import fit_many

__version__ = "0.1.0"

__all__ = [  # in the order in which the reference shows them
    "Network",
    "fit",
    "fit_many",
    "fit_stream",
    "Rows",
    "History",
    "MLPClassifier",
    "MLPRegressor",
    "MLPEnsembleClassifier",
    "MLPEnsembleRegressor",
    "save",
    "load",
    "SGD",
    "Adam",
    "AdamW",
    "RMSprop",
    "Adagrad",
    "NAdam",
    "Lion",
    "Activation",
    "Loss",
    "huber",
    "quantile",
    "Callback",
    "EarlyStopping",
    "Progress",
    "Checkpoint",
]


def __getattr__(name: str) -> Any:
    """On first use what few programs need, and the estimators and their files, which import scikit-learn where it is
    installed.
    """
    if name in ("fit_many", "MLPEnsembleClassifier", "MLPEnsembleRegressor"):
        from . import many

        return getattr(many, name)
    if name in ("save", "load"):
        from .files import models

        return getattr(models, name)
    if name in ("MLPClassifier", "MLPRegressor"):
        from . import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
