"""Memory that tells when a kernel leaves a buffer: its guard words change, or the process dies."""

import ctypes
import mmap
from types import SimpleNamespace

import numpy as np

from mlp_jit.engines import lanes, workspace


class Guarded:
    """Hands out arrays that lie between guard words, all bits of which are set: NaN, and −1 among integers."""

    WORDS = 1024

    def __init__(self):
        self.rooms = []

    def empty(self, shape, dtype=float):
        size = int(np.prod(shape))
        room = np.empty(size + 2 * self.WORDS, dtype)
        room.view(np.uint8)[:] = 255
        self.rooms.append(room)
        return room[self.WORDS : self.WORDS + size].reshape(shape)

    def copy(self, array):
        inside = self.empty(array.shape, array.dtype)
        inside[...] = array
        inside.flags.writeable = array.flags.writeable  # part of the type that kernels are compiled for
        return inside

    def zeros(self, shape, dtype=float):
        return self.copy(np.zeros(shape, dtype))

    def stand_in(self, monkeypatch):
        """From now on the lanes engine's modules allocate here."""
        allocators = {
            "zeros": self.zeros,
            "empty": self.empty,
            "empty_like": lambda array: self.empty(array.shape, array.dtype),
            "arange": lambda stop: self.copy(np.arange(stop)),
        }
        for module in (lanes, workspace):
            monkeypatch.setattr(module, "np", SimpleNamespace(**vars(np) | allocators))
        monkeypatch.setattr(workspace, "_aligned", lambda dtype, *sizes: [self.zeros(size, dtype) for size in sizes])

    def surround(self, network, optimizer):
        """The same network and optimizer, their arrays from here."""
        network = network.copy()
        network.table, network.loss_parameters = self.copy(network.table), self.copy(network.loss_parameters)
        network._set_params(self.copy(network.params))
        network.state = self.copy(network.state)
        optimizer.start(network.params)
        optimizer.moments = self.copy(optimizer.moments)
        return network, optimizer

    def assert_untouched(self, where):
        for room in self.rooms:
            words = np.concatenate([room[: self.WORDS], room[-self.WORDS :]])
            assert (words.view(np.uint8) == 255).all(), f"{where}: outside of {room.size - 2 * self.WORDS} numbers"


class EndingPages(Guarded):
    """Hands out arrays that end where a page of memory ends, and nobody may touch the next one."""

    def empty(self, shape, dtype=float):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        end = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        room = np.frombuffer(mmap.mmap(-1, end + mmap.PAGESIZE), np.uint8)
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(room.ctypes.data + end), mmap.PAGESIZE, 0) == 0
        self.rooms.append(room)
        return room[end - size : end].view(dtype).reshape(shape)

    def assert_untouched(self, where):
        """It is, or this process would be dead."""
