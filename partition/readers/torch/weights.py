"""Parts of weights: which bytes of a parameter views show, so that parts that overlap are held once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

MOST_UNITS = 2**20
"""Pieces of equal size that all parts of a weight are cut into; with more, every part is taken for all of it."""

MOST_PIECES = 256
"""Pieces that a weight is told in."""


@dataclass(frozen=True)
class WeightView:
    """A weight, or what a view shows of it.

    Attributes
    ----------
    weight : name of the parameter, buffer or constant.
    bytes : of all of it.
    shown : without data; its offset and strides are those within the weight.
    """

    weight: str
    bytes: float
    shown: torch.Tensor

    def seen_by(self, view: Any, args: Any, kwargs: Any) -> list[WeightView] | None:
        """What an operator that returns views returns, given ``shown`` among its arguments; None if it copies."""
        results = view(*args, **kwargs)
        results = list(results) if isinstance(results, tuple | list) else [results]
        memory = self.shown.untyped_storage()._cdata
        if any(not isinstance(r, torch.Tensor) or r.untyped_storage()._cdata != memory for r in results):
            return None
        return [WeightView(self.weight, self.bytes, result) for result in results]


@dataclass
class HeldParts:
    """What every operation holds of every weight.

    Attributes
    ----------
    read : weight -> part -> a name for it.
    """

    read: dict[str, dict[ShownBytes, str]] = field(default_factory=dict)
    _bytes: dict[str, float] = field(default_factory=dict)

    def note(self, view: WeightView, name: str, whole: bool) -> tuple[str, ShownBytes]:
        """An operation reads a view; ``whole`` if it holds all of the weight all the same.

        Returns
        -------
        What to ask :meth:`pieces` for when all have been noted.
        """
        everything = ShownBytes(0, ((int(view.bytes), 1),))
        region = everything if whole else _region(view.shown)
        if math.prod(n for n, _ in region.extents) >= view.bytes:
            region = everything
        self._bytes[view.weight] = view.bytes
        self.read.setdefault(view.weight, {}).setdefault(region, name)
        return view.weight, region

    def pieces(self) -> dict[tuple[str, ShownBytes], dict[str, float]]:
        """Part -> name and bytes of what is held for it; parts that overlap have pieces in common."""
        found: dict[tuple[str, ShownBytes], dict[str, float]] = {}
        for weight, parts in self.read.items():
            for region, held in _pieces(weight, self._bytes[weight], parts).items():
                found[weight, region] = held
        return found


@dataclass(frozen=True)
class ShownBytes:
    """Bytes from ``start``; ``extents`` are ``(number, stride in bytes)``, the innermost dimension last."""

    start: int
    extents: tuple[tuple[int, int], ...]

    @property
    def run(self) -> int:
        """Bytes that lie one behind the other."""
        return self.extents[-1][0] if self.extents and self.extents[-1][1] == 1 else 1

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where the runs begin."""
        at = np.array([self.start])
        for number, stride in self.extents:
            if stride != 1:
                at = (at[:, None] + stride * np.arange(number)).ravel()
        return at


def _region(shown: torch.Tensor) -> ShownBytes:
    """The bytes that a tensor consists of; dimensions that repeat the same ones do not count."""
    size = shown.dtype.itemsize
    dims = [(n, s * size) for n, s in zip(shown.shape, shown.stride(), strict=True) if n != 1 and s]
    merged = [(size if shown.numel() else 0, 1)]
    for n, stride in sorted(dims, key=lambda dim: dim[1]):
        last, step = merged[-1]
        if last * step == stride:
            merged[-1] = (last * n, step)
        else:
            merged.append((n, stride))
    return ShownBytes(int(shown.storage_offset()) * size, tuple(reversed(merged)))


def _pieces(weight: str, size: float, parts: dict[ShownBytes, str]) -> dict[ShownBytes, dict[str, float]]:
    """Of each part what is held: itself where parts are apart, what they have in common where they overlap."""
    if len(parts) == 1 and math.prod(n for n, _ in next(iter(parts)).extents) >= size:
        return {region: {weight: size} for region in parts}
    units = _in_units(parts)
    if units is None:
        return {region: {weight: size} for region in parts}
    unit, placed = units
    signature = np.zeros(max(int(at.max(initial=-1)) for at in placed) + 1, dtype=np.int64)
    for at in placed:  # the number of a class of units that the same parts hold
        held = np.zeros(len(signature), dtype=bool)
        held[at] = True
        _, signature = np.unique(2 * signature + held, return_inverse=True)
        if signature.max(initial=0) > MOST_PIECES:
            return {region: {weight: size} for region in parts}
    counts = np.bincount(signature)
    held_by = [np.unique(signature[at]).tolist() for at in placed]
    alone = {piece: i for i, held in enumerate(held_by) if len(held) == 1 for piece in held}
    names = list(parts.values())
    return {
        region: {
            (names[alone[k]] if k in alone else f"{weight}/piece {k}"): float(counts[k] * unit) for k in held_by[i]
        }
        for i, region in enumerate(parts)
    }


def _in_units(parts: Iterable[ShownBytes]) -> tuple[int, list[NDArray[np.int64]]] | None:
    """Bytes of the largest unit that all parts consist of, and the units of each; None if there are too many."""
    regions = list(parts)
    steps = [(r.start, r.run, *(stride for _, stride in r.extents if stride != 1)) for r in regions]
    unit = math.gcd(*(step for row in steps for step in row)) or 1
    if sum(math.prod(n for n, _ in r.extents) for r in regions) / unit > MOST_UNITS:
        return None
    placed = [np.unique(r.starts[:, None] // unit + np.arange(r.run // unit)) for r in regions]
    return unit, placed
