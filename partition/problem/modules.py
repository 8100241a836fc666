"""Which module of the model each operation belongs to, from the paths that exporters put into names."""

from __future__ import annotations

import re

import numpy as np

from partition.arrays import IntArray
from partition.errors import InvalidInput
from partition.problem.graph import Graph

SEPARATORS = re.compile(r"[/.]+")
"""Between the parts of a path: ``encoder.layers.3/linear``, ``bert/encoder/layer.11/MatMul``."""

NUMBERED = re.compile(r".*\D\d+")
"""A part that ends in a number: ``block3``, ``Dense_0``."""


def module_paths(graph: Graph) -> list[tuple[str, ...]]:
    """The path of each operation's module, from the outside in; empty for what is in none.

    Where the reader found a path (``Graph.modules``) that is it; otherwise the name without its last part.
    """
    found = []
    for v, name in enumerate(graph.names):
        given = graph.modules[v] if graph.modules else ""
        parts = [part for part in SEPARATORS.split(given or name) if part]
        found.append(tuple(parts if given else parts[:-1]))
    return found


def modules_of(graph: Graph, granularity: str) -> tuple[IntArray, ...]:
    """The operations of every module of a granularity; operations outside such modules are in none.

    ``module:K`` : modules ``K`` levels deep, with all that is in them.
    ``layer`` : modules whose path ends with its first whole number (``layers.3``, ``h/11``); where no path has one,
    with the first part that ends in a number (``block3``, ``Dense_0``).

    Raises
    ------
    InvalidInput : no operation is in such a module.
    """
    paths = module_paths(graph)
    if granularity == "layer":
        ends = [_first(path, str.isdigit) for path in paths]
        if not any(ends):
            ends = [_first(path, lambda part: NUMBERED.fullmatch(part) is not None) for path in paths]
    else:
        depth = int(granularity.partition(":")[2])
        ends = [depth if len(path) >= depth else 0 for path in paths]
    members: dict[tuple[str, ...], list[int]] = {}
    for v, (path, end) in enumerate(zip(paths, ends, strict=True)):
        if end:
            members.setdefault(path[:end], []).append(v)
    if not members:
        raise InvalidInput(
            f"granularity {granularity}: no operation of {graph.name!r} is in such a module; names are read as paths "
            f"with '/' or '.' between the parts, such as {graph.names[-1]!r}"
        )
    return tuple(np.array(inside, dtype=np.int64) for inside in members.values())


def _first(path: tuple[str, ...], fits: object) -> int:
    """Length of the path up to the first part that fits; 0 if none does."""
    assert callable(fits)
    return next((i + 1 for i, part in enumerate(path) if fits(part)), 0)
