"""What a row and its Jacobian cost inside compiled code, beside NumPy, PyTorch and ONNX Runtime called from Python."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from mlp_jit import Network

from .common import DTYPES, median_ratio, one_thread, turn

NETWORKS = {  # sizes, activation, output
    "64-64-64-10": ((64, 64, 64, 10), "relu", "softmax"),
    "3-20-20-2 tanh": ((3, 20, 20, 2), "tanh", "identity"),
    "784-128-10": ((784, 128, 10), "relu", "softmax"),
}
ROWS = 100  # of a timed call, as one takes less than the clock shows
TURN = 0.01  # seconds


def network(name: str, dtype: str) -> tuple[Network, np.ndarray]:
    """The network, and ROWS rows for it; NotImplementedError where this commit has no `nopython`."""
    sizes, activation, output = NETWORKS[name]
    net = Network(sizes, activation=activation, output=output, dtype=dtype, random_state=0)
    if not hasattr(net, "record"):
        raise NotImplementedError("no mlp_jit.nopython")
    return net, np.random.default_rng(0).normal(size=(ROWS, sizes[0])).astype(dtype)


def in_compiled_code(net: Network, X: np.ndarray, derivatives: bool = False) -> Callable[[], np.ndarray]:
    """A function that goes through the rows in a compiled loop and returns their outputs, or their Jacobians."""
    from mlp_jit.nopython import jacobian_row, predict_row

    @njit
    def predictions(record, X, out, jacobian):
        for n in range(X.shape[0]):
            predict_row(record, X[n], out[n])

    @njit
    def jacobians(record, X, out, jacobian):
        for n in range(X.shape[0]):
            jacobian_row(record, X[n], out[n], jacobian[n])

    record, loop = net.record(), jacobians if derivatives else predictions
    out = np.empty((len(X), net.sizes[-1]), X.dtype)
    jacobian = np.empty((*out.shape, X.shape[1] if derivatives else 0), X.dtype)

    def call() -> np.ndarray:
        loop(record, X, out, jacobian)
        return jacobian if derivatives else out

    call()
    return call


def in_numpy(net: Network, X: np.ndarray) -> Callable[[], np.ndarray]:
    """The same row by row, in as few calls of NumPy as it takes."""
    phi = np.tanh if net.activations[0] == "tanh" else lambda z: np.maximum(z, 0)

    def row(a: np.ndarray) -> np.ndarray:
        for W, b in zip(net.weights[:-1], net.biases[:-1], strict=True):
            a = phi(a @ W + b)
        z = a @ net.weights[-1] + net.biases[-1]
        if net.output == "softmax":
            e = np.exp(z - z.max())
            return e / e.sum()
        return z

    return lambda: np.array([row(x) for x in X])


def in_torch(net: Network, X: np.ndarray, derivatives: bool = False) -> Callable[[], np.ndarray]:
    """The same row by row in PyTorch, with `torch.func.jacrev`; NotImplementedError without it."""
    try:
        import torch
    except ImportError as error:
        raise NotImplementedError(str(error)) from None
    torch.set_num_threads(1)
    modules: list[Any] = []
    for W, b in zip(net.weights, net.biases, strict=True):
        linear = torch.nn.Linear(*W.shape, dtype=getattr(torch, X.dtype.name))
        linear.weight.data, linear.bias.data = torch.from_numpy(W.T.copy()), torch.from_numpy(b.copy())
        modules += [linear, torch.nn.Tanh() if net.activations[0] == "tanh" else torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1], *([torch.nn.Softmax(dim=-1)] if net.output == "softmax" else []))
    function, rows = torch.func.jacrev(model) if derivatives else model, torch.from_numpy(X)

    def call() -> np.ndarray:
        if derivatives:
            return np.array([function(x).detach().numpy() for x in rows])
        with torch.inference_mode():
            return np.array([function(x).numpy() for x in rows])

    return call


def in_onnxruntime(net: Network, X: np.ndarray) -> Callable[[], np.ndarray]:
    """The same row by row in ONNX Runtime; NotImplementedError without it, or without onnx."""
    try:
        import onnxruntime
        from onnx import helper, numpy_helper
    except ImportError as error:
        raise NotImplementedError(str(error)) from None
    names, nodes, arrays = ["x"], [], []
    last = len(net.weights) - 1
    for l, (W, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        arrays += [numpy_helper.from_array(W.copy(), f"W{l}"), numpy_helper.from_array(b.copy(), f"b{l}")]
        nodes.append(helper.make_node("Gemm", [names[-1], f"W{l}", f"b{l}"], [f"z{l}"]))
        kind = {"tanh": "Tanh", "relu": "Relu", "softmax": "Softmax"}.get(
            net.output if l == last else net.activations[l]
        )
        if kind:
            nodes.append(helper.make_node(kind, [f"z{l}"], [f"a{l}"]))
        names.append(f"a{l}" if kind else f"z{l}")
    number = helper.np_dtype_to_tensor_dtype(X.dtype)
    graph = helper.make_graph(
        nodes, "network", [helper.make_tensor_value_info("x", number, [1, net.sizes[0]])],
        [helper.make_tensor_value_info(names[-1], number, [1, net.sizes[-1]])], arrays,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: np.array([session.run(None, {"x": x[None]})[0][0] for x in X])


PEERS = {"numpy": in_numpy, "torch": in_torch, "onnxruntime": in_onnxruntime}


class RowTime:
    """Seconds of ROWS predictions, or Jacobians, of a row each, inside compiled code."""

    param_names = ("network", "dtype", "what")
    params = ([*NETWORKS], DTYPES, ["predict_row", "jacobian_row"])
    version = "1"

    def setup(self, name: str, dtype: str, what: str) -> None:
        self.loop = in_compiled_code(*network(name, dtype), derivatives=what == "jacobian_row")

    def time_rows(self, name: str, dtype: str, what: str) -> None:
        self.loop()


class RowRatio:
    """A prediction's time inside compiled code over another's, which is called from Python, one thread each."""

    param_names = ("network", "dtype", "other")
    params = ([*NETWORKS], DTYPES, ["numpy", "torch", "onnxruntime"])
    unit = "ours/other's"
    version = "1"

    @one_thread
    def setup(self, name: str, dtype: str, other: str) -> None:
        net, X = network(name, dtype)
        self.ours, self.theirs = in_compiled_code(net, X), PEERS[other](net, X)
        np.testing.assert_allclose(self.ours(), self.theirs(), atol=1e-5)

    @one_thread
    def track_ratio(self, name: str, dtype: str, other: str) -> float:
        return median_ratio(lambda: turn(self.ours, TURN), lambda: turn(self.theirs, TURN))


class JacobianRatio:
    """A Jacobian's time over a prediction's, both inside compiled code, or over that of PyTorch's `jacrev`."""

    param_names = ("network", "dtype", "other")
    params = ([*NETWORKS], DTYPES, ["a prediction", "torch"])
    unit = "ours/other's"
    version = "1"

    @one_thread
    def setup(self, name: str, dtype: str, other: str) -> None:
        net, X = network(name, dtype)
        self.ours = in_compiled_code(net, X, derivatives=True)
        if other == "torch":
            self.theirs = in_torch(net, X, derivatives=True)
            np.testing.assert_allclose(self.ours(), self.theirs(), atol=1e-5)
        else:
            self.theirs = in_compiled_code(net, X)

    @one_thread
    def track_ratio(self, name: str, dtype: str, other: str) -> float:
        return median_ratio(lambda: turn(self.ours, TURN), lambda: turn(self.theirs, TURN))
