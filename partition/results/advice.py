"""What would make a model fit that does not, in one sentence."""

from __future__ import annotations

import math

import numpy as np

from partition.amounts import bytes_text
from partition.arrays import FloatArray
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.problem import Problem
from partition.scoring.feasibility import together

ROOM = 1.01
"""SRAM that is advised, in shares of what is needed, so that three digits do not cut it off."""

HALVINGS = 40
"""Rounds of the search for the least SRAM."""


def advice(graph: Graph, hardware: Hardware) -> str:
    """What to change where no placement is valid: settings of the package as ``--hw`` takes them.

    Figures are those with which the operations in their order can be cut into blocks that fit, one a chip.
    """
    if math.isinf(float(Problem.of(graph, hardware).fastest.max(initial=0.0))):
        return "what would help: a chip of a kind that runs the operation, or an operator less among the unsupported"
    if not hardware.rules.memory:
        return "what would help: more or faster chips, or a lower throughput asked for"
    chips, least = hardware.chips, float(hardware.sram_bytes.min())
    weights = _in_order(graph)
    heaviest = float(together(graph)[1].max(initial=0.0))
    need = max(_capacity(weights, chips), heaviest) * ROOM
    count = blocks(weights, least)
    ways = []
    if chips < count <= graph.n and heaviest <= least:
        ways.append(f"{count} such chips")
    if need > least:
        ways.append(f"{bytes_text(need)} of SRAM a chip (sram_bytes={need:.4g})")
    if not ways:
        ways.append("more chips, or more SRAM a chip")
    if hardware.rules.dynamic_memory:
        ways.append("dynamic_memory=off, which counts weights alone")
    else:
        ways.append("dram_bandwidth=51.2e9, which streams what does not fit in every period")
    ways.append("memory=off, which lets weights stay outside the chips")
    return f"what would help: {'; or '.join(ways)}"


def _in_order(graph: Graph) -> FloatArray:
    """(n,) bytes of weights along the order of the graph; a shared weight counts with each of its users."""
    bytes_ = graph.weights.copy()
    np.add.at(bytes_, graph.shared_users, np.repeat(graph.shared_bytes, np.diff(graph.shared_ptr)))
    return np.asarray(bytes_[graph.topological_order])


def blocks(weights: FloatArray, capacity: float) -> int:
    """How many chips hold the operations in their order; more than there are operations if one of them is too large."""
    total = np.concatenate([[0.0], np.cumsum(weights)])
    at = count = 0
    while at < len(weights):
        following = int(np.searchsorted(total, total[at] + capacity, side="right")) - 1
        if following <= at:
            return len(weights) + 1
        at, count = following, count + 1
    return count


def _capacity(weights: FloatArray, chips: int) -> float:
    """The least capacity of so many chips that hold the operations in their order."""
    low, high = float(weights.sum()) / chips, float(weights.sum())
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if blocks(weights, middle) <= chips:
            high = middle
        else:
            low = middle
    return high
