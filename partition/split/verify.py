"""Proof by running: the parts one after the other against the whole model, on random inputs, by onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition.errors import InvalidInput
from partition.split.manifest import Manifest
from partition.split.running import open_session, random_inputs, run_session

TOLERANCE = 1e-5
"""Largest difference, relative to the largest element, that counts as equal where kernels may fuse differently."""


@dataclass(frozen=True)
class Comparison:
    """One output of the whole model and of the parts.

    Attributes
    ----------
    identical : bit for bit. difference : largest one over the largest element; infinite where shapes or types differ.
    """

    output: str
    identical: bool
    difference: float

    @property
    def equal(self) -> bool:
        """Whether it counts as the same."""
        return self.identical or self.difference <= TOLERANCE


def verify_parts(
    model: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    optimised: bool = False,
) -> list[Comparison]:
    """Run the whole model and the parts that :func:`~partition.split.split_model` wrote, and compare every output.

    Parameters
    ----------
    seed : of random inputs: floats normal, integers and booleans 0 or 1. inputs : name -> values, instead.
    optimised : let onnxruntime fuse operators, in the whole and in the parts: faster, and no longer bit for bit.

    Raises
    ------
    InvalidInput : no such folder, an input is missing, or onnxruntime is not installed.
    InvalidModelFile : onnxruntime cannot run the model (the operator is named) or a part.
    """
    manifest = Manifest.read(Path(folder))
    whole = open_session(Path(model), optimised)
    feeds = dict(inputs or {}) or random_inputs(whole, manifest.dims, seed)
    missing = [value.name for value in whole.get_inputs() if value.name not in feeds]
    if missing:
        raise InvalidInput(f"no values for input {missing[0]!r} of the model; give values for all inputs, or for none")
    expected = dict(zip(manifest.outputs, run_session(whole, list(manifest.outputs), feeds, Path(model)), strict=True))
    del whole
    try:
        found = _run_parts(Path(folder), manifest, feeds, optimised)
        return [_compared(name, expected[name], found[name]) for name in manifest.outputs]
    except KeyError as error:
        raise InvalidInput(
            f"the manifest in {str(folder)!r} is incomplete: {error} comes from nowhere; split again"
        ) from error


def _run_parts(folder: Path, manifest: Manifest, feeds: Mapping[str, Any], optimised: bool) -> dict[str, Any]:
    results: dict[str, Any] = {}
    arrived: dict[tuple[str, int], Any] = {}
    for part in (part for part in manifest.parts if part.outputs):  # replicas that nobody reads yield nothing
        path = folder / part.file
        session = open_session(path, optimised)
        given = {p.name: feeds[p.tensor] if p.host else arrived[p.tensor, part.chip] for p in part.inputs}
        ports = part.outputs
        for port, value in zip(ports, run_session(session, [p.name for p in ports], given, path), strict=True):
            arrived.update({(port.tensor, chip): value for chip in port.chips})
            if port.host:
                results[port.tensor] = value
    return results


def _compared(name: str, expected: Any, found: Any) -> Comparison:
    a, b = np.asarray(expected), np.asarray(found)
    if a.shape != b.shape or a.dtype != b.dtype:
        return Comparison(name, False, float("inf"))
    if a.tobytes() == b.tobytes():
        return Comparison(name, True, 0.0)
    if not np.issubdtype(a.dtype, np.floating):
        return Comparison(name, False, float("inf"))
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return Comparison(name, False, float("inf"))
    finite = np.isfinite(a)
    scale = float(np.abs(a[finite]).max(initial=0.0)) or 1.0
    return Comparison(name, False, float(np.abs(a[finite] - b[finite]).max(initial=0.0)) / scale)
