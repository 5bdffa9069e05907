"""Training: `fit.py` from arguments to a run, `data.py` the samples, `epochs.py` the epochs, `history.py` what they
come to, `callbacks.py` what may happen after each, `checkpoint.py` how a fit goes on that died.
"""

from .callbacks import Callback, EarlyStopping, Progress
from .checkpoint import Checkpoint
from .fit import fit
from .history import History, Training

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "History", "Progress", "Training", "fit"]
