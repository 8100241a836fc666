"""What the policy sees of a graph on a package: scale-free numbers per node, fixed ones and those of a proposal.

Times are shares of the trivial bound (the instance's unit), positions are shares of the total work, bytes are shares of
what a chip holds; so a network trained on one graph and package can read another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from partition.arrays import Array32, FloatArray, IntArray, sums
from partition.heuristics.decision_levels import Precedence
from partition.instance.instance import Instance
from partition.instance.orders import diverse_orders
from partition.scoring.cost import Cost, CostModel, Loads

HOPS = 3
"""Times that neighbourhood means are taken: how far a node sees."""

OVERFULL = 4.0
"""Loads above this many times the trivial bound all look alike."""

KINDS: dict[str, frozenset[str]] = {
    "source": frozenset({"Input", "Constant", "ConstantOfShape", "RandomNormal"}),
    "matrix": frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "Attention", "MultiHeadAttention"}),
    "recurrent": frozenset({"LSTM", "GRU", "RNN"}),
    "normalise": frozenset(
        {"BatchNormalization", "LayerNormalization", "InstanceNormalization", "RMSNormalization", "LRN", "Softmax"}
    ),
    "reduce": frozenset(
        {"ReduceMean", "ReduceSum", "ReduceMax", "ArgMax", "TopK", "MaxPool", "AveragePool", "GlobalAveragePool"}
    ),
    "move": frozenset(
        {"Reshape", "Transpose", "Concat", "Slice", "Gather", "Split", "Expand", "Unsqueeze", "Squeeze", "Flatten"}
    ),
}
"""Groups of operator kinds; everything else is elementwise."""

FIXED_NAMES = (
    "depth",
    "height",
    "work of ancestors",
    "work of descendants",
    "middle",
    "slack",
    "position in order",
    "position depth first",
    "position by least live bytes",
    "phase sine",
    "phase cosine",
    "time",
    "weights",
    "shared weights",
    "sent",
    "received",
    "indegree",
    "outdegree",
    "intensity",
    "elementwise",
    *KINDS,
    *(f"mean {name} after {hop + 1} hops" for hop in range(HOPS) for name in ("time", "sent", "weights", "depth gap")),
    "chips",
    "nodes per chip",
    "largest time",
    "transfers",
    "serial",
    "memory",
    "width",
)
"""Names of the columns of :attr:`NodeFeatures.fixed`."""

SEEN_NAMES = (
    "seen",
    "shift",
    "load",
    "load before",
    "load after",
    "slack to period",
    "excess before",
    "place on chip",
    "own share of chip",
    "producers",
    "consumers",
)
"""Names of the columns of :meth:`NodeFeatures.seen`."""


@dataclass(frozen=True, eq=False)
class NodeFeatures:
    """Features of the nodes of one instance.

    Attributes
    ----------
    instance : what they describe.
    fixed : (N, F) float32, see ``FIXED_NAMES``.
    """

    instance: Instance
    fixed: Array32

    @staticmethod
    def of(instance: Instance) -> NodeFeatures:
        """Compute the fixed features."""
        columns = _columns(instance)
        table = np.stack([np.broadcast_to(columns[name], instance.nodes) for name in FIXED_NAMES], axis=1)
        return NodeFeatures(instance, np.ascontiguousarray(table, dtype=np.float32))

    @cached_property
    def share(self) -> FloatArray:
        """(N,) share of the total time."""
        total = float(self.instance.fastest.sum())
        return self.instance.fastest / total if total > 0 else np.full(self.instance.nodes, 1 / self.instance.nodes)

    @cached_property
    def position(self) -> FloatArray:
        """(N,) share of the work before the middle of each node in the first order."""
        return self.fixed[:, FIXED_NAMES.index("position in order")].astype(np.float64)

    @cached_property
    def _means(self) -> tuple[sp.csr_array, sp.csr_array]:
        """(N, N) averages over producers and over consumers."""
        return _averages(self.instance)

    @cached_property
    def model(self) -> CostModel:
        """The cost model that loads are taken from."""
        return self.instance.problem.kept(CostModel)

    def unseen(self, rows: int) -> Array32:
        """(B, N, S) zeros: there is no proposal yet."""
        return np.zeros((rows, self.instance.nodes, len(SEEN_NAMES)), dtype=np.float32)

    def seen(self, chips: IntArray) -> Array32:
        """(B, N, S) features of proposals ``chips`` (B, N), see ``SEEN_NAMES``."""
        inst, C, rows = self.instance, self.instance.chips, len(chips)
        cost = self.model.loads(chips[:, inst.node_of])
        load = np.minimum(busy(cost) / inst.unit, OVERFULL)
        period = np.minimum(cost.period / inst.unit, OVERFULL)
        row = np.arange(rows)[:, None]

        work = sums((chips + row * C).ravel(), np.tile(self.share, rows), rows * C).reshape(rows, C)
        before = np.cumsum(work, axis=1) - work
        order = np.argsort(chips, axis=1, kind="stable")  # by chip, then along the edges
        running = np.cumsum(self.share[order], axis=1)
        rank = np.empty_like(running)
        np.put_along_axis(rank, order, running - 0.5 * self.share[order], axis=1)

        beside = np.pad(load, ((0, 0), (1, 1)), constant_values=1.0)
        own_work = np.maximum(work[row, chips], 1e-12)
        producers, consumers = self._means
        chip = chips.T.astype(np.float32)
        result = np.stack(
            [
                np.ones(chips.shape),
                np.clip(C * rank - chips - 0.5, -OVERFULL, OVERFULL),
                load[row, chips] - 1.0,
                beside[row, chips] - 1.0,
                beside[row, chips + 2] - 1.0,
                period[:, None] - load[row, chips],
                np.clip(C * before[row, chips] - chips, -OVERFULL, OVERFULL),
                (rank - before[row, chips]) / own_work,
                self.share / own_work,
                np.clip((producers @ chip).T - chips * self._fed, -OVERFULL, 0.0),
                np.clip((consumers @ chip).T - chips * self._read, 0.0, OVERFULL),
            ],
            axis=2,
        )
        return np.asarray(result, dtype=np.float32)

    @cached_property
    def _fed(self) -> FloatArray:
        return np.asarray(np.diff(self._means[0].indptr) > 0, dtype=np.float64)

    @cached_property
    def _read(self) -> FloatArray:
        return np.asarray(np.diff(self._means[1].indptr) > 0, dtype=np.float64)


def busy(cost: Cost | Loads) -> FloatArray:
    """(B, C) load of every chip, or of the link that leaves it if that is more."""
    result = cost.load.copy()
    links = cost.link.shape[1]
    result[:, :links] = np.maximum(result[:, :links], cost.link)
    return np.asarray(result)


def _columns(inst: Instance) -> dict[str, FloatArray | float]:
    """The fixed features by name, one a node or one for all."""
    depth, height = _depths(inst)
    longest = max(1.0, float((depth + height).max()))
    own = _of_nodes(inst)
    columns: dict[str, FloatArray | float] = {
        "depth": depth / longest,
        "height": height / longest,
        **_places(inst),
        **own,
        **_of_all(inst),
        "width": float(np.log1p(inst.nodes / longest)),
    }
    producers, consumers = _averages(inst)
    both = 0.5 * (producers + consumers)
    means = {"time": own["time"], "sent": own["sent"], "weights": own["weights"], "depth gap": depth / longest}
    values = np.stack(list(means.values()), axis=1)
    for hop in range(HOPS):
        values = both @ values
        columns |= {f"mean {name} after {hop + 1} hops": values[:, i] for i, name in enumerate(means)}
        columns[f"mean depth gap after {hop + 1} hops"] = values[:, 3] - depth / longest
    return columns


def _places(inst: Instance) -> dict[str, FloatArray]:
    """Where the nodes stand in the work: before and after them, and along several orders."""
    share = inst.fastest / max(float(inst.fastest.sum()), 1e-300)
    precedence = Precedence(inst, np.arange(inst.nodes))
    before = precedence.sums_over(precedence.ancestors, share)
    after = precedence.sums_over(precedence.descendants, share)
    orders = [order for _, order in zip(range(5), diverse_orders(inst, np.random.default_rng(0)), strict=False)]
    position = [_position(order, share) for order in orders]
    skip = int(len(inst.shared_bytes) > 0)  # where weights are shared, their order comes first
    phase = 2 * np.pi * inst.chips * position[0]
    return {
        "work of ancestors": before,
        "work of descendants": after,
        "middle": (before + 1.0 - after) / 2,
        "slack": 1.0 - before - after - share,
        "position in order": position[0],
        "position depth first": position[2 + skip],
        "position by least live bytes": position[3 + skip],
        "phase sine": np.sin(phase),
        "phase cosine": np.cos(phase),
    }


def _of_nodes(inst: Instance) -> dict[str, FloatArray]:
    """What the nodes are: their work, weights, tensors and kinds."""
    N, graph, representative = inst.nodes, inst.graph, inst.representatives
    sram = _sram(inst)
    tensor = np.repeat(np.arange(inst.tensors), np.diff(inst.reader_ptr))
    kinds = np.array([_KIND_OF.get(graph.op_types[v], "elementwise") for v in representative])
    intensity = np.log1p(graph.flops[representative] / np.maximum(graph.bytes_accessed[representative], 1.0))
    return {
        "time": inst.fastest,
        "weights": inst.weights / sram,
        "shared weights": (inst.all_weights - inst.weights) / sram,
        "sent": np.log1p(np.bincount(inst.source, weights=inst.tau, minlength=N)),
        "received": np.log1p(np.bincount(inst.readers, weights=inst.tau[tensor], minlength=N)),
        "indegree": np.log1p(np.bincount(inst.edges[:, 1], minlength=N)),
        "outdegree": np.log1p(np.bincount(inst.edges[:, 0], minlength=N)),
        "intensity": intensity / 10,
        **{kind: (kinds == kind).astype(float) for kind in ("elementwise", *KINDS)},
    }


def _of_all(inst: Instance) -> dict[str, float]:
    """What the whole model and the package are."""
    C = inst.chips
    return {
        "chips": float(np.log(C)),
        "nodes per chip": float(np.log(inst.nodes / C)),
        "largest time": float(inst.fastest.max()),
        "transfers": float(np.log1p(inst.tau.sum() / C)),
        "serial": float(inst.hardware.serial),
        "memory": float(inst.weights.sum() + inst.shared_bytes.sum()) / (C * _sram(inst)),
    }


def _sram(inst: Instance) -> float:
    """Bytes of the smallest chip; infinite where chips have none."""
    return float(inst.hardware.sram_bytes.min()) or np.inf


_KIND_OF = {op_type: kind for kind, members in KINDS.items() for op_type in members}


def _position(order: IntArray, share: FloatArray) -> FloatArray:
    """(N,) share of the work that comes before the middle of each node in an order."""
    position = np.empty(len(order))
    position[order] = np.cumsum(share[order]) - 0.5 * share[order]
    return position


def _averages(inst: Instance) -> tuple[sp.csr_array, sp.csr_array]:
    ones = np.ones(len(inst.edges))
    source, reader = inst.edges[:, 0], inst.edges[:, 1]
    shape = (inst.nodes, inst.nodes)
    result = []
    for a, b in ((reader, source), (source, reader)):
        degree = np.maximum(np.bincount(a, minlength=inst.nodes), 1)
        result.append(sp.csr_array((ones / degree[a], (a, b)), shape=shape))
    return result[0], result[1]


def _depths(inst: Instance) -> tuple[FloatArray, FloatArray]:
    """(N,) edges on the longest path to each node from an input, and from it to an output."""
    depth, height = [0] * inst.nodes, [0] * inst.nodes
    for u, v in inst.edges[np.argsort(inst.edges[:, 1], kind="stable")].tolist():
        depth[v] = max(depth[v], depth[u] + 1)
    for u, v in inst.edges[np.argsort(-inst.edges[:, 0], kind="stable")].tolist():
        height[u] = max(height[u], height[v] + 1)
    return np.array(depth, dtype=float), np.array(height, dtype=float)
