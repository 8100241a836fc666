"""What placing each node changes, the same for every frontier: which nodes and tensors are live before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray
from partition.instance.instance import Instance


@dataclass(frozen=True, eq=False)
class Step:
    """What placing one node changes, the same for every frontier.

    Attributes
    ----------
    node : the node.
    parents : positions, among the nodes live before, of the producers it reads.
    ancestors : likewise of those it depends on through nodes left out.
    reads : positions, among the tensors live before, of what it reads.
    survivors : positions among (live before, then the node itself) of what is live afterwards; likewise tensors.
    """

    node: int
    parents: tuple[int, ...]
    ancestors: tuple[int, ...]
    reads: tuple[int, ...]
    owners: tuple[int, ...]
    survivors: tuple[int, ...]
    tensors: tuple[int, ...]
    made: int
    tau_read: tuple[float, ...]
    sources_ahead: bool
    work_left: float


def steps_of(
    instance: Instance, order: IntArray, kept: BoolArray, time: FloatArray, behind: Mapping[int, Sequence[int]]
) -> list[Step]:
    """The steps along an order of the kept nodes.

    Parameters
    ----------
    time : (N,) float
        Of each node on the one kind of chip.
    behind : node -> nodes
        See :func:`behind_left_out`.
    """
    tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
    both = kept[instance.source[tensor]] & kept[instance.readers]
    tensors_of: dict[int, list[int]] = {}
    reads: dict[int, list[int]] = {}
    for t, w in zip(tensor[both].tolist(), instance.readers[both].tolist(), strict=True):
        made = tensors_of.setdefault(int(instance.source[t]), [])
        if t not in made:
            made.append(t)
        reads.setdefault(w, []).append(t)
    waiting = dict(zip(*np.unique(tensor[both], return_counts=True), strict=True))
    followers = dict(zip(*np.unique([u for us in behind.values() for u in us], return_counts=True), strict=True))
    has_parents = {*reads, *behind}
    last_source = max((i for i, v in enumerate(order.tolist()) if v not in has_parents), default=-1)
    work_left = float(time[order].sum())
    live_nodes: list[int] = []
    live_tensors: list[int] = []
    steps = []
    for i, v in enumerate(order.tolist()):
        read = reads.get(v, [])
        direct = sorted({int(instance.source[t]) for t in read})
        for t in read:
            waiting[t] -= 1
        for u in behind.get(v, ()):
            followers[u] -= 1
        made = tensors_of.get(v, [])
        candidates, all_tensors = [*live_nodes, v], [*live_tensors, *made]
        after_tensors = [t for t in all_tensors if waiting[t] > 0]
        owners = {int(instance.source[t]) for t in after_tensors}
        after_nodes = [u for u in candidates if u in owners or followers.get(u, 0) > 0]
        work_left -= float(time[v])
        steps.append(
            Step(
                node=v,
                parents=tuple(live_nodes.index(u) for u in direct),
                ancestors=tuple(live_nodes.index(u) for u in behind.get(v, ())),
                reads=tuple(live_tensors.index(t) for t in read),
                owners=tuple(live_nodes.index(int(instance.source[t])) for t in read),
                survivors=tuple(candidates.index(u) for u in after_nodes),
                tensors=tuple(all_tensors.index(t) for t in after_tensors),
                made=len(made),
                tau_read=tuple(float(instance.tau[t]) for t in read),
                sources_ahead=i < last_source,
                work_left=max(work_left, 0.0),
            )
        )
        live_nodes, live_tensors = after_nodes, after_tensors
    return steps


def behind_left_out(instance: Instance, kept: BoolArray) -> dict[int, list[int]]:
    """For each kept node its nearest kept ancestors through nodes left out, unless other kept nodes imply them.

    A replicable node joins nothing: it can run beside each of its readers.
    """
    plain = ~instance.replicable
    edges = instance.edges[plain[instance.edges].all(axis=1)]
    edges = edges[np.argsort(edges[:, 1], kind="stable")]  # nodes are numbered topologically
    through: dict[int, set[int]] = {}
    ancestors = [0] * instance.nodes
    nearest: dict[int, set[int]] = {}
    for u, w in edges.tolist():
        found = {u} if kept[u] else through.get(u, set())
        target = nearest if kept[w] and not kept[u] else through
        if not (kept[u] and kept[w]):
            target.setdefault(w, set()).update(found)
        ancestors[w] |= ancestors[u] | (1 << u)
    return {
        w: sorted(u for u in us if not any(ancestors[x] >> u & 1 for x in us if x != u))
        for w, us in nearest.items()
        if us
    }
