"""The NumPy baseline: E1-E6 as matrix products, one mini-batch after the other, in a small layer language.

Everything the other engines are measured against, so it is written as fast NumPy: BLAS does E1, E3 and E4, the rest
works in place, float32 stays float32, and E6 is a few passes over the flat parameter vector instead of a loop over
its arrays. Read it in this order: `layers.py`, E1 and E3 to E5 layer by layer; `criterion.py`, E2; `steps.py`, E6;
`network.py`, a network made of layers; `session.py`, all of it for each batch.
"""

from ..contract import Engine
from .session import Session, forward, jacobian

ENGINE = Engine(forward, jacobian, Session)
