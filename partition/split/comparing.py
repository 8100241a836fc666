"""Two values of one output, and whether they are the same: tensors of any type, sequences, maps, nothing at all."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNITS = 128
"""Roundings to nearest, of the narrowest type in play, by which results may differ and count as equal."""

UNITS_PER_CUT = 8
"""The same for each tensor of a narrow type that enters or leaves a part: it is rounded once, and what follows grows
the error."""

ROUNDING = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float": 2.0**-24, "double": 2.0**-53}
"""onnxruntime's name of a type of floats -> largest relative error of rounding to it."""

_BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
"""How bits of a type that numpy lacks are told apart from integers."""


@dataclass(frozen=True)
class Comparison:
    """One output of the whole model and of the parts.

    Attributes
    ----------
    identical : bit for bit.
    difference : largest one over the largest element; infinite where shapes, types or what is
        no float differ.
    tolerance : largest difference that counts as equal.
    rounding : the type whose rounding explains that much.
    constant : in words, where the output held one value alone; its equality proves little.
    """

    output: str
    identical: bool
    difference: float
    tolerance: float = UNITS * ROUNDING["float"]
    rounding: str = "float"
    constant: str = ""

    @property
    def equal(self) -> bool:
        """Whether it counts as the same."""
        return self.identical or self.difference <= self.tolerance

    def sentence(self) -> str:
        """Whether it is equal, and how closely."""
        if self.identical:
            how = "bit for bit"
        else:
            kind = {"float": "float32", "double": "float64"}.get(self.rounding, self.rounding)
            how = f"largest relative difference {self.difference:.2g}; "
            how += f"{self.tolerance:.2g} can come of rounding to {kind}"
        return f"output {self.output}: {'equal' if self.equal else 'DIFFERENT'}, {how}"


def difference(expected: Any, found: Any) -> float:
    """Largest difference over the largest element: 0 if bit for bit, infinite if shapes, types or texts differ."""
    if isinstance(expected, Mapping) or isinstance(found, Mapping):
        if not isinstance(expected, Mapping) or not isinstance(found, Mapping) or expected.keys() != found.keys():
            return float("inf")
        return max((difference(expected[key], found[key]) for key in expected), default=0.0)
    if isinstance(expected, list | tuple) or isinstance(found, list | tuple):
        if not isinstance(expected, list | tuple) or not isinstance(found, list | tuple):
            return float("inf")
        if len(expected) != len(found):
            return float("inf")
        return max((difference(a, b) for a, b in zip(expected, found, strict=True)), default=0.0)
    if expected is None or found is None:
        return 0.0 if expected is found else float("inf")
    return _array_difference(as_array(expected), as_array(found))


def _array_difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    if a.dtype.kind in "OUS":
        return 0.0 if bool(np.all(a == b)) else float("inf")
    if a.tobytes() == b.tobytes():
        return 0.0
    if a.dtype == _BFLOAT16:
        a, b = _widened(a), _widened(b)
    if a.dtype.kind not in "fc":
        return float("inf")
    a, b = (x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) for x in (a, b))
    finite = np.isfinite(a)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(b[finite]).all():
        return float("inf")
    scale = float(np.abs(a[finite]).max(initial=0.0)) or 1.0
    return float(np.abs(a[finite] - b[finite]).max(initial=0.0)) / scale


def as_array(value: Any) -> NDArray[Any]:
    """A tensor that onnxruntime returned, as an array; the bits of types that numpy lacks."""
    if not hasattr(value, "data_ptr"):
        return np.asarray(value)
    try:
        return np.asarray(value.numpy())
    except RuntimeError:  # bfloat16, 4-bit integers
        size = value.tensor_size_in_bytes()
        bits = np.frombuffer(ctypes.string_at(value.data_ptr(), size), np.uint8)
        if value.data_type() == "tensor(bfloat16)":
            return bits.view(_BFLOAT16).reshape(value.shape())
        return bits


def _widened(bits: NDArray[Any]) -> NDArray[np.float32]:
    return (bits["bfloat16"].astype(np.uint32) << 16).view(np.float32)


def one_value(values: list[Any]) -> str:
    """In words, the one value that all elements of all runs have (``all NaN``, ``all 0``); empty if they vary."""
    arrays = [array for value in values for array in _leaves(value)]
    if not arrays or any(array.dtype.kind not in "fiub" for array in arrays):
        return ""
    flat = np.concatenate([array.reshape(-1) for array in arrays])
    if flat.size == 0:
        return "empty"
    if flat.dtype.kind == "f" and np.isnan(flat).all():
        return "all NaN"
    if flat.size > 1 and (flat == flat[0]).all():
        return f"all {flat[0]:g}" if flat.dtype.kind != "b" else f"all {bool(flat[0])}"
    return ""


def _leaves(value: Any) -> list[NDArray[Any]]:
    if isinstance(value, Mapping):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in _leaves(part)]
    array = as_array(value) if value is not None else np.empty(0)
    return [_widened(array) if array.dtype == _BFLOAT16 else array]
