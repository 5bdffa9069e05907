"""The disk cache of compiled code: Numba's, made safe where the sources change or several processes write at once.

Numba serves a function from its cache while the one file that defines it stands as it was. A callee is compiled into
its callers, so a change in another file (an edit, an upgrade of the package) left old machine code running. And
Numba numbers its files by an index that two processes may write at the same time: then one finds under its own key
what the other compiled, say tanh under relu. Here a file is named by everything it depends on, and no index is kept.
"""

import hashlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

SOURCES = (  # all that may be compiled, or be a constant in what is
    "_cache", "_jit", "_notice", "_straight", "_math", "validation", "activations", "losses", "optimizers",
    "initializers", "schedules", "dropout", "engines/*", "engines/*/*",
)  # fmt: skip


@cache
def sources_digest() -> str:
    """A digest of SOURCES as they stand when it is first asked for. Takes some 1 ms."""
    digest = hashlib.sha256()
    for name in SOURCES:
        for path in sorted(Path(__file__).parent.glob(f"{name}.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _Files(IndexDataCacheFile):
    """One file for each key: BASE.STAMP.KEY.nbc holds (key, data)."""

    def __init__(self, folder: str, base: str, stamp: str) -> None:
        super().__init__(folder, base, stamp)
        self._base, self._stamp = base, stamp

    def load(self, key: Any) -> Any:
        """The data saved under this key and these sources, or None."""
        try:
            saved, data = self._load_data(self._name(key))
        except OSError:
            return None
        return data if saved == key else None

    def save(self, key: Any, data: Any) -> None:
        """Save the data, and remove what other sources left here."""
        self._save_data(self._name(key), (key, data))
        for path in Path(self._cache_path).glob(f"{self._base}.*.nbc"):
            if not path.name.startswith(f"{self._base}.{self._stamp}."):
                with suppress(OSError):  # another process was faster, or is reading it
                    path.unlink()

    def _name(self, key: Any) -> str:
        return f"{self._base}.{self._stamp}.{_digest(numba.__version__, key)}.nbc"


class FunctionFiles(FunctionCache):
    """The cache of one function. Raises RuntimeError where there is no folder that can be written."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        stamp = _digest(self._impl.locator.get_source_stamp(), sources_digest())
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        """What tells its compiled forms apart: types, target, and what is in its closure, kernels by their names."""
        cells = [cell.cell_contents for cell in self._py_func.__closure__ or ()]
        return sig, codegen.magic_tuple(), [getattr(content, "__qualname__", content) for content in cells]


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
