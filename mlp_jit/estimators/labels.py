"""The classes of y: which there are, and how the network sees them."""

from typing import Any

import numpy as np

from .. import validation
from .scikit_learn import type_of_target, unique_labels


class Labels:
    """Classes as scikit-learn's LabelBinarizer learns them from y (n_samples,), or from y (n_samples, n_labels) of
    several labels at once, and the way from them to outputs and back.

    One output says which of two classes it is (of one class: nothing), more than two classes are one-hot, and each of
    several labels has an output of its own. Raises ValueError for a y that holds no classes.
    """

    def __init__(self, y: Any) -> None:
        self.kind = type_of_target(y, input_name="y")
        if "multioutput" in self.kind:
            raise ValueError("Multioutput target data is not supported with label binarization")
        self.is_sparse = validation.is_sparse(y)
        self.classes = unique_labels(y)

    @classmethod
    def of(cls, classes: np.ndarray, *, one_hot: bool, multilabel: bool) -> "Labels":
        """Those of a network that was never fitted: sorted classes, or the names of several labels."""
        labels = cls(np.eye(len(classes), dtype=int) if multilabel else np.arange(len(classes)))
        labels.kind = "multiclass" if one_hot else labels.kind
        labels.classes = classes
        return labels

    @property
    def multilabel(self) -> bool:
        """Whether a sample may have several labels."""
        return self.kind.startswith("multilabel")

    @property
    def output(self) -> str:
        """φ of the output layer."""
        return "softmax" if self.kind == "multiclass" else "sigmoid"

    def encode(self, y: Any) -> np.ndarray:
        """y as the network's targets, bool (n_samples, n_outputs). A class that was never learnt is all False."""
        if self.multilabel:
            encoded = np.asarray(validation.dense(y)) != 0
            if encoded.shape[1:] != self.classes.shape:
                raise ValueError(
                    f"classes {self.classes} mismatch with the labels {unique_labels(y)} found in the data"
                )
            return encoded
        y = np.asarray(y).reshape(-1)
        if len(self.classes) == 1:
            return np.zeros((len(y), 1), bool)
        if self.kind == "binary":
            return np.asarray(y == self.classes[1], bool)[:, None]
        place = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
        return (place[:, None] == np.arange(len(self.classes))) & np.asarray(self.classes[place] == y, bool)[:, None]

    def indices(self, encoded: np.ndarray) -> np.ndarray:
        """The place in `classes` of each sample's class, (n_samples,), of targets or outputs (n_samples, n_outputs)."""
        if encoded.shape[1] > 1:
            return encoded.argmax(axis=1)
        return (encoded[:, 0] > 0.5).astype(np.intp) % len(self.classes)

    def indices_by_label(self, encoded: np.ndarray) -> list[np.ndarray]:
        """`indices`, alone in a list; of several labels whether each sample has it, 0 or 1, label by label."""
        return list(encoded.T.astype(np.intp)) if self.multilabel else [self.indices(encoded)]

    def decode(self, encoded: np.ndarray) -> Any:
        """The classes (n_samples,), or of several labels 0 and 1 (n_samples, n_labels), of targets or of outputs."""
        if not self.multilabel:
            return self.classes[self.indices(encoded)]
        chosen = (encoded > 0.5).astype(int)
        if self.is_sparse:
            from scipy.sparse import csr_matrix  # as y came

            return csr_matrix(chosen)
        return chosen

    def right(self, outputs: np.ndarray, encoded: np.ndarray) -> np.ndarray:
        """Which samples are predicted right, bool (n_samples,): of several labels, all of them."""
        if self.multilabel:
            return ((outputs > 0.5) == encoded).all(axis=1)
        return self.indices(outputs) == self.indices(encoded)
