"""The fast engine: the equations of the textbook, a register tile at a time.

**A lane is a sample.** The samples of a batch are walked in blocks of S = VECTORS · lanes (32 in float32 on AVX-512),
and in a block each number of unit i is a row of S numbers, one a sample. So E1 for a block is the textbook's loop
with a whole row in the place of a_i, and every lane runs the scalar equations for its own sample:

    z_j = b_j;  for i: z_j += w_ij · a_i          (`tiles.tile_forward`: NEURONS such z_j at once, in registers)

**A step has two phases.** *Samples*: E1 to E3; a task takes a group of blocks through all layers, and shares with the
others nothing but the weights, which nobody writes. *Weights*: E4 to E6; a task owns rows of W, sums their gradient
over the batch in tiles whose lanes are units j, and updates them while they are in cache. Every sum runs in one fixed
order, so the bits are the same for any number of threads. Batch normalisation couples the samples: *samples* is cut at
each such layer, forward and back; all blocks come that far, one worker combines what they sum up to, and all go on.

**The walk, from Python to the registers**, a minute long:

1. `session.py`: a `Session` makes room once (`blueprint.py` says how much) and fills in a job: numbers and addresses
   (`job.py`). `train` enters compiled code once for all steps of a call (`crossing.py`).
2. `worker.py`: `train`, the program of every worker: for each step, *samples*, then *weights*. How workers share the
   tasks of a phase is `team.py`, how many there are `crew.py`.
3. `phases.py`: a task of each phase. `forward_blocks` runs **E1** layer by layer, `loss_blocks` **E2**,
   `backward_blocks` **E3**; `weights` runs **E4** and **E5** (`sum_gradient`), then **E6**.
4. The equations themselves. `tiles.py`: **E1** `forward_layer`, **E3** `hidden_delta`, **E4** and **E5**
   `weight_gradient`, the last row of W being b. `routines.py`: φ of E1, **E2** `loss`, φ' of E3, **E6**
   `optimizer_step`. `normal_blocks.py`: E7 to E10. Each is compiled once, for calls by its address. `panels.py` brings
   numbers to where tiles read them.
5. `simd.py`: the tile, a few vectors of accumulators that stay in registers.

Besides: `few.py`, E1 for a few samples without moving them first, to the same bits; `derivatives.py`, ∂ŷ_k/∂x_i of one;
`nopython.py`, both for other people's compiled code.

Measured (Zen 4, AVX-512, one thread, float32): E1, E3 and E4 run at 110-117 GFLOP/s from some 64 units on, where
OpenBLAS reaches 95-99. Tried, and worse: rows of W read by E3 as they lie (88 for 115 GFLOP/s); the number of lanes as
a division of two runtime numbers (20 ns a tile); E6 by loops over a tile's rows (45 GFLOP/s for the whole phase where
stretches of whole rows reach 107); records of arrays for a job (ten seconds to compile a worker, for one or two).
"""

from ..contract import Engine
from .derivatives import jacobian
from .session import Session, forward

ENGINE = Engine(forward, jacobian, Session)
