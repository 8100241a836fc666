"""An exact dynamic program over frontiers, for the triangle rule as it is written.

Nodes are placed one after another along a topological order. The *frontier* is all that can still influence the rest of
the order. It says on which chips the nodes lie that still have readers to come. It also says how much those chips hold,
and how the chip graph joins them. Chips carry no numbers: an acyclic chip graph can be numbered afterwards. Two partial
placements with the same frontier differ only in the number of chips used and in loads, and dominated ones are dropped.
Where the order has narrow frontiers (residual and dense networks), this decides exactly whether there is a placement
with period <= T. A MILP with big implications for the triangle rule is hopeless there. In form it is dynamic
programming over a path decomposition (Bodlaender, "A partial k-arboretum of graphs with bounded treewidth", 1998).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from milp import budget
from milp.frontiers.partial import Partial
from milp.frontiers.steps import Step, behind_left_out, steps_of
from milp.frontiers.structure import NOTHING, Move, Structure, closed, longer_path_beside
from milp.ideals.leaving_out import tiny_nodes
from milp.tolerances import FRONTIER_TINY, ROUNDING
from partition.arrays import BoolArray, IntArray
from partition.instance.features import ABSORBED, PERIOD_ALONE, PORTS_FOR_ROUTES, Feature, Scope, named
from partition.instance.instance import Instance
from partition.order import topological_order
from partition.stopping import Stop

SCOPE = Scope(
    engine="frontiers",
    claims="whether some placement has a period",
    covers=ABSORBED
    | named(
        "CHAIN RING CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC NO_SKIPPING SKIPPING TRIANGLE "
        "LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS UNSUPPORTED FREE_TRANSFERS SHARED_WEIGHTS ZERO_TIMES CUTS "
        "STREAMING STREAMING_IN_TURN"
    ),
    refuses={
        **PERIOD_ALONE,
        Feature.ROUTES: PORTS_FOR_ROUTES,
        Feature.ANY_ORDER: "the chip graph may have cycles",
        Feature.RELAYS: "relays change who sends to whom",
        Feature.MIXED_KINDS: "chips carry no numbers",
        Feature.FREE_ORDER: "chips carry no numbers",
        Feature.FREE_EDGES: "every transfer counts for the triangle rule there",
    },
)


ROW_LIMIT = 400_000
"""Most partial placements kept after one node; beyond it the question is given up."""

STRUCTURE_LIMIT = 3_000
"""Most different frontiers kept after one node."""

ORDERS = 8
"""Topological orders of which the one with the narrowest frontiers is taken."""


@dataclass(frozen=True)
class FrontierVerdict:
    """The answer about one threshold.

    Attributes
    ----------
    possible : None if given up; False is a proof that no placement is within the threshold.
    chip : (N,) chips of a placement within it where links, replicable nodes and shared weights are left out of account
        (replicable nodes are -1), if possible.
    """

    possible: bool | None
    chip: IntArray | None = None


class Frontiers:
    """Decides thresholds for one instance, along one order, with some nodes left out; see :meth:`applies`."""

    def __init__(self, instance: Instance, order: IntArray, kept: BoolArray) -> None:
        hw = instance.hardware
        self.instance = instance
        self.transfers = hw.transfers_add_up
        self.triangle = hw.rules.triangle
        self.order = order[kept[order]]
        self.memory = (
            hw.rules.memory
            and bool(np.isfinite(hw.sram_bytes).all())
            and float(instance.weights[kept].sum()) > float(hw.sram_bytes.min())
        )
        self.time = instance.time[hw.kind_of_chip[0]]
        self.behind = behind_left_out(instance, kept)
        self.steps = steps_of(instance, self.order, kept, self.time, self.behind)
        self.complete = bool(kept.all())

    @staticmethod
    def applies(instance: Instance) -> bool:
        """Identical chips, every edge constrains, and no relays to weigh."""
        return SCOPE.admits(instance.features) and instance.forward_only

    @property
    def effort(self) -> float:
        """A rough measure of the number of frontiers."""
        return float(sum(4.0 ** len(step.survivors) for step in self.steps))

    # --- the program -----------------------------------------------------------------------------------------

    def decide(self, threshold: float, *, stop: Stop | None = None) -> FrontierVerdict:
        """Whether some placement has a period of at most ``threshold`` (in units of the instance)."""
        stop = stop or Stop()
        limit = threshold * (1 + ROUNDING)
        most = float(self.instance.room(limit)[0]) * (1 + ROUNDING)
        states = {NOTHING: Partial.nothing(1 + self.memory)}
        history: list[tuple[IntArray, IntArray]] = []
        for step in self.steps:
            grown: dict[Structure, list[Partial]] = {}
            for structure, rows in states.items():
                for label in range(structure.chips + 1):
                    moved = self._place(structure, step, label)
                    if moved is None:
                        continue
                    after = self._placed(rows, step, label, moved, limit, most)
                    if len(after):
                        grown.setdefault(moved.structure, []).append(after)
                stop.charge(budget.FRONTIER_MOVE * (structure.chips + 1))
                if stop():
                    return FrontierVerdict(None)
            stop.charge(budget.FRONTIER_ROW * sum(len(block) for blocks in grown.values() for block in blocks))
            states = {s: Partial.together(blocks).undominated() for s, blocks in grown.items()}
            count = sum(map(len, states.values()))
            if count == 0:
                return FrontierVerdict(False)
            if count > ROW_LIMIT or len(states) > STRUCTURE_LIMIT:
                return FrontierVerdict(None)
            states = _numbered(states, history)
        return FrontierVerdict(True, self._retrace(states, history))

    def _placed(self, rows: Partial, step: Step, label: int, moved: Move, limit: float, most: float) -> Partial:
        """The partial placements after placing the node on a chip, without those that cannot end within the limit.

        Parameters
        ----------
        most : bytes of weights that a chip can have within the limit.
        """
        inst, C = self.instance, self.instance.chips
        count, kinds, before = rows.loads.shape
        used = rows.used + (label == before)
        loads = np.zeros((count, kinds, before + 1))
        loads[:, :, :before] = rows.loads
        loads[:, 0, label] += self.time[step.node]
        if self.memory:
            loads[:, 1, label] += inst.weights[step.node]
        for chip, amount in moved.extra:
            loads[:, 0, chip] += amount
        keep = (used <= C) & (loads[:, 0] <= limit).all(axis=1)
        if self.memory:
            keep &= loads[:, 1, label] <= most
        lost = rows.lost.copy()
        for chip in moved.closed:
            lost += limit - loads[:, 0, chip]
        open_labels = list(moved.labels)
        room = limit * (C - used) + (limit - loads[:, 0, open_labels]).sum(axis=1)
        keep &= room >= step.work_left * (1 - ROUNDING)
        labels = np.full(int(keep.sum()), label)
        return Partial(used[keep], lost[keep], rows.row[keep], labels, loads[keep][:, :, open_labels])

    def _place(self, s: Structure, step: Step, label: int) -> Move | None:
        """The structure after placing the node on chip ``label`` (a new one if it is the number of chips)."""
        fresh = label == s.chips
        count = s.chips + fresh
        direct, path, never = ([*m, *([0] if fresh else [])] for m in (s.direct, s.path, s.never))
        bit = 1 << label
        sources = {s.home[p] for p in step.parents} - {label}
        before = sources | {s.home[p] for p in step.ancestors} - {label}
        if any(path[label] >> y & 1 for y in before):
            return None
        if before:
            mask = 0
            for y in sources:
                direct[y] |= bit
            for y in before:
                mask |= 1 << y
            behind = bit | path[label]
            for a in range(count):
                if mask >> a & 1 or path[a] & mask:
                    path[a] |= behind
                    if path[a] & never[a]:
                        return None
            if self.triangle and longer_path_beside(direct, path, count):
                return None
        received, extra = self._received(s, step, label)
        home = [*s.home, label]
        home = [home[i] for i in step.survivors]
        received = [*received, *([0] * step.made)]
        received = [received[i] for i in step.tensors]
        return closed(home, received, count, direct, path, never, extra, step.sources_ahead, self.triangle)

    def _received(self, s: Structure, step: Step, label: int) -> tuple[list[int], list[tuple[int, float]]]:
        """Who has received what afterwards, and what the transfers add to loads."""
        received = list(s.received)
        extra: list[tuple[int, float]] = []
        if not self.transfers:
            return received, extra
        for t, owner, tau in zip(step.reads, step.owners, step.tau_read, strict=True):
            home = s.home[owner]
            if home == label or received[t] >> label & 1:
                continue
            extra.append((label, tau))
            if not received[t]:
                extra.append((home, tau))
            received[t] |= 1 << label
        return received, extra

    def _retrace(self, states: dict[Structure, Partial], history: list[tuple[IntArray, IntArray]]) -> IntArray:
        """Chips of the nodes along the way to the final state that uses fewest chips, numbered along the chip graph."""
        final = Partial.heads(states.values())
        row = int(final.row[np.lexsort((final.lost, final.used))[0]])
        labels: list[int] = []
        for origin, chosen in reversed(history):
            labels.append(int(chosen[row]))
            row = int(origin[row])
        structure = NOTHING
        chip_of_label: list[int] = []
        used = 0
        chip = np.full(self.instance.nodes, -1)
        for step, label in zip(self.steps, reversed(labels), strict=True):
            if label == structure.chips:
                chip_of_label.append(used)
                used += 1
            chip[step.node] = chip_of_label[label]
            moved = self._place(structure, step, label)
            assert moved is not None
            chip_of_label = [chip_of_label[i] for i in moved.labels]
            structure = moved.structure
        return self._numbered_along(chip, used)

    def _numbered_along(self, chip: IntArray, used: int) -> IntArray:
        """Chips renumbered along a topological order of the chip graph; -1 stays."""
        between = [(u, int(v)) for v, us in self.behind.items() for u in us]
        pairs = np.concatenate([self.instance.edges, np.array(between, dtype=np.int64).reshape(-1, 2)])
        edges = chip[pairs]
        edges = edges[(edges >= 0).all(axis=1) & (edges[:, 0] != edges[:, 1])]
        order = topological_order(used, edges[:, 0], edges[:, 1])
        rank = np.empty(used + 1, dtype=np.int64)
        rank[order] = np.arange(used)
        rank[-1] = -1
        return np.asarray(rank[chip])


def narrow_frontiers(instance: Instance, orders: Iterable[IntArray]) -> Iterator[Frontiers]:
    """Programs along the narrowest of some orders: first over all nodes, then with tiny ones left out."""
    candidates = list(itertools.islice(orders, ORDERS))
    for tiny in FRONTIER_TINY:
        kept = ~instance.replicable & ~tiny_nodes(instance, tiny)
        if not kept.any():
            return
        programs = [Frontiers(instance, order, kept) for order in candidates]
        yield min(programs, key=lambda program: program.effort)


def _numbered(states: dict[Structure, Partial], history: list[tuple[IntArray, IntArray]]) -> dict[Structure, Partial]:
    """Move origins and labels of all rows to the history and number the rows anew."""
    together = Partial.heads(states.values())
    history.append((together.row, together.label))
    begin, numbered = 0, {}
    for s, rows in states.items():
        numbered[s] = replace(rows, row=np.arange(begin, begin + len(rows)))
        begin += len(rows)
    return numbered
