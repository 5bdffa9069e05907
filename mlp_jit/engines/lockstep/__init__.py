"""Many small networks at once: a lane is a network.

In the lanes engine a register holds a number of as many samples as it has lanes; here it holds that number of as many
*networks*. Their w_ij lie side by side, and every equation is the textbook's with a register in the place of a number:
each lane runs its own network, on its own samples, by its own η. So nothing is left over at a layer's edge, however
narrow that is, and every sum has the order that it has in a fit of one network: each ends with the bits of `fit` alone.

In this order: `session.py`, what networks in lockstep have in common and what each has of its own; `steps.py`, what a
worker does with a pack of them: `forward` **E1**, `judge` **E2**, `backward` **E3** and **E4**, **E5** on the way,
`update` **E6**; `tiles.py`, the sums of E1, E3 and E4; `routines.py`, what a lane has of its own: its samples, λ,
clipping, dropout; `rows.py`, which lets E6's kernels take a register for a number; `job.py`, the records that cross
from Python. φ, φ' and ℓ are the lanes engine's.

Between two calls each network has its own parameters and moments: a pack is laced when its turn comes and unlaced in
the end, in the room of the worker that takes it. Workers share nothing.

Measured (Zen 5, AVX-512, one thread, float32, Adam): a step of each of 256 networks 2-8-2, batch 16, takes 0.15 µs, of
4-16-1, 150 samples, 1.1; of 64 networks 10-32-32-3, batch 50, 2.9. The tiles run at 130 to 260 GFLOP/s.
"""

from .session import Member, Session, kind, takes

__all__ = ["Member", "Session", "kind", "takes"]
