"""Values for the inputs of a model: drawn at random, or from a file."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition.arguments import whole
from partition.errors import InvalidInput

MOST_DRAWN = 2**28
"""Elements of an input for which random values are drawn."""

LARGEST_VALUES = 2**34
"""Bytes that a file of values may take unpacked."""

_TYPES: dict[str, Any] = {
    "float": np.float32, "float16": np.float16, "double": np.float64, "int8": np.int8, "int16": np.int16,
    "int32": np.int32, "int64": np.int64, "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32,
    "uint64": np.uint64, "bool": np.bool_, "string": np.object_,
}  # fmt: skip
"""onnxruntime's name of an element type -> numpy's."""

HOW = "give values with --inputs values.npz (numpy.savez('values.npz', NAME=array, ...)), or inputs= in Python"


def random_inputs(session: Any, dims: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Values for every input of a session: floats normal, integers and booleans 0 or 1.

    Raises
    ------
    InvalidInput : no values can be drawn for an input: strings, sequences, an extent without a value, too many.
    """
    rng = np.random.default_rng(whole("seed", seed))
    feeds: dict[str, Any] = {}
    for value in session.get_inputs():
        told = element_of(value.type)
        kind = np.float32 if told == "bfloat16" else _TYPES.get(told)
        if kind is None or kind is np.object_:
            raise InvalidInput(f"input {value.name!r} is of type {value.type}, of which none are drawn; {HOW}")
        shape = [_extent(value.name, axis, extent, dims) for axis, extent in enumerate(value.shape)]
        if math.prod(shape) > MOST_DRAWN:
            raise InvalidInput(f"input {value.name!r} has over {MOST_DRAWN} elements, of which none are drawn; {HOW}")
        drawn = rng.standard_normal(shape) if np.issubdtype(kind, np.floating) else rng.integers(0, 2, shape)
        values = np.asarray(drawn).astype(kind)
        feeds[value.name] = _as_bfloat16(values) if told == "bfloat16" else values
    return feeds


def checked_inputs(session: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the inputs of a session want them; numbers are converted where nothing is lost.

    Raises
    ------
    InvalidInput : a value is missing, or does not fit the type or shape of its input.
    """
    feeds: dict[str, Any] = {}
    for value in session.get_inputs():
        if value.name not in given:
            raise InvalidInput(f"there are no values for input {value.name!r}; give values for all inputs, or for none")
        kind = _TYPES.get(element_of(value.type))
        found = given[value.name]
        if kind is None or not isinstance(found, np.ndarray | np.generic):
            feeds[value.name] = found
            continue
        array = np.asarray(found)
        if kind is np.object_:
            if array.dtype.kind not in "USO":
                raise InvalidInput(f"input {value.name!r} wants strings, and the values are of type {array.dtype}")
            array = array.astype(np.str_)
        elif array.dtype != kind and not np.can_cast(array.dtype, kind, "same_kind"):
            raise InvalidInput(
                f"input {value.name!r} wants {np.dtype(kind)}, and the values are of type {array.dtype}; convert them"
            )
        shape = [extent if isinstance(extent, int) else None for extent in value.shape]
        fits = len(shape) == array.ndim and all(e in (None, a) for e, a in zip(shape, array.shape, strict=True))
        if shape and not fits:
            wanted = "x".join("?" if extent is None else str(extent) for extent in shape)
            raise InvalidInput(f"input {value.name!r} wants the shape {wanted}, and the values are of {array.shape}")
        feeds[value.name] = array.astype(kind)
    extra = set(given) - set(feeds)
    if extra:
        names = ", ".join(repr(value.name) for value in session.get_inputs())
        raise InvalidInput(f"the model has no input {min(extra)!r}; its inputs are {names}")
    return feeds


def load_inputs(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz``, by name. Nothing in it is ever executed (no pickles).

    Raises
    ------
    InvalidInput : there is no such file, it is none of this kind, or unpacked it is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST_VALUES:
            raise InvalidInput(f"{os.fspath(path)!r} takes {size} bytes unpacked, at most {LARGEST_VALUES} are read")
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except FileNotFoundError:
        raise InvalidInput(
            f"there is no file {os.fspath(path)!r}; write it with numpy.savez('values.npz', NAME=array, ...)"
        ) from None
    except InvalidInput:
        raise
    except Exception as error:  # zip, npy and pickle each have their own
        reason = " ".join(str(error).split())
        raise InvalidInput(
            f"{os.fspath(path)!r} holds no values of inputs ({reason}); write it with numpy.savez, texts as numpy.str_"
        ) from error


def element_of(told: str) -> str:
    """The type of the elements of a tensor, of the type as onnxruntime tells it."""
    return told.removeprefix("tensor(").removesuffix(")")


def _as_bfloat16(values: NDArray[np.float32]) -> Any:
    """The upper halves of 32-bit floats, as the tensor type that numpy lacks."""
    import onnxruntime as ort
    from onnx import TensorProto

    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, TensorProto.BFLOAT16)


def _extent(name: str, axis: int, extent: Any, dims: Mapping[str, int]) -> int:
    if isinstance(extent, int) and extent >= 0:
        return extent
    for label in (extent, f"{name}.{axis}"):
        if label in dims:
            return int(dims[label])
    raise InvalidInput(f"input {name!r} has the dimension {extent!r}, for which the manifest has no value; {HOW}")
