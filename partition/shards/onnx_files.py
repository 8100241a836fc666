"""Models with parts as files: written, and held against the model they come from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from partition.errors import InvalidInput
from partition.files import write_atomically
from partition.shards.onnx_model import parts_of_results
from partition.split.comparing import ROUNDING, UNITS, Comparison, difference
from partition.split.inputs import random_inputs
from partition.split.running import RUN_LIMIT, open_session, run_session

LARGEST = 2**31 - 2**20
"""Bytes of the largest model in one file: protobuf's limit, and room for its frame."""


def save(model: ModelProto, path: str | os.PathLike[str]) -> None:
    """Write a model as one file; weights beyond protobuf's limit go to ``NAME.data`` beside it.

    Raises
    ------
    InvalidInput : the file cannot be written.
    """
    if model.ByteSize() <= LARGEST:
        write_atomically(path, model.SerializeToString())
        return
    try:
        onnx.save_model(model, str(path), save_as_external_data=True, location=f"{Path(path).name}.data")
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} cannot be written: {error.strerror}") from error


def verify_same(
    model: str | os.PathLike[str],
    other: str | os.PathLike[str],
    *,
    dims: Mapping[str, int] | None = None,
    seed: int = 0,
) -> list[Comparison]:
    """Run two models with onnxruntime on the same random inputs and compare every output.

    Parts of a product may be summed in another order than the whole, so outputs count as equal within
    :data:`~partition.split.comparing.UNITS` roundings. A result in parts is put together first.

    Raises
    ------
    InvalidInput : no onnxruntime, or no inputs can be drawn.
    InvalidModelFile : onnxruntime cannot run one of them.
    """
    first, second = open_session(Path(model)), open_session(Path(other))
    feeds = random_inputs(first, dict(dims or {}), seed)
    names = [value.name for value in first.get_outputs()]
    expected = run_session(first, names, feeds, Path(model), within=RUN_LIMIT)
    made = [value.name for value in second.get_outputs()]
    found = dict(zip(made, run_session(second, made, feeds, Path(other), within=RUN_LIMIT), strict=True))
    for name, (pieces, axis) in parts_of_results(onnx.load(str(other), load_external_data=False)).items():
        found[name] = np.concatenate([found[piece] for piece in pieces], axis)
    compared = []
    for name, a in zip(names, expected, strict=True):
        apart = difference(a, found[name])
        compared.append(Comparison(name, apart == 0.0, apart, UNITS * ROUNDING["float"]))
    return compared
