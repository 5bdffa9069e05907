"""Networks of PyTorch and Keras as their exporters write them: `python tests/foreign.py torch`, or `keras`, writes
goldens/onnx anew, graphs beside what the library itself answers.

PyTorch has two exporters, by trace (at opset 13, where normalisations and GELU come composed) and by torch.export,
which needs onnxscript. Keras goes through tf2onnx.
"""

import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "goldens" / "onnx"
X = np.random.default_rng(0).normal(size=(6, 4)) * 2


# --------------------------------------------------------------------------------------- PyTorch


def of_torch(torch):
    """Five networks by name, with random numbers for everything they have."""
    nn = torch.nn

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third, self.last = (
                nn.Linear(*size) for size in [(4, 6), (6, 6), (6, 6), (6, 2)]
            )

        def forward(self, x):
            h = torch.relu(self.first(x))
            h = h + torch.tanh(self.second(h))
            return torch.softmax(self.last(nn.functional.silu(self.third(h)) + h), dim=1)

    class Composed(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.ModuleList(
                [nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 1)]
            )
            self.norm = nn.LayerNorm(6, eps=1e-3)

        def forward(self, x):
            first, second, third, fourth, last = self.linear
            z = first(x / 4)
            z = second(z * torch.sigmoid(z))
            z = self.norm(z * 0.5 * (1.0 + torch.erf(z / 2**0.5)))
            z = third(z)
            z = fourth(z * nn.functional.relu6(z + 3) / 6)
            return torch.sigmoid(last(torch.log(1 + torch.exp(z))))

    activations = [
        nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.Hardsigmoid(), nn.Softplus(), nn.SELU(), nn.ELU(), nn.LeakyReLU(),
        nn.Hardtanh(), nn.Sigmoid(),
    ]  # fmt: skip
    hidden = [part for n, phi in enumerate(activations) for part in (nn.Linear(4 + n % 2, 5 - n % 2), phi)]
    networks = {
        "activations": nn.Sequential(*hidden, nn.Linear(4, 2)),
        "normalised": nn.Sequential(
            nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 6), nn.BatchNorm1d(6, eps=1e-2), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 4, bias=False), nn.LayerNorm(4), nn.SELU(),
            nn.Linear(4, 3), nn.Softmax(dim=-1),
        ),
        "residual": Residual(),
        "composed": Composed(),
        "double": nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1), nn.Tanh()).double(),
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    for network in networks.values():
        for name, tensor in network.eval().state_dict().items():
            if tensor.is_floating_point():
                tensor.normal_(0, 0.7, generator=generator)
                tensor += 1.0 * ("norm" in name)
                tensor.abs_() if name.endswith("running_var") else None
    return networks


def exported(torch, network, *, dynamo):
    """The bytes of a graph, and what PyTorch answers for X."""
    x = torch.tensor(X, dtype=next(network.parameters()).dtype)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            rows = {0: torch.export.Dim("n")}
            made = torch.onnx.export(network, (x,), dynamo=True, dynamic_shapes=(rows,), verbose=False)
            file.write(without_comments(made.model_proto).SerializeToString())
        else:
            torch.onnx.export(
                network, (x,), file, dynamo=False, opset_version=13, input_names=["x"], dynamic_axes={"x": {0: "n"}}
            )
    return file.getvalue(), network(x).detach().numpy()


def without_comments(model):
    """A graph without the names of the files that the exporter found the network in."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    return model


def write_torch():
    import torch

    for name, network in of_torch(torch).items():
        for dynamo, exporter in ((False, "trace"), (True, "export")):
            write(f"torch_{exporter}_{name}", *exported(torch, network, dynamo=dynamo))


# --------------------------------------------------------------------------------------- Keras


def write_keras():
    import keras
    import tensorflow as tf
    import tf2onnx
    from keras import layers

    names = ("silu", "gelu", "hard_sigmoid", "hard_silu", "softplus", "selu", "elu", "sigmoid", "hard_tanh", "relu")
    inputs = layers.Input((4,))
    h = layers.Dense(6, activation="relu")(inputs)
    h = layers.Add()([h, layers.Dense(6, activation="tanh")(h)])
    networks = {
        "activations": keras.Sequential(
            [
                layers.Input((2, 2)), layers.Flatten(), *(layers.Dense(5, activation=name) for name in names),
                layers.Dense(2),
            ]
        ),
        "normalised": keras.Sequential(
            [
                layers.Input((4,)), layers.Dense(6), layers.BatchNormalization(), layers.LeakyReLU(0.01),
                layers.Dropout(0.1), layers.Dense(5, activation="tanh"), layers.LayerNormalization(),
                layers.Dense(6, activation="tanh"), layers.BatchNormalization(), layers.Dense(3, activation="softmax"),
            ]
        ),
        "residual": keras.Model(inputs, layers.Dense(1, activation="sigmoid")(h)),
    }  # fmt: skip
    rng = np.random.default_rng(0)
    for name, network in networks.items():
        network.set_weights([abs(rng.normal(0, 0.7, w.shape)) if "var" in w.path else rng.normal(0, 0.7, w.shape)
                             for w in network.weights])  # fmt: skip
        x = X.astype(np.float32).reshape(-1, *network.input_shape[1:])
        signature = [tf.TensorSpec((None, *network.input_shape[1:]), tf.float32, name="x")]
        function = tf.function(lambda x, network=network: network(x, training=False), input_signature=signature)
        proto, _ = tf2onnx.convert.from_function(function, input_signature=signature)
        write(f"keras_{name}", proto.SerializeToString(), np.asarray(network(x, training=False)))


def write(name, graph, answers):
    (FOLDER / f"{name}.onnx").write_bytes(graph)
    (FOLDER / f"{name}.json").write_text(json.dumps(answers.astype(float).tolist()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    {"torch": write_torch, "keras": write_keras}[sys.argv[1]]()
