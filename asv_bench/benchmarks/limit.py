"""How far a step of training is from what the machine can do: `mlp_jit.limit`, for each network that it lists."""

try:
    from mlp_jit import limit
except ImportError:  # older commits
    limit = None

from .common import DTYPES

NAMES = [
    "64-100-10 batch 200",
    "54-200-200-7 batch 256",
    "784-128-10 batch 128",
    "784-256-256-10 batch 128",
    "512-512-512-512 batch 300",
    "256-1024-1024-1024-10 batch 512",
]


class StepOverLimit:
    """A step's time over that of as many multiply-adds at the peak of one thread, or at the rate of BLAS."""

    param_names = ("network", "dtype", "limit")
    params = (NAMES, DTYPES, ["peak", "product"])
    unit = "step/limit"
    version = "1"

    def setup(self, network: str, dtype: str, of: str) -> None:
        if limit is None:
            raise NotImplementedError("nothing measures the peak at this commit")

    def track_ratio(self, network: str, dtype: str, of: str) -> float:
        sizes, _, batch_size = network.partition(" batch ")
        rates = limit.rates([int(n) for n in sizes.split("-")], int(batch_size), 1, dtype)
        return getattr(rates, of) / rates.step
