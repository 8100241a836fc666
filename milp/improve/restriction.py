"""An instance as a few adjacent chips see it while everything else stays where it is.

The nodes of every other chip become one node that stays; tensors between those become one per pair of chips. A
neighbourhood then costs what it holds, not what the graph holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from milp.formulation.choices import Choices
from milp.windows.windows import Windows
from partition.arrays import BoolArray, IntArray, sums
from partition.instance.instance import Instance


@dataclass(frozen=True, eq=False)
class Restriction:
    """The smaller instance.

    Attributes
    ----------
    windows : chips first..last for what is on them; a single chip for everything else.
    node : (S,) node of the original for each of the first nodes of the smaller instance; the others stand for chips.
    """

    instance: Instance
    windows: Windows
    node: IntArray

    def homes(self, chip: IntArray, smaller: IntArray) -> IntArray:
        """(N,) homes in the original, given those in the smaller instance."""
        found = chip.copy()
        found[self.node] = smaller[: len(self.node)]
        return found


def restrict(instance: Instance, chip: IntArray, first: int, last: int) -> Restriction:
    """What matters to chips ``first..last`` with all nodes outside them fixed on ``chip`` (N,).

    Where relays or schedules are variables, nothing can be left out: the instance stays whole.
    """
    inside = (chip >= first) & (chip <= last)
    if Choices.lossless(instance).triangle or instance.hardware.rules.dynamic_memory:
        windows = Windows(np.where(inside, first, chip), np.where(inside, last, chip))
        return Restriction(instance, windows, np.arange(instance.nodes))
    own = np.flatnonzero(inside | instance.replicable)
    label = len(own) + chip
    label[own] = np.arange(len(own))
    home = np.concatenate([chip[own], np.arange(instance.chips)])
    free = np.concatenate([inside[own], np.zeros(instance.chips, dtype=bool)])
    windows = Windows(np.where(free, first, home), np.where(free, last, home))
    return Restriction(_smaller(instance, label, own, home), windows, own)


def _smaller(inst: Instance, label: IntArray, own: IntArray, home: IntArray) -> Instance:
    size, kept = len(home), len(own)
    edges = np.unique(label[inst.edges], axis=0) if len(inst.edges) else inst.edges
    edges = edges[(edges < kept).any(axis=1) & (edges[:, 0] != edges[:, 1])]
    before = np.unique(label[inst.before], axis=0)
    before = before[(before < kept).any(axis=1)]
    tensor = np.repeat(np.arange(inst.tensors), np.diff(inst.reader_ptr))
    source, reader = label[inst.source], label[inst.readers]
    apart = source[tensor] != reader
    tensor, reader, constrains = tensor[apart], reader[apart], inst.reader_constrains[apart]
    touched = source < kept
    touched[tensor[reader < kept]] = True
    rows, constrains_of, tau, source = _rows(inst, tensor, reader, constrains, source, touched, home)
    shared = np.repeat(np.arange(len(inst.shared_bytes)), np.diff(inst.shared_ptr))
    users = label[inst.shared_nodes]
    used = users < kept
    weight, shared_rows = np.unique(shared[used], return_inverse=True)
    other = np.zeros(size - kept)
    return replace(
        inst,
        node_of=label[inst.node_of],
        time=np.concatenate([inst.time[:, own], np.zeros((len(inst.time), size - kept))], axis=1),
        supported=np.concatenate([inst.supported[:, own], np.ones((len(inst.time), size - kept), dtype=bool)], axis=1),
        weights=np.concatenate([inst.weights[own], other]),
        replicable=np.concatenate([inst.replicable[own], other.astype(bool)]),
        source=source,
        tau=tau,
        relayable=np.zeros(len(tau), dtype=bool),
        reader_ptr=np.concatenate([[0], np.cumsum(np.bincount(rows[0], minlength=len(tau)))]).astype(np.int64),
        readers=rows[1],
        reader_constrains=constrains_of,
        edges=edges,
        before=before,
        shared_bytes=inst.shared_bytes[weight],
        shared_ptr=np.concatenate([[0], np.cumsum(np.bincount(shared_rows, minlength=len(weight)))]).astype(np.int64),
        shared_nodes=users[used][np.argsort(shared_rows, kind="stable")],
    )


def _rows(
    inst: Instance,
    tensor: IntArray,
    reader: IntArray,
    constrains: BoolArray,
    source: IntArray,
    touched: BoolArray,
    home: IntArray,
) -> tuple[IntArray, BoolArray, np.ndarray, IntArray]:
    """(2, P) row and reader pairs, (P,) whether the edge constrains, (R,) transfer times and (R,) sources.

    A tensor between chips that stay matters to links alone, so its farthest reader stands for all.
    """
    near = touched[tensor]
    pairs, which = np.unique(np.stack([tensor[near], reader[near]]), axis=1, return_inverse=True)
    binding = np.zeros(pairs.shape[1], dtype=bool)
    np.logical_or.at(binding, which, constrains[near])
    kept, row = np.unique(pairs[0], return_inverse=True)
    far = tensor[~near]
    chips, begin = inst.chips, home[source[far]]
    hops = (home[reader[~near]] - begin) % chips
    reach = np.zeros(inst.tensors, dtype=np.int64)
    np.maximum.at(reach, far, hops)
    moving = np.flatnonzero(reach)
    ways, merged = np.unique(np.stack([source[moving], reach[moving]]), axis=1, return_inverse=True)
    end = len(home) - chips + (home[ways[0]] + ways[1]) % chips
    number = len(kept) + np.arange(ways.shape[1])
    return (
        np.stack([np.concatenate([row, number]), np.concatenate([pairs[1], end])]),
        np.concatenate([binding, np.ones(len(end), dtype=bool)]),
        np.concatenate([inst.tau[kept], sums(merged, inst.tau[moving], ways.shape[1])]),
        np.concatenate([source[kept], ways[0]]),
    )
