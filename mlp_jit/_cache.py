"""The disk cache of compiled code: Numba's, made safe where the sources change or several processes write at once.

Numba serves a function from its cache while the one file that defines it stands as it was. A callee is compiled into
its callers, so a change in another file (an edit, an upgrade of the package) left old machine code running. And
Numba numbers its files by an index that two processes may write at the same time: then one finds under its own key
what the other compiled, say tanh under relu. Here a file is named by everything it depends on, and no index is kept.

A file begins with a digest of the rest. What was cut, altered or cannot be read is compiled and written anew. What
cannot be written, as the disk is full or the folder now read-only, is not kept. Neither raises, and each is a line of
the logger "mlp_jit.cache", at the level DEBUG.
"""

import hashlib
import logging
import pickle
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

log = logging.getLogger("mlp_jit.cache")
SOURCES = (  # all that may be compiled, or be a constant in what is
    "_cache", "_jit", "_notice", "_straight", "_math", "validation", "activations", "losses", "optimizers",
    "initializers", "schedules", "dropout", "own", "engines/*", "engines/*/*", "nopython",
)  # fmt: skip


DIGEST = hashlib.sha256().digest_size


@cache
def sources_digest() -> str:
    """A digest of SOURCES as they stand when it is first asked for. Takes some 1 ms."""
    digest = hashlib.sha256()
    for name in SOURCES:
        for path in sorted(Path(__file__).parent.glob(f"{name}.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _Files(IndexDataCacheFile):
    """One file for each key: BASE.STAMP.KEY.nbc holds (key, data), behind a digest."""

    def __init__(self, folder: str, base: str, stamp: str) -> None:
        super().__init__(folder, base, stamp)
        self._base, self._stamp = base, stamp

    def load(self, key: Any) -> Any:
        """The data saved under this key and these sources, or None: also where a file is damaged."""
        path = Path(self._data_path(self._name(key)))
        try:
            digest, content = (whole := path.read_bytes())[:DIGEST], whole[DIGEST:]
            if hashlib.sha256(content).digest() != digest:
                raise ValueError("its digest is another")
            saved, data = pickle.loads(content)
        except FileNotFoundError:
            return None
        except Exception as error:  # unpickling may raise anything
            log.debug("%s: not usable, compiling anew (%s)", path, error)
            return None
        return data if saved == key else None

    def save(self, key: Any, data: Any) -> None:
        """Save the data, and remove what other sources left here. Raises OSError where it cannot be written."""
        content = self._dump((key, data))
        with self._open_for_write(self._data_path(self._name(key))) as file:
            file.write(hashlib.sha256(content).digest() + content)
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

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was kept, or None: also where it cannot be made again from what was."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # LLVM may raise anything
            log.debug("%s: not usable, compiling anew (%s)", self._name, error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, where it can be written."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            log.debug("%s: not kept (%s)", self._name, error)

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        """What tells its compiled forms apart: types, target, and what is in its closure, kernels by their names."""
        cells = [cell.cell_contents for cell in self._py_func.__closure__ or ()]
        return sig, codegen.magic_tuple(), [getattr(content, "__qualname__", content) for content in cells]


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
