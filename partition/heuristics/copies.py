"""Where replicable nodes run: on every chip that reads what they make."""

from __future__ import annotations

import numpy as np

from partition.arrays import BoolArray, IntArray
from partition.instance.instance import Instance


def readers_of(instance: Instance, copied: BoolArray) -> tuple[IntArray, IntArray]:
    """Pairs of a copied node and a node that reads it, directly or through other copied ones, sorted.

    Parameters
    ----------
    copied : (N,) bool, nodes that run wherever they are read; they are not among the readers.
    """
    tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
    wanted: dict[int, set[int]] = {int(v): set() for v in np.flatnonzero(copied)}
    pairs = np.stack([instance.source[tensor], instance.readers])[:, copied[instance.source[tensor]]]
    for u, w in pairs[:, np.argsort(-pairs[1], kind="stable")].T.tolist():
        wanted[u] |= wanted[w] if copied[w] else {w}
    both = np.array([(v, w) for v, readers in wanted.items() for w in sorted(readers)], dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def with_replicas(instance: Instance, chip: IntArray) -> list[tuple[int, int]]:
    """(node, chip) of replicas; homes of replicable nodes are set to the first chip that needs them, 0 if none does.

    Parameters
    ----------
    chip : (N,) chips of the nodes; those of replicable ones are written.
    """
    node, reader = readers_of(instance, instance.replicable)
    chip[instance.replicable] = 0
    pairs = np.unique(np.stack([node, chip[reader]]), axis=1)
    first = np.diff(pairs[0], prepend=-1) > 0
    chip[pairs[0, first]] = pairs[1, first]
    return [(v, c) for v, c in pairs[:, ~first].T.tolist()]
