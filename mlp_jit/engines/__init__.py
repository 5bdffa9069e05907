"""The engines by name: three houses, one contract. Beside them `lockstep` trains many networks at once."""

from . import lanes, loops, vectorized
from .contract import Engine

ENGINES: dict[str, Engine] = {"lanes": lanes.ENGINE, "loops": loops.ENGINE, "vectorized": vectorized.ENGINE}
DEFAULT = "lanes"
