"""The engines by name. Each is a module with the four functions of `contract.Engine`."""

from . import lanes, loops, vectorized
from .contract import Engine

ENGINES: dict[str, Engine] = {"lanes": lanes, "loops": loops, "vectorized": vectorized}
DEFAULT = "lanes"
