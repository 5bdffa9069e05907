// The same run in Python.

export function snippet({ setting, epoch, altered }) {
  const { dataset, layers, width, activation, learning_rate, batch_size, l2, seed } = setting;
  const sizes = [2, ...Array(layers).fill(width), 1].join(", ");
  return `from mlp_jit import Network, fit
from mlp_jit.study.page.data import dataset

X, y = dataset("${dataset}")
net = Network([${sizes}], activation="${activation}", output="sigmoid", dtype="float64", random_state=${seed})
fit(net, X, y, optimizer="sgd", learning_rate=${learning_rate}, batch_size=${batch_size}, l2=${l2}, epochs=${epoch},
    engine="loops", random_state=${seed})${altered ? "  # without the changes on the way" : ""}
net.trace(X, y)  # every z, a and δ`;
}
