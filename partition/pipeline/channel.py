"""Tensors from one process to others: a ring of slots in shared memory, a pipe of notices each way.

The memory has no name, so that nothing is left behind however the processes end. A reader frees a slot by a byte in
its own pipe, so that a sender waits while the slowest reader has no slot free.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import pickle
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

BITS, PICKLED = "bits", "pickled"
"""How a notice begins, in place of a dtype, of a tensor whose type numpy lacks, and of what is no tensor of numbers."""


def packed(value: Any, tensor: str) -> tuple[NDArray[np.uint8], str, tuple[int, ...]]:
    """Bytes of a value as they travel, what they are, and the extents of a tensor.

    Parameters
    ----------
    value : what onnxruntime yields: an array, a value of its own where numpy lacks the type, texts, a list, a
        dictionary, None.
    tensor : its name.

    Raises
    ------
    InvalidInput : it is none of these, or has too many axes.
    """
    if hasattr(value, "data_ptr"):
        size, shape = value.tensor_size_in_bytes(), tuple(value.shape())
        memory = (ctypes.c_uint8 * size).from_address(value.data_ptr()) if size else b""
        raw, kind = np.frombuffer(memory, np.uint8), f"{BITS} {value.element_type()}"
    elif isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        array = np.asarray(value, order="C")
        raw, kind, shape = array.reshape(-1).view(np.uint8), array.dtype.str, array.shape
    else:
        try:
            raw, kind, shape = np.frombuffer(pickle.dumps(value), np.uint8), PICKLED, ()
        except Exception as error:  # a value of onnxruntime's own within
            raise InvalidInput(
                f"tensor {tensor!r} holds values that parts cannot exchange as processes ({error})"
            ) from error
    if len(shape) > MOST_AXES:
        raise InvalidInput(f"tensor {tensor!r} has {len(shape)} axes; parts exchange tensors of at most {MOST_AXES}")
    return raw, kind, shape


def unpacked(raw: NDArray[np.uint8], kind: str, shape: tuple[int, ...]) -> Any:
    """The value that was packed; an array is a view of the bytes."""
    if kind == PICKLED:
        return pickle.loads(raw.tobytes())  # of a process that this program started
    if not kind.startswith(BITS):
        return raw.view(np.dtype(kind)).reshape(shape)
    import onnxruntime as ort

    value = ort.OrtValue.ortvalue_from_shape_and_type(list(shape), int(kind.removeprefix(BITS)))
    if len(raw):
        ctypes.memmove(value.data_ptr(), raw.ctypes.data, len(raw))
    return value


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
        InvalidInput : the value cannot be sent.
        """
        raw, told, shape = packed(value, self.ring.tensor)
        kind, extents = told.encode(), (*shape, *([0] * (MOST_AXES - len(shape))))
        size = self.ring.slot_bytes
        for begin in range(0, max(len(raw), 1), size):
            piece = raw[begin : begin + size]
            self._await_slot()
            offset = self._next % self.ring.slots * size
            self._memory[offset : offset + len(piece)] = piece.data
            self._next += 1
            notice = _NOTICE.pack(index, len(raw), begin, len(piece), kind, len(shape), *extents)
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
    value : what was last received; an array is a view of the shared memory until :meth:`release`.
    index : of that input.
    """

    ring: Ring
    filled: int
    freed: int
    value: Any = None
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
        self.index, total, begin, size, told, axes, *extents = _NOTICE.unpack(notice)
        offset = self._next % self.ring.slots * self.ring.slot_bytes
        self._next += 1
        kind, shape = told.rstrip(b"\0").decode(), tuple(extents[:axes])
        piece = np.frombuffer(self._memory, np.uint8, size, offset)
        if size == total:
            self.value, self._holds = unpacked(piece, kind, shape), True
            return True
        if begin == 0:
            self._pieces = np.empty(total, np.uint8)
        assert self._pieces is not None
        self._pieces[begin : begin + size] = piece
        self._free()
        if begin + size < total:
            return False
        self.value, self._pieces = unpacked(self._pieces, kind, shape), None
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
