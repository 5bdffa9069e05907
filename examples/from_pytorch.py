"""Trained in PyTorch, run here: a network that goes from one library to the other as an ONNX file.

    Linear, BatchNorm1d, SiLU     z = b + γ (s − μ)/√(v + ε),  s = Σ_i w_ij a_i     a = z σ(z)
    Linear, Softmax               z = b + Σ_i w_ij a_i                              ŷ = softmax(z)

Trained, μ and v are numbers, so that PyTorch's exporter puts the first line into one W and b. The network that comes
out of the file has E1 alone, and runs where any other does: row by row, in many threads, without PyTorch.
Needs PyTorch and its exporter's packages. Where they are missing, it says so and ends.
"""

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np

try:
    import onnxscript  # noqa: F401, the exporter asks for it
    import torch
except ImportError:
    print("This example needs PyTorch: pip install torch onnx onnxscript")
    raise SystemExit from None

from mlp_jit import fit
from mlp_jit.interop import from_onnx
from mlp_jit.plots import DecisionBoundaryDisplay

# Two moons, one in the other.
rng = np.random.default_rng(0)
angle, label = rng.uniform(0, np.pi, 400), rng.integers(0, 2, 400)
upper, lower = (np.cos(angle), np.sin(angle)), (1 - np.cos(angle), 0.5 - np.sin(angle))
X = (np.where(label, lower, upper).T + rng.normal(0, 0.15, (400, 2))).astype("float32")

# 1. Their training loop.
torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Linear(2, 16), torch.nn.BatchNorm1d(16), torch.nn.SiLU(), torch.nn.Linear(16, 2), torch.nn.Softmax(dim=1)
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
inputs, targets = torch.tensor(X), torch.tensor(label)
for epoch in range(201):
    loss = -model(inputs)[range(400), targets].log().mean()
    if epoch % 50 == 0:
        print(f"PyTorch, epoch {epoch:3d}   loss {loss.item():.4f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.eval()  # from here on batch normalisation goes by its running statistics

# 2. Out as one file, with as many rows as one likes, and in again.
logging.getLogger("torch.onnx").setLevel(logging.ERROR)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "moons.onnx"
    rows = {0: torch.export.Dim("n")}
    with warnings.catch_warnings(action="ignore"):  # the exporter's own
        torch.onnx.export(model, (inputs,), path, dynamic_shapes=(rows,), external_data=False, verbose=False)
    print(f"\na file of {path.stat().st_size} bytes")
    net = from_onnx(path)
print(net)

# 3. The same answers, and the same network: it can be looked into, and trained further.
with torch.no_grad():
    theirs = model(inputs).numpy()
print(f"largest difference of the probabilities: {abs(net.forward(X) - theirs).max():.1e}")
right = [np.mean(outputs.argmax(axis=1) == label) for outputs in (theirs, net.forward(X))]
print(f"accuracy in PyTorch {right[0]:.3f}, here {right[1]:.3f}")
before = net.loss(X, label)
fit(net, X, label, optimizer="adam", learning_rate=0.005, batch_size=50, epochs=50, random_state=0)
print(f"trained on for 50 epochs here: loss {before:.4f} → {net.loss(X, label):.4f}")

DecisionBoundaryDisplay.from_network(net, X, label).figure_.savefig("from_pytorch.png")
print("picture: from_pytorch.png")
