"""Tensors from one process to others: a ring of slots in shared memory, a pipe of notices each way.

The memory has no name, so that nothing is left behind however the processes end. A reader frees a slot by a byte in
its own pipe, so that a sender waits while the slowest reader has no slot free.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition.errors import InvalidInput

ALIGNMENT = 64
"""Bytes to which slots are rounded up, a line of the cache."""

MOST_AXES = 16
"""Axes of a tensor that a notice has room for."""

_NOTICE = struct.Struct(f"<qqqq16sq{MOST_AXES}q")
"""Input, bytes of the whole tensor, where this piece begins, bytes of this piece, dtype, axes, extents."""


class PeerGone(Exception):
    """The process at the other end of a channel has ended."""


def shared_memory(size: int) -> int:
    """The descriptor of ``size`` bytes of shared memory without a name.

    Raises
    ------
    InvalidInput : there is not that much memory.
    """
    handle = _nameless()
    try:
        os.posix_fallocate(handle, 0, max(size, 1))
    except OSError as error:
        os.close(handle)
        raise InvalidInput(
            f"cannot reserve {size / 2**20:.1f} MB of shared memory ({error.strerror}); give fewer --buffers"
        ) from error
    return handle


def _nameless() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mcm-partition", 0)
    with tempfile.TemporaryFile() as file:  # removed from its folder as soon as it is made
        return os.dup(file.fileno())


def slot_size(size: float) -> int:
    """Bytes of a slot for a tensor of ``size`` bytes."""
    return max(1, -(-int(np.ceil(size)) // ALIGNMENT)) * ALIGNMENT


@dataclass(frozen=True)
class Ring:
    """Where the slots of a channel are.

    Attributes
    ----------
    tensor : its name in the part that has this end.
    memory : descriptor of the shared memory.
    slots, slot_bytes : its extent.
    """

    tensor: str
    memory: int
    slots: int
    slot_bytes: int

    def map(self) -> mmap.mmap:
        """The slots as bytes."""
        return mmap.mmap(self.memory, self.slots * self.slot_bytes)


@dataclass
class Outlet:
    """The sending end.

    Attributes
    ----------
    readers : for each reader the pipe for notices and the pipe of slots it freed.
    blocked_ns : time spent waiting for free slots, since the caller set it to 0.
    """

    ring: Ring
    readers: Sequence[tuple[int, int]]
    blocked_ns: int = 0
    _memory: mmap.mmap = field(init=False)
    _next: int = 0

    def __post_init__(self) -> None:
        self._memory = self.ring.map()

    def send(self, index: int, value: Any) -> None:
        """Hand the value for input ``index`` to every reader; larger ones than a slot in pieces.

        Raises
        ------
        PeerGone : a reader has ended.
        InvalidInput : the value is no array of numbers.
        """
        array = np.asarray(value, order="C")
        if array.dtype.hasobject or array.ndim > MOST_AXES:
            raise InvalidInput(
                f"tensor {self.ring.tensor!r} is no array of numbers; parts that exchange it cannot run as processes"
            )
        raw = array.reshape(-1).view(np.uint8)
        extents = (*array.shape, *([0] * (MOST_AXES - array.ndim)))
        size = self.ring.slot_bytes
        for begin in range(0, max(len(raw), 1), size):
            piece = raw[begin : begin + size]
            self._await_slot()
            offset = self._next % self.ring.slots * size
            self._memory[offset : offset + len(piece)] = piece.data
            self._next += 1
            kind = array.dtype.str.encode()
            notice = _NOTICE.pack(index, len(raw), begin, len(piece), kind, array.ndim, *extents)
            for filled, _ in self.readers:
                try:
                    os.write(filled, notice)
                except BrokenPipeError as error:
                    raise PeerGone from error

    def _await_slot(self) -> None:
        if self._next < self.ring.slots:
            return
        begin = time.monotonic_ns()
        for _, freed in self.readers:
            if not os.read(freed, 1):
                raise PeerGone
        self.blocked_ns += time.monotonic_ns() - begin


@dataclass
class Inlet:
    """The receiving end.

    Attributes
    ----------
    filled, freed : pipes for notices and for freed slots.
    value : the tensor of the input last received, a view of the shared memory until :meth:`release`.
    index : of that input.
    """

    ring: Ring
    filled: int
    freed: int
    value: NDArray[Any] | None = None
    index: int = -1
    _memory: mmap.mmap = field(init=False)
    _next: int = 0
    _holds: bool = False
    _pieces: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        self._memory = self.ring.map()

    def take(self) -> bool:
        """Take one notice, waiting for it; whether the tensor is now complete.

        Raises
        ------
        PeerGone : the sender has ended.
        """
        notice = os.read(self.filled, _NOTICE.size)
        if len(notice) < _NOTICE.size:
            raise PeerGone
        self.index, total, begin, size, kind, axes, *extents = _NOTICE.unpack(notice)
        offset = self._next % self.ring.slots * self.ring.slot_bytes
        self._next += 1
        dtype, shape = np.dtype(kind.rstrip(b"\0").decode()), tuple(extents[:axes])
        piece = np.frombuffer(self._memory, np.uint8, size, offset)
        if size == total:
            self.value, self._holds = piece.view(dtype).reshape(shape), True
            return True
        if begin == 0:
            self._pieces = np.empty(total, np.uint8)
        assert self._pieces is not None
        self._pieces[begin : begin + size] = piece
        self._free()
        if begin + size < total:
            return False
        self.value, self._pieces = self._pieces.view(dtype).reshape(shape), None
        return True

    def release(self) -> None:
        """Give the slot back; the value must not be used any more."""
        self.value = None
        if self._holds:
            self._holds = False
            self._free()

    def _free(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # the sender is done; what it sent stays readable
            os.write(self.freed, b"\0")
