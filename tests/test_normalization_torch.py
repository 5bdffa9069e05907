"""Batch and layer normalisation against PyTorch's numbers.

5-8-8-3, tanh and cross-entropy, float64, after five steps of SGD with η = 0.3 on 16 samples each. The goldens are of
PyTorch 2.13.0: Linear(bias=False) with BatchNorm1d(eps=1e-5, momentum=0.1) or LayerNorm(eps=1e-5), then Tanh, the last
Linear with a bias. `python tests/test_normalization_torch.py` writes them anew where torch is installed.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from mlp_jit import SGD, Network, fit
from mlp_jit.engines.layout import SKIPS

GOLDENS = Path(__file__).parent / "goldens" / "normalization_torch.json"
KINDS = {  # (normalization, skip)
    "batch": ("batch", False),
    "layer": ("layer", False),
    "layer and batch, with a skip": (["layer", "batch"], True),
}
SIZES, BATCH, STEPS, ETA = (5, 8, 8, 3), 16, 5, 0.3


def waves(*shape):
    """Numbers in −1..1 without a pattern, the same everywhere."""
    return np.cos(np.arange(float(np.prod(shape))) ** 2).reshape(shape)


X, X_NEW = waves(STEPS * BATCH, SIZES[0]), 2 * waves(12, SIZES[0])[5:] + 0.5
y = np.arange(STEPS * BATCH) ** 2 // 7 % SIZES[-1]


def network(kind):
    normalization, skip = KINDS[kind]
    net = Network(
        SIZES, activation="tanh", output="softmax", normalization=normalization, skip=skip, dtype="float64",
        random_state=0,
    )  # fmt: skip
    net.params[:] = waves(net.n_params) / 2
    for gain in net.gains:
        gain += 1
    return net


@pytest.mark.parametrize("kind", KINDS)
def test_five_steps_are_pytorchs(engine, kind):
    golden = json.loads(GOLDENS.read_text(encoding="utf-8"))[kind]
    net = network(kind)
    fit(net, X, y, optimizer=SGD(), learning_rate=ETA, batch_size=BATCH, epochs=1, shuffle=False, engine=engine)
    for name, actual in (
        ("params", net.params),
        ("state", net.state),
        ("outputs", net.forward(X_NEW, engine=engine)),
    ):
        np.testing.assert_allclose(actual.ravel(), golden[name], rtol=0, atol=1e-10, err_msg=name)


def by_torch(torch, kind):
    """The same five steps by PyTorch: its parameters, running statistics and outputs, laid out as ours are."""
    start = network(kind)
    modules, norms = [], []
    for l, name in enumerate((*start.normalizations, None)):
        W, b = (torch.tensor(part.copy()) for part in (start.weights[l], start.biases[l]))
        linear = torch.nn.Linear(*W.shape, bias=name is None)
        linear.weight.data = W.T.contiguous()
        if name is None:
            linear.bias.data = b
            norm = None
        else:
            norm = {"batch": torch.nn.BatchNorm1d, "layer": torch.nn.LayerNorm}[name](len(b))
            norm.weight.data, norm.bias.data = torch.tensor(start.gains[l].copy()), b
        modules.append(linear)
        norms.append(norm)
    layers = torch.nn.ModuleList([*modules, *filter(None, norms)])

    def forward(x):
        for l, (linear, norm) in enumerate(zip(modules[:-1], norms[:-1], strict=True)):
            a = torch.tanh(norm(linear(x)))
            x = a + x if start.table[l + 1, SKIPS] else a
        return modules[-1](x)

    stepper = torch.optim.SGD(layers.parameters(), lr=ETA)
    for step in range(STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        stepper.zero_grad()
        logits = forward(torch.tensor(X[rows]))
        torch.nn.functional.cross_entropy(logits, torch.tensor(y[rows])).backward()
        stepper.step()
    params, state = [], []
    for linear, norm in zip(modules, norms, strict=True):
        last = [linear.bias] if norm is None else [norm.bias, norm.weight]
        params += [linear.weight.T, *last]
        state += [norm.running_mean, norm.running_var] if isinstance(norm, torch.nn.BatchNorm1d) else []
    layers.eval()
    parts = {"params": params, "state": state, "outputs": [torch.softmax(forward(torch.tensor(X_NEW)), dim=1)]}
    return {
        name: [float(f"{number:.12g}") for array in arrays for number in array.detach().reshape(-1).tolist()]
        for name, arrays in parts.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_goldens_are_those_of_the_pytorch_that_is_installed(kind):
    torch = pytest.importorskip("torch")
    golden = json.loads(GOLDENS.read_text(encoding="utf-8"))[kind]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        theirs = by_torch(torch, kind)
    finally:
        torch.set_default_dtype(before)
    for name, numbers in theirs.items():
        np.testing.assert_allclose(numbers, golden[name], rtol=0, atol=1e-10, err_msg=name)


def write_goldens():
    import torch

    torch.set_default_dtype(torch.float64)
    GOLDENS.parent.mkdir(exist_ok=True)
    GOLDENS.write_text(json.dumps({kind: by_torch(torch, kind) for kind in KINDS}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_goldens()
