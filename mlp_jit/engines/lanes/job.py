"""What crosses from Python to the loops: one job, a record of numbers and addresses, and one record for each layer and
for each task of the weights phase.

A session fills them once (`session.py`); a routine is given the job, and reads what it needs by name. All are int64:
sizes count numbers, places are addresses in bytes, routines are addresses of code, flags are 0 or 1. So the worker's
program is compiled once for both dtypes and all networks.
"""

from typing import Annotated, Any

import numpy as np
from llvmlite import ir
from numba import from_dtype
from numba.core import config, types
from numba.extending import intrinsic

from ...activations import SOFTMAX
from .. import layout
from ..plan import Plan

WORD = 8  # bytes of an int64 or a float64
REALS = ("l2", "clip_value", "clip_norm", "decay", "p")


def record_of(*names: str) -> np.dtype:
    return np.dtype([(name, np.float64 if name in REALS else np.int64) for name in " ".join(names).split()])


JOB = record_of(
    # the network
    "item layers top params state parameters",  # bytes of a number; the record of layer 0; L; θ; μ and v; of ℓ
    # samples: X, y and their weights; ids and places in the order of the steps, how many; outputs, if asked for
    "X y sample_weight order places samples out",
    # a sparse X: whether it is; its structure; a chunk's numbers by columns, see `sparse.py`; 0, 1, …; whether the rows
    # of W that a batch does not touch rest
    "sparse indices indptr count begin touched sample value sequence rests",
    # steps: how many, how long; an epoch's samples and steps; those before; whether they update, and by what rules
    "trains steps batch_size epoch epoch_steps t rates",
    "updates l2 per_sample clips clip_value norm_first clip_norm decay seed",
    "settings m v",  # of the optimizer: its numbers and its moments, the first row and the last
    # workers, and the blocks of a task
    "workers counters give_way group",
    # sizes: a block's samples and lanes, its rows, half of a δ, a chunk, a strip of gradient, whether that is all of it
    "S shift lanes size half capacity strip whole",
    "tasks n_tasks",  # of the weights phase
    # scratch: a chunk's blocks (h is a where nothing is dropped or skipped), δ turned, W in panels, zeros for b
    "a h own_a apart panels packed zero",
    # for each desk: z, δ in two halves, y, four numbers a sample, its id, a row's start
    "z delta target of_samples ids starts",
    "g own_g",  # the gradient: of all parameters where `whole`, else a strip for each worker
    # a row for each step: coefficients, N, Σ weight ℓ/N of each block, Σ w² of each task; Σ g² of each task
    "c N block_loss blocks squares norms figures",
    # E7 to E9: the cuts of the samples phase, how many; units in all; scratch, see `normal_blocks.py`
    "cuts n_cuts stays units normal delta_h moments sums mean inv_std product product_normal",
    "vector",  # numbers that φ takes at a time, see `few.py`
    # ∂ŷ/∂x, see `derivatives.py`: the outputs it is of; multiply-adds for all inputs, each output; numbers of scratch
    "first_output n_outputs by_inputs by_outputs fixed room wide jacobian one",
    # routines of the worker
    "program go plan pack know_moments samples_task weights cut losses",
    "load_blocks forward_blocks loss_blocks write_blocks backward_blocks sum_gradient",
    "hand_on normalize_block sum_products normalized_delta sort_chunk rows_gradient step_touched",
    # and of the equations, see `routines.py`
    "plan_steps pack_rows gather_block weigh_block forward_layer few loss panel_block weight_gradient",
    "optimizer_step add_losses write_outputs start_gradient clip clip_by_norm sum_of_squares drop_block",
    "block_moments block_products combine_moments combine_products known_moments gain_gradient add move",
    "forward_nonzeros sort_samples nonzero_gradient",
    "jacobian_row backward_rows start_rows scale_rows center_rows softmax_rows turn_rows",
)
LAYER = record_of(
    "n_in n_out weights biases gains running unit batch layer skips",  # as in `layout`; `running` is STATE
    "first forward backward own delta",  # its first row in a block; where its panels are, and whether E3 has its own
    "hidden_delta activate softmax slope drops p normalize normalize_delta",  # routines; flags; p of dropout
)
TASK = record_of("layer first last")  # rows first..last of the layer's W
FIELDS, LAYER_FIELDS = ({name: k for k, name in enumerate(dtype.names or ())} for dtype in (JOB, LAYER))
OF_LAYOUT = {  # fields of a layer that are columns of the plan's table
    "n_in": layout.N_IN, "n_out": layout.N_OUT, "weights": layout.WEIGHTS, "biases": layout.BIASES,
    "gains": layout.GAINS, "running": layout.STATE, "unit": layout.UNITS, "skips": layout.SKIPS,
}  # fmt: skip


# --------------------------------------------------------------------------------------- as Python fills them


def only_compiled() -> None:
    """NotImplementedError where nothing is."""
    if config.DISABLE_JIT:
        raise NotImplementedError('the lanes engine exists only compiled: under NUMBA_DISABLE_JIT use engine="loops"')


def address(array: np.ndarray) -> int:
    """Where an array starts."""
    return int(array.__array_interface__["data"][0])


class Record:
    """A job's record, and the arrays that it has the addresses of, which live as long as it does."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers, self.reals = numbers, numbers.view(np.float64)
        self.arrays: dict[str, np.ndarray] = {}

    def set(self, **fields: int) -> None:
        """Fields by name."""
        for name, value in fields.items():
            self.numbers[FIELDS[name]] = value

    def set_reals(self, **fields: float) -> None:
        """Fields that hold a float64."""
        for name, value in fields.items():
            self.reals[FIELDS[name]] = value

    def keep(self, **arrays: np.ndarray) -> None:
        """Arrays, each under the name of the field that holds its address."""
        self.arrays.update(arrays)
        for name, array in arrays.items():
            self.numbers[FIELDS[name]] = address(array)


def layer_records(plan: Plan) -> np.ndarray:
    """The records of layers 0..L, as far as they follow from the plan: int64 (L + 1, fields)."""
    layers = np.zeros((len(plan.sizes), len(LAYER_FIELDS)), np.int64)
    records, kinds = layers.view(LAYER)[:, 0], plan.table[:, layout.KIND]
    for name, column in OF_LAYOUT.items():
        records[name] = plan.table[:, column]
    records["batch"], records["layer"] = kinds == layout.BATCH, kinds == layout.LAYER
    records["softmax"] = plan.table[:, layout.PHI] == SOFTMAX
    return layers


# --------------------------------------------------------------------------------------- as compiled code reads them


Job = Annotated[Any, from_dtype(JOB)]


def reader(dtype: np.dtype) -> Any:
    record = from_dtype(dtype)

    @intrinsic
    def read(typingctx, address, k):
        """The k-th record from this address on."""

        def codegen(context, builder, signature, args):
            size = ir.Constant(args[0].type, dtype.itemsize)
            place = builder.add(args[0], builder.mul(args[1], size))
            return builder.inttoptr(place, context.get_value_type(record))

        return record(types.intp, types.intp), codegen

    return read


job_at, layer_at, task_at = (reader(dtype) for dtype in (JOB, LAYER, TASK))


@intrinsic
def integers(typingctx, address):
    """The int64 from this address on."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int64)(types.intp), codegen


@intrinsic
def address_of(typingctx, array):
    """Where the numbers of an array start."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.intp(array), codegen
