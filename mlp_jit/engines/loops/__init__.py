"""The textbook engine: E1 to E10 as loops over n, j and i. Read it in this order:

1. `equations.py`: E1 to E5 and E10, each one function, in the order of the table. E6 is `optimizers.update`.
2. `normalization.py`: E7 to E9, for the layers that have them.
3. `passes.py`: all layers in turn, forward with E1, back with E2 to E5.
4. `steps.py`: the gradient of a batch, and an epoch of E6.

5. `derivatives.py`: ∂ŷ_k/∂x_i, by E3 once more.

`scratch.py` is the room for all numbers, `session.py` where Python calls, `trace.py` hands every number to the reader.
"""

from ..contract import Engine
from .session import Session, forward, jacobian

ENGINE = Engine(forward, jacobian, Session)
