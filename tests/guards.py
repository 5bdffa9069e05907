"""Memory that tells when a kernel leaves a buffer: its guard words change, or the process dies."""

import ctypes
import mmap
from types import SimpleNamespace

import numpy as np
from scipy import sparse

from mlp_jit.engines.lanes import blueprint, few, session


class Guarded:
    """Hands out arrays that lie between guard words, all bits of which are set: NaN, and −1 among integers.

    The room of a session is one array for the engine; here what it holds lies apart.
    """

    WORDS = 1024

    def __init__(self):
        self.rooms = []  # (all of it, the parts that may be written)

    def empty(self, shape, dtype=float):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        guard = self.WORDS * 8
        memory = self._memory(size + 2 * guard, [(guard, size)])
        return memory[guard : guard + size].view(dtype).reshape(shape)

    def _memory(self, size, parts):
        memory = np.full(size, 255, np.uint8)
        self.rooms.append((memory, parts))
        return memory

    def copy(self, array):
        if sparse.issparse(array):
            inside = type(array)(array.shape, dtype=array.dtype)
            inside.data, inside.indices, inside.indptr = map(self.copy, (array.data, array.indices, array.indptr))
            return inside
        inside = self.empty(array.shape, array.dtype)
        inside[...] = array
        inside.flags.writeable = array.flags.writeable  # part of the type that kernels are compiled for
        return inside

    def divide(self, sizes):
        """The arrays of a session's room, guard words before and behind each."""
        self.parts, end = [], 8 * self.WORDS
        for size in sizes.values():
            self.parts.append((end, size))
            end += -(-size // 64) * 64 + 8 * self.WORDS
        return dict(zip(sizes, (start for start, _ in self.parts), strict=True)), end

    def room(self, size):
        """What `divide` has divided, as the session asks for it: from a cache line on."""
        memory = self._memory(size, [])
        first = -memory.ctypes.data % 64
        parts = [(first + start, length) for start, length in self.parts]
        self.rooms[-1] = memory, parts
        for start, length in parts:
            memory[start : start + length] = 0
        return memory

    def stand_in(self, monkeypatch):
        """From now on the lanes engine's modules allocate here."""
        allocators = {
            "empty": self.empty,
            "empty_like": lambda array: self.empty(array.shape, array.dtype),
            "arange": lambda stop: self.copy(np.arange(stop)),
            "zeros": lambda shape, dtype=float: self.copy(np.zeros(shape, dtype)),
        }
        for module in (session, few):
            monkeypatch.setattr(module, "np", SimpleNamespace(**vars(np) | allocators))
        monkeypatch.setattr(session, "room", self.room)
        monkeypatch.setattr(blueprint, "divide", self.divide)
        monkeypatch.setattr(blueprint, "_known", {})

    def count(self):
        """How many arrays lie here."""
        return sum(max(1, len(parts)) for _, parts in self.rooms)

    def surround(self, network, optimizer):
        """The same network and optimizer, their arrays from here."""
        network = network.copy()
        network.table, network.loss_parameters = self.copy(network.table), self.copy(network.loss_parameters)
        network.use(self.copy(network.params))
        network.state = self.copy(network.state)
        optimizer.start(network.params)
        optimizer.moments = self.copy(optimizer.moments)
        return network, optimizer

    def assert_untouched(self, where):
        for memory, parts in self.rooms:
            outside = np.ones(memory.size, bool)
            for start, size in parts:
                outside[start : start + size] = False
            assert (memory[outside] == 255).all(), f"{where}: outside of the parts {parts}"


class EndingPages(Guarded):
    """Hands out arrays that end where a page of memory ends, and nobody may touch the next one."""

    def empty(self, shape, dtype=float):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        end = _pages(size)
        memory = self._pages(end + mmap.PAGESIZE, [end])
        return memory[end - size : end].view(dtype).reshape(shape)

    def _pages(self, size, closed):
        memory = np.frombuffer(mmap.mmap(-1, size), np.uint8)
        for page in closed:
            assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(memory.ctypes.data + page), mmap.PAGESIZE, 0) == 0
        self.rooms.append((memory, closed))
        return memory

    def divide(self, sizes):
        starts, end, self.closed = {}, 0, []
        for name, size in sizes.items():
            end += _pages(size)
            starts[name] = end - size
            self.closed.append(end)
            end += mmap.PAGESIZE
        return starts, end

    def room(self, size):
        return self._pages(size, self.closed)

    def assert_untouched(self, where):
        """It is, or this process would be dead."""


def _pages(size):
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
