"""Least traffic: pairs of operations that no placement keeps together, joined by ways through the tensors."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from milp import budget
from milp.tolerances import TINIEST
from partition.arrays import FloatArray, IntArray, sums
from partition.one_thread import flows
from partition.stopping import Stop

CENTRES = 128
"""Nodes at most between which demands are routed; every other node goes by the nearest of them."""

BATCH = 16
"""Centres routed before lengths are looked at again."""

ROUNDS = 16
"""Times that all demands are routed; the loads of all rounds are averaged."""

STEEP = 12
"""Logarithm of the length of the tensor that carries most, for each of its bytes, beside one that carries nothing."""

SEED = 22
"""Of the centres."""


class TensorWays:
    """Nodes joined by tensors that take bytes.

    Parameters
    ----------
    nodes : their number ``N``.
    source : (M,) producer of each tensor.
    size : (M,) its bytes, zero or more.
    ptr, readers : CSR of its readers.
    """

    def __init__(self, nodes: int, source: IntArray, size: FloatArray, ptr: IntArray, readers: IntArray) -> None:
        tensor = np.repeat(np.arange(len(source)), np.diff(ptr))
        ends = np.concatenate([np.stack([source, np.arange(len(source))], 1), np.stack([readers, tensor], 1)])
        ends = ends[size[ends[:, 1]] > 0]
        self.nodes, self.size = nodes, size
        self.node, self.tensor = np.unique(ends, axis=0).T

    def ways(self, lengths: FloatArray) -> csr_array:
        """Nodes, then tensors, as one graph; a way through a tensor is as long as that (M,)."""
        half, there = lengths[self.tensor] / 2, self.nodes + self.tensor
        row, column = np.concatenate([self.node, there]), np.concatenate([there, self.node])
        whole = self.nodes + len(self.size)
        return csr_array((np.concatenate([half, half]), (row, column)), shape=(whole, whole))


def least_traffic(tensors: TensorWays, work: FloatArray, most: float, stop: Stop) -> float:
    """Bytes that move at least, where no chip holds more work than ``most``.

    Every ordered pair of nodes is a demand, the product of their work. Demands are routed through tensors, in parts.
    Whatever the placement, two nodes on different chips have a tensor on their way that moves. So the demands that
    chips cannot keep together are at most what the tensors that move carry. That is at most their bytes, times the
    largest load of a tensor for each of its bytes.

    Parameters
    ----------
    work : (N,) of each node, zero or more.
    """
    if not (tensors.size > 0).any():
        return 0.0
    _, component = flows().connected_components(tensors.ways(np.ones(len(tensors.size))), directed=False)
    component, total = component[: tensors.nodes], float(work.sum())
    of_each = sums(component, work, int(component.max(initial=0)) + 1)
    joined = component == of_each.argmax()
    if not 0 < most < total:
        return 0.0
    full = total // most
    together = full * most * most + (total - full * most) ** 2
    apart = float(of_each.max()) ** 2 - together  # other pairs may be apart without any traffic
    if not apart > 0:
        return 0.0
    carried, rounds = _carried(tensors, np.where(joined, work, 0.0), np.flatnonzero(joined), stop)
    used = tensors.size > 0
    heaviest = float((carried[used] / tensors.size[used]).max(initial=0.0))
    return rounds * apart / heaviest if heaviest > 0 else 0.0


def _carried(tensors: TensorWays, work: FloatArray, joined: IntArray, stop: Stop) -> tuple[FloatArray, int]:
    """(M,) what each tensor carries of all demands, summed over rounds; the number of rounds, 0 if none was completed.

    A node sends its demands to the nearest centre, and gets those of others from there. Centres send to one another on
    shortest ways. What carries much becomes long.

    Parameters
    ----------
    joined : nodes that some way joins; the others have no work.
    """
    rng, count = np.random.default_rng(SEED), tensors.nodes
    carried, finished = np.zeros(len(tensors.size)), np.zeros(len(tensors.size))
    for done in range(ROUNDS):
        centres = rng.choice(joined, min(CENTRES, len(joined)), replace=False)
        ways = tensors.ways(_lengths(carried, tensors.size))
        _, tree, root = flows().dijkstra(ways, indices=centres, return_predecessors=True, min_only=True)
        flow = np.zeros((1, len(tree)))
        flow[0, joined] = 2 * work[joined] * work.sum()
        carried += _gathered(flow, tree[None].astype(np.int64))[count:]
        mass = sums(root[joined], work[joined], count)[centres]
        for begin in range(0, len(centres), BATCH):
            if stop():
                return finished, done
            part = centres[begin : begin + BATCH]
            stop.charge(budget.ROUTED * len(part) * len(tensors.node))
            ways = tensors.ways(_lengths(carried, tensors.size))
            before = flows().dijkstra(ways, indices=part, return_predecessors=True)[1].astype(np.int64)
            flow = np.zeros(before.shape)
            flow[:, centres] = mass[begin : begin + BATCH, None] * mass[None]
            flow[np.arange(len(part)), part] = 0.0
            carried += _gathered(flow, before)[count:]
        finished = carried.copy()
    return finished, ROUNDS


def _lengths(carried: FloatArray, size: FloatArray) -> FloatArray:
    """(M,) lengths of tensors: those that carry most for each byte are longest."""
    load = np.divide(carried, size, out=np.zeros(len(size)), where=size > 0)
    return np.exp(STEEP * load / max(float(load.max(initial=0.0)), TINIEST))


def _gathered(flow: FloatArray, before: IntArray) -> FloatArray:
    """(V,) what passes each vertex on the way to the roots of trees: from flows (B, V) along predecessors (B, V)."""
    rows, count = flow.shape
    parent = np.where(before < 0, np.arange(count), before)
    depth, ahead = (before >= 0).astype(np.int64), parent
    while (more := np.take_along_axis(depth, ahead, axis=1)).any():
        depth, ahead = depth + more, np.take_along_axis(ahead, ahead, axis=1)
    flat, target = flow.ravel().copy(), (parent + count * np.arange(rows)[:, None]).ravel()
    order = np.argsort(-depth.ravel(), kind="stable")
    ends = np.flatnonzero(np.diff(depth.ravel()[order])) + 1
    for level in np.split(order, ends)[:-1]:
        np.add.at(flat, target[level], flat[level])
    return np.asarray(flat.reshape(flow.shape).sum(axis=0))
