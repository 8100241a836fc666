"""Random graphs of the kind that assembly lines are made of, with transfers, to teach the guide on.

Three kinds of precedence: stages of unequal width (as Otto, Otto and Scholl, European Journal of Operational Research
2013, draw lines), parallel lanes with exchanges between them, and nested forks and joins. Times are drawn in the three
ways of the same authors: most are short, most are of middle length, or there are two sorts. Transfers range from next
to nothing to several times the work.
"""

from __future__ import annotations

import numpy as np

from partition.arrays import FloatArray
from partition.problem.builder import GraphBuilder
from partition.problem.chip_kind import ChipKind
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware, Interconnect, Rules

KINDS = ("stages", "lanes", "nested")
NODES, CHIPS = (60, 260), (4, 16)
"""Fewest and most."""

PER_CHIP = 8
"""Nodes for each chip at least."""

TRANSFERS = (0.3, 20.0)
"""Least and most transfer time of all tensors, in times of the work of one chip."""

Inputs = list[list[int]]
"""For each node those whose tensors it reads, all with smaller numbers."""


def drawn(seed: int) -> tuple[Graph, Hardware]:
    """The graph and package of one seed."""
    rng = np.random.default_rng(seed)
    count, kind = int(rng.integers(*NODES)), KINDS[int(rng.integers(len(KINDS)))]
    inputs = {"stages": _stages, "lanes": _lanes, "nested": _nested}[kind](count, rng)
    count = len(inputs)
    chips = int(rng.integers(CHIPS[0], min(CHIPS[1], count // PER_CHIP) + 1))
    times, sizes = _times(count, rng), np.exp(rng.normal(0.0, rng.choice([0.1, 0.5, 1.0]), count))
    read = np.bincount([u for before in inputs for u in before], minlength=count) > 0
    wanted = np.exp(rng.uniform(*np.log(TRANSFERS))) * times.sum() / chips
    sizes *= wanted / sizes[read].sum()
    builder = GraphBuilder(f"{kind} {seed}")
    for v, before in enumerate(inputs):
        builder.operation(
            f"v{v}",
            "Op",
            inputs=[f"t{u}" for u in before],
            outputs={f"t{v}": float(sizes[v])},
            flops=float(times[v]),
            bytes_accessed=0.0,
        )
    serial = "serial" if rng.random() < 0.75 else "overlapped"
    triangle = bool(rng.random() < 0.25)
    rules = Rules(memory=False, no_skipping=False, triangle=triangle, relays=triangle, replication=False)
    unit = ChipKind("unit", peak_flops=1.0)
    return builder.build(), Hardware("line", (unit,), (0,) * chips, Interconnect("ring", 1.0, transfers=serial), rules)


def _times(count: int, rng: np.random.Generator) -> FloatArray:
    """(count,) times in one of three ways."""
    way = rng.integers(3)
    if way == 0:
        return np.asarray(0.05 + rng.exponential(0.3, count))
    if way == 1:
        return np.asarray(np.clip(rng.normal(1.0, 0.35, count), 0.1, None))
    long = rng.random(count) < rng.uniform(0.05, 0.3)
    return np.asarray(np.where(long, rng.normal(2.0, 0.3, count), rng.normal(0.2, 0.08, count)).clip(0.02, None))


def _stages(count: int, rng: np.random.Generator) -> Inputs:
    """Stages of unequal width; a node reads a few nodes of the stages just before its own."""
    width, reach, reads = rng.uniform(2.0, 12.0), int(rng.integers(1, 4)), rng.uniform(1.0, 2.5)
    stage = np.cumsum(rng.random(count) < 1 / width)
    if not stage.any():
        stage[1:] = 1
    inputs: Inputs = []
    for v in range(count):
        near = np.flatnonzero((stage[:v] < stage[v]) & (stage[:v] >= stage[v] - reach))
        many = min(len(near), 1 + int(rng.poisson(reads - 1)))
        inputs.append(sorted(rng.choice(near, many, replace=False).tolist()) if many else [])
    return inputs


def _lanes(count: int, rng: np.random.Generator) -> Inputs:
    """Lanes side by side that begin at one node, exchange now and then, and are all joined now and then."""
    lanes, exchange, join = int(rng.integers(3, 13)), rng.uniform(0.0, 0.3), rng.uniform(0.0, 0.02)
    inputs: Inputs = [[]]
    last = [0] * lanes
    while len(inputs) < count:
        lane, v = int(rng.integers(lanes)), len(inputs)
        if rng.random() < join:
            inputs.append(sorted(set(last)))
            last = [v] * lanes
            continue
        other = int(rng.integers(lanes))
        inputs.append(sorted({last[lane], last[other]} if rng.random() < exchange else {last[lane]}))
        last[lane] = v
    return [*inputs, sorted(set(last))]


def _nested(count: int, rng: np.random.Generator) -> Inputs:
    """Forks and joins within forks and joins."""
    inputs: Inputs = [[]]

    def grow(first: int, size: int) -> int:
        """Put about ``size`` nodes behind ``first``; the last of them."""
        if size <= 3 or rng.random() < 0.15:
            for _ in range(max(1, size)):
                inputs.append([first])
                first = len(inputs) - 1
            return first
        if rng.random() < 0.4:
            return grow(grow(first, size // 2), size - size // 2)
        parts = rng.multinomial(size - 2, _shares(rng))
        inputs.append([first])
        fork = len(inputs) - 1
        ends = {grow(fork, int(part)) for part in parts if part}
        inputs.append(sorted(ends or {fork}))
        return len(inputs) - 1

    grow(0, count)
    return inputs


def _shares(rng: np.random.Generator) -> FloatArray:
    """Shares of two to five branches."""
    return np.asarray(rng.dirichlet(np.full(int(rng.integers(2, 6)), 2.0)))
