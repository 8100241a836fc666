"""Topological orders of an instance's nodes, diverse in shape: what slicing works on."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from partition.arrays import FloatArray, IntArray
from partition.instance.instance import Instance
from partition.order import components, topological_order


def diverse_orders(instance: Instance, rng: np.random.Generator) -> Iterator[IntArray]:
    """Yield (N,) permutations, each a topological order of ``instance.edges``; the first ones tend to be the best.

    Where weights are shared, the first one keeps their users together. Then come the order of the file, and depth first
    from the inputs and from the outputs. Depth first with light nodes ahead joins a branch to the others as soon as it
    is done. After least live bytes and by depth come random depth-first orders without end.
    """
    graph = Adjacency(instance.nodes, instance.edges)
    first_operation = np.full(instance.nodes, instance.graph.n)
    np.minimum.at(first_operation, instance.node_of, np.arange(instance.graph.n))
    if len(instance.shared_bytes):
        yield graph.by_priority(_rank_by_shared_weight(instance))
    yield graph.by_priority(first_operation)
    yield graph.depth_first(np.arange(instance.nodes))
    yield graph.depth_first(np.arange(instance.nodes), from_outputs=True)
    yield graph.depth_first(np.argsort(np.argsort(instance.fastest, kind="stable")))
    yield graph.least_live(instance)
    yield graph.by_priority(graph.depth())
    while True:
        yield graph.depth_first(rng.permutation(instance.nodes), from_outputs=bool(rng.integers(2)))


def order_by(instance: Instance, priority: IntArray) -> IntArray:
    """(N,) the topological order that always takes the ready node of least ``priority`` (N,), the first of equals."""
    return Adjacency(instance.nodes, instance.edges).by_priority(priority)


def _rank_by_shared_weight(instance: Instance) -> IntArray:
    """(N,) rank of each node such that the users of a shared weight follow one another where the edges allow it.

    Users of one weight are contracted, then what thereby became cyclic, and the rest is ordered topologically.
    """
    n = instance.nodes
    first_user = instance.shared_nodes[instance.shared_ptr[:-1]]
    shared = np.stack([np.repeat(first_user, np.diff(instance.shared_ptr)), instance.shared_nodes])
    label = components(n, shared, "weak")
    label = components(int(label.max()) + 1, label[instance.edges.T], "strong")[label]
    between = label[instance.edges.T]
    between = between[:, between[0] != between[1]]
    order = topological_order(int(label.max()) + 1, *between)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return np.asarray(rank[label] * n + np.arange(n))


class Adjacency:
    """Successors and predecessors as lists, for orders that are sequential by nature.

    Parameters
    ----------
    n : number of nodes.
    edges : (E, 2) pairs (producer, reader), each once.
    """

    def __init__(self, n: int, edges: IntArray) -> None:
        self.n = n
        self.successors: list[list[int]] = [[] for _ in range(n)]
        self.predecessors: list[list[int]] = [[] for _ in range(n)]
        for u, v in edges.tolist():
            self.successors[u].append(v)
            self.predecessors[v].append(u)

    def by_priority(self, priority: IntArray | FloatArray) -> IntArray:
        """Always the ready node of least priority value."""
        waiting = [len(p) for p in self.predecessors]
        rank = priority.tolist()
        heap = [(rank[v], v) for v in range(self.n) if not waiting[v]]
        heapq.heapify(heap)
        order = []
        while heap:
            _, v = heapq.heappop(heap)
            order.append(v)
            for w in self.successors[v]:
                waiting[w] -= 1
                if not waiting[w]:
                    heapq.heappush(heap, (rank[w], w))
        return np.array(order)

    def depth_first(self, preference: IntArray, *, from_outputs: bool = False) -> IntArray:
        """Finish what was begun last; ties by ``preference``. From the outputs: the reverse of such an order."""
        successors, predecessors = (
            (self.predecessors, self.successors) if from_outputs else (self.successors, self.predecessors)
        )
        rank = (-preference if from_outputs else preference).tolist()
        waiting = [len(p) for p in predecessors]
        stack = sorted((v for v in range(self.n) if not waiting[v]), key=lambda v: -rank[v])
        order = []
        while stack:
            v = stack.pop()
            order.append(v)
            ready = []
            for w in successors[v]:
                waiting[w] -= 1
                if not waiting[w]:
                    ready.append(w)
            stack.extend(sorted(ready, key=lambda w: -rank[w]))
        return np.array(order[::-1] if from_outputs else order)

    def postorder(self, rank: IntArray) -> IntArray:
        """Depth first along producers from the nodes that nobody reads; a node follows all its producers.

        Roots are begun by ``rank`` (N,), and of the producers of a node those of the greatest rank first.
        """
        ahead = [sorted(nodes, key=rank.item) for nodes in self.predecessors]
        roots = np.array([v for v in range(self.n) if not self.successors[v]], dtype=np.int64)
        seen, order = [False] * self.n, []
        for root in roots[np.argsort(rank[roots])].tolist():
            stack = [root]
            while stack:
                v = stack[-1]
                if seen[v]:
                    stack.pop()
                elif ahead[v]:
                    u = ahead[v].pop()
                    if not seen[u]:
                        stack.append(u)
                else:
                    seen[v] = True
                    order.append(v)
                    stack.pop()
        return np.array(order, dtype=np.int64)

    def least_live(self, instance: Instance) -> IntArray:
        """Greedily the ready node that adds least to the bytes alive (outputs begun minus inputs ended)."""
        produced = np.bincount(instance.source, weights=instance.tau, minlength=self.n).tolist()
        unread = np.diff(instance.reader_ptr).tolist()
        reads: list[list[int]] = [[] for _ in range(self.n)]
        for t in range(instance.tensors):
            for w in instance.tensor_readers(t).tolist():
                reads[w].append(t)
        tau = instance.tau.tolist()

        def growth(v: int) -> float:
            return float(produced[v] - sum(tau[t] for t in reads[v] if unread[t] == 1))

        waiting = [len(p) for p in self.predecessors]
        heap = [(growth(v), v) for v in range(self.n) if not waiting[v]]
        heapq.heapify(heap)
        order = []
        while heap:
            key, v = heapq.heappop(heap)
            now = growth(v)
            if now < key:  # an input became the last of its readers since; look again
                heapq.heappush(heap, (now, v))
                continue
            order.append(v)
            for t in reads[v]:
                unread[t] -= 1
            for w in self.successors[v]:
                waiting[w] -= 1
                if not waiting[w]:
                    heapq.heappush(heap, (growth(w), w))
        return np.array(order)

    def depth(self) -> IntArray:
        """(N,) edges on the longest path from an input; nodes are numbered topologically."""
        depth = [0] * self.n
        for v in self.by_priority(np.arange(self.n)).tolist():
            for w in self.successors[v]:
                depth[w] = max(depth[w], depth[v] + 1)
        return np.array(depth)
