"""Training: `fit.py` from arguments to a run, `data.py` the samples, `epochs.py` the epochs, `history.py` what they
come to, `callbacks.py` what may happen after each.
"""

from .callbacks import Callback, EarlyStopping, Progress
from .fit import fit
from .history import History, Training

__all__ = ["Callback", "EarlyStopping", "History", "Progress", "Training", "fit"]
