"""Training: `fit.py` from arguments to a run, `run.py` what happens from epoch to epoch, `data.py` the samples,
`epochs.py` the steps, `history.py` what they come to, `callbacks.py` what may happen after each epoch, `checkpoint.py`
how a fit goes on that died, `stream.py` a fit on more rows than fit into memory.
"""

from .callbacks import Callback, EarlyStopping, Progress
from .checkpoint import Checkpoint
from .fit import fit
from .history import History, Training
from .stream import Rows, fit_stream

__all__ = [
    "Callback", "Checkpoint", "EarlyStopping", "History", "Progress", "Rows", "Training", "fit", "fit_stream"
]  # fmt: skip
