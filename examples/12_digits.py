"""The real thing: 1,797 handwritten digits, 8 × 8 pixels each, ten classes.

    ŷ_k = e^(z_k) / Σ_m e^(z_m)        ℓ = −log ŷ_c for a digit that is a c        δ_k = ŷ_k − y_k

Needs scikit-learn, which brings the digits.
"""

import numpy as np
from sklearn.datasets import load_digits

from mlp_jit import Adam, MLPClassifier, Network, fit
from mlp_jit.plots import LossCurveDisplay, WeightsDisplay

images, labels = load_digits(return_X_y=True)
X = (images / 16).astype("float32")  # pixels from 0 to 1
order = np.random.default_rng(0).permutation(len(X))
test, rest = np.split(order, [360])
validation, train = np.split(rest, [100])
print(f"{len(train)} digits to learn from, {len(validation)} to know when to stop, {len(test)} to be judged by\n")

# 1. A Network and fit, which show every part.
net = Network([64, 100, 10], activation="relu", output="softmax", random_state=0)
print(net.summary(batch_size=50), "\n")
history = fit(
    net,
    X[train],
    labels[train],
    optimizer=Adam(),
    learning_rate=2e-3,
    batch_size=50,
    epochs=100,
    l2=1e-4,
    validation_data=(X[validation], labels[validation]),
    early_stopping=10,  # epochs without a better validation loss; the best weights are kept
    random_state=0,
)
for epoch in range(0, len(history.loss), 5):
    loss, validation_loss = history.loss[epoch], history.validation_loss[epoch]
    print(f"epoch {epoch + 1:3d}   loss {loss:.4f}   validation loss {validation_loss:.4f}")
print(f"epoch {len(history.loss):3d}   {history.stopped or 'the last one'}\n")

probabilities = net.forward(X[test])
read = probabilities.argmax(axis=1)
print(f"Network: test accuracy {np.mean(read == labels[test]):.4f}\n")

# Which ones it gets wrong, the surest mistake first.
mistakes = np.flatnonzero(read != labels[test])
mistakes = mistakes[np.argsort(-probabilities[mistakes].max(axis=1))]
for n in mistakes[:2]:
    print(f"a {labels[test[n]]}, read as a {read[n]} with probability {probabilities[n].max():.2f}")
    for line in images[test[n]].reshape(8, 8).astype(int):
        print("    " + "".join(" .:-=+*#%"[pixel // 2] * 2 for pixel in line))

# 2. The same in two lines for those who know scikit-learn: here no digit is set aside, and the training loss says when
#    to stop.
classifier = MLPClassifier(hidden_layer_sizes=(100,), learning_rate_init=3e-3, batch_size=50, random_state=0)
classifier.fit(X[rest], labels[rest])
print(f"\nMLPClassifier: test accuracy {classifier.score(X[test], labels[test]):.4f}")

# Pictures: the losses, and what each hidden unit looks for in the 8 × 8 pixels.
LossCurveDisplay.from_history(history).figure_.savefig("12_losses.png")
WeightsDisplay.from_network(net).figure_.savefig("12_weights.png")
print("pictures: 12_losses.png, 12_weights.png")
