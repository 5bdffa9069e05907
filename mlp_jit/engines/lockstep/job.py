"""What crosses from Python to the loops: one job, and a record for each network. As in `lanes/job.py`, whose records of
layers serve here, too. Fields of a worker's room say how many bytes behind its start something lies; X, y, parameters
and moments, of which whole lanes are gathered, are counted in numbers from address 0.
"""

from typing import Annotated, Any

from numba import from_dtype

from ..lanes.job import reader, record_of

JOB = record_of(
    # the architecture: bytes of a number, numbers in a register; L, θ's length; W's tasks, as the norm has them
    "item lanes top layers loss_parameters n_params tasks n_tasks",
    # the networks, a pack after the other, the last one repeated to its pack's end, and how many; workers
    "members count packs workers counters",
    # samples of a batch, of a block, and of a stretch whose losses are summed first; steps of a call, and of an epoch
    "batch_size rows S steps epoch_steps",
    "weighted penalises per_sample drops clips by_norm",
    "room room_bytes",  # of the first worker, and of each
    # what lies in it: θ, moments, gradient; a block's numbers, δ in two halves; a number of each of its columns
    "theta m v g z a h delta half y weight ell top_z total one scales ids starts fates bounds",
    # a number of each lane: the samples of its batch and where its order begins; for E6; sums
    "used first X y_k share c c_lane lambdas shrink keys p_drop N block_loss loss squares fold of_task",
    # routines: of steps.py
    "program pack_task lace unlace plan_step start_gradient load forward drop_layer judge backward update report",
    # and of the equations and the small steps around them
    "lace_numbers unlace_numbers load_rows start_rows weigh_columns weigh_lane gather write_outputs weigh",
    "count_samples coefficients copy_lane penalty_of figure",
    "copy_number add_losses start_at_zero penalise squares_of clip shrink_by_norm scale drop_lane drop optimizer_step",
    "loss_of forward_layer weight_gradient hidden_delta",
)
MEMBER = record_of(
    "params m v settings X y sample_weight order samples stride rates figures t seed dropout out",
    "l2 clip_value clip_norm decay",
)

Job = Annotated[Any, from_dtype(JOB)]
job_at, member_at = reader(JOB), reader(MEMBER)
